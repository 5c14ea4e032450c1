/*
 * A frame: bytes for a socket, encoded once, immutable, shared by all queues that wait to send them.
 *
 * References are counted on two levels. A frame counts the workers that hold it (atomic). Inside a worker, the
 * frame's slot counts the queues (plain), because an atomic that two processors contend for costs thirty times
 * more. A slot is also the mail that brings the frame to its worker. So an event costs one atomic increment and one
 * decrement per worker, however many subscribers it has.
 *
 * An event is a frame that was posted (posting.h). As a rule all subscribers get this frame. If subscribers get
 * different bytes, the event's own frame is empty and has a table of frames, one row for each view and one
 * column for each encoding; delivery looks up each subscriber's frame in the table.
 */
#ifndef PC_FANOUT_FRAME_H
#define PC_FANOUT_FRAME_H

#include <stdatomic.h>

#include <pusherc/types.h>

#include "base/slice.h"
#include "channel/directory.h"
#include "codec/ws.h"
#include "fanout/mailbox.h"

struct pc_frame;

/* The forms in which queues take events. */
enum pc_encoding {
    PC_ENCODING_WS,         /* WebSocket text messages */
    PC_ENCODING_WS_DEFLATE, /* the same, compressed where that makes them shorter: compress.h */
    PC_ENCODING_XHR,        /* chunks of an HTTP answer: codec/xhr.h */
    PC_ENCODING_COUNT
};

/* One worker's references to a frame. */
struct pc_slot {
    struct pc_mail mail;
    struct pc_frame *frame;
    const char *bytes; /* header and payload */
    uint32_t len;
    uint32_t refs; /* queues of this worker, and the mail while it is under way */
} __attribute__((aligned(64)));

#define PC_MAX_VARIANTS (PC_VIEW_PLACES * PC_ENCODING_COUNT)
#define PC_NO_VARIANT   UINT8_MAX

_Static_assert(PC_ENCODING_COUNT == PC_ENCODINGS, "a channel counts all encodings");
_Static_assert(PC_MAX_VARIANTS <= PC_NO_VARIANT, "a variant's index fits a byte");

/* The frames of an event that differs between subscribers. Each has as many slots as the event's own frame. */
struct pc_variants {
    uint64_t generation; /* of the channel's views when these were rendered */
    uint32_t count;
    struct pc_frame *frames[PC_MAX_VARIANTS];
    uint8_t index[PC_VIEW_PLACES][PC_ENCODING_COUNT]; /* in frames; PC_NO_VARIANT = gets nothing */
};

/*
 * What waits for a frame to be written: it is inside what its maker wants to know then. Such a frame is in one queue
 * only, and has the bytes of a slot that others may have as well.
 */
struct pc_due {
    struct pc_due *next;    /* in pc_outq.written, a ring */
    struct pc_frame *frame; /* whose it is */
    struct pc_slot *of;     /* whose bytes the frame has; counted */
    /* The kernel has the bytes. No lock is held, and the queue may be pushed to. */
    void (*written)(struct pc_due *due, struct pc_worker *worker);
    void (*free)(struct pc_due *due);
};

struct pc_tracked;

struct pc_frame {
    struct pc_mem mem;
    _Atomic uint32_t workers; /* slots in use; plus one for the maker, until pc_frame_done() */
    uint32_t slot_count;
    uint32_t characters; /* of a line for HTTP clients: pc_xhr_characters() */
    uint32_t header_len; /* of a message's WebSocket or chunk header; 0 for other bytes */
    struct pc_due *due;  /* owned; NULL = it does not matter when the frame is written */
    /* Of events only */
    struct pc_tracked *tracked;   /* counted: the host learns whom it has reached; or NULL */
    struct pc_variants *variants; /* owned; NULL = all subscribers get this frame */
    uint32_t encodings;           /* that it was made for: bits 1u << enum pc_encoding */
    bool numbered;                /* its bytes end with its number, which pc_post() writes */
    struct pc_directory *directory;
    struct pc_channel *channel; /* held (holders++), or NULL */
    uint64_t number;            /* in its shard; subscribers that joined later skip the event */
    uint64_t posted_ns;         /* 0 = not timed */
    pusherc_socket_id except;   /* zero = no client */
    struct pc_slot slots[];     /* the bytes follow */
};

/* A WebSocket message with this opcode (PC_WS_TEXT ...), or with opcode 0 the bytes as they are. NULL: out of memory,
 * or the payload is longer than 2 GiB. The maker holds the frame until pc_frame_done(). */
struct pc_frame *pc_frame_new(const struct pc_mem *mem, uint32_t slot_count, int opcode,
                              pusherc_slice payload);
/* The message as a chunk of an HTTP answer. NULL: out of memory. */
struct pc_frame *pc_frame_new_xhr(const struct pc_mem *mem, uint32_t slot_count,
                                  pusherc_slice message);
/* A frame for one queue with the bytes of the slot, which is used on this worker. It has taken one slot, with a reference
 * for the caller, and owns `due` with its functions set. NULL: out of memory; `due` is the caller's. */
struct pc_frame *pc_frame_new_due(const struct pc_mem *mem, struct pc_slot *of, struct pc_due *due);
/* A frame without bytes and with an empty table of variants, which the caller fills. NULL: out of memory. */
struct pc_frame *pc_frame_new_variants(const struct pc_mem *mem, uint32_t slot_count);
void pc_frame_done(struct pc_frame *frame); /* NULL is harmless; no lock is held */

/* Takes the slot into use, with one reference. */
static inline void pc_slot_begin(struct pc_slot *slot)
{
    slot->refs = 1;
    atomic_fetch_add_explicit(&slot->frame->workers, 1, memory_order_relaxed);
}

void pc_slot_last(struct pc_slot *slot);

static inline void pc_slot_unref(struct pc_slot *slot)
{
    if (--slot->refs == 0)
        pc_slot_last(slot);
}

/* Takes one worker's slots into use: this slot of the event's own frame, and one of each variant. One mail brings them
 * to the worker. */
static inline void pc_event_begin(struct pc_slot *slot)
{
    const struct pc_frame *event = slot->frame;
    pc_slot_begin(slot);
    for (uint32_t i = 0; event->variants && i < event->variants->count; i++)
        pc_slot_begin(&event->variants->frames[i]->slots[slot - event->slots]);
}

static inline void pc_event_unref(struct pc_slot *slot)
{
    const struct pc_frame *event = slot->frame;
    for (uint32_t i = 0; event->variants && i < event->variants->count; i++)
        pc_slot_unref(&event->variants->frames[i]->slots[slot - event->slots]);
    pc_slot_unref(slot); /* the last one frees the table */
}

#endif
