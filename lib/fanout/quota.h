/*
 * How many questions the host has that it has not answered. A question counts for its connection, for the address of
 * the client and for the app, until the answer has arrived: also when nothing waits for the answer any more, because
 * the host still works on it. So a client gains nothing by cancelling, by leaving or by connecting again. Each worker
 * counts its own questions, on its own thread.
 *
 * A question above a limit is refused (pc_quota_take()), or waits for its place in a struct pc_claim.
 */
#ifndef PC_FANOUT_QUOTA_H
#define PC_FANOUT_QUOTA_H

#include <pusherc/types.h>

#include "base/address.h"
#include "base/list.h"
#include "base/map.h"

struct pc_worker;

/* Questions that are about no app have a number of their own in place of its uid. */
#define PC_QUOTA_PAGES        ((uint64_t)0)
#define PC_QUOTA_UNKNOWN_APPS UINT64_MAX

/* Where a question comes from. What is zero does not count. */
struct pc_source {
    uint64_t app_uid;
    struct pc_address address; /* counts as pc_address_network() */
    pusherc_socket_id socket_id;
};

/* The questions of one connection, address or app. It exists while there are some. */
struct pc_quota;

struct pc_quotas {
    struct pc_worker *worker;
    struct pc_map by_party; /* struct pc_quota */
};
void pc_quotas_init(struct pc_quotas *quotas, struct pc_worker *worker);
/* Forgets the questions that the host still has. No claim may be left. */
void pc_quotas_free(struct pc_quotas *quotas);

/* Counts a question. 0: *out is for pc_quota_drop(); PUSHERC_ELIMIT: a limit has been reached, which is counted and
 * logged; PUSHERC_ENOMEM. */
PC_CHECKED int pc_quota_take(struct pc_worker *worker, const struct pc_source *source,
                             struct pc_quota **out);
/* The question has been answered. May grant claims. NULL is harmless. */
void pc_quota_drop(struct pc_quota *quota);

/* A place in the counts for a question that the host has not got yet; embed it. */
struct pc_claim {
    struct pc_list link;
    /* The lowest count that it is in; NULL = it has no place and waits for none. */
    struct pc_quota *quota;
    struct pc_quota *full; /* waits for this one; NULL = granted */
    /* Called when a claim that has waited is granted. It must not change claims or quotas. */
    void (*granted)(struct pc_claim *claim);
};

void pc_claim_init(struct pc_claim *claim, void (*granted)(struct pc_claim *claim));
static inline bool pc_claim_waits(const struct pc_claim *claim)
{
    return claim->full != NULL;
}
/* 0: granted, or waits; PUSHERC_ENOMEM. `must`: the question counts, but does not wait. */
PC_CHECKED int pc_claim_make(struct pc_claim *claim, struct pc_worker *worker,
                             const struct pc_source *source, bool must);
/* Grants a claim that waits a place among the questions of `source` instead, if there is one: true. */
bool pc_claim_move(struct pc_claim *claim, struct pc_worker *worker,
                   const struct pc_source *source);
/* Passes the place of a granted claim to the question that the host gets. The caller drops it. */
struct pc_quota *pc_claim_use(struct pc_claim *claim);
/* Gives its place back, or stops waiting; harmless if it does neither. */
void pc_claim_cancel(struct pc_claim *claim);
/* The same for a claim that has waited for too long, which is counted and logged. */
void pc_claim_expire(struct pc_claim *claim);

#endif
