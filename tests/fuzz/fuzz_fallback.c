/*
 * Clients over HTTP (xhr_streaming, xhr) of two apps against a whole server in this thread, whose time the input moves. Half
 * of them are clients of SockJS's own library, which say with a message which app they want. Each
 * client has several connections: it opens, receives, sends, polls, leaves, comes again and stops reading in any order,
 * under names that clients of the other app use as well, sends requests in pieces, and others that are no protocol.
 *
 * What has to hold: each answer is whole HTTP, and its lines those of the protocol; an event reaches a session at most
 * once, and on one connection in order; none reaches the other app, or a session without a signature of its own; what no
 * request has opened cannot be sent to; sessions without a connection are bounded; a stop ends and leaves no memory.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <pusherc/pusherc.h>

#include "codec/json.h"
#include "codec/xhr.h"
#include "require.h"
#include "server/server.h"
#include "unit/failing_alloc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    APPS = 2,
    NAMES = 6,
    SESSIONS = 2 * APPS * NAMES, /* the second half are SockJS's */
    CONNS = 8,
    QUEUED = 8, /* requests that wait for their answers on one connection */
    EVENTS = 2048,
    MAX_LINE = 1 << 17,
    MAX_PLACES = 4,
    MAX_STEPS = 80
};

/* -- time -- */

static uint64_t now_us;
static bool time_is_ours;

int clock_gettime(clockid_t id, struct timespec *out)
{
    bool ours = time_is_ours && (id == CLOCK_MONOTONIC || id == CLOCK_MONOTONIC_COARSE);
    if (!ours)
        return (int)syscall(SYS_clock_gettime, id, out);
    now_us++;
    out->tv_sec = (time_t)(now_us / 1000000);
    out->tv_nsec = (long)(now_us % 1000000 * 1000);
    return 0;
}

/* -- the input -- */

struct input {
    const uint8_t *data;
    size_t size;
};

static unsigned next(struct input *in, unsigned below)
{
    if (in->size == 0)
        return 0;
    in->size--;
    return *in->data++ % below;
}

static pusherc_slice next_bytes(struct input *in, size_t max)
{
    size_t len = next(in, 256);
    len = len > in->size ? in->size : len > max ? max : len;
    pusherc_slice bytes = {(const char *)in->data, len};
    in->data += len;
    in->size -= len;
    return bytes;
}

/* What happens next: always as many bytes, so that a shorter or other step leaves those behind it what they are. */
struct step {
    unsigned session, what, conn, how, number, address, other;
};

/* -- clients -- */

enum kind {
    RECEIVES,
    SENDS,
    ELSE
};

struct request {
    enum kind kind;
    unsigned session;
};

struct conn {
    int fd; /* -1 = none */
    bool stuck, raw;
    struct request queue[QUEUED];
    unsigned queued;
    char rest[1024]; /* of a request that is half sent */
    size_t rest_len;
    /* the answer that is coming */
    enum {
        HEAD,
        CHUNK_SIZE,
        CHUNK,
        CHUNK_END,
        BODY,
        TO_THE_END
    } state;
    struct request asked;
    int status;
    size_t left; /* of the body or chunk */
    bool last_chunk, closed;
    unsigned last_event;
    char line[MAX_LINE]; /* or the head */
    size_t line_len;
};

struct session {
    bool opened;     /* something has asked to receive */
    bool authorized; /* it has had a signature of its own since it began */
    bool wild;       /* it has sent anything, perhaps the other app's path */
    pusherc_socket_id id;
    bool seen[EVENTS];
};

static struct model {
    struct failing_alloc alloc;
    pusherc_server *server;
    struct conn conns[CONNS];
    struct session sessions[SESSIONS];
    unsigned events;
    uint64_t connections;
    bool any_raw, any_sockjs, stopped;
} m;

static unsigned app_of(unsigned session)
{
    return session / NAMES % APPS;
}

static bool is_sockjs(unsigned session)
{
    return session / NAMES >= APPS;
}

static const char *const ids[APPS] = {"app-0", "app-1"}, *const keys[APPS] = {"key-0", "key-1"};

/* -- what comes -- */

#define EVENT "a[\"{\\\"event\\\":\\\"e\\\","

/* "@@" APP PRIVATE NUMBER in what an event says. */
static void take_event(struct conn *c, struct session *s, const char *at)
{
    unsigned app = (unsigned)(at[2] - '0'), number = (unsigned)strtoul(at + 4, NULL, 10);
    REQUIRE(app == app_of(c->asked.session) || (s->wild && is_sockjs(c->asked.session)));
    REQUIRE(at[3] == '0' || s->authorized);
    REQUIRE(number > c->last_event && number <= m.events && !s->seen[number]);
    s->seen[number] = true;
    c->last_event = number;
}

static void take_line(struct conn *c)
{
    struct session *s = &m.sessions[c->asked.session];
    struct pc_json_iter items;
    size_t count;
    c->line[c->line_len] = '\0';
    REQUIRE(!c->closed);
    switch (c->line[0]) {
    case 'o':
        REQUIRE(c->line_len == 1);
        s->authorized = false;
        s->id = (pusherc_socket_id){0};
        break;
    case 'h':
        REQUIRE(c->line_len == 1);
        break;
    case 'c':
        c->closed = true;
        break;
    default:
        REQUIRE(c->line[0] == 'a');
        REQUIRE(pc_xhr_read(pc_slice(c->line + 1, c->line_len - 1), &items, &count) == 0 &&
                count == 1);
        bool is_event = strncmp(c->line, EVENT, sizeof EVENT - 1) == 0;
        const char *event = is_event ? strstr(c->line, "@@") : NULL;
        const char *id = strstr(c->line, "socket_id");
        if (event)
            take_event(c, s, event);
        else if (id && strstr(c->line, "connection_established"))
            (void)pusherc_socket_id_parse(
                (pusherc_slice){id + strcspn(id, "0123456789"),
                                strspn(id + strcspn(id, "0123456789"), "0123456789.")},
                &s->id);
    }
}

static void end_answer(struct conn *c)
{
    REQUIRE(c->line_len == 0);
    c->state = HEAD;
}

static void take_head(struct conn *c)
{
    static const struct request unasked = {ELSE, 0};
    c->line[c->line_len] = '\0';
    c->line_len = 0;
    REQUIRE(strncmp(c->line, "HTTP/1.1 ", 9) == 0);
    c->status = atoi(c->line + 9);
    REQUIRE(c->status >= 200 && c->status <= 503);
    c->asked = c->queued ? c->queue[0] : unasked;
    REQUIRE(c->queued || c->status == 408 || c->status == 503);
    if (c->queued)
        memmove(c->queue, c->queue + 1, --c->queued * sizeof c->queue[0]);
    if (c->asked.kind == SENDS)
        REQUIRE(c->status != 204 || m.any_raw || m.sessions[c->asked.session].opened);
    const char *length = strstr(c->line, "Content-Length: ");
    c->closed = false;
    c->last_event = 0;
    c->left = length ? strtoul(length + 16, NULL, 10) : 0;
    c->state = strstr(c->line, "Transfer-Encoding: chunked") ? CHUNK_SIZE
               : length || c->status == 204                  ? BODY
                                                             : TO_THE_END;
    if (c->state == BODY && c->left == 0)
        end_answer(c);
}

static void put(struct conn *c, char byte)
{
    REQUIRE(c->line_len < sizeof c->line - 1);
    c->line[c->line_len++] = byte;
}

/* Of a body: only those of 200 are lines of the protocol. */
static void take_body(struct conn *c, char byte)
{
    if (c->asked.kind != RECEIVES || c->status != 200)
        return;
    if (byte != '\n') {
        put(c, byte);
        return;
    }
    take_line(c);
    c->line_len = 0;
}

static void take_byte(struct conn *c, char byte)
{
    switch (c->state) {
    case HEAD:
        put(c, byte);
        if (c->line_len >= 4 && memcmp(c->line + c->line_len - 4, "\r\n\r\n", 4) == 0)
            take_head(c);
        break;
    case CHUNK_SIZE:
        if (byte == '\n') {
            c->state = c->left ? CHUNK : CHUNK_END;
            c->last_chunk = c->left == 0;
        } else if (byte != '\r') {
            REQUIRE(strchr("0123456789abcdef", byte) && c->left < MAX_LINE);
            c->left = c->left * 16 + (size_t)(byte <= '9' ? byte - '0' : byte - 'a' + 10);
        }
        break;
    case CHUNK:
        take_body(c, byte);
        if (--c->left == 0)
            c->state = CHUNK_END;
        break;
    case CHUNK_END:
        REQUIRE(byte == '\r' || byte == '\n');
        if (byte == '\n' && c->last_chunk)
            end_answer(c);
        else if (byte == '\n')
            c->state = CHUNK_SIZE;
        break;
    case BODY:
        take_body(c, byte);
        if (--c->left == 0)
            end_answer(c);
        break;
    case TO_THE_END:
        take_body(c, byte);
        break;
    }
}

static void leave(struct conn *c)
{
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
}

/* Reads what has come at one that reads. True: something has. */
static bool hear(struct conn *c)
{
    char bytes[16384];
    if (c->fd < 0 || c->stuck)
        return false;
    ssize_t n = recv(c->fd, bytes, sizeof bytes, 0);
    if (n == 0 || (n < 0 && errno != EAGAIN))
        leave(c);
    for (ssize_t i = 0; i < n && !c->raw; i++)
        take_byte(c, bytes[i]);
    return n > 0;
}

/* The server's turns, until nothing more happens. */
static void turns(void)
{
    for (unsigned quiet = 0, all = 0; quiet < 3 && all < 64; all++) {
        bool any = false;
        if (pusherc_server_poll(m.server, 0) < 0)
            break;
        for (unsigned i = 0; i < CONNS; i++)
            any |= hear(&m.conns[i]);
        quiet = any ? 0 : quiet + 1;
    }
}

/* -- what clients do -- */

/* Memory may have run out: then there is none. */
static bool dial(struct conn *c)
{
    int ends[2], small = 4096;
    leave(c);
    memset(c, 0, offsetof(struct conn, line));
    c->line_len = 0;
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0);
    REQUIRE(setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small) == 0);
    c->fd = ends[1];
    if (pusherc_server_adopt(m.server, ends[0], PC_S("")) == 0)
        return true;
    close(ends[0]);
    leave(c);
    return false;
}

static void write_all(struct conn *c, const char *text, size_t len)
{
    if (c->fd >= 0 && send(c->fd, text, len, MSG_NOSIGNAL) != (ssize_t)len)
        leave(c);
}

static void finish_request(struct conn *c)
{
    write_all(c, c->rest, c->rest_len);
    c->rest_len = 0;
}

/* Asks on a connection that is there or on a new one, at once or in two pieces. */
static void ask(const struct step *step, enum kind kind, const char *action, pusherc_slice body)
{
    struct conn *c = &m.conns[step->conn % CONNS];
    unsigned how = step->how % 64;
    char text[2048], prefix[32] = "";
    m.any_sockjs |= is_sockjs(step->session);
    if (!is_sockjs(step->session))
        snprintf(prefix, sizeof prefix, "/app/%s", keys[app_of(step->session)]);
    finish_request(c);
    if ((c->fd < 0 || c->raw || c->queued == QUEUED) && !dial(c))
        return;
    int len =
        snprintf(text, sizeof text,
                 "POST /pusher%s/%u/session-%u/%s?protocol=7&client=js&t=1&n=%u "
                 "HTTP/1.%u\r\nHost: h\r\nX-Forwarded-For: 10.0.0.%u\r\n"
                 "Content-Length: %zu\r\n%s\r\n%.*s",
                 prefix, 7 + app_of(step->session), step->session % NAMES, action, step->number % 8,
                 how & 1 ? 0U : 1U, step->address % 3, body.len,
                 how & 2 ? "Connection: close\r\n" : "", (int)body.len, body.len ? body.ptr : "");
    REQUIRE(len > 0 && (size_t)len < sizeof text);
    size_t total = (size_t)len, first = how & 4 ? total * (how >> 3) / 8 : total;
    if (total - first > sizeof c->rest)
        first = total;
    c->queue[c->queued++] = (struct request){kind, step->session};
    m.sessions[step->session].opened |= kind == RECEIVES;
    write_all(c, text, first);
    memcpy(c->rest, text + first, total - first);
    c->rest_len = total - first;
}

static void say(const struct step *step, const char *text)
{
    struct pc_mem mem = pc_mem_make(NULL);
    struct pc_buf out;
    pc_buf_init(&out, &mem, SIZE_MAX);
    pc_buf_put_char(&out, '[');
    pc_json_put_string(&out, pc_slice_of(text));
    pc_buf_put_char(&out, ']');
    REQUIRE(pc_buf_status(&out) == 0);
    ask(step, SENDS, "xhr_send", pc_buf_slice(&out));
    pc_buf_free(&out);
}

/* What a client of SockJS says first. */
static void say_path(const struct step *step)
{
    char text[128];
    snprintf(text, sizeof text, "{\"path\":\"/app/%s?protocol=%u&client=js\"}",
             keys[app_of(step->session)], step->other % 8 == 7 ? 99U : 7U);
    say(step, text);
}

/* With the signature that is right for one of the sessions. */
static void subscribe_private(const struct step *step, unsigned signed_for)
{
    pusherc_credentials app = PUSHERC_CREDENTIALS_INIT;
    char auth[256], text[512];
    size_t len;
    app.key = pusherc_slice_of(keys[app_of(signed_for)]);
    app.secret = PC_S("secret");
    if (pusherc_sign_channel(&app, m.sessions[signed_for].id, PC_S("private-x"), PC_S(""), auth,
                             sizeof auth, &len))
        return; /* it has no id yet */
    snprintf(
        text, sizeof text,
        "{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"private-x\",\"auth\":\"%s\"}}",
        auth);
    m.sessions[step->session].authorized |= step->session == signed_for;
    say(step, text);
}

static void publish(const struct step *step)
{
    static char data[10000];
    static const size_t sizes[] = {20, 1500, sizeof data};
    unsigned app = step->conn % APPS;
    bool is_private = step->number % 2;
    size_t len = sizes[step->how % 3];
    if (m.events + 1 == EVENTS)
        return;
    memset(data, 'x', len);
    data[snprintf(data, sizeof data, "@@%u%u%u", app, (unsigned)is_private, ++m.events)] = ' ';
    int err = pusherc_publish_to(m.server, ids[app], is_private ? "private-x" : "news",
                                 is_private ? 9 : 4, "e", 1, data, len, NULL);
    REQUIRE(err == 0 || err == PUSHERC_ENOMEM || err == PUSHERC_EBACKLOG);
}

/* Any bytes, behind what begins a request or not. */
static void send_raw(const struct step *step, pusherc_slice bytes)
{
    static const char head[] = "POST /app/key-0/7/session-";
    struct conn *c = &m.conns[step->conn % CONNS];
    if (!dial(c))
        return;
    c->raw = m.any_raw = true;
    if (step->how % 2)
        write_all(c, head, sizeof head - 1);
    write_all(c, bytes.ptr, bytes.len);
}

static void disconnect(const struct step *step)
{
    const struct session *s = &m.sessions[step->session];
    if (s->id.a)
        (void)pusherc_server_disconnect(m.server, ids[app_of(step->session)], s->id, 4100, "over");
}

static void take_step(struct input *in)
{
    static const unsigned jumps_ms[] = {1, 40, 300, 1100, 2600, 10500, 31000, 130000};
    struct step step = {.session = next(in, SESSIONS), .what = next(in, 16)};
    unsigned *const rest[] = {&step.conn, &step.how, &step.number, &step.address, &step.other};
    for (unsigned i = 0; i < 5; i++)
        *rest[i] = next(in, 256);
    switch (step.what) {
    case 0:
        ask(&step, RECEIVES, "xhr_streaming", PC_S(""));
        break;
    case 1:
        ask(&step, RECEIVES, "xhr", PC_S(""));
        break;
    case 2:
        say(&step, "{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"news\"}}");
        break;
    case 3:
        say(&step, "{\"event\":\"pusher:unsubscribe\",\"data\":{\"channel\":\"news\"}}");
        break;
    case 4:
        subscribe_private(&step, step.session);
        break;
    case 5:
        subscribe_private(&step, step.other % SESSIONS);
        break;
    case 6:
        m.sessions[step.session].wild = true;
        ask(&step, SENDS, "xhr_send", next_bytes(in, 200));
        break;
    case 7:
        ask(&step, SENDS, "xhr_send", PC_S("[]"));
        break;
    case 8:
        publish(&step);
        break;
    case 9:
        for (unsigned n = step.other % 32; n > 0; n--)
            publish(&step);
        break;
    case 10:
        now_us += jumps_ms[step.other % 8] * 1000ULL;
        break;
    case 11:
        leave(&m.conns[step.conn % CONNS]);
        break;
    case 12:
        m.conns[step.conn % CONNS].stuck = step.how % 2;
        break;
    case 13:
        send_raw(&step, next_bytes(in, 200));
        break;
    case 14:
        disconnect(&step);
        break;
    case 15:
        say_path(&step);
        break;
    }
}

/* -- a run -- */

/* A new session makes room among those without a connection; one of SockJS is a connection later than it is a session. */
static void check_bounds(void)
{
    pusherc_stats stats = PUSHERC_STATS_INIT;
    if (pusherc_server_stats(m.server, &stats))
        return;
    REQUIRE(stats.connections <= m.connections ||
            stats.connections <= stats.sockets + MAX_PLACES + (m.any_sockjs ? SESSIONS / 2 : 0));
    m.connections = stats.connections;
}

static void start(const pusherc_allocator *allocator)
{
    pusherc_server_options o = PUSHERC_SERVER_OPTIONS_INIT;
    o.allocator = allocator;
    o.worker_count = PUSHERC_WORKERS_NONE;
    o.proxy_count = 1; /* so that clients have addresses */
    o.max_unestablished = MAX_PLACES;
    o.max_unestablished_per_ip = MAX_PLACES / 2;
    o.out_hard_bytes = 120000;
    o.out_soft_bytes = 40000;
    REQUIRE(pusherc_server_new(&m.server, &o, NULL) == 0);
    for (unsigned i = 0; i < APPS; i++) {
        pusherc_app_options app = PUSHERC_APP_OPTIONS_INIT;
        app.id = ids[i], app.key = keys[i], app.secret = "secret";
        app.max_connections = 5;
        REQUIRE(pusherc_server_put_app(m.server, &app, NULL) == 0);
    }
    REQUIRE(pusherc_server_start(m.server, NULL) == 0);
}

static void on_stopped(pusherc_server *server, void *user_data)
{
    (void)server;
    (void)user_data;
    m.stopped = true;
}

/* Also while clients do not read. */
static void stop(uint32_t grace_ms)
{
    REQUIRE(pusherc_server_stop(m.server, grace_ms, on_stopped, NULL) == 0);
    for (unsigned i = 0; i < 200 && !m.stopped; i++) {
        now_us += 500000;
        turns();
    }
    REQUIRE(m.stopped);
    pusherc_server_free(m.server);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};
    if (size < 2)
        return 0;
    memset(m.sessions, 0, sizeof m.sessions);
    m.events = 0;
    m.connections = 0;
    m.any_raw = m.any_sockjs = m.stopped = false;
    for (unsigned i = 0; i < CONNS; i++)
        m.conns[i].fd = -1;
    const pusherc_allocator allocator = failing_alloc_init(&m.alloc, 0);
    time_is_ours = true;
    now_us = 1000000000;
    start(&allocator);
    unsigned fail = next(&in, 256); /* below 128: no request fails */
    m.alloc.fail_at = fail < 128 ? 0 : m.alloc.requests + (fail - 127) * 4;
    for (unsigned i = 0; i < MAX_STEPS && in.size > 0; i++) {
        take_step(&in);
        turns();
        check_bounds();
    }
    stop(next(&in, 3) * 1000);
    time_is_ours = false;
    for (unsigned i = 0; i < CONNS; i++)
        leave(&m.conns[i]);
    REQUIRE(failing_alloc_live(&m.alloc) == 0);
    return 0;
}
