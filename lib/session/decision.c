#include "session/decision.h"

#include <stdio.h>

#include "codec/json.h"
#include "session/identity.h"

#define MAX_BATCH  64   /* questions handed to one authorize_batch call */
#define MAX_CACHED 8192 /* answers one worker remembers */
#define MAX_REASON 120

/* -- the request object -- */

enum request_state {
    REQUEST_OPEN = 0,  /* waits for the host */
    REQUEST_ANSWERED,  /* the answer is on its way or has arrived */
    REQUEST_TIMED_OUT, /* denied meanwhile; the host still owns it */
    REQUEST_CANCELED   /* nobody waits; the host still owns it */
};

struct pusherc_auth_request {
    struct pc_mail mail;
    struct pc_mem mem;
    struct pc_mailbox *box; /* counted */
    _Atomic int state;
    struct pc_decision *decision; /* worker only; NULL = nobody waits */
    struct pc_identity *identity; /* counted; NULL = anonymous */
    pusherc_socket_id socket_id;
    pusherc_slice app_id, channel, user_id; /* in text */
    pusherc_slice param_names[PUSHERC_RULE_MAX_PARAMS], param_values[PUSHERC_RULE_MAX_PARAMS];
    size_t param_count;
    uint32_t max_user_info;
    struct pc_verdict verdict; /* the answer; its slices point into answer_text or reason */
    char *answer_text;         /* owned */
    char reason[MAX_REASON + 1];
    char text[];
};

static void request_free(pusherc_auth_request *r)
{
    struct pc_mem mem = r->mem;
    pc_identity_unref(r->identity);
    pc_mailbox_unref(r->box);
    pc_free(&mem, r->answer_text);
    pc_free(&mem, r);
}

pusherc_slice pusherc_auth_app_id(const pusherc_auth_request *request)
{
    return request->app_id;
}

pusherc_slice pusherc_auth_channel(const pusherc_auth_request *request)
{
    return request->channel;
}

pusherc_slice pusherc_auth_param(const pusherc_auth_request *request, const char *name)
{
    for (size_t i = 0; i < request->param_count; i++)
        if (pc_slice_eq(request->param_names[i], pc_slice_of(name)))
            return request->param_values[i];
    return PC_S("");
}

pusherc_slice pusherc_auth_user_id(const pusherc_auth_request *request)
{
    return request->user_id;
}

pusherc_socket_id pusherc_auth_socket_id(const pusherc_auth_request *request)
{
    return request->socket_id;
}

void *pusherc_auth_conn_data(const pusherc_auth_request *request)
{
    return request->identity ? request->identity->data : NULL;
}

/* The host may write its answer: 0, or what to return at once. */
static int claim(pusherc_auth_request *r, int *before)
{
    int state = atomic_load_explicit(&r->state, memory_order_acquire);
    do {
        if (state == REQUEST_ANSWERED)
            return PUSHERC_ESTATE;
    } while (!atomic_compare_exchange_weak_explicit(&r->state, &state, REQUEST_ANSWERED,
                                                    memory_order_acq_rel, memory_order_acquire));
    *before = state;
    return 0;
}

static void deny(pusherc_auth_request *r, pusherc_denial_reason reason, int status,
                 pusherc_slice text)
{
    text = pc_utf8_cut(text, MAX_REASON);
    memcpy(r->reason, text.ptr, text.len);
    r->verdict = (struct pc_verdict){
        .reason = reason, .status = status, .text = pc_slice(r->reason, text.len)};
}

/* Sends it to its worker, which keeps it for a while; to nobody, if that has gone. */
static int hand_back(pusherc_auth_request *r, int before)
{
    if (pc_mailbox_send(r->box, &r->mail, PC_MAIL_CONTROL)) {
        request_free(r);
        return PUSHERC_ECANCELED;
    }
    return before == REQUEST_OPEN        ? 0
           : before == REQUEST_TIMED_OUT ? PUSHERC_ETIMEDOUT
                                         : PUSHERC_ECANCELED;
}

static int copy_grant(pusherc_auth_request *r, const pusherc_grant *g)
{
    if (g->struct_size != sizeof *g || g->user_id.len > 4 * 128 || !pc_utf8_valid(g->user_id) ||
        g->view.len > PC_MAX_VIEW_NAME || !pc_utf8_valid(g->view) ||
        g->user_info_json.len > r->max_user_info ||
        (g->user_info_json.len && pc_json_parse(g->user_info_json).type == PC_JSON_NONE))
        return PUSHERC_EINVAL;
    size_t len = g->user_id.len + g->user_info_json.len + g->view.len;
    r->answer_text = pc_alloc(&r->mem, len + 1);
    if (!r->answer_text)
        return PUSHERC_ENOMEM;
    struct pc_buf text;
    pc_buf_init_in(&text, &r->mem, len + 1, r->answer_text, len + 1);
    pc_buf_put(&text, g->user_id);
    pc_buf_put(&text, g->user_info_json);
    pc_buf_put(&text, g->view);
    const char *at = r->answer_text;
    r->verdict.user_id = pc_slice(at, g->user_id.len);
    r->verdict.user_info = pc_slice(at + g->user_id.len, g->user_info_json.len);
    r->verdict.view = pc_slice(at + g->user_id.len + g->user_info_json.len, g->view.len);
    r->verdict.expires_in_ms = g->expires_in_ms;
    return 0;
}

int pusherc_auth_allow(pusherc_auth_request *request, const pusherc_grant *grant)
{
    int before;
    int rc = claim(request, &before);
    if (rc)
        return rc;
    request->verdict = (struct pc_verdict){.allowed = true};
    if (grant)
        rc = copy_grant(request, grant);
    if (rc)
        deny(request, PUSHERC_DENIED_INTERNAL, 500,
             PC_S("The application's answer was not usable"));
    int sent = hand_back(request, before);
    return rc ? rc : sent;
}

int pusherc_auth_deny(pusherc_auth_request *request, int status, const char *reason)
{
    int before;
    int rc = claim(request, &before);
    if (rc)
        return rc;
    pusherc_slice text = reason ? pc_slice_of(reason) : PC_S("Forbidden");
    if ((status != 0 && (status < 400 || status > 499)) || !pc_utf8_valid(text)) {
        rc = PUSHERC_EINVAL;
        status = 0;
        text = PC_S("Forbidden");
    }
    deny(request, PUSHERC_DENIED_BY_RULE, status ? status : 403, text);
    int sent = hand_back(request, before);
    return rc ? rc : sent;
}

/* -- a worker's questions -- */

struct pc_decision {
    struct pc_map_node node; /* key: who asks, and for what */
    struct pc_worker *worker;
    struct pc_list waiters;
    struct pc_list to_ask; /* linked until the end of the turn */
    struct pc_timer deadline;
    pusherc_auth_request *request; /* out with the host, or NULL */
    struct pc_app *app;            /* counted */
    struct pc_identity *identity;  /* counted; NULL = anonymous */
    struct pc_rule_match match;    /* values point into the channel below */
    pusherc_slice channel;         /* in key */
    pusherc_socket_id socket_id;
    bool outdated; /* the answer under way does not count */
    char key[];
};

struct cached {
    struct pc_map_node node; /* the same key */
    struct pc_list by_age;
    uint64_t until_ms;
    uint64_t app_uid;
    pusherc_slice user, channel;
    struct pc_verdict verdict; /* slices in text */
    char text[];
};

struct pc_decisions {
    struct pc_worker *worker;
    uint64_t last_alone; /* in keys that nobody else has */
    struct pc_map open;
    struct pc_list to_ask;
    struct pc_map cache;
    struct pc_list cache_by_age; /* oldest first */
    /* owned; answered, so that a second answer is noticed */
    pusherc_auth_request *kept[PUSHERC_AUTH_KEPT_ANSWERS];
    size_t next_kept;
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
    for (size_t i = 0; i < PUSHERC_AUTH_KEPT_ANSWERS; i++)
        if (d->kept[i])
            request_free(d->kept[i]);
    while (!pc_list_empty(&d->cache_by_age))
        forget_cached(d, PC_CONTAINER(d->cache_by_age.next, struct cached, by_age));
    pc_map_free(&d->cache);
    pc_map_free(&d->open);
    pc_free(d->worker->mem, d);
}

void pc_waiter_init(struct pc_waiter *waiter,
                    void (*decided)(struct pc_waiter *waiter, const struct pc_verdict *verdict))
{
    pc_list_init(&waiter->link);
    waiter->decision = NULL;
    waiter->decided = decided;
}

/* Takes it out of everything; whoever waited has been told or has left. */
static void decision_free(struct pc_decision *decision, int request_state)
{
    struct pc_worker *worker = decision->worker;
    int open = REQUEST_OPEN;
    if (decision->request) {
        decision->request->decision = NULL;
        atomic_compare_exchange_strong(&decision->request->state, &open, request_state);
    }
    pc_timer_stop(&worker->timers, &decision->deadline);
    pc_list_remove(&decision->to_ask);
    pc_map_remove(&worker->decisions->open, &decision->node);
    pc_app_unref(decision->app);
    pc_identity_unref(decision->identity);
    pc_free(worker->mem, decision);
}

void pc_waiter_cancel(struct pc_waiter *waiter)
{
    struct pc_decision *decision = waiter->decision;
    pc_list_remove(&waiter->link);
    waiter->decision = NULL;
    if (decision && pc_list_empty(&decision->waiters))
        decision_free(decision, REQUEST_CANCELED);
}

/* Tells everybody. A callback may cancel others that wait here, or ask anew. */
static void conclude(struct pc_decision *decision, const struct pc_verdict *verdict,
                     int request_state)
{
    struct pc_list waiters;
    pc_list_take(&waiters, &decision->waiters);
    for (struct pc_list *l = waiters.next; l != &waiters; l = l->next)
        /* it waits for nothing any more */
        PC_CONTAINER(l, struct pc_waiter, link)->decision = NULL;
    decision_free(decision, request_state);
    while (!pc_list_empty(&waiters)) {
        struct pc_waiter *w = PC_CONTAINER(waiters.next, struct pc_waiter, link);
        pc_list_remove(&w->link);
        w->decided(w, verdict);
    }
}

static void on_deadline(struct pc_timer *timer, uint64_t now_ms)
{
    struct pc_decision *decision = PC_CONTAINER(timer, struct pc_decision, deadline);
    struct pc_verdict verdict = {.reason = PUSHERC_DENIED_TIMEOUT,
                                 .status = 403,
                                 .text = PC_S("The application did not answer in time")};
    (void)now_ms;
    if (!decision->request) { /* there was no memory to ask it */
        verdict.reason = PUSHERC_DENIED_INTERNAL;
        verdict.text = PC_S("Out of memory");
    }
    conclude(decision, &verdict, REQUEST_TIMED_OUT);
}

/* -- keys: app, who asks, channel -- */

enum asker_kind {
    ASKER_USER = 'u', /* a user id that looks like a socket's bytes is still a user's */
    ASKER_SOCKET = 's',
    ASKER_ALONE = 'a'
};

struct asker {
    char kind;
    uint32_t len;
    const char *bytes;
};

static struct asker asker_of(const struct pc_question *q, const uint64_t *alone)
{
    if (q->identity && q->identity->user_id.len)
        return (struct asker){ASKER_USER, (uint32_t)q->identity->user_id.len,
                              q->identity->user_id.ptr};
    if (q->alone)
        return (struct asker){ASKER_ALONE, sizeof *alone, (const char *)alone};
    return (struct asker){ASKER_SOCKET, sizeof q->socket_id, (const char *)&q->socket_id};
}

#define KEY_HEAD (sizeof(uint64_t) + 1 + sizeof(uint32_t))
#define MAX_KEY  (KEY_HEAD + PC_IDENTITY_MAX_ID + 256)

static pusherc_slice write_key(const struct pc_question *q, const struct asker *who, char *out)
{
    char *at = out;
    memcpy(at, &q->app->live->uid, sizeof(uint64_t));
    at += sizeof(uint64_t);
    *at++ = who->kind;
    memcpy(at, &who->len, sizeof who->len);
    at += sizeof who->len;
    memcpy(at, who->bytes, who->len);
    memcpy(at + who->len, q->channel.ptr, q->channel.len);
    return pc_slice(out, KEY_HEAD + who->len + q->channel.len);
}

static bool is_alone(const struct pc_decision *decision)
{
    return decision->key[sizeof(uint64_t)] == ASKER_ALONE;
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

/* Without memory it is simply not remembered. */
static void remember(struct pc_decision *decision, const struct pc_verdict *v)
{
    struct pc_decisions *d = decision->worker->decisions;
    uint32_t cache_ms = decision->match.rule->options.cache_ms;
    if (cache_ms == 0 || is_alone(decision) ||
        (v->allowed && v->expires_in_ms && v->expires_in_ms < cache_ms))
        return;
    pusherc_slice key = decision->node.key;
    struct pc_map_node *old = pc_map_find(&d->cache, key);
    if (old)
        forget_cached(d, PC_CONTAINER(old, struct cached, node));
    if (d->cache.count >= MAX_CACHED)
        forget_cached(d, PC_CONTAINER(d->cache_by_age.next, struct cached, by_age));
    size_t len = key.len + v->user_id.len + v->user_info.len + v->view.len + v->text.len;
    struct cached *c = pc_alloc_zero(d->worker->mem, sizeof *c + len);
    if (!c)
        return;
    struct pc_buf text;
    pc_buf_init_in(&text, d->worker->mem, len, c->text, len);
    const pusherc_slice parts[] = {key, v->user_id, v->user_info, v->view, v->text};
    pusherc_slice copies[5];
    for (size_t i = 0; i < 5; i++) {
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
    c->app_uid = decision->app->live->uid;
    c->channel = pc_slice(copies[0].ptr + (decision->channel.ptr - key.ptr), decision->channel.len);
    if (decision->identity)
        c->user = pc_slice(copies[0].ptr + KEY_HEAD, decision->identity->user_id.len);
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
    decision->app = q->app;
    pc_app_ref(q->app);
    decision->identity = q->identity;
    pc_identity_ref(q->identity);
    decision->socket_id = q->socket_id;
    decision->channel = pc_slice(decision->key + key.len - q->channel.len, q->channel.len);
    decision->match = *q->match;
    for (size_t i = 0; i < q->match->rule->param_count; i++)
        decision->match.values[i].ptr =
            decision->channel.ptr + (q->match->values[i].ptr - q->channel.ptr);
    pc_list_init(&decision->waiters);
    pc_list_init(&decision->to_ask);
    pc_list_push_back(&worker->decisions->to_ask, &decision->to_ask);
    pc_timer_init(&decision->deadline, on_deadline);
    pc_timer_arm(&worker->timers, &decision->deadline,
                 worker->now_ms + worker->engine->limits.auth_timeout_ms);
    return decision;
}

bool pc_decide(struct pc_worker *worker, const struct pc_question *q, struct pc_waiter *waiter,
               struct pc_verdict *now)
{
    struct pc_decisions *d = worker->decisions;
    char bytes[MAX_KEY];
    d->last_alone += q->alone;
    struct asker who = asker_of(q, &d->last_alone);
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

static void keep(struct pc_decisions *d, pusherc_auth_request *r)
{
    if (d->kept[d->next_kept])
        request_free(d->kept[d->next_kept]);
    pc_identity_unref(r->identity); /* the host's data must not wait as long */
    r->identity = NULL;
    d->kept[d->next_kept] = r;
    d->next_kept = (d->next_kept + 1) % PUSHERC_AUTH_KEPT_ANSWERS;
}

static void on_answer(struct pc_mail *mail, struct pc_worker *worker)
{
    pusherc_auth_request *r = PC_CONTAINER(mail, pusherc_auth_request, mail);
    if (!worker) {
        request_free(r);
        return;
    }
    struct pc_decision *decision = r->decision;
    r->decision = NULL;
    keep(worker->decisions, r); /* before callbacks: they may free nothing of it within this turn */
    if (!decision)
        return;
    decision->request = NULL;
    if (decision->outdated) {
        decision->outdated = false;
        pc_timer_arm(&worker->timers, &decision->deadline,
                     worker->now_ms + worker->engine->limits.auth_timeout_ms);
        pc_list_push_back(&worker->decisions->to_ask, &decision->to_ask);
        return;
    }
    remember(decision, &r->verdict);
    conclude(decision, &r->verdict, REQUEST_ANSWERED);
}

static pusherc_slice put_text(struct pc_buf *buf, pusherc_slice text)
{
    pusherc_slice copy = pc_slice(buf->ptr + buf->len, text.len);
    pc_buf_put(buf, text);
    return copy;
}

static pusherc_auth_request *request_new(struct pc_decision *decision)
{
    const struct pc_rule *rule = decision->match.rule;
    const struct pc_mem *mem = decision->worker->mem;
    pusherc_slice user_id = decision->identity ? decision->identity->user_id : PC_S("");
    size_t len = decision->app->id.len + decision->channel.len + user_id.len;
    for (size_t i = 0; i < rule->param_count; i++)
        len += rule->param_names[i].len;
    pusherc_auth_request *r = pc_alloc_zero(mem, sizeof *r + len + 1);
    if (!r)
        return NULL;
    struct pc_buf text;
    pc_buf_init_in(&text, mem, len + 1, r->text, len + 1);
    r->app_id = put_text(&text, decision->app->id);
    r->channel = put_text(&text, decision->channel);
    r->user_id = put_text(&text, user_id);
    r->param_count = rule->param_count;
    for (size_t i = 0; i < rule->param_count; i++) {
        r->param_names[i] = put_text(&text, rule->param_names[i]);
        r->param_values[i] =
            pc_slice(r->channel.ptr + (decision->match.values[i].ptr - decision->channel.ptr),
                     decision->match.values[i].len);
    }
    r->mem = *mem;
    r->box = decision->worker->mailbox;
    pc_mailbox_ref(r->box);
    r->mail.run = on_answer;
    atomic_init(&r->state, REQUEST_OPEN);
    r->decision = decision;
    r->identity = decision->identity;
    pc_identity_ref(r->identity);
    r->socket_id = decision->socket_id;
    r->max_user_info = decision->app->options.max_user_info_bytes;
    decision->request = r;
    return r;
}

/* Takes this rule's questions out of the list, up to max; the first is its own. */
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
        out[n] = request_new(decision);
        if (out[n])
            n++;
        else /* its deadline will refuse it; sooner, since nobody is going to answer */
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

bool pc_grant_filter_fits(const struct pc_grant_filter *f, uint64_t app_uid, pusherc_slice user_id,
                          pusherc_slice channel)
{
    return f->app_uid == app_uid && (f->user_id.len == 0 || pc_slice_eq(f->user_id, user_id)) &&
           (f->pattern.len == 0 || pc_pattern_matches(f->pattern, pc_rule_subject(channel), NULL));
}

static void outdate(struct pc_map_node *node, void *ctx)
{
    struct pc_decision *decision = PC_CONTAINER(node, struct pc_decision, node);
    pusherc_slice user = decision->identity ? decision->identity->user_id : PC_S("");
    if (decision->request &&
        pc_grant_filter_fits(ctx, decision->app->live->uid, user, decision->channel))
        decision->outdated = true;
}

void pc_decisions_outdate(struct pc_worker *worker, const struct pc_grant_filter *filter)
{
    struct pc_decisions *d = worker->decisions;
    pc_map_each(&d->open, outdate, (void *)filter);
    for (struct pc_list *l = d->cache_by_age.next, *next; l != &d->cache_by_age; l = next) {
        struct cached *c = PC_CONTAINER(l, struct cached, by_age);
        next = l->next;
        if (pc_grant_filter_fits(filter, c->app_uid, c->user, c->channel))
            forget_cached(d, c);
    }
}
