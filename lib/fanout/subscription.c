#include "fanout/subscription.h"

#include "fanout/publish.h"
#include "protocol/message_out.h"

static struct pc_local **local_of(struct pc_channel *channel, const struct pc_worker *worker)
{
    return (struct pc_local **)&channel->local[worker->index];
}

/* This worker's list, with room for one more; NULL = out of memory. */
static struct pc_local *local_reserve(struct pc_worker *worker, struct pc_channel *channel)
{
    struct pc_local *local = *local_of(channel, worker);
    if (!local) {
        local = pc_alloc_zero(worker->mem, sizeof *local);
        if (!local)
            return NULL;
        local->channel = channel;
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

/* An empty list goes; one that has become sparse gives memory back. */
static void local_shrink(struct pc_worker *worker, struct pc_local *local)
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

/* Locked. Tells the others about a member who came or went. */
static int announce(struct pc_engine *engine, struct pc_channel *channel,
                    const struct pc_roster_member *member, bool added, struct pc_posting *posting)
{
    if (!channel->interested)
        return 0;
    char stack[1024];
    struct pc_buf message;
    pc_buf_init_in(&message, &engine->mem, SIZE_MAX, stack, sizeof stack);
    if (added)
        pc_out_member_added(&message, channel->name, member->node.key, member->info);
    else
        pc_out_member_removed(&message, channel->name, member->node.key);
    int rc = pc_buf_status(&message);
    if (rc == 0)
        rc = pc_publish_locked(engine, channel, pc_buf_slice(&message), posting);
    pc_buf_free(&message);
    return rc;
}

/* Locked. Everything about the member that can fail; undone on failure. */
static int join_member(struct pc_engine *engine, struct pc_channel *channel, const struct pc_join *join,
                       struct pc_buf *roster, struct pc_roster_member **out, struct pc_posting *posting)
{
    struct pc_roster_member *member;
    pusherc_slice json;
    int rc = pc_roster_join(&channel->roster, join->user_id, join->user_info,
                            join->app->options.max_presence_members, &member);
    if (rc)
        return rc;
    rc = pc_roster_json(&channel->roster, &json);
    if (rc == 0) {
        pc_buf_put(roster, json);
        rc = pc_buf_status(roster);
    }
    if (rc == 0 && member->subscriptions == 1)
        rc = announce(engine, channel, member, true, posting);
    if (rc == PUSHERC_EBACKLOG)
        rc = 0; /* one worker is drowning; refusing the newcomer would not help it */
    if (rc) {
        if (pc_roster_leave(&channel->roster, member))
            pc_roster_member_free(&channel->roster, member);
        return rc;
    }
    *out = member;
    return 0;
}

int pc_join(struct pc_worker *worker, const struct pc_join *join, struct pc_buf *roster,
            struct pc_subscription **out, struct pc_channel_change *change)
{
    struct pc_engine *engine = worker->engine;
    struct pc_posting posting = {0};
    int rc = PUSHERC_ENOMEM;
    *out = NULL;
    *change = (struct pc_channel_change){0};
    struct pc_subscription *s = pc_alloc_zero(worker->mem, sizeof *s);
    if (!s)
        return PUSHERC_ENOMEM;

    uint64_t uid = join->app->live->uid;
    struct pc_shard *shard = pc_directory_lock(&engine->directory, uid, join->channel);
    struct pc_channel *channel = pc_shard_get(&engine->directory, shard, uid, join->channel, join->class);
    if (!channel)
        goto fail;
    struct pc_local *local = local_reserve(worker, channel);
    if (!local)
        goto fail_local;
    if (join->class.kind == PUSHERC_CHANNEL_PRESENCE) {
        rc = join_member(engine, channel, join, roster, &s->member, &posting);
        if (rc)
            goto fail_local;
        change->member_edge = s->member->subscriptions == 1;
    }
    /* Nothing can fail from here on. */
    channel->interested |= UINT64_C(1) << worker->index;
    channel->subscriptions++;
    change->edge = channel->subscriptions == 1;
    change->subscriptions = channel->subscriptions;
    change->sequence = ++shard->number;
    s->q = join->q;
    s->local = local;
    s->index = local->count;
    local->targets[local->count++] = (struct pc_target){join->q, shard->number, s};
    pc_shard_unlock(shard);
    pc_posting_finish(engine, &posting);
    pc_stat_add(&worker->stats.subscriptions, 1);
    *out = s;
    return 0;

fail_local:
    local = *local_of(channel, worker);
    if (local && local->count == 0) {
        *local_of(channel, worker) = NULL;
        local_shrink(worker, local);
    }
    pc_channel_settle(&engine->directory, channel);
fail:
    pc_shard_unlock(shard);
    pc_posting_finish(engine, &posting);
    pc_free(worker->mem, s);
    return rc;
}

void pc_leave(struct pc_worker *worker, const struct pc_app *app, struct pc_subscription *s,
              struct pc_buf *user_id, struct pc_channel_change *change)
{
    struct pc_engine *engine = worker->engine;
    struct pc_local *local = s->local;
    struct pc_channel *channel = local->channel;
    struct pc_posting posting = {0};
    int rc = 0;
    *change = (struct pc_channel_change){0};

    struct pc_shard *shard = channel->shard;
    pthread_mutex_lock(&shard->mutex);
    local->targets[s->index] = local->targets[--local->count];
    local->targets[s->index].subscription->index = s->index;
    if (local->count == 0) {
        *local_of(channel, worker) = NULL;
        channel->interested &= ~(UINT64_C(1) << worker->index);
    }
    channel->subscriptions--;
    change->edge = channel->subscriptions == 0;
    change->subscriptions = channel->subscriptions;
    if (s->member && pc_roster_leave(&channel->roster, s->member)) {
        change->member_edge = true;
        rc = announce(engine, channel, s->member, false, &posting);
        if (user_id)
            pc_buf_put(user_id, s->member->node.key);
        pc_roster_member_free(&channel->roster, s->member);
    }
    change->sequence = ++shard->number;
    pc_channel_settle(&engine->directory, channel);
    pc_shard_unlock(shard);
    pc_posting_finish(engine, &posting);

    if (rc)
        PC_LOG(&engine->log, ERROR, ((struct pc_log_about){.subject = "fanout", .app_id = app->id}),
               "a member_removed was lost: %s", pusherc_strerror(rc));
    local_shrink(worker, local);
    pc_stat_sub(&worker->stats.subscriptions, 1);
    pc_free(worker->mem, s);
}

static bool same_id(pusherc_socket_id a, pusherc_socket_id b)
{
    return a.a == b.a && a.b == b.b;
}

void pc_local_deliver(struct pc_worker *worker, struct pc_slot *slot)
{
    const struct pc_frame *frame = slot->frame;
    const struct pc_local *local = *local_of(frame->channel, worker);
    if (!local)
        return;
    size_t room = worker->engine->limits.out_hard_bytes;
    room = room > slot->len ? room - slot->len : 0;
    const bool has_except = frame->except.a | frame->except.b;
    uint64_t delivered = 0;
    for (uint32_t i = 0; i < local->count; i++) {
        const struct pc_target *t = &local->targets[i];
        if (frame->number < t->since || (has_except && same_id(t->q->owner, frame->except)))
            continue;
        /* overflow closes or skips; either way it leaves this list alone until the turn's end */
        if (t->q->bytes > room || pc_outq_push(t->q, slot))
            t->q->overflow(t->q);
        else
            delivered++;
    }
    pc_stat_add(&worker->stats.messages_out, delivered);
}
