/*
 * Questions to the host about channels: put together during a loop turn, handed over at its end, each asked
 * once however many wait for it, answered in any order from any thread. A worker's own: the request object
 * (auth_request.h) goes to the host and comes back as a mail.
 */
#ifndef PC_SESSION_DECISION_H
#define PC_SESSION_DECISION_H

#include "base/list.h"
#include "session/auth_request.h"

struct pc_waiter;

/* What came of a question; both are valid during the callback. */
typedef void (*pc_decided_fn)(struct pc_waiter *waiter, const struct pc_question *question,
                              const struct pc_verdict *verdict);

/* One who waits; embed it. Calls back at most once, never from inside pc_decide(). */
struct pc_waiter {
    struct pc_list link; /* initialise with pc_waiter_init() */
    struct pc_decision *decision;
    pc_decided_fn decided;
};

void pc_waiter_init(struct pc_waiter *waiter, pc_decided_fn decided);

/* True: *now is the answer (cached, or a refusal for lack of memory) and the waiter does not wait. */
bool pc_decide(struct pc_worker *worker, const struct pc_question *question,
               struct pc_waiter *waiter, struct pc_verdict *now);
/* Harmless when it does not wait. The last one to leave takes the question back. */
void pc_waiter_cancel(struct pc_waiter *waiter);
static inline bool pc_waiter_waits(const struct pc_waiter *waiter)
{
    return waiter->decision != NULL;
}

/* What a change of the host's facts concerns. */
struct pc_grant_filter {
    uint64_t app_uid;
    pusherc_slice user_id, pattern; /* len 0 = any */
};
bool pc_grant_filter_fits(const struct pc_grant_filter *filter, uint64_t app_uid,
                          pusherc_slice user_id, pusherc_slice channel);

/* Answers that were thought up before now do not count any more: cached ones are dropped, questions under
 * way are asked again when their answer arrives. */
void pc_decisions_outdate(struct pc_worker *worker, const struct pc_grant_filter *filter);

/* End of a turn: hands new questions to the host; false if there were none. */
bool pc_decisions_ask(struct pc_worker *worker);

/* The worker's table. */
struct pc_decisions;
PC_CHECKED int pc_decisions_new(struct pc_decisions **out, struct pc_worker *worker);
/* nobody waits any more; NULL is harmless */
void pc_decisions_free(struct pc_decisions *decisions);

#endif
