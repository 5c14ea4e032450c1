#include "broadcast/outbox_table.h"

#include <time.h>

#include <sqlite3.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/options.h"
#include "broadcast/event.h"

#define BUSY_MS 5000 /* how long to wait for writers of other connections */

/* Channels are separated by line ends, which no name has. */
static const char make_table[] =
    "CREATE TABLE IF NOT EXISTS pusherc_outbox ("
    "id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL, name TEXT NOT NULL, "
    "channels TEXT NOT NULL, data TEXT NOT NULL, except_socket TEXT NOT NULL, "
    "encrypted INTEGER NOT NULL, made_ms INTEGER NOT NULL, refused TEXT)";

static const char insert[] =
    "INSERT INTO pusherc_outbox (key, name, channels, data, except_socket, encrypted, made_ms) "
    "VALUES (lower(hex(randomblob(16))), ?, ?, ?, ?, ?, ?)";

enum statement {
    READ,
    REMOVE,
    REFUSE,
    COUNT,
    BEGIN,
    COMMIT,
    ROLLBACK,
    STATEMENT_COUNT
};
static const char *const statements[STATEMENT_COUNT] = {
    [READ] = "SELECT id, key, name, channels, data, except_socket, encrypted FROM pusherc_outbox "
             "WHERE id > ? AND refused IS NULL ORDER BY id LIMIT ?",
    [REMOVE] = "DELETE FROM pusherc_outbox WHERE id = ?",
    [REFUSE] = "UPDATE pusherc_outbox SET refused = ?2 WHERE id = ?1",
    [COUNT] = "SELECT sum(refused IS NULL), sum(refused IS NOT NULL), "
              "min(CASE WHEN refused IS NULL THEN made_ms END) FROM pusherc_outbox",
    [BEGIN] = "BEGIN IMMEDIATE",
    [COMMIT] = "COMMIT",
    [ROLLBACK] = "ROLLBACK",
};

struct pc_outbox_table {
    const struct pc_mem *mem;
    sqlite3 *db;
    sqlite3_stmt *prepared[STATEMENT_COUNT];
    char error[160]; /* the last one, in words */
};

static int fail(pusherc_errinfo *info, sqlite3 *db)
{
    return pc_errinfo(info, PUSHERC_EIO, 0, "the outbox: %s",
                      db ? sqlite3_errmsg(db) : "out of memory");
}

/* -- the writing side -- */

int pusherc_outbox_prepare(struct sqlite3 *db, pusherc_errinfo *info)
{
    if (!db)
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "an argument is NULL");
    return sqlite3_exec(db, make_table, NULL, NULL, NULL) ? fail(info, db) : 0;
}

static int64_t unix_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int bind_text(sqlite3_stmt *s, int at, pusherc_slice text)
{
    return sqlite3_bind_text64(s, at, text.len ? text.ptr : "", text.len, SQLITE_STATIC,
                               SQLITE_UTF8);
}

static int join_channels(struct pc_buf *buf, const pusherc_event *event)
{
    pc_buf_clear(buf);
    for (size_t i = 0; i < event->channel_count; i++) {
        if (i)
            pc_buf_put_char(buf, '\n');
        pc_buf_put(buf, event->channels[i]);
    }
    return pc_buf_status(buf) ? SQLITE_NOMEM : SQLITE_OK;
}

/* SQLITE_OK or an error. */
static int insert_event(sqlite3_stmt *s, struct pc_buf *channels, const pusherc_event *event)
{
    char except[PUSHERC_SOCKET_ID_STRLEN] = "";
    size_t len = 0;
    if (event->except.a || event->except.b)
        len = pusherc_socket_id_format(event->except, except);
    int result = join_channels(channels, event);
    if (result || (result = bind_text(s, 1, event->name)) ||
        (result = bind_text(s, 2, pc_buf_slice(channels))) ||
        (result = bind_text(s, 3, event->data)) ||
        (result = bind_text(s, 4, pc_slice(except, len))) ||
        (result = sqlite3_bind_int(s, 5, event->encrypted)) ||
        (result = sqlite3_bind_int64(s, 6, unix_ms())))
        return result;
    result = sqlite3_step(s);
    (void)sqlite3_reset(s);
    return result == SQLITE_DONE ? SQLITE_OK : result;
}

static int check(const pusherc_event *events, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        pusherc_event taken;
        if (PC_TAKE(event, &taken, PUSHERC_AT(events, i), NULL) ||
            !pc_broadcast_event_valid(&taken))
            return PUSHERC_EINVAL;
    }
    return 0;
}

int pusherc_outbox_put(struct sqlite3 *db, const pusherc_event *events, size_t count,
                       pusherc_errinfo *info)
{
    const struct pc_mem mem = pc_mem_make(NULL);
    sqlite3_stmt *s = NULL;
    struct pc_buf channels;
    if (!db || !events || count == 0)
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "an argument is missing");
    if (check(events, count))
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "an event breaks a rule");
    pc_buf_init(&channels, &mem, SIZE_MAX);
    int result = sqlite3_prepare_v2(db, insert, sizeof insert, &s, NULL);
    for (size_t i = 0; result == SQLITE_OK && i < count; i++) {
        pusherc_event event;
        result = PC_TAKE(event, &event, PUSHERC_AT(events, i), NULL);
        result = result ? result : insert_event(s, &channels, &event);
    }
    int err = result == SQLITE_OK ? 0 : fail(info, db);
    (void)sqlite3_finalize(s);
    pc_buf_free(&channels);
    return err;
}

/* -- the sending side -- */

int pc_outbox_table_new(struct pc_outbox_table **out, const struct pc_mem *mem, const char *path,
                        pusherc_errinfo *info)
{
    struct pc_outbox_table *t = *out = pc_alloc_zero(mem, sizeof *t);
    if (!t)
        return pc_errinfo(info, PUSHERC_ENOMEM, 0, "out of memory");
    t->mem = mem;
    int result = sqlite3_open_v2(
        path, &t->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
    if (result == SQLITE_OK)
        result = sqlite3_busy_timeout(t->db, BUSY_MS);
    if (result == SQLITE_OK)
        result = sqlite3_exec(t->db, make_table, NULL, NULL, NULL);
    for (int i = 0; result == SQLITE_OK && i < STATEMENT_COUNT; i++)
        result = sqlite3_prepare_v2(t->db, statements[i], -1, &t->prepared[i], NULL);
    if (result == SQLITE_OK)
        return 0;
    int err = fail(info, t->db);
    pc_outbox_table_free(t);
    *out = NULL;
    return err;
}

void pc_outbox_table_free(struct pc_outbox_table *t)
{
    if (!t)
        return;
    for (int i = 0; i < STATEMENT_COUNT; i++)
        (void)sqlite3_finalize(t->prepared[i]);
    (void)sqlite3_close(t->db);
    pc_free(t->mem, t);
}

/* Keeps the text: a later statement, such as ROLLBACK, has one of its own. */
static int broken(struct pc_outbox_table *t)
{
    const pusherc_slice text = pc_utf8_cut(pc_slice_of(sqlite3_errmsg(t->db)), sizeof t->error - 1);
    memcpy(t->error, text.ptr, text.len);
    t->error[text.len] = '\0';
    return PUSHERC_EIO;
}

static pusherc_slice text_of(sqlite3_stmt *s, int column)
{
    const char *text = (const char *)sqlite3_column_text(s, column);
    return pc_slice(text, text ? (size_t)sqlite3_column_bytes(s, column) : 0);
}

/* 0: more than an event may have. */
static size_t split_channels(pusherc_slice text, pusherc_slice *out)
{
    size_t count = 0;
    while (text.len && count < PUSHERC_MAX_CHANNELS_PER_EVENT) {
        size_t at = pc_slice_find(text, '\n');
        out[count++] = pc_slice_first(text, at);
        text = pc_slice_skip(text, at < text.len ? at + 1 : at);
    }
    return text.len ? 0 : count;
}

/* A row that is no event, by another program, is visited with an event without channels, which is invalid. */
static bool visit_row(sqlite3_stmt *s, pc_outbox_row_fn visit, void *ctx)
{
    pusherc_slice channels[PUSHERC_MAX_CHANNELS_PER_EVENT];
    pusherc_event event = PUSHERC_EVENT_INIT;
    event.name = text_of(s, 2);
    event.channels = channels;
    event.channel_count = split_channels(text_of(s, 3), channels);
    event.data = text_of(s, 4);
    const pusherc_slice except = text_of(s, 5);
    if (except.len && pusherc_socket_id_parse(except, &event.except))
        event.channel_count = 0;
    event.encrypted = sqlite3_column_int(s, 6) != 0;
    const pusherc_slice key = text_of(s, 1);
    if (sqlite3_errcode(sqlite3_db_handle(s)) == SQLITE_NOMEM)
        return false; /* a text may be missing */
    return visit(ctx, sqlite3_column_int64(s, 0), &event, key);
}

int pc_outbox_table_read(struct pc_outbox_table *t, int64_t after, uint32_t max,
                         pc_outbox_row_fn visit, void *ctx)
{
    sqlite3_stmt *s = t->prepared[READ];
    int result = sqlite3_bind_int64(s, 1, after);
    if (result == SQLITE_OK)
        result = sqlite3_bind_int64(s, 2, max);
    while (result == SQLITE_OK || result == SQLITE_ROW) {
        result = sqlite3_step(s);
        if (result == SQLITE_ROW && !visit_row(s, visit, ctx))
            result = SQLITE_DONE;
    }
    int err = result == SQLITE_DONE ? 0 : broken(t);
    (void)sqlite3_reset(s); /* ends the read transaction: it must not keep writers out */
    return err;
}

static int run(struct pc_outbox_table *t, enum statement which)
{
    int err = sqlite3_step(t->prepared[which]) == SQLITE_DONE ? 0 : broken(t);
    (void)sqlite3_reset(t->prepared[which]);
    return err;
}

int pc_outbox_table_begin(struct pc_outbox_table *t)
{
    return run(t, BEGIN);
}

int pc_outbox_table_remove(struct pc_outbox_table *t, int64_t id)
{
    return sqlite3_bind_int64(t->prepared[REMOVE], 1, id) ? broken(t) : run(t, REMOVE);
}

int pc_outbox_table_refuse(struct pc_outbox_table *t, int64_t id, pusherc_slice reason)
{
    sqlite3_stmt *s = t->prepared[REFUSE];
    if (sqlite3_bind_int64(s, 1, id) || bind_text(s, 2, reason))
        return broken(t);
    return run(t, REFUSE);
}

int pc_outbox_table_end(struct pc_outbox_table *t, bool keep)
{
    int err = keep ? run(t, COMMIT) : 0;
    if (err || !keep) { /* not by run(), which would overwrite the error */
        (void)sqlite3_step(t->prepared[ROLLBACK]);
        (void)sqlite3_reset(t->prepared[ROLLBACK]);
    }
    return err;
}

int pc_outbox_table_count(struct pc_outbox_table *t, uint64_t *waiting, uint64_t *refused,
                          uint64_t *oldest_unix_ms)
{
    sqlite3_stmt *s = t->prepared[COUNT];
    int result = sqlite3_step(s);
    if (result == SQLITE_ROW) {
        *waiting = (uint64_t)sqlite3_column_int64(s, 0);
        *refused = (uint64_t)sqlite3_column_int64(s, 1);
        *oldest_unix_ms = (uint64_t)sqlite3_column_int64(s, 2);
    }
    int err = result == SQLITE_ROW ? 0 : broken(t);
    (void)sqlite3_reset(s);
    return err;
}

const char *pc_outbox_table_error(const struct pc_outbox_table *t)
{
    return t->error;
}
