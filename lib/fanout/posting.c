#include "fanout/posting.h"

#include <assert.h>
#include <string.h>

#include <pusherc/error.h>

#include "channel/history.h"
#include "fanout/compress.h"
#include "fanout/local.h"

static uint32_t worker_count(const struct pc_channel *channel)
{
    return (uint32_t)__builtin_popcountll(channel->interested);
}

/* Those besides WebSocket text, which every event has. */
static uint32_t encodings_of(const struct pc_channel *channel)
{
    uint32_t encodings = 0;
    for (uint32_t e = PC_ENCODING_WS + 1; e < PC_ENCODING_COUNT; e++)
        encodings |= (channel->takers[e] > 0 ? 1u : 0u) << e;
    return encodings;
}

void pc_recipients_read(struct pc_engine *engine, struct pc_channel *channel,
                        struct pc_recipients *out)
{
    out->engine = engine;
    out->channel = channel;
    out->workers = worker_count(channel);
    out->encodings = encodings_of(channel);
    out->has_views = channel->views != NULL;
    out->numbered = false;
    if (out->workers == 0)
        return;
    channel->holders++;
    if (out->has_views)
        out->views = *channel->views;
}

#define BIT(encoding) (1u << (encoding))

void pc_recipients_number(struct pc_recipients *recipients)
{
    recipients->numbered = true;
    recipients->encodings &= ~BIT(PC_ENCODING_WS_DEFLATE);
}

void pc_event_put_id(struct pc_buf *message, const struct pc_recipients *recipients)
{
    char id[PC_POSITION_LEN];
    pc_position_put(id, &recipients->engine->directory, 0);
    pc_out_add_id(message, pc_slice(id, sizeof id));
}

/* -- making -- */

/* A message in the forms that are wanted; NULL = not made. Without a compressed form such clients take the plain one. */
struct forms {
    struct pc_frame *frames[PC_ENCODING_COUNT];
};

static void forms_free(struct forms *forms)
{
    for (uint32_t e = 0; e < PC_ENCODING_COUNT; e++)
        pc_frame_done(forms->frames[e]);
}

static int make_forms(struct pc_engine *engine, uint32_t workers, uint32_t encodings,
                      pusherc_slice message, struct forms *out)
{
    struct pc_frame **frames = out->frames;
    memset(out, 0, sizeof *out);
    frames[PC_ENCODING_WS] = pc_frame_new(&engine->mem, workers, PC_WS_TEXT, message);
    if (encodings & BIT(PC_ENCODING_WS_DEFLATE))
        frames[PC_ENCODING_WS_DEFLATE] = pc_frame_new_compressed(engine, workers, message);
    if (encodings & BIT(PC_ENCODING_XHR))
        frames[PC_ENCODING_XHR] = pc_frame_new_xhr(&engine->mem, workers, message);
    if (frames[PC_ENCODING_WS] && (frames[PC_ENCODING_XHR] || !(encodings & BIT(PC_ENCODING_XHR))))
        return 0;
    forms_free(out);
    return PUSHERC_ENOMEM;
}

/* The event owns the forms from then on. */
static void add_forms(struct pc_variants *variants, const struct forms *forms,
                      uint8_t row[PC_ENCODING_COUNT])
{
    for (uint32_t e = 0; e < PC_ENCODING_COUNT; e++) {
        row[e] = PC_NO_VARIANT;
        if (!forms->frames[e])
            continue;
        row[e] = (uint8_t)variants->count;
        variants->frames[variants->count++] = forms->frames[e];
    }
    if (!forms->frames[PC_ENCODING_WS_DEFLATE])
        row[PC_ENCODING_WS_DEFLATE] = row[PC_ENCODING_WS];
}

/* The encodings that an event is good for which was made for these. */
static uint32_t covered(uint32_t encodings)
{
    return encodings | BIT(PC_ENCODING_WS) | BIT(PC_ENCODING_WS_DEFLATE);
}

/* The event of a message that its clients take in several forms. */
static struct pc_frame *event_of_forms(struct pc_engine *engine, uint32_t workers,
                                       uint32_t encodings, pusherc_slice message)
{
    struct forms forms;
    if (make_forms(engine, workers, encodings, message, &forms))
        return NULL;
    if (!forms.frames[PC_ENCODING_WS_DEFLATE] && !forms.frames[PC_ENCODING_XHR])
        return forms.frames[PC_ENCODING_WS];
    struct pc_frame *event = pc_frame_new_variants(&engine->mem, workers);
    if (!event) {
        forms_free(&forms);
        return NULL;
    }
    uint8_t(*rows)[PC_ENCODING_COUNT] = event->variants->index;
    add_forms(event->variants, &forms, rows[0]);
    for (uint32_t view = 1; view < PC_VIEW_PLACES; view++)
        memcpy(rows[view], rows[0], sizeof rows[0]);
    return event;
}

static struct pc_frame *event_of(struct pc_engine *engine, uint32_t workers, uint32_t encodings,
                                 pusherc_slice message)
{
    struct pc_frame *event = encodings ? event_of_forms(engine, workers, encodings, message)
                                       : pc_frame_new(&engine->mem, workers, PC_WS_TEXT, message);
    if (event)
        event->encodings = covered(encodings);
    return event;
}

struct pc_frame *pc_event_new(const struct pc_recipients *recipients, pusherc_slice message)
{
    return event_of(recipients->engine, recipients->workers, recipients->encodings, message);
}

struct pc_frame *pc_event_new_rendered(const struct pc_recipients *recipients)
{
    struct pc_frame *event = pc_frame_new_variants(&recipients->engine->mem, recipients->workers);
    if (event) {
        event->variants->generation = recipients->views.generation;
        event->encodings = covered(recipients->encodings);
    }
    return event;
}

int pc_event_add(struct pc_frame *event, const struct pc_recipients *recipients,
                 pusherc_slice message, uint8_t row[PC_ENCODING_COUNT])
{
    struct forms forms;
    int err =
        make_forms(recipients->engine, recipients->workers, recipients->encodings, message, &forms);
    if (err == 0)
        add_forms(event->variants, &forms, row);
    return err;
}

bool pc_event_fits(const struct pc_frame *event, const struct pc_channel *channel)
{
    if (!channel->interested)
        return true;
    if (!event || worker_count(channel) > event->slot_count ||
        (encodings_of(channel) & ~event->encodings))
        return false;
    return !event->variants || !channel->views ||
           event->variants->generation == channel->views->generation;
}

/* -- posting -- */

/* Writes the event's number into its bytes, which no other thread sees yet. */
static void write_number(struct pc_frame *event)
{
    const struct pc_variants *variants = event->variants;
    struct pc_frame *const *frames = variants ? variants->frames : &event;
    const uint32_t count = variants ? variants->count : 1;
    for (uint32_t i = 0; i < count; i++)
        pc_message_renumber((char *)frames[i]->slots[0].bytes, frames[i]->slots[0].len,
                            event->number);
}

int pc_post(struct pc_engine *engine, struct pc_channel *channel, struct pc_posting *posting)
{
    struct pc_frame *event = posting->event;
    struct pc_slot *slot = event->slots;
    int err = 0;
    event->number = ++channel->shard->number;
    if (event->numbered)
        write_number(event);
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
            pc_wake_add(engine, &posting->wake, (uint64_t)wake << w);
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
    /* not compressed: the shard is locked */
    posting->event =
        event_of(engine, workers, encodings_of(channel) & ~BIT(PC_ENCODING_WS_DEFLATE), message);
    return posting->event ? pc_post(engine, channel, posting) : PUSHERC_ENOMEM;
}

void pc_posting_note(struct pc_engine *engine, const struct pc_notice *notice,
                     struct pc_posting *posting)
{
    const struct pc_observer *observer = &engine->observer;
    if (pc_noticed(observer, notice->app, notice->kind))
        posting->noted |= observer->note(observer->ctx, notice);
}

void pc_wake_add(struct pc_engine *engine, uint64_t *workers, uint64_t more)
{
    for (uint64_t twice = *workers & more; twice; twice &= twice - 1)
        pc_mailbox_unpin(
            engine->workers[__builtin_ctzll(twice)].mailbox); /* one pin for one wake */
    *workers |= more;
}

void pc_wake_workers(struct pc_engine *engine, uint64_t workers)
{
    for (uint64_t rest = workers; rest; rest &= rest - 1)
        pc_mailbox_wake(engine->workers[__builtin_ctzll(rest)].mailbox);
}

void pc_posting_finish(struct pc_engine *engine, struct pc_posting *posting)
{
    if (posting->noted)
        engine->observer.wake(engine->observer.ctx);
    pc_wake_workers(engine, posting->wake);
    pc_frame_done(posting->event);
}
