/*
 * Bytes of an HTTP connection, request after request, into the HTTP API: each as it is, and once more
 * signed, because no fuzzer guesses a digest. Every complete request is answered, with a status, fields
 * and a body that can be sent; nothing is published by a request that is refused.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <pusherc/error.h>

#include "api/api.h"
#include "auth/sign.h"
#include "codec/json.h"
#include "fanout/subscription.h"
#include "require.h"

#define NOW 1700000000U

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* One server for all inputs: what an input leaves behind is a finding, too. */
struct server {
    struct pc_mem mem;
    struct pc_engine engine;
    struct pc_hmac_key *secret;
    struct pc_outq q;
    struct pc_await await;
    struct pc_api_call *waiting; /* a request, while the host is asked for its app */
    struct pc_api_reply *reply;  /* what it is answered with */
    enum pc_api_result result;
};

/* Has no app to put. */
static void find_app(pusherc_app_request *request, void *user_data)
{
    (void)user_data;
    REQUIRE(pusherc_app_request_id(request).len > 0 && pusherc_app_request_key(request).len == 0);
    REQUIRE(pusherc_app_answer(request, NULL) == 0);
}

static void resume(struct pc_await *await, struct pc_pending *answer)
{
    struct server *server = PC_CONTAINER(await, struct server, await);
    server->result = pc_api_resume(&server->waiting, answer, server->reply);
}

static void no_wake(void *ctx)
{
    (void)ctx;
}

static void no_overflow(struct pc_outq *q)
{
    (void)q;
}

static void subscribe(struct server *server, struct pc_app *app, const char *channel)
{
    struct pc_join join = {
        .app = app,
        .q = &server->q,
        .channel = pc_slice_of(channel),
        .user_id = PC_S("7"),
        .user_info = PC_S("{\"name\":\"Zoe\"}"),
    };
    struct pc_subscription *subscription;
    struct pc_channel_change change;
    struct pc_buf roster;
    REQUIRE(pc_channel_name_valid(join.channel, 200, &join.class));
    pc_buf_init(&roster, &server->mem, 1 << 20);
    REQUIRE(pc_join_finish(&server->engine.workers[0], &join, &roster, &subscription, &change) ==
            0);
    pc_buf_free(&roster);
}

static struct server *start(void)
{
    pusherc_server_options limits = {.out_hard_bytes = 1 << 20,
                                     .max_auth_skew_s = 600,
                                     .idempotency_ms = 120000,
                                     .max_questions_per_app = PUSHERC_NO_LIMIT,
                                     .max_unknown_apps_per_ip = PUSHERC_NO_LIMIT,
                                     .unknown_app_ms = PUSHERC_NO_DELAY};
    pusherc_app_options options = PUSHERC_APP_OPTIONS_INIT;
    struct server *server = calloc(1, sizeof *server);
    REQUIRE(server);
    server->mem = pc_mem_make(NULL);
    options.id = "app-id";
    options.key = "app-key";
    options.secret = "app-secret";
    REQUIRE(pc_engine_init(&server->engine, &server->mem, &limits, 1, 1000) == 0);
    server->engine.constants.idempotency_max_bytes = 4096;
    server->engine.hooks.find_app = find_app;
    server->await.resume = resume;
    struct pc_worker *worker = &server->engine.workers[0];
    REQUIRE(pc_mailbox_new(&worker->mailbox, &server->mem, 10000, no_wake, NULL) == 0);
    REQUIRE(pc_apps_put(&server->engine.apps, &options, 1, NULL) == 0);
    REQUIRE(pc_hmac_key_new(&server->secret, &server->mem, PC_S("app-secret")) == 0);
    pc_outq_init(&server->q, worker, no_overflow);
    struct pc_app *app = pc_apps_by_id(&server->engine.apps, PC_S("app-id"));
    subscribe(server, app, "orders");
    subscribe(server, app, "a");
    subscribe(server, app, "cache-price");
    subscribe(server, app, "presence-room.1");
    subscribe(server, app, "#server-to-user-7");
    pc_app_unref(app);
    return server;
}

/* What was delivered; the queue is empty afterwards. */
static uint32_t take_delivered(struct server *server)
{
    while (pc_mailbox_run(server->engine.workers[0].mailbox, &server->engine.workers[0]))
        ;
    return pc_outq_drop(&server->q);
}

static void check_status(enum pc_api_result result, const struct pc_api_reply *reply)
{
    static const int known[] = {200, 202, 204, 400, 401, 403, 404, 405, 409, 413, 429, 500, 503};
    bool found = false;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        found |= reply->status == known[i];
    REQUIRE(found);
    REQUIRE(result == PC_API_REPLY || reply->status == 404);
    REQUIRE(reply->status != 500);
}

static void check_body(const struct pc_api_reply *reply)
{
    pusherc_slice body = pc_buf_slice(&reply->body);
    REQUIRE(pc_buf_status(&reply->body) == 0);
    REQUIRE(pc_utf8_valid(body));
    if (!reply->content_type) {
        REQUIRE(body.len == 0);
    } else if (strcmp(reply->content_type, "application/json") == 0) {
        REQUIRE(reply->status == 200);
        REQUIRE(pc_json_parse(body).type == PC_JSON_OBJECT);
    } else {
        for (size_t i = 0; i < body.len; i++)
            REQUIRE((unsigned char)body.ptr[i] >= 0x20 && body.ptr[i] != 0x7f);
        REQUIRE(body.len > 0);
    }
}

static void check_fields(const struct pc_api_reply *reply)
{
    REQUIRE(reply->field_count >= 3 && reply->field_count <= PC_API_MAX_FIELDS);
    for (size_t i = 0; i < reply->field_count; i++)
        REQUIRE(pc_http_field_valid(reply->fields[i].name, reply->fields[i].value));
}

static void handle(struct server *server, const struct pc_http_message *message)
{
    struct pc_api_request request = {
        .engine = &server->engine,
        .worker = &server->engine.workers[0],
        .message = message,
        .unix_time_s = NOW,
        .await = message->http10 ? NULL : &server->await, /* both ways are walked */
    };
    struct pc_api_reply reply;
    uint64_t published = atomic_load(&server->engine.publishes);

    pc_api_reply_init(&reply, &server->mem);
    server->reply = &reply;
    server->result = pc_api_handle(&request, &reply, &server->waiting);
    if (server->result == PC_API_PENDING) {
        REQUIRE(!message->http10);
        while (pc_mailbox_run(request.worker->mailbox, request.worker))
            ;
    }
    enum pc_api_result result = server->result;
    REQUIRE(result != PC_API_PENDING && !server->waiting);
    check_status(result, &reply);
    check_body(&reply);
    check_fields(&reply);
    bool accepted = result == PC_API_REPLY && (reply.status == 200 || reply.status == 202);
    if (!accepted)
        REQUIRE(atomic_load(&server->engine.publishes) == published);
    uint32_t delivered = take_delivered(server);
    if (atomic_load(&server->engine.publishes) == published)
        REQUIRE(delivered == 0);
    pc_api_reply_free(&reply);
}

/* The query of `message` with a signature of it appended to `out`. False: too many parameters. */
static bool sign(const struct server *server, const struct pc_http_message *message,
                 struct pc_buf *out, struct pc_buf *scratch)
{
    static const char fixed[] = "auth_key=app-key&auth_timestamp=1700000000&auth_version=1.0";
    struct pc_pair params[PC_SIGN_MAX_PARAMS];
    char md5[PC_MD5_HEX], signature[PC_SHA256_HEX];
    struct pc_buf canonical;
    size_t count;

    pc_buf_put(out, message->query);
    pc_buf_put(out, PC_S("&"));
    pc_buf_put(out, PC_S(fixed));
    if (message->body.len) {
        REQUIRE(pc_md5_hex(message->body, md5) == 0);
        pc_buf_put(out, PC_S("&body_md5="));
        pc_buf_put(out, pc_slice(md5, sizeof md5));
    }
    if (pc_http_params(pc_buf_slice(out), params, PC_SIGN_MAX_PARAMS, &count, scratch))
        return false;
    pc_buf_init(&canonical, &server->mem, SIZE_MAX);
    pc_sign_put_query(&canonical, params, count, PC_QUERY_AS_RECEIVED);
    const pusherc_slice parts[] = {message->method, PC_S("\n"), message->path, PC_S("\n"),
                                   pc_buf_slice(&canonical)};
    REQUIRE(pc_hmac_hex(server->secret, parts, 5, signature) == 0);
    pc_buf_free(&canonical);
    pc_buf_put(out, PC_S("&auth_signature="));
    pc_buf_put(out, pc_slice(signature, sizeof signature));
    return true;
}

static void handle_both_ways(struct server *server, const struct pc_http_message *message)
{
    struct pc_http_message signed_message = *message;
    struct pc_buf query, scratch;
    handle(server, message);
    pc_buf_init(&query, &server->mem, SIZE_MAX);
    pc_buf_init(&scratch, &server->mem, SIZE_MAX);
    if (sign(server, message, &query, &scratch)) {
        signed_message.query = pc_buf_slice(&query);
        handle(server, &signed_message);
    }
    pc_buf_free(&query);
    pc_buf_free(&scratch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct server *server;
    struct pc_http_limits limits = {16384, 1 << 20};
    struct pc_http_parser *parser;
    pusherc_slice rest = {(const char *)data, size};
    size_t taken;

    if (!server)
        server = start();
    REQUIRE(pc_http_parser_new(&parser, &server->mem, limits) == 0);
    for (;;) {
        enum pc_http_result result = pc_http_parser_feed(parser, rest, &taken);
        rest = pc_slice_skip(rest, taken);
        if (result == PC_HTTP_REQUEST) {
            handle_both_ways(server, pc_http_parser_message(parser));
            pc_http_parser_next(parser);
        } else if (result != PC_HTTP_CONTINUE) {
            break;
        }
    }
    pc_http_parser_free(parser);
    return 0;
}
