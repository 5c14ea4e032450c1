/*
 * How long a turn of a loop takes while many clients do the same thing at once: turns CLIENTS [LIMIT_MS [SECONDS]]
 *
 * A server in a loop of this program, so that a turn is a call, and that many clients in another process, which do all of
 * attacks.h, one after the other; those that do not end by themselves last for SECONDS (1). Prints for each what the
 * longest turn took of the thread's processor time, and the median. A busy machine changes that time seldom, but a virtual
 * one counts what it gives to others, too. So if a turn took longer than LIMIT_MS all is done again, up to ROUNDS times;
 * fails if the same attack had such a turn each time. Without LIMIT_MS nothing is compared.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <uv.h>

#include "hostile/attacks.h"
#include "hostile/clients.h"

#define FLOODS_MS 10 /* from one event to the next */
#define ROUNDS    3

static double ms_of(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double turns[1 << 20];
static size_t turn_count;

static uv_loop_t loop;

static void turn(void)
{
    struct pollfd work = {.fd = uv_backend_fd(&loop), .events = POLLIN};
    int timeout_ms = uv_backend_timeout(&loop);
    (void)poll(&work, 1, timeout_ms < 0 || timeout_ms > 5 ? 5 : timeout_ms);
    double before = ms_of(CLOCK_THREAD_CPUTIME_ID);
    (void)uv_run(&loop, UV_RUN_NOWAIT);
    if (turn_count < sizeof turns / sizeof turns[0])
        turns[turn_count++] = ms_of(CLOCK_THREAD_CPUTIME_ID) - before;
}

static void on_stopped(pusherc_server *server, void *user_data)
{
    (void)server;
    *(bool *)user_data = true;
}

struct run {
    struct attackers attackers;
    pusherc_server *server;
    size_t count;
    double limit_ms;
    bool stopped;
    bool too_long[ATTACKS]; /* by attack, in this round */
};

/* Events until those who do not read them have been cut off. */
static void flood(struct run *run)
{
    double due = 0;
    while (attacked_connections(run->server) > 0) {
        double now = ms_of(CLOCK_MONOTONIC);
        if (now >= due) {
            attacked_flood(run->server);
            due = now + FLOODS_MS;
        }
        turn();
    }
}

/* What the server has to do after the clients are done. */
static void finish(enum attack attack, struct run *run)
{
    if (attack == NEVER_READ)
        flood(run);
    while (attack == STOP && !run->stopped)
        turn();
    while (attack >= VANISH && attack < ATTACKS && !run->stopped &&
           attacked_connections(run->server) > 0)
        turn();
}

static void measure(enum attack attack, struct run *run)
{
    turn_count = 0;
    if (attack == STOP)
        (void)pusherc_server_stop(run->server, 0, on_stopped, &run->stopped);
    attackers_begin(&run->attackers, attack);
    do {
        turn();
    } while (!attackers_are_done(&run->attackers));
    finish(attack, run);
    qsort(turns, turn_count, sizeof turns[0], by_size);
    double longest = turns[turn_count - 1];
    bool too_long = run->limit_ms > 0 && longest > run->limit_ms;
    run->too_long[attack] |= too_long;
    printf("%zu clients: %-32s longest turn %5.1f ms, median %.2f ms of %zu%s\n", run->count,
           attack_names[attack], longest, turns[turn_count / 2], turn_count,
           too_long ? ": TOO LONG" : "");
    fflush(stdout);
}

/* The attacks, with a server and clients of their own; the server stops in the end. */
static void act(struct run *run, const enum attack *attacks, size_t attack_count, double seconds,
                const pusherc_server_options *options)
{
    pusherc_server_options with_loop = *options;
    run->attackers = attackers_start(run->count, seconds);
    must(uv_loop_init(&loop) == 0, "loop");
    with_loop.loop = &loop;
    run->server = attacked_start(&with_loop, run->count);
    run->stopped = false;
    attackers_aim(&run->attackers, pusherc_server_port(run->server, 0));
    for (size_t i = 0; i < attack_count; i++)
        measure(attacks[i], run);
    measure(STOP, run);
    pusherc_server_free(run->server);
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
    attackers_end(&run->attackers);
}

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

int main(int argc, char **argv)
{
    static const enum attack reading[] = {
        CONNECT, SUBSCRIBE, SUBSCRIBE_AGAIN, JOIN,      ONE_MORE, VANISH,       RESETS, HALF_OPEN,
        SLOW,    RESUME,    PINGS,           FRAGMENTS, GARBAGE,  ABUSE_OF_API, CONNECT};
    static const enum attack not_reading[] = {NEVER_READ};
    struct run run = {.count = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000,
                      .limit_ms = argc > 2 ? strtod(argv[2], NULL) : 0};
    double seconds = argc > 3 ? strtod(argv[3], NULL) : 1;
    pusherc_server_options options = PUSHERC_SERVER_OPTIONS_INIT;
    const uint32_t soft_bytes = options.out_soft_bytes, hard_bytes = options.out_hard_bytes;
    bool always[ATTACKS], fails = true;
    memset(always, true, sizeof always);
    must_have_descriptors(run.count + 100);
    for (int round = 0; round < ROUNDS && fails; round++) {
        memset(run.too_long, false, sizeof run.too_long);
        options.out_soft_bytes = soft_bytes, options.out_hard_bytes = hard_bytes;
        act(&run, not_reading, COUNT(not_reading), seconds, &options);
        /* a join is answered with all */
        options.out_soft_bytes = options.out_hard_bytes = 256u << 20;
        act(&run, reading, COUNT(reading), seconds, &options);
        fails = false;
        for (size_t i = 0; i < COUNT(always); i++)
            fails |= always[i] = always[i] && run.too_long[i];
    }
    return fails;
}
