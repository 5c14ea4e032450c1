/**
 * @file log.h
 * Log lines, handed to a function of the host. Without such a function the library is silent.
 *
 * Unless said otherwise: Thread: any. Blocks: no. In callbacks: yes. Owns: nothing. Since: 0.1.
 */
#ifndef PUSHERC_LOG_H
#define PUSHERC_LOG_H

#include <pusherc/types.h>

PUSHERC_BEGIN_DECLS

/** How important a line is: who must act, and how often such lines come. */
typedef enum pusherc_log_level {
    PUSHERC_LOG_OFF =
        0,             /**< as an option it means PUSHERC_LOG_INFO; for silence leave log_fn NULL */
    PUSHERC_LOG_ERROR, /**< the operator must act */
    PUSHERC_LOG_WARN,  /**< the server is degraded and recovers by itself */
    PUSHERC_LOG_INFO,  /**< start, stop, new settings: a few lines a day */
    PUSHERC_LOG_DEBUG, /**< lines for each connection */
    PUSHERC_LOG_TRACE  /**< lines for each message; only this level logs payloads */
} pusherc_log_level;

/** One line. All of it is valid until the host's function returns. It never holds a secret, at any level. */
typedef struct pusherc_log_entry {
    size_t struct_size;      /**< bytes of this struct, as the library knows it */
    pusherc_log_level level; /**< how important the line is */
    int line;                /**< in `file` */
    const char *subject;     /**< "net", "tls", "ws", "auth", "api", "fanout" ...; static */
    const char *file;        /**< the library's source file; static */
    pusherc_slice
        message; /**< one line of UTF-8 without control characters, also of the direction of text, at most 511 bytes */
    pusherc_slice app_id;        /**< the app that the line is about; len 0 = none */
    pusherc_socket_id socket_id; /**< the connection that the line is about; zero = none */
} pusherc_log_entry;

/**
 * Receives each line of the chosen level or a more important one. A place in the source logs at most 20 lines a
 * second, and lines that strangers can cause at will, each kind by itself, once in ten seconds unless the level is
 * PUSHERC_LOG_DEBUG; its next line says how many were left out.
 *
 * Called on the thread that logs, on several threads at the same time, with no lock of the library held. Must not
 * block. May call functions marked "In callbacks: yes"; if these log, the function is called again.
 */
typedef void (*pusherc_log_fn)(const pusherc_log_entry *entry, void *user_data);

/**
 * A pusherc_log_fn to begin with. It writes "2026-01-31T23:59:59.123Z warn  net app=... socket=...: message" to
 * standard error, each line in one write.
 *
 * @param entry      the line
 * @param user_data  not used
 *
 * Blocks: while standard error does.
 */
PUSHERC_API void pusherc_log_to_stderr(const pusherc_log_entry *entry, void *user_data);

/**
 * As pusherc_log_to_stderr(), for programs that gather log lines. Each line is a JSON object:
 * {"time":"2026-01-31T23:59:59.123Z","level":"warn","subject":"net","app":"...","socket_id":"...","message":"..."};
 * `app` and `socket_id` are there if the line is about one.
 *
 * @param entry      the line
 * @param user_data  not used
 *
 * Blocks: while standard error does.
 */
PUSHERC_API void pusherc_log_json_to_stderr(const pusherc_log_entry *entry, void *user_data);

PUSHERC_END_DECLS

#endif /* PUSHERC_LOG_H */
