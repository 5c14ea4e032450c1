#include "session/change.h"

#include "base/pack.h"
#include "session/grant.h"
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
 * `open` counts what has not reported: the two rounds, as one, and each recheck. The last report calls
 * `done`.
 */

/* What one worker keeps from the first round to the second. */
struct pc_change_worker {
    struct pc_doubt doubt;
    uint64_t endpoint_answers; /* its count at the first round */
};

struct pc_change *pc_change_new(struct pc_engine *engine, const struct pc_grant_filter *filter,
                                pusherc_slice channel, pusherc_slice reason)
{
    size_t len = filter->user_id.len + filter->pattern.len + channel.len + reason.len;
    struct pc_change *change = pc_alloc_zero(&engine->mem, sizeof *change + len);
    if (!change)
        return NULL;
    change->mem = engine->mem;
    change->how = PC_RECHECK_OUTDATES | PC_RECHECK_HOLDS;
    change->engine = engine;
    change->filter = *filter;
    char *at = change->text;
    change->filter.user_id = pc_pack(&at, filter->user_id);
    change->filter.pattern = pc_pack(&at, filter->pattern);
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

static struct pc_session *session_at(struct pc_list *link)
{
    return PC_CONTAINER(link, struct pc_session, of_worker);
}

static void rechecked(void *ctx, enum pc_recheck_result result)
{
    struct pc_change *change = ctx;
    if (result == PC_RECHECK_KEPT)
        atomic_fetch_add_explicit(&change->kept, 1, memory_order_relaxed);
    else if (result == PC_RECHECK_REVOKED)
        atomic_fetch_add_explicit(&change->revoked, 1, memory_order_relaxed);
    pc_change_report(change);
}

/* Rechecks the session's grants that fit the filter. Unless `after` is ALL_GRANTS: only those
 * that an auth endpoint has left here after that number. */
static void recheck_grants(struct pc_session *s, struct pc_change *change, uint64_t after)
{
    PC_LIST_EACH_SAFE(l, next, &s->grants) {
        struct pc_grant *grant = PC_CONTAINER(l, struct pc_grant, of_session);
        const struct pc_grant_filter *filter = &change->filter;
        if (after != ALL_GRANTS && grant->endpoint_answer <= after)
            continue;
        if (!pc_grant_filter_covers(filter, s->app->state->uid, pc_grant_channel(grant)) ||
            (filter->user_id.len && !pc_grant_is_of(grant, filter->user_id)))
            continue;
        atomic_fetch_add_explicit(&change->open, 1, memory_order_relaxed);
        pc_grant_recheck(grant, after == ALL_GRANTS ? change->how : PC_RECHECK_HOLDS, rechecked,
                         change);
    }
}

static void recheck_worker(struct pc_worker *worker, struct pc_change *change, uint64_t after)
{
    PC_LIST_EACH(l, &worker->sessions)
        recheck_grants(session_at(l), change, after);
}

int pc_change_recheck_session(struct pc_session *s)
{
    struct pc_grant_filter filter = {.app_uid = s->app->state->uid};
    struct pc_change *change = pc_change_new(s->worker->engine, &filter, PC_S(""), PC_S(""));
    if (!change)
        return PUSHERC_ENOMEM;
    change->how = PC_RECHECK_OUTDATES; /* no fact has changed: delivery goes on */
    recheck_grants(s, change, ALL_GRANTS);
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

static void revoke_from_user(struct pc_worker *worker, const struct pc_change *change)
{
    PC_LIST_EACH(l, &worker->sessions) {
        struct pc_session *s = session_at(l);
        const struct pc_grant *grant = pc_grant_find(s, change->channel);
        pusherc_slice user_id = change->filter.user_id;
        if (grant ? pc_grant_is_of(grant, user_id)
                  : pc_identity_is(pc_session_identity(s), user_id))
            revoke(s, change);
    }
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

int pc_change_send(struct pc_change *change)
{
    struct pc_engine *engine = change->engine;
    change->workers = pc_alloc_array(&change->mem, engine->worker_count, sizeof *change->workers);
    if (!change->workers || pc_order_init(&change->order, engine)) {
        change_free(change);
        return PUSHERC_ENOMEM;
    }
    change->order.run = first_round;
    change->order.done = first_done;
    pc_order_send(&change->order);
    return 0;
}
