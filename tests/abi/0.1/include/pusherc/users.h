/**
 * @file users.h
 * Which users of an app are online, for apps with `user_events`; pusherc_hooks.on_user tells the changes.
 *
 * A user is online while it has a connection, by the answer to `identify` or by a sign-in, or is a member of a presence
 * channel, and for offline_delay_ms after the last of these has ended, so that reloading a page is not seen. A user whose
 * connections the host has closed is offline at once. On several servers that share channels each knows its own clients.
 *
 * Unless said otherwise: Thread: any. Blocks: no. In callbacks: yes. Owns: nothing. Since: 0.1.
 */
#ifndef PUSHERC_USERS_H
#define PUSHERC_USERS_H

#include <pusherc/error.h>
#include <pusherc/types.h>

PUSHERC_BEGIN_DECLS

/** One user at the time of a query. */
typedef struct pusherc_user_info {
    size_t struct_size;    /**< in lists: bytes of this struct, as the library knows it */
    pusherc_slice user_id; /**< UTF-8, 1 byte or more */
    bool online;           /**< as on_user has told last, or is about to tell */
    uint8_t reserved_[3];  /**< zero */
    uint32_t connections;  /**< the user's, by the answer to `identify` or by a sign-in */
    uint32_t channels;     /**< presence channels that the user is a member of */
    uint32_t reserved2_;   /**< zero */
    uint64_t away_ms;      /**< time since the last of these has ended; 0 = the user is there */
    /** pusherc_user_event.sequence of the user's last change. */
    uint64_t sequence;
} pusherc_user_info;

/* clang-format off */
/** Initialiser of a pusherc_user_info that pusherc_get_user() fills. */
#define PUSHERC_USER_INFO_INIT { .struct_size = sizeof(pusherc_user_info) }
/* clang-format on */

/**
 * Do what PUSHERC_USER_INFO_INIT does, for other languages.
 *
 * @param out          overwritten with zeros and its size
 * @param struct_size  sizeof(pusherc_user_info) as the caller knows it
 */
PUSHERC_API void pusherc_user_info_init(pusherc_user_info *out, size_t struct_size);

/** For the hook on_user. */
typedef struct pusherc_user_event {
    size_t struct_size;    /**< bytes of this struct, as the library knows it */
    pusherc_slice app_id;  /**< of the user */
    pusherc_slice user_id; /**< UTF-8, 1 byte or more */
    bool online;           /**< false: the user is offline */
    uint8_t reserved_[7];  /**< zero */
    uint64_t away_ms;      /**< offline: time since the user was there; otherwise 0 */
    /** Grows with every change of a user of the app. Two workers may report at the same time; the larger number is the
     *  later change. */
    uint64_t sequence;
} pusherc_user_event;

/**
 * Receives the users of an app: `count` items, in no order. Take each by PUSHERC_AT(items, i). The items are valid until
 * the function returns. `sequence`: reports of on_user up to it are contained, those above it are not. Called exactly
 * once for each query that returns 0, before the query returns, on its thread and with no lock held. May call whatever
 * the caller of the query may call.
 */
typedef void (*pusherc_users_fn)(const pusherc_user_info *items, size_t count, uint64_t sequence,
                                 void *user_data);

/**
 * List the users of an app that are online. Every member of a presence channel that pusherc_list_members() has returned
 * before is contained, unless it has been removed meanwhile.
 *
 * @param server     any state
 * @param app_id     known app; NUL-terminated
 * @param away_too   also users who are offline and were seen last, at most max_users_seen
 * @param done       called exactly once on success, before this call returns, on the calling thread
 * @param user_data  for `done`
 * @return 0, or (then `done` is not called)
 *         PUSHERC_EINVAL  an argument is NULL
 *         PUSHERC_ENOENT  unknown app
 *         PUSHERC_ENOMEM  no memory for the copy
 *
 * Blocks: no, but takes as long as the copy and `done` do.
 */
PUSHERC_API int pusherc_list_users(pusherc_server *server, const char *app_id, bool away_too,
                                   pusherc_users_fn done, void *user_data);

/**
 * Look up one user.
 *
 * @param server   any state
 * @param app_id   known app; NUL-terminated
 * @param user_id  1 byte or more
 * @param out      begins as PUSHERC_USER_INFO_INIT; filled on success, `user_id` points to what the caller gave
 * @return 0, or (then nothing is filled)
 *         PUSHERC_EINVAL  an argument is NULL, the id is empty, or out->struct_size is wrong
 *         PUSHERC_ENOENT  unknown app, or the user was never seen, or not since max_users_seen others were
 */
PUSHERC_API int pusherc_get_user(pusherc_server *server, const char *app_id, pusherc_slice user_id,
                                 pusherc_user_info *out);

PUSHERC_END_DECLS

#endif /* PUSHERC_USERS_H */
