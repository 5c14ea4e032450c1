#include "session/joining.h"

#include "base/pack.h"
#include "session/grant.h"
#include "session/member.h"

struct pc_session_join {
    struct pc_joining joining;
    struct pc_session_join *next;
    struct pc_timer unblocked; /* fires in the next turn after the join in front was abandoned */
    struct pc_session *session;
    struct pc_grant *grant;
    pc_joined_fn then;
    struct pc_rule_match match; /* its values point into the channel's name */
    char text[];                /* storage of the slices in joining.join */
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
    pc_timer_init(&j->unblocked, on_unblocked);
    j->joining.worker = s->worker;
    j->joining.decided = on_decided;
    j->joining.join = *join;
    j->joining.join.match = &j->match;
    j->joining.join.channel = pc_pack(&at, join->channel);
    j->joining.join.user_id = pc_pack(&at, join->user_id);
    j->joining.join.user_info = pc_pack(&at, join->user_info);
    j->match = pc_rule_match_in(join->match, join->channel, j->joining.join.channel);
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

/* Takes the join out of the session's list and out of its count of subscriptions. */
static void take_out(struct pc_session_join **at)
{
    struct pc_session_join *j = *at;
    *at = j->next;
    j->session->subscription_count--;
    pc_timer_stop(&j->session->worker->timers, &j->unblocked);
}

/* Answers decided joins from the front, up to the first that is open. Not from inside a walk over grants, because it
 * may free some. */
static void answer_decided(struct pc_session *s)
{
    while (s->joins && s->joins->joining.result != PC_JOIN_WAITS) {
        struct pc_session_join *j = s->joins;
        take_out(&s->joins);
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
    if (!s->worker->engine->decider.begin) {
        finish(s, join, grant, then);
        return;
    }
    struct pc_session_join *j = join_new(s, join, grant, then), **end = &s->joins;
    if (!j) {
        struct pc_refusal why = pc_session_join_refusal(s, PUSHERC_ENOMEM);
        then(s, join->channel, grant, NULL, &why);
        return;
    }
    if (grant) {
        grant->state = PC_GRANT_JOINING;
        pc_timer_stop(&s->worker->timers, &grant->expiry);
    }
    while (*end)
        end = &(*end)->next;
    *end = j;
    s->subscription_count++; /* a waiting join counts for the limit */
    pc_join_begin(&j->joining);
    if (s->joins == j) /* otherwise another join is in front */
        answer_decided(s);
}

static struct pc_session_join **find(struct pc_session *s, pusherc_slice channel)
{
    struct pc_session_join **at = &s->joins;
    while (*at && !pc_slice_eq((*at)->joining.join.channel, channel))
        at = &(*at)->next;
    return at;
}

bool pc_session_join_waits(const struct pc_session *s, pusherc_slice channel)
{
    return *find((struct pc_session *)s, channel) != NULL;
}

static void abandon(struct pc_session *s, struct pc_session_join **at)
{
    struct pc_session_join *j = *at;
    take_out(at);
    pc_join_abandon(&j->joining);
    pc_free(s->worker->mem, j);
}

bool pc_session_abandon_join(struct pc_session *s, pusherc_slice channel)
{
    struct pc_session_join **at = find(s, channel);
    if (!*at)
        return false;
    abandon(s, at);
    if (s->joins && s->joins->joining.result != PC_JOIN_WAITS)
        pc_timer_arm(&s->worker->timers, &s->joins->unblocked, s->worker->now_ms);
    return true;
}

void pc_session_abandon_joins(struct pc_session *s)
{
    while (s->joins)
        abandon(s, &s->joins);
}
