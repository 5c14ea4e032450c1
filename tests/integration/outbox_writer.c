/*
 * Takes orders: each is a row of a table and an event in the outbox, in one transaction. To be killed at any time.
 *   outbox_writer DATABASE SETTING write   takes orders for ever, the next number each
 *   outbox_writer DATABASE SETTING drain   sends what is left, and prints how many orders there are
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sqlite3.h>

#include <pusherc/pusherc.h>

#define PATIENCE_MS 60000

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "outbox_writer: %s: %s\n", what, why);
    exit(1);
}

static void run(sqlite3 *db, const char *sql)
{
    if (sqlite3_exec(db, sql, NULL, NULL, NULL))
        fail(sql, sqlite3_errmsg(db));
}

static long last_order(sqlite3 *db)
{
    sqlite3_stmt *s;
    if (sqlite3_prepare_v2(db, "SELECT coalesce(max(n), 0) FROM orders", -1, &s, NULL) ||
        sqlite3_step(s) != SQLITE_ROW)
        fail("orders", sqlite3_errmsg(db));
    long n = (long)sqlite3_column_int64(s, 0);
    sqlite3_finalize(s);
    return n;
}

/* One order in ten is rolled back: it must not be heard of. */
static void take_order(sqlite3 *db, long n)
{
    char sql[64], data[32], channel[2] = {(char)('a' + n % 3), '\0'};
    const pusherc_slice channels[] = {pusherc_slice_of(channel), PUSHERC_LIT("all")};
    pusherc_event event = PUSHERC_EVENT_INIT;
    pusherc_errinfo info = {0};
    snprintf(sql, sizeof sql, "INSERT INTO orders VALUES (%ld)", n);
    snprintf(data, sizeof data, "%ld", n);
    event.name = pusherc_slice_of("order");
    event.channels = channels;
    event.channel_count = n % 5 == 0 ? 2 : 1;
    event.data = pusherc_slice_of(data);
    for (int rolled_back = n % 10 == 0; rolled_back >= 0; rolled_back--) {
        run(db, "BEGIN IMMEDIATE");
        run(db, sql);
        if (rolled_back)
            event.data = pusherc_slice_of("never");
        else
            event.data = pusherc_slice_of(data);
        if (pusherc_outbox_put(db, &event, 1, &info))
            fail("put", info.text);
        run(db, rolled_back ? "ROLLBACK" : "COMMIT");
    }
}

static int drain(sqlite3 *db, pusherc_outbox *outbox)
{
    sqlite3_stmt *s;
    long left = 1;
    if (sqlite3_prepare_v2(db, "SELECT count(*) FROM pusherc_outbox", -1, &s, NULL))
        fail("outbox", sqlite3_errmsg(db));
    for (int ms = 0; left > 0 && ms < PATIENCE_MS; ms += 5) {
        if (sqlite3_step(s) == SQLITE_ROW)
            left = (long)sqlite3_column_int64(s, 0);
        sqlite3_reset(s);
        usleep(5000);
    }
    sqlite3_finalize(s);
    pusherc_outbox_free(outbox);
    printf("%ld orders, %ld left\n", last_order(db), left);
    return left ? 1 : 0;
}

int main(int argc, char **argv)
{
    pusherc_broadcaster_options b = PUSHERC_BROADCASTER_OPTIONS_INIT;
    pusherc_outbox_options o = PUSHERC_OUTBOX_OPTIONS_INIT;
    pusherc_errinfo info = {0};
    pusherc_outbox *outbox;
    sqlite3 *db;
    if (argc != 4)
        return 2;
    if (sqlite3_open(argv[1], &db) || sqlite3_busy_timeout(db, PATIENCE_MS))
        fail(argv[1], sqlite3_errmsg(db));
    run(db, "PRAGMA journal_mode = WAL");
    run(db, "PRAGMA synchronous = NORMAL"); /* more orders; a kill is no loss of power */
    run(db, "CREATE TABLE IF NOT EXISTS orders (n INTEGER PRIMARY KEY)");
    if (pusherc_outbox_prepare(db, &info))
        fail("prepare", info.text);
    b.url = argv[2];
    b.log_fn = pusherc_log_to_stderr;
    if (pusherc_broadcaster_new(&o.broadcaster, &b, &info))
        fail("broadcaster", info.text);
    o.path = argv[1];
    if (pusherc_outbox_new(&outbox, &o, &info))
        fail("outbox", info.text);
    if (strcmp(argv[3], "drain") == 0) {
        int status = drain(db, outbox);
        pusherc_broadcaster_free(o.broadcaster);
        sqlite3_close(db);
        return status;
    }
    puts("begun");
    fflush(stdout);
    for (long n = last_order(db) + 1;; n++) {
        take_order(db, n);
        pusherc_outbox_wake(outbox);
    }
}
