/*
 * The life of a call: it arrives, is answered, ends. Each step is told once, under all names of its organization.
 */
#ifndef PBX_CALLS_H
#define PBX_CALLS_H

#include "common/change.h"
#include "pbx.h"

enum call_step {
    CALL_INITIATED,
    CALL_ANSWERED,
    CALL_ENDED,
    CALL_STEPS
};
extern const char *const call_events[CALL_STEPS]; /* "call.initiated" ... */

/* One step. Texts that its kind does not need are "". */
#define CALL_ID_BYTES     65
#define CALL_NUMBER_BYTES 24
struct call_word {
    enum call_step step;
    int64_t organization_id;
    char call_id[CALL_ID_BYTES];
    char from[CALL_NUMBER_BYTES], to[CALL_NUMBER_BYTES], did_id[CALL_ID_BYTES];
    char extension_id[CALL_ID_BYTES]; /* that has answered */
    char status[16];
    int64_t at_ms;
};

enum call_result {
    CALL_DONE,    /* it is told when the change ends */
    CALL_OLD,     /* it was so already, or the call has ended: nothing is written */
    CALL_UNKNOWN, /* there is no such call: nothing is written */
};

/* The step of that event; CALL_STEPS if it is none. */
enum call_step call_step_of(pusherc_slice event);
/* Is it one of those with which a call ends? */
bool call_is_end(const char *status);
/* "+" and 7 to 15 digits. */
bool call_is_number(const char *text);
/* 1 to 64 letters, digits and "-". */
bool call_is_id(const char *text);

/* A new one: a UUID. */
void call_make_id(char out[CALL_ID_BYTES]);

/* Within a change. */
enum call_result calls_apply(struct change *change, const struct call_word *word);
/* The same for an event that a publisher outside brings: it is published already, and not told again. Its revision, or 0
 * if it cannot be written. */
int64_t calls_note(struct program *program, const struct call_word *word);

/* {"revision", "now", "now_ms", "calls", "extensions"}: what a page shows. NULL: there is no such organization. */
cJSON *calls_active(struct program *program, int64_t organization_id);
/* Calls with smaller ids than `before`, the newest first; `number`: those with exactly it on either side; "" = all. */
cJSON *calls_before(struct program *program, int64_t organization_id, int64_t before, int64_t limit,
                    const char *number);

#endif
