/*
 * WebSocket (RFC 6455): wslay behind an interface that keeps no context for an idle connection. A
 * context (4.6 KB, most of it wslay's buffer) is borrowed from the worker's pool while a frame or
 * message is incomplete and given back as soon as every byte fed belongs to finished messages. Only
 * ws.c knows wslay. Where both sides have agreed on permessage-deflate, a message may come compressed: it is kept as it
 * came until its last byte is there, and then decompressed by the pool's decompressor.
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
    PC_WS_PONG = 10,
    /* with RSV1, which says that the payload is compressed: only for pc_ws_header() */
    PC_WS_TEXT_DEFLATED = 0x40 | PC_WS_TEXT
};

/* The callbacks of a connection, which is `user`. A callback must not free the pc_ws. */
struct pc_ws_events {
    /* A whole message: text is valid UTF-8. */
    void (*message)(void *user, enum pc_ws_opcode opcode,
                    pusherc_slice payload); /* TEXT or BINARY */
    /* A PING; `pong` is the whole frame that answers it, for the callee to send. */
    void (*ping)(void *user, pusherc_slice pong);
    void (*pong)(void *user);
    /* The peer's Close: code 1005 if it had no code. The answer has gone out through `send`, unless
     * pc_ws_closing() was called before. The connection feeds no bytes after it. */
    void (*close)(void *user, uint16_t code, pusherc_slice reason);
    /* Bytes for the peer, copied by the callee: close answers and the Close for broken input (1002, 1007, 1009).
     * One whole frame per call. */
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
    bool inflates;        /* messages may come compressed: set after pc_ws_init() */
    bool closing;         /* the server's Close was sent: input is read only to find the peer's */
    bool ended;           /* the peer's Close came, or its input was broken: no more feeding */
    bool
        more; /* bytes behind the last message were taken in: feed again, with none if there are none */
};
void pc_ws_init(struct pc_ws *ws, uint32_t max_message);
void pc_ws_free(struct pc_ws *ws, struct pc_ws_pool *pool);
void pc_ws_closing(struct pc_ws *ws); /* from now on: no message, no answer */

/* Feeds bytes up to the end of the first message or control frame, and leaves the rest in *bytes; see `more`. 0;
 * PUSHERC_EPROTO: the peer broke RFC 6455 or the message limit, and `send` got the Close with *close_code (1002, 1007,
 * 1009) unless the server's was sent before; PUSHERC_ENOMEM. After an error, and after the peer's Close, `ended` is set.
 * A callback may call pc_ws_closing(). */
PC_CHECKED int pc_ws_feed(struct pc_ws *ws, struct pc_ws_pool *pool, void *user,
                          pusherc_slice *bytes, uint16_t *close_code);

/* Header of an unfragmented server frame; returns 2, 4 or 10. */
size_t pc_ws_header(uint8_t out[PC_WS_MAX_HEADER], enum pc_ws_opcode opcode, uint64_t payload_len);
/* Writes a whole Close frame; the reason is cut to 123 bytes at a character's start. Returns the length. */
#define PC_WS_CLOSE_SIZE (2 + 125)
size_t pc_ws_close_frame(uint8_t out[PC_WS_CLOSE_SIZE], uint16_t code, pusherc_slice reason);

/* What a handshake has agreed on about compressed messages. */
struct pc_ws_deflate {
    bool agreed; /* messages may be compressed in both directions */
    uint8_t
        window_bits; /* 8..15, of the server's messages, as the client asked for; 0 = it did not */
};
/* Takes up the first offer of permessage-deflate that is well-formed. */
void pc_ws_choose_deflate(const struct pc_http_message *request, struct pc_ws_deflate *out);
/* Appends the field of the 101 response, behind another one without its end. */
void pc_ws_put_deflate(struct pc_buf *out, const struct pc_ws_deflate *deflate);
/* True if the client can take what pc_deflate() makes. Otherwise the server's messages go as they are. */
bool pc_ws_deflate_fits(const struct pc_ws_deflate *deflate);

/* The server's part of the opening handshake: checks version, key, method, Connection, Upgrade, and
 * appends the 101 response. It chooses the first offered subprotocol "pusher-channels-protocol-N", and no
 * other; and permessage-deflate if `deflate`, which may be NULL, is to receive what was agreed on. 0; PUSHERC_EPROTO: answer with *status (400, 405, 426, or 500 without SHA-1), *text and the fields
 * below; or buf's status. */
PC_CHECKED int pc_ws_handshake(const struct pc_http_message *request, struct pc_buf *out,
                               struct pc_ws_deflate *deflate, int *status, const char **text);
/* The header fields that an answer with that status needs: 426 the supported version, 405 the method. Others: none. */
const struct pc_pair *pc_ws_refusal_fields(int status, size_t *count);

#endif
