/*
 * Counts per key, up to a maximum: connections of one user, of one address. Entries at zero are removed. Any thread;
 * the lock is a leaf.
 */
#ifndef PC_CHANNEL_COUNTS_H
#define PC_CHANNEL_COUNTS_H

#include <pthread.h>

#include "base/map.h"
#include "base/slice.h"

#define PC_COUNTS_MAX_KEY 200 /* bytes: a user id */

struct pc_counts {
    struct pc_mem mem; /* a copy: it may outlive the server */
    pthread_mutex_t mutex;
    struct pc_map by_key; /* struct pc_count */
};

/* The count of one key; each connection that is counted borrows it. */
struct pc_count;

void pc_counts_init(struct pc_counts *counts, const struct pc_mem *mem, const uint64_t seed[2]);
void pc_counts_free(struct pc_counts *counts); /* all counts have been dropped */

/* Counts one more of the key, which has 1..PC_COUNTS_MAX_KEY bytes. 0: *out is for pc_counts_drop(); PUSHERC_ELIMIT:
 * max are counted already; PUSHERC_ENOMEM. */
PC_CHECKED int pc_counts_take(struct pc_counts *counts, pusherc_slice key, uint32_t max,
                              struct pc_count **out);
void pc_counts_drop(struct pc_counts *counts, struct pc_count *count); /* NULL is harmless */

#endif
