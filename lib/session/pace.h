/*
 * How fast a client may send. Each message costs app->message_us of the client's time; `paid_us` is the time until which
 * it has paid. It may be ahead of the clock by app->burst_us; a client that is further ahead is read more slowly.
 */
#ifndef PC_SESSION_PACE_H
#define PC_SESSION_PACE_H

#include "session/session.h"

static inline bool pc_session_may_send(const struct pc_session *s)
{
    return s->paid_us <= s->worker->now_ms * 1000 + s->app->burst_us || s->app->message_us == 0;
}

/* A message, a PING or a PONG has come. */
static inline void pc_session_pay(struct pc_session *s)
{
    uint64_t now_us = s->worker->now_ms * 1000;
    s->paid_us = (s->paid_us > now_us ? s->paid_us : now_us) + s->app->message_us;
}

#endif
