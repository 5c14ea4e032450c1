/* Events from outside before they are published: the hook on_publish. */
#include "fanout/incoming.h"

#include "unit/api_fixture.h"

/* What the host does with the next events. */
struct host {
    const char *refuse; /* the name of an event; NULL = none */
    const char *reason;
    const char *name, *data, *channel; /* instead, and in addition; NULL = as it came */
    int err;                           /* of the last change */
    unsigned asked;
    char seen[300];
};

static int on_publish(pusherc_incoming *event, void *user_data)
{
    struct host *host = user_data;
    pusherc_slice name = pusherc_incoming_name(event), data = pusherc_incoming_data(event);
    pusherc_slice app = pusherc_incoming_app_id(event);
    pusherc_slice last = pusherc_incoming_channel(event, pusherc_incoming_channel_count(event) - 1);
    host->asked++;
    snprintf(host->seen, sizeof host->seen, "%d %.*s %.*s %.*s %zu %.*s %d",
             (int)pusherc_incoming_source(event), (int)app.len, app.ptr, (int)name.len, name.ptr,
             (int)data.len, data.ptr, pusherc_incoming_channel_count(event), (int)last.len,
             last.ptr, pusherc_incoming_except(event).a != 0);
    assert_int_equal(pusherc_incoming_channel(event, pusherc_incoming_channel_count(event)).len, 0);
    if (host->refuse && pc_slice_eq(name, pc_slice_of(host->refuse)))
        return pusherc_incoming_refuse(event, host->reason);
    int err = 0;
    if (host->name)
        err = pusherc_incoming_set_name(event, pc_slice_of(host->name));
    if (err == 0 && host->data)
        err = pusherc_incoming_set_data(event, pc_slice_of(host->data));
    if (err == 0 && host->channel)
        err = pusherc_incoming_add_channel(event, pc_slice_of(host->channel));
    host->err = err;
    return 0;
}

static void use(struct api_fixture *f, struct host *host)
{
    f->engine->hooks.on_publish = on_publish;
    f->engine->hooks.user_data = host;
}

static uint64_t refused(struct api_fixture *f)
{
    struct pc_app *app = pc_apps_by_id(&f->engine->apps, PC_S("app-id"));
    uint64_t number = pc_stat_get(&pc_app_stats(app, 0)->incoming_refused);
    pc_app_unref(app);
    return number;
}

static uint64_t changed(struct api_fixture *f)
{
    struct pc_app *app = pc_apps_by_id(&f->engine->apps, PC_S("app-id"));
    uint64_t number = pc_stat_get(&pc_app_stats(app, 0)->incoming_changed);
    pc_app_unref(app);
    return number;
}

#define EVENT(name, channel) "{\"name\":\"" name "\",\"channel\":\"" channel "\",\"data\":\"d\"}"
#define FRAME(name, channel, data)                                                                 \
    "{\"event\":\"" name "\",\"channel\":\"" channel "\",\"data\":\"" data "\"}\n"

static void the_host_sees_each_event_and_lets_it_pass(void **state)
{
    struct api_fixture *f = *state;
    struct host host = {0};
    use(f, &host);
    api_join(f, 0, "a", NULL);
    api_publish(f, "{\"name\":\"e\",\"channels\":[\"a\",\"b\"],\"data\":{\"x\":1},\"socket_id\":"
                   "\"1.2\"}");
    api_expect_json(f, "{}");
    assert_string_equal(host.seen, "1 app-id e {\"x\":1} 2 b 1");
    assert_string_equal(api_received(f, 0), FRAME("e", "a", "{\\\"x\\\":1}"));
    api_batch(f, "{\"batch\":[" EVENT("1", "a") "," EVENT("2", "a") "]}");
    api_expect_json(f, "{}");
    assert_string_equal(host.seen, "1 app-id 2 d 1 a 0");
    assert_int_equal(host.asked, 3);
    api_request(f, "POST", "/apps/app-id/channels/a/events", "name=e", "x");
    assert_int_equal(host.asked, 4);
    assert_int_equal(refused(f) + changed(f), 0);
    /* what the server refuses by itself is not the host's business */
    api_publish(f, EVENT("pusher:e", "a"));
    assert_int_equal(f->reply.status, 400);
    assert_int_equal(host.asked, 4);
}

static void a_refusal_tells_the_publisher_why_and_publishes_nothing(void **state)
{
    struct api_fixture *f = *state;
    struct host host = {.refuse = "no", .reason = "not at this hour"};
    use(f, &host);
    api_join(f, 0, "a", NULL);
    api_publish(f, EVENT("no", "a"));
    api_expect_error(f, 403, "The event was refused: not at this hour", "reason");
    api_batch(f, "{\"batch\":[" EVENT("yes", "a") "," EVENT("no", "a") "]}");
    api_expect_error(f, 403, "Event 2 of the batch: The event was refused: not at this hour",
                     "batch");
    assert_string_equal(api_received(f, 0), "");
    host.reason = NULL;
    api_publish(f, EVENT("no", "a"));
    api_expect_error(f, 403, "The event was refused.", "no reason");
    host.reason = "two\r\nlines \xff";
    api_publish(f, EVENT("no", "a"));
    assert_int_equal(f->reply.status, 403);
    assert_null(strpbrk(f->body, "\r\n"));
    char reason[400];
    memset(reason, 'x', sizeof reason - 1);
    reason[sizeof reason - 1] = '\0';
    host.reason = reason;
    api_publish(f, EVENT("no", "a"));
    assert_int_equal(strlen(f->body), strlen("The event was refused: ") + PC_REFUSAL_MAX);
    assert_int_equal(refused(f), 5);
    assert_string_equal(api_received(f, 0), "");
}

static void a_change_is_what_subscribers_get(void **state)
{
    struct api_fixture *f = *state;
    struct host host = {.name = "new", .data = "other", .channel = "audit"};
    use(f, &host);
    api_join(f, 0, "a", NULL);
    api_join(f, 2, "audit", NULL);
    api_publish(f, EVENT("old", "a"));
    api_expect_json(f, "{}");
    assert_int_equal(host.err, 0);
    assert_string_equal(api_received(f, 0), FRAME("new", "a", "other"));
    assert_string_equal(api_received(f, 2), FRAME("new", "audit", "other"));
    api_batch(f, "{\"batch\":[" EVENT("1", "a") "," EVENT("2", "b") "]}");
    assert_string_equal(api_received(f, 0), FRAME("new", "a", "other"));
    assert_string_equal(api_received(f, 2),
                        FRAME("new", "audit", "other") FRAME("new", "audit", "other"));
    assert_int_equal(changed(f), 3);
    /* the answer names what the publisher asked for */
    api_publish(
        f, "{\"name\":\"e\",\"channel\":\"a\",\"data\":\"d\",\"info\":\"subscription_count\"}");
    api_expect_json(f, "{\"channels\":{\"a\":{\"subscription_count\":1}}}");
    /* a channel that it has already is no change */
    host = (struct host){.channel = "a"};
    api_publish(f, EVENT("e", "a"));
    assert_int_equal(changed(f), 4);
    assert_string_equal(api_received(f, 0), FRAME("new", "a", "other") FRAME("e", "a", "d"));
}

static void a_change_that_breaks_a_rule_changes_nothing(void **state)
{
    struct api_fixture *f = *state;
    pusherc_app_options app = api_app();
    char data[40] = "", name[300];
    app.max_event_payload_bytes = 30;
    app.max_event_channels = 2;
    api_put(f, &app);
    memset(data, 'x', 31);
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    const struct {
        struct host host;
        int err;
    } cases[] = {
        {{.name = ""}, PUSHERC_EINVAL},     {{.name = "pusher:e"}, PUSHERC_EINVAL},
        {{.name = name}, PUSHERC_EINVAL},   {{.data = data}, PUSHERC_ELIMIT},
        {{.data = "\xff"}, PUSHERC_EINVAL}, {{.channel = "a b"}, PUSHERC_EINVAL},
        {{.channel = ""}, PUSHERC_EINVAL},  {{.channel = name}, PUSHERC_EINVAL},
    };
    api_join(f, 0, "a", NULL);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct host host = cases[i].host;
        use(f, &host);
        api_publish(f, EVENT("e", "a"));
        api_expect_json(f, "{}");
        assert_int_equal(host.err, cases[i].err);
        assert_string_equal(api_received(f, 0), FRAME("e", "a", "d"));
    }
    struct host host = {.channel = "c"};
    use(f, &host);
    api_publish(f, "{\"name\":\"e\",\"channels\":[\"a\",\"b\"],\"data\":\"d\"}");
    assert_int_equal(host.err, PUSHERC_EINVAL);
    assert_int_equal(changed(f), 0);
}

static void a_repeat_is_not_asked_about_and_a_refused_key_may_be_tried_again(void **state)
{
    static const char keyed[] =
        "{\"name\":\"e\",\"channel\":\"a\",\"data\":\"d\",\"idempotency_key\":\"k\"}";
    struct api_fixture *f = *state;
    struct host host = {.refuse = "e", .reason = "later"};
    use(f, &host);
    api_join(f, 0, "a", NULL);
    api_publish(f, keyed);
    api_expect_error(f, 403, "The event was refused: later", "first");
    host.refuse = NULL;
    api_publish(f, keyed);
    api_expect_json(f, "{}");
    api_publish(f, keyed);
    api_expect_json(f, "{}");
    assert_int_equal(host.asked, 2);
    assert_string_equal(api_received(f, 0), FRAME("e", "a", "d"));
}

static void without_memory_a_change_fails_and_the_event_does_not(void **state)
{
    bool failed = true;
    (void)state;
    for (size_t n = 1; failed; n++) {
        struct api_fixture f;
        struct host host = {.name = "new", .data = "other", .channel = "audit"};
        api_open(&f, "");
        use(&f, &host);
        api_join(&f, 0, "a", NULL);
        size_t before = f.alloc.requests;
        f.alloc.fail_at = before + n;
        api_publish(&f, EVENT("old", "a"));
        failed = f.alloc.requests >= before + n;
        f.alloc.fail_at = 0;
        if (f.reply.status == 200 && host.err == 0)
            assert_string_equal(api_received(&f, 0), FRAME("new", "a", "other"));
        else if (f.reply.status == 200)
            assert_int_equal(host.err, PUSHERC_ENOMEM);
        else
            assert_int_equal(f.reply.status, 500);
        api_close(&f);
        assert_int_equal(failing_alloc_live(&f.alloc), 0);
    }
}

static char traced[2000];

static void collect(const pusherc_log_entry *entry, void *user_data)
{
    (void)user_data;
    size_t len = strlen(traced);
    if (strcmp(entry->subject, "event") != 0)
        return;
    snprintf(traced + len, sizeof traced - len, "%.*s\n", (int)entry->message.len,
             entry->message.ptr);
}

static void a_trace_tells_each_event_and_its_verdict(void **state)
{
    struct api_fixture *f = *state;
    struct host host = {.refuse = "no", .reason = "why not"};
    pc_log_init(&f->engine->log, collect, NULL, PUSHERC_LOG_DEBUG);
    traced[0] = '\0';
    api_join(f, 0, "a", NULL);
    api_join(f, 0, "b", NULL);
    api_publish(f, EVENT("e", "a"));
    assert_string_equal(traced, "");
    f->engine->log.level = PUSHERC_LOG_TRACE;
    for (int i = 0; i < 30; i++) /* a trace is not cut */
        api_publish(f, EVENT("e", "a"));
    assert_int_equal(strlen(traced), 30 * strlen("published e on a: d\n"));
    traced[0] = '\0';
    use(f, &host);
    api_publish(f, EVENT("no", "a"));
    host.name = "new";
    api_publish(f, "{\"name\":\"e\",\"channels\":[\"a\",\"b\"],\"data\":\"d\"}");
    assert_string_equal(traced, "refused no on a: why not: d\n"
                                "changed new on a: d\n"
                                "changed new on b: d\n");
    pc_log_free(&f->engine->log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        api_test(the_host_sees_each_event_and_lets_it_pass),
        api_test(a_refusal_tells_the_publisher_why_and_publishes_nothing),
        api_test(a_change_is_what_subscribers_get),
        api_test(a_change_that_breaks_a_rule_changes_nothing),
        api_test(a_repeat_is_not_asked_about_and_a_refused_key_may_be_tried_again),
        cmocka_unit_test(without_memory_a_change_fails_and_the_event_does_not),
        api_test(a_trace_tells_each_event_and_its_verdict),
    };
    return cmocka_run_group_tests_name("incoming", tests, NULL, NULL);
}
