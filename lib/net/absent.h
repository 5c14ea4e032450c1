/*
 * Sessions over HTTP whose client has no request open to receive. They hold no socket, so their number is bounded here: of
 * all on one worker, and of each client address, so that one address does not push the sessions of others out. The one
 * that has been without a receiver for longest makes room. The worker's thread.
 */
#ifndef PC_NET_ABSENT_H
#define PC_NET_ABSENT_H

#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/slice.h"

struct pc_absentees {
    const struct pc_mem *mem; /* borrowed */
    struct pc_list absent;    /* the longest absent first */
    uint32_t count;
    struct pc_map by_address; /* struct pc_absent_address */
};

/* The sessions of one client address. Freed with the last of them. */
struct pc_absent_address;

/* A session's part of it, inside the session. */
struct pc_absentee {
    struct pc_list of_all, of_address; /* linked while it is absent */
    struct pc_absentees *all;
    struct pc_absent_address *address; /* NULL = unknown */
};

void pc_absentees_init(struct pc_absentees *all, const struct pc_mem *mem, const uint64_t seed[2]);
void pc_absentees_free(struct pc_absentees *all); /* all sessions have been dropped */

/* Counts a session for its address (pc_address_network(); len 0 = unknown). It is present. 0 or PUSHERC_ENOMEM. */
PC_CHECKED int pc_absentee_init(struct pc_absentee *absentee, struct pc_absentees *all,
                                pusherc_slice network);
void pc_absentee_drop(struct pc_absentee *absentee);
void pc_absentee_set(struct pc_absentee *absentee, bool absent);

/* The one that has to make room if another of that address becomes absent; NULL = there is room. */
struct pc_absentee *pc_absentees_first_above(const struct pc_absentees *all, pusherc_slice network,
                                             uint32_t max, uint32_t max_per_address);

#endif
