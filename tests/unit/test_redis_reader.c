/* What is said to Redis, and what its answers are read as. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <pusherc/error.h>

#include "redis/reader.h"
#include "unit/failing_alloc.h"

#define MAX_BYTES 65536

struct fixture {
    struct failing_alloc alloc;
    struct pc_mem mem;
    struct pc_redis_reader *reader;
};

static void open_all(struct fixture *f)
{
    pusherc_allocator allocator = failing_alloc_init(&f->alloc, 0);
    f->mem = pc_mem_make(&allocator);
    f->reader = pc_redis_reader_new(&f->mem, MAX_BYTES);
    assert_non_null(f->reader);
}

static void close_all(struct fixture *f)
{
    pc_redis_reader_free(f->reader);
    assert_int_equal(failing_alloc_live(&f->alloc), 0);
}

static void a_command_is_an_array_of_words(void **state)
{
    struct fixture f;
    struct pc_buf buf;
    const pusherc_slice words[] = {PUSHERC_LIT("SET"), PUSHERC_LIT(""), PUSHERC_LIT("a\r\nb")};
    (void)state;
    open_all(&f);
    pc_buf_init(&buf, &f.mem, SIZE_MAX);
    pc_redis_put_command(&buf, words, 3);
    pc_redis_put_parts(&buf, words, 3);
    assert_true(
        pc_slice_eq(pc_buf_slice(&buf),
                    PC_S("*3\r\n$3\r\nSET\r\n$0\r\n\r\n$4\r\na\r\nb\r\n$7\r\nSETa\r\nb\r\n")));
    pc_buf_free(&buf);
    close_all(&f);
}

static void items_come_in_the_order_of_the_bytes(void **state)
{
    static const pusherc_slice bytes =
        PUSHERC_LIT("+OK\r\n:-3\r\n-ERR "
                    "no\x01\r\n*4\r\n$2\r\nhi\r\n*2\r\n:1\r\n$-1\r\n*0\r\n$3\r\nend\r\n$-1\r\n:");
    static const struct pc_redis_item items[] = {
        {PC_REDIS_STATUS, 0, PUSHERC_LIT("OK")},
        {PC_REDIS_INTEGER, -3, PUSHERC_LIT("")},
        {PC_REDIS_ERROR, 0, PUSHERC_LIT("ERR no\x01")},
        {PC_REDIS_ARRAY, 4, PUSHERC_LIT("")},
        {PC_REDIS_STRING, 0, PUSHERC_LIT("hi")},
        {PC_REDIS_ARRAY, 2, PUSHERC_LIT("")},
        {PC_REDIS_INTEGER, 1, PUSHERC_LIT("")},
        {PC_REDIS_NIL, 0, PUSHERC_LIT("")},
        {PC_REDIS_ARRAY, 0, PUSHERC_LIT("")},
        {PC_REDIS_STRING, 0, PUSHERC_LIT("end")},
        {PC_REDIS_NIL, 0, PUSHERC_LIT("")},
    };
    (void)state;
    for (size_t piece = 1; piece <= bytes.len; piece += bytes.len - 1) {
        struct fixture f;
        struct pc_redis_reply reply;
        size_t seen = 0;
        open_all(&f);
        for (size_t at = 0; at < bytes.len; at += piece) {
            int more;
            assert_int_equal(
                pc_redis_reader_feed(f.reader, pc_slice_first(pc_slice_skip(bytes, at), piece)), 0);
            while ((more = pc_redis_reader_next(f.reader, &reply)) > 0) {
                for (size_t i = 0; i < reply.count; i++, seen++) {
                    assert_int_equal(reply.items[i].type, items[seen].type);
                    assert_int_equal(reply.items[i].number, items[seen].number);
                    assert_true(pc_slice_eq(reply.items[i].text, items[seen].text));
                }
            }
            assert_int_equal(more, 0);
        }
        assert_int_equal(seen, sizeof items / sizeof items[0]);
        close_all(&f);
    }
}

static void what_is_no_answer_is_an_error(void **state)
{
    static const char *const rows[] = {"hello\r\n", "*-7\r\n",  "*1000000000\r\n",
                                       "$x\r\n",    ",1.5\r\n", "%1\r\n+a\r\n:1\r\n"};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct fixture f;
        struct pc_redis_reply reply;
        open_all(&f);
        assert_int_equal(pc_redis_reader_feed(f.reader, pc_slice_of(rows[i])), 0);
        assert_int_equal(pc_redis_reader_next(f.reader, &reply), PUSHERC_EPROTO);
        close_all(&f);
    }
}

/* Feeds it again and again, until the reader has enough. */
static void refuses(const char *head, const char *again)
{
    struct fixture f;
    struct pc_redis_reply reply;
    size_t fed = 0;
    open_all(&f);
    int err = pc_redis_reader_feed(f.reader, pc_slice_of(head));
    while (err == 0 && fed < 2 * MAX_BYTES) {
        err = pc_redis_reader_next(f.reader, &reply);
        if (err == 0)
            err = pc_redis_reader_feed(f.reader, pc_slice_of(again));
        fed += strlen(again);
    }
    assert_int_equal(err, PUSHERC_EPROTO);
    close_all(&f);
}

static void an_answer_without_end_is_an_error(void **state)
{
    (void)state;
    refuses("$1000000000\r\n", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
}

static void memory_that_runs_out_is_an_error(void **state)
{
    bool failed = true;
    (void)state;
    for (size_t n = 1; failed; n++) {
        struct failing_alloc alloc;
        struct pc_redis_reply reply;
        pusherc_allocator allocator = failing_alloc_init(&alloc, n);
        const struct pc_mem mem = pc_mem_make(&allocator);
        struct pc_redis_reader *reader = pc_redis_reader_new(&mem, MAX_BYTES);
        int more =
            reader ? pc_redis_reader_feed(reader, PC_S("*1\r\n$2\r\nhi\r\n")) : PUSHERC_ENOMEM;
        if (more == 0)
            more = pc_redis_reader_next(reader, &reply);
        failed = failing_alloc_hit(&alloc);
        assert_int_equal(more, failed ? PUSHERC_ENOMEM : 1);
        pc_redis_reader_free(reader);
        assert_int_equal(failing_alloc_live(&alloc), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_command_is_an_array_of_words),
        cmocka_unit_test(items_come_in_the_order_of_the_bytes),
        cmocka_unit_test(what_is_no_answer_is_an_error),
        cmocka_unit_test(an_answer_without_end_is_an_error),
        cmocka_unit_test(memory_that_runs_out_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
