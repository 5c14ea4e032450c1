#include "api/auth.h"

#include <pusherc/error.h>

#include "api/call.h"
#include "auth/sign.h"
#include "codec/json.h"

#define MAX_CALLBACK_BYTES 128

#define MAX_PARAMS 32 /* socket_id, channel_name, and what an application adds */

static bool is_one_of(pusherc_slice path, const char *setting)
{
    pusherc_slice paths = pc_slice_of(setting), one;
    while (pc_http_list_next(&paths, &one))
        if (pc_slice_eq(path, one))
            return true;
    return false;
}

enum pc_auth_endpoint pc_auth_endpoint_of(const struct pc_engine *engine, pusherc_slice path)
{
    if (is_one_of(path, engine->options.auth_path))
        return PC_AUTH_CHANNEL;
    if (is_one_of(path, engine->options.user_auth_path))
        return PC_AUTH_USER;
    return PC_AUTH_NONE;
}

/* -- reading -- */

struct source {
    struct pc_json json; /* a JSON body's object, or NONE */
    struct pc_pair params[MAX_PARAMS];
    size_t param_count;
};

static pusherc_slice value_of(const struct source *source, pusherc_slice name, struct pc_buf *text)
{
    pusherc_slice value = {0};
    if (source->json.type == PC_JSON_OBJECT &&
        pc_json_string(pc_json_get(source->json, name), text, &value) == 0)
        return value;
    for (size_t i = 0; i < source->param_count; i++)
        if (pc_slice_eq(source->params[i].name, name))
            return source->params[i].value;
    return PC_S("");
}

static bool refuse_query(struct pc_api_reply *reply, int status, const char *text)
{
    pc_auth_put_refusal(reply, status, pc_slice_of(text));
    return false;
}

bool pc_auth_query_read(const struct pc_http_message *m, enum pc_auth_endpoint endpoint,
                        const struct pc_mem *mem, struct pc_auth_query *out,
                        struct pc_api_reply *reply)
{
    struct source source = {0};
    *out = (struct pc_auth_query){0};
    /* All room at once: decoded text must not move, because slices point to it. */
    pc_buf_init(&out->text, mem, SIZE_MAX);
    if (!pc_buf_reserve(&out->text, 2 * (m->body.len + m->query.len) + 64))
        return refuse_query(reply, 500, "Out of memory");
    pusherc_slice type = pc_http_field(m, PC_S("Content-Type"));
    pusherc_slice form = m->query;
    if (m->body.len) {
        pusherc_slice json_type = PC_S("application/json"), body = pc_json_without_mark(m->body);
        if (pc_slice_eq_nocase(pc_slice_first(type, json_type.len), json_type)) {
            source.json = pc_json_parse(body);
            if (source.json.type != PC_JSON_OBJECT)
                return refuse_query(reply, 400, "The body is not a JSON object");
        } else {
            form = body;
        }
    }
    if (pc_http_params(form, source.params, MAX_PARAMS, &source.param_count, &out->text))
        return refuse_query(reply, 400, "Too many parameters");
    out->socket_id = value_of(&source, PC_S("socket_id"), &out->text);
    out->app_key = value_of(&source, PC_S("app_key"), &out->text);
    /* JSONP is the GET of a script element, which has no body. */
    if (m->body.len == 0 && pc_slice_eq(m->method, PC_S("GET")))
        out->callback = value_of(&source, PC_S("callback"), &out->text);
    if (out->callback.len && !pc_auth_callback_valid(out->callback))
        return refuse_query(reply, 400, "Invalid callback");
    if (pusherc_socket_id_parse(out->socket_id, &out->socket) == PUSHERC_EINVAL)
        return refuse_query(reply, 400, "Invalid socket_id");
    if (endpoint == PC_AUTH_USER)
        return true;
    out->channel = value_of(&source, PC_S("channel_name"), &out->text);
    if (out->channel.len == 0)
        return refuse_query(reply, 403, "channel_name is missing");
    if (!pc_channel_name_valid(out->channel, PC_CHANNEL_NAME_MAX, &out->class))
        return refuse_query(reply, 400, "Invalid channel_name");
    return true;
}

void pc_auth_query_free(struct pc_auth_query *query)
{
    pc_buf_free(&query->text);
}

/* -- answering -- */

/* Appends {"user_id":...,"user_info":...}, or the same with "id", as the SDKs write it. */
static void put_user(struct pc_buf *out, pusherc_slice id_name, pusherc_slice id,
                     pusherc_slice info)
{
    pc_buf_put_char(out, '{');
    pc_json_put_string(out, id_name);
    pc_buf_put_char(out, ':');
    pc_json_put_string(out, id);
    if (info.len) {
        pc_buf_put(out, PC_S(",\"user_info\":"));
        pc_buf_put(out, info);
    }
    pc_buf_put_char(out, '}');
}

/* Signs `parts`, and frees `data`. */
static void put_answer(struct pc_api_reply *reply, const struct pc_app *app,
                       const pusherc_slice *parts, size_t count, struct pc_sign_answer *answer,
                       struct pc_buf *data)
{
    char hex[PC_SHA256_HEX];
    answer->app_key = app->key;
    answer->hex = hex;
    answer->data = pc_buf_slice(data);
    pc_api_begin(reply, 200, PC_API_JSON);
    if (pc_hmac_hex(app->secret, parts, count, hex))
        pc_auth_put_refusal(reply, 500, PC_S("The answer could not be signed"));
    else if (pc_sign_put_answer(&reply->body, answer))
        pc_auth_put_refusal(reply, 500, PC_S("The shared secret could not be made"));
    if (pc_buf_status(data) || pc_buf_status(&reply->body))
        pc_api_out_of_memory(reply);
    pc_buf_free(data);
}

void pc_auth_put_channel(struct pc_api_reply *reply, const struct pc_app *app,
                         const struct pc_auth_query *q, pusherc_slice user_id,
                         pusherc_slice user_info)
{
    char stack[512];
    struct pc_buf data;
    bool presence = q->class.kind == PUSHERC_CHANNEL_PRESENCE;
    bool encrypted = q->class.kind == PUSHERC_CHANNEL_PRIVATE_ENCRYPTED;
    struct pc_sign_answer answer = {.data_name = PC_S("channel_data"), .channel = q->channel};
    if (encrypted && !app->has_master_key) {
        pc_auth_put_refusal(reply, 403, PC_S("The app has no encryption_master_key"));
        return;
    }
    answer.master_key = encrypted ? app->master_key : NULL;
    pc_buf_init_in(&data, reply->body.mem, SIZE_MAX, stack, sizeof stack);
    if (presence)
        put_user(&data, PC_S("user_id"), user_id, user_info);
    const pusherc_slice parts[] = {q->socket_id, PC_S(":"), q->channel, PC_S(":"),
                                   pc_buf_slice(&data)};
    put_answer(reply, app, parts, presence ? 5 : 3, &answer, &data);
}

void pc_auth_put_user(struct pc_api_reply *reply, const struct pc_app *app,
                      const struct pc_auth_query *q, pusherc_slice user_id, pusherc_slice user_info)
{
    char stack[512];
    struct pc_buf data;
    struct pc_sign_answer answer = {.data_name = PC_S("user_data")};
    pc_buf_init_in(&data, reply->body.mem, SIZE_MAX, stack, sizeof stack);
    put_user(&data, PC_S("id"), user_id, user_info);
    const pusherc_slice parts[] = {q->socket_id, PC_S("::user::"), pc_buf_slice(&data)};
    put_answer(reply, app, parts, 3, &answer, &data);
}

static bool is_name_char(char c, bool first)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '$' ||
           (!first && c >= '0' && c <= '9');
}

/* Length of a name at the start of `s`; 0 = none. */
static size_t name_len(pusherc_slice s)
{
    size_t n = 0;
    while (n < s.len && is_name_char(s.ptr[n], n == 0))
        n++;
    return n;
}

/* Length of "[7]", "['7']" or "[\"7\"]" at the start of `s`; 0 = none. */
static size_t index_len(pusherc_slice s)
{
    if (s.len < 3 || s.ptr[0] != '[')
        return 0;
    char quote = s.ptr[1] == '\'' || s.ptr[1] == '"' ? s.ptr[1] : '\0';
    size_t first = quote ? 2 : 1, n = first;
    while (n < s.len && s.ptr[n] >= '0' && s.ptr[n] <= '9')
        n++;
    if (n == first || (quote && (n == s.len || s.ptr[n++] != quote)))
        return 0;
    return n < s.len && s.ptr[n] == ']' ? n + 1 : 0;
}

bool pc_auth_callback_valid(pusherc_slice callback)
{
    size_t n = name_len(callback);
    if (n == 0 || callback.len > MAX_CALLBACK_BYTES)
        return false;
    for (pusherc_slice rest = pc_slice_skip(callback, n); rest.len; rest = pc_slice_skip(rest, n)) {
        if (rest.ptr[0] == '.') {
            n = name_len(pc_slice_skip(rest, 1));
            n += n > 0;
        } else {
            n = index_len(rest);
        }
        if (n == 0)
            return false;
    }
    return true;
}

/* Appends JSON as an expression of JavaScript. Older engines take two characters for line ends, which would end a
 * string. In JSON those characters can stand in strings only, so escaping them does not change the value. */
static void put_expression(struct pc_buf *out, pusherc_slice json)
{
    for (size_t i = 0; i < json.len; i++) {
        pusherc_slice rest = pc_slice_skip(json, i);
        bool separator = pc_slice_starts(rest, PC_S("\xe2\x80\xa8"));
        if (!separator && !pc_slice_starts(rest, PC_S("\xe2\x80\xa9"))) {
            pc_buf_put_char(out, json.ptr[i]);
            continue;
        }
        pc_buf_put(out, separator ? PC_S("\\u2028") : PC_S("\\u2029"));
        i += 2;
    }
}

void pc_auth_as_script(struct pc_api_reply *reply, pusherc_slice callback)
{
    char stack[1024];
    struct pc_buf script;
    if (reply->status != 200)
        return;
    pc_buf_init_in(&script, reply->body.mem, SIZE_MAX, stack, sizeof stack);
    pc_buf_put(&script, callback);
    pc_buf_put_char(&script, '(');
    put_expression(&script, pc_buf_slice(&reply->body));
    pc_buf_put(&script, PC_S(");"));
    pc_buf_clear(&reply->body);
    pc_buf_put(&reply->body, pc_buf_slice(&script));
    reply->content_type = PC_API_SCRIPT;
    if (pc_buf_status(&script) || pc_buf_status(&reply->body))
        pc_api_out_of_memory(reply);
    pc_buf_free(&script);
}

void pc_auth_guard(struct pc_api_reply *reply)
{
    pc_api_field(reply, PC_S("X-Content-Type-Options"), PC_S("nosniff"));
    pc_api_field(reply, PC_S("Cache-Control"), PC_S("no-store"));
}

void pc_auth_put_preflight(struct pc_api_reply *reply)
{
    pc_api_begin(reply, 204, NULL);
}

void pc_auth_put_refusal(struct pc_api_reply *reply, int status, pusherc_slice text)
{
    pc_api_begin(reply, status, PC_API_JSON);
    pc_buf_put(&reply->body, PC_S("{\"message\":"));
    pc_json_put_string(&reply->body, text);
    pc_buf_put_char(&reply->body, '}');
    if (pc_buf_status(&reply->body))
        pc_api_out_of_memory(reply);
}
