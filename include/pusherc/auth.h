/**
 * @file auth.h
 * Authorization by the host's own functions: which user may have which channel, and what each audience sees.
 *
 * A rule is a name pattern and a function. When a client wants a channel whose name matches, the function receives a
 * request object. The host answers it once, now or later, from any thread. A positive answer is a grant. The server
 * stores it with the subscription, lets it expire if the host wishes, and asks for it again when the host says that
 * its facts have changed. docs/authorization.md explains the model on two pages.
 *
 * Unless said otherwise: Thread: any. Blocks: no. In callbacks: yes. Owns: nothing. Since: 0.1.
 */
#ifndef PUSHERC_AUTH_H
#define PUSHERC_AUTH_H

#include <pusherc/error.h>
#include <pusherc/types.h>

PUSHERC_BEGIN_DECLS

/** The question "may this user have this channel?". The host answers it once. */
typedef struct pusherc_auth_request pusherc_auth_request;

/** A positive answer for one connection and one channel. Begin with PUSHERC_GRANT_INIT; copied on allow. */
typedef struct pusherc_grant {
    size_t struct_size; /**< sizeof(pusherc_grant) */
    /** Presence: the user that joins, 1..128 characters of UTF-8; len 0 = the identity's user id. */
    pusherc_slice user_id;
    /** Presence: what other members see, JSON text, at most max_user_info_bytes; len 0 = the identity's. */
    pusherc_slice user_info_json;
    /** Audience of this subscriber, UTF-8, 0..64 bytes; len 0 = none. If the channel's rule renders and
     *  PUSHERC_RULE_MAX_VIEWS others are in use, the client is refused (LIMIT) or loses the grant (REVOKED). */
    pusherc_slice view;
    uint32_t expires_in_ms; /**< after that the rule is asked again; 0 = never */
    uint32_t reserved_;     /**< zero */
} pusherc_grant;

/* clang-format off */
/** Initialiser of a pusherc_grant. */
#define PUSHERC_GRANT_INIT { .struct_size = sizeof(pusherc_grant) }
/* clang-format on */

/**
 * Do what PUSHERC_GRANT_INIT does, for other languages.
 *
 * @param out          overwritten with zeros and its size
 * @param struct_size  sizeof(pusherc_grant) as the caller knows it
 */
PUSHERC_API void pusherc_grant_init(pusherc_grant *out, size_t struct_size);

/**
 * The host's decision. It answers each request exactly once with pusherc_auth_allow() or pusherc_auth_deny(), in the
 * function or later, from any thread, also after the server was freed. After auth_timeout_ms the client is told
 * "denied" without an answer, but only the answer frees the request.
 *
 * Called on a worker thread with no lock held, at the end of the loop turn in which the question arose. Must not
 * block. May call functions marked "In callbacks: yes". While a question waits for its answer, a worker does not ask
 * it again; questions are the same if user and channel are, and those of anonymous clients if the connection is, too.
 */
typedef void (*pusherc_authorize_fn)(pusherc_auth_request *request, void *user_data);

/**
 * As pusherc_authorize_fn, for up to 64 questions of a rule that arose in one loop turn: `count` requests, 1 or more.
 * Each is answered separately. The array is valid until the function returns, the requests until they are answered.
 */
typedef void (*pusherc_authorize_batch_fn)(pusherc_auth_request *const *requests, size_t count,
                                           void *user_data);

/** One event for one audience. Valid only during the call of pusherc_render_fn. */
typedef struct pusherc_render pusherc_render;

/** What an audience sees of an event. */
typedef enum pusherc_render_verdict {
    PUSHERC_RENDER_SAME = 0, /**< the payload as it is */
    PUSHERC_RENDER_REPLACED, /**< the payload that was given to pusherc_render_payload() */
    PUSHERC_RENDER_NOTHING   /**< no event */
} pusherc_render_verdict;

/**
 * Decides what one audience sees of one event. Called once for each view that has subscribers, not for each
 * subscriber, on the publishing thread, with no lock held. Must not block. If a channel's rule has a render function,
 * subscribers without a view get nothing. Any value that is not a verdict counts as NOTHING.
 *
 * Events of publishers and clients come under their names. PUSHERC_RENDER_MEMBER comes with the user_info of a
 * presence member as data; NOTHING then means "{}".
 */
typedef pusherc_render_verdict (*pusherc_render_fn)(pusherc_render *render, void *user_data);

/** Event name under which the user_info of a member is rendered. */
#define PUSHERC_RENDER_MEMBER "pusher_internal:member"

/** @name Reading a render call
 * Slices are valid until the render function returns.
 *
 * Thread: the call's. In callbacks: only this one.
 * @{ */

/**
 * The audience.
 *
 * @param render  of the call
 * @return 1..64 bytes, as in a grant
 */
PUSHERC_API pusherc_slice pusherc_render_view(const pusherc_render *render);

/**
 * The app.
 *
 * @param render  of the call
 * @return its id
 */
PUSHERC_API pusherc_slice pusherc_render_app_id(const pusherc_render *render);

/**
 * The channel.
 *
 * @param render  of the call
 * @return its whole name
 */
PUSHERC_API pusherc_slice pusherc_render_channel(const pusherc_render *render);

/**
 * The event's name.
 *
 * @param render  of the call
 * @return the name, or PUSHERC_RENDER_MEMBER
 */
PUSHERC_API pusherc_slice pusherc_render_event(const pusherc_render *render);

/**
 * The payload as it was published.
 *
 * @param render  of the call
 * @return UTF-8; for PUSHERC_RENDER_MEMBER the user_info, JSON text
 */
PUSHERC_API pusherc_slice pusherc_render_data(const pusherc_render *render);

/**
 * The part of the channel's name that stands for a parameter of the rule's pattern.
 *
 * @param render  of the call
 * @param name    "uuid" for "{uuid}"; NUL-terminated
 * @return 1 byte or more; len 0 = the pattern has no such parameter
 */
PUSHERC_API pusherc_slice pusherc_render_param(const pusherc_render *render, const char *name);
/** @} */

/**
 * Give this view its own payload. Return PUSHERC_RENDER_REPLACED afterwards.
 *
 * @param render  of the call
 * @param data    UTF-8, at most out_hard_bytes / 2; copied. For PUSHERC_RENDER_MEMBER JSON text
 * @return 0, or (then the view gets nothing, whatever the verdict, unless a later call succeeds)
 *         PUSHERC_EINVAL  not UTF-8
 *         PUSHERC_ELIMIT  too long
 *         PUSHERC_ENOMEM
 *
 * Thread: the call's. In callbacks: only this one.
 */
PUSHERC_API int pusherc_render_payload(pusherc_render *render, pusherc_slice data);

/** @name Kinds of channels that a rule covers
 * @{ */
/** Names without a prefix. They need no authorization unless a rule with this kind covers them. */
#define PUSHERC_RULE_PUBLIC 0x1u
/** "private-" */
#define PUSHERC_RULE_PRIVATE 0x2u
/** "presence-" */
#define PUSHERC_RULE_PRESENCE 0x4u
/** "private-encrypted-" */
#define PUSHERC_RULE_ENCRYPTED 0x8u
/** The kinds that always need authorization. */
#define PUSHERC_RULE_DEFAULT (PUSHERC_RULE_PRIVATE | PUSHERC_RULE_PRESENCE | PUSHERC_RULE_ENCRYPTED)
/** @} */

/** Limits of rules. */
enum {
    PUSHERC_RULE_MAX_PARAMS = 8, /**< parameters of one pattern */
    PUSHERC_RULE_MAX_VIEWS =
        32 /**< views of one channel's subscribers at a time, if its rule renders */
};

/** A pattern of channel names, and the functions that decide about them. Begin with PUSHERC_RULE_INIT; copied. */
typedef struct pusherc_rule {
    size_t struct_size; /**< sizeof(pusherc_rule) */
    const char *app_id; /**< NULL = every app */
    /** As in Laravel: "tickets.{uuid}", where {x} stands for one or more characters without a dot. It is compared with
     *  the whole name without "private-", "private-encrypted-", "presence-" and "cache-", and must not begin with one
     *  of these. */
    const char *pattern;
    pusherc_authorize_fn authorize;             /**< this one ... */
    pusherc_authorize_batch_fn authorize_batch; /**< ... or this one, not both */
    /** NULL = all audiences see the same. Not with PUSHERC_RULE_ENCRYPTED: the server cannot read those payloads. */
    pusherc_render_fn render;
    void *user_data; /**< passed to each function */
    /** PUSHERC_RULE_*; 0 = PUSHERC_RULE_DEFAULT, without PUSHERC_RULE_ENCRYPTED if there is a render function. */
    uint32_t kinds;
    /** How long an answer, positive or negative, is used again for the same user and channel; 0 = never. Grants that
     *  expire sooner are not kept. A worker keeps at most 8192 answers. */
    uint32_t cache_ms;
} pusherc_rule;

/* clang-format off */
/** Initialiser of a pusherc_rule. */
#define PUSHERC_RULE_INIT { .struct_size = sizeof(pusherc_rule) }
/* clang-format on */

/**
 * Do what PUSHERC_RULE_INIT does, for other languages.
 *
 * @param out          overwritten with zeros and its size
 * @param struct_size  sizeof(pusherc_rule) as the caller knows it
 */
PUSHERC_API void pusherc_rule_init(pusherc_rule *out, size_t struct_size);

/**
 * Add a rule. If several patterns match a name, the most specific one decides; the order in which they were added
 * does not matter. A rule of the app comes before a rule for every app; then the pattern with fewer parameters, then
 * the one with more literal characters, then the one whose first parameter comes later.
 *
 * @param server  not started
 * @param rule    copied
 * @param info    filled on failure; may be NULL
 * @return 0, or (then nothing has changed)
 *         PUSHERC_EINVAL  an argument is NULL; the pattern is malformed, begins with a prefix such as "private-",
 *                         has a character that no channel name may have, has a parameter twice, or more than
 *                         PUSHERC_RULE_MAX_PARAMS; there is no function, or both; a kind is unknown; there is a render
 *                         function together with PUSHERC_RULE_ENCRYPTED
 *         PUSHERC_EEXIST  another rule of the app covers the same names and shares a kind
 *         PUSHERC_ESTATE  started
 *         PUSHERC_ENOMEM
 *
 * Thread: setup. In callbacks: no.
 * Source: Laravel's channel patterns; docs/authorization.md lists the differences.
 */
PUSHERC_API int pusherc_server_add_rule(pusherc_server *server, const pusherc_rule *rule,
                                        pusherc_errinfo *info);

/** @name Reading an authorization request
 * Slices are borrowed until the request is answered.
 * @{ */

/**
 * The app.
 *
 * @param request  not answered yet
 * @return its id
 */
PUSHERC_API pusherc_slice pusherc_auth_app_id(const pusherc_auth_request *request);

/**
 * The channel that the client wants.
 *
 * @param request  not answered yet
 * @return its whole name
 */
PUSHERC_API pusherc_slice pusherc_auth_channel(const pusherc_auth_request *request);

/**
 * The part of the channel's name that stands for a parameter of the rule's pattern.
 *
 * @param request  not answered yet
 * @param name     "uuid" for "{uuid}"; NUL-terminated
 * @return 1 byte or more; len 0 = the pattern has no such parameter
 */
PUSHERC_API pusherc_slice pusherc_auth_param(const pusherc_auth_request *request, const char *name);

/**
 * The user: the one that the connection signed in as (pusher:signin), otherwise the one of its identity.
 *
 * @param request  not answered yet
 * @return the user id; len 0 = anonymous
 */
PUSHERC_API pusherc_slice pusherc_auth_user_id(const pusherc_auth_request *request);

/**
 * One of the connections that wait for the answer.
 *
 * @param request  not answered yet
 * @return its socket id; zero if an auth endpoint was asked for a connection of another server
 */
PUSHERC_API pusherc_socket_id pusherc_auth_socket_id(const pusherc_auth_request *request);

/**
 * What the host attached to the identity of that connection. It is not freed before the request is answered.
 *
 * @param request  not answered yet
 * @return pusherc_identity.data, or NULL
 */
PUSHERC_API void *pusherc_auth_conn_data(const pusherc_auth_request *request);
/** @} */

/**
 * Grant the channel.
 *
 * @param request  consumed, whatever is returned: do not use it again, as with every request object
 * @param grant    copied; NULL = PUSHERC_GRANT_INIT
 * @return 0, or
 *         PUSHERC_EINVAL     a field of the grant breaks its rule; the channel is denied
 *         PUSHERC_ENOMEM     the channel is denied
 *         PUSHERC_ETIMEDOUT  the channel was denied before, after auth_timeout_ms
 *         PUSHERC_ECANCELED  no client waits for the answer any more, or the server was freed
 *
 * Thread: any, also after the server was freed. Owns: the request.
 */
PUSHERC_API int pusherc_auth_allow(pusherc_auth_request *request, const pusherc_grant *grant);

/**
 * Refuse the channel. The client gets pusher:error and pusher:subscription_error; the auth endpoint answers with
 * `status`.
 *
 * @param request  consumed, whatever is returned
 * @param status   400..499; 0 = 403
 * @param reason   UTF-8, for the client, cut at 120 bytes; NUL-terminated; NULL = "Forbidden"
 * @return as pusherc_auth_allow(); after PUSHERC_EINVAL the channel is denied with 403
 *
 * Owns: the request.
 */
PUSHERC_API int pusherc_auth_deny(pusherc_auth_request *request, int status, const char *reason);

/** Which grants a change concerns. PUSHERC_GRANT_MATCH_INIT matches every grant of the app. */
typedef struct pusherc_grant_match {
    size_t struct_size; /**< sizeof(pusherc_grant_match) */
    /** Only grants of this user, at most 200 bytes; len 0 = any. A connection that the host has identified and that has
     *  signed in as another user is both; who asked an auth endpoint for the channel counts, too. */
    pusherc_slice user_id;
    /** As pusherc_rule.pattern, "tickets.42" or "tickets.{uuid}"; len 0 = any. */
    pusherc_slice channel_pattern;
} pusherc_grant_match;

/* clang-format off */
/** Initialiser of a pusherc_grant_match. */
#define PUSHERC_GRANT_MATCH_INIT { .struct_size = sizeof(pusherc_grant_match) }
/* clang-format on */

/**
 * Do what PUSHERC_GRANT_MATCH_INIT does, for other languages.
 *
 * @param out          overwritten with zeros and its size
 * @param struct_size  sizeof(pusherc_grant_match) as the caller knows it
 */
PUSHERC_API void pusherc_grant_match_init(pusherc_grant_match *out, size_t struct_size);

/**
 * A re-authorization has ended: `kept` grants stand, `revoked` ones are lost. Called exactly once for each call that
 * returned 0, on a worker thread, with no lock held. While the server stops, it may run on the calling thread before
 * the call returns. Must not block. May call functions marked "In callbacks: yes".
 */
typedef void (*pusherc_reauthorized_fn)(uint64_t kept, uint64_t revoked, void *user_data);

/**
 * Ask the rules again, because the host's facts have changed: for every grant that matches, and for every question
 * that waits for its answer. Nothing that is published after this call has returned, by any thread, reaches a client
 * whose grant is revoked, and a client that keeps its grant misses nothing: until its rule has answered, what is
 * published waits on the client's worker, and is then delivered in order or dropped. At most out_hard_bytes wait for
 * one connection; beyond that it is a slow client. Other subscribers do not wait. When the grant names another view,
 * what was published before the answer comes in the view of before, and what is published after `done` in the new one.
 * A client that loses its grant gets pusher:subscription_error with status 403, and leaves if it is a presence member.
 * A revoked grant is asked for again by later calls that match. If it is granted then, the subscription resumes with
 * pusher_internal:subscription_succeeded, unless the client has unsubscribed.
 *
 * @param server     started
 * @param app_id     known app; NUL-terminated
 * @param match      copied; NULL = every grant of the app
 * @param done       may be NULL
 * @param user_data  for `done`
 * @return 0, or (then `done` is not called)
 *         PUSHERC_EINVAL  server or app_id is NULL, the pattern is malformed, or the user id is too long
 *         PUSHERC_ENOENT  unknown app
 *         PUSHERC_ESTATE  not started, or stopped
 *         PUSHERC_ENOMEM  no rule was asked
 */
PUSHERC_API int pusherc_reauthorize(pusherc_server *server, const char *app_id,
                                    const pusherc_grant_match *match, pusherc_reauthorized_fn done,
                                    void *user_data);

/**
 * Unsubscribe one connection, or all connections of one user, from a channel, without asking a rule. Nothing that is
 * published after this call has returned reaches them, until they subscribe again, which they may. If a rule covers
 * the channel, it is asked then, even if the client sends a signature.
 *
 * @param server     started
 * @param app_id     known app; NUL-terminated
 * @param socket_id  the connection; zero = by user
 * @param user_id    if socket_id is zero: the user of the connections, as in pusherc_grant_match
 * @param channel    the whole channel name
 * @param reason     UTF-8, for the client, cut at 120 bytes; NUL-terminated; NULL = "Unsubscribed by the application"
 * @return 0 when handed to the workers, or
 *         PUSHERC_EINVAL  server or app_id is NULL, the channel name is not valid, the reason is not UTF-8, there is
 *                         neither socket nor user id, or the user id is longer than 200 bytes
 *         PUSHERC_ENOENT  unknown app
 *         PUSHERC_ESTATE  not started, or stopped
 *         PUSHERC_ENOMEM  no connection has lost the channel
 */
PUSHERC_API int pusherc_server_unsubscribe(pusherc_server *server, const char *app_id,
                                           pusherc_socket_id socket_id, pusherc_slice user_id,
                                           pusherc_slice channel, const char *reason);

/**
 * Every reason to deny as X(name, value, label, type, text): `label` is the name in metrics, `type` the one that
 * clients get in pusher:subscription_error, `text` the meaning. The enum, pusherc_denial_name() and the metrics
 * are made from this list, and bindings can use it. Values begin with 1, without gaps.
 */
#define PUSHERC_DENIAL_MAP(X)                                                                      \
    X(BY_RULE, 1, "by_rule", "AuthError", "the host said no")                                      \
    X(NO_RULE, 2, "no_rule", "AuthError", "no rule covers the name, and nothing else may decide")  \
    X(TIMEOUT, 3, "timeout", "AuthError", "the host did not answer in time")                       \
    X(BAD_SIGNATURE, 4, "bad_signature", "AuthError",                                              \
      "the signature is wrong; `detail` is the string that had to be signed")                      \
    X(NO_SIGNATURE, 5, "no_signature", "AuthError", "the app requires a signature")                \
    X(NO_USER, 6, "no_user", "AuthError",                                                          \
      "a presence channel without a user, or the channel of another user")                         \
    X(BAD_NAME, 7, "bad_name", "SubscriptionError", "channel name outside the grammar")            \
    X(BAD_MEMBER, 8, "bad_member", "SubscriptionError",                                            \
      "channel_data or the grant's member is malformed or too large")                              \
    X(LIMIT, 9, "limit", "LimitReached", "a limit of the app")                                     \
    X(REVOKED, 10, "revoked", "AuthError",                                                         \
      "the client had the channel and has lost it; `detail` says why")                             \
    X(COOKIE_IDENTITY, 11, "cookie_identity", "AuthError",                                         \
      "the identity comes from a cookie that any site could use: see identify")                    \
    X(INTERNAL, 12, "internal", "SubscriptionError", "out of memory")

/** Why a subscription, sign-in or connection was refused: for machines. PUSHERC_DENIAL_MAP says what each means. */
typedef enum pusherc_denial_reason {
#define PUSHERC_ENUM_(name, value, label, type, text) PUSHERC_DENIED_##name = (value),
    PUSHERC_DENIAL_MAP(PUSHERC_ENUM_)
#undef PUSHERC_ENUM_
} pusherc_denial_reason;

/** For the hook on_denied. Slices are valid until it returns. Never holds secrets or signatures. */
typedef struct pusherc_denial {
    size_t struct_size;           /**< bytes of this struct, as the library knows it */
    pusherc_denial_reason reason; /**< why */
    int status;                   /**< as of HTTP; for a connection its close code */
    pusherc_slice app_id;         /**< len 0 = the app was not found */
    pusherc_slice channel;        /**< len 0 = a connection or a sign-in was refused */
    pusherc_slice pattern;        /**< of the rule that was asked; len 0 = none */
    pusherc_slice user_id;        /**< len 0 = anonymous */
    pusherc_socket_id socket_id;  /**< zero = the connection has no id yet */
    pusherc_slice detail;         /**< a sentence, or the string to be signed */
} pusherc_denial;

/**
 * The name of a reason, for log lines.
 *
 * @param reason  any number
 * @return for example "BY_RULE" for PUSHERC_DENIED_BY_RULE; "UNKNOWN" for other numbers; static, never NULL
 */
PUSHERC_API const char *pusherc_denial_name(pusherc_denial_reason reason);

/**
 * Receives JSON text, valid until the function returns. Called on the asking thread with no lock held. May call
 * whatever the caller of pusherc_explain() may call.
 */
typedef void (*pusherc_explain_fn)(pusherc_slice json, void *user_data);

/**
 * Explain how the server would decide about a channel, without asking the host: the patterns that were tried, the one
 * that wins, its parameters, and the effect of the app's mode. The result is one JSON object:
 * {"app","channel","name","kind","mode","user_id","tried":[{"pattern","kinds","matches"}],"rule":pattern or
 * null,"params":{},"outcome":"ask rule"|"signature"|"signature or rule"|"public"|"denied","reason":text}.
 *
 * @param server   any state
 * @param app_id   known app; NUL-terminated
 * @param channel  a channel name, valid or not
 * @param user_id  the user who asks; len 0 = anonymous
 * @param done     called exactly once on success, before this call returns
 * @param user_data  for `done`
 * @return 0, or (then `done` is not called)
 *         PUSHERC_EINVAL  an argument is NULL, or a text is not UTF-8
 *         PUSHERC_ENOENT  unknown app
 *         PUSHERC_ENOMEM
 *         PUSHERC_ENOSYS  the library was built without explanations, see pusherc_features()
 */
PUSHERC_API int pusherc_explain(pusherc_server *server, const char *app_id, pusherc_slice channel,
                                pusherc_slice user_id, pusherc_explain_fn done, void *user_data);

PUSHERC_END_DECLS

#endif /* PUSHERC_AUTH_H */
