/*
 * Honest clients in a process of their own, which notice what others do to the server: one sends an event to another every
 * 10 ms, and new ones connect, subscribe and leave. Times are the clients' own, by the clock on the wall.
 */
#ifndef TESTS_HOSTILE_PROBE_H
#define TESTS_HOSTILE_PROBE_H

#include <stdint.h>

struct probe_times {
    uint32_t count, failed;
    double p50_ms, p99_ms, longest_ms;
};

struct probe_report {
    /* From the moment at which the event was due, whether or not the probe could send it then, to its arrival. */
    struct probe_times delivery;
    /* From the first packet to the answer to a subscription; 20 a second at most, one after the other. */
    struct probe_times connect;
    /* How late the probe itself woke up to send: what the machine's other work costs, and not the server. */
    struct probe_times late;
};

enum {
    PROBE_BEGIN = 'b', /* forgets what it has measured */
    PROBE_END = 'e'    /* answers with a struct probe_report about the time since the beginning */
};

/* Does what bytes from `control` say until it closes. The app lets clients send events. */
int probe_run(uint16_t port, int control);

#endif
