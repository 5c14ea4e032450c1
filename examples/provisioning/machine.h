/*
 * Machines that are not there: with --simulate the program orders servers, plays their installers, and writes their logs.
 * The panel of the start page asks for more of it.
 */
#ifndef PROVISIONING_MACHINE_H
#define PROVISIONING_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/program.h"

#define MACHINES 64

struct machine {
    int64_t server_id;  /* 0: free */
    int step;           /* that runs */
    int fails_at;       /* 0: at none */
    int lines, written; /* of this step's log */
    uint64_t began_ms, due_ms;
    bool waits;  /* for its last word to be published */
    bool failed; /* until due_ms */
};

struct factory {
    bool simulates;
    const char *seed;           /* NULL = any */
    const char *speed;          /* --speed: "20" times as fast */
    uint64_t random;            /* its state, never 0 */
    unsigned turn;              /* servers ordered so far: owners come in turn */
    uint64_t order_ms;          /* when the next server is ordered */
    uint64_t storm_ms, mute_ms; /* until then; 0: no */
    int64_t storm_server;
    struct machine machines[MACHINES];
};

/* 0, or -1 if --speed is no number. */
int factory_start(struct factory *factory, struct program *program);
/* Servers that a run before was setting up, and those that a user has ordered, get a machine, too. */
void factory_tick(struct factory *factory, struct program *program);

/* What the panel asks for; a storm on that server, or 0: on the user's newest. False if it is not known, or there is
 * nothing to do it on. */
bool factory_do(struct factory *factory, struct program *program, int64_t user_id, const char *what,
                int64_t server_id);
#endif
