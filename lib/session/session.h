/*
 * A session handles the protocol of one client: its messages, its subscriptions, its liveness. It needs no socket:
 * messages come in as text, answers go to an out-queue, and struct pc_transport does the rest. So unit tests and
 * fuzzers can drive it directly. Call everything on the worker's thread.
 *
 * Files, from the bottom: reply.c sends and closes; index.c finds by channel; member.c joins, leaves and tells; grant.c holds
 * what the host has allowed; subscribe.c, signin.c and client_event.c handle messages; session.c
 * opens, dispatches and ends.
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

struct pc_resume;
struct pc_session;
struct pc_session_index;
struct pc_session_joins;
struct pc_session_deferred;

/* The connection under a session: a WebSocket, or a test. */
struct pc_transport {
    /* Sends the transport's own close after everything queued, then ends the session
     * (pc_session_end()) before the worker sleeps; never from inside this call. */
    void (*close)(struct pc_session *session, uint16_t code, pusherc_slice reason);
    void (*ping)(struct pc_session *session); /* below the protocol: a WebSocket PING */
};

enum pc_session_state {
    PC_SESSION_OPEN = 0, /* established: waits for messages */
    PC_SESSION_CLOSING,  /* the close is queued: waits for the transport */
    PC_SESSION_ENDED     /* left all lists and gave everything back */
};

/* A session in the list that queries of the host walk: listing.h. */
struct pc_listed {
    struct pc_list link;
    const struct pc_session *session; /* NULL = the place of a query that is under way */
};

struct pc_session {
    struct pc_worker *worker;
    const struct pc_transport *transport;
    struct pc_outq *q;           /* the transport's */
    struct pc_app *app;          /* counted, and one of its connections */
    struct pc_count *of_address; /* its address's count of connections; NULL = not counted */
    struct pc_list of_worker;
    struct pc_listed listed;
    struct pc_map_node by_id;
    struct pc_list subscriptions;   /* latest last */
    struct pc_list grants;          /* struct pc_grant: the host's answers and open questions */
    struct pc_session_index *index; /* owned; finds in both: index.h; NULL = both are short */
    struct pc_session_joins *joins; /* owned; joins that wait: joining.h; NULL = none */
    /* owned; subscribes that wait for a sign-in: deferred.h; NULL = none */
    struct pc_session_deferred *deferred;
    struct pc_seat *seats;        /* owned; seats.h; NULL = it has none */
    struct pc_resume *resume;     /* owned; what it has seen before: resume.h; NULL = not said */
    struct pc_identity *identity; /* the host's answer; counted; NULL = anonymous */
    struct pc_identity *user;     /* pusher:signin; counted; NULL = not signed in */
    /* Sessions without a user: the first identity for which an auth endpoint has allowed a channel to this socket;
     * counted; NULL = anonymous, or none yet. See grant.c. */
    struct pc_identity *asker;
    uint64_t unwatched_since; /* has_unwatched */
    /* owned: its entries in the worker's index of users, for the two above; NULL = has no user
     * id */
    struct pc_user_conn *as_identified, *as_signed_in;
    struct pc_session_timer *identity_expiry; /* owned; NULL = the identity does not expire */
    /* owned: closes the session unless it authorizes in time; NULL = it may stay */
    struct pc_session_timer *unauthorized;
    struct pc_timer liveness;
    uint64_t seen_ms;      /* last traffic from the client */
    uint64_t pinged_ms;    /* when a ping was sent; 0 = no answer is awaited */
    uint64_t paid_us;      /* pace.h */
    uint64_t over_soft_ms; /* since when the queue is above the soft limit; 0 = it is not */
    struct pc_rate client_events, received, received_bytes;
    uint32_t subscription_count; /* with the joins that wait */
    uint32_t grant_count;
    uint32_t
        wanted_count; /* of the grants: channels that the client wants and is not subscribed to */
    uint16_t close_code; /* sent or received */
    uint8_t protocol;    /* 4..7 */
    uint8_t state;       /* enum pc_session_state */
    /* Auth endpoints have signed channels for which there is no grant any more, so that no change can be asked about:
     * valid as of that number of worker->changes. */
    bool has_unwatched : 1;
    bool may_remember : 1;  /* a grant may be REMEMBERED */
    bool asked : 1;         /* there was a first one */
    bool askers_differ : 1; /* ... and another one */
    bool expelled : 1; /* the host or an operator closes it: it leaves presence channels at once */
    uint8_t malformed; /* malformed messages in a row */
    struct pc_address address; /* of the client */
};

/* Makes an admitted connection a session and sends pusher:connection_established. Takes over the
 * newcomer and gives the queue its owner's id. 0; or PUSHERC_ELIMIT (the user has too many
 * connections), PUSHERC_ENOMEM: nothing was taken over. */
PC_CHECKED int pc_session_open(struct pc_session *session, struct pc_worker *worker,
                               struct pc_outq *q, const struct pc_transport *transport,
                               const struct pc_newcomer *newcomer);
/* Leaves every channel, calls on_close, gives everything back. Harmless on a session that ended
 * or was never opened. */
void pc_session_end(struct pc_session *session);

/* A text message of the client. */
void pc_session_message(struct pc_session *session, pusherc_slice text);
/* A message of the transport's own, such as a PING. False: it was one too many, and the session is closed. */
bool pc_session_control(struct pc_session *session);
/* Call it for any sign of life: a frame, a pong. */
static inline void pc_session_seen(struct pc_session *session)
{
    session->seen_ms = session->worker->now_ms;
}

/* NULL: this worker has no session with that id. */
static inline struct pc_session *pc_session_find(struct pc_worker *worker, pusherc_socket_id id)
{
    struct pc_map_node *node = pc_map_find(&worker->by_id, pc_slice((const char *)&id, sizeof id));
    return node ? PC_CONTAINER(node, struct pc_session, by_id) : NULL;
}

/* The host is asked again about all grants when this time is over; 0 = never. */
void pc_session_expire_identity(struct pc_session *session, uint32_t expires_in_ms);

/* The signed-in user, or else the host's answer at connect; NULL = anonymous. */
static inline struct pc_identity *pc_session_identity(const struct pc_session *session)
{
    return session->user ? session->user : session->identity;
}

#endif
