/*
 * What honest clients notice while thousands of others attack, and what the server keeps of it:
 *
 *     crowd CLIENTS [SECONDS [LIMIT_MS]]
 *
 * Three processes, so that each has a clock and a share of the processor of its own: this one is a host with one worker;
 * the crowd; and the probe (probe.h). The crowd connects,
 * subscribes, joins one presence channel, vanishes, resets, leaves half-open connections, or never reads, for SECONDS (3)
 * where it does not end by itself. For each the program prints what the probe has seen, how late the probe itself was, how
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

#include "hostile/clients.h"
#include "hostile/probe.h"

#define ADDRESSES  100
#define FLOOD      "flood" /* the channel of those who never read */
#define FLOOD_SIZE 8192
#define FLOODS_MS  50 /* from one event to the next */
#define OF_PROBE   3  /* established clients at most */
/* What the server may have kept in the end: pages of the allocator in which something still lives. */
#define KEPT_BYTES            (32u << 20)
#define KEPT_BYTES_PER_CLIENT 1024

enum phase {
    NOTHING,
    CONNECT,
    SUBSCRIBE,
    JOIN,
    VANISH,
    RESETS,
    HALF_OPEN,
    NEVER_READ,
    AFTERWARDS,
    PHASES
};
static const char *const phases[PHASES] = {
    [NOTHING] = "nothing",
    [CONNECT] = "all connect",
    [SUBSCRIBE] = "all subscribe, again and again",
    [JOIN] = "all join one presence channel",
    [VANISH] = "all members vanish at once",
    [RESETS] = "they connect and reset",
    [HALF_OPEN] = "half-open connections",
    [NEVER_READ] = "they never read",
    [AFTERWARDS] = "nothing, afterwards",
};

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

/* -- the crowd, a process of its own -- */

static void subscribe_again_and_again(struct client *clients, size_t count, double over)
{
    for (unsigned round = 0; round == 0 || now_s() < over; round++) {
        char text[128];
        for (size_t i = 0; i < count; i++) {
            if (round > 0) {
                snprintf(text, sizeof text,
                         "{\"event\":\"pusher:unsubscribe\",\"data\":{\"channel\":\"news-%u\"}}",
                         round - 1);
                client_say(&clients[i], text);
            }
            snprintf(text, sizeof text,
                     "{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"news-%u\"}}", round);
            client_say(&clients[i], text);
        }
        clients_hear(clients, count, count, "subscription_succeeded");
    }
}

/* A storm: as many as there are, and again. Every other one has asked for a WebSocket before it resets. */
static void reset_again_and_again(struct client *clients, size_t count, double over)
{
    for (size_t i = 0; i < count || now_s() < over; i++) {
        struct client *c = &clients[i % count];
        client_dial(c);
        if (i % 2)
            (void)!send(c->fd, CLIENTS_UPGRADE, sizeof CLIENTS_UPGRADE - 1, MSG_NOSIGNAL);
        client_leave(c, true);
    }
}

/* Silent, or with half a head. */
static void half_open(struct client *c, bool with_half_a_head)
{
    client_dial(c);
    if (with_half_a_head)
        (void)!send(c->fd, CLIENTS_UPGRADE, sizeof CLIENTS_UPGRADE / 2, MSG_NOSIGNAL);
}

/* Whatever the server closes is opened again. */
static void stay_half_open(struct client *clients, size_t count, double over)
{
    struct client *closed[256];
    for (size_t i = 0; i < count; i++)
        half_open(&clients[i], i % 2);
    while (now_s() < over) {
        int n = clients_wait(closed, 20);
        for (int i = 0; i < n; i++) {
            client_leave(closed[i], false);
            half_open(closed[i], i % 2);
        }
    }
    clients_vanish(clients, count);
}

static void never_read(struct client *clients, size_t count)
{
    clients_enter(clients, count);
    for (size_t i = 0; i < count; i++)
        client_say(&clients[i],
                   "{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"" FLOOD "\"}}");
}

/* Does each phase when it is told to, and says when it is done. */
static int be_the_crowd(size_t count, double seconds, uint16_t port, int control)
{
    struct client *clients = calloc(count, sizeof *clients);
    char phase;
    must(clients, "memory");
    clients_begin(port, ADDRESSES);
    while (read(control, &phase, 1) == 1) {
        double over = now_s() + seconds;
        switch ((enum phase)phase) {
        case NOTHING:
        case AFTERWARDS:
            pause_ms((long)(seconds * 1e3));
            break;
        case CONNECT:
            clients_enter(clients, count);
            break;
        case SUBSCRIBE:
            subscribe_again_and_again(clients, count, over);
            break;
        case JOIN:
            clients_join(clients, count, 0);
            clients_hear(clients, count, count, "subscription_succeeded");
            clients_drain();
            break;
        case VANISH:
            clients_vanish(clients, count);
            break;
        case RESETS:
            reset_again_and_again(clients, count, over);
            break;
        case HALF_OPEN:
            stay_half_open(clients, count, over);
            break;
        case NEVER_READ:
            never_read(clients, count);
            break;
        case PHASES:
            break;
        }
        if (write(control, &phase, 1) != 1)
            break;
    }
    free(clients);
    return 0;
}

/* -- the server -- */

static pusherc_server *serve(size_t count, bool with_large_queues)
{
    pusherc_server_options options = PUSHERC_SERVER_OPTIONS_INIT;
    pusherc_app_options app = PUSHERC_APP_OPTIONS_INIT;
    pusherc_server *server;
    options.worker_count = 1;
    if (with_large_queues) {
        /* for a roster of all, and for the members that come while the crowd reads it */
        options.out_soft_bytes = 2u << 20;
        options.out_hard_bytes = 8u << 20;
    }
    options.out_soft_ms = 3000;
    app.id = "app-id", app.key = CLIENTS_KEY, app.secret = CLIENTS_SECRET;
    app.activity_timeout_ms = 1000000; /* the crowd does not answer */
    app.max_presence_members = (uint32_t)count;
    app.client_events = true;
    app.max_client_events_per_s = PUSHERC_NO_LIMIT;
    must(pusherc_server_new(&server, &options, NULL) == 0 &&
             pusherc_server_put_app(server, &app, NULL) == 0 &&
             pusherc_server_listen(server, NULL, NULL) == 0 &&
             pusherc_server_start(server, NULL) == 0,
         "server");
    return server;
}

static uint64_t connections(pusherc_server *server)
{
    pusherc_stats stats = PUSHERC_STATS_INIT;
    (void)pusherc_server_stats(server, &stats);
    return stats.connections;
}

/* Events until those who do not read them have been cut off. */
static void flood(pusherc_server *server)
{
    static char data[FLOOD_SIZE];
    memset(data, 'x', sizeof data);
    while (connections(server) > OF_PROBE) {
        must(pusherc_publish_to(server, "app-id", FLOOD, strlen(FLOOD), "e", 1, data, sizeof data,
                                NULL) == 0,
             "publish");
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
static struct use run_phase(enum phase phase, pusherc_server *server, int crowd)
{
    struct use most = use();
    char done = (char)phase;
    must(write(crowd, &done, 1) == 1, "the crowd");
    for (bool over = false; !over;) {
        struct use now = {resident_bytes(), descriptors()};
        most.bytes = now.bytes > most.bytes ? now.bytes : most.bytes;
        most.descriptors = now.descriptors > most.descriptors ? now.descriptors : most.descriptors;
        ssize_t n = recv(crowd, &done, 1, MSG_DONTWAIT);
        must(n != 0, "the crowd has ended");
        over = n == 1;
        pause_ms(20);
    }
    if (phase == NEVER_READ)
        flood(server);
    while (phase == VANISH && connections(server) > OF_PROBE)
        pause_ms(1);
    return most;
}

static bool too_long(double limit_ms, const struct probe_report *r)
{
    return limit_ms > 0 && (r->delivery.p99_ms > limit_ms || r->connect.p99_ms > limit_ms);
}

/* False: the probe has noticed too much. */
static bool measure(enum phase phase, pusherc_server *server, int crowd, int probe, double limit_ms)
{
    const char what[] = {PROBE_BEGIN, PROBE_END};
    struct probe_report r;
    const struct lag before = lag_of(server);
    must(write(probe, &what[0], 1) == 1, "the probe");
    double begin = now_s();
    struct use most = run_phase(phase, server, crowd);
    double took_s = now_s() - begin;
    const struct lag after = lag_of(server);
    must(write(probe, &what[1], 1) == 1 && read(probe, &r, sizeof r) == sizeof r, "the probe");
    struct use left = use();
    double longest_ms, above = above_20_ms(&before, &after, &longest_ms);
    bool failed = r.delivery.failed || r.connect.failed;
    bool slow = too_long(limit_ms, &r);
    printf("%-32s %5.1f  %7.1f %7.1f %7.1f  %7.1f %7.1f %7.1f  %7.1f  %6.2f %7g  %5zu %5zu  %5zu "
           "%5zu%s%s\n",
           phases[phase], took_s, r.delivery.p50_ms, r.delivery.p99_ms, r.delivery.longest_ms,
           r.connect.p50_ms, r.connect.p99_ms, r.connect.longest_ms, r.late.p99_ms, above,
           longest_ms, most.bytes >> 20, left.bytes >> 20, most.descriptors, left.descriptors,
           failed ? "  THE PROBE FAILED" : "", slow ? "  TOO LONG" : "");
    fflush(stdout);
    return !failed && !slow;
}

/* -- all of it -- */

/* A process that does `run` with one end of a socket pair, and is told the port when there is a server. */
struct helper {
    pid_t pid;
    int control;
};

static struct helper start_crowd(size_t count, double seconds)
{
    int ends[2];
    uint16_t port;
    must(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0, "socketpair");
    struct helper h = {fork(), ends[0]};
    must(h.pid >= 0, "fork");
    if (h.pid == 0) {
        close(ends[0]);
        must(read(ends[1], &port, sizeof port) == sizeof port, "port");
        _exit(be_the_crowd(count, seconds, port, ends[1]));
    }
    close(ends[1]);
    return h;
}

static struct helper start_probe(const struct helper *crowd)
{
    int ends[2];
    uint16_t port;
    must(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0, "socketpair");
    struct helper h = {fork(), ends[0]};
    must(h.pid >= 0, "fork");
    if (h.pid == 0) {
        close(ends[0]);
        close(crowd->control);
        must(read(ends[1], &port, sizeof port) == sizeof port, "port");
        _exit(probe_run(port, ends[1]));
    }
    close(ends[1]);
    return h;
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

/* The phases from `first` to `last`, with a server, a crowd and a probe of their own. */
static bool act(const struct run *run, enum phase first, enum phase last, bool with_large_queues)
{
    bool good = true;
    struct helper crowd = start_crowd(run->count, run->seconds), probe = start_probe(&crowd);
    pusherc_server *server = serve(run->count, with_large_queues);
    uint16_t port = pusherc_server_port(server, 0);
    must(write(crowd.control, &port, sizeof port) == sizeof port &&
             write(probe.control, &port, sizeof port) == sizeof port,
         "port");
    while (connections(server) < 2)
        pause_ms(10);
    struct use before = use();
    for (enum phase phase = first; phase <= last; phase++)
        good &= measure(phase, server, crowd.control, probe.control, run->limit_ms);
    good &= comes_back(before, run->count, run->limit_ms > 0);
    close(probe.control);
    close(crowd.control);
    waitpid(crowd.pid, NULL, 0);
    waitpid(probe.pid, NULL, 0);
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
    bool good = act(&run, NOTHING, HALF_OPEN, true);
    good &= act(&run, NEVER_READ, AFTERWARDS, false);
    return !good;
}
