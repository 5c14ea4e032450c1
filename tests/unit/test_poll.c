/* pusherc_server_poll() while the clock jumps: the thread was held up, or the machine slept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <pusherc/pusherc.h>

#define HELD_UP_MS 50

/* How far each look at the clock is ahead of the one before. */
static _Atomic int step_ms;
static _Atomic int64_t ahead_ms;

/* In the place of the C library's, for libuv, too. */
int clock_gettime(clockid_t id, struct timespec *out)
{
    long err = syscall(SYS_clock_gettime, id, out);
    if (err == 0 && (id == CLOCK_MONOTONIC || id == CLOCK_MONOTONIC_COARSE)) {
        int64_t ahead = atomic_fetch_add(&ahead_ms, step_ms) + step_ms;
        int64_t ns = out->tv_nsec + ahead % 1000 * 1000000;
        out->tv_sec += (time_t)(ahead / 1000 + ns / 1000000000);
        out->tv_nsec = (long)(ns % 1000000000);
    }
    return (int)err;
}

static void polling_ends_when_its_time_is_over_before_it_waits(void **state)
{
    pusherc_server *server;
    pusherc_server_options o = PUSHERC_SERVER_OPTIONS_INIT;
    (void)state;
    o.worker_count = PUSHERC_WORKERS_NONE;
    assert_int_equal(pusherc_server_new(&server, &o, NULL), 0);
    assert_int_equal(pusherc_server_listen(server, NULL, NULL), 0);
    assert_int_equal(pusherc_server_start(server, NULL), 0);
    alarm(60); /* what waits for ever ends this program */
    for (int ahead = 0; ahead <= HELD_UP_MS; ahead += 10) {
        step_ms = ahead;
        for (int i = 0; i < 20; i++)
            assert_int_equal(pusherc_server_poll(server, HELD_UP_MS / 2), 1);
    }
    step_ms = 0;
    alarm(0);
    pusherc_server_free(server);
}

/* A client on a socket of its own, established. */
static int connect_client(pusherc_server *server)
{
    static const char upgrade[] =
        "GET /app/key?protocol=7 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: "
        "Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    address.sin_port = htons((uint16_t)pusherc_server_port(server, 0));
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(send(fd, upgrade, sizeof upgrade - 1, 0), sizeof upgrade - 1);
    char text[2048];
    for (size_t len = 0; !memmem(text, len, "connection_established", 22);) {
        assert_int_equal(pusherc_server_poll(server, 10), 1);
        ssize_t n = recv(fd, text + len, sizeof text - len, MSG_DONTWAIT);
        len += n > 0 ? (size_t)n : 0;
        assert_true(len < sizeof text);
    }
    return fd;
}

/* Held up for longer than close_timeout_ms between the order to stop and the goodbyes. */
static void who_is_held_up_while_it_stops_says_goodbye_all_the_same(void **state)
{
    pusherc_server *server;
    pusherc_server_options o = PUSHERC_SERVER_OPTIONS_INIT;
    pusherc_app_options app = PUSHERC_APP_OPTIONS_INIT;
    (void)state;
    app.id = "app";
    app.key = "key";
    app.secret = "secret";
    o.worker_count = PUSHERC_WORKERS_NONE;
    o.close_timeout_ms = 100;
    for (uint32_t grace_ms = 0; grace_ms <= 1000; grace_ms += 1000) {
        assert_int_equal(pusherc_server_new(&server, &o, NULL), 0);
        assert_int_equal(pusherc_server_put_app(server, &app, NULL), 0);
        assert_int_equal(pusherc_server_listen(server, NULL, NULL), 0);
        assert_int_equal(pusherc_server_start(server, NULL), 0);
        alarm(60);
        int fd = connect_client(server);
        assert_int_equal(pusherc_server_stop(server, grace_ms, NULL, NULL), 0);
        do {
            ahead_ms += 10000;
        } while (pusherc_server_poll(server, 10) == 1);
        alarm(0);
        char text[256];
        ssize_t n = recv(fd, text, sizeof text, MSG_DONTWAIT);
        assert_true(n > 0);
        assert_non_null(memmem(text, (size_t)n, "\x10\x68", 2)); /* 4200 */
        close(fd);
        pusherc_server_free(server);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(polling_ends_when_its_time_is_over_before_it_waits),
        cmocka_unit_test(who_is_held_up_while_it_stops_says_goodbye_all_the_same),
    };
    return cmocka_run_group_tests_name("poll", tests, NULL, NULL);
}
