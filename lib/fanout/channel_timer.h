/*
 * A timer of one worker for one channel. It keeps the channel and the app alive until it fires. A timer that has not
 * fired when the worker is freed is dropped.
 */
#ifndef PC_FANOUT_CHANNEL_TIMER_H
#define PC_FANOUT_CHANNEL_TIMER_H

#include "fanout/posting.h"

/* Called once, on the worker's thread, with the channel's shard locked. */
typedef void (*pc_channel_timer_fn)(struct pc_worker *worker, struct pc_app *app,
                                    struct pc_channel *channel, struct pc_posting *posting);

/* Locked. Calls run() at `due_ms`. 0 or PUSHERC_ENOMEM. */
PC_CHECKED int pc_channel_timer_start(struct pc_worker *worker, struct pc_app *app,
                                      struct pc_channel *channel, uint64_t due_ms,
                                      pc_channel_timer_fn run);
/* Stops and frees the worker's timers, before the worker is freed. The caller holds no lock. */
void pc_channel_timers_forget(struct pc_worker *worker);

#endif
