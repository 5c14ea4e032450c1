/*
 * One TCP connection: its socket, its out-queue, its one timer. This file moves bytes and closes; the connection's kind
 * (http_conn.c, ws_conn.c), a table of functions, knows what the bytes mean. A connection begins as HTTP and may become
 * another kind. pc_conn_destroy() closes the socket and takes the connection out of all lists, but the memory stays
 * valid until libuv's close callback, so a caller may still look at `state` afterwards.
 */
#ifndef PC_NET_CONN_H
#define PC_NET_CONN_H

#include "net/loop.h"

struct pc_conn;
struct pc_tls;
struct pc_tls_config;

enum pc_conn_state {
    PC_CONN_OPEN = 0, /* reads and passes the bytes to its kind */
    PC_CONN_WAITING,  /* an answer comes later; new input stays in the kernel */
    PC_CONN_CLOSING,  /* the server's Close frame is queued or sent: waits for the peer's */
    PC_CONN_DRAINING, /* writes what is queued, then shuts the server's half */
    /* shut: reads and discards until the peer has closed too. Closing with unread input would make the kernel send
     * a reset, which can discard the last answer */
    PC_CONN_LINGERING,
    PC_CONN_DEAD /* destroyed: waits for libuv's close callback */
};

/* What the timer of a connection measures. */
enum pc_conn_wait {
    PC_WAIT_NOTHING = 0,
    PC_WAIT_FIRST, /* HTTP: until the first head is complete, from accept; nothing of it has arrived yet */
    PC_WAIT_HEAD,      /* HTTP: until the head is complete, from accept or its first byte */
    PC_WAIT_BODY,      /* HTTP: until the body is complete */
    PC_WAIT_NEXT,      /* HTTP: until the next request of a kept-alive connection */
    PC_WAIT_ANSWER,    /* in PC_CONN_WAITING: until the answer */
    PC_WAIT_APP,       /* in PC_CONN_WAITING: until the client says which app it wants */
    PC_WAIT_MESSAGE,   /* WebSocket: until the rest of a message */
    PC_WAIT_GOODBYE,   /* WebSocket: until its turn in a paced stop */
    PC_WAIT_PEER_CLOSE /* until the peer closes its half */
};

/* The protocol of a connection. All functions run on the worker's thread. */
struct pc_conn_kind {
    /* Input of the peer, decrypted, in OPEN or CLOSING: handles one message or request at most, and leaves the bytes
     * behind it in *bytes. True: it has taken in more than it has handled, and wants to be called again even without
     * bytes. May destroy the connection, or change its kind. */
    bool (*input)(struct pc_conn *conn, pusherc_slice *bytes);
    /* The timer has fired. Not called for PC_WAIT_PEER_CLOSE, which destroys the connection. */
    void (*timeout)(struct pc_conn *conn, enum pc_conn_wait wait);
    /* It has set pc_conn.overflowed. NULL: it does not. */
    void (*overflowed)(struct pc_conn *conn);
    /* The queue has been written as far as the kernel took it, in any state. No fan-out is walking a list of
     * subscribers, so the session may leave its channels now. */
    void (*flushed)(struct pc_conn *conn);
    /* The peer has shut its half: in OPEN, WAITING or CLOSING. */
    void (*peer_ended)(struct pc_conn *conn);
    /* The server stops: close the protocol's way within grace_ms. In OPEN only. */
    void (*goodbye)(struct pc_conn *conn, uint64_t grace_ms);
    /* The connection is being destroyed or becomes another kind: frees what `self` owns, but not `self`. */
    void (*closed)(struct pc_conn *conn);
    /* The peer sent plain HTTP to a TLS listener. `tls` is freed, so the answer goes out in plain text. NULL: the
     * connection is destroyed. */
    void (*wants_tls)(struct pc_conn *conn);
    bool
        established; /* a client with a session, which comes before handshakes and requests: budget.h */
};

/* Input that waits in its connection: behind a request that is being answered, for the connection's next share
 * (budget.h), or until the peer reads its answers. Meanwhile the connection does not read, so there is one read buffer
 * of it (PC_READ_BUFFER) at most. */
struct pc_saved {
    size_t len;
    char bytes[];
};

struct pc_conn {
    uv_poll_t poll;
    struct pc_loop *loop;
    struct pc_list of_loop;
    struct pc_list waiting; /* in pc_budget.waiting or paced; empty = does not wait */
    struct pc_saved *saved; /* owned; NULL = none */
    int fd;
    int interest;       /* events that the connection waits for */
    bool muted;         /* there are none, though libuv watches for UV_READABLE */
    uint8_t state;      /* enum pc_conn_state */
    uint8_t wait;       /* what `timer` is set for, enum pc_conn_wait */
    bool throttled;     /* the queue is too long: the connection does not read */
    bool write_blocked; /* the socket is full: wait until it is writable */
    bool input_ended;   /* the peer has shut its half */
    bool peer_left;  /* the same, seen while WAITING, where unread input may come before the end */
    bool broken;     /* memory ran out: destroyed at the next flush */
    bool overflowed; /* an event did not fit into the queue: the kind is told at the next flush */
    bool more;       /* the kind has input that it has not handled */
    bool counted;    /* in pc_engine.clients: admitted, or being admitted */
    struct pc_outq out;
    struct pc_timer timer;
    struct pc_place *place; /* owned; NULL = an established client, or there was no memory for it */
    struct pc_tls *tls;     /* owned; NULL = plain */
    const struct pc_conn_kind *kind; /* its protocol */
    void *self;                      /* owned, one allocation: the kind's own state */
};

/* Takes the socket in any case. `tls` NULL = plain. NULL: out of memory or refused by libuv; the socket is closed, and
 * the caller still owns `self`. */
struct pc_conn *pc_conn_new(struct pc_loop *loop, int fd, struct pc_tls_config *tls,
                            const struct pc_conn_kind *kind, void *self);
/* A socket on its way from one loop to another. */
struct pc_moving {
    int fd;
    struct pc_tls *tls;     /* owned; NULL = plain */
    struct pc_saved *saved; /* owned; NULL = none */
};
/* Takes the socket out of the connection, which ends. Its queue is empty: what is in it would be lost. */
void pc_conn_move_out(struct pc_conn *conn, struct pc_moving *out);
/* Takes the socket in any case. NULL as in pc_conn_new(). */
struct pc_conn *pc_conn_move_in(struct pc_loop *loop, const struct pc_moving *socket,
                                const struct pc_conn_kind *kind, void *self);
void pc_moving_free(const struct pc_moving *socket, const struct pc_mem *mem);
/* Changes the protocol: frees the state of the old kind and takes over `self`. The out-queue stays. */
void pc_conn_become(struct pc_conn *conn, const struct pc_conn_kind *kind, void *self);
/* Closes at once and drops what is queued. If the socket is full, the client is given up: what the kernel has for it is
 * dropped as well. Not from inside a codec's callback: use pc_conn_break() there. */
void pc_conn_destroy(struct pc_conn *conn);
/* Marks the connection for destruction at the next flush. For running out of memory in the middle of an operation. */
void pc_conn_break(struct pc_conn *conn);
/* The server stops: asks the kind to close within grace_ms. */
void pc_conn_say_goodbye(struct pc_conn *conn, uint64_t grace_ms);

/* Decrypted bytes of the peer, copied if they have to wait. May destroy the connection. */
void pc_conn_input(struct pc_conn *conn, pusherc_slice bytes);
/* The connection may take input again: after a reply outside of `input`, or when its queue is short again. */
void pc_conn_go_on(struct pc_conn *conn);
/* Input that was read has not been handled yet. */
bool pc_conn_input_waits(const struct pc_conn *conn);
/* Input waits for the worker, and not for the client to read what it has been sent. */
bool pc_conn_is_our_turn(const struct pc_conn *conn);
/* The client has sent too much, or floods an end: its input waits for PC_PACE_MS. */
void pc_conn_pace(struct pc_conn *conn);
/* A share for a connection that was taken out of pc_budget.waiting. May destroy the connection. */
void pc_conn_resume(struct pc_conn *conn);

/* Queues bytes; without memory the connection is broken. opcode as in pc_frame_new(). */
void pc_conn_send(struct pc_conn *conn, int opcode, pusherc_slice bytes);
/* Writes everything queued, then shuts the server's half. */
void pc_conn_finish(struct pc_conn *conn);
/* The same for a peer that has shut its half but still reads. */
void pc_conn_finish_for_reader(struct pc_conn *conn);
void pc_conn_set_wait(struct pc_conn *conn, enum pc_conn_wait wait, uint64_t ms);
/* Waits for something else until the same deadline. */
void pc_conn_change_wait(struct pc_conn *conn, enum pc_conn_wait wait);
/* In WAITING: the peer has shut its half, but may still read the answer. */
void pc_conn_peer_left(struct pc_conn *conn);
/* Gives a new connection its place among the sockets that are not established clients. PUSHERC_ENOMEM. */
PC_CHECKED int pc_conn_take_place(struct pc_conn *conn, struct pc_places *places);
/* Begins to wait anew in the place that the connection has. */
void pc_conn_update_place(struct pc_conn *conn);
/* Counts a client that asks to be admitted, in pc_engine.clients, until the connection begins to close. */
void pc_conn_count_client(struct pc_conn *conn);
void pc_conn_uncount_client(struct pc_conn *conn);
/* The client is established: gives the place back. The connection takes one again when it begins to close. */
void pc_conn_leave_place(struct pc_conn *conn);
/* Tells libuv which events the connection waits for now. Call it after a change of state or of a flag above. */
void pc_conn_watch(struct pc_conn *conn);

#endif
