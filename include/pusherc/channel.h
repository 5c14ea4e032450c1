/**
 * @file channel.h
 * Names and kinds of channels; queries of channels and their members.
 *
 * Unless said otherwise: Thread: any. Blocks: no. In callbacks: yes. Owns: nothing. Since: 0.1.
 */
#ifndef PUSHERC_CHANNEL_H
#define PUSHERC_CHANNEL_H

#include <pusherc/error.h>
#include <pusherc/types.h>

PUSHERC_BEGIN_DECLS

/** What the name of a user's own channel begins with; the user's id follows. */
#define PUSHERC_USER_CHANNEL_PREFIX "#server-to-user-"

/**
 * Every kind of channel as X(name, value, prefix, label, cache, auth, client_events): `prefix` begins its names,
 * `label` is the name in metrics; `cache` says whether "cache-" may follow the prefix, for channels that keep their
 * last event; `auth` whether a subscription needs a signature or a rule; `client_events` whether clients may publish.
 * The enum and all code that depends on the kind are made from this list, and bindings can use it. A longer prefix
 * stands before the shorter ones that it begins with, so the public kind is last. Values begin with 0, without gaps.
 */
#define PUSHERC_CHANNEL_KIND_MAP(X)                                                                \
    X(PRIVATE_ENCRYPTED, 2, "private-encrypted-", "private-encrypted", true, true, false)          \
    X(PRIVATE, 1, "private-", "private", true, true, true)                                         \
    X(PRESENCE, 3, "presence-", "presence", true, true, true)                                      \
    X(USER, 4, PUSHERC_USER_CHANNEL_PREFIX, "user", false, false, false)                           \
    X(PUBLIC, 0, "", "public", true, false, false)

/** The kind of a channel, given by its name's prefix: PUSHERC_CHANNEL_PUBLIC for names without any. */
typedef enum pusherc_channel_kind {
#define PUSHERC_ENUM_(name, value, prefix, label, cache, auth, client_events)                      \
    PUSHERC_CHANNEL_##name = (value),
    PUSHERC_CHANNEL_KIND_MAP(PUSHERC_ENUM_)
#undef PUSHERC_ENUM_
} pusherc_channel_kind;

/** One channel at the time of a query. */
typedef struct pusherc_channel_info {
    size_t struct_size;          /**< in lists: bytes of this struct, as the library knows it */
    pusherc_slice name;          /**< with its prefix */
    pusherc_channel_kind kind;   /**< by the prefix */
    bool cache;                  /**< the "cache-" variant of its kind */
    uint8_t reserved_[3];        /**< zero */
    uint64_t subscription_count; /**< 0 = not occupied */
    uint64_t user_count;         /**< distinct members of a presence channel; otherwise 0 */
    /** The counts contain the changes up to this pusherc_channel_event.sequence: who follows on_channel goes on with
     *  larger ones. */
    uint64_t sequence;
} pusherc_channel_info;

/* clang-format off */
/** Initialiser of a pusherc_channel_info that pusherc_get_channel() fills. */
#define PUSHERC_CHANNEL_INFO_INIT { .struct_size = sizeof(pusherc_channel_info) }
/* clang-format on */

/**
 * Do what PUSHERC_CHANNEL_INFO_INIT does, for other languages.
 *
 * @param out          overwritten with zeros and its size
 * @param struct_size  sizeof(pusherc_channel_info) as the caller knows it
 */
PUSHERC_API void pusherc_channel_info_init(pusherc_channel_info *out, size_t struct_size);

/** One user of a presence channel. A user with several connections there is one member. */
typedef struct pusherc_member {
    size_t struct_size;      /**< bytes of this struct, as the library knows it */
    pusherc_slice user_id;   /**< UTF-8, 1 byte or more */
    pusherc_slice info_json; /**< JSON text; "{}" if the member has no user_info */
} pusherc_member;

/** The event that a cache channel keeps. */
typedef struct pusherc_cached_event {
    size_t struct_size; /**< bytes of this struct, as the library knows it */
    pusherc_slice name; /**< of the event */
    pusherc_slice data; /**< as it was published, before any rendering */
    uint64_t ttl_ms;    /**< time until the event is forgotten; 1 or more */
} pusherc_cached_event;

/**
 * Receives the result of a query: `count` items, in no order. Take each by PUSHERC_AT(items, i). The items are valid
 * until the function returns. It is called exactly once for each query that returns 0, before the query returns, on
 * its thread and with no lock held. It may call whatever the caller of the query may call.
 */
typedef void (*pusherc_channels_fn)(const pusherc_channel_info *items, size_t count,
                                    void *user_data);
/** As pusherc_channels_fn. The members are in the order in which they joined. `sequence` as in pusherc_channel_info:
 *  reports of on_channel up to it are contained, those above it are not. */
typedef void (*pusherc_members_fn)(const pusherc_member *items, size_t count, uint64_t sequence,
                                   void *user_data);
/** As pusherc_channels_fn. `event` is NULL if the channel keeps no event. */
typedef void (*pusherc_cached_event_fn)(const pusherc_cached_event *event, void *user_data);

/**
 * Find out the kind of a channel from its name. Needs no server.
 *
 * @param name   1..200 bytes; for a user channel an id of 1..200 bytes after "#server-to-user-"
 * @param kind   filled on success
 * @param cache  filled on success; may be NULL
 * @return 0, or (then nothing is filled)
 *         PUSHERC_EINVAL  `kind` is NULL; the name is empty, too long, or has a character outside
 *                         [-a-zA-Z0-9_=@,.;] (a leading '#' is valid only in "#server-to-user-{id}")
 *
 * Source: Pusher Channels, "channel naming conventions".
 */
PUSHERC_API int pusherc_channel_classify(pusherc_slice name, pusherc_channel_kind *kind,
                                         bool *cache);

/**
 * List the occupied channels of an app, without user channels.
 *
 * @param server  any state
 * @param app_id  known app; NUL-terminated
 * @param prefix  list only names that begin with it; len 0 = all
 * @param done    called exactly once on success, before this call returns, on the calling thread
 * @param user_data  for `done`
 * @return 0, or (then `done` is not called)
 *         PUSHERC_EINVAL  an argument is NULL
 *         PUSHERC_ENOENT  unknown app
 *         PUSHERC_ENOMEM  no memory for the copy
 *
 * Blocks: no, but takes as long as the copy and `done` do.
 */
PUSHERC_API int pusherc_list_channels(pusherc_server *server, const char *app_id,
                                      pusherc_slice prefix, pusherc_channels_fn done,
                                      void *user_data);

/**
 * Look up one channel.
 *
 * @param server  any state
 * @param app_id  known app; NUL-terminated
 * @param name    a valid channel name
 * @param out     begins as PUSHERC_CHANNEL_INFO_INIT; filled on success, `name` points to what the caller gave. The
 *                counts of a channel that is not occupied are zero
 * @return 0, or (then nothing is filled)
 *         PUSHERC_EINVAL  an argument is NULL, the name is not valid, or out->struct_size is wrong
 *         PUSHERC_ENOENT  unknown app
 */
PUSHERC_API int pusherc_get_channel(pusherc_server *server, const char *app_id, pusherc_slice name,
                                    pusherc_channel_info *out);

/**
 * List the distinct members of a presence channel.
 *
 * @param server   any state
 * @param app_id   known app; NUL-terminated
 * @param channel  the name of a presence channel
 * @param done     as in pusherc_list_channels(); count is 0 for a channel that is not occupied
 * @param user_data  for `done`
 * @return 0, or (then `done` is not called)
 *         PUSHERC_EINVAL  an argument is NULL, the name is not valid, or is not that of a presence channel
 *         PUSHERC_ENOENT  unknown app
 *         PUSHERC_ENOMEM  no memory for the copy
 *
 * Blocks: no, but takes as long as the copy and `done` do.
 */
PUSHERC_API int pusherc_list_members(pusherc_server *server, const char *app_id,
                                     pusherc_slice channel, pusherc_members_fn done,
                                     void *user_data);

/**
 * Look at the event that a cache channel keeps for new subscribers.
 *
 * @param server   any state
 * @param app_id   known app; NUL-terminated
 * @param channel  the name of a cache channel, occupied or not
 * @param done     as in pusherc_list_channels(); event is NULL if the channel keeps none
 * @param user_data  for `done`
 * @return 0, or (then `done` is not called)
 *         PUSHERC_EINVAL  an argument is NULL, the name is not valid, or is not that of a cache channel
 *         PUSHERC_ENOENT  unknown app
 *
 * Blocks: no, but takes as long as `done` does.
 * Source: Pusher Channels, "cache channels".
 */
PUSHERC_API int pusherc_get_cached_event(pusherc_server *server, const char *app_id,
                                         pusherc_slice channel, pusherc_cached_event_fn done,
                                         void *user_data);

PUSHERC_END_DECLS

#endif /* PUSHERC_CHANNEL_H */
