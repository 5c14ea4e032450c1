/*
 * Posting: an event gets a number and goes to the mailboxes of the workers that have subscribers. The events of
 * publishers and the messages of our own come through here.
 *
 * An event is made without a lock, for the recipients that the channel had when they were read
 * (pc_recipients_read()). It is posted with the channel's shard locked, if it still fits them
 * (pc_event_fits()); otherwise it is made again. The channel is held in between.
 */
#ifndef PC_FANOUT_POSTING_H
#define PC_FANOUT_POSTING_H

#include "fanout/engine.h"

/* What a post under a shard's lock leaves to be done after it. Zero-initialise. */
struct pc_posting {
    struct pc_frame *event; /* to be posted, or posted; NULL = there is none */
    uint64_t wake;          /* a bit per worker */
    bool noted;             /* the observer is to be woken */
};

/* Whom an event on a channel is for. */
struct pc_recipients {
    struct pc_channel *channel; /* held */
    uint32_t workers;           /* that have subscribers; 0 = there are none */
    bool has_views;
    struct pc_views views; /* a copy, if it has */
};

/* Locked. Reads them, and holds the channel (holders++) if there are some. */
void pc_recipients_read(struct pc_channel *channel, struct pc_recipients *out);

/* The event that is this message for all subscribers. NULL: out of memory. */
struct pc_frame *pc_event_new(const struct pc_engine *engine, uint32_t workers,
                              pusherc_slice message);
/* The event to whose variants pc_event_add() adds. NULL: out of memory. */
struct pc_frame *pc_event_new_rendered(const struct pc_engine *engine,
                                       const struct pc_recipients *recipients);
/* Encodes one more variant; *row receives its frames, for pc_variants.index. 0 or PUSHERC_ENOMEM. */
PC_CHECKED int pc_event_add(struct pc_frame *event, pusherc_slice message,
                            uint8_t row[PC_ENCODING_COUNT]);
/* Locked. The channel's recipients are still among those that the event was made for. */
bool pc_event_fits(const struct pc_frame *event, const struct pc_channel *channel);

/* Locked: numbers the posting's event and posts it. 0; PUSHERC_EBACKLOG: the mailbox of a worker is full, others
 * have it. Whatever is returned, pc_posting_finish() follows the unlock. */
PC_CHECKED int pc_post(struct pc_engine *engine, struct pc_channel *channel,
                       struct pc_posting *posting);
/* Locked: the same with a message of our own (member_added ...), which all subscribers get, except those for whom a
 * channel with views has none. Makes the event, if there are subscribers. Also PUSHERC_ENOMEM. */
PC_CHECKED int pc_post_message(struct pc_engine *engine, struct pc_channel *channel,
                               pusherc_slice message, struct pc_posting *posting);
/* Tells the observer, if it wants to know. The channel's shard is locked, or it is about a client event. */
void pc_posting_note(struct pc_engine *engine, const struct pc_notice *notice,
                     struct pc_posting *posting);
/* Wakes workers and the observer, and lets go of the event. No lock is held. */
void pc_posting_finish(struct pc_engine *engine, struct pc_posting *posting);

#endif
