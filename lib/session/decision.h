/*
 * Questions to the host's rules about channels, of one worker. Collects them during a turn of the
 * loop and hands them to the host at its end; the host answers in any order, from any thread. The
 * request object (auth_request.h) carries a question to the host and comes back as a mail.
 * decision.c explains how questions are shared and answers are cached.
 */
#ifndef PC_SESSION_DECISION_H
#define PC_SESSION_DECISION_H

#include "base/list.h"
#include "session/auth_request.h"

struct pc_waiter;

/* Receives the answer to a question; both are valid during the callback. */
typedef void (*pc_decided_fn)(struct pc_waiter *waiter, const struct pc_question *question,
                              const struct pc_verdict *verdict);

/* Waits for one answer; embed it. Calls back at most once, never from inside pc_decide(). */
struct pc_waiter {
    struct pc_list link; /* initialise with pc_waiter_init() */
    struct pc_decision *decision;
    pc_decided_fn decided;
};

void pc_waiter_init(struct pc_waiter *waiter, pc_decided_fn decided);

/* True: *now is the answer (cached, or a denial because memory is short), and the waiter does
 * not wait. */
bool pc_decide(struct pc_worker *worker, const struct pc_question *question,
               struct pc_waiter *waiter, struct pc_verdict *now);
/* What it waits for counts only if the host is asked after this. Harmless if it does not wait. */
void pc_waiter_outdate(struct pc_waiter *waiter);
/* Harmless if it does not wait. When the last waiter leaves, the question is cancelled. */
void pc_waiter_cancel(struct pc_waiter *waiter);
static inline bool pc_waiter_waits(const struct pc_waiter *waiter)
{
    return waiter->decision != NULL;
}

#define PC_ANY_APP 0 /* no app's uid */

/* The grants that a change of the host's facts concerns: those that fit this filter, or one behind it. */
struct pc_grant_filter {
    uint64_t app_uid;               /* PC_ANY_APP: every app */
    pusherc_slice user_id, pattern; /* len 0 = any */
    pusherc_socket_id socket_id;    /* zero = any */
    bool anonymous;                 /* only who has no user */
    const struct pc_grant_filter *next;
};
/* Who asks for a channel, or has it. */
struct pc_holder {
    pusherc_slice users[4];      /* len 0 = none */
    pusherc_socket_id socket_id; /* zero = several share the question */
};
/* Both may be NULL. Borrows their texts. */
struct pc_holder pc_holder_of(const struct pc_identity *who, const struct pc_identity *or_who,
                              pusherc_socket_id socket_id);
/* The first filter, from this one on, that fits; NULL = none. */
const struct pc_grant_filter *pc_grant_filter_fits(const struct pc_grant_filter *filter,
                                                   uint64_t app_uid, pusherc_slice channel,
                                                   const struct pc_holder *holder);

/* Makes answers from before now invalid: drops cached ones, and asks a pending question again
 * when its answer arrives. */
void pc_decisions_outdate(struct pc_worker *worker, const struct pc_grant_filter *filter);

/* Other rules are in place: drops cached answers, and asks the rule of now where a question is another rule's; if there
 * is none, the answer is pc_verdict_no_rule(). */
void pc_decisions_rules_changed(struct pc_worker *worker);
static inline struct pc_verdict pc_verdict_no_rule(void)
{
    return (struct pc_verdict){.reason = PUSHERC_DENIED_NO_RULE,
                               .status = 403,
                               .text = PC_S("No rule covers this channel any more")};
}

/* A change that has not reached every worker yet: what another worker has decided may rest on the facts of before. */
struct pc_doubt {
    struct pc_list of_worker;
    const struct pc_grant_filter *filter;
};
void pc_doubt_begin(struct pc_doubt *doubt, struct pc_worker *worker,
                    const struct pc_grant_filter *filter);
void pc_doubt_end(struct pc_doubt *doubt);
/* Is there a change under way that concerns this? */
bool pc_doubted(const struct pc_worker *worker, uint64_t app_uid, pusherc_slice channel,
                const struct pc_holder *holder);

/* At the end of a turn: hands new questions to the host, up to 512, except those that wait for others. False if there
 * were none. */
bool pc_decisions_ask(struct pc_worker *worker);
/* In how many ms it is to be called again for those that wait; UINT64_MAX = none waits. */
uint64_t pc_decisions_next(const struct pc_worker *worker);

/* All questions and cached answers of a worker. */
struct pc_decisions;
PC_CHECKED int pc_decisions_new(struct pc_decisions **out, struct pc_worker *worker);
/* No waiter may be left. NULL is harmless. */
void pc_decisions_free(struct pc_decisions *decisions);

#endif
