/*
 * The engine without sockets, for unit tests and fuzzers. The test runs each worker's turns and moves the time. A
 * client is a session over a queue, as a connection is, with a transport that records its calls. The fixture does
 * not use cmocka, because fuzzers include it: a broken requirement ends the process.
 */
#ifndef TESTS_ENGINE_FIXTURE_H
#define TESTS_ENGINE_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pusherc/error.h>
#include <pusherc/sign.h>

#include "base/clock.h"
#include "fanout/channel_timer.h"
#include "fanout/publish.h"
#include "require.h"
#include "session/joining.h"
#include "session/reply.h"
#include "unit/failing_alloc.h"

#define FX_WORKERS  4 /* as many as any test wants */
#define FX_START_MS 1000000

struct fx {
    struct failing_alloc alloc;
    struct pc_mem mem;
    struct pc_engine *engine;
    unsigned wakes[FX_WORKERS];
};

/* The parts of a connection, and what its peer has read. */
struct fx_client {
    struct pc_outq q;
    struct pc_session session;
    struct fx *fx;
    bool stuck;      /* the peer does not read, so the queue is not written */
    bool untold;     /* a record of TLS waits: what is written is not told */
    bool over;       /* the session has ended */
    bool slow;       /* result of the last flush */
    uint16_t closed; /* code of the close sent; 0 = none */
    unsigned closes, pings;
    char reason[128];
    char *heard; /* payloads, each with a line feed; NUL-terminated */
    size_t heard_len, heard_cap;
    size_t told; /* bytes that fx_heard() has returned */
};

static inline pusherc_server_options fx_limits(void)
{
    return (pusherc_server_options){
        .max_connections = PUSHERC_NO_LIMIT,
        .pong_timeout_ms = 30000,
        .out_soft_bytes = 262144,
        .out_soft_ms = 10000,
        .out_hard_bytes = 1048576,
        .max_cache_bytes = 1 << 20,
        .max_history_bytes = 1 << 20,
        .max_questions_per_connection = PUSHERC_NO_LIMIT,
        .max_questions_per_ip = PUSHERC_NO_LIMIT,
        .max_questions_per_app = PUSHERC_NO_LIMIT,
        .max_unknown_apps_per_ip = PUSHERC_NO_LIMIT,
        .unknown_app_ms = PUSHERC_NO_DELAY,
    };
}

static inline pusherc_app_options fx_app(void)
{
    pusherc_app_options options = PUSHERC_APP_OPTIONS_INIT;
    options.id = "app-id";
    options.key = "app-key";
    options.secret = "app-secret";
    options.client_events = true;
    options.activity_timeout_ms = 120000; /* long enough for what a test waits for */
    return options;
}

/* -- the engine -- */

static inline void fx_wake(void *ctx)
{
    ++*(unsigned *)ctx;
}

/* Call it after the last client is disconnected. Members who are absent leave, as when a server stops. */
static inline void fx_close(struct fx *fx)
{
    if (fx->engine)
        fx->engine->draining = true;
    for (uint32_t i = 0; fx->engine && i < fx->engine->worker_count; i++)
        pc_channel_timers_hurry(&fx->engine->workers[i], NULL, NULL);
    for (uint32_t i = 0; fx->engine && i < fx->engine->worker_count; i++)
        pc_people_hurry(&fx->engine->workers[i]);
    for (uint32_t i = 0; fx->engine && i < fx->engine->worker_count; i++) {
        struct pc_mailbox *box = fx->engine->workers[i].mailbox;
        if (box)
            pc_mailbox_close(box);
        pc_decisions_free(fx->engine->workers[i].decisions);
        pc_mailbox_unref(box);
    }
    if (fx->engine)
        pc_engine_free(fx->engine);
    pc_free(&fx->mem, fx->engine);
    fx->engine = NULL;
}

/* Opens the engine with memory from fx->mem. Returns 0, or PUSHERC_ENOMEM with all memory freed. */
static inline int fx_try_open_here(struct fx *fx, const pusherc_server_options *limits,
                                   const pusherc_hooks *hooks, uint32_t workers)
{
    struct pc_engine *engine = pc_alloc_zero(&fx->mem, sizeof *engine);
    if (!engine)
        return PUSHERC_ENOMEM;
    pusherc_server_options options = *limits;
    options.hooks = hooks;
    int err = pc_engine_init(engine, &fx->mem, &options, workers, FX_START_MS);
    if (err) {
        pc_free(&fx->mem, engine);
        return err;
    }
    fx->engine = engine;
    for (uint32_t i = 0; i < workers && err == 0; i++) {
        err = pc_mailbox_new(&engine->workers[i].mailbox, &fx->mem, 65536, fx_wake, &fx->wakes[i]);
        if (err == 0)
            err = pc_decisions_new(&engine->workers[i].decisions, &engine->workers[i]);
    }
    if (err)
        fx_close(fx);
    return err;
}

/* The same with counted memory: the request number `fail_at` fails; 0 = none. Not for several threads. */
static inline int fx_try_open(struct fx *fx, const pusherc_server_options *limits,
                              const pusherc_hooks *hooks, uint32_t workers, size_t fail_at)
{
    *fx = (struct fx){.engine = NULL};
    pusherc_allocator allocator = failing_alloc_init(&fx->alloc, fail_at);
    fx->mem = pc_mem_make(&allocator);
    return fx_try_open_here(fx, limits, hooks, workers);
}

static inline int fx_try_put(struct fx *fx, const pusherc_app_options *options)
{
    return pc_apps_put(&fx->engine->apps, options, 1, NULL);
}

/* The same with the app of fx_app() and without limits. */
static inline void fx_open(struct fx *fx, uint32_t workers)
{
    pusherc_server_options limits = fx_limits();
    pusherc_app_options app = fx_app();
    REQUIRE(fx_try_open(fx, &limits, NULL, workers, 0) == 0);
    REQUIRE(fx_try_put(fx, &app) == 0);
}

/* -- a connection -- */

static inline struct fx_client *fx_client_of(struct pc_session *session)
{
    return PC_CONTAINER(session, struct fx_client, session);
}

static inline void fx_transport_close(struct pc_session *session, uint16_t code,
                                      pusherc_slice reason)
{
    struct fx_client *client = fx_client_of(session);
    client->closed = code;
    client->closes++;
    snprintf(client->reason, sizeof client->reason, "%.*s", (int)reason.len, reason.ptr);
    pc_outq_mark(&client->q);
    client->q.closed = true;
}

static inline void fx_transport_ping(struct pc_session *session)
{
    fx_client_of(session)->pings++;
}

static inline void fx_on_overflow(struct pc_outq *q)
{
    pc_session_overflow(&PC_CONTAINER(q, struct fx_client, q)->session);
}

/* Returns 0, or PUSHERC_ENOMEM without a session. Owns `identity` from then on; NULL = anonymous. */
static inline int fx_try_connect_to(struct fx *fx, struct fx_client *client, uint32_t worker,
                                    uint8_t protocol, const char *app_key,
                                    struct pc_identity *identity)
{
    static const struct pc_transport transport = {fx_transport_close, fx_transport_ping};
    *client = (struct fx_client){.fx = fx, .over = true};
    pc_outq_init(&client->q, &fx->engine->workers[worker], fx_on_overflow);
    struct pc_app *app = pc_apps_by_key(&fx->engine->apps, pc_slice_of(app_key));
    REQUIRE(app && pc_app_connect(app));
    struct pc_newcomer newcomer = {.app = app, .identity = identity, .protocol = protocol};
    int err = pc_session_open(&client->session, &fx->engine->workers[worker], &client->q,
                              &transport, &newcomer);
    client->over = err != 0;
    if (err)
        pc_newcomer_free(&newcomer);
    return err;
}

static inline int fx_try_connect(struct fx *fx, struct fx_client *client, uint32_t worker,
                                 uint8_t protocol)
{
    return fx_try_connect_to(fx, client, worker, protocol, "app-key", NULL);
}

static inline void fx_connect(struct fx *fx, struct fx_client *client, uint32_t worker)
{
    REQUIRE(fx_try_connect(fx, client, worker, 7) == 0);
}

/* Connects with an identity from the host. */
static inline void fx_connect_as(struct fx *fx, struct fx_client *client, uint32_t worker,
                                 const char *user_id)
{
    struct pc_identity *identity = pc_identity_new(&fx->mem, pc_slice_of(user_id), PC_S(""));
    REQUIRE(identity);
    REQUIRE(fx_try_connect_to(fx, client, worker, 7, "app-key", identity) == 0);
}

/* The peer is gone. Does nothing if the client was not connected. */
static inline void fx_disconnect(struct fx_client *client)
{
    if (client->fx) {
        pc_session_end(&client->session);
        pc_outq_free(&client->q);
    }
    client->over = true;
    free(client->heard);
    client->heard = NULL;
    client->heard_len = client->heard_cap = client->told = 0;
}

/* -- turns -- */

static inline void fx_hear(struct fx_client *client, const struct iovec *frame)
{
    const unsigned char *bytes = frame->iov_base;
    size_t header = bytes[1] < 126 ? 2 : bytes[1] == 126 ? 4 : 10;
    size_t len = frame->iov_len - header;
    REQUIRE(bytes[0] == 0x81);
    if (client->heard_cap < client->heard_len + len + 2) {
        client->heard_cap = (client->heard_len + len + 2) * 2;
        client->heard = realloc(client->heard, client->heard_cap);
        REQUIRE(client->heard);
    }
    memcpy(client->heard + client->heard_len, bytes + header, len);
    client->heard_len += len;
    client->heard[client->heard_len++] = '\n';
    client->heard[client->heard_len] = '\0';
}

/* Does what a connection does: ends a session that is closing, then writes the queue, unless the peer is stuck. */
static inline void fx_flush(struct fx_client *client)
{
    struct iovec frame;
    if (client->session.state == PC_SESSION_CLOSING) {
        pc_session_end(&client->session);
        client->over = true;
    }
    while (!client->stuck && pc_outq_gather(&client->q, &frame, 1) == 1) {
        fx_hear(client, &frame);
        pc_outq_wrote(&client->q, frame.iov_len);
    }
    if (!client->untold)
        pc_outq_tell(&client->q);
    if (!client->over)
        client->slow = client->q.count > 0 && pc_session_slow(&client->session);
}

/* Takes all that is marked, in the order in which a loop with time for everything writes it. */
static inline void fx_take_marked(struct pc_worker *worker, struct pc_list *out)
{
    struct pc_list bulk;
    pc_list_take(out, &worker->dirty);
    pc_list_take(&bulk, &worker->bulk);
    PC_LIST_EACH_SAFE(l, next, &bulk) {
        pc_list_remove(l);
        pc_list_push_back(out, l);
    }
}

/* Runs one turn of one worker: joins that wait, its mailbox, then its queues. Returns false if it had no work. */
static inline bool fx_round(struct fx *fx, uint32_t index)
{
    struct pc_worker *worker = &fx->engine->workers[index];
    bool any = pc_session_serve_joins(worker, pc_clock_us, 1000000);
    struct pc_list dirty;
    any |= pc_mailbox_run(worker->mailbox, worker);
    any |= pc_decisions_ask(worker);
    any |= pc_worker_marked(worker);
    fx_take_marked(worker, &dirty);
    while (!pc_list_empty(&dirty)) {
        struct pc_outq *q = PC_CONTAINER(dirty.next, struct pc_outq, dirty);
        pc_list_remove(&q->dirty);
        fx_flush(PC_CONTAINER(q, struct fx_client, q));
    }
    return any;
}

/* Runs turns until no worker has work left. */
static inline void fx_settle(struct fx *fx)
{
    bool any = true;
    while (any) {
        any = false;
        for (uint32_t i = 0; i < fx->engine->worker_count; i++)
            any |= fx_round(fx, i);
    }
}

/* Moves the time of all workers, and fires timers. */
static inline void fx_pass(struct fx *fx, uint64_t ms)
{
    for (uint32_t i = 0; i < fx->engine->worker_count; i++) {
        struct pc_worker *worker = &fx->engine->workers[i];
        worker->now_ms += ms;
        pc_timers_run(&worker->timers, worker->now_ms);
    }
}

/* Lets the time pass in which what comes and goes is gathered. */
static inline void fx_wait(struct fx *fx)
{
    fx_pass(fx, PC_GATHER_MS);
    fx_settle(fx);
}

/* Discards what the client has read. */
static inline void fx_forget(struct fx_client *client)
{
    client->heard_len = client->told = 0;
    if (client->heard)
        client->heard[0] = '\0';
}

/* Settles, and returns what this client has read since the last call. Valid until the next one. */
static inline const char *fx_heard(struct fx_client *client)
{
    fx_settle(client->fx);
    if (!client->heard)
        return "";
    client->heard_len -= client->told;
    memmove(client->heard, client->heard + client->told, client->heard_len + 1);
    client->told = client->heard_len;
    return client->heard;
}

/* -- messages and events -- */

static inline void fx_say(struct fx_client *client, const char *text)
{
    pc_session_message(&client->session, pc_slice_of(text));
}

static inline pusherc_credentials fx_credentials(void)
{
    pusherc_credentials credentials = PUSHERC_CREDENTIALS_INIT;
    credentials.key = PC_S("app-key");
    credentials.secret = PC_S("app-secret");
    return credentials;
}

/* Escapes `text` for a JSON string. Its only special characters are quotes and backslashes. */
static inline void fx_escape(char *to, size_t size, const char *text)
{
    size_t len = 0;
    for (; *text; text++) {
        REQUIRE(len + 3 < size);
        if (*text == '"' || *text == '\\')
            to[len++] = '\\';
        to[len++] = *text;
    }
    to[len] = '\0';
}

/* Makes a subscribe message, with a signature if the channel's kind needs one; channel_data NULL = none. */
static inline const char *fx_subscribe_text(struct fx_client *client, const char *channel,
                                            const char *channel_data)
{
    static _Thread_local char text[16384];
    static _Thread_local char escaped[8192];
    char auth[256];
    struct pc_channel_class class;
    pc_channel_name_valid(pc_slice_of(channel), PC_CHANNEL_NAME_MAX, &class);
    if (!pc_kind_needs_auth(class.kind)) {
        snprintf(text, sizeof text,
                 "{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"%s\"}}", channel);
        return text;
    }
    pusherc_credentials credentials = fx_credentials();
    REQUIRE(pusherc_sign_channel(&credentials, client->q.owner, pc_slice_of(channel),
                                 pc_slice_of(channel_data), auth, sizeof auth, NULL) == 0);
    int n = snprintf(text, sizeof text,
                     "{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"%s\",\"auth\":\"%s\"",
                     channel, auth);
    if (channel_data) {
        fx_escape(escaped, sizeof escaped, channel_data);
        n += snprintf(text + n, sizeof text - (size_t)n, ",\"channel_data\":\"%s\"", escaped);
    }
    snprintf(text + n, sizeof text - (size_t)n, "}}");
    return text;
}

static inline void fx_subscribe(struct fx_client *client, const char *channel)
{
    fx_say(client, fx_subscribe_text(client, channel, NULL));
}

static inline void fx_join(struct fx_client *client, const char *channel, const char *channel_data)
{
    fx_say(client, fx_subscribe_text(client, channel, channel_data));
}

static inline void fx_unsubscribe(struct fx_client *client, const char *channel)
{
    char text[512];
    snprintf(text, sizeof text, "{\"event\":\"pusher:unsubscribe\",\"data\":{\"channel\":\"%s\"}}",
             channel);
    fx_say(client, text);
}

static inline void fx_sign_in(struct fx_client *client, const char *user_data)
{
    char auth[256], escaped[4096], text[8192];
    pusherc_credentials credentials = fx_credentials();
    REQUIRE(pusherc_sign_user(&credentials, client->q.owner, pc_slice_of(user_data), auth,
                              sizeof auth, NULL) == 0);
    fx_escape(escaped, sizeof escaped, user_data);
    snprintf(text, sizeof text,
             "{\"event\":\"pusher:signin\",\"data\":{\"auth\":\"%s\",\"user_data\":\"%s\"}}", auth,
             escaped);
    fx_say(client, text);
}

/* Publishes one event to one channel without the checks. Returns what pc_publish() returns. */
static inline int fx_publish_except(struct fx *fx, const char *channel, const char *event,
                                    const char *data, pusherc_socket_id except)
{
    pusherc_slice name = pc_slice_of(channel);
    struct pc_publication p = {.event = pc_slice_of(event),
                               .channels = &name,
                               .channel_count = 1,
                               .data = pc_slice_of(data),
                               .except = except};
    struct pc_app *app = pc_apps_by_id(&fx->engine->apps, PC_S("app-id"));
    REQUIRE(app);
    int err = pc_publish(fx->engine, app, &p);
    pc_app_unref(app);
    return err;
}

static inline int fx_publish(struct fx *fx, const char *channel, const char *event,
                             const char *data)
{
    return fx_publish_except(fx, channel, event, data, (pusherc_socket_id){0});
}

#endif
