/* What apps share: an app that floods the server takes nothing that another one needs (A6), and costs it nothing (A1). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/share.h"
#include "channel/keep.h"
#include "webhook_model.h"
#include "why/ended.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))
#define OCCUPIED      PUSHERC_WEBHOOK_CHANNEL_OCCUPIED
#define VACATED       PUSHERC_WEBHOOK_CHANNEL_VACATED
#define ADDED         PUSHERC_WEBHOOK_MEMBER_ADDED
#define REMOVED       PUSHERC_WEBHOOK_MEMBER_REMOVED
#define CLIENT_EVENT  PUSHERC_WEBHOOK_CLIENT_EVENT
#define CACHE_MISS    PUSHERC_WEBHOOK_CACHE_MISS
#define COUNT         PUSHERC_WEBHOOK_SUBSCRIPTION_COUNT

/* xorshift: the same numbers in every run */
static uint64_t random_state;

static uint32_t some(uint32_t below)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 20) % below;
}

/* -- shares -- */

static void the_largest_share_is_on_top(void **state)
{
    struct pc_share shares[50] = {{.held = 0}};
    struct pc_shares all = {.held = 0};
    (void)state;
    random_state = 1;
    for (int step = 0; step < 20000; step++) {
        uint64_t sum = 0, largest = 0;
        pc_shares_set(&all, &shares[some(LENGTH(shares))], some(3) ? some(1000) : 0);
        for (size_t i = 0; i < LENGTH(shares); i++) {
            sum += shares[i].held;
            largest = shares[i].held > largest ? shares[i].held : largest;
        }
        assert_int_equal(all.held, sum);
        assert_int_equal(all.largest ? all.largest->held : 0, largest);
    }
}

/* -- webhooks -- */

#define ATTACKER 0
#define HONEST   1

struct fixture {
    struct failing_alloc alloc;
    struct pc_mem mem;
    struct pc_apps apps;
    struct pc_webhooks *hooks;
    struct pc_webhook_stats stats;
    struct pc_app *app[2];
    uint64_t now_ms;
    struct pc_webhook_batch *hung[64]; /* the attacker's requests, which get no answer */
    size_t hung_count;
};

static const struct pc_webhook_settings settings = {.batch_ms = 250,
                                                    .batch_events = 20,
                                                    .behind_events = 20,
                                                    .delay_ms = 3000,
                                                    .retry_ms = 300000,
                                                    .max_queued = 10000,
                                                    .max_bytes = 64 << 20,
                                                    .max_under_way = 8};

/* Two apps, each with so many endpoints, which want these kinds. */
static void open_with(struct fixture *f, const struct pc_webhook_settings *s, size_t endpoints,
                      uint32_t kinds)
{
    static const uint64_t seed[4] = {5, 6, 7, 8};
    static const char *const ids[] = {"attacker", "honest"};
    pusherc_webhook hooks[PUSHERC_MAX_WEBHOOKS];
    char urls[PUSHERC_MAX_WEBHOOKS][32];
    *f = (struct fixture){.now_ms = 1000000};
    pusherc_allocator allocator = failing_alloc_init(&f->alloc, 0);
    f->mem = pc_mem_make(&allocator);
    assert_int_equal(pc_crypto_init(), 0);
    pc_apps_init(&f->apps, &f->mem, seed, 1);
    f->apps.webhooks = true;
    assert_int_equal(pc_webhooks_new(&f->hooks, &f->mem, s, &f->stats, seed, f->now_ms), 0);
    for (size_t i = 0; i < endpoints; i++) {
        snprintf(urls[i], sizeof urls[i], "http://host/%zu", i);
        hooks[i] = (pusherc_webhook)PUSHERC_WEBHOOK_INIT;
        hooks[i].url = urls[i];
        hooks[i].events = kinds;
    }
    for (size_t i = 0; i < LENGTH(ids); i++) {
        pusherc_app_options options = PUSHERC_APP_OPTIONS_INIT;
        options.id = options.key = options.secret = ids[i];
        options.webhooks = hooks;
        options.webhook_count = endpoints;
        assert_int_equal(pc_apps_put(&f->apps, &options, 1, NULL), 0);
        f->app[i] = pc_apps_by_id(&f->apps, pc_slice_of(ids[i]));
    }
}

static void close_fixture(struct fixture *f)
{
    while (f->hung_count > 0)
        (void)pc_webhooks_answer(f->hooks, f->hung[--f->hung_count], true, f->now_ms);
    pc_webhooks_free(f->hooks);
    for (size_t i = 0; i < LENGTH(f->app); i++)
        pc_app_unref(f->app[i]);
    pc_apps_free(&f->apps);
    assert_int_equal(failing_alloc_live(&f->alloc), 0);
}

static void note(struct fixture *f, int app, uint32_t kind, const char *channel, const char *user,
                 uint64_t count)
{
    struct pc_notice notice = {.kind = kind,
                               .app = f->app[app],
                               .channel = pc_slice_of(channel),
                               .user_id = pc_slice_of(user),
                               .subscription_count = count};
    (void)pc_webhooks_note(f->hooks, &notice, f->now_ms);
}

static void note_nth(struct fixture *f, int app, uint32_t kind, const char *name, int n)
{
    char channel[64];
    snprintf(channel, sizeof channel, "%s-%d", name, n);
    note(f, app, kind, channel, NULL, 0);
}

static struct pc_webhook_batch *take(struct fixture *f)
{
    return pc_webhooks_take(f->hooks, f->now_ms, 1700000000000);
}

static bool is_of(const struct fixture *f, const struct pc_webhook_batch *batch, int app)
{
    return batch && pc_slice_eq(batch->endpoints->app_id, f->app[app]->id);
}

static void accept(struct fixture *f, struct pc_webhook_batch *batch)
{
    assert_false(pc_webhooks_answer(f->hooks, batch, true, f->now_ms));
}

typedef void (*hear_fn)(struct pc_json event, void *ctx);

static void hear_batch(const struct pc_webhook_batch *batch, hear_fn hear, void *ctx)
{
    struct pc_json_iter events =
        pc_json_iter_of(pc_json_get(pc_json_parse(batch->body), PC_S("events")));
    while (pc_json_next(&events))
        hear(events.value, ctx);
}

/* Accepts all that is due, and, if `all`, all that ever will be. */
static void hear(struct fixture *f, bool all, hear_fn fn, void *ctx)
{
    for (;;) {
        struct pc_webhook_batch *batch = take(f);
        if (batch) {
            hear_batch(batch, fn, ctx);
            accept(f, batch);
            continue;
        }
        uint64_t wait = all ? pc_webhooks_next(f->hooks, f->now_ms) : UINT64_MAX;
        if (wait == UINT64_MAX)
            return;
        f->now_ms += wait ? wait : 1;
    }
}

/* The honest ones have to come in order. */
struct heard {
    int honest, others;
};

static void count_honest(struct pc_json event, void *ctx)
{
    struct heard *heard = ctx;
    char name[64];
    snprintf(name, sizeof name, "honest-%d", heard->honest);
    if (wm_text_is(event, "channel", name))
        heard->honest++;
    else
        heard->others++;
}

/* A stranger visits 100,000 channels; in between 50 honest ones become occupied. */
static void visits_while_an_endpoint_is_down_drop_no_other_event(void **state)
{
    static const uint32_t kinds[] = {0, OCCUPIED, OCCUPIED | VACATED};
    (void)state;
    for (size_t k = 0; k < LENGTH(kinds); k++) {
        struct fixture f;
        struct heard heard = {0};
        open_with(&f, &settings, 1, kinds[k]);
        note(&f, HONEST, OCCUPIED, "first", NULL, 0);
        f.now_ms += 300;
        struct pc_webhook_batch *slow = take(&f);
        for (int i = 0; i < 100000; i++) {
            if (i % 2000 == 0)
                note_nth(&f, HONEST, OCCUPIED, "honest", i / 2000);
            note_nth(&f, HONEST, OCCUPIED, "visit", i);
            note_nth(&f, HONEST, VACATED, "visit", i);
            f.now_ms += i % 10 == 0;
        }
        assert_int_equal(f.stats.dropped, 0);
        assert_true(f.stats.queued < 200);
        accept(&f, slow);
        hear(&f, true, count_honest, &heard);
        assert_int_equal(heard.honest, 50);
        assert_true(heard.others < 100);
        close_fixture(&f);
    }
}

/* The endpoint is told of every visit, so each has a removal that waits for its delay: 30,000 in three seconds. */
static void visits_that_an_endpoint_is_told_of_drop_no_other_event(void **state)
{
    struct fixture f;
    struct heard heard = {0};
    (void)state;
    open_with(&f, &settings, 1, 0);
    for (int i = 0; i < 100000; i++) {
        if (i % 2000 == 0)
            note_nth(&f, HONEST, OCCUPIED, "honest", i / 2000);
        note_nth(&f, HONEST, OCCUPIED, "visit", i);
        if (i % 20 == 19)
            hear(&f, false, count_honest, &heard);
        note_nth(&f, HONEST, VACATED, "visit", i);
        f.now_ms += i % 10 == 0;
    }
    hear(&f, true, count_honest, &heard);
    assert_int_equal(f.stats.dropped, 0);
    assert_int_equal(heard.honest, 50);
    assert_true(heard.others > 100000);
    close_fixture(&f);
}

static void cache_misses_and_counts_of_visits_leave_nothing(void **state)
{
    static const uint32_t kinds[] = {0, CACHE_MISS | COUNT, CLIENT_EVENT | CACHE_MISS | COUNT};
    (void)state;
    for (size_t k = 0; k < LENGTH(kinds); k++) {
        struct fixture f;
        struct heard heard = {0};
        open_with(&f, &settings, 1, kinds[k]);
        for (int i = 0; i < 30; i++)
            note_nth(&f, HONEST, CACHE_MISS, "honest", i);
        for (int i = 0; i < 100000; i++) {
            note_nth(&f, HONEST, OCCUPIED, "cache-visit", i);
            note_nth(&f, HONEST, CACHE_MISS, "cache-visit", i);
            note_nth(&f, HONEST, COUNT, "cache-visit", i);
            note_nth(&f, HONEST, VACATED, "cache-visit", i);
            note(&f, HONEST, CACHE_MISS, "cache-same", NULL, 0);
            note(&f, HONEST, COUNT, "cache-same", NULL, (uint64_t)i);
        }
        assert_int_equal(f.stats.queued, 30 + 2);
        hear(&f, true, count_honest, &heard);
        assert_int_equal(heard.honest, 30);
        close_fixture(&f);
    }
}

/* -- what a receiver makes of it -- */

#define CHANNELS 3
#define USERS    3

/* What a receiver knows; it requires that what it hears makes sense. */
struct receiver {
    bool occupied[CHANNELS], member[CHANNELS][USERS];
    int client_events, events;
};

static int digit(struct pc_json event, const char *name)
{
    pusherc_slice raw = pc_json_get(event, pc_slice_of(name)).raw;
    return raw.len < 3 ? 0 : raw.ptr[raw.len - 2] - '0';
}

static void believe(struct pc_json event, void *ctx)
{
    struct receiver *r = ctx;
    int channel = digit(event, "channel"), user = digit(event, "user_id");
    r->events++;
    if (wm_text_is(event, "name", "client_event")) {
        r->client_events++;
        return;
    }
    bool channels = wm_text_is(event, "name", "channel_occupied") ||
                    wm_text_is(event, "name", "channel_vacated");
    bool *known = channels ? &r->occupied[channel] : &r->member[channel][user];
    bool addition =
        wm_text_is(event, "name", "channel_occupied") || wm_text_is(event, "name", "member_added");
    assert_int_equal(*known, !addition);
    *known = addition;
}

static void random_step(struct fixture *f, struct receiver *truth, struct receiver *told,
                        struct pc_webhook_batch **slow)
{
    char channel[] = "presence-0", id[] = "0";
    uint32_t c = some(CHANNELS), u = some(USERS);
    bool alone = true;
    channel[9] = (char)('0' + c);
    id[0] = (char)('0' + u);
    for (uint32_t i = 0; i < USERS; i++)
        alone = alone && (i == u || !truth->member[c][i]);
    switch (some(10)) {
    case 0:
        f->now_ms += some(4000);
        break;
    case 1:
        note(f, HONEST, CLIENT_EVENT, channel, id, 0);
        truth->client_events++;
        break;
    case 2:
        *slow = *slow ? *slow : take(f);
        break;
    case 3:
        if (*slow) {
            hear_batch(*slow, believe, told);
            accept(f, *slow);
        }
        *slow = NULL;
        break;
    default: /* comes or goes */
        if (alone && !truth->member[c][u])
            note(f, HONEST, OCCUPIED, channel, NULL, 0);
        truth->member[c][u] = !truth->member[c][u];
        note(f, HONEST, truth->member[c][u] ? ADDED : REMOVED, channel, id, 0);
        truth->occupied[c] = !alone || truth->member[c][u];
        if (!truth->occupied[c])
            note(f, HONEST, VACATED, channel, NULL, 0);
        break;
    }
}

static void a_receiver_that_is_behind_still_learns_the_truth(void **state)
{
    struct pc_webhook_settings s = settings;
    int events = 0, steps = 0;
    (void)state;
    s.batch_events = 2;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        struct fixture f;
        struct receiver truth = {.events = 0}, told = {.events = 0};
        struct pc_webhook_batch *slow = NULL;
        s.behind_events = 1 + (uint32_t)seed % 12;
        random_state = seed * 7919;
        open_with(&f, &s, 1, 0);
        for (int i = 0; i < 1000; i++, steps++)
            random_step(&f, &truth, &told, &slow);
        if (slow) {
            hear_batch(slow, believe, &told);
            accept(&f, slow);
        }
        hear(&f, true, believe, &told);
        assert_memory_equal(truth.occupied, told.occupied, sizeof truth.occupied);
        assert_memory_equal(truth.member, told.member, sizeof truth.member);
        assert_int_equal(truth.client_events, told.client_events);
        assert_int_equal(f.stats.dropped, 0);
        assert_int_equal(f.stats.queued, 0);
        events += told.events;
        close_fixture(&f);
    }
    assert_true(events < steps);
}

/* -- between apps -- */

static void flood(struct fixture *f, int app, int count)
{
    static char data[1000];
    memset(data, 'x', sizeof data);
    struct pc_notice notice = {.kind = CLIENT_EVENT,
                               .app = f->app[app],
                               .channel = PC_S("private-a"),
                               .event = PC_S("client-x"),
                               .data = {data, sizeof data}};
    for (int i = 0; i < count; i++)
        (void)pc_webhooks_note(f->hooks, &notice, f->now_ms);
}

/* The next batch of the honest app; NULL: none is due. */
static struct pc_webhook_batch *take_honest(struct fixture *f)
{
    struct pc_webhook_batch *batch;
    while (is_of(f, batch = take(f), ATTACKER)) {
        assert_true(f->hung_count < LENGTH(f->hung));
        f->hung[f->hung_count++] = batch;
    }
    return batch;
}

static void a_flood_for_a_dead_endpoint_takes_no_memory_of_another_app(void **state)
{
    struct pc_webhook_settings s = settings;
    struct fixture f;
    struct heard heard = {0};
    struct pc_webhook_batch *batch;
    (void)state;
    s.max_bytes = 200000;
    open_with(&f, &s, 2, 0);
    flood(&f, ATTACKER, 500);
    for (int i = 0; i < 50; i++) {
        note_nth(&f, HONEST, OCCUPIED, "honest", i);
        flood(&f, ATTACKER, 10);
        assert_true(f.hooks->bytes.held <= s.max_bytes);
    }
    assert_true(f.app[ATTACKER]->state->webhooks.bytes.held > s.max_bytes / 2);
    for (f.now_ms += 300; (batch = take_honest(&f)); f.now_ms += 300) {
        if (batch->endpoint == &batch->endpoints->items[0])
            hear_batch(batch, count_honest, &heard);
        accept(&f, batch);
    }
    assert_int_equal(heard.honest, 50);
    assert_int_equal(heard.others, 0);
    assert_int_equal(f.hung_count, 2);
    close_fixture(&f);
}

/* Sixteen endpoints that never answer, for eight requests at a time. */
static void requests_that_hang_leave_some_for_another_app(void **state)
{
    struct fixture f;
    (void)state;
    open_with(&f, &settings, PUSHERC_MAX_WEBHOOKS, 0);
    flood(&f, ATTACKER, 40);
    f.now_ms += 300;
    assert_null(take_honest(&f));
    assert_int_equal(f.hung_count, 4); /* as many as are free */
    assert_true(pc_webhooks_next(f.hooks, f.now_ms) >
                0); /* the sender need not look again at once */
    for (int i = 0; i < 20; i++) {
        flood(&f, ATTACKER, 20);
        note_nth(&f, HONEST, OCCUPIED, "honest", i);
        f.now_ms += 300;
        struct pc_webhook_batch *batch = take(&f); /* the first that is taken */
        assert_true(is_of(&f, batch, HONEST));
        for (size_t n = 1; n < PUSHERC_MAX_WEBHOOKS; n++) {
            accept(&f, batch);
            batch = take(&f);
            assert_true(is_of(&f, batch, HONEST));
        }
        accept(&f, batch);
    }
    /* with an answer it goes on */
    accept(&f, f.hung[--f.hung_count]);
    assert_int_equal(pc_webhooks_next(f.hooks, f.now_ms), 0);
    assert_null(take_honest(&f));
    assert_int_equal(f.hung_count, 4);
    close_fixture(&f);
}

/* While all requests are answered, an app waits for one of each other app, not for all. */
static void apps_take_turns(void **state)
{
    struct fixture f;
    (void)state;
    open_with(&f, &settings, PUSHERC_MAX_WEBHOOKS, 0);
    flood(&f, ATTACKER, 1000);
    note_nth(&f, HONEST, OCCUPIED, "honest", 0);
    f.now_ms += 300;
    for (int i = 0; i < 2 * PUSHERC_MAX_WEBHOOKS; i++) {
        struct pc_webhook_batch *batch = take(&f);
        assert_true(is_of(&f, batch, i % 2 ? HONEST : ATTACKER));
        accept(&f, batch);
    }
    close_fixture(&f);
}

/* -- cache channels -- */

#define KEEPERS 3

struct keeper {
    pthread_t thread;
    struct pc_directory *dir;
    struct pc_app_state *app;
};

/* Keeps events in the channels of an app, more and less of them, and makes room as a publisher does. */
static void *keep_many(void *ctx)
{
    static const struct pc_channel_class class = {PUSHERC_CHANNEL_PUBLIC, true};
    static const char data[500];
    const struct keeper *k = ctx;
    for (uint64_t i = 0; i < 3000; i++) {
        char text[32];
        snprintf(text, sizeof text, "cache-%d", (int)(i * i % 97));
        pusherc_slice name = pc_slice_of(text);
        struct pc_cached *event =
            pc_cached_new(k->dir->mem, PC_S("e"), pc_slice(data, i % sizeof data), i + 200);
        struct pc_shard *shard = pc_directory_lock(k->dir, k->app->uid, name);
        struct pc_channel *channel = pc_shard_get(k->dir, shard, k->app, name, class, NULL);
        bool full = event && channel && pc_channel_keep(k->dir, channel, event, i);
        pc_shard_unlock(shard);
        pc_cached_unref(event);
        if (full)
            pc_kept_make_room(k->dir, i);
        if (i % 1000 == 999)
            pc_kept_forget(k->dir, k->app);
    }
    return NULL;
}

static void events_may_be_kept_and_removed_by_several_threads(void **state)
{
    static const uint64_t seed[2] = {1, 2};
    struct failing_alloc alloc;
    pusherc_allocator allocator = failing_alloc_init(&alloc, 0);
    struct pc_mem mem = pc_mem_make(&allocator);
    struct pc_directory dir;
    struct keeper keepers[KEEPERS];
    (void)state;
    pc_directory_init(&dir, &mem, seed, 1);
    dir.kept.max_bytes = 60000;
    for (size_t i = 0; i < KEEPERS; i++) {
        keepers[i] = (struct keeper){.dir = &dir, .app = pc_app_state_new(&mem, i + 1, 1, seed)};
        assert_non_null(keepers[i].app);
    }
    for (size_t i = 0; i < KEEPERS; i++)
        assert_int_equal(pthread_create(&keepers[i].thread, NULL, keep_many, &keepers[i]), 0);
    for (size_t i = 0; i < KEEPERS; i++)
        pthread_join(keepers[i].thread, NULL);
    assert_int_equal(dir.kept.bytes.held, 0);
    assert_null(dir.kept.bytes.largest);
    for (size_t i = 0; i < KEEPERS; i++)
        pc_app_state_unref(keepers[i].app);
    assert_true(failing_alloc_live(&alloc) <= PC_SHARDS); /* the tables of shards, but no channel */
    pc_directory_free(&dir);
    assert_int_equal(failing_alloc_live(&alloc), 0);
}

/* -- diagnosis -- */

#ifdef PC_WITH_EXPLAIN
static void no_lines(const pusherc_log_entry *entry, void *user_data)
{
    (void)entry, (void)user_data;
}

static void an_app_that_reconnects_pushes_no_other_out_of_memory(void **state)
{
    static const char attacker[1], honest[1];
    struct pc_why_ended ended;
    struct pc_log log;
    pusherc_socket_id ids[PC_WHY_MAX_ENDED];
    (void)state;
    pc_log_init(&log, no_lines, NULL, PUSHERC_LOG_DEBUG);
    pc_why_ended_init(&ended);
    for (uint64_t i = 1; i <= 1000; i++) {
        pc_why_note_ended(&ended, &log, attacker, (pusherc_socket_id){i, 1});
        if (i % 100 == 0)
            pc_why_note_ended(&ended, &log, honest, (pusherc_socket_id){i, 2});
    }
    assert_int_equal(pc_why_ended_of(&ended, honest, ids, PC_WHY_MAX_ENDED), 10);
    for (uint64_t i = 0; i < 10; i++) /* the latest first */
        assert_int_equal(ids[i].a, 1000 - 100 * i);
    assert_int_equal(pc_why_ended_of(&ended, attacker, ids, PC_WHY_MAX_ENDED),
                     PC_WHY_MAX_ENDED - 10);
    assert_int_equal(ids[0].a, 1000);
    pc_why_ended_free(&ended);
    pc_log_free(&log);
}
#endif

#define PROMISE(text, function)                                                                    \
    {                                                                                              \
        text, function, NULL, NULL, NULL                                                           \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_largest_share_is_on_top),
        PROMISE("A6: visits while an endpoint is down drop no other event",
                visits_while_an_endpoint_is_down_drop_no_other_event),
        PROMISE("A6: visits that an endpoint is told of drop no other event",
                visits_that_an_endpoint_is_told_of_drop_no_other_event),
        PROMISE("A6: cache misses and counts of visits leave nothing",
                cache_misses_and_counts_of_visits_leave_nothing),
        PROMISE("A6: a receiver that is behind still learns the truth",
                a_receiver_that_is_behind_still_learns_the_truth),
        PROMISE("A6: a flood for a dead endpoint takes no memory of another app",
                a_flood_for_a_dead_endpoint_takes_no_memory_of_another_app),
        PROMISE("A6: requests that hang leave some for another app",
                requests_that_hang_leave_some_for_another_app),
        PROMISE("A6: apps with webhooks to send take turns", apps_take_turns),
        cmocka_unit_test(events_may_be_kept_and_removed_by_several_threads),
#ifdef PC_WITH_EXPLAIN
        PROMISE("A6: an app that reconnects pushes no other out of the memory of ended connections",
                an_app_that_reconnects_pushes_no_other_out_of_memory),
#endif
    };
    return cmocka_run_group_tests_name("tenants", tests, NULL, NULL);
}
