/*
 * The baseline of the benchmarks: what the kernel alone costs. A bare epoll server that speaks just enough
 * of the protocol for pusherload, with canned replies and no checks: no app, no signature, no limits,
 * one channel per connection. Not a server for anything else: whatever it does not expect ends it.
 *
 *     limit PORT MODE     PORT 0: the system picks one; it is printed
 *
 * MODE 0: one write() per subscriber and event. MODE 1: all events that one turn of the loop received
 * leave in one writev() per socket.
 */
#define OPENSSL_SUPPRESS_DEPRECATED

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/sha.h>

#define CHAINS      65536
#define MAX_DIRTY   65536
#define READ_BYTES  (1 << 19)
#define FLUSH_FIRST 512 /* events of one channel in one writev() */

struct conn {
    int fd;
    bool websocket;
    uint32_t saved_len;
    char *saved; /* part of a message */
    struct channel *channel;
    uint32_t position; /* in it */
};

struct channel {
    char name[64];
    struct conn **subscribers;
    uint32_t count, cap;
    struct iovec *queue;
    uint32_t queued, queue_cap;
    bool dirty;
    struct channel *next;
};

static struct channel *channels[CHAINS];
static struct channel *dirty[MAX_DIRTY];
static size_t dirty_count;
static bool gather;
static uint64_t established;
static char buffer[2 * READ_BYTES]; /* what is read; the second half is for encoding */

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static struct channel *channel_get(const char *name, size_t len)
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ (uint8_t)name[i]) * 16777619u;
    struct channel **p = &channels[hash % CHAINS];
    for (; *p; p = &(*p)->next) {
        if (!strncmp((*p)->name, name, len) && !(*p)->name[len])
            return *p;
    }
    struct channel *channel = calloc(1, sizeof *channel);
    if (!channel || len >= sizeof channel->name)
        die("channel");
    memcpy(channel->name, name, len);
    return *p = channel;
}

static void check_written(ssize_t written, size_t len)
{
    if (written != (ssize_t)len && errno != EPIPE && errno != ECONNRESET)
        die("short write");
}

static void send_bytes(int fd, const void *bytes, size_t len)
{
    check_written(write(fd, bytes, len), len);
}

/* The header of an unmasked text message; its length. */
static size_t put_header(char *to, size_t len)
{
    to[0] = (char)0x81;
    if (len < 126) {
        to[1] = (char)len;
        return 2;
    }
    to[1] = 126;
    to[2] = (char)(len >> 8);
    to[3] = (char)len;
    return 4;
}

static void leave(struct conn *conn)
{
    struct channel *channel = conn->channel;
    if (!channel)
        return;
    channel->subscribers[conn->position] = channel->subscribers[--channel->count];
    channel->subscribers[conn->position]->position = conn->position;
    conn->channel = NULL;
}

static void close_conn(struct conn *conn)
{
    leave(conn);
    close(conn->fd);
    free(conn->saved);
    free(conn);
}

/* The string after `key`, with its quotes; NULL if there is none. */
static const char *find_string(const char *begin, const char *end, const char *key, size_t *len)
{
    const char *p = memmem(begin, (size_t)(end - begin), key, strlen(key));
    *len = 0;
    if (!p)
        return NULL;
    p += strlen(key);
    while (*p == ':' || *p == ' ')
        p++;
    const char *q = p + 1;
    while (q < end && *q != '"')
        q += *q == '\\' ? 2 : 1;
    *len = (size_t)(q + 1 - p);
    return p;
}

/* -- publishing -- */

static void flush_channel(struct channel *channel)
{
    size_t total = 0;
    for (uint32_t i = 0; i < channel->queued; i++)
        total += channel->queue[i].iov_len;
    for (uint32_t i = 0; i < channel->count; i++)
        check_written(writev(channel->subscribers[i]->fd, channel->queue, (int)channel->queued),
                      total);
    for (uint32_t i = 0; i < channel->queued; i++)
        free(channel->queue[i].iov_base);
    channel->queued = 0;
    channel->dirty = false;
}

static void enqueue(struct channel *channel, char *message, size_t len)
{
    if (channel->queued == channel->queue_cap) {
        channel->queue_cap = channel->queue_cap * 2 + 16;
        channel->queue = realloc(channel->queue, channel->queue_cap * sizeof *channel->queue);
        if (!channel->queue)
            die("realloc");
    }
    channel->queue[channel->queued++] = (struct iovec){message, len};
    if (!channel->dirty) {
        channel->dirty = true;
        dirty[dirty_count++] = channel;
    }
    if (channel->queued == FLUSH_FIRST)
        flush_channel(channel);
}

static char *put(char *to, const char *text, size_t len)
{
    return mempcpy(to, text, len);
}

static void publish(const char *body, const char *end)
{
    static const char open[] = "{\"event\":", before_channel[] = ",\"channel\":",
                      before_data[] = ",\"data\":";
    size_t name_len, channel_len, data_len;
    const char *name = find_string(body, end, "\"name\"", &name_len);
    const char *channel_name = find_string(body, end, "\"channel\"", &channel_len);
    const char *data = find_string(body, end, "\"data\"", &data_len);
    if (!name || !channel_name || !data)
        return;
    struct channel *channel = channel_get(channel_name + 1, channel_len - 2);
    if (!channel->count)
        return;
    size_t len = name_len + channel_len + data_len + sizeof open + sizeof before_channel +
                 sizeof before_data - 2;
    char *message = gather ? malloc(len + 16) : buffer + READ_BYTES;
    if (!message)
        die("malloc");
    char *to = message + put_header(message, len);
    to = put(to, open, sizeof open - 1);
    to = put(to, name, name_len);
    to = put(to, before_channel, sizeof before_channel - 1);
    to = put(to, channel_name, channel_len);
    to = put(to, before_data, sizeof before_data - 1);
    to = put(to, data, data_len);
    *to++ = '}';
    size_t total = (size_t)(to - message);
    if (gather) {
        enqueue(channel, message, total);
        return;
    }
    for (uint32_t i = 0; i < channel->count; i++)
        send_bytes(channel->subscribers[i]->fd, message, total);
}

/* -- HTTP -- */

static void accept_websocket(struct conn *conn, const char *key)
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    char text[24 + sizeof guid], reply[512], message[200];
    uint8_t digest[SHA_DIGEST_LENGTH];
    unsigned char accept[29];
    memcpy(text, key, 24);
    memcpy(text + 24, guid, sizeof guid);
    SHA1((const uint8_t *)text, sizeof text - 1, digest);
    EVP_EncodeBlock(accept, digest, sizeof digest);
    int head = snprintf(reply, sizeof reply,
                        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: "
                        "Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
                        (const char *)accept);
    int len = snprintf(
        message, sizeof message,
        "{\"event\":\"pusher:connection_established\",\"data\":\"{\\\"socket_id\\\":\\\"1234.%lu"
        "\\\",\\\"activity_timeout\\\":120}\"}",
        (unsigned long)++established);
    char *to = reply + head;
    to += put_header(to, (size_t)len);
    to = put(to, message, (size_t)len);
    send_bytes(conn->fd, reply, (size_t)(to - reply));
    conn->websocket = true;
}

/* Bytes consumed; 0 = incomplete. */
static size_t http_input(struct conn *conn, const char *bytes, size_t len)
{
    static const char key_field[] = "Sec-WebSocket-Key: ", length_field[] = "Content-Length: ";
    static const char ok[] =
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";
    const char *end = memmem(bytes, len, "\r\n\r\n", 4);
    if (!end)
        return 0;
    size_t head = (size_t)(end + 4 - bytes);
    if (bytes[0] == 'G') {
        const char *key = memmem(bytes, head, key_field, sizeof key_field - 1);
        if (key)
            accept_websocket(conn, key + sizeof key_field - 1);
        else
            send_bytes(conn->fd, ok, sizeof ok - 1);
        return head;
    }
    const char *length = memmem(bytes, head, length_field, sizeof length_field - 1);
    size_t body = length ? strtoul(length + sizeof length_field - 1, NULL, 10) : 0;
    if (len - head < body)
        return 0;
    publish(bytes + head, bytes + head + body);
    send_bytes(conn->fd, ok, sizeof ok - 1);
    return head + body;
}

/* -- WebSocket -- */

static void subscribe(struct conn *conn, const char *name, size_t len)
{
    char message[256], frame[260];
    leave(conn);
    struct channel *channel = channel_get(name + 1, len - 2);
    if (channel->count == channel->cap) {
        channel->cap = channel->cap * 2 + 4;
        channel->subscribers = realloc(channel->subscribers, channel->cap * sizeof(struct conn *));
        if (!channel->subscribers)
            die("realloc");
    }
    conn->position = channel->count;
    conn->channel = channel;
    channel->subscribers[channel->count++] = conn;
    int n = snprintf(
        message, sizeof message,
        "{\"event\":\"pusher_internal:subscription_succeeded\",\"data\":\"{}\",\"channel\":%.*s}",
        (int)len, name);
    size_t header = put_header(frame, (size_t)n);
    memcpy(frame + header, message, (size_t)n);
    send_bytes(conn->fd, frame, header + (size_t)n);
}

/* A client event goes to the others as it came: its header is written over mask and length. */
static void relay(struct conn *conn, char *text, size_t len)
{
    char saved[4];
    char *frame = text - (len < 126 ? 2 : 4);
    memcpy(saved, frame, sizeof saved);
    put_header(frame, len);
    for (uint32_t i = 0; i < conn->channel->count; i++) {
        if (conn->channel->subscribers[i] != conn)
            send_bytes(conn->channel->subscribers[i]->fd, frame, (size_t)(text + len - frame));
    }
    memcpy(frame, saved, sizeof saved);
}

static void text_message(struct conn *conn, char *text, size_t len)
{
    size_t name_len;
    const char *name = find_string(text, text + len, "\"channel\"", &name_len);
    if (name && memmem(text, len, "pusher:subscribe", 16))
        subscribe(conn, name, name_len);
    else if (memmem(text, len, "pusher:unsubscribe", 18))
        leave(conn);
    else if (conn->channel && memmem(text, len, "\"client-", 8))
        relay(conn, text, len);
}

/* Bytes consumed; -1 = the client closes. */
static ssize_t websocket_input(struct conn *conn, char *bytes, size_t len)
{
    size_t used = 0;
    while (len - used >= 6) {
        char *frame = bytes + used;
        size_t header = 6, payload = (uint8_t)frame[1] & 127u;
        if (payload == 126) {
            if (len - used < 8)
                break;
            payload = (size_t)(uint8_t)frame[2] << 8 | (uint8_t)frame[3];
            header = 8;
        }
        if (len - used < header + payload)
            break;
        const char *mask = frame + header - 4;
        char *text = frame + header;
        for (size_t i = 0; i < payload; i++)
            text[i] = (char)(text[i] ^ mask[i & 3]);
        if ((frame[0] & 15) == 8)
            return -1;
        text_message(conn, text, payload);
        used += header + payload;
    }
    return (ssize_t)used;
}

/* -- the loop -- */

static int listen_on(uint16_t port)
{
    int one = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    socklen_t len = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&address, len) || listen(fd, 4096) ||
        getsockname(fd, (struct sockaddr *)&address, &len))
        die("listen");
    printf("listening on 127.0.0.1:%u\n", ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

static void accept_all(int epoll, int listener)
{
    int fd, one = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        struct conn *conn = calloc(1, sizeof *conn);
        if (!conn)
            die("calloc");
        conn->fd = fd;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        struct epoll_event event = {.events = EPOLLIN | EPOLLET | EPOLLRDHUP, .data.ptr = conn};
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
    }
}

static void save(struct conn *conn, const char *bytes, size_t len)
{
    if (len > 0) {
        conn->saved = realloc(conn->saved, len);
        if (!conn->saved)
            die("realloc");
        memcpy(conn->saved, bytes, len);
    }
    conn->saved_len = (uint32_t)len;
}

static void on_readable(struct conn *conn, bool hung_up)
{
    if (conn->saved_len)
        memcpy(buffer, conn->saved, conn->saved_len);
    ssize_t got = read(conn->fd, buffer + conn->saved_len, READ_BYTES - conn->saved_len);
    if (got < 0 && errno == EAGAIN)
        return;
    size_t len = conn->saved_len + (size_t)(got > 0 ? got : 0), used = 0, step = 1;
    while (got > 0 && !conn->websocket && used < len && step > 0) {
        step = http_input(conn, buffer + used, len - used);
        used += step;
    }
    if (got > 0 && conn->websocket && used < len) {
        ssize_t taken = websocket_input(conn, buffer + used, len - used);
        if (taken < 0)
            hung_up = true;
        else
            used += (size_t)taken;
    }
    if (got <= 0 || hung_up)
        close_conn(conn);
    else
        save(conn, buffer + used, len - used);
}

static void flush_dirty(void)
{
    for (size_t i = 0; i < dirty_count; i++) {
        if (dirty[i]->queued)
            flush_channel(dirty[i]);
        else
            dirty[i]->dirty = false;
    }
    dirty_count = 0;
}

int main(int argc, char **argv)
{
    static struct epoll_event events[1024];
    struct rlimit files;
    gather = argc > 2 && atoi(argv[2]) == 1;
    signal(SIGPIPE, SIG_IGN);
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);

    int listener = listen_on((uint16_t)(argc > 1 ? atoi(argv[1]) : 6001));
    int epoll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int n = epoll_wait(epoll, events, 1024, -1);
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr)
                on_readable(events[i].data.ptr, events[i].events & EPOLLRDHUP);
            else
                accept_all(epoll, listener);
        }
        flush_dirty();
    }
}
