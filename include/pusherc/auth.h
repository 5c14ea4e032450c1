/**
 * @file auth.h
 * Who may have which channel, decided by the host's own functions; and what each audience sees.
 *
 * A rule is a name pattern and a function. When a client wants a channel that the rule covers, the
 * function gets a request object and answers it once, now or later, from any thread. A positive answer
 * is a grant: it is stored with the subscription, can end by itself, and is asked again when the host
 * says that its facts have changed. The whole model is on two pages in docs/authorization.md.
 */
#ifndef PUSHERC_AUTH_H
#define PUSHERC_AUTH_H

#include <pusherc/error.h>
#include <pusherc/types.h>

PUSHERC_BEGIN_DECLS

/** "May they have this channel?", to be answered once. */
typedef struct pusherc_auth_request pusherc_auth_request;

/**
 * The stored positive answer for one connection and one channel. Begin with PUSHERC_GRANT_INIT; copied on
 * allow.
 */
typedef struct pusherc_grant {
    size_t struct_size; /**< sizeof(pusherc_grant) */
    /** Presence: who joins, 1..128 characters of UTF-8; len 0 = the identity's user id. */
    pusherc_slice user_id;
    /** Presence: what other members see, JSON text, at most max_user_info_bytes; len 0 = the identity's. */
    pusherc_slice user_info_json;
    pusherc_slice view;     /**< audience of this subscriber, UTF-8, 0..64 bytes; len 0 = none */
    uint32_t expires_in_ms; /**< then the rule is asked again; 0 = as long as the subscription */
} pusherc_grant;

/* clang-format off */
/** Initialiser of a pusherc_grant. */
#define PUSHERC_GRANT_INIT { .struct_size = sizeof(pusherc_grant) }
/* clang-format on */

/**
 * The host's decision. Leads to exactly one pusherc_auth_allow() or pusherc_auth_deny() per request, here or
 * later, from any thread, also after the server was freed. After auth_timeout_ms the client hears "denied"
 * in any case; only the answer frees the request.
 *
 * Called on a worker thread with no lock held, at the end of the loop turn in which the question arose; must
 * not block. May call what is marked "In callbacks: yes". The same question in flight (same user, same
 * channel; anonymous: same connection) is asked once by each worker.
 */
typedef void (*pusherc_authorize_fn)(pusherc_auth_request *request, void *user_data);

/**
 * As pusherc_authorize_fn, for up to 64 of a rule's questions of one loop turn: `count` requests, 1 or more, each
 * to be answered on its own. The array dies on return, the requests do not.
 */
typedef void (*pusherc_authorize_batch_fn)(pusherc_auth_request *const *requests, size_t count,
                                           void *user_data);

/** One event on its way to one audience; valid during the call of pusherc_render_fn only. */
typedef struct pusherc_render pusherc_render;

/** What an audience sees of an event. */
typedef enum pusherc_render_verdict {
    PUSHERC_RENDER_SAME = 0, /**< the payload as it is */
    PUSHERC_RENDER_REPLACED, /**< what pusherc_render_payload() was given */
    PUSHERC_RENDER_NOTHING   /**< no event at all */
} pusherc_render_verdict;

/**
 * What one audience sees of one event: called once per view that has subscribers, never per subscriber, on
 * the publishing thread, with no lock held; it must not block. Subscribers without a view get nothing on
 * channels of a rule with a render function. A value that is none of the verdicts counts as NOTHING.
 *
 * Events are those of publishers and clients by their names; and PUSHERC_RENDER_MEMBER with a presence
 * member's user_info as data: NOTHING then means "{}".
 */
typedef pusherc_render_verdict (*pusherc_render_fn)(pusherc_render *render, void *user_data);

/** Event name under which a member's user_info is rendered. */
#define PUSHERC_RENDER_MEMBER "pusher_internal:member"

/** @name Reading a render call
 * Slices die with the call.
 *
 * Thread: the call's. Blocks: no. In callbacks: only this one. Owns: nothing.
 * Since: 0.1.
 * @{ */

/**
 * The audience.
 *
 * @param render  the call's
 * @return 1..64 bytes, as a grant named it
 */
PUSHERC_API pusherc_slice pusherc_render_view(const pusherc_render *render);

/**
 * The app.
 *
 * @param render  the call's
 * @return its id
 */
PUSHERC_API pusherc_slice pusherc_render_app_id(const pusherc_render *render);

/**
 * The channel.
 *
 * @param render  the call's
 * @return its whole name
 */
PUSHERC_API pusherc_slice pusherc_render_channel(const pusherc_render *render);

/**
 * The event's name.
 *
 * @param render  the call's
 * @return the name, or PUSHERC_RENDER_MEMBER
 */
PUSHERC_API pusherc_slice pusherc_render_event(const pusherc_render *render);

/**
 * The payload as it was published.
 *
 * @param render  the call's
 * @return UTF-8; for PUSHERC_RENDER_MEMBER the user_info, JSON text
 */
PUSHERC_API pusherc_slice pusherc_render_data(const pusherc_render *render);

/**
 * What the channel's name has in place of a parameter of the rule's pattern.
 *
 * @param render  the call's
 * @param name    "uuid" for "{uuid}"; NUL-terminated
 * @return 1 byte or more; len 0 = the pattern has no such parameter
 */
PUSHERC_API pusherc_slice pusherc_render_param(const pusherc_render *render, const char *name);
/** @} */

/**
 * Give this view a payload of its own; return PUSHERC_RENDER_REPLACED afterwards.
 *
 * @param render  the call's
 * @param data    UTF-8, at most out_hard_bytes / 2; copied. For PUSHERC_RENDER_MEMBER JSON text
 * @return 0, or (then the view gets nothing, whatever the verdict, unless a later call succeeds)
 *         PUSHERC_EINVAL  no UTF-8
 *         PUSHERC_ELIMIT  too long
 *         PUSHERC_ENOMEM
 *
 * Thread: the call's. Blocks: no. In callbacks: only this one. Owns: nothing.
 * Since: 0.1.
 */
PUSHERC_API int pusherc_render_payload(pusherc_render *render, pusherc_slice data);

/** @name Kinds of channels that a rule covers
 * @{ */
/** Names without such a prefix, which need no authorization otherwise: guarding them must be asked for. */
#define PUSHERC_RULE_PUBLIC 0x1u
/** "private-" */
#define PUSHERC_RULE_PRIVATE 0x2u
/** "presence-" */
#define PUSHERC_RULE_PRESENCE 0x4u
/** "private-encrypted-" */
#define PUSHERC_RULE_ENCRYPTED 0x8u
/** What needs authorization anyway. */
#define PUSHERC_RULE_DEFAULT (PUSHERC_RULE_PRIVATE | PUSHERC_RULE_PRESENCE | PUSHERC_RULE_ENCRYPTED)
/** @} */

/** Parameters that one pattern may have. */
#define PUSHERC_RULE_MAX_PARAMS 8

/** A pattern of channel names, and who decides about them. Begin with PUSHERC_RULE_INIT; copied. */
typedef struct pusherc_rule {
    size_t struct_size; /**< sizeof(pusherc_rule) */
    const char *app_id; /**< NULL = every app */
    /** As Laravel writes them: "tickets.{uuid}". Matched against the whole name without its "private-",
     *  "private-encrypted-", "presence-" and "cache-", so it begins with none of these; {x} is one or more
     *  characters without a dot. */
    const char *pattern;
    /** PUSHERC_RULE_*; 0 = PUSHERC_RULE_DEFAULT, without PUSHERC_RULE_ENCRYPTED if there is a render function. */
    uint32_t kinds;
    pusherc_authorize_fn authorize;             /**< this one ... */
    pusherc_authorize_batch_fn authorize_batch; /**< ... or this one, not both */
    /** NULL = everybody sees the same. Not with PUSHERC_RULE_ENCRYPTED: those payloads cannot be read. */
    pusherc_render_fn render;
    /** Reuse an answer, a refusal too, for the same user and channel; 0 = never. Answers that end sooner are not
     *  kept; each worker keeps at most 8192. */
    uint32_t cache_ms;
    void *user_data; /**< handed to each */
} pusherc_rule;

/* clang-format off */
/** Initialiser of a pusherc_rule. */
#define PUSHERC_RULE_INIT { .struct_size = sizeof(pusherc_rule) }
/* clang-format on */

/**
 * Add a rule. Where several patterns match a name, the most specific one decides, whatever the order they
 * were added in: fewer parameters first, then more literal characters, then the later first parameter;
 * an app's own rule comes before one for every app.
 *
 * @param server  not started
 * @param rule    copied
 * @param info    filled on failure; may be NULL
 * @return 0, or
 *         PUSHERC_EINVAL  a NULL argument; the pattern is malformed, begins with a prefix such as "private-",
 *                         has what no channel name may have, a parameter twice or more than
 *                         PUSHERC_RULE_MAX_PARAMS; no function, or both; an unknown kind; render together with
 *                         PUSHERC_RULE_ENCRYPTED
 *         PUSHERC_EEXIST  the same names of the same app and a kind in common are covered already
 *         PUSHERC_ESTATE  started
 *         PUSHERC_ENOMEM
 *         (then nothing has changed)
 *
 * Thread: setup. Blocks: no. In callbacks: no. Owns: nothing.
 * Since: 0.1.  Source: Laravel's channel patterns; docs/authorization.md tells where we differ.
 */
PUSHERC_API int pusherc_server_add_rule(pusherc_server *server, const pusherc_rule *rule,
                                        pusherc_errinfo *info);

/** @name Reading an authorization request
 * Slices are borrowed until the request is answered.
 *
 * Thread: any. Blocks: no. In callbacks: yes. Owns: nothing.
 * Since: 0.1.
 * @{ */

/**
 * The app.
 *
 * @param request  not answered yet
 * @return its id
 */
PUSHERC_API pusherc_slice pusherc_auth_app_id(const pusherc_auth_request *request);

/**
 * The channel that is wanted.
 *
 * @param request  not answered yet
 * @return its whole name
 */
PUSHERC_API pusherc_slice pusherc_auth_channel(const pusherc_auth_request *request);

/**
 * What the channel's name has in place of a parameter of the rule's pattern.
 *
 * @param request  not answered yet
 * @param name     "uuid" for "{uuid}"; NUL-terminated
 * @return 1 byte or more; len 0 = the pattern has no such parameter
 */
PUSHERC_API pusherc_slice pusherc_auth_param(const pusherc_auth_request *request, const char *name);

/**
 * Who asks: the user that the connection signed in as (pusher:signin), or else that of its identity.
 *
 * @param request  not answered yet
 * @return the user id; len 0 = anonymous
 */
PUSHERC_API pusherc_slice pusherc_auth_user_id(const pusherc_auth_request *request);

/**
 * One of the connections that ask.
 *
 * @param request  not answered yet
 * @return its socket id; zero when an auth endpoint was asked for one that is not this server's
 */
PUSHERC_API pusherc_socket_id pusherc_auth_socket_id(const pusherc_auth_request *request);

/**
 * What the host attached to the identity of who asks. It lives until the request is answered.
 *
 * @param request  not answered yet
 * @return pusherc_identity.data, or NULL
 */
PUSHERC_API void *pusherc_auth_conn_data(const pusherc_auth_request *request);
/** @} */

/**
 * Grant the channel.
 *
 * @param request  consumed, whatever is returned but ESTATE
 * @param grant    copied; NULL = PUSHERC_GRANT_INIT
 * @return 0, or
 *         PUSHERC_EINVAL     a field of the grant breaks its rule; denied instead
 *         PUSHERC_ENOMEM     denied instead
 *         PUSHERC_ETIMEDOUT  too late: it was denied after auth_timeout_ms
 *         PUSHERC_ECANCELED  nobody waits for it any more
 *         PUSHERC_ESTATE     answered before; noticed while the request is among the last
 *                            PUSHERC_AUTH_KEPT_ANSWERS answered ones of its worker, undefined after that
 *
 * Thread: any, also after the server was freed (ECANCELED). Blocks: no. In callbacks: yes. Owns: the request.
 * Since: 0.1.
 */
PUSHERC_API int pusherc_auth_allow(pusherc_auth_request *request, const pusherc_grant *grant);

/** Answered requests that a worker keeps, so that a second answer can be refused. */
#define PUSHERC_AUTH_KEPT_ANSWERS 256

/**
 * Refuse the channel: the client gets pusher:error and pusher:subscription_error, or the auth endpoint answers
 * with `status`.
 *
 * @param request  consumed
 * @param status   400..499; 0 = 403
 * @param reason   UTF-8, for the client, cut at 120 bytes; NUL-terminated; NULL = "Forbidden"
 * @return as pusherc_auth_allow(); PUSHERC_EINVAL: denied with 403
 *
 * Thread: any. Blocks: no. In callbacks: yes. Owns: the request.
 * Since: 0.1.
 */
PUSHERC_API int pusherc_auth_deny(pusherc_auth_request *request, int status, const char *reason);

/** Which grants a change concerns. PUSHERC_GRANT_MATCH_INIT is every grant of the app. */
typedef struct pusherc_grant_match {
    size_t struct_size;    /**< sizeof(pusherc_grant_match) */
    pusherc_slice user_id; /**< only grants of this user, at most 200 bytes; len 0 = any */
    /** As pusherc_rule.pattern, "tickets.42" or "tickets.{uuid}"; len 0 = any. */
    pusherc_slice channel_pattern;
} pusherc_grant_match;

/* clang-format off */
/** Initialiser of a pusherc_grant_match. */
#define PUSHERC_GRANT_MATCH_INIT { .struct_size = sizeof(pusherc_grant_match) }
/* clang-format on */

/**
 * A re-authorization has ended: `kept` grants stand, `revoked` ones are lost. Called exactly once for each call
 * that returned 0: on a worker thread with no lock held, or while the server stops perhaps on the calling one,
 * before the call returns. Must not block. May call what is marked "In callbacks: yes".
 */
typedef void (*pusherc_reauthorized_fn)(uint64_t kept, uint64_t revoked, void *user_data);

/**
 * The host's facts have changed: ask again for every live grant that matches, and for every question that
 * is under way. A lost grant stops delivery at once on its worker, and on every worker before `done` is
 * called: no event published after that reaches it. Its client gets pusher:subscription_error with status 403,
 * presence members leave. A lost grant is asked again by later calls that match, and resumes with
 * pusher_internal:subscription_succeeded when it is granted again, until the client unsubscribes.
 *
 * @param server     started
 * @param app_id     known app; NUL-terminated
 * @param match      copied; NULL = every grant of the app
 * @param done       may be NULL
 * @param user_data  for `done`
 * @return 0, or (then `done` is not called)
 *         PUSHERC_EINVAL  a NULL server or app_id, a malformed pattern, or the user id is too long
 *         PUSHERC_ENOENT  unknown app
 *         PUSHERC_ESTATE  server not started, or stopped
 *         PUSHERC_ENOMEM  nothing was asked
 *
 * Thread: any. Blocks: no. In callbacks: yes. Owns: nothing.
 * Since: 0.1.
 */
PUSHERC_API int pusherc_reauthorize(pusherc_server *server, const char *app_id,
                                    const pusherc_grant_match *match, pusherc_reauthorized_fn done,
                                    void *user_data);

/**
 * Take one channel away without asking: from one connection, or from every connection of one user. Nothing
 * keeps a client from subscribing anew; where a rule covers the channel it is asked then, signature or not.
 *
 * @param server     started
 * @param app_id     known app; NUL-terminated
 * @param socket_id  the connection; zero = by user
 * @param user_id    with a zero socket_id: whose connections (identity or sign-in)
 * @param channel    the full channel name
 * @param reason     UTF-8, for the client, cut at 120 bytes; NUL-terminated; NULL = "Unsubscribed by the application"
 * @return 0 when handed over, or
 *         PUSHERC_EINVAL  a NULL server or app_id, a bad channel name, a reason that is no UTF-8, neither
 *                         socket nor user id, or the user id is longer than 200 bytes
 *         PUSHERC_ENOENT  unknown app
 *         PUSHERC_ESTATE  server not started, or stopped
 *         PUSHERC_ENOMEM  no connection has lost the channel
 *
 * Thread: any. Blocks: no. In callbacks: yes. Owns: nothing.
 * Since: 0.1.
 */
PUSHERC_API int pusherc_server_unsubscribe(pusherc_server *server, const char *app_id,
                                           pusherc_socket_id socket_id, pusherc_slice user_id,
                                           pusherc_slice channel, const char *reason);

/** Why a subscription, sign-in or connection was refused: for machines. */
typedef enum pusherc_denial_reason {
    PUSHERC_DENIED_BY_RULE = 1,   /**< the host said no */
    PUSHERC_DENIED_NO_RULE,       /**< no rule covers the name, and nothing else may decide */
    PUSHERC_DENIED_TIMEOUT,       /**< the host did not answer in time */
    PUSHERC_DENIED_BAD_SIGNATURE, /**< `detail` is the string that had to be signed */
    PUSHERC_DENIED_NO_SIGNATURE,  /**< the app wants one and there was none */
    PUSHERC_DENIED_NO_USER,       /**< nobody said who joins, or it is another user's channel */
    PUSHERC_DENIED_BAD_NAME,      /**< channel name outside the grammar */
    PUSHERC_DENIED_BAD_MEMBER, /**< channel_data or the grant's member is malformed or too large */
    PUSHERC_DENIED_LIMIT,      /**< a limit of the app */
    PUSHERC_DENIED_REVOKED,    /**< was granted before, and is no more */
    PUSHERC_DENIED_COOKIE_IDENTITY, /**< a cookie decided, and any site may connect: see identify */
    PUSHERC_DENIED_INTERNAL         /**< out of memory */
} pusherc_denial_reason;

/** For the hook on_denied; slices die with it. Never holds secrets or signatures. */
typedef struct pusherc_denial {
    size_t struct_size;           /**< bytes of this struct as the library knows it */
    pusherc_denial_reason reason; /**< why */
    pusherc_slice app_id;         /**< len 0 = the app was not found */
    pusherc_slice channel;        /**< len 0 = the connection or its sign-in */
    pusherc_slice pattern;        /**< of the rule that was asked; len 0 = none */
    pusherc_slice user_id;        /**< len 0 = anonymous */
    pusherc_socket_id socket_id;  /**< zero = there is none yet */
    int status;                   /**< as told to the client: of HTTP, or its pusher:error code */
    pusherc_slice detail;         /**< a sentence, or the string that had to be signed */
} pusherc_denial;

/**
 * The name of a reason, for log lines.
 *
 * @param reason  any number
 * @return "BY_RULE" for PUSHERC_DENIED_BY_RULE, "UNKNOWN" for what is none of ours; static, never NULL
 *
 * Thread: any. Blocks: no. In callbacks: yes. Owns: nothing.
 * Since: 0.1.
 */
PUSHERC_API const char *pusherc_denial_name(pusherc_denial_reason reason);

/**
 * Receives JSON text, which dies on return. Called on the asking thread with no lock held; may call what the
 * caller of pusherc_explain() may.
 */
typedef void (*pusherc_explain_fn)(pusherc_slice json, void *user_data);

/**
 * Tell what would decide about a channel, without asking the host: which patterns were tried, which one
 * wins, its parameters, and what the app's mode makes of it. One JSON object:
 * {"app","channel","name","kind","mode","user_id","tried":[{"pattern","kinds","matches"}],"rule":pattern or
 * null,"params":{},"outcome":"ask rule"|"signature"|"signature or rule"|"public"|"denied","reason":text}.
 *
 * @param server   any state
 * @param app_id   known app; NUL-terminated
 * @param channel  a channel name, valid or not
 * @param user_id  as whom; len 0 = anonymous
 * @param done     called exactly once on success, before this call returns
 * @param user_data  for `done`
 * @return 0, or (then `done` is not called)
 *         PUSHERC_EINVAL  a NULL argument, or a text that is no UTF-8
 *         PUSHERC_ENOENT  unknown app
 *         PUSHERC_ENOMEM
 *
 * Thread: any. Blocks: no. In callbacks: yes. Owns: nothing.
 * Since: 0.1.
 */
PUSHERC_API int pusherc_explain(pusherc_server *server, const char *app_id, pusherc_slice channel,
                                pusherc_slice user_id, pusherc_explain_fn done, void *user_data);

PUSHERC_END_DECLS

#endif /* PUSHERC_AUTH_H */
