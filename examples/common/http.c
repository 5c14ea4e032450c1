#include "common/http.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/say.h"
#include "common/template.h"

#define OWN_ONLY                                                                                   \
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src "        \
    "'self'; "                                                                                     \
    "form-action 'self'; base-uri 'none'; "
static const char content_security_policy[] = OWN_ONLY "frame-ancestors 'none'";
static const char framed_policy[] = OWN_ONLY "frame-src 'self'; frame-ancestors 'self'";

bool http_copy(char *out, size_t out_bytes, pusherc_slice from)
{
    bool fits = from.len < out_bytes && !(from.len && memchr(from.ptr, '\0', from.len));
    size_t len = fits ? from.len : 0;
    if (len > 0)
        memcpy(out, from.ptr, len);
    out[len] = '\0';
    return fits;
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

bool http_dispatch(const struct http_route *routes, size_t count, struct program *program,
                   pusherc_http_request *request)
{
    pusherc_slice method = pusherc_http_method(request);
    pusherc_slice path = pusherc_http_path(request);
    char allow[64] = "";
    for (size_t i = 0; i < count; i++) {
        struct http_params params = {.extra = routes[i].extra};
        if (!matches(routes[i].pattern, path, &params))
            continue;
        if (is_method(method, routes[i].method)) {
            routes[i].handler(program, request, &params);
            return true;
        }
        snprintf(allow + strlen(allow), sizeof allow - strlen(allow), "%s%s%s", *allow ? ", " : "",
                 routes[i].method, strcmp(routes[i].method, "GET") ? "" : ", HEAD");
    }
    if (*allow)
        http_send(request, &(struct http_answer){.status = 405, .allow = allow});
    return *allow;
}

/* Answers */

void http_send(pusherc_http_request *request, const struct http_answer *answer)
{
    const struct {
        const char *name;
        const char *value; /* NULL: left out */
    } all[] = {
        {"Content-Security-Policy", answer->framed ? framed_policy : content_security_policy},
        {"X-Content-Type-Options", "nosniff"},
        {"Referrer-Policy", "same-origin"},
        /* "no-cache": keep it, but ask whether it is still the same. */
        {"Cache-Control", answer->etag ? "no-cache" : "no-store"},
        {"Content-Type", answer->type ? answer->type : "text/html; charset=utf-8"},
        {"ETag", answer->etag},
        {"Vary", answer->etag ? "Cookie" : NULL},
        {"Location", answer->location},
        {"Set-Cookie", answer->cookie},
        {"Allow", answer->allow},
        {"Retry-After", answer->retry_after},
        {"Content-Disposition", answer->disposition},
    };
    pusherc_http_field fields[sizeof all / sizeof all[0]];
    size_t count = 0;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (all[i].value)
            fields[count++] =
                (pusherc_http_field){pusherc_slice_of(all[i].name), pusherc_slice_of(all[i].value)};
    }
    int status = answer->status ? answer->status : 200;
    if (answer->etag && pusherc_slice_equal(pusherc_http_header(request, "if-none-match"),
                                            pusherc_slice_of(answer->etag)))
        status = 304;
    pusherc_slice body = {answer->body, answer->body ? answer->body_bytes : 0};
    /* ECANCELED: the browser has gone meanwhile, so there is no client to tell. */
    int result = pusherc_http_respond(request, status, fields, count, body);
    if (result != 0 && result != PUSHERC_ECANCELED)
        say("cannot answer: %s", pusherc_strerror(result));
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
    char accept[256];
    http_copy(accept, sizeof accept, pusherc_http_header(request, "accept"));
    if (strstr(accept, "text/html"))
        return false;
    return strstr(accept, "application/json") || (path.len >= 5 && !memcmp(path.ptr, "/api/", 5));
}

void http_send_page(pusherc_http_request *request, const char *name, cJSON *values,
                    const struct http_answer *answer)
{
    struct http_answer whole = *answer;
    char *page;
    if (template_render(&page, &whole.body_bytes, name, values) != 0)
        whole.status = 500;
    whole.body = page;
    http_send(request, &whole);
    free(page);
    cJSON_Delete(values);
}

/* Say it as a page or as JSON, whatever the client asked for; `answer` has the rest. */
static void send_text(pusherc_http_request *request, const char *text, struct http_answer answer)
{
    cJSON *values = cJSON_CreateObject();
    cJSON_AddStringToObject(values, "error", text);
    if (!http_wants_json(request)) {
        http_send_page(request, "error", values, &answer);
        return;
    }
    char *body = cJSON_PrintUnformatted(values);
    answer.type = "application/json";
    answer.body = body;
    answer.body_bytes = body ? strlen(body) : 0;
    http_send(request, &answer);
    cJSON_free(body);
    cJSON_Delete(values);
}

void http_send_error(pusherc_http_request *request, int status, const char *text)
{
    send_text(request, text, (struct http_answer){.status = status});
}

void http_send_wait(pusherc_http_request *request, uint32_t wait_s, const char *text)
{
    char seconds[16];
    snprintf(seconds, sizeof seconds, "%u", (unsigned)wait_s);
    send_text(request, text, (struct http_answer){.status = 429, .retry_after = seconds});
}

pusherc_socket_id http_socket_id(const pusherc_http_request *request)
{
    pusherc_socket_id id;
    if (pusherc_socket_id_parse(pusherc_http_header(request, "x-socket-id"), &id) != 0)
        return (pusherc_socket_id){0};
    return id;
}
