/*
 * pusher_internal:subscription_count (protocol section 2.8): tells the subscribers of a channel how many there are.
 * A large channel hears it no more often than every few seconds; the last value is always told.
 */
#ifndef PC_FANOUT_COUNT_H
#define PC_FANOUT_COUNT_H

#include "fanout/posting.h"

#define PC_COUNT_FREELY      100  /* up to so many subscriptions every change is told */
#define PC_COUNT_INTERVAL_MS 5000 /* above that at most once in this time */

/* Locked, after each change of the number of subscriptions. What cannot be told for want of memory is told with
 * the next change. */
void pc_count_changed(struct pc_worker *worker, struct pc_app *app, struct pc_channel *channel,
                      struct pc_posting *posting);

#endif
