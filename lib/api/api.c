#include "api/api.h"

#include <pusherc/error.h>

#include "api/call.h"
#include "auth/sign.h"
#include "session/admit.h"
#include "session/app_request.h"
#include "why/why.h"

#define QUERY_ROOM 1024 /* for decoded parameters; a longer query costs an allocation */

/* What is checked before a route's handler is called. */
enum route_kind {
    PAGE,      /* GET without a signature */
    ROOT,      /* the same; not served if the host has pages of its own */
    APP_READ,  /* GET, signed by an app */
    APP_WRITE, /* POST, signed by an app */
    KEY_WRITE  /* the same with no app in the path: the app is the one whose key signed */
};

struct pc_api_route {
    pusherc_slice path; /* '*' stands for one segment: the app's id, then the channel or user */
    enum route_kind kind;
    void (*handle)(struct pc_api_call *call);
};

/* The most frequent routes stand first. */
static const struct pc_api_route routes[] = {
    {PUSHERC_LIT("/apps/*/events"), APP_WRITE, pc_api_events},
    {PUSHERC_LIT("/apps/*/batch_events"), APP_WRITE, pc_api_batch_events},
    {PUSHERC_LIT("/apps/*/channels"), APP_READ, pc_api_channels},
    {PUSHERC_LIT("/apps/*/channels/*"), APP_READ, pc_api_channel},
    {PUSHERC_LIT("/apps/*/channels/*/users"), APP_READ, pc_api_channel_users},
    {PUSHERC_LIT("/apps/*/channels/*/stats"), APP_READ, pc_api_channel_stats},
    {PUSHERC_LIT("/apps/*/channels/*/history"), APP_READ, pc_api_channel_history},
    {PUSHERC_LIT("/apps/*/channels/*/events"), APP_WRITE, pc_api_channel_events},
    {PUSHERC_LIT("/apps/*/connections"), APP_READ, pc_api_connections},
    {PUSHERC_LIT("/apps/*/users/*/terminate_connections"), APP_WRITE, pc_api_terminate},
    {PUSHERC_LIT("/apps/*/reauthorize"), APP_WRITE, pc_api_reauthorize},
    {PUSHERC_LIT("/users/*/terminate_connections"), KEY_WRITE, pc_api_terminate}, /* Python's SDK */
    {PUSHERC_LIT("/ready"), PAGE, pc_api_ready},
    {PUSHERC_LIT("/accept-traffic"), PAGE, pc_api_accept_traffic},
    {PUSHERC_LIT("/up"), PAGE, pc_api_up},
    {PUSHERC_LIT("/live"), PAGE, pc_api_up},
    {PUSHERC_LIT("/"), ROOT, pc_api_root},
    {PUSHERC_LIT("/timeline/v2/jsonp/*"), ROOT, pc_api_timeline_script},
    {PUSHERC_LIT("/timeline/v2/jsonp"), ROOT, pc_api_timeline_script},
    {PUSHERC_LIT("/timeline/v2/xhr/*"), ROOT, pc_api_timeline_object},
    {PUSHERC_LIT("/timeline/v2/*"), ROOT, pc_api_timeline_object},
};

/* Cuts the first segment off both; false if the segments do not match. */
static bool take_segment(pusherc_slice *pattern, pusherc_slice *path, pusherc_slice **capture)
{
    if (pattern->ptr[0] != '/' || path->ptr[0] != '/')
        return false;
    *pattern = pc_slice_skip(*pattern, 1);
    *path = pc_slice_skip(*path, 1);
    pusherc_slice wanted = pc_slice_first(*pattern, pc_slice_find(*pattern, '/'));
    pusherc_slice segment = pc_slice_first(*path, pc_slice_find(*path, '/'));
    *pattern = pc_slice_skip(*pattern, wanted.len);
    *path = pc_slice_skip(*path, segment.len);
    if (wanted.len == 1 && wanted.ptr[0] == '*') {
        *(*capture)++ = segment;
        return segment.len > 0;
    }
    return pc_slice_eq(wanted, segment);
}

static bool matches(pusherc_slice pattern, pusherc_slice path,
                    pusherc_slice captures[PC_API_MAX_CAPTURE])
{
    pusherc_slice *capture = captures;
    while (pattern.len && path.len)
        if (!take_segment(&pattern, &path, &capture))
            return false;
    return pattern.len == 0 && path.len == 0;
}

/* Captured segments are not decoded, because a signature covers the path as sent. */
static const struct pc_api_route *find_route(const struct pc_api_request *request,
                                             pusherc_slice captures[PC_API_MAX_CAPTURE])
{
    pusherc_slice path;
    if (!pc_strip_prefix(request->engine, request->message->path, &path))
        return NULL;
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        const struct pc_api_route *route = &routes[i];
        if (!matches(route->path, path, captures))
            continue;
        return route->kind == ROOT && request->host_has_pages ? NULL : route;
    }
    return NULL;
}

/* True: the method is right. False: the reply is a 405, or the answer to a browser's CORS preflight request. */
static bool check_method(const struct pc_api_route *route, pusherc_slice method,
                         struct pc_api_reply *reply)
{
    bool write = route->kind == APP_WRITE || route->kind == KEY_WRITE;
    if (write ? pc_slice_eq(method, PC_S("POST"))
              : pc_slice_eq(method, PC_S("GET")) || pc_slice_eq(method, PC_S("HEAD")))
        return true;
    if (pc_slice_eq(method, PC_S("OPTIONS"))) {
        pc_api_begin(reply, 204, NULL);
        return false;
    }
    pc_api_plain(reply, 405, write ? "Use POST here." : "Use GET here.");
    pc_api_field(reply, PC_S("Allow"), write ? PC_S("POST, OPTIONS") : PC_S("GET, HEAD, OPTIONS"));
    return false;
}

/* Finds the app, counted. *name is the id or key as sent, decoded into the reply's text if needed; len 0: it cannot be
 * one. */
static struct pc_app *look_up_app(const struct pc_api_request *request, pusherc_slice sent,
                                  bool is_key, struct pc_api_reply *reply, pusherc_slice *name)
{
    struct pc_apps *apps = &request->engine->apps;
    struct pc_buf decoded;
    pc_buf_init_in(&decoded, &request->engine->mem, sizeof reply->text, reply->text,
                   sizeof reply->text);
    /* If the text does not fit, it is too long for an id or key. */
    if (pc_http_decode(sent, is_key, &decoded, name) || name->len > PC_APP_ID_MAX) {
        *name = PC_S("");
        return NULL;
    }
    return is_key ? pc_apps_by_key(apps, *name) : pc_apps_by_id(apps, *name);
}

static void app_answered(struct pc_api_call *call);

/* Asks the host for the app with this id or this key. True: the call waits for the answer, or the reply is the error.
 * False: there is no such app. */
static bool ask_for_app(struct pc_api_call *call, pusherc_slice id, pusherc_slice key)
{
    const struct pc_api_request *request = call->request;
    struct pusherc_app_request *r;
    if (!request->await || id.len + key.len == 0 || call->answer)
        return false;
    int err = pc_find_app_new(&r, request->worker, request->await, request->address, id, key);
    if (err == PUSHERC_ENOENT)
        return false;
    if (err == PUSHERC_ELIMIT)
        pc_api_unavailable(call->reply, PC_FIND_APP_TOO_MANY);
    else if (err)
        pc_api_out_of_memory(call->reply);
    else if (pc_api_wait(call, app_answered))
        pc_find_app_ask(r);
    else
        pc_pending_cancel(&r->pending, request->worker);
    return true;
}

/* Finds the app in the path, counted. NULL: the reply is the 404, or the call waits for the host's answer. */
static struct pc_app *find_app(struct pc_api_call *call)
{
    struct pc_api_reply *reply = call->reply;
    pusherc_slice id, segment = call->captures[0];
    struct pc_app *app = look_up_app(call->request, segment, false, reply, &id);
    if (app || ask_for_app(call, id, PC_S("")))
        return app;
    pc_api_plain(reply, 404, "The app ");
    pc_api_say_quoted(reply, id.len ? id : segment);
    pc_api_say(reply, PC_S(" could not be found: the path must have the app's id, not its key."));
    return NULL;
}

/* Finds the app whose key the request is signed with, counted. NULL: the reply is the 401, or the call waits. */
static struct pc_app *find_signer(struct pc_api_call *call)
{
    const struct pc_api_request *request = call->request;
    struct pc_api_reply *reply = call->reply;
    pusherc_slice key = pc_query_value(request->message->query, PC_S("auth_key"));
    struct pc_app *app = look_up_app(request, key, true, reply, &key);
    if (app || ask_for_app(call, PC_S(""), key))
        return app;
    pc_api_plain(reply, 401, key.len ? "Unknown auth_key" : "Missing parameter: auth_key");
    return NULL;
}

/* Only the operator's log gets the reason; telling the caller would help guessing. */
static void log_cause(struct pc_api_call *call, const struct pc_signed_request *signed_request)
{
    const struct pc_api_request *request = call->request;
    struct pc_engine *engine = request->engine;
    const pusherc_slice *signature = pc_api_param(call, PC_S("auth_signature"));
    const pusherc_slice *key = pc_api_param(call, PC_S("auth_key"));
    if (!signature || !key || !PC_WHY_AFFORDS(&engine->log))
        return;
    const struct pc_why why = pc_engine_why(engine);
    const struct pc_why_request refused = {
        .app = call->app,
        .request = signed_request,
        .key = *key,
        .signature = *signature,
        .raw_query = request->message->query,
        .forwarded_prefix = pc_http_field(request->message, PC_S("X-Forwarded-Prefix")),
        .unix_time_s = request->unix_time_s,
        .max_skew_s = engine->options.max_auth_skew_s,
    };
    pc_why_request(&why, &refused);
}

/* Is it signed with the key and secret that a change has just replaced? */
static bool is_signed_as_before(const struct pc_api_call *call,
                                const struct pc_signed_request *signed_request)
{
    const struct pc_api_request *request = call->request;
    const struct pc_app *app = call->app;
    struct pc_buf unused;
    if (!pc_app_has_old_credentials(app, request->worker->now_ms))
        return false;
    pc_buf_init(&unused, &request->engine->mem, SIZE_MAX);
    int err =
        pc_verify_request(app->old_key, app->old_secret, signed_request, request->unix_time_s,
                          request->engine->options.max_auth_skew_s, &request->engine->mem, &unused);
    pc_buf_free(&unused);
    return err == 0;
}

static bool check_request_signature(struct pc_api_call *call)
{
    const struct pc_api_request *request = call->request;
    const struct pc_http_message *message = request->message;
    struct pc_engine *engine = request->engine;
    const struct pc_signed_request signed_request = {
        .method = message->method,
        .path = message->path,
        .path_prefix = pc_slice_of(engine->options.path_prefix),
        .params = call->params,
        .param_count = call->param_count,
        .body = message->body,
    };
    pc_api_begin_text(call->reply, 401);
    int err =
        pc_verify_request(call->app->key, call->app->secret, &signed_request, request->unix_time_s,
                          engine->options.max_auth_skew_s, &engine->mem, &call->reply->body);
    if (err == PUSHERC_EAUTH && is_signed_as_before(call, &signed_request)) {
        pc_buf_clear(&call->reply->body);
        return true;
    }
    if (err == PUSHERC_EAUTH)
        log_cause(call, &signed_request);
    else if (err == PUSHERC_ENOMEM)
        pc_api_out_of_memory(call->reply);
    else if (err == PUSHERC_EIO)
        pc_api_plain(call->reply, 500, "The signature could not be checked.");
    return err == 0;
}

/* Checks signature, state and rate of a known app's request, in this order: a client without the secret does not learn
 * the app's state, and does not use up its rate. */
static void handle_signed(struct pc_api_call *call)
{
    const struct pc_api_route *route = call->route;
    pusherc_slice channel = call->captures[route->kind == KEY_WRITE ? 0 : 1];
    char storage[PC_API_CHANNEL_ROOM];
    struct pc_buf decoded;

    if (!check_request_signature(call))
        return;
    if (call->app->options.disabled) {
        pc_api_plain(call->reply, 403, "The app is disabled in the server's settings.");
        return;
    }
    if (route->kind == APP_READ && !pc_api_take_read(call))
        return;
    pc_buf_init_in(&decoded, &call->request->engine->mem, sizeof storage, storage, sizeof storage);
    /* A name longer than the room is not valid. It stays undecoded, and its '%' makes the handler refuse it. */
    if (pc_http_decode(channel, false, &decoded, &call->channel))
        call->channel = channel;
    route->handle(call);
}

static void handle_app(struct pc_api_call *call)
{
    struct pc_pair params[PC_SIGN_MAX_PARAMS];
    pusherc_slice query = call->request->message->query;
    char storage[QUERY_ROOM];
    struct pc_buf decoded;

    pc_buf_init_in(&decoded, &call->request->engine->mem, query.len, storage, sizeof storage);
    int err = pc_http_params(query, params, PC_SIGN_MAX_PARAMS, &call->param_count, &decoded);
    call->params = params;
    if (err == PUSHERC_ELIMIT)
        pc_api_plain(call->reply, 400, "Too many query parameters.");
    else if (err)
        pc_api_out_of_memory(call->reply);
    else
        handle_signed(call);
    pc_buf_free(&decoded);
}

/* Many publishers do not look at the answer and only notice that events do not arrive. While no app is known, the request
 * is not signed by a known key, and the operator may have to set a path or an id. */
static void log_refusal(const struct pc_api_call *call)
{
    struct pc_log *log = &call->request->engine->log;
    const struct pc_api_reply *reply = call->reply;
    if (call->route && call->route->kind != PAGE && call->route->kind != ROOT)
        pc_engine_note(call->request->engine, call->request->worker,
                       &(struct pc_happening){.kind = PC_HAPPENED_DENIAL,
                                              .app_id = call->app ? call->app->id : PC_S(""),
                                              .status = reply->status,
                                              .name = PC_S("http_api"),
                                              .detail = pc_buf_slice(&reply->body)});
    const struct pc_http_message *m = call->request->message;
    pusherc_slice path = pc_slice_first(m->path, 200);
    struct pc_log_about about = {.subject = "api"};
    if (call->app) {
        about.app_id = call->app->id;
        PC_LOG(log, DEBUG, about, "%.*s %.*s: %d %.*s", (int)m->method.len, m->method.ptr,
               (int)path.len, path.ptr, reply->status, (int)reply->body.len,
               reply->body.len ? reply->body.ptr : "");
    } else if (!pc_engine_is_draining(call->request->engine)) {
        about.topic = (unsigned)reply->status;
        PC_LOG(log, INFO, about, "%.*s %.*s: %d %.*s", (int)m->method.len, m->method.ptr,
               (int)path.len, path.ptr, reply->status, (int)reply->body.len,
               reply->body.len ? reply->body.ptr : "");
    }
}

/* The last look at an answer: a body that could not be written is not sent in part. */
static void finish(const struct pc_api_call *call)
{
    struct pc_api_reply *reply = call->reply;
    switch (pc_buf_status(&reply->body)) {
    case 0:
        break;
    case PUSHERC_ELIMIT:
        pc_api_plain(reply, 500, "The answer is too long: ask for less with filter_by_prefix.");
        break;
    default:
        pc_api_out_of_memory(reply);
        break;
    }
    if (call->app) {
        struct pc_app_stats *stats = pc_app_stats(call->app, call->request->worker->index);
        pc_stat_add(&stats->http_calls, 1);
        pc_stat_add(&stats->http_bytes_in, call->request->message->body.len);
        pc_stat_add(&stats->http_bytes_out, reply->body.len);
    }
    if (reply->status >= 400)
        log_refusal(call);
}

/* Serves a route that needs an app. */
static void serve_app(struct pc_api_call *call)
{
    if (pc_engine_is_draining(call->request->engine)) {
        /* Clients are being disconnected one by one, so an event published now would reach only some of them. A
         * publisher that repeats the request later loses nothing. */
        pc_api_unavailable(call->reply, "The server is shutting down.");
        return;
    }
    call->app = call->route->kind == KEY_WRITE ? find_signer(call) : find_app(call);
    call->answer = NULL;
    if (call->app)
        handle_app(call);
}

static void app_answered(struct pc_api_call *call)
{
    serve_app(call); /* call->answer is set, so the host is not asked again */
}

/* Ends the call on the stack: completes the reply or hands out the waiting copy, and releases the app. */
static enum pc_api_result end(struct pc_api_call *call, struct pc_api_call **waiting)
{
    enum pc_api_result result = call->copy ? PC_API_PENDING : PC_API_REPLY;
    if (result == PC_API_REPLY)
        finish(call);
    if (waiting)
        *waiting = call->copy;
    pc_app_unref(call->app);
    return result;
}

enum pc_api_result pc_api_handle(const struct pc_api_request *request, struct pc_api_reply *reply,
                                 struct pc_api_call **waiting)
{
    struct pc_api_call call = {.request = request, .reply = reply};
    call.route = find_route(request, call.captures);
    if (waiting)
        *waiting = NULL;
    if (!call.route && !request->host_has_pages &&
        pc_slice_eq(request->message->method, PC_S("OPTIONS"))) {
        pc_api_begin(reply, 204, NULL); /* a CORS preflight; the next request gets the 404 */
        return PC_API_REPLY;
    }
    if (!call.route) {
        pc_api_plain(reply, 404, "There is nothing here: the API begins with /apps/{app id}/.");
        return PC_API_NOT_OURS;
    }
    if (!check_method(call.route, request->message->method, reply)) {
        /* the reply is complete */
    } else if (call.route->kind == PAGE || call.route->kind == ROOT) {
        call.route->handle(&call);
    } else {
        serve_app(&call);
    }
    return end(&call, waiting);
}

enum pc_api_result pc_api_resume(struct pc_api_call **waiting, struct pc_pending *answer,
                                 struct pc_api_reply *reply)
{
    struct pc_api_call *before = *waiting, call = *before;
    call.reply = reply;
    call.answer = answer;
    if (call.app)
        pc_app_ref(call.app);
    before->next(&call);
    enum pc_api_result result = end(&call, waiting);
    pc_api_call_free(before);
    return result;
}
