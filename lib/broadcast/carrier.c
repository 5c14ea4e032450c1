#include "broadcast/carrier.h"

#include <pusherc/error.h>

/* A carrier that may fail in the middle takes one event at a time (max_events). */
void pc_carrier_send(struct pc_carrier *carrier, struct pc_broadcast_batch *batch)
{
    struct pc_broadcast_answer answer = {.outcome = PC_BROADCAST_ACCEPTED};
    if (carrier->ops->send) {
        carrier->ops->send(carrier, batch);
        return;
    }
    PC_LIST_EACH(l, &batch->events) {
        if (answer.outcome == PC_BROADCAST_ACCEPTED)
            carrier->ops->direct(
                carrier, &PC_CONTAINER(l, struct pc_broadcast_event, of_state)->event, &answer);
    }
    pc_carrier_answer(carrier, batch, &answer);
}
