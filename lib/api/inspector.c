#include "api/inspector.h"

#include <pusherc/error.h>

#include "codec/json.h"
#include "fanout/publish.h"

#define QUERY_ROOM 1024 /* for decoded parameters; a longer query costs an allocation */
#define MAX_PARAMS 8

struct part {
    pusherc_slice path, method; /* HEAD stands for GET, too */
    bool open;                  /* without the token */
    void (*handle)(struct pc_api_call *call);
};

/* -- the page -- */

static void put_file(struct pc_api_call *call, const char *type, pusherc_slice file)
{
    pc_api_begin(call->reply, 200, type);
    pc_buf_put(&call->reply->body, file);
}

static void page(struct pc_api_call *call)
{
    put_file(call, "text/html; charset=utf-8", pc_inspector_page_html);
}

static void style(struct pc_api_call *call)
{
    put_file(call, "text/css; charset=utf-8", pc_inspector_page_css);
}

static void script(struct pc_api_call *call)
{
    put_file(call, "text/javascript; charset=utf-8", pc_inspector_page_js);
}

/* -- the state -- */

static pusherc_slice param(const struct pc_pair *params, size_t count, pusherc_slice name)
{
    const pusherc_slice *value = pc_pair_find(params, count, name);
    return value ? *value : PC_S("");
}

static void state(struct pc_api_call *call)
{
    struct pc_engine *engine = call->request->engine;
    pusherc_slice query = call->request->message->query;
    struct pc_pair params[MAX_PARAMS];
    char storage[QUERY_ROOM];
    struct pc_buf decoded;
    size_t count;
    pc_buf_init_in(&decoded, &engine->mem, query.len, storage, sizeof storage);
    pc_api_begin(call->reply, 200, PC_API_JSON);
    int err = pc_http_params(query, params, MAX_PARAMS, &count, &decoded);
    if (err == 0) {
        const struct pc_inspector_query q = {.app_id = param(params, count, PC_S("app")),
                                             .prefix = param(params, count, PC_S("prefix")),
                                             .channel = param(params, count, PC_S("channel"))};
        err = engine->inspector.write(engine->inspector.ctx, &q, &call->reply->body);
    }
    if (err == PUSHERC_ELIMIT)
        pc_api_plain(call->reply, 400, "Too many query parameters.");
    else if (err)
        pc_api_out_of_memory(call->reply);
    pc_buf_free(&decoded);
}

/* -- a test event -- */

/* A text of the body; false: the reply is the 400. */
static bool text_of(struct pc_api_call *call, struct pc_json body, const char *name,
                    struct pc_buf *scratch, pusherc_slice *out)
{
    if (pc_json_string(pc_json_get(body, pc_slice_of(name)), scratch, out) == 0)
        return true;
    pc_api_plain(call->reply, 400,
                 "The body must be a JSON object with the texts app, channel, "
                 "event and data; not a text: ");
    pc_api_say(call->reply, pc_slice_of(name));
    return false;
}

static void publish(struct pc_api_call *call, const struct pc_publication *p)
{
    struct pc_engine *engine = call->request->engine;
    struct pc_api_reply *reply = call->reply;
    pusherc_errinfo info;
    if (pc_publication_check(engine, call->app, p, &info)) {
        pc_api_plain(reply, 400, info.text);
        return;
    }
    if (pc_channel_classify(p->channels[0]).kind == PUSHERC_CHANNEL_PRIVATE_ENCRYPTED) {
        pc_api_plain(reply, 400, "This page does not encrypt: choose another channel");
        return;
    }
    if (!pc_api_take_events(call, 1))
        return;
    int err = pc_publish(engine, call->app, p);
    if (err == PUSHERC_EBACKLOG)
        pc_api_unavailable(reply, "The server is overloaded.");
    else if (err)
        pc_api_out_of_memory(reply);
    else
        pc_api_begin(reply, 204, NULL);
}

static void send_event(struct pc_api_call *call)
{
    struct pc_engine *engine = call->request->engine;
    pusherc_slice text = call->request->message->body, app_id, channel, event, data;
    struct pc_json body = pc_json_parse(text);
    char storage[QUERY_ROOM];
    struct pc_buf scratch;
    if (pc_engine_is_draining(engine)) {
        pc_api_unavailable(call->reply, "The server is shutting down.");
        return;
    }
    /* Room for all texts at once: what was decoded before must not move. */
    pc_buf_init_in(&scratch, &engine->mem, text.len, storage, sizeof storage);
    if (!pc_buf_reserve(&scratch, text.len)) {
        pc_api_out_of_memory(call->reply);
    } else if (text_of(call, body, "app", &scratch, &app_id) &&
               text_of(call, body, "channel", &scratch, &channel) &&
               text_of(call, body, "event", &scratch, &event) &&
               text_of(call, body, "data", &scratch, &data)) {
        const struct pc_publication p = {.event = event,
                                         .channels = &channel,
                                         .channel_count = 1,
                                         .data = data,
                                         .way = PC_WAY_INSPECTOR,
                                         .now_ms = call->request->worker->now_ms,
                                         .worker = call->request->worker};
        call->app = pc_apps_by_id(&engine->apps, app_id);
        if (call->app)
            publish(call, &p);
        else
            pc_api_plain(call->reply, 404, "There is no such app.");
        pc_app_unref(call->app);
    }
    pc_buf_free(&scratch);
}

/* -- who may -- */

/* Digests are compared, so the time does not depend on the token's length either. */
static bool has_token(const struct pc_api_call *call)
{
    static const pusherc_slice scheme = PUSHERC_LIT("Bearer ");
    pusherc_slice sent = pc_http_field(call->request->message, PC_S("Authorization"));
    pusherc_slice token = pc_slice_of(call->request->engine->options.inspector_token);
    uint8_t a[PC_SHA256_SIZE], b[PC_SHA256_SIZE];
    if (sent.len < scheme.len || !pc_slice_eq_nocase(pc_slice_first(sent, scheme.len), scheme))
        return false;
    if (pc_sha256(pc_slice_skip(sent, scheme.len), a) || pc_sha256(token, b))
        return false;
    return pc_equal_constant_time(a, b, sizeof a);
}

static void refuse(struct pc_api_call *call)
{
    const struct pc_log_about about = {.subject = "api", .topic = 401};
    if (pc_http_field(call->request->message, PC_S("Authorization")).len)
        PC_LOG(&call->request->engine->log, INFO, about, "the inspector: a wrong token");
    pc_api_plain(call->reply, 401, "This needs the server's inspector_token.");
}

static const struct part parts[] = {
    {PUSHERC_LIT("/inspector"), PUSHERC_LIT("GET"), true, page},
    {PUSHERC_LIT("/inspector/page.css"), PUSHERC_LIT("GET"), true, style},
    {PUSHERC_LIT("/inspector/page.js"), PUSHERC_LIT("GET"), true, script},
    {PUSHERC_LIT("/inspector/state"), PUSHERC_LIT("GET"), false, state},
    {PUSHERC_LIT("/inspector/event"), PUSHERC_LIT("POST"), false, send_event},
};

static bool takes(const struct part *part, pusherc_slice method)
{
    return pc_slice_eq(part->method, method) ||
           (pc_slice_eq(part->method, PC_S("GET")) && pc_slice_eq(method, PC_S("HEAD")));
}

/* The page loads nothing from elsewhere, is in no frame, and stays in no cache. */
static void guard(struct pc_api_reply *reply)
{
    static const struct pc_pair fields[] = {
        {PUSHERC_LIT("Cache-Control"), PUSHERC_LIT("no-store")},
        {PUSHERC_LIT("Content-Security-Policy"),
         PUSHERC_LIT("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
                     "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")},
        {PUSHERC_LIT("Referrer-Policy"), PUSHERC_LIT("no-referrer")},
        {PUSHERC_LIT("X-Content-Type-Options"), PUSHERC_LIT("nosniff")},
        {PUSHERC_LIT("X-Frame-Options"), PUSHERC_LIT("DENY")},
    };
    if (pc_buf_status(&reply->body))
        pc_api_out_of_memory(reply);
    reply->field_count = 0; /* no CORS fields either */
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
        pc_api_field(reply, fields[i].name, fields[i].value);
}

bool pc_api_inspector(struct pc_api_call *call)
{
    const struct pc_http_message *m = call->request->message;
    const struct part *part = NULL;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if (pc_slice_eq(parts[i].path, m->path))
            part = &parts[i];
    if (!part || !call->request->engine->happened)
        return false;
    bool right = takes(part, m->method), allowed = part->open || has_token(call);
    if (!right)
        pc_api_plain(call->reply, 405, "Another method is used here.");
    else if (!allowed)
        refuse(call);
    else
        part->handle(call);
    guard(call->reply);
    if (!right)
        pc_api_field(call->reply, PC_S("Allow"), part->method);
    else if (!allowed)
        pc_api_field(call->reply, PC_S("WWW-Authenticate"), PC_S("Bearer"));
    return true;
}
