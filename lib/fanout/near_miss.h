/*
 * Explains an event that reached no subscriber: finds channels that have subscribers and whose names differ only in
 * what people get wrong: a prefix too many or too few, '.' for '-' or '_', case. The names are written to the log at
 * level "debug". The publisher is not told, for it may not be allowed to know them.
 */
#ifndef PC_FANOUT_NEAR_MISS_H
#define PC_FANOUT_NEAR_MISS_H

#include "fanout/engine.h"

/* Logs it if that level is wanted. No lock is held; any thread. */
void pc_near_miss_say(struct pc_engine *engine, const struct pc_app *app, pusherc_slice channel,
                      pusherc_slice event);

static inline void pc_near_miss(struct pc_engine *engine, const struct pc_app *app,
                                pusherc_slice channel, pusherc_slice event)
{
    if (pc_log_wants(&engine->log, PUSHERC_LOG_DEBUG))
        pc_near_miss_say(engine, app, channel, event);
}

#endif
