#include "codec/ws.h"

#include <assert.h>

#include <wslay/wslay.h>

#include <pusherc/error.h>

#define MAX_CONTROL_PAYLOAD 125 /* RFC 6455, section 5.5 */

/*
 * wslay checks frames, masks, fragments and UTF-8. It would also collect messages, but allocates
 * what a frame's header declares and a list node per fragment, so it runs unbuffered and hands over
 * the pieces: a message that came whole is delivered where it lies, others are put together here.
 */
struct context {
    struct context *next; /* idle ones in a row */
    struct pc_ws_pool *pool;
    struct wslay_event_context *wslay; /* owned */
    struct pc_ws *ws;                  /* borrower; NULL while idle */
    void *user;                        /* of the borrower */

    pusherc_slice input; /* fed, not taken by wslay yet */
    uint64_t unfinished; /* bytes fed that are not part of a finished frame */
    bool in_message;     /* a last fragment is missing */

    bool control; /* the frame in progress; wslay keeps the payload of control frames itself */
    bool fin;
    uint64_t payload_len;

    uint64_t message_len;  /* as declared by the headers of its frames so far */
    pusherc_slice whole;   /* a message in one piece, inside wslay's buffer */
    struct pc_buf message; /* otherwise: its pieces */

    uint16_t failed_with; /* 0, or the close code of a fault that we found */
    bool out_of_memory;

    uint8_t answer[2 + MAX_CONTROL_PAYLOAD]; /* wslay's pong or Close on its way out */
    size_t answer_len;
};

struct pc_ws_pool {
    const struct pc_mem *mem; /* borrowed */
    struct pc_ws_events events;
    struct context *idle;
    size_t idle_count, max_idle;
};

static void fail(struct context *c, uint16_t code)
{
    if (!c->failed_with)
        c->failed_with = code;
    wslay_event_shutdown_read(c->wslay);
}

static void fail_memory(struct context *c)
{
    c->out_of_memory = true;
    wslay_event_shutdown_read(c->wslay);
}

static bool stopped(const struct context *c)
{
    return c->failed_with || c->out_of_memory;
}

/* Lets wslay write what it has queued, and passes it on unless our Close has gone out before. */
static void send_answer(struct context *c)
{
    c->answer_len = 0;
    if (wslay_event_send(c->wslay)) {
        fail_memory(c);
        return;
    }
    if (c->answer_len && !c->ws->closing)
        c->pool->events.send(c->user, pc_slice((const char *)c->answer, c->answer_len));
}

static ssize_t on_read(wslay_event_context_ptr wslay, uint8_t *buf, size_t len, int flags,
                       void *user_data)
{
    struct context *c = user_data;
    (void)flags;
    if (c->input.len == 0) {
        wslay_event_set_error(wslay, WSLAY_ERR_WOULDBLOCK);
        return -1;
    }
    pusherc_slice part = pc_slice_first(c->input, len);
    memcpy(buf, part.ptr, part.len);
    c->input = pc_slice_skip(c->input, part.len);
    return (ssize_t)part.len;
}

static ssize_t on_write(wslay_event_context_ptr wslay, const uint8_t *data, size_t len, int flags,
                        void *user_data)
{
    struct context *c = user_data;
    (void)flags;
    if (len > sizeof c->answer - c->answer_len) { /* never: wslay writes one control frame */
        wslay_event_set_error(wslay, WSLAY_ERR_CALLBACK_FAILURE);
        return -1;
    }
    memcpy(c->answer + c->answer_len, data, len);
    c->answer_len += len;
    return (ssize_t)len;
}

static void on_frame_start(wslay_event_context_ptr wslay,
                           const struct wslay_event_on_frame_recv_start_arg *arg, void *user_data)
{
    struct context *c = user_data;
    (void)wslay;
    c->control = wslay_is_ctrl_frame(arg->opcode);
    c->fin = arg->fin;
    c->payload_len = arg->payload_length;
    if (c->control)
        return;
    /* wslay has checked this frame alone: with buffering off it does not add up the fragments. */
    if (c->payload_len > c->ws->max_message - c->message_len)
        fail(c, WSLAY_CODE_MESSAGE_TOO_BIG);
    else
        c->message_len += c->payload_len;
}

static void on_frame_chunk(wslay_event_context_ptr wslay,
                           const struct wslay_event_on_frame_recv_chunk_arg *arg, void *user_data)
{
    struct context *c = user_data;
    (void)wslay;
    pusherc_slice piece = pc_slice((const char *)arg->data, arg->data_length);
    if (c->control || stopped(c))
        return;
    if (c->fin && piece.len == c->message_len) {
        c->whole = piece;
        return;
    }
    pc_buf_put(&c->message, piece);
    if (pc_buf_status(&c->message))
        fail_memory(c);
}

/* What the header of a finished frame took: wslay refuses unmasked frames and lengths that are not
 * in their shortest form. */
static uint64_t header_size(uint64_t payload_len)
{
    return payload_len < 126 ? 6 : payload_len <= UINT16_MAX ? 8 : 14;
}

static void on_frame_end(wslay_event_context_ptr wslay, void *user_data)
{
    struct context *c = user_data;
    (void)wslay;
    c->unfinished -= header_size(c->payload_len) + c->payload_len;
    if (!c->control)
        c->in_message = !c->fin;
}

/* wslay takes half a code for none, and checks the reason only as far as it came in one piece. */
static uint16_t close_fault(pusherc_slice payload)
{
    if (payload.len == 1)
        return WSLAY_CODE_PROTOCOL_ERROR;
    if (payload.len > 2 && !pc_utf8_valid(pc_slice_skip(payload, 2)))
        return WSLAY_CODE_INVALID_FRAME_PAYLOAD_DATA;
    return 0;
}

static void on_message(wslay_event_context_ptr wslay, const struct wslay_event_on_msg_recv_arg *arg,
                       void *user_data)
{
    struct context *c = user_data;
    const struct pc_ws_events *events = &c->pool->events;
    pusherc_slice payload = pc_slice((const char *)arg->msg, arg->msg_length);
    (void)wslay;
    if (stopped(c))
        return;
    switch (arg->opcode) {
    case WSLAY_TEXT_FRAME:
    case WSLAY_BINARY_FRAME:
        payload = c->whole.len ? c->whole : pc_buf_slice(&c->message);
        if (!c->ws->closing)
            events->message(c->user, arg->opcode == WSLAY_TEXT_FRAME ? PC_WS_TEXT : PC_WS_BINARY,
                            payload);
        c->whole = pc_slice(NULL, 0);
        c->message_len = 0;
        pc_buf_clear(&c->message);
        return;
    case WSLAY_PING:
        send_answer(c);
        if (!c->ws->closing)
            events->ping(c->user);
        return;
    case WSLAY_PONG:
        if (!c->ws->closing)
            events->pong(c->user);
        return;
    case WSLAY_CONNECTION_CLOSE:
        if (close_fault(payload)) {
            fail(c, close_fault(payload));
            return;
        }
        send_answer(c);
        c->ws->ended = true;
        events->close(c->user, arg->status_code ? arg->status_code : WSLAY_CODE_NO_STATUS_RCVD,
                      payload.len > 2 ? pc_slice_skip(payload, 2) : pc_slice(NULL, 0));
        return;
    default: /* wslay refuses the reserved opcodes */
        return;
    }
}

static const struct wslay_event_callbacks callbacks = {
    .recv_callback = on_read,
    .send_callback = on_write,
    .on_frame_recv_start_callback = on_frame_start,
    .on_frame_recv_chunk_callback = on_frame_chunk,
    .on_frame_recv_end_callback = on_frame_end,
    .on_msg_recv_callback = on_message,
};

static void context_free(struct context *c)
{
    wslay_event_context_free(c->wslay);
    pc_buf_free(&c->message);
    pc_free(c->pool->mem, c);
}

static struct context *context_new(struct pc_ws_pool *pool)
{
    struct context *c = pc_alloc_zero(pool->mem, sizeof *c);
    if (!c)
        return NULL;
    c->pool = pool;
    if (wslay_event_context_server_init(&c->wslay, &callbacks, c)) {
        pc_free(pool->mem, c);
        return NULL;
    }
    wslay_event_config_set_no_buffering(c->wslay, 1);
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
    /* Before the first byte: the default is 2 GiB. Control frames count for wslay, too. */
    wslay_event_config_set_max_recv_msg_length(
        c->wslay, ws->max_message > MAX_CONTROL_PAYLOAD ? ws->max_message : MAX_CONTROL_PAYLOAD);
    pc_buf_init(&c->message, pool->mem, ws->max_message);
    c->ws = ws;
    ws->context = c;
    return c;
}

/* Only between messages and without a fault: nothing of one connection may reach another. */
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
    pc_free(pool->mem, pool);
}

void pc_ws_init(struct pc_ws *ws, uint32_t max_message)
{
    *ws = (struct pc_ws){.max_message = max_message};
}

void pc_ws_free(struct pc_ws *ws, struct pc_ws_pool *pool)
{
    (void)pool; /* a context in use is in the middle of something: no use to others */
    if (ws->context)
        context_free(ws->context);
    ws->context = NULL;
}

void pc_ws_closing(struct pc_ws *ws)
{
    ws->closing = true;
}

/* The close code for what made wslay stop with `status`. */
static uint16_t fault(struct context *c, int status)
{
    if (c->failed_with)
        return c->failed_with;
    if (status) /* the frame's header was broken: wslay has no code for that */
        return WSLAY_CODE_PROTOCOL_ERROR;
    /* It has queued a Close; what is in it can be asked only once it is sent. Ours says more. */
    c->answer_len = 0;
    (void)wslay_event_send(c->wslay);
    return wslay_event_get_status_code_sent(c->wslay);
}

static void send_close(struct context *c, uint16_t code)
{
    pusherc_slice reason = code == WSLAY_CODE_MESSAGE_TOO_BIG ? PC_S("Message too large")
                           : code == WSLAY_CODE_INVALID_FRAME_PAYLOAD_DATA
                               ? PC_S("Text is not valid UTF-8")
                               : PC_S("Malformed WebSocket frame");
    uint8_t frame[PC_WS_CLOSE_SIZE];
    size_t len = pc_ws_close_frame(frame, code, reason);
    c->pool->events.send(c->user, pc_slice((const char *)frame, len));
}

int pc_ws_feed(struct pc_ws *ws, struct pc_ws_pool *pool, void *user, pusherc_slice bytes,
               uint16_t *close_code)
{
    assert(!ws->ended);
    *close_code = 0;
    struct context *c = ws->context;
    if (!c)
        c = borrow(pool, ws);
    if (!c) {
        ws->ended = true;
        return PUSHERC_ENOMEM;
    }

    c->user = user;
    c->input = bytes;
    c->unfinished += bytes.len;
    int status = wslay_event_recv(c->wslay);
    bool reading = wslay_event_get_read_enabled(c->wslay);
    if (reading && !status) {
        if (c->unfinished == 0 && !c->in_message)
            give_back(pool, c);
        return 0;
    }

    int result = 0; /* the peer's Close */
    if (c->out_of_memory || status == WSLAY_ERR_NOMEM) {
        result = PUSHERC_ENOMEM;
    } else if (!ws->ended) {
        result = PUSHERC_EPROTO;
        *close_code = fault(c, status);
        if (!ws->closing)
            send_close(c, *close_code);
    }
    ws->ended = true;
    ws->context = NULL;
    context_free(c);
    return result;
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
