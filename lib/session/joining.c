#include "session/joining.h"

#include "base/pack.h"
#include "fanout/local.h"
#include "session/grant.h"
#include "session/member.h"
#include "session/resume.h"

struct pc_session_join {
    struct pc_joining joining;
    struct pc_list in_order;
    struct pc_map_node by_channel;
    struct pc_list waiting_turn; /* in pc_worker.joins: it is long */
    bool has_turn;
    struct pc_timer unblocked; /* fires in the next turn after the join in front was abandoned */
    struct pc_session *session;
    struct pc_grant *grant;
    pc_joined_fn then;
    struct pc_rule_match match; /* its values point into the channel's name */
    char text[];                /* storage of the slices in joining.join */
};

/* Exists while a join waits. */
struct pc_session_joins {
    struct pc_list in_order; /* the oldest first */
    struct pc_map by_channel;
};

static void answer_decided(struct pc_session *s);

static void on_decided(struct pc_joining *joining)
{
    answer_decided(PC_CONTAINER(joining, struct pc_session_join, joining)->session);
}

static void on_unblocked(struct pc_timer *timer, uint64_t now_ms)
{
    (void)now_ms;
    answer_decided(PC_CONTAINER(timer, struct pc_session_join, unblocked)->session);
}

static struct pc_session_join *join_new(struct pc_session *s, const struct pc_join *join,
                                        struct pc_grant *grant, pc_joined_fn then)
{
    size_t len = join->channel.len + join->user_id.len + join->user_info.len;
    struct pc_session_join *j = pc_alloc_zero(s->worker->mem, sizeof *j + len);
    if (!j)
        return NULL;
    char *at = j->text;
    j->session = s;
    j->grant = grant;
    j->then = then;
    pc_list_init(&j->waiting_turn);
    pc_timer_init(&j->unblocked, on_unblocked);
    j->joining.worker = s->worker;
    j->joining.decided = on_decided;
    j->joining.join = *join;
    j->joining.join.match = &j->match;
    j->joining.join.channel = pc_pack(&at, join->channel);
    j->joining.join.user_id = pc_pack(&at, join->user_id);
    j->joining.join.user_info = pc_pack(&at, join->user_info);
    j->match = pc_rule_match_in(join->match, join->channel, j->joining.join.channel);
    if (!pc_join_rendered(join))
        j->match.rule = NULL; /* it may be removed meanwhile; one that renders stays */
    return j;
}

static void finish(struct pc_session *s, struct pc_join *join, struct pc_grant *grant,
                   pc_joined_fn then)
{
    struct pc_refusal why;
    if (grant)
        join->view = pc_grant_view(grant);
    struct pc_subscription *sub = pc_session_join(s, join, &why);
    then(s, join->channel, grant, sub, &why);
}

static void refuse_join(struct pc_session_join *j, int err)
{
    struct pc_refusal why = pc_session_join_refusal(j->session, err);
    j->then(j->session, j->joining.join.channel, j->grant, NULL, &why);
}

/* NULL: none waits. */
static struct pc_session_join *first_of(const struct pc_session *s)
{
    return s->joins ? PC_CONTAINER(s->joins->in_order.next, struct pc_session_join, in_order)
                    : NULL;
}

static void joins_free_if_empty(struct pc_session *s)
{
    if (!pc_list_empty(&s->joins->in_order))
        return;
    pc_map_free(&s->joins->by_channel);
    pc_free(s->worker->mem, s->joins);
    s->joins = NULL;
}

/* Makes the join the session's last one; it counts for the limit. False: out of memory. */
static bool put_in(struct pc_session *s, struct pc_session_join *j)
{
    if (!s->joins) {
        s->joins = pc_alloc(s->worker->mem, sizeof *s->joins);
        if (!s->joins)
            return false;
        pc_list_init(&s->joins->in_order);
        pc_map_init(&s->joins->by_channel, s->worker->mem, s->worker->engine->seed);
    }
    j->by_channel.key = j->joining.join.channel;
    if (pc_map_insert(&s->joins->by_channel, &j->by_channel)) {
        joins_free_if_empty(s);
        return false;
    }
    pc_list_push_back(&s->joins->in_order, &j->in_order);
    s->subscription_count++;
    return true;
}

static void take_out(struct pc_session_join *j)
{
    struct pc_session *s = j->session;
    pc_map_remove(&s->joins->by_channel, &j->by_channel);
    pc_list_remove(&j->in_order);
    pc_list_remove(&j->waiting_turn);
    joins_free_if_empty(s);
    s->subscription_count--;
    pc_timer_stop(&s->worker->timers, &j->unblocked);
}

/* The newcomer gets a roster of many, and many hear of the newcomer. */
static bool is_for_crowd(const struct pc_session *s, const struct pc_join *join)
{
    if (join->class.kind != PUSHERC_CHANNEL_PRESENCE ||
        s->app->options.max_presence_members <= PC_CROWD)
        return false;
    const uint64_t uid = s->app->state->uid;
    struct pc_shard *shard = pc_directory_lock(&s->worker->engine->directory, uid, join->channel);
    const struct pc_channel *channel = pc_shard_find(shard, uid, join->channel);
    bool crowded = channel && pc_roster_count(&channel->roster) > PC_CROWD;
    pc_shard_unlock(shard);
    return crowded;
}

static bool is_long(const struct pc_session *s, const struct pc_join *join)
{
    return pc_resume_awaits_join(s, join->channel) || is_for_crowd(s, join);
}

/* Decided, and long: it is finished when it gets its turn. */
static bool waits_for_turn(struct pc_session_join *j)
{
    if (j->joining.result || j->has_turn || !is_long(j->session, &j->joining.join))
        return false;
    if (pc_list_empty(&j->waiting_turn))
        pc_list_push_back(&j->session->worker->joins, &j->waiting_turn);
    return true;
}

/* Answers decided joins from the front, up to the first that is open or waits for its turn. Not from inside a walk over
 * grants, because it may free some. */
static void answer_decided(struct pc_session *s)
{
    struct pc_session_join *j;
    while ((j = first_of(s)) && j->joining.result != PC_JOIN_WAITS && !waits_for_turn(j)) {
        take_out(j);
        if (j->joining.result)
            refuse_join(j, j->joining.result);
        else
            finish(s, &j->joining.join, j->grant, j->then);
        pc_free(s->worker->mem, j);
    }
}

void pc_session_begin_join(struct pc_session *s, struct pc_join *join, struct pc_grant *grant,
                           pc_joined_fn then)
{
    if (!s->worker->engine->decider.begin && !s->joins && !is_long(s, join)) {
        finish(s, join, grant, then);
        return;
    }
    struct pc_session_join *j = join_new(s, join, grant, then);
    if (!j || !put_in(s, j)) {
        pc_free(s->worker->mem, j);
        struct pc_refusal why = pc_session_join_refusal(s, PUSHERC_ENOMEM);
        then(s, join->channel, grant, NULL, &why);
        return;
    }
    if (grant) {
        pc_grant_set_state(grant, PC_GRANT_JOINING);
        pc_timer_stop(&s->worker->timers, &grant->expiry);
    }
    pc_join_begin(&j->joining);
    if (first_of(s) == j) /* otherwise another join is in front */
        answer_decided(s);
}

bool pc_session_serve_joins(struct pc_worker *worker, uint64_t (*clock_ns)(void), uint64_t ns)
{
    struct pc_list others;
    if (pc_list_empty(&worker->joins))
        return false;
    const uint64_t ends_ns = clock_ns() + ns;
    const size_t least = worker->queued_bytes + PC_JOINS_LEAST;
    const size_t most = least > PC_JOINS_BYTES ? least : PC_JOINS_BYTES;
    pc_worker_begin_bulk(worker, &others);
    do {
        struct pc_session_join *j =
            PC_CONTAINER(worker->joins.next, struct pc_session_join, waiting_turn);
        pc_list_remove(&j->waiting_turn);
        j->has_turn = true;
        answer_decided(j->session);
    } while (!pc_list_empty(&worker->joins) && worker->queued_bytes < most && clock_ns() < ends_ns);
    pc_worker_end_bulk(worker, &others);
    return true;
}

static struct pc_session_join *find(const struct pc_session *s, pusherc_slice channel)
{
    struct pc_map_node *node = s->joins ? pc_map_find(&s->joins->by_channel, channel) : NULL;
    return node ? PC_CONTAINER(node, struct pc_session_join, by_channel) : NULL;
}

bool pc_session_join_waits(const struct pc_session *s, pusherc_slice channel)
{
    return find(s, channel) != NULL;
}

static void abandon(struct pc_session_join *j)
{
    take_out(j);
    pc_join_abandon(&j->joining);
    pc_free(j->session->worker->mem, j);
}

bool pc_session_abandon_join(struct pc_session *s, pusherc_slice channel)
{
    struct pc_session_join *j = find(s, channel), *first;
    if (!j)
        return false;
    abandon(j);
    first = first_of(s);
    if (first && first->joining.result != PC_JOIN_WAITS)
        pc_timer_arm(&s->worker->timers, &first->unblocked, s->worker->now_ms);
    return true;
}

void pc_session_abandon_joins(struct pc_session *s)
{
    while (s->joins)
        abandon(first_of(s));
}
