/*
 * Orders to all processes that serve the same apps, not only to this one: close a user's connections, ask grants again
 * (session/everywhere.c). An optional party takes them to the others (a link to other processes); without one, this
 * process is all there is.
 */
#ifndef PC_FANOUT_EVERYWHERE_H
#define PC_FANOUT_EVERYWHERE_H

#include <stdint.h>

#include <pusherc/types.h>

/* What the other processes report: the sums, and how many of them did not report. */
typedef void (*pc_everywhere_fn)(uint64_t kept, uint64_t revoked, uint64_t unanswered,
                                 void *user_data);

struct pc_everywhere {
    /* Takes an order to the other processes, in the order of these calls. Copies the text. `done`, if it is not NULL, is
     * called once, on any thread, perhaps before this returns: when each of them has carried the order out, or is not
     * waited for any longer. Any thread, without a lock. 0; or PUSHERC_ENOMEM: nothing was taken. NULL in place of the
     * function = there is no such party. */
    int (*tell)(void *ctx, pusherc_slice order, pc_everywhere_fn done, void *user_data);
    void *ctx;
};

#endif
