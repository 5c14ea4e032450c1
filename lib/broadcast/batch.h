/* What passes between the queue and a carrier: some events for one request, and what became of it. */
#ifndef PC_BROADCAST_BATCH_H
#define PC_BROADCAST_BATCH_H

#include "broadcast/event.h"

/* Owned by the queue. A carrier borrows it from its `send` to the answer. */
struct pc_broadcast_batch {
    struct pc_list events; /* by of_state; 1 or more, in order */
    uint32_t count;
    bool again;     /* an event in it was sent before */
    uint32_t nth;   /* of failover: the carrier that has it now */
    uint32_t tried; /* ... and by how many it was tried */
};

static inline struct pc_broadcast_event *pc_broadcast_first(const struct pc_broadcast_batch *batch)
{
    return PC_CONTAINER(batch->events.next, struct pc_broadcast_event, of_state);
}

enum pc_broadcast_outcome {
    PC_BROADCAST_ACCEPTED,
    PC_BROADCAST_REFUSED, /* and would be again */
    PC_BROADCAST_FAILED,  /* this request only, as far as one can see */
    PC_BROADCAST_AWAY     /* the carrier takes nothing now */
};

/* Borrowed by the function that receives it. */
struct pc_broadcast_answer {
    enum pc_broadcast_outcome outcome;
    int code;                /* 0 or PUSHERC_E... */
    int status;              /* of HTTP; 0 = none */
    uint32_t retry_after_ms; /* of AWAY; 0 = not said */
    bool too_large;          /* of REFUSED: fewer events at a time may do */
    pusherc_slice reason;    /* one line of UTF-8, without secrets */
};

#endif
