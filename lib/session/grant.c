#include "session/grant.h"

#include "fanout/hold.h"
#include "session/deferred.h"
#include "session/index.h"
#include "session/joining.h"
#include "session/member.h"

/*
 * How a grant lives. A subscribe on a channel that a rule covers makes one (ASKED) and asks the
 * host; a yes subscribes the client (STANDING), a no refuses it and frees the grant. An auth
 * endpoint's yes makes one before the subscribe (REMEMBERED), which a signed subscribe takes over
 * or a timer ends.
 *
 * A standing grant is asked again when it expires and when the host's facts change (change.c). A no
 * then ends the subscription, and the grant stays: LOST while the client still wants the channel,
 * so that a later yes subscribes it again without a message of the client, and REFUSED after it
 * unsubscribed. In both, `revoked` is set: the client may still hold a signature from the time when
 * it was allowed, so signatures are refused until the rule says yes, which clears `revoked`.
 *
 * A client keeps its signatures, also when its grant has gone: not used in time, or unsubscribed. No
 * change can be asked about then. So the session notes how many changes there had been, and if there
 * are more when a signature comes for a channel without a grant, the rule is asked.
 *
 *     ASKED ------- yes -------> STANDING -- no --> LOST -- unsubscribe -> REFUSED -- yes -> freed
 *     REMEMBERED -- subscribe -> STANDING <- yes -- LOST
 *
 * A grant waits for at most one answer. Rechecks that come meanwhile get the same answer.
 */

/* A callback for the next answer. */
struct recheck {
    struct pc_list link;
    pc_recheck_fn done;
    void *ctx;
};

static void decided(struct pc_waiter *waiter, const struct pc_question *question,
                    const struct pc_verdict *verdict);
static void on_expiry(struct pc_timer *timer, uint64_t now_ms);

/* -- the record -- */

struct pc_grant *pc_grant_find(struct pc_session *s, pusherc_slice channel)
{
    struct pc_list *link = pc_index_find(s, PC_INDEXED_GRANT, channel);
    return link ? PC_CONTAINER(link, struct pc_grant, of_session) : NULL;
}

int pc_grant_set_identity(struct pc_grant *grant, struct pc_identity *identity)
{
    const struct pc_session *s = grant->session;
    pc_grant_owner_free(s->worker, grant->owner);
    grant->owner = NULL;
    return identity
               ? pc_grant_owner_new(&grant->owner, s->worker, s->app->state->uid, grant, identity)
               : 0;
}

struct pc_identity *pc_grant_identity(const struct pc_grant *grant)
{
    return grant->owner ? grant->owner->identity : pc_session_identity(grant->session);
}

bool pc_grant_is_of(const struct pc_grant *grant, pusherc_slice user_id)
{
    return pc_identity_is(pc_grant_own_identity(grant), user_id) ||
           pc_identity_is(pc_session_identity(grant->session), user_id);
}

static struct pc_grant *grant_new(struct pc_session *s, pusherc_slice channel,
                                  struct pc_channel_class class, enum pc_grant_state state)
{
    struct pc_grant *grant = pc_alloc_zero(s->worker->mem, sizeof *grant + channel.len);
    if (!grant)
        return NULL;
    grant->session = s;
    grant->state = PC_GRANT_REFUSED; /* counts for nothing */
    pc_grant_set_state(grant, state);
    grant->class = class;
    grant->channel_len = channel.len;
    memcpy(grant->channel, channel.ptr, channel.len);
    pc_waiter_init(&grant->waiter, decided);
    pc_timer_init(&grant->expiry, on_expiry);
    pc_list_init(&grant->rechecks);
    pc_list_push_back(&s->grants, &grant->of_session);
    pc_index_add(s, PC_INDEXED_GRANT, &grant->of_session);
    s->grant_count++;
    pc_stat_add(&s->worker->stats.grants, 1);
    return grant;
}

/* Calls and frees all of the list. */
static void report(const struct pc_mem *mem, struct pc_list *rechecks,
                   enum pc_recheck_result result)
{
    struct pc_list list;
    pc_list_take(&list, rechecks);
    while (!pc_list_empty(&list)) {
        struct recheck *recheck = PC_CONTAINER(list.next, struct recheck, link);
        pc_list_remove(&recheck->link);
        recheck->done(recheck->ctx, result);
        pc_free(mem, recheck);
    }
}

/* A signature of an auth endpoint is out there without a grant that is asked about. `waits`: the answer to the latest
 * change has not come. */
static void note_unwatched(struct pc_session *s, bool waits)
{
    uint64_t since = s->worker->changes;
    since -= waits && since > 0;
    if (!s->has_unwatched || since < s->unwatched_since)
        s->unwatched_since = since;
    s->has_unwatched = true;
}

void pc_grant_free(struct pc_grant *grant)
{
    struct pc_session *s = grant->session;
    if (grant->endpoint_answer)
        note_unwatched(s, pc_waiter_waits(&grant->waiter));
    pc_session_abandon_join(s, pc_grant_channel(grant));
    pc_waiter_cancel(&grant->waiter);
    pc_timer_stop(&s->worker->timers, &grant->expiry);
    pc_index_remove(s, PC_INDEXED_GRANT, &grant->of_session);
    pc_list_remove(&grant->of_session);
    s->wanted_count -= pc_grant_is_wanted(grant);
    s->grant_count--;
    pc_stat_sub(&s->worker->stats.grants, 1);
    report(s->worker->mem, &grant->rechecks, PC_RECHECK_DROPPED);
    pc_grant_owner_free(s->worker, grant->owner);
    pc_free(s->worker->mem, grant);
}

void pc_grant_give_up(struct pc_grant *grant)
{
    struct pc_session *s = grant->session;
    /* with PUSHERC_AUTH_RULES signatures do not count, so none needs to be refused */
    if (!grant->revoked || s->app->options.auth_mode == PUSHERC_AUTH_RULES) {
        pc_grant_free(grant);
        return;
    }
    pc_session_abandon_join(s, pc_grant_channel(grant));
    pc_waiter_cancel(&grant->waiter);
    pc_timer_stop(&s->worker->timers, &grant->expiry);
    pc_grant_set_state(grant, PC_GRANT_REFUSED);
    report(s->worker->mem, &grant->rechecks, PC_RECHECK_DROPPED);
}

/* -- asking -- */

/* The rule that covers the channel; there may be none any more. */
static struct pc_rule_match match_of(const struct pc_grant *grant)
{
    const struct pc_session *s = grant->session;
    return pc_rules_find(&s->worker->engine->rules, s->app->id, pc_grant_channel(grant),
                         grant->class.kind);
}

static struct pc_question question_of(const struct pc_grant *grant, pusherc_slice channel,
                                      const struct pc_rule_match *match)
{
    const struct pc_session *s = grant->session;
    return (struct pc_question){.app = s->app,
                                .match = match,
                                .channel = channel,
                                .identity = pc_grant_identity(grant),
                                .socket_id = s->q->owner,
                                .address = s->address};
}

/* `channel` is the grant's, in the copy that the values of `match` point into. */
static void ask(struct pc_grant *grant, pusherc_slice channel, const struct pc_rule_match *match,
                bool fresh)
{
    struct pc_question question = question_of(grant, channel, match);
    struct pc_verdict now;
    question.fresh = fresh;
    if (pc_decide(grant->session->worker, &question, &grant->waiter, &now))
        decided(&grant->waiter, &question, &now);
}

/* Asks the host, without the cache. If the grant waits for an answer already, that answer is used. */
static void ask_again(struct pc_grant *grant)
{
    if (pc_waiter_waits(&grant->waiter))
        return;
    struct pc_rule_match match = match_of(grant);
    if (match.rule) {
        ask(grant, pc_grant_channel(grant), &match, true);
        return;
    }
    struct pc_question question = question_of(grant, pc_grant_channel(grant), &match);
    const struct pc_verdict denied = pc_verdict_no_rule();
    decided(&grant->waiter, &question, &denied);
}

void pc_grant_drop_unproven(struct pc_session *s, pusherc_slice channel)
{
    struct pc_grant *grant = pc_grant_find(s, channel);
    if (!grant || !grant->owner || grant->proven)
        return;
    pc_waiter_cancel(&grant->waiter); /* that question is about another identity */
    pc_grant_owner_free(s->worker, grant->owner);
    grant->owner = NULL;
    pc_grant_give_up(grant);
}

void pc_grant_ask(struct pc_session *s, pusherc_slice channel, struct pc_channel_class class,
                  const struct pc_rule_match *match)
{
    /* it may exist: REMEMBERED with the endpoint's identity, LOST or REFUSED */
    struct pc_grant *grant = pc_grant_find(s, channel);
    if (!grant)
        grant = grant_new(s, channel, class, PC_GRANT_ASKED);
    if (!grant) {
        pc_session_refuse(s, channel,
                          (struct pc_refusal){.reason = PUSHERC_DENIED_INTERNAL,
                                              .status = 500,
                                              .text = PC_S("Out of memory"),
                                              .rule = match->rule});
        return;
    }
    pc_grant_set_state(grant, PC_GRANT_ASKED);
    grant->proven = true; /* pc_grant_drop_unproven() has given up unproven ones */
    pc_timer_stop(&s->worker->timers, &grant->expiry);
    if (!pc_waiter_waits(&grant->waiter))
        ask(grant, channel, match, false);
}

static void set_expiry(struct pc_grant *grant, uint32_t expires_in_ms)
{
    struct pc_worker *worker = grant->session->worker;
    if (expires_in_ms)
        pc_timer_arm(&worker->timers, &grant->expiry, worker->now_ms + expires_in_ms);
    else
        pc_timer_stop(&worker->timers, &grant->expiry);
}

/* Frees a grant that the client has not used in time; asks again about a standing one. */
static void on_expiry(struct pc_timer *timer, uint64_t now_ms)
{
    struct pc_grant *grant = PC_CONTAINER(timer, struct pc_grant, expiry);
    (void)now_ms;
    if (grant->state == PC_GRANT_REMEMBERED)
        pc_grant_free(grant);
    else
        ask_again(grant);
}

/* -- answers -- */

static struct pc_refusal refusal_of(const struct pc_grant *grant, const struct pc_verdict *v,
                                    const struct pc_question *q)
{
    return (struct pc_refusal){.reason = v->reason,
                               .status = v->status,
                               .text = v->text,
                               .rule = q->match->rule,
                               .who = pc_grant_own_identity(grant)};
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
    why->who = pc_grant_own_identity(grant);
    pc_deferred_refuse(s, channel, *why);
    pc_grant_free(grant);
}

/* Subscribes the client after a yes: for the first time, or again. */
static void enter(struct pc_grant *grant, const struct pc_question *q, const struct pc_verdict *v)
{
    struct pc_session *s = grant->session;
    const struct pc_identity *who = pc_grant_identity(grant);
    struct pc_join join = {.app = s->app,
                           .q = s->q,
                           .channel = q->channel,
                           .class = grant->class,
                           .match = q->match,
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

/* Ends the subscription after a no. The grant stays, so that a later yes can subscribe the
 * client again. */
static void lose(struct pc_grant *grant, struct pc_refusal why)
{
    struct pc_session *s = grant->session;
    struct pc_subscription *sub = grant->subscription;
    why.reason = PUSHERC_DENIED_REVOKED; /* the text says why */
    pc_grant_set_state(grant, PC_GRANT_LOST);
    grant->revoked = true;
    grant->subscription = NULL;
    set_expiry(grant, 0);
    pc_session_expel(s, sub); /* what was held for it is dropped */
    pc_session_revoked(s, pc_grant_channel(grant), why);
}

/* After a yes: the view and the expiry may be others than before. False: the grant is lost. */
static bool stay(struct pc_grant *grant, const struct pc_question *q, const struct pc_verdict *v)
{
    int err = pc_change_view(grant->subscription, v->view);
    if (err == 0) {
        pc_hold_release(grant->subscription);
        set_expiry(grant, v->expires_in_ms);
        return true;
    }
    struct pc_refusal why = pc_session_view_refusal(err);
    why.rule = q->match->rule;
    why.who = pc_grant_own_identity(grant);
    lose(grant, why);
    return false;
}

/* Refuses a subscribe that the host has denied. */
static void refuse(struct pc_grant *grant, const struct pc_question *q, const struct pc_verdict *v)
{
    pc_deferred_refuse(grant->session, pc_grant_channel(grant), refusal_of(grant, v, q));
    pc_grant_give_up(grant);
}

/* The host has denied the channel to an anonymous client, which has signed in meanwhile. */
static bool is_overtaken(const struct pc_grant *grant, const struct pc_question *q,
                         const struct pc_verdict *v)
{
    return grant->state == PC_GRANT_ASKED && !v->allowed && grant->session->user &&
           pc_identity_user_id(q->identity).len == 0 &&
           pc_identity_user_id(pc_grant_identity(grant)).len > 0;
}

static void decided(struct pc_waiter *waiter, const struct pc_question *question,
                    const struct pc_verdict *v)
{
    struct pc_grant *grant = PC_CONTAINER(waiter, struct pc_grant, waiter);
    struct pc_session *s = grant->session;
    struct pc_list rechecks; /* called at the end, when the grant may have been freed */
    bool kept = v->allowed;
    if (is_overtaken(grant, question, v)) {
        ask_again(grant);
        return;
    }
    pc_list_take(&rechecks, &grant->rechecks);
    switch ((enum pc_grant_state)grant->state) {
    case PC_GRANT_ASKED:
        if (v->allowed)
            enter(grant, question, v);
        else
            refuse(grant, question, v);
        break;
    case PC_GRANT_JOINING:
        if (v->allowed) {
            keep_verdict(grant, v);
        } else {
            pc_session_refuse(s, pc_grant_channel(grant), refusal_of(grant, v, question));
            grant->revoked = true;
            pc_grant_give_up(grant);
        }
        break;
    case PC_GRANT_STANDING:
        kept = v->allowed && stay(grant, question, v);
        if (!v->allowed)
            lose(grant, refusal_of(grant, v, question));
        break;
    case PC_GRANT_LOST:
        if (v->allowed)
            enter(grant, question, v);
        break;
    case PC_GRANT_REMEMBERED:
        grant->revoked = !v->allowed;
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
    report(s->worker->mem, &rechecks, kept ? PC_RECHECK_KEPT : PC_RECHECK_REVOKED);
}

/* -- grants without a question -- */

struct pc_grant *pc_grant_prepare(struct pc_session *s, pusherc_slice channel,
                                  struct pc_channel_class class)
{
    struct pc_grant *grant = pc_grant_find(s, channel);
    return grant ? grant : grant_new(s, channel, class, PC_GRANT_REMEMBERED);
}

/* What arrives for the client waits until the host has answered. Without memory for that the grant is lost. */
static void hold(struct pc_grant *grant)
{
    if (pc_hold(grant->subscription) == 0)
        return;
    struct pc_refusal why;
    pc_refusal_set(&why, PUSHERC_DENIED_INTERNAL, 403, "Out of memory");
    why.who = pc_grant_own_identity(grant);
    lose(grant, why);
}

void pc_grant_stand(struct pc_grant *grant, struct pc_subscription *sub)
{
    struct pc_timers *timers = &grant->session->worker->timers;
    pc_grant_set_state(grant, PC_GRANT_STANDING);
    grant->proven = true;
    grant->revoked = false;
    grant->subscription = sub;
    if (grant->until_ms)
        pc_timer_arm(timers, &grant->expiry, grant->until_ms);
    else
        pc_timer_stop(timers, &grant->expiry);
    if (pc_waiter_waits(&grant->waiter)) /* the facts have changed since it was allowed */
        hold(grant);
}

/* How long a REMEMBERED grant waits; clients subscribe right after the auth endpoint has answered. */
#define REMEMBER_MS 60000

void pc_grants_forget(struct pc_session *s, pusherc_slice but)
{
    bool any = false;
    if (!s->may_remember)
        return; /* the walk would find none */
    PC_LIST_EACH_SAFE(l, next, &s->grants) {
        struct pc_grant *grant = PC_CONTAINER(l, struct pc_grant, of_session);
        bool kept = but.len && pc_slice_eq(pc_identity_user_id(pc_grant_own_identity(grant)), but);
        if (grant->state == PC_GRANT_REMEMBERED && kept)
            any = true;
        else if (grant->state == PC_GRANT_REMEMBERED)
            pc_grant_give_up(grant);
    }
    s->may_remember = any;
}

static bool is_user_of(const struct pc_session *s, pusherc_slice user_id)
{
    return user_id.len && (pc_slice_eq(user_id, pc_identity_user_id(s->identity)) ||
                           pc_slice_eq(user_id, pc_identity_user_id(s->user)));
}

/*
 * Whose answers are kept. An auth endpoint cannot tell whose socket a request names: anyone who has learned a socket's
 * id can ask about it, and a client can lure another user's browser into asking about the client's own socket, with
 * that user's cookies. The client would then hear what the other user may. So a session that has a user keeps that
 * user's answers only. One that has none belongs to the first user who asks. When another one asks, it is unknown
 * which of the two is the client, and nothing is kept any more: signatures remain valid, but come without an identity
 * and a view. The first one is known for as long as the session lives, because the signature is valid as long.
 */
static bool is_answer_of(struct pc_session *s, struct pc_identity *identity)
{
    pusherc_slice user_id = pc_identity_user_id(identity);
    if (pc_identity_user_id(s->identity).len || pc_identity_user_id(s->user).len)
        return is_user_of(s, user_id);
    if (!s->asked) {
        s->asked = true;
        s->asker = identity;
        pc_identity_ref(identity);
    }
    if (!s->askers_differ && !pc_slice_eq(pc_identity_user_id(s->asker), user_id)) {
        s->askers_differ = true;
        pc_grants_forget(s, PC_S(""));
        PC_LOG(&s->worker->engine->log, INFO,
               ((struct pc_log_about){
                   .subject = "auth", .app_id = s->app->id, .socket_id = s->q->owner}),
               "two users have asked the auth endpoint for this connection: it has the views of "
               "neither");
    }
    return !s->askers_differ;
}

/* What an auth endpoint has signed, for `identity`, which may be NULL. NULL = out of memory. */
static struct pc_grant *remembered(struct pc_session *s, pusherc_slice channel,
                                   struct pc_channel_class class, struct pc_identity *identity)
{
    struct pc_grant *grant = grant_new(s, channel, class, PC_GRANT_REMEMBERED);
    if (!grant)
        return NULL;
    if (pc_grant_set_identity(grant, identity)) {
        pc_grant_free(grant);
        return NULL;
    }
    return grant;
}

void pc_grant_remember(struct pc_session *s, pusherc_slice channel, struct pc_channel_class class,
                       struct pc_identity *identity, const struct pc_verdict *v)
{
    struct pc_grant *grant = pc_grant_find(s, channel);
    bool is_new =
        !grant || grant->state == PC_GRANT_REMEMBERED || grant->state == PC_GRANT_LOST ||
        grant->state == PC_GRANT_REFUSED; /* else the answer to its own subscribe counts */
    if (!is_answer_of(s, identity) || !is_new) {
        note_unwatched(s, false);
        return;
    }
    if (grant)
        pc_grant_free(grant);
    grant = s->grant_count < s->app->options.max_channels_per_connection
                ? remembered(s, channel, class, identity)
                : NULL;
    if (!grant) {
        note_unwatched(s, false);
        return;
    }
    grant->endpoint_answer = ++s->worker->endpoint_answers;
    keep_verdict(grant, v);
    set_expiry(grant, REMEMBER_MS);
    struct pc_holder holder = pc_holder_of(identity, pc_session_identity(s), s->q->owner);
    if (pc_doubted(s->worker, s->app->state->uid, channel, &holder))
        ask_again(grant);
}

bool pc_grants_outdated(const struct pc_session *s)
{
    return s->has_unwatched && s->unwatched_since != s->worker->changes;
}

void pc_grant_recall(struct pc_session *s, pusherc_slice channel, struct pc_channel_class class)
{
    bool asker_counts = !s->askers_differ && !pc_session_identity(s);
    struct pc_grant *grant = remembered(s, channel, class, asker_counts ? s->asker : NULL);
    if (grant)
        grant->endpoint_answer = ++s->worker->endpoint_answers;
}

/* -- changes of the host's facts -- */

void pc_grant_recheck(struct pc_grant *grant, uint32_t how, pc_recheck_fn done, void *ctx)
{
    struct recheck *entry = pc_alloc(grant->session->worker->mem, sizeof *entry);
    if (!entry) { /* without memory the host cannot be asked, so the grant ends */
        struct pc_rule_match match = match_of(grant);
        struct pc_question question = question_of(grant, pc_grant_channel(grant), &match);
        const struct pc_verdict denied = {
            .reason = PUSHERC_DENIED_INTERNAL, .status = 403, .text = PC_S("Out of memory")};
        decided(&grant->waiter, &question, &denied);
        done(ctx, PC_RECHECK_REVOKED);
        return;
    }
    *entry = (struct recheck){.done = done, .ctx = ctx};
    pc_list_push_back(&grant->rechecks, &entry->link);
    if (grant->state == PC_GRANT_STANDING && (how & PC_RECHECK_HOLDS))
        hold(grant);
    if (how & PC_RECHECK_OUTDATES)
        pc_waiter_outdate(&grant->waiter);
    ask_again(grant);
}

bool pc_grant_revoke(struct pc_session *s, pusherc_slice channel, pusherc_slice reason)
{
    struct pc_subscription *sub = pc_session_subscription(s, channel);
    struct pc_grant *grant = pc_grant_find(s, channel);
    bool waited = pc_session_abandon_join(s, channel);
    if (!sub && !grant && !waited)
        return false;
    struct pc_refusal why = {.reason = PUSHERC_DENIED_REVOKED,
                             .status = 403,
                             .text = reason,
                             .who = grant ? pc_grant_own_identity(grant) : NULL};
    if (grant) {
        grant->revoked = grant->state != PC_GRANT_ASKED || grant->revoked;
        grant->subscription = NULL;
    }
    if (sub)
        pc_session_expel(s, sub);
    pc_session_revoked(s, channel, why);
    if (grant)
        pc_grant_give_up(grant);
    return true;
}
