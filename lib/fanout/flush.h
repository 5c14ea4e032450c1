/*
 * One flush of many queues: short queues are copied together, so that each is written as one piece.
 *
 * The subscribers of a busy channel mostly have the same frames queued, and its audiences a few different sets of them, so
 * the last PC_WRITE_BUFFERS copies are kept: a queue with the same frames in the same order uses the copy again. Frames
 * are compared by address. A copy holds its frames until the flush ends or another copy takes its place, so that no frame
 * made meanwhile has the address of one of them. Costs one memcmp() of pointers for each kept copy, and one memcpy() for
 * each new set of frames.
 */
#ifndef PC_FANOUT_FLUSH_H
#define PC_FANOUT_FLUSH_H

#include "fanout/outq.h"

#define PC_WRITE_BUFFER  16384 /* bytes of a copy, up to a TLS record */
#define PC_WRITE_BUFFERS 4     /* audiences of one channel get different frames, in turn */

struct pc_flush {
    char *buffers; /* the copies: PC_WRITE_BUFFERS times PC_WRITE_BUFFER */
    struct pc_copied {
        size_t len; /* bytes; 0 = the copy is not used again */
        uint32_t count;
        struct pc_slot *slots[PC_CHUNK_SLOTS]; /* held */
    } kept[PC_WRITE_BUFFERS];
    uint32_t last; /* the one that was used or written last; looked at first */
};

void pc_flush_begin(struct pc_flush *pass, char *buffers);
void pc_flush_end(struct pc_flush *pass);

/*
 * Returns all frames of the queue, which is not empty, as one piece of memory, which stays until the next copy. Empty: the
 * queue is too long, partly written, or has a frame that no other queue has, so that the copy were of no use to others;
 * write it with pc_outq_gather().
 */
pusherc_slice pc_flush_copy(struct pc_flush *pass, const struct pc_outq *q);
/* PC_WRITE_BUFFER bytes for something else, until the next copy. */
char *pc_flush_scratch(struct pc_flush *pass);

#endif
