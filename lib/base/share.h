/*
 * Shares: how much of something that has one maximum each app holds. The code that enforces the maximum takes from the app
 * that holds most, so an app that holds less than the others loses nothing to them, and while there is room an app may
 * hold as much as it likes.
 *
 * The shares are a pairing heap with the largest on top. A change takes one share out of the heap and puts it back:
 * O(log n) of the apps that hold something, amortized. It allocates nothing, and cannot fail. The caller has a lock.
 */
#ifndef PC_BASE_SHARE_H
#define PC_BASE_SHARE_H

#include <stdint.h>

/* Inside what holds it. Zero-initialise. */
struct pc_share {
    uint64_t held; /* 0 = in no heap */
    struct pc_share *child, *next,
        **at; /* the largest below it; its neighbour; what points to it */
};

struct pc_shares {
    struct pc_share *largest; /* NULL = no app holds anything */
    uint64_t held;            /* of all */
};

/* Sets what the share holds. */
void pc_shares_set(struct pc_shares *shares, struct pc_share *share, uint64_t held);

#endif
