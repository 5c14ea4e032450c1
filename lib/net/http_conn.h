/*
 * A connection that speaks HTTP: reads requests, one after the other, and writes the answers. What a request means is
 * up to the function it was made with. That answers at once, or lets the connection wait (pc_http_wait()).
 */
#ifndef PC_NET_HTTP_CONN_H
#define PC_NET_HTTP_CONN_H

#include "api/api.h"
#include "fanout/pending.h"
#include "net/conn.h"

/* How a request goes on that is answered later. `of` is what was made for it; each of these is called at most once for a
 * pc_http_wait(), and ends the wait. */
struct pc_http_waiting {
    /* The answer that the connection's pc_await waited for is there: replies, or waits again. NULL where something
     * else is waited for, which calls pc_http_stop_waiting() itself. */
    void (*resume)(struct pc_conn *conn, void *of, struct pc_pending *answer);
    /* It took too long: replies in its place. What was waited for is abandoned afterwards. */
    void (*too_late)(struct pc_conn *conn, void *of);
    /* The connection goes, and what was waited for has been abandoned: lets go of `of`. NULL = nothing to do. */
    void (*abandon)(struct pc_conn *conn, void *of);
};

/* A request is complete. */
typedef void (*pc_http_serve_fn)(struct pc_conn *conn, const struct pc_http_message *message);

/* Takes the socket in any case. `tls` NULL = plain. NULL: out of memory or refused by libuv; the socket is closed. */
struct pc_conn *pc_http_conn_new(struct pc_loop *loop, int fd, struct pc_tls_config *tls,
                                 pc_http_serve_fn serve);

/* What the request at hand waits with, at most for one answer at a time. */
struct pc_await *pc_http_await(struct pc_conn *conn);
/* The request at hand waits from now on, for at most `ms`; 0 = for any time. `message` stays readable meanwhile. */
void pc_http_wait(struct pc_conn *conn, const struct pc_http_waiting *how, void *of,
                  const struct pc_http_message *message, uint64_t ms);
/* The request can be answered. Not for what pc_await waits for. */
void pc_http_stop_waiting(struct pc_conn *conn);
/* After an answer that came neither from `serve` nor from `resume`: reads on. May destroy the connection. */
void pc_http_continue(struct pc_conn *conn);

/* The memory of the request at hand, for something that may outlive the connection; and back. */
struct pc_http_parser *pc_http_take_request(struct pc_conn *conn);
void pc_http_give_request(struct pc_conn *conn, struct pc_http_parser *parser);

/* The request at hand, unless something has taken it. */
const struct pc_http_message *pc_http_message(const struct pc_conn *conn);
/* Answers the request at hand, `message`, which is gone afterwards. NULL: the connection ends with this answer. */
void pc_http_reply(struct pc_conn *conn, struct pc_api_reply *reply,
                   const struct pc_http_message *message);
/* The same with a line of text. */
void pc_http_reply_text(struct pc_conn *conn, int status, const char *text,
                        const struct pc_http_message *message);
/* A line of text with which the connection ends. */
static inline void pc_http_refuse(struct pc_conn *conn, int status, const char *text)
{
    pc_http_reply_text(conn, status, text, NULL);
}
/* A whole response from elsewhere; empty: the connection is broken. */
void pc_http_reply_bytes(struct pc_conn *conn, pusherc_slice response, bool keep_alive);

#endif
