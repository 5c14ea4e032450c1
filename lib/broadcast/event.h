/*
 * One event that waits to be sent: a copy in one block of memory, with what the queue keeps about it.
 */
#ifndef PC_BROADCAST_EVENT_H
#define PC_BROADCAST_EVENT_H

#include <pusherc/broadcast.h>

#include "base/map.h"
#include "base/timer.h"

#define PC_BROADCAST_KEY_BYTES 128 /* the most; what the HTTP API takes */

struct pc_broadcast_queue;

/* The events of one pusherc_broadcast_now(). */
struct pc_broadcast_call {
    struct pc_list of_ended;
    size_t left; /* events without a result */
    int code;    /* of the first that failed */
    int status;  /* of the same */
    uint32_t attempts;
    pusherc_broadcast_fn done; /* the queue does not look at these two */
    void *user_data;
};

/* A channel for which events wait, in order. */
struct pc_broadcast_lane {
    struct pc_map_node node;
    struct pc_list links;
    char name[];
};

/* An event's place in the lane of one of its channels. */
struct pc_broadcast_link {
    struct pc_list of_lane;
    struct pc_broadcast_lane *lane;
    struct pc_broadcast_event *event;
};

enum pc_broadcast_state {
    PC_BROADCAST_NEW,     /* not in a queue */
    PC_BROADCAST_BEHIND,  /* waits for earlier events of its channels */
    PC_BROADCAST_READY,   /* can be sent */
    PC_BROADCAST_RESTING, /* waits for its next attempt */
    PC_BROADCAST_UNDER_WAY,
    PC_BROADCAST_ENDED
};

struct pc_broadcast_event {
    pusherc_event event; /* points into this block; channels are distinct */
    pusherc_slice key;   /* idempotency key; len 0 = none */
    pusherc_slice
        subject; /* of conflate.h; a newer event with the same replaces it; len 0 = none */
    size_t size; /* of this block */
    struct pc_broadcast_queue *queue; /* that it is in */
    enum pc_broadcast_state state;
    struct pc_broadcast_call *call; /* NULL: pusherc_broadcast(), or its caller has been told */
    struct pc_list of_queue;        /* all, oldest first; then those that have ended */
    struct pc_list of_state;        /* ready ones, or those of a batch */
    struct pc_map_node of_subject;  /* the last one of its subject */
    struct pc_timer timer;          /* next attempt */
    struct pc_timer deadline;
    uint64_t since_ms; /* when it came */
    uint32_t attempts;
    uint32_t before; /* attempts of events that it has replaced */
    uint32_t behind; /* of its lanes, those in which others are before it */
    bool alone;      /* a batch with it was refused: send it by itself */
    bool expired;    /* its deadline came while it was under way */
    bool told;       /* ... and its caller has heard */
    bool is_last;    /* `of_subject` is in the queue's table */
    bool outdated;   /* a newer one of its subject came while it was under way */
    int code, status;
    size_t link_count;
    struct pc_broadcast_link links[];
};

/* True if the event keeps the rules of pusherc_event as far as every carrier has them. */
bool pc_broadcast_event_valid(const pusherc_event *event);

/* Copies a valid event. `key` at most PC_BROADCAST_KEY_BYTES. `subject` of conflate.h. NULL: out of memory. */
PC_CHECKED struct pc_broadcast_event *pc_broadcast_event_new(const struct pc_mem *mem,
                                                             const pusherc_event *event,
                                                             pusherc_slice key,
                                                             pusherc_slice subject);
/* It is in no queue. NULL is harmless. */
void pc_broadcast_event_free(const struct pc_mem *mem, struct pc_broadcast_event *event);

#endif
