/*
 * A server without sockets for the tests of the HTTP API: an engine whose mailboxes are run by hand,
 * subscribers that are only queues, and requests signed with the app's secret.
 */
#ifndef TESTS_API_FIXTURE_H
#define TESTS_API_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pusherc/error.h>
#include <pusherc/sign.h>

#include "api/api.h"
#include "codec/json.h"
#include "fanout/subscription.h"
#include "unit/failing_alloc.h"

#define API_NOW     1700000000U /* of the vectors V20 to V28 */
#define API_READERS 4
#define API_WORKERS 2

struct api_reader {
    struct pc_outq q;
    struct pc_subscription *subscriptions[8];
    size_t count;
};

struct api_fixture {
    struct failing_alloc alloc;
    struct pc_mem mem;
    struct pc_engine *engine;
    struct api_reader readers[API_READERS]; /* the first two on worker 0, the others on worker 1 */
    uint64_t unix_time_s;
    bool host_has_pages;
    bool may_wait; /* requests are given something to wait with */
    struct pc_await await;
    struct pc_api_call *waiting; /* the last request, while it waits; its texts are the test's */
    struct pc_http_message sent;
    char *query;                  /* of the last signed request */
    const struct pc_pair *fields; /* of every request */
    size_t field_count;
    const struct pc_http_message *message; /* the one that is being handled */
    /* what the last request came to */
    struct pc_api_reply reply;
    enum pc_api_result result;
    char body[65536]; /* NUL-terminated copy */
};

static inline void api_no_wake(void *ctx)
{
    (void)ctx;
}

static inline void api_no_overflow(struct pc_outq *q)
{
    (void)q;
}

static inline pusherc_server_options api_limits(void)
{
    return (pusherc_server_options){
        .out_soft_bytes = 262144,
        .out_hard_bytes = 1048576,
        .max_auth_skew_s = 600,
        .idempotency_ms = 120000,
        .max_questions_per_app = PUSHERC_NO_LIMIT,
        .max_unknown_apps_per_ip = PUSHERC_NO_LIMIT,
        .unknown_app_ms = PUSHERC_NO_DELAY,
    };
}

static inline pusherc_app_options api_app(void)
{
    pusherc_app_options options = PUSHERC_APP_OPTIONS_INIT;
    options.id = "app-id";
    options.key = "app-key";
    options.secret = "app-secret";
    return options;
}

static inline int api_try_put(struct api_fixture *f, const pusherc_app_options *options)
{
    return pc_apps_put(&f->engine->apps, options, 1, NULL);
}

static inline void api_put(struct api_fixture *f, const pusherc_app_options *options)
{
    assert_int_equal(api_try_put(f, options), 0);
}

static inline void api_copy_body(struct api_fixture *f)
{
    pusherc_slice answer = pc_buf_slice(&f->reply.body);
    assert_true(answer.len < sizeof f->body);
    if (answer.len)
        memcpy(f->body, answer.ptr, answer.len);
    f->body[answer.len] = '\0';
}

/* The answer that a request has waited for goes on with it, as a connection does. */
static inline void api_resume(struct pc_await *await, struct pc_pending *answer)
{
    struct api_fixture *f = PC_CONTAINER(await, struct api_fixture, await);
    pc_api_reply_free(&f->reply);
    pc_api_reply_init(&f->reply, &f->mem);
    f->result = pc_api_resume(&f->waiting, answer, &f->reply);
    api_copy_body(f);
}

/* The client leaves, or has waited too long. */
static inline void api_leave(struct api_fixture *f)
{
    pc_await_abandon(&f->await);
    if (f->waiting)
        pc_api_call_free(f->waiting);
    f->waiting = NULL;
}

static inline void api_close(struct api_fixture *f)
{
    free(f->query);
    f->query = NULL;
    struct pc_channel_change change;
    for (size_t i = 0; f->engine && i < API_READERS; i++) {
        struct api_reader *reader = &f->readers[i];
        struct pc_app *app = pc_apps_by_id(&f->engine->apps, PC_S("app-id"));
        while (reader->count)
            pc_leave(reader->q.worker, app, reader->subscriptions[--reader->count], true, NULL,
                     &change);
        pc_app_unref(app);
        pc_outq_free(&reader->q);
    }
    pc_api_reply_free(&f->reply);
    api_leave(f);
    if (!f->engine)
        return;
    for (uint32_t i = 0; i < API_WORKERS; i++) {
        struct pc_mailbox *box = f->engine->workers[i].mailbox;
        if (box)
            pc_mailbox_close(box);
        pc_mailbox_unref(box);
    }
    pc_engine_free(f->engine);
    pc_free(&f->mem, f->engine);
    f->engine = NULL;
}

/* 0 or PUSHERC_ENOMEM; then everything has been given back. */
static inline int api_try_open(struct api_fixture *f, const char *prefix,
                               pusherc_server_options limits, size_t fail_at)
{
    memset(f, 0, sizeof *f);
    pusherc_allocator allocator = failing_alloc_init(&f->alloc, fail_at);
    f->mem = pc_mem_make(&allocator);
    f->unix_time_s = API_NOW;
    f->await.resume = api_resume;
    pc_api_reply_init(&f->reply, &f->mem);
    struct pc_engine *engine = pc_alloc_zero(&f->mem, sizeof *engine);
    if (!engine)
        return PUSHERC_ENOMEM;
    limits.path_prefix = prefix;
    int err = pc_engine_init(engine, &f->mem, &limits, API_WORKERS, 1000);
    if (err) {
        pc_free(&f->mem, engine);
        return err;
    }
    f->engine = engine;
    engine->constants.idempotency_max_bytes = 65536;
    for (size_t i = 0; i < API_READERS; i++) {
        struct api_reader *reader = &f->readers[i];
        pc_outq_init(&reader->q, &engine->workers[i / 2], api_no_overflow);
        reader->q.owner = (pusherc_socket_id){1000 + i, 2000 + i};
    }
    for (uint32_t i = 0; i < API_WORKERS && err == 0; i++)
        err = pc_mailbox_new(&engine->workers[i].mailbox, &f->mem, 1000, api_no_wake, NULL);
    pusherc_app_options app = api_app();
    if (err == 0)
        err = api_try_put(f, &app);
    if (err)
        api_close(f);
    return err;
}

static inline void api_open(struct api_fixture *f, const char *prefix)
{
    assert_int_equal(api_try_open(f, prefix, api_limits(), 0), 0);
}

/* How many events may be on their way to one worker. */
static inline void api_set_mailboxes(struct api_fixture *f, uint32_t max)
{
    for (uint32_t i = 0; i < API_WORKERS; i++)
        f->engine->workers[i].mailbox->max = max;
}

static inline int api_set_up(void **state)
{
    struct api_fixture *f = malloc(sizeof *f);
    if (!f)
        return -1;
    api_open(f, "");
    *state = f;
    return 0;
}

static inline int api_tear_down(void **state)
{
    struct api_fixture *f = *state;
    api_close(f);
    size_t live = failing_alloc_live(&f->alloc);
    free(f);
    return live == 0 ? 0 : -1;
}

/* A test with a server of its own. */
#define api_test(function) cmocka_unit_test_setup_teardown(function, api_set_up, api_tear_down)

/* user_id: of presence channels, else NULL. 0 or PUSHERC_ENOMEM. */
static inline int api_try_join(struct api_fixture *f, size_t reader_index, const char *channel,
                               const char *user_id)
{
    struct api_reader *reader = &f->readers[reader_index];
    struct pc_app *app = pc_apps_by_id(&f->engine->apps, PC_S("app-id"));
    struct pc_join join = {
        .app = app,
        .q = &reader->q,
        .channel = pc_slice_of(channel),
        .user_id = pc_slice_of(user_id),
        .user_info = PC_S("{\"name\":\"Zoe\"}"),
    };
    struct pc_channel_change change;
    struct pc_buf roster;
    assert_true(pc_channel_name_valid(join.channel, 200, &join.class));
    assert_true(reader->count < sizeof reader->subscriptions / sizeof reader->subscriptions[0]);
    pc_buf_init(&roster, &f->mem, 1 << 20);
    int err = pc_join_finish(reader->q.worker, &join, &roster,
                             &reader->subscriptions[reader->count], &change);
    reader->count += err == 0;
    pc_buf_free(&roster);
    pc_app_unref(app);
    return err;
}

static inline void api_join(struct api_fixture *f, size_t reader_index, const char *channel,
                            const char *user_id)
{
    assert_int_equal(api_try_join(f, reader_index, channel, user_id), 0);
}

static inline void api_run_mail(struct api_fixture *f)
{
    for (uint32_t i = 0; i < API_WORKERS; i++)
        while (pc_mailbox_run(f->engine->workers[i].mailbox, &f->engine->workers[i]))
            ;
}

/* The payloads that wait for a reader, each with a line feed; the queue is empty afterwards. */
static inline const char *api_received(struct api_fixture *f, size_t reader_index)
{
    static char text[1 << 20];
    struct pc_outq *q = &f->readers[reader_index].q;
    struct iovec frame;
    size_t len = 0;
    api_run_mail(f);
    while (pc_outq_gather(q, &frame, 1) == 1) {
        const unsigned char *bytes = frame.iov_base;
        size_t header = bytes[1] < 126 ? 2 : bytes[1] == 126 ? 4 : 10;
        assert_int_equal(bytes[0], 0x81);
        assert_true(len + frame.iov_len + 2 < sizeof text);
        memcpy(text + len, bytes + header, frame.iov_len - header);
        len += frame.iov_len - header;
        text[len++] = '\n';
        pc_outq_wrote(q, frame.iov_len);
    }
    text[len] = '\0';
    return text;
}

/* A request as it stands. */
static inline void api_send(struct api_fixture *f, const char *method, const char *path,
                            const char *query, pusherc_slice body)
{
    f->sent = (struct pc_http_message){
        .method = pc_slice_of(method),
        .path = pc_slice_of(path),
        .query = pc_slice_of(query),
        .fields = f->fields,
        .field_count = f->field_count,
        .body = body,
        .keep_alive = true,
    };
    struct pc_api_request request = {
        .engine = f->engine,
        .worker = &f->engine->workers[0],
        .message = &f->sent,
        .unix_time_s = f->unix_time_s,
        .host_has_pages = f->host_has_pages,
        .await = f->may_wait ? &f->await : NULL,
    };
    f->message = &f->sent;
    pc_api_reply_free(&f->reply);
    pc_api_reply_init(&f->reply, &f->mem);
    f->result = pc_api_handle(&request, &f->reply, &f->waiting);
    f->message = NULL;
    api_copy_body(f);
}

/* A signed request. `params`: "name=value" pairs joined by '&', not encoded; NULL = none. */
static inline void api_request_body(struct api_fixture *f, const char *method, const char *path,
                                    const char *params, pusherc_slice body)
{
    pusherc_credentials credentials = PUSHERC_CREDENTIALS_INIT;
    pusherc_http_param list[PUSHERC_MAX_SIGNED_PARAMS];
    size_t count = 0;
    credentials.key = PC_S("app-key");
    credentials.secret = PC_S("app-secret");
    pusherc_slice rest = pc_slice_of(params);
    while (rest.len) {
        pusherc_slice pair = pc_slice_first(rest, pc_slice_find(rest, '&'));
        rest = pc_slice_skip(rest, pair.len + (pair.len < rest.len));
        size_t eq = pc_slice_find(pair, '=');
        list[count++] = (pusherc_http_param){pc_slice_first(pair, eq), pc_slice_skip(pair, eq + 1)};
    }
    size_t cap = 65536;
    char *query = malloc(cap), *before = f->query;
    assert_non_null(query);
    assert_int_equal(pusherc_sign_request(&credentials, method, path, list, count, body,
                                          f->unix_time_s, query, cap, NULL),
                     0);
    f->query = query; /* stays, for the request may wait */
    api_send(f, method, path, query, body);
    free(before);
}

static inline void api_request(struct api_fixture *f, const char *method, const char *path,
                               const char *params, const char *body)
{
    api_request_body(f, method, path, params, pc_slice_of(body));
}

static inline void api_get(struct api_fixture *f, const char *path, const char *params)
{
    api_request(f, "GET", path, params, NULL);
}

static inline void api_publish(struct api_fixture *f, const char *body)
{
    api_request(f, "POST", "/apps/app-id/events", NULL, body);
}

static inline void api_batch(struct api_fixture *f, const char *body)
{
    api_request(f, "POST", "/apps/app-id/batch_events", NULL, body);
}

static inline void api_expect_status(struct api_fixture *f, int status, const char *body,
                                     const char *context)
{
    if (f->reply.status != status || strcmp(f->body, body) != 0)
        fail_msg("%s: %d \"%s\" instead of %d \"%s\"", context, f->reply.status, f->body, status,
                 body);
}

static inline void api_expect_json(struct api_fixture *f, const char *body)
{
    api_expect_status(f, 200, body, "JSON");
    assert_int_equal(f->result, PC_API_REPLY);
    assert_string_equal(f->reply.content_type, "application/json");
}

/* An error is one line of text. */
static inline void api_expect_error(struct api_fixture *f, int status, const char *body,
                                    const char *context)
{
    api_expect_status(f, status, body, context);
    assert_string_equal(f->reply.content_type, "text/plain; charset=utf-8");
    assert_true(pc_utf8_valid(pc_slice_of(f->body)));
    assert_null(strpbrk(f->body, "\r\n"));
}

/* Value of a field of the reply; NULL = absent. Dies with the next call. */
static inline const char *api_field(struct api_fixture *f, const char *name)
{
    static char value[300];
    for (size_t i = 0; i < f->reply.field_count; i++) {
        const struct pc_pair *field = &f->reply.fields[i];
        if (!pc_slice_eq_nocase(field->name, pc_slice_of(name)))
            continue;
        snprintf(value, sizeof value, "%.*s", (int)field->value.len, field->value.ptr);
        return value;
    }
    return NULL;
}

static inline void api_expect_field(struct api_fixture *f, const char *name, const char *value)
{
    const char *found = api_field(f, name);
    if (!found || strcmp(found, value) != 0)
        fail_msg("%s: %s instead of %s", name, found ? found : "nothing", value);
}

#endif
