#include "session/grant.h"

#include "protocol/message_out.h"
#include "session/change.h"
#include "session/joining.h"
#include "session/session.h"

struct recheck {
    struct pc_list link;
    struct pc_change *of;
};

static void decided(struct pc_waiter *waiter, const struct pc_verdict *verdict);
static void on_expiry(struct pc_timer *timer, uint64_t now_ms);

/* -- the record -- */

struct pc_grant *pc_grant_find(struct pc_session *s, pusherc_slice channel)
{
    for (struct pc_list *l = s->grants.next; l != &s->grants; l = l->next) {
        struct pc_grant *grant = PC_CONTAINER(l, struct pc_grant, of_session);
        if (pc_slice_eq(pc_grant_channel(grant), channel))
            return grant;
    }
    return NULL;
}

struct pc_identity *pc_grant_identity(const struct pc_grant *grant)
{
    return grant->identity ? grant->identity : pc_session_identity(grant->session);
}

static struct pc_grant *grant_new(struct pc_session *s, pusherc_slice channel,
                                  struct pc_channel_class class, enum pc_grant_state state)
{
    struct pc_grant *grant = pc_alloc_zero(s->worker->mem, sizeof *grant + channel.len);
    if (!grant)
        return NULL;
    grant->session = s;
    grant->class = class;
    grant->state = (uint8_t)state;
    grant->channel_len = channel.len;
    memcpy(grant->channel, channel.ptr, channel.len);
    pc_waiter_init(&grant->waiter, decided);
    pc_timer_init(&grant->expiry, on_expiry);
    pc_list_init(&grant->rechecks);
    pc_list_push_back(&s->grants, &grant->of_session);
    s->grant_count++;
    pc_stat_add(&s->worker->stats.grants, 1);
    return grant;
}

/* Tells changes that waited for a grant what came of it. */
static void report(const struct pc_mem *mem, struct pc_list *rechecks, bool asked, bool kept)
{
    struct pc_list list;
    pc_list_take(&list, rechecks);
    while (!pc_list_empty(&list)) {
        struct recheck *recheck = PC_CONTAINER(list.next, struct recheck, link);
        struct pc_change *of = recheck->of;
        pc_list_remove(&recheck->link);
        pc_free(mem, recheck);
        if (asked)
            atomic_fetch_add_explicit(kept ? &of->kept : &of->revoked, 1, memory_order_relaxed);
        pc_change_report(of);
    }
}

void pc_grant_free(struct pc_grant *grant)
{
    struct pc_session *s = grant->session;
    pc_session_abandon_join(s, pc_grant_channel(grant));
    pc_waiter_cancel(&grant->waiter);
    pc_timer_stop(&s->worker->timers, &grant->expiry);
    if (grant->subscription)
        grant->subscription->grant = NULL;
    pc_list_remove(&grant->of_session);
    s->grant_count--;
    pc_stat_sub(&s->worker->stats.grants, 1);
    report(s->worker->mem, &grant->rechecks, false, false);
    pc_identity_unref(grant->identity);
    pc_free(s->worker->mem, grant);
}

void pc_grant_give_up(struct pc_grant *grant)
{
    struct pc_session *s = grant->session;
    /* where only rules decide, there is nothing to guard against */
    if (!grant->taken || s->app->options.auth_mode == PUSHERC_AUTH_RULES) {
        pc_grant_free(grant);
        return;
    }
    pc_session_abandon_join(s, pc_grant_channel(grant));
    pc_waiter_cancel(&grant->waiter);
    pc_timer_stop(&s->worker->timers, &grant->expiry);
    grant->state = PC_GRANT_REFUSED;
    report(s->worker->mem, &grant->rechecks, false, false);
}

/* -- asking -- */

/* True: decided at once, see *now. */
static bool ask(struct pc_grant *grant, const struct pc_rule_match *match, bool fresh,
                struct pc_verdict *now)
{
    struct pc_session *s = grant->session;
    struct pc_question question = {.app = s->app,
                                   .match = match,
                                   .channel = pc_grant_channel(grant),
                                   .identity = pc_grant_identity(grant),
                                   .socket_id = s->q->owner,
                                   .fresh = fresh};
    return pc_decide(s->worker, &question, &grant->waiter, now);
}

size_t pc_grants_wanted(const struct pc_session *s, pusherc_slice but_for)
{
    size_t n = 0;
    for (const struct pc_list *l = s->grants.next; l != &s->grants; l = l->next) {
        const struct pc_grant *grant = PC_CONTAINER(l, struct pc_grant, of_session);
        bool wanted = grant->state == PC_GRANT_ASKED || grant->state == PC_GRANT_LOST;
        n += wanted && !pc_slice_eq(pc_grant_channel(grant), but_for);
    }
    return n;
}

void pc_grant_disown(struct pc_session *s, pusherc_slice channel)
{
    struct pc_grant *grant = pc_grant_find(s, channel);
    if (!grant || !grant->identity || grant->shown)
        return;
    pc_waiter_cancel(&grant->waiter); /* a question about somebody else */
    pc_identity_unref(grant->identity);
    grant->identity = NULL;
    pc_grant_give_up(grant);
}

/* The rule that covers the grant's channel; there is one, for rules never change while we run. */
static struct pc_rule_match match_of(const struct pc_grant *grant)
{
    const struct pc_session *s = grant->session;
    return pc_rules_find(&s->worker->engine->rules, s->app->id, pc_grant_channel(grant),
                         grant->class.kind);
}

void pc_grant_ask(struct pc_session *s, pusherc_slice channel, struct pc_channel_class class,
                  const struct pc_rule_match *match)
{
    struct pc_verdict now;
    /* of an auth endpoint: then its identity counts; or lost */
    struct pc_grant *grant = pc_grant_find(s, channel);
    struct pc_rule_match own = *match;
    if (!grant)
        grant = grant_new(s, channel, class, PC_GRANT_ASKED);
    if (!grant) {
        pc_session_refuse(s, channel,
                          (struct pc_refusal){PUSHERC_DENIED_INTERNAL, 500, PC_S("Out of memory"),
                                              match->rule, PC_S("")});
        return;
    }
    grant->state = PC_GRANT_ASKED;
    grant->shown = true; /* otherwise it has been disowned */
    pc_timer_stop(&s->worker->timers, &grant->expiry);
    for (size_t i = 0; i < match->rule->param_count; i++)
        own.values[i].ptr = grant->channel + (match->values[i].ptr - channel.ptr);
    if (!pc_waiter_waits(&grant->waiter) && ask(grant, &own, false, &now))
        decided(&grant->waiter, &now);
}

static void start_expiry(struct pc_grant *grant, uint32_t expires_in_ms)
{
    struct pc_worker *worker = grant->session->worker;
    if (expires_in_ms)
        pc_timer_arm(&worker->timers, &grant->expiry, worker->now_ms + expires_in_ms);
    else
        pc_timer_stop(&worker->timers, &grant->expiry);
}

/* A grant has run out: one that nobody has used yet is forgotten, a standing one is asked again. */
static void on_expiry(struct pc_timer *timer, uint64_t now_ms)
{
    struct pc_grant *grant = PC_CONTAINER(timer, struct pc_grant, expiry);
    struct pc_rule_match match = match_of(grant);
    struct pc_verdict now;
    (void)now_ms;
    if (grant->state == PC_GRANT_REMEMBERED)
        pc_grant_free(grant);
    else if (!pc_waiter_waits(&grant->waiter) && ask(grant, &match, true, &now))
        decided(&grant->waiter, &now);
}

/* -- answers -- */

static struct pc_refusal refusal_of(const struct pc_verdict *v, const struct pc_rule *rule)
{
    return (struct pc_refusal){v->reason, v->status, v->text, rule, PC_S("")};
}

static void keep_verdict(struct pc_grant *grant, const struct pc_verdict *v)
{
    grant->view_len = (uint8_t)v->view.len;
    if (v->view.len)
        memcpy(grant->view, v->view.ptr, v->view.len);
    grant->until_ms = v->expires_in_ms ? grant->session->worker->now_ms + v->expires_in_ms : 0;
}

static void entered(struct pc_session *s, pusherc_slice channel, struct pc_grant *grant,
                    struct pc_subscription *sub, struct pc_refusal *why)
{
    if (sub) {
        pc_grant_stand(grant, sub);
        return;
    }
    why->rule = match_of(grant).rule;
    pc_session_refuse(s, channel, *why);
    pc_grant_free(grant);
}

/* The verdict lets them in: the first time, or again. */
static void enter(struct pc_grant *grant, const struct pc_verdict *v,
                  const struct pc_rule_match *match)
{
    struct pc_session *s = grant->session;
    const struct pc_identity *who = pc_grant_identity(grant);
    struct pc_join join = {.app = s->app,
                           .q = s->q,
                           .channel = pc_grant_channel(grant),
                           .class = grant->class,
                           .match = match,
                           .user_id = v->user_id,
                           .user_info = v->user_info};
    if (join.user_id.len == 0 && who)
        join.user_id = who->user_id;
    if (join.user_info.len == 0)
        join.user_info = who && who->user_info.len ? who->user_info : PC_S("{}");
    struct pc_refusal why;
    keep_verdict(grant, v);
    if (pc_session_check_member(s, &join, &why))
        pc_session_begin_join(s, &join, grant, entered);
    else
        entered(s, join.channel, grant, NULL, &why);
}

/* It had the channel and has it no more; what it wants is not forgotten. */
static void lose(struct pc_grant *grant, struct pc_refusal why)
{
    struct pc_session *s = grant->session;
    struct pc_subscription *sub = grant->subscription;
    grant->state = PC_GRANT_LOST;
    grant->taken = true;
    grant->subscription = NULL;
    sub->grant = NULL;
    start_expiry(grant, 0);
    pc_session_leave(s, sub);
    pc_session_revoked(s, pc_grant_channel(grant), why);
}

static void decided(struct pc_waiter *waiter, const struct pc_verdict *v)
{
    struct pc_grant *grant = PC_CONTAINER(waiter, struct pc_grant, waiter);
    struct pc_session *s = grant->session;
    struct pc_rule_match match = match_of(grant);
    struct pc_list rechecks; /* told when it has happened, which may free the grant */
    pc_list_take(&rechecks, &grant->rechecks);
    switch ((enum pc_grant_state)grant->state) {
    case PC_GRANT_ASKED:
        if (v->allowed) {
            enter(grant, v, &match);
        } else {
            pc_session_refuse(s, pc_grant_channel(grant), refusal_of(v, match.rule));
            pc_grant_give_up(grant);
        }
        break;
    case PC_GRANT_JOINING:
        if (v->allowed) {
            keep_verdict(grant, v);
        } else {
            pc_session_refuse(s, pc_grant_channel(grant), refusal_of(v, match.rule));
            grant->taken = true;
            pc_grant_give_up(grant);
        }
        break;
    case PC_GRANT_STANDING:
        if (v->allowed) {
            pc_change_view(grant->subscription, v->view);
            start_expiry(grant, v->expires_in_ms);
        } else {
            lose(grant, refusal_of(v, match.rule));
        }
        break;
    case PC_GRANT_LOST:
        if (v->allowed)
            enter(grant, v, &match);
        break;
    case PC_GRANT_REMEMBERED:
        grant->taken = !v->allowed;
        if (v->allowed)
            keep_verdict(grant, v);
        else
            pc_grant_give_up(grant);
        break;
    case PC_GRANT_REFUSED:
        if (v->allowed)
            pc_grant_free(grant);
        break;
    }
    report(s->worker->mem, &rechecks, true, v->allowed);
}

/* -- grants that came another way -- */

struct pc_grant *pc_grant_prepare(struct pc_session *s, pusherc_slice channel,
                                  struct pc_channel_class class)
{
    struct pc_grant *grant = pc_grant_find(s, channel);
    return grant ? grant : grant_new(s, channel, class, PC_GRANT_REMEMBERED);
}

void pc_grant_stand(struct pc_grant *grant, struct pc_subscription *sub)
{
    struct pc_timers *timers = &grant->session->worker->timers;
    grant->state = PC_GRANT_STANDING;
    grant->shown = true;
    grant->taken = false;
    grant->subscription = sub;
    sub->grant = grant;
    if (grant->until_ms)
        pc_timer_arm(timers, &grant->expiry, grant->until_ms);
    else
        pc_timer_stop(timers, &grant->expiry);
}

/* a client that asked an auth endpoint subscribes at once, or not at all */
#define REMEMBER_MS 60000

void pc_grant_remember(struct pc_session *s, pusherc_slice channel, struct pc_channel_class class,
                       struct pc_identity *identity, const struct pc_verdict *v)
{
    struct pc_grant *grant = pc_grant_find(s, channel);
    if (grant && (grant->state == PC_GRANT_STANDING || grant->state == PC_GRANT_JOINING ||
                  grant->state == PC_GRANT_ASKED))
        return; /* it is subscribed, or about to be, or being asked: that answer counts */
    if (grant)
        pc_grant_free(grant);
    if (s->grant_count >= s->app->options.max_channels_per_connection)
        return;
    grant = grant_new(s, channel, class, PC_GRANT_REMEMBERED);
    if (!grant)
        return;
    grant->identity = identity;
    pc_identity_ref(identity);
    grant->remembered = ++s->worker->remembered;
    keep_verdict(grant, v);
    start_expiry(grant, REMEMBER_MS);
}

/* -- changes of mind -- */

static void recheck(struct pc_grant *grant, struct pc_change *change)
{
    struct recheck *entry = pc_alloc(grant->session->worker->mem, sizeof *entry);
    struct pc_rule_match match = match_of(grant);
    struct pc_verdict now = {
        .reason = PUSHERC_DENIED_INTERNAL, .status = 403, .text = PC_S("Out of memory")};
    if (!entry) { /* it cannot be asked, so it does not stand */
        decided(&grant->waiter, &now);
        return;
    }
    entry->of = change;
    atomic_fetch_add_explicit(&change->open, 1, memory_order_relaxed);
    pc_list_push_back(&grant->rechecks, &entry->link);
    /* a question under way has been outdated: its next answer serves */
    if (!pc_waiter_waits(&grant->waiter) && ask(grant, &match, true, &now))
        decided(&grant->waiter, &now);
}

void pc_grants_recheck(struct pc_session *s, struct pc_change *change, uint64_t after)
{
    for (struct pc_list *l = s->grants.next, *next; l != &s->grants; l = next) {
        struct pc_grant *grant = PC_CONTAINER(l, struct pc_grant, of_session);
        const struct pc_identity *who = pc_grant_identity(grant);
        pusherc_slice user_id = who ? who->user_id : PC_S("");
        next = l->next;
        if (after != PC_ALL_GRANTS && grant->remembered <= after)
            continue;
        if (pc_grant_filter_fits(&change->filter, s->app->live->uid, user_id,
                                 pc_grant_channel(grant)))
            recheck(grant, change);
    }
}

int pc_grants_recheck_all(struct pc_session *s)
{
    struct pc_grant_filter filter = {.app_uid = s->app->live->uid};
    struct pc_change *change = pc_change_new(s->worker->engine, &filter, PC_S(""), PC_S(""));
    if (!change)
        return PUSHERC_ENOMEM;
    pc_grants_recheck(s, change, PC_ALL_GRANTS);
    pc_change_report(change);
    return 0;
}

bool pc_grant_revoke(struct pc_session *s, pusherc_slice channel, pusherc_slice reason)
{
    struct pc_subscription *sub = pc_session_subscription(s, channel);
    struct pc_grant *grant = pc_grant_find(s, channel);
    bool waited = pc_session_abandon_join(s, channel);
    if (!sub && !grant && !waited)
        return false;
    struct pc_refusal why = {PUSHERC_DENIED_REVOKED, 403, reason, NULL, PC_S("")};
    if (grant) {
        grant->taken = grant->state != PC_GRANT_ASKED || grant->taken;
        grant->subscription = NULL;
        if (sub)
            sub->grant = NULL;
        pc_grant_give_up(grant);
    }
    if (sub)
        pc_session_leave(s, sub);
    pc_session_revoked(s, channel, why);
    return true;
}
