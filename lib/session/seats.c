#include "session/seats.h"

#include <pusherc/error.h>

#include "protocol/close.h"
#include "session/reply.h"

static void on_excess(struct pc_seat *seat)
{
    struct pc_session *s = seat->holder;
    switch (seat->kind) {
    case PC_SEAT_APP:
        pc_app_limited(s->app, PC_APP_max_connections);
        pc_session_close(s, PC_CLOSE_OVER_QUOTA, pc_close_text(PC_CLOSE_OVER_QUOTA));
        break;
    case PC_SEAT_USER:
        pc_app_limited(s->app, PC_APP_max_connections_per_user);
        pc_session_close(s, PC_CLOSE_OVER_QUOTA, PC_S(PC_USER_OVER_QUOTA));
        break;
    case PC_SEAT_ADDRESS:
        pc_app_limited(s->app, PC_APP_max_connections_per_ip);
        pc_session_close(s, PC_CLOSE_OVER_QUOTA, PC_S(PC_ADDRESS_OVER_QUOTA));
        break;
    }
}

int pc_session_take_seat(struct pc_session *s, enum pc_seat_kind kind, pusherc_slice name)
{
    const struct pc_seats *seats = &s->worker->engine->seats;
    if (!seats->take)
        return 0;
    struct pc_seat *seat = pc_alloc_zero(s->worker->mem, sizeof *seat);
    if (!seat)
        return PUSHERC_ENOMEM;
    seat->kind = kind;
    seat->mem = *s->worker->mem;
    seat->worker = s->worker;
    seat->excess = on_excess;
    seat->holder = s;
    int err = seats->take(seats->ctx, s->app, name, seat);
    if (err) {
        pc_free(s->worker->mem, seat);
        return err;
    }
    seat->next = s->seats;
    s->seats = seat;
    return 0;
}

void pc_session_drop_seats(struct pc_session *s)
{
    while (s->seats) {
        struct pc_seat *seat = s->seats;
        const struct pc_seats *seats = &s->worker->engine->seats;
        s->seats = seat->next;
        seats->drop(seats->ctx, seat);
    }
}
