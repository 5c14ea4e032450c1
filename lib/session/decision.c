#include "session/decision.h"

#include "session/identity.h"

#define MAX_BATCH  64   /* questions handed to one authorize_batch call */
#define MAX_CACHED 8192 /* answers one worker remembers */

/*
 * How it works. pc_decide() looks for a cached answer, then for an open decision with the same key
 * (app, who asks, channel), and joins its waiters or opens one. Who asks is the user if there is
 * one, or else the socket; a question about a socket that the asker only claims to be (`unshared`)
 * gets a unique number, so that its answer is neither shared nor cached. At the end of the turn
 * pc_decisions_ask() hands the new questions to the host, those of one rule in batches.
 *
 * A decision is closed in one of three ways: by the answer, by its deadline, or by its last waiter
 * leaving. After the last two the host still owns the request object; it is told when it answers,
 * and the answer then finds no decision. If the host's facts have changed in between (`outdated`),
 * the answer is thrown away and the question asked once more. So an answer that reaches a waiter
 * was always begun after the last change that concerns it.
 */

struct pc_decision {
    struct pc_map_node node; /* see write_key() */
    struct pc_worker *worker;
    struct pc_list waiters;
    struct pc_list to_ask; /* linked until the end of the turn */
    struct pc_timer deadline;
    pusherc_auth_request *request; /* the host has it; NULL = not asked yet, or answered */
    struct pc_question question;   /* app and identity counted; match is the next member */
    struct pc_rule_match match;
    bool outdated; /* the pending answer is invalid: ask again when it arrives */
    char key[];
};

struct cached {
    struct pc_map_node node; /* the same key */
    struct pc_list by_age;
    uint64_t until_ms;
    uint64_t app_uid;
    pusherc_slice user, base_user, channel; /* base_user: of the identity below a sign-in */
    struct pc_verdict verdict;              /* slices in text */
    char text[];
};

struct pc_decisions {
    struct pc_worker *worker;
    uint64_t last_unshared; /* number in the key of the latest unshared question */
    struct pc_map open;
    struct pc_list to_ask;
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
static void decision_close(struct pc_decision *decision, enum pc_request_state request_state)
{
    struct pc_worker *worker = decision->worker;
    if (decision->request)
        pc_auth_request_leave(decision->request, request_state);
    pc_timer_stop(&worker->timers, &decision->deadline);
    pc_list_remove(&decision->to_ask);
    pc_map_remove(&worker->decisions->open, &decision->node);
}

static void decision_free(struct pc_decision *decision)
{
    pc_app_unref(decision->question.app);
    pc_identity_unref(decision->question.identity);
    pc_free(decision->worker->mem, decision);
}

void pc_waiter_cancel(struct pc_waiter *waiter)
{
    struct pc_decision *decision = waiter->decision;
    pc_list_remove(&waiter->link);
    waiter->decision = NULL;
    if (decision && pc_list_empty(&decision->waiters)) {
        decision_close(decision, PC_REQUEST_CANCELED);
        decision_free(decision);
    }
}

/* Calls all waiters. A callback may cancel other waiters of this decision, or ask again. */
static void conclude(struct pc_decision *decision, const struct pc_verdict *verdict,
                     enum pc_request_state request_state)
{
    struct pc_list waiters;
    pc_list_take(&waiters, &decision->waiters);
    PC_LIST_EACH(l, &waiters)
        PC_CONTAINER(l, struct pc_waiter, link)->decision = NULL;
    decision_close(decision, request_state);
    while (!pc_list_empty(&waiters)) {
        struct pc_waiter *w = PC_CONTAINER(waiters.next, struct pc_waiter, link);
        pc_list_remove(&w->link);
        w->decided(w, &decision->question, verdict);
    }
    decision_free(decision);
}

static void on_deadline(struct pc_timer *timer, uint64_t now_ms)
{
    struct pc_decision *decision = PC_CONTAINER(timer, struct pc_decision, deadline);
    struct pc_verdict verdict = {.reason = PUSHERC_DENIED_TIMEOUT,
                                 .status = 403,
                                 .text = PC_S("The application did not answer in time")};
    (void)now_ms;
    if (!decision->request) { /* memory ran out before the host was asked */
        verdict.reason = PUSHERC_DENIED_INTERNAL;
        verdict.text = PC_S("Out of memory");
    }
    conclude(decision, &verdict, PC_REQUEST_TIMED_OUT);
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

static bool find_cached(struct pc_decisions *d, pusherc_slice key, struct pc_verdict *out)
{
    struct pc_map_node *node = pc_map_find(&d->cache, key);
    if (!node)
        return false;
    struct cached *c = PC_CONTAINER(node, struct cached, node);
    if (c->until_ms <= d->worker->now_ms) {
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
    if (who)
        c->user = pc_slice(copies[0].ptr + KEY_HEAD, who->user_id.len);
    c->base_user = copies[5];
    if (pc_map_insert(&d->cache, &c->node))
        pc_free(d->worker->mem, c);
    else
        pc_list_push_back(&d->cache_by_age, &c->by_age);
}

/* -- asking -- */

static struct pc_decision *decision_new(struct pc_worker *worker, const struct pc_question *q,
                                        pusherc_slice key)
{
    struct pc_decision *decision = pc_alloc_zero(worker->mem, sizeof *decision + key.len);
    if (!decision)
        return NULL;
    memcpy(decision->key, key.ptr, key.len);
    decision->node.key = pc_slice(decision->key, key.len);
    if (pc_map_insert(&worker->decisions->open, &decision->node)) {
        pc_free(worker->mem, decision);
        return NULL;
    }
    decision->worker = worker;
    decision->question = *q;
    pc_app_ref(q->app);
    pc_identity_ref(q->identity);
    decision->question.channel = pc_slice(decision->key + key.len - q->channel.len, q->channel.len);
    decision->question.match = &decision->match;
    decision->match = pc_rule_match_in(q->match, q->channel, decision->question.channel);
    pc_list_init(&decision->waiters);
    pc_list_init(&decision->to_ask);
    pc_list_push_back(&worker->decisions->to_ask, &decision->to_ask);
    pc_timer_init(&decision->deadline, on_deadline);
    pc_timer_arm(&worker->timers, &decision->deadline,
                 worker->now_ms + worker->engine->options.auth_timeout_ms);
    return decision;
}

bool pc_decide(struct pc_worker *worker, const struct pc_question *q, struct pc_waiter *waiter,
               struct pc_verdict *now)
{
    struct pc_decisions *d = worker->decisions;
    char bytes[MAX_KEY];
    d->last_unshared += q->unshared;
    struct asker who = asker_of(q, &d->last_unshared);
    pusherc_slice key = write_key(q, &who, bytes);
    if (!q->fresh && find_cached(d, key, now))
        return true;
    struct pc_map_node *node = pc_map_find(&d->open, key);
    struct pc_decision *decision =
        node ? PC_CONTAINER(node, struct pc_decision, node) : decision_new(worker, q, key);
    if (!decision) {
        *now = (struct pc_verdict){
            .reason = PUSHERC_DENIED_INTERNAL, .status = 500, .text = PC_S("Out of memory")};
        return true;
    }
    waiter->decision = decision;
    pc_list_push_back(&decision->waiters, &waiter->link);
    return false;
}

static void take_answer(struct pc_decision *decision, const struct pc_verdict *verdict)
{
    struct pc_worker *worker = decision->worker;
    decision->request = NULL;
    if (decision->outdated) {
        decision->outdated = false;
        pc_timer_arm(&worker->timers, &decision->deadline,
                     worker->now_ms + worker->engine->options.auth_timeout_ms);
        pc_list_push_back(&worker->decisions->to_ask, &decision->to_ask);
        return;
    }
    cache_answer(decision, verdict);
    conclude(decision, verdict, PC_REQUEST_ANSWERED);
}

static void on_answer(struct pc_mail *mail, struct pc_worker *worker)
{
    pusherc_auth_request *r = PC_CONTAINER(mail, pusherc_auth_request, mail);
    if (worker && r->decision)
        take_answer(r->decision, &r->verdict);
    pc_auth_request_free(r);
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
        decision->request =
            pc_auth_request_new(decision->worker, &decision->question, decision, on_answer);
        out[n] = decision->request;
        if (out[n])
            n++;
        else /* the host is not asked: let the deadline deny it at once */
            pc_timer_arm(&decision->worker->timers, &decision->deadline, decision->worker->now_ms);
    }
    return n;
}

bool pc_decisions_ask(struct pc_worker *worker)
{
    struct pc_list list;
    if (!worker->decisions || pc_list_empty(&worker->decisions->to_ask))
        return false;
    pc_list_take(&list, &worker->decisions->to_ask);
    while (!pc_list_empty(&list)) {
        pusherc_auth_request *requests[MAX_BATCH];
        const struct pc_rule *rule =
            PC_CONTAINER(list.next, struct pc_decision, to_ask)->match.rule;
        const pusherc_rule *o = &rule->options;
        size_t n = collect(&list, rule, requests, o->authorize_batch ? MAX_BATCH : 1);
        if (n > 0 && o->authorize_batch)
            o->authorize_batch(requests, n, o->user_data);
        else if (n > 0)
            o->authorize(requests[0], o->user_data);
    }
    return true;
}

/* -- outdating -- */

bool pc_grant_filter_covers(const struct pc_grant_filter *f, uint64_t app_uid,
                            pusherc_slice channel)
{
    return f->app_uid == app_uid &&
           (f->pattern.len == 0 || pc_pattern_matches(f->pattern, pc_rule_subject(channel), NULL));
}

/* Not asked yet: the question will be about the new facts anyway. */
static void outdate(struct pc_decision *decision)
{
    decision->outdated |= decision->request != NULL;
}

static void outdate_fitting(struct pc_map_node *node, void *ctx)
{
    struct pc_decision *decision = PC_CONTAINER(node, struct pc_decision, node);
    const struct pc_question *q = &decision->question;
    const struct pc_grant_filter *f = ctx;
    if (pc_grant_filter_covers(f, q->app->state->uid, q->channel) &&
        (f->user_id.len == 0 || pc_identity_is(q->identity, f->user_id)))
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
        if (pc_grant_filter_covers(filter, c->app_uid, c->channel) &&
            (filter->user_id.len == 0 || pc_slice_eq(filter->user_id, c->user) ||
             pc_slice_eq(filter->user_id, c->base_user)))
            forget_cached(d, c);
    }
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
                const struct pc_identity *who, const struct pc_identity *or_who)
{
    PC_LIST_EACH(l, &worker->decisions->doubts) {
        const struct pc_grant_filter *f = PC_CONTAINER(l, struct pc_doubt, of_worker)->filter;
        if (pc_grant_filter_covers(f, app_uid, channel) &&
            (f->user_id.len == 0 || pc_identity_is(who, f->user_id) ||
             pc_identity_is(or_who, f->user_id)))
            return true;
    }
    return false;
}
