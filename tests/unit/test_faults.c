/*
 * A whole run of a server, while one request for memory fails, each in turn: a client connects, subscribes, gets an event
 * and leaves, webhooks are sent, the server stops. Over WebSocket, through TLS, and over HTTP. Whatever fails is an error
 * that its client or caller gets, or the end of its connection; another client does not notice; nothing is left.
 *
 * Mbed TLS does not take the host's allocator, so its requests fail in the C library's calloc(), which this program
 * replaces. A sanitizer has its own; there only the library's requests fail.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>

#ifdef PC_WITH_TLS
#    include <mbedtls/psa_util.h>
#    include <mbedtls/ssl.h>
#endif

#include <pusherc/pusherc.h>

#include "base/slice.h"
#include "unit/certificate.h"
#include "unit/failing_alloc.h"
#include "unit/ws_client.h"

#define PATIENCE_MS 60000 /* a client that waits so long has got neither an answer nor an end */

/* -- the C library's requests -- */

static _Atomic bool counts; /* the server is at work */
static _Atomic size_t calloc_requests, calloc_fails_at;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__GLIBC__)
#    define REPLACES_CALLOC 0
#elif defined(__has_feature)
#    if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#        define REPLACES_CALLOC 0
#    endif
#endif

#ifndef REPLACES_CALLOC
#    define REPLACES_CALLOC 1
void *__libc_calloc(size_t count, size_t size);
void *calloc(size_t count, size_t size);

void *calloc(size_t count, size_t size)
{
    return counts && ++calloc_requests == calloc_fails_at ? NULL : __libc_calloc(count, size);
}
#endif

/* -- a run -- */

enum way {
    OVER_WS,
    OVER_TLS,
    OVER_HTTP,
    OVER_HTTP_MOVED /* on two workers, so that requests move to the worker of their session */
};

struct client {
    int fd, sender; /* the sender is for requests of a client over HTTP; -1 = none */
    bool ended;
    size_t len;
    char got[16384]; /* NUL-terminated */
#ifdef PC_WITH_TLS
    mbedtls_ssl_config config;
    mbedtls_ssl_context ssl;
    bool secure;
#endif
};

struct run {
    enum way way;
    struct failing_alloc alloc;
    pusherc_allocator allocator;
    pusherc_server *server;
    struct client client, witness;
    int hook, hooking; /* where webhooks go; the one that is coming, -1 = none */
    char hooked[16384];
    size_t hook_len;
    bool hooked_news;
    char cert[32], key[32];
    _Atomic bool stopped;
};

static bool has(const char *feature)
{
    return strstr(pusherc_features(), feature) != NULL;
}

static void put_off(int fd)
{
    if (fd >= 0)
        close(fd);
}

static void write_file(char *path, const char *text)
{
    strcpy(path, "/tmp/test_faults_XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

static int dial(uint16_t port)
{
    int fd = ws_client_dial(port);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    return fd;
}

/* What has come at `fd`. False: it has ended. */
static bool take(int fd, char *to, size_t *len, size_t size)
{
    ssize_t n;
    while ((n = recv(fd, to + *len, size - 1 - *len, 0)) > 0) {
        *len += (size_t)n;
        to[*len] = '\0';
        assert_true(*len < size - 1);
    }
    return n < 0 && (errno == EAGAIN || errno == EINTR);
}

#ifdef PC_WITH_TLS
static void secure(struct client *c)
{
    mbedtls_ssl_config_init(&c->config);
    mbedtls_ssl_init(&c->ssl);
    assert_int_equal(mbedtls_ssl_config_defaults(&c->config, MBEDTLS_SSL_IS_CLIENT,
                                                 MBEDTLS_SSL_TRANSPORT_STREAM,
                                                 MBEDTLS_SSL_PRESET_DEFAULT),
                     0);
    mbedtls_ssl_conf_authmode(&c->config, MBEDTLS_SSL_VERIFY_NONE);
#    if MBEDTLS_VERSION_MAJOR < 4
    mbedtls_ssl_conf_rng(&c->config, mbedtls_psa_get_random, MBEDTLS_PSA_RANDOM_STATE);
#    endif
    assert_int_equal(mbedtls_ssl_setup(&c->ssl, &c->config), 0);
    c->secure = true;
}

static int tls_send(void *ctx, const unsigned char *bytes, size_t len)
{
    ssize_t n = send(((struct client *)ctx)->fd, bytes, len, MSG_NOSIGNAL);
    return n >= 0 ? (int)n : errno == EAGAIN ? MBEDTLS_ERR_SSL_WANT_WRITE : -1;
}

static int tls_receive(void *ctx, unsigned char *out, size_t len)
{
    ssize_t n = recv(((struct client *)ctx)->fd, out, len, 0);
    return n > 0                                          ? (int)n
           : n < 0 && (errno == EAGAIN || errno == EINTR) ? MBEDTLS_ERR_SSL_WANT_READ
                                                          : 0;
}

static bool take_secure(struct client *c)
{
    mbedtls_ssl_set_bio(&c->ssl, c, tls_send, tls_receive, NULL);
    for (;;) {
        int n =
            mbedtls_ssl_read(&c->ssl, (unsigned char *)c->got + c->len, sizeof c->got - 1 - c->len);
        if (n > 0) {
            c->len += (size_t)n;
            c->got[c->len] = '\0';
        } else if (n != MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET) {
            return n == MBEDTLS_ERR_SSL_WANT_READ;
        }
    }
}
#endif

static void client_send(struct client *c, const void *bytes, size_t len)
{
#ifdef PC_WITH_TLS
    if (c->secure) {
        assert_int_equal(mbedtls_ssl_write(&c->ssl, bytes, len), len);
        return;
    }
#endif
    (void)send(c->fd, bytes, len, MSG_NOSIGNAL); /* the server may have closed it */
}

static void client_take(struct client *c)
{
    bool there;
#ifdef PC_WITH_TLS
    there = c->secure ? take_secure(c) : take(c->fd, c->got, &c->len, sizeof c->got);
#else
    there = take(c->fd, c->got, &c->len, sizeof c->got);
#endif
    if (c->sender >= 0)
        there &= take(c->sender, c->got, &c->len, sizeof c->got);
    c->ended |= !there;
}

static void client_leave(struct client *c)
{
    put_off(c->fd);
    put_off(c->sender);
    c->fd = c->sender = -1;
#ifdef PC_WITH_TLS
    if (c->secure) {
        mbedtls_ssl_free(&c->ssl);
        mbedtls_ssl_config_free(&c->config);
        c->secure = false;
    }
#endif
}

static bool refused(const struct client *c)
{
    return c->ended || strstr(c->got, "pusher:error") || strstr(c->got, "HTTP/1.1 5") ||
           strstr(c->got, "\nc["); /* the close of a client over HTTP */
}

/* Takes one webhook after the other and answers it. */
static void serve_hook(struct run *r)
{
    static const char answer[] =
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    if (r->hooking < 0) {
        r->hooking = accept4(r->hook, NULL, NULL, SOCK_NONBLOCK);
        r->hook_len = 0;
    }
    if (r->hooking < 0)
        return;
    bool there = take(r->hooking, r->hooked, &r->hook_len, sizeof r->hooked);
    bool whole = strstr(r->hooked, "]}") != NULL;
    r->hooked_news |= strstr(r->hooked, "\"news\"") != NULL;
    if (whole)
        (void)send(r->hooking, answer, sizeof answer - 1, MSG_NOSIGNAL);
    if (whole || !there) {
        close(r->hooking);
        r->hooking = -1;
        r->hooked[0] = '\0';
    }
}

static void turn(struct run *r)
{
    counts = true;
    if (r->way == OVER_HTTP_MOVED)
        usleep(500);
    else
        (void)pusherc_server_poll(r->server, 1);
    counts = false;
    serve_hook(r);
    if (!r->client.ended && r->client.fd >= 0)
        client_take(&r->client);
    if (r->witness.fd >= 0)
        client_take(&r->witness);
}

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* False: it was refused instead. */
static bool hears(struct run *r, struct client *c, const char *text)
{
    uint64_t until = now_ms() + PATIENCE_MS;
    while (!strstr(c->got, text)) {
        if (refused(c))
            return false;
        if (now_ms() > until)
            fail_msg("neither \"%s\" nor an error, but: %s", text, c->got);
        turn(r);
    }
    return true;
}

static void say(struct client *c, const char *message)
{
    size_t len = strlen(message);
    char bytes[6 + 125] = {(char)0x81, (char)(0x80 | len)};
    assert_true(len <= 125);
    memcpy(bytes + 6, message, len);
    client_send(c, bytes, 6 + len);
}

static void subscribe(struct run *r, struct client *c, uint16_t port, const char *channel)
{
    char message[126], request[512];
    snprintf(message, sizeof message,
             "{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"%s\"}}", channel);
    if (c != &r->client || r->way < OVER_HTTP) {
        say(c, message);
        return;
    }
    snprintf(
        message, sizeof message,
        "[\"{\\\"event\\\":\\\"pusher:subscribe\\\",\\\"data\\\":{\\\"channel\\\":\\\"%s\\\"}}\"]",
        channel);
    snprintf(request, sizeof request,
             "POST /app/app-key/1/abcdef012345/xhr_send HTTP/1.1\r\nHost: x\r\nContent-Length: "
             "%zu\r\n\r\n%s",
             strlen(message), message);
    c->sender = dial(port);
    (void)send(c->sender, request, strlen(request), MSG_NOSIGNAL);
}

static void begin(struct run *r, struct client *c)
{
    static const char receive[] =
        "POST /app/app-key/1/abcdef012345/xhr_streaming?protocol=7 HTTP/1.1\r\n"
        "Host: x\r\nContent-Length: 0\r\n\r\n";
    bool other = c != &r->client;
    c->fd = dial(pusherc_server_port(r->server, !other && r->way == OVER_TLS));
#ifdef PC_WITH_TLS
    if (!other && r->way == OVER_TLS) {
        secure(c);
        while (!mbedtls_ssl_is_handshake_over(&c->ssl) && !c->ended)
            turn(r);
        if (c->ended)
            return;
    }
#endif
    if (!other && r->way >= OVER_HTTP)
        client_send(c, receive, sizeof receive - 1);
    else
        client_send(c, ws_client_upgrade, sizeof ws_client_upgrade - 1);
}

static void publish(struct run *r, const char *channel_name, const char *name)
{
    pusherc_event event = PUSHERC_EVENT_INIT;
    pusherc_slice channel = pusherc_slice_of(channel_name);
    event.name = pusherc_slice_of(name);
    event.channels = &channel, event.channel_count = 1;
    event.data = PC_S("{}");
    int err = pusherc_publish(r->server, "app-id", &event);
    if (err) {
        assert_int_equal(err, PUSHERC_ENOMEM);
        assert_int_equal(pusherc_publish(r->server, "app-id", &event), 0);
    }
}

static void on_stopped(pusherc_server *server, void *user_data)
{
    (void)server;
    ((struct run *)user_data)->stopped = true;
}

static void start(struct run *r, enum way way)
{
    pusherc_server_options o = PUSHERC_SERVER_OPTIONS_INIT;
    pusherc_app_options app = PUSHERC_APP_OPTIONS_INIT;
    pusherc_webhook hook = PUSHERC_WEBHOOK_INIT;
    pusherc_listen_options secure = PUSHERC_LISTEN_OPTIONS_INIT;
    pusherc_tls_options tls = PUSHERC_TLS_OPTIONS_INIT;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    char url[64];
    memset(r, 0, sizeof *r);
    r->way = way;
    r->client.fd = r->client.sender = r->witness.fd = r->witness.sender = r->hooking = -1;
    r->hook = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(r->hook, (struct sockaddr *)&at, len), 0);
    assert_int_equal(listen(r->hook, 16), 0);
    assert_int_equal(getsockname(r->hook, (struct sockaddr *)&at, &len), 0);
    assert_int_equal(fcntl(r->hook, F_SETFL, O_NONBLOCK), 0);
    snprintf(url, sizeof url, "http://127.0.0.1:%u/", ntohs(at.sin_port));
    hook.url = url;
    r->allocator = failing_alloc_init(&r->alloc, 0);
    o.allocator = &r->allocator;
    o.worker_count = way == OVER_HTTP_MOVED ? 2 : PUSHERC_WORKERS_NONE;
    o.close_timeout_ms = 10;
    o.webhook_batch_ms = PUSHERC_NO_DELAY;
    app.id = "app-id", app.key = "app-key", app.secret = "app-secret";
    app.webhooks = &hook;
    app.webhook_count = has("webhooks");
    assert_int_equal(pusherc_server_new(&r->server, &o, NULL), 0);
    assert_int_equal(pusherc_server_put_app(r->server, &app, NULL), 0);
    assert_int_equal(pusherc_server_listen(r->server, NULL, NULL), 0);
    if (way == OVER_TLS) {
        write_file(r->cert, test_certificate);
        write_file(r->key, test_certificate_key);
        tls.cert_file = r->cert, tls.key_file = r->key;
        secure.tls = &tls;
        assert_int_equal(pusherc_server_listen(r->server, &secure, NULL), 0);
        unlink(r->cert);
        unlink(r->key);
    }
    assert_int_equal(pusherc_server_start(r->server, NULL), 0);
    begin(r, &r->witness);
    assert_true(hears(r, &r->witness, "connection_established"));
    subscribe(r, &r->witness, 0, "quiet");
    assert_true(hears(r, &r->witness, "succeeded"));
}

/* What the client does. False: something was refused. */
static bool act(struct run *r)
{
    begin(r, &r->client);
    if (!hears(r, &r->client, "connection_established"))
        return false;
    subscribe(r, &r->client, pusherc_server_port(r->server, 0), "news");
    if (!hears(r, &r->client, "subscription_succeeded"))
        return false;
    publish(r, "news", "tick");
    return hears(r, &r->client, "tick");
}

static void end(struct run *r, bool done)
{
    client_leave(&r->client);
    publish(r, "quiet", "probe");
    assert_true(hears(r, &r->witness, "probe")); /* it has noticed nothing */
    uint64_t until = now_ms() + (done ? 100 : 0);
    while (has("webhooks") && !r->hooked_news && now_ms() < until)
        turn(r); /* if it is their memory that failed, they are repeated too late for this */
    int err = pusherc_server_stop(r->server, 0, on_stopped, r);
    if (err)
        assert_int_equal(pusherc_server_stop(r->server, 0, on_stopped, r), 0);
    while (!r->stopped)
        turn(r);
    pusherc_server_free(r->server);
    client_leave(&r->witness);
    close(r->hook);
    put_off(r->hooking);
    assert_int_equal(failing_alloc_live(&r->alloc), 0);
}

static size_t open_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    size_t n = 0;
    while (readdir(dir))
        n++;
    closedir(dir);
    return n;
}

/* Runs once; the failing request is the library's n-th, or the C library's. Returns whether there was such a request. */
static bool run(enum way way, size_t n, bool in_libc)
{
    static struct run r;
    start(&r, way);
    r.alloc.fail_at = in_libc ? 0 : r.alloc.requests + n;
    calloc_requests = 0;
    calloc_fails_at = in_libc ? n : 0;
    bool done = act(&r);
    end(&r, done);
    bool failed = in_libc ? calloc_requests >= n : failing_alloc_hit(&r.alloc);
    calloc_fails_at = 0;
    if (!done && !failed)
        fail_msg("refused, and no request had failed: %s", r.client.got);
    return failed;
}

static void each_fails_in_turn(enum way way, bool in_libc)
{
    assert_false(run(way, SIZE_MAX / 2, in_libc)); /* what is opened once for all */
    size_t before = open_descriptors(), n = 1;
    while (run(way, n, in_libc))
        n += 1 + (in_libc ? n / 16 : 0); /* a handshake makes thousands, nearly all alike */
    assert_true(n > 10);
    assert_int_equal(open_descriptors(), before);
}

static void over_websocket_each_request_for_memory_fails_and_only_its_client_notices(void **state)
{
    (void)state;
    each_fails_in_turn(OVER_WS, false);
}

static void through_tls_each_request_for_memory_fails_and_only_its_client_notices(void **state)
{
    (void)state;
    if (!has("tls"))
        skip();
    each_fails_in_turn(OVER_TLS, false);
    if (REPLACES_CALLOC)
        each_fails_in_turn(OVER_TLS, true);
}

static void over_http_each_request_for_memory_fails_and_only_its_client_notices(void **state)
{
    (void)state;
    each_fails_in_turn(OVER_HTTP, false);
    each_fails_in_turn(OVER_HTTP_MOVED, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(over_websocket_each_request_for_memory_fails_and_only_its_client_notices),
        cmocka_unit_test(through_tls_each_request_for_memory_fails_and_only_its_client_notices),
        cmocka_unit_test(over_http_each_request_for_memory_fails_and_only_its_client_notices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
