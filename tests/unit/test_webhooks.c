/* What endpoints are sent, and when: bodies, signatures, delays, batches, retries, settings that change. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/log.h"
#include "webhook_model.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))
#define UNIX_MS       UINT64_C(1700000000123)
#define OCCUPIED      PUSHERC_WEBHOOK_CHANNEL_OCCUPIED
#define VACATED       PUSHERC_WEBHOOK_CHANNEL_VACATED
#define ADDED         PUSHERC_WEBHOOK_MEMBER_ADDED
#define REMOVED       PUSHERC_WEBHOOK_MEMBER_REMOVED
#define CLIENT_EVENT  PUSHERC_WEBHOOK_CLIENT_EVENT

static const uint64_t seed[4] = {5, 6, 7, 8};

struct fixture {
    struct failing_alloc alloc;
    struct pc_mem mem;
    struct pc_apps apps;
    struct pc_webhooks *hooks;
    struct pc_webhook_stats stats;
    struct pc_app *app;
    uint64_t now_ms;
};

static const struct pc_webhook_settings settings = {.batch_ms = 250,
                                                    .batch_events = 20,
                                                    .behind_events = 20,
                                                    .delay_ms = 3000,
                                                    .retry_ms = 300000,
                                                    .max_queued = 100,
                                                    .max_bytes = 1 << 30,
                                                    .max_under_way = 64};

static pusherc_webhook hook_of(const char *url, uint32_t kinds)
{
    pusherc_webhook hook = PUSHERC_WEBHOOK_INIT;
    hook.url = url;
    hook.events = kinds;
    return hook;
}

static int try_put(struct fixture *f, const char *secret, const pusherc_webhook *hooks,
                   size_t count)
{
    pusherc_app_options options = PUSHERC_APP_OPTIONS_INIT;
    options.id = "app-id";
    options.key = "app-key";
    options.secret = secret;
    options.webhooks = hooks;
    options.webhook_count = count;
    return pc_apps_put(&f->apps, &options, 1, NULL);
}

static void put(struct fixture *f, const char *secret, const pusherc_webhook *hooks, size_t count)
{
    assert_int_equal(try_put(f, secret, hooks, count), 0);
}

static int try_open(struct fixture *f, const struct pc_webhook_settings *s, size_t fail_at)
{
    *f = (struct fixture){.now_ms = 1000000};
    pusherc_allocator allocator = failing_alloc_init(&f->alloc, fail_at);
    f->mem = pc_mem_make(&allocator);
    pc_apps_init(&f->apps, &f->mem, seed, 1);
    f->apps.webhooks = true;
    return pc_webhooks_new(&f->hooks, &f->mem, s, &f->stats, seed, f->now_ms);
}

/* With one app and its one endpoint, which wants these kinds. */
static struct fixture *open_with(struct fixture *f, const struct pc_webhook_settings *s,
                                 uint32_t kinds)
{
    pusherc_webhook hook = hook_of("http://localhost/hook", kinds);
    assert_int_equal(pc_crypto_init(), 0);
    assert_int_equal(try_open(f, s, 0), 0);
    put(f, "app-secret", &hook, 1);
    f->app = pc_apps_by_id(&f->apps, PC_S("app-id"));
    return f;
}

static void close_fixture(struct fixture *f)
{
    pc_webhooks_free(f->hooks);
    pc_app_unref(f->app);
    pc_apps_free(&f->apps);
    assert_int_equal(failing_alloc_live(&f->alloc), 0);
}

static bool note(struct fixture *f, uint32_t kind, const char *channel, const char *user)
{
    struct pc_notice notice = {
        .kind = kind, .app = f->app, .channel = pc_slice_of(channel), .user_id = pc_slice_of(user)};
    return pc_webhooks_note(f->hooks, &notice, f->now_ms);
}

static struct pc_webhook_batch *take(struct fixture *f)
{
    return pc_webhooks_take(f->hooks, f->now_ms, UNIX_MS + f->now_ms - 1000000);
}

/* The next one, however long it takes to become due. */
static struct pc_webhook_batch *wait_for(struct fixture *f)
{
    for (int i = 0; i < 1000; i++) {
        struct pc_webhook_batch *batch = take(f);
        if (batch)
            return batch;
        uint64_t wait = pc_webhooks_next(f->hooks, f->now_ms);
        assert_true(wait != UINT64_MAX);
        f->now_ms += wait;
    }
    fail();
    return NULL;
}

static void accept(struct fixture *f, struct pc_webhook_batch *batch)
{
    assert_false(pc_webhooks_answer(f->hooks, batch, true, f->now_ms));
}

static void assert_body(const struct pc_webhook_batch *batch, const char *body)
{
    assert_non_null(batch);
    assert_int_equal(batch->body.len, strlen(body));
    assert_memory_equal(batch->body.ptr, body, batch->body.len);
}

/* The events of the body alone. */
static void assert_events(const struct pc_webhook_batch *batch, const char *events)
{
    assert_non_null(batch);
    struct pc_json body = pc_json_parse(batch->body);
    struct pc_json all = pc_json_get(body, PC_S("events"));
    char text[1024];
    snprintf(text, sizeof text, "%.*s", (int)all.raw.len, all.raw.ptr);
    assert_string_equal(text, events);
}

static void nothing_is_due(struct fixture *f)
{
    assert_null(take(f));
    assert_true(pc_webhooks_empty(f->hooks));
    assert_int_equal(pc_webhooks_next(f->hooks, f->now_ms), UINT64_MAX);
}

/* -- acceptances -- */

static bool note_with(struct fixture *f, struct pc_acceptance *acceptance, uint32_t kind)
{
    struct pc_notice notice = {
        .kind = kind, .app = f->app, .acceptance = acceptance, .channel = PC_S("public-x")};
    return pc_webhooks_note(f->hooks, &notice, f->now_ms);
}

static void an_acceptance_is_done_when_no_endpoint_waits_for_the_event(void **state)
{
    (void)state;
    struct fixture f;
    open_with(&f, &settings, OCCUPIED | VACATED);
    struct pc_acceptance *came = pc_acceptance_new(&f.mem), *left = pc_acceptance_new(&f.mem);
    assert_true(pc_acceptance_is_done(came));
    note_with(&f, came, OCCUPIED);
    assert_false(pc_acceptance_is_done(came));
    struct pc_webhook_batch *batch = wait_for(&f);
    assert_false(pc_acceptance_is_done(came)); /* its text is written, and not accepted */
    assert_false(pc_webhooks_answer(f.hooks, batch, false, f.now_ms));
    assert_false(pc_acceptance_is_done(came));
    accept(&f, wait_for(&f));
    assert_true(pc_acceptance_is_done(came));
    note_with(&f, left, VACATED);
    assert_false(pc_acceptance_is_done(left)); /* it is delayed, */
    note_with(&f, came, OCCUPIED);
    assert_true(pc_acceptance_is_done(left)); /* and taken back */
    assert_true(pc_acceptance_is_done(came));
    nothing_is_due(&f);
    note_with(&f, left, VACATED);
    batch = pc_webhooks_take_rest(f.hooks, UNIX_MS);
    assert_false(pc_acceptance_is_done(left)); /* the host is told */
    pc_webhook_batch_free(f.hooks, batch);
    assert_true(pc_acceptance_is_done(left));
    pc_acceptance_unref(came);
    pc_acceptance_unref(left);
    close_fixture(&f);
}

/* -- bodies -- */

static void bodies_and_signatures_are_those_of_the_vectors(void **state)
{
    (void)state;
    struct fixture f;
    struct pc_webhook_batch *batch;
    open_with(&f, &settings, 0);
    note(&f, OCCUPIED, "presence-room.1", NULL);
    note(&f, ADDED, "presence-room.1", "7");
    f.now_ms += 250;
    batch = pc_webhooks_take(f.hooks, f.now_ms, UINT64_C(1700000000123));
    assert_body(batch, "{\"time_ms\":1700000000123,\"events\":[{\"name\":\"channel_occupied\","
                       "\"channel\":\"presence-room.1\"},{\"name\":\"member_added\",\"channel\":"
                       "\"presence-room.1\",\"user_id\":\"7\"}]}"); /* V29 */
    assert_memory_equal(batch->signature,
                        "22d545681531e39f78bb50371473b1f40b5d7679dd997d98272b011f2ae1519d", 64);
    assert_true(pc_slice_eq(batch->endpoints->app_key, PC_S("app-key")));
    accept(&f, batch);

    struct pc_notice notice = {.kind = CLIENT_EVENT,
                               .app = f.app,
                               .channel = PC_S("presence-room.1"),
                               .user_id = PC_S("7"),
                               .event = PC_S("client-typing"),
                               .data = PC_S("{\"on\":true}"),
                               .socket_id = {1234, 5678}};
    pc_webhooks_note(f.hooks, &notice, f.now_ms);
    f.now_ms += 250;
    batch = pc_webhooks_take(f.hooks, f.now_ms, UINT64_C(1700000000456));
    assert_body(batch, "{\"time_ms\":1700000000456,\"events\":[{\"name\":\"client_event\","
                       "\"channel\":\"presence-room.1\",\"event\":\"client-typing\",\"data\":"
                       "\"{\\\"on\\\":true}\",\"socket_id\":\"1234.5678\",\"user_id\":\"7\"}]}");
    assert_memory_equal(batch->signature,
                        "b07111d6be0f5f02fd0c77bc13e2846f295053f94de1e0ecd110c9b04f65fb93", 64);
    accept(&f, batch); /* V30 */
    nothing_is_due(&f);
    close_fixture(&f);
}

static void each_kind_says_what_belongs_to_it(void **state)
{
    (void)state;
    struct fixture f;
    struct pc_webhook_settings at_once = settings;
    at_once.delay_ms = 0;
    open_with(&f, &at_once, 0);
    struct pc_notice count = {.kind = PUSHERC_WEBHOOK_SUBSCRIPTION_COUNT,
                              .app = f.app,
                              .channel = PC_S("a"),
                              .subscription_count = 12};
    note(&f, REMOVED, "presence-a", "u\"1");
    note(&f, VACATED, "presence-a", NULL);
    note(&f, PUSHERC_WEBHOOK_CACHE_MISS, "cache-a", NULL);
    pc_webhooks_note(f.hooks, &count, f.now_ms);
    struct pc_webhook_batch *batch = wait_for(&f);
    assert_events(
        batch, "[{\"name\":\"member_removed\",\"channel\":\"presence-a\",\"user_id\":\"u\\\"1\"},"
               "{\"name\":\"channel_vacated\",\"channel\":\"presence-a\"},"
               "{\"name\":\"cache_miss\",\"channel\":\"cache-a\"},"
               "{\"name\":\"subscription_count\",\"channel\":\"a\",\"subscription_count\":12}]");
    assert_int_equal(batch->event_count, 4);
    accept(&f, batch);
    assert_int_equal(f.stats.delivered, 4);
    close_fixture(&f);
}

static void channels_of_users_say_nothing(void **state)
{
    (void)state;
    struct fixture f;
    open_with(&f, &settings, 0);
    assert_false(note(&f, OCCUPIED, "#server-to-user-7", NULL));
    assert_false(note(&f, PUSHERC_WEBHOOK_SUBSCRIPTION_COUNT, "#server-to-user-7", NULL));
    nothing_is_due(&f);
    close_fixture(&f);
}

/* -- batches -- */

static void a_batch_waits_until_its_time_or_until_it_is_full(void **state)
{
    (void)state;
    struct fixture f;
    open_with(&f, &settings, 0);
    assert_true(note(&f, CLIENT_EVENT, "private-a", NULL));
    f.now_ms += 200;
    assert_false(note(&f, CLIENT_EVENT, "private-a", NULL)); /* the first one's time counts */
    assert_null(take(&f));
    f.now_ms += 49;
    assert_null(take(&f));
    f.now_ms += 33; /* a slot of the timers */
    struct pc_webhook_batch *batch = take(&f);
    assert_int_equal(batch->event_count, 2);
    accept(&f, batch);

    for (int i = 1; i <= 25;
         i++) { /* who sends is told when the time comes earlier, and only then */
        assert_true(pc_webhooks_next(f.hooks, f.now_ms) > 0 || i > 20);
        assert_int_equal(note(&f, CLIENT_EVENT, "private-a", NULL), i == 1 || i == 20);
    }
    batch = take(&f);
    assert_int_equal(batch->event_count, 20);
    accept(&f, batch);
    assert_null(take(&f));
    batch = wait_for(&f);
    assert_int_equal(batch->event_count, 5);
    accept(&f, batch);
    close_fixture(&f);
}

static void a_batch_takes_no_more_than_frameworks_do(void **state)
{
    (void)state;
    static char data[10000];
    struct fixture f;
    open_with(&f, &settings, 0);
    memset(data, 'x', sizeof data);
    struct pc_notice notice = {.kind = CLIENT_EVENT,
                               .app = f.app,
                               .channel = PC_S("private-a"),
                               .event = PC_S("client-x"),
                               .data = {data, sizeof data}};
    for (int i = 0; i < 20; i++)
        pc_webhooks_note(f.hooks, &notice, f.now_ms);
    for (int left = 20; left > 0;) {
        struct pc_webhook_batch *batch = wait_for(&f);
        assert_true(batch->event_count >= 1 && batch->body.len < 80000);
        left -= (int)batch->event_count;
        assert_true(left >= 0);
        accept(&f, batch);
    }
    nothing_is_due(&f);
    close_fixture(&f);
}

static void without_batches_each_event_goes_by_itself_and_at_once(void **state)
{
    (void)state;
    struct fixture f;
    struct pc_webhook_settings single = settings;
    single.batch_ms = 0;
    single.batch_events = 1;
    open_with(&f, &single, 0);
    for (int i = 0; i < 5; i++)
        note(&f, CLIENT_EVENT, "private-a", NULL);
    for (int i = 0; i < 5; i++) {
        struct pc_webhook_batch *batch = take(&f);
        assert_int_equal(batch->event_count, 1);
        assert_null(take(&f)); /* one at a time */
        accept(&f, batch);
    }
    nothing_is_due(&f);
    close_fixture(&f);
}

/* -- delays -- */

static void a_removal_is_sent_after_its_delay(void **state)
{
    (void)state;
    struct fixture f;
    open_with(&f, &settings, REMOVED | VACATED);
    note(&f, REMOVED, "presence-a", "7");
    note(&f, VACATED, "presence-a", NULL);
    uint64_t start_ms = f.now_ms;
    struct pc_webhook_batch *batch = wait_for(&f);
    assert_events(batch,
                  "[{\"name\":\"member_removed\",\"channel\":\"presence-a\",\"user_id\":\"7\"},"
                  "{\"name\":\"channel_vacated\",\"channel\":\"presence-a\"}]");
    assert_in_range(f.now_ms - start_ms, 3250, 3250 + 2 * PC_TIMER_SLOT_MS);
    accept(&f, batch);
    close_fixture(&f);
}

/* Whatever half an endpoint asked for. */
static void a_return_in_time_sends_no_event(void **state)
{
    (void)state;
    static const uint32_t kinds[] = {0, OCCUPIED | ADDED, VACATED | REMOVED};
    for (size_t i = 0; i < LENGTH(kinds); i++) {
        struct fixture f;
        open_with(&f, &settings, kinds[i]);
        note(&f, REMOVED, "presence-a", "7");
        note(&f, VACATED, "presence-a", NULL);
        f.now_ms += 2999;
        note(&f, OCCUPIED, "presence-a", NULL);
        note(&f, ADDED, "presence-a", "7");
        assert_int_equal(f.stats.queued, 0);
        nothing_is_due(&f);
        close_fixture(&f);
    }
}

static void a_late_return_sends_both_events(void **state)
{
    (void)state;
    struct fixture f;
    open_with(&f, &settings, 0);
    note(&f, VACATED, "a", NULL);
    f.now_ms += 3000;
    note(&f, OCCUPIED, "a", NULL);
    struct pc_webhook_batch *batch = wait_for(&f);
    assert_events(batch, "[{\"name\":\"channel_vacated\",\"channel\":\"a\"},"
                         "{\"name\":\"channel_occupied\",\"channel\":\"a\"}]");
    accept(&f, batch);
    close_fixture(&f);
}

static void another_member_takes_nothing_back_but_the_vacancy(void **state)
{
    (void)state;
    struct fixture f;
    open_with(&f, &settings, 0);
    note(&f, REMOVED, "presence-a", "7");
    note(&f, VACATED, "presence-a", NULL);
    note(&f, OCCUPIED, "presence-a", NULL);
    note(&f, ADDED, "presence-a", "8");
    note(&f, OCCUPIED, "presence-b", NULL);
    struct pc_webhook_batch *batch = wait_for(&f);
    assert_events(batch,
                  "[{\"name\":\"member_added\",\"channel\":\"presence-a\",\"user_id\":\"8\"},"
                  "{\"name\":\"channel_occupied\",\"channel\":\"presence-b\"}]");
    accept(&f, batch);
    batch = wait_for(&f);
    assert_events(batch,
                  "[{\"name\":\"member_removed\",\"channel\":\"presence-a\",\"user_id\":\"7\"}]");
    accept(&f, batch);
    nothing_is_due(&f);
    close_fixture(&f);
}

/* -- filters -- */

static void an_endpoint_is_told_what_it_asked_for_and_of_which_channels(void **state)
{
    (void)state;
    struct fixture f;
    open_with(&f, &settings, 0);
    pusherc_webhook hooks[3] = {hook_of("http://a/", OCCUPIED), hook_of("http://b/", CLIENT_EVENT),
                                hook_of("http://c/", 0)};
    hooks[0].channel_prefix = "presence-";
    hooks[1].channel_suffix = ".1";
    hooks[2].channel_prefix = "private-", hooks[2].channel_suffix = ".1";
    put(&f, "app-secret", hooks, 3);
    note(&f, OCCUPIED, "presence-x", NULL);
    note(&f, OCCUPIED, "private-x", NULL);
    note(&f, CLIENT_EVENT, "private-x.1", NULL);
    note(&f, CLIENT_EVENT, "private-x.2", NULL);
    note(&f, ADDED, "presence-x.1", "7");
    f.now_ms += 300;
    const char *urls[] = {"http://a/", "http://b/", "http://c/"};
    for (int i = 0; i < 3; i++) {
        struct pc_webhook_batch *batch = take(&f);
        assert_string_equal(batch->endpoint->url, urls[i]);
        assert_int_equal(batch->event_count, 1);
        const char *channel = i == 0 ? "presence-x" : "private-x.1";
        struct pc_json_iter events =
            pc_json_iter_of(pc_json_get(pc_json_parse(batch->body), PC_S("events")));
        assert_true(pc_json_next(&events));
        assert_true(wm_text_is(events.value, "channel", channel));
        accept(&f, batch);
    }
    nothing_is_due(&f);
    close_fixture(&f);
}

/* -- retries -- */

static void refused_batches_come_again_with_growing_delays_for_five_minutes(void **state)
{
    (void)state;
    struct fixture f;
    open_with(&f, &settings, 0);
    note(&f, OCCUPIED, "a", NULL);
    struct pc_webhook_batch *batch = wait_for(&f);
    uint64_t first_ms = f.now_ms, last_ms = f.now_ms, expected_ms = 1000, before_ms = 0;
    char signature[64];
    uint32_t attempts = 1;
    memcpy(signature, batch->signature, sizeof signature);
    while (!pc_webhooks_answer(f.hooks, batch, false, f.now_ms)) {
        assert_null(take(&f));
        struct pc_webhook_batch *again = wait_for(&f);
        uint64_t waited_ms = f.now_ms - last_ms;
        assert_ptr_equal(again, batch);
        if (f.now_ms < first_ms + 300000) { /* the last one comes when time is over, not later */
            assert_in_range(waited_ms, expected_ms * 3 / 4,
                            expected_ms * 5 / 4 + 2 * PC_TIMER_SLOT_MS);
            assert_true(expected_ms == 60000 || waited_ms > before_ms);
        }
        before_ms = waited_ms;
        expected_ms = expected_ms * 2 > 60000 ? 60000 : expected_ms * 2;
        last_ms = f.now_ms;
        attempts++;
        assert_int_equal(batch->attempts, attempts);
        /* receivers refuse what is older than five minutes */
        bool fresh = memcmp(signature, batch->signature, sizeof signature) != 0;
        char begin[64];
        uint64_t stamp = UNIX_MS + (fresh ? batch->made_ms : first_ms) - 1000000;
        snprintf(begin, sizeof begin, "{\"time_ms\":%llu,\"events\":[", (unsigned long long)stamp);
        assert_true(pc_slice_starts(batch->body, pc_slice_of(begin)));
        assert_int_equal(fresh, f.now_ms - first_ms > PC_WEBHOOK_FRESH_MS);
        assert_true(f.now_ms - batch->made_ms <= PC_WEBHOOK_FRESH_MS);
    }
    assert_in_range(f.now_ms - first_ms, 300000, 300000 + 2 * PC_TIMER_SLOT_MS);
    assert_in_range(attempts, 9, 14);
    assert_int_equal(f.stats.requests, attempts);
    assert_int_equal(f.stats.retries, attempts - 1);
    assert_int_equal(f.stats.failures, attempts);
    assert_int_equal(f.stats.given_up, 1);
    assert_int_equal(f.stats.queued, 0);
    pc_webhook_batch_free(f.hooks, batch);
    nothing_is_due(&f);
    close_fixture(&f);
}

static void later_events_wait_for_a_failed_batch_but_not_at_other_endpoints(void **state)
{
    (void)state;
    struct fixture f;
    open_with(&f, &settings, 0);
    pusherc_webhook hooks[2] = {hook_of("http://bad/", 0), hook_of("http://good/", 0)};
    put(&f, "app-secret", hooks, 2);
    note(&f, OCCUPIED, "a", NULL);
    f.now_ms += 300;
    struct pc_webhook_batch *bad = take(&f), *good = take(&f);
    assert_string_equal(bad->endpoint->url, "http://bad/");
    assert_string_equal(good->endpoint->url, "http://good/");
    assert_false(pc_webhooks_answer(f.hooks, bad, false, f.now_ms));
    accept(&f, good);
    note(&f, OCCUPIED, "b", NULL);
    f.now_ms += 300;
    good = take(&f);
    assert_events(good, "[{\"name\":\"channel_occupied\",\"channel\":\"b\"}]");
    accept(&f, good);
    assert_null(take(&f));
    bad = wait_for(&f);
    assert_events(bad, "[{\"name\":\"channel_occupied\",\"channel\":\"a\"}]");
    accept(&f, bad);
    bad = take(&f);
    assert_events(bad, "[{\"name\":\"channel_occupied\",\"channel\":\"b\"}]");
    accept(&f, bad);
    nothing_is_due(&f);
    close_fixture(&f);
}

static void a_full_queue_drops_what_comes_and_counts_it(void **state)
{
    (void)state;
    struct fixture f;
    open_with(&f, &settings, CLIENT_EVENT);
    for (int i = 0; i < 130; i++)
        note(&f, CLIENT_EVENT, "private-a", NULL);
    assert_int_equal(f.stats.queued, 100);
    assert_int_equal(f.stats.dropped, 30);
    struct pc_webhook_batch *batch = take(&f);
    note(&f, CLIENT_EVENT, "private-a", NULL); /* what is under way still counts */
    assert_int_equal(f.stats.dropped, 31);
    accept(&f, batch);
    note(&f, CLIENT_EVENT, "private-a", NULL);
    assert_int_equal(f.stats.dropped, 31);
    for (int i = 0; i < 5; i++)
        accept(&f, wait_for(&f));
    assert_int_equal(f.stats.delivered, 101);
    nothing_is_due(&f);
    close_fixture(&f);
}

/* -- settings that change -- */

static void settings_in_force_are_those_put_last(void **state)
{
    (void)state;
    struct fixture f;
    open_with(&f, &settings, 0);
    put(&f, "app-secret", NULL, 0);
    assert_int_equal(atomic_load(&f.app->state->notices), 0);
    note(&f, OCCUPIED, "a", NULL);
    nothing_is_due(&f);
    /* for connections under old settings, too: f.app is the first snapshot */
    pusherc_webhook moved = hook_of("http://elsewhere/", OCCUPIED);
    put(&f, "app-secret", &moved, 1);
    assert_int_equal(atomic_load(&f.app->state->notices), OCCUPIED | VACATED);
    note(&f, OCCUPIED, "a", NULL);
    struct pc_webhook_batch *batch = wait_for(&f);
    assert_string_equal(batch->endpoint->url, "http://elsewhere/");
    accept(&f, batch);
    close_fixture(&f);
}

static void waiting_events_are_signed_with_the_newest_secret(void **state)
{
    (void)state;
    struct fixture f;
    open_with(&f, &settings, 0);
    note(&f, OCCUPIED, "a", NULL);
    struct pc_webhook_batch *batch = wait_for(&f);
    char before[64];
    memcpy(before, batch->signature, sizeof before);
    assert_false(pc_webhooks_answer(f.hooks, batch, false, f.now_ms));
    pusherc_webhook same = hook_of("http://localhost/hook", 0);
    put(&f, "another-secret", &same, 1);
    batch = wait_for(&f);
    assert_memory_not_equal(batch->signature, before, sizeof before);
    pusherc_credentials signer = PUSHERC_CREDENTIALS_INIT;
    signer.key = PC_S("app-key"), signer.secret = PC_S("another-secret");
    assert_int_equal(pusherc_verify_webhook(&signer, batch->body, pc_slice(batch->signature, 64)),
                     0);
    accept(&f, batch);
    close_fixture(&f);
}

static void a_removed_endpoint_gets_its_waiting_events(void **state)
{
    (void)state;
    struct fixture f;
    open_with(&f, &settings, 0);
    note(&f, OCCUPIED, "a", NULL);
    pusherc_webhook moved = hook_of("http://elsewhere/", 0);
    put(&f, "another-secret", &moved, 1);
    note(&f, OCCUPIED, "b", NULL);
    f.now_ms += 300;
    struct pc_webhook_batch *old = take(&f), *new = take(&f);
    assert_string_equal(old->endpoint->url, "http://localhost/hook");
    assert_events(old, "[{\"name\":\"channel_occupied\",\"channel\":\"a\"}]");
    assert_string_equal(new->endpoint->url, "http://elsewhere/");
    assert_events(new, "[{\"name\":\"channel_occupied\",\"channel\":\"b\"}]");
    accept(&f, old);
    accept(&f, new);
    pc_app_unref(pc_apps_remove(&f.apps, PC_S("app-id")));
    note(&f, VACATED, "b", NULL); /* its connections are closed, and that is told */
    accept(&f, wait_for(&f));
    close_fixture(&f);
}

static void two_endpoints_may_have_the_same_url(void **state)
{
    (void)state;
    struct fixture f;
    open_with(&f, &settings, 0);
    pusherc_webhook hooks[2] = {hook_of("http://a/", OCCUPIED), hook_of("http://a/", OCCUPIED)};
    put(&f, "app-secret", hooks, 2);
    note(&f, OCCUPIED, "a", NULL);
    f.now_ms += 300;
    struct pc_webhook_batch *one = take(&f), *two = take(&f);
    assert_int_equal(one->endpoint->nth, 0);
    assert_int_equal(two->endpoint->nth, 1);
    accept(&f, one);
    accept(&f, two);
    nothing_is_due(&f);
    close_fixture(&f);
}

/* -- stopping -- */

static void a_stop_waits_for_nothing_and_gives_one_more_chance(void **state)
{
    (void)state;
    struct fixture f;
    open_with(&f, &settings, 0);
    note(&f, OCCUPIED, "a", NULL);
    struct pc_webhook_batch *batch = wait_for(&f);
    assert_false(pc_webhooks_answer(f.hooks, batch, false, f.now_ms));
    note(&f, VACATED, "a", NULL);
    pc_webhooks_stop(f.hooks, f.now_ms);
    batch = take(&f); /* at once */
    assert_int_equal(batch->attempts, 2);
    assert_true(pc_webhooks_answer(f.hooks, batch, false, f.now_ms));
    pc_webhook_batch_free(f.hooks, batch);
    batch = take(&f);
    assert_events(batch, "[{\"name\":\"channel_vacated\",\"channel\":\"a\"}]");
    accept(&f, batch);
    note(&f, VACATED, "b", NULL); /* connections still go, one after the other */
    accept(&f, take(&f));
    nothing_is_due(&f);
    close_fixture(&f);
}

static void what_is_left_is_handed_over_whole(void **state)
{
    (void)state;
    struct fixture f;
    open_with(&f, &settings, 0);
    for (int i = 0; i < 30; i++)
        note(&f, CLIENT_EVENT, "private-a", NULL);
    struct pc_webhook_batch *batch = take(&f);
    assert_false(pc_webhooks_answer(f.hooks, batch, false, f.now_ms));
    note(&f, VACATED, "private-a", NULL);
    pc_webhooks_stop(f.hooks, f.now_ms);
    batch = pc_webhooks_take_rest(f.hooks, UNIX_MS);
    assert_int_equal(batch->event_count, 20);
    assert_int_equal(batch->attempts, 1);
    pc_webhook_batch_free(f.hooks, batch);
    batch = pc_webhooks_take_rest(f.hooks, UNIX_MS);
    assert_int_equal(batch->event_count, 11);
    assert_int_equal(batch->attempts, 0);
    assert_true(pc_slice_starts(batch->body, PC_S("{\"time_ms\":1700000000123,\"events\":[")));
    pc_webhook_batch_free(f.hooks, batch);
    assert_null(pc_webhooks_take_rest(f.hooks, UNIX_MS));
    assert_false(note(&f, OCCUPIED, "b", NULL)); /* stopped: no sender is left */
    assert_int_equal(f.stats.given_up, 31);
    close_fixture(&f);
}

/* -- memory -- */

static void run_out_of_memory(struct fixture *f)
{
    static const char *const channels[] = {"presence-a", "presence-b"};
    struct pc_webhook_batch *batch;
    uint64_t noted = 0;
    for (size_t c = 0; c < 2; c++) {
        note(f, OCCUPIED, channels[c], NULL);
        note(f, ADDED, channels[c], "7");
        note(f, CLIENT_EVENT, channels[c], "7");
        note(f, REMOVED, channels[c], "7");
        noted += 4;
    }
    for (int i = 0; i < 8; i++) {
        f->now_ms += 1100;
        while ((batch = take(f))) {
            if (pc_webhooks_answer(f->hooks, batch, i > 2, f->now_ms))
                pc_webhook_batch_free(f->hooks, batch);
        }
    }
    assert_int_equal(f->stats.delivered + f->stats.dropped + f->stats.queued, noted);
    note(f, VACATED, "presence-c", NULL);
    while ((batch = pc_webhooks_take_rest(f->hooks, UNIX_MS)))
        pc_webhook_batch_free(f->hooks, batch);
    assert_int_equal(f->stats.delivered + f->stats.dropped + f->stats.given_up, noted + 1);
    assert_int_equal(f->stats.queued, 0);
}

static void without_memory_an_event_is_dropped_or_late_and_nothing_leaks(void **state)
{
    (void)state;
    bool failed = true;
    assert_int_equal(pc_crypto_init(), 0);
    for (size_t n = 1; failed; n++) {
        struct fixture f;
        pusherc_webhook_header header = {"X-A", "b"};
        pusherc_webhook hook = hook_of("http://localhost/hook", 0);
        hook.headers = &header, hook.header_count = 1, hook.channel_prefix = "presence-";
        int err = try_open(&f, &settings, n);
        if (err == 0)
            err = try_put(&f, "app-secret", &hook, 1);
        assert_true(err == 0 || err == PUSHERC_ENOMEM);
        if (err == 0) {
            f.app = pc_apps_by_id(&f.apps, PC_S("app-id"));
            run_out_of_memory(&f);
        }
        failed = failing_alloc_hit(&f.alloc);
        close_fixture(&f);
    }
}

static void a_batch_that_could_not_be_made_keeps_its_place(void **state)
{
    (void)state;
    struct pc_webhook_settings pairs = settings;
    struct fixture f;
    pairs.batch_events = 2;
    open_with(&f, &pairs, 0);
    static const char *const channels[] = {"a", "b", "c", "d"};
    for (size_t i = 0; i < LENGTH(channels); i++)
        note(&f, OCCUPIED, channels[i], NULL);
    for (size_t n = 1; n <= 2; n++) { /* the batch, then its text */
        f.alloc.fail_at = f.alloc.requests + n;
        assert_null(take(&f));
        assert_true(failing_alloc_hit(&f.alloc));
        f.now_ms += 1100;
    }
    struct pc_webhook_batch *batch = take(&f);
    assert_events(batch, "[{\"name\":\"channel_occupied\",\"channel\":\"a\"},"
                         "{\"name\":\"channel_occupied\",\"channel\":\"b\"}]");
    accept(&f, batch);
    accept(&f, take(&f));
    nothing_is_due(&f);
    close_fixture(&f);
}

/* -- many -- */

static void random_runs_agree_with_the_model(void **state)
{
    (void)state;
    uint64_t random = 88172645463325252u;
    uint8_t data[1200];
    for (int run = 0; run < 300; run++) {
        for (size_t i = 0; i < sizeof data; i++) {
            random ^= random << 13, random ^= random >> 7, random ^= random << 17;
            data[i] = (uint8_t)(random >> 32);
        }
        wm_run(data, sizeof data >> (run % 5));
    }
}

#define THREADS 4
#define EACH    2000

struct noting {
    struct fixture *f;
    int number;
};

/* Each thread's channels are its own, as a channel's events come under one lock. */
static void *note_many(void *arg)
{
    struct noting *noting = arg;
    char channel[32];
    snprintf(channel, sizeof channel, "private-%d", noting->number);
    for (int i = 0; i < EACH; i++) {
        char number[16];
        snprintf(number, sizeof number, "%d", i);
        struct pc_notice notice = {.kind = CLIENT_EVENT,
                                   .app = noting->f->app,
                                   .channel = pc_slice_of(channel),
                                   .event = PC_S("client-n"),
                                   .data = pc_slice_of(number)};
        pc_webhooks_note(noting->f->hooks, &notice, 1000000);
    }
    return NULL;
}

static void threads_may_note_while_one_sends(void **state)
{
    (void)state;
    struct pc_webhook_settings large = settings;
    struct fixture f;
    pthread_t threads[THREADS];
    struct noting noting[THREADS];
    uint64_t heard[THREADS] = {0}, total = 0;
    large.max_queued = THREADS * EACH;
    open_with(&f, &large, 0);
    for (int i = 0; i < THREADS; i++) {
        noting[i] = (struct noting){&f, i};
        assert_int_equal(pthread_create(&threads[i], NULL, note_many, &noting[i]), 0);
    }
    pusherc_webhook hook = hook_of("http://localhost/hook", 0);
    while (total < THREADS * EACH) {
        struct pc_webhook_batch *batch = take(&f);
        f.now_ms += batch ? 0 : 1;
        if (total % 500 < 20)
            put(&f, "app-secret", &hook, 1);
        if (!batch)
            continue;
        struct pc_json_iter events =
            pc_json_iter_of(pc_json_get(pc_json_parse(batch->body), PC_S("events")));
        while (pc_json_next(&events)) {
            pusherc_slice channel = pc_json_get(events.value, PC_S("channel")).raw;
            char number[16];
            int thread = channel.ptr[channel.len - 2] - '0';
            snprintf(number, sizeof number, "%llu", (unsigned long long)heard[thread]++);
            assert_true(wm_text_is(events.value, "data", number));
            total++;
        }
        accept(&f, batch);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    nothing_is_due(&f);
    close_fixture(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bodies_and_signatures_are_those_of_the_vectors),
        cmocka_unit_test(each_kind_says_what_belongs_to_it),
        cmocka_unit_test(channels_of_users_say_nothing),
        cmocka_unit_test(a_batch_waits_until_its_time_or_until_it_is_full),
        cmocka_unit_test(a_batch_takes_no_more_than_frameworks_do),
        cmocka_unit_test(without_batches_each_event_goes_by_itself_and_at_once),
        cmocka_unit_test(a_removal_is_sent_after_its_delay),
        cmocka_unit_test(a_return_in_time_sends_no_event),
        cmocka_unit_test(a_late_return_sends_both_events),
        cmocka_unit_test(another_member_takes_nothing_back_but_the_vacancy),
        cmocka_unit_test(an_endpoint_is_told_what_it_asked_for_and_of_which_channels),
        cmocka_unit_test(refused_batches_come_again_with_growing_delays_for_five_minutes),
        cmocka_unit_test(later_events_wait_for_a_failed_batch_but_not_at_other_endpoints),
        cmocka_unit_test(a_full_queue_drops_what_comes_and_counts_it),
        cmocka_unit_test(settings_in_force_are_those_put_last),
        cmocka_unit_test(waiting_events_are_signed_with_the_newest_secret),
        cmocka_unit_test(a_removed_endpoint_gets_its_waiting_events),
        cmocka_unit_test(two_endpoints_may_have_the_same_url),
        cmocka_unit_test(a_stop_waits_for_nothing_and_gives_one_more_chance),
        cmocka_unit_test(what_is_left_is_handed_over_whole),
        cmocka_unit_test(an_acceptance_is_done_when_no_endpoint_waits_for_the_event),
        cmocka_unit_test(without_memory_an_event_is_dropped_or_late_and_nothing_leaks),
        cmocka_unit_test(a_batch_that_could_not_be_made_keeps_its_place),
        cmocka_unit_test(random_runs_agree_with_the_model),
        cmocka_unit_test(threads_may_note_while_one_sends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
