/*
 * One TCP connection: its socket, its queue, its one timer. It moves bytes and ends; what the bytes mean is the
 * business of its kind (http_conn.c, ws_conn.c), which it knows as a table of functions only. It begins as HTTP and may
 * become another kind. A connection is never freed under a caller: destroying takes it out of everything, and libuv's
 * close callback frees it.
 */
#ifndef PC_NET_CONN_H
#define PC_NET_CONN_H

#include "net/loop.h"

struct pc_conn;
struct pc_tls;
struct pc_tls_config;

enum pc_conn_state {
    PC_CONN_OPEN = 0, /* reads, and hands to its kind what it reads */
    PC_CONN_WAITING,  /* for an answer that comes later; input rests in the kernel */
    PC_CONN_CLOSING,  /* our Close is queued or sent: waits for the peer's */
    PC_CONN_DRAINING, /* what is queued goes out, then our half is shut */
    PC_CONN_LINGERING, /* shut: reads and forgets until the peer has closed too, or its last bytes could
                          make the kernel throw away ours */
    PC_CONN_DEAD       /* destroyed: waits for libuv */
};

/* What the timer of a connection is set for. */
enum pc_conn_wait {
    PC_WAIT_NOTHING = 0,
    PC_WAIT_HEAD,      /* HTTP: a request head, from accept or its first byte */
    PC_WAIT_BODY,      /* HTTP */
    PC_WAIT_NEXT,      /* HTTP: the next request of a kept-alive connection */
    PC_WAIT_ANSWER,    /* in PC_CONN_WAITING */
    PC_WAIT_GOODBYE,   /* WebSocket: its turn in a paced stop */
    PC_WAIT_PEER_CLOSE /* the peer's half of the end */
};

/* What a connection speaks. All on its worker's thread. */
struct pc_conn_kind {
    /* Plain text bytes of the peer, in OPEN or CLOSING. May destroy the connection, or change its kind. */
    void (*input)(struct pc_conn *conn, pusherc_slice bytes);
    /* It has waited long enough, for anything but PC_WAIT_PEER_CLOSE. */
    void (*timeout)(struct pc_conn *conn, enum pc_conn_wait wait);
    /* What the kernel took has been written, in any state. Fan-out walks no list now. */
    void (*flushed)(struct pc_conn *conn);
    /* The peer has shut its half: in OPEN, WAITING or CLOSING. */
    void (*peer_ended)(struct pc_conn *conn);
    /* The server stops: end politely within grace_ms. In OPEN only. */
    void (*goodbye)(struct pc_conn *conn, uint64_t grace_ms);
    /* The connection is being destroyed: lets go of everything but pc_conn.self. */
    void (*closed)(struct pc_conn *conn);
    /* The peer spoke plain HTTP to a TLS listener; `tls` is gone, so that it can be told. NULL: it cannot be. */
    void (*wants_tls)(struct pc_conn *conn);
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
    bool peer_left;     /* the same, seen while WAITING: there may be input before that */
    bool broken;        /* nothing sensible can be sent: destroyed at the next flush */
    struct pc_outq out;
    struct pc_timer timer;
    struct pc_tls *tls;              /* owned; NULL = plain */
    const struct pc_conn_kind *kind; /* what it speaks */
    void *self;                      /* owned, one allocation: the kind's own state */
};

/* Takes the socket in any case. `tls` NULL = plain. NULL: out of memory or refused by libuv; the socket is closed, and
 * `self` still the caller's. */
struct pc_conn *pc_conn_new(struct pc_loop *loop, int fd, struct pc_tls_config *tls,
                            const struct pc_conn_kind *kind, void *self);
/* It speaks something else from now on: frees the kind's state and takes another. Its queue stays. */
void pc_conn_become(struct pc_conn *conn, const struct pc_conn_kind *kind, void *self);
/* At once, whatever is queued. Never from inside a codec's callback: use pc_conn_break() there. */
void pc_conn_destroy(struct pc_conn *conn);
/* Memory ran out in the middle of something: destroys it at the next flush. */
void pc_conn_break(struct pc_conn *conn);
/* The server stops: end it politely within grace_ms. */
void pc_conn_say_goodbye(struct pc_conn *conn, uint64_t grace_ms);

/* Plain text bytes of the peer. May destroy the connection. */
void pc_conn_input(struct pc_conn *conn, pusherc_slice bytes);

/* Queues bytes; without memory the connection is broken. opcode as in pc_frame_new(). */
void pc_conn_send(struct pc_conn *conn, int opcode, pusherc_slice bytes);
/* Everything queued goes out, then the connection ends from our side. */
void pc_conn_finish(struct pc_conn *conn);
/* The same for a peer that has shut its half and still reads what is queued. */
void pc_conn_finish_for_reader(struct pc_conn *conn);
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

#endif
