#include "fanout/local.h"

#include "fanout/hold.h"
#include "fanout/receipt.h"
#include "fanout/subscription.h"

struct pc_local *pc_local_reserve(struct pc_worker *worker, struct pc_channel *channel,
                                  struct pc_app_state *state)
{
    struct pc_local *local = pc_local_of(channel, worker);
    if (!local) {
        local = pc_alloc_zero(worker->mem, sizeof *local);
        if (!local)
            return NULL;
        local->channel = channel;
        local->state = state;
        pc_aside_init(&local->aside);
        channel->local[worker->index] = local;
    }
    if (local->count < local->cap)
        return local;
    uint32_t cap = local->cap ? local->cap + local->cap / 2 + 1 : 1;
    struct pc_target *targets = pc_resize_array(worker->mem, local->targets, cap, sizeof *targets);
    if (!targets)
        return NULL;
    local->targets = targets;
    local->cap = cap;
    return local;
}

void pc_local_shrink(struct pc_worker *worker, struct pc_local *local)
{
    if (local->count > 0) {
        if (local->cap > 64 && local->count < local->cap / 4) {
            struct pc_target *targets =
                pc_resize_array(worker->mem, local->targets, local->cap / 2, sizeof *targets);
            if (targets) {
                local->targets = targets;
                local->cap /= 2;
            }
        }
        return;
    }
    pc_mailbox_end_aside(worker->mailbox, &local->aside);
    pc_free(worker->mem, local->targets);
    pc_free(worker->mem, local);
}

void pc_local_add(struct pc_worker *worker, struct pc_local *local, struct pc_subscription *s,
                  struct pc_outq *q, uint64_t since)
{
    local->channel->interested |= UINT64_C(1) << worker->index;
    local->channel->takers[q->encoding]++;
    s->local = local;
    s->index = local->count;
    local->targets[local->count++] = (struct pc_target){.q = q, .subscription = s};
    pc_local_set_view(s, since);
}

void pc_local_set_view(struct pc_subscription *s, uint64_t since)
{
    struct pc_target *target = &s->local->targets[s->index];
    bool has_view = s->view != PC_NO_VIEW;
    target->view = has_view ? s->view : 0;
    target->since = has_view || !s->local->channel->views ? since : UINT64_MAX;
}

static void move_target(struct pc_local *local, uint32_t from, uint32_t to)
{
    local->targets[to] = local->targets[from];
    local->targets[to].subscription->index = to;
}

void pc_local_remove(struct pc_worker *worker, struct pc_subscription *s)
{
    struct pc_local *local = s->local;
    uint32_t gap = s->index;
    local->channel->takers[pc_queue_of(s)->encoding]--;
    if (gap < local->reached) {
        move_target(local, --local->reached, gap);
        gap = local->reached;
    }
    if (gap < --local->count)
        move_target(local, local->count, gap);
    if (local->count == 0) {
        local->channel->local[worker->index] = NULL;
        local->channel->interested &= ~(UINT64_C(1) << worker->index);
    }
}

void pc_local_settle(struct pc_worker *worker, struct pc_channel *channel)
{
    struct pc_local *local = pc_local_of(channel, worker);
    if (!local || local->count > 0)
        return;
    channel->local[worker->index] = NULL;
    pc_local_shrink(worker, local);
}

/* -- delivery -- */

/* How much a queue may hold (pc_outq.held) and still take `len` bytes more. */
static inline size_t room_for(const struct pc_worker *worker, size_t len)
{
    size_t hard = worker->engine->options.out_hard_bytes;
    return hard > len + PC_FRAME_COST ? hard - len - PC_FRAME_COST : 0;
}

/* True if the target subscribed before the event, and is not the client that the publisher excluded. */
static inline bool is_for(const struct pc_frame *event, const struct pc_target *t, bool has_except)
{
    return event->number >= t->since && !(has_except && pc_same_id(t->q->owner, event->except));
}

/* Targets from, from + 1, ... to - 1. */
struct range {
    uint32_t from, to;
};

/* Pushes a frame into a subscriber's queue. False: there was no room or no memory. */
static inline bool push(const struct pc_target *t, struct pc_slot *slot, size_t room)
{
    if (t->q->held <= room && pc_outq_push(t->q, slot) == 0)
        return true;
    /* The connection is closed or skips the event. Either way the list does not change before the turn's end. */
    t->q->overflow(t->q);
    return false;
}

/* All targets get the same frame. Returns how many queues have got it. */
static uint64_t deliver_same(struct pc_worker *worker, const struct pc_local *local,
                             struct pc_slot *slot, const struct range *range)
{
    const struct pc_frame *event = slot->frame;
    const size_t room = room_for(worker, slot->len);
    const bool has_except = event->except.a | event->except.b;
    uint64_t delivered = 0;
    for (uint32_t i = range->from; i < range->to; i++) {
        const struct pc_target *t = &local->targets[i];
        if (is_for(event, t, has_except))
            delivered += push(t, slot, room);
    }
    pc_worker_delivered(worker, local->state, delivered,
                        delivered * (slot->len - event->header_len));
    return delivered;
}

/* Gives a subscriber the slot, later if its events wait. True: it is in the queue. */
static bool give(struct pc_worker *worker, const struct pc_local *local, const struct pc_target *t,
                 struct pc_slot *slot)
{
    if (local->held && t->subscription->hold) {
        pc_hold_push(t->subscription, slot);
        return false;
    }
    return push(t, slot, room_for(worker, slot->len));
}

/* The same with a slot of its own, so that the host learns when it was written. Without memory for that it learns
 * nothing. */
static bool give_tracked(struct pc_worker *worker, const struct pc_local *local,
                         const struct pc_target *t, struct pc_tracked *event, struct pc_slot *slot)
{
    const struct pc_roster_member *member = t->subscription->member;
    struct pc_slot *own =
        pc_receipt_slot(t->q, local->state, event, slot, member ? member->node.key : t->q->user_id);
    const bool given = give(worker, local, t, own ? own : slot);
    if (own)
        pc_slot_unref(own);
    return given;
}

/* The same; each target gets the frame of its view and encoding, if there is one. */
static uint64_t deliver_each(struct pc_worker *worker, const struct pc_local *local,
                             struct pc_slot *slot, const struct range *range)
{
    const struct pc_frame *event = slot->frame;
    const struct pc_variants *variants = event->variants;
    const bool has_except = event->except.a | event->except.b;
    uint64_t delivered = 0, bytes = 0;
    for (uint32_t i = range->from; i < range->to; i++) {
        const struct pc_target *t = &local->targets[i];
        struct pc_slot *theirs = slot;
        if (variants) {
            uint8_t index = variants->index[t->view][t->q->encoding];
            if (index == PC_NO_VARIANT)
                continue;
            theirs = &variants->frames[index]->slots[slot - event->slots];
        }
        if (!is_for(event, t, has_except))
            continue;
        if (event->tracked ? give_tracked(worker, local, t, event->tracked, theirs)
                           : give(worker, local, t, theirs)) {
            delivered++;
            bytes += theirs->len - theirs->frame->header_len;
        }
    }
    pc_worker_delivered(worker, local->state, delivered, bytes);
    return delivered;
}

/* Pushes the event to the next `max` targets that it has not reached. */
static void deliver_to(struct pc_worker *worker, struct pc_local *local, struct pc_slot *slot,
                       uint32_t max)
{
    const uint32_t left = local->count - local->reached;
    const struct range range = {local->reached, local->reached + (left < max ? left : max)};
    const bool is_plain = !slot->frame->variants && !slot->frame->tracked && !local->held;
    local->pushed += is_plain ? deliver_same(worker, local, slot, &range)
                              : deliver_each(worker, local, slot, &range);
    local->reached = range.to;
}

static void deliver_to_crowd(struct pc_worker *worker, struct pc_local *local, struct pc_slot *slot)
{
    struct pc_list others;
    pc_worker_begin_bulk(worker, &others);
    do
        deliver_to(worker, local, slot, PC_CROWD_SLICE);
    while (local->reached < local->count && pc_mailbox_has_time(worker->mailbox));
    pc_worker_end_bulk(worker, &others);
}

/* False: it has not reached all. */
static bool deliver(struct pc_worker *worker, struct pc_local *local, struct pc_slot *slot)
{
    if (local->count > PC_CROWD)
        deliver_to_crowd(worker, local, slot);
    else
        deliver_to(worker, local, slot, PC_CROWD);
    if (local->reached < local->count)
        return false;
    if (local->pushed)
        pc_worker_time(worker, local->state, slot->frame->posted_ns);
    local->reached = 0;
    local->pushed = 0;
    return true;
}

static void deliver_later(struct pc_mail *mail, struct pc_worker *worker);

static void deliver_now(struct pc_worker *worker, struct pc_local *local, struct pc_slot *slot)
{
    if (!local || deliver(worker, local, slot))
        pc_event_unref(slot);
    else
        pc_mailbox_put_back(worker->mailbox, &local->aside, &slot->mail, deliver_later);
}

static inline struct pc_local *local_of(const struct pc_slot *slot, struct pc_worker *worker)
{
    return worker ? pc_local_of(slot->frame->channel, worker) : NULL;
}

static void deliver_later(struct pc_mail *mail, struct pc_worker *worker)
{
    struct pc_slot *slot = PC_CONTAINER(mail, struct pc_slot, mail);
    deliver_now(worker, local_of(slot, worker), slot);
}

void pc_local_deliver(struct pc_mail *mail, struct pc_worker *worker)
{
    struct pc_slot *slot = PC_CONTAINER(mail, struct pc_slot, mail);
    struct pc_local *local = local_of(slot, worker);
    if (local &&
        (pc_aside_waits(&local->aside) || (worker->mailbox->behind && local->count > PC_CROWD)))
        pc_mailbox_set_aside(worker->mailbox, &local->aside, mail, deliver_later);
    else
        deliver_now(worker, local, slot);
}
