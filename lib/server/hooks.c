/* The request objects of hooks: what the host can read, and how it answers (pusherc/hooks.h). */
#include <stdio.h>
#include <time.h>

#include "base/options.h"
#include "codec/json.h"
#include "net/ask.h"
#include "server/server.h"
#include "session/app_request.h"
#include "session/session.h"

/* -- connections -- */

static const struct pc_session *session_of(const pusherc_conn *conn)
{
    return (const struct pc_session *)(const void *)conn;
}

pusherc_socket_id pusherc_conn_socket_id(const pusherc_conn *conn)
{
    return session_of(conn)->q->owner;
}

pusherc_slice pusherc_conn_app_id(const pusherc_conn *conn)
{
    return session_of(conn)->app->id;
}

pusherc_slice pusherc_conn_user_id(const pusherc_conn *conn)
{
    const struct pc_session *s = session_of(conn);
    return s->user ? s->user->user_id : s->identity ? s->identity->user_id : PC_S("");
}

pusherc_slice pusherc_conn_client_ip(const pusherc_conn *conn)
{
    const struct pc_session *s = session_of(conn);
    pc_address_format(&s->address, s->worker->client_ip);
    return pc_slice_of(s->worker->client_ip);
}

void *pusherc_conn_data(const pusherc_conn *conn)
{
    const struct pc_session *s = session_of(conn);
    return s->identity ? s->identity->data : NULL;
}

/* -- identify -- */

/* Notes that the host has read a cookie, because it may decide by it: see is_foreign_cookie(). */
static pusherc_slice note_cookie(const pusherc_identify_request *request, pusherc_slice cookie)
{
    if (cookie.len)
        ((pusherc_identify_request *)request)->cookie_read = true;
    return cookie;
}

/* Credentials that a browser keeps and sends by itself, as it does with cookies. */
static pusherc_slice note_authorization(const pusherc_identify_request *request,
                                        pusherc_slice value)
{
    static const char *const kept[] = {"Basic", "Digest", "Negotiate", "NTLM"};
    pusherc_slice scheme = pc_slice_first(value, pc_slice_find(value, ' '));
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++)
        if (pc_slice_eq_nocase(scheme, pc_slice_of(kept[i])))
            return note_cookie(request, value);
    return value;
}

pusherc_identify_purpose pusherc_identify_purpose_of(const pusherc_identify_request *request)
{
    return request->purpose;
}

pusherc_slice pusherc_identify_app_id(const pusherc_identify_request *request)
{
    return request->app->id;
}

uint64_t pusherc_identify_question(const pusherc_identify_request *request)
{
    return request->ask.pending.number;
}

pusherc_slice pusherc_identify_header(const pusherc_identify_request *request, const char *name)
{
    pusherc_slice field = pc_slice_of(name);
    pusherc_slice value = pc_http_field(request->ask.message, field);
    if (pc_slice_eq_nocase(field, PC_S("Cookie")))
        return note_cookie(request, value);
    if (pc_slice_eq_nocase(field, PC_S("Authorization")))
        return note_authorization(request, value);
    return value;
}

pusherc_slice pusherc_identify_cookie(const pusherc_identify_request *request, const char *name)
{
    return note_cookie(request, pc_http_cookie(request->ask.message, pc_slice_of(name)));
}

pusherc_slice pusherc_identify_bearer(const pusherc_identify_request *request)
{
    pusherc_slice value = pc_http_field(request->ask.message, PC_S("Authorization"));
    pusherc_slice scheme = PC_S("Bearer ");
    if (!pc_slice_eq_nocase(pc_slice_first(value, scheme.len), scheme))
        return PC_S("");
    value = pc_slice_skip(value, scheme.len);
    while (value.len && value.ptr[0] == ' ')
        value = pc_slice_skip(value, 1);
    return value;
}

pusherc_slice pusherc_identify_query(const pusherc_identify_request *request, const char *name)
{
    return pc_ask_query((struct pc_ask *)&request->ask, name);
}

pusherc_slice pusherc_identify_path(const pusherc_identify_request *request)
{
    return request->ask.message->path;
}

pusherc_slice pusherc_identify_peer(const pusherc_identify_request *request)
{
    return pc_slice_of(request->ask.peer);
}

pusherc_slice pusherc_identify_client_ip(const pusherc_identify_request *request)
{
    return pc_slice_of(request->ask.client);
}

static void reject(pusherc_identify_request *request, uint16_t code, const char *reason)
{
    pusherc_slice text = pc_utf8_cut(pc_slice_of(reason), sizeof request->reject_reason - 1);
    request->reject_code = code;
    snprintf(request->reject_reason, sizeof request->reject_reason, "%.*s", (int)text.len,
             text.ptr);
}

static const char foreign_page[] =
    "Cookies do not identify a user across origins: set allowed_origins";

static bool field_is(const struct pc_http_message *m, pusherc_slice name, pusherc_slice value)
{
    return pc_slice_eq(pc_http_field(m, name), value);
}

/* What a page says of itself with a WebSocket or a POST. NULL: its cookie counts. */
static const char *why_foreign_page(const pusherc_identify_request *r, pusherc_slice origin)
{
    pusherc_slice host = pc_http_field(r->ask.message, PC_S("Host"));
    if (!pc_app_any_origin(r->app) || pc_origin_is_own(origin, r->ask.https, host))
        return NULL;
    if (!r->ask.https && pc_origin_is_own(origin, true, host))
        return "The page came by https, this did not: set proxy_count (and X-Forwarded-Proto), or "
               "allowed_origins";
    return foreign_page;
}

/*
 * A browser sends the cookies of this host with every request that any page makes to it. No page may make its visitor
 * become a user here who did not mean it: with a WebSocket, a request to an auth endpoint, a link, an image, a script.
 * Links and images may even stand on a page of this host, written by another user. So what a GET brings counts only
 * for a script element of a page that is known. NULL: the cookie counts. Otherwise what to refuse with.
 */
static const char *why_foreign(const pusherc_identify_request *r)
{
    const struct pc_http_message *m = r->ask.message;
    pusherc_slice origin = pc_http_field(m, PC_S("Origin"));
    bool get = r->purpose != PUSHERC_IDENTIFY_CONNECT && pc_slice_eq(m->method, PC_S("GET"));
    if (!r->cookie_read)
        return NULL;
    if (get && !r->script)
        return "Cookies do not identify a user in a GET: use POST";
    if (origin.len)
        return why_foreign_page(r, origin);
    if (get)
        return field_is(m, PC_S("Sec-Fetch-Site"), PC_S("same-origin")) &&
                       field_is(m, PC_S("Sec-Fetch-Dest"), PC_S("script"))
                   ? NULL
                   : foreign_page;
    /* no browser: they send Origin here; one that does not says at least which site it was */
    return field_is(m, PC_S("Sec-Fetch-Site"), PC_S("")) ||
                   field_is(m, PC_S("Sec-Fetch-Site"), PC_S("same-origin"))
               ? NULL
               : foreign_page;
}

static int check_identity(const pusherc_identify_request *r, const pusherc_identity *identity)
{
    if (identity->user_id.len > PC_IDENTITY_MAX_ID || !pc_utf8_valid(identity->user_id) ||
        identity->user_info_json.len > r->app->options.max_user_info_bytes ||
        (identity->user_info_json.len &&
         pc_json_parse(identity->user_info_json).type == PC_JSON_NONE))
        return PUSHERC_EINVAL;
    return why_foreign(r) ? PUSHERC_EAUTH : 0;
}

/* Takes over the identity's data in any case. It may be read before struct_size is checked, because every release has
 * these members. */
static int take_identity(pusherc_identify_request *r, const pusherc_identity *from)
{
    pusherc_identity taken = {.data = from->data, .free_data = from->free_data};
    const pusherc_identity *identity = &taken;
    int err = PC_TAKE(identity, &taken, from, NULL);
    err = err ? err : check_identity(r, identity);
    if (err == 0) {
        r->identity =
            pc_identity_new(&r->ask.pending.mem, identity->user_id, identity->user_info_json);
        err = r->identity ? 0 : PUSHERC_ENOMEM;
    }
    if (err) {
        if (identity->free_data)
            identity->free_data(identity->data);
        return err;
    }
    r->identity->data = identity->data;
    r->identity->free_data = identity->free_data;
    r->expires_in_ms = identity->expires_in_ms;
    return 0;
}

int pusherc_identify_accept(pusherc_identify_request *request, const pusherc_identity *identity)
{
    int err = identity ? take_identity(request, identity) : 0;
    if (err == PUSHERC_EAUTH) {
        request->cookie_refused = true;
        reject(request, PC_CLOSE_UNAUTHORIZED, why_foreign(request));
    } else if (err) {
        reject(request, PC_CLOSE_INTERNAL, "The application's answer was not usable");
    }
    int sent = pc_pending_answer(&request->ask.pending);
    return err ? err : sent;
}

int pusherc_identify_reject(pusherc_identify_request *request, uint16_t close_code,
                            const char *reason)
{
    int err = close_code >= 4000 && close_code <= 4999 && pc_utf8_valid(pc_slice_of(reason))
                  ? 0
                  : PUSHERC_EINVAL;
    if (err)
        reject(request, PC_CLOSE_UNAUTHORIZED, "");
    else
        reject(request, close_code, reason);
    int sent = pc_pending_answer(&request->ask.pending);
    return err ? err : sent;
}

/* -- find_app -- */

pusherc_slice pusherc_app_request_id(const pusherc_app_request *request)
{
    return request->id;
}

pusherc_slice pusherc_app_request_key(const pusherc_app_request *request)
{
    return request->key;
}

uint64_t pusherc_app_request_question(const pusherc_app_request *request)
{
    return request->pending.number;
}

int pusherc_app_answer(pusherc_app_request *request, const pusherc_app_options *options)
{
    int err = 0;
    if (options && pc_mailbox_pin(request->pending.box)) { /* the engine stays while we put */
        err = pc_server_put_apps(request->engine, true, options, 1, NULL);
        pc_mailbox_unpin(request->pending.box);
    }
    int sent = pc_pending_answer(&request->pending);
    return err ? err : sent;
}

/* -- the host's pages -- */

pusherc_slice pusherc_http_method(const pusherc_http_request *request)
{
    return request->ask.message->method;
}

uint64_t pusherc_http_question(const pusherc_http_request *request)
{
    return request->ask.pending.number;
}

pusherc_slice pusherc_http_path(const pusherc_http_request *request)
{
    return pc_ask_path((struct pc_ask *)&request->ask);
}

pusherc_slice pusherc_http_query(const pusherc_http_request *request, const char *name)
{
    return pc_ask_query((struct pc_ask *)&request->ask, name);
}

pusherc_slice pusherc_http_header(const pusherc_http_request *request, const char *name)
{
    return pc_http_field(request->ask.message, pc_slice_of(name));
}

pusherc_slice pusherc_http_cookie(const pusherc_http_request *request, const char *name)
{
    return pc_http_cookie(request->ask.message, pc_slice_of(name));
}

pusherc_slice pusherc_http_body(const pusherc_http_request *request)
{
    return request->ask.message->body;
}

pusherc_slice pusherc_http_form(const pusherc_http_request *request, const char *name)
{
    return pc_ask_form((pusherc_http_request *)request, name);
}

pusherc_slice pusherc_http_peer(const pusherc_http_request *request)
{
    return pc_slice_of(request->ask.peer);
}

pusherc_slice pusherc_http_client_ip(const pusherc_http_request *request)
{
    return pc_slice_of(request->ask.client);
}

#define MAX_RESPONSE_FIELDS 64

/* The fields that the library writes itself; the host must not set them. */
static bool reserved_field(pusherc_slice name)
{
    return pc_slice_eq_nocase(name, PC_S("Content-Length")) ||
           pc_slice_eq_nocase(name, PC_S("Transfer-Encoding")) ||
           pc_slice_eq_nocase(name, PC_S("Connection")) || pc_slice_eq_nocase(name, PC_S("Date"));
}

int pusherc_http_respond(pusherc_http_request *request, int status,
                         const pusherc_http_field *fields, size_t field_count, pusherc_slice body)
{
    struct pc_pair copy[MAX_RESPONSE_FIELDS];
    struct pc_http_date date = {0}; /* the loop's belongs to another thread */
    struct pc_http_reply reply = {.status = status,
                                  .fields = copy,
                                  .body = body,
                                  .date = pc_http_date(&date, (uint64_t)time(NULL)),
                                  .keep_alive = request->keep_alive,
                                  .head_only = request->head_only};
    int err = status >= 200 && status <= 599 && field_count <= MAX_RESPONSE_FIELDS &&
                      (fields || !field_count)
                  ? 0
                  : PUSHERC_EINVAL;
    for (size_t i = 0; err == 0 && i < field_count; i++) {
        copy[i] = (struct pc_pair){fields[i].name, fields[i].value};
        if (!pc_http_field_valid(fields[i].name, fields[i].value) || reserved_field(fields[i].name))
            err = PUSHERC_EINVAL;
    }
    reply.field_count = err ? 0 : field_count;
    if (err) {
        reply.status = 500;
        reply.content_type = "text/plain; charset=utf-8";
        reply.body = PC_S("The application's answer was not usable");
    }
    pc_http_put_reply(&request->reply, &reply);
    if (pc_buf_status(&request->reply)) {
        pc_buf_clear(&request->reply); /* an empty reply closes the connection */
        err = PUSHERC_ENOMEM;
    }
    int sent = pc_pending_answer(&request->ask.pending);
    return err ? err : sent;
}
