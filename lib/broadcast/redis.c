/*
 * redis://: one connection to Redis, on which the commands of several batches follow each other without waiting for
 * answers. It is opened with the first batch, and again with the next one after it was lost. What was sent on a
 * connection that is lost counts as not sent. If a host of several cannot be reached, the next one is tried.
 */
#include <stdio.h>

#include <pusherc/error.h>

#include "broadcast/carrier.h"
#include "broadcast/redis_format.h"
#include "redis/conn.h"

/* A batch, from its `send` to its answer. */
struct transfer {
    struct pc_list of_redis;
    struct pc_broadcast_batch *batch;
    uint32_t answers;            /* to come; 0 until its commands are written */
    char failure[PC_REDIS_LINE]; /* the first; empty = none */
};

enum connecting {
    CLOSED,
    CONNECTING,
    GREETING, /* waits for the answers to AUTH and SELECT */
    OPEN
};

struct redis {
    struct pc_carrier carrier;
    struct pc_broadcast_url url; /* owned */
    struct pc_tls_trust *trust;  /* owned; NULL = in the clear */
    enum connecting state;
    struct pc_redis_conn *conn; /* NULL = closed; former ones may not be gone yet */
    uv_timer_t timer;           /* no answer for timeout_ms */
    bool has_timer;
    uint32_t open; /* the timer, and connections that are not gone */
    uint32_t greetings;
    size_t host, failed_hosts; /* the one to use; how many in a row could not be reached */
    struct pc_list waiting, sent;
    bool ending;
};

static const struct pc_mem *mem_of(const struct redis *r)
{
    return &r->carrier.home->mem;
}

static uv_handle_t *handle_of(void *handle)
{
    return handle;
}

static void fail(struct redis *r, const char *reason, bool try_next_host);

/* -- answers -- */

static void finish(struct redis *r, struct transfer *t, const struct pc_broadcast_answer *answer)
{
    struct pc_broadcast_batch *batch = t->batch;
    pc_list_remove(&t->of_redis);
    pc_free(mem_of(r), t);
    pc_carrier_answer(&r->carrier, batch, answer);
}

static void answer_away(struct redis *r, struct transfer *t, int code, const char *reason)
{
    finish(r, t,
           &(struct pc_broadcast_answer){
               .outcome = PC_BROADCAST_AWAY, .code = code, .reason = pc_slice_of(reason)});
}

static void on_timeout(uv_timer_t *timer)
{
    struct redis *r = timer->data;
    char reason[PC_REDIS_LINE];
    (void)snprintf(reason, sizeof reason, "Redis %s", pc_redis_conn_silence(r->conn));
    fail(r, reason, true);
}

/* Runs while an answer is awaited. */
static void watch_time(struct redis *r)
{
    if (!r->has_timer)
        return;
    if (r->state == CLOSED || (r->state == OPEN && pc_list_empty(&r->sent)))
        uv_timer_stop(&r->timer);
    else
        uv_timer_start(&r->timer, on_timeout, r->carrier.home->timeout_ms, 0);
}

/* -- the connection -- */

static void drop_conn(struct redis *r)
{
    if (r->conn)
        pc_redis_conn_close(r->conn);
    r->conn = NULL;
}

static void connect_now(struct redis *r);

static void fail_all(struct redis *r, struct pc_list *list, const char *reason)
{
    struct pc_list all;
    pc_list_take(&all, list); /* an answer may lead to another batch */
    while (!pc_list_empty(&all))
        answer_away(r, PC_CONTAINER(all.next, struct transfer, of_redis), PUSHERC_EIO, reason);
}

/* The connection is of no use: its batches are answered, unless another host can be tried at once. */
static void fail(struct redis *r, const char *reason, bool try_next_host)
{
    const bool was_open = r->state == OPEN;
    drop_conn(r);
    r->state = CLOSED;
    watch_time(r);
    if (was_open)
        r->failed_hosts = 0;
    else if (try_next_host)
        r->failed_hosts++;
    if (try_next_host)
        r->host = (r->host + 1) % r->url.host_count;
    fail_all(r, &r->sent, reason);
    if (!was_open && try_next_host && r->failed_hosts < r->url.host_count && !r->ending) {
        connect_now(r);
        return;
    }
    r->failed_hosts = 0;
    fail_all(r, &r->waiting, reason);
}

/* -- writing -- */

/* Writes the commands of what waits. */
static void send_waiting(struct redis *r)
{
    while (r->state == OPEN && !pc_list_empty(&r->waiting)) {
        struct transfer *t = PC_CONTAINER(r->waiting.next, struct transfer, of_redis);
        struct pc_buf buf;
        pc_buf_init(&buf, mem_of(r), UINT32_MAX / 2);
        int err = pc_redis_put_batch(&buf, &r->url, t->batch, &t->answers);
        err = err ? err : pc_redis_conn_write(r->conn, &buf);
        pc_buf_free(&buf);
        if (err == PUSHERC_EIO) {
            fail(r, "the connection to Redis is lost", false);
        } else if (err) {
            answer_away(r, t, PUSHERC_ENOMEM, "out of memory");
        } else {
            pc_list_remove(&t->of_redis);
            pc_list_push_back(&r->sent, &t->of_redis);
        }
    }
    watch_time(r);
}

/* -- reading -- */

static void opened(struct redis *r)
{
    r->state = OPEN;
    r->failed_hosts = 0;
    send_waiting(r);
}

static void on_greeted(struct redis *r, const char *error)
{
    struct pc_broadcast_answer judged;
    if (!*error) {
        if (--r->greetings == 0)
            opened(r);
        return;
    }
    /* A wrong password does not become right: the events that wait for it are refused. */
    pc_redis_judge(&judged, pc_slice_of(error));
    if (judged.outcome == PC_BROADCAST_REFUSED && judged.code == PUSHERC_EAUTH) {
        struct pc_list all;
        pc_list_take(&all, &r->waiting);
        drop_conn(r);
        r->state = CLOSED;
        watch_time(r);
        while (!pc_list_empty(&all))
            finish(r, PC_CONTAINER(all.next, struct transfer, of_redis), &judged);
        return;
    }
    fail(r, error, true);
}

/* False: Redis sent an answer to nothing. */
static bool on_answer(struct redis *r, const char *error)
{
    struct pc_broadcast_answer answer = {.outcome = PC_BROADCAST_ACCEPTED};
    if (pc_list_empty(&r->sent))
        return false;
    struct transfer *t = PC_CONTAINER(r->sent.next, struct transfer, of_redis);
    char failure[sizeof t->failure];
    if (!*t->failure)
        memcpy(t->failure, error, sizeof t->failure);
    if (--t->answers > 0)
        return true;
    memcpy(failure, t->failure, sizeof failure);
    if (*failure)
        pc_redis_judge(&answer, pc_slice_of(failure));
    finish(r, t, &answer);
    return true;
}

static bool on_reply(void *owner, struct pc_redis_conn *conn, const struct pc_redis_reply *reply)
{
    struct redis *r = owner;
    char error[PC_REDIS_LINE] = "";
    (void)conn;
    if (reply->items[0].type == PC_REDIS_ARRAY)
        return false;
    if (reply->items[0].type == PC_REDIS_ERROR)
        pc_redis_line(error, sizeof error,
                      reply->items[0].text.len ? reply->items[0].text : PC_S("ERR"));
    if (r->state == GREETING)
        on_greeted(r, error);
    else if (!on_answer(r, error))
        return false;
    watch_time(r);
    return true;
}

/* -- connecting -- */

static void greet(void *owner, struct pc_redis_conn *conn)
{
    struct redis *r = owner;
    struct pc_buf buf;
    pc_buf_init(&buf, mem_of(r), UINT32_MAX / 2);
    int err = pc_redis_put_greeting(&buf, &r->url, &r->greetings);
    r->state = GREETING;
    if (err == 0 && r->greetings > 0)
        err = pc_redis_conn_write(conn, &buf);
    pc_buf_free(&buf);
    if (err)
        fail(r, "out of memory", false);
    else if (r->greetings == 0)
        opened(r);
}

static void on_failed(void *owner, struct pc_redis_conn *conn, bool reached, const char *reason)
{
    (void)conn;
    fail(owner, reason, !reached);
}

static void on_gone(void *owner)
{
    struct redis *r = owner;
    r->open--;
}

static void connect_now(struct redis *r)
{
    static const struct pc_redis_conn_ops ops = {
        .opened = greet, .replied = on_reply, .failed = on_failed, .gone = on_gone};
    const struct pc_redis_place place = pc_redis_place(&r->url, r->host, r->trust);
    if (r->state != CLOSED)
        return;
    r->state = CONNECTING;
    if (pc_redis_conn_open(&r->conn, mem_of(r), r->carrier.home->uv, &place,
                           PC_REDIS_MAX_ANSWER_BYTES, &ops, r)) {
        fail(r, "out of memory", false);
        return;
    }
    r->open++;
    watch_time(r);
}

/* -- the carrier -- */

static void redis_send(struct pc_carrier *carrier, struct pc_broadcast_batch *batch)
{
    struct redis *r = PC_CONTAINER(carrier, struct redis, carrier);
    struct transfer *t = pc_alloc_zero(mem_of(r), sizeof *t);
    if (!t) {
        pc_carrier_answer(carrier, batch,
                          &(struct pc_broadcast_answer){.outcome = PC_BROADCAST_AWAY,
                                                        .code = PUSHERC_ENOMEM,
                                                        .reason = PC_S("out of memory")});
        return;
    }
    if (!r->has_timer) {
        uv_timer_init(carrier->home->uv, &r->timer); /* cannot fail */
        r->timer.data = r;
        r->has_timer = true;
        r->open++;
    }
    t->batch = batch;
    pc_list_push_back(&r->waiting, &t->of_redis);
    if (r->state == OPEN)
        send_waiting(r);
    else if (r->state == CLOSED)
        connect_now(r);
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct redis *r = handle->data;
    r->open--;
}

static bool redis_ended(struct pc_carrier *carrier)
{
    struct redis *r = PC_CONTAINER(carrier, struct redis, carrier);
    if (!r->ending) {
        r->ending = true;
        fail(r, "the broadcaster was stopped", false);
        if (r->has_timer)
            uv_close(handle_of(&r->timer), on_timer_closed);
    }
    return r->open == 0;
}

static void redis_free(struct pc_carrier *carrier)
{
    struct redis *r = PC_CONTAINER(carrier, struct redis, carrier);
    pc_broadcast_url_free(&r->url);
    pc_tls_trust_free(r->trust);
    pc_free(&carrier->home->mem, r);
}

int pc_carrier_new_redis(struct pc_carrier **out, struct pc_carrier_home *home,
                         struct pc_broadcast_url *url, const char **why)
{
    static const struct pc_carrier_kind_ops ops = {
        .send = redis_send, .ended = redis_ended, .free = redis_free};
    pusherc_errinfo info = {0};
    struct redis *r = pc_alloc_zero(&home->mem, sizeof *r);
    if (!r)
        return PUSHERC_ENOMEM;
    int err = pc_redis_trust(&r->trust, &home->mem, url, home->ca_file, &info);
    if (err) {
        (void)snprintf(home->why, sizeof home->why, "%s", info.text);
        *why = home->why;
        pc_free(&home->mem, r);
        return err;
    }
    r->carrier = (struct pc_carrier){.ops = &ops, .home = home};
    r->url = *url;
    *url = (struct pc_broadcast_url){.text = NULL}; /* it is ours now */
    pc_list_init(&r->waiting);
    pc_list_init(&r->sent);
    *out = &r->carrier;
    return 0;
}
