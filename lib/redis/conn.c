#include "redis/conn.h"

#include <netdb.h>
#include <signal.h>
#include <stdio.h>

#include <pusherc/error.h>

#define READ_BYTES          16384
#define MAX_SENTINEL_ANSWER 65536

struct pc_redis_conn {
    const struct pc_mem *mem;
    const struct pc_redis_conn_ops *ops;
    void *owner;
    uv_loop_t *uv;
    uv_tcp_t tcp;
    uv_getaddrinfo_t lookup;
    uv_connect_t connect;
    struct pc_redis_reader *reader;
    struct pc_redis_conn *sentinel; /* is being asked; NULL = not any more, or there is none */
    pusherc_slice master, sentinel_user, sentinel_password; /* borrowed */
    uint32_t logins;                  /* answers of the Sentinel to AUTH that are still to come */
    const struct pc_tls_trust *trust; /* NULL = in the clear */
    struct pc_tls_client *tls;        /* NULL = the same, or not connected yet */
    uint64_t received;                /* bytes, see pc_redis_conn_take_received() */
    uint32_t pending;                 /* calls of libuv that have still to come */
    bool is_looking_up, has_socket;
    bool is_open;   /* connected, and over TLS the handshake is over */
    bool has_heard; /* of the server */
    bool is_paused;
    bool is_closed; /* failed, or closed by the owner */
    char host[256], port[8];
    char buffer[READ_BYTES];
};

/* Bytes on their way. */
struct writing {
    uv_write_t write;
    struct pc_redis_conn *conn;
    struct pc_buf buf;
};

static uv_handle_t *handle_of(void *handle)
{
    return handle;
}

static uv_stream_t *stream_of(struct pc_redis_conn *conn)
{
    return (uv_stream_t *)(void *)&conn->tcp;
}

/* -- the end -- */

static void unref(struct pc_redis_conn *conn)
{
    if (--conn->pending > 0)
        return;
    void *owner = conn->owner;
    void (*gone)(void *) = conn->ops->gone;
    pc_redis_reader_free(conn->reader);
    pc_tls_client_free(conn->tls);
    pc_free(conn->mem, conn);
    gone(owner);
}

static void on_closed(uv_handle_t *handle)
{
    unref(handle->data);
}

void pc_redis_conn_close(struct pc_redis_conn *conn)
{
    if (conn->is_closed)
        return;
    conn->is_closed = true;
    if (conn->sentinel)
        pc_redis_conn_close(conn->sentinel);
    if (conn->is_looking_up)
        (void)uv_cancel((uv_req_t *)&conn->lookup); /* it ends by itself if it has begun */
    if (conn->has_socket)
        uv_close(handle_of(&conn->tcp), on_closed);
}

static void fail(struct pc_redis_conn *conn, bool reached, const char *reason)
{
    if (conn->is_closed)
        return;
    pc_redis_conn_close(conn);
    conn->ops->failed(conn->owner, conn, reached, reason);
}

static void cannot_reach(struct pc_redis_conn *conn, int status)
{
    char reason[80];
    (void)snprintf(reason, sizeof reason, "Redis cannot be reached: %s", uv_err_name(status));
    fail(conn, false, reason);
}

/* -- writing -- */

static void on_written(uv_write_t *write, int status)
{
    struct writing *w = write->data;
    struct pc_redis_conn *conn = w->conn;
    (void)status; /* reading tells what is wrong with the connection */
    pc_buf_free(&w->buf);
    pc_free(conn->mem, w);
    if (conn->ops->sent && !conn->is_closed)
        conn->ops->sent(conn->owner, conn);
    unref(conn);
}

/* Sends what the system has not taken of the buffer, and leaves it empty. */
static int send_rest(struct pc_redis_conn *conn, struct pc_buf *buf, size_t taken)
{
    struct writing *w = pc_alloc_zero(conn->mem, sizeof *w);
    if (!w) /* a part of a command cannot be taken back */
        return taken ? PUSHERC_EIO : PUSHERC_ENOMEM;
    w->conn = conn;
    w->write.data = w;
    w->buf = *buf;
    pc_buf_init(buf, buf->mem, buf->max);
    uv_buf_t bytes = uv_buf_init(w->buf.ptr + taken, (unsigned)(w->buf.len - taken));
    if (uv_write(&w->write, stream_of(conn), &bytes, 1, on_written)) {
        pc_buf_free(&w->buf);
        pc_free(conn->mem, w);
        return PUSHERC_EIO;
    }
    conn->pending++;
    return 0;
}

/* Sends bytes as they are, and leaves the buffer empty. As a rule the system takes all at once. */
static int send_raw(struct pc_redis_conn *conn, struct pc_buf *buf)
{
    uv_buf_t bytes = uv_buf_init(buf->ptr, (unsigned)buf->len);
    int taken = uv_try_write(stream_of(conn), &bytes, 1); /* reading tells of errors */
    if (taken < 0 || (size_t)taken < buf->len)
        return send_rest(conn, buf, taken < 0 ? 0 : (size_t)taken);
    pc_buf_clear(buf);
    return 0;
}

static int send_tls(struct pc_redis_conn *conn)
{
    struct pc_buf *out = pc_tls_client_out(conn->tls);
    int err = pc_buf_status(out);
    return err || out->len == 0 ? err : send_raw(conn, out);
}

int pc_redis_conn_write(struct pc_redis_conn *conn, struct pc_buf *buf)
{
    if (conn->is_closed || !conn->is_open)
        return PUSHERC_EIO;
    if (!conn->tls)
        return send_raw(conn, buf);
    int err = pc_tls_client_write(conn->tls, pc_buf_slice(buf));
    pc_buf_clear(buf);
    err = err ? err : send_tls(conn);
    return err == PUSHERC_ETLS ? PUSHERC_EIO : err;
}

uint64_t pc_redis_conn_take_received(struct pc_redis_conn *conn)
{
    uint64_t received = conn->received;
    conn->received = 0;
    return received;
}

size_t pc_redis_conn_unsent(const struct pc_redis_conn *conn)
{
    return conn->has_socket && !conn->is_closed
               ? uv_stream_get_write_queue_size((const uv_stream_t *)(const void *)&conn->tcp)
               : 0;
}

/* -- reading -- */

static void on_room(uv_handle_t *handle, size_t size, uv_buf_t *buf)
{
    struct pc_redis_conn *conn = handle->data;
    (void)size;
    *buf = uv_buf_init(conn->buffer, sizeof conn->buffer);
}

static void on_text(struct pc_redis_conn *conn, pusherc_slice bytes)
{
    struct pc_redis_reply reply;
    int more = pc_redis_reader_feed(conn->reader, bytes);
    while (more == 0 && !conn->is_closed) {
        more = pc_redis_reader_next(conn->reader, &reply);
        if (more <= 0)
            break;
        more = conn->ops->replied(conn->owner, conn, &reply) ? 0 : PUSHERC_EPROTO;
    }
    if (more < 0)
        fail(conn, false, more == PUSHERC_ENOMEM ? "out of memory" : "Redis broke the protocol");
}

static void on_ready(struct pc_redis_conn *conn)
{
    conn->is_open = true;
    conn->ops->opened(conn->owner, conn);
}

static void tls_failed(struct pc_redis_conn *conn, int err)
{
    bool was_open = conn->is_open;
    (void)send_tls(conn); /* an alert tells the server why */
    fail(conn, was_open && err == PUSHERC_EIO,
         err == PUSHERC_ENOMEM ? "out of memory"
         : err == PUSHERC_EIO  ? "the connection to Redis is lost"
                               : pc_tls_client_reason(conn->tls));
}

static void on_tls_bytes(struct pc_redis_conn *conn, pusherc_slice bytes)
{
    pusherc_slice text;
    int more = 1;
    pc_tls_client_feed(conn->tls, bytes);
    while (more > 0 && !conn->is_closed) {
        more = pc_tls_client_read(conn->tls, &text);
        if (!conn->is_open && pc_tls_client_is_open(conn->tls) && more >= 0)
            on_ready(conn);
        if (more > 0 && !conn->is_closed)
            on_text(conn, text);
    }
    if (more == 0 && !conn->is_closed)
        more = send_tls(conn);
    if (more < 0 && !conn->is_closed)
        tls_failed(conn, more);
}

/* A server that wants TLS answers commands in the clear with a TLS record, an alert. */
static bool is_alert(const struct pc_redis_conn *conn, pusherc_slice bytes)
{
    return !conn->has_heard && pc_slice_starts(bytes, PC_S("\x15\x03"));
}

static void on_bytes(struct pc_redis_conn *conn, pusherc_slice bytes)
{
    bool alert = is_alert(conn, bytes);
    conn->received += bytes.len;
    conn->has_heard = true;
    if (conn->tls)
        on_tls_bytes(conn, bytes);
    else if (alert)
        fail(conn, false, "its port is one for TLS, for rediss://");
    else
        on_text(conn, bytes);
}

const char *pc_redis_conn_silence(const struct pc_redis_conn *conn)
{
    if (conn && conn->sentinel)
        return "does not answer as a Sentinel";
    return conn && conn->tls && !conn->has_heard
               ? "does not answer; its port may be one without TLS, for redis://"
               : "does not answer";
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf);

void pc_redis_conn_pause(struct pc_redis_conn *conn)
{
    if (conn->is_closed || !conn->is_open)
        return;
    (void)uv_read_stop(stream_of(conn));
    conn->is_paused = true;
}

int pc_redis_conn_resume(struct pc_redis_conn *conn)
{
    if (conn->is_closed || !conn->is_open)
        return PUSHERC_EIO;
    if (!conn->is_paused)
        return 0;
    conn->is_paused = false;
    return uv_read_start(stream_of(conn), on_room, on_read) ? PUSHERC_EIO : 0;
}

static const char *lost_reason(const struct pc_redis_conn *conn)
{
    if (conn->has_heard)
        return "the connection to Redis is lost";
    return conn->tls ? "it ends the connection before TLS has begun; its port may be one without "
                       "TLS, for redis://"
                     : "it ends the connection without an answer; its port may be one for TLS, for "
                       "rediss://";
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct pc_redis_conn *conn = stream->data;
    if (conn->is_closed)
        return;
    if (n > 0)
        on_bytes(conn, pc_slice(buf->base, (size_t)n));
    else if (n < 0)
        fail(conn, conn->is_open, lost_reason(conn));
}

/* -- connecting -- */

static void begin(struct pc_redis_conn *conn)
{
    if (!conn->trust) {
        on_ready(conn);
        return;
    }
    conn->tls = pc_tls_client_new(conn->trust, conn->host);
    if (!conn->tls || send_tls(conn))
        fail(conn, false, "out of memory");
}

static void on_connected(uv_connect_t *connect, int status)
{
    struct pc_redis_conn *conn = connect->data;
    if (!conn->is_closed) {
        if (status == 0)
            status = uv_read_start(stream_of(conn), on_room, on_read);
        if (status) {
            cannot_reach(conn, status);
        } else {
            (void)uv_tcp_nodelay(&conn->tcp, 1);
            begin(conn);
        }
    }
    unref(conn);
}

static int begin_connect(struct pc_redis_conn *conn, const struct addrinfo *address)
{
    int err = uv_tcp_init(conn->uv, &conn->tcp);
    if (err)
        return err;
    conn->has_socket = true;
    conn->pending++;
    conn->tcp.data = conn->connect.data = conn;
    err = uv_tcp_connect(&conn->connect, &conn->tcp, address->ai_addr, on_connected);
    if (err == 0)
        conn->pending++;
    return err;
}

static void on_resolved(uv_getaddrinfo_t *lookup, int status, struct addrinfo *found)
{
    struct pc_redis_conn *conn = lookup->data;
    conn->is_looking_up = false;
    if (!conn->is_closed && status == 0)
        status = begin_connect(conn, found);
    uv_freeaddrinfo(found);
    if (status)
        cannot_reach(conn, status); /* nothing if it was closed */
    unref(conn);
}

/* Names are looked up on threads of libuv's, which are made at the first time: they block all signals, as the library's
 * own do. */
static int look_up(struct pc_redis_conn *conn)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int err = uv_getaddrinfo(conn->uv, &conn->lookup, on_resolved, conn->host, conn->port, &hints);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (err)
        return PUSHERC_EIO;
    conn->is_looking_up = true;
    conn->pending++;
    return 0;
}

/* -- asking a Sentinel -- */

static void ask_sentinel(void *owner, struct pc_redis_conn *sentinel)
{
    struct pc_redis_conn *conn = owner;
    const pusherc_slice auth[] = {PC_S("AUTH"), conn->sentinel_user, conn->sentinel_password};
    const pusherc_slice without_user[] = {auth[0], auth[2]};
    const pusherc_slice question[] = {PC_S("SENTINEL"), PC_S("GET-MASTER-ADDR-BY-NAME"),
                                      conn->master};
    struct pc_buf buf;
    pc_buf_init(&buf, conn->mem, SIZE_MAX);
    if (conn->sentinel_password.len) {
        bool named = conn->sentinel_user.len > 0;
        pc_redis_put_command(&buf, named ? auth : without_user, named ? 3 : 2);
        conn->logins = 1;
    }
    pc_redis_put_command(&buf, question, 3);
    int err = pc_buf_status(&buf);
    err = err ? err : pc_redis_conn_write(sentinel, &buf);
    pc_buf_free(&buf);
    if (err)
        fail(conn, false, "out of memory");
}

static void fail_by_sentinel(struct pc_redis_conn *conn, const char *before, pusherc_slice text)
{
    char line[PC_REDIS_LINE], reason[PC_REDIS_LINE + 64];
    pc_redis_line(line, sizeof line, text);
    (void)snprintf(reason, sizeof reason, "%s%s", before, line);
    fail(conn, false, reason);
}

/* An address, as HOST and PORT. */
static bool take_address(struct pc_redis_conn *conn, const struct pc_redis_reply *reply)
{
    if (reply->count != 3 || reply->items[1].type != PC_REDIS_STRING ||
        reply->items[2].type != PC_REDIS_STRING || reply->items[1].text.len >= sizeof conn->host ||
        reply->items[2].text.len >= sizeof conn->port)
        return false;
    pc_redis_line(conn->host, sizeof conn->host, reply->items[1].text);
    pc_redis_line(conn->port, sizeof conn->port, reply->items[2].text);
    return true;
}

static bool on_sentinel_reply(void *owner, struct pc_redis_conn *sentinel,
                              const struct pc_redis_reply *reply)
{
    struct pc_redis_conn *conn = owner;
    if (reply->items[0].type == PC_REDIS_ERROR) {
        fail_by_sentinel(conn, "as a Sentinel it answers ", reply->items[0].text);
    } else if (conn->logins > 0) {
        conn->logins--;
    } else if (reply->items[0].type == PC_REDIS_NIL) {
        fail_by_sentinel(conn, "the Sentinel knows no master named ", conn->master);
    } else if (take_address(conn, reply)) {
        pc_redis_conn_close(sentinel);
        conn->sentinel = NULL;
        if (look_up(conn))
            fail(conn, false, "out of memory");
    } else {
        return false;
    }
    return true;
}

static void on_sentinel_failed(void *owner, struct pc_redis_conn *sentinel, bool reached,
                               const char *reason)
{
    struct pc_redis_conn *conn = owner;
    (void)sentinel;
    (void)reached;
    conn->sentinel = NULL; /* closes by itself */
    fail_by_sentinel(conn, "as a Sentinel: ", pc_slice_of(reason));
}

static void on_sentinel_gone(void *owner)
{
    unref(owner);
}

static int begin_asking(struct pc_redis_conn *conn, const struct pc_redis_place *place)
{
    static const struct pc_redis_conn_ops ops = {.opened = ask_sentinel,
                                                 .replied = on_sentinel_reply,
                                                 .failed = on_sentinel_failed,
                                                 .gone = on_sentinel_gone};
    const struct pc_redis_place sentinel = {
        .host = place->host, .port = place->port, .trust = place->trust};
    conn->master = place->master;
    conn->sentinel_user = place->sentinel_user;
    conn->sentinel_password = place->sentinel_password;
    int err = pc_redis_conn_open(&conn->sentinel, conn->mem, conn->uv, &sentinel,
                                 MAX_SENTINEL_ANSWER, &ops, conn);
    conn->pending += err == 0;
    return err;
}

/* -- a new one -- */

struct pc_redis_place pc_redis_conn_place(const struct pc_redis_conn *conn)
{
    uint64_t port = 0;
    (void)pc_slice_to_u64(pc_slice_of(conn->port), &port);
    return (struct pc_redis_place){
        .host = pc_slice_of(conn->host), .port = (uint16_t)port, .trust = conn->trust};
}

int pc_redis_conn_open(struct pc_redis_conn **out, const struct pc_mem *mem, uv_loop_t *uv,
                       const struct pc_redis_place *place, size_t max_answer_bytes,
                       const struct pc_redis_conn_ops *ops, void *owner)
{
    *out = NULL;
    struct pc_redis_conn *conn = pc_alloc_zero(mem, sizeof *conn);
    if (!conn)
        return PUSHERC_ENOMEM;
    conn->mem = mem;
    conn->uv = uv;
    conn->ops = ops;
    conn->owner = owner;
    (void)snprintf(conn->host, sizeof conn->host, "%.*s", (int)place->host.len, place->host.ptr);
    conn->trust = place->trust;
    (void)snprintf(conn->port, sizeof conn->port, "%u", (unsigned)place->port);
    conn->lookup.data = conn;
    conn->reader = pc_redis_reader_new(mem, max_answer_bytes);
    int err = conn->reader ? 0 : PUSHERC_ENOMEM;
    if (err == 0)
        err = place->master.len ? begin_asking(conn, place) : look_up(conn);
    if (err) {
        pc_redis_reader_free(conn->reader);
        pc_free(mem, conn);
        return err;
    }
    *out = conn;
    return 0;
}
