#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/slice.h"
#include "base/utc.h"

/* A line longer than this is cut. Names are at most 200 bytes, so two of them and words fit. */
#define MESSAGE_SIZE 512

void pc_log_init(struct pc_log *log, pusherc_log_fn fn, void *user_data, pusherc_log_level level)
{
    *log = (struct pc_log){.fn = fn, .user_data = user_data, .level = level};
    (void)pthread_mutex_init(&log->mutex, NULL); /* cannot fail with default attributes */
}

void pc_log_free(struct pc_log *log)
{
    (void)pthread_mutex_destroy(&log->mutex);
    log->fn = NULL;
}

static uint64_t monotonic_s(void)
{
    struct timespec now = {0};
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec;
}

/*
 * Rate limit per call site. A table of PC_LOG_SITES entries, found by file and line, counts the lines
 * of the current second. The counts start again with the first line of another second; that line
 * reports how many were suppressed. A call site without an entry gets the one that was silent longest,
 * so a report may be lost while more than PC_LOG_SITES call sites log. The search is linear: a line
 * that is formatted costs more.
 */

/* The entry of a call site; reuses the entry that was silent longest if the call site has none. */
static struct pc_log_site *find_site(struct pc_log *log, const char *file, int line)
{
    struct pc_log_site *oldest = &log->sites[0];
    for (size_t i = 0; i < PC_LOG_SITES; i++) {
        struct pc_log_site *site = &log->sites[i];
        if (site->line == line && site->file == file)
            return site;
        if (site->second < oldest->second)
            oldest = site;
    }
    *oldest = (struct pc_log_site){.file = file, .line = line};
    return oldest;
}

/* True if the line may be written; *left_out is then the number of lines suppressed before it. */
static bool admit(struct pc_log *log, const char *file, int line, uint32_t per_s,
                  uint32_t *left_out)
{
    uint64_t second = monotonic_s();
    bool admitted = true;

    *left_out = 0;
    (void)pthread_mutex_lock(&log->mutex);
    struct pc_log_site *site = find_site(log, file, line);
    if (site->second != second) {
        *left_out = site->suppressed;
        site->second = second;
        site->lines = site->suppressed = 0;
    }
    if (site->lines < per_s) {
        site->lines++;
    } else {
        site->suppressed++;
        admitted = false;
    }
    (void)pthread_mutex_unlock(&log->mutex);
    return admitted;
}

bool pc_log_affords(struct pc_log *log, const char *file, int line, uint32_t per_s)
{
    uint32_t left_out;
    return admit(log, file, line, per_s, &left_out);
}

/* Turns the text into one line of valid UTF-8, so that text of a peer cannot forge lines. */
static pusherc_slice make_one_line(char *text, size_t len)
{
    /* snprintf() may have cut inside a character; drops its first bytes, so that the rest is valid. */
    bool utf8 = pc_utf8_valid(pc_slice(text, len));
    for (size_t cut = 1; !utf8 && cut <= 3 && cut <= len && len == MESSAGE_SIZE - 1; cut++) {
        if (pc_utf8_valid(pc_slice(text, len - cut))) {
            utf8 = true;
            len -= cut;
        }
    }
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c < 0x20 || c == 0x7f || (c >= 0x80 && !utf8))
            text[i] = '?';
    }
    return pc_slice(text, len);
}

/* Length of what snprintf() put into `size` bytes. */
static size_t printed(int result, size_t size)
{
    if (result < 0)
        return 0;
    return (size_t)result < size ? (size_t)result : size - 1;
}

void pc_log_write(struct pc_log *log, pusherc_log_level level, struct pc_log_about about,
                  const char *file, int line, const char *format, ...)
{
    uint32_t left_out;
    char text[MESSAGE_SIZE];
    size_t len = 0;
    va_list args;

    if (!pc_log_wants(log, level) || !admit(log, file, line, PC_LOG_BURST, &left_out))
        return;
    if (left_out)
        len = printed(snprintf(text, sizeof text, "(%u like this left out) ", (unsigned)left_out),
                      sizeof text);
    va_start(args, format);
    len += printed(vsnprintf(text + len, sizeof text - len, format, args), sizeof text - len);
    va_end(args);

    pusherc_log_entry entry = {
        .struct_size = sizeof entry,
        .level = level,
        .subject = about.subject ? about.subject : "",
        .file = file,
        .line = line,
        .message = make_one_line(text, len),
        .app_id = about.app_id,
        .socket_id = about.socket_id,
    };
    log->fn(&entry, log->user_data);
}

int pc_errinfo(pusherc_errinfo *info, int code, int sys, const char *format, ...)
{
    va_list args;

    if (!info)
        return code;
    info->code = code;
    info->sys = sys;
    va_start(args, format);
    if (vsnprintf(info->text, sizeof info->text, format, args) < 0)
        info->text[0] = '\0';
    va_end(args);
    return code;
}

static const char *level_name(pusherc_log_level level)
{
    switch (level) {
    case PUSHERC_LOG_OFF:
        break;
    case PUSHERC_LOG_ERROR:
        return "error";
    case PUSHERC_LOG_WARN:
        return "warn";
    case PUSHERC_LOG_INFO:
        return "info";
    case PUSHERC_LOG_DEBUG:
        return "debug";
    case PUSHERC_LOG_TRACE:
        return "trace";
    }
    return "?";
}

void pusherc_log_to_stderr(const pusherc_log_entry *entry, void *user_data)
{
    char text[MESSAGE_SIZE + 512];
    char socket_id[PUSHERC_SOCKET_ID_STRLEN] = "";
    struct timespec now = {0};
    pusherc_slice app = pc_utf8_cut(entry->app_id, 200);
    pusherc_slice message = pc_utf8_cut(entry->message, MESSAGE_SIZE);

    (void)user_data;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    struct pc_utc utc = pc_utc_of((uint64_t)now.tv_sec);
    if (entry->socket_id.a || entry->socket_id.b)
        (void)pusherc_socket_id_format(entry->socket_id, socket_id);

    int len =
        snprintf(text, sizeof text, "%04u-%02u-%02uT%02u:%02u:%02u.%03dZ %-5s %s%s%.*s%s%s: %.*s\n",
                 (unsigned)utc.year, utc.month, utc.day, utc.hour, utc.minute, utc.second,
                 (int)(now.tv_nsec / 1000000), level_name(entry->level), entry->subject,
                 app.len ? " app=" : "", (int)app.len, app.len ? app.ptr : "",
                 socket_id[0] ? " socket=" : "", socket_id, (int)message.len,
                 message.len ? message.ptr : "");
    /* One call, so that lines of several threads do not mix. */
    (void)fwrite(text, 1, printed(len, sizeof text), stderr);
}
