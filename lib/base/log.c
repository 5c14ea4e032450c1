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

/* What lines are counted together. */
struct place {
    const char *file;
    int line;
    unsigned topic;
    uint64_t app;
};

/* How many lines of one place, in so many seconds. */
struct allowance {
    uint32_t lines;
    uint64_t seconds;
};

/* FNV-1a: apps' ids are chosen by the operator. */
static uint64_t hash_of(pusherc_slice app_id)
{
    uint64_t hash = app_id.len ? UINT64_C(14695981039346656037) : 0;
    for (size_t i = 0; i < app_id.len; i++)
        hash = (hash ^ (unsigned char)app_id.ptr[i]) * UINT64_C(1099511628211);
    return hash;
}

/* The entry of a place, taking the one that was silent longest if it has none. */
static struct pc_log_site *find_site(struct pc_log *log, const struct place *place)
{
    struct pc_log_site *oldest = &log->sites[0];
    for (size_t i = 0; i < PC_LOG_SITES; i++) {
        struct pc_log_site *site = &log->sites[i];
        if (site->line == place->line && site->file == place->file && site->topic == place->topic &&
            site->app == place->app)
            return site;
        if (site->second < oldest->second)
            oldest = site;
    }
    *oldest = (struct pc_log_site){
        .file = place->file, .line = place->line, .topic = place->topic, .app = place->app};
    return oldest;
}

/* The entry, with what it has used of the allowance. */
static struct pc_log_site *site_now(struct pc_log *log, const struct place *place, uint64_t second,
                                    uint64_t seconds, uint32_t *left_out)
{
    struct pc_log_site *site = find_site(log, place);
    *left_out = 0;
    if (second - site->second >= seconds) {
        *left_out = site->suppressed;
        site->second = second;
        site->lines = site->suppressed = 0;
    }
    return site;
}

/* Whether the line may be written; if so, how many before it were not. */
static bool admit(struct pc_log *log, const struct place *place, struct allowance may,
                  uint32_t *left_out)
{
    const struct place all = {place->file, place->line, place->topic, 0};
    uint64_t second = monotonic_s();
    uint32_t left = may.lines, unused;

    (void)pthread_mutex_lock(&log->mutex);
    struct pc_log_site *sum = site_now(log, &all, second, may.seconds, &unused), *site = sum;
    if (place->app) {
        left = sum->lines < 2 * may.lines ? 2 * may.lines - sum->lines : 0;
        site = site_now(log, place, second, may.seconds, left_out);
    } else {
        *left_out = unused;
    }
    bool admitted = site->lines < left;
    if (admitted) {
        site->lines++;
        sum->lines += site != sum;
    } else {
        site->suppressed++;
    }
    (void)pthread_mutex_unlock(&log->mutex);
    return admitted;
}

bool pc_log_affords(struct pc_log *log, const char *file, int line, uint32_t per_s)
{
    uint32_t left_out;
    return admit(log, &(struct place){file, line, 0, 0}, (struct allowance){per_s, 1}, &left_out);
}

/* What ends a line, moves a terminal's cursor, or turns the order of what follows around. */
static bool is_control(const char *p, size_t len)
{
    const unsigned char *c = (const unsigned char *)p;
    if (len == 1)
        return c[0] < 0x20 || c[0] == 0x7f;
    if (len == 2)
        return (c[0] == 0xc2 && c[1] < 0xa0) || (c[0] == 0xd8 && c[1] == 0x9c); /* C1; U+061C */
    if (len != 3 || c[0] != 0xe2)
        return false;
    return (c[1] == 0x80 && (c[2] == 0x8e || c[2] == 0x8f || (c[2] >= 0xa8 && c[2] <= 0xae))) ||
           (c[1] == 0x81 && c[2] >= 0xa6 && c[2] <= 0xa9);
}

/* One line of UTF-8, whatever a client put into its parts: otherwise a peer could forge lines. Each control character,
 * and each byte that is no UTF-8, becomes a '?'. `size` is the room that the text had: what fills it may have been cut. */
static size_t make_one_line(char *text, size_t len, size_t size)
{
    const char *end = text + len;
    size_t kept = 0;
    /* A cut may have split a character; its remains must not spoil the rest. */
    bool utf8 = pc_utf8_valid(pc_slice(text, len));
    for (size_t cut = 1; !utf8 && cut <= 3 && cut <= len && len == size - 1; cut++) {
        if (pc_utf8_valid(pc_slice(text, len - cut))) {
            utf8 = true;
            end -= cut;
        }
    }
    for (const char *p = text; p < end;) {
        size_t n = utf8 ? pc_utf8_sequence(p, end) : 1;
        if (is_control(p, n) || (n == 1 && (unsigned char)*p >= 0x80)) {
            text[kept++] = '?';
        } else {
            memmove(text + kept, p, n);
            kept += n;
        }
        p += n;
    }
    return kept;
}

/* Length of what snprintf() put into `size` bytes. */
static size_t printed(int result, size_t size)
{
    if (result < 0)
        return 0;
    return (size_t)result < size ? (size_t)result : size - 1;
}

/* `text` has room for MESSAGE_SIZE. */
static void hand_over(struct pc_log *log, pusherc_log_level level, const struct pc_log_about *about,
                      const char *file, int line, char *text, size_t len)
{
    pusherc_log_entry entry = {
        .struct_size = sizeof entry,
        .level = level,
        .subject = about->subject ? about->subject : "",
        .file = file,
        .line = line,
        .message = pc_slice(text, make_one_line(text, len, MESSAGE_SIZE)),
        .app_id = about->app_id,
        .socket_id = about->socket_id,
    };
    log->fn(&entry, log->user_data);
}

void pc_log_write(struct pc_log *log, pusherc_log_level level, struct pc_log_about about,
                  const char *file, int line, const char *format, ...)
{
    uint32_t left_out;
    char text[MESSAGE_SIZE];
    size_t len = 0;
    va_list args;

    bool rare = about.topic && log->level < PUSHERC_LOG_DEBUG;
    struct allowance may = {rare ? 1 : PC_LOG_BURST, rare ? PC_LOG_RARE_S : 1};
    /* strangers cause the rare ones: no app has more of them than another */
    struct place place = {file, line, about.topic, rare ? 0 : hash_of(about.app_id)};
    if (!pc_log_wants(log, level) || !admit(log, &place, may, &left_out))
        return;
    if (left_out)
        len = printed(snprintf(text, sizeof text, "(%u like this left out) ", (unsigned)left_out),
                      sizeof text);
    va_start(args, format);
    len += printed(vsnprintf(text + len, sizeof text - len, format, args), sizeof text - len);
    va_end(args);
    hand_over(log, level, &about, file, line, text, len);
}

void pc_log_write_always(struct pc_log *log, pusherc_log_level level, struct pc_log_about about,
                         const char *file, int line, const char *format, ...)
{
    char text[MESSAGE_SIZE];
    va_list args;
    va_start(args, format);
    size_t len = printed(vsnprintf(text, sizeof text, format, args), sizeof text);
    va_end(args);
    if (log->fn)
        hand_over(log, level, &about, file, line, text, len);
}

int pc_errinfo(pusherc_errinfo *info, int code, int sys, const char *format, ...)
{
    va_list args;

    if (!info)
        return code;
    info->code = code;
    info->sys = sys;
    va_start(args, format);
    size_t len = printed(vsnprintf(info->text, sizeof info->text, format, args), sizeof info->text);
    va_end(args);
    info->text[make_one_line(info->text, len, sizeof info->text)] = '\0';
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

/* The time of now as "2026-01-31T23:59:59.123Z". */
#define TIME_SIZE sizeof "2026-01-31T23:59:59.123Z"
static void print_time(char out[TIME_SIZE + 16])
{
    struct timespec now = {0};

    (void)clock_gettime(CLOCK_REALTIME, &now);
    struct pc_utc utc = pc_utc_of((uint64_t)now.tv_sec);
    (void)snprintf(out, TIME_SIZE + 16, "%04u-%02u-%02uT%02u:%02u:%02u.%03dZ", (unsigned)utc.year,
                   utc.month, utc.day, utc.hour, utc.minute, utc.second,
                   (int)(now.tv_nsec / 1000000));
}

static void print_socket_id(char out[PUSHERC_SOCKET_ID_STRLEN], pusherc_socket_id id)
{
    out[0] = '\0';
    if (id.a || id.b)
        (void)pusherc_socket_id_format(id, out);
}

void pusherc_log_to_stderr(const pusherc_log_entry *entry, void *user_data)
{
    char text[MESSAGE_SIZE + 512];
    char socket_id[PUSHERC_SOCKET_ID_STRLEN], time[TIME_SIZE + 16];
    pusherc_slice app = pc_utf8_cut(entry->app_id, 200);
    pusherc_slice message = pc_utf8_cut(entry->message, MESSAGE_SIZE);

    (void)user_data;
    print_time(time);
    print_socket_id(socket_id, entry->socket_id);
    int len = snprintf(text, sizeof text - 1, "%s %-5s %s%s%.*s%s%s: %.*s", time,
                       level_name(entry->level), entry->subject, app.len ? " app=" : "",
                       (int)app.len, app.len ? app.ptr : "", socket_id[0] ? " socket=" : "",
                       socket_id, (int)message.len, message.len ? message.ptr : "");
    size_t line = make_one_line(text, printed(len, sizeof text - 1), sizeof text - 1);
    text[line++] = '\n';
    /* One call, so that lines of several threads do not mix. */
    (void)fwrite(text, 1, line, stderr);
}

/* Appends the text as the inside of a JSON string; false: it did not find room. */
static bool put_escaped(char *out, size_t *len, size_t size, pusherc_slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (*len + 2 >= size)
            return false;
        if (text.ptr[i] == '"' || text.ptr[i] == '\\')
            out[(*len)++] = '\\';
        out[(*len)++] = text.ptr[i];
    }
    return true;
}

static void put_member(char *out, size_t *len, size_t size, const char *name, pusherc_slice value)
{
    char line[MESSAGE_SIZE];
    size_t before = *len, value_len = value.len < sizeof line ? value.len : sizeof line;

    memcpy(line, value.len ? value.ptr : "", value_len);
    value_len = make_one_line(line, value_len, SIZE_MAX);
    *len += printed(snprintf(out + *len, size - *len, "%s\"%s\":\"", before > 1 ? "," : "", name),
                    size - *len);
    if (!put_escaped(out, len, size - 3, pc_slice(line, value_len)))
        *len = before; /* without it the line is still an object */
    else
        out[(*len)++] = '"';
}

void pusherc_log_json_to_stderr(const pusherc_log_entry *entry, void *user_data)
{
    char text[2 * MESSAGE_SIZE + 1024], socket_id[PUSHERC_SOCKET_ID_STRLEN], time[TIME_SIZE + 16];
    size_t len = 1;

    (void)user_data;
    print_time(time);
    print_socket_id(socket_id, entry->socket_id);
    text[0] = '{';
    put_member(text, &len, sizeof text, "time", pc_slice_of(time));
    put_member(text, &len, sizeof text, "level", pc_slice_of(level_name(entry->level)));
    put_member(text, &len, sizeof text, "subject", pc_slice_of(entry->subject));
    if (entry->app_id.len)
        put_member(text, &len, sizeof text, "app", pc_utf8_cut(entry->app_id, 200));
    if (socket_id[0])
        put_member(text, &len, sizeof text, "socket_id", pc_slice_of(socket_id));
    put_member(text, &len, sizeof text, "message", pc_utf8_cut(entry->message, MESSAGE_SIZE));
    text[len++] = '}';
    text[len++] = '\n';
    (void)fwrite(text, 1, len, stderr);
}
