/* pusherc_server_poll() while the clock jumps: the thread was held up, or the machine slept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdatomic.h>
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(polling_ends_when_its_time_is_over_before_it_waits),
    };
    return cmocka_run_group_tests_name("poll", tests, NULL, NULL);
}
