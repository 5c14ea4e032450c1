/*
 * Something that is due on a channel later: a timer of one worker, which keeps the channel alive until then.
 * What has not become due when the worker goes is forgotten.
 */
#ifndef PC_FANOUT_LATER_H
#define PC_FANOUT_LATER_H

#include "fanout/posting.h"

/* Called once, on the worker's thread, with the channel's shard locked. */
typedef void (*pc_later_fn)(struct pc_worker *worker, struct pc_app *app,
                            struct pc_channel *channel, struct pc_posting *posting);

/* Locked. 0 or PUSHERC_ENOMEM. Keeps the app, too. */
PC_CHECKED int pc_later(struct pc_worker *worker, struct pc_app *app, struct pc_channel *channel,
                        uint64_t due_ms, pc_later_fn run);
/* The worker goes: nothing of it becomes due any more. No lock is held. */
void pc_laters_forget(struct pc_worker *worker);

#endif
