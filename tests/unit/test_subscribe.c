/* Subscribing, presence, signing in and client events, to the letter (protocol sections 2.2 to 2.11), where no rule of
 * the host's decides. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "engine_fixture.h"

#define CLIENTS 4

#define SUBSCRIBED(channel)                                                                        \
    "{\"event\":\"pusher_internal:subscription_succeeded\",\"channel\":\"" channel                 \
    "\",\"data\":\"{}\"}\n"
#define ERROR(code, message)                                                                       \
    "{\"event\":\"pusher:error\",\"data\":{\"code\":" #code ",\"message\":\"" message "\"}}\n"
/* A refusal is two messages. */
#define REFUSED(code, type, status, channel, message)                                              \
    ERROR(code, message ": " channel)                                                              \
    "{\"event\":\"pusher:subscription_error\",\"channel\":\"" channel                              \
    "\",\"data\":\"{\\\"type\\\":\\\"" type "\\\",\\\"error\\\":\\\"" message ": " channel         \
    "\\\",\\\"status\\\":" #status "}\"}\n"
#define ADDED(channel, id, info)                                                                   \
    "{\"event\":\"pusher_internal:member_added\",\"channel\":\"" channel                           \
    "\",\"data\":\"{\\\"user_id\\\":\\\"" id "\\\",\\\"user_info\\\":" info "}\"}\n"
#define REMOVED(channel, id)                                                                       \
    "{\"event\":\"pusher_internal:member_removed\",\"channel\":\"" channel                         \
    "\",\"data\":\"{\\\"user_id\\\":\\\"" id "\\\"}\"}\n"
#define ROSTER(channel, ids, hash, count)                                                          \
    "{\"event\":\"pusher_internal:subscription_succeeded\",\"channel\":\"" channel                 \
    "\",\"data\":\"{\\\"presence\\\":{\\\"ids\\\":[" ids "],\\\"hash\\\":{" hash                   \
    "},\\\"count\\\":" #count "}}\"}\n"
#define Q "\\\""

struct fixture {
    struct fx fx;
    struct fx_client clients[CLIENTS]; /* the last on the second worker */
    char log[8192];
    int verdict; /* of on_client_event */
};

__attribute__((format(printf, 2, 3))) static void note(struct fixture *f, const char *format, ...)
{
    size_t len = strlen(f->log);
    va_list args;
    va_start(args, format);
    vsnprintf(f->log + len, sizeof f->log - len, format, args);
    va_end(args);
}

static void on_channel(const pusherc_channel_event *event, void *user_data)
{
    static const char *const names[] = {"?", "occupied", "vacated", "added", "removed", "count"};
    struct fixture *f = user_data;
    note(f, "%s %.*s", names[event->type], (int)event->channel.len, event->channel.ptr);
    if (event->user_id.len)
        note(f, " %.*s", (int)event->user_id.len, event->user_id.ptr);
    note(f, " %llu;", (unsigned long long)event->subscription_count);
}

static int on_client_event(const pusherc_conn *conn, const pusherc_client_event *event,
                           void *user_data)
{
    struct fixture *f = user_data;
    (void)conn;
    note(f, "%.*s %.*s %.*s '%.*s';", (int)event->channel.len, event->channel.ptr,
         (int)event->event.len, event->event.ptr, (int)event->data.len, event->data.ptr,
         (int)event->user_id.len, event->user_id.ptr);
    return f->verdict;
}

static void on_denied(const pusherc_denial *denial, void *user_data)
{
    note(user_data, "denied %s %d '%.*s';", pusherc_denial_name(denial->reason), denial->status,
         (int)denial->detail.len, denial->detail.ptr);
}

static void open_app(struct fixture *f, const pusherc_app_options *app)
{
    pusherc_server_options limits = fx_limits();
    pusherc_hooks hooks = PUSHERC_HOOKS_INIT;
    hooks.user_data = f;
    hooks.on_channel = on_channel;
    hooks.on_client_event = on_client_event;
    hooks.on_denied = on_denied;
    memset(f, 0, sizeof *f);
    assert_int_equal(fx_try_open(&f->fx, &limits, &hooks, 2, 0), 0);
    assert_int_equal(fx_try_put(&f->fx, app), 0);
    for (uint32_t i = 0; i < CLIENTS; i++) {
        fx_connect(&f->fx, &f->clients[i], i / 3);
        fx_heard(&f->clients[i]);
    }
}

static int set_up(void **state)
{
    static struct fixture f;
    pusherc_app_options app = fx_app();
    open_app(&f, &app);
    *state = &f;
    return 0;
}

static int close_all(struct fixture *f)
{
    for (size_t i = 0; i < CLIENTS; i++)
        fx_disconnect(&f->clients[i]);
    fx_wait(&f->fx);
    bool clean = pc_directory_occupied(&f->fx.engine->directory) == 0;
    fx_close(&f->fx);
    return clean && failing_alloc_live(&f->fx.alloc) == 0 ? 0 : -1;
}

static int tear_down(void **state)
{
    return close_all(*state);
}

static void expect_heard(struct fixture *f, size_t client, const char *text)
{
    assert_string_equal(fx_heard(&f->clients[client]), text);
}

static void expect_log(struct fixture *f, const char *text)
{
    assert_string_equal(f->log, text);
    f->log[0] = '\0';
}

/* -- subscribing -- */

static void a_public_channel_is_for_everybody(void **state)
{
    struct fixture *f = *state;
    fx_subscribe(&f->clients[0], "news");
    expect_heard(f, 0, SUBSCRIBED("news"));
    fx_subscribe(&f->clients[3], "news");
    expect_heard(f, 3, SUBSCRIBED("news"));
    expect_log(f, "occupied news 1;count news 1;count news 2;");
    fx_unsubscribe(&f->clients[0], "news");
    fx_unsubscribe(&f->clients[3], "news");
    expect_heard(f, 0, "");
    expect_log(f, "count news 1;count news 0;vacated news 0;");
}

static void a_second_subscription_of_one_connection_is_an_error(void **state)
{
    struct fixture *f = *state;
    fx_subscribe(&f->clients[0], "news");
    fx_heard(&f->clients[0]);
    fx_subscribe(&f->clients[0], "news");
    expect_heard(f, 0, ERROR(null, "Existing subscription to channel news"));
    assert_int_equal(f->clients[0].session.subscription_count, 1);
    assert_int_equal(fx_publish(&f->fx, "news", "e", "1"), 0);
    expect_heard(f, 0, "{\"event\":\"e\",\"channel\":\"news\",\"data\":\"1\"}\n");
}

static void unsubscribing_without_a_subscription_is_an_error(void **state)
{
    struct fixture *f = *state;
    fx_unsubscribe(&f->clients[0], "news");
    expect_heard(
        f, 0, ERROR(null, "No current subscription to channel news, or subscription in progress"));
}

static void bad_names_are_refused_and_shown_cut(void **state)
{
    struct fixture *f = *state;
    char name[401], text[512], shown[301];
    fx_subscribe(&f->clients[0], "a b");
    expect_heard(f, 0, REFUSED(null, "SubscriptionError", 400, "a b", "Invalid channel name"));
    fx_subscribe(&f->clients[0], "");
    expect_heard(f, 0, REFUSED(null, "SubscriptionError", 400, "", "Invalid channel name"));
    memset(name, 'n', 400);
    name[400] = '\0';
    memset(shown, 'n', 300);
    shown[300] = '\0';
    snprintf(text, sizeof text, "\"message\":\"Invalid channel name: %s\"", shown);
    fx_subscribe(&f->clients[0], name);
    const char *heard = fx_heard(&f->clients[0]);
    assert_non_null(strstr(heard, text));
    snprintf(text, sizeof text, "\"channel\":\"%s\"", shown);
    assert_non_null(strstr(heard, text));
    name[200] = '\0';
    fx_subscribe(&f->clients[0], name);
    assert_non_null(strstr(fx_heard(&f->clients[0]), "subscription_succeeded"));
}

static void private_channels_want_a_signature(void **state)
{
    struct fixture *f = *state;
    fx_say(&f->clients[0], "{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"private-x\"}}");
    expect_heard(f, 0,
                 REFUSED(null, "AuthError", 401, "private-x", "Auth info required to subscribe"));
    expect_log(f, "denied NO_SIGNATURE 401 'Auth info required to subscribe';");
    /* signed for another socket */
    fx_say(&f->clients[0], fx_subscribe_text(&f->clients[1], "private-x", NULL));
    assert_non_null(strstr(fx_heard(&f->clients[0]), "\"pusher:subscription_error\""));
    /* the host, and only the host, is told what should have been signed */
    char id[PUSHERC_SOCKET_ID_STRLEN], expected[128];
    pusherc_socket_id_format(f->clients[0].q.owner, id);
    snprintf(expected, sizeof expected, "denied BAD_SIGNATURE 401 '%s:private-x';", id);
    expect_log(f, expected);
    assert_int_equal(f->clients[0].session.subscription_count, 0);
    fx_subscribe(&f->clients[0], "private-x");
    expect_heard(f, 0, SUBSCRIBED("private-x"));
    fx_subscribe(&f->clients[0], "private-encrypted-x");
    expect_heard(f, 0, SUBSCRIBED("private-encrypted-x"));
}

static void a_connection_has_a_maximum_of_channels(void **state)
{
    struct fixture f;
    pusherc_app_options app = fx_app();
    (void)state;
    app.max_channels_per_connection = 2;
    open_app(&f, &app);
    fx_subscribe(&f.clients[0], "a");
    fx_subscribe(&f.clients[0], "b");
    fx_heard(&f.clients[0]);
    fx_subscribe(&f.clients[0], "c");
    expect_heard(&f, 0,
                 REFUSED(null, "LimitReached", 403, "c", "Too many channels on one connection"));
    fx_unsubscribe(&f.clients[0], "a");
    fx_subscribe(&f.clients[0], "c");
    expect_heard(&f, 0, SUBSCRIBED("c"));
    assert_int_equal(close_all(&f), 0);
}

/* -- presence -- */

static void a_user_joins_once_and_leaves_once(void **state)
{
    struct fixture *f = *state;
    struct fx_client *c = f->clients;
    fx_join(&c[0], "presence-r", "{\"user_id\":\"ann\",\"user_info\":{\"n\":1}}");
    expect_heard(f, 0, ROSTER("presence-r", Q "ann" Q, Q "ann" Q ":{" Q "n" Q ":1}", 1));
    fx_join(&c[1], "presence-r", "{\"user_id\":7}");
    expect_heard(f, 1,
                 ROSTER("presence-r", Q "ann" Q "," Q "7" Q,
                        Q "ann" Q ":{" Q "n" Q ":1}," Q "7" Q ":{}", 2));
    expect_heard(f, 0, ADDED("presence-r", "7", "{}"));
    expect_log(f, "occupied presence-r 1;added presence-r ann 1;count presence-r 1;"
                  "added presence-r 7 2;count presence-r 2;");
    /* the same user on another connection and another worker: no member is told */
    fx_join(&c[2], "presence-r", "{\"user_id\":\"ann\",\"user_info\":{\"n\":2}}");
    fx_join(&c[3], "presence-r", "{\"user_id\":\"7\"}");
    expect_heard(f, 2,
                 ROSTER("presence-r", Q "ann" Q "," Q "7" Q,
                        Q "ann" Q ":{" Q "n" Q ":1}," Q "7" Q ":{}", 2));
    expect_heard(f, 3,
                 ROSTER("presence-r", Q "ann" Q "," Q "7" Q,
                        Q "ann" Q ":{" Q "n" Q ":1}," Q "7" Q ":{}", 2));
    expect_heard(f, 0, "");
    expect_heard(f, 1, "");
    expect_log(f, "count presence-r 3;count presence-r 4;");
    fx_wait(&f->fx);
    fx_unsubscribe(&c[0], "presence-r");
    expect_heard(f, 1, "");
    expect_log(f, "count presence-r 3;");
    fx_unsubscribe(&c[2], "presence-r");
    expect_heard(f, 1, REMOVED("presence-r", "ann"));
    expect_heard(f, 3, REMOVED("presence-r", "ann"));
    expect_heard(f, 0, "");
    expect_log(f, "removed presence-r ann 2;count presence-r 2;");
    fx_disconnect(&c[3]);
    fx_disconnect(&c[1]);
    expect_log(
        f, "count presence-r 1;removed presence-r 7 0;count presence-r 0;vacated presence-r 0;");
}

static void ids_and_infos_are_escaped_twice(void **state)
{
    struct fixture *f = *state;
    fx_join(&f->clients[0], "presence-r", "{\"user_id\":\"a\\\"b\",\"user_info\":\"x\\\\y\"}");
    expect_heard(f, 0,
                 ROSTER("presence-r", Q "a\\\\\\\"b" Q, Q "a\\\\\\\"b" Q ":" Q "x\\\\\\\\y" Q, 1));
    fx_join(&f->clients[1], "presence-r", "{\"user_id\":\"c\",\"user_info\":[\"\\n\"]}");
    fx_heard(&f->clients[1]);
    expect_heard(f, 0, ADDED("presence-r", "c", "[" Q "\\\\n" Q "]"));
    fx_wait(&f->fx);
    fx_disconnect(&f->clients[0]);
    expect_heard(f, 1, REMOVED("presence-r", "a\\\\\\\"b"));
}

static void what_a_member_must_show_is_checked(void **state)
{
    static char long_id[200], long_info[2100];
    struct fixture *f = *state;
    char x[129 + 1], info[2048 + 1];
    memset(x, 'x', 129);
    x[129] = '\0';
    memset(info, 'i', 2048);
    info[2048] = '\0';
    snprintf(long_id, sizeof long_id, "{\"user_id\":\"%s\"}", x);
    snprintf(long_info, sizeof long_info, "{\"user_id\":\"a\",\"user_info\":\"%s\"}", info);
    const struct {
        const char *channel_data, *heard;
    } cases[] = {
        {NULL, REFUSED(null, "AuthError", 401, "presence-r",
                       "channel_data is required for presence channels")},
        {"[]",
         REFUSED(null, "SubscriptionError", 400, "presence-r", "user data must be a JSON object")},
        {"{}", REFUSED(null, "SubscriptionError", 400, "presence-r", "user data has no user id")},
        {"{\"user_id\":\"\"}",
         REFUSED(null, "SubscriptionError", 400, "presence-r", "user id must not be empty")},
        {"{\"user_id\":1.5}", REFUSED(null, "SubscriptionError", 400, "presence-r",
                                      "user id must be a string or an integer")},
        {long_id, REFUSED(null, "LimitReached", 413, "presence-r",
                          "The user_id is longer than 128 characters")},
        {long_info, REFUSED(null, "LimitReached", 413, "presence-r", "The user_info is too large")},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fx_join(&f->clients[0], "presence-r", cases[i].channel_data);
        expect_heard(f, 0, cases[i].heard);
    }
    assert_int_equal(pc_directory_occupied(&f->fx.engine->directory), 0);
    /* characters, not bytes */
    char umlauts[300] = "{\"user_id\":\"";
    for (int i = 0; i < 128; i++)
        strncat(umlauts, "\xc3\xbc", sizeof umlauts - strlen(umlauts) - 1);
    strncat(umlauts, "\"}", sizeof umlauts - strlen(umlauts) - 1);
    fx_join(&f->clients[0], "presence-r", umlauts);
    assert_non_null(strstr(fx_heard(&f->clients[0]), "subscription_succeeded"));
}

static void strict_apps_want_an_object(void **state)
{
    struct fixture f;
    pusherc_app_options app = fx_app();
    (void)state;
    app.strict_user_info = true;
    open_app(&f, &app);
    fx_join(&f.clients[0], "presence-r", "{\"user_id\":\"a\",\"user_info\":[]}");
    expect_heard(&f, 0,
                 REFUSED(null, "SubscriptionError", 400, "presence-r",
                         "user_info, if supplied, must be an object"));
    assert_int_equal(close_all(&f), 0);
}

static void a_channel_has_a_maximum_of_members(void **state)
{
    struct fixture f;
    pusherc_app_options app = fx_app();
    (void)state;
    app.max_presence_members = 1;
    open_app(&f, &app);
    fx_join(&f.clients[0], "presence-r", "{\"user_id\":\"a\"}");
    fx_heard(&f.clients[0]);
    f.log[0] = '\0';
    fx_join(&f.clients[1], "presence-r", "{\"user_id\":\"b\"}");
    expect_heard(
        &f, 1,
        REFUSED(null, "LimitReached", 403, "presence-r", "The channel has its maximum of members"));
    expect_log(&f, "denied LIMIT 403 'The channel has its maximum of members';");
    expect_heard(&f, 0, "");
    /* the same user may come again */
    fx_join(&f.clients[3], "presence-r", "{\"user_id\":\"a\"}");
    assert_non_null(strstr(fx_heard(&f.clients[3]), "subscription_succeeded"));
    assert_int_equal(close_all(&f), 0);
}

static void a_new_member_is_told_of_each_member_once(void **state)
{
    struct fixture *f = *state;
    /* nothing settles in between: all member_added are under way when the next one joins */
    fx_join(&f->clients[0], "presence-r", "{\"user_id\":\"a\"}");
    fx_join(&f->clients[1], "presence-r", "{\"user_id\":\"b\"}");
    fx_join(&f->clients[3], "presence-r", "{\"user_id\":\"c\"}");
    fx_pass(&f->fx, PC_GATHER_MS);
    fx_unsubscribe(&f->clients[1], "presence-r");
    fx_join(&f->clients[2], "presence-r", "{\"user_id\":\"d\"}");
    expect_heard(f, 0,
                 ROSTER("presence-r", Q "a" Q, Q "a" Q ":{}", 1) ADDED("presence-r", "b", "{}")
                     ADDED("presence-r", "c", "{}") REMOVED("presence-r", "b")
                         ADDED("presence-r", "d", "{}"));
    expect_heard(f, 1, ROSTER("presence-r", Q "a" Q "," Q "b" Q, Q "a" Q ":{}," Q "b" Q ":{}", 2));
    expect_heard(f, 2,
                 ROSTER("presence-r", Q "a" Q "," Q "c" Q "," Q "d" Q,
                        Q "a" Q ":{}," Q "c" Q ":{}," Q "d" Q ":{}", 3));
    expect_heard(f, 3,
                 ROSTER("presence-r", Q "a" Q "," Q "b" Q "," Q "c" Q,
                        Q "a" Q ":{}," Q "b" Q ":{}," Q "c" Q ":{}", 3) REMOVED("presence-r", "b")
                     ADDED("presence-r", "d", "{}"));
}

/* -- signing in -- */

static void a_user_signs_in(void **state)
{
    struct fixture *f = *state;
    fx_subscribe(&f->clients[0], "#server-to-user-7");
    expect_heard(f, 0,
                 REFUSED(null, "AuthError", 403, "#server-to-user-7",
                         "Only that user may subscribe, after signing in"));
    fx_sign_in(&f->clients[0], "{\"id\":\"7\",\"user_info\":{\"n\":1}}");
    expect_heard(f, 0,
                 "{\"event\":\"pusher:signin_success\",\"data\":\"{\\\"user_data\\\":\\\"{"
                 "\\\\\\\"id\\\\\\\":"
                 "\\\\\\\"7\\\\\\\",\\\\\\\"user_info\\\\\\\":{\\\\\\\"n\\\\\\\":1}}\\\"}\"}\n");
    f->log[0] = '\0';
    fx_subscribe(&f->clients[0], "#server-to-user-7");
    expect_heard(f, 0, SUBSCRIBED("#server-to-user-7"));
    expect_log(f, ""); /* not a channel of the app */
    fx_subscribe(&f->clients[0], "#server-to-user-8");
    assert_non_null(strstr(fx_heard(&f->clients[0]), "\"pusher:subscription_error\""));
    fx_subscribe(&f->clients[0], "#server-to-user-");
    assert_non_null(strstr(fx_heard(&f->clients[0]), "Invalid channel name"));
    assert_int_equal(fx_publish(&f->fx, "#server-to-user-7", "e", "1"), 0);
    expect_heard(f, 0, "{\"event\":\"e\",\"channel\":\"#server-to-user-7\",\"data\":\"1\"}\n");
}

static void a_signed_in_client_needs_no_channel_data(void **state)
{
    struct fixture *f = *state;
    fx_sign_in(&f->clients[0], "{\"id\":\"ann\",\"user_info\":{\"n\":1}}");
    fx_heard(&f->clients[0]);
    fx_join(&f->clients[0], "presence-r", NULL);
    expect_heard(f, 0, ROSTER("presence-r", Q "ann" Q, Q "ann" Q ":{" Q "n" Q ":1}", 1));
    /* but may bring some */
    fx_join(&f->clients[0], "presence-s", "{\"user_id\":\"bob\"}");
    expect_heard(f, 0, ROSTER("presence-s", Q "bob" Q, Q "bob" Q ":{}", 1));
}

static void a_sign_in_may_be_repeated_but_not_changed(void **state)
{
    struct fixture *f = *state;
    fx_sign_in(&f->clients[0], "{\"id\":\"ann\"}");
    fx_sign_in(&f->clients[0], "{\"id\":\"ann\",\"user_info\":{\"n\":2}}");
    fx_heard(&f->clients[0]);
    assert_true(pc_slice_eq(f->clients[0].session.user->user_info, PC_S("{\"n\":2}")));
    fx_sign_in(&f->clients[0], "{\"id\":\"bob\"}");
    expect_heard(f, 0, ERROR(null, "Already signed in as another user: bob"));
    assert_true(pc_slice_eq(f->clients[0].session.user->user_id, PC_S("ann")));
}

static void a_wrong_sign_in_is_refused(void **state)
{
    static char long_info[2200];
    char info[2049];
    struct fixture *f = *state;
    memset(info, 'i', 2048);
    info[2048] = '\0';
    snprintf(long_info, sizeof long_info, "{\"id\":\"a\",\"user_info\":{\"x\":\"%s\"}}", info);
    fx_say(&f->clients[0], "{\"event\":\"pusher:signin\",\"data\":{}}");
    expect_heard(f, 0, ERROR(null, "auth and user_data are required to sign in"));
    fx_say(&f->clients[0],
           "{\"event\":\"pusher:signin\",\"data\":{\"auth\":\"app-key:00\",\"user_data\":\"{}\"}}");
    assert_non_null(strstr(fx_heard(&f->clients[0]), "\"code\":null"));
    fx_sign_in(&f->clients[0], "{}");
    expect_heard(f, 0, ERROR(null, "user data has no user id"));
    fx_sign_in(&f->clients[0], "{\"id\":7}");
    expect_heard(f, 0, ERROR(null, "user id must be a string"));
    fx_sign_in(&f->clients[0], "{\"id\":\"a b\"}");
    expect_heard(f, 0, ERROR(null, "Invalid user id: a b"));
    fx_sign_in(&f->clients[0], long_info);
    expect_heard(f, 0, ERROR(null, "The user_info is too large: a"));
    assert_null(f->clients[0].session.user);
}

/* -- client events -- */

static void say_client(struct fixture *f, size_t client, const char *event, const char *channel,
                       const char *data)
{
    char text[16384];
    snprintf(text, sizeof text, "{\"event\":\"%s\",\"channel\":\"%s\"%s%s}", event, channel,
             data ? ",\"data\":" : "", data ? data : "");
    fx_say(&f->clients[client], text);
}

static void a_client_event_reaches_the_others(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < CLIENTS; i++)
        fx_subscribe(&f->clients[i], "private-x");
    for (size_t i = 0; i < CLIENTS; i++)
        fx_heard(&f->clients[i]);
    f->log[0] = '\0';
    say_client(f, 1, "client-typing", "private-x", "{\"a\" : 1e2}");
    expect_log(f, "private-x client-typing {\"a\" : 1e2} '';");
    for (size_t i = 0; i < CLIENTS; i++)
        expect_heard(f, i,
                     i == 1 ? ""
                            : "{\"event\":\"client-typing\",\"channel\":\"private-x\","
                              "\"data\":\"{\\\"a\\\" : 1e2}\"}\n");
}

static void data_is_relayed_as_a_string(void **state)
{
    static const struct {
        const char *data, *heard;
    } cases[] = {{"\"text\"", "text"},
                 {"\"a\\\"b\\u00e9\"", "a\\\"b\xc3\xa9"},
                 {"7", "7"},
                 {"null", "null"},
                 {NULL, "null"},
                 {"[1, 2]", "[1, 2]"},
                 {"\"{\\\"a\\\":1}\"", "{\\\"a\\\":1}"}};
    struct fixture *f = *state;
    fx_subscribe(&f->clients[0], "private-x");
    fx_subscribe(&f->clients[3], "private-x");
    fx_heard(&f->clients[3]);
    fx_settle(&f->fx);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char expected[128];
        snprintf(expected, sizeof expected,
                 "{\"event\":\"client-e\",\"channel\":\"private-x\",\"data\":\"%s\"}\n",
                 cases[i].heard);
        say_client(f, 0, "client-e", "private-x", cases[i].data);
        expect_heard(f, 3, expected);
    }
}

static void on_presence_channels_the_sender_is_named(void **state)
{
    struct fixture *f = *state;
    fx_join(&f->clients[0], "presence-r", "{\"user_id\":\"ann\"}");
    fx_join(&f->clients[1], "presence-r", "{\"user_id\":\"bob\"}");
    fx_settle(&f->fx);
    fx_forget(&f->clients[1]);
    f->log[0] = '\0';
    say_client(f, 0, "client-e", "presence-r", "1");
    expect_log(f, "presence-r client-e 1 'ann';");
    expect_heard(
        f, 1,
        "{\"event\":\"client-e\",\"channel\":\"presence-r\",\"data\":\"1\",\"user_id\":\"ann\"}\n");
}

static void what_a_client_may_not_send_is_an_error(void **state)
{
    struct fixture *f = *state;
    static char long_name[300] = "client-", long_data[10300];
    fx_subscribe(&f->clients[0], "private-x");
    fx_subscribe(&f->clients[0], "private-encrypted-x");
    fx_subscribe(&f->clients[0], "news");
    fx_heard(&f->clients[0]);
    memset(long_name + 7, 'n', 194);
    memset(long_data, 'd', 10243);
    long_data[0] = long_data[10242] = '"';
    const struct {
        const char *event, *channel, *data, *heard;
    } cases[] = {
        {"client-e", "news", "1",
         ERROR(null, "Client events are only supported on private and presence channels")},
        {"client-e", "private-encrypted-x", "1",
         ERROR(null, "Client events are only supported on private and presence channels")},
        {"client-e", "a b", "1",
         ERROR(null, "Client events are only supported on private and presence channels")},
        {"client-e", "private-y", "1",
         ERROR(null, "Client events can only be sent to subscribed channels")},
        {long_name, "private-x", "1", ERROR(4301, "The event name is too long")},
        {"client-e", "private-x", long_data,
         ERROR(4301, "The event data is too large: 10241 bytes, the maximum is 10240 "
                     "(max_event_payload_bytes)")},
        {"client-e", "private-x", "\"\\ud800\"",
         ERROR(null, "Invalid message format: data has an escape that no text can hold, half of a "
                     "surrogate pair")},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        say_client(f, 0, cases[i].event, cases[i].channel, cases[i].data);
        expect_heard(f, 0, cases[i].heard);
    }
    f->verdict = 1;
    say_client(f, 0, "client-e", "private-x", "1");
    expect_heard(f, 0, ERROR(4301, "Client event rejected by the application"));
    f->verdict = 0;
    fx_subscribe(&f->clients[3], "private-x");
    fx_settle(&f->fx);
    f->fx.engine->workers[1].mailbox->max = 0;
    say_client(f, 0, "client-e", "private-x", "1");
    expect_heard(f, 0, ERROR(4301, "The server is overloaded"));
}

static void an_app_may_have_no_client_events(void **state)
{
    struct fixture f;
    pusherc_app_options app = fx_app();
    (void)state;
    app.client_events = false;
    open_app(&f, &app);
    fx_subscribe(&f.clients[0], "private-x");
    fx_heard(&f.clients[0]);
    say_client(&f, 0, "client-e", "private-x", "1");
    expect_heard(&f, 0,
                 ERROR(4301, "To send client events, you must enable this feature for the app"));
    assert_int_equal(close_all(&f), 0);
}

static void client_events_have_a_rate(void **state)
{
    struct fixture *f = *state;
    fx_subscribe(&f->clients[0], "private-x");
    fx_subscribe(&f->clients[1], "private-x");
    fx_heard(&f->clients[1]);
    fx_settle(&f->fx);
    fx_forget(&f->clients[0]);
    for (int i = 0; i < 10; i++)
        say_client(f, 0, "client-e", "private-x", "1");
    expect_heard(f, 0, "");
    say_client(f, 0, "client-e", "private-x", "1");
    expect_heard(f, 0, ERROR(4301, "The rate limit for sending client events was exceeded"));
    say_client(f, 1, "client-e", "private-x", "1"); /* each has its own */
    assert_null(strstr(fx_heard(&f->clients[1]), "pusher:error"));
    fx_pass(&f->fx, 1000);
    say_client(f, 0, "client-e", "private-x", "2");
    assert_non_null(strstr(fx_heard(&f->clients[1]), "\"data\":\"2\""));
}

#define subscribe_test(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        subscribe_test(a_public_channel_is_for_everybody),
        subscribe_test(a_second_subscription_of_one_connection_is_an_error),
        subscribe_test(unsubscribing_without_a_subscription_is_an_error),
        subscribe_test(bad_names_are_refused_and_shown_cut),
        subscribe_test(private_channels_want_a_signature),
        cmocka_unit_test(a_connection_has_a_maximum_of_channels),
        subscribe_test(a_user_joins_once_and_leaves_once),
        subscribe_test(ids_and_infos_are_escaped_twice),
        subscribe_test(what_a_member_must_show_is_checked),
        cmocka_unit_test(strict_apps_want_an_object),
        cmocka_unit_test(a_channel_has_a_maximum_of_members),
        subscribe_test(a_new_member_is_told_of_each_member_once),
        subscribe_test(a_user_signs_in),
        subscribe_test(a_signed_in_client_needs_no_channel_data),
        subscribe_test(a_sign_in_may_be_repeated_but_not_changed),
        subscribe_test(a_wrong_sign_in_is_refused),
        subscribe_test(a_client_event_reaches_the_others),
        subscribe_test(data_is_relayed_as_a_string),
        subscribe_test(on_presence_channels_the_sender_is_named),
        subscribe_test(what_a_client_may_not_send_is_an_error),
        cmocka_unit_test(an_app_may_have_no_client_events),
        subscribe_test(client_events_have_a_rate),
    };
    return cmocka_run_group_tests_name("subscribe", tests, NULL, NULL);
}
