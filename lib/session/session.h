/*
 * One client's protocol: what it says, what it is answered, what it is subscribed to, whether it lives.
 * No sockets: messages come in as text, answers go to an out-queue, and three functions of the transport
 * do the rest. Unit tests and fuzzers drive a session directly. One worker's thread.
 */
#ifndef PC_SESSION_SESSION_H
#define PC_SESSION_SESSION_H

#include "base/rate.h"
#include "base/timer.h"
#include "fanout/subscription.h"
#include "protocol/close.h"
#include "protocol/message_in.h"
#include "session/admit.h"
#include "session/decision.h"
#include "session/identity.h"
#include "session/user.h"

struct pc_session;

/* What carries a session. */
struct pc_transport {
    /* Sends the transport's own close after everything queued, then ends the session (pc_session_end())
     * before the worker sleeps; never from inside this call. */
    void (*close)(struct pc_session *session, uint16_t code, pusherc_slice reason);
    void (*ping)(struct pc_session *session); /* below the protocol: a WebSocket PING */
};

enum pc_session_state {
    PC_SESSION_OPEN = 0, /* established: waits for messages */
    PC_SESSION_CLOSING,  /* the close is queued: waits for the transport */
    PC_SESSION_ENDED     /* belongs to nothing any more */
};

struct pc_session {
    struct pc_worker *worker;
    const struct pc_transport *transport;
    struct pc_outq *q;           /* the transport's */
    struct pc_app *app;          /* counted, and one of its connections */
    struct pc_count *of_address; /* it is one of its address's connections; NULL = not counted */
    struct pc_list of_worker;
    struct pc_map_node by_id;
    struct pc_list subscriptions; /* latest last */
    struct pc_list grants;        /* what the host said about channels */
    struct pc_session_join
        *joins;                   /* owned; that have begun and wait, the oldest first: joining.h */
    struct pc_identity *identity; /* the host's answer; counted; NULL = anonymous */
    struct pc_identity *user;     /* pusher:signin; counted; NULL = not signed in */
    /* owned: its entries in the worker's index of users, for the two above; NULL = has no user id */
    struct pc_user_conn *as_identified, *as_signed_in;
    struct pc_session_timer *identity_expiry; /* owned; NULL = the identity does not expire */
    struct pc_session_timer *stranger;        /* owned; NULL = need not show who it is (any more) */
    struct pc_timer liveness;
    uint64_t seen_ms;      /* last traffic from the client */
    uint64_t pinged_ms;    /* 0 = no answer is awaited */
    uint64_t over_soft_ms; /* the queue has been above the soft limit since; 0 = it is not */
    struct pc_rate client_events;
    uint32_t subscription_count; /* with the joins that wait */
    uint32_t grant_count;
    uint16_t close_code; /* sent or received */
    uint8_t protocol;    /* 4..7 */
    uint8_t state;       /* enum pc_session_state */
    uint8_t malformed;   /* messages in a row that made no sense */
};

/* Makes an admitted connection a session and says pusher:connection_established. Takes over the newcomer and the
 * queue's ownership name. 0; PUSHERC_ELIMIT: its user has too many connections; PUSHERC_ENOMEM. Then nothing was
 * taken over. */
PC_CHECKED int pc_session_open(struct pc_session *session, struct pc_worker *worker,
                               struct pc_outq *q, const struct pc_transport *transport,
                               const struct pc_newcomer *newcomer);
/* Leaves every channel, calls on_close, gives everything back. Once; harmless on a session never opened. */
void pc_session_end(struct pc_session *session);

/* A text message of the client. */
void pc_session_message(struct pc_session *session, pusherc_slice text);
/* Anything came from the client: a frame, a pong. */
static inline void pc_session_seen(struct pc_session *session)
{
    session->seen_ms = session->worker->now_ms;
}

/* Ends it from our side. Again is harmless; the first code stays. */
void pc_session_close(struct pc_session *session, uint16_t code, pusherc_slice reason);
/* The queue is full, or has been above its soft limit for too long. */
void pc_session_overflow(struct pc_session *session);
/* After each write: judges the soft limit. True while it is exceeded: do not read from this client. */
bool pc_session_slow(struct pc_session *session);

/* NULL if this worker has none of that id. */
struct pc_session *pc_session_find(struct pc_worker *worker, pusherc_socket_id id);

/* All grants are asked again when this time is over; 0 = never. */
void pc_session_expire_identity(struct pc_session *session, uint32_t expires_in_ms);

/* It signed in, or got a channel that not everybody gets: it may stay (section 1.9). */
void pc_session_authorized(struct pc_session *session);

/* Who it is: signed in as, or else who the host says; NULL = anonymous. */
static inline struct pc_identity *pc_session_identity(const struct pc_session *session)
{
    return session->user ? session->user : session->identity;
}

/* -- for the other files of this folder -- */

/* Sends a message that was written to `message`; a failure closes with 1011. Frees the buffer. */
void pc_session_say(struct pc_session *session, struct pc_buf *message);
void pc_session_say_error(struct pc_session *session, uint16_t code, const char *text);
struct pc_subscription *pc_session_subscription(struct pc_session *session, pusherc_slice channel);
void pc_session_subscribe(struct pc_session *session, const struct pc_message_in *in);
void pc_session_unsubscribe(struct pc_session *session, const struct pc_message_in *in);
void pc_session_signin(struct pc_session *session, const struct pc_message_in *in);
/* It is signed in: watches whom the list names instead of whom it watched, and is told how they are. */
void pc_session_watch(struct pc_session *session, struct pc_json watchlist);
void pc_session_client_event(struct pc_session *session, const struct pc_message_in *in);

/* Why something is refused. */
struct pc_refusal {
    pusherc_denial_reason reason;
    int status;
    pusherc_slice text;         /* for the client */
    const struct pc_rule *rule; /* that was asked, or NULL */
    pusherc_slice detail;       /* for the host; len 0 = the text */
};
/* Says no to a subscribe: pusher:error, pusher:subscription_error, the log, on_denied. */
void pc_session_refuse(struct pc_session *session, pusherc_slice channel, struct pc_refusal why);
/* The log and on_denied only. */
void pc_session_tell_host(struct pc_session *session, pusherc_slice channel,
                          const struct pc_refusal *why);
/* Says that a channel it had is taken away. */
void pc_session_revoked(struct pc_session *session, pusherc_slice channel, struct pc_refusal why);
/* Presence: is the member one that may be shown? Other kinds: true. */
bool pc_session_check_member(struct pc_session *session, const struct pc_join *join,
                             struct pc_refusal *why);
/* What to refuse with if joining failed. */
struct pc_refusal pc_session_join_refusal(struct pc_session *session, int err);
/* Joins and answers the client: the second half, see joining.h. NULL: *why tells what to refuse with. */
struct pc_subscription *pc_session_join(struct pc_session *session, const struct pc_join *join,
                                        struct pc_refusal *why);
void pc_session_leave(struct pc_session *session, struct pc_subscription *subscription);

/* Buffers on the stack for one message. */
#define PC_SESSION_STACK 2048

#endif
