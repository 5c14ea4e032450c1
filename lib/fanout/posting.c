#include "fanout/posting.h"

#include <assert.h>

#include <pusherc/error.h>

#include "fanout/local.h"

static uint32_t worker_count(const struct pc_channel *channel)
{
    return (uint32_t)__builtin_popcountll(channel->interested);
}

void pc_recipients_read(struct pc_channel *channel, struct pc_recipients *out)
{
    out->channel = channel;
    out->workers = worker_count(channel);
    out->has_views = channel->views != NULL;
    if (out->workers == 0)
        return;
    channel->holders++;
    if (out->has_views)
        out->views = *channel->views;
}

/* -- making -- */

static struct pc_frame *encode(const struct pc_mem *mem, uint32_t workers,
                               enum pc_encoding encoding, pusherc_slice message)
{
    switch (encoding) {
    case PC_ENCODING_WS:
        return pc_frame_new(mem, workers, PC_WS_TEXT, message);
    case PC_ENCODING_COUNT:
        break;
    }
    return NULL;
}

struct pc_frame *pc_event_new(const struct pc_engine *engine, uint32_t workers,
                              pusherc_slice message)
{
    _Static_assert(PC_ENCODING_COUNT == 1,
                   "one frame is for all queues, so no variants are needed");
    return encode(&engine->mem, workers, PC_ENCODING_WS, message);
}

struct pc_frame *pc_event_new_rendered(const struct pc_engine *engine,
                                       const struct pc_recipients *recipients)
{
    struct pc_frame *event = pc_frame_new_variants(&engine->mem, recipients->workers);
    if (event)
        event->variants->generation = recipients->views.generation;
    return event;
}

int pc_event_add(struct pc_frame *event, pusherc_slice message, uint8_t row[PC_ENCODING_COUNT])
{
    struct pc_variants *variants = event->variants;
    for (uint32_t e = 0; e < PC_ENCODING_COUNT; e++) {
        struct pc_frame *frame =
            encode(&event->mem, event->slot_count, (enum pc_encoding)e, message);
        if (!frame)
            return PUSHERC_ENOMEM;
        row[e] = (uint8_t)variants->count;
        variants->frames[variants->count++] = frame;
    }
    return 0;
}

bool pc_event_fits(const struct pc_frame *event, const struct pc_channel *channel)
{
    if (!channel->interested)
        return true;
    if (!event || worker_count(channel) > event->slot_count)
        return false;
    return !event->variants || event->variants->generation == channel->views->generation;
}

/* -- posting -- */

int pc_post(struct pc_engine *engine, struct pc_channel *channel, struct pc_posting *posting)
{
    struct pc_frame *event = posting->event;
    struct pc_slot *slot = event->slots;
    int err = 0;
    event->number = ++channel->shard->number;
    event->directory = &engine->directory;
    event->channel = channel;
    channel->holders++;
    for (uint64_t rest = channel->interested; rest; rest &= rest - 1) {
        uint32_t w = (uint32_t)__builtin_ctzll(rest);
        bool wake;
        pc_event_begin(slot);
        slot->mail.run = pc_local_deliver;
        int posted = pc_mailbox_post(engine->workers[w].mailbox, &slot->mail, PC_MAIL_EVENT, &wake);
        if (posted == 0) {
            posting->wake |= (uint64_t)wake << w;
            slot++;
            continue;
        }
        /* The slot is free for the next worker. If the mailbox is closed, that worker has no subscribers any more. */
        pc_event_unref(slot);
        if (posted == PUSHERC_EBACKLOG) {
            atomic_fetch_add_explicit(&engine->mailbox_refused, 1, memory_order_relaxed);
            err = posted;
        }
    }
    /* No worker has the event: its release must not take the shard's lock, which is held here. */
    if (slot == event->slots) {
        channel->holders--;
        event->channel = NULL;
    }
    return err;
}

int pc_post_message(struct pc_engine *engine, struct pc_channel *channel, pusherc_slice message,
                    struct pc_posting *posting)
{
    uint32_t workers = worker_count(channel);
    assert(!posting->event);
    if (workers == 0)
        return 0;
    posting->event = pc_event_new(engine, workers, message);
    return posting->event ? pc_post(engine, channel, posting) : PUSHERC_ENOMEM;
}

void pc_posting_note(struct pc_engine *engine, const struct pc_notice *notice,
                     struct pc_posting *posting)
{
    const struct pc_observer *observer = &engine->observer;
    if (pc_noticed(observer, notice->app, notice->kind))
        posting->noted |= observer->note(observer->ctx, notice);
}

void pc_posting_finish(struct pc_engine *engine, struct pc_posting *posting)
{
    if (posting->noted)
        engine->observer.wake(engine->observer.ctx);
    for (uint64_t rest = posting->wake; rest; rest &= rest - 1)
        pc_mailbox_wake(engine->workers[__builtin_ctzll(rest)].mailbox);
    pc_frame_done(posting->event);
}
