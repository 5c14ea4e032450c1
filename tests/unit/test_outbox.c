/* The outbox: what is stored in a transaction is sent after its commit, in order, once accepted no more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sqlite3.h>

#include <pusherc/pusherc.h>

#include "unit/failing_alloc.h"

#define PATIENCE_MS 60000

struct fixture {
    struct failing_alloc alloc;
    char folder[32], path[64];
    sqlite3 *db;
    pusherc_broadcaster *broadcaster;
    pusherc_outbox *outbox;
    pthread_mutex_t mutex; /* guards what the driver has heard */
    char heard[4096];
    char key[64]; /* of the last event */
    _Atomic int count;
    _Atomic int answer; /* of the driver */
    _Atomic int refused;
};

static void send_events(pusherc_broadcast_request *request, void *user_data)
{
    struct fixture *f = user_data;
    size_t count;
    const pusherc_event *events = pusherc_broadcast_request_events(request, &count);
    pthread_mutex_lock(&f->mutex);
    for (size_t i = 0; i < count; i++) {
        const pusherc_event *e = PUSHERC_AT(events, i);
        const pusherc_slice key = pusherc_broadcast_request_key(request, i);
        size_t len = strlen(f->heard);
        snprintf(f->heard + len, sizeof f->heard - len, "%.*s@%.*s ", (int)e->data.len, e->data.ptr,
                 (int)e->channels[e->channel_count - 1].len, e->channels[e->channel_count - 1].ptr);
        snprintf(f->key, sizeof f->key, "%.*s", (int)key.len, key.ptr);
    }
    pthread_mutex_unlock(&f->mutex);
    f->count += (int)count;
    pusherc_broadcast_answer(request, f->answer, 0, "as told");
}

static void on_refused(const pusherc_event *event, const pusherc_broadcast_result *result,
                       void *user_data)
{
    struct fixture *f = user_data;
    assert_int_equal(event->data.ptr[0], 'x');
    assert_int_equal(result->code, PUSHERC_EINVAL);
    f->refused++;
}

static void run(struct fixture *f, const char *sql)
{
    assert_int_equal(sqlite3_exec(f->db, sql, NULL, NULL, NULL), SQLITE_OK);
}

static long number(struct fixture *f, const char *sql)
{
    sqlite3_stmt *s;
    assert_int_equal(sqlite3_prepare_v2(f->db, sql, -1, &s, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(s), SQLITE_ROW);
    long n = (long)sqlite3_column_int64(s, 0);
    sqlite3_finalize(s);
    return n;
}

static void open_database(struct fixture *f)
{
    memset(f, 0, sizeof *f);
    pthread_mutex_init(&f->mutex, NULL);
    strcpy(f->folder, "/tmp/pusherc-outbox-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->path, sizeof f->path, "%s/db", f->folder);
    assert_int_equal(sqlite3_open(f->path, &f->db), SQLITE_OK);
    assert_int_equal(sqlite3_busy_timeout(f->db, PATIENCE_MS), SQLITE_OK);
    int err = pusherc_outbox_prepare(f->db, NULL);
    if (err == PUSHERC_ENOSYS)
        skip();
    assert_int_equal(err, 0);
    assert_int_equal(pusherc_outbox_prepare(f->db, NULL), 0);
}

static int try_send(struct fixture *f, size_t fail_at)
{
    const pusherc_allocator allocator = failing_alloc_init(&f->alloc, fail_at);
    pusherc_broadcaster_options b = PUSHERC_BROADCASTER_OPTIONS_INIT;
    pusherc_broadcast_driver driver = PUSHERC_BROADCAST_DRIVER_INIT;
    pusherc_outbox_options o = PUSHERC_OUTBOX_OPTIONS_INIT;
    driver.send = send_events;
    driver.user_data = f;
    driver.max_events = 5;
    b.url = "host:";
    b.driver = &driver;
    b.allocator = &allocator;
    int err = pusherc_broadcaster_new(&f->broadcaster, &b, NULL);
    if (err)
        return err;
    o.broadcaster = f->broadcaster;
    o.path = f->path;
    o.poll_ms = 20;
    o.max_under_way = 7;
    o.on_refused = on_refused;
    o.user_data = f;
    err = pusherc_outbox_new(&f->outbox, &o, NULL);
    if (err)
        pusherc_broadcaster_free(f->broadcaster);
    return err;
}

static void begin_to_send(struct fixture *f)
{
    assert_int_equal(try_send(f, 0), 0);
}

static void end_sending(struct fixture *f)
{
    pusherc_outbox_free(f->outbox);
    pusherc_broadcaster_free(f->broadcaster);
    assert_int_equal(failing_alloc_live(&f->alloc), 0);
}

static void close_database(struct fixture *f)
{
    char other[80];
    assert_int_equal(sqlite3_close(f->db), SQLITE_OK);
    unlink(f->path);
    snprintf(other, sizeof other, "%s-journal", f->path);
    unlink(other);
    rmdir(f->folder);
}

static int try_put(struct fixture *f, const char *channel, const char *data)
{
    const pusherc_slice channels[] = {pusherc_slice_of("first"), pusherc_slice_of(channel)};
    pusherc_event event = PUSHERC_EVENT_INIT;
    event.name = pusherc_slice_of("order");
    event.channels = channels;
    event.channel_count = 2;
    event.data = pusherc_slice_of(data);
    return pusherc_outbox_put(f->db, &event, 1, NULL);
}

static void put(struct fixture *f, const char *data)
{
    assert_int_equal(try_put(f, "a", data), 0);
}

static void wait_until_empty(struct fixture *f)
{
    for (int ms = 0;
         ms < PATIENCE_MS && number(f, "SELECT count(*) FROM pusherc_outbox WHERE refused IS NULL");
         ms += 5)
        usleep(5000);
    assert_int_equal(number(f, "SELECT count(*) FROM pusherc_outbox WHERE refused IS NULL"), 0);
}

/* -- tests -- */

static void what_is_committed_is_sent_in_order_and_what_is_rolled_back_is_not(void **state)
{
    struct fixture f;
    (void)state;
    open_database(&f);
    begin_to_send(&f);
    run(&f, "BEGIN");
    put(&f, "1");
    put(&f, "2");
    usleep(60000); /* it has looked meanwhile */
    assert_int_equal(f.count, 0);
    run(&f, "COMMIT");
    pusherc_outbox_wake(f.outbox);
    wait_until_empty(&f);
    run(&f, "BEGIN");
    put(&f, "never");
    run(&f, "ROLLBACK");
    for (char c = 'a'; c < 'a' + 20; c++)
        put(&f, (char[]){c, '\0'});
    wait_until_empty(&f);
    end_sending(&f);
    assert_string_equal(f.heard, "1@a 2@a a@a b@a c@a d@a e@a f@a g@a h@a i@a j@a k@a l@a m@a n@a "
                                 "o@a p@a q@a r@a s@a t@a ");
    close_database(&f);
}

static void what_was_not_accepted_is_sent_by_the_next_one_with_the_same_key(void **state)
{
    struct fixture f;
    char key[64];
    (void)state;
    open_database(&f);
    f.answer = PUSHERC_EIO;
    begin_to_send(&f);
    put(&f, "1");
    for (int ms = 0; f.count == 0 && ms < PATIENCE_MS; ms++)
        usleep(1000);
    pusherc_broadcaster_stop(f.broadcaster, 0, NULL, NULL);
    end_sending(&f);
    strcpy(key, f.key);
    assert_int_equal(strlen(key), 32);
    assert_int_equal(number(&f, "SELECT count(*) FROM pusherc_outbox WHERE refused IS NULL"), 1);
    f.answer = 0;
    f.heard[0] = '\0';
    begin_to_send(&f);
    wait_until_empty(&f);
    end_sending(&f);
    assert_string_equal(f.heard, "1@a ");
    assert_string_equal(f.key, key);
    close_database(&f);
}

static void what_is_refused_stays_with_its_reason(void **state)
{
    struct fixture f;
    pusherc_outbox_stats stats = PUSHERC_OUTBOX_STATS_INIT;
    (void)state;
    open_database(&f);
    f.answer = PUSHERC_EINVAL;
    begin_to_send(&f);
    put(&f, "x");
    wait_until_empty(&f);
    f.answer = 0;
    run(&f, "INSERT INTO pusherc_outbox (key, name, channels, data, except_socket, encrypted, "
            "made_ms) VALUES ('k', 'a name', 'no channel', 'x', '', 0, 0)");
    put(&f, "2");
    wait_until_empty(&f);
    for (int ms = 0; f.refused < 2 && ms < PATIENCE_MS; ms++)
        usleep(1000);
    for (int ms = 0; stats.refused < 2 && ms < PATIENCE_MS; ms += 20) {
        assert_int_equal(pusherc_outbox_read_stats(f.outbox, &stats), 0);
        usleep(20000);
    }
    assert_int_equal(stats.refused, 2);
    assert_int_equal(stats.sent, 1);
    assert_int_equal(stats.waiting, 0);
    end_sending(&f);
    assert_int_equal(
        number(&f, "SELECT count(*) FROM pusherc_outbox WHERE id = 1 AND refused = 'as told'"), 1);
    assert_int_equal(number(&f, "SELECT count(*) FROM pusherc_outbox WHERE id = 2 AND refused LIKE "
                                "'%rule%'"),
                     1);
    close_database(&f);
}

static void wrong_calls_and_files_are_refused(void **state)
{
    struct fixture f;
    pusherc_errinfo info = {0};
    pusherc_outbox_options o = PUSHERC_OUTBOX_OPTIONS_INIT;
    pusherc_outbox *outbox;
    (void)state;
    open_database(&f);
    assert_int_equal(pusherc_outbox_prepare(NULL, &info), PUSHERC_EINVAL);
    assert_int_equal(pusherc_outbox_put(f.db, NULL, 1, &info), PUSHERC_EINVAL);
    assert_int_equal(try_put(&f, "a b", "1"), PUSHERC_EINVAL);
    assert_int_equal(number(&f, "SELECT count(*) FROM pusherc_outbox"), 0);
    assert_int_equal(pusherc_outbox_new(&outbox, &o, &info), PUSHERC_EINVAL);
    begin_to_send(&f);
    o.broadcaster = f.broadcaster;
    o.path = "/nowhere/db";
    assert_int_equal(pusherc_outbox_new(&outbox, &o, &info), PUSHERC_EIO);
    assert_null(outbox);
    assert_non_null(strstr(info.text, "unable to open"));
    end_sending(&f);
    run(&f, "DROP TABLE pusherc_outbox");
    assert_int_equal(try_put(&f, "a", "1"), PUSHERC_EIO);
    pusherc_outbox_free(NULL);
    close_database(&f);
}

static void a_forked_child_is_refused_and_the_parent_goes_on(void **state)
{
    struct fixture f;
    pusherc_outbox_stats stats = PUSHERC_OUTBOX_STATS_INIT;
    int status;
    (void)state;
    open_database(&f);
    begin_to_send(&f);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        pusherc_outbox_wake(f.outbox);
        status = pusherc_outbox_read_stats(f.outbox, &stats);
        pusherc_outbox_free(f.outbox);
        _exit(status == PUSHERC_ESTATE ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    put(&f, "1");
    wait_until_empty(&f);
    assert_int_equal(pusherc_outbox_read_stats(f.outbox, &stats), 0);
    end_sending(&f);
    assert_string_equal(f.heard, "1@a ");
    close_database(&f);
}

static void memory_that_runs_out_delays_an_event(void **state)
{
    bool failed = true;
    (void)state;
    for (size_t n = 1; failed; n++) {
        struct fixture f;
        open_database(&f);
        put(&f, "1");
        int err = try_send(&f, n);
        assert_true(err == 0 || err == PUSHERC_ENOMEM);
        if (err == 0) {
            wait_until_empty(&f);
            assert_string_equal(f.heard, "1@a ");
            end_sending(&f);
        }
        failed = failing_alloc_hit(&f.alloc);
        assert_int_equal(failing_alloc_live(&f.alloc), 0);
        close_database(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_committed_is_sent_in_order_and_what_is_rolled_back_is_not),
        cmocka_unit_test(what_was_not_accepted_is_sent_by_the_next_one_with_the_same_key),
        cmocka_unit_test(what_is_refused_stays_with_its_reason),
        cmocka_unit_test(wrong_calls_and_files_are_refused),
        cmocka_unit_test(a_forked_child_is_refused_and_the_parent_goes_on),
        cmocka_unit_test(memory_that_runs_out_delays_an_event),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
