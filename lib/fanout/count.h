/*
 * pusher_internal:subscription_count (protocol section 2.8): tells the subscribers of a channel how many there are.
 *
 * In a small channel each change is told. In a large one that would cost a message to every subscriber per join, so a
 * change within the interval only starts a channel timer, and the timer tells the count that is current when it fires.
 * So subscribers always learn the last value, and a channel has at most one such timer.
 */
#ifndef PC_FANOUT_COUNT_H
#define PC_FANOUT_COUNT_H

#include "fanout/posting.h"

#define PC_COUNT_FREELY      100  /* with up to so many subscriptions, each change is told */
#define PC_COUNT_INTERVAL_MS 5000 /* with more, one message at most in this time */

/* Locked. Called after each change of the number of subscriptions. If memory runs out, the next change tells the
 * subscribers. */
void pc_count_changed(struct pc_worker *worker, struct pc_app *app, struct pc_channel *channel,
                      struct pc_posting *posting);

#endif
