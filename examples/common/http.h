/*
 * What the handlers need of HTTP: routes, and answers with the right headers.
 */
#ifndef COMMON_HTTP_H
#define COMMON_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cjson/cJSON.h>
#include <pusherc/pusherc.h>

struct program;

/* Of a route's {placeholders}, in order; and what the route says beside its handler. */
#define HTTP_PARAM_BYTES 64
struct http_params {
    char value[2][HTTP_PARAM_BYTES];
    const void *extra;
};

/* Answers the request exactly once, now or later. */
typedef void (*http_handler_fn)(struct program *program, pusherc_http_request *request,
                                const struct http_params *params);

/* {id} takes digits, any other placeholder letters, digits, '-', '_' and '.'. GET routes serve HEAD, too. */
struct http_route {
    const char *method;
    const char *pattern;
    http_handler_fn handler;
    const void *extra;
};

/* Call the handler of the first route that fits and return true; or answer 405. */
bool http_dispatch(const struct http_route *routes, size_t count, struct program *program,
                   pusherc_http_request *request);

/* Fields that are NULL or 0 are left out. */
struct http_answer {
    int status;       /* default 200 */
    const char *type; /* default "text/html; charset=utf-8" */
    const char *body;
    size_t body_bytes;
    const char *etag; /* 304 if the browser has it; without one nothing is stored */
    const char *location;
    const char *cookie; /* a whole Set-Cookie value */
    const char *allow;
    const char *retry_after; /* seconds */
    const char *disposition; /* a whole Content-Disposition value */
    bool framed; /* the program's own pages may have it in a frame, and it may have them */
};

void http_send(pusherc_http_request *request, const struct http_answer *answer);
/* 303: the browser continues with GET. */
void http_redirect(pusherc_http_request *request, const char *location, const char *cookie);
void http_send_json(pusherc_http_request *request, int status, const cJSON *value);
/* Draw pages/{name}.html with these values, which are deleted, and send it; `answer` has the rest. */
void http_send_page(pusherc_http_request *request, const char *name, cJSON *values,
                    const struct http_answer *answer);
/* {"error":text}, or a page that says it, whatever the client asked for. */
void http_send_error(pusherc_http_request *request, int status, const char *text);
/* The same with 429: the client may come again in so many seconds. */
void http_send_wait(pusherc_http_request *request, uint32_t wait_s, const char *text);

/* True if the client would rather have JSON: a script, not a form. */
bool http_wants_json(const pusherc_http_request *request);

/* X-Socket-ID: the connection of the page that sent the request, for an event's `except`. Zero if it does not say. */
pusherc_socket_id http_socket_id(const pusherc_http_request *request);

/* Copy with a final NUL; "" and false if it does not fit or has a NUL inside. */
bool http_copy(char *out, size_t out_bytes, pusherc_slice slice);

#endif
