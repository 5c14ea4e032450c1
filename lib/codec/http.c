#include "codec/http.h"

#include <assert.h>
#include <stdio.h>

#include <llhttp.h>

#include <pusherc/error.h>

/* The buffers up to this size stay with an idle connection for its next request: ordinary requests of
 * a server SDK fit and cost no allocation, and the memory of a large request is freed. */
#define KEPT_BYTES  4096
#define KEPT_FIELDS 32

#define FIRST_FIELDS 16 /* browsers send 12 to 16 */

/* Room reserved for a declared length. Above it the body buffer grows with the bytes that arrive, so
 * that a header alone cannot take memory. */
#define MAX_RESERVED_BYTES 16384

#define TLS_HANDSHAKE 0x16 /* the first byte of what a TLS client sends */

/* A chunk of one byte, "1\r\nx\r\n", is the longest form on the wire that a sender needs. */
#define WIRE_BYTES_PER_BODY_BYTE 6

enum parser_state {
    AWAIT_HEAD,
    AWAIT_BODY,   /* content_length bytes */
    AWAIT_CHUNKS, /* until llhttp has seen the last one and its trailers */
    COMPLETE,     /* until pc_http_parser_next() */
    FAILED
};

/* The fields that decide whether the connection stays open and where the request ends. */
enum known_field {
    HOST,
    EXPECT,
    UPGRADE,
    CONNECTION,
    CONTENT_LENGTH,
    TRANSFER_ENCODING
};

static const pusherc_slice known_names[] = {
    [HOST] = PUSHERC_LIT("Host"),
    [EXPECT] = PUSHERC_LIT("Expect"),
    [UPGRADE] = PUSHERC_LIT("Upgrade"),
    [CONNECTION] = PUSHERC_LIT("Connection"),
    [CONTENT_LENGTH] = PUSHERC_LIT("Content-Length"),
    [TRANSFER_ENCODING] = PUSHERC_LIT("Transfer-Encoding"),
};

#define KNOWN_COUNT (sizeof known_names / sizeof known_names[0])

/* Index in known_names, or -1. All lengths differ, so the length selects the only candidate; almost every client uses
 * the spelling above, so that is compared first. */
static int known_field(pusherc_slice name)
{
    for (size_t i = 0; i < KNOWN_COUNT; i++)
        if (name.len == known_names[i].len)
            return pc_slice_eq(name, known_names[i]) || pc_slice_eq_nocase(name, known_names[i])
                       ? (int)i
                       : -1;
    return -1;
}

/*
 * How a request is read. The head goes through llhttp, which finds its end and refuses broken syntax, and
 * is copied to `head`. The complete head is then cut into fields, which point into `head`. A body with a
 * length is copied to `body` without llhttp; chunks go through llhttp, whose callbacks copy their data.
 * A request may arrive in any pieces: a feed function uses what belongs to its state and leaves the rest,
 * so the bytes of the next request stay with the caller. Each state has a maximum: head_bytes,
 * body_bytes, wire_left. A request costs one pass of llhttp over its head and one copy.
 */
struct pc_http_parser {
    struct pc_mem mem; /* a copy: a request that awaits a decision may outlive the server */
    struct pc_http_limits limits;
    enum parser_state state;
    bool wants_continue; /* the client waits for "100 Continue" */
    llhttp_t llhttp;
    struct pc_buf head;     /* as sent, from the method to the empty line */
    struct pc_buf body;     /* decoded */
    struct pc_pair *fields; /* owned; they point into head */
    size_t field_cap;
    struct {
        size_t count;
        pusherc_slice value; /* the last one's */
    } known[KNOWN_COUNT];
    uint64_t content_length;
    uint64_t wire_left; /* bytes the chunks may still cost */
    struct pc_http_message message;
    struct pc_http_error error;
    char error_text[112]; /* for error.text, if that is not a constant */
};

static bool fail(struct pc_http_parser *parser, int status, const char *text)
{
    parser->state = FAILED;
    parser->error = (struct pc_http_error){status, text};
    return false;
}

/* The body is declared to have `bytes`, and `more`: "" or " or more". */
static bool fail_body(struct pc_http_parser *parser, uint64_t bytes, const char *more)
{
    (void)snprintf(parser->error_text, sizeof parser->error_text,
                   "The request body has %llu bytes%s, the maximum is %zu (max_http_body_bytes).",
                   (unsigned long long)bytes, more, parser->limits.body_bytes);
    return fail(parser, 413, parser->error_text);
}

static bool fail_memory(struct pc_http_parser *parser)
{
    return fail(parser, 500, "Out of memory.");
}

/* llhttp stopped with `err` at `bad`, the first byte that it did not accept. */
static void fail_syntax(struct pc_http_parser *parser, llhttp_errno_t err, char bad)
{
    switch (err) {
    case HPE_INVALID_METHOD:
        /* A method we do not know, a TLS greeting, or no HTTP at all. */
        if (pc_http_is_token(pc_slice(&bad, 1)) || (bad == ' ' && parser->head.len > 0))
            fail(parser, 501, "Unknown method.");
        else if (bad == TLS_HANDSHAKE && parser->head.len == 0)
            fail(parser, 400, "This port speaks no TLS: use http:// or ws://.");
        else
            fail(parser, 400, "This is not HTTP.");
        return;
    case HPE_INVALID_VERSION:
    case HPE_PAUSED_H2_UPGRADE:
        fail(parser, 505, "Only HTTP/1.1 and HTTP/1.0 are spoken here.");
        return;
    case HPE_INVALID_URL:
        fail(parser, 400, "Malformed request target.");
        return;
    case HPE_UNEXPECTED_CONTENT_LENGTH:
    case HPE_INVALID_CONTENT_LENGTH:
        fail(parser, 400, "Malformed or repeated Content-Length.");
        return;
    case HPE_INVALID_TRANSFER_ENCODING:
        if (parser->llhttp.flags & F_CONTENT_LENGTH)
            fail(parser, 400, "Content-Length together with Transfer-Encoding.");
        else
            fail(parser, 501, "The only transfer coding is chunked.");
        return;
    case HPE_INVALID_CHUNK_SIZE:
        fail(parser, 400, "Malformed chunk size.");
        return;
    case HPE_INVALID_HEADER_TOKEN:
        fail(parser, 400, "Malformed header field.");
        return;
    default: /* newer versions of llhttp have more codes */
        fail(parser, 400, "Malformed request.");
        return;
    }
}

/*
 * llhttp decides where a head and a chunk end, and refuses broken syntax; all its lenient modes are
 * off. The code below cuts the accepted head into fields and checks it strictly again, so a request is
 * accepted only if two parsers agree on it.
 */

static int on_headers_complete(llhttp_t *llhttp)
{
    (void)llhttp;
    return HPE_PAUSED;
}

static int on_chunk_header(llhttp_t *llhttp)
{
    struct pc_http_parser *parser = llhttp->data;
    uint64_t length = parser->body.len + llhttp->content_length;
    if (llhttp->content_length > parser->limits.body_bytes - parser->body.len) {
        fail_body(parser, length, " or more");
        return -1;
    }
    return 0;
}

static int on_body(llhttp_t *llhttp, const char *at, size_t len)
{
    struct pc_http_parser *parser = llhttp->data;
    pc_buf_put(&parser->body, pc_slice(at, len));
    if (pc_buf_status(&parser->body)) {
        fail_memory(parser);
        return -1;
    }
    return 0;
}

static int on_message_complete(llhttp_t *llhttp)
{
    (void)llhttp;
    return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
    .on_headers_complete = on_headers_complete,
    .on_chunk_header = on_chunk_header,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

/* Cuts the first line, without its CR LF, off `text`. */
static bool take_line(pusherc_slice *text, pusherc_slice *line)
{
    size_t n = pc_slice_find(*text, '\n');
    if (n == text->len || n == 0 || text->ptr[n - 1] != '\r')
        return false;
    *line = pc_slice_first(*text, n - 1);
    *text = pc_slice_skip(*text, n + 1);
    return true;
}

static bool split_target(struct pc_http_parser *parser)
{
    struct pc_http_message *m = &parser->message;
    pusherc_slice rest = m->target;
    if (pc_slice_eq(rest, PC_S("*"))) {
        m->path = rest;
        return pc_slice_eq(m->method, PC_S("OPTIONS")) ||
               fail(parser, 400, "Malformed request target.");
    }
    if (rest.ptr[0] != '/') {
        size_t scheme = pc_slice_eq_nocase(pc_slice_first(rest, 7), PC_S("http://"))    ? 7
                        : pc_slice_eq_nocase(pc_slice_first(rest, 8), PC_S("https://")) ? 8
                                                                                        : 0;
        rest = pc_slice_skip(rest, scheme);
        size_t authority = pc_slice_find(rest, '/');
        authority = pc_slice_find(pc_slice_first(rest, authority), '?');
        if (!scheme || !authority)
            return fail(parser, 400, "Malformed request target.");
        rest = pc_slice_skip(rest, authority);
    }
    /* llhttp accepts a fragment. It is not for servers (RFC 9110, section 7.1), so the client is broken. */
    if (pc_slice_find(rest, '#') < rest.len)
        return fail(parser, 400, "Malformed request target.");
    size_t path = pc_slice_find(rest, '?');
    m->path = path ? pc_slice_first(rest, path) : PC_S("/");
    if (path < rest.len)
        m->query = pc_slice_skip(rest, path + 1);
    return true;
}

static bool split_request_line(struct pc_http_parser *parser, pusherc_slice line)
{
    struct pc_http_message *m = &parser->message;
    size_t method = pc_slice_find(line, ' ');
    m->method = pc_slice_first(line, method);
    line = pc_slice_skip(line, method < line.len ? method + 1 : method);
    size_t target = pc_slice_find(line, ' ');
    m->target = pc_slice_first(line, target);
    pusherc_slice version = pc_slice_skip(line, target < line.len ? target + 1 : target);
    if (!method || !target || !pc_slice_starts(version, PC_S("HTTP/")))
        return fail(parser, 400, "Malformed request line.");
    m->http10 = pc_slice_eq(version, PC_S("HTTP/1.0"));
    if (!m->http10 && !pc_slice_eq(version, PC_S("HTTP/1.1")))
        return fail(parser, 505, "Only HTTP/1.1 and HTTP/1.0 are spoken here.");
    if (pc_slice_eq(m->method, PC_S("CONNECT")))
        return fail(parser, 501, "This is no proxy.");
    return split_target(parser);
}

static bool add_field(struct pc_http_parser *parser, pusherc_slice name, pusherc_slice value)
{
    size_t count = parser->message.field_count;
    if (count == PC_HTTP_MAX_FIELDS)
        return fail(parser, 431, "Too many header fields.");
    if (count == parser->field_cap) {
        size_t cap = count ? 2 * count : FIRST_FIELDS;
        void *fields = pc_resize_array(&parser->mem, parser->fields, cap, sizeof *parser->fields);
        if (!fields)
            return fail_memory(parser);
        parser->fields = fields;
        parser->field_cap = cap;
    }
    int known = known_field(name);
    if (known >= 0) {
        parser->known[known].count++;
        parser->known[known].value = value;
    }
    parser->fields[count] = (struct pc_pair){name, value};
    parser->message.fields = parser->fields;
    parser->message.field_count = count + 1;
    return true;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool split_fields(struct pc_http_parser *parser, pusherc_slice text)
{
    pusherc_slice line;
    while (take_line(&text, &line)) {
        if (line.len == 0)
            return text.len == 0 || fail(parser, 400, "Malformed request.");
        size_t colon = pc_slice_find(line, ':');
        if (colon == 0 || colon == line.len || is_blank(line.ptr[0]) ||
            is_blank(line.ptr[colon - 1]))
            break;
        pusherc_slice value = pc_slice_skip(line, colon + 1);
        while (value.len && is_blank(value.ptr[0]))
            value = pc_slice_skip(value, 1);
        while (value.len && is_blank(value.ptr[value.len - 1]))
            value.len--;
        if (!add_field(parser, pc_slice_first(line, colon), value))
            return false;
    }
    return fail(parser, 400, "Malformed header field.");
}

static bool is_host_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '-' && c <= ':' && c != '/') ||
           (c > ' ' && c <= '~' && !strchr("\"#,/<>?@\\^`{|}", c));
}

static bool check_host(struct pc_http_parser *parser)
{
    pusherc_slice host = parser->known[HOST].value;
    if (parser->known[HOST].count == 0)
        return parser->message.http10 || fail(parser, 400, "Host missing.");
    if (parser->known[HOST].count > 1)
        return fail(parser, 400, "Repeated Host.");
    for (size_t i = 0; i < host.len; i++)
        if (!is_host_char(host.ptr[i]))
            return fail(parser, 400, "Malformed Host.");
    return true;
}

/* Sets the state after the head: RFC 9112, section 6.3. */
static bool decide_body(struct pc_http_parser *parser)
{
    size_t codings = parser->known[TRANSFER_ENCODING].count;
    size_t lengths = parser->known[CONTENT_LENGTH].count;
    if (codings > 0) {
        if (lengths > 0)
            return fail(parser, 400, "Content-Length together with Transfer-Encoding.");
        if (parser->message.http10)
            return fail(parser, 400, "Transfer-Encoding in HTTP/1.0.");
        if (codings > 1 ||
            !pc_slice_eq_nocase(parser->known[TRANSFER_ENCODING].value, PC_S("chunked")))
            return fail(parser, 501, "The only transfer coding is chunked.");
        parser->wire_left = (uint64_t)parser->limits.body_bytes * WIRE_BYTES_PER_BODY_BYTE +
                            parser->limits.head_bytes;
        parser->state = AWAIT_CHUNKS;
        return true;
    }
    parser->content_length = 0;
    if (lengths > 1 || (lengths == 1 && !pc_slice_to_u64(parser->known[CONTENT_LENGTH].value,
                                                         &parser->content_length)))
        return fail(parser, 400, "Malformed or repeated Content-Length.");
    if (parser->content_length > parser->limits.body_bytes)
        return fail_body(parser, parser->content_length, "");
    parser->state = parser->content_length ? AWAIT_BODY : COMPLETE;
    return true;
}

/* `after`: bytes behind the head arrived with it, so the client does not wait for "100 Continue". */
static bool check_expect(struct pc_http_parser *parser, bool after)
{
    if (parser->known[EXPECT].count == 0)
        return true;
    if (!pc_slice_eq_nocase(parser->known[EXPECT].value, PC_S("100-continue")))
        return fail(parser, 417, "The only expectation is 100-continue.");
    parser->wants_continue = !parser->message.http10 && !after && parser->state != COMPLETE;
    return true;
}

static void decide_connection(struct pc_http_parser *parser)
{
    struct pc_http_message *m = &parser->message;
    m->keep_alive = !m->http10;
    if (parser->known[CONNECTION].count == 0)
        return;
    if (pc_http_field_has(m, PC_S("Connection"), PC_S("close")))
        m->keep_alive = false;
    else if (m->http10)
        m->keep_alive = pc_http_field_has(m, PC_S("Connection"), PC_S("keep-alive"));
    m->upgrade = parser->known[UPGRADE].count > 0 && !m->http10 && parser->state == COMPLETE &&
                 pc_slice_eq(m->method, PC_S("GET")) &&
                 pc_http_field_has(m, PC_S("Connection"), PC_S("upgrade")) &&
                 pc_http_field_has(m, PC_S("Upgrade"), PC_S("websocket"));
}

static void head_complete(struct pc_http_parser *parser, bool after)
{
    pusherc_slice text = pc_buf_slice(&parser->head);
    pusherc_slice line;
    if (!take_line(&text, &line)) {
        fail(parser, 400, "Malformed request line.");
        return;
    }
    if (split_request_line(parser, line) && split_fields(parser, text) && check_host(parser) &&
        decide_body(parser) && check_expect(parser, after))
        decide_connection(parser);
    if (parser->state == AWAIT_CHUNKS)
        llhttp_resume(&parser->llhttp);
}

/* Each feed function consumes bytes of `rest`, and changes the state when its part is complete. */

static void feed_head(struct pc_http_parser *parser, pusherc_slice *rest)
{
    /* Old clients send an empty line after a body; it leaves the connection idle. */
    while (parser->head.len == 0 && rest->len && (rest->ptr[0] == '\r' || rest->ptr[0] == '\n'))
        *rest = pc_slice_skip(*rest, 1);
    if (rest->len == 0)
        return;

    pusherc_slice part = pc_slice_first(*rest, parser->limits.head_bytes - parser->head.len);
    llhttp_errno_t err = llhttp_execute(&parser->llhttp, part.ptr, part.len);
    size_t taken = part.len;
    if (err != HPE_OK)
        taken = (size_t)(llhttp_get_error_pos(&parser->llhttp) - part.ptr);
    pc_buf_put(&parser->head, pc_slice_first(part, taken));
    *rest = pc_slice_skip(*rest, taken);
    if (pc_buf_status(&parser->head))
        fail_memory(parser);
    else if (err == HPE_PAUSED)
        head_complete(parser, rest->len > 0);
    else if (err != HPE_OK)
        fail_syntax(parser, err, taken < part.len ? part.ptr[taken] : '\0');
    else if (parser->head.len < parser->limits.head_bytes)
        return;
    else if (pc_slice_find(pc_buf_slice(&parser->head), '\n') == parser->head.len)
        fail(parser, 414, "Request target too long.");
    else
        fail(parser, 431, "Header fields too large.");
}

static void feed_body(struct pc_http_parser *parser, pusherc_slice *rest)
{
    size_t left = (size_t)parser->content_length - parser->body.len; /* at most body_bytes */
    if (parser->body.len == 0 && rest->len)
        (void)pc_buf_reserve(&parser->body, left < MAX_RESERVED_BYTES ? left : MAX_RESERVED_BYTES);
    pusherc_slice part = pc_slice_first(*rest, left);
    pc_buf_put(&parser->body, part);
    *rest = pc_slice_skip(*rest, part.len);
    if (pc_buf_status(&parser->body))
        fail_memory(parser);
    else if (part.len == left)
        parser->state = COMPLETE;
}

static void feed_chunks(struct pc_http_parser *parser, pusherc_slice *rest)
{
    if (rest->len == 0)
        return;
    pusherc_slice part = *rest;
    if (part.len > parser->wire_left)
        part.len = (size_t)parser->wire_left;
    llhttp_errno_t err = llhttp_execute(&parser->llhttp, part.ptr, part.len);
    size_t taken = part.len;
    if (err != HPE_OK)
        taken = (size_t)(llhttp_get_error_pos(&parser->llhttp) - part.ptr);
    parser->wire_left -= taken;
    *rest = pc_slice_skip(*rest, taken);
    if (parser->state == FAILED)
        return; /* a callback set the error */
    if (err == HPE_PAUSED)
        parser->state = COMPLETE;
    else if (err != HPE_OK)
        fail_syntax(parser, err, '\0');
    else if (parser->wire_left == 0)
        fail(parser, 413, "Chunk sizes, extensions and trailers too large.");
}

enum pc_http_result pc_http_parser_feed(struct pc_http_parser *parser, pusherc_slice bytes,
                                        size_t *consumed)
{
    pusherc_slice rest = bytes;
    if (parser->state == AWAIT_HEAD)
        feed_head(parser, &rest);
    if (parser->state == AWAIT_BODY)
        feed_body(parser, &rest);
    else if (parser->state == AWAIT_CHUNKS)
        feed_chunks(parser, &rest);
    *consumed = bytes.len - rest.len;

    switch (parser->state) {
    case AWAIT_HEAD:
        return PC_HTTP_MORE;
    case AWAIT_BODY:
    case AWAIT_CHUNKS:
        if (!parser->wants_continue)
            return PC_HTTP_MORE;
        parser->wants_continue = false;
        return PC_HTTP_CONTINUE;
    case COMPLETE:
        parser->message.body = pc_buf_slice(&parser->body);
        return PC_HTTP_REQUEST;
    case FAILED:
        break;
    }
    return PC_HTTP_ERROR;
}

int pc_http_parser_new(struct pc_http_parser **out, const struct pc_mem *mem,
                       struct pc_http_limits limits)
{
    assert(limits.head_bytes > 0);
    *out = NULL;
    struct pc_http_parser *parser = pc_alloc_zero(mem, sizeof *parser);
    if (!parser)
        return PUSHERC_ENOMEM;
    parser->mem = *mem;
    parser->limits = limits;
    parser->state = AWAIT_HEAD;
    pc_buf_init(&parser->head, &parser->mem, limits.head_bytes);
    pc_buf_init(&parser->body, &parser->mem, limits.body_bytes);
    llhttp_init(&parser->llhttp, HTTP_REQUEST, &settings);
    parser->llhttp.data = parser;
    *out = parser;
    return 0;
}

void pc_http_parser_free(struct pc_http_parser *parser)
{
    if (!parser)
        return;
    struct pc_mem mem = parser->mem;
    pc_buf_free(&parser->head);
    pc_buf_free(&parser->body);
    pc_free(&mem, parser->fields);
    pc_free(&mem, parser);
}

const struct pc_http_message *pc_http_parser_message(const struct pc_http_parser *parser)
{
    return &parser->message;
}

static void empty(struct pc_buf *buf)
{
    if (buf->cap > KEPT_BYTES)
        pc_buf_free(buf);
    else
        pc_buf_clear(buf);
}

int pc_http_parser_retarget(struct pc_http_parser *parser, pusherc_slice target)
{
    struct pc_http_message *m = &parser->message;
    size_t len = m->body.len;
    int err = 0;
    assert(parser->state == COMPLETE);
    if (!pc_buf_reserve(&parser->body, target.len)) {
        err = pc_buf_status(&parser->body);
    } else {
        pc_buf_put(&parser->body, target);
        target = pc_slice_skip(pc_buf_slice(&parser->body), len);
        m->sent_path = m->path;
        size_t path = pc_slice_find(target, '?');
        m->path = pc_slice_first(target, path);
        m->query = pc_slice_skip(target, path < target.len ? path + 1 : path);
    }
    m->body = pc_slice_first(pc_buf_slice(&parser->body), len);
    return err;
}

void pc_http_parser_next(struct pc_http_parser *parser)
{
    assert(parser->state == COMPLETE);
    empty(&parser->head);
    empty(&parser->body);
    if (parser->field_cap > KEPT_FIELDS) {
        pc_free(&parser->mem, parser->fields);
        parser->fields = NULL;
        parser->field_cap = 0;
    }
    memset(parser->known, 0, sizeof parser->known);
    parser->message = (struct pc_http_message){0};
    /* Resets llhttp in any case: it would read no request after "close" or "upgrade". */
    llhttp_reset(&parser->llhttp);
    parser->state = AWAIT_HEAD;
}

bool pc_http_parser_idle(const struct pc_http_parser *parser)
{
    return parser->state == AWAIT_HEAD && parser->head.len == 0;
}

bool pc_http_parser_in_body(const struct pc_http_parser *parser)
{
    return parser->state == AWAIT_BODY || parser->state == AWAIT_CHUNKS;
}

struct pc_http_error pc_http_parser_error(const struct pc_http_parser *parser)
{
    return parser->error;
}
