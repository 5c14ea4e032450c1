#include "codec/ws.h"

#include <assert.h>

#include <wslay/wslay.h>

#include <pusherc/error.h>

#include "codec/deflate.h"

#define MAX_CONTROL_PAYLOAD 125 /* RFC 6455, section 5.5 */

/* State of the UTF-8 check between two pieces of a text. */
struct utf8 {
    uint8_t left;      /* bytes that the current character still needs */
    uint8_t low, high; /* range of the next one */
};

/*
 * How bytes become messages. pc_ws_feed() borrows a context if the connection has none. wslay reads the
 * bytes through on_read() and returns payload in pieces, which take_piece() adds to the frame and the
 * message. A frame is checked when its header is complete, before its payload is stored; a text is checked
 * piece by piece. A message that lies in one piece is delivered without a copy. After each message and
 * control frame pc_ws_feed() returns, so that the caller decides when the next one is handled. `unfinished`
 * counts the bytes taken in that are not part of a finished frame: while it is 0 between messages the context
 * holds no data of the connection and goes back to the pool. Cost: one copy into wslay's buffer, and one more for fragmented messages.
 *
 * wslay reads only frames here: headers, lengths, masks. Its layer for messages is not used: in 1.1.1 it
 * allocates the size that a frame's header declares and a node per fragment, checks the reason of a Close
 * only within one piece, treats a close code of one byte as absent and has no code for a broken header;
 * and its context is twice as large.
 */
struct context {
    struct context *next; /* in the pool's list, while idle */
    struct pc_ws_pool *pool;
    struct wslay_frame_context *wslay; /* owned */
    struct pc_ws *ws;                  /* borrower; NULL while idle */
    void *user;                        /* of the borrower */

    pusherc_slice input; /* fed, but not yet read by wslay */
    uint64_t unfinished; /* bytes fed that are not part of a finished frame */
    int status;          /* PUSHERC_EPROTO with the code, or PUSHERC_ENOMEM */
    uint16_t close_code;

    bool handled; /* a message or a control frame is complete: pc_ws_feed() returns */
    bool in_frame;
    uint64_t frame_left; /* payload bytes of the frame in progress still to come */

    bool in_message; /* a last fragment is missing */
    bool compressed; /* the message: its pieces are kept until the last one is there */
    enum pc_ws_opcode opcode;
    uint64_t message_len; /* as declared by the headers of its frames so far */
    struct utf8 utf8;
    struct pc_buf message; /* its pieces, unless it is one piece */

    uint8_t control[MAX_CONTROL_PAYLOAD];
    size_t control_len;
};

struct pc_ws_pool {
    const struct pc_mem *mem; /* borrowed */
    struct pc_ws_events events;
    struct context *idle;
    size_t idle_count, max_idle;
    struct pc_inflater *inflater; /* owned; NULL = no compressed message has come */
};

static void fail(struct context *c, uint16_t code)
{
    c->status = PUSHERC_EPROTO;
    c->close_code = code;
}

/* False at the first byte that cannot be in a valid text there; it does not wait for the character's end. */
static bool utf8_continue(struct utf8 *u, pusherc_slice s)
{
    const uint8_t *p = (const uint8_t *)s.ptr;
    for (const uint8_t *end = p + s.len; p < end; p++) {
        uint64_t eight;
        while (u->left == 0 && end - p >= 8 &&
               (memcpy(&eight, p, 8), (eight & 0x8080808080808080U) == 0))
            p += 8;
        if (p == end)
            break;
        if (u->left > 0) {
            if (*p < u->low || *p > u->high)
                return false;
            *u = (struct utf8){(uint8_t)(u->left - 1), 0x80, 0xbf};
        } else if (*p >= 0x80) {
            if (*p < 0xc2 || *p > 0xf4)
                return false;
            u->left = *p < 0xe0 ? 1 : *p < 0xf0 ? 2 : 3;
            /* excludes overlong forms, surrogates and code points above U+10FFFF: RFC 3629, section 4 */
            u->low = *p == 0xe0 ? 0xa0 : *p == 0xf0 ? 0x90 : 0x80;
            u->high = *p == 0xed ? 0x9f : *p == 0xf4 ? 0x8f : 0xbf;
        }
    }
    return true;
}

static bool is_close_code(unsigned code)
{
    return (code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006) ||
           (code >= 3000 && code <= 4999);
}

static void send_frame(struct context *c, const uint8_t *frame, size_t len)
{
    if (!c->ws->closing)
        c->pool->events.send(c->user, pc_slice((const char *)frame, len));
}

static void on_close(struct context *c, pusherc_slice payload)
{
    uint8_t answer[PC_WS_CLOSE_SIZE];
    unsigned code = 1005;
    size_t len = pc_ws_header(answer, PC_WS_CLOSE, 0);
    pusherc_slice reason = pc_slice(NULL, 0);
    if (payload.len > 0) {
        if (payload.len >= 2)
            code = c->control[0] * 256u + c->control[1];
        if (!is_close_code(code)) { /* also for a payload of one byte */
            fail(c, WSLAY_CODE_PROTOCOL_ERROR);
            return;
        }
        reason = pc_slice_skip(payload, 2);
        if (!pc_utf8_valid(reason)) {
            fail(c, WSLAY_CODE_INVALID_FRAME_PAYLOAD_DATA);
            return;
        }
        len = pc_ws_close_frame(answer, (uint16_t)code, reason);
    }
    send_frame(c, answer, len);
    c->ws->ended = true;
    c->pool->events.close(c->user, (uint16_t)code, reason);
}

static void on_ping(struct context *c, pusherc_slice payload)
{
    uint8_t pong[PC_WS_MAX_HEADER + MAX_CONTROL_PAYLOAD];
    size_t len = pc_ws_header(pong, PC_WS_PONG, payload.len);
    memcpy(pong + len, payload.ptr, payload.len);
    if (!c->ws->closing)
        c->pool->events.ping(c->user, pc_slice((const char *)pong, len + payload.len));
}

static void on_control(struct context *c, uint8_t opcode)
{
    pusherc_slice payload = pc_slice((const char *)c->control, c->control_len);
    c->handled = true;
    if (opcode == WSLAY_CONNECTION_CLOSE)
        on_close(c, payload);
    else if (opcode == WSLAY_PING)
        on_ping(c, payload);
    else if (!c->ws->closing)
        c->pool->events.pong(c->user);
}

/* The most payload of the message that its frames may have. DEFLATE makes some messages a little longer. */
static uint64_t max_payload(const struct context *c)
{
    uint64_t max = c->ws->max_message;
    return c->compressed ? max + max / 1024 + 64 : max;
}

static void start_message(struct context *c, enum pc_ws_opcode opcode, bool compressed)
{
    c->in_message = true;
    c->compressed = compressed;
    c->opcode = opcode;
    c->message_len = 0;
    c->utf8 = (struct utf8){0};
    pc_buf_clear(&c->message);
    c->message.max = (size_t)max_payload(c);
}

/* RSV1 says that a message is compressed, in the header of its first frame. */
static bool reserved_bits_valid(const struct context *c, const struct wslay_frame_iocb *f)
{
    bool first = f->opcode == WSLAY_TEXT_FRAME || f->opcode == WSLAY_BINARY_FRAME;
    return f->rsv == WSLAY_RSV_NONE || (f->rsv == WSLAY_RSV1_BIT && first && c->ws->inflates);
}

/* wslay has checked that the length is well-formed and that a control frame is short and not fragmented. */
static void start_frame(struct context *c, const struct wslay_frame_iocb *f)
{
    c->in_frame = true;
    c->frame_left = f->payload_length;
    c->control_len = 0;
    if (!f->mask || !reserved_bits_valid(c, f)) {
        fail(c, WSLAY_CODE_PROTOCOL_ERROR);
        return;
    }
    switch (f->opcode) {
    case WSLAY_CONNECTION_CLOSE:
    case WSLAY_PING:
    case WSLAY_PONG:
        return;
    case WSLAY_TEXT_FRAME:
    case WSLAY_BINARY_FRAME:
    case WSLAY_CONTINUATION_FRAME:
        break;
    default: /* reserved */
        fail(c, WSLAY_CODE_PROTOCOL_ERROR);
        return;
    }
    if (c->in_message != (f->opcode == WSLAY_CONTINUATION_FRAME)) {
        fail(c, WSLAY_CODE_PROTOCOL_ERROR);
        return;
    }
    if (!c->in_message)
        start_message(c, f->opcode == WSLAY_TEXT_FRAME ? PC_WS_TEXT : PC_WS_BINARY,
                      f->rsv == WSLAY_RSV1_BIT);
    if (f->payload_length > max_payload(c) - c->message_len)
        fail(c, WSLAY_CODE_MESSAGE_TOO_BIG);
    else
        c->message_len += f->payload_length;
}

/* Delivers a compressed message. */
static void deliver_inflated(struct context *c, pusherc_slice payload)
{
    struct pc_ws_pool *pool = c->pool;
    char stack[4096];
    struct pc_buf message;
    if (!pool->inflater)
        pool->inflater = pc_inflater_new(pool->mem);
    if (!pool->inflater) {
        c->status = PUSHERC_ENOMEM;
        return;
    }
    pc_buf_init_in(&message, pool->mem, c->ws->max_message, stack, sizeof stack);
    int err = pc_inflate(pool->inflater, payload, &message);
    if (err == PUSHERC_ELIMIT)
        fail(c, WSLAY_CODE_MESSAGE_TOO_BIG);
    else if (err == PUSHERC_EPROTO ||
             (err == 0 && c->opcode == PC_WS_TEXT && !pc_utf8_valid(pc_buf_slice(&message))))
        fail(c, WSLAY_CODE_INVALID_FRAME_PAYLOAD_DATA);
    else if (err)
        c->status = err;
    else
        pool->events.message(c->user, c->opcode, pc_buf_slice(&message));
    pc_buf_free(&message);
}

static void take_message(struct context *c, const struct wslay_frame_iocb *f, pusherc_slice piece)
{
    bool last = f->fin && c->frame_left == 0;
    if (!c->compressed && c->opcode == PC_WS_TEXT &&
        (!utf8_continue(&c->utf8, piece) || (last && c->utf8.left))) {
        fail(c, WSLAY_CODE_INVALID_FRAME_PAYLOAD_DATA);
        return;
    }
    bool whole = last && piece.len == c->message_len; /* delivered where it lies */
    if (!whole && !c->ws->closing)
        pc_buf_put(&c->message, piece);
    if (pc_buf_status(&c->message)) {
        c->status = PUSHERC_ENOMEM;
        return;
    }
    if (!last)
        return;
    c->in_message = false;
    c->handled = true;
    if (c->ws->closing)
        return;
    pusherc_slice payload = whole ? piece : pc_buf_slice(&c->message);
    if (c->compressed)
        deliver_inflated(c, payload);
    else
        c->pool->events.message(c->user, c->opcode, payload);
}

/* Takes a piece of a frame's payload. A frame without payload comes as one empty piece. */
static void take_piece(struct context *c, const struct wslay_frame_iocb *f)
{
    pusherc_slice piece = pc_slice((const char *)f->data, f->data_length);
    if (!c->in_frame)
        start_frame(c, f);
    if (c->status)
        return;
    c->frame_left -= piece.len;
    bool control = wslay_is_ctrl_frame(f->opcode);
    if (control) {
        memcpy(c->control + c->control_len, piece.ptr, piece.len);
        c->control_len += piece.len;
    }
    if (c->frame_left == 0) {
        /* the size of the header: it has a mask, and the length in its shortest form */
        uint64_t len = f->payload_length;
        c->unfinished -= (len < 126 ? 6 : len <= UINT16_MAX ? 8 : 14) + len;
        c->in_frame = false;
    }
    if (!control)
        take_message(c, f, piece);
    else if (c->frame_left == 0)
        on_control(c, f->opcode);
}

static ssize_t on_read(uint8_t *buf, size_t len, int flags, void *user_data)
{
    struct context *c = user_data;
    (void)flags;
    pusherc_slice part = pc_slice_first(c->input, len);
    if (part.len == 0)
        return -1; /* wslay_frame_recv() then returns WSLAY_ERR_WANT_READ */
    memcpy(buf, part.ptr, part.len);
    c->input = pc_slice_skip(c->input, part.len);
    return (ssize_t)part.len;
}

static void context_free(struct context *c)
{
    wslay_frame_context_free(c->wslay);
    pc_buf_free(&c->message);
    pc_free(c->pool->mem, c);
}

static struct context *context_new(struct pc_ws_pool *pool)
{
    static const struct wslay_frame_callbacks callbacks = {.recv_callback = on_read};
    struct context *c = pc_alloc_zero(pool->mem, sizeof *c);
    if (!c)
        return NULL;
    c->pool = pool;
    pc_buf_init(&c->message, pool->mem, 0);
    if (wslay_frame_context_init(&c->wslay, &callbacks, c)) {
        pc_free(pool->mem, c);
        return NULL;
    }
    return c;
}

static struct context *borrow(struct pc_ws_pool *pool, struct pc_ws *ws)
{
    struct context *c = pool->idle;
    if (c) {
        pool->idle = c->next;
        pool->idle_count--;
    } else {
        c = context_new(pool);
        if (!c)
            return NULL;
    }
    c->ws = ws;
    ws->context = c;
    return c;
}

/* Called only between messages and without an error, so that no data of one connection reaches another. */
static void give_back(struct pc_ws_pool *pool, struct context *c)
{
    c->ws->context = NULL;
    if (pool->idle_count == pool->max_idle) {
        context_free(c);
        return;
    }
    pc_buf_free(&c->message);
    c->ws = NULL;
    c->user = NULL;
    c->next = pool->idle;
    pool->idle = c;
    pool->idle_count++;
}

int pc_ws_pool_new(struct pc_ws_pool **out, const struct pc_mem *mem, size_t max_idle,
                   const struct pc_ws_events *events)
{
    *out = NULL;
    struct pc_ws_pool *pool = pc_alloc_zero(mem, sizeof *pool);
    if (!pool)
        return PUSHERC_ENOMEM;
    pool->mem = mem;
    pool->events = *events;
    pool->max_idle = max_idle;
    *out = pool;
    return 0;
}

void pc_ws_pool_free(struct pc_ws_pool *pool)
{
    if (!pool)
        return;
    while (pool->idle) {
        struct context *c = pool->idle;
        pool->idle = c->next;
        context_free(c);
    }
    pc_inflater_free(pool->inflater);
    pc_free(pool->mem, pool);
}

void pc_ws_init(struct pc_ws *ws, uint32_t max_message)
{
    *ws = (struct pc_ws){.max_message = max_message};
}

void pc_ws_free(struct pc_ws *ws, struct pc_ws_pool *pool)
{
    (void)pool; /* a borrowed context holds an incomplete message and cannot be reused */
    if (ws->context)
        context_free(ws->context);
    ws->context = NULL;
}

void pc_ws_closing(struct pc_ws *ws)
{
    ws->closing = true;
}

/* Sends the Close that says what was wrong with the input. */
static void send_fault(struct context *c)
{
    pusherc_slice reason = c->close_code == WSLAY_CODE_MESSAGE_TOO_BIG
                               ? PC_S("Message too large (max_frame_bytes)")
                           : c->close_code == WSLAY_CODE_INVALID_FRAME_PAYLOAD_DATA
                               ? c->compressed ? PC_S("Message is not valid DEFLATE or UTF-8")
                                               : PC_S("Text is not valid UTF-8")
                               : PC_S("Malformed WebSocket frame");
    uint8_t frame[PC_WS_CLOSE_SIZE];
    send_frame(c, frame, pc_ws_close_frame(frame, c->close_code, reason));
}

/* Leaves what has not been read to the caller. */
static void stop_here(struct context *c, pusherc_slice *rest)
{
    *rest = c->input;
    c->unfinished -= c->input.len;
    c->ws->more = c->handled && c->unfinished > 0;
    if (c->unfinished == 0 && !c->in_message)
        give_back(c->pool, c);
}

int pc_ws_feed(struct pc_ws *ws, struct pc_ws_pool *pool, void *user, pusherc_slice *bytes,
               uint16_t *close_code)
{
    assert(!ws->ended);
    *close_code = 0;
    struct context *c = ws->context;
    if (!c)
        c = borrow(pool, ws);
    if (!c) {
        *bytes = pc_slice(NULL, 0);
        ws->ended = true;
        return PUSHERC_ENOMEM;
    }

    c->user = user;
    c->input = *bytes;
    c->unfinished += bytes->len;
    c->handled = false;
    while (!c->status && !ws->ended) {
        struct wslay_frame_iocb frame = {0};
        ssize_t got = c->handled ? WSLAY_ERR_WANT_READ : wslay_frame_recv(c->wslay, &frame);
        if (got >= 0) {
            take_piece(c, &frame);
        } else if (got == WSLAY_ERR_WANT_READ) {
            stop_here(c, bytes);
            return 0;
        } else {
            fail(c, WSLAY_CODE_PROTOCOL_ERROR); /* the header is malformed */
        }
    }
    *bytes = pc_slice(NULL, 0);
    ws->more = false;

    int status = c->status; /* 0: the peer's Close */
    if (status == PUSHERC_EPROTO) {
        *close_code = c->close_code;
        send_fault(c);
    }
    ws->ended = true;
    ws->context = NULL;
    context_free(c);
    return status;
}

size_t pc_ws_header(uint8_t out[PC_WS_MAX_HEADER], enum pc_ws_opcode opcode, uint64_t payload_len)
{
    size_t n = 2;
    size_t length_bytes = payload_len < 126 ? 0 : payload_len <= UINT16_MAX ? 2 : 8;
    out[0] = (uint8_t)(0x80u | (unsigned)opcode);
    out[1] = length_bytes == 0 ? (uint8_t)payload_len : length_bytes == 2 ? 126 : 127;
    while (length_bytes-- > 0)
        out[n++] = (uint8_t)(payload_len >> (8 * length_bytes));
    return n;
}

size_t pc_ws_close_frame(uint8_t out[PC_WS_CLOSE_SIZE], uint16_t code, pusherc_slice reason)
{
    reason = pc_utf8_cut(reason, MAX_CONTROL_PAYLOAD - 2);
    size_t n = pc_ws_header(out, PC_WS_CLOSE, 2 + reason.len);
    out[n++] = (uint8_t)(code >> 8);
    out[n++] = (uint8_t)code;
    if (reason.len)
        memcpy(out + n, reason.ptr, reason.len);
    return n + reason.len;
}
