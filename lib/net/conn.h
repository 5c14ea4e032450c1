/*
 * One TCP connection: its socket, what it speaks now, and when it has waited long enough.
 *
 * conn.c moves bytes and ends connections; http_conn.c and ws_conn.c say what the bytes mean. A connection
 * is never freed under a caller: destroying takes it out of everything, and libuv's close callback frees it.
 */
#ifndef PC_NET_CONN_H
#define PC_NET_CONN_H

#include "codec/http.h"
#include "net/loop.h"
#include "session/session.h"

struct pc_api_reply;
struct pc_ask;
struct pc_auth_call;
struct pc_tls;
struct pc_tls_config;

enum pc_conn_state {
    PC_CONN_HTTP = 0,  /* waits for (the rest of) a request */
    PC_CONN_HOST,      /* waits for the host's answer; input rests */
    PC_CONN_WEBSOCKET, /* an established session */
    PC_CONN_CLOSING,   /* our Close is queued or sent: waits for the peer's */
    PC_CONN_DRAINING,  /* what is queued goes out, then our half is shut */
    PC_CONN_LINGERING, /* shut: reads and forgets until the peer has closed too, or its last bytes could
                          make the kernel throw away ours */
    PC_CONN_DEAD       /* destroyed: waits for libuv */
};

struct pc_conn {
    uv_poll_t poll;
    struct pc_loop *loop;
    struct pc_list of_loop;
    int fd;
    int interest;       /* events libuv watches for */
    uint8_t state;      /* enum pc_conn_state */
    uint8_t wait;       /* what `timer` is set for, enum pc_conn_wait */
    bool throttled;     /* too much is queued for it: not read from */
    bool write_blocked; /* the kernel takes no more for now */
    bool input_ended;   /* the peer has shut its half */
    bool peer_left;  /* the same, seen while the host was asked: there may be input before that */
    bool broken;     /* nothing sensible can be sent: destroyed at the next flush */
    bool operations; /* of a listener for operators */
    bool app_asked;  /* find_app has been answered for the request at hand */
    struct pc_outq out;
    struct pc_timer timer;
    struct pc_http_parser *http; /* owned; NULL once it speaks WebSocket */
    struct pc_tls *tls;          /* owned; NULL = plain */
    struct pc_auth_call *auth;   /* an auth endpoint's request under way; owned, or NULL */
    struct pc_ask *ask;          /* the host's question under way; borrowed, or NULL */
    char *saved;                 /* owned: input that came after a request still being answered */
    size_t saved_len;
    struct pc_ws ws;
    struct pc_session session; /* begins with the WebSocket */
};

enum pc_conn_wait {
    PC_WAIT_NOTHING = 0,
    PC_WAIT_HEAD, /* a request head, from accept or its first byte */
    PC_WAIT_BODY,
    PC_WAIT_NEXT, /* the next request of a kept-alive connection */
    PC_WAIT_HOST,
    PC_WAIT_GOODBYE,   /* its turn in a paced stop */
    PC_WAIT_PEER_CLOSE /* the peer's half of the end */
};

/* Takes the socket in any case. `tls` NULL = plain. NULL: out of memory or refused by libuv; the socket is closed. */
struct pc_conn *pc_conn_new(struct pc_loop *loop, int fd, struct pc_tls_config *tls);
/* At once, whatever is queued. Never from inside a codec's callback: set `broken` there. */
void pc_conn_destroy(struct pc_conn *conn);
/* The server stops: end it politely within grace_ms. */
void pc_conn_say_goodbye(struct pc_conn *conn, uint64_t grace_ms);

/* Plain text bytes of the peer. May destroy the connection. */
void pc_conn_input(struct pc_conn *conn, pusherc_slice bytes);
/* Feeds what was saved, once there is nothing in the way. May destroy. */
void pc_conn_resume(struct pc_conn *conn);
/* Keeps input for pc_conn_resume(). */
void pc_conn_save(struct pc_conn *conn, pusherc_slice bytes);

/* Queues bytes; without memory the connection is broken. opcode as in pc_frame_new(). */
void pc_conn_send(struct pc_conn *conn, int opcode, pusherc_slice bytes);
/* Everything queued goes out, then the connection ends from our side. */
void pc_conn_finish(struct pc_conn *conn);
void pc_conn_set_wait(struct pc_conn *conn, enum pc_conn_wait wait, uint64_t ms);
/* Tells libuv what the connection waits for now. */
void pc_conn_watch(struct pc_conn *conn);

/* Shared by the connections of one flush: what was gathered lately, in case the next queue holds the same.
 * Each keeps its bytes in one of the loop's write buffers. */
struct pc_flush {
    struct pc_gathered {
        size_t len; /* bytes; 0 = nothing gathered */
        uint32_t count;
        struct pc_slot *slots[PC_CHUNK_SLOTS];
    } kept[PC_WRITE_BUFFERS];
    uint32_t last; /* used or written last: mostly the next queue's, too */
};
void pc_flush_init(struct pc_flush *pass);
void pc_conn_flush(struct pc_conn *conn, struct pc_flush *pass);

/* -- http_conn.c -- */
void pc_conn_http_input(struct pc_conn *conn, pusherc_slice bytes);
void pc_conn_http_timeout(struct pc_conn *conn);
/* Answers the request at hand. */
void pc_conn_http_reply(struct pc_conn *conn, struct pc_api_reply *reply);
/* Asks the host for an app nobody has put; false: there is nobody to ask, or it has been asked. */
bool pc_conn_ask_for_app(struct pc_conn *conn, const struct pc_http_message *m, pusherc_slice id,
                         pusherc_slice key);
void pc_conn_http_no_answer(struct pc_conn *conn); /* the host was asked and did not answer */
void pc_conn_http_wants_tls(struct pc_conn *conn); /* it came to a TLS listener without */
/* -- ws_conn.c -- */
/* The request at hand asks for a WebSocket. */
void pc_conn_upgrade(struct pc_conn *conn, const struct pc_http_message *request);
/* It does not, but is for the path of WebSockets: the answer says what to ask for. */
void pc_conn_refuse_plain(struct pc_conn *conn, const struct pc_http_message *request);
void pc_conn_ws_input(struct pc_conn *conn, pusherc_slice bytes);
/* The host has not answered in time. */
void pc_conn_host_timeout(struct pc_conn *conn);
void pc_conn_ws_message(void *user, enum pc_ws_opcode opcode, pusherc_slice payload);
void pc_conn_ws_ping(void *user);
void pc_conn_ws_pong(void *user);
void pc_conn_ws_close(void *user, uint16_t code, pusherc_slice reason);
void pc_conn_ws_send(void *user, pusherc_slice frame);

#endif
