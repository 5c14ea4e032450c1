#include "base/share.h"

#include <stddef.h>

static void put_at(struct pc_share **at, struct pc_share *share)
{
    *at = share;
    if (share)
        share->at = at;
}

/* The smaller of two heaps becomes the first child of the larger. */
static struct pc_share *merge(struct pc_share *a, struct pc_share *b)
{
    if (!a || !b)
        return a ? a : b;
    if (a->held < b->held) {
        struct pc_share *c = a;
        a = b;
        b = c;
    }
    put_at(&b->next, a->child);
    put_at(&a->child, b);
    return a;
}

/* Makes one heap of neighbours: first of each two, then of all, last to first. */
static struct pc_share *merge_all(struct pc_share *first)
{
    struct pc_share *pairs = NULL, *all = NULL;
    while (first) {
        struct pc_share *a = first, *b = a->next;
        first = b ? b->next : NULL;
        a->next = NULL;
        if (b)
            b->next = NULL;
        a = merge(a, b);
        a->next = pairs;
        pairs = a;
    }
    while (pairs) {
        struct pc_share *rest = pairs->next;
        pairs->next = NULL;
        all = merge(all, pairs);
        pairs = rest;
    }
    return all;
}

static void take_out(struct pc_shares *shares, struct pc_share *share)
{
    struct pc_share *below = merge_all(share->child);
    put_at(share->at, share->next);
    share->child = share->next = NULL;
    put_at(&shares->largest, merge(shares->largest, below));
}

void pc_shares_set(struct pc_shares *shares, struct pc_share *share, uint64_t held)
{
    if (share->held)
        take_out(shares, share);
    shares->held = shares->held - share->held + held;
    share->held = held;
    if (held)
        put_at(&shares->largest, merge(shares->largest, share));
}
