/*
 * What thousands of clients do to a server at once, in a process of their own, and the server that they do it to: for
 * programs that look at it meanwhile.
 */
#ifndef TESTS_HOSTILE_ATTACKS_H
#define TESTS_HOSTILE_ATTACKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <pusherc/pusherc.h>

/* Each begins with what those before it have left: who vanishes has joined. */
enum attack {
    NOTHING,
    CONNECT,
    SUBSCRIBE,
    SUBSCRIBE_AGAIN,
    JOIN,
    ONE_MORE, /* joins what all have joined, and gets its roster */
    VANISH,
    RESETS,
    HALF_OPEN,
    SLOW,   /* heads and bodies that come byte by byte */
    RESUME, /* all are sent again what a channel keeps */
    PINGS,
    FRAGMENTS,
    GARBAGE,
    ABUSE_OF_API,
    NEVER_READ, /* all that the host publishes: attacked_flood() */
    STOP,       /* the host does it */
    AFTERWARDS,
    ATTACKS
};
extern const char *const attack_names[ATTACKS];

struct attackers {
    pid_t pid;
    int control;
};

/* Forks the process of the clients; it takes part in attacks on a port that attackers_aim() tells it. Those that do not end by
 * themselves last for `seconds`. */
struct attackers attackers_start(size_t clients, double seconds);
void attackers_aim(const struct attackers *a, uint16_t port);
void attackers_begin(const struct attackers *a, enum attack attack);
/* The attack is over; does not wait. */
bool attackers_are_done(const struct attackers *a);
void attackers_end(const struct attackers *a);

/* Forks a process that does `run` with one end of a socket pair, after it has been told a port. The process closes
 * `not_its`, if that is not negative. */
struct attackers attackers_fork(int (*run)(uint16_t port, int control, void *ctx), void *ctx,
                                int not_its);

/* A server on a port that the system picks, for so many clients, with an app that they know. With PUSHERC_TEST_REDIS=URL it
 * is linked over that Redis. */
pusherc_server *attacked_start(const pusherc_server_options *options, size_t clients);
uint64_t attacked_connections(pusherc_server *server);
/* The first part of what the host does in NEVER_READ: one event. The second is to do it again until they are cut off. */
void attacked_flood(pusherc_server *server);

#endif
