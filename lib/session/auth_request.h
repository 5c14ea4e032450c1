/*
 * The object in which the host holds a question about a channel: what it may read, and its answer. How it belongs to
 * the host and comes back to the worker that asked (decision.h) is in pending.h.
 */
#ifndef PC_SESSION_AUTH_REQUEST_H
#define PC_SESSION_AUTH_REQUEST_H

#include <pusherc/auth.h>

#include "fanout/engine.h"
#include "fanout/pending.h"

struct pc_identity;

#define PC_MAX_DENIAL    120 /* bytes of a reason that clients and the log get */
#define PC_MEMBER_ID_MAX 128 /* characters: Pusher's limit for presence user ids */

/* The answer to a question. Texts are valid during the callback, or until the next call of
 * pc_decide(). */
struct pc_verdict {
    bool allowed;
    pusherc_slice user_id, user_info, view; /* allowed */
    uint32_t expires_in_ms;                 /* allowed; 0 = never */
    pusherc_denial_reason reason;           /* denied */
    int status;
    pusherc_slice text;
};

struct pc_question {
    struct pc_app *app;
    const struct pc_rule_match *match; /* its rule is not NULL */
    pusherc_slice channel;
    struct pc_identity *identity; /* NULL = anonymous */
    pusherc_socket_id socket_id;
    struct pc_address address; /* of the client that asks */
    bool
        fresh; /* the host wants to be asked: do not take a cached answer, and do not wait for a place */
    /* do not share or cache the answer: the asker only claims to be this socket */
    bool unshared;
};

struct pusherc_auth_request {
    struct pc_pending pending;
    struct pc_identity *identity; /* counted; NULL = anonymous */
    pusherc_socket_id socket_id;
    pusherc_slice app_id, channel, user_id; /* in text */
    pusherc_slice param_names[PUSHERC_RULE_MAX_PARAMS], param_values[PUSHERC_RULE_MAX_PARAMS];
    size_t param_count;
    uint32_t max_user_info;
    struct pc_verdict verdict; /* the answer; its slices point into answer_text or reason */
    char *answer_text;         /* owned */
    char reason[PC_MAX_DENIAL + 1];
    char text[];
};

/* For the host: `await` waits for the answer. Takes over the place in `quota`. NULL = out of memory: nothing was taken
 * over. */
PC_CHECKED pusherc_auth_request *pc_auth_request_new(struct pc_worker *worker,
                                                     const struct pc_question *question,
                                                     struct pc_await *await,
                                                     struct pc_quota *quota);
static inline pusherc_auth_request *pc_auth_request_of(struct pc_pending *answer)
{
    return PC_CONTAINER(answer, pusherc_auth_request, pending);
}

#endif
