#include "session/change.h"

#include "base/pack.h"
#include "session/grant.h"
#include "session/member.h"
#include "session/session.h"

/*
 * How a change reaches every grant. Round 1: on each worker, cached and pending decisions become
 * invalid (pc_decisions_outdate()), and the grants that fit the filter are rechecked. An answer may
 * still be in flight then: an auth endpoint's worker has decided by the old facts and has sent the
 * answer to the worker of the socket, which has not seen it in round 1. Mailboxes keep their order,
 * so every such answer arrives before a mail that is sent after the last worker has finished round
 * 1. That mail is round 2: it rechecks the grants that endpoints have left on this worker since
 * round 1, found by the worker's count of such answers. Until then they are in doubt: each is asked about as soon as
 * it arrives.
 *
 * A client whose grant is rechecked gets nothing until the answer is there: what arrives for it is held (fanout/hold.h)
 * and then delivered in order, or dropped. Round 1 is in every mailbox when the host's call returns, and what is
 * published afterwards lies behind it. So nothing published after that reaches a client that loses its grant, and one
 * that keeps it misses nothing.
 *
 * Signatures without a grant are found by the worker's number of changes (grant.c): both rounds count, so
 * that an answer which came and went between them is one from before the change.
 *
 * `open` counts what has not reported: the two rounds, as one, each recheck, and the other processes, if there are any
 * (everywhere.c). The last report calls `done`.
 */

/* What one worker keeps from the first round to the second. */
struct pc_change_worker {
    struct pc_doubt doubt;
    uint64_t endpoint_answers; /* its count at the first round */
};

struct pc_change *pc_change_new(struct pc_engine *engine, const struct pc_grant_filter *filter,
                                pusherc_slice channel, pusherc_slice reason)
{
    size_t count = 0, len = channel.len + reason.len;
    for (const struct pc_grant_filter *f = filter; f; f = f->next, count++)
        len += f->user_id.len + f->pattern.len;
    size_t size = sizeof(struct pc_change) + (count - 1) * sizeof *filter;
    struct pc_change *change = pc_alloc_zero(&engine->mem, size + len);
    if (!change)
        return NULL;
    char *at = (char *)change + size;
    change->mem = engine->mem;
    change->how = PC_RECHECK_OUTDATES | PC_RECHECK_HOLDS;
    change->engine = engine;
    struct pc_grant_filter *to = &change->filter;
    for (size_t i = 0; i < count; i++, filter = filter->next, to = &change->more[i - 1]) {
        *to = *filter;
        to->user_id = pc_pack(&at, filter->user_id);
        to->pattern = pc_pack(&at, filter->pattern);
        to->next = filter->next ? &change->more[i] : NULL;
    }
    change->channel = pc_pack(&at, channel);
    change->reason = pc_pack(&at, reason);
    atomic_init(&change->open, 1);
    return change;
}

static void change_free(struct pc_change *change)
{
    struct pc_mem mem = change->mem;
    pc_order_free(&change->order);
    pc_free(&mem, change->workers);
    pc_free(&mem, change);
}

void pc_change_report(struct pc_change *change)
{
    if (atomic_fetch_sub_explicit(&change->open, 1, memory_order_acq_rel) != 1)
        return;
    if (change->done)
        change->done(atomic_load(&change->kept), atomic_load(&change->revoked), change->user_data);
    change_free(change);
}

/* -- asking grants again -- */

#define ALL_GRANTS UINT64_MAX

static void rechecked(void *ctx, enum pc_recheck_result result)
{
    struct pc_change *change = ctx;
    if (result == PC_RECHECK_KEPT)
        atomic_fetch_add_explicit(&change->kept, 1, memory_order_relaxed);
    else if (result == PC_RECHECK_REVOKED)
        atomic_fetch_add_explicit(&change->revoked, 1, memory_order_relaxed);
    pc_change_report(change);
}

/* One change on one worker. */
struct round {
    struct pc_change *change;
    /* only grants that an auth endpoint has left here after that number; ALL_GRANTS = all */
    uint64_t after;
    const struct pc_grant_filter *by; /* by which the grants are found; NULL = all are visited */
};

/* A grant that several filters fit is asked about once: by the first of them, which finds it as well. */
static void recheck_grant(struct pc_grant *grant, struct round *round)
{
    struct pc_change *change = round->change;
    struct pc_session *s = grant->session;
    struct pc_holder holder =
        pc_holder_of(pc_grant_own_identity(grant), pc_session_identity(s), s->q->owner);
    bool all = round->after == ALL_GRANTS;
    if (!all && grant->endpoint_answer <= round->after)
        return;
    const struct pc_grant_filter *first =
        pc_grant_filter_fits(&change->filter, s->app->state->uid, pc_grant_channel(grant), &holder);
    if (!first || (round->by && first != round->by))
        return;
    atomic_fetch_add_explicit(&change->open, 1, memory_order_relaxed);
    pc_grant_recheck(grant, all ? change->how : PC_RECHECK_HOLDS, rechecked, change);
}

static void recheck_session(struct pc_session *s, void *ctx)
{
    PC_LIST_EACH_SAFE(l, next, &s->grants)
        recheck_grant(PC_CONTAINER(l, struct pc_grant, of_session), ctx);
}

/* A grant that is the user's by itself has been visited if its session is that user's, too. */
static bool is_of_session(const struct pc_grant *grant, pusherc_slice user_id)
{
    return pc_identity_is(pc_session_identity(grant->session), user_id);
}

static void recheck_own(struct pc_grant *grant, void *ctx)
{
    struct round *round = ctx;
    if (!is_of_session(grant, round->by->user_id))
        recheck_grant(grant, round);
}

static bool names_socket(const struct pc_grant_filter *f)
{
    return f->socket_id.a || f->socket_id.b;
}

/* Visits what the filter names: a socket, or a user. */
static void recheck_named(struct pc_worker *worker, struct round *round)
{
    const struct pc_grant_filter *by = round->by;
    if (names_socket(by)) {
        struct pc_session *s = pc_session_find(worker, by->socket_id);
        if (s)
            recheck_session(s, round);
        return;
    }
    pc_user_each_session(worker, by->app_uid, by->user_id, recheck_session, round);
    pc_user_each_grant(worker, by->app_uid, by->user_id, recheck_own, round);
}

static void recheck_worker(struct pc_worker *worker, struct pc_change *change, uint64_t after)
{
    struct round round = {change, after, NULL};
    bool all_name = true;
    for (const struct pc_grant_filter *f = &change->filter; f; f = f->next)
        all_name &= names_socket(f) || f->user_id.len;
    if (!all_name) {
        PC_LIST_EACH(l, &worker->sessions)
            recheck_session(PC_CONTAINER(l, struct pc_session, of_worker), &round);
        return;
    }
    for (round.by = &change->filter; round.by; round.by = round.by->next)
        recheck_named(worker, &round);
}

int pc_change_recheck_session(struct pc_session *s)
{
    struct pc_grant_filter filter = {.app_uid = s->app->state->uid};
    struct pc_change *change = pc_change_new(s->worker->engine, &filter, PC_S(""), PC_S(""));
    if (!change)
        return PUSHERC_ENOMEM;
    change->how = PC_RECHECK_OUTDATES; /* no fact has changed: delivery goes on */
    struct round round = {change, ALL_GRANTS, NULL};
    recheck_session(s, &round);
    pc_change_report(change);
    return 0;
}

/* -- two rounds -- */

static void second_round(struct pc_order *order, struct pc_worker *worker)
{
    struct pc_change *change = PC_CONTAINER(order, struct pc_change, order);
    struct pc_change_worker *own = &change->workers[worker->index];
    uint64_t seen = own->endpoint_answers;
    pc_doubt_end(&own->doubt);
    worker->changes++;
    if (worker->endpoint_answers != seen)
        recheck_worker(worker, change, seen);
}

static void second_done(struct pc_order *order)
{
    pc_change_report(PC_CONTAINER(order, struct pc_change, order));
}

static void revoke(struct pc_session *s, const struct pc_change *change)
{
    if (s->app->state->uid == change->filter.app_uid)
        pc_grant_revoke(s, change->channel, change->reason);
}

static void revoke_from_session(struct pc_session *s, void *ctx)
{
    revoke(s, ctx);
}

static void revoke_own(struct pc_grant *grant, void *ctx)
{
    const struct pc_change *change = ctx;
    if (!is_of_session(grant, change->filter.user_id) &&
        pc_slice_eq(pc_grant_channel(grant), change->channel))
        revoke(grant->session, change);
}

/* This worker's subscribers of the channel, if the user is a member. */
static struct pc_local *subscribers_beside(struct pc_worker *worker, const struct pc_change *change)
{
    uint64_t app_uid = change->filter.app_uid;
    struct pc_shard *shard =
        pc_directory_lock(&worker->engine->directory, app_uid, change->channel);
    const struct pc_channel *channel = pc_shard_find(shard, app_uid, change->channel);
    bool is_member = channel && channel->class.kind == PUSHERC_CHANNEL_PRESENCE &&
                     pc_roster_find(&channel->roster, change->filter.user_id);
    struct pc_local *local = is_member ? pc_local_of(channel, worker) : NULL;
    pc_shard_unlock(shard);
    return local;
}

/* Those who are the user in this channel alone. Who leaves is replaced by the last subscriber, who has been visited; the
 * list stays until its last one leaves. */
static void revoke_from_members(struct pc_worker *worker, const struct pc_change *change)
{
    struct pc_local *local = subscribers_beside(worker, change);
    for (uint32_t i = local ? local->count : 0; i-- > 0;) {
        const struct pc_target *target = &local->targets[i];
        if (!pc_slice_eq(target->subscription->member->node.key, change->filter.user_id))
            continue;
        struct pc_session *s = pc_session_find(worker, target->q->owner);
        if (s)
            revoke(s, change);
    }
}

static void revoke_from_user(struct pc_worker *worker, struct pc_change *change)
{
    const struct pc_grant_filter *filter = &change->filter;
    pc_user_each_session(worker, filter->app_uid, filter->user_id, revoke_from_session, change);
    pc_user_each_grant(worker, filter->app_uid, filter->user_id, revoke_own, change);
    revoke_from_members(worker, change);
}

void pc_change_apply(struct pc_change *change, struct pc_worker *worker)
{
    pc_decisions_outdate(worker, &change->filter);
    worker->changes++;
    if (change->channel.len && change->filter.user_id.len) {
        revoke_from_user(worker, change);
    } else if (change->channel.len) {
        struct pc_session *s = pc_session_find(worker, change->socket_id);
        if (s)
            revoke(s, change);
    } else { /* losing a grant closes no session */
        recheck_worker(worker, change, ALL_GRANTS);
    }
}

static void first_round(struct pc_order *order, struct pc_worker *worker)
{
    struct pc_change *change = PC_CONTAINER(order, struct pc_change, order);
    struct pc_change_worker *own = &change->workers[worker->index];
    own->endpoint_answers = worker->endpoint_answers;
    pc_doubt_begin(&own->doubt, worker, &change->filter);
    pc_change_apply(change, worker);
}

static void first_done(struct pc_order *order)
{
    order->run = second_round;
    order->done = second_done;
    pc_order_send(order);
}

int pc_change_prepare(struct pc_change *change)
{
    struct pc_engine *engine = change->engine;
    change->workers = pc_alloc_array(&change->mem, engine->worker_count, sizeof *change->workers);
    if (!change->workers || pc_order_init(&change->order, engine)) {
        change_free(change);
        return PUSHERC_ENOMEM;
    }
    change->order.run = first_round;
    change->order.done = first_done;
    return 0;
}

void pc_change_go(struct pc_change *change)
{
    pc_order_send(&change->order);
}

void pc_change_drop(struct pc_change *change)
{
    if (change)
        change_free(change);
}

int pc_change_send(struct pc_change *change)
{
    int err = pc_change_prepare(change);
    if (err == 0)
        pc_change_go(change);
    return err;
}
