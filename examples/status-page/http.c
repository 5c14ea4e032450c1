#include "http.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "template.h"
#include "text.h"

#define MAX_FIELD_BYTES 1024 /* of a form */

static const char content_security_policy[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

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
    return pusherc_slice_equal(method, pusherc_slice_of(name)) ||
           (strcmp(name, "GET") == 0 && pusherc_slice_equal(method, pusherc_slice_of("HEAD")));
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
        {PUSHERC_LIT("Content-Security-Policy"), pusherc_slice_of(content_security_policy)},
        {PUSHERC_LIT("X-Content-Type-Options"), PUSHERC_LIT("nosniff")},
        {PUSHERC_LIT("Referrer-Policy"), PUSHERC_LIT("same-origin")},
        /* "no-cache": keep it, but ask whether it is still the same. */
        {PUSHERC_LIT("Cache-Control"), pusherc_slice_of(answer->etag ? "no-cache" : "no-store")},
        {PUSHERC_LIT("Content-Type"),
         pusherc_slice_of(answer->type ? answer->type : "text/html; charset=utf-8")},
    };
    size_t count = 5;
    int status = answer->status ? answer->status : 200;
    pusherc_slice body = {answer->body, answer->body ? answer->body_bytes : 0};
    if (answer->etag) {
        fields[count++] = (pusherc_http_field){PUSHERC_LIT("ETag"), pusherc_slice_of(answer->etag)};
        fields[count++] = (pusherc_http_field){PUSHERC_LIT("Vary"), PUSHERC_LIT("Cookie")};
        if (pusherc_slice_equal(pusherc_http_header(request, "if-none-match"),
                                pusherc_slice_of(answer->etag))) {
            status = 304;
            body.len = 0;
        }
    }
    if (answer->location)
        fields[count++] =
            (pusherc_http_field){PUSHERC_LIT("Location"), pusherc_slice_of(answer->location)};
    if (answer->cookie)
        fields[count++] =
            (pusherc_http_field){PUSHERC_LIT("Set-Cookie"), pusherc_slice_of(answer->cookie)};
    if (answer->allow)
        fields[count++] =
            (pusherc_http_field){PUSHERC_LIT("Allow"), pusherc_slice_of(answer->allow)};
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

cJSON *http_fields(const pusherc_http_request *request, const char *const names[])
{
    char value[MAX_FIELD_BYTES];
    http_copy(value, sizeof value, pusherc_http_header(request, "content-type"));
    if (strncmp(value, "application/json", 16) == 0)
        return json_fields(pusherc_http_body(request));
    cJSON *fields = cJSON_CreateObject();
    for (; *names; names++) {
        http_copy(value, sizeof value, pusherc_http_form(request, *names));
        if (text_is_line(value))
            cJSON_AddStringToObject(fields, *names, value);
    }
    return fields;
}
