/*
 * An answer over HTTP, read by llhttp as its bytes come; and a request that waits for one.
 */
#ifndef CLI_HTTP_ANSWER_H
#define CLI_HTTP_ANSWER_H

#include "wire.h"

#define CLI_HTTP_MAX_BODY (4 * 1024 * 1024)
#define CLI_HTTP_MAX_HEAD 32768

/* A text that grows to a maximum; what is above it is dropped. */
struct cli_http_text {
    char *ptr; /* owned; NUL-terminated; NULL while it is empty */
    size_t len, room;
};

struct cli_http_answer {
    int status;                /* 0 = none has come */
    struct cli_http_text head; /* "name: value\n" of each field, names in lower case */
    struct cli_http_text body;
    bool upgraded; /* status 101: what follows is no HTTP */
};

struct cli_http_parser;

struct cli_http_parser *cli_http_parser_new(struct cli_http_answer *answer);
void cli_http_parser_free(struct cli_http_parser *parser);
/* Take bytes in; len 0: the connection has ended. Returns 1 when the answer is complete (*used bytes belong to it), 0
 * if more is needed, -1 if it is no HTTP. */
int cli_http_parser_feed(struct cli_http_parser *parser, const char *bytes, size_t len,
                         size_t *used);

void cli_http_answer_free(struct cli_http_answer *answer);
const char *cli_http_body(const struct cli_http_answer *answer); /* "" = none */
/* Copy the value of a field; false: there is none. `nth` counts fields of one name from 0. */
bool cli_http_field(const struct cli_http_answer *answer, const char *name, size_t nth, char *out,
                    size_t cap);

struct cli_http_request {
    const char *method, *target; /* "GET", "/path?query" */
    const char *fields;          /* further lines, each ended by CRLF; NULL = none */
    const char *body;            /* NULL = none */
    const char *content_type;    /* of the body */
};

/* Send a request on an open connection, and wait for the answer. The connection is of no use afterwards. Returns 0, or
 * -1 with `error`. Free the answer in either case. */
int cli_http_ask(struct cli_wire *wire, const struct cli_address *address,
                 const struct cli_http_request *request, int64_t deadline_us,
                 struct cli_http_answer *answer, struct cli_error *error);

/* The value of "Host": the port is left out where it is the scheme's own. */
void cli_http_host(const struct cli_address *address, char out[300]);

#endif
