/* Asking a server about its channels (pusherc/channel.h): a started server in poll mode, joined from inside. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <pusherc/channel.h>
#include <pusherc/history.h>
#include <pusherc/publish.h>
#include <pusherc/version.h>

#include "fanout/subscription.h"
#include "server/server.h"

#define NO_SUCH_APP "other-app"

struct fixture {
    pusherc_server *server;
    struct pc_app *app;
    struct pc_outq q;
    struct pc_subscription *subscriptions[8];
    size_t count;
    struct pc_channel_change change; /* the last one */
};

/* What a query handed over. */
struct seen {
    size_t calls, count;
    uint64_t sequence;
    char text[1024];
};

static void no_overflow(struct pc_outq *q)
{
    (void)q;
}

static int set_up(void **state)
{
    static struct fixture f;
    pusherc_server_options options = PUSHERC_SERVER_OPTIONS_INIT;
    pusherc_app_options app = PUSHERC_APP_OPTIONS_INIT;
    memset(&f, 0, sizeof f);
    options.worker_count = PUSHERC_WORKERS_NONE;
    app.id = "app-id";
    app.key = "app-key";
    app.secret = "app-secret";
    pusherc_history_pattern history = PUSHERC_HISTORY_PATTERN_INIT;
    history.pattern = "log.{id}";
    history.max_events = 2;
    app.history = &history;
    app.history_count = 1;
    if (pusherc_server_new(&f.server, &options, NULL) ||
        pusherc_server_put_app(f.server, &app, NULL) || pusherc_server_start(f.server, NULL))
        return -1;
    f.app = pc_apps_by_id(&f.server->engine.apps, PC_S("app-id"));
    pc_outq_init(&f.q, &f.server->engine.workers[0], no_overflow);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    struct pc_channel_change change;
    while (f->count)
        pc_leave(f->q.worker, f->app, f->subscriptions[--f->count], true, NULL, &change);
    pc_app_unref(f->app);
    /* the queue is no connection's: the loop must never find it on its dirty list */
    pc_mailbox_run(f->q.worker->mailbox, f->q.worker);
    pc_outq_free(&f->q);
    pusherc_server_stop(f->server, 0, NULL, NULL);
    while (pusherc_server_poll(f->server, 0) > 0)
        ;
    pusherc_server_free(f->server);
    return 0;
}

static void join(struct fixture *f, const char *channel, const char *user_id, const char *info)
{
    struct pc_join join = {
        .app = f->app,
        .q = &f->q,
        .channel = pc_slice_of(channel),
        .user_id = pc_slice_of(user_id),
        .user_info = pc_slice_of(info),
    };
    struct pc_buf roster;
    pc_buf_init(&roster, f->q.worker->mem, 65536);
    assert_true(pc_channel_name_valid(join.channel, PC_CHANNEL_NAME_MAX, &join.class));
    assert_int_equal(
        pc_join_finish(f->q.worker, &join, &roster, &f->subscriptions[f->count++], &f->change), 0);
    pc_buf_free(&roster);
}

static void on_channels(const pusherc_channel_info *channels, size_t count, void *user_data)
{
    struct seen *seen = user_data;
    seen->calls++;
    seen->count = count;
    for (size_t i = 0; i < count; i++) {
        size_t len = strlen(seen->text);
        assert_int_equal(channels[i].struct_size, sizeof channels[i]);
        snprintf(seen->text + len, sizeof seen->text - len, "%.*s %llu %llu;",
                 (int)channels[i].name.len, channels[i].name.ptr,
                 (unsigned long long)channels[i].subscription_count,
                 (unsigned long long)channels[i].user_count);
    }
}

static void on_members(const pusherc_member *members, size_t count, uint64_t sequence,
                       void *user_data)
{
    struct seen *seen = user_data;
    seen->calls++;
    seen->sequence = sequence;
    seen->count = count;
    for (size_t i = 0; i < count; i++) {
        size_t len = strlen(seen->text);
        assert_int_equal(members[i].struct_size, sizeof members[i]);
        snprintf(seen->text + len, sizeof seen->text - len, "%.*s %.*s;",
                 (int)members[i].user_id.len, members[i].user_id.ptr, (int)members[i].info_json.len,
                 members[i].info_json.ptr);
    }
}

static void names_longer_than_any_channel_are_refused(void **state)
{
    struct fixture *f = *state;
    char name[10001];
    const size_t lengths[] = {201, 225, 1000, sizeof name - 1};
    pusherc_channel_info info = PUSHERC_CHANNEL_INFO_INIT;
    struct seen seen = {0};
    memset(name, 'x', sizeof name);
    memcpy(name, "presence-", 9);
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        pusherc_slice slice = pc_slice(name, lengths[i]);
        assert_int_equal(pusherc_get_channel(f->server, "app-id", slice, &info), PUSHERC_EINVAL);
        assert_int_equal(pusherc_list_members(f->server, "app-id", slice, on_members, &seen),
                         PUSHERC_EINVAL);
    }
    assert_int_equal(pusherc_get_channel(f->server, "app-id", pc_slice(name, 200), &info), 0);
    assert_int_equal(seen.calls, 0);
    memset(name, 'x', sizeof name);
    memcpy(name, "#server-to-user-", 16);
    assert_int_equal(pusherc_get_channel(f->server, "app-id", pc_slice(name, 216), &info), 0);
    assert_int_equal(pusherc_get_channel(f->server, "app-id", pc_slice(name, 217), &info),
                     PUSHERC_EINVAL);
}

static void what_cannot_be_asked_is_refused(void **state)
{
    struct fixture *f = *state;
    pusherc_channel_info info = PUSHERC_CHANNEL_INFO_INIT;
    struct seen seen = {0};
    const pusherc_slice news = PUSHERC_LIT("news"), presence = PUSHERC_LIT("presence-x");
    assert_int_equal(pusherc_get_channel(f->server, "app-id", news, NULL), PUSHERC_EINVAL);
    assert_int_equal(pusherc_get_channel(f->server, NULL, news, &info), PUSHERC_EINVAL);
    assert_int_equal(pusherc_get_channel(NULL, "app-id", news, &info), PUSHERC_EINVAL);
    assert_int_equal(pusherc_get_channel(f->server, NO_SUCH_APP, news, &info), PUSHERC_ENOENT);
    assert_int_equal(pusherc_get_channel(f->server, "app-id", PC_S("a b"), &info), PUSHERC_EINVAL);
    assert_int_equal(pusherc_list_members(f->server, "app-id", news, on_members, &seen),
                     PUSHERC_EINVAL);
    assert_int_equal(pusherc_list_members(f->server, "app-id", presence, NULL, &seen),
                     PUSHERC_EINVAL);
    assert_int_equal(pusherc_list_members(f->server, NO_SUCH_APP, presence, on_members, &seen),
                     PUSHERC_ENOENT);
    assert_int_equal(pusherc_list_channels(f->server, "app-id", PC_S(""), NULL, &seen),
                     PUSHERC_EINVAL);
    assert_int_equal(pusherc_list_channels(f->server, NO_SUCH_APP, PC_S(""), on_channels, &seen),
                     PUSHERC_ENOENT);
    assert_int_equal(seen.calls, 0);
}

static void channels_are_listed_with_their_counts(void **state)
{
    struct fixture *f = *state;
    struct seen seen = {0};
    join(f, "presence-room", "ann", "{\"n\":1}");
    join(f, "presence-room", "ann", "{\"n\":2}");
    join(f, "presence-room", "bob", "{}");
    join(f, "#server-to-user-ann", NULL, NULL);
    join(f, "news", NULL, NULL);
    assert_int_equal(pusherc_list_channels(f->server, "app-id", PC_S("pres"), on_channels, &seen),
                     0);
    assert_string_equal(seen.text, "presence-room 3 2;");
    seen = (struct seen){0};
    /* a user's own channel is not a channel of the app */
    assert_int_equal(pusherc_list_channels(f->server, "app-id", PC_S(""), on_channels, &seen), 0);
    assert_int_equal(seen.count, 2);
    seen = (struct seen){0};
    assert_int_equal(pusherc_list_channels(f->server, "app-id", PC_S("zzz"), on_channels, &seen),
                     0);
    assert_int_equal(seen.calls, 1);
    assert_int_equal(seen.count, 0);
}

static void one_channel_is_described(void **state)
{
    struct fixture *f = *state;
    pusherc_channel_info info = PUSHERC_CHANNEL_INFO_INIT;
    join(f, "presence-cache-room", "ann", "{}");
    assert_int_equal(pusherc_get_channel(f->server, "app-id", PC_S("presence-cache-room"), &info),
                     0);
    assert_int_equal(info.kind, PUSHERC_CHANNEL_PRESENCE);
    assert_true(info.cache);
    assert_int_equal(info.subscription_count, 1);
    assert_int_equal(info.user_count, 1);
    assert_int_equal(pusherc_get_channel(f->server, "app-id", PC_S("private-empty"), &info), 0);
    assert_int_equal(info.kind, PUSHERC_CHANNEL_PRIVATE);
    assert_int_equal(info.subscription_count, 0);
    assert_true(pc_slice_eq(info.name, PC_S("private-empty")));
}

static void members_are_listed_in_the_order_they_came(void **state)
{
    struct fixture *f = *state;
    struct seen seen = {0};
    join(f, "presence-room", "bob", "{\"n\":1}");
    join(f, "presence-room", "ann", "null");
    join(f, "presence-room", "bob", "{\"n\":2}");
    assert_int_equal(
        pusherc_list_members(f->server, "app-id", PC_S("presence-room"), on_members, &seen), 0);
    assert_string_equal(seen.text, "bob {\"n\":1};ann null;");
    seen = (struct seen){0};
    assert_int_equal(
        pusherc_list_members(f->server, "app-id", PC_S("presence-none"), on_members, &seen), 0);
    assert_int_equal(seen.calls, 1);
    assert_int_equal(seen.count, 0);
}

/* F9: who follows on_channel knows which reports a list contains. */
static void lists_say_up_to_which_change_they_are(void **state)
{
    struct fixture *f = *state;
    const pusherc_slice room = PUSHERC_LIT("presence-room");
    pusherc_channel_info info = PUSHERC_CHANNEL_INFO_INIT;
    struct seen seen = {0};
    uint64_t last = 0;
    for (int i = 0; i < 3; i++) {
        join(f, "presence-room", i == 1 ? "bob" : "ann", "{}");
        assert_int_equal(pusherc_list_members(f->server, "app-id", room, on_members, &seen), 0);
        assert_true(seen.sequence > last);
        assert_int_equal(seen.sequence, f->change.sequence);
        assert_int_equal(pusherc_get_channel(f->server, "app-id", room, &info), 0);
        assert_int_equal(info.sequence, seen.sequence);
        last = seen.sequence;
    }
    while (f->count)
        pc_leave(f->q.worker, f->app, f->subscriptions[--f->count], true, NULL, &f->change);
    assert_int_equal(pusherc_list_members(f->server, "app-id", room, on_members, &seen), 0);
    assert_true(seen.sequence >= f->change.sequence && f->change.sequence > last);
}

/* F9 */
static void a_publish_without_structs_checks_what_it_is_given(void **state)
{
    struct fixture *f = *state;
    pusherc_server *s = f->server;
    assert_int_equal(pusherc_publish_to(s, "app-id", "news", 4, "e", 1, "1", 1, NULL), 0);
    assert_int_equal(pusherc_publish_to(s, "app-id", "news", 4, "e", 1, NULL, 0, "1.2"), 0);
    /* of another server */
    assert_int_equal(pusherc_publish_to(s, "app-id", "news", 4, "e", 1, "", 0, "01.2"), 0);
    assert_int_equal(pusherc_publish_to(s, NO_SUCH_APP, "news", 4, "e", 1, "1", 1, NULL),
                     PUSHERC_ENOENT);
    assert_int_equal(pusherc_publish_to(s, "app-id", "news", 4, "e", 1, "1", 1, ""),
                     PUSHERC_EINVAL);
    assert_int_equal(pusherc_publish_to(s, "app-id", "news", 4, "e", 1, "1", 1, "me"),
                     PUSHERC_EINVAL);
    assert_int_equal(pusherc_publish_to(s, "app-id", "a b", 3, "e", 1, "1", 1, NULL),
                     PUSHERC_EINVAL);
    assert_int_equal(pusherc_publish_to(s, "app-id", NULL, 4, "e", 1, "1", 1, NULL),
                     PUSHERC_EINVAL);
    assert_int_equal(pusherc_publish_to(s, "app-id", "news", 4, NULL, 1, "1", 1, NULL),
                     PUSHERC_EINVAL);
    assert_int_equal(pusherc_publish_to(s, "app-id", "news", 4, "e", 1, NULL, 1, NULL),
                     PUSHERC_EINVAL);
    assert_int_equal(pusherc_publish_to(NULL, "app-id", "news", 4, "e", 1, "1", 1, NULL),
                     PUSHERC_EINVAL);
}

static void on_explained(pusherc_slice json, void *user_data)
{
    struct seen *seen = user_data;
    seen->calls++;
    snprintf(seen->text, sizeof seen->text, "%.*s", (int)json.len, json.ptr);
}

/* What explains needs the secret as text; a build without it must not keep that. */
static void explanations_and_secrets_as_text_go_together(void **state)
{
    struct fixture *f = *state;
    struct seen seen = {0};
    bool explains = strstr(pusherc_features(), "explain") != NULL;
    assert_int_equal(
        pusherc_explain(f->server, "app-id", PC_S("private-x"), PC_S("7"), on_explained, &seen),
        explains ? 0 : PUSHERC_ENOSYS);
    assert_int_equal(seen.calls, explains);
    assert_true(!explains || strstr(seen.text, "\"kind\":\"private\""));
    assert_true(pc_slice_eq(f->app->secret_text, explains ? PC_S("app-secret") : PC_S("")));
}

#define server_test(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

static void on_cached(const pusherc_cached_event *event, void *user_data)
{
    struct seen *seen = user_data;
    seen->calls++;
    if (!event)
        return;
    assert_int_equal(event->struct_size, sizeof *event);
    assert_true(event->ttl_ms > 1700000 && event->ttl_ms <= 1800000);
    snprintf(seen->text, sizeof seen->text, "%.*s %.*s", (int)event->name.len, event->name.ptr,
             (int)event->data.len, event->data.ptr);
}

static void the_event_that_a_cache_channel_keeps_is_told(void **state)
{
    struct fixture *f = *state;
    struct seen seen = {0};
    pusherc_slice channel = PC_S("private-cache-x");
    pusherc_event event = PUSHERC_EVENT_INIT;
    assert_int_equal(pusherc_get_cached_event(f->server, "app-id", channel, on_cached, &seen), 0);
    assert_int_equal(seen.calls, 1);
    assert_string_equal(seen.text, "");
    event.name = PC_S("tick");
    event.channels = &channel;
    event.channel_count = 1;
    event.data = PC_S("{\"usd\":1}");
    assert_int_equal(pusherc_publish(f->server, "app-id", &event), 0);
    assert_int_equal(pusherc_get_cached_event(f->server, "app-id", channel, on_cached, &seen), 0);
    assert_int_equal(seen.calls, 2);
    assert_string_equal(seen.text, "tick {\"usd\":1}");
    assert_int_equal(pusherc_get_cached_event(f->server, NO_SUCH_APP, channel, on_cached, &seen),
                     PUSHERC_ENOENT);
    assert_int_equal(
        pusherc_get_cached_event(f->server, "app-id", PC_S("private-x"), on_cached, &seen),
        PUSHERC_EINVAL);
    assert_int_equal(pusherc_get_cached_event(f->server, "app-id", channel, NULL, &seen),
                     PUSHERC_EINVAL);
    assert_int_equal(seen.calls, 2);
}

struct past {
    struct seen seen;
    bool complete;
    char ids[3][32], position[32];
};

static void on_history(const pusherc_past_event *events, size_t count, bool complete,
                       pusherc_slice position, void *user_data)
{
    struct past *past = user_data;
    past->seen.calls++;
    past->seen.count = count;
    past->seen.text[0] = '\0';
    past->complete = complete;
    for (size_t i = 0; i < count; i++) {
        size_t len = strlen(past->seen.text);
        snprintf(past->seen.text + len, sizeof past->seen.text - len, "%.*s %.*s;",
                 (int)events[i].name.len, events[i].name.ptr, (int)events[i].data.len,
                 events[i].data.ptr);
        snprintf(past->ids[i], sizeof past->ids[i], "%.*s", (int)events[i].id.len,
                 events[i].id.ptr);
        assert_int_equal(events[i].struct_size, sizeof events[i]);
        assert_true(events[i].age_ms < 60000);
    }
    snprintf(past->position, sizeof past->position, "%.*s", (int)position.len, position.ptr);
}

static void the_past_of_a_channel_is_told(void **state)
{
    struct fixture *f = *state;
    struct past past = {.complete = false};
    pusherc_slice channel = PC_S("log.a"), none = PC_S("");
    pusherc_event event = PUSHERC_EVENT_INIT;
    char first[32];
    assert_int_equal(pusherc_history(f->server, "app-id", channel, none, on_history, &past), 0);
    assert_true(past.complete && past.seen.count == 0);
    event.name = PC_S("tick");
    event.channels = &channel;
    event.channel_count = 1;
    for (int i = 0; i < 3; i++) {
        event.data = pc_slice(&"123"[i], 1);
        assert_int_equal(pusherc_publish(f->server, "app-id", &event), 0);
        if (i == 0) {
            assert_int_equal(pusherc_history(f->server, "app-id", channel, none, on_history, &past),
                             0);
            assert_string_equal(past.seen.text, "tick 1;");
            strcpy(first, past.position);
            assert_string_equal(past.ids[0], first);
        }
    }
    pusherc_history(f->server, "app-id", channel, pc_slice_of(first), on_history, &past);
    assert_true(past.complete);
    assert_string_equal(past.seen.text, "tick 2;tick 3;");
    pusherc_history(f->server, "app-id", channel, pc_slice_of(past.ids[0]), on_history, &past);
    assert_true(past.complete);
    assert_string_equal(past.seen.text, "tick 3;");
    assert_int_equal(pusherc_publish(f->server, "app-id", &event), 0);
    pusherc_history(f->server, "app-id", channel, pc_slice_of(first), on_history, &past);
    assert_false(past.complete); /* 2 is gone */
    assert_int_equal(past.seen.count, 2);
    pusherc_history(f->server, "app-id", channel, PC_S("no id"), on_history, &past);
    assert_false(past.complete);
    assert_int_equal(past.seen.calls, 6);

    pusherc_history_fn done = on_history;
    assert_int_equal(pusherc_history(f->server, "app-id", PC_S("plain"), none, done, &past),
                     PUSHERC_ENOENT);
    assert_int_equal(pusherc_history(f->server, NO_SUCH_APP, channel, none, done, &past),
                     PUSHERC_ENOENT);
    assert_int_equal(pusherc_history(f->server, "app-id", PC_S("a b"), none, done, &past),
                     PUSHERC_EINVAL);
    assert_int_equal(pusherc_history(f->server, "app-id", channel, none, NULL, &past),
                     PUSHERC_EINVAL);
    assert_int_equal(past.seen.calls, 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        server_test(lists_say_up_to_which_change_they_are),
        server_test(a_publish_without_structs_checks_what_it_is_given),
        server_test(names_longer_than_any_channel_are_refused),
        server_test(what_cannot_be_asked_is_refused),
        server_test(channels_are_listed_with_their_counts),
        server_test(one_channel_is_described),
        server_test(members_are_listed_in_the_order_they_came),
        server_test(explanations_and_secrets_as_text_go_together),
        server_test(the_event_that_a_cache_channel_keeps_is_told),
        server_test(the_past_of_a_channel_is_told),
    };
    return cmocka_run_group_tests_name("queries", tests, NULL, NULL);
}
