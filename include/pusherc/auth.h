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

/** The stored positive answer for one connection and one channel. Copied on allow. */
typedef struct pusherc_grant {
    size_t struct_size;
    pusherc_slice user_id;        /**< presence: who joins, 1..128 characters; len 0 = the identity's user id */
    pusherc_slice user_info_json; /**< presence: what other members see, JSON text; len 0 = the identity's */
    pusherc_slice view;           /**< audience of this subscriber, at most 64 bytes; len 0 = none */
    uint32_t expires_in_ms;       /**< then the rule is asked again; 0 = as long as the subscription */
} pusherc_grant;

/* clang-format off */
/** Initialiser of a pusherc_grant. */
#define PUSHERC_GRANT_INIT { .struct_size = sizeof(pusherc_grant) }
/* clang-format on */

/**
 * The host's decision. Leads to exactly one pusherc_auth_allow() or pusherc_auth_deny() per request, here or
 * later, from any thread; a request that is never answered is denied after auth_timeout_ms and its memory
 * stays until the server is freed.
 *
 * Called on a worker thread with no lock held, at the end of the loop turn in which the question arose.
 * The same question in flight (same user, same channel; anonymous: same connection) is asked once.
 */
typedef void (*pusherc_authorize_fn)(pusherc_auth_request *request, void *user_data);

/** The same for all of a rule's questions of one loop turn; each request is answered on its own. */
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
 * Slices die with the call. Thread: the call's. Since: 0.1.
 * @{ */
PUSHERC_API pusherc_slice pusherc_render_view(const pusherc_render *render);
PUSHERC_API pusherc_slice pusherc_render_app_id(const pusherc_render *render);
PUSHERC_API pusherc_slice pusherc_render_channel(const pusherc_render *render);
PUSHERC_API pusherc_slice pusherc_render_event(const pusherc_render *render);
PUSHERC_API pusherc_slice pusherc_render_data(const pusherc_render *render);
/** A parameter of the rule's pattern; len 0 = no such name. */
PUSHERC_API pusherc_slice pusherc_render_param(const pusherc_render *render, const char *name);
/** @} */

/**
 * Give this view a payload of its own; return PUSHERC_RENDER_REPLACED afterwards.
 *
 * @param render  the call's
 * @param data    UTF-8, at most out_hard_bytes / 2; copied
 * @return 0, PUSHERC_EINVAL (no UTF-8), PUSHERC_ELIMIT or PUSHERC_ENOMEM: then the view gets nothing
 *
 * Thread: the call's. Blocks: no. In callbacks: only this one. Owns: nothing.
 * Since: 0.1.
 */
PUSHERC_API int pusherc_render_payload(pusherc_render *render, pusherc_slice data);

/** @name Kinds of channels that a rule covers
 * @{ */
#define PUSHERC_RULE_PUBLIC    0x1u /**< guards names that need no authorization otherwise: must be asked for */
#define PUSHERC_RULE_PRIVATE   0x2u
#define PUSHERC_RULE_PRESENCE  0x4u
#define PUSHERC_RULE_ENCRYPTED 0x8u
#define PUSHERC_RULE_DEFAULT   (PUSHERC_RULE_PRIVATE | PUSHERC_RULE_PRESENCE | PUSHERC_RULE_ENCRYPTED)
/** @} */

/** Parameters that one pattern may have. */
#define PUSHERC_RULE_MAX_PARAMS 8

typedef struct pusherc_rule {
    size_t struct_size;
    const char *app_id;  /**< NULL = every app */
    /** As Laravel writes them: "tickets.{uuid}". Matched against the whole name without its "private-",
     *  "private-encrypted-", "presence-" and "cache-"; {x} is one or more characters without a dot. */
    const char *pattern;
    uint32_t kinds;                             /**< PUSHERC_RULE_*; 0 = PUSHERC_RULE_DEFAULT */
    pusherc_authorize_fn authorize;             /**< this one or authorize_batch */
    pusherc_authorize_batch_fn authorize_batch;
    pusherc_render_fn render;                   /**< NULL = everybody sees the same; not with ENCRYPTED */
    uint32_t cache_ms;                          /**< reuse an answer for the same user and channel; 0 = never */
    void *user_data;                            /**< handed to each */
} pusherc_rule;

/* clang-format off */
/** Initialiser of a pusherc_rule. */
#define PUSHERC_RULE_INIT { .struct_size = sizeof(pusherc_rule) }
/* clang-format on */

/**
 * Add a rule. Where several patterns match a name, the most specific one decides, whatever the order they
 * were added in: fewer parameters first, then more literal characters, then the earlier first parameter;
 * an app's own rule comes before one for every app.
 *
 * @param server  not started
 * @param rule    copied
 * @param info    filled on failure; may be NULL
 * @return 0, or
 *         PUSHERC_EINVAL  the pattern is malformed, has a parameter twice or more than
 *                         PUSHERC_RULE_MAX_PARAMS; no function; render together with PUSHERC_RULE_ENCRYPTED
 *         PUSHERC_EEXIST  the same names of the same app and a kind in common are covered already
 *         PUSHERC_ESTATE  started
 *         PUSHERC_ENOMEM
 *
 * Thread: setup. Blocks: no. Owns: nothing.
 * Since: 0.1.  Source: Laravel's channel patterns; docs/authorization.md tells where we differ.
 */
PUSHERC_API int pusherc_server_add_rule(pusherc_server *server, const pusherc_rule *rule,
                                        pusherc_errinfo *info);

/** @name Reading an authorization request
 * Borrowed until the request is answered; len 0 = absent. Thread: any. Since: 0.1.
 * @{ */
PUSHERC_API pusherc_slice pusherc_auth_app_id(const pusherc_auth_request *request);
PUSHERC_API pusherc_slice pusherc_auth_channel(const pusherc_auth_request *request);
PUSHERC_API pusherc_slice pusherc_auth_param(const pusherc_auth_request *request, const char *name);
/** Who asks: the user id of pusher:signin, or else of the identity. */
PUSHERC_API pusherc_slice pusherc_auth_user_id(const pusherc_auth_request *request);
/** One of the connections that ask; zero when an auth endpoint was asked without one. */
PUSHERC_API pusherc_socket_id pusherc_auth_socket_id(const pusherc_auth_request *request);
/** The identity's `data`; it lives until the request is answered. */
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

/** Which grants a change concerns. Zero = every grant of the app. */
typedef struct pusherc_grant_match {
    size_t struct_size;
    pusherc_slice user_id;         /**< only grants of this user; len 0 = any */
    pusherc_slice channel_pattern; /**< as pusherc_rule.pattern, "tickets.42" or "tickets.{uuid}"; len 0 = any */
} pusherc_grant_match;

/* clang-format off */
/** Initialiser of a pusherc_grant_match. */
#define PUSHERC_GRANT_MATCH_INIT { .struct_size = sizeof(pusherc_grant_match) }
/* clang-format on */

/** A re-authorization has ended. kept and revoked count grants. Called exactly once, on a worker thread. */
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
 *         PUSHERC_EINVAL  a malformed pattern
 *         PUSHERC_ENOENT  unknown app
 *         PUSHERC_ESTATE  not started, or stopped
 *         PUSHERC_ENOMEM  nothing was asked
 *
 * Thread: any. Blocks: no. In callbacks: yes. Owns: nothing.
 * Since: 0.1.
 */
PUSHERC_API int pusherc_reauthorize(pusherc_server *server, const char *app_id,
                                    const pusherc_grant_match *match, pusherc_reauthorized_fn done,
                                    void *user_data);

/**
 * Take one channel away without asking: from one connection, or from every connection of one user.
 *
 * @param server     started
 * @param app_id     known app; NUL-terminated
 * @param socket_id  the connection; zero = by user
 * @param user_id    with a zero socket_id: whose connections (identity or sign-in)
 * @param channel    the full channel name
 * @param reason     UTF-8, for the client, cut at 120 bytes; NUL-terminated; NULL = "Unsubscribed by the application"
 * @return 0 when handed over, or PUSHERC_EINVAL, PUSHERC_ENOENT (unknown app), PUSHERC_ESTATE, PUSHERC_ENOMEM
 *
 * Thread: any. Blocks: no. In callbacks: yes. Owns: nothing.
 * Since: 0.1.
 */
PUSHERC_API int pusherc_server_unsubscribe(pusherc_server *server, const char *app_id,
                                           pusherc_socket_id socket_id, pusherc_slice user_id,
                                           pusherc_slice channel, const char *reason);

/** Why a subscription, sign-in or connection was refused: for machines. */
typedef enum pusherc_denial_reason {
    PUSHERC_DENIED_BY_RULE = 1,      /**< the host said no */
    PUSHERC_DENIED_NO_RULE,          /**< no rule covers the name, and nothing else may decide */
    PUSHERC_DENIED_TIMEOUT,          /**< the host did not answer in time */
    PUSHERC_DENIED_BAD_SIGNATURE,    /**< `detail` is the string that had to be signed */
    PUSHERC_DENIED_NO_SIGNATURE,     /**< the app wants one and there was none */
    PUSHERC_DENIED_NO_USER,          /**< a presence channel, and nobody said who joins */
    PUSHERC_DENIED_BAD_NAME,         /**< channel name outside the grammar, or another user's channel */
    PUSHERC_DENIED_BAD_MEMBER,       /**< channel_data or the grant's member is malformed or too large */
    PUSHERC_DENIED_LIMIT,            /**< a limit of the app */
    PUSHERC_DENIED_REVOKED,          /**< was granted before, and is no more */
    PUSHERC_DENIED_COOKIE_IDENTITY,  /**< a cookie decided, and any site may connect: see identify */
    PUSHERC_DENIED_INTERNAL          /**< out of memory */
} pusherc_denial_reason;

/** For the hook on_denied. Never holds secrets or signatures. */
typedef struct pusherc_denial {
    size_t struct_size;
    pusherc_denial_reason reason;
    pusherc_slice app_id;
    pusherc_slice channel; /**< len 0 = the connection itself */
    pusherc_slice pattern; /**< of the rule that was asked; len 0 = none */
    pusherc_slice user_id; /**< len 0 = anonymous */
    pusherc_socket_id socket_id;
    int status;            /**< as told to the client */
    pusherc_slice detail;  /**< a sentence, or the string that had to be signed */
} pusherc_denial;

/** "BY_RULE"; "UNKNOWN" if there is no such reason. Never NULL. Thread: any. Since: 0.1. */
PUSHERC_API const char *pusherc_denial_name(pusherc_denial_reason reason);

/** Receives JSON text, which dies on return. */
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
 * @return 0, PUSHERC_EINVAL (NULL argument), PUSHERC_ENOENT (unknown app) or PUSHERC_ENOMEM
 *
 * Thread: any. Blocks: no. In callbacks: yes. Owns: nothing.
 * Since: 0.1.
 */
PUSHERC_API int pusherc_explain(pusherc_server *server, const char *app_id, pusherc_slice channel,
                                pusherc_slice user_id, pusherc_explain_fn done, void *user_data);

PUSHERC_END_DECLS

#endif /* PUSHERC_AUTH_H */
