#include "session/decision.h"

#include "session/identity.h"

#define MAX_BATCH  64   /* questions handed to one authorize_batch call */
#define MAX_CACHED 8192 /* answers one worker remembers */
/* Questions handed to the host at once; then the clients get what they wait for, and the rest follows. */
#define MAX_ASKED 512

/*
 * How it works. pc_decide() looks for a cached answer, then for an open decision with the same key
 * (app, who asks, channel), and joins its waiters or opens one. Who asks is the user if there is
 * one, or else the socket; a question about a socket that the asker only claims to be (`unshared`)
 * gets a unique number, so that its answer is neither shared nor cached. A decision needs a place
 * among the questions that its asker may have open (quota.h), and waits for one if it must. At the end of the turn
 * pc_decisions_ask() hands the new questions to the host. Those of a rule that takes batches are
 * gathered: they wait until the first of them is gather_ms old, or there are as many as a batch
 * holds. A browser sends each subscribe by itself, so a page's questions arise in many turns.
 *
 * A decision is closed in one of three ways: by the answer, by its deadline, or by its last waiter
 * leaving. After the last two the host still owns the request object, and the question keeps its place; it is told
 * when it answers, and the answer then finds no decision. If the host's facts have changed in between (`outdated`),
 * the answer is thrown away and the question asked once more. So an answer that reaches a waiter
 * was always begun after the last change that concerns it.
 */

struct pc_decision {
    struct pc_map_node node; /* see write_key() */
    struct pc_worker *worker;
    struct pc_list waiters;
    struct pc_claim claim;    /* until the host is asked */
    struct pc_list to_ask;    /* linked until the end of the turn */
    uint64_t gather_until_ms; /* until then the question may wait for others */
    struct pc_timer deadline;
    struct pc_await await;       /* waits while the host has the question */
    struct pc_question question; /* app and identity counted; match is the next member */
    /* Its rule is counted; NULL: it was removed, and the question is denied at the deadline. */
    struct pc_rule_match match;
    bool outdated; /* the pending answer is invalid: ask again when it arrives */
    char key[];
};

struct cached {
    struct pc_map_node node; /* the same key */
    struct pc_list by_age;
    uint64_t until_ms;
    const struct pc_rule *rule; /* counted: the one that gave the answer */
    uint64_t app_uid;
    pusherc_slice user, base_user, channel; /* base_user: of the identity below a sign-in */
    pusherc_socket_id socket_id;            /* of one without a user; zero = any of the user's */
    struct pc_verdict verdict;              /* slices in text */
    char text[];
};

struct pc_decisions {
    struct pc_worker *worker;
    uint64_t last_unshared; /* number in the key of the latest unshared question */
    struct pc_map open;
    struct pc_list to_ask;
    uint64_t
        ask_ms; /* when the first of to_ask has waited for long enough; UINT64_MAX = none waits */
    struct pc_map cache;
    struct pc_list cache_by_age; /* oldest first */
    struct pc_list doubts;       /* struct pc_doubt */
};

int pc_decisions_new(struct pc_decisions **out, struct pc_worker *worker)
{
    struct pc_decisions *d = pc_alloc_zero(worker->mem, sizeof *d);
    *out = d;
    if (!d)
        return PUSHERC_ENOMEM;
    d->worker = worker;
    d->ask_ms = UINT64_MAX;
    pc_map_init(&d->open, worker->mem, worker->engine->seed);
    pc_map_init(&d->cache, worker->mem, worker->engine->seed);
    pc_list_init(&d->to_ask);
    pc_list_init(&d->cache_by_age);
    pc_list_init(&d->doubts);
    return 0;
}

static void forget_cached(struct pc_decisions *d, struct cached *c)
{
    pc_map_remove(&d->cache, &c->node);
    pc_list_remove(&c->by_age);
    pc_rule_unref(c->rule);
    pc_free(d->worker->mem, c);
}

void pc_decisions_free(struct pc_decisions *d)
{
    if (!d)
        return;
    while (!pc_list_empty(&d->cache_by_age))
        forget_cached(d, PC_CONTAINER(d->cache_by_age.next, struct cached, by_age));
    pc_map_free(&d->cache);
    pc_map_free(&d->open);
    pc_free(d->worker->mem, d);
}

void pc_waiter_init(struct pc_waiter *waiter, pc_decided_fn decided)
{
    pc_list_init(&waiter->link);
    waiter->decision = NULL;
    waiter->decided = decided;
}

/* Takes the decision out of the tables: its answer will find no decision, and the same question
 * opens a new one. */
static void decision_close(struct pc_decision *decision)
{
    struct pc_worker *worker = decision->worker;
    pc_await_abandon(&decision->await);
    pc_claim_cancel(&decision->claim);
    pc_timer_stop(&worker->timers, &decision->deadline);
    pc_list_remove(&decision->to_ask);
    pc_map_remove(&worker->decisions->open, &decision->node);
}

static void decision_free(struct pc_decision *decision)
{
    pc_app_unref(decision->question.app);
    pc_rule_unref(decision->match.rule);
    pc_identity_unref(decision->question.identity);
    pc_free(decision->worker->mem, decision);
}

void pc_waiter_cancel(struct pc_waiter *waiter)
{
    struct pc_decision *decision = waiter->decision;
    pc_list_remove(&waiter->link);
    waiter->decision = NULL;
    if (decision && pc_list_empty(&decision->waiters)) {
        decision_close(decision);
        decision_free(decision);
    }
}

/* Calls all waiters. A callback may cancel other waiters of this decision, or ask again. */
static void conclude(struct pc_decision *decision, const struct pc_verdict *verdict)
{
    struct pc_list waiters;
    pc_list_take(&waiters, &decision->waiters);
    PC_LIST_EACH(l, &waiters)
        PC_CONTAINER(l, struct pc_waiter, link)->decision = NULL;
    decision_close(decision);
    while (!pc_list_empty(&waiters)) {
        struct pc_waiter *w = PC_CONTAINER(waiters.next, struct pc_waiter, link);
        pc_list_remove(&w->link);
        w->decided(w, &decision->question, verdict);
    }
    decision_free(decision);
}

/* What the host's silence means. */
static const struct pc_verdict silence = {
    .reason = PUSHERC_DENIED_TIMEOUT,
    .status = 403,
    .text = {"The application did not answer in time",
             sizeof "The application did not answer in time" - 1}};

static void on_deadline(struct pc_timer *timer, uint64_t now_ms)
{
    struct pc_decision *decision = PC_CONTAINER(timer, struct pc_decision, deadline);
    struct pc_verdict verdict = silence;
    (void)now_ms;
    if (!decision->match.rule) {
        verdict = pc_verdict_no_rule();
    } else if (pc_claim_waits(&decision->claim)) {
        verdict.reason = PUSHERC_DENIED_LIMIT;
        verdict.status = 503;
        verdict.text = PC_S("Too many questions wait for the application's answer");
        pc_claim_expire(&decision->claim);
    } else if (!decision->await.pending) { /* memory ran out before the host was asked */
        verdict.reason = PUSHERC_DENIED_INTERNAL;
        verdict.text = PC_S("Out of memory");
    }
    pc_await_expire(&decision->await);
    conclude(decision, &verdict);
}

/* -- keys: app, who asks, channel -- */

enum asker_kind {
    ASKER_USER = 'u', /* keeps a user id apart from a socket with the same bytes */
    ASKER_SOCKET = 's',
    ASKER_UNSHARED = 'a'
};

struct asker {
    char kind;
    uint32_t len;
    const char *bytes;
};

static struct asker asker_of(const struct pc_question *q, const uint64_t *unshared)
{
    if (q->identity && q->identity->user_id.len)
        return (struct asker){ASKER_USER, (uint32_t)q->identity->user_id.len,
                              q->identity->user_id.ptr};
    if (q->unshared)
        return (struct asker){ASKER_UNSHARED, sizeof *unshared, (const char *)unshared};
    return (struct asker){ASKER_SOCKET, sizeof q->socket_id, (const char *)&q->socket_id};
}

#define KEY_HEAD (sizeof(uint64_t) + 1 + sizeof(uint32_t))
#define MAX_KEY  (KEY_HEAD + PC_IDENTITY_MAX_ID + 256)

static pusherc_slice write_key(const struct pc_question *q, const struct asker *who, char *out)
{
    char *at = out;
    memcpy(at, &q->app->state->uid, sizeof(uint64_t));
    at += sizeof(uint64_t);
    *at++ = who->kind;
    memcpy(at, &who->len, sizeof who->len);
    at += sizeof who->len;
    memcpy(at, who->bytes, who->len);
    memcpy(at + who->len, q->channel.ptr, q->channel.len);
    return pc_slice(out, KEY_HEAD + who->len + q->channel.len);
}

static bool is_unshared(const struct pc_decision *decision)
{
    return decision->key[sizeof(uint64_t)] == ASKER_UNSHARED;
}

/* -- cached answers -- */

/* An answer of another rule is forgotten: it may be looked up before this worker is told that there are others. */
static bool find_cached(struct pc_decisions *d, pusherc_slice key, const struct pc_rule *rule,
                        struct pc_verdict *out)
{
    struct pc_map_node *node = pc_map_find(&d->cache, key);
    if (!node)
        return false;
    struct cached *c = PC_CONTAINER(node, struct cached, node);
    if (c->until_ms <= d->worker->now_ms || c->rule != rule) {
        forget_cached(d, c);
        return false;
    }
    *out = c->verdict;
    return true;
}

/* Does nothing if memory is short. */
static void cache_answer(struct pc_decision *decision, const struct pc_verdict *v)
{
    struct pc_decisions *d = decision->worker->decisions;
    uint32_t cache_ms = decision->question.match->rule->options.cache_ms;
    if (cache_ms == 0 || is_unshared(decision) ||
        (v->allowed && v->expires_in_ms && v->expires_in_ms < cache_ms))
        return;
    pusherc_slice key = decision->node.key;
    struct pc_map_node *old = pc_map_find(&d->cache, key);
    if (old)
        forget_cached(d, PC_CONTAINER(old, struct cached, node));
    if (d->cache.count >= MAX_CACHED)
        forget_cached(d, PC_CONTAINER(d->cache_by_age.next, struct cached, by_age));
    const struct pc_identity *who = decision->question.identity;
    pusherc_slice base_user = who && who->base ? who->base->user_id : PC_S("");
    size_t len =
        key.len + v->user_id.len + v->user_info.len + v->view.len + v->text.len + base_user.len;
    struct cached *c = pc_alloc_zero(d->worker->mem, sizeof *c + len);
    if (!c)
        return;
    struct pc_buf text;
    pc_buf_init_in(&text, d->worker->mem, len, c->text, len);
    const pusherc_slice parts[] = {key, v->user_id, v->user_info, v->view, v->text, base_user};
    pusherc_slice copies[6];
    for (size_t i = 0; i < 6; i++) {
        copies[i] = pc_slice(c->text + text.len, parts[i].len);
        pc_buf_put(&text, parts[i]);
    }
    c->node.key = copies[0];
    c->verdict = *v;
    c->verdict.user_id = copies[1];
    c->verdict.user_info = copies[2];
    c->verdict.view = copies[3];
    c->verdict.text = copies[4];
    c->until_ms = d->worker->now_ms + cache_ms;
    c->app_uid = decision->question.app->state->uid;
    c->channel = pc_slice(copies[0].ptr + (decision->question.channel.ptr - key.ptr),
                          decision->question.channel.len);
    if (pc_identity_user_id(who).len == 0)
        c->socket_id = decision->question.socket_id;
    if (who)
        c->user = pc_slice(copies[0].ptr + KEY_HEAD, who->user_id.len);
    c->base_user = copies[5];
    c->rule = decision->match.rule;
    if (pc_map_insert(&d->cache, &c->node)) {
        pc_free(d->worker->mem, c);
        return;
    }
    pc_rule_ref(c->rule);
    pc_list_push_back(&d->cache_by_age, &c->by_age);
}

/* -- asking -- */

/* It may wait for its place so long, and then for the answer. */
static void set_deadline(struct pc_decision *decision)
{
    struct pc_worker *worker = decision->worker;
    pc_timer_arm(&worker->timers, &decision->deadline,
                 worker->now_ms + worker->engine->options.auth_timeout_ms);
}

/* The host is asked at the end of this turn. */
static void ask_soon(struct pc_decision *decision)
{
    pc_list_push_back(&decision->worker->decisions->to_ask, &decision->to_ask);
    set_deadline(decision);
}

static void granted(struct pc_claim *claim)
{
    ask_soon(PC_CONTAINER(claim, struct pc_decision, claim));
}

/* An auth endpoint's client only says that it is the socket. */
static struct pc_source source_of(const struct pc_question *q)
{
    struct pc_source source = {.app_uid = q->app->state->uid, .address = q->address};
    if (!q->unshared)
        source.socket_id = q->socket_id;
    return source;
}

/* Asks soon, or when the question has a place. `must`: it counts, but does not wait for a place. */
static int claim(struct pc_decision *decision, bool must)
{
    struct pc_source source = source_of(&decision->question);
    int err = pc_claim_make(&decision->claim, decision->worker, &source, must);
    if (err)
        return err;
    if (pc_claim_waits(&decision->claim))
        set_deadline(decision);
    else
        ask_soon(decision);
    return 0;
}

/* Asks although there is no place. Out of memory: on_deadline() denies it. */
static void ask_now(struct pc_decision *decision)
{
    pc_claim_cancel(&decision->claim);
    if (claim(decision, true))
        pc_timer_arm(&decision->worker->timers, &decision->deadline, decision->worker->now_ms);
}

/* The same question comes again. It need not wait for the first one's place if it has a place itself, as another
 * client's may. */
static void join(struct pc_decision *decision, const struct pc_question *q)
{
    struct pc_source source = source_of(q);
    if (!pc_claim_waits(&decision->claim))
        return;
    if (q->fresh)
        ask_now(decision);
    else if (pc_claim_move(&decision->claim, decision->worker, &source))
        ask_soon(decision);
}

static void on_answer(struct pc_await *await, struct pc_pending *answer);

static struct pc_decision *decision_new(struct pc_worker *worker, const struct pc_question *q,
                                        pusherc_slice key)
{
    struct pc_decision *decision = pc_alloc_zero(worker->mem, sizeof *decision + key.len);
    if (!decision)
        return NULL;
    memcpy(decision->key, key.ptr, key.len);
    decision->node.key = pc_slice(decision->key, key.len);
    decision->worker = worker;
    decision->question = *q;
    decision->question.channel = pc_slice(decision->key + key.len - q->channel.len, q->channel.len);
    decision->question.match = &decision->match;
    decision->match = pc_rule_match_in(q->match, q->channel, decision->question.channel);
    decision->gather_until_ms = worker->now_ms + decision->match.rule->options.gather_ms;
    decision->await.resume = on_answer;
    pc_list_init(&decision->waiters);
    pc_list_init(&decision->to_ask);
    pc_timer_init(&decision->deadline, on_deadline);
    pc_claim_init(&decision->claim, granted);
    if (pc_map_insert(&worker->decisions->open, &decision->node))
        goto fail_insert;
    if (claim(decision, q->fresh))
        goto fail_claim;
    pc_app_ref(q->app);
    pc_identity_ref(q->identity);
    pc_rule_ref(decision->match.rule);
    return decision;

fail_claim:
    pc_map_remove(&worker->decisions->open, &decision->node);
fail_insert:
    pc_free(worker->mem, decision);
    return NULL;
}

/* Not asked yet: the question will be about the new facts anyway. */
static void outdate(struct pc_decision *decision)
{
    decision->outdated |= decision->await.pending != NULL;
}

/* Has the rule of now decide. */
static void rematch(struct pc_map_node *node, void *ctx)
{
    struct pc_decision *decision = PC_CONTAINER(node, struct pc_decision, node);
    const struct pc_question *q = &decision->question;
    struct pc_worker *worker = ctx;
    struct pc_rule_match match = pc_rules_find(&worker->engine->rules, q->app->id, q->channel,
                                               pc_channel_classify(q->channel).kind);
    if (match.rule == decision->match.rule)
        return;
    pc_rule_ref(match.rule);
    pc_rule_unref(decision->match.rule);
    decision->match = match;
    outdate(decision);
    if (!match.rule)
        pc_timer_arm(&worker->timers, &decision->deadline, worker->now_ms);
}

bool pc_decide(struct pc_worker *worker, const struct pc_question *q, struct pc_waiter *waiter,
               struct pc_verdict *now)
{
    struct pc_decisions *d = worker->decisions;
    char bytes[MAX_KEY];
    d->last_unshared += q->unshared;
    struct asker who = asker_of(q, &d->last_unshared);
    pusherc_slice key = write_key(q, &who, bytes);
    if (!q->fresh && find_cached(d, key, q->match->rule, now))
        return true;
    struct pc_map_node *node = pc_map_find(&d->open, key);
    struct pc_decision *decision =
        node ? PC_CONTAINER(node, struct pc_decision, node) : decision_new(worker, q, key);
    /* this worker may not have been told yet that there are other rules */
    if (decision && decision->match.rule != q->match->rule)
        rematch(node, worker);
    if (!decision) {
        *now = (struct pc_verdict){
            .reason = PUSHERC_DENIED_INTERNAL, .status = 500, .text = PC_S("Out of memory")};
        return true;
    }
    if (node)
        join(decision, q);
    waiter->decision = decision;
    pc_list_push_back(&decision->waiters, &waiter->link);
    return false;
}

static void on_answer(struct pc_await *await, struct pc_pending *answer)
{
    struct pc_decision *decision = PC_CONTAINER(await, struct pc_decision, await);
    const pusherc_auth_request *request = pc_auth_request_of(answer);
    if (answer->silent) { /* also if it is outdated: the host cannot be asked now */
        conclude(decision, &silence);
        return;
    }
    if (!decision->outdated) {
        cache_answer(decision, &request->verdict);
        conclude(decision, &request->verdict);
        return;
    }
    decision->outdated = false;
    ask_now(decision);
}

/* Makes requests of up to `max` of this rule's questions and takes them out of the list. */
static size_t collect(struct pc_list *list, const struct pc_rule *rule, pusherc_auth_request **out,
                      size_t max)
{
    size_t n = 0;
    for (struct pc_list *l = list->next, *next; l != list && n < max; l = next) {
        struct pc_decision *decision = PC_CONTAINER(l, struct pc_decision, to_ask);
        next = l->next;
        if (decision->match.rule != rule)
            continue;
        pc_list_remove(&decision->to_ask);
        out[n] = rule ? pc_auth_request_new(decision->worker, &decision->question, &decision->await,
                                            decision->claim.quota)
                      : NULL;
        if (out[n]) {
            (void)pc_claim_use(&decision->claim);
            n++;
        } else { /* the host is not asked: let the deadline deny it at once */
            pc_timer_arm(&decision->worker->timers, &decision->deadline, decision->worker->now_ms);
        }
    }
    return n;
}

/* May the questions of this rule wait for more? Then *until_ms is at most the time until which the first one may. */
static bool may_wait(const struct pc_list *list, const struct pc_rule *rule, uint64_t now_ms,
                     uint64_t *until_ms)
{
    uint64_t first_ms = UINT64_MAX;
    size_t n = 0;
    if (!rule || rule->options.gather_ms == 0)
        return false;
    PC_LIST_EACH(l, list) {
        const struct pc_decision *decision = PC_CONTAINER(l, struct pc_decision, to_ask);
        if (decision->match.rule != rule)
            continue;
        if (decision->gather_until_ms < first_ms)
            first_ms = decision->gather_until_ms;
        if (first_ms <= now_ms || ++n == MAX_BATCH)
            return false;
    }
    if (first_ms < *until_ms)
        *until_ms = first_ms;
    return true;
}

static void set_aside(struct pc_list *to, struct pc_list *from, const struct pc_rule *rule)
{
    PC_LIST_EACH_SAFE(l, next, from) {
        if (PC_CONTAINER(l, struct pc_decision, to_ask)->match.rule != rule)
            continue;
        pc_list_remove(l);
        pc_list_push_back(to, l);
    }
}

/* Returns how many questions the host got. */
static size_t ask(struct pc_list *list, const struct pc_rule *rule)
{
    pusherc_auth_request *requests[MAX_BATCH];
    const pusherc_rule *o = rule ? &rule->options : NULL;
    size_t n = collect(list, rule, requests, o && o->authorize_batch ? MAX_BATCH : 1);
    if (n > 0 && o->authorize_batch)
        o->authorize_batch(requests, n, o->user_data);
    else if (n > 0)
        o->authorize(requests[0], o->user_data);
    return n;
}

bool pc_decisions_ask(struct pc_worker *worker)
{
    struct pc_decisions *d = worker->decisions;
    struct pc_list list, waiting;
    bool any = false;
    if (!d)
        return false;
    d->ask_ms = UINT64_MAX;
    pc_list_init(&waiting);
    pc_list_take(&list, &d->to_ask);
    for (size_t asked = 0; asked < MAX_ASKED && !pc_list_empty(&list);) {
        const struct pc_rule *rule =
            PC_CONTAINER(list.next, struct pc_decision, to_ask)->match.rule;
        if (may_wait(&list, rule, worker->now_ms, &d->ask_ms)) {
            set_aside(&waiting, &list, rule);
        } else {
            asked += ask(&list, rule);
            any = true;
        }
    }
    pc_list_put_back(&d->to_ask, &list);
    pc_list_put_back(&d->to_ask, &waiting);
    return any;
}

uint64_t pc_decisions_next(const struct pc_worker *worker)
{
    const struct pc_decisions *d = worker->decisions;
    if (!d || d->ask_ms == UINT64_MAX)
        return UINT64_MAX;
    return d->ask_ms > worker->now_ms ? d->ask_ms - worker->now_ms : 0;
}

/* -- outdating -- */

static bool is_socket(pusherc_socket_id id)
{
    return id.a || id.b;
}

struct pc_holder pc_holder_of(const struct pc_identity *who, const struct pc_identity *or_who,
                              pusherc_socket_id socket_id)
{
    return (struct pc_holder){
        .users = {pc_identity_user_id(who), pc_identity_user_id(who ? who->base : NULL),
                  pc_identity_user_id(or_who), pc_identity_user_id(or_who ? or_who->base : NULL)},
        .socket_id = socket_id};
}

static bool fits_holder(const struct pc_grant_filter *f, const struct pc_holder *holder)
{
    bool has_user = false, is_user = f->user_id.len == 0;
    for (size_t i = 0; i < sizeof holder->users / sizeof holder->users[0]; i++) {
        pusherc_slice user = holder->users[i];
        has_user |= user.len > 0;
        is_user |= user.len > 0 && pc_slice_eq(user, f->user_id);
    }
    if (!is_user || (f->anonymous && has_user))
        return false;
    return !is_socket(f->socket_id) || !is_socket(holder->socket_id) ||
           (f->socket_id.a == holder->socket_id.a && f->socket_id.b == holder->socket_id.b);
}

const struct pc_grant_filter *pc_grant_filter_fits(const struct pc_grant_filter *f,
                                                   uint64_t app_uid, pusherc_slice channel,
                                                   const struct pc_holder *holder)
{
    for (; f; f = f->next)
        if ((f->app_uid == app_uid || f->app_uid == PC_ANY_APP) && fits_holder(f, holder) &&
            (f->pattern.len == 0 || pc_pattern_matches(f->pattern, pc_rule_subject(channel), NULL)))
            return f;
    return NULL;
}

static void outdate_fitting(struct pc_map_node *node, void *ctx)
{
    struct pc_decision *decision = PC_CONTAINER(node, struct pc_decision, node);
    const struct pc_question *q = &decision->question;
    /* the connections of one user share a question */
    bool is_shared = pc_identity_user_id(q->identity).len > 0;
    struct pc_holder holder =
        pc_holder_of(q->identity, NULL, is_shared ? (pusherc_socket_id){0} : q->socket_id);
    if (pc_grant_filter_fits(ctx, q->app->state->uid, q->channel, &holder))
        outdate(decision);
}

void pc_waiter_outdate(struct pc_waiter *waiter)
{
    if (waiter->decision)
        outdate(waiter->decision);
}

void pc_decisions_outdate(struct pc_worker *worker, const struct pc_grant_filter *filter)
{
    struct pc_decisions *d = worker->decisions;
    pc_map_each(&d->open, outdate_fitting, (void *)filter);
    PC_LIST_EACH_SAFE(l, next, &d->cache_by_age) {
        struct cached *c = PC_CONTAINER(l, struct cached, by_age);
        /* those of a user are several connections', and those of an anonymous one its own */
        struct pc_holder holder = {.users = {c->user, c->base_user}, .socket_id = c->socket_id};
        if (pc_grant_filter_fits(filter, c->app_uid, c->channel, &holder))
            forget_cached(d, c);
    }
}

void pc_decisions_rules_changed(struct pc_worker *worker)
{
    struct pc_decisions *d = worker->decisions;
    while (!pc_list_empty(&d->cache_by_age))
        forget_cached(d, PC_CONTAINER(d->cache_by_age.next, struct cached, by_age));
    pc_map_each(&d->open, rematch, worker);
}

void pc_doubt_begin(struct pc_doubt *doubt, struct pc_worker *worker,
                    const struct pc_grant_filter *filter)
{
    pc_list_init(&doubt->of_worker);
    doubt->filter = filter;
    pc_list_push_back(&worker->decisions->doubts, &doubt->of_worker);
}

void pc_doubt_end(struct pc_doubt *doubt)
{
    pc_list_remove(&doubt->of_worker);
}

bool pc_doubted(const struct pc_worker *worker, uint64_t app_uid, pusherc_slice channel,
                const struct pc_holder *holder)
{
    PC_LIST_EACH(l, &worker->decisions->doubts) {
        const struct pc_grant_filter *f = PC_CONTAINER(l, struct pc_doubt, of_worker)->filter;
        if (pc_grant_filter_fits(f, app_uid, channel, holder))
            return true;
    }
    return false;
}
