/*
 * How many there are of each: a user's connections, an address's. Counted by key under a maximum. An entry is
 * there while it counts something, so that the table is no larger than what is counted. Any thread; the lock is a
 * leaf.
 */
#ifndef PC_CHANNEL_TALLY_H
#define PC_CHANNEL_TALLY_H

#include <pthread.h>

#include "base/map.h"
#include "base/slice.h"

#define PC_TALLY_MAX_KEY 200 /* bytes: a user id */

struct pc_tally {
    struct pc_mem mem; /* a copy: it may outlive the server */
    pthread_mutex_t mutex;
    struct pc_map counts; /* struct pc_count */
};

/* One key's number; borrowed from the tally by each that it counts. */
struct pc_count;

void pc_tally_init(struct pc_tally *tally, const struct pc_mem *mem, const uint64_t seed[2]);
void pc_tally_free(struct pc_tally *tally); /* nothing is counted any more */

/* One more of the key, 1..PC_TALLY_MAX_KEY bytes, if that makes no more than max. 0: *out is for pc_tally_drop();
 * PUSHERC_ELIMIT; PUSHERC_ENOMEM. */
PC_CHECKED int pc_tally_take(struct pc_tally *tally, pusherc_slice key, uint32_t max,
                             struct pc_count **out);
void pc_tally_drop(struct pc_tally *tally, struct pc_count *count); /* NULL is harmless */

#endif
