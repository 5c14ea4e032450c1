/**
 * @file log.h
 * Log lines, handed to a function of the host. Without one the library is silent.
 */
#ifndef PUSHERC_LOG_H
#define PUSHERC_LOG_H

#include <pusherc/types.h>

PUSHERC_BEGIN_DECLS

/** How much a line matters: who must act, and how often there are such lines. */
typedef enum pusherc_log_level {
    PUSHERC_LOG_OFF = 0, /**< as an option: PUSHERC_LOG_INFO; for silence leave log_fn NULL */
    PUSHERC_LOG_ERROR,   /**< the operator must act */
    PUSHERC_LOG_WARN,    /**< degraded, and recovers by itself */
    PUSHERC_LOG_INFO,    /**< start, stop, reconfiguration: a few lines a day */
    PUSHERC_LOG_DEBUG,   /**< per connection */
    PUSHERC_LOG_TRACE    /**< per message; payloads are never logged above this level */
} pusherc_log_level;

/** One line. Everything dies when the function it is handed to returns. Secrets are in none, at any level. */
typedef struct pusherc_log_entry {
    size_t struct_size;      /**< bytes of this struct as the library knows it */
    pusherc_log_level level; /**< the line's */
    int line;                /**< in `file` */
    const char *subject;     /**< "net", "tls", "ws", "auth", "api", "fanout" ...; static */
    const char *file;        /**< where in the library's source; static */
    pusherc_slice message;   /**< one line of UTF-8 without control characters, at most 511 bytes */
    pusherc_slice app_id;    /**< whom it is about; len 0 = no app */
    pusherc_socket_id socket_id; /**< whom it is about; zero = no connection */
} pusherc_log_entry;

/**
 * Receives a line of the level asked for or above. A place in the source that repeats itself is cut to 20
 * lines in a second; the next line says how many were left out.
 *
 * Called on the thread where the line arises, several at a time, with no lock of the library held. Must not
 * block. May call what is marked "In callbacks: yes"; a line that such a call causes comes here again.
 */
typedef void (*pusherc_log_fn)(const pusherc_log_entry *entry, void *user_data);

/**
 * A pusherc_log_fn for a start: "2026-01-31T23:59:59.123Z warn  net app=... socket=...: message" on standard
 * error, one write for each line.
 *
 * @param entry      the line
 * @param user_data  not used
 *
 * Thread: any. Blocks: while standard error does. In callbacks: yes. Owns: nothing.
 * Since: 0.1.
 */
PUSHERC_API void pusherc_log_to_stderr(const pusherc_log_entry *entry, void *user_data);

PUSHERC_END_DECLS

#endif /* PUSHERC_LOG_H */
