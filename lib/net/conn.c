#include "net/conn.h"

#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <pusherc/error.h>

#include "fanout/flush.h"
#include "net/peer.h"
#include "net/tls.h"
#include "session/reply.h"

#define MAX_VECTORS   64
#define WRITE_AT_ONCE 262144

_Static_assert(PC_READ_BUFFER >= 2 * PC_TLS_RECORD,
               "ciphertext and a record's text share the read buffer");

static void on_poll(uv_poll_t *poll, int status, int events);
static void on_timeout(struct pc_timer *timer, uint64_t now_ms);

static void on_flush(struct pc_outq *q, struct pc_flush *pass);

static void no_overflow(struct pc_outq *q)
{
    (void)q; /* ws_conn.c sets another function; no other queue gets events */
}

void pc_moving_free(const struct pc_moving *socket, const struct pc_mem *mem)
{
    pc_tls_free(socket->tls);
    pc_free(mem, socket->saved);
    close(socket->fd);
}

struct pc_conn *pc_conn_move_in(struct pc_loop *loop, const struct pc_moving *socket,
                                const struct pc_conn_kind *kind, void *self)
{
    struct pc_engine *engine = loop->engine;
    struct pc_conn *conn = pc_alloc_zero(&engine->mem, sizeof *conn);
    if (!conn || uv_poll_init(loop->uv, &conn->poll, socket->fd)) {
        pc_free(&engine->mem, conn);
        pc_moving_free(socket, &engine->mem);
        return NULL;
    }
    conn->loop = loop;
    conn->fd = socket->fd;
    conn->tls = socket->tls;
    conn->saved = socket->saved;
    conn->kind = kind;
    conn->self = self;
    pc_outq_init(&conn->out, loop->worker, no_overflow);
    conn->out.flush = on_flush;
    pc_list_init(&conn->waiting);
    pc_timer_init(&conn->timer, on_timeout);
    pc_list_push_back(&loop->conns, &conn->of_loop);
    loop->conn_count++;
    pc_stat_add(&loop->worker->stats.sockets, 1);
    if (conn->tls)
        pc_tls_move_in(conn->tls, &loop->worker->stats, &loop->tls_spare);
    pc_conn_watch(conn);
    return conn;
}

struct pc_conn *pc_conn_new(struct pc_loop *loop, int fd, struct pc_tls_config *tls,
                            const struct pc_conn_kind *kind, void *self)
{
    struct pc_moving socket = {.fd = fd};
    if (tls && !(socket.tls = pc_tls_new(tls, fd))) {
        close(fd);
        return NULL;
    }
    return pc_conn_move_in(loop, &socket, kind, self);
}

static void on_closed(uv_handle_t *handle)
{
    struct pc_conn *conn = PC_CONTAINER(handle, struct pc_conn, poll);
    pc_loop_enter(conn->loop);
    conn->loop->conn_count--;
    pc_free(conn->loop->worker->mem, conn->self);
    pc_free(conn->loop->worker->mem, conn);
}

void pc_conn_become(struct pc_conn *conn, const struct pc_conn_kind *kind, void *self)
{
    conn->kind->closed(conn);
    pc_free(conn->loop->worker->mem, conn->self);
    conn->kind = kind;
    conn->self = self;
    conn->state = PC_CONN_OPEN;
    pc_conn_set_wait(conn, PC_WAIT_NOTHING, 0);
}

void pc_conn_break(struct pc_conn *conn)
{
    conn->broken = true;
    pc_outq_mark_bulk(&conn->out);
}

/*
 * Decides what the kernel does with the bytes that the peer has not taken yet. A full socket means that the client is
 * given up: a part of the queue is lost in any case, so the connection is reset. Otherwise megabytes would stay in the
 * kernel for minutes. If everything was handed to the kernel, it goes on as long as the client takes some of it within
 * close_timeout_ms.
 */
static void set_farewell(const struct pc_conn *conn)
{
    uint32_t ms = conn->loop->engine->options.close_timeout_ms;
    int timeout_ms = ms > INT_MAX ? INT_MAX : (int)ms;
    struct linger reset = {.l_onoff = 1};
    if (conn->write_blocked)
        setsockopt(conn->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    else
        setsockopt(conn->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof timeout_ms);
}

/* Ends everything but what a pc_moving has. */
static void leave_loop(struct pc_conn *conn)
{
    struct pc_loop *loop = conn->loop;
    conn->state = PC_CONN_DEAD;
    conn->kind->closed(conn);
    pc_list_remove(&conn->waiting);
    pc_timer_stop(&loop->worker->timers, &conn->timer);
    pc_outq_free(&conn->out);
    pc_list_remove(&conn->of_loop);
    pc_conn_uncount_client(conn);
    pc_conn_leave_place(conn);
    pc_stat_sub(&loop->worker->stats.sockets, 1);
    uv_close(pc_handle(&conn->poll), on_closed); /* stops libuv watching the socket at once */
}

void pc_conn_destroy(struct pc_conn *conn)
{
    if (conn->state == PC_CONN_DEAD)
        return;
    leave_loop(conn);
    set_farewell(conn);
    const struct pc_moving socket = {conn->fd, conn->tls, conn->saved};
    pc_moving_free(&socket, conn->loop->worker->mem);
}

void pc_conn_move_out(struct pc_conn *conn, struct pc_moving *out)
{
    leave_loop(conn);
    *out = (struct pc_moving){conn->fd, conn->tls, conn->saved};
}

/* -- waiting -- */

int pc_conn_take_place(struct pc_conn *conn, struct pc_places *places)
{
    struct pc_address peer = pc_peer_address(conn->fd);
    conn->place = pc_place_new(places, pc_address_network(&peer), conn);
    if (!conn->place)
        return PUSHERC_ENOMEM;
    pc_conn_update_place(conn);
    return 0;
}

static enum pc_idle idle_of(const struct pc_conn *conn)
{
    switch ((enum pc_conn_wait)conn->wait) {
    case PC_WAIT_FIRST:
        return PC_IDLE_MUTE;
    case PC_WAIT_PEER_CLOSE:
        return PC_IDLE_CLOSING;
    case PC_WAIT_NEXT:
        return PC_IDLE_KEPT;
    case PC_WAIT_HEAD:
    case PC_WAIT_BODY:
    case PC_WAIT_APP:
        return PC_IDLE_BEGUN;
    case PC_WAIT_NOTHING:
    case PC_WAIT_ANSWER:
    case PC_WAIT_MESSAGE:
    case PC_WAIT_GOODBYE:
        break;
    }
    return conn->peer_left ? PC_IDLE_LEFT : PC_NOT_IDLE;
}

void pc_conn_update_place(struct pc_conn *conn)
{
    if (conn->place)
        pc_place_set(conn->place, idle_of(conn), conn->loop->worker->now_ms);
}

void pc_conn_count_client(struct pc_conn *conn)
{
    atomic_fetch_add_explicit(&conn->loop->engine->clients, 1, memory_order_relaxed);
    conn->counted = true;
}

void pc_conn_uncount_client(struct pc_conn *conn)
{
    if (conn->counted)
        atomic_fetch_sub_explicit(&conn->loop->engine->clients, 1, memory_order_relaxed);
    conn->counted = false;
}

void pc_conn_leave_place(struct pc_conn *conn)
{
    pc_place_free(conn->place);
    conn->place = NULL;
}

void pc_conn_change_wait(struct pc_conn *conn, enum pc_conn_wait wait)
{
    struct pc_places *places = &conn->loop->places[PUSHERC_LISTEN_CLIENTS];
    bool closes = wait == PC_WAIT_PEER_CLOSE;
    conn->wait = (uint8_t)wait;
    if (closes)
        pc_conn_uncount_client(conn);
    if (closes && !conn->place && pc_conn_take_place(conn, places))
        return; /* without memory for a place it closes as well */
    pc_conn_update_place(conn);
}

void pc_conn_peer_left(struct pc_conn *conn)
{
    conn->peer_left = true;
    pc_conn_update_place(conn);
    pc_conn_watch(conn);
}

void pc_conn_set_wait(struct pc_conn *conn, enum pc_conn_wait wait, uint64_t ms)
{
    struct pc_worker *worker = conn->loop->worker;
    pc_conn_change_wait(conn, wait);
    if (wait == PC_WAIT_NOTHING)
        pc_timer_stop(&worker->timers, &conn->timer);
    else
        pc_timer_arm(&worker->timers, &conn->timer, worker->now_ms + ms);
}

static void on_timeout(struct pc_timer *timer, uint64_t now_ms)
{
    struct pc_conn *conn = PC_CONTAINER(timer, struct pc_conn, timer);
    (void)now_ms;
    enum pc_conn_wait wait = (enum pc_conn_wait)conn->wait;
    conn->wait = PC_WAIT_NOTHING;
    if (wait == PC_WAIT_PEER_CLOSE)
        pc_conn_break(conn); /* as many at once as a flush has time for */
    else if (wait != PC_WAIT_NOTHING)
        conn->kind->timeout(conn, wait);
}

bool pc_conn_input_waits(const struct pc_conn *conn)
{
    return conn->saved || conn->more || !pc_list_empty(&conn->waiting);
}

bool pc_conn_is_our_turn(const struct pc_conn *conn)
{
    return pc_conn_input_waits(conn) && !conn->throttled && !conn->write_blocked;
}

/*
 * libuv stops watching a socket by taking it out of the kernel's set; that and putting it in again cost several us. Of
 * 10,000 clients that send at once all but a few have to wait for their shares, so such a socket stays in the set, and
 * only the events that the kernel reports of it are changed. libuv does not know. False: the socket is not in the set yet.
 */
static bool report(const struct pc_conn *conn, uint32_t events)
{
    struct epoll_event e = {.events = events, .data.fd = conn->fd};
    return epoll_ctl(uv_backend_fd(conn->loop->uv), EPOLL_CTL_MOD, conn->fd, &e) == 0;
}

static void watch(struct pc_conn *conn, int interest)
{
    const int before = conn->interest;
    conn->interest = interest;
    if (before == UV_READABLE && interest == 0 && report(conn, 0)) {
        conn->muted = true;
        return;
    }
    const bool was_muted = conn->muted;
    conn->muted = false;
    if (was_muted && interest == UV_READABLE && report(conn, EPOLLIN))
        return;
    if (interest)
        uv_poll_start(&conn->poll, interest, on_poll);
    else
        uv_poll_stop(&conn->poll);
}

void pc_conn_watch(struct pc_conn *conn)
{
    int interest = 0;
    switch ((enum pc_conn_state)conn->state) {
    case PC_CONN_OPEN:
        interest = conn->throttled || pc_conn_input_waits(conn) ? 0 : UV_READABLE;
        break;
    case PC_CONN_CLOSING:
        interest = conn->input_ended || pc_conn_input_waits(conn) ? 0 : UV_READABLE;
        break;
    case PC_CONN_DRAINING:
    case PC_CONN_LINGERING:
        interest = conn->input_ended || !pc_list_empty(&conn->waiting) ? 0 : UV_READABLE;
        break;
    case PC_CONN_WAITING:
        /* input stays in the kernel; only the end of the connection is reported */
        interest = conn->peer_left ? 0 : UV_DISCONNECT;
        break;
    case PC_CONN_DEAD:
        return;
    }
    if (conn->write_blocked)
        interest |= UV_WRITABLE;
    if (interest != conn->interest)
        watch(conn, interest);
}

/* -- reading -- */

static void save(struct pc_conn *conn, pusherc_slice bytes)
{
    size_t len = conn->saved ? conn->saved->len : 0;
    if (bytes.len == 0)
        return;
    struct pc_saved *saved =
        pc_resize_array(conn->loop->worker->mem, conn->saved, sizeof *saved + len + bytes.len, 1);
    if (!saved) {
        pc_conn_break(conn);
        return;
    }
    memcpy(saved->bytes + len, bytes.ptr, bytes.len);
    saved->len = len + bytes.len;
    conn->saved = saved;
}

static void wait_in(struct pc_conn *conn, struct pc_list *list)
{
    if (pc_list_empty(&conn->waiting))
        pc_list_push_back(list, &conn->waiting);
    pc_conn_watch(conn);
}

static void wait_for_share(struct pc_conn *conn)
{
    struct pc_budget *budget = &conn->loop->budget;
    wait_in(conn, conn->kind->established ? &budget->waiting : &budget->rest);
}

void pc_conn_pace(struct pc_conn *conn)
{
    struct pc_loop *loop = conn->loop;
    wait_in(conn, &loop->budget.paced);
    if (!pc_timer_armed(&loop->budget.pace))
        pc_timer_arm(&loop->worker->timers, &loop->budget.pace, loop->worker->now_ms + PC_PACE_MS);
}

/* May it handle one more message? */
static bool may_take(const struct pc_conn *conn)
{
    return ((conn->state == PC_CONN_OPEN && !conn->throttled) || conn->state == PC_CONN_CLOSING) &&
           pc_list_empty(&conn->waiting);
}

/* The share is used. An end that is flooded has less than a conversation. */
static void leave_the_rest(struct pc_conn *conn)
{
    if (conn->state == PC_CONN_CLOSING)
        pc_conn_pace(conn);
    else
        wait_for_share(conn);
}

/* Message after message, as long as the connection may; then what is left is saved. */
static void take(struct pc_conn *conn, pusherc_slice bytes)
{
    while ((bytes.len > 0 || conn->more) && may_take(conn)) {
        conn->more = conn->kind->input(conn, &bytes);
        if ((bytes.len > 0 || conn->more) && pc_budget_used(&conn->loop->budget))
            leave_the_rest(conn);
    }
    if (conn->state < PC_CONN_DRAINING && (bytes.len > 0 || conn->more)) {
        save(conn, bytes);
        pc_conn_watch(conn);
    }
}

void pc_conn_input(struct pc_conn *conn, pusherc_slice bytes)
{
    if (conn->state >= PC_CONN_DRAINING)
        return;
    if (pc_conn_input_waits(conn))
        save(conn, bytes);
    else
        take(conn, bytes);
}

void pc_conn_go_on(struct pc_conn *conn)
{
    if (conn->saved || conn->more)
        wait_for_share(conn);
    else
        pc_conn_watch(conn);
}

/* The peer has shut its half or has closed. */
static void end_of_input(struct pc_conn *conn)
{
    if (conn->state < PC_CONN_DRAINING)
        conn->kind->peer_ended(conn);
    else if (conn->state == PC_CONN_DRAINING)
        pc_conn_finish_for_reader(conn);
    else
        pc_conn_destroy(conn);
}

/* Decrypts record by record. The ciphertext is in the read buffer from PC_TLS_RECORD on, the text of the current record
 * at its front, so connections have no read buffers. */
static void input_of_tls(struct pc_conn *conn, pusherc_slice bytes)
{
    char *text = conn->loop->read_buffer;
    size_t len = 0;
    enum pc_tls_result result = PC_TLS_TEXT;
    pc_tls_feed(conn->tls, bytes);
    while (result == PC_TLS_TEXT &&
           conn->state < PC_CONN_DRAINING) { /* from there on input is discarded */
        result = pc_tls_read(conn->tls, text, &len);
        if (result == PC_TLS_TEXT)
            pc_conn_input(conn, pc_slice(text, len));
    }
    switch (result) {
    case PC_TLS_MORE:
    case PC_TLS_TEXT:
        break;
    case PC_TLS_END:
        /* a client that waits still gets its answers; if it has left, the socket ends as well */
        if (conn->state != PC_CONN_WAITING && !pc_conn_input_waits(conn))
            end_of_input(conn);
        break;
    case PC_TLS_PLAIN_HTTP:
        pc_tls_free(conn->tls);
        conn->tls = NULL;
        if (conn->kind->wants_tls)
            conn->kind->wants_tls(conn);
        else
            pc_conn_destroy(conn);
        break;
    case PC_TLS_FAILED:
        pc_conn_destroy(conn);
        break;
    }
    if (conn->state != PC_CONN_DEAD && conn->tls && pc_tls_blocked(conn->tls)) {
        conn->write_blocked = true;
        pc_conn_watch(conn);
    }
}

static void receive(struct pc_conn *conn)
{
    struct pc_loop *loop = conn->loop;
    size_t skip = conn->tls ? PC_TLS_RECORD : 0;
    char *buffer = loop->read_buffer + skip;
    ssize_t n = recv(conn->fd, buffer, PC_READ_BUFFER - skip, 0);
    if (n > 0) {
        pc_stat_add(&loop->worker->stats.bytes_in, (uint64_t)n);
        if (conn->state >= PC_CONN_DRAINING && (size_t)n == PC_READ_BUFFER - skip)
            pc_conn_pace(conn); /* it floods what is discarded */
        if (conn->tls)
            input_of_tls(conn, pc_slice(buffer, (size_t)n));
        else
            pc_conn_input(conn, pc_slice(buffer, (size_t)n));
    } else if (n == 0) {
        end_of_input(conn);
    } else if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
        pc_conn_destroy(conn);
    }
}

/* Reads and handles input if its class has time left in this turn. */
static void receive_in_turn(struct pc_conn *conn)
{
    struct pc_loop *loop = conn->loop;
    struct pc_budget *budget = &loop->budget;
    uint64_t now_ns = uv_hrtime();
    bool established = conn->kind->established;
    if (established ? now_ns - loop->turn_ns >= PC_ESTABLISHED_NS : budget->rest_ns >= PC_REST_NS) {
        wait_for_share(conn);
        return;
    }
    budget->share_ends_ns = now_ns + PC_SHARE_NS;
    receive(conn);
    if (!established)
        budget->rest_ns += uv_hrtime() - now_ns;
}

void pc_conn_resume(struct pc_conn *conn)
{
    struct pc_saved *saved = conn->saved;
    conn->loop->budget.share_ends_ns = uv_hrtime() + PC_SHARE_NS;
    conn->saved = NULL;
    if (conn->state >= PC_CONN_DRAINING)
        conn->more = false; /* input is discarded from there on */
    else if (saved || conn->more)
        take(conn, saved ? pc_slice(saved->bytes, saved->len) : PC_S(""));
    else
        receive(conn);
    pc_free(conn->loop->worker->mem, saved);
    pc_conn_watch(conn);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct pc_conn *conn = PC_CONTAINER(poll, struct pc_conn, poll);
    if (conn->muted) { /* the kernel reports errors in any case: they wait for the connection's share */
        conn->muted = false;
        uv_poll_stop(poll);
        return;
    }
    pc_loop_enter(conn->loop);
    if (status < 0) {
        pc_conn_break(conn); /* likewise */
        return;
    }
    if (events & UV_WRITABLE) {
        conn->write_blocked = false;
        pc_outq_mark(&conn->out);
        pc_conn_watch(conn);
    }
    if (events & UV_READABLE)
        receive_in_turn(conn);
    else if (events & UV_DISCONNECT)
        end_of_input(conn);
}

/* -- writing -- */

void pc_conn_send(struct pc_conn *conn, int opcode, pusherc_slice bytes)
{
    if (pc_outq_send(&conn->out, opcode, bytes))
        pc_conn_break(conn);
}

void pc_conn_finish(struct pc_conn *conn)
{
    if (conn->state >= PC_CONN_DRAINING)
        return;
    conn->state = PC_CONN_DRAINING;
    conn->out.closed = true;
    pc_conn_set_wait(conn, PC_WAIT_PEER_CLOSE, conn->loop->engine->options.close_timeout_ms);
    pc_outq_mark(&conn->out);
    pc_conn_watch(conn);
}

void pc_conn_finish_for_reader(struct pc_conn *conn)
{
    conn->input_ended = true;
    pc_conn_finish(conn);
    pc_conn_watch(conn);
}

/* In one flush a connection writes so much, and one call more. */
static bool may_write(const struct pc_conn *conn, size_t written)
{
    return conn->out.count > 0 && written < WRITE_AT_ONCE;
}

/* Writes the queue with one system call, up to MAX_VECTORS pieces. *asked = the bytes it tried to write. */
static ssize_t write_once(struct pc_conn *conn, struct pc_flush *pass, size_t *asked)
{
    struct iovec iov[MAX_VECTORS];
    size_t n = 0;
    pusherc_slice all = conn->out.count > 1 ? pc_flush_copy(pass, &conn->out) : PC_S("");
    if (all.len > 0)
        iov[n++] = (struct iovec){(char *)all.ptr, all.len};
    else
        n = pc_outq_gather(&conn->out, iov, MAX_VECTORS);
    *asked = 0;
    for (size_t i = 0; i < n; i++)
        *asked += iov[i].iov_len;
    pc_stat_add(&conn->loop->worker->stats.write_calls, 1);
    /* no SIGPIPE, which the host would have to handle: the error code is enough */
    if (n == 1)
        return send(conn->fd, iov[0].iov_base, iov[0].iov_len, MSG_NOSIGNAL);
    struct msghdr message = {.msg_iov = iov, .msg_iovlen = n};
    return sendmsg(conn->fd, &message, MSG_NOSIGNAL);
}

/* False if the connection was destroyed. */
static bool write_queue(struct pc_conn *conn, struct pc_flush *pass)
{
    size_t asked = 0;
    for (size_t all = 0; may_write(conn, all) && !conn->write_blocked; all += asked) {
        ssize_t n = write_once(conn, pass, &asked);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK) {
            pc_conn_destroy(conn);
            return false;
        }
        if (n > 0) {
            pc_stat_add(&conn->loop->worker->stats.bytes_out, (uint64_t)n);
            pc_outq_wrote(&conn->out, (size_t)n);
            /* the deadline starts again with each part that a slow client takes */
            if (conn->state == PC_CONN_DRAINING)
                pc_conn_set_wait(conn, PC_WAIT_PEER_CLOSE,
                                 conn->loop->engine->options.close_timeout_ms);
        }
        conn->write_blocked = n < (ssize_t)asked;
    }
    return true;
}

/* The next bytes of the queue in one piece, at most a TLS record. Small frames are copied together, because each record
 * adds 22 to 29 bytes and one call of the cipher. */
static pusherc_slice next_record(struct pc_conn *conn, struct pc_flush *pass)
{
    struct iovec iov[MAX_VECTORS];
    pusherc_slice all = conn->out.count > 1 ? pc_flush_copy(pass, &conn->out) : PC_S("");
    if (all.len > 0)
        return all;
    size_t n = pc_outq_gather(&conn->out, iov, MAX_VECTORS);
    if (n == 1 || iov[0].iov_len >= PC_TLS_RECORD)
        return pc_slice(iov[0].iov_base, iov[0].iov_len);
    char *to = pc_flush_scratch(pass);
    size_t len = 0;
    for (size_t i = 0; i < n && len < PC_WRITE_BUFFER; i++) {
        size_t part =
            iov[i].iov_len < PC_WRITE_BUFFER - len ? iov[i].iov_len : PC_WRITE_BUFFER - len;
        memcpy(to + len, iov[i].iov_base, part);
        len += part;
    }
    return pc_slice(to, len);
}

/* The same through TLS. Text counts as written when it is in a record; tls.c keeps a record that the socket does not
 * take. */
static bool write_through_tls(struct pc_conn *conn, struct pc_flush *pass)
{
    if (conn->write_blocked)
        return true;
    int err = pc_tls_flush(conn->tls);
    size_t taken = 0;
    for (size_t all = 0; err == 0 && may_write(conn, all) && !pc_tls_blocked(conn->tls);
         all += taken) {
        err = pc_tls_write(conn->tls, next_record(conn, pass), &taken);
        pc_outq_wrote(&conn->out, taken);
    }
    if (err == 0 && conn->state == PC_CONN_DRAINING && conn->out.count == 0 &&
        !pc_tls_blocked(conn->tls))
        err = pc_tls_end(conn->tls);
    if (err) {
        pc_conn_destroy(conn);
        return false;
    }
    conn->write_blocked = pc_tls_blocked(conn->tls);
    return true;
}

/* Everything is written: shuts the server's half. */
static void shut(struct pc_conn *conn)
{
    if (conn->input_ended) {
        pc_conn_destroy(conn);
        return;
    }
    conn->state = PC_CONN_LINGERING;
    shutdown(conn->fd, SHUT_WR);
}

/* The loop calls it once a turn for each queue that was marked. */
static void on_flush(struct pc_outq *q, struct pc_flush *pass)
{
    struct pc_conn *conn = PC_CONTAINER(q, struct pc_conn, out);
    if (conn->broken) {
        pc_conn_destroy(conn);
        return;
    }
    if (conn->overflowed) {
        conn->overflowed = false;
        conn->kind->overflowed(conn);
    }
    if (conn->tls ? !write_through_tls(conn, pass) : !write_queue(conn, pass))
        return;
    if (conn->out.written && !(conn->tls && conn->write_blocked)) /* no record waits */
        pc_outq_tell(&conn->out);
    conn->kind->flushed(conn);
    if (conn->out.count > 0 && !conn->write_blocked)
        pc_outq_mark_bulk(&conn->out);
    else if (conn->state == PC_CONN_DRAINING && !conn->write_blocked)
        shut(conn);
    pc_conn_watch(conn);
}

/* -- stopping -- */

void pc_conn_say_goodbye(struct pc_conn *conn, uint64_t grace_ms)
{
    if (conn->state == PC_CONN_OPEN)
        conn->kind->goodbye(conn, grace_ms);
}
