/*
 * WebSocket (RFC 6455): wslay behind an interface that keeps no context for an idle connection. A
 * context (4.6 KB, most of it wslay's buffer) is borrowed from the worker's pool while a frame or
 * message is incomplete and given back as soon as every byte fed belongs to finished messages. Only
 * ws.c knows wslay.
 */
#ifndef PC_CODEC_WS_H
#define PC_CODEC_WS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "codec/http.h"

#define PC_WS_MAX_HEADER 10 /* server frames carry no mask */

enum pc_ws_opcode {
    PC_WS_TEXT = 1,
    PC_WS_BINARY = 2,
    PC_WS_CLOSE = 8,
    PC_WS_PING = 9,
    PC_WS_PONG = 10
};

/* What a connection does with what comes in. `user` is the connection. None may free the pc_ws. */
struct pc_ws_events {
    /* A whole message: text is valid UTF-8. */
    void (*message)(void *user, enum pc_ws_opcode opcode,
                    pusherc_slice payload); /* TEXT or BINARY */
    void (*ping)(void *user);               /* already answered through `send` */
    void (*pong)(void *user);
    /* The peer's Close: code 1005 if it had none. The answer goes out through `send`, unless
     * pc_ws_closing() was called before. Nothing is fed after it. */
    void (*close)(void *user, uint16_t code, pusherc_slice reason);
    /* Bytes for the peer, copied by the callee: pongs, close answers and the Close for broken input
     * (1002, 1007, 1009). One whole frame per call. */
    void (*send)(void *user, pusherc_slice frame);
};

struct pc_ws_pool; /* idle wslay contexts of one worker */
PC_CHECKED int pc_ws_pool_new(struct pc_ws_pool **out, const struct pc_mem *mem, size_t max_idle,
                              const struct pc_ws_events *events);
void pc_ws_pool_free(struct pc_ws_pool *pool);

/* One connection's side; embed it. */
struct pc_ws {
    void *context;        /* borrowed from the pool while a message is incomplete, else NULL */
    uint32_t max_message; /* bytes */
    bool closing;         /* our Close has been sent: input is only looked at for the peer's */
    bool ended;           /* peer's Close seen, or input was broken: feed nothing more */
};
void pc_ws_init(struct pc_ws *ws, uint32_t max_message);
void pc_ws_free(struct pc_ws *ws, struct pc_ws_pool *pool);
void pc_ws_closing(struct pc_ws *ws); /* no message is delivered and no answer sent any more */

/* Feeds bytes. 0; PUSHERC_EPROTO: the peer broke RFC 6455 or the message limit, and `send` got the
 * Close with *close_code (1002, 1007, 1009) unless ours went out before; PUSHERC_ENOMEM. After an
 * error, and after the peer's Close, `ended` is set. A callback may call pc_ws_closing(). */
PC_CHECKED int pc_ws_feed(struct pc_ws *ws, struct pc_ws_pool *pool, void *user,
                          pusherc_slice bytes, uint16_t *close_code);

/* Header of an unfragmented server frame; returns 2, 4 or 10. */
size_t pc_ws_header(uint8_t out[PC_WS_MAX_HEADER], enum pc_ws_opcode opcode, uint64_t payload_len);
/* A whole Close frame; reason is cut at 123 bytes on a character boundary. Returns its length. */
#define PC_WS_CLOSE_SIZE (2 + 125)
size_t pc_ws_close_frame(uint8_t out[PC_WS_CLOSE_SIZE], uint16_t code, pusherc_slice reason);

/* The server's part of the opening handshake: checks version, key, method, Connection, Upgrade, and
 * appends the 101 response. An offered subprotocol "pusher-channels-protocol-N" is echoed, nothing
 * else is. 0; PUSHERC_EPROTO: *status (400, 405, 426, or 500 without SHA-1) and *text are what to
 * answer instead, with the fields below; or buf's status. */
PC_CHECKED int pc_ws_handshake(const struct pc_http_message *request, struct pc_buf *out,
                               int *status, const char **text);
/* What an answer with that status has to say besides: 426 the version spoken, 405 the method. */
const struct pc_pair *pc_ws_refusal_fields(int status, size_t *count);

#endif
