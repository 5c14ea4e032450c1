/**
 * @file history.h
 * The past of channels: the last events of a channel are kept for clients that were away, and for the host.
 *
 * An app lists patterns of channel names in pusherc_app_options.history, each with bounds. Every event that is published
 * to such a channel carries an id, and a client that subscribes again and hands over the last id it has seen gets what
 * it has missed: docs/history.md. Client events are neither numbered nor kept. Each server keeps a history of its own.
 *
 * Unless said otherwise: Thread: any. Blocks: no. In callbacks: yes. Owns: nothing. Since: 0.1.
 */
#ifndef PUSHERC_HISTORY_H
#define PUSHERC_HISTORY_H

#include <pusherc/error.h>
#include <pusherc/types.h>

PUSHERC_BEGIN_DECLS

/** Limits of histories. */
enum {
    PUSHERC_MAX_HISTORY_PATTERNS = 32 /**< of one app */
};

/** Channels that have a history. All of it is borrowed until the call that takes it returns. */
typedef struct pusherc_history_pattern {
    size_t struct_size; /**< sizeof(pusherc_history_pattern) */
    /** Names, as in pusherc_rule.pattern: "orders.{id}", "shop.{rest...}". The first one that matches counts. */
    const char *pattern;
    uint32_t max_events; /**< of one channel; 0 = 100 */
    /** Memory of one channel's events, in which each counts some 100 bytes more than its name and data; 0 = 1 MiB. */
    uint32_t max_bytes;
    uint32_t max_age_s; /**< how long an event is kept; 0 = 120 */
    uint32_t reserved_; /**< zero */
} pusherc_history_pattern;

/* clang-format off */
/** Initialiser of a pusherc_history_pattern. */
#define PUSHERC_HISTORY_PATTERN_INIT { .struct_size = sizeof(pusherc_history_pattern) }
/* clang-format on */

/**
 * Do what PUSHERC_HISTORY_PATTERN_INIT does, for other languages.
 *
 * @param out          overwritten with zeros and its size
 * @param struct_size  sizeof(pusherc_history_pattern) as the caller knows it
 */
PUSHERC_API void pusherc_history_pattern_init(pusherc_history_pattern *out, size_t struct_size);

/** An event that is kept. */
typedef struct pusherc_past_event {
    size_t struct_size; /**< sizeof(pusherc_past_event) as the library knows it */
    pusherc_slice id;   /**< the `event_id` of clients */
    pusherc_slice name; /**< as published */
    pusherc_slice data; /**< as published: before it is rendered for an audience */
    uint64_t age_ms;    /**< since it was published */
} pusherc_past_event;

/**
 * Receives the events, oldest first; count may be 0. `complete`: no event between `after` and the first one is missing.
 * `position` is an id to ask with next time. It is called once, before pusherc_history() returns, on its thread, may
 * call whatever that may call, and everything is valid until it returns.
 */
typedef void (*pusherc_history_fn)(const pusherc_past_event *events, size_t count, bool complete,
                                   pusherc_slice position, void *user_data);

/**
 * Read the events that a channel keeps.
 *
 * @param server     any state
 * @param app_id     known app; NUL-terminated
 * @param channel    a valid name that a pattern of the app matches
 * @param after      only later events: the id of an event, or an earlier `position`; len 0 = all that are kept, and
 *                   they count as complete. An id that this server has not given is no error: all events follow,
 *                   incomplete
 * @param done       called once on success
 * @param user_data  for `done`
 * @return 0, or (then `done` was not called)
 *         PUSHERC_EINVAL  an argument is NULL, or the name is not valid
 *         PUSHERC_ENOENT  unknown app, or no pattern of the app matches the channel
 *         PUSHERC_ENOMEM
 */
PUSHERC_API int pusherc_history(pusherc_server *server, const char *app_id, pusherc_slice channel,
                                pusherc_slice after, pusherc_history_fn done, void *user_data);

PUSHERC_END_DECLS

#endif /* PUSHERC_HISTORY_H */
