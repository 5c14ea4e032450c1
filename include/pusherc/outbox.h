/**
 * @file outbox.h
 * An outbox: events that are stored in the caller's own SQLite transaction, and sent after its commit.
 *
 * An event is in the outbox if and only if the transaction was committed, so it is sent if and only if what it tells
 * about has happened, also when the process or the machine dies in between. It is sent at least once. Each event has an
 * idempotency key, which stays with it; so a server of ours (pusher:// and https://) drops what it has already, for
 * idempotency_ms of its options, unless it was restarted.
 *
 * The writing side needs the database only: pusherc_outbox_prepare() once, pusherc_outbox_put() in transactions. The
 * sending side is a pusherc_outbox: a thread that reads the table in the order of the commits, hands the events to a
 * broadcaster, and removes what was accepted. It may be in another process. Have one of them for each database: two send
 * every event twice, with the same key.
 *
 * In a forked child a pusherc_outbox is of no use: pusherc_outbox_wake() and pusherc_outbox_free() do nothing there.
 *
 * `struct sqlite3` is SQLite's connection, of the SQLite that this library uses: the shared library of the system.
 *
 * Unless said otherwise: Thread: any. Blocks: for the database. In callbacks: no. Owns: nothing. Since: 0.1.
 */
#ifndef PUSHERC_OUTBOX_H
#define PUSHERC_OUTBOX_H

#include <pusherc/broadcast.h>

PUSHERC_BEGIN_DECLS

/** SQLite's connection. */
struct sqlite3;

/** The sending side of an outbox. */
typedef struct pusherc_outbox pusherc_outbox;

/**
 * Make the table of an outbox, pusherc_outbox, unless it is there.
 *
 * @param db    the connection of the calling thread
 * @param info  why it failed; may be NULL
 * @return 0, PUSHERC_EINVAL (`db` is NULL), PUSHERC_EIO (the database), or PUSHERC_ENOSYS (built without SQLite)
 */
PUSHERC_API PUSHERC_NODISCARD int pusherc_outbox_prepare(struct sqlite3 *db, pusherc_errinfo *info);

/**
 * Store events in the transaction that is open on `db`; without one each is a transaction of its own.
 *
 * @param db      the connection of the calling thread
 * @param events  count events, checked as pusherc_broadcast() checks them
 * @param count   1 or more
 * @param info    why it failed; may be NULL
 * @return 0, or
 *         PUSHERC_EINVAL  an argument is NULL, or an event breaks a rule; nothing was stored
 *         PUSHERC_EIO     the database: roll the transaction back
 *         PUSHERC_ENOSYS  this library was built without SQLite
 */
PUSHERC_API PUSHERC_NODISCARD int pusherc_outbox_put(struct sqlite3 *db,
                                                     const pusherc_event *events, size_t count,
                                                     pusherc_errinfo *info);

/** Settings of a pusherc_outbox. All of it but `broadcaster` is borrowed until the call returns. */
typedef struct pusherc_outbox_options {
    size_t struct_size; /**< sizeof(pusherc_outbox_options) */
    const char *path; /**< of the database; NUL-terminated. The table is made if it is not there */
    pusherc_broadcaster *broadcaster; /**< sends the events; freed after the outbox */
    /** An event that the carrier refuses. It stays in the table with the reason, in the column `refused`, and is not
     *  sent again unless that column is made NULL and a new outbox begins. Called on the outbox's thread; must not
     *  block. NULL = refusals are counted and logged only. */
    pusherc_broadcast_failed_fn on_refused;
    void *user_data;        /**< for on_refused */
    uint32_t poll_ms;       /**< how often to look without pusherc_outbox_wake(); default 1000 */
    uint32_t max_under_way; /**< events handed to the broadcaster at a time; default 500 */
    uint8_t reserved_[8];   /**< zero */
} pusherc_outbox_options;

/* clang-format off */
/** Initialiser of a pusherc_outbox_options. */
#define PUSHERC_OUTBOX_OPTIONS_INIT { .struct_size = sizeof(pusherc_outbox_options) }
/* clang-format on */

/**
 * Do what PUSHERC_OUTBOX_OPTIONS_INIT does, for other languages.
 *
 * @param out          overwritten with zeros and its size
 * @param struct_size  sizeof(pusherc_outbox_options) as the caller knows it
 *
 * Blocks: no. In callbacks: yes.
 */
PUSHERC_API void pusherc_outbox_options_init(pusherc_outbox_options *out, size_t struct_size);

/**
 * Begin to send what is in the outbox.
 *
 * @param out      the outbox; NULL after a failure
 * @param options  see pusherc_outbox_options
 * @param info     why it failed; may be NULL
 * @return 0, PUSHERC_EINVAL, PUSHERC_ENOMEM, PUSHERC_EIO (the database, or no thread), PUSHERC_ENOSYS
 */
PUSHERC_API PUSHERC_NODISCARD int pusherc_outbox_new(pusherc_outbox **out,
                                                     const pusherc_outbox_options *options,
                                                     pusherc_errinfo *info);

/**
 * There is something new: to be called after a commit with events. Commits of other processes are seen within poll_ms.
 *
 * @param outbox  any
 *
 * Blocks: no. In callbacks: yes.
 */
PUSHERC_API void pusherc_outbox_wake(pusherc_outbox *outbox);

/**
 * Stop sending, and free. Events that are under way stay in the table if the broadcaster does not accept them before it
 * is stopped; they are sent again by the next one.
 *
 * @param outbox  no other thread uses it; NULL is harmless
 *
 * Blocks: until the broadcaster has answered for what is under way, for grace_ms of its options at most; and for the
 * database.
 */
PUSHERC_API void pusherc_outbox_free(pusherc_outbox *outbox);

/** What an outbox has done. */
typedef struct pusherc_outbox_stats {
    size_t struct_size; /**< sizeof(pusherc_outbox_stats) */
    uint64_t waiting;   /**< rows that are not accepted yet, those under way included */
    uint64_t refused;   /**< rows that the carrier refused, of all times */
    uint64_t under_way; /**< of `waiting`, those handed to the broadcaster */
    uint64_t sent;      /**< events accepted since it was made */
    uint64_t
        oldest_ms; /**< how long the oldest of `waiting` has been there, by the clock of the day */
} pusherc_outbox_stats;

/* clang-format off */
/** Initialiser of a pusherc_outbox_stats. */
#define PUSHERC_OUTBOX_STATS_INIT { .struct_size = sizeof(pusherc_outbox_stats) }
/* clang-format on */

/**
 * Do what PUSHERC_OUTBOX_STATS_INIT does, for other languages.
 *
 * @param out          overwritten with zeros and its size
 * @param struct_size  sizeof(pusherc_outbox_stats) as the caller knows it
 *
 * Blocks: no. In callbacks: yes.
 */
PUSHERC_API void pusherc_outbox_stats_init(pusherc_outbox_stats *out, size_t struct_size);

/**
 * Read the figures of the last look at the table.
 *
 * @param outbox  any
 * @param out     filled up to its struct_size
 * @return 0, PUSHERC_EINVAL, or PUSHERC_ESTATE in a forked child
 *
 * Blocks: no. In callbacks: yes.
 */
PUSHERC_API int pusherc_outbox_read_stats(pusherc_outbox *outbox, pusherc_outbox_stats *out);

PUSHERC_END_DECLS

#endif /* PUSHERC_OUTBOX_H */
