/* Rules, re-authorization and explanations (pusherc/auth.h). */
#include <pusherc/auth.h>

#include "base/options.h"
#include "server/inbox.h"
#include "server/server.h"
#include "session/everywhere.h"
#include "session/identity.h"
#include "why/why.h"

/* -- rules -- */

/* What has to happen to the table. */
struct rule_change {
    const pusherc_rule *add;     /* or: */
    const char *app_id, *remove; /* a pattern */
};

/* Tells each worker that there are other rules, and frees the ones of before when all have heard. */
struct rules_order {
    struct pc_order order;
    struct pc_rule_table *old;
};

static void tell_rules(struct pc_order *order, struct pc_worker *worker)
{
    (void)order;
    pc_decisions_rules_changed(worker);
}

static void rules_told(struct pc_order *order)
{
    struct rules_order *o = PC_CONTAINER(order, struct rules_order, order);
    struct pc_engine *engine = order->engine;
    pc_rule_table_unref(o->old);
    pc_order_free(order);
    pc_free(&engine->mem, o);
}

static int replace_table(pusherc_server *server, const struct rule_change *change, bool running,
                         struct pc_rule_table **old, pusherc_errinfo *info)
{
    struct pc_rules *rules = &server->engine.rules;
    if (change->add)
        return pc_rules_put(rules, change->add, running, old, info);
    return pc_rules_remove(rules, pc_slice_of(change->app_id), pc_slice_of(change->remove), running,
                           old, info);
}

static int change_rules(pusherc_server *server, const struct rule_change *change,
                        pusherc_errinfo *info)
{
    struct pc_engine *engine = &server->engine;
    if (!pc_server_runs(server))
        return pc_errinfo(info, PUSHERC_ESTATE, 0, "the server has stopped, or is just starting");
    struct rules_order *o = pc_alloc_zero(&engine->mem, sizeof *o);
    int err = o ? pc_order_init(&o->order, engine) : PUSHERC_ENOMEM;
    if (err)
        pc_errinfo(info, err, 0, "out of memory");
    else
        err = replace_table(server, change, true, &o->old, info);
    if (err) {
        if (o)
            pc_order_free(&o->order);
        pc_free(&engine->mem, o);
        return err;
    }
    o->order.run = tell_rules;
    o->order.done = rules_told;
    pc_order_send(&o->order);
    return 0;
}

int pusherc_server_add_rule(pusherc_server *server, const pusherc_rule *rule, pusherc_errinfo *info)
{
    pusherc_rule taken;
    if (!server || !rule)
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "server or rule: NULL");
    if (pc_server_is_copy(server))
        return pc_errinfo(info, PUSHERC_ESTATE, 0, PC_IS_COPY);
    int err = PC_TAKE(rule, &taken, rule, info);
    err = err ? err : pc_messages_take_rule(server->messages, &taken, info);
    if (err)
        return err;
    if (atomic_load(&server->state) == PC_SERVER_NEW)
        return pc_rules_add(&server->engine.rules, &taken, info);
    return change_rules(server, &(struct rule_change){.add = &taken}, info);
}

int pusherc_server_remove_rule(pusherc_server *server, const char *app_id, const char *pattern,
                               pusherc_errinfo *info)
{
    const struct rule_change change = {.app_id = app_id, .remove = pattern};
    if (!server || !pattern)
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "server or pattern: NULL");
    if (pc_server_is_copy(server))
        return pc_errinfo(info, PUSHERC_ESTATE, 0, PC_IS_COPY);
    if (atomic_load(&server->state) != PC_SERVER_NEW)
        return change_rules(server, &change, info);
    struct pc_rule_table *old;
    int err = replace_table(server, &change, false, &old, info);
    pc_rule_table_unref(old);
    return err;
}

/* -- re-authorization -- */

static int read_match(const pusherc_grant_match *match, struct pc_grant_filter *out,
                      const pusherc_grant_match **next)
{
    pusherc_grant_match taken = {0};
    if (match && PC_TAKE(grant_match, &taken, match, NULL))
        return PUSHERC_EINVAL;
    if (taken.user_id.len > PC_IDENTITY_MAX_ID || (taken.anonymous && taken.user_id.len) ||
        (taken.channel_pattern.len && !pc_pattern_valid(taken.channel_pattern, NULL, NULL)))
        return PUSHERC_EINVAL;
    *out = (struct pc_grant_filter){.user_id = taken.user_id,
                                    .pattern = taken.channel_pattern,
                                    .socket_id = taken.socket_id,
                                    .anonymous = taken.anonymous};
    *next = taken.next;
    return 0;
}

/* Fills a chain of filters, without the app. */
static int read_matches(const pusherc_grant_match *match,
                        struct pc_grant_filter out[PUSHERC_MAX_GRANT_MATCHES])
{
    for (size_t i = 0; i < PUSHERC_MAX_GRANT_MATCHES; i++) {
        int err = read_match(match, &out[i], &match);
        if (err || !match)
            return err;
        if (i + 1 < PUSHERC_MAX_GRANT_MATCHES)
            out[i].next = &out[i + 1];
    }
    return PUSHERC_EINVAL;
}

/* What is called with the result, and where the number of nodes without one goes; NULL = that is not needed. */
struct listener {
    pusherc_reauthorized_fn done;
    void *user_data;
    uint64_t *unanswered;
};

static int send_recheck(pusherc_server *server, const struct pc_app *app,
                        const struct pc_grant_filter *filters, const struct listener *listener)
{
    struct pc_change *change = pc_change_new(&server->engine, filters, PC_S(""), PC_S(""));
    if (!change)
        return PUSHERC_ENOMEM;
    change->done = listener->done;
    change->user_data = listener->user_data;
    change->unanswered = listener->unanswered;
    return pc_change_everywhere(app, change);
}

static int reauthorize(pusherc_server *server, const char *app_id, const pusherc_grant_match *match,
                       const struct listener *listener)
{
    struct pc_grant_filter filters[PUSHERC_MAX_GRANT_MATCHES];
    int err = read_matches(match, filters);
    if (err)
        return err;
    struct pc_app *app = pc_server_app(server, app_id, &err);
    if (!app)
        return err;
    for (struct pc_grant_filter *f = filters; f; f = (struct pc_grant_filter *)f->next)
        f->app_uid = app->state->uid;
    err = pc_server_runs(server) ? send_recheck(server, app, filters, listener) : PUSHERC_ESTATE;
    pc_app_unref(app);
    return err;
}

int pusherc_reauthorize(pusherc_server *server, const char *app_id,
                        const pusherc_grant_match *match, pusherc_reauthorized_fn done,
                        void *user_data)
{
    struct listener listener = {done, user_data, NULL};
    if (!server)
        return PUSHERC_EINVAL;
    bool as_message = !done && pc_messages_want_reauthorized(server->messages);
    if (as_message) {
        listener.done = pc_messages_reauthorized;
        listener.user_data = pc_messages_reauthorized_new(server->messages, user_data);
        if (!listener.user_data)
            return PUSHERC_ENOMEM;
    }
    int err = reauthorize(server, app_id, match, &listener);
    if (err && as_message)
        pc_messages_reauthorized_free(server->messages, listener.user_data);
    return err;
}

/* The result of a re-authorization, for the thread that waits and for `done`: the last of the two frees it. */
struct reauthorized {
    struct pc_mem mem;
    struct pc_latch done;
    uint64_t kept, revoked, unanswered;
    _Atomic uint32_t refs;
};

static void reauthorized_unref(struct reauthorized *r)
{
    if (atomic_fetch_sub_explicit(&r->refs, 1, memory_order_acq_rel) != 1)
        return;
    struct pc_mem mem = r->mem;
    pc_latch_free(&r->done);
    pc_free(&mem, r);
}

static void on_reauthorized(uint64_t kept, uint64_t revoked, void *user_data)
{
    struct reauthorized *r = user_data;
    r->kept = kept;
    r->revoked = revoked;
    pc_latch_open(&r->done);
    reauthorized_unref(r);
}

int pusherc_reauthorize_wait(pusherc_server *server, const char *app_id,
                             const pusherc_grant_match *match, uint32_t timeout_ms, uint64_t *kept,
                             uint64_t *revoked)
{
    if (!server)
        return PUSHERC_EINVAL;
    if (pc_server_is_copy(server) || pc_server_is_own_thread(server))
        return PUSHERC_ESTATE;
    struct reauthorized *r = pc_alloc_zero(&server->engine.mem, sizeof *r);
    if (!r)
        return PUSHERC_ENOMEM;
    r->mem = server->engine.mem;
    pc_latch_init(&r->done);
    atomic_init(&r->refs, 2);
    const struct listener listener = {on_reauthorized, r, &r->unanswered};
    int err = reauthorize(server, app_id, match, &listener);
    if (err) {
        reauthorized_unref(r); /* in place of `done` */
    } else if (!pc_latch_wait(&r->done, timeout_ms) || r->unanswered) {
        err = PUSHERC_ETIMEDOUT;
    } else {
        if (kept)
            *kept = r->kept;
        if (revoked)
            *revoked = r->revoked;
    }
    reauthorized_unref(r);
    return err;
}

/* -- unsubscribing -- */

int pusherc_server_unsubscribe(pusherc_server *server, const char *app_id,
                               pusherc_socket_id socket_id, pusherc_slice user_id,
                               pusherc_slice channel, const char *reason)
{
    int err;
    struct pc_channel_class class;
    bool by_user = socket_id.a == 0 && socket_id.b == 0;
    pusherc_slice text = pc_slice_of(reason ? reason : "Unsubscribed by the application");
    if (!pc_channel_name_valid(channel, SIZE_MAX, &class) || !pc_utf8_valid(text) ||
        (by_user && (user_id.len == 0 || user_id.len > PC_IDENTITY_MAX_ID)))
        return PUSHERC_EINVAL;
    text = pc_utf8_cut(text, 120);
    struct pc_app *app = pc_server_app(server, app_id, &err);
    if (!app)
        return err;
    /* cached answers become invalid as well: the host is asked about the next subscribe */
    struct pc_grant_filter before = {.app_uid = app->state->uid,
                                     .user_id = by_user ? user_id : PC_S(""),
                                     .pattern = pc_rule_subject(channel)};
    struct pc_change *change = NULL;
    err = pc_server_runs(server) ? 0 : PUSHERC_ESTATE;
    if (err == 0)
        change = pc_change_new(&server->engine, &before, channel, text);
    if (err == 0 && !change)
        err = PUSHERC_ENOMEM;
    if (change) {
        change->socket_id = socket_id;
        err = pc_change_everywhere(app, change);
    }
    pc_app_unref(app);
    return err;
}

/* -- explaining -- */

int pusherc_explain(pusherc_server *server, const char *app_id, pusherc_slice channel,
                    pusherc_slice user_id, pusherc_explain_fn done, void *user_data)
{
    int err;
    struct pc_buf out;
    if (!done || !pc_utf8_valid(channel) || !pc_utf8_valid(user_id))
        return PUSHERC_EINVAL;
    struct pc_app *app = pc_server_app(server, app_id, &err);
    if (!app)
        return err;
    pc_buf_init(&out, &server->engine.mem, SIZE_MAX);
    struct pc_rule_table *rules = pc_rules_take(&server->engine.rules);
    err = pc_why_decision(&out, rules, app, channel, user_id);
    pc_rule_table_unref(rules);
    pc_app_unref(app);
    if (err == 0)
        err = pc_buf_status(&out);
    if (err == 0)
        done(pc_buf_slice(&out), user_data);
    pc_buf_free(&out);
    return err;
}
