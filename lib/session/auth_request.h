/*
 * The object in which the host holds a question about a channel: what it may read, its answer, and the way back. It
 * belongs to the host from the question to the answer, on any thread, even when the server has gone. The answer
 * consumes it: it goes back to the worker that asked (decision.h), which frees it.
 */
#ifndef PC_SESSION_AUTH_REQUEST_H
#define PC_SESSION_AUTH_REQUEST_H

#include <pusherc/auth.h>

#include "fanout/engine.h"

struct pc_decision;
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
    bool fresh; /* do not take a cached answer */
    /* do not share or cache the answer: the asker only claims to be this socket */
    bool unshared;
};

enum pc_request_state {
    PC_REQUEST_OPEN = 0,  /* the host has not answered */
    PC_REQUEST_ANSWERED,  /* the answer is on its way or has arrived */
    PC_REQUEST_TIMED_OUT, /* denied meanwhile; the host still owns it */
    PC_REQUEST_CANCELED   /* no waiter is left; the host still owns it */
};

struct pusherc_auth_request {
    struct pc_mail mail; /* brings the answer to the worker */
    struct pc_mem mem;
    struct pc_mailbox *box;       /* counted */
    _Atomic int state;            /* enum pc_request_state */
    struct pc_decision *decision; /* worker only; NULL = no waiter is left */
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

/* For the host. After the answer `answered` runs on the worker, which then owns the request; or
 * with NULL if the worker has ended, and then it frees the request. NULL = out of memory. */
PC_CHECKED pusherc_auth_request *
pc_auth_request_new(struct pc_worker *worker, const struct pc_question *question,
                    struct pc_decision *decision,
                    void (*answered)(struct pc_mail *mail, struct pc_worker *worker));
/* Only after it was answered. */
void pc_auth_request_free(pusherc_auth_request *request);
/* No waiter is left. The host gets an error that tells this state when it answers. */
void pc_auth_request_leave(pusherc_auth_request *request, enum pc_request_state why);

#endif
