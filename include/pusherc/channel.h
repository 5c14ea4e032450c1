/**
 * @file channel.h
 * Channel names and kinds; asking which channels and members there are.
 */
#ifndef PUSHERC_CHANNEL_H
#define PUSHERC_CHANNEL_H

#include <stdbool.h>

#include <pusherc/error.h>
#include <pusherc/types.h>

PUSHERC_BEGIN_DECLS

/** What the name of a user's own channel begins with; the user's id follows. */
#define PUSHERC_USER_CHANNEL_PREFIX "#server-to-user-"

/**
 * Every kind of channel as X(name, value, prefix, label, cache, auth, client_events): `prefix` begins its names,
 * `label` is the name in metrics; `cache` says whether "cache-" may follow the prefix, for channels that keep their
 * last event; `auth` whether a subscription needs a signature or a rule; `client_events` whether clients may publish.
 * The enum and everything that goes by prefix are made of this list; bindings can be, too. A prefix stands before
 * the shorter ones that it begins with, so the public kind is the last. Values begin with 0 and leave no gap.
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

/** One channel as a query found it. */
typedef struct pusherc_channel_info {
    size_t struct_size;          /**< bytes of this struct as the library knows it */
    pusherc_slice name;          /**< with its prefix */
    pusherc_channel_kind kind;   /**< by the prefix */
    bool cache;                  /**< a "cache-" variant of its kind */
    uint8_t reserved_[3];        /**< zero */
    uint64_t subscription_count; /**< 0 = not occupied */
    uint64_t user_count;         /**< distinct members; presence only, else 0 */
} pusherc_channel_info;

/* clang-format off */
/** To be filled in by pusherc_get_channel(). */
#define PUSHERC_CHANNEL_INFO_INIT { .struct_size = sizeof(pusherc_channel_info) }
/* clang-format on */

/**
 * PUSHERC_CHANNEL_INFO_INIT as a function, for other languages.
 *
 * @param out          overwritten with zeros and its size
 * @param struct_size  sizeof(pusherc_channel_info) as the caller knows it
 *
 * Thread: any. Blocks: no. In callbacks: yes. Owns: nothing.
 * Since: 0.1.
 */
PUSHERC_API void pusherc_channel_info_init(pusherc_channel_info *out, size_t struct_size);

/** One user of a presence channel, however many connections it has there. */
typedef struct pusherc_member {
    size_t struct_size;      /**< bytes of this struct as the library knows it */
    pusherc_slice user_id;   /**< 1 byte or more of any UTF-8 */
    pusherc_slice info_json; /**< JSON text; "{}" if the member brought none */
} pusherc_member;

/** What a cache channel keeps. */
typedef struct pusherc_cached_event {
    size_t struct_size; /**< bytes of this struct as the library knows it */
    pusherc_slice name; /**< the event's */
    pusherc_slice data; /**< as it was published, before any rendering */
    uint64_t ttl_ms;    /**< until it is forgotten; 1 or more */
} pusherc_cached_event;

/**
 * Receives what a query found: `count` items, in no order, which die on return. Called exactly once for each
 * query that returns 0, before that returns, on its thread and with no lock held; may call what the caller of
 * the query may.
 */
typedef void (*pusherc_channels_fn)(const pusherc_channel_info *items, size_t count,
                                    void *user_data);
/** As pusherc_channels_fn; the members in the order they came. */
typedef void (*pusherc_members_fn)(const pusherc_member *items, size_t count, void *user_data);
/** As pusherc_channels_fn; `event` NULL: nothing is kept. */
typedef void (*pusherc_cached_event_fn)(const pusherc_cached_event *event, void *user_data);

/**
 * Tell a channel name's kind. Needs no server.
 *
 * @param name   1..200 bytes; a user channel: an id of 1..200 bytes after "#server-to-user-"
 * @param kind   filled on success
 * @param cache  filled on success; may be NULL
 * @return 0, or (then nothing is filled)
 *         PUSHERC_EINVAL  `kind` is NULL; the name is empty, too long, or has a character outside
 *                         [-a-zA-Z0-9_=@,.;] (a leading '#' is taken only in "#server-to-user-{id}")
 *
 * Thread: any. Blocks: no. In callbacks: yes. Owns: nothing.
 * Since: 0.1.  Source: Pusher Channels, "channel naming conventions".
 */
PUSHERC_API int pusherc_channel_classify(pusherc_slice name, pusherc_channel_kind *kind,
                                         bool *cache);

/**
 * List the occupied channels of an app, user channels left out.
 *
 * @param server  any state
 * @param app_id  known app; NUL-terminated
 * @param prefix  only names that start with it; len 0 = all
 * @param done    called exactly once on success, before this call returns, on the calling thread
 * @param user_data  for `done`
 * @return 0, or (then `done` is not called)
 *         PUSHERC_EINVAL  a NULL argument
 *         PUSHERC_ENOENT  unknown app
 *         PUSHERC_ENOMEM  no memory for the copy
 *
 * Thread: any. Blocks: no, but takes as long as the copy and `done` do. In callbacks: yes. Owns: nothing.
 * Since: 0.1.
 */
PUSHERC_API int pusherc_list_channels(pusherc_server *server, const char *app_id,
                                      pusherc_slice prefix, pusherc_channels_fn done,
                                      void *user_data);

/**
 * Look one channel up.
 *
 * @param server  any state
 * @param app_id  known app; NUL-terminated
 * @param name    a valid channel name
 * @param out     filled on success, with `name` as given; an unoccupied channel has zero counts
 * @return 0, or (then nothing is filled)
 *         PUSHERC_EINVAL  a NULL argument or a bad name
 *         PUSHERC_ENOENT  unknown app
 *
 * Thread: any. Blocks: no. In callbacks: yes. Owns: nothing.
 * Since: 0.1.
 */
PUSHERC_API int pusherc_get_channel(pusherc_server *server, const char *app_id, pusherc_slice name,
                                    pusherc_channel_info *out);

/**
 * List the distinct members of a presence channel.
 *
 * @param server   any state
 * @param app_id   known app; NUL-terminated
 * @param channel  a presence channel's name
 * @param done     as in pusherc_list_channels(); count 0 for an unoccupied channel
 * @param user_data  for `done`
 * @return 0, or (then `done` is not called)
 *         PUSHERC_EINVAL  a NULL argument, a bad name, or no presence channel
 *         PUSHERC_ENOENT  unknown app
 *         PUSHERC_ENOMEM  no memory for the copy
 *
 * Thread: any. Blocks: no, but takes as long as the copy and `done` do. In callbacks: yes. Owns: nothing.
 * Since: 0.1.
 */
PUSHERC_API int pusherc_list_members(pusherc_server *server, const char *app_id,
                                     pusherc_slice channel, pusherc_members_fn done,
                                     void *user_data);

/**
 * Look at the event that a cache channel keeps for newcomers.
 *
 * @param server   any state
 * @param app_id   known app; NUL-terminated
 * @param channel  a cache channel's name, occupied or not
 * @param done     as in pusherc_list_channels(); event NULL when nothing is kept
 * @param user_data  for `done`
 * @return 0, or (then `done` is not called)
 *         PUSHERC_EINVAL  a NULL argument, a bad name, or no cache channel
 *         PUSHERC_ENOENT  unknown app
 *
 * Thread: any. Blocks: no, but takes as long as `done` does. In callbacks: yes. Owns: nothing.
 * Since: 0.1.  Source: Pusher Channels, "cache channels".
 */
PUSHERC_API int pusherc_get_cached_event(pusherc_server *server, const char *app_id,
                                         pusherc_slice channel, pusherc_cached_event_fn done,
                                         void *user_data);

PUSHERC_END_DECLS

#endif /* PUSHERC_CHANNEL_H */
