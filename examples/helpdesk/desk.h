/*
 * The help desk: customers write tickets, agents of offices answer, admins see everything.
 *
 * people.c knows who it is, sql/views.sql (access) who may have which ticket; audience.c asks both for channels, and says
 * what an audience sees of an event; events.c has the events; tickets.c and replies.c are what is written, marks.c who has got and read it.
 */
#ifndef DESK_H
#define DESK_H

#include <stdbool.h>
#include <stdint.h>

#include "common/change.h"
#include "common/program.h"

#define SUBJECT_CHARACTERS 200
#define MESSAGE_BYTES      65536
#define FILE_BYTES         (5 * 1024 * 1024)
#define FILES              5   /* of one reply */
#define FILENAME_BYTES     481 /* 120 characters */
#define UUID_BYTES         37

struct desk {
    bool self_test, json;
    const char *trigger, *ticket; /* an event to publish, and of which ticket */
    const char *pace;             /* of the demo's people: people.js asks */
    uint64_t refused[32];         /* by pusherc_denial_reason */
    uint64_t batches, questions;  /* about tickets: calls, and what they asked */
    struct marks *marks;          /* receipts that wait; NULL: it does not run */
    uint64_t throttled;           /* replies of customers who wrote too many */
};

static inline struct desk *desk_of(struct program *program)
{
    return program->own;
}

int64_t now_ms(void);
/* A time of the database as JSON has it. */
#define ISO(ms)     "strftime('%Y-%m-%dT%H:%M:%fZ', " ms " / 1000.0, 'unixepoch')"
#define BOOL(value) "json(iif(" value ", 'true', 'false'))"

#endif
