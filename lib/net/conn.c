#include "net/conn.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include <pusherc/error.h>

#include "net/ask.h"
#include "net/auth_conn.h"
#include "net/tls.h"
#include "session/reply.h"

#define MAX_VECTORS         64
#define HANDSHAKES_PER_TURN 8

_Static_assert(PC_READ_BUFFER >= 2 * PC_TLS_RECORD,
               "ciphertext and a record's text share the read buffer");

static void on_poll(uv_poll_t *poll, int status, int events);
static void on_timeout(struct pc_timer *timer, uint64_t now_ms);

static void on_overflow(struct pc_outq *q)
{
    struct pc_conn *conn = PC_CONTAINER(q, struct pc_conn, out);
    if (conn->state == PC_CONN_WEBSOCKET)
        pc_session_overflow(&conn->session);
}

struct pc_conn *pc_conn_new(struct pc_loop *loop, int fd, struct pc_tls_config *tls)
{
    struct pc_engine *engine = loop->engine;
    struct pc_http_limits limits = {engine->options.max_http_head_bytes,
                                    engine->options.max_http_body_bytes};
    struct pc_conn *conn = pc_alloc_zero(&engine->mem, sizeof *conn);
    if (!conn)
        goto fail;
    if (pc_http_parser_new(&conn->http, &engine->mem, limits))
        goto fail_parser;
    if (tls && !(conn->tls = pc_tls_new(tls, fd, &loop->worker->stats)))
        goto fail_tls;
    if (uv_poll_init(loop->uv, &conn->poll, fd))
        goto fail_poll;
    conn->loop = loop;
    conn->fd = fd;
    pc_outq_init(&conn->out, loop->worker, on_overflow);
    pc_timer_init(&conn->timer, on_timeout);
    pc_list_push_back(&loop->conns, &conn->of_loop);
    loop->conn_count++;
    atomic_fetch_add_explicit(&engine->sockets, 1, memory_order_relaxed);
    pc_stat_add(&loop->worker->stats.sockets, 1);
    pc_conn_set_wait(conn, PC_WAIT_HEAD, engine->options.handshake_timeout_ms);
    pc_conn_watch(conn);
    return conn;

fail_poll:
    pc_tls_free(conn->tls);
fail_tls:
    pc_http_parser_free(conn->http);
fail_parser:
    pc_free(&engine->mem, conn);
fail:
    close(fd);
    return NULL;
}

static void on_closed(uv_handle_t *handle)
{
    struct pc_conn *conn = PC_CONTAINER(handle, struct pc_conn, poll);
    conn->loop->conn_count--;
    pc_free(conn->loop->worker->mem, conn);
}

void pc_conn_destroy(struct pc_conn *conn)
{
    struct pc_loop *loop = conn->loop;
    if (conn->state == PC_CONN_DEAD)
        return;
    conn->state = PC_CONN_DEAD;
    pc_session_end(&conn->session);
    if (conn->ask)
        pc_ask_abandon(conn->ask);
    if (conn->auth)
        pc_auth_call_abandon(conn->auth);
    pc_timer_stop(&loop->worker->timers, &conn->timer);
    pc_outq_free(&conn->out);
    pc_ws_free(&conn->ws, loop->ws_pool);
    pc_http_parser_free(conn->http);
    pc_tls_free(conn->tls);
    pc_free(loop->worker->mem, conn->saved);
    pc_list_remove(&conn->of_loop);
    atomic_fetch_sub_explicit(&loop->engine->sockets, 1, memory_order_relaxed);
    pc_stat_sub(&loop->worker->stats.sockets, 1);
    uv_close((uv_handle_t *)&conn->poll, on_closed);
    close(conn->fd); /* after uv_close: libuv has stopped watching it */
}

/* -- waiting -- */

void pc_conn_set_wait(struct pc_conn *conn, enum pc_conn_wait wait, uint64_t ms)
{
    struct pc_worker *worker = conn->loop->worker;
    conn->wait = (uint8_t)wait;
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
    switch (wait) {
    case PC_WAIT_NOTHING:
        break;
    case PC_WAIT_HEAD:
    case PC_WAIT_BODY:
        pc_conn_http_timeout(conn);
        break;
    case PC_WAIT_HOST:
        pc_conn_host_timeout(conn);
        break;
    case PC_WAIT_GOODBYE:
        pc_session_close(&conn->session, PC_CLOSE_RECONNECT, pc_close_text(PC_CLOSE_RECONNECT));
        break;
    case PC_WAIT_NEXT:
        pc_conn_finish(conn);
        break;
    case PC_WAIT_PEER_CLOSE:
        pc_conn_destroy(conn);
        break;
    }
}

void pc_conn_watch(struct pc_conn *conn)
{
    int interest = 0;
    switch ((enum pc_conn_state)conn->state) {
    case PC_CONN_HTTP:
    case PC_CONN_WEBSOCKET:
        interest = conn->throttled ? 0 : UV_READABLE;
        break;
    case PC_CONN_CLOSING:
    case PC_CONN_DRAINING:
    case PC_CONN_LINGERING:
        interest = conn->input_ended ? 0 : UV_READABLE;
        break;
    case PC_CONN_HOST:
        /* its bytes rest in the kernel; only its end is of interest */
        interest = conn->peer_left ? 0 : UV_DISCONNECT;
        break;
    case PC_CONN_DEAD:
        return;
    }
    if (conn->write_blocked)
        interest |= UV_WRITABLE;
    if (interest == conn->interest)
        return;
    conn->interest = interest;
    if (interest)
        uv_poll_start(&conn->poll, interest, on_poll);
    else
        uv_poll_stop(&conn->poll);
}

/* -- reading -- */

void pc_conn_save(struct pc_conn *conn, pusherc_slice bytes)
{
    if (bytes.len == 0)
        return;
    const struct pc_mem *mem = conn->loop->worker->mem;
    char *saved = pc_resize_array(mem, conn->saved, conn->saved_len + bytes.len, 1);
    if (!saved) {
        conn->broken = true;
        pc_outq_mark(&conn->out);
        return;
    }
    memcpy(saved + conn->saved_len, bytes.ptr, bytes.len);
    conn->saved = saved;
    conn->saved_len += bytes.len;
}

void pc_conn_resume(struct pc_conn *conn)
{
    char *saved = conn->saved;
    size_t len = conn->saved_len;
    conn->saved = NULL;
    conn->saved_len = 0;
    if (len)
        pc_conn_input(conn, pc_slice(saved, len));
    pc_free(conn->loop->worker->mem, saved);
}

void pc_conn_input(struct pc_conn *conn, pusherc_slice bytes)
{
    switch ((enum pc_conn_state)conn->state) {
    case PC_CONN_HTTP:
        pc_conn_http_input(conn, bytes);
        break;
    case PC_CONN_HOST:
        pc_conn_save(conn, bytes);
        break;
    case PC_CONN_WEBSOCKET:
    case PC_CONN_CLOSING:
        pc_conn_ws_input(conn, bytes);
        break;
    case PC_CONN_DRAINING:
    case PC_CONN_LINGERING:
    case PC_CONN_DEAD:
        break;
    }
}

/* The peer has shut its half, or is gone. */
static void end_of_input(struct pc_conn *conn)
{
    /* A client that has sent its whole request may shut its half and still wait for the answer. */
    bool answer_under_way =
        conn->state == PC_CONN_DRAINING || (conn->state == PC_CONN_HTTP && conn->out.count > 0);
    if (!answer_under_way) {
        pc_conn_destroy(conn);
        return;
    }
    conn->input_ended = true;
    pc_conn_finish(conn);
    pc_conn_watch(conn);
}

/* What came through TLS becomes text at the front of the read buffer, record by record. */
static void input_of_tls(struct pc_conn *conn, pusherc_slice bytes)
{
    char *text = conn->loop->read_buffer;
    size_t len = 0;
    enum pc_tls_result result = PC_TLS_TEXT;
    pc_tls_feed(conn->tls, bytes);
    while (result == PC_TLS_TEXT &&
           conn->state < PC_CONN_DRAINING) { /* from there on nobody listens */
        result = pc_tls_read(conn->tls, text, &len);
        if (result == PC_TLS_TEXT)
            pc_conn_input(conn, pc_slice(text, len));
    }
    switch (result) {
    case PC_TLS_MORE:
    case PC_TLS_TEXT:
        break;
    case PC_TLS_END:
        /* who waits for the host's answer may get it; whoever has left also shuts the socket */
        if (conn->state != PC_CONN_HOST)
            end_of_input(conn);
        break;
    case PC_TLS_PLAIN_HTTP:
        pc_tls_free(conn->tls);
        conn->tls = NULL;
        pc_conn_http_wants_tls(conn);
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

/* A handshake's signature takes milliseconds: when many come back at once, those who are connected
 * would wait for all of them. What is left in the kernel is reported again in the next turn. */
static bool may_receive(struct pc_conn *conn)
{
    return !conn->tls || pc_tls_is_open(conn->tls) ||
           conn->loop->handshakes++ < HANDSHAKES_PER_TURN;
}

static void receive(struct pc_conn *conn)
{
    struct pc_loop *loop = conn->loop;
    if (!may_receive(conn))
        return;
    size_t skip = conn->tls ? PC_TLS_RECORD : 0;
    char *buffer = loop->read_buffer + skip;
    ssize_t n = recv(conn->fd, buffer, PC_READ_BUFFER - skip, 0);
    if (n > 0) {
        pc_stat_add(&loop->worker->stats.bytes_in, (uint64_t)n);
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

/* The peer has shut its half while we wait for the host. */
static void peer_left(struct pc_conn *conn)
{
    if (pc_http_parser_message(conn->http)->upgrade) {
        pc_conn_destroy(conn);
        return;
    }
    /* An HTTP client may shut its half and still read answers: no more looking, or we would be told for ever. */
    conn->peer_left = true;
    pc_conn_watch(conn);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct pc_conn *conn = PC_CONTAINER(poll, struct pc_conn, poll);
    pc_loop_enter(conn->loop);
    if (status < 0) {
        pc_conn_destroy(conn);
        return;
    }
    if (events & UV_WRITABLE) {
        conn->write_blocked = false;
        pc_outq_mark(&conn->out);
        pc_conn_watch(conn);
    }
    if (events & UV_READABLE)
        receive(conn);
    else if (events & UV_DISCONNECT)
        peer_left(conn);
}

/* -- writing -- */

void pc_conn_send(struct pc_conn *conn, int opcode, pusherc_slice bytes)
{
    if (pc_outq_send(&conn->out, opcode, bytes)) {
        conn->broken = true;
        pc_outq_mark(&conn->out);
    }
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

void pc_flush_init(struct pc_flush *pass)
{
    for (uint32_t i = 0; i < PC_WRITE_BUFFERS; i++)
        pass->kept[i].len = 0;
    pass->last = 0;
}

static char *write_buffer(struct pc_conn *conn, uint32_t i)
{
    return conn->loop->write_buffers + (size_t)i * PC_WRITE_BUFFER;
}

/* Copies a queue of small frames into a write buffer, or finds that one before was the same: the subscribers
 * of a busy channel mostly wait for the same frames, and those of its audiences for a few. Frames that
 * wait now were there when the flush began, so an address stands for the same frame all along. Empty = not
 * applicable. */
static pusherc_slice gather(struct pc_conn *conn, struct pc_flush *pass)
{
    const struct pc_chunk *chunk = conn->out.first;
    uint32_t count = chunk->tail - chunk->head;
    if (chunk->next || conn->out.offset || conn->out.bytes > PC_WRITE_BUFFER)
        return PC_S("");
    struct pc_slot *const *slots = chunk->items + chunk->head;
    for (uint32_t n = 0; n < PC_WRITE_BUFFERS; n++) {
        uint32_t i = (pass->last + n) % PC_WRITE_BUFFERS;
        const struct pc_gathered *g = &pass->kept[i];
        if (g->len && count == g->count && memcmp(slots, g->slots, count * sizeof *slots) == 0) {
            pass->last = i;
            return pc_slice(write_buffer(conn, i), g->len);
        }
    }
    pass->last = (pass->last + 1) % PC_WRITE_BUFFERS;
    struct pc_gathered *g = &pass->kept[pass->last];
    char *to = write_buffer(conn, pass->last);
    for (uint32_t i = 0; i < count; i++) {
        memcpy(to, slots[i]->bytes, slots[i]->len);
        to += slots[i]->len;
        g->slots[i] = slots[i];
    }
    g->count = count;
    g->len = conn->out.bytes;
    return pc_slice(write_buffer(conn, pass->last), g->len);
}

/* One system call for everything that waits. */
static ssize_t write_once(struct pc_conn *conn, struct pc_flush *pass, size_t *asked)
{
    struct iovec iov[MAX_VECTORS];
    size_t n = 0;
    pusherc_slice all = conn->out.count > 1 ? gather(conn, pass) : PC_S("");
    if (all.len > 0)
        iov[n++] = (struct iovec){(char *)all.ptr, all.len};
    else
        n = pc_outq_gather(&conn->out, iov, MAX_VECTORS);
    *asked = 0;
    for (size_t i = 0; i < n; i++)
        *asked += iov[i].iov_len;
    pc_stat_add(&conn->loop->worker->stats.write_calls, 1);
    /* a signal would be the host's to handle: ask for the error instead */
    if (n == 1)
        return send(conn->fd, iov[0].iov_base, iov[0].iov_len, MSG_NOSIGNAL);
    struct msghdr message = {.msg_iov = iov, .msg_iovlen = n};
    return sendmsg(conn->fd, &message, MSG_NOSIGNAL);
}

/* False if the connection was destroyed. */
static bool write_queue(struct pc_conn *conn, struct pc_flush *pass)
{
    while (conn->out.count > 0 && !conn->write_blocked) {
        size_t asked;
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
            /* who takes a large answer slowly is given time while it takes */
            if (conn->state == PC_CONN_DRAINING)
                pc_conn_set_wait(conn, PC_WAIT_PEER_CLOSE,
                                 conn->loop->engine->options.close_timeout_ms);
        }
        conn->write_blocked = n < (ssize_t)asked;
    }
    return true;
}

/* At most a record's worth of what waits, in one piece. */
static pusherc_slice next_record(struct pc_conn *conn, struct pc_flush *pass)
{
    struct iovec iov[MAX_VECTORS];
    pusherc_slice all = conn->out.count > 1 ? gather(conn, pass) : PC_S("");
    if (all.len > 0)
        return all;
    size_t n = pc_outq_gather(&conn->out, iov, MAX_VECTORS);
    if (n == 1 || iov[0].iov_len >= PC_TLS_RECORD)
        return pc_slice(iov[0].iov_base, iov[0].iov_len);
    char *to = write_buffer(conn, pass->last);
    size_t len = 0;
    pass->kept[pass->last].len = 0; /* this writes over it */
    for (size_t i = 0; i < n && len < PC_WRITE_BUFFER; i++) {
        size_t part =
            iov[i].iov_len < PC_WRITE_BUFFER - len ? iov[i].iov_len : PC_WRITE_BUFFER - len;
        memcpy(to + len, iov[i].iov_base, part);
        len += part;
    }
    return pc_slice(to, len);
}

/* The same through TLS; what is in a record counts as written. */
static bool write_through_tls(struct pc_conn *conn, struct pc_flush *pass)
{
    if (conn->write_blocked)
        return true;
    int rc = pc_tls_flush(conn->tls);
    while (rc == 0 && conn->out.count > 0 && !pc_tls_blocked(conn->tls)) {
        size_t taken;
        rc = pc_tls_write(conn->tls, next_record(conn, pass), &taken);
        pc_outq_wrote(&conn->out, taken);
    }
    if (rc == 0 && conn->state == PC_CONN_DRAINING && !pc_tls_blocked(conn->tls))
        rc = pc_tls_end(conn->tls);
    if (rc) {
        pc_conn_destroy(conn);
        return false;
    }
    conn->write_blocked = pc_tls_blocked(conn->tls);
    return true;
}

/* Everything is written and nothing more will come: our half ends here. */
static void shut(struct pc_conn *conn)
{
    if (conn->input_ended) {
        pc_conn_destroy(conn);
        return;
    }
    conn->state = PC_CONN_LINGERING;
    shutdown(conn->fd, SHUT_WR);
}

void pc_conn_flush(struct pc_conn *conn, struct pc_flush *pass)
{
    if (conn->broken) {
        pc_conn_destroy(conn);
        return;
    }
    if (conn->session.state == PC_SESSION_CLOSING)
        pc_session_end(&conn->session); /* fan-out is not walking any list now */
    if (conn->tls ? !write_through_tls(conn, pass) : !write_queue(conn, pass))
        return;
    if (conn->state == PC_CONN_DRAINING && conn->out.count == 0 && !conn->write_blocked)
        shut(conn);
    bool was_throttled = conn->throttled;
    if (conn->state == PC_CONN_WEBSOCKET)
        conn->throttled = conn->out.bytes > 0 && pc_session_slow(&conn->session);
    else if (conn->state == PC_CONN_HTTP)
        conn->throttled = conn->out.bytes > conn->loop->engine->options.out_soft_bytes;
    pc_conn_watch(conn);
    if (was_throttled && !conn->throttled)
        pc_conn_resume(conn);
}

/* -- stopping -- */

void pc_conn_say_goodbye(struct pc_conn *conn, uint64_t grace_ms)
{
    switch ((enum pc_conn_state)conn->state) {
    case PC_CONN_HTTP:
        if (pc_http_parser_idle(conn->http) && conn->out.count == 0)
            pc_conn_finish(conn);
        break; /* the answer under way says "close" */
    case PC_CONN_WEBSOCKET: {
        /* any time within the grace period: all at once would all reconnect at once */
        uint64_t dice = pc_hash(conn->loop->engine->seed, conn->session.by_id.key);
        pc_conn_set_wait(conn, PC_WAIT_GOODBYE, grace_ms ? dice % grace_ms : 0);
        break;
    }
    case PC_CONN_HOST:
    case PC_CONN_CLOSING:
    case PC_CONN_DRAINING:
    case PC_CONN_LINGERING:
    case PC_CONN_DEAD:
        break;
    }
}
