/*
 * The first byte chooses the message limit, what the connection does and whether messages may be compressed; the rest is what a client
 * sends after the handshake. It is fed whole, byte by byte and in odd pieces: what the connection is
 * told has to be the same, and obey the promises of ws.h.
 */
#include <stdint.h>
#include <stdlib.h>

#include <pusherc/error.h>

#include "codec/ws.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct connection {
    struct pc_ws ws;
    uint64_t hash; /* of all events */
    bool closes;   /* sends its Close on the first message */
    bool close_sent, close_received;
};

static void check(bool holds)
{
    if (!holds)
        abort();
}

/* FNV-1a: enough to tell two runs apart. */
static void mix(struct connection *c, char event, pusherc_slice s)
{
    c->hash = (c->hash ^ (uint8_t)event) * 0x100000001b3U;
    for (size_t i = 0; i < s.len; i++)
        c->hash = (c->hash ^ (uint8_t)s.ptr[i]) * 0x100000001b3U;
}

static void on_message(void *user, enum pc_ws_opcode opcode, pusherc_slice payload)
{
    struct connection *c = user;
    check(opcode == PC_WS_TEXT || opcode == PC_WS_BINARY);
    check(payload.len <= c->ws.max_message);
    check(opcode == PC_WS_BINARY || pc_utf8_valid(payload));
    check(!c->ws.closing && !c->ws.ended && !c->close_sent && !c->close_received);
    mix(c, opcode == PC_WS_TEXT ? 't' : 'b', payload);
    if (c->closes)
        pc_ws_closing(&c->ws);
}

static void on_ping(void *user, pusherc_slice pong)
{
    struct connection *c = user;
    const uint8_t *bytes = (const uint8_t *)pong.ptr;
    check(!c->ws.closing && !c->ws.ended && !c->close_sent);
    check(pong.len >= 2 && bytes[0] == 0x8a && bytes[1] <= 125 && pong.len == 2u + bytes[1]);
    mix(c, 'i', pong);
}

static void on_pong(void *user)
{
    struct connection *c = user;
    check(!c->ws.closing && !c->ws.ended && !c->close_sent);
    mix(c, 'o', pc_slice(NULL, 0));
}

static void on_close(void *user, uint16_t code, pusherc_slice reason)
{
    struct connection *c = user;
    check(!c->close_received && c->ws.ended && c->close_sent != c->ws.closing);
    check((code >= 1000 && code <= 1014) || (code >= 3000 && code <= 4999));
    check(reason.len <= 123 && pc_utf8_valid(reason));
    c->close_received = true;
    mix(c, 'c', reason);
    mix(c, 'd', pc_slice((const char *)&code, sizeof code));
}

static void on_send(void *user, pusherc_slice frame)
{
    struct connection *c = user;
    const uint8_t *bytes = (const uint8_t *)frame.ptr;
    check(!c->ws.closing && !c->close_sent);
    check(frame.len >= 2 && bytes[1] <= 125 && frame.len == 2u + bytes[1]);
    check(bytes[0] == 0x88 && bytes[1] != 1);
    check(pc_utf8_valid(pc_slice_skip(frame, bytes[1] ? 4 : 2)));
    c->close_sent = true;
}

static const struct pc_ws_events events = {on_message, on_ping, on_pong, on_close, on_send};

static void mix_end(struct connection *c, int status, uint16_t code)
{
    if (status == 0 && !c->close_received)
        return;
    check(status == 0 || (status == PUSHERC_EPROTO && !c->close_received));
    check(status == 0 || code == 1002 || code == 1007 || code == 1009);
    check(c->ws.closing || c->close_sent);
    check(c->ws.ended && !c->ws.context);
    mix(c, 'e', pc_slice((const char *)&code, sizeof code));
}

static uint64_t run(struct pc_ws_pool *pool, uint8_t choice, const uint8_t *data, size_t size,
                    size_t step)
{
    static const uint32_t limits[] = {0, 1, 10, 124, 125, 126, 1000, 70000};
    struct connection c = {.hash = 0xcbf29ce484222325U, .closes = choice & 8};
    pc_ws_init(&c.ws, limits[choice & 7]);
    c.ws.inflates = choice & 16;
    size_t at = 0;
    while (at < size && !c.ws.ended) {
        size_t len = size - at < step ? size - at : step;
        uint16_t code;
        char *piece = malloc(len); /* of its exact size, so that reading past the end is seen */
        check(piece != NULL);
        memcpy(piece, data + at, len);
        pusherc_slice rest = pc_slice(piece, len);
        int status = 0;
        do
            status = pc_ws_feed(&c.ws, pool, &c, &rest, &code);
        while (status == 0 && !c.ws.ended && (rest.len || c.ws.more));
        mix_end(&c, status, code);
        free(piece);
        at += len;
    }
    pc_ws_free(&c.ws, pool);
    return c.hash;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pc_mem mem = pc_mem_make(NULL);
    struct pc_ws_pool *pool;
    if (size < 2 || size > 100000)
        return 0;
    if (pc_ws_pool_new(&pool, &mem, 1, &events))
        abort();
    uint8_t choice = *data++;
    size--;
    uint64_t whole = run(pool, choice, data, size, size);
    check(run(pool, choice, data, size, 1) == whole);
    check(run(pool, choice, data, size, 2 + data[size / 2] % 61) == whole);
    pc_ws_pool_free(pool);
    return 0;
}
