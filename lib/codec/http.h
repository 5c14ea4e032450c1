/*
 * HTTP/1.1 requests in, responses out: llhttp behind a parser that hands over whole requests. No
 * sockets. One parser serves one connection, request after request. http.c is the only file that
 * knows llhttp.
 */
#ifndef PC_CODEC_HTTP_H
#define PC_CODEC_HTTP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "codec/pairs.h"

#define PC_HTTP_MAX_FIELDS 100 /* header fields of one request; more is 431 */

/* One whole request. Everything is borrowed from the parser until pc_http_parser_next(). */
struct pc_http_message {
    pusherc_slice method; /* "GET" */
    pusherc_slice target; /* as sent */
    pusherc_slice path;   /* of target, as sent; an absolute-form target is reduced to its path */
    pusherc_slice query;  /* of target, without '?', as sent */
    pusherc_slice
        sent_path; /* `path` before pc_http_parser_retarget(); len 0 = it was not called */
    const struct pc_pair *fields; /* values without white space around them */
    size_t field_count;
    pusherc_slice body;
    bool http10;     /* the client speaks HTTP/1.0 */
    bool keep_alive; /* after the response */
    bool upgrade;    /* asks for a protocol change to "websocket": bytes after it are not HTTP */
};

/* First field of that name, compared without regard to case; len 0 = absent. */
pusherc_slice pc_http_field(const struct pc_http_message *message, pusherc_slice name);
/* True if a comma list (all fields of that name together) has this token; any case. */
bool pc_http_field_has(const struct pc_http_message *message, pusherc_slice name,
                       pusherc_slice token);
/* Cuts the next item, without white space, off a comma list; false when nothing is left. */
bool pc_http_list_next(pusherc_slice *list, pusherc_slice *item);
/* The same for the parts of an item, with semicolons between. */
bool pc_http_part_next(pusherc_slice *item, pusherc_slice *part);
pusherc_slice pc_http_cookie(const struct pc_http_message *message, pusherc_slice name);
/* True if Content-Type says that the body is a form, "a=1&b=2", for pc_http_params(). */
bool pc_http_has_form(const struct pc_http_message *message);

struct pc_http_limits {
    size_t head_bytes, body_bytes;
};

enum pc_http_result {
    PC_HTTP_MORE = 0, /* everything was consumed, the request is not complete */
    PC_HTTP_CONTINUE, /* as MORE, and the client waits for "100 Continue"; once per request */
    PC_HTTP_REQUEST,  /* pc_http_parser_message() is ready; bytes after it were not consumed */
    PC_HTTP_ERROR     /* answer with pc_http_parser_error(), then close */
};

/* Owned by its connection; holds memory between requests only while that is small. */
struct pc_http_parser;
PC_CHECKED int pc_http_parser_new(struct pc_http_parser **out, const struct pc_mem *mem,
                                  struct pc_http_limits limits);
void pc_http_parser_free(struct pc_http_parser *parser); /* NULL is harmless */

/* Feeds bytes and sets *consumed to the number used. After REQUEST the caller calls _next() before it
 * feeds the rest. */
enum pc_http_result pc_http_parser_feed(struct pc_http_parser *parser, pusherc_slice bytes,
                                        size_t *consumed);
const struct pc_http_message *pc_http_parser_message(const struct pc_http_parser *parser);
/* The request is one for `target`, which its body named: sets `path` and `query`. The target is copied and must not be part of
 * the message, whose body moves. 0; or PUSHERC_ENOMEM or PUSHERC_ELIMIT: nothing has changed. */
PC_CHECKED int pc_http_parser_retarget(struct pc_http_parser *parser, pusherc_slice target);
void pc_http_parser_next(struct pc_http_parser *parser); /* forget the message, expect another */
/* True between requests: no byte of the next one has arrived. */
bool pc_http_parser_idle(const struct pc_http_parser *parser);
/* True if the head is complete and the body is not. */
bool pc_http_parser_in_body(const struct pc_http_parser *parser);

struct pc_http_error {
    int status;       /* 400, 413, 414, 417, 431, 501, 505 or 500 (out of memory) */
    const char *text; /* the parser's, one line */
};
struct pc_http_error pc_http_parser_error(const struct pc_http_parser *parser);

/* The value of a Date field, rewritten when the second changes. Zero-initialise. */
#define PC_HTTP_DATE_LEN 29
struct pc_http_date {
    uint64_t unix_time_s;
    char text[PC_HTTP_DATE_LEN]; /* no NUL */
};
/* "Sun, 06 Nov 1994 08:49:37 GMT"; valid until the next call. */
pusherc_slice pc_http_date(struct pc_http_date *date, uint64_t unix_time_s);

/* Writing a response. */
struct pc_http_reply {
    int status;
    pusherc_slice date;           /* len 0 = left out */
    const char *content_type;     /* NULL = none */
    const struct pc_pair *fields; /* further fields, already checked */
    size_t field_count;
    pusherc_slice body;
    bool keep_alive;
    bool streamed;  /* the body follows later: no Content-Length */
    bool head_only; /* answer to HEAD: Content-Length of the body, no body */
};
/* Status line, Date (none for 1xx), Content-Length (none for 1xx, 204, 304), Connection (none for
 * 1xx), the fields, the body. A failure sets buf's status. */
void pc_http_put_reply(struct pc_buf *buf, const struct pc_http_reply *reply);
bool pc_http_is_token(pusherc_slice text); /* RFC 9110, section 5.6.2: what a field's name may be */
/* True for a field that a host may send: name is a token, value has no CR, LF, NUL. */
bool pc_http_field_valid(pusherc_slice name, pusherc_slice value);

/* Query strings and forms: "a=1&b=%20". */
/* Decodes %XX ('+' is a space when plus_is_space). Malformed escapes stay as they are. Without
 * escapes the result points into `text`, otherwise it is appended to scratch. 0 or its status. */
PC_CHECKED int pc_http_decode(pusherc_slice text, bool plus_is_space, struct pc_buf *scratch,
                              pusherc_slice *out);
/* Splits and decodes into at most max_params, '+' being a space. 0, PUSHERC_ELIMIT (too many), or
 * scratch's status. Room in scratch is reserved once at the start: the slices stay valid until the
 * caller appends to scratch again. */
PC_CHECKED int pc_http_params(pusherc_slice query, struct pc_pair *params, size_t max_params,
                              size_t *count, struct pc_buf *scratch);

#endif
