#include "broker/locator.h"

#include <stdio.h>

#include <pusherc/error.h>

#include "broadcast/redis_format.h"

#define MAX_ANSWER (4u << 20)

static uint64_t now_ms(const struct pc_broker_locator *l)
{
    return pc_broker_now_ms(l->common);
}

static void close_conn(struct pc_broker_locator *l)
{
    if (l->conn)
        pc_redis_conn_close(l->conn);
    l->conn = NULL;
}

/* The next one, after a pause. */
static void fail(struct pc_broker_locator *l, bool unfit, const char *why)
{
    close_conn(l);
    pc_broker_say(l->common, l->said, &l->place, unfit, why);
    pc_broker_locator_ask(l);
}

/* -- the answer -- */

static bool on_shards(struct pc_broker_locator *l, const struct pc_redis_reply *reply)
{
    struct pc_shards shards;
    const struct pc_redis_place place = pc_redis_conn_place(l->conn);
    if (pc_shards_parse(&shards, &l->common->names, reply, place.host))
        return false;
    close_conn(l);
    uv_timer_stop(&l->timer);
    l->said[0] = '\0';
    l->ops->located(l->owner, &shards);
    return true;
}

static void on_error(struct pc_broker_locator *l, pusherc_slice error)
{
    char why[PC_BROKER_TROUBLE];
    if (pc_slice_starts(error, PC_S("ERR This instance has cluster support disabled"))) {
        close_conn(l);
        uv_timer_stop(&l->timer);
        l->ops->unsharded(l->owner);
        return;
    }
    bool unfit = pc_broker_judge(error, why, sizeof why) == PC_BROKER_UNFIT;
    fail(l, unfit, why);
}

static bool on_replied(void *owner, struct pc_redis_conn *conn, const struct pc_redis_reply *reply)
{
    struct pc_broker_locator *l = owner;
    pc_broker_enter(l->common);
    pc_stat_add(&l->common->counts.bytes_in, pc_redis_conn_take_received(conn));
    if (reply->items[0].type == PC_REDIS_ERROR)
        on_error(l, reply->items[0].text);
    else if (l->logins > 0)
        l->logins--;
    else
        return on_shards(l, reply);
    return true;
}

/* -- the question -- */

static void on_opened(void *owner, struct pc_redis_conn *conn)
{
    struct pc_broker_locator *l = owner;
    const pusherc_slice question[] = {PUSHERC_LIT("CLUSTER"), PUSHERC_LIT("SLOTS")};
    struct pc_buf buf;
    pc_broker_enter(l->common);
    pc_buf_init(&buf, &l->common->mem, SIZE_MAX);
    int err = pc_redis_put_greeting(&buf, &l->common->url, &l->logins);
    pc_redis_put_command(&buf, question, 2);
    err = err ? err : pc_buf_status(&buf);
    err = err ? err : pc_redis_conn_write(conn, &buf);
    pc_buf_free(&buf);
    if (err)
        fail(l, false, "cannot be used: out of memory");
}

static void on_failed(void *owner, struct pc_redis_conn *conn, bool reached, const char *reason)
{
    struct pc_broker_locator *l = owner;
    char why[PC_REDIS_LINE];
    (void)conn;
    pc_broker_enter(l->common);
    l->conn = NULL; /* closes by itself */
    (void)snprintf(why, sizeof why, reached ? "is gone: %s" : "cannot be used: %s", reason);
    fail(l, false, why);
}

static void on_gone(void *owner)
{
    struct pc_broker_locator *l = owner;
    pc_broker_handle_gone(l->common);
}

static void ask_now(struct pc_broker_locator *l)
{
    static const struct pc_redis_conn_ops ops = {
        .opened = on_opened, .replied = on_replied, .failed = on_failed, .gone = on_gone};
    l->place = l->ops->place(l->owner, l->nth++);
    if (pc_broker_conn_open(l->common, &l->conn, &l->place, MAX_ANSWER, &ops, l))
        fail(l, false, "cannot be used: out of memory");
}

static void on_timer(uv_timer_t *timer)
{
    struct pc_broker_locator *l = timer->data;
    pc_broker_enter(l->common);
    if (!l->waits) {
        fail(l, false, pc_redis_conn_silence(l->conn));
        return;
    }
    l->waits = false;
    l->asked_ms = now_ms(l);
    uv_timer_start(&l->timer, on_timer, l->common->timeout_ms, 0);
    ask_now(l);
}

void pc_broker_locator_ask(struct pc_broker_locator *l)
{
    uint64_t pause_ms = 0;
    if (l->waits || l->conn)
        return;
    if (l->asked_ms && now_ms(l) - l->asked_ms <= PC_BROKER_LAST_PAUSE_MS)
        pause_ms = pc_broker_next_pause(&l->tries, false);
    else
        l->tries = 0;
    /* A promotion shall be seen soon, also by a node that asks the lost server just then; a question costs little. */
    if (l->tries > 1)
        l->tries = 1;
    l->waits = true;
    uv_timer_start(&l->timer, on_timer, pause_ms, 0);
}

/* -- life -- */

void pc_broker_locator_init(struct pc_broker_locator *l, struct pc_broker_common *common,
                            const struct pc_broker_locator_ops *ops, void *owner)
{
    *l = (struct pc_broker_locator){.common = common, .ops = ops, .owner = owner};
    pc_broker_timer_open(common, &l->timer, l);
}

void pc_broker_locator_stop(struct pc_broker_locator *l)
{
    close_conn(l);
    pc_broker_timer_close(l->common, &l->timer);
}
