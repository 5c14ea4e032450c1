#include "session/session.h"

#include "protocol/message_out.h"
#include "session/grant.h"
#include "session/joining.h"

#define MALFORMED_IN_A_ROW 100 /* then it is no client of this protocol (section 1.10) */

static void liveness(struct pc_timer *timer, uint64_t now_ms);

/* -- timers that most sessions do without -- */

struct pc_session_timer {
    struct pc_timer timer;
    struct pc_session *session;
};

/* Nothing must last for ever because memory was short: then the session is closed. */
static void start_timer(struct pc_session *s, struct pc_session_timer **timer, pc_timer_fn fire,
                        uint64_t ms)
{
    *timer = pc_alloc_zero(s->worker->mem, sizeof **timer);
    if (!*timer) {
        pc_session_close(s, PC_CLOSE_INTERNAL, PC_S("Out of memory"));
        return;
    }
    (*timer)->session = s;
    pc_timer_init(&(*timer)->timer, fire);
    pc_timer_arm(&s->worker->timers, &(*timer)->timer, s->worker->now_ms + ms);
}

static void free_timer(struct pc_session *s, struct pc_session_timer **timer)
{
    if (*timer)
        pc_timer_stop(&s->worker->timers, &(*timer)->timer);
    pc_free(s->worker->mem, *timer);
    *timer = NULL;
}

static void on_identity_expired(struct pc_timer *timer, uint64_t now_ms)
{
    struct pc_session *s = PC_CONTAINER(timer, struct pc_session_timer, timer)->session;
    (void)now_ms;
    if (s->state == PC_SESSION_OPEN && pc_grants_recheck_all(s))
        pc_session_close(s, PC_CLOSE_INTERNAL, PC_S("Out of memory"));
}

void pc_session_expire_identity(struct pc_session *s, uint32_t expires_in_ms)
{
    if (expires_in_ms)
        start_timer(s, &s->identity_expiry, on_identity_expired, expires_in_ms);
}

/* Authorized connections (section 1.9). */
static void on_still_stranger(struct pc_timer *timer, uint64_t now_ms)
{
    struct pc_session *s = PC_CONTAINER(timer, struct pc_session_timer, timer)->session;
    (void)now_ms;
    pc_session_close(s, PC_CLOSE_UNAUTHORIZED, PC_S("Connection not authorized within timeout"));
}

void pc_session_authorized(struct pc_session *s)
{
    free_timer(s, &s->stranger);
}

static void say(struct pc_session *s, void (*write)(struct pc_buf *))
{
    char stack[64];
    struct pc_buf message;
    pc_buf_init_in(&message, s->worker->mem, PC_SESSION_STACK, stack, sizeof stack);
    write(&message);
    pc_session_say(s, &message);
}

void pc_session_say(struct pc_session *s, struct pc_buf *message)
{
    if (s->state == PC_SESSION_OPEN) {
        if (s->q->bytes > s->worker->engine->limits.out_hard_bytes)
            pc_session_overflow(s); /* it asks and does not read the answers */
        else if (pc_buf_status(message) || pc_worker_send(s->q, PC_WS_TEXT, pc_buf_slice(message)))
            pc_session_close(s, PC_CLOSE_INTERNAL, PC_S("Out of memory"));
        else
            pc_worker_delivered(s->worker, s->app->live, 1, message->len, 0);
    }
    pc_buf_free(message);
}

void pc_session_say_error(struct pc_session *s, uint16_t code, const char *text)
{
    char stack[256];
    struct pc_buf message;
    pc_buf_init_in(&message, s->worker->mem, PC_SESSION_STACK, stack, sizeof stack);
    pc_out_error(&message, code, pc_slice_of(text));
    pc_session_say(s, &message);
}

int pc_session_open(struct pc_session *s, struct pc_worker *worker, struct pc_outq *q,
                    const struct pc_transport *transport, const struct pc_newcomer *newcomer)
{
    struct pc_engine *engine = worker->engine;
    struct pc_app *app = newcomer->app;
    const struct pc_identity *identity = newcomer->identity;
    *s = (struct pc_session){.worker = worker,
                             .transport = transport,
                             .q = q,
                             .app = app,
                             .protocol = newcomer->protocol,
                             .identity = newcomer->identity,
                             .of_address = newcomer->of_address,
                             .seen_ms = worker->now_ms,
                             .close_code = PC_CLOSE_ABNORMAL};
    pc_list_init(&s->subscriptions);
    pc_list_init(&s->grants);
    pc_list_init(&s->of_worker);
    q->owner = pc_idgen_next(&engine->ids);
    s->by_id.key = pc_slice((const char *)&q->owner, sizeof q->owner);
    int rc = identity && identity->user_id.len
                 ? pc_user_conn_new(&s->as_identified, s, identity->user_id, false)
                 : 0;
    rc = rc ? rc : pc_map_insert(&worker->by_id, &s->by_id);
    if (rc) {
        pc_user_conn_free(s->as_identified);
        s->as_identified = NULL;
        s->state = PC_SESSION_ENDED;
        return rc;
    }
    pc_list_push_back(&worker->sessions, &s->of_worker);
    pc_timer_init(&s->liveness, liveness);
    pc_timer_arm(&worker->timers, &s->liveness, worker->now_ms + app->options.activity_timeout_ms);
    pc_stat_add(&worker->stats.connections, 1);
    pc_stat_add(&worker->stats.connections_total, 1);
    pc_stat_add(&pc_app_stats(app, worker->index)->connected, 1);
    pc_stat_add(&pc_app_stats(app, worker->index)->connections, 1);

    char stack[256];
    struct pc_buf message;
    pc_buf_init_in(&message, worker->mem, PC_SESSION_STACK, stack, sizeof stack);
    pc_out_established(&message, q->owner, (app->options.activity_timeout_ms + 999) / 1000);
    pc_session_say(s, &message);
    if (app->options.user_authentication && !s->as_identified)
        start_timer(s, &s->stranger, on_still_stranger,
                    app->options.user_authentication_timeout_ms);
    if (engine->hooks.on_open)
        engine->hooks.on_open((const pusherc_conn *)s, engine->hooks.user_data);
    /* while the host was asked who this is: the order to close the app's connections did not find it */
    if (atomic_load_explicit(&app->live->removed, memory_order_acquire))
        pc_session_close(s, PC_CLOSE_UNKNOWN_APP, PC_S("The app was removed"));
    return 0;
}

void pc_session_end(struct pc_session *s)
{
    if (!s->worker || s->state == PC_SESSION_ENDED)
        return;
    struct pc_worker *worker = s->worker;
    struct pc_engine *engine = worker->engine;
    s->state = PC_SESSION_CLOSING;
    pc_session_abandon_joins(s);
    while (!pc_list_empty(&s->grants))
        pc_grant_free(PC_CONTAINER(s->grants.prev, struct pc_grant, of_session));
    while (!pc_list_empty(&s->subscriptions))
        pc_session_leave(s,
                         PC_CONTAINER(s->subscriptions.prev, struct pc_subscription, of_session));
    pc_user_conn_free(s->as_signed_in);
    pc_user_conn_free(s->as_identified);
    s->as_signed_in = s->as_identified = NULL;
    s->state = PC_SESSION_ENDED;
    if (engine->hooks.on_close)
        engine->hooks.on_close((const pusherc_conn *)s, s->close_code, engine->hooks.user_data);
    pc_timer_stop(&worker->timers, &s->liveness);
    free_timer(s, &s->identity_expiry);
    free_timer(s, &s->stranger);
    pc_list_remove(&s->of_worker);
    pc_map_remove(&worker->by_id, &s->by_id);
    pc_stat_sub(&worker->stats.connections, 1);
    pc_stat_sub(&pc_app_stats(s->app, worker->index)->connected, 1);
    pc_stat_add(&pc_app_stats(s->app, worker->index)->disconnections, 1);
    pc_counts_drop(&s->app->live->per_address, s->of_address);
    pc_app_disconnect(s->app);
    pc_app_unref(s->app);
    pc_identity_unref(s->identity);
    pc_identity_unref(s->user);
    s->of_address = NULL;
    s->app = NULL;
    s->identity = s->user = NULL;
}

void pc_session_close(struct pc_session *s, uint16_t code, pusherc_slice reason)
{
    if (s->state != PC_SESSION_OPEN)
        return;
    /* Clients of these versions look at the error, not at the close code (section 1.2). */
    if (s->protocol <= 5 && code >= 4000) {
        char stack[256];
        struct pc_buf message;
        pc_buf_init_in(&message, s->worker->mem, PC_SESSION_STACK, stack, sizeof stack);
        pc_out_error(&message, code, reason);
        int rc = pc_buf_status(&message);
        if (rc == 0)
            rc = pc_worker_send(s->q, PC_WS_TEXT, pc_buf_slice(&message));
        pc_buf_free(&message);
        (void)rc; /* the close itself follows in any case */
    }
    s->state = PC_SESSION_CLOSING;
    s->close_code = code;
    s->transport->close(s, code, reason);
}

struct pc_session *pc_session_find(struct pc_worker *worker, pusherc_socket_id id)
{
    struct pc_map_node *node = pc_map_find(&worker->by_id, pc_slice((const char *)&id, sizeof id));
    return node ? PC_CONTAINER(node, struct pc_session, by_id) : NULL;
}

/* -- slow clients -- */

void pc_session_overflow(struct pc_session *s)
{
    if (s->state != PC_SESSION_OPEN)
        return;
    if (s->app->options.slow_policy == PUSHERC_SLOW_DROP) {
        pc_stat_add(&s->worker->stats.slow_dropped, 1);
        pc_stat_add(&pc_app_stats(s->app, s->worker->index)->slow_dropped, 1);
        return;
    }
    pc_stat_add(&s->worker->stats.slow_closed, 1);
    pc_stat_add(&pc_app_stats(s->app, s->worker->index)->slow_closed, 1);
    pc_outq_drop(s->q); /* what it could not read in time it need not read before the close */
    pc_session_close(s, PC_CLOSE_OVER_CAPACITY, PC_S("Too slow: the send buffer is full"));
}

bool pc_session_slow(struct pc_session *s)
{
    const struct pc_limits *limits = &s->worker->engine->limits;
    uint64_t now_ms = s->worker->now_ms;
    if (s->q->bytes <= limits->out_soft_bytes) {
        s->over_soft_ms = 0;
        return false;
    }
    if (s->over_soft_ms == 0)
        s->over_soft_ms = now_ms;
    else if (now_ms - s->over_soft_ms >= limits->out_soft_ms &&
             s->app->options.slow_policy == PUSHERC_SLOW_CLOSE)
        pc_session_overflow(s);
    return true;
}

/* -- liveness (section 1.5): silence, a ping, silence again, the end -- */

static void liveness(struct pc_timer *timer, uint64_t now_ms)
{
    struct pc_session *s = PC_CONTAINER(timer, struct pc_session, liveness);
    const struct pc_limits *limits = &s->worker->engine->limits;
    if (s->state != PC_SESSION_OPEN)
        return;
    if (s->over_soft_ms)
        pc_session_slow(s);
    if (s->pinged_ms && s->seen_ms >= s->pinged_ms)
        s->pinged_ms = 0;
    uint64_t silent_ms = now_ms - s->seen_ms;
    uint64_t next_ms = s->seen_ms + s->app->options.activity_timeout_ms;
    if (s->pinged_ms) {
        if (now_ms - s->pinged_ms >= limits->pong_timeout_ms) {
            pc_session_close(s, PC_CLOSE_NO_PONG, PC_S("Pong reply not received"));
            return;
        }
        next_ms = s->pinged_ms + limits->pong_timeout_ms;
    } else if (silent_ms >= s->app->options.activity_timeout_ms) {
        s->pinged_ms = now_ms;
        if (s->protocol >= 5)
            say(s, pc_out_ping);
        s->transport->ping(s);
        /* looked at earlier if need be: an answered ping is followed by the next silence */
        uint64_t activity_ms = s->app->options.activity_timeout_ms;
        next_ms = now_ms +
                  (activity_ms < limits->pong_timeout_ms ? activity_ms : limits->pong_timeout_ms);
    }
    if (s->state == PC_SESSION_OPEN)
        pc_timer_arm(&s->worker->timers, &s->liveness, next_ms);
}

/* -- messages -- */

static void malformed(struct pc_session *s, const char *why)
{
    if (++s->malformed >= MALFORMED_IN_A_ROW)
        pc_session_close(s, PC_CLOSE_OVER_CAPACITY, PC_S("Too many invalid messages"));
    else
        pc_session_say_error(s, PC_ERROR_PLAIN, why);
}

static void dispatch(struct pc_session *s, const struct pc_message_in *in)
{
    switch (in->type) {
    case PC_IN_SUBSCRIBE:
        pc_session_subscribe(s, in);
        break;
    case PC_IN_UNSUBSCRIBE:
        pc_session_unsubscribe(s, in);
        break;
    case PC_IN_SIGNIN:
        pc_session_signin(s, in);
        break;
    case PC_IN_PING:
        say(s, pc_out_pong);
        break;
    case PC_IN_PONG:
        break; /* it has been seen: that is all a pong says */
    case PC_IN_CLIENT_EVENT:
        pc_session_client_event(s, in);
        break;
    }
}

void pc_session_message(struct pc_session *s, pusherc_slice text)
{
    if (s->state != PC_SESSION_OPEN)
        return;
    pc_session_seen(s);
    struct pc_app_stats *stats = pc_app_stats(s->app, s->worker->index);
    pc_stat_add(&s->worker->stats.messages_in, 1);
    pc_stat_add(&stats->messages_in, 1);
    pc_stat_add(&stats->bytes_in, text.len);
    char stack[PC_SESSION_STACK];
    struct pc_buf scratch;
    struct pc_message_in in;
    const char *why = NULL;
    pc_buf_init_in(&scratch, s->worker->mem, text.len * 3 + sizeof stack, stack, sizeof stack);
    int rc = pc_message_in_parse(text, &scratch, &in, &why);
    if (rc == PUSHERC_EPROTO) {
        malformed(s, why);
    } else if (rc) {
        pc_session_close(s, PC_CLOSE_INTERNAL, PC_S("Out of memory"));
    } else {
        s->malformed = 0;
        dispatch(s, &in);
    }
    pc_buf_free(&scratch);
}
