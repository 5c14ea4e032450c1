/* Channels with a history: a client that was away is sent what it has missed, once and in order, or is told that events
 * may be missing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "auth_fixture.h"
#include "channel/history.h"

#define CLIENTS 4

struct hx {
    struct fx fx;
    struct fx_client clients[CLIENTS];
    struct pc_app *app;
};

static const pusherc_history_pattern patterns[] = {
    {.struct_size = sizeof patterns[0], .pattern = "few.{id}", .max_events = 3, .max_age_s = 60},
    {.struct_size = sizeof patterns[0], .pattern = "small.{id}", .max_bytes = 600},
    {.struct_size = sizeof patterns[0], .pattern = "log.{rest...}", .max_age_s = 60},
    {.struct_size = sizeof patterns[0], .pattern = "presence-log"},
    {.struct_size = sizeof patterns[0], .pattern = "cache-log"},
    {.struct_size = sizeof patterns[0],
     .pattern = "big.{id}",
     .max_events = 100000,
     .max_bytes = 1u << 30},
};

static pusherc_app_options with_history(void)
{
    pusherc_app_options options = fx_app();
    options.history = patterns;
    options.history_count = sizeof patterns / sizeof patterns[0];
    return options;
}

static int set_up(void **state)
{
    struct hx *hx = calloc(1, sizeof *hx);
    pusherc_server_options limits = fx_limits();
    pusherc_app_options options = with_history();
    REQUIRE(hx);
    REQUIRE(fx_try_open(&hx->fx, &limits, NULL, 2, 0) == 0);
    REQUIRE(fx_try_put(&hx->fx, &options) == 0);
    for (size_t i = 0; i < CLIENTS; i++) {
        fx_connect(&hx->fx, &hx->clients[i], (uint32_t)(i % 2));
        fx_heard(&hx->clients[i]);
    }
    hx->app = pc_apps_by_id(&hx->fx.engine->apps, PC_S("app-id"));
    *state = hx;
    return 0;
}

static int tear_down(void **state)
{
    struct hx *hx = *state;
    for (size_t i = 0; i < CLIENTS; i++)
        fx_disconnect(&hx->clients[i]);
    pc_app_unref(hx->app);
    fx_close(&hx->fx);
    size_t live = failing_alloc_live(&hx->fx.alloc);
    free(hx);
    return live == 0 ? 0 : -1;
}

#define with_clients(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

/* As the HTTP API and the host publish. */
static int publish_except(struct hx *hx, const char *channel, const char *data,
                          pusherc_socket_id except)
{
    pusherc_slice name = pc_slice_of(channel);
    struct pc_publication p = {.event = PC_S("e"),
                               .channels = &name,
                               .channel_count = 1,
                               .data = pc_slice_of(data),
                               .except = except,
                               .cacheable = true,
                               .now_ms = hx->fx.engine->workers[0].now_ms};
    return pc_publish(hx->fx.engine, hx->app, &p);
}

static void publish(struct hx *hx, const char *channel, const char *data)
{
    assert_int_equal(publish_except(hx, channel, data, (pusherc_socket_id){0}), 0);
}

/* -- a page: what it has seen -- */

struct page {
    char id[64];     /* of the last event; "" = none yet */
    char data[8192]; /* of the events it has seen, one character each, and marks: see read_line() */
};

/* 'S' subscription_succeeded, 'L' history_lost, 'R' resumed, 'M' cache_miss; of an event its data. */
static void read_line(struct page *page, const char *line, size_t len)
{
    char text[4096];
    size_t end = strlen(page->data);
    REQUIRE(len < sizeof text && end + 32 < sizeof page->data);
    memcpy(text, line, len);
    text[len] = '\0';
    const char *data = strstr(text, "\"data\":\""), *id = strstr(text, "\"event_id\":\"");
    if (strstr(text, "subscription_succeeded"))
        strcat(page->data, "S");
    else if (strstr(text, "history_lost"))
        strcat(page->data, "L");
    else if (strstr(text, "pusher:resumed"))
        strcat(page->data, "R");
    else if (strstr(text, "cache_miss"))
        strcat(page->data, "M");
    else if (strstr(text, "\"event\":\"e\"") && data)
        strncat(page->data, data + 8, strcspn(data + 8, "\""));
    else
        return;
    if (id)
        snprintf(page->id, sizeof page->id, "%.*s", PC_POSITION_LEN, id + 12);
}

static void read_all(struct page *page, const char *text)
{
    for (size_t len; *text; text += len + 1) {
        len = strcspn(text, "\n");
        read_line(page, text, len);
    }
}

/* Reads what has come, and returns the short form of it; valid until the next call. */
static const char *reads(struct hx *hx, size_t i, struct page *page)
{
    page->data[0] = '\0';
    read_all(page, fx_heard(&hx->clients[i]));
    return page->data;
}

static void comes_back(struct hx *hx, size_t i)
{
    fx_disconnect(&hx->clients[i]);
    fx_connect(&hx->fx, &hx->clients[i], (uint32_t)(i % 2));
    fx_heard(&hx->clients[i]);
}

static void resume(struct hx *hx, size_t i, const char *channel, const char *id,
                   const char *socket_id)
{
    char text[512];
    snprintf(text, sizeof text,
             "{\"event\":\"pusher:resume\",\"data\":{\"channels\":{\"%s\":\"%s\"},"
             "\"socket_id\":\"%s\"}}",
             channel, id, socket_id);
    fx_say(&hx->clients[i], text);
}

static const char *subscribes_again(struct hx *hx, size_t i, const char *channel, struct page *page)
{
    resume(hx, i, channel, page->id, "");
    fx_subscribe(&hx->clients[i], channel);
    return reads(hx, i, page);
}

/* -- what is promised -- */

static void events_of_a_pattern_have_ids_that_grow_and_others_have_none(void **state)
{
    struct hx *hx = *state;
    struct page page = {.id = ""};
    char first[64], second[64];
    fx_subscribe(&hx->clients[0], "log.a");
    fx_subscribe(&hx->clients[1], "plain");
    assert_string_equal(reads(hx, 0, &page), "S");
    strcpy(first, page.id);
    assert_int_equal(strlen(first), PC_POSITION_LEN);
    publish(hx, "log.a", "1");
    assert_string_equal(reads(hx, 0, &page), "1");
    strcpy(second, page.id);
    assert_true(strcmp(first, second) < 0);
    publish(hx, "log.a", "2");
    assert_string_equal(reads(hx, 0, &page), "2");
    assert_true(strcmp(second, page.id) < 0);
    publish(hx, "plain", "x");
    fx_publish(&hx->fx, "log.a", "client-e", "\"from a client\""); /* as client events are */
    assert_null(strstr(fx_heard(&hx->clients[1]), "event_id"));
    assert_null(strstr(fx_heard(&hx->clients[0]), "event_id"));
}

static void the_id_ends_an_event_whose_rest_is_as_ever(void **state)
{
    struct hx *hx = *state;
    fx_subscribe(&hx->clients[0], "log.a");
    fx_heard(&hx->clients[0]);
    publish(hx, "log.a", "{\\\"0123456789abcdef\\\"}");
    const char *text = fx_heard(&hx->clients[0]);
    const char *at = strstr(text, ",\"event_id\":\"");
    assert_non_null(at);
    assert_int_equal(at - text, strlen("{\"event\":\"e\",\"channel\":\"log.a\",\"data\":\"{"
                                       "\\\\\\\"0123456789abcdef\\\\\\\"}\""));
    assert_int_equal(strlen(at), strlen(",\"event_id\":\"\"}\n") + PC_POSITION_LEN);
}

static void who_comes_back_gets_what_was_missed_once_and_in_order(void **state)
{
    struct hx *hx = *state;
    struct page page = {.id = ""};
    fx_subscribe(&hx->clients[0], "log.a");
    fx_subscribe(&hx->clients[1], "log.a"); /* stays */
    publish(hx, "log.a", "1");
    assert_string_equal(reads(hx, 0, &page), "S1");
    comes_back(hx, 0);
    publish(hx, "log.a", "2");
    publish(hx, "log.a", "3");
    assert_string_equal(subscribes_again(hx, 0, "log.a", &page), "S23R");
    publish(hx, "log.a", "4");
    assert_string_equal(reads(hx, 0, &page), "4");
    comes_back(hx, 0);
    assert_string_equal(subscribes_again(hx, 0, "log.a", &page), "SR"); /* missed nothing */
}

static void an_event_on_its_way_is_replayed_or_delivered_and_never_both(void **state)
{
    struct hx *hx = *state;
    struct page page = {.id = ""};
    fx_subscribe(&hx->clients[0], "log.a");
    fx_subscribe(&hx->clients[2], "log.a"); /* the same worker */
    publish(hx, "log.a", "1");
    assert_string_equal(reads(hx, 0, &page), "S1");
    comes_back(hx, 0);
    /* No mail runs in between: 2 is in the mailbox when the client joins, 3 comes after it. */
    publish(hx, "log.a", "2");
    resume(hx, 0, "log.a", page.id, "");
    fx_subscribe(&hx->clients[0], "log.a");
    assert_true(pc_session_serve_joins(hx->clients[0].q.worker, pc_clock_us, 0));
    publish(hx, "log.a", "3");
    assert_string_equal(reads(hx, 0, &page), "S2R3");
}

static void a_channel_without_subscribers_keeps_its_history(void **state)
{
    struct hx *hx = *state;
    struct page page = {.id = ""};
    fx_subscribe(&hx->clients[0], "log.a");
    assert_string_equal(reads(hx, 0, &page), "S");
    comes_back(hx, 0);
    fx_pass(&hx->fx, 30 * 1000);
    /* what happens elsewhere in the meantime is no gap */
    for (int i = 0; i < 300; i++) {
        char name[32];
        snprintf(name, sizeof name, "few.%d", i);
        publish(hx, name, "x");
    }
    publish(hx, "log.a", "1");
    fx_pass(&hx->fx, 20 * 1000);
    comes_back(hx, 0);
    assert_string_equal(subscribes_again(hx, 0, "log.a", &page), "S1R");
    comes_back(hx, 0);
    fx_pass(&hx->fx, 50 * 1000); /* 1 is over, but it is known that it was the last one */
    comes_back(hx, 0);
    publish(hx, "few.x", "x");
    assert_string_equal(subscribes_again(hx, 0, "log.a", &page), "SR");
}

static void a_gap_is_told_before_what_is_left(void **state)
{
    struct hx *hx = *state;
    struct page page = {.id = ""};
    fx_subscribe(&hx->clients[0], "few.a");
    publish(hx, "few.a", "0");
    assert_string_equal(reads(hx, 0, &page), "S0");
    comes_back(hx, 0);
    publish(hx, "few.a", "1");
    publish(hx, "few.a", "2");
    publish(hx, "few.a", "3");
    struct page at_the_bound = page;
    assert_string_equal(subscribes_again(hx, 0, "few.a", &page), "S123R");
    comes_back(hx, 0);
    publish(hx, "few.a", "4");
    publish(hx, "few.a", "5");
    /* 1 was dropped, and this page has not seen it */
    assert_string_equal(subscribes_again(hx, 0, "few.a", &at_the_bound), "SL345R");
    comes_back(hx, 0);
    assert_string_equal(subscribes_again(hx, 0, "few.a", &at_the_bound), "SR"); /* told once */
}

static void time_ends_an_event(void **state)
{
    struct hx *hx = *state;
    struct page page = {.id = ""}, late;
    fx_subscribe(&hx->clients[0], "log.a");
    assert_string_equal(reads(hx, 0, &page), "S");
    comes_back(hx, 0);
    publish(hx, "log.a", "1");
    fx_pass(&hx->fx, 30 * 1000);
    publish(hx, "log.a", "2");
    fx_pass(&hx->fx, 29999);
    comes_back(hx, 0);
    late = page;
    assert_string_equal(subscribes_again(hx, 0, "log.a", &page), "S12R");
    fx_pass(&hx->fx, 1);
    comes_back(hx, 0);
    assert_string_equal(subscribes_again(hx, 0, "log.a", &late), "SL2R");
}

static void bytes_bound_a_history(void **state)
{
    struct hx *hx = *state;
    struct page page = {.id = ""};
    char long_data[400], huge[1000];
    memset(long_data, 'x', sizeof long_data - 1);
    long_data[sizeof long_data - 1] = '\0';
    memset(huge, 'y', sizeof huge - 1);
    huge[sizeof huge - 1] = '\0';
    fx_subscribe(&hx->clients[0], "small.a");
    assert_string_equal(reads(hx, 0, &page), "S");
    comes_back(hx, 0);
    publish(hx, "small.a", long_data);
    publish(hx, "small.a", "2"); /* does not fit beside it */
    struct page behind = page;
    assert_string_equal(subscribes_again(hx, 0, "small.a", &page) + 0, "SL2R");
    comes_back(hx, 0);
    publish(hx, "small.a", huge); /* fits not at all */
    assert_string_equal(subscribes_again(hx, 0, "small.a", &page), "SLR");
    comes_back(hx, 0);
    assert_string_equal(subscribes_again(hx, 0, "small.a", &behind), "SLR");
}

static void an_id_that_this_server_has_not_given_is_a_gap(void **state)
{
    struct hx *hx = *state;
    struct page page = {.id = ""};
    static const char *const ids[] = {"", "0", "00000000-000000000001", "not an id at all.....",
                                      "zzzzzzzz-zzzzzzzzzzzz"};
    publish(hx, "log.a", "1");
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        snprintf(page.id, sizeof page.id, "%s", ids[i]);
        assert_string_equal(subscribes_again(hx, 0, "log.a", &page), "SL1R");
        comes_back(hx, 0);
    }
    /* from the future */
    memset(page.id + 9, 'f', PC_NUMBER_DIGITS);
    assert_string_equal(subscribes_again(hx, 0, "log.a", &page), "SL1R");
    comes_back(hx, 0);
    /* a channel that keeps no history */
    assert_string_equal(subscribes_again(hx, 0, "plain", &page), "SL");
}

static void a_position_counts_for_one_subscribe(void **state)
{
    struct hx *hx = *state;
    struct page page = {.id = ""};
    publish(hx, "log.a", "1");
    fx_subscribe(&hx->clients[0], "log.a");
    assert_string_equal(reads(hx, 0, &page), "S"); /* a newcomer hears no past */
    comes_back(hx, 0);
    publish(hx, "log.a", "2");
    assert_string_equal(subscribes_again(hx, 0, "log.a", &page), "S2R");
    fx_unsubscribe(&hx->clients[0], "log.a");
    publish(hx, "log.a", "3");
    fx_subscribe(&hx->clients[0], "log.a");
    assert_string_equal(reads(hx, 0, &page), "S");
}

static void an_excluded_client_does_not_get_its_event_when_it_comes_back(void **state)
{
    struct hx *hx = *state;
    struct page page = {.id = ""};
    char was[PUSHERC_SOCKET_ID_STRLEN];
    fx_subscribe(&hx->clients[0], "log.a");
    assert_string_equal(reads(hx, 0, &page), "S");
    pusherc_socket_id id = hx->clients[0].q.owner;
    pusherc_socket_id_format(id, was);
    assert_int_equal(publish_except(hx, "log.a", "1", id), 0);
    publish(hx, "log.a", "2");
    assert_string_equal(reads(hx, 0, &page), "2");
    assert_int_equal(publish_except(hx, "log.a", "3", id), 0);
    assert_string_equal(reads(hx, 0, &page), "");
    comes_back(hx, 0);
    publish(hx, "log.a", "4");
    resume(hx, 0, "log.a", page.id, was);
    fx_subscribe(&hx->clients[0], "log.a");
    assert_string_equal(reads(hx, 0, &page), "S4R");
}

static void a_cache_channel_sends_its_last_event_once(void **state)
{
    struct hx *hx = *state;
    struct page page = {.id = ""};
    publish(hx, "cache-log", "1");
    fx_subscribe(&hx->clients[0], "cache-log");
    assert_string_equal(reads(hx, 0, &page), "S1");
    comes_back(hx, 0);
    assert_string_equal(subscribes_again(hx, 0, "cache-log", &page), "SR");
    comes_back(hx, 0);
    publish(hx, "cache-log", "2");
    assert_string_equal(subscribes_again(hx, 0, "cache-log", &page), "S2R");
}

static void a_past_that_does_not_fit_the_queue_is_cut_and_told(void **state)
{
    struct hx *hx = *state;
    struct page page = {.id = ""};
    char data[10001];
    memset(data, 'z', sizeof data - 1);
    data[sizeof data - 1] = '\0';
    fx_subscribe(&hx->clients[0], "big.a");
    assert_string_equal(reads(hx, 0, &page), "S");
    comes_back(hx, 0);
    for (int i = 0; i < 90; i++)
        publish(hx, "big.a", data);
    resume(hx, 0, "big.a", page.id, "");
    fx_subscribe(&hx->clients[0], "big.a");
    const char *text = fx_heard(&hx->clients[0]);
    size_t events = 0;
    for (const char *at = text; (at = strstr(at, "\"event\":\"e\"")); at++)
        events++;
    assert_true(events > 40 && events < 55); /* half of out_hard_bytes */
    assert_non_null(strstr(text, "history_lost"));
    assert_null(strstr(text, "pusher:resumed"));
    assert_int_equal(hx->clients[0].closed, 0);
    assert_int_equal(pc_stat_get(&hx->fx.engine->workers[0].stats.history_lost), 1);
    assert_int_equal(pc_stat_get(&hx->fx.engine->workers[0].stats.replayed), events);
}

static void all_histories_have_one_maximum_that_the_quietest_pays(void **state)
{
    struct hx *hx = *state;
    struct page page = {.id = ""}, last = {.id = ""};
    char data[10001], name[32];
    memset(data, 'z', sizeof data - 1);
    data[sizeof data - 1] = '\0';
    fx_subscribe(&hx->clients[0], "log.a");
    assert_string_equal(reads(hx, 0, &page), "S");
    comes_back(hx, 0);
    publish(hx, "log.a", "1");
    for (int i = 0; i < 200; i++) {
        snprintf(name, sizeof name, "log.%d", i);
        publish(hx, name, data);
        assert_true(pc_history_bytes(&hx->fx.engine->directory) <= 1 << 20);
    }
    assert_string_equal(subscribes_again(hx, 0, "log.a", &page), "SLR");
    fx_subscribe(&hx->clients[1], "log.x");
    assert_string_equal(reads(hx, 1, &last), "S");
    comes_back(hx, 1);
    publish(hx, "log.x", "2");
    assert_string_equal(subscribes_again(hx, 1, "log.x", &last), "S2R");
    pc_history_forget(&hx->fx.engine->directory, hx->app->state);
    assert_int_equal(pc_history_bytes(&hx->fx.engine->directory), 0);
    comes_back(hx, 0);
}

static void a_reading_ends_where_it_was_taken(void **state)
{
    struct hx *hx = *state;
    struct pc_directory *dir = &hx->fx.engine->directory;
    struct pc_past_events events;
    char seen[8] = "";
    publish(hx, "few.a", "1");
    publish(hx, "few.a", "2");
    pc_history_look(dir, hx->app->state, PC_S("few.a"), FX_START_MS, &events);
    publish(hx, "few.a", "3");
    publish(hx, "few.a", "4");
    publish(hx, "few.a", "5"); /* 1 and 2 are dropped, and live while they are read */
    for (const struct pc_past *p = pc_past_next(&events, NULL); p; p = pc_past_next(&events, p))
        strncat(seen, p->data.ptr, p->data.len);
    assert_string_equal(seen, "12");
    pc_past_events_free(&events);
}

static void a_history_ends_when_its_channel_has_been_quiet(void **state)
{
    struct hx *hx = *state;
    for (int i = 0; i < 10; i++) {
        char name[32];
        snprintf(name, sizeof name, "log.%d", i);
        publish(hx, name, "x");
    }
    uint64_t held = pc_history_bytes(&hx->fx.engine->directory);
    assert_true(held > 0);
    fx_pass(&hx->fx, 60 * 1000);
    publish(hx, "log.new", "x");
    assert_true(pc_history_bytes(&hx->fx.engine->directory) <= held / 5);
}

static void a_pattern_that_is_taken_away_leaves_a_gap(void **state)
{
    struct hx *hx = *state;
    struct page page = {.id = ""};
    pusherc_app_options without = fx_app(), with = with_history();
    fx_subscribe(&hx->clients[0], "log.a");
    publish(hx, "log.a", "1");
    assert_string_equal(reads(hx, 0, &page), "S1");
    comes_back(hx, 0);
    for (int i = 0; i < 2; i++) {
        pc_app_unref(hx->app);
        assert_int_equal(fx_try_put(&hx->fx, i == 0 ? &without : &with), 0);
        hx->app = pc_apps_by_id(&hx->fx.engine->apps, PC_S("app-id"));
        publish(hx, "log.a", "2");
    }
    comes_back(hx, 0);
    assert_string_equal(subscribes_again(hx, 0, "log.a", &page), "SL2R");
}

static void a_resume_has_a_maximum_of_channels(void **state)
{
    struct hx *hx = *state;
    pusherc_app_options options = with_history();
    options.max_channels_per_connection = 2;
    assert_int_equal(fx_try_put(&hx->fx, &options), 0);
    comes_back(hx, 0);
    fx_say(&hx->clients[0], "{\"event\":\"pusher:resume\",\"data\":{\"channels\":{\"a\":\"1\","
                            "\"b\":null,\"\":\"x\",\"b\":{},\"c\":1}}}");
    assert_non_null(strstr(fx_heard(&hx->clients[0]), "Too many channels in pusher:resume"));
    fx_say(&hx->clients[0], "{\"event\":\"pusher:resume\",\"data\":{\"channels\":[]}}");
    assert_non_null(strstr(fx_heard(&hx->clients[0]), "must be an object"));
    fx_say(&hx->clients[0],
           "{\"event\":\"pusher:resume\",\"data\":{\"channels\":{},\"socket_id\":\"x.y\"}}");
    assert_string_equal(fx_heard(&hx->clients[0]), "");
}

static void patterns_are_checked(void **state)
{
    struct hx *hx = *state;
    static const char *const bad[] = {"", "a{", "a.{b}.{c...}", NULL};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        pusherc_history_pattern one = PUSHERC_HISTORY_PATTERN_INIT;
        pusherc_app_options options = fx_app();
        pusherc_errinfo why = {0};
        one.pattern = bad[i];
        options.history = &one;
        options.history_count = 1;
        assert_int_equal(pc_app_check(&options, false, &why), PUSHERC_EINVAL);
        assert_non_null(strstr(why.text, "history 1: pattern must be"));
        options.history_count = PUSHERC_MAX_HISTORY_PATTERNS + 1;
        assert_int_equal(pc_app_check(&options, false, &why), PUSHERC_EINVAL);
        options.history = NULL;
        options.history_count = 1;
        assert_int_equal(pc_app_check(&options, false, &why), PUSHERC_EINVAL);
    }
    (void)hx;
}

static pusherc_render_verdict render(pusherc_render *r, void *user_data)
{
    (void)user_data;
    if (pc_slice_eq(pusherc_render_view(r), PC_S("agent")))
        return PUSHERC_RENDER_SAME;
    if (pc_slice_eq(pusherc_render_data(r), PC_S("3")))
        return PUSHERC_RENDER_NOTHING;
    pusherc_render_payload(r, PC_S("-"));
    return PUSHERC_RENDER_REPLACED;
}

static void each_audience_gets_its_own_of_the_past(void **state)
{
    struct ax *ax = calloc(1, sizeof *ax);
    static const char *const views[] = {"agent", "customer", "agent", "customer"};
    /* Each of the first two publishes a 1, and the first has not read the second one. */
    static const char *const live[] = {"S1", "S-"}, *const past[] = {"S1234R", "S--R"};
    static const pusherc_history_pattern pattern = {.struct_size = sizeof pattern,
                                                    .pattern = "private-x"};
    (void)state;
    REQUIRE(ax);
    ax_open(ax, 2, PUSHERC_AUTH_RULES);
    pusherc_app_options options = fx_app();
    options.auth_mode = PUSHERC_AUTH_RULES;
    options.history = &pattern;
    options.history_count = 1;
    REQUIRE(fx_try_put(&ax->fx, &options) == 0);
    pusherc_rule rule = ax_rule(ax, "x");
    rule.render = render;
    ax_add(ax, &rule);
    ax->answer = AX_ALLOW;
    struct hx hx = {.app = pc_apps_by_id(&ax->fx.engine->apps, PC_S("app-id"))};
    hx.fx.engine = ax->fx.engine;
    struct page pages[2] = {{.id = ""}, {.id = ""}};
    for (size_t i = 0; i < 4; i++) {
        ax_connect(ax, i, (uint32_t)(i % 2), "u");
        ax_heard(ax, i);
    }
    for (size_t i = 0; i < 4; i++) {
        char text[256];
        ax->grant.view = pc_slice_of(views[i]);
        if (i == 2) /* these two are the first two again, and were away */
            for (const char *data = "2\0003\0004\0"; *data; data += 2)
                publish(&hx, "private-x", data);
        if (i >= 2) {
            snprintf(text, sizeof text,
                     "{\"event\":\"pusher:resume\",\"data\":{\"channels\":{\"private-x\":\"%s\"}}}",
                     pages[i - 2].id);
            fx_say(&ax->clients[i], text);
        }
        ax_subscribe(ax, i, "private-x");
        struct page *page = &pages[i % 2];
        page->data[0] = '\0';
        read_all(page, ax_heard(ax, i));
        if (i < 2)
            publish(&hx, "private-x", "1");
        read_all(page, ax_heard(ax, i));
        assert_string_equal(page->data, i < 2 ? live[i] : past[i - 2]);
    }
    pc_app_unref(hx.app);
    ax_close(ax);
    assert_int_equal(failing_alloc_live(&ax->fx.alloc), 0);
    free(ax);
}

/* Every allocation fails once: the client is told of a gap, or gets all; never less without a word. */
static void without_memory_no_event_is_missing_silently(void **state)
{
    (void)state;
    pusherc_server_options limits = fx_limits();
    pusherc_app_options options = with_history();
    bool failed = true;
    for (size_t n = 1; failed; n++) {
        struct hx hx = {0};
        struct page page = {.id = ""};
        int err = fx_try_open(&hx.fx, &limits, NULL, 2, n);
        if (err == 0)
            err = fx_try_put(&hx.fx, &options);
        if (err == 0) {
            hx.app = pc_apps_by_id(&hx.fx.engine->apps, PC_S("app-id"));
            err = fx_try_connect(&hx.fx, &hx.clients[0], 0, 7);
            if (err == 0) {
                fx_subscribe(&hx.clients[0], "log.a");
                const char *text = reads(&hx, 0, &page);
                bool here = strcmp(text, "S") == 0;
                int sent[3];
                fx_disconnect(&hx.clients[0]);
                for (int i = 0; i < 3; i++)
                    sent[i] = publish_except(&hx, "log.a",
                                             i == 0   ? "1"
                                             : i == 1 ? "2"
                                                      : "3",
                                             (pusherc_socket_id){0});
                err = fx_try_connect(&hx.fx, &hx.clients[0], 1, 7);
                if (err == 0 && here) {
                    text = subscribes_again(&hx, 0, "log.a", &page);
                    for (int i = 0; i < 3 && strchr(text, 'S') && !hx.clients[0].closed; i++)
                        assert_true(sent[i] == PUSHERC_ENOMEM || strchr(text, '1' + i));
                }
            }
            fx_disconnect(&hx.clients[0]);
            pc_app_unref(hx.app);
        }
        failed = failing_alloc_hit(&hx.fx.alloc);
        if (hx.fx.engine)
            fx_close(&hx.fx);
        if (failing_alloc_live(&hx.fx.alloc))
            fail_msg("request %zu: %zu blocks left", n, failing_alloc_live(&hx.fx.alloc));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_clients(events_of_a_pattern_have_ids_that_grow_and_others_have_none),
        with_clients(the_id_ends_an_event_whose_rest_is_as_ever),
        with_clients(who_comes_back_gets_what_was_missed_once_and_in_order),
        with_clients(an_event_on_its_way_is_replayed_or_delivered_and_never_both),
        with_clients(a_channel_without_subscribers_keeps_its_history),
        with_clients(a_gap_is_told_before_what_is_left),
        with_clients(time_ends_an_event),
        with_clients(bytes_bound_a_history),
        with_clients(an_id_that_this_server_has_not_given_is_a_gap),
        with_clients(a_position_counts_for_one_subscribe),
        with_clients(an_excluded_client_does_not_get_its_event_when_it_comes_back),
        with_clients(a_cache_channel_sends_its_last_event_once),
        with_clients(a_past_that_does_not_fit_the_queue_is_cut_and_told),
        with_clients(all_histories_have_one_maximum_that_the_quietest_pays),
        with_clients(a_reading_ends_where_it_was_taken),
        with_clients(a_history_ends_when_its_channel_has_been_quiet),
        with_clients(a_pattern_that_is_taken_away_leaves_a_gap),
        with_clients(a_resume_has_a_maximum_of_channels),
        with_clients(patterns_are_checked),
        cmocka_unit_test(each_audience_gets_its_own_of_the_past),
        cmocka_unit_test(without_memory_no_event_is_missing_silently),
    };
    return cmocka_run_group_tests_name("channel history", tests, NULL, NULL);
}
