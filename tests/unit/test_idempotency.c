/* Publishing once: the table of keys by itself, under threads, and through the HTTP API. */
#include <pthread.h>

#include "unit/api_fixture.h"

#include "channel/idempotency.h"

static const uint64_t seed[2] = {1, 2};
static const struct pc_idempotency_limits roomy = {1 << 20, 120000};

struct table {
    struct failing_alloc alloc;
    struct pc_mem mem;
    struct pc_idempotency keys;
    struct pc_idempotency_entry *entry;
    char stored[256]; /* what a repeat got; NUL-terminated */
};

static void table_open(struct table *t, size_t fail_at)
{
    pusherc_allocator allocator = failing_alloc_init(&t->alloc, fail_at);
    t->mem = pc_mem_make(&allocator);
    pc_idempotency_init(&t->keys, &t->mem, seed);
}

static void table_close(struct table *t)
{
    pc_idempotency_free(&t->keys);
    assert_int_equal(failing_alloc_live(&t->alloc), 0);
}

static enum pc_idempotency_result begin(struct table *t, const struct pc_idempotency_limits *limits,
                                        const char *key, uint64_t content, const char *answer,
                                        uint64_t now_ms)
{
    struct pc_buf stored;
    pc_buf_init_in(&stored, &t->mem, sizeof t->stored - 1, t->stored, sizeof t->stored - 1);
    enum pc_idempotency_result result =
        pc_idempotency_begin(&t->keys, limits, pc_slice_of(key), content, pc_slice_of(answer),
                             now_ms, &stored, &t->entry);
    t->stored[stored.len] = '\0';
    assert_true((result == PC_IDEMPOTENCY_FIRST) == (t->entry != NULL));
    return result;
}

static void do_once(struct table *t, const struct pc_idempotency_limits *limits, const char *key,
                    uint64_t now_ms)
{
    assert_int_equal(begin(t, limits, key, 1, "answer", now_ms), PC_IDEMPOTENCY_FIRST);
    pc_idempotency_end(&t->keys, t->entry, true);
}

static void a_repeat_gets_the_answer_of_the_first(void **state)
{
    struct table t;
    (void)state;
    table_open(&t, 0);
    assert_int_equal(begin(&t, &roomy, "k", 7, "first", 1000), PC_IDEMPOTENCY_FIRST);
    struct pc_idempotency_entry *first = t.entry;
    assert_int_equal(begin(&t, &roomy, "k", 7, "x", 1000), PC_IDEMPOTENCY_RUNNING);
    assert_int_equal(begin(&t, &roomy, "k", 8, "x", 1000), PC_IDEMPOTENCY_OTHER);
    assert_int_equal(begin(&t, &roomy, "K", 7, "x", 1000), PC_IDEMPOTENCY_FIRST);
    pc_idempotency_end(&t.keys, t.entry, true);
    pc_idempotency_end(&t.keys, first, true);
    assert_int_equal(begin(&t, &roomy, "k", 7, "x", 1000), PC_IDEMPOTENCY_REPEAT);
    assert_string_equal(t.stored, "first");
    assert_int_equal(begin(&t, &roomy, "k", 8, "x", 1000), PC_IDEMPOTENCY_OTHER);
    assert_string_equal(t.stored, "");
    table_close(&t);
}

static void a_failed_request_may_be_repeated(void **state)
{
    struct table t;
    (void)state;
    table_open(&t, 0);
    assert_int_equal(begin(&t, &roomy, "k", 7, "a", 1000), PC_IDEMPOTENCY_FIRST);
    pc_idempotency_end(&t.keys, t.entry, false);
    assert_int_equal(begin(&t, &roomy, "k", 8, "b", 1000), PC_IDEMPOTENCY_FIRST);
    pc_idempotency_end(&t.keys, t.entry, true);
    assert_int_equal(t.keys.by_key.count, 1);
    table_close(&t);
}

static void a_key_is_free_when_its_time_is_over(void **state)
{
    struct table t;
    (void)state;
    table_open(&t, 0);
    do_once(&t, &roomy, "k", 1000);
    assert_int_equal(begin(&t, &roomy, "k", 1, "", 120999), PC_IDEMPOTENCY_REPEAT);
    do_once(&t, &roomy, "k", 121000);
    for (unsigned i = 0; i < 100; i++) {
        char key[16];
        snprintf(key, sizeof key, "%u", i);
        do_once(&t, &roomy, key, 130000 + i);
    }
    do_once(&t, &roomy, "last", 250050);
    assert_int_equal(t.keys.by_key.count, 50); /* 51 to 99 and the last */
    table_close(&t);
}

static void the_oldest_goes_when_memory_is_full(void **state)
{
    const struct pc_idempotency_limits narrow = {2000, 120000};
    struct table t;
    (void)state;
    table_open(&t, 0);
    assert_int_equal(begin(&t, &narrow, "running", 1, "", 1000), PC_IDEMPOTENCY_FIRST);
    struct pc_idempotency_entry *running = t.entry;
    for (unsigned i = 0; i < 1000; i++) {
        char key[16];
        snprintf(key, sizeof key, "%u", i);
        do_once(&t, &narrow, key, 1000);
        assert_true(t.keys.bytes <= 2000);
    }
    assert_true(t.keys.by_key.count > 4);
    assert_int_equal(begin(&t, &narrow, "999", 1, "", 1000), PC_IDEMPOTENCY_REPEAT);
    do_once(&t, &narrow, "0", 1000);
    assert_int_equal(begin(&t, &narrow, "running", 1, "", 1000), PC_IDEMPOTENCY_RUNNING);
    pc_idempotency_end(&t.keys, running, true);
    do_once(&t, &narrow, "1", 1000);
    do_once(&t, &narrow, "running", 1000); /* it was the oldest */
    table_close(&t);
}

static void without_memory_nothing_is_noted(void **state)
{
    (void)state;
    bool failed = true;
    for (size_t n = 1; failed; n++) {
        struct table t;
        table_open(&t, n);
        enum pc_idempotency_result result = begin(&t, &roomy, "k", 1, "answer", 1000);
        failed = failing_alloc_hit(&t.alloc);
        assert_int_equal(result, failed ? PC_IDEMPOTENCY_NO_MEMORY : PC_IDEMPOTENCY_FIRST);
        assert_int_equal(t.keys.by_key.count, failed ? 0 : 1);
        if (t.entry)
            pc_idempotency_end(&t.keys, t.entry, true);
        table_close(&t);
    }
}

/* -- threads that all want to do the same things -- */

#define THREADS 4
#define KEYS    500

struct racers {
    struct pc_idempotency keys;
    _Atomic unsigned done[KEYS], failed_once[KEYS];
};

static void race_for(struct racers *racers, unsigned k)
{
    char key[16], text[16];
    struct pc_mem mem = racers->keys.mem;
    struct pc_idempotency_entry *entry;
    enum pc_idempotency_result result;
    snprintf(key, sizeof key, "key %u", k);
    do {
        struct pc_buf stored;
        pc_buf_init_in(&stored, &mem, sizeof text, text, sizeof text);
        result = pc_idempotency_begin(&racers->keys, &roomy, pc_slice_of(key), k, pc_slice_of(key),
                                      1000, &stored, &entry);
        if (result == PC_IDEMPOTENCY_FIRST) {
            /* every other thing goes wrong the first time */
            bool ok = k % 2 || racers->failed_once[k]++ > 0;
            racers->done[k] += ok;
            pc_idempotency_end(&racers->keys, entry, ok);
        } else if (result == PC_IDEMPOTENCY_REPEAT &&
                   !pc_slice_eq(pc_buf_slice(&stored), pc_slice_of(key))) {
            racers->done[k] += 100;
        }
    } while (result != PC_IDEMPOTENCY_REPEAT);
}

static void *race(void *arg)
{
    for (unsigned k = 0; k < KEYS; k++)
        race_for(arg, k);
    return NULL;
}

static void threads_do_each_thing_once(void **state)
{
    static struct racers racers;
    struct pc_mem mem = pc_mem_make(NULL);
    pthread_t threads[THREADS];
    (void)state;
    pc_idempotency_init(&racers.keys, &mem, seed);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, race, &racers), 0);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (unsigned k = 0; k < KEYS; k++)
        assert_int_equal(racers.done[k], 1);
    pc_idempotency_free(&racers.keys);
}

/* -- over HTTP -- */

static size_t count_received(struct api_fixture *f, const char *event)
{
    char wanted[64];
    size_t n = 0;
    snprintf(wanted, sizeof wanted, "{\"event\":\"%s\"", event);
    for (const char *p = api_received(f, 0); (p = strstr(p, wanted)); p++)
        n++;
    return n;
}

static void pass(struct api_fixture *f, uint64_t ms)
{
    for (size_t i = 0; i < API_WORKERS; i++)
        f->engine->workers[i].now_ms += ms;
}

static void with_header(struct api_fixture *f, const char *key)
{
    static struct pc_pair field;
    field = (struct pc_pair){PC_S("x-idempotency-key"), pc_slice_of(key)};
    f->fields = &field;
    f->field_count = key ? 1 : 0;
}

static void an_event_with_a_key_is_published_once(void **state)
{
    static const char once[] =
        "{\"name\":\"e\",\"channel\":\"orders\",\"data\":\"d\",\"idempotency_key\":\"k\","
        "\"info\":\"subscription_count\"}";
    struct api_fixture *f = *state;
    api_join(f, 0, "orders", NULL);
    api_publish(f, once);
    api_expect_json(f, "{\"channels\":{\"orders\":{\"subscription_count\":1}}}");
    api_join(f, 2, "orders", NULL);
    f->unix_time_s += 5; /* signed anew */
    api_publish(f, once);
    api_expect_json(f, "{\"channels\":{\"orders\":{\"subscription_count\":1}}}"); /* as it was */
    assert_int_equal(count_received(f, "e"), 1);
    pass(f, 119999);
    api_publish(f, once);
    assert_int_equal(count_received(f, "e"), 0);
    pass(f, 1);
    api_publish(f, once);
    api_expect_json(f, "{\"channels\":{\"orders\":{\"subscription_count\":2}}}");
    assert_int_equal(count_received(f, "e"), 1);
}

static void the_key_may_stand_in_a_header_field(void **state)
{
    static const char plain[] = "{\"name\":\"e\",\"channel\":\"orders\",\"data\":\"d\"}";
    struct api_fixture *f = *state;
    api_join(f, 0, "orders", NULL);
    with_header(f, "k");
    for (size_t i = 0; i < 3; i++) {
        api_publish(f, plain);
        api_expect_json(f, "{}");
        api_request(f, "POST", "/apps/app-id/events", "name=q&data=1&channel=orders", NULL);
        /* the same key for something else, in each of the forms */
        api_expect_error(f, 409,
                         "The idempotency key \"k\" was used for something else a short time ago, "
                         "and this was not published: give each event a key of its own.",
                         "other");
        api_request(f, "POST", "/apps/app-id/channels/orders/events", "name=q", "d");
        assert_int_equal(f->reply.status, 409);
    }
    with_header(f, "query");
    for (size_t i = 0; i < 3; i++) {
        f->unix_time_s++;
        api_request(f, "POST", "/apps/app-id/events", "name=e&data=1&channel=orders", NULL);
        api_expect_json(f, "{}");
    }
    with_header(f, "deprecated");
    for (size_t i = 0; i < 3; i++) {
        f->unix_time_s++;
        api_request(f, "POST", "/apps/app-id/channels/orders/events", "name=e", "d");
        api_expect_status(f, 202, "", "deprecated");
    }
    api_request(f, "POST", "/apps/app-id/channels/others/events", "name=e", "d");
    assert_int_equal(f->reply.status, 409);
    with_header(f, NULL);
    api_publish(f, plain);
    assert_int_equal(count_received(f, "e"), 4);
}

static void odd_keys_are_refused(void **state)
{
    static const char format[] =
        "{\"name\":\"e\",\"channel\":\"orders\",\"data\":\"d\",\"idempotency_key\":%s}";
    char long_key[200], body[400];
    struct api_fixture *f = *state;
    static const char *const bad[] = {"\"\"", "7", "[\"k\"]", "true", "\"\\ud800\""};
    api_join(f, 0, "orders", NULL);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        snprintf(body, sizeof body, format, bad[i]);
        api_publish(f, body);
        assert_int_equal(f->reply.status, 400);
    }
    memset(long_key, 'k', 131);
    long_key[0] = '"';
    snprintf(long_key + 129, 3, "k\"");
    snprintf(body, sizeof body, format, long_key); /* 129 */
    api_publish(f, body);
    api_expect_error(f, 400, "idempotency_key must have 1 to 128 characters.", "long");
    snprintf(long_key + 129, 3, "\"");
    snprintf(body, sizeof body, format, long_key);
    with_header(f, "another");
    api_publish(f, body);
    api_expect_error(f, 400, "X-Idempotency-Key and idempotency_key are two different keys.",
                     "two");
    assert_int_equal(count_received(f, "e"), 0);
    with_header(f, NULL);
    api_publish(f, body);
    api_expect_json(f, "{}");
    snprintf(body, sizeof body, format, "null"); /* as if it were not there */
    api_publish(f, body);
    api_publish(f, body);
    assert_int_equal(count_received(f, "e"), 3);
    memset(long_key, 'h', 129);
    long_key[129] = '\0';
    with_header(f, long_key);
    api_publish(f, "{\"name\":\"e\",\"channel\":\"orders\",\"data\":\"d\"}");
    api_expect_error(f, 400, "X-Idempotency-Key must have 1 to 128 characters.", "header");
    with_header(f, "\xff");
    api_publish(f, "{\"name\":\"e\",\"channel\":\"orders\",\"data\":\"d\"}");
    assert_int_equal(f->reply.status, 400);
}

static void keys_are_the_apps_own(void **state)
{
    struct api_fixture *f = *state;
    pusherc_app_options other = api_app();
    other.id = "other";
    other.key = "other-key";
    api_put(f, &other);
    struct pc_app *app = pc_apps_by_id(&f->engine->apps, PC_S("other"));
    api_join(f, 0, "orders", NULL);
    api_publish(f,
                "{\"name\":\"e\",\"channel\":\"orders\",\"data\":\"d\",\"idempotency_key\":\"k\"}");
    assert_int_equal(app->state->idempotency.by_key.count, 0);
    pc_app_unref(app);
    /* settings that are replaced are the same app */
    pusherc_app_options again = api_app();
    again.max_event_payload_bytes = 20000;
    api_put(f, &again);
    api_publish(f,
                "{\"name\":\"e\",\"channel\":\"orders\",\"data\":\"d\",\"idempotency_key\":\"k\"}");
    assert_int_equal(count_received(f, "e"), 1);
}

static void a_refused_event_takes_no_key(void **state)
{
    struct api_fixture *f = *state;
    api_set_mailboxes(f, 1);
    api_join(f, 0, "orders", NULL);
    with_header(f, "k");
    api_publish(f, "{\"name\":\"e\",\"channel\":\"bad name\",\"data\":\"d\"}");
    assert_int_equal(f->reply.status, 400);
    with_header(f, "first");
    api_publish(f, "{\"name\":\"e\",\"channel\":\"orders\",\"data\":\"1\"}");
    with_header(f, "k");
    api_publish(f, "{\"name\":\"e\",\"channel\":\"orders\",\"data\":\"2\"}");
    assert_int_equal(f->reply.status, 503); /* the mailbox is full */
    assert_int_equal(count_received(f, "e"), 1);
    api_publish(f, "{\"name\":\"e\",\"channel\":\"orders\",\"data\":\"2\"}");
    api_expect_json(f, "{}");
    assert_int_equal(count_received(f, "e"), 1);
}

static void never_asked(pusherc_auth_request *request, void *user_data)
{
    (void)request;
    (void)user_data;
    fail();
}

static struct api_fixture *rendering;
static int status_meanwhile;
static char retry_after_meanwhile[8];

/* While an event is being published, the same request comes once more, as to another worker. */
static pusherc_render_verdict ask_again(pusherc_render *r, void *user_data)
{
    struct api_fixture *f = rendering;
    struct pc_api_request request = {.engine = f->engine,
                                     .worker = &f->engine->workers[1],
                                     .message = f->message,
                                     .unix_time_s = f->unix_time_s};
    struct pc_api_reply reply;
    (void)r;
    (void)user_data;
    pc_api_reply_init(&reply, &f->mem);
    assert_int_equal(pc_api_handle(&request, &reply, NULL), PC_API_REPLY);
    status_meanwhile = reply.status;
    for (size_t i = 0; i < reply.field_count; i++)
        if (pc_slice_eq(reply.fields[i].name, PC_S("Retry-After")))
            snprintf(retry_after_meanwhile, sizeof retry_after_meanwhile, "%.*s",
                     (int)reply.fields[i].value.len, reply.fields[i].value.ptr);
    pc_api_reply_free(&reply);
    return PUSHERC_RENDER_SAME;
}

static void join_rendered(struct api_fixture *f, const char *channel)
{
    struct api_reader *reader = &f->readers[0];
    struct pc_app *app = pc_apps_by_id(&f->engine->apps, PC_S("app-id"));
    struct pc_rule_match match =
        pc_rules_find(&f->engine->rules, app->id, pc_slice_of(channel), PUSHERC_CHANNEL_PUBLIC);
    struct pc_join join = {.app = app,
                           .q = &reader->q,
                           .channel = pc_slice_of(channel),
                           .match = &match,
                           .view = PC_S("all")};
    struct pc_channel_change change;
    struct pc_buf roster;
    assert_non_null(match.rule);
    assert_true(pc_channel_name_valid(join.channel, 200, &join.class));
    pc_buf_init(&roster, &f->mem, 1 << 20);
    assert_int_equal(pc_join_finish(reader->q.worker, &join, &roster,
                                    &reader->subscriptions[reader->count], &change),
                     0);
    reader->count++;
    pc_buf_free(&roster);
    pc_app_unref(app);
}

static void one_under_way_is_503(void **state)
{
    struct api_fixture *f = *state;
    pusherc_rule rule = PUSHERC_RULE_INIT;
    rule.pattern = "orders";
    rule.kinds = PUSHERC_RULE_PUBLIC;
    rule.authorize = never_asked;
    rule.render = ask_again;
    assert_int_equal(pc_rules_add(&f->engine->rules, &rule, NULL), 0);
    join_rendered(f, "orders");
    rendering = f;
    with_header(f, "k");
    api_publish(f, "{\"name\":\"e\",\"channel\":\"orders\",\"data\":\"d\"}");
    api_expect_json(f, "{}");
    assert_int_equal(status_meanwhile, 503);
    assert_string_equal(retry_after_meanwhile, "1");
    assert_int_equal(count_received(f, "e"), 1);
    api_publish(f, "{\"name\":\"e\",\"channel\":\"orders\",\"data\":\"d\"}");
    api_expect_json(f, "{}");
    assert_int_equal(count_received(f, "e"), 0);
}

static void events_of_a_batch_have_keys_of_their_own(void **state)
{
    struct api_fixture *f = *state;
    api_join(f, 0, "orders", NULL);
    api_batch(f, "{\"batch\":[{\"name\":\"e\",\"channel\":\"orders\",\"data\":\"1\","
                 "\"idempotency_key\":\"a\",\"info\":\"subscription_count\"},"
                 "{\"name\":\"e\",\"channel\":\"orders\",\"data\":\"2\"}]}");
    api_expect_json(f, "{\"batch\":[{\"subscription_count\":1},{}]}");
    assert_int_equal(count_received(f, "e"), 2);
    api_join(f, 1, "orders", NULL);
    api_batch(f, "{\"batch\":[{\"name\":\"e\",\"channel\":\"orders\",\"data\":\"3\","
                 "\"idempotency_key\":\"b\",\"info\":\"subscription_count\"},"
                 "{\"name\":\"e\",\"channel\":\"orders\",\"data\":\"1\","
                 "\"idempotency_key\":\"a\",\"info\":\"subscription_count\"}]}");
    api_expect_json(f, "{\"batch\":[{\"subscription_count\":2},{\"subscription_count\":1}]}");
    assert_int_equal(count_received(f, "e"), 1);
    /* one that is wrong, and nothing is published */
    static const char *const wrong[] = {
        "{\"batch\":[{\"name\":\"e\",\"channel\":\"orders\",\"data\":\"4\",\"idempotency_key\":"
        "\"c\"},"
        "{\"name\":\"e\",\"channel\":\"orders\",\"data\":\"5\",\"idempotency_key\":\"a\"}]}",
        "{\"batch\":[{\"name\":\"e\",\"channel\":\"orders\",\"data\":\"4\",\"idempotency_key\":"
        "\"c\"},"
        "{\"name\":\"e\",\"channel\":\"orders\",\"data\":\"4\",\"idempotency_key\":\"c\"}]}",
        "{\"batch\":[{\"name\":\"e\",\"channel\":\"orders\",\"data\":\"4\",\"idempotency_key\":"
        "\"\"}]}",
        "{\"idempotency_key\":7,\"batch\":[{\"name\":\"e\",\"channel\":\"orders\",\"data\":\"4\"}]"
        "}",
        "{\"idempotency_key\":\"a\",\"batch\":[{\"name\":\"e\",\"channel\":\"orders\",\"data\":"
        "\"4\"}]}",
    };
    static const int statuses[] = {409, 400, 400, 400, 409};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        api_batch(f, wrong[i]);
        assert_int_equal(f->reply.status, statuses[i]);
    }
    assert_int_equal(count_received(f, "e"), 0);
    /* and no key is taken by it */
    api_publish(f,
                "{\"name\":\"e\",\"channel\":\"orders\",\"data\":\"4\",\"idempotency_key\":\"c\"}");
    api_expect_json(f, "{}");
    assert_int_equal(count_received(f, "e"), 1);
}

static void a_whole_batch_may_have_a_key(void **state)
{
    static const char once[] = "{\"idempotency_key\":\"all\",\"batch\":["
                               "{\"name\":\"e\",\"channel\":\"orders\",\"data\":\"1\"},"
                               "{\"name\":\"e\",\"channel\":\"orders\",\"data\":\"2\","
                               "\"idempotency_key\":\"two\",\"info\":\"subscription_count\"}]}";
    struct api_fixture *f = *state;
    api_join(f, 0, "orders", NULL);
    for (size_t i = 0; i < 3; i++) {
        api_batch(f, once);
        api_expect_json(f, "{\"batch\":[{},{\"subscription_count\":1}]}");
    }
    assert_int_equal(count_received(f, "e"), 2);
    with_header(f, "header");
    for (size_t i = 0; i < 3; i++) {
        api_batch(f, "{\"batch\":[{\"name\":\"e\",\"channel\":\"orders\",\"data\":\"3\"}]}");
        api_expect_json(f, "{}");
    }
    assert_int_equal(count_received(f, "e"), 1);
}

/* Half of it was published when the mailbox was full: what has a key is not published again. */
static void a_batch_that_failed_goes_on_where_it_was(void **state)
{
    static const char batch[] =
        "{\"batch\":[{\"name\":\"e\",\"channel\":\"orders\",\"data\":\"1\",\"idempotency_key\":"
        "\"1\"},"
        "{\"name\":\"e\",\"channel\":\"orders\",\"data\":\"2\",\"idempotency_key\":\"2\"},"
        "{\"name\":\"e\",\"channel\":\"orders\",\"data\":\"3\",\"idempotency_key\":\"3\"}]}";
    struct api_fixture *f = *state;
    api_set_mailboxes(f, 2);
    api_join(f, 0, "orders", NULL);
    api_batch(f, batch);
    assert_int_equal(f->reply.status, 503);
    assert_int_equal(count_received(f, "e"), 2);
    api_batch(f, batch);
    api_expect_json(f, "{}");
    assert_int_equal(count_received(f, "e"), 1);
}

static void without_memory_nothing_is_published_twice(void **state)
{
    static const char *const bodies[] = {
        "{\"name\":\"e\",\"channel\":\"orders\",\"data\":\"d\",\"idempotency_key\":\"k\"}",
        "{\"idempotency_key\":\"all\",\"batch\":[{\"name\":\"e\",\"channel\":\"orders\","
        "\"data\":\"1\",\"idempotency_key\":\"k\",\"info\":\"subscription_count\"}]}",
    };
    (void)state;
    for (size_t b = 0; b < 2; b++) {
        bool failed = true;
        for (size_t n = 1; failed; n++) {
            struct api_fixture *f = malloc(sizeof *f);
            assert_non_null(f);
            if (api_try_open(f, "", api_limits(), n) == 0) {
                bool joined = api_try_join(f, 0, "orders", NULL) == 0;
                for (size_t i = 0; i < 2; i++) {
                    (b ? api_batch : api_publish)(f, bodies[b]);
                    if (f->reply.status != 500)
                        assert_int_equal(f->reply.status, 200);
                }
                /* none, if the queue could not take it */
                assert_true(count_received(f, "e") <= joined);
                api_close(f);
            }
            failed = failing_alloc_hit(&f->alloc);
            assert_int_equal(failing_alloc_live(&f->alloc), 0);
            free(f);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_repeat_gets_the_answer_of_the_first),
        cmocka_unit_test(a_failed_request_may_be_repeated),
        cmocka_unit_test(a_key_is_free_when_its_time_is_over),
        cmocka_unit_test(the_oldest_goes_when_memory_is_full),
        cmocka_unit_test(without_memory_nothing_is_noted),
        cmocka_unit_test(threads_do_each_thing_once),
        api_test(an_event_with_a_key_is_published_once),
        api_test(the_key_may_stand_in_a_header_field),
        api_test(odd_keys_are_refused),
        api_test(keys_are_the_apps_own),
        api_test(a_refused_event_takes_no_key),
        api_test(one_under_way_is_503),
        api_test(events_of_a_batch_have_keys_of_their_own),
        api_test(a_whole_batch_may_have_a_key),
        api_test(a_batch_that_failed_goes_on_where_it_was),
        cmocka_unit_test(without_memory_nothing_is_published_twice),
    };
    return cmocka_run_group_tests_name("test_idempotency", tests, NULL, NULL);
}
