/*
 * A frame: bytes for a socket, encoded once, immutable, shared by every queue that waits to send them.
 *
 * Counting has two levels. A frame counts the workers that hold it (atomic); inside a worker its slot
 * counts the queues (plain), because an atomic that two processors fight for costs thirty times more.
 * A slot is also the mail that brings the frame to its worker.
 */
#ifndef PC_FANOUT_FRAME_H
#define PC_FANOUT_FRAME_H

#include <stdatomic.h>

#include <pusherc/types.h>

#include "base/slice.h"
#include "codec/ws.h"
#include "fanout/mailbox.h"

struct pc_frame;
struct pc_directory;
struct pc_channel;

/* One worker's hold on a frame. */
struct pc_slot {
    struct pc_mail mail;
    struct pc_frame *frame;
    const char *bytes; /* header and payload */
    uint32_t len;
    uint32_t refs; /* queues of this worker, and the mail while it is under way */
} __attribute__((aligned(64)));

struct pc_frame {
    struct pc_mem mem;
    _Atomic uint32_t workers; /* slots in use; plus its maker, until pc_frame_done() */
    uint32_t slot_count;
    uint32_t header_len; /* of the WebSocket header; 0 for HTTP */
    /* Where it goes, for frames made by publishing */
    struct pc_directory *directory;
    struct pc_channel *channel; /* held (holders++), or NULL */
    uint64_t number;            /* in its shard; subscribers who came later skip it */
    uint64_t posted_ns;         /* 0 = not timed */
    pusherc_socket_id except;   /* zero = nobody */
    struct pc_slot slots[];     /* then the bytes */
};

/* A WebSocket text message (opcode PC_WS_TEXT ...), or with opcode 0 the bytes as they are. NULL: out of memory
 * or longer than 2 GiB. The maker holds it until pc_frame_done(). */
struct pc_frame *pc_frame_new(const struct pc_mem *mem, uint32_t slot_count, int opcode,
                              pusherc_slice payload);
void pc_frame_done(struct pc_frame *frame);

/* The slot begins to be used, with one reference. */
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

#endif
