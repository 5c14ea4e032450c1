/*
 * Shaping in the engine: between the publish path and a channel's shapes (shape.h).
 *
 * A channel with events that wait has one shaper, with a shape for each rule. All of it is guarded by the lock of the
 * channel's shard, so every publisher's event is merged and counted once, on any thread. One worker, chosen by the
 * shard, owns the shaper: only that worker sends what comes out, on its timer, one event at a time. So events of one key
 * keep their order, and totals are exact however many workers there are. A shaper that is empty is freed.
 *
 * When a channel loses its last subscriber, what waits is dropped; with other processes that may have subscribers it is
 * sent at once instead. When the server stops it is sent at once, and so is what waits under a rule that the app's
 * settings no longer have.
 */
#ifndef PC_FANOUT_SHAPING_H
#define PC_FANOUT_SHAPING_H

#include "fanout/engine.h"
#include "fanout/shape.h"

/* Sends an event that comes out, on the owner's thread, without a lock. 0 or PUSHERC_E... */
typedef int (*pc_shaping_send_fn)(struct pc_worker *worker, const struct pc_app *app,
                                  const struct pc_channel *channel,
                                  const struct pc_shape_event *event);

/* Locked. False: no event of the channel is shaped. */
static inline bool pc_shaping_covers(const struct pc_app *app, const struct pc_channel *channel)
{
    const struct pc_shape_rules *rules = &app->shaping;
    if (channel->shaper)
        return true;
    return channel->shaped_serial == rules->serial ? channel->shaped_by != 0 : rules->count > 0;
}

/* Locked. The rule for events of this name on the channel, counted for the caller; NULL = the event is not shaped. */
struct pc_shape_rule *pc_shaping_rule(const struct pc_app *app, struct pc_channel *channel,
                                      pusherc_slice event);

#define PC_SHAPING_PASSES 1

/* Takes in an event of that rule. The channel is held. PC_SHAPING_PASSES: the caller sends the event now, and nothing of
 * its key waits. Otherwise the channel is released: 0; PUSHERC_EBACKLOG: no room; PUSHERC_ENOMEM. */
PC_CHECKED int pc_shaping_take(struct pc_engine *engine, const struct pc_app *app,
                               struct pc_channel *channel, struct pc_shape_rule *rule,
                               const struct pc_shape_event *event, uint64_t now_ms,
                               pc_shaping_send_fn send);
/* Locked. The channel has lost its last subscription. Returns the workers to wake. */
uint64_t pc_shaping_vacated(struct pc_engine *engine, struct pc_channel *channel);
/* The server stops: sends all that waits in the worker's shapers. */
void pc_shaping_flush(struct pc_worker *worker);

#endif
