#include "http_answer.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <llhttp.h>

struct cli_http_parser {
    llhttp_t parser;
    llhttp_settings_t settings;
    struct cli_http_answer *answer;
    bool done;
};

/* -- texts -- */

static int put(struct cli_http_text *text, const char *bytes, size_t len, size_t max)
{
    if (len > max - text->len)
        len = max - text->len;
    if (text->len + len + 1 > text->room) {
        size_t room = (text->len + len + 1) * 2;
        char *larger = realloc(text->ptr, room);
        if (!larger)
            return -1;
        text->ptr = larger;
        text->room = room;
    }
    memcpy(text->ptr + text->len, bytes, len);
    text->len += len;
    text->ptr[text->len] = '\0';
    return 0;
}

/* -- llhttp's callbacks -- */

static struct cli_http_parser *of(llhttp_t *parser)
{
    return parser->data;
}

static int on_name(llhttp_t *parser, const char *at, size_t len)
{
    struct cli_http_text *head = &of(parser)->answer->head;
    size_t begin = head->len;

    if (put(head, at, len, CLI_HTTP_MAX_HEAD))
        return -1;
    for (size_t i = begin; i < head->len; i++)
        head->ptr[i] = (char)tolower((unsigned char)head->ptr[i]);
    return 0;
}

static int on_name_end(llhttp_t *parser)
{
    return put(&of(parser)->answer->head, ": ", 2, CLI_HTTP_MAX_HEAD);
}

static int on_value(llhttp_t *parser, const char *at, size_t len)
{
    return put(&of(parser)->answer->head, at, len, CLI_HTTP_MAX_HEAD);
}

static int on_value_end(llhttp_t *parser)
{
    return put(&of(parser)->answer->head, "\n", 1, CLI_HTTP_MAX_HEAD);
}

static int on_head_end(llhttp_t *parser)
{
    struct cli_http_parser *p = of(parser);
    p->answer->status = parser->status_code;
    p->answer->upgraded = parser->status_code == 101;
    return 0;
}

static int on_body(llhttp_t *parser, const char *at, size_t len)
{
    return put(&of(parser)->answer->body, at, len, CLI_HTTP_MAX_BODY);
}

static int on_end(llhttp_t *parser)
{
    of(parser)->done = true;
    return HPE_PAUSED;
}

struct cli_http_parser *cli_http_parser_new(struct cli_http_answer *answer)
{
    struct cli_http_parser *p = calloc(1, sizeof *p);

    if (!p)
        return NULL;
    llhttp_settings_init(&p->settings);
    p->settings.on_header_field = on_name;
    p->settings.on_header_field_complete = on_name_end;
    p->settings.on_header_value = on_value;
    p->settings.on_header_value_complete = on_value_end;
    p->settings.on_headers_complete = on_head_end;
    p->settings.on_body = on_body;
    p->settings.on_message_complete = on_end;
    llhttp_init(&p->parser, HTTP_RESPONSE, &p->settings);
    p->parser.data = p;
    p->answer = answer;
    return p;
}

void cli_http_parser_free(struct cli_http_parser *parser)
{
    free(parser);
}

int cli_http_parser_feed(struct cli_http_parser *p, const char *bytes, size_t len, size_t *used)
{
    llhttp_errno_t err = len ? llhttp_execute(&p->parser, bytes, len) : llhttp_finish(&p->parser);

    *used = len;
    if (p->done) {
        const char *at = llhttp_get_error_pos(&p->parser);
        if (err != HPE_OK && at >= bytes && at <= bytes + len)
            *used = (size_t)(at - bytes);
        return 1;
    }
    return err == HPE_OK && len ? 0 : -1;
}

/* -- answers -- */

void cli_http_answer_free(struct cli_http_answer *answer)
{
    free(answer->head.ptr);
    free(answer->body.ptr);
    *answer = (struct cli_http_answer){0};
}

const char *cli_http_body(const struct cli_http_answer *answer)
{
    return answer->body.ptr ? answer->body.ptr : "";
}

bool cli_http_field(const struct cli_http_answer *answer, const char *name, size_t nth, char *out,
                    size_t cap)
{
    size_t len = strlen(name);

    for (const char *at = answer->head.ptr ? answer->head.ptr : ""; *at;) {
        size_t line = strcspn(at, "\n");
        if (strncasecmp(at, name, len) == 0 && strncmp(at + len, ": ", 2) == 0 && nth-- == 0) {
            (void)snprintf(out, cap, "%.*s", (int)(line - len - 2), at + len + 2);
            return true;
        }
        at += line + (at[line] == '\n');
    }
    out[0] = '\0';
    return false;
}

void cli_http_host(const struct cli_address *address, char out[300])
{
    bool ipv6 = strchr(address->host, ':') != NULL;
    int len = snprintf(out, 300, "%s%s%s", ipv6 ? "[" : "", address->host, ipv6 ? "]" : "");

    if (address->port != (address->tls ? 443 : 80))
        (void)snprintf(out + len, 300 - (size_t)len, ":%u", (unsigned)address->port);
}

/* -- asking -- */

static int send_request(struct cli_wire *wire, const struct cli_address *address,
                        const struct cli_http_request *r, int64_t deadline_us,
                        struct cli_error *error)
{
    char host[300], *text = NULL, more[160] = "";
    size_t len = 0;

    cli_http_host(address, host);
    if (r->body)
        (void)snprintf(more, sizeof more, "Content-Type: %.80s\r\nContent-Length: %zu\r\n",
                       r->content_type, strlen(r->body));
    FILE *memory = open_memstream(&text, &len);
    if (!memory)
        return cli_fail_no_memory(error);
    (void)fprintf(memory,
                  "%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: pusherc\r\n"
                  "Connection: close\r\n%s%s\r\n%s",
                  r->method, r->target, host, more, r->fields ? r->fields : "",
                  r->body ? r->body : "");
    if (fclose(memory)) {
        free(text);
        return cli_fail_no_memory(error);
    }
    int status = cli_wire_write_all(wire, text, len, deadline_us);
    if (status)
        *error = wire->error;
    free(text);
    return status;
}

int cli_http_ask(struct cli_wire *wire, const struct cli_address *address,
                 const struct cli_http_request *request, int64_t deadline_us,
                 struct cli_http_answer *answer, struct cli_error *error)
{
    struct cli_http_parser *parser = cli_http_parser_new(answer);
    char bytes[16384];
    size_t used;
    int status = parser ? send_request(wire, address, request, deadline_us, error)
                        : cli_fail_no_memory(error);

    while (status == 0) {
        ssize_t count = cli_wire_read_some(wire, bytes, sizeof bytes, deadline_us);
        if (count < 0) {
            *error = wire->error;
            status = -1;
            break;
        }
        status = cli_http_parser_feed(parser, bytes, (size_t)count, &used);
        if (status < 0)
            (void)cli_fail(error, count == 0 ? "the connection was closed before an answer"
                                             : "what came is no HTTP");
    }
    cli_http_parser_free(parser);
    return status < 0 ? -1 : 0;
}
