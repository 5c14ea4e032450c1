/*
 * What waits to be written to one connection: references to frames, in order. An empty queue owns no
 * memory; the small chunks it grows by come from and go back to its worker's pool. A queue that got
 * something is on its worker's dirty list once, and the runtime writes it before the loop sleeps.
 */
#ifndef PC_FANOUT_OUTQ_H
#define PC_FANOUT_OUTQ_H

#include <stdbool.h>
#include <sys/uio.h>

#include "base/list.h"
#include "fanout/frame.h"

struct pc_worker;
struct pc_flush; /* the runtime's, for one flush of many queues */

#define PC_CHUNK_SLOTS  29   /* 256 bytes with its header */
#define PC_SPARE_CHUNKS 4096 /* 1 MiB of empty ones kept by each worker for the next burst */

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
    size_t bytes;            /* not written yet */
    size_t held_bytes;       /* that wait elsewhere until they may come: hold.h */
    pusherc_socket_id owner; /* zero until a session is established */
    /* The form in which it takes events; does not change while it is subscribed. */
    enum pc_encoding encoding;
    bool closed; /* takes nothing more */
    /* An event does not fit within the limits, or memory ran out. Must not unsubscribe anything before
     * the worker's next flush: fan-out is walking its lists. */
    void (*overflow)(struct pc_outq *q);
    /* Called by the loop for each dirty queue before it sleeps; NULL where no loop runs. */
    void (*flush)(struct pc_outq *q, struct pc_flush *pass);
};

/* For WebSocket text messages; a queue for another encoding is given it before its first subscription. */
void pc_outq_init(struct pc_outq *q, struct pc_worker *worker, void (*overflow)(struct pc_outq *q));
void pc_outq_free(struct pc_outq *q); /* drops everything */

/* Makes a frame for this queue alone and pushes it; opcode as in pc_frame_new(). 0 or PUSHERC_ENOMEM. */
PC_CHECKED int pc_outq_send(struct pc_outq *q, int opcode, pusherc_slice payload);
/* Takes a reference of its own. 0 or PUSHERC_ENOMEM; nothing happens on a closed queue. */
PC_CHECKED int pc_outq_push(struct pc_outq *q, struct pc_slot *slot);

/* Appends all of `from`, a queue of the same worker of which nothing has been written. It is empty then. */
void pc_outq_append(struct pc_outq *q, struct pc_outq *from);

/* Puts the queue on the dirty list again, for a runtime that could not write everything. */
void pc_outq_mark(struct pc_outq *q);

/* Fills up to max vectors with what is to be written first; returns how many. */
size_t pc_outq_gather(const struct pc_outq *q, struct iovec *iov, size_t max);
/* `written` bytes are on their way: lets go of the frames they complete. */
void pc_outq_wrote(struct pc_outq *q, size_t written);
/* Drops every frame of which no byte has been written. Returns how many. */
uint32_t pc_outq_drop(struct pc_outq *q);

/* The worker's pool of chunks. */
struct pc_chunk *pc_chunk_take(struct pc_worker *worker); /* NULL: out of memory */
void pc_chunk_give(struct pc_worker *worker, struct pc_chunk *chunk);
void pc_chunks_free(struct pc_worker *worker);

#endif
