#include "session/reply.h"

#include "fanout/receipt.h"
#include "protocol/message_out.h"

/* All text that a session sends goes through this function. */
static int send_text(struct pc_session *s, const struct pc_buf *message)
{
    int err = pc_buf_status(message);
    return err ? err : pc_outq_send(s->q, PC_WS_TEXT, pc_buf_slice(message));
}

void pc_session_say_fixed(struct pc_session *s, void (*write)(struct pc_buf *message))
{
    char stack[64];
    struct pc_buf message;
    pc_buf_init_in(&message, s->worker->mem, PC_SESSION_STACK, stack, sizeof stack);
    write(&message);
    pc_session_say(s, &message);
}

static int send_tracked(struct pc_session *s, const struct pc_buf *message,
                        struct pc_tracked *event, pusherc_slice user_id)
{
    int err = pc_buf_status(message);
    return err ? err : pc_receipt_send(s->q, s->app->state, event, user_id, pc_buf_slice(message));
}

void pc_session_say(struct pc_session *s, struct pc_buf *message)
{
    pc_session_say_tracked(s, message, NULL, PC_S(""));
}

void pc_session_say_tracked(struct pc_session *s, struct pc_buf *message, struct pc_tracked *event,
                            pusherc_slice user_id)
{
    if (s->state == PC_SESSION_OPEN) {
        if (s->q->held > s->worker->engine->options.out_hard_bytes)
            pc_session_overflow(s); /* the client sends messages and does not read the answers */
        else if (event ? send_tracked(s, message, event, user_id) : send_text(s, message))
            pc_session_close(s, PC_CLOSE_INTERNAL, pc_close_text(PC_CLOSE_INTERNAL));
        else
            pc_worker_delivered(s->worker, s->app->state, 1, message->len);
    }
    pc_buf_free(message);
}

void pc_session_say_error(struct pc_session *s, enum pc_error_code code, const char *text)
{
    char stack[256];
    struct pc_buf message;
    pc_buf_init_in(&message, s->worker->mem, PC_SESSION_STACK, stack, sizeof stack);
    pc_out_error(&message, (uint16_t)code, pc_slice_of(text));
    pc_session_say(s, &message);
}

/* -- ending -- */

void pc_session_close(struct pc_session *s, uint16_t code, pusherc_slice reason)
{
    if (s->state != PC_SESSION_OPEN)
        return;
    if (pc_session_close_is_told(s, code)) {
        char stack[256];
        struct pc_buf message;
        pc_buf_init_in(&message, s->worker->mem, PC_SESSION_STACK, stack, sizeof stack);
        pc_out_error(&message, code, reason);
        int err = send_text(s, &message);
        pc_buf_free(&message);
        (void)err; /* the close itself follows in any case */
    }
    s->state = PC_SESSION_CLOSING;
    s->close_code = code;
    s->transport->close(s, code, reason);
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
    pc_outq_drop(s->q); /* the close goes out without waiting for a client that does not read */
    pc_session_close(s, PC_CLOSE_OVER_CAPACITY, PC_S("Too slow: the send buffer is full"));
}

bool pc_session_slow(struct pc_session *s)
{
    const pusherc_server_options *options = &s->worker->engine->options;
    uint64_t now_ms = s->worker->now_ms;
    if (s->q->held <= options->out_soft_bytes) {
        s->over_soft_ms = 0;
        return false;
    }
    if (s->over_soft_ms == 0)
        s->over_soft_ms = now_ms;
    else if (now_ms - s->over_soft_ms >= options->out_soft_ms &&
             s->app->options.slow_policy == PUSHERC_SLOW_CLOSE)
        pc_session_overflow(s);
    return true;
}

/* -- timers that most sessions do not need -- */

/* Closes the session if memory is short, because without the timer the state that it limits would not end. */
void pc_session_timer_start(struct pc_session *s, struct pc_session_timer **timer, pc_timer_fn fire,
                            uint64_t ms)
{
    *timer = pc_alloc_zero(s->worker->mem, sizeof **timer);
    if (!*timer) {
        pc_session_close(s, PC_CLOSE_INTERNAL, pc_close_text(PC_CLOSE_INTERNAL));
        return;
    }
    (*timer)->session = s;
    pc_timer_init(&(*timer)->timer, fire);
    pc_timer_arm(&s->worker->timers, &(*timer)->timer, s->worker->now_ms + ms);
}

void pc_session_timer_free(struct pc_session *s, struct pc_session_timer **timer)
{
    if (*timer)
        pc_timer_stop(&s->worker->timers, &(*timer)->timer);
    pc_free(s->worker->mem, *timer);
    *timer = NULL;
}

void pc_session_authorized(struct pc_session *s)
{
    pc_session_timer_free(s, &s->unauthorized);
}
