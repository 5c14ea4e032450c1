/*
 * The output queue of one connection: references to frames, in the order in which they are written.
 *
 * The queue is a list of small chunks of references. Pushing fills the last chunk, writing empties the first one, and
 * an emptied chunk goes back to the worker's pool. So an empty queue owns no memory, and a burst to many connections
 * allocates next to nothing. A queue with something to write is on its worker's dirty list once, however often it is
 * pushed to; the runtime writes all dirty queues before the loop sleeps, many frames with one system call.
 */
#ifndef PC_FANOUT_OUTQ_H
#define PC_FANOUT_OUTQ_H

#include <stdbool.h>
#include <sys/uio.h>

#include "base/list.h"
#include "fanout/frame.h"

struct pc_worker;
struct pc_flush; /* flush.h */

#define PC_CHUNK_SLOTS  29   /* a chunk has 256 bytes with its header */
#define PC_SPARE_CHUNKS 4096 /* empty chunks (1 MiB) that each worker keeps for the next burst */

struct pc_chunk {
    struct pc_chunk *next;
    uint32_t head, tail; /* items[head..tail) */
    struct pc_slot *items[PC_CHUNK_SLOTS];
};

struct pc_outq {
    struct pc_worker *worker;
    struct pc_list dirty;
    struct pc_chunk *first, *last;
    uint32_t offset;         /* bytes of the first frame that have been written */
    uint32_t count;          /* frames */
    size_t held;             /* bytes not written yet, and PC_FRAME_COST for each frame */
    size_t held_bytes;       /* that wait elsewhere until they may come: hold.h */
    pusherc_socket_id owner; /* zero until a session is established */
    pusherc_slice user_id;   /* of its session; borrowed; len 0 = anonymous */
    struct pc_due *written;  /* the last one in a ring: written, and not told; NULL = none */
    /* The form of its events; does not change while the connection is subscribed. */
    enum pc_encoding encoding;
    bool closed; /* pushes have no effect */
    /* Called when an event does not fit within the limits, or memory runs out. Must not unsubscribe the connection
     * before the worker's next flush, because delivery is walking the lists of subscribers. */
    void (*overflow)(struct pc_outq *q);
    /* The loop calls it for each dirty queue before it sleeps; NULL where no loop runs. */
    void (*flush)(struct pc_outq *q, struct pc_flush *pass);
};

/* The encoding is that of plain WebSocket text messages; the caller sets another one before the first subscription. */
void pc_outq_init(struct pc_outq *q, struct pc_worker *worker, void (*overflow)(struct pc_outq *q));
void pc_outq_free(struct pc_outq *q); /* drops all frames */

/* Makes a frame with one slot for this queue alone, a message in its encoding; opcode as in pc_frame_new(). NULL: out of
 * memory. */
struct pc_frame *pc_outq_make(const struct pc_outq *q, int opcode, pusherc_slice payload);
/* The same, and pushes it. 0 or PUSHERC_ENOMEM. */
PC_CHECKED int pc_outq_send(struct pc_outq *q, int opcode, pusherc_slice payload);
/* The queue takes a reference to the slot. 0 or PUSHERC_ENOMEM; on a closed queue it does nothing and returns 0. */
PC_CHECKED int pc_outq_push(struct pc_outq *q, struct pc_slot *slot);

/* Appends all of `from`, a queue of the same worker of which nothing has been written. It is empty then. */
void pc_outq_append(struct pc_outq *q, struct pc_outq *from);

/* Puts the messages of `from`, a queue of the same worker whose connection ends, before those of `q`: those that were not
 * written, or only in part. 0 or PUSHERC_ENOMEM. */
PC_CHECKED int pc_outq_take_back(struct pc_outq *q, const struct pc_outq *from);

/* `held` is what the limits of slow clients are compared with. A frame counts in full,
 * with its administration, because a client that does not read may be the last one that holds it. */
#define PC_FRAME_COST (sizeof(struct pc_frame) + sizeof(struct pc_slot))
static inline size_t pc_outq_bytes(const struct pc_outq *q) /* not written yet */
{
    return q->held - q->count * PC_FRAME_COST;
}

/* Puts the queue on the dirty list again, for a runtime that could not write everything. */
void pc_outq_mark(struct pc_outq *q);
/* The same, with those that are written after the others. */
void pc_outq_mark_bulk(struct pc_outq *q);

/* The frame to be written next; the queue is not empty. */
static inline struct pc_slot *pc_outq_first(const struct pc_outq *q)
{
    return q->first->items[q->first->head];
}
/* Fills up to `max` vectors with the bytes to be written next; returns how many vectors it filled. */
size_t pc_outq_gather(const struct pc_outq *q, struct iovec *iov, size_t max);
/* `written` bytes have been handed to the socket: releases the frames that they complete. Those that are waited for
 * are kept until pc_outq_tell(). */
void pc_outq_wrote(struct pc_outq *q, size_t written);
/* The kernel has all that was handed to the socket: tells those that wait for a frame. */
void pc_outq_tell(struct pc_outq *q);
/* Takes the first frame out, of which nothing has been written; the caller has a reference to it. */
struct pc_slot *pc_outq_take(struct pc_outq *q);
/* Drops each frame of which no byte has been written. Returns how many it dropped. */
uint32_t pc_outq_drop(struct pc_outq *q);

/* The worker's pool of chunks. */
struct pc_chunk *pc_chunk_take(struct pc_worker *worker); /* NULL: out of memory */
void pc_chunk_give(struct pc_worker *worker, struct pc_chunk *chunk);
void pc_chunks_free(struct pc_worker *worker);

#endif
