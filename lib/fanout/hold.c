#include "fanout/hold.h"

#include <pusherc/error.h>

#include "fanout/subscription.h"

struct pc_hold {
    /* Never flushed: its link stays in a list of its own, so that it is not put on the worker's dirty list. */
    struct pc_outq events;
    struct pc_list parked;
    uint64_t payload_bytes;
};

int pc_hold(struct pc_subscription *s)
{
    struct pc_worker *worker = pc_queue_of(s)->worker;
    if (s->hold)
        return 0;
    struct pc_hold *hold = pc_alloc_zero(worker->mem, sizeof *hold);
    if (!hold)
        return PUSHERC_ENOMEM;
    pc_outq_init(&hold->events, worker, NULL);
    pc_list_init(&hold->parked);
    pc_list_push_back(&hold->parked, &hold->events.dirty);
    s->hold = hold;
    s->local->held++;
    return 0;
}

void pc_hold_push(struct pc_subscription *s, struct pc_slot *slot)
{
    struct pc_outq *q = pc_queue_of(s);
    size_t hard = q->worker->engine->options.out_hard_bytes;
    if (q->closed)
        return;
    if (q->held + q->held_bytes + slot->len + PC_FRAME_COST > hard ||
        pc_outq_push(&s->hold->events, slot)) {
        q->overflow(q);
        return;
    }
    q->held_bytes += slot->len + PC_FRAME_COST;
    s->hold->payload_bytes += slot->len - slot->frame->header_len;
}

static void hold_free(struct pc_subscription *s)
{
    struct pc_hold *hold = s->hold;
    pc_outq_free(&hold->events);
    pc_free(pc_queue_of(s)->worker->mem, hold);
    s->hold = NULL;
    s->local->held--;
}

void pc_hold_release(struct pc_subscription *s)
{
    struct pc_hold *hold = s->hold;
    struct pc_outq *q = pc_queue_of(s);
    if (!hold)
        return;
    struct pc_outq *events = &hold->events;
    q->held_bytes -= events->held;
    if (q->held + events->held > q->worker->engine->options.out_hard_bytes) {
        /* other channels have filled the queue meanwhile */
        for (uint32_t n = events->count; n > 0 && !q->closed; n--)
            q->overflow(q);
    } else if (!q->closed) {
        pc_worker_delivered(q->worker, s->local->state, events->count, hold->payload_bytes);
        pc_outq_append(q, events);
    }
    hold_free(s);
}

void pc_hold_drop(struct pc_subscription *s)
{
    if (!s->hold)
        return;
    pc_queue_of(s)->held_bytes -= s->hold->events.held;
    hold_free(s);
}
