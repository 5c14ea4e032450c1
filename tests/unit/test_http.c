#include "codec/http.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <pusherc/error.h>

#include "unit/failing_alloc.h"

static const struct pc_http_limits limits = {.head_bytes = 1000, .body_bytes = 100};

/* What came out of a parser, as text. */
struct log {
    char text[8192];
    size_t len;
};

static void add(struct log *log, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add(struct log *log, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(log->text + log->len, sizeof log->text - log->len, format, args);
    va_end(args);
    assert_true(n >= 0 && (size_t)n < sizeof log->text - log->len);
    log->len += (size_t)n;
}

static void add_slice(struct log *log, const char *before, pusherc_slice s)
{
    add(log, "%s%.*s", before, (int)s.len, s.len ? s.ptr : "");
}

/* METHOD PATH[?QUERY] [HTTP/1.0] [close] [upgrade] [+FIELDS, Host left out] [BODY]; */
static void add_message(struct log *log, const struct pc_http_message *m)
{
    add_slice(log, "", m->method);
    add_slice(log, " ", m->path);
    if (m->query.ptr)
        add_slice(log, "?", m->query);
    add(log, m->http10 ? " 1.0" : "");
    add(log, m->keep_alive ? "" : " close");
    add(log, m->upgrade ? " upgrade" : "");
    for (size_t i = 0; i < m->field_count; i++) {
        if (pc_slice_eq(m->fields[i].name, PC_S("Host")))
            continue;
        add_slice(log, " ", m->fields[i].name);
        add_slice(log, "=", m->fields[i].value);
    }
    if (m->body.len)
        add_slice(log, " :", m->body);
    add(log, "; ");
}

/* A block of its own, so that reading past the end is seen. */
static enum pc_http_result feed_copy(struct pc_http_parser *parser, const char *bytes, size_t len,
                                     size_t *consumed)
{
    char *copy = malloc(len ? len : 1);
    memcpy(copy, bytes, len);
    enum pc_http_result result = pc_http_parser_feed(parser, pc_slice(copy, len), consumed);
    free(copy);
    assert_true(*consumed <= len);
    return result;
}

/* Feeds all of `input`, first a piece of `first`, then pieces of `step` (0 = all there is). */
static int feed(const struct pc_mem *mem, struct pc_http_limits with, pusherc_slice input,
                size_t first, size_t step, struct log *log)
{
    struct pc_http_parser *parser;
    log->len = 0;
    log->text[0] = '\0';
    if (pc_http_parser_new(&parser, mem, with))
        return 500;
    size_t at = 0;
    int status = 0;
    while (at < input.len && status == 0) {
        size_t n = at == 0 && first ? first : step && step < input.len - at ? step : input.len - at;
        size_t end = at + n;
        while (at < end && status == 0) {
            size_t consumed;
            switch (feed_copy(parser, input.ptr + at, end - at, &consumed)) {
            case PC_HTTP_MORE:
            case PC_HTTP_CONTINUE: /* has its own tests: it depends on how the bytes come */
                assert_int_equal(consumed, end - at);
                break;
            case PC_HTTP_REQUEST:
                assert_false(pc_http_parser_idle(parser));
                add_message(log, pc_http_parser_message(parser));
                pc_http_parser_next(parser);
                assert_true(pc_http_parser_idle(parser));
                break;
            case PC_HTTP_ERROR:
                status = pc_http_parser_error(parser).status;
                add(log, "%d", status);
                assert_non_null(pc_http_parser_error(parser).text);
                break;
            }
            at += consumed;
        }
    }
    if (status == 0 && pc_http_parser_in_body(parser))
        add(log, "body...");
    else if (status == 0 && !pc_http_parser_idle(parser))
        add(log, "head...");
    pc_http_parser_free(parser);
    return status;
}

static void check(const char *what, const struct log *log, const char *expected)
{
    if (strcmp(log->text, expected) != 0)
        fail_msg("%s: %s, expected %s", what, log->text, expected);
}

/* Whole, byte by byte, and cut in two at every place. */
static void expect(const char *what, pusherc_slice input, const char *expected)
{
    struct pc_mem mem = pc_mem_make(NULL);
    struct log log;
    feed(&mem, limits, input, 0, 0, &log);
    check(what, &log, expected);
    feed(&mem, limits, input, 0, 1, &log);
    check(what, &log, expected);
    for (size_t cut = 1; cut < input.len; cut++) {
        feed(&mem, limits, input, cut, 0, &log);
        check(what, &log, expected);
    }
}

#define V(what, input, expected)                                                                   \
    {                                                                                              \
        what, PUSHERC_LIT(input), expected                                                         \
    }
#define HOST "Host: a\r\n"
#define END  "\r\n"

static const struct {
    const char *what;
    pusherc_slice input;
    const char *expected;
} vectors[] = {
    /* requests */
    V("plain", "GET / HTTP/1.1\r\n" HOST END, "GET /; "),
    V("query", "GET /a/b?c=1&d HTTP/1.1\r\n" HOST END, "GET /a/b?c=1&d; "),
    V("empty query", "GET /a? HTTP/1.1\r\n" HOST END, "GET /a?; "),
    V("a question mark in the query", "GET /a?b?c HTTP/1.1\r\n" HOST END, "GET /a?b?c; "),
    V("escapes stay", "GET /%41%2f?%26 HTTP/1.1\r\n" HOST END, "GET /%41%2f?%26; "),
    V("two slashes", "GET //x/ HTTP/1.1\r\n" HOST END, "GET //x/; "),
    V("absolute form", "GET http://a.b:80/c?d HTTP/1.1\r\n" HOST END, "GET /c?d; "),
    V("absolute form without path", "GET https://a.b HTTP/1.1\r\n" HOST END, "GET /; "),
    V("absolute form, query only", "GET HTTP://a?x/y HTTP/1.1\r\n" HOST END, "GET /?x/y; "),
    V("asterisk", "OPTIONS * HTTP/1.1\r\n" HOST END, "OPTIONS *; "),
    V("other methods", "DELETE /x HTTP/1.1\r\n" HOST END, "DELETE /x; "),
    V("field values lose the white space around them",
      "GET / HTTP/1.1\r\n" HOST "A: \t b c \t \r\nB:d\r\nC:\r\nD:  \r\n" END,
      "GET / A=b c B=d C= D=; "),
    V("bytes above 127 in a value", "GET / HTTP/1.1\r\n" HOST "A: \xc3\xbc\xff\r\n" END,
      "GET / A=\xc3\xbc\xff; "),
    V("empty lines before a request", "\r\n\r\nGET / HTTP/1.1\r\n" HOST END, "GET /; "),
    V("pipelined", "GET /1 HTTP/1.1\r\n" HOST END "GET /2 HTTP/1.1\r\n" HOST END,
      "GET /1; GET /2; "),
    V("pipelined after bodies",
      "POST /1 HTTP/1.1\r\n" HOST "Content-Length: 3\r\n" END "abc"
      "POST /2 HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n" END "3\r\ndef\r\n0\r\n\r\n"
      "GET /3 HTTP/1.1\r\n" HOST END,
      "POST /1 Content-Length=3 :abc; POST /2 Transfer-Encoding=chunked :def; GET /3; "),
    V("an empty line after a body",
      "POST /1 HTTP/1.1\r\n" HOST "Content-Length: 1\r\n" END "x\r\nGET /2 HTTP/1.1\r\n" HOST END,
      "POST /1 Content-Length=1 :x; GET /2; "),
    V("nothing but empty lines is idle", "\r\n\r\n", ""),
    V("a part of a head", "GET / HTTP/1.1\r\nHos", "head..."),
    V("Host with a port", "GET / HTTP/1.1\r\nHost: [::1]:80\r\n" END, "GET /; "),
    V("an empty Host", "GET / HTTP/1.1\r\nHost:\r\n" END, "GET /; "),

    /* bodies */
    V("Content-Length", "POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\n" END "hello",
      "POST / Content-Length=5 :hello; "),
    V("an empty body", "POST / HTTP/1.1\r\n" HOST "Content-Length: 0\r\n" END,
      "POST / Content-Length=0; "),
    V("leading zeros", "POST / HTTP/1.1\r\n" HOST "Content-Length: 002\r\n" END "ab",
      "POST / Content-Length=002 :ab; "),
    V("GET with a body", "GET / HTTP/1.1\r\n" HOST "Content-Length: 2\r\n" END "ab",
      "GET / Content-Length=2 :ab; "),
    V("a part of a body", "POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\n" END "hell", "body..."),
#define CHUNKED "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n" END
#define TE      "POST / Transfer-Encoding=chunked"
    V("chunks", CHUNKED "3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n", TE " :abc0123456789; "),
    V("no chunks", CHUNKED "0\r\n\r\n", TE "; "),
    V("lower-case size with zeros", CHUNKED "00a\r\n0123456789\r\n000\r\n\r\n",
      TE " :0123456789; "),
    V("chunk extensions are ignored", CHUNKED "1;a=b;c=\"d;e\"\r\nx\r\n0;f\r\n\r\n", TE " :x; "),
    V("trailers are ignored",
      CHUNKED "1\r\nx\r\n0\r\nA: b\r\nConnection: close\r\n\r\nGET / HTTP/1.1\r\n" HOST END,
      TE " :x; GET /; "),
    V("Chunked in any case",
      "POST / HTTP/1.1\r\n" HOST "transfer-encoding: CHUNKED\r\n" END "0\r\n\r\n",
      "POST / transfer-encoding=CHUNKED; "),
    V("no end of chunks yet", CHUNKED "1\r\nx\r\n0\r\n", "body..."),

    /* keep-alive */
    V("close", "GET / HTTP/1.1\r\n" HOST "Connection: close\r\n" END,
      "GET / close Connection=close; "),
    V("close in a list", "GET / HTTP/1.1\r\n" HOST "Connection: x, Close\t\r\n" END,
      "GET / close Connection=x, Close; "),
    V("close among fields", "GET / HTTP/1.1\r\n" HOST "Connection: x\r\nConnection: close\r\n" END,
      "GET / close Connection=x Connection=close; "),
    V("a longer token is not close", "GET / HTTP/1.1\r\n" HOST "Connection: closed\r\n" END,
      "GET / Connection=closed; "),
    V("1.0 closes", "GET / HTTP/1.0\r\n" END, "GET / 1.0 close; "),
    V("1.0 stays on request", "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n" END,
      "GET / 1.0 Connection=Keep-Alive; "),
    V("close wins", "GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n" END,
      "GET / 1.0 close Connection=keep-alive, close; "),

    /* upgrades */
    V("websocket",
      "GET / HTTP/1.1\r\n" HOST "Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n" END,
      "GET / upgrade Connection=keep-alive, Upgrade Upgrade=WebSocket; "),
    V("without Connection", "GET / HTTP/1.1\r\n" HOST "Upgrade: websocket\r\n" END,
      "GET / Upgrade=websocket; "),
    V("h2c is a plain request",
      "GET /1 HTTP/1.1\r\n" HOST "Connection: Upgrade\r\nUpgrade: h2c\r\n" END
      "GET /2 HTTP/1.1\r\n" HOST END,
      "GET /1 Connection=Upgrade Upgrade=h2c; GET /2; "),
    V("h2c with chunks",
      "POST / HTTP/1.1\r\n" HOST
      "Connection: Upgrade\r\nUpgrade: h2c\r\nTransfer-Encoding: chunked\r\n" END
      "1\r\nx\r\n0\r\n\r\nGET /2 HTTP/1.1\r\n" HOST END,
      "POST / Connection=Upgrade Upgrade=h2c Transfer-Encoding=chunked :x; GET /2; "),
    V("POST cannot become a WebSocket",
      "POST / HTTP/1.1\r\n" HOST "Connection: Upgrade\r\nUpgrade: websocket\r\n" END,
      "POST / Connection=Upgrade Upgrade=websocket; "),
    V("nor HTTP/1.0", "GET / HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" END,
      "GET / 1.0 close Connection=Upgrade Upgrade=websocket; "),
    V("nor a request with a body",
      "GET / HTTP/1.1\r\n" HOST
      "Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 1\r\n" END "x",
      "GET / Connection=Upgrade Upgrade=websocket Content-Length=1 :x; "),

    /* what is no HTTP/1.1 */
    V("a TLS greeting", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "400"),
    V("NUL", "\0", "400"),
    V("an unknown method", "FOO / HTTP/1.1\r\n" HOST END, "501"),
    V("a method in lower case", "get / HTTP/1.1\r\n" HOST END, "501"),
    V("a method that goes on", "GETS / HTTP/1.1\r\n" HOST END, "501"),
    V("a cut method", "GE / HTTP/1.1\r\n" HOST END, "501"),
    V("CONNECT", "CONNECT a:1 HTTP/1.1\r\n" HOST END, "501"),
    V("the HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505"),
    V("HTTP/2.0", "GET / HTTP/2.0\r\n" HOST END, "505"),
    V("HTTP/0.9, said", "GET / HTTP/0.9\r\n" END, "505"),
    V("HTTP/0.9, meant", "GET /\r\n" END, "400"),
    V("HTTP/1.2", "GET / HTTP/1.2\r\n" HOST END, "505"),
    V("HTTP/11.1", "GET / HTTP/11.1\r\n" HOST END, "505"),
    V("RTSP", "GET / RTSP/1.0\r\n" HOST END, "400"),
    V("ICE", "SOURCE / ICE/1.0\r\n" HOST END, "400"),
    V("a method of RTSP", "DESCRIBE / HTTP/1.1\r\n" HOST END, "400"),

    /* request lines */
    V("two blanks before the target", "GET  / HTTP/1.1\r\n" HOST END, "400"),
    V("two blanks before the version", "GET /  HTTP/1.1\r\n" HOST END, "400"),
    V("a blank after the version", "GET / HTTP/1.1 \r\n" HOST END, "505"),
    V("a tab for a blank", "GET\t/ HTTP/1.1\r\n" HOST END, "400"),
    V("a blank in the target", "GET /a b HTTP/1.1\r\n" HOST END, "400"),
    V("a fragment", "GET /a#b HTTP/1.1\r\n" HOST END, "400"),
    V("a fragment in the query", "GET /a?b#c HTTP/1.1\r\n" HOST END, "400"),
    V("a control in the target", "GET /\x01 HTTP/1.1\r\n" HOST END, "400"),
    V("a byte above 127 in the target", "GET /\xc3\xbc HTTP/1.1\r\n" HOST END, "400"),
    V("asterisk without OPTIONS", "GET * HTTP/1.1\r\n" HOST END, "400"),
    V("no slash", "GET foo HTTP/1.1\r\n" HOST END, "400"),
    V("another scheme", "GET ftp://a/ HTTP/1.1\r\n" HOST END, "400"),
    V("a scheme without authority", "GET http:/// HTTP/1.1\r\n" HOST END, "400"),

    /* line ends and blanks where they do harm */
    V("LF after the request line", "GET / HTTP/1.1\nHost: a\r\n\r\n", "505"),
    V("LF after a field", "GET / HTTP/1.1\r\nHost: a\n\r\n", "400"),
    V("LF at the end of the head", "GET / HTTP/1.1\r\n" HOST "\n", "400"),
    V("CR inside a value", "GET / HTTP/1.1\r\n" HOST "A: b\rC: d\r\n" END, "400"),
    V("CR and another byte at the end", "GET / HTTP/1.1\r\n" HOST "\rX", "400"),
    V("NUL in a value", "GET / HTTP/1.1\r\n" HOST "A: b\0c\r\n" END, "400"),
    V("DEL in a value", "GET / HTTP/1.1\r\n" HOST "A: b\x7f\r\n" END, "400"),
    V("a folded value", "GET / HTTP/1.1\r\n" HOST "A: b\r\n c\r\n" END, "400"),
    V("a folded empty value", "GET / HTTP/1.1\r\n" HOST "A:\r\n\tc\r\n" END, "400"),
    V("a blank before the first field", "GET / HTTP/1.1\r\n Host: a\r\n" END, "400"),
    V("a tab before the first field", "GET / HTTP/1.1\r\n\tHost: a\r\n" END, "400"),
    V("a blank before the colon", "GET / HTTP/1.1\r\nHost : a\r\n" END, "400"),
    V("a tab before the colon", "GET / HTTP/1.1\r\n" HOST "A\t: a\r\n" END, "400"),
    V("no colon", "GET / HTTP/1.1\r\n" HOST "abc\r\n" END, "400"),
    V("no name", "GET / HTTP/1.1\r\n" HOST ": x\r\n" END, "400"),
    V("a name that is no token", "GET / HTTP/1.1\r\n" HOST "a(b): x\r\n" END, "400"),
    V("a name with a byte above 127", "GET / HTTP/1.1\r\n" HOST "\xc3\xbc: x\r\n" END, "400"),

    /* Host */
    V("no Host", "GET / HTTP/1.1\r\n" END, "400"),
    V("two Hosts", "GET / HTTP/1.1\r\n" HOST HOST END, "400"),
    V("two Hosts in 1.0", "GET / HTTP/1.0\r\n" HOST HOST END, "400"),
    V("a blank in Host", "GET / HTTP/1.1\r\nHost: a b\r\n" END, "400"),
    V("a path in Host", "GET / HTTP/1.1\r\nHost: a/b\r\n" END, "400"),
    V("a user in Host", "GET / HTTP/1.1\r\nHost: a@b\r\n" END, "400"),

    /* lengths */
    V("two lengths",
      "POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nContent-Length: 2\r\n" END "x", "400"),
    V("the same length twice",
      "POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nContent-Length: 1\r\n" END "x", "400"),
    V("a list of lengths", "POST / HTTP/1.1\r\n" HOST "Content-Length: 1, 1\r\n" END "x", "400"),
    V("a signed length", "POST / HTTP/1.1\r\n" HOST "Content-Length: +1\r\n" END "x", "400"),
    V("a negative length", "POST / HTTP/1.1\r\n" HOST "Content-Length: -1\r\n" END "x", "400"),
    V("a length in hex", "POST / HTTP/1.1\r\n" HOST "Content-Length: 0x1\r\n" END "x", "400"),
    V("an empty length", "POST / HTTP/1.1\r\n" HOST "Content-Length:\r\n" END, "400"),
    V("a length with a blank inside", "POST / HTTP/1.1\r\n" HOST "Content-Length: 1 1\r\n" END "x",
      "400"),
    V("a length above 2^64",
      "POST / HTTP/1.1\r\n" HOST "Content-Length: 18446744073709551617\r\n" END "x", "400"),
    V("a length above the limit", "POST / HTTP/1.1\r\n" HOST "Content-Length: 101\r\n" END, "413"),
    V("length and chunks",
      "POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n" END
      "0\r\n\r\n",
      "400"),
    V("chunks and length",
      "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n" END
      "0\r\n\r\n",
      "400"),
    V("length and an empty coding",
      "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding:\r\nContent-Length: 1\r\n" END "x", "400"),

    /* transfer codings */
    V("an empty coding", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding:\r\n" END "0\r\n\r\n",
      "501"),
    V("gzip", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip\r\n" END, "501"),
    V("gzip, chunked", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n" END,
      "501"),
    V("chunked, gzip", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked, gzip\r\n" END,
      "501"),
    V("chunked twice",
      "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n" END,
      "501"),
    V("identity, then chunked",
      "POST / HTTP/1.1\r\n" HOST
      "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n" END,
      "501"),
    V("xchunked", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: xchunked\r\n" END, "501"),
    V("chunked in quotes", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: \"chunked\"\r\n" END,
      "501"),
    V("chunks in HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n" END "0\r\n\r\n",
      "400"),

    /* chunks */
    V("no size", CHUNKED "\r\n", "400"),
    V("a size that is no number", CHUNKED "x\r\n", "400"),
    V("a size with 0x", CHUNKED "0x1\r\nx\r\n", "400"),
    V("a negative size", CHUNKED "-1\r\n", "400"),
    V("a blank before the size", CHUNKED " 1\r\nx\r\n", "400"),
    V("a blank after the size", CHUNKED "1 \r\nx\r\n", "400"),
    V("a size above 2^64", CHUNKED "10000000000000001\r\nx", "400"),
    V("a size above the limit", CHUNKED "65\r\n", "413"),
    V("chunks above the limit", CHUNKED "3\r\nabc\r\n62\r\n", "413"),
    V("LF after the size", CHUNKED "1\nx\r\n", "400"),
    V("CR alone after the size", CHUNKED "1\rx\r\n", "400"),
    V("more data than the size says", CHUNKED "1\r\nxy\r\n", "400"),
    V("LF after the data", CHUNKED "1\r\nx\n0\r\n\r\n", "400"),
    V("a NUL in an extension", CHUNKED "1;a=\0\r\nx", "400"),
    V("a broken trailer", CHUNKED "0\r\nA b\r\n\r\n", "400"),

    /* expectations */
    V("100-continue",
      "POST / HTTP/1.1\r\n" HOST "Expect: 100-Continue\r\nContent-Length: 1\r\n" END "x",
      "POST / Expect=100-Continue Content-Length=1 :x; "),
    V("another expectation", "POST / HTTP/1.1\r\n" HOST "Expect: 200-ok\r\n" END, "417"),
};

static void each_vector_gives_its_result_however_it_is_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++)
        expect(vectors[i].what, vectors[i].input, vectors[i].expected);
}

static bool feed_failing(size_t n, size_t step, const char *what, pusherc_slice input,
                         const char *expected)
{
    struct failing_alloc alloc;
    pusherc_allocator allocator = failing_alloc_init(&alloc, n);
    struct pc_mem mem = pc_mem_make(&allocator);
    struct log log;
    int status = feed(&mem, limits, input, 0, step, &log);
    assert_int_equal(failing_alloc_live(&alloc), 0);
    if (failing_alloc_hit(&alloc))
        assert_int_equal(status, 500);
    else
        check(what, &log, expected);
    return failing_alloc_hit(&alloc);
}

static void every_failed_allocation_is_answered_500(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        for (size_t step = 0; step < 2; step++) {
            size_t n = 1;
            while (feed_failing(n, step, vectors[i].what, vectors[i].input, vectors[i].expected))
                n++;
            assert_true(n > 1);
        }
    }
}

/* `make` gives a request with its head or body of exactly the length asked for. */
static void expect_limit(size_t len, bool fits, void make(struct pc_buf *, size_t), int status)
{
    struct pc_mem mem = pc_mem_make(NULL);
    struct pc_buf input;
    struct log log;
    pc_buf_init(&input, &mem, 1 << 20);
    make(&input, len);
    assert_int_equal(pc_buf_status(&input), 0);
    for (size_t step = 0; step < 40; step = step * 3 + 1) {
        assert_int_equal(feed(&mem, limits, pc_buf_slice(&input), 0, step, &log),
                         fits ? 0 : status);
        assert_int_equal(strchr(log.text, ';') != NULL, fits);
    }
    pc_buf_free(&input);
}

static void put_many(struct pc_buf *buf, char c, size_t count)
{
    for (size_t i = 0; i < count; i++)
        pc_buf_put_char(buf, c);
}

static void make_target(struct pc_buf *buf, size_t len)
{
    pc_buf_put(buf, PC_S("GET /"));
    put_many(buf, 'x', len - sizeof "GET / HTTP/1.1\r\n" HOST END + 1);
    pc_buf_put(buf, PC_S(" HTTP/1.1\r\n" HOST END));
}

static void make_value(struct pc_buf *buf, size_t len)
{
    pc_buf_put(buf, PC_S("GET / HTTP/1.1\r\n" HOST "A: "));
    put_many(buf, 'x', len - sizeof "GET / HTTP/1.1\r\n" HOST "A: \r\n" END + 1);
    pc_buf_put(buf, PC_S("\r\n" END));
}

static void make_body(struct pc_buf *buf, size_t len)
{
    pc_buf_put(buf, PC_S("POST / HTTP/1.1\r\n" HOST "Content-Length: "));
    pc_buf_put_u64(buf, len);
    pc_buf_put(buf, PC_S("\r\n" END));
    put_many(buf, 'x', len);
}

static void make_small_chunks(struct pc_buf *buf, size_t len)
{
    pc_buf_put(buf, PC_S(CHUNKED));
    for (size_t i = 0; i < len; i++)
        pc_buf_put(buf, PC_S("1\r\nx\r\n"));
    pc_buf_put(buf, PC_S("0\r\n\r\n"));
}

static void make_fields(struct pc_buf *buf, size_t len)
{
    pc_buf_put(buf, PC_S("GET / HTTP/1.1\r\n" HOST));
    for (size_t i = 1; i < len; i++)
        pc_buf_put(buf, PC_S("A:\r\n"));
    pc_buf_put(buf, PC_S(END));
}

static void each_limit_passes_and_one_more_does_not(void **state)
{
    (void)state;
    static const struct {
        void (*make)(struct pc_buf *, size_t);
        size_t limit;
        int status;
    } cases[] = {
        {make_target, 1000, 431},
        {make_value, 1000, 431},
        {make_body, 100, 413},
        {make_small_chunks, 100, 413},
        {make_fields, PC_HTTP_MAX_FIELDS, 431},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        expect_limit(cases[i].limit, true, cases[i].make, 0);
        expect_limit(cases[i].limit + 1, false, cases[i].make, cases[i].status);
    }
    expect_limit(2000, false, make_target, 414);
}

static void endless_chunk_framing_is_refused(void **state)
{
    (void)state;
    static const pusherc_slice starts[] = {
        PUSHERC_LIT(CHUNKED "0"),
        PUSHERC_LIT(CHUNKED "1;"),
        PUSHERC_LIT(CHUNKED "0\r\nA: "),
    };
    struct pc_mem mem = pc_mem_make(NULL);
    struct log log;
    for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++) {
        struct pc_buf input;
        pc_buf_init(&input, &mem, 1 << 20);
        pc_buf_put(&input, starts[i]);
        put_many(&input, '0', 1600);
        assert_int_equal(feed(&mem, limits, pc_buf_slice(&input), 0, 0, &log), 413);
        assert_int_equal(feed(&mem, limits, pc_buf_slice(&input), 0, 7, &log), 413);
        pc_buf_free(&input);
    }
}

/* How often "100 Continue" is asked for when the input comes in these two pieces. */
static size_t continues(pusherc_slice head, pusherc_slice body)
{
    struct pc_mem mem = pc_mem_make(NULL);
    struct pc_http_parser *parser;
    size_t consumed, count = 0;
    assert_int_equal(pc_http_parser_new(&parser, &mem, limits), 0);
    enum pc_http_result result = feed_copy(parser, head.ptr, head.len, &consumed);
    count += result == PC_HTTP_CONTINUE;
    for (size_t i = 0; i < body.len; i++) {
        assert_true(pc_http_parser_in_body(parser));
        result = feed_copy(parser, body.ptr + i, 1, &consumed);
        count += result == PC_HTTP_CONTINUE;
    }
    assert_int_equal(result, PC_HTTP_REQUEST);
    pc_http_parser_free(parser);
    return count;
}

static void continue_is_told_once_and_only_to_one_who_waits(void **state)
{
    (void)state;
#define EXPECT "Expect: 100-continue\r\n"
    assert_int_equal(
        continues(PC_S("POST / HTTP/1.1\r\n" HOST EXPECT "Content-Length: 3\r\n" END), PC_S("abc")),
        1);
    assert_int_equal(
        continues(PC_S("POST / HTTP/1.1\r\n" HOST EXPECT "Transfer-Encoding: chunked\r\n" END),
                  PC_S("1\r\nx\r\n0\r\n\r\n")),
        1);
    assert_int_equal(
        continues(PC_S("POST / HTTP/1.1\r\n" HOST EXPECT "Content-Length: 3\r\n" END "a"),
                  PC_S("bc")),
        0);
    assert_int_equal(
        continues(PC_S("POST / HTTP/1.1\r\n" HOST EXPECT "Content-Length: 3\r\n" END "abc"),
                  PC_S("")),
        0);
    assert_int_equal(
        continues(PC_S("POST / HTTP/1.1\r\n" HOST EXPECT "Content-Length: 0\r\n" END), PC_S("")),
        0);
    assert_int_equal(continues(PC_S("GET / HTTP/1.1\r\n" HOST EXPECT END), PC_S("")), 0);
    assert_int_equal(
        continues(PC_S("POST / HTTP/1.0\r\n" EXPECT "Content-Length: 3\r\n" END), PC_S("abc")), 0);
}

static void bytes_after_a_request_are_left_to_the_caller(void **state)
{
    (void)state;
    struct pc_mem mem = pc_mem_make(NULL);
    struct pc_http_parser *parser;
    size_t consumed;
    pusherc_slice input = PC_S("GET / HTTP/1.1\r\n" HOST
                               "Connection: Upgrade\r\nUpgrade: websocket\r\n" END "\x81\x80 rest");
    assert_int_equal(pc_http_parser_new(&parser, &mem, limits), 0);
    assert_int_equal(pc_http_parser_feed(parser, input, &consumed), PC_HTTP_REQUEST);
    assert_int_equal(input.len - consumed, 7);
    assert_true(pc_http_parser_message(parser)->upgrade);
    /* and none are taken before _next() */
    assert_int_equal(pc_http_parser_feed(parser, PC_S("GET"), &consumed), PC_HTTP_REQUEST);
    assert_int_equal(consumed, 0);
    pc_http_parser_free(parser);
}

static void an_error_stays(void **state)
{
    (void)state;
    struct pc_mem mem = pc_mem_make(NULL);
    struct pc_http_parser *parser;
    size_t consumed;
    assert_int_equal(pc_http_parser_new(&parser, &mem, limits), 0);
    assert_int_equal(pc_http_parser_feed(parser, PC_S("\x16"), &consumed), PC_HTTP_ERROR);
    assert_int_equal(pc_http_parser_feed(parser, PC_S("GET / HTTP/1.1\r\n" HOST END), &consumed),
                     PC_HTTP_ERROR);
    assert_int_equal(pc_http_parser_error(parser).status, 400);
    pc_http_parser_free(parser);
}

static void an_idle_parser_keeps_little_memory(void **state)
{
    (void)state;
    struct failing_alloc alloc;
    pusherc_allocator allocator = failing_alloc_init(&alloc, 0);
    struct pc_mem mem = pc_mem_make(&allocator);
    struct pc_http_parser *parser;
    struct pc_buf input;
    size_t consumed;
    assert_int_equal(pc_http_parser_new(&parser, &mem, (struct pc_http_limits){100000, 100000}), 0);
    pc_buf_init(&input, &mem, 1 << 20);
    make_value(&input, 20000);
    assert_int_equal(pc_http_parser_feed(parser, pc_buf_slice(&input), &consumed), PC_HTTP_REQUEST);
    pc_http_parser_next(parser);
    pc_buf_clear(&input);
    make_body(&input, 20000);
    assert_int_equal(pc_http_parser_feed(parser, pc_buf_slice(&input), &consumed), PC_HTTP_REQUEST);
    pc_http_parser_next(parser);
    pc_buf_clear(&input);
    make_fields(&input, 100);
    assert_int_equal(pc_http_parser_feed(parser, pc_buf_slice(&input), &consumed), PC_HTTP_REQUEST);
    pc_http_parser_next(parser);
    pc_buf_free(&input);
    assert_true(failing_alloc_live(&alloc) <= 2); /* the parser, perhaps a small head */
    pc_http_parser_free(parser);
    assert_int_equal(failing_alloc_live(&alloc), 0);
}

static void fields_and_cookies_are_found(void **state)
{
    (void)state;
    static const struct pc_pair fields[] = {
        {PUSHERC_LIT("Cookie"), PUSHERC_LIT("a=1; session=x=y;b = 2 ;none")},
        {PUSHERC_LIT("X-A"), PUSHERC_LIT("one, Two")},
        {PUSHERC_LIT("x-a"), PUSHERC_LIT(",three,,")},
        {PUSHERC_LIT("cookie"), PUSHERC_LIT("c=3; a=4")},
    };
    struct pc_http_message m = {.fields = fields, .field_count = 4};
    assert_true(pc_slice_eq(pc_http_field(&m, PC_S("X-a")), PC_S("one, Two")));
    assert_int_equal(pc_http_field(&m, PC_S("X")).len, 0);
    assert_true(pc_http_field_has(&m, PC_S("X-A"), PC_S("two")));
    assert_true(pc_http_field_has(&m, PC_S("X-A"), PC_S("Three")));
    assert_false(pc_http_field_has(&m, PC_S("X-A"), PC_S("thre")));
    assert_false(pc_http_field_has(&m, PC_S("X-A"), PC_S("one, two")));
    assert_true(pc_slice_eq(pc_http_cookie(&m, PC_S("session")), PC_S("x=y")));
    assert_true(pc_slice_eq(pc_http_cookie(&m, PC_S("b")), PC_S("2")));
    assert_true(pc_slice_eq(pc_http_cookie(&m, PC_S("c")), PC_S("3")));
    assert_true(pc_slice_eq(pc_http_cookie(&m, PC_S("a")), PC_S("1")));
    assert_int_equal(pc_http_cookie(&m, PC_S("none")).len, 0);
    assert_int_equal(pc_http_cookie(&m, PC_S("A")).len, 0);
}

static void expect_query_value(const char *query, const char *name, const char *expected)
{
    pusherc_slice value = pc_query_value(pc_slice_of(query), pc_slice_of(name));
    assert_int_equal(value.len, strlen(expected));
    assert_memory_equal(value.len ? value.ptr : "", expected, value.len);
}

static void a_query_value_is_the_first_that_is_not_empty(void **state)
{
    (void)state;
    expect_query_value("", "a", "");
    expect_query_value("&&", "a", "");
    expect_query_value("a", "a", "");
    expect_query_value("b=1&ab=2&a=3&a=4", "a", "3");
    expect_query_value("a&&a=&a=5&", "a", "5");
    expect_query_value("a=x=y", "a", "x=y");
    expect_query_value("A=1&a%3d=2", "a", "");
    expect_query_value("a=%20+", "a", "%20+");
}

static void expect_params(const char *query, size_t max_params, const char *expected)
{
    struct pc_mem mem = pc_mem_make(NULL);
    struct pc_buf scratch;
    struct pc_pair params[4];
    struct log log = {0};
    size_t count;
    pc_buf_init(&scratch, &mem, 1000);
    int status = pc_http_params(pc_slice_of(query), params, max_params, &count, &scratch);
    if (status)
        add(&log, "%s", status == PUSHERC_ELIMIT ? "limit" : "memory");
    for (size_t i = 0; i < count; i++) {
        add_slice(&log, "", params[i].name);
        add_slice(&log, "=", params[i].value);
        add(&log, ";");
    }
    check(query, &log, expected);
    pc_buf_free(&scratch);
}

static void query_strings_are_split_and_decoded(void **state)
{
    (void)state;
    expect_params("", 4, "");
    expect_params("a=1&b=2", 4, "a=1;b=2;");
    expect_params("a&b=&=c&&", 4, "a=;b=;=c;");
    expect_params("a=b=c", 4, "a=b=c;");
    expect_params("a%3D=%26%3d&b=+%2B+&c=%7e", 4, "a==&=;b= + ;c=~;");
    expect_params("a=%&b=%4&c=%zz&d=%%41", 4, "a=%;b=%4;c=%zz;d=%A;");
    expect_params("a=1&b=2&c=3", 2, "limit");
    expect_params("a=1&b=2&", 2, "a=1;b=2;");
}

static void decoding_uses_scratch_only_for_escapes(void **state)
{
    (void)state;
    struct pc_mem mem = pc_mem_make(NULL);
    struct pc_buf scratch;
    pusherc_slice out, text = PC_S("a+b");
    pc_buf_init(&scratch, &mem, 5);
    assert_int_equal(pc_http_decode(text, false, &scratch, &out), 0);
    assert_ptr_equal(out.ptr, text.ptr);
    assert_null(scratch.ptr);
    assert_int_equal(pc_http_decode(text, true, &scratch, &out), 0);
    assert_true(pc_slice_eq(out, PC_S("a b")));
    assert_int_equal(pc_http_decode(PC_S("%41%42"), true, &scratch, &out), PUSHERC_ELIMIT);
    assert_int_equal(out.len, 0);
    pc_buf_free(&scratch);
}

static void expect_reply(const struct pc_http_reply *reply, const char *expected)
{
    struct pc_mem mem = pc_mem_make(NULL);
    struct pc_buf buf;
    pc_buf_init(&buf, &mem, 10000);
    pc_http_put_reply(&buf, reply);
    pc_buf_put_char(&buf, '\0');
    assert_int_equal(pc_buf_status(&buf), 0);
    assert_string_equal(buf.ptr, expected);
    pc_buf_free(&buf);
}

static void replies_are_written(void **state)
{
    (void)state;
    static const struct pc_pair fields[] = {
        {PUSHERC_LIT("A"), PUSHERC_LIT("b")},
        {PUSHERC_LIT("C"), PUSHERC_LIT("")},
    };
    expect_reply(&(struct pc_http_reply){.status = 200,
                                         .content_type = "application/json",
                                         .body = PC_S("{}"),
                                         .keep_alive = true},
                 "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n"
                 "Connection: keep-alive\r\n\r\n{}");
    expect_reply(&(struct pc_http_reply){.status = 200, .body = PC_S("{}"), .head_only = true},
                 "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n");
    expect_reply(&(struct pc_http_reply){.status = 404, .fields = fields, .field_count = 2},
                 "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n"
                 "A: b\r\nC: \r\n\r\n");
    expect_reply(&(struct pc_http_reply){.status = 204, .keep_alive = true},
                 "HTTP/1.1 204 No Content\r\nConnection: keep-alive\r\n\r\n");
    expect_reply(&(struct pc_http_reply){.status = 100}, "HTTP/1.1 100 Continue\r\n\r\n");
    expect_reply(&(struct pc_http_reply){.status = 299, .keep_alive = true},
                 "HTTP/1.1 299 \r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n");
}

static void expect_date(struct pc_http_date *date, uint64_t unix_time_s, const char *expected)
{
    pusherc_slice text = pc_http_date(date, unix_time_s);
    assert_int_equal(text.len, strlen(expected));
    assert_memory_equal(text.ptr, expected, text.len);
}

static void a_date_is_as_rfc_9110_prescribes(void **state)
{
    (void)state;
    struct pc_http_date date = {0};
    expect_date(&date, 0, "Thu, 01 Jan 1970 00:00:00 GMT");
    expect_date(&date, 784111777, "Sun, 06 Nov 1994 08:49:37 GMT"); /* the one printed there */
    expect_date(&date, 784111777, "Sun, 06 Nov 1994 08:49:37 GMT");
    expect_date(&date, 784111778, "Sun, 06 Nov 1994 08:49:38 GMT");
    expect_date(&date, 1709164800, "Thu, 29 Feb 2024 00:00:00 GMT");
    expect_date(&date, 784111777, "Sun, 06 Nov 1994 08:49:37 GMT"); /* clocks are set back */
}

static void every_final_reply_tells_its_date(void **state)
{
    (void)state;
    struct pc_http_date date = {0};
    pusherc_slice text = pc_http_date(&date, 784111777);
    expect_reply(&(struct pc_http_reply){.status = 200, .date = text, .body = PC_S("{}")},
                 "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 2\r\n"
                 "Connection: close\r\n\r\n{}");
    expect_reply(&(struct pc_http_reply){.status = 304, .date = text},
                 "HTTP/1.1 304 Not Modified\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
                 "Connection: close\r\n\r\n");
    expect_reply(&(struct pc_http_reply){.status = 100, .date = text},
                 "HTTP/1.1 100 Continue\r\n\r\n");
}

static void a_host_may_not_inject_fields(void **state)
{
    (void)state;
    assert_true(pc_http_field_valid(PC_S("X-A"), PC_S("any thing\t\xff")));
    assert_true(pc_http_field_valid(PC_S("x"), PC_S("")));
    assert_false(pc_http_field_valid(PC_S(""), PC_S("x")));
    assert_false(pc_http_field_valid(PC_S("a b"), PC_S("x")));
    assert_false(pc_http_field_valid(PC_S("a:"), PC_S("x")));
    assert_false(pc_http_field_valid(PC_S("a\0"), PC_S("x")));
    assert_false(pc_http_field_valid(PC_S("a"), PC_S("x\r")));
    assert_false(pc_http_field_valid(PC_S("a"), PC_S("x\ny")));
    assert_false(pc_http_field_valid(PC_S("a"), PC_S("x\0y")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_vector_gives_its_result_however_it_is_cut),
        cmocka_unit_test(every_failed_allocation_is_answered_500),
        cmocka_unit_test(each_limit_passes_and_one_more_does_not),
        cmocka_unit_test(endless_chunk_framing_is_refused),
        cmocka_unit_test(continue_is_told_once_and_only_to_one_who_waits),
        cmocka_unit_test(bytes_after_a_request_are_left_to_the_caller),
        cmocka_unit_test(an_error_stays),
        cmocka_unit_test(an_idle_parser_keeps_little_memory),
        cmocka_unit_test(fields_and_cookies_are_found),
        cmocka_unit_test(a_query_value_is_the_first_that_is_not_empty),
        cmocka_unit_test(query_strings_are_split_and_decoded),
        cmocka_unit_test(decoding_uses_scratch_only_for_escapes),
        cmocka_unit_test(replies_are_written),
        cmocka_unit_test(a_date_is_as_rfc_9110_prescribes),
        cmocka_unit_test(every_final_reply_tells_its_date),
        cmocka_unit_test(a_host_may_not_inject_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
