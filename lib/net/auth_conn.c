/*
 * How a built-in auth endpoint answers a request. The steps, each of which may wait for the host or for other workers
 * while the connection is in PC_CONN_WAITING:
 *
 *     identify()       asks the host which user sends the request (hook `identify`)
 *     decide()         asks the rule of the channel whether this user may join
 *     tell_worker()    visits all workers; the one that has the socket stores a grant with the decision
 *     come_home()      returns to the connection's worker by mail
 *     admit()          signs and replies
 *
 * The grant is stored before the client gets its signature, so the subscribe that follows finds it. The call
 * outlives its connection while an order or a mail still points to it (`under_way`).
 */
#include "net/auth_conn.h"

#include <pusherc/error.h>

#include "api/auth.h"
#include "api/call.h"
#include "fanout/order.h"
#include "net/ask.h"
#include "net/http_conn.h"
#include "session/admit.h"
#include "session/grant.h"
#include "session/session.h"

#define SHOWN_BYTES 100 /* in log lines, of what a client sent */

struct pc_auth_call {
    struct pc_conn *conn;                  /* NULL = it has ended; come_home() frees the call */
    const struct pc_http_message *message; /* valid while `conn` is not NULL */
    struct pc_mem mem;
    enum pc_auth_endpoint endpoint;
    struct pc_auth_query query;
    struct pc_app *app;           /* counted */
    struct pc_identity *identity; /* counted; NULL = anonymous */
    struct pc_rule_match match;   /* its rule is counted */
    struct pc_waiter waiter;
    /* the decision that all workers read; its slices point into `text` */
    struct pc_verdict verdict;
    struct pc_buf text;
    struct pc_order round;
    bool under_way;          /* `round` or `back` is in a mailbox */
    struct pc_mailbox *home; /* counted: of the connection's worker */
    struct pc_mail back;     /* to `home` */
};

static void call_free(struct pc_auth_call *call)
{
    struct pc_mem mem = call->mem;
    pc_auth_query_free(&call->query);
    pc_app_unref(call->app);
    pc_identity_unref(call->identity);
    pc_rule_unref(call->match.rule);
    pc_buf_free(&call->text);
    pc_mailbox_unref(call->home);
    pc_order_free(&call->round);
    pc_free(&mem, call);
}

static void abandon(struct pc_conn *conn, void *of)
{
    struct pc_auth_call *call = of;
    (void)conn;
    call->conn = NULL;
    pc_waiter_cancel(&call->waiter);
    if (!call->under_way) /* otherwise come_home() frees it */
        call_free(call);
}

/* -- answering -- */

/* Replies, frees the call and lets the connection read on. */
static void reply_and_end(struct pc_auth_call *call, struct pc_api_reply *reply)
{
    struct pc_conn *conn = call->conn;
    pusherc_slice origin = pc_http_field(call->message, PC_S("Origin"));
    if (origin.len && (!call->app || pc_app_allows_origin(call->app, origin)))
        pc_api_allow_origin(reply, origin);
    pc_auth_guard(reply);
    pc_http_stop_waiting(conn);
    pc_http_reply(conn, reply, call->message);
    pc_api_reply_free(reply);
    call_free(call);
    pc_outq_mark(&conn->out);
    pc_conn_go_on(conn);
}

static void refuse_call(struct pc_auth_call *call, pusherc_denial_reason reason, int status,
                        pusherc_slice text)
{
    struct pc_conn *conn = call->conn;
    struct pc_engine *engine = conn->loop->engine;
    const pusherc_hooks *hooks = conn->loop->worker->hooks;
    struct pc_api_reply reply;
    struct pc_app_refusals *of = call->app ? &call->app->state->refusals : &engine->unknown_app;
    pc_stat_add_shared(&of->denials[reason], 1);
    pc_api_reply_init(&reply, &engine->mem);
    pc_auth_put_refusal(&reply, status, text);
    pc_engine_note(engine, conn->loop->worker,
                   &(struct pc_happening){.kind = PC_HAPPENED_DENIAL,
                                          .app_id = call->app ? call->app->id : PC_S(""),
                                          .channel = call->query.channel,
                                          .socket_id = call->query.socket,
                                          .status = status,
                                          .name = pc_slice_of(pusherc_denial_name(reason)),
                                          .detail = text});
    if (hooks->on_denied) {
        pusherc_denial denial = {.struct_size = sizeof denial,
                                 .reason = reason,
                                 .app_id = call->app ? call->app->id : PC_S(""),
                                 .channel = call->query.channel,
                                 .pattern = call->match.rule ? call->match.rule->pattern : PC_S(""),
                                 .user_id = call->identity ? call->identity->user_id : PC_S(""),
                                 .socket_id = call->query.socket,
                                 .status = status,
                                 .detail = text};
        hooks->on_denied(&denial, hooks->user_data);
    }
    reply_and_end(call, &reply);
}

static void admit(struct pc_auth_call *call)
{
    struct pc_api_reply reply;
    const struct pc_identity *who = call->identity;
    pusherc_slice user_id = call->verdict.user_id, info = call->verdict.user_info;
    if (user_id.len == 0 && who)
        user_id = who->user_id;
    if (info.len == 0 && who)
        info = who->user_info;
    if (user_id.len == 0 &&
        (call->endpoint == PC_AUTH_USER || call->query.class.kind == PUSHERC_CHANNEL_PRESENCE)) {
        refuse_call(call, PUSHERC_DENIED_NO_USER, 403, PC_S("A user id is needed here"));
        return;
    }
    pc_api_reply_init(&reply, &call->mem);
    if (call->endpoint == PC_AUTH_USER)
        pc_auth_put_user(&reply, call->app, &call->query, user_id, info);
    else
        pc_auth_put_channel(&reply, call->app, &call->query, user_id, info);
    if (call->query.callback.len)
        pc_auth_as_script(&reply, call->query.callback);
    reply_and_end(call, &reply);
}

/* -- storing the decision on the socket's worker -- */

static void come_home(struct pc_mail *mail, struct pc_worker *worker)
{
    struct pc_auth_call *call = PC_CONTAINER(mail, struct pc_auth_call, back);
    if (!worker || !call->conn) {
        call_free(call);
        return;
    }
    call->under_way = false;
    admit(call);
}

static void tell_worker(struct pc_order *order, struct pc_worker *worker)
{
    struct pc_auth_call *call = PC_CONTAINER(order, struct pc_auth_call, round);
    struct pc_session *s = pc_session_find(worker, call->query.socket);
    if (s && s->app->state->uid == call->app->state->uid)
        pc_grant_remember(s, call->query.channel, call->query.class, call->identity,
                          &call->verdict);
}

static void all_told(struct pc_order *order)
{
    struct pc_auth_call *call = PC_CONTAINER(order, struct pc_auth_call, round);
    call->back.run = come_home;
    if (pc_mailbox_send(call->home, &call->back, PC_MAIL_CONTROL))
        call_free(call); /* the worker has ended, and the connection with it */
}

static pusherc_slice keep_text(struct pc_buf *text, pusherc_slice part)
{
    pusherc_slice copy = pc_slice(text->ptr + text->len, part.len);
    pc_buf_put(text, part);
    return copy;
}

static void decided(struct pc_waiter *waiter, const struct pc_question *question,
                    const struct pc_verdict *v)
{
    struct pc_auth_call *call = PC_CONTAINER(waiter, struct pc_auth_call, waiter);
    struct pc_engine *engine = call->conn->loop->engine;
    (void)question;
    if (!v->allowed) {
        refuse_call(call, v->reason, v->status, v->text);
        return;
    }
    size_t len = v->user_id.len + v->user_info.len + v->view.len + call->query.channel.len;
    if (pc_order_init(&call->round, engine) || !pc_buf_reserve(&call->text, len + 1)) {
        refuse_call(call, PUSHERC_DENIED_INTERNAL, 500, PC_S("Out of memory"));
        return;
    }
    call->verdict = *v;
    call->verdict.user_id = keep_text(&call->text, v->user_id);
    call->verdict.user_info = keep_text(&call->text, v->user_info);
    call->verdict.view = keep_text(&call->text, v->view);
    /* copied, because the connection may end during the round and free the request */
    call->query.channel = keep_text(&call->text, call->query.channel);
    call->home = call->conn->loop->worker->mailbox;
    pc_mailbox_ref(call->home);
    call->under_way = true;
    call->round.run = tell_worker;
    call->round.done = all_told;
    pc_order_send(&call->round);
}

/* -- asking the host -- */

static struct pc_address address_of(const struct pc_auth_call *call)
{
    return pc_client_address(call->conn->fd, call->message,
                             call->conn->loop->engine->options.proxy_count);
}

static void decide(struct pc_auth_call *call)
{
    struct pc_worker *worker = call->conn->loop->worker;
    struct pc_verdict now;
    if (call->endpoint == PC_AUTH_USER) {
        admit(call);
        return;
    }
    call->match = pc_rules_find(&worker->engine->rules, call->app->id, call->query.channel,
                                call->query.class.kind);
    pc_rule_ref(call->match.rule);
    if (!call->match.rule) {
        refuse_call(call, PUSHERC_DENIED_NO_RULE, 403,
                    pc_kind_needs_auth(call->query.class.kind)
                        ? PC_S("No rule covers this channel")
                        : PC_S("This channel needs no authorization"));
        return;
    }
    struct pc_question question = {.app = call->app,
                                   .match = &call->match,
                                   .channel = call->query.channel,
                                   .identity = call->identity,
                                   .socket_id = call->query.socket,
                                   .address = address_of(call),
                                   .unshared = true}; /* any client can name any socket id */
    if (pc_decide(worker, &question, &call->waiter, &now))
        decided(&call->waiter, &question, &now);
}

static void auth_wait(struct pc_auth_call *call, uint64_t ms);

static void identified(struct pc_conn *conn, void *of, struct pc_pending *answer)
{
    struct pusherc_identify_request *r = pc_identify_of(answer);
    struct pc_auth_call *call = of;
    pc_ask_give_back(&r->ask, conn);
    auth_wait(call, 0);
    if (r->reject_code) {
        refuse_call(call,
                    r->cookie_refused ? PUSHERC_DENIED_COOKIE_IDENTITY : PUSHERC_DENIED_BY_RULE,
                    403, pc_slice_of(r->reject_reason));
        return;
    }
    call->identity = r->identity;
    r->identity = NULL;
    decide(call);
}

static void identify(struct pc_auth_call *call)
{
    struct pc_conn *conn = call->conn;
    if (!conn->loop->engine->hooks.identify) {
        decide(call);
        return;
    }
    struct pusherc_identify_request *r;
    int err = pc_identify_new(&r, conn, call->message, call->app);
    if (err) {
        bool limit = err == PUSHERC_ELIMIT;
        refuse_call(call, limit ? PUSHERC_DENIED_LIMIT : PUSHERC_DENIED_INTERNAL, limit ? 503 : 500,
                    limit ? PC_S(PC_ASK_TOO_MANY) : PC_S("Out of memory"));
        return;
    }
    auth_wait(call, conn->loop->engine->options.identify_timeout_ms);
    r->script = call->query.callback.len > 0;
    r->purpose =
        call->endpoint == PC_AUTH_USER ? PUSHERC_IDENTIFY_USER_AUTH : PUSHERC_IDENTIFY_CHANNEL_AUTH;
    pc_identify_ask(r);
}

static void identify_is_late(struct pc_conn *conn, void *of)
{
    pc_http_refuse(conn, 503, "The application did not answer in time");
    abandon(conn, of);
}

/* Makes the connection wait for the call's next step, for at most `ms`; 0 = without a limit. */
static void auth_wait(struct pc_auth_call *call, uint64_t ms)
{
    static const struct pc_http_waiting waiting = {
        .resume = identified, .too_late = identify_is_late, .abandon = abandon};
    pc_http_wait(call->conn, &waiting, call, call->message, ms);
}

/* The app that the request names. If it names none: the only app of the server, or NULL if there are several. */
static struct pc_app *find_app(struct pc_engine *engine, const struct pc_auth_query *query)
{
    if (query->app_key.len)
        return pc_apps_by_key(&engine->apps, query->app_key);
    return pc_apps_only(&engine->apps);
}

/* Before anything has been decided: what is wrong is a setting, or what the page sends. */
static void refuse_early(struct pc_auth_call *call, pusherc_denial_reason reason, int status,
                         pusherc_slice text)
{
    const struct pc_http_message *m = call->message;
    pusherc_slice path = pc_slice_first(m->path, SHOWN_BYTES);
    pusherc_slice origin = pc_slice_first(pc_http_field(m, PC_S("Origin")), SHOWN_BYTES);
    pusherc_slice key = pc_slice_first(call->query.app_key, SHOWN_BYTES);
    struct pc_log_about about = {.subject = "auth", .topic = (unsigned)status};
    if (call->app)
        about.app_id = call->app->id;
    PC_LOG(&call->conn->loop->engine->log, INFO, about,
           "%.*s \"%.*s\" refused, %d %.*s%s%.*s%s%s%.*s%s", (int)m->method.len, m->method.ptr,
           (int)path.len, path.ptr, status, (int)text.len, text.ptr,
           key.len ? "; its app_key is \"" : "", (int)key.len, key.len ? key.ptr : "",
           key.len ? "\"" : "", origin.len ? "; its Origin is \"" : "; it has no Origin",
           (int)origin.len, origin.len ? origin.ptr : "", origin.len ? "\"" : "");
    refuse_call(call, reason, status, text);
}

static void begin(struct pc_auth_call *call)
{
    struct pc_conn *conn = call->conn;
    struct pc_api_reply reply;
    pusherc_slice origin = pc_http_field(call->message, PC_S("Origin"));
    pc_api_reply_init(&reply, &call->mem);
    if (!pc_auth_query_read(call->message, call->endpoint, &call->mem, &call->query, &reply)) {
        reply_and_end(call, &reply);
        return;
    }
    pc_api_reply_free(&reply);
    call->app = find_app(conn->loop->engine, &call->query);
    if (!call->app)
        refuse_early(call, PUSHERC_DENIED_NO_RULE, 404,
                     call->query.app_key.len
                         ? PC_S("The app does not exist")
                         : PC_S("Several apps are served here: send the parameter app_key"));
    else if (call->app->options.disabled)
        refuse_early(call, PUSHERC_DENIED_BY_RULE, 403, PC_S("The app is not enabled"));
    else if (call->query.callback.len && !call->app->options.jsonp)
        refuse_early(
            call, PUSHERC_DENIED_BY_RULE, 403,
            PC_S("JSONP is not enabled for this app (its setting \"jsonp\"): POST instead"));
    else if (origin.len && !pc_app_allows_origin(call->app, origin))
        refuse_early(call, PUSHERC_DENIED_BY_RULE, 403, PC_S("Origin not allowed"));
    else
        identify(call);
}

bool pc_conn_auth(struct pc_conn *conn, const struct pc_http_message *m)
{
    struct pc_engine *engine = conn->loop->engine;
    pusherc_slice path;
    const struct pc_rule_table *rules = pc_rules_now(&engine->rules);
    if ((!rules || rules->count == 0) && !engine->hooks.identify)
        return false; /* without rules and hook there are no endpoints */
    enum pc_auth_endpoint endpoint =
        pc_strip_prefix(engine, m->path, &path) ? pc_auth_endpoint_of(engine, path) : PC_AUTH_NONE;
    bool get = pc_slice_eq(m->method, PC_S("GET")), post = pc_slice_eq(m->method, PC_S("POST"));
    if (endpoint == PC_AUTH_NONE)
        return false;
    struct pc_auth_call *call = pc_alloc_zero(&engine->mem, sizeof *call);
    if (!call) {
        pc_conn_break(conn);
        return true;
    }
    call->conn = conn;
    call->message = m;
    call->mem = engine->mem;
    call->endpoint = endpoint;
    pc_waiter_init(&call->waiter, decided);
    pc_buf_init(&call->text, &call->mem, SIZE_MAX);
    pc_buf_init(&call->query.text, &call->mem, SIZE_MAX);
    auth_wait(call, 0);
    if (get || post) {
        begin(call);
    } else if (pc_slice_eq(m->method, PC_S("OPTIONS"))) {
        struct pc_api_reply reply;
        pc_api_reply_init(&reply, &call->mem);
        pc_auth_put_preflight(&reply);
        reply_and_end(call, &reply);
    } else {
        refuse_early(call, PUSHERC_DENIED_BY_RULE, 405, PC_S("Use POST here"));
    }
    return true;
}
