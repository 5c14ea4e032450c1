#include "session/session.h"

#include "protocol/message_out.h"
#include "session/change.h"
#include "session/deferred.h"
#include "session/grant.h"
#include "session/handlers.h"
#include "session/index.h"
#include "session/joining.h"
#include "session/listing.h"
#include "session/member.h"
#include "session/reply.h"
#include "session/resume.h"
#include "session/seats.h"

#define MALFORMED_IN_A_ROW 100 /* after more the session is closed (section 1.10) */

static void liveness(struct pc_timer *timer, uint64_t now_ms);

static void on_identity_expired(struct pc_timer *timer, uint64_t now_ms)
{
    struct pc_session *s = PC_CONTAINER(timer, struct pc_session_timer, timer)->session;
    (void)now_ms;
    if (s->state == PC_SESSION_OPEN && pc_change_recheck_session(s))
        pc_session_close(s, PC_CLOSE_INTERNAL, pc_close_text(PC_CLOSE_INTERNAL));
}

void pc_session_expire_identity(struct pc_session *s, uint32_t expires_in_ms)
{
    if (expires_in_ms)
        pc_session_timer_start(s, &s->identity_expiry, on_identity_expired, expires_in_ms);
}

/* Authorized connections (section 1.9). */
static void on_unauthorized(struct pc_timer *timer, uint64_t now_ms)
{
    struct pc_session *s = PC_CONTAINER(timer, struct pc_session_timer, timer)->session;
    (void)now_ms;
    pc_session_close(s, PC_CLOSE_UNAUTHORIZED, PC_S("Connection not authorized within timeout"));
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
                             .address = newcomer->address,
                             .seen_ms = worker->now_ms,
                             .close_code = PC_CLOSE_ABNORMAL};
    pc_list_init(&s->subscriptions);
    pc_list_init(&s->grants);
    pc_list_init(&s->of_worker);
    q->owner = pc_idgen_next(&engine->ids);
    s->by_id.key = pc_slice((const char *)&q->owner, sizeof q->owner);
    int err = identity && identity->user_id.len
                  ? pc_user_conn_new(&s->as_identified, s, identity->user_id, false)
                  : 0;
    if (err == 0 && app->options.max_connections != PUSHERC_NO_LIMIT)
        err = pc_session_take_seat(s, PC_SEAT_APP, PC_S(""));
    if (err == 0 && s->of_address)
        err = pc_session_take_seat(s, PC_SEAT_ADDRESS, pc_address_network(&s->address));
    err = err ? err : pc_map_insert(&worker->by_id, &s->by_id);
    if (err) {
        pc_session_drop_seats(s);
        pc_user_conn_free(s->as_identified);
        s->as_identified = NULL;
        s->state = PC_SESSION_ENDED;
        return err;
    }
    q->user_id = pc_identity_user_id(identity);
    pc_list_push_back(&worker->sessions, &s->of_worker);
    pc_listing_add(s);
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
        pc_session_timer_start(s, &s->unauthorized, on_unauthorized,
                               app->options.user_authentication_timeout_ms);
    if (worker->hooks->on_open)
        worker->hooks->on_open((const pusherc_conn *)s, worker->hooks->user_data);
    /* the app may have been removed or disabled while the host was asked who this is, too early for
     * the order to close */
    if (atomic_load_explicit(&app->state->removed, memory_order_acquire))
        pc_session_close(s, PC_CLOSE_UNKNOWN_APP, PC_S("The app was removed"));
    else if (atomic_load_explicit(&app->state->disabled, memory_order_acquire))
        pc_session_close(s, PC_CLOSE_APP_DISABLED, pc_close_text(PC_CLOSE_APP_DISABLED));
    return 0;
}

void pc_session_end(struct pc_session *s)
{
    if (!s->worker || s->state == PC_SESSION_ENDED)
        return;
    struct pc_worker *worker = s->worker;
    struct pc_engine *engine = worker->engine;
    s->state = PC_SESSION_CLOSING;
    pc_listing_remove(s);
    pc_session_abandon_joins(s);
    pc_deferred_free(s);
    pc_resume_free(s);
    pc_index_free(s);
    while (!pc_list_empty(&s->grants))
        pc_grant_free(PC_CONTAINER(s->grants.prev, struct pc_grant, of_session));
    while (!pc_list_empty(&s->subscriptions))
        pc_session_leave(s,
                         PC_CONTAINER(s->subscriptions.prev, struct pc_subscription, of_session));
    pc_session_drop_seats(s);
    pc_user_conn_free(s->as_signed_in);
    pc_user_conn_free(s->as_identified);
    s->as_signed_in = s->as_identified = NULL;
    s->state = PC_SESSION_ENDED;
    pc_why_note_ended(&engine->ended, &engine->log, s->app->state, s->q->owner);
    if (worker->hooks->on_close)
        worker->hooks->on_close((const pusherc_conn *)s, s->close_code, worker->hooks->user_data);
    pc_timer_stop(&worker->timers, &s->liveness);
    pc_session_timer_free(s, &s->identity_expiry);
    pc_session_timer_free(s, &s->unauthorized);
    pc_list_remove(&s->of_worker);
    pc_map_remove(&worker->by_id, &s->by_id);
    pc_stat_sub(&worker->stats.connections, 1);
    pc_stat_sub(&pc_app_stats(s->app, worker->index)->connected, 1);
    pc_stat_add(&pc_app_stats(s->app, worker->index)->disconnections, 1);
    pc_counts_drop(&s->app->state->per_address, s->of_address);
    pc_app_disconnect(s->app);
    pc_app_unref(s->app);
    s->q->user_id = PC_S("");
    pc_identity_unref(s->identity);
    pc_identity_unref(s->user);
    pc_identity_unref(s->asker);
    s->of_address = NULL;
    s->app = NULL;
    s->identity = s->user = s->asker = NULL;
}

/* -- liveness (section 1.5): silence, a ping, silence again, the end -- */

static void liveness(struct pc_timer *timer, uint64_t now_ms)
{
    struct pc_session *s = PC_CONTAINER(timer, struct pc_session, liveness);
    const pusherc_server_options *options = &s->worker->engine->options;
    if (s->state != PC_SESSION_OPEN)
        return;
    if (s->over_soft_ms)
        pc_session_slow(s);
    if (s->pinged_ms && s->seen_ms >= s->pinged_ms)
        s->pinged_ms = 0;
    uint64_t silent_ms = now_ms - s->seen_ms;
    uint64_t next_ms = s->seen_ms + s->app->options.activity_timeout_ms;
    if (s->pinged_ms) {
        if (now_ms - s->pinged_ms >= options->pong_timeout_ms) {
            pc_session_close(s, PC_CLOSE_NO_PONG, pc_close_text(PC_CLOSE_NO_PONG));
            return;
        }
        next_ms = s->pinged_ms + options->pong_timeout_ms;
    } else if (silent_ms >= s->app->options.activity_timeout_ms) {
        s->pinged_ms = now_ms;
        if (s->protocol >= 5)
            pc_session_say_fixed(s, pc_out_ping);
        s->transport->ping(s);
        /* checks earlier if needed, because after an answered ping the next silence begins */
        uint64_t activity_ms = s->app->options.activity_timeout_ms;
        next_ms = now_ms +
                  (activity_ms < options->pong_timeout_ms ? activity_ms : options->pong_timeout_ms);
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
        pc_session_say_fixed(s, pc_out_pong);
        break;
    case PC_IN_PONG:
        break; /* a pong is a sign of life only, and that has been noted */
    case PC_IN_RESUME:
        pc_session_resume(s, in);
        break;
    case PC_IN_CLIENT_EVENT:
        pc_session_client_event(s, in);
        break;
    }
}

/* Closes the session, which has sent more than it may. Clients see the error where they do not see close codes. */
static void refuse_received(struct pc_session *s, enum pc_app_setting limit, const char *text)
{
    pc_app_limited(s->app, limit);
    if (!pc_session_close_is_told(s, PC_CLOSE_OVER_CAPACITY))
        pc_session_say_error(s, (enum pc_error_code)PC_CLOSE_OVER_CAPACITY, text);
    pc_session_close(s, PC_CLOSE_OVER_CAPACITY, pc_slice_of(text));
}

/* False: it was too much, and the session is closed. */
static bool take_received(struct pc_session *s, size_t len)
{
    const pusherc_app_options *o = &s->app->options;
    uint64_t now_ms = s->worker->now_ms;
    if (!pc_rate_take(&s->received, o->max_received_messages_per_s, 1, now_ms)) {
        refuse_received(s, PC_APP_max_received_messages_per_s,
                        "Too many messages (max_received_messages_per_s)");
        return false;
    }
    if (!pc_rate_take(&s->received_bytes, o->max_received_bytes_per_s, (uint32_t)len, now_ms)) {
        refuse_received(s, PC_APP_max_received_bytes_per_s,
                        "Too many bytes (max_received_bytes_per_s)");
        return false;
    }
    return true;
}

bool pc_session_control(struct pc_session *s)
{
    return s->state != PC_SESSION_OPEN || !s->app->limits_received || take_received(s, 0);
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
    if (s->app->limits_received && !take_received(s, text.len))
        return;
    char stack[PC_SESSION_STACK];
    struct pc_buf scratch;
    struct pc_message_in in;
    const char *why = NULL;
    pc_buf_init_in(&scratch, s->worker->mem, text.len * 3 + sizeof stack, stack, sizeof stack);
    int err = pc_message_in_parse(text, &scratch, &in, &why);
    if (err == PUSHERC_EPROTO) {
        malformed(s, why);
    } else if (err) {
        pc_session_close(s, PC_CLOSE_INTERNAL, pc_close_text(PC_CLOSE_INTERNAL));
    } else {
        s->malformed = 0;
        dispatch(s, &in);
    }
    pc_buf_free(&scratch);
}
