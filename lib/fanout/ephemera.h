/*
 * Ephemeral states in the engine: between the publish path and the states of a channel (ephemeral.h).
 *
 * A state begins, is renewed and ends in the critical section in which the event that says so gets its number, and a
 * join copies the states in its own. So what subscribers are told is what there is, in that order, on any number of
 * workers: a newcomer is told a state either by the copy or by the event, and each end is one event. An event that says
 * nothing new, such as the end of what has ended already, is not sent.
 *
 * Ends go the way of all events, which encodes and renders without a lock: pc_ephemera_tell() takes a state that is over
 * and publishes its end, which counts only if the state still stands as it was. Two workers may tell it, and the
 * first does: the one that owns the channel's timer, or the one on which a connection leaves.
 *
 * The states exist as long as the timer, which holds the channel. A server that stops begins none.
 */
#ifndef PC_FANOUT_EPHEMERA_H
#define PC_FANOUT_EPHEMERA_H

#include "fanout/channel_timer.h"
#include "fanout/ephemeral.h"

/* Publishes the end of a state; the event's change says OVER. Without a lock, on the worker's thread. 0 or
 * PUSHERC_E... */
typedef int (*pc_ephemera_tell_fn)(struct pc_worker *worker, const struct pc_app *app,
                                   pusherc_slice channel, struct pc_said *said,
                                   pusherc_socket_id except);

enum pc_ephemeral_step {
    PC_EPHEMERAL_SAID,  /* it begins, or is renewed */
    PC_EPHEMERAL_ENDED, /* its user says that it has ended */
    PC_EPHEMERAL_OVER   /* the server ends it, if nothing was said since */
};

/* What an event says of a state. */
struct pc_ephemeral_change {
    enum pc_ephemeral_step step;
    bool at_once;                      /* OVER: whatever its time is */
    struct pc_said *said;              /* borrowed */
    struct pc_ephemeral_bounds bounds; /* SAID */
    struct pc_ephemeral_hold **holder; /* SAID: of the sender's subscription; NULL = the host */
    pc_ephemera_tell_fn tell;          /* SAID */
    bool done;                         /* the state has changed, and the event is sent */
    bool left;                         /* OVER: the last connection that had said it has left */
};

/* Locked. Makes the change at its event's number. 0: change->done says whether the event is to be sent; PUSHERC_ELIMIT,
 * PUSHERC_ENOMEM: it is refused. `channel` may be NULL. `wake` gets the workers to wake. */
PC_CHECKED int pc_ephemera_change(struct pc_engine *engine, const struct pc_app *app,
                                  struct pc_channel *channel, struct pc_ephemeral_change *change,
                                  uint64_t now_ms, uint64_t *wake);

/* Locked. A connection that has held states leaves the channel: the caller calls pc_ephemera_tell(). */
void pc_ephemera_left(struct pc_channel *channel, struct pc_ephemeral_hold **holder);

/* Publishes the ends of up to `max` states of the channel that are over. The caller holds no lock, and the channel is
 * held or occupied. 0, or why it stopped early. */
PC_CHECKED int pc_ephemera_tell(struct pc_worker *worker, const struct pc_app *app,
                                struct pc_channel *channel, uint32_t max);

/* A copy of the states. Zero-initialise. */
struct pc_said_list {
    const struct pc_mem *mem; /* borrowed */
    struct pc_said **items;   /* owned, each counted */
    uint64_t *ends_ms;        /* behind the items */
    size_t count;
};
/* Locked. 0 or PUSHERC_ENOMEM. */
PC_CHECKED int pc_ephemera_copy(const struct pc_engine *engine, const struct pc_channel *channel,
                                struct pc_said_list *out);
void pc_said_list_free(struct pc_said_list *list);

/* What was said last of the state of that id, counted for the caller; NULL: there is none. The caller holds no lock. */
struct pc_said *pc_ephemera_look(struct pc_engine *engine, const struct pc_app *app,
                                 pusherc_slice channel, pusherc_slice id);

#endif
