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
 * Decides what one audience sees of one event; pusherc_redaction does without a function. Called once for each view
 * that has subscribers, not for each subscriber, on the publishing thread, with no lock held. Must not block. If a channel's rule has a render function,
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

/** Kinds of channels that a rule covers: bits of pusherc_rule.kinds. */
enum {
    /** Names without a prefix. They need no authorization unless a rule with this kind covers them. */
    PUSHERC_RULE_PUBLIC = 0x1,
    PUSHERC_RULE_PRIVATE = 0x2,   /**< "private-" */
    PUSHERC_RULE_PRESENCE = 0x4,  /**< "presence-" */
    PUSHERC_RULE_ENCRYPTED = 0x8, /**< "private-encrypted-" */
    /** The kinds that always need authorization. */
    PUSHERC_RULE_DEFAULT = PUSHERC_RULE_PRIVATE | PUSHERC_RULE_PRESENCE | PUSHERC_RULE_ENCRYPTED
};

/** Limits of rules. */
enum {
    PUSHERC_RULE_MAX_PARAMS = 8, /**< parameters of one pattern */
    PUSHERC_RULE_MAX_VIEWS =
        32 /**< views of one channel's subscribers at a time, if its rule renders */
};

/**
 * What the audience of one view does not see, without a function: for hosts that no function can be called in. Begin with
 * PUSHERC_REDACTION_INIT. As with a render function it works once for each event and view, for events of any origin and
 * for the user_info of presence members; a subscriber without a view, or with one that is not listed, gets nothing.
 */
typedef struct pusherc_redaction {
    size_t struct_size; /**< sizeof(pusherc_redaction) */
    pusherc_slice view; /**< 1..64 bytes, as in a grant */
    /** Members that are left out of a payload that is a JSON object, if it has them. Each is the name of a member of the
     *  object, "note", or a JSON pointer to one further inside, "/customer/email"; an array on the way stands for each of
     *  its items, so "/items/price" is the price of each item. 1..200 bytes. A view gets nothing of a payload that is no
     *  JSON object, and "{}" instead of such a user_info. */
    const pusherc_slice *members;
    size_t member_count;  /**< 0..64; 0 = the view sees everything */
    bool nothing;         /**< no event at all, and "{}" as a user_info; not with members */
    uint8_t reserved_[7]; /**< zero */
} pusherc_redaction;

/* clang-format off */
/** Initialiser of a pusherc_redaction. */
#define PUSHERC_REDACTION_INIT { .struct_size = sizeof(pusherc_redaction) }
/* clang-format on */

/**
 * Do what PUSHERC_REDACTION_INIT does, for other languages.
 *
 * @param out          overwritten with zeros and its size
 * @param struct_size  sizeof(pusherc_redaction) as the caller knows it
 */
PUSHERC_API void pusherc_redaction_init(pusherc_redaction *out, size_t struct_size);

/** A pattern of channel names, and the functions that decide about them. Begin with PUSHERC_RULE_INIT; copied. */
typedef struct pusherc_rule {
    size_t struct_size; /**< sizeof(pusherc_rule) */
    const char *app_id; /**< NULL = every app */
    /** As in Laravel: "tickets.{uuid}", where {x} stands for one or more characters without a dot. It is compared with
     *  the whole name without "private-", "private-encrypted-", "presence-" and "cache-", and must not begin with one
     *  of these. As the only parameter, at the end, {x...} stands for one or more characters with dots: "shop.{rest...}",
     *  or "{name...}" for a host that has a matcher of its own. */
    const char *pattern;
    pusherc_authorize_fn authorize;             /**< this one ... */
    pusherc_authorize_batch_fn authorize_batch; /**< ... or this one, or `inbox`; not two of them */
    /** NULL = all audiences see the same. Not with PUSHERC_RULE_ENCRYPTED: the server cannot read those payloads. */
    pusherc_render_fn render;
    void *user_data; /**< passed to each function */
    /** PUSHERC_RULE_*; 0 = PUSHERC_RULE_DEFAULT, without PUSHERC_RULE_ENCRYPTED if the rule renders. */
    uint32_t kinds;
    /** How long an answer, positive or negative, is used again for the same user and channel; 0 = never. Grants that
     *  expire sooner are not kept. A worker keeps at most 8192 answers. */
    uint32_t cache_ms;
    /** Called with user_data, even if that is NULL, when the rule is gone and none of its functions runs any more: it
     *  was removed or replaced, or the server was freed. Requests may still be unanswered then. NULL = nothing to free. */
    pusherc_free_fn free_user_data;
    /** authorize_batch only: how long a question waits for others of this rule, which are then asked in the same call;
     *  0..1000; default 2, PUSHERC_NO_DELAY = not at all. A full call comes at once. */
    uint32_t gather_ms;
    /** Takes the place of rules of the app that cover the same names and share a kind, instead of EEXIST; default
     *  false. There is no moment without a rule. */
    bool replaces;
    uint8_t reserved_[3]; /**< zero */
    /** For presence channels that the rule covers, in every auth mode: as pusherc_app_options.presence_grace_ms;
     *  0 = the app's, PUSHERC_NO_DELAY = none. */
    uint32_t presence_grace_ms;
    uint32_t reserved2_; /**< zero */
    /** What each view does not see, instead of `render`: redaction_count of them, of different views. NULL = none. */
    const pusherc_redaction *redactions;
    size_t redaction_count; /**< 0..PUSHERC_RULE_MAX_VIEWS */
    /** In place of authorize and authorize_batch: the questions are put into pusherc_server_options.inbox. */
    bool inbox;
    uint8_t reserved3_[7]; /**< zero */
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
 * does not matter. A rule of the app comes before a rule for every app; then a pattern without {x...} before one with
 * it, then the pattern with fewer parameters, then the one with more literal characters, then the one whose first
 * parameter comes later.
 *
 * A rule may be added while the server runs, unless it renders, or shares names with a rule that does: what audiences
 * see of a channel stays. From this call's return on, each question goes to the rule that then decides about the name;
 * answers that were kept are forgotten, and a question that waits for the answer of another rule is asked again. Grants
 * stay until they are asked for again: call pusherc_reauthorize(). Clients that have subscribed to names which no rule
 * covered have no grant, and keep their channels.
 *
 * @param server  not stopped
 * @param rule    copied
 * @param info    filled on failure; may be NULL
 * @return 0, or (then nothing has changed, and user_data is the caller's)
 *         PUSHERC_EINVAL  an argument is NULL; the pattern is malformed, begins with a prefix such as "private-",
 *                         has a character that no channel name may have, has a parameter twice, or more than
 *                         PUSHERC_RULE_MAX_PARAMS; there is no function, or both, or one beside
 *                         `inbox`, or `inbox` without an inbox of the server; a kind is unknown; there is a render
 *                         function or a redaction together with PUSHERC_RULE_ENCRYPTED, or with each other; a
 *                         redaction breaks a rule above, or two are of one view
 *         PUSHERC_EEXIST  another rule of the app covers the same names and shares a kind; see `replaces`
 *         PUSHERC_ESTATE  started, and the rule renders, or shares names with one that does; or stopped
 *         PUSHERC_ENOMEM
 *
 * Thread: setup; any, once the server is started.
 * Source: Laravel's channel patterns; docs/authorization.md lists the differences.
 */
PUSHERC_API int pusherc_server_add_rule(pusherc_server *server, const pusherc_rule *rule,
                                        pusherc_errinfo *info);

/**
 * Remove the rules with this pattern, of all kinds. The rule that then decides about a name is asked from this call's
 * return on. Where none does, the app's mode decides about a subscribe (docs/authorization.md), a public name is open,
 * and a grant is lost when it is asked for again (NO_RULE): call pusherc_reauthorize() to have that at once.
 *
 * @param server   not stopped
 * @param app_id   pusherc_rule.app_id as it was added; NUL-terminated; NULL = the rule is for every app
 * @param pattern  pusherc_rule.pattern as it was added; NUL-terminated
 * @param info     filled on failure; may be NULL
 * @return 0, or (then nothing has changed)
 *         PUSHERC_EINVAL  server or pattern is NULL
 *         PUSHERC_ENOENT  there is no such rule
 *         PUSHERC_ESTATE  started, and the rule renders, or shares names with one that does; or stopped
 *         PUSHERC_ENOMEM
 *
 * Thread: setup; any, once the server is started.
 */
PUSHERC_API int pusherc_server_remove_rule(pusherc_server *server, const char *app_id,
                                           const char *pattern, pusherc_errinfo *info);

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
 * The question's number, for pusherc_hooks.on_abandoned.
 *
 * @param request  not answered yet
 * @return 1 or more, unique among the questions of the server, or of its inbox
 */
PUSHERC_API uint64_t pusherc_auth_question(const pusherc_auth_request *request);

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
 * If the client has no user, the rule is asked again when it signs in, and a yes then subscribes it. 401 says that a
 * user is what is missing (NO_USER): the client is told to sign in first, and gets pusher:subscription_error only if it
 * has not signed in after signin_wait_ms.
 *
 * @param request  consumed, whatever is returned
 * @param status   400..499; 0 = 403
 * @param reason   UTF-8, for the client, cut at 120 bytes; NUL-terminated; NULL = "Forbidden", or "A user is required"
 *                 with 401 for a client without a user
 * @return as pusherc_auth_allow(); after PUSHERC_EINVAL the channel is denied with 403
 *
 * Owns: the request.
 */
PUSHERC_API int pusherc_auth_deny(pusherc_auth_request *request, int status, const char *reason);

/** Which grants a change concerns. PUSHERC_GRANT_MATCH_INIT matches every grant of the app. */
typedef struct pusherc_grant_match {
    size_t struct_size; /**< sizeof(pusherc_grant_match) */
    /** Only grants of this user, at most 200 bytes; len 0 = any. A connection that the host has identified and that has
     *  signed in as another user is both; who asked an auth endpoint for the channel counts, too, and so does the user
     *  as whom the client has joined a presence channel by a signature of the application. */
    pusherc_slice user_id;
    /** As pusherc_rule.pattern, "tickets.42" or "tickets.{uuid}"; len 0 = any. */
    pusherc_slice channel_pattern;
    /** Grants that fit this match count as well, and so on; NULL = there is no other. A grant that fits several is
     *  asked for once. At most PUSHERC_MAX_GRANT_MATCHES of them. */
    const struct pusherc_grant_match *next;
    pusherc_socket_id socket_id; /**< only grants of this connection; zero = any */
    bool anonymous; /**< only grants of clients without a user; then no user_id; default false */
    uint8_t reserved_[7]; /**< zero */
} pusherc_grant_match;

/** Limits of re-authorization. */
enum {
    PUSHERC_MAX_GRANT_MATCHES = 100 /**< matches of one call, linked by `next` */
};

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
 * the call returns. Must not block. May call functions marked "In callbacks: yes". On a linked server (pusherc/cluster.h)
 * these are the sums of all nodes that have answered, which is all that are live, or all that did so in 5 seconds.
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
 * Linked servers ask as well (pusherc/cluster.h). For their clients that promise begins with `done`, which waits for them.
 *
 * @param server     started
 * @param app_id     known app; NUL-terminated
 * @param match      copied, with those behind it; NULL = every grant of the app
 * @param done       may be NULL; then the result is a message (REAUTHORIZED), if the server puts such
 * @param user_data  for `done`
 * @return 0, or (then `done` is not called)
 *         PUSHERC_EINVAL  server or app_id is NULL, a pattern is malformed, a user id is too long or stands beside
 *                         `anonymous`, or there are more than PUSHERC_MAX_GRANT_MATCHES
 *         PUSHERC_ENOENT  unknown app
 *         PUSHERC_ESTATE  not started, or stopped
 *         PUSHERC_ENOMEM  no rule was asked
 */
PUSHERC_API int pusherc_reauthorize(pusherc_server *server, const char *app_id,
                                    const pusherc_grant_match *match, pusherc_reauthorized_fn done,
                                    void *user_data);

/**
 * Do what pusherc_reauthorize() does, and wait until it has ended.
 *
 * @param server      started
 * @param app_id      known app; NUL-terminated
 * @param match       as there
 * @param timeout_ms  how long to wait at most; UINT32_MAX = as long as it takes, which auth_timeout_ms bounds for rules
 * @param kept        how many grants stand; may be NULL; filled on success
 * @param revoked     how many are lost; may be NULL; filled on success
 * @return 0, or
 *         PUSHERC_EINVAL, PUSHERC_ENOENT, PUSHERC_ENOMEM  as pusherc_reauthorize()
 *         PUSHERC_ETIMEDOUT  timeout_ms are over, or of several linked servers one did not answer in time; the
 *                            re-authorization goes on, with all that it promises
 *         PUSHERC_ESTATE     not started, or stopped; or called from a callback, or by the thread that runs the loop or
 *                            polls: the rules are asked on that thread, so no rule was asked
 *
 * Blocks: at most timeout_ms. In callbacks: no.
 */
PUSHERC_API int pusherc_reauthorize_wait(pusherc_server *server, const char *app_id,
                                         const pusherc_grant_match *match, uint32_t timeout_ms,
                                         uint64_t *kept, uint64_t *revoked);

/**
 * Unsubscribe one connection, or all connections of one user, from a channel, without asking a rule. Nothing that is
 * published after this call has returned reaches them, until they subscribe again, which they may. If a rule covers
 * the channel, it is asked then, even if the client sends a signature. Linked servers do the same as soon as they hear of
 * it.
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
      "a rule's 401, or a presence channel, without a user; or another user's channel")            \
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
