/*
 * A connection that speaks HTTP. It reads one request after the other, calls the function `serve` for each, and writes
 * the answers. `serve` answers at once, or lets the connection wait (pc_http_wait()).
 */
#ifndef PC_NET_HTTP_CONN_H
#define PC_NET_HTTP_CONN_H

#include "api/api.h"
#include "fanout/pending.h"
#include "net/conn.h"

/* What happens with a request that is answered later. `of` is the caller's object for the request. Each pc_http_wait()
 * leads to one call of one of these at most, and that call ends the wait. */
struct pc_http_waiting {
    /* The answer that the connection's pc_await waited for has arrived: replies, or waits again. NULL if the request
     * waits for something else; then the code that answers calls pc_http_stop_waiting(). */
    void (*resume)(struct pc_conn *conn, void *of, struct pc_pending *answer);
    /* The time is over, or the answer is silent: replies in place of the answer. The pc_await is abandoned afterwards.
     * NULL if the time has no limit; then `resume` gets silent answers as well. */
    void (*too_late)(struct pc_conn *conn, void *of);
    /* The connection ends, and the pc_await has been abandoned: frees `of`. NULL = nothing to do. */
    void (*abandon)(struct pc_conn *conn, void *of);
    /* The queue has been written as far as the kernel took it. NULL = nothing to do. */
    void (*flushed)(struct pc_conn *conn, void *of);
    bool
        ends_with_peer; /* a client that shuts its half has left; otherwise it may still read the answer */
};

/* Called for each complete request. */
typedef void (*pc_http_serve_fn)(struct pc_conn *conn, const struct pc_http_message *message);

/* Takes the socket in any case. `tls` NULL = plain. NULL: out of memory or refused by libuv; the socket is closed. */
struct pc_conn *pc_http_conn_new(struct pc_loop *loop, int fd, struct pc_tls_config *tls,
                                 pc_http_serve_fn serve);

/* The same for a socket that comes from another loop with a request, whose memory is taken over on success. */
struct pc_conn *pc_http_conn_move_in(struct pc_loop *loop, const struct pc_moving *socket,
                                     struct pc_http_parser *parser, pc_http_serve_fn serve);
/* What handles the requests of the connection. */
pc_http_serve_fn pc_http_server_of(const struct pc_conn *conn);

/* The connection's place for an answer to arrive; the current request waits for one answer at a time. */
struct pc_await *pc_http_await(struct pc_conn *conn);
/* Makes the current request wait for at most `ms`; 0 = without a limit. `message` stays readable meanwhile. */
void pc_http_wait(struct pc_conn *conn, const struct pc_http_waiting *how, void *of,
                  const struct pc_http_message *message, uint64_t ms);
/* Ends the wait, so that the request can be answered. The pc_await does it itself. */
void pc_http_stop_waiting(struct pc_conn *conn);

/* Moves the memory of the current request to an owner that may outlive the connection; and back. */
struct pc_http_parser *pc_http_take_request(struct pc_conn *conn);
void pc_http_give_request(struct pc_conn *conn, struct pc_http_parser *parser);

/* The current request. Not while pc_http_take_request() has moved it away. */
const struct pc_http_message *pc_http_message(const struct pc_conn *conn);
/* pc_http_parser_retarget() of the current request. */
PC_CHECKED int pc_http_retarget(struct pc_conn *conn, pusherc_slice target);
/* Answers the current request, `message`, which is invalid afterwards. NULL: the connection ends with this answer. */
void pc_http_reply(struct pc_conn *conn, struct pc_api_reply *reply,
                   const struct pc_http_message *message);
/* The same with a line of text. */
void pc_http_reply_text(struct pc_conn *conn, int status, const char *text,
                        const struct pc_http_message *message);
/* Answers with a line of text and ends the connection. */
static inline void pc_http_refuse(struct pc_conn *conn, int status, const char *text)
{
    pc_http_reply_text(conn, status, text, NULL);
}
/* Ends an answer without a length whose parts were sent before: `tail` is the last of them. */
void pc_http_end_stream(struct pc_conn *conn, pusherc_slice tail, bool keep_alive);
/* Sends a response that is written already, head included. Empty: the connection is destroyed without one. */
void pc_http_reply_bytes(struct pc_conn *conn, pusherc_slice response, bool keep_alive);

#endif
