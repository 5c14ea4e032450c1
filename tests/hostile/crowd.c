/*
 * What honest clients notice while thousands of others attack, and what the server keeps of it:
 *
 *     crowd CLIENTS [SECONDS [LIMIT_MS]]
 *
 * Three processes, so that each has a clock and a share of the processor of its own: this one is a host with one worker;
 * the crowd, which does all of attacks.h, one after the other, for SECONDS (3) where it does not end by itself; and the probe
 * (probe.h). For each the program prints what the probe has seen, how late the probe itself was, how
 * long turns of the worker took by the clock on the wall (`loop_lag`), and the server's memory and descriptors.
 *
 * Fails if the probe was refused or lost an event, if one in a hundred of its deliveries or connections took longer than
 * LIMIT_MS, or if descriptors or memory do not come back. Without LIMIT_MS times and memory are not compared.
 */
#include <dirent.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <pusherc/pusherc.h>

#include "hostile/attacks.h"
#include "hostile/clients.h"
#include "hostile/probe.h"

#define FLOODS_MS 50 /* from one event to the next */
#define OF_PROBE  3  /* established clients at most */
/* What the server may have kept in the end: pages of the allocator in which something still lives. */
#define KEPT_BYTES            (32u << 20)
#define KEPT_BYTES_PER_CLIENT 1024

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void pause_ms(long ms)
{
    const struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&time, NULL);
}

/* -- the server -- */

static pusherc_server *serve(size_t count, bool with_large_queues)
{
    pusherc_server_options options = PUSHERC_SERVER_OPTIONS_INIT;
    options.worker_count = 1;
    if (with_large_queues) {
        /* for a roster of all, and for the members that come while the crowd reads it */
        options.out_soft_bytes = 2u << 20;
        options.out_hard_bytes = 8u << 20;
    }
    options.out_soft_ms = 3000;
    return attacked_start(&options, count);
}

/* Events until those who do not read them have been cut off. */
static void flood(pusherc_server *server)
{
    while (attacked_connections(server) > OF_PROBE) {
        attacked_flood(server);
        pause_ms(FLOODS_MS);
    }
}

/* -- what is measured -- */

#define MAX_BOUNDS 32

/* How long turns took. */
struct lag {
    double bounds_s[MAX_BOUNDS]; /* the last is infinite */
    uint64_t at_most[MAX_BOUNDS];
    unsigned count;
};

static int read_lag(pusherc_slice text, void *user_data)
{
    static const char name[] = "pusherc_loop_lag_seconds_bucket";
    struct lag *lag = user_data;
    for (const char *at = text.ptr, *end = at + text.len; at < end;) {
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        size_t line_len = (size_t)((line_end ? line_end : end) - at);
        const char *bound = memmem(at, line_len, "le=\"", 4);
        if (line_len > sizeof name && strncmp(at, name, sizeof name - 1) == 0 && bound &&
            lag->count < MAX_BOUNDS) {
            lag->bounds_s[lag->count] = strtod(bound + 4, NULL);
            lag->at_most[lag->count++] = strtoull(strstr(bound, "} ") + 2, NULL, 10);
        }
        at += line_len + 1;
    }
    return 0;
}

static struct lag lag_of(pusherc_server *server)
{
    struct lag lag = {.count = 0};
    must(pusherc_server_metrics(server, read_lag, &lag) == 0 && lag.count > 2, "metrics");
    return lag;
}

/* The share of turns above 20 ms between the two, in percent, and the bound that the longest has kept. */
static double above_20_ms(const struct lag *before, const struct lag *after, double *longest_ms)
{
    unsigned last = after->count - 1, i = 0;
    uint64_t all = after->at_most[last] - before->at_most[last];
    while (i < last && after->bounds_s[i] < 0.02)
        i++;
    uint64_t within = after->at_most[i] - before->at_most[i];
    while (i > 0 && after->at_most[i - 1] - before->at_most[i - 1] == all)
        i--;
    while (i < last && after->at_most[i] - before->at_most[i] < all)
        i++;
    *longest_ms = after->bounds_s[i] * 1e3;
    return all ? 100.0 * (double)(all - within) / (double)all : 0;
}

static size_t resident_bytes(void)
{
    size_t all = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    must(file && fscanf(file, "%zu %zu", &all, &resident) == 2, "/proc/self/statm");
    fclose(file);
    return resident * (size_t)sysconf(_SC_PAGESIZE);
}

/* Without the one that counts. */
static size_t descriptors(void)
{
    size_t count = 0;
    DIR *folder = opendir("/proc/self/fd");
    must(folder, "/proc/self/fd");
    while (readdir(folder))
        count++;
    closedir(folder);
    return count - 3;
}

struct use {
    size_t bytes, descriptors;
};

static struct use use(void)
{
    malloc_trim(0); /* what is free goes back to the system */
    return (struct use){resident_bytes(), descriptors()};
}

/* -- a phase -- */

/* The crowd does it, and the server does what belongs to it. Returns the most that the server has used meanwhile. */
static struct use attacked_by(enum attack attack, pusherc_server *server,
                              const struct attackers *crowd)
{
    struct use most = use();
    attackers_begin(crowd, attack);
    while (!attackers_are_done(crowd)) {
        struct use now = {resident_bytes(), descriptors()};
        most.bytes = now.bytes > most.bytes ? now.bytes : most.bytes;
        most.descriptors = now.descriptors > most.descriptors ? now.descriptors : most.descriptors;
        pause_ms(100); /* counting 10,000 descriptors takes milliseconds */
    }
    if (attack == NEVER_READ)
        flood(server);
    while (attack == VANISH && attacked_connections(server) > OF_PROBE)
        pause_ms(1);
    return most;
}

static bool too_long(double limit_ms, const struct probe_report *r)
{
    return limit_ms > 0 && (r->delivery.p99_ms > limit_ms || r->connect.p99_ms > limit_ms);
}

/* False: the probe has noticed too much. */
static bool measure(enum attack attack, pusherc_server *server, const struct attackers *crowd,
                    int probe, double limit_ms)
{
    const char what[] = {PROBE_BEGIN, PROBE_END};
    struct probe_report r;
    const struct lag before = lag_of(server);
    must(write(probe, &what[0], 1) == 1, "the probe");
    double begin = now_s();
    struct use most = attacked_by(attack, server, crowd);
    double took_s = now_s() - begin;
    const struct lag after = lag_of(server);
    must(write(probe, &what[1], 1) == 1 && read(probe, &r, sizeof r) == sizeof r, "the probe");
    struct use left = use();
    double longest_ms, above = above_20_ms(&before, &after, &longest_ms);
    bool failed = r.delivery.failed || r.connect.failed;
    bool slow = too_long(limit_ms, &r);
    printf("%-32s %5.1f  %7.1f %7.1f %7.1f  %7.1f %7.1f %7.1f  %7.1f  %6.2f %7g  %5zu %5zu  %5zu "
           "%5zu%s%s\n",
           attack_names[attack], took_s, r.delivery.p50_ms, r.delivery.p99_ms,
           r.delivery.longest_ms, r.connect.p50_ms, r.connect.p99_ms, r.connect.longest_ms,
           r.late.p99_ms, above, longest_ms, most.bytes >> 20, left.bytes >> 20, most.descriptors,
           left.descriptors, failed ? "  THE PROBE FAILED" : "", slow ? "  TOO LONG" : "");
    fflush(stdout);
    return !failed && !slow;
}

/* -- all of it -- */

static int be_the_probe(uint16_t port, int control, void *ctx)
{
    (void)ctx;
    return probe_run(port, control);
}

/* Waits until no more is open than in the beginning. False: it stays. */
static bool comes_back(struct use before, size_t clients, bool compare_memory)
{
    struct use now = use();
    size_t kept = KEPT_BYTES + clients * KEPT_BYTES_PER_CLIENT;
    for (int i = 0; i < 600 && now.descriptors > before.descriptors; i++) {
        pause_ms(50);
        now = use();
    }
    bool back = now.descriptors <= before.descriptors &&
                (!compare_memory || now.bytes <= before.bytes + kept);
    printf("in the end: %zu MB, %zu descriptors; in the beginning: %zu MB, %zu descriptors%s\n",
           now.bytes >> 20, now.descriptors, before.bytes >> 20, before.descriptors,
           back ? "" : ": TOO MUCH STAYS");
    fflush(stdout);
    return back;
}

struct run {
    size_t count;
    double seconds, limit_ms;
};

/* The attacks from `first` to `last`, with a server, a crowd and a probe of their own. */
static bool act(const struct run *run, enum attack first, enum attack last, bool with_large_queues)
{
    bool good = true;
    struct attackers crowd = attackers_start(run->count, run->seconds),
                     probe = attackers_fork(be_the_probe, NULL, crowd.control);
    pusherc_server *server = serve(run->count, with_large_queues);
    uint16_t port = pusherc_server_port(server, 0);
    attackers_aim(&crowd, port);
    attackers_aim(&probe, port);
    while (attacked_connections(server) < 2)
        pause_ms(10);
    struct use before = use();
    for (enum attack attack = first; attack <= last; attack++)
        if (attack != STOP)
            good &= measure(attack, server, &crowd, probe.control, run->limit_ms);
    good &= comes_back(before, run->count, run->limit_ms > 0);
    attackers_end(&probe);
    attackers_end(&crowd);
    pusherc_server_free(server);
    return good;
}

int main(int argc, char **argv)
{
    const struct run run = {.count = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000,
                            .seconds = argc > 2 ? strtod(argv[2], NULL) : 3,
                            .limit_ms = argc > 3 ? strtod(argv[3], NULL) : 0};
    must_have_descriptors(run.count + 100);
    /* half, 99 % and all of the probe's deliveries and connections took at most so many ms */
    printf("%-32s %5s  %-23s  %-23s  %7s  %14s  %11s  %11s\n", "", "s", "delivery p50, p99, max",
           "connect p50, p99, max", "late", "turns > 20, <=", "MB, then", "fds, then");
    fflush(stdout);
    bool good = act(&run, NOTHING, ABUSE_OF_API, true);
    good &= act(&run, NEVER_READ, AFTERWARDS, false);
    return !good;
}
