#include "fanout/local.h"

#include "fanout/subscription.h"

static struct pc_local **local_of(struct pc_channel *channel, const struct pc_worker *worker)
{
    return (struct pc_local **)&channel->local[worker->index];
}

struct pc_local *pc_local_reserve(struct pc_worker *worker, struct pc_channel *channel,
                                  struct pc_app_live *live)
{
    struct pc_local *local = *local_of(channel, worker);
    if (!local) {
        local = pc_alloc_zero(worker->mem, sizeof *local);
        if (!local)
            return NULL;
        local->channel = channel;
        local->live = live;
        *local_of(channel, worker) = local;
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
    pc_free(worker->mem, local->targets);
    pc_free(worker->mem, local);
}

void pc_local_add(struct pc_worker *worker, struct pc_local *local, struct pc_subscription *s,
                  uint64_t since)
{
    local->channel->interested |= UINT64_C(1) << worker->index;
    s->local = local;
    s->index = local->count;
    local->targets[local->count++] = (struct pc_target){s->q, since, s, s->view};
}

void pc_local_remove(struct pc_worker *worker, struct pc_subscription *s)
{
    struct pc_local *local = s->local;
    local->targets[s->index] = local->targets[--local->count];
    local->targets[s->index].subscription->index = s->index;
    if (local->count == 0) {
        *local_of(local->channel, worker) = NULL;
        local->channel->interested &= ~(UINT64_C(1) << worker->index);
    }
}

void pc_local_settle(struct pc_worker *worker, struct pc_channel *channel)
{
    struct pc_local *local = pc_local_of(channel, worker);
    if (!local || local->count > 0)
        return;
    *local_of(channel, worker) = NULL;
    pc_local_shrink(worker, local);
}

void pc_local_deliver(struct pc_worker *worker, struct pc_slot *slot)
{
    const struct pc_frame *frame = slot->frame;
    const struct pc_local *local = pc_local_of(frame->channel, worker);
    const size_t room = pc_local_room(worker, slot->len);
    const bool has_except = frame->except.a | frame->except.b;
    uint64_t delivered = 0;
    if (!local)
        return;
    for (uint32_t i = 0; i < local->count; i++) {
        const struct pc_target *t = &local->targets[i];
        if (frame->number < t->since || (has_except && pc_same_id(t->q->owner, frame->except)))
            continue;
        delivered += pc_target_push(t, slot, room);
    }
    pc_worker_delivered(worker, local->live, delivered, delivered * (slot->len - frame->header_len),
                        frame->posted_ns);
}
