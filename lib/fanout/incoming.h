/*
 * An event from outside, before it is published: the host's hook on_publish lets it pass, refuses or changes it. Every
 * way in that serves other programs (the HTTP API) calls pc_incoming_judge() on a worker's thread, after its own checks
 * and before pc_publish().
 */
#ifndef PC_FANOUT_INCOMING_H
#define PC_FANOUT_INCOMING_H

#include "fanout/publish.h"

#define PC_REFUSAL_MAX 255 /* bytes of a reason */

/* Begin with zeros. What the hook has set is owned by it until pc_incoming_free(). */
struct pusherc_incoming {
    struct pc_engine *engine;
    const struct pc_app *app;
    pusherc_event_source source;
    struct pc_publication publication; /* what is to be published, with the hook's changes */
    char *name, *data;                 /* owned; NULL = as it came */
    pusherc_slice
        *channels; /* owned, and the texts of those from `given` on; NULL = as they came */
    size_t given;  /* channels that are the publisher's */
    bool changed;
    char reason[PC_REFUSAL_MAX + 1];
};

/* Asks the host and counts its answer; without the hook it only traces the event. `p` has a worker. True: the caller
 * publishes in->publication. False: the host has refused it, and in->reason says why. In any case the caller calls
 * pc_incoming_free() when it is published. */
bool pc_incoming_judge(struct pusherc_incoming *in, struct pc_engine *engine,
                       const struct pc_app *app, pusherc_event_source source,
                       const struct pc_publication *p);
void pc_incoming_free(struct pusherc_incoming *in); /* harmless on zeros */

#endif
