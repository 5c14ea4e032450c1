#include "http.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "template.h"
#include "text.h"

#define MAX_FIELDS      32 /* of a form */
#define MAX_FIELD_BYTES 1024

static const char content_security_policy[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

static pusherc_slice slice(const char *text)
{
    return (pusherc_slice){text, strlen(text)};
}

void http_copy(char *out, size_t out_bytes, pusherc_slice from)
{
    out[0] = '\0';
    if (from.len == 0 || from.len >= out_bytes || memchr(from.ptr, '\0', from.len))
        return;
    memcpy(out, from.ptr, from.len);
    out[from.len] = '\0';
}

/* Routes */

static bool is_param(const char *value, bool digits)
{
    const char *allowed =
        digits ? "0123456789" : "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
    return value[0] && value[strspn(value, allowed)] == '\0' && (!digits || strlen(value) < 16);
}

static bool matches(const char *pattern, pusherc_slice path, struct http_params *params)
{
    const char *at = path.ptr;
    const char *end = path.ptr + path.len;
    size_t found = 0;
    while (*pattern) {
        if (*pattern == '{') {
            const char *stop = memchr(at, '/', (size_t)(end - at));
            stop = stop ? stop : end;
            char *value = params->value[found++];
            http_copy(value, HTTP_PARAM_BYTES, (pusherc_slice){at, (size_t)(stop - at)});
            if (!is_param(value, strncmp(pattern, "{id}", 4) == 0))
                return false;
            at = stop;
            pattern = strchr(pattern, '}') + 1;
        } else if (at == end || *at++ != *pattern++) {
            return false;
        }
    }
    return at == end;
}

static bool is_method(pusherc_slice method, const char *name)
{
    return (method.len == strlen(name) && memcmp(method.ptr, name, method.len) == 0) ||
           (strcmp(name, "GET") == 0 && method.len == 4 && memcmp(method.ptr, "HEAD", 4) == 0);
}

void http_dispatch(const struct http_route *routes, size_t count, struct site *site,
                   pusherc_http_request *request)
{
    pusherc_slice method = pusherc_http_method(request);
    pusherc_slice path = pusherc_http_path(request);
    const char *other = NULL;
    for (size_t i = 0; i < count; i++) {
        struct http_params params = {0};
        if (!matches(routes[i].pattern, path, &params))
            continue;
        if (is_method(method, routes[i].method)) {
            routes[i].handler(site, request, &params);
            return;
        }
        other = routes[i].method;
    }
    if (other)
        http_send(request, &(struct http_answer){
                               .status = 405, .allow = strcmp(other, "GET") ? other : "GET, HEAD"});
    else
        http_send_error(request, 404, "There is nothing here.");
}

/* Answers */

void http_send(pusherc_http_request *request, const struct http_answer *answer)
{
    pusherc_http_field fields[10] = {
        {PUSHERC_LIT("Content-Security-Policy"), slice(content_security_policy)},
        {PUSHERC_LIT("X-Content-Type-Options"), PUSHERC_LIT("nosniff")},
        {PUSHERC_LIT("Referrer-Policy"), PUSHERC_LIT("same-origin")},
        /* "no-cache": keep it, but ask whether it is still the same. */
        {PUSHERC_LIT("Cache-Control"), slice(answer->etag ? "no-cache" : "no-store")},
        {PUSHERC_LIT("Content-Type"),
         slice(answer->type ? answer->type : "text/html; charset=utf-8")},
    };
    size_t count = 5;
    int status = answer->status ? answer->status : 200;
    pusherc_slice body = {answer->body, answer->body ? answer->body_bytes : 0};
    if (answer->etag) {
        fields[count++] = (pusherc_http_field){PUSHERC_LIT("ETag"), slice(answer->etag)};
        fields[count++] = (pusherc_http_field){PUSHERC_LIT("Vary"), PUSHERC_LIT("Cookie")};
        pusherc_slice known = pusherc_http_header(request, "if-none-match");
        if (known.len == strlen(answer->etag) && memcmp(known.ptr, answer->etag, known.len) == 0) {
            status = 304;
            body.len = 0;
        }
    }
    if (answer->location)
        fields[count++] = (pusherc_http_field){PUSHERC_LIT("Location"), slice(answer->location)};
    if (answer->cookie)
        fields[count++] = (pusherc_http_field){PUSHERC_LIT("Set-Cookie"), slice(answer->cookie)};
    if (answer->allow)
        fields[count++] = (pusherc_http_field){PUSHERC_LIT("Allow"), slice(answer->allow)};
    /* ECANCELED: the browser has gone meanwhile. There is nobody left to tell. */
    int result = pusherc_http_respond(request, status, fields, count, body);
    if (result != 0 && result != PUSHERC_ECANCELED)
        fprintf(stderr, "status-page: cannot answer: %s\n", pusherc_strerror(result));
}

void http_redirect(pusherc_http_request *request, const char *location, const char *cookie)
{
    http_send(request,
              &(struct http_answer){.status = 303, .location = location, .cookie = cookie});
}

void http_send_json(pusherc_http_request *request, int status, const cJSON *value)
{
    char *text = cJSON_PrintUnformatted(value);
    http_send(request, &(struct http_answer){.status = text ? status : 500,
                                             .type = "application/json",
                                             .body = text,
                                             .body_bytes = text ? strlen(text) : 0});
    cJSON_free(text);
}

bool http_wants_json(const pusherc_http_request *request)
{
    pusherc_slice path = pusherc_http_path(request);
    pusherc_slice type = pusherc_http_header(request, "content-type");
    char accept[256];
    http_copy(accept, sizeof accept, pusherc_http_header(request, "accept"));
    if (strstr(accept, "text/html"))
        return false;
    return strstr(accept, "application/json") || (path.len >= 5 && !memcmp(path.ptr, "/api/", 5)) ||
           (type.len >= 16 && memcmp(type.ptr, "application/json", 16) == 0);
}

void http_send_error(pusherc_http_request *request, int status, const char *text)
{
    cJSON *values = cJSON_CreateObject();
    cJSON_AddStringToObject(values, "error", text);
    if (http_wants_json(request)) {
        http_send_json(request, status, values);
    } else {
        struct text page = {0};
        template_render(&page, "error", values);
        http_send(request, &(struct http_answer){
                               .status = status, .body = page.ptr, .body_bytes = page.len});
        text_free(&page);
    }
    cJSON_Delete(values);
}

/* Forms */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Decode up to one of the two end marks; returns where it stopped. "" if it was too long or malformed. */
static const char *form_decode(const char *at, const char *end, char mark, char *out)
{
    size_t len = 0;
    bool fine = true;
    for (; at < end && *at != '&' && *at != mark; at++) {
        int value = (unsigned char)*at;
        if (*at == '+') {
            value = ' ';
        } else if (*at == '%') {
            int high = end - at > 2 ? hex_digit(at[1]) : -1;
            int low = end - at > 2 ? hex_digit(at[2]) : -1;
            value = high < 0 || low < 0 ? 0 : high * 16 + low;
            at += value ? 2 : 0;
        }
        fine = fine && value != 0 && len < MAX_FIELD_BYTES - 1;
        if (fine)
            out[len++] = (char)value;
    }
    out[fine ? len : 0] = '\0';
    return at;
}

static cJSON *form_fields(pusherc_slice body)
{
    char name[MAX_FIELD_BYTES];
    char value[MAX_FIELD_BYTES];
    const char *at = body.ptr;
    const char *end = body.ptr + body.len;
    cJSON *fields = cJSON_CreateObject();
    for (int i = 0; at < end && i < MAX_FIELDS; i++) {
        value[0] = '\0';
        at = form_decode(at, end, '=', name);
        if (at < end && *at == '=')
            at = form_decode(at + 1, end, '&', value);
        at += at < end;
        if (text_is_line(name) && text_is_line(value))
            cJSON_AddStringToObject(fields, name, value);
    }
    return fields;
}

static cJSON *json_fields(pusherc_slice body)
{
    cJSON *fields = cJSON_ParseWithLength(body.ptr, body.len);
    if (!cJSON_IsObject(fields)) {
        cJSON_Delete(fields);
        return NULL;
    }
    cJSON *next;
    for (cJSON *field = fields->child; field; field = next) {
        next = field->next;
        if (!cJSON_IsString(field) || !text_is_line(field->valuestring))
            cJSON_Delete(cJSON_DetachItemViaPointer(fields, field));
    }
    return fields;
}

cJSON *http_fields(const pusherc_http_request *request)
{
    char type[64];
    pusherc_slice body = pusherc_http_body(request);
    http_copy(type, sizeof type, pusherc_http_header(request, "content-type"));
    if (strncmp(type, "application/json", 16) == 0)
        return json_fields(body);
    if (strncmp(type, "application/x-www-form-urlencoded", 33) == 0)
        return form_fields(body);
    return NULL;
}
