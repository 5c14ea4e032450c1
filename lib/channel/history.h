/*
 * The past of channels that a pattern of their app covers: the last events of each, in order, with their numbers.
 *
 * An event is kept in the critical section in which it gets its number, and a join that takes a number reads what is
 * kept in its own. So an event is either among what the join has read, or it is delivered to it, and never both. No
 * worker owns a history: it belongs to the channel, and is changed under the shard's lock.
 *
 * The events form a chain, in which each counts the one behind it, and the history counts the first one. Reading
 * counts the first one as well and remembers the last, which takes the same time however many there are; the reader
 * walks the chain without the lock, and what it has not passed stays alive when the history drops it. `floor` is the
 * number up to which events may be missing: a reader who knows an event from there on misses nothing.
 *
 * Histories have a maximum for all of them. They are listed by the time of their last event or of their channel's last
 * leave, all of them and those of each app, under a lock that is taken under a shard's. Above the maximum the app that
 * holds most loses the history that stands longest. A channel that became empty is kept in this list with its history,
 * so that a client that comes back in time learns that it has missed nothing.
 */
#ifndef PC_CHANNEL_HISTORY_H
#define PC_CHANNEL_HISTORY_H

#include "channel/directory.h"
#include "channel/past.h"
#include "protocol/message_out.h"

/* What pc_history_read() has read, for a walk without the lock. Zero: the channel has no history. */
struct pc_past_events {
    struct pc_past *first; /* counted; NULL = there are none */
    const struct pc_past *last;
    uint64_t floor;
    uint64_t number; /* the last number of the shard when it was read */
    bool kept;       /* the channel has a history */
};
/* The event behind `past`, or the first one for NULL; NULL at the end. */
static inline const struct pc_past *pc_past_next(const struct pc_past_events *events,
                                                 const struct pc_past *past)
{
    return !past ? events->first : past == events->last ? NULL : past->next;
}
static inline void pc_past_events_free(struct pc_past_events *events)
{
    if (events->first)
        pc_past_unref(events->first);
    events->first = NULL;
}
/* True if no event after this number is missing. A number from the future is unknown. */
static inline bool pc_past_complete(const struct pc_past_events *events, uint64_t after)
{
    return events->kept && after >= events->floor && after <= events->number;
}

/* -- positions: the ids of events that clients see, "epoch-number", both in hexadecimal digits -- */

#define PC_EPOCH_DIGITS 8
#define PC_POSITION_LEN (PC_EPOCH_DIGITS + 1 + PC_NUMBER_DIGITS)

void pc_position_put(char out[PC_POSITION_LEN], const struct pc_directory *dir, uint64_t number);
/* False: this server has not given that id in this life. */
bool pc_position_read(pusherc_slice id, const struct pc_directory *dir, uint64_t *number);

/* *after is the number that an id stands for, 0 for none or an unknown one. True: no event after it is missing, or the
 * id is empty, which asks for what there is. */
bool pc_past_events_after(const struct pc_past_events *events, const struct pc_directory *dir,
                          pusherc_slice id, uint64_t *after);

/* -- with the channel's shard locked -- */

/* Gives the channel a history if it has none. 0 or PUSHERC_ENOMEM. */
PC_CHECKED int pc_history_make(struct pc_directory *dir, struct pc_channel *channel,
                               const struct pc_history_rule *rule);
/* Keeps the event under this number, and counts it. The channel has a history, or is given one if there is memory;
 * otherwise the event is missing from then on. True: the caller calls pc_history_make_room() after the unlock. */
PC_CHECKED bool pc_history_keep(struct pc_directory *dir, struct pc_channel *channel,
                                const struct pc_history_rule *rule, struct pc_past *past,
                                uint64_t number, uint64_t now_ms);
/* An event with this number is missing from the history. Harmless without one. */
void pc_history_skip(struct pc_directory *dir, struct pc_channel *channel, uint64_t number);
/* The channel's last subscription has ended. Harmless without a history. */
void pc_history_left(struct pc_directory *dir, struct pc_channel *channel, uint64_t now_ms);
/* The caller calls pc_past_events_free(). */
void pc_history_read(struct pc_channel *channel, uint64_t now_ms, struct pc_past_events *out);

/* -- the caller holds no lock -- */

/* Reads the history of an app's channel, which need not exist. The caller calls pc_past_events_free(). */
void pc_history_look(struct pc_directory *dir, const struct pc_app_state *app,
                     pusherc_slice channel, uint64_t now_ms, struct pc_past_events *out);

/* Drops histories whose time is over, and others until the rest is within the maximum; frees channels that existed only
 * for theirs. */
void pc_history_make_room(struct pc_directory *dir, uint64_t now_ms);
/* Drops all of an app that has been removed. */
void pc_history_forget(struct pc_directory *dir, const struct pc_app_state *app);
/* Memory that they hold, of all apps. */
uint64_t pc_history_bytes(struct pc_directory *dir);

#endif
