/*
 * Posting gives an event a number and puts it into the mailboxes of the workers that have subscribers. Publishers'
 * events and the server's own messages (member_added ...) are posted here.
 *
 * Encoding and rendering need no lock: an event is made for the recipients that the channel had when
 * pc_recipients_read() read them. It is posted with the channel's shard locked, if pc_event_fits() says that the
 * recipients have not grown; otherwise the caller makes it again. The channel is held in between.
 *
 * The number comes from the shard's counter, from which joins take numbers under the same lock. The order of numbers
 * is therefore the order in which events and joins happened, and the mailboxes keep it: a subscriber gets exactly the
 * events with numbers above that of its join, each once. Posting costs one mail per worker that has subscribers.
 */
#ifndef PC_FANOUT_POSTING_H
#define PC_FANOUT_POSTING_H

#include "fanout/engine.h"

/* What pc_posting_finish() has to do after the shard's lock is released. Zero-initialise. */
struct pc_posting {
    struct pc_frame *event; /* to be posted, or posted; NULL = no event */
    uint64_t wake;          /* workers to wake, a bit for each */
    bool noted;             /* the observer has to be woken */
};

/* The workers and views that an event on a channel is made for. */
struct pc_recipients {
    struct pc_engine *engine;
    struct pc_channel *channel; /* held */
    uint32_t workers;           /* that have subscribers; 0 = the channel has no subscriber */
    uint32_t
        encodings; /* that their clients take besides WebSocket text: bits 1u << enum pc_encoding */
    bool has_views;
    bool numbered;         /* events for them carry their number: pc_recipients_number() */
    struct pc_views views; /* a copy, if has_views */
};

/* Locked. Reads the recipients, and holds the channel (holders++) if there are any. */
void pc_recipients_read(struct pc_engine *engine, struct pc_channel *channel,
                        struct pc_recipients *out);

/* Events for them carry their number: their messages end with an id (pc_event_id()), and the maker sets the frame's
 * `numbered`. Such events are not compressed, because the number is written last. */
void pc_recipients_number(struct pc_recipients *recipients);
/* Adds the id to the message, if the events carry one; its number is written when the event is posted. */
void pc_event_put_id(struct pc_buf *message, const struct pc_recipients *recipients);
static inline void pc_event_id(struct pc_buf *message, const struct pc_recipients *recipients)
{
    if (recipients->numbered)
        pc_event_put_id(message, recipients);
}

/* Makes the event that sends this message to all subscribers of a channel without views. NULL: out of memory. */
struct pc_frame *pc_event_new(const struct pc_recipients *recipients, pusherc_slice message);
/* Makes an event without variants, which pc_event_add() adds. NULL: out of memory. */
struct pc_frame *pc_event_new_rendered(const struct pc_recipients *recipients);
/* Encodes one more variant; `row` receives its frames, for pc_variants.index. 0 or PUSHERC_ENOMEM. */
PC_CHECKED int pc_event_add(struct pc_frame *event, const struct pc_recipients *recipients,
                            pusherc_slice message, uint8_t row[PC_ENCODING_COUNT]);
/* Locked. True if the event was made for all recipients that the channel has now. */
bool pc_event_fits(const struct pc_frame *event, const struct pc_channel *channel);

/* Locked. Numbers the posting's event and posts it. 0; PUSHERC_EBACKLOG: the mailbox of a worker is full, and only the
 * other workers have the event. In any case the caller calls pc_posting_finish() after the unlock. */
PC_CHECKED int pc_post(struct pc_engine *engine, struct pc_channel *channel,
                       struct pc_posting *posting);
/* Locked. The same for a message of the server (member_added ...), for all subscribers, except those without a view on
 * a channel with views. Makes the event only if there are subscribers. Also returns PUSHERC_ENOMEM. */
PC_CHECKED int pc_post_message(struct pc_engine *engine, struct pc_channel *channel,
                               pusherc_slice message, struct pc_posting *posting);
/* Tells the observer, if it wants this kind of notice. The channel's shard is locked, except for client events. */
void pc_posting_note(struct pc_engine *engine, const struct pc_notice *notice,
                     struct pc_posting *posting);
/* Adds workers that are to be woken, a bit for each. A worker may have emptied its mailbox between two posts, so that both
 * say that it is to be woken: it is woken once. */
void pc_wake_add(struct pc_engine *engine, uint64_t *workers, uint64_t more);
/* Wakes workers, a bit for each. The caller holds no lock. */
void pc_wake_workers(struct pc_engine *engine, uint64_t workers);
/* Wakes the workers and the observer, and releases the event. The caller holds no lock. */
void pc_posting_finish(struct pc_engine *engine, struct pc_posting *posting);

#endif
