#include "codec/ws.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <pusherc/error.h>

#include "unit/failing_alloc.h"

/* What the callbacks were told, as text. */
struct log {
    char text[4096];
    size_t len;
    struct pc_ws *ws;
    bool close_in_message; /* behave like a connection that closes on the first message */
    bool inflates;         /* the handshake has agreed on permessage-deflate */
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

/* Printable text as it is, long ones by their length. */
static void add_bytes(struct log *log, pusherc_slice s)
{
    if (s.len > 200) {
        add(log, "<%zu>", s.len);
        return;
    }
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        add(log, c >= ' ' && c < 127 ? "%c" : "\\%02x", c);
    }
}

static void on_message(void *user, enum pc_ws_opcode opcode, pusherc_slice payload)
{
    struct log *log = user;
    add(log, opcode == PC_WS_TEXT ? "text:" : "binary:");
    add_bytes(log, payload);
    add(log, " ");
    if (log->close_in_message)
        pc_ws_closing(log->ws);
}

static void on_send(void *user, pusherc_slice frame);

static void on_ping(void *user, pusherc_slice pong)
{
    on_send(user, pong);
    add(user, "ping ");
}

static void on_pong(void *user)
{
    add(user, "pong ");
}

static void on_close(void *user, uint16_t code, pusherc_slice reason)
{
    add(user, "close:%u:", code);
    add_bytes(user, reason);
    add(user, " ");
}

static void on_send(void *user, pusherc_slice frame)
{
    struct log *log = user;
    const uint8_t *f = (const uint8_t *)frame.ptr;
    assert_true(frame.len >= 2 && f[1] <= 125 && frame.len == 2u + f[1]);
    if (f[0] == 0x88 && f[1] >= 2) {
        add(log, "send-close:%u:", f[2] * 256u + f[3]);
        add_bytes(log, pc_slice_skip(frame, 4));
    } else {
        add(log, f[0] == 0x88 ? "send-close" : f[0] == 0x8a ? "send-pong:" : "send-?");
        add_bytes(log, pc_slice_skip(frame, 2));
    }
    add(log, " ");
}

static const struct pc_ws_events events = {on_message, on_ping, on_pong, on_close, on_send};

/* Frames as a client writes them. */
struct wire {
    uint8_t bytes[1000000];
    size_t len;
};

static void put_frame(struct wire *w, unsigned first, const void *payload, size_t len)
{
    static const uint8_t mask[4] = {0x37, 0xfa, 0x21, 0x3d};
    uint8_t *out = w->bytes + w->len;
    size_t n = pc_ws_header(out, PC_WS_TEXT, len);
    assert_true(w->len + n + 4 + len <= sizeof w->bytes);
    out[0] = (uint8_t)first;
    out[1] |= 0x80;
    memcpy(out + n, mask, 4);
    for (size_t i = 0; i < len; i++)
        out[n + 4 + i] = ((const uint8_t *)payload)[i] ^ mask[i % 4];
    w->len += n + 4 + len;
}

static void put_raw(struct wire *w, const void *bytes, size_t len)
{
    memcpy(w->bytes + w->len, bytes, len);
    w->len += len;
}

/* Feeds until nothing is left. Each call ends with one message or control frame at most. */
static int feed_piece(struct pc_ws *ws, struct pc_ws_pool *pool, struct log *log,
                      pusherc_slice bytes, uint16_t *code)
{
    int status = 0;
    do
        status = pc_ws_feed(ws, pool, log, &bytes, code);
    while (status == 0 && !ws->ended && (bytes.len || ws->more));
    assert_true(status == 0 || (bytes.len == 0 && !ws->more));
    return status;
}

/* Feeds `w` in the pieces given, 0 = whole; what happened is in `log`. Returns the last result. */
static int feed(struct pc_ws_pool *pool, const struct wire *w, size_t first_piece, size_t step,
                uint32_t max_message, struct log *log)
{
    struct pc_ws ws;
    pc_ws_init(&ws, max_message);
    ws.inflates = log->inflates;
    log->len = 0;
    log->text[0] = '\0';
    log->ws = &ws;
    size_t at = 0;
    int status = 0;
    while (at < w->len && !ws.ended && status == 0) {
        size_t n = at == 0 && first_piece ? first_piece : step ? step : w->len;
        uint16_t code;
        if (n > w->len - at)
            n = w->len - at;
        /* a block of its own, so that reading past the end is seen */
        char *copy = malloc(n);
        memcpy(copy, w->bytes + at, n);
        status = feed_piece(&ws, pool, log, pc_slice(copy, n), &code);
        free(copy);
        at += n;
        if (status == PUSHERC_EPROTO)
            add(log, "error:%u ", code);
        assert_true(status == 0 || ws.ended);
    }
    if (ws.context)
        add(log, "waiting ");
    pc_ws_free(&ws, pool);
    assert_null(ws.context);
    return status;
}

static void check(const char *what, const struct log *log, const char *expected)
{
    if (strcmp(log->text, expected) != 0)
        fail_msg("%s: %s, expected %s", what, log->text, expected);
}

/* Whole, byte by byte, and cut in two at every place. */
static void expect_with(struct log *log, const char *what, const struct wire *w,
                        uint32_t max_message, const char *expected)
{
    struct pc_mem mem = pc_mem_make(NULL);
    struct pc_ws_pool *pool;
    assert_int_equal(pc_ws_pool_new(&pool, &mem, 2, &events), 0);
    feed(pool, w, 0, 0, max_message, log);
    check(what, log, expected);
    feed(pool, w, 0, 1, max_message, log);
    check(what, log, expected);
    for (size_t cut = 1; cut < w->len && w->len < 2000; cut++) {
        feed(pool, w, cut, 0, max_message, log);
        check(what, log, expected);
    }
    pc_ws_pool_free(pool);
}

static void expect(const char *what, const struct wire *w, uint32_t max_message,
                   const char *expected)
{
    struct log log = {0};
    expect_with(&log, what, w, max_message, expected);
}

/* A vector: frames by their first byte and payload. */
struct frame {
    unsigned first;
    const char *payload; /* NULL ends the list */
    size_t len;
};
#define F(first, payload)                                                                          \
    {                                                                                              \
        first, payload, sizeof payload - 1                                                         \
    }

static const struct {
    const char *what;
    struct frame frames[8];
    const char *expected;
} vectors[] = {
    {"text", {F(0x81, "hello")}, "text:hello "},
    {"empty text", {F(0x81, "")}, "text: "},
    {"binary is handed over as such", {F(0x82, "\x00\xff")}, "binary:\\00\\ff "},
    {"two messages in one read", {F(0x81, "a"), F(0x81, "b")}, "text:a text:b "},
    {"fragments", {F(0x01, "he"), F(0x00, "ll"), F(0x80, "o")}, "text:hello "},
    {"empty fragments", {F(0x01, ""), F(0x00, "x"), F(0x00, ""), F(0x80, "")}, "text:x "},
    {"only the last fragment has content", {F(0x01, ""), F(0x80, "x")}, "text:x "},
    {"nothing but empty fragments", {F(0x01, ""), F(0x80, "")}, "text: "},
    {"a message after a fragmented one",
     {F(0x01, "a"), F(0x80, "b"), F(0x81, "c")},
     "text:ab text:c "},
    {"a character cut by fragments", {F(0x01, "\xc3"), F(0x80, "\xbc")}, "text:\\c3\\bc "},
    {"ping is answered with its payload", {F(0x89, "abc")}, "send-pong:abc ping "},
    {"empty ping", {F(0x89, "")}, "send-pong: ping "},
    {"pong", {F(0x8a, "x"), F(0x8a, "")}, "pong pong "},
    {"ping between fragments",
     {F(0x01, "a"), F(0x89, "p"), F(0x8a, ""), F(0x80, "b")},
     "send-pong:p ping pong text:ab "},
    {"close is answered with code and reason",
     {F(0x88, "\x03\xe8"
              "bye")},
     "send-close:1000:bye close:1000:bye "},
    {"close without code", {F(0x88, "")}, "send-close close:1005: "},
    {"close with an application code", {F(0x88, "\x0f\xa0")}, "send-close:4000: close:4000: "},
    {"close with a character that may be cut",
     {F(0x88, "\x03\xe8\xc3\xbc")},
     "send-close:1000:\\c3\\bc close:1000:\\c3\\bc "},
    {"close with the last registered code", {F(0x88, "\x03\xf6")}, "send-close:1014: close:1014: "},
    {"nothing counts after a close",
     {F(0x88, "\x03\xe8"), F(0x81, "late"), F(0x89, "")},
     "send-close:1000: close:1000: "},
    {"close inside a message", {F(0x01, "a"), F(0x88, "")}, "send-close close:1005: "},

#define BROKEN "send-close:1002:Malformed WebSocket frame error:1002 "
    {"half a close code", {F(0x88, "\x03")}, BROKEN},
    {"close code 1005 on the wire", {F(0x88, "\x03\xed")}, BROKEN},
    {"close code 1006", {F(0x88, "\x03\xee")}, BROKEN},
    {"close code 1015", {F(0x88, "\x03\xf7")}, BROKEN},
    {"close code 2999", {F(0x88, "\x0b\xb7")}, BROKEN},
    {"a broken code counts before a broken reason", {F(0x88, "\x03\xe7\xff")}, BROKEN},
    {"close code 999", {F(0x88, "\x03\xe7")}, BROKEN},
    {"close code 5000", {F(0x88, "\x13\x88")}, BROKEN},
    {"reserved bit 1", {F(0xc1, "x")}, BROKEN},
    {"reserved bit 2", {F(0xa1, "x")}, BROKEN},
    {"reserved bit 3", {F(0x91, "x")}, BROKEN},
    {"reserved data opcode", {F(0x83, "x")}, BROKEN},
    {"reserved control opcode", {F(0x8b, "")}, BROKEN},
    {"fragmented ping", {F(0x09, "x")}, BROKEN},
    {"fragmented close", {F(0x08, "")}, BROKEN},
    {"continuation of nothing", {F(0x80, "x")}, BROKEN},
    {"continuation after a whole message", {F(0x81, "a"), F(0x00, "x")}, "text:a " BROKEN},
    {"a second message inside a first", {F(0x01, "a"), F(0x81, "b")}, BROKEN},
    {"messages before the fault are delivered", {F(0x81, "a"), F(0x83, "b")}, "text:a " BROKEN},

#define NOT_UTF8 "send-close:1007:Text is not valid UTF-8 error:1007 "
    {"a lone continuation byte", {F(0x81, "\x80")}, NOT_UTF8},
    {"an overlong slash", {F(0x81, "\xc0\xaf")}, NOT_UTF8},
    {"an overlong form of three bytes", {F(0x81, "\xe0\x9f\xbf")}, NOT_UTF8},
    {"an overlong form of four bytes", {F(0x81, "\xf0\x8f\xbf\xbf")}, NOT_UTF8},
    {"a byte that is in no text", {F(0x81, "\xf5")}, NOT_UTF8},
    {"a surrogate", {F(0x81, "\xed\xa0\x80")}, NOT_UTF8},
    {"the first and last of each length",
     {F(0x81, "\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf\xf0\x90\x80\x80\xf4\x8f\xbf\xbf")},
     "text:\\7f\\c2\\80\\df\\bf\\e0\\a0\\80\\ef\\bf\\bf\\f0\\90\\80\\80\\f4\\8f\\bf\\bf "},
    {"above U+10FFFF", {F(0x81, "\xf4\x90\x80\x80")}, NOT_UTF8},
    {"a cut character at the end", {F(0x81, "a\xc3")}, NOT_UTF8},
    {"ASCII between characters in one text",
     {F(0x81, "12345678\xc3\xbc"
              "123456789abcdefghij\xe2\x82\xac")},
     "text:12345678\\c3\\bc123456789abcdefghij\\e2\\82\\ac "},
    {"a new character instead of the rest", {F(0x81, "\xe2\x82\xe2\x82\xac")}, NOT_UTF8},
    {"a cut character at the end of fragments", {F(0x01, "a"), F(0x80, "\xc3")}, NOT_UTF8},
    {"binary may be anything", {F(0x82, "\xc3\x28")}, "binary:\\c3( "},
    {"close reason not UTF-8", {F(0x88, "\x03\xe8\xc3\x28")}, NOT_UTF8},
};

static void make(struct wire *w, const struct frame *frames)
{
    w->len = 0;
    for (size_t i = 0; i < 8 && frames[i].payload; i++)
        put_frame(w, frames[i].first, frames[i].payload, frames[i].len);
}

static struct wire wire; /* too large for a stack */

#ifdef PC_WITH_DEFLATE
#    define HELLO        "\xf2\x48\xcd\xc9\xc9\x07\x00" /* RFC 7692, section 7.2.3.1 */
#    define NOT_INFLATED "send-close:1007:Message is not valid DEFLATE or UTF-8 error:1007 "
#    define TOO_LARGE    "send-close:1009:Message too large (max_frame_bytes) error:1009 "

static void compressed_messages_are_read_where_that_was_agreed_on(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        struct frame frames[8];
        const char *expected;
    } cases[] = {
        {"text", {F(0xc1, HELLO)}, "text:Hello "},
        {"binary", {F(0xc2, HELLO)}, "binary:Hello "},
        {"empty", {F(0xc1, "\x00")}, "text: "},
        {"one that is not compressed",
         {F(0x81, "plain"), F(0xc1, HELLO)},
         "text:plain text:Hello "},
        {"fragments",
         {F(0x41, "\xf2\x48"), F(0x00, ""), F(0x80, "\xcd\xc9\xc9\x07\x00")},
         "text:Hello "},
        {"a ping between fragments",
         {F(0x41, "\xf2\x48"), F(0x89, "p"), F(0x80, "\xcd\xc9\xc9\x07\x00")},
         "send-pong:p ping text:Hello "},
        {"no state is kept", {F(0xc1, HELLO), F(0xc1, HELLO)}, "text:Hello text:Hello "},
        {"a reference to the message before",
         {F(0xc1, HELLO), F(0xc1, "\xf2\x00\x11\x00\x00")},
         "text:Hello " NOT_INFLATED},
        {"RSV1 in a later fragment",
         {F(0x41, "\xf2\x48"), F(0xc0, "\xcd\xc9\xc9\x07\x00")},
         BROKEN},
        {"RSV1 in a ping", {F(0xc9, "p")}, BROKEN},
        {"RSV1 in a close", {F(0xc8, "")}, BROKEN},
        {"RSV2 as well", {F(0xe1, HELLO)}, BROKEN},
        {"no DEFLATE", {F(0xc1, "\xff\xff")}, NOT_INFLATED},
        {"a cut one", {F(0xc1, "\xf2\x48\xcd")}, NOT_INFLATED},
        {"no bytes at all are no message", {F(0xc1, "")}, NOT_INFLATED},
        {"not UTF-8 inside", {F(0xc1, "\x00\x01\x00\xfe\xff\xc3\x00")}, NOT_INFLATED},
        {"binary may be anything", {F(0xc2, "\x00\x01\x00\xfe\xff\xc3\x00")}, "binary:\\c3 "},
        {"300 bytes in 8", {F(0xc1, "\x4a\x4c\x1c\x05\xc4\x02\x00\x00")}, TOO_LARGE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct log log = {.inflates = true};
        make(&wire, cases[i].frames);
        expect_with(&log, cases[i].what, &wire, 200, cases[i].expected);
    }
}
#endif

static void each_vector_gives_its_events_however_it_is_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        make(&wire, vectors[i].frames);
        expect(vectors[i].what, &wire, 1000, vectors[i].expected);
    }
}

static void invalid_utf8_ends_a_message_that_is_still_incomplete(void **state)
{
    (void)state;
    wire.len = 0;
    put_frame(&wire, 0x81, "abc\xff more that never comes", 27);
    wire.len -= 10;
    expect("inside a frame", &wire, 1000, NOT_UTF8);
    wire.len = 0;
    put_frame(&wire, 0x01, "\xff", 1);
    expect("in a first fragment", &wire, 1000, NOT_UTF8);
}

static void incomplete_input_waits(void **state)
{
    (void)state;
    wire.len = 0;
    put_frame(&wire, 0x81, "done", 4);
    put_frame(&wire, 0x81, "abc", 3);
    size_t whole = wire.len;
    for (wire.len = 11; wire.len < whole; wire.len++)
        expect("part of a frame", &wire, 1000, "text:done waiting ");
    wire.len = 0;
    put_frame(&wire, 0x01, "abc", 3);
    expect("part of a message", &wire, 1000, "waiting ");
}

static void broken_headers_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *what, *bytes;
        size_t len;
    } broken[] = {
#define B(what, bytes) {what, bytes, sizeof bytes - 1}
        B("without mask", "\x81\x01x"),
        B("16 bits for a short length", "\x81\xfe\x00\x7d\x01\x02\x03\x04x"),
        B("64 bits for a short length", "\x81\xff\0\0\0\0\0\0\xff\xff\x01\x02\x03\x04x"),
        B("length above 2^63", "\x82\xff\x80\0\0\0\0\1\0\0\x01\x02\x03\x04x"),
        B("ping of 126 bytes", "\x89\xfe\x00\x7e\x01\x02\x03\x04x"),
    };
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        wire.len = 0;
        put_raw(&wire, broken[i].bytes, broken[i].len);
        expect(broken[i].what, &wire, 1000, BROKEN);
    }
}

#define TOO_BIG "send-close:1009:Message too large (max_frame_bytes) error:1009 "

static void a_message_of_the_limit_passes_and_one_byte_more_does_not(void **state)
{
    (void)state;
    static const uint32_t limits[] = {0, 1, 100, 125, 126, 1000, 4096, 5000, 65535, 65536, 100000};
    char *text = malloc(100001);
    memset(text, 'x', 100001);
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        uint32_t limit = limits[i];
        char expected[256];
        snprintf(expected, sizeof expected, limit > 200 ? "text:<%u> " : "text:%.*s ", limit, text);
        wire.len = 0;
        put_frame(&wire, 0x81, text, limit);
        expect("at the limit", &wire, limit, expected);

        wire.len = 0;
        put_frame(&wire, 0x81, text, limit + 1);
        expect("above the limit", &wire, limit, TOO_BIG);

        wire.len = 0; /* in fragments, a ping among them */
        put_frame(&wire, 0x01, text, limit / 2);
        put_frame(&wire, 0x89, "p", 1);
        put_frame(&wire, 0x80, text, limit - limit / 2 + 1);
        expect("in fragments", &wire, limit, "send-pong:p ping " TOO_BIG);
    }
    free(text);
}

static void a_declared_length_above_the_limit_is_refused_before_its_payload(void **state)
{
    (void)state;
    wire.len = 0;
    put_raw(&wire, "\x82\xff\0\0\0\x7f\xff\xff\xff\xff\x01\x02\x03\x04x", 15);
    expect("2 GiB", &wire, 1000, TOO_BIG);
}

static void large_messages_arrive_unchanged(void **state)
{
    (void)state;
    struct log log = {0};
    struct pc_mem mem = pc_mem_make(NULL);
    struct pc_ws_pool *pool;
    assert_int_equal(pc_ws_pool_new(&pool, &mem, 2, &events), 0);
    char *data = malloc(300000);
    for (size_t i = 0; i < 300000; i++)
        data[i] = (char)(i * 7 + i / 251);
    for (size_t len = 4000; len < 300000; len += len / 3) {
        wire.len = 0;
        put_frame(&wire, 0x82, data, len);
        put_frame(&wire, 0x02, data, len / 4);
        put_frame(&wire, 0x80, data, len / 5);
        char expected[64];
        snprintf(expected, sizeof expected, "binary:<%zu> binary:<%zu> ", len, len / 4 + len / 5);
        for (size_t step = 0; step < 70000; step = step * 3 + 1000) {
            feed(pool, &wire, 0, step, 1000000, &log);
            assert_string_equal(log.text, expected);
        }
    }
    free(data);
    pc_ws_pool_free(pool);
}

/* The bytes, not only their number. */
static struct {
    char bytes[9000];
    size_t len;
} received;

static void keep_message(void *user, enum pc_ws_opcode opcode, pusherc_slice payload)
{
    (void)user;
    (void)opcode;
    assert_true(payload.len <= sizeof received.bytes);
    if (payload.len)
        memcpy(received.bytes, payload.ptr, payload.len);
    received.len = payload.len;
}

static void the_payload_is_unmasked_at_every_length_and_cut(void **state)
{
    (void)state;
    struct pc_mem mem = pc_mem_make(NULL);
    struct pc_ws_pool *pool;
    struct pc_ws_events kept = events;
    kept.message = keep_message;
    assert_int_equal(pc_ws_pool_new(&pool, &mem, 1, &kept), 0);
    char data[9000];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (char)(i * 31 + i / 256);
    static const size_t lengths[] = {0, 1, 3, 4, 5, 125, 126, 127, 4085, 4096, 4097, 8999};
    struct log log = {0};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        wire.len = 0;
        put_frame(&wire, 0x82, data, lengths[i]);
        for (size_t step = 0; step < 9000; step = step * 2 + 1) {
            received.len = 1234567;
            assert_int_equal(feed(pool, &wire, 0, step, 9000, &log), 0);
            assert_int_equal(received.len, lengths[i]);
            assert_memory_equal(received.bytes, data, lengths[i] ? lengths[i] : 1);
        }
    }
    pc_ws_pool_free(pool);
}

static void after_our_close_only_the_peers_close_counts(void **state)
{
    (void)state;
    struct log log = {.close_in_message = true};
    wire.len = 0;
    put_frame(&wire, 0x81, "first", 5);
    put_frame(&wire, 0x81, "second", 6);
    put_frame(&wire, 0x89, "p", 1);
    put_frame(&wire, 0x8a, "p", 1);
    put_frame(&wire, 0x88, "\x03\xe8", 2);
    expect_with(&log, "answered", &wire, 1000, "text:first close:1000: ");

    wire.len = 0; /* and a fault ends it without a second Close */
    put_frame(&wire, 0x81, "first", 5);
    put_frame(&wire, 0x83, "x", 1);
    expect_with(&log, "fault", &wire, 1000, "text:first error:1002 ");
}

static void no_context_is_held_between_messages(void **state)
{
    (void)state;
    struct pc_mem mem = pc_mem_make(NULL);
    struct pc_ws_pool *pool;
    struct log log = {0};
    struct pc_ws ws;
    uint16_t code;
    assert_int_equal(pc_ws_pool_new(&pool, &mem, 1, &events), 0);
    pc_ws_init(&ws, 1000);
    wire.len = 0;
    put_frame(&wire, 0x01, "ab", 2);
    put_frame(&wire, 0x89, "", 0);
    put_frame(&wire, 0x80, "c", 1);
    const char *bytes = (const char *)wire.bytes;
    for (size_t at = 0; at < wire.len; at++) {
        assert_int_equal(feed_piece(&ws, pool, &log, pc_slice(bytes + at, 1), &code), 0);
        assert_int_equal(ws.context != NULL, at + 1 < wire.len);
    }
    pc_ws_free(&ws, pool);
    pc_ws_pool_free(pool);
}

static void one_call_handles_one_message(void **state)
{
    (void)state;
    struct pc_mem mem = pc_mem_make(NULL);
    struct pc_ws_pool *pool;
    struct log log = {0};
    struct pc_ws ws;
    uint16_t code;
    assert_int_equal(pc_ws_pool_new(&pool, &mem, 1, &events), 0);
    pc_ws_init(&ws, 1000);
    wire.len = 0;
    for (int i = 0; i < 3000; i++) /* more than the context reads ahead */
        put_frame(&wire, i % 3 ? 0x81 : 0x8a, "abc", 3);
    pusherc_slice rest = pc_slice((const char *)wire.bytes, wire.len);
    int calls = 0;
    for (; rest.len || ws.more; calls++) {
        log.len = 0;
        assert_int_equal(pc_ws_feed(&ws, pool, &log, &rest, &code), 0);
        assert_string_equal(log.text, calls % 3 ? "text:abc " : "pong ");
    }
    assert_int_equal(calls, 3000);
    assert_null(ws.context);
    pc_ws_pool_free(pool);
}

static void connections_in_the_middle_of_messages_do_not_mix(void **state)
{
    (void)state;
    enum {
        COUNT = 5
    };
    struct pc_mem mem = pc_mem_make(NULL);
    struct pc_ws_pool *pool;
    static struct log logs[COUNT];
    struct pc_ws ws[COUNT];
    static struct wire wires[COUNT];
    uint16_t code;
    assert_int_equal(pc_ws_pool_new(&pool, &mem, 2, &events), 0);
    for (size_t i = 0; i < COUNT; i++) {
        char text[16];
        logs[i].len = 0;
        wires[i].len = 0;
        pc_ws_init(&ws[i], (uint32_t)(10 + i));
        for (size_t k = 0; k < 3; k++) {
            snprintf(text, sizeof text, "c%zu-%zu", i, k);
            put_frame(&wires[i], 0x01, text, 2);
            put_frame(&wires[i], 0x80, text + 2, 2);
        }
    }
    for (size_t at = 0; at < wires[0].len; at++)
        for (size_t i = 0; i < COUNT; i++)
            assert_int_equal(feed_piece(&ws[i], pool, &logs[i],
                                        pc_slice((const char *)wires[i].bytes + at, 1), &code),
                             0);
    for (size_t i = 0; i < COUNT; i++) {
        char expected[64];
        snprintf(expected, sizeof expected, "text:c%zu-0 text:c%zu-1 text:c%zu-2 ", i, i, i);
        assert_string_equal(logs[i].text, expected);
        assert_null(ws[i].context);
        pc_ws_free(&ws[i], pool);
    }
    pc_ws_pool_free(pool);
}

/* Fails the n-th request; false when there were fewer. */
static bool deliver_failing(size_t n, size_t step, const char *what, const char *expected)
{
    struct failing_alloc alloc;
    pusherc_allocator allocator = failing_alloc_init(&alloc, n);
    struct pc_mem mem = pc_mem_make(&allocator);
    struct log log = {0};
    struct pc_ws_pool *pool;
    int status = pc_ws_pool_new(&pool, &mem, 1, &events);
    if (status == 0)
        status = feed(pool, &wire, 0, step, 1000, &log);
    pc_ws_pool_free(pool);
    assert_int_equal(failing_alloc_live(&alloc), 0);
    if (failing_alloc_hit(&alloc))
        assert_int_equal(status, PUSHERC_ENOMEM);
    else
        check(what, &log, expected);
    return failing_alloc_hit(&alloc);
}

static void every_failed_allocation_ends_one_connection_and_nothing_else(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        make(&wire, vectors[i].frames);
        for (size_t step = 0; step < 2; step++) {
            size_t n = 1;
            while (deliver_failing(n, step, vectors[i].what, vectors[i].expected))
                n++;
            assert_true(n > 1);
        }
    }
}

static void headers_take_the_shortest_form(void **state)
{
    (void)state;
    uint8_t out[PC_WS_MAX_HEADER];
    assert_int_equal(pc_ws_header(out, PC_WS_TEXT, 0), 2);
    assert_memory_equal(out, "\x81\x00", 2);
    assert_int_equal(pc_ws_header(out, PC_WS_TEXT, 125), 2);
    assert_memory_equal(out, "\x81\x7d", 2);
    assert_int_equal(pc_ws_header(out, PC_WS_BINARY, 126), 4);
    assert_memory_equal(out, "\x82\x7e\x00\x7e", 4);
    assert_int_equal(pc_ws_header(out, PC_WS_TEXT, 65535), 4);
    assert_memory_equal(out, "\x81\x7e\xff\xff", 4);
    assert_int_equal(pc_ws_header(out, PC_WS_TEXT, 65536), 10);
    assert_memory_equal(out, "\x81\x7f\0\0\0\0\0\1\0\0", 10);
    assert_int_equal(pc_ws_header(out, PC_WS_PING, 0), 2);
    assert_memory_equal(out, "\x89\x00", 2);
}

static void close_frames_carry_code_and_a_reason_that_fits(void **state)
{
    (void)state;
    uint8_t out[PC_WS_CLOSE_SIZE];
    assert_int_equal(pc_ws_close_frame(out, 4001, PC_S("no app")), 10);
    assert_memory_equal(out, "\x88\x08\x0f\xa1no app", 10);
    assert_int_equal(pc_ws_close_frame(out, 1000, pc_slice(NULL, 0)), 4);
    assert_memory_equal(out, "\x88\x02\x03\xe8", 4);
    char reason[200];
    memset(reason, 'r', sizeof reason);
    assert_int_equal(pc_ws_close_frame(out, 1000, pc_slice(reason, 123)), 127);
    assert_int_equal(pc_ws_close_frame(out, 1000, pc_slice(reason, 124)), 127);
    memcpy(reason + 122, "\xc3\xbc", 2); /* a character across the limit goes */
    assert_int_equal(pc_ws_close_frame(out, 1000, pc_slice(reason, 124)), 126);
    assert_int_equal(out[1], 124);
}

/* The handshake's answer to a request with these fields: "101 ..." in full or "STATUS field=value". */
static void shake(const char *request_line, const char *fields, struct pc_ws_deflate *deflate,
                  struct log *log)
{
    struct pc_mem mem = pc_mem_make(NULL);
    struct pc_http_parser *parser;
    struct pc_buf input, out;
    size_t consumed, count;
    int status = 101;
    const char *text = NULL;
    pc_buf_init(&input, &mem, 10000);
    pc_buf_init(&out, &mem, 10000);
    pc_buf_put(&input, pc_slice_of(request_line));
    pc_buf_put(&input, PC_S("\r\nHost: a\r\n"));
    pc_buf_put(&input, pc_slice_of(fields));
    pc_buf_put(&input, PC_S("\r\n"));
    assert_int_equal(pc_http_parser_new(&parser, &mem, (struct pc_http_limits){10000, 100}), 0);
    assert_int_equal(pc_http_parser_feed(parser, pc_buf_slice(&input), &consumed), PC_HTTP_REQUEST);
    int result = pc_ws_handshake(pc_http_parser_message(parser), &out, deflate, &status, &text);
    log->len = 0;
    log->text[0] = '\0';
    if (result == 0) {
        add(log, "%.*s", (int)out.len, out.ptr);
    } else {
        assert_int_equal(result, PUSHERC_EPROTO);
        assert_int_equal(out.len, 0);
        assert_non_null(text);
        add(log, "%d", status);
        const struct pc_pair *extra = pc_ws_refusal_fields(status, &count);
        for (size_t i = 0; i < count; i++) {
            add(log, " ");
            add_bytes(log, extra[i].name);
            add(log, "=");
            add_bytes(log, extra[i].value);
        }
    }
    pc_http_parser_free(parser);
    pc_buf_free(&input);
    pc_buf_free(&out);
}

#define OPEN    "GET /app/key?protocol=7 HTTP/1.1"
#define UPGRADE "Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n"
#define KEY     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" /* RFC 6455, section 1.3 */
#define VERSION "Sec-WebSocket-Version: 13\r\n"
#define ACCEPTED                                                                                   \
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"            \
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
#define SAY_VERSION "426 Upgrade=websocket Connection=Upgrade Sec-WebSocket-Version=13"

static void handshakes_are_answered_as_rfc_6455_says(void **state)
{
    (void)state;
    static const struct {
        const char *what, *line, *fields, *expected;
    } cases[] = {
        {"plain", OPEN, UPGRADE KEY VERSION, ACCEPTED "\r\n"},
        {"a foreign subprotocol is not taken up", OPEN,
         UPGRADE KEY VERSION "Sec-WebSocket-Protocol: chat\r\n", ACCEPTED "\r\n"},
        {"our subprotocol is", OPEN,
         UPGRADE KEY VERSION "Sec-WebSocket-Protocol: chat, pusher-channels-protocol-7\r\n",
         ACCEPTED "Sec-WebSocket-Protocol: pusher-channels-protocol-7\r\n\r\n"},
        {"in a second field", OPEN,
         UPGRADE KEY VERSION "Sec-WebSocket-Protocol: chat\r\n"
                             "Sec-WebSocket-Protocol: pusher-channels-protocol-12\r\n",
         ACCEPTED "Sec-WebSocket-Protocol: pusher-channels-protocol-12\r\n\r\n"},
        {"without a number", OPEN,
         UPGRADE KEY VERSION "Sec-WebSocket-Protocol: pusher-channels-protocol-\r\n",
         ACCEPTED "\r\n"},
        {"no extension is agreed on where none is wanted", OPEN,
         UPGRADE KEY VERSION "Sec-WebSocket-Extensions: permessage-deflate\r\n", ACCEPTED "\r\n"},
        {"POST", "POST / HTTP/1.1", UPGRADE KEY VERSION, "405 Allow=GET"},
        {"a plain GET", OPEN, "", SAY_VERSION},
        {"no Upgrade", OPEN, "Connection: Upgrade\r\n" KEY VERSION, SAY_VERSION},
        {"no Connection", OPEN, "Upgrade: websocket\r\n" KEY VERSION, SAY_VERSION},
        {"HTTP/1.0", "GET / HTTP/1.0", UPGRADE KEY VERSION, "400"},
        {"no version", OPEN, UPGRADE KEY, SAY_VERSION},
        {"version 8", OPEN, UPGRADE KEY "Sec-WebSocket-Version: 8\r\n", SAY_VERSION},
        {"no key", OPEN, UPGRADE VERSION, "400"},
        {"a short key", OPEN, UPGRADE VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZQ==\r\n", "400"},
        {"a long key", OPEN, UPGRADE VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZTE2\r\n",
         "400"},
        {"a key that is no base64", OPEN,
         UPGRADE VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j*Q==\r\n", "400"},
    };
    struct log log;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        shake(cases[i].line, cases[i].fields, NULL, &log);
        check(cases[i].what, &log, cases[i].expected);
    }
}

#define DEFLATE "permessage-deflate; server_no_context_takeover; client_no_context_takeover"

static void extensions_are_agreed_on_as_rfc_7692_says(void **state)
{
    (void)state;
    static const struct {
        const char *offer, *answer; /* NULL = none */
        bool fits;                  /* the server may send compressed messages */
    } cases[] = {
        {"permessage-deflate", DEFLATE, true},
        {"permessage-deflate; client_max_window_bits", DEFLATE, true}, /* browsers */
        {"permessage-deflate;client_max_window_bits=10 ; server_no_context_takeover", DEFLATE,
         true},
        {"permessage-deflate; server_max_window_bits=12; client_max_window_bits=12",
         DEFLATE "; server_max_window_bits=12", true},
        {"permessage-deflate; server_max_window_bits=\"15\"", DEFLATE "; server_max_window_bits=12",
         true},
        {"permessage-deflate; server_max_window_bits=9", DEFLATE "; server_max_window_bits=9",
         false},
        {"x-webkit-deflate-frame, permessage-deflate", DEFLATE, true},
        {"permessage-deflate; server_max_window_bits=16, permessage-deflate", DEFLATE, true},
        {"permessage-deflate; server_max_window_bits=9; server_max_window_bits=9,"
         "permessage-deflate; client_no_context_takeover",
         DEFLATE, true},
        {"permessage-deflate; server_max_window_bits", NULL, false},
        {"permessage-deflate; server_max_window_bits=7", NULL, false},
        {"permessage-deflate; server_max_window_bits=08", NULL, false},
        {"permessage-deflate; server_max_window_bits=", NULL, false},
        {"permessage-deflate; client_max_window_bits=x", NULL, false},
        {"permessage-deflate; client_no_context_takeover=1", NULL, false},
        {"permessage-deflate; unknown", NULL, false},
        {"permessage-bzip2", NULL, false},
        {"", NULL, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct log log;
        struct pc_ws_deflate deflate;
        char fields[500], expected[500];
        snprintf(fields, sizeof fields, UPGRADE KEY VERSION "Sec-WebSocket-Extensions: %s\r\n",
                 cases[i].offer);
        snprintf(expected, sizeof expected, ACCEPTED "%s%s%s\r\n",
                 cases[i].answer ? "Sec-WebSocket-Extensions: " : "",
                 cases[i].answer ? cases[i].answer : "", cases[i].answer ? "\r\n" : "");
        shake(OPEN, fields, &deflate, &log);
        check(cases[i].offer, &log, expected);
        assert_int_equal(deflate.agreed, cases[i].answer != NULL);
        assert_int_equal(pc_ws_deflate_fits(&deflate), cases[i].fits);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_vector_gives_its_events_however_it_is_cut),
        cmocka_unit_test(invalid_utf8_ends_a_message_that_is_still_incomplete),
        cmocka_unit_test(incomplete_input_waits),
        cmocka_unit_test(broken_headers_are_refused),
        cmocka_unit_test(a_message_of_the_limit_passes_and_one_byte_more_does_not),
        cmocka_unit_test(a_declared_length_above_the_limit_is_refused_before_its_payload),
        cmocka_unit_test(large_messages_arrive_unchanged),
        cmocka_unit_test(the_payload_is_unmasked_at_every_length_and_cut),
        cmocka_unit_test(after_our_close_only_the_peers_close_counts),
        cmocka_unit_test(no_context_is_held_between_messages),
        cmocka_unit_test(one_call_handles_one_message),
        cmocka_unit_test(connections_in_the_middle_of_messages_do_not_mix),
        cmocka_unit_test(every_failed_allocation_ends_one_connection_and_nothing_else),
        cmocka_unit_test(headers_take_the_shortest_form),
        cmocka_unit_test(close_frames_carry_code_and_a_reason_that_fits),
        cmocka_unit_test(handshakes_are_answered_as_rfc_6455_says),
        cmocka_unit_test(extensions_are_agreed_on_as_rfc_7692_says),
#ifdef PC_WITH_DEFLATE
        cmocka_unit_test(compressed_messages_are_read_where_that_was_agreed_on),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
