/* examples/common: the database of an application, through its versions. */
#include "common/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <uv.h>

#include "common/assets.h"
#include "common/writer.h"

/* An application of our own making; the list takes the place of one that embed.py writes. */
const struct asset program_assets[] = {
    {.name = "sql/first.sql",
     .data = "CREATE TABLE things (id INTEGER PRIMARY KEY, name TEXT NOT NULL)"},
    {.name = "sql/second.sql",
     .data = "ALTER TABLE things ADD COLUMN price INTEGER NOT NULL DEFAULT 7"},
    {.name = "sql/broken.sql",
     .data = "ALTER TABLE things ADD COLUMN size INTEGER; ALTER TABLE nothing RENAME TO x"},
    {.name = "sql/views.sql",
     .data = "DROP VIEW IF EXISTS cheap; CREATE VIEW cheap AS SELECT * FROM things"},
    {.name = "sql/demo.sql", .data = "INSERT INTO things (name) VALUES ('of the demo')"},
    {.name = "sql/accounts.sql", .data = "of the application"},
    {0},
};

static char path[64];

static int make_path(void **state)
{
    (void)state;
    strcpy(path, "/tmp/example-store-XXXXXX");
    int file = mkstemp(path);
    close(file);
    return file < 0 ? -1 : 0;
}

static int remove_files(void **state)
{
    static const char *const ends[] = {"", "-wal", "-shm"};
    (void)state;
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        char name[80];
        snprintf(name, sizeof name, "%s%s", path, ends[i]);
        remove(name);
    }
    return 0;
}

static int64_t number(struct store *store, const char *sql)
{
    cJSON *row = store_row(store, sql, NO_VALUES);
    int64_t value = row_int(row, "n");
    cJSON_Delete(row);
    return value;
}

static const struct store_schema one = {
    .steps = {"sql/first.sql"}, .always = "sql/views.sql", .demo = "sql/demo.sql"};
static const struct store_schema two = {.steps = {"sql/first.sql", "sql/second.sql"},
                                        .always = "sql/views.sql",
                                        .demo = "sql/demo.sql"};

static void a_database_is_brought_to_the_newest_version_and_keeps_its_rows(void **state)
{
    struct store *store;
    (void)state;
    assert_int_equal(store_open(&store, path, &one, true), 0);
    assert_int_equal(number(store, "SELECT user_version n FROM pragma_user_version"), 1);
    assert_int_equal(store_run(store, "INSERT INTO things (name) VALUES ('mine')", NO_VALUES), 0);
    store_close(store);
    for (int start = 0; start < 2; start++) { /* the second one finds nothing to do */
        assert_int_equal(store_open(&store, path, &two, true), 0);
        assert_int_equal(number(store, "SELECT user_version n FROM pragma_user_version"), 2);
        assert_int_equal(number(store, "SELECT count(*) n FROM things WHERE price = 7"), 2);
        assert_int_equal(number(store, "SELECT count(*) n FROM cheap"), 2); /* and the demo once */
        store_close(store);
    }
}

static void a_step_that_fails_leaves_the_database_as_it_was(void **state)
{
    static const struct store_schema broken = {
        .steps = {"sql/first.sql", "sql/second.sql", "sql/broken.sql"}};
    static const struct store_schema missing = {.steps = {"sql/first.sql", "sql/no such.sql"}};
    struct store *store;
    (void)state;
    assert_int_equal(store_open(&store, path, &one, false), 0);
    store_close(store);
    assert_int_equal(store_open(&store, path, &broken, false), -1);
    assert_null(store);
    assert_int_equal(store_open(&store, path, &missing, false), -1);
    assert_int_equal(store_open(&store, path, &one, false), 0);
    assert_int_equal(number(store, "SELECT user_version n FROM pragma_user_version"), 1);
    assert_int_equal(number(store, "SELECT count(*) n FROM pragma_table_info('things')"), 2);
    store_close(store);
}

static void a_database_of_a_newer_program_is_refused(void **state)
{
    struct store *store;
    (void)state;
    assert_int_equal(store_open(&store, path, &two, false), 0);
    store_close(store);
    assert_int_equal(store_open(&store, path, &one, false), -1);
    assert_null(store);
}

static void only_a_new_database_is_filled_with_the_demo(void **state)
{
    struct store *store;
    (void)state;
    assert_int_equal(store_open(&store, path, &one, false), 0);
    store_close(store);
    assert_int_equal(store_open(&store, path, &one, true), 0);
    assert_int_equal(number(store, "SELECT count(*) n FROM things"), 0);
    store_close(store);
}

static void a_file_of_the_application_takes_the_place_of_a_common_one(void **state)
{
    (void)state;
    assert_string_equal(asset_find("sql/accounts.sql")->data, "of the application");
    assert_non_null(asset_find("static/live.js"));
    assert_null(asset_find("static/nothing.js"));
}

/* -- many writes -- */

#define ADD "INSERT INTO things (id, name) VALUES (?, ?)"

static void count_failed(size_t rows, void *user_data)
{
    *(size_t *)user_data += rows;
}

static void put_some(struct writer *writer, int64_t from, int64_t to)
{
    for (int64_t id = from; id < to; id++) {
        char name[16]; /* on the stack: the writer copies it */
        snprintf(name, sizeof name, "row %d", (int)id);
        assert_int_equal(writer_put(writer, ADD, VALUES(INT(id), TEXT(name))), 0);
    }
}

/* Turns the loop until the writer has nothing left. */
static void let_write(uv_loop_t *loop, const struct writer *writer)
{
    while (writer_stats(writer).waiting > 0)
        uv_run(loop, UV_RUN_ONCE);
}

static void many_rows(const char *file)
{
    struct store *store;
    struct writer *writer;
    uv_loop_t loop;
    assert_int_equal(uv_loop_init(&loop), 0);
    assert_int_equal(store_open(&store, file, &one, false), 0);
    const struct writer_options options = {
        .file = file, .store = store, .loop = &loop, .every_ms = 1};
    assert_int_equal(writer_open(&writer, &options), 0);
    put_some(writer, 0, 1000);
    let_write(&loop, writer);
    assert_int_equal(number(store, "SELECT count(*) n FROM things"), 1000);
    put_some(writer, 1000, 1500);
    uv_run(&loop, UV_RUN_NOWAIT); /* the thread may have begun */
    put_some(writer, 1500, 1600);
    writer_close(writer);
    assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&loop), 0);
    assert_int_equal(number(store, "SELECT count(*) n FROM things"), 1600);
    assert_int_equal(
        number(store, "SELECT count(*) n FROM things WHERE name = 'row ' || id AND rowid = id"),
        1600);
    store_close(store);
}

static void many_rows_are_written_and_none_is_lost_at_the_end(void **state)
{
    (void)state;
    many_rows(path);
    many_rows(":memory:");
}

static void rows_without_room_are_refused_and_failures_are_told(void **state)
{
    (void)state;
    size_t failed = 0;
    struct store *store;
    struct writer *writer;
    uv_loop_t loop;
    assert_int_equal(uv_loop_init(&loop), 0);
    assert_int_equal(store_open(&store, path, &one, false), 0);
    const struct writer_options options = {.file = path,
                                           .store = store,
                                           .loop = &loop,
                                           .every_ms = 1,
                                           .max_rows = 10,
                                           .on_failed = count_failed,
                                           .user_data = &failed};
    assert_int_equal(writer_open(&writer, &options), 0);
    put_some(writer, 0, 10);
    assert_int_equal(writer_put(writer, ADD, VALUES(INT(10), TEXT("too much"))), -1);
    let_write(&loop, writer);
    put_some(writer, 20, 25);
    put_some(writer, 3, 4); /* is there already: the whole transaction fails */
    let_write(&loop, writer);
    assert_int_equal(failed, 6);
    put_some(writer, 20, 25); /* and the next one does not */
    let_write(&loop, writer);
    struct writer_stats stats = writer_stats(writer);
    assert_int_equal(stats.written, 15);
    assert_int_equal(stats.failed, 6);
    assert_int_equal(stats.refused, 1);
    writer_close(writer);
    assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&loop), 0);
    assert_int_equal(number(store, "SELECT count(*) n FROM things"), 15);
    store_close(store);
    assert_int_equal(writer_open(&writer, &(struct writer_options){.file = "/no/such/file"}), -1);
    assert_null(writer);
    assert_int_equal(writer_put(NULL, ADD, NO_VALUES), -1);
    assert_int_equal(writer_stats(NULL).waiting, 0);
    writer_close(NULL);
}

int main(void)
{
#define WITH_FILE(test) cmocka_unit_test_setup_teardown(test, make_path, remove_files)
    const struct CMUnitTest tests[] = {
        WITH_FILE(a_database_is_brought_to_the_newest_version_and_keeps_its_rows),
        WITH_FILE(a_step_that_fails_leaves_the_database_as_it_was),
        WITH_FILE(a_database_of_a_newer_program_is_refused),
        WITH_FILE(only_a_new_database_is_filled_with_the_demo),
        WITH_FILE(many_rows_are_written_and_none_is_lost_at_the_end),
        WITH_FILE(rows_without_room_are_refused_and_failures_are_told),
        cmocka_unit_test(a_file_of_the_application_takes_the_place_of_a_common_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
