/*
 * pusher_internal:subscription_count (protocol section 2.8): tells the subscribers of a channel how many there are.
 *
 * A change is told at once, unless subscribers were told another one a moment ago: then the count that is current at
 * the end of the interval is told. So a client that comes and goes as fast as it can costs the others a message per
 * interval, whatever it sends, and subscribers always learn the last value. Nothing is told at the end if all of them
 * know that value. A channel has at most one timer for this, set by the first change that has to wait.
 */
#ifndef PC_FANOUT_COUNT_H
#define PC_FANOUT_COUNT_H

#include "fanout/posting.h"

#define PC_COUNT_LARGE    100  /* with more subscriptions, the interval is ... */
#define PC_COUNT_LARGE_MS 5000 /* ... this one instead of PC_GATHER_MS */

/* Locked. Called after each change of the number of subscriptions; `joined`: there is one more. If a message is lost
 * (out of memory, a full mailbox), the count is told again at the end of the next interval. */
void pc_count_changed(struct pc_worker *worker, struct pc_app *app, struct pc_channel *channel,
                      bool joined, struct pc_posting *posting);
/* Locked. The number of subscriptions in other processes, with which subscribers here are told the sum. */
void pc_count_elsewhere(struct pc_worker *worker, struct pc_app *app, struct pc_channel *channel,
                        uint64_t elsewhere, struct pc_posting *posting);

#endif
