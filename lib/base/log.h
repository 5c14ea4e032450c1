/*
 * Log lines for the host: one event per line, level chosen by who must act (pusherc/log.h). A call
 * site that repeats is cut to PC_LOG_BURST lines in a second; the next line says how many were left
 * out. Apps share twice as many: one that has had some gets another only while more are left, so one app's lines leave
 * some for others. Control characters, among them C1's and those
 * that turn the direction of text, become '?': a peer's text can neither forge a line nor steer a terminal.
 */
#ifndef PC_BASE_LOG_H
#define PC_BASE_LOG_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <pusherc/error.h>
#include <pusherc/log.h>

#define PC_LOG_BURST  20
#define PC_LOG_SITES  128
#define PC_LOG_RARE_S 10

struct pc_log_site {
    const char *file;
    int line;
    unsigned topic;
    uint64_t app;    /* hash of its id; 0 = lines about no app, and the sum of all */
    uint64_t second; /* of the monotonic clock */
    uint32_t lines, suppressed;
};

struct pc_log {
    pusherc_log_fn fn; /* NULL = silent */
    void *user_data;
    pusherc_log_level level;
    pthread_mutex_t mutex; /* guards sites; never held while fn runs */
    struct pc_log_site sites[PC_LOG_SITES];
};

/* What a line is about; zero members are left out. */
struct pc_log_about {
    const char *subject; /* "net", "ws", "proto", "auth", "api", "fanout", "server": static */
    pusherc_slice app_id;
    pusherc_socket_id socket_id;
    /* Not 0: strangers can cause this line as often as they like, and an operator who has not asked for "debug" still
     * wants to see one of each topic in PC_LOG_RARE_S. */
    unsigned topic;
};

void pc_log_init(struct pc_log *log, pusherc_log_fn fn, void *user_data, pusherc_log_level level);
void pc_log_free(struct pc_log *log);

static inline bool pc_log_wants(const struct pc_log *log, pusherc_log_level level)
{
    return log->fn && level <= log->level;
}

void pc_log_write(struct pc_log *log, pusherc_log_level level, struct pc_log_about about,
                  const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 6, 7)));

/* The same, whatever the level is and however often: for a log that is a carrier of events. */
void pc_log_write_always(struct pc_log *log, pusherc_log_level level, struct pc_log_about about,
                         const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 6, 7)));

/* PC_LOG(log, WARN, ((struct pc_log_about){.subject = "net"}), "accept failed: %s", text) */
#define PC_LOG(log, lvl, about, ...)                                                               \
    do {                                                                                           \
        if (pc_log_wants((log), PUSHERC_LOG_##lvl))                                                \
            pc_log_write((log), PUSHERC_LOG_##lvl, (about), __FILE__, __LINE__, __VA_ARGS__);      \
    } while (0)

/* True if the level is enabled and this call site asked fewer than per_s times this second. Use it before expensive
 * work that is done only for a log line, so that a peer cannot keep the server busy with such lines. */
#define PC_LOG_AFFORDS(log, lvl, per_s)                                                            \
    (pc_log_wants((log), PUSHERC_LOG_##lvl) && pc_log_affords((log), __FILE__, __LINE__, (per_s)))
bool pc_log_affords(struct pc_log *log, const char *file, int line, uint32_t per_s);

/* Fills `info` if it is not NULL; returns code. */
int pc_errinfo(pusherc_errinfo *info, int code, int sys, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
