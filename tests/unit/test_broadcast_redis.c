/* What a broadcaster writes to Redis, held against what Laravel writes, and what errors mean for its events. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <pusherc/error.h>

#include "broadcast/laravel.h"
#include "broadcast/redis_format.h"
#include "unit/failing_alloc.h"

struct fixture {
    struct failing_alloc alloc;
    struct pc_mem mem;
    struct pc_buf buf;
};

static void open_all(struct fixture *f)
{
    pusherc_allocator allocator = failing_alloc_init(&f->alloc, 0);
    f->mem = pc_mem_make(&allocator);
    pc_buf_init(&f->buf, &f->mem, SIZE_MAX);
}

static void close_all(struct fixture *f)
{
    pc_buf_free(&f->buf);
    assert_int_equal(failing_alloc_live(&f->alloc), 0);
}

static const char *text(struct fixture *f)
{
    pc_buf_put_char(&f->buf, '\0');
    assert_int_equal(pc_buf_status(&f->buf), 0);
    return f->buf.ptr;
}

static void the_message_is_laravels(void **state)
{
    static const struct {
        const char *name, *data;
        pusherc_socket_id except;
        const char *message;
    } rows[] = {
        {"App\\Events\\OrderShipped",
         "{\"order\":{\"id\":42}}",
         {0, 0},
         "{\"event\":\"App\\\\Events\\\\OrderShipped\",\"data\":{\"order\":{\"id\":42},\"socket\":"
         "null},\"socket\":null}"},
        {"x",
         "{\"a\":1}",
         {1234, 5678},
         "{\"event\":\"x\",\"data\":{\"a\":1,\"socket\":\"1234.5678\"},\"socket\":\"1234.5678\"}"},
        {"x", " {} ", {0, 0}, "{\"event\":\"x\",\"data\":{\"socket\":null},\"socket\":null}"},
        {"x",
         "{\"socket\":\"mine\"}",
         {0, 0},
         "{\"event\":\"x\",\"data\":{\"socket\":\"mine\"},\"socket\":null}"},
        {"x", "[1,2]", {0, 0}, "{\"event\":\"x\",\"data\":[1,2],\"socket\":null}"},
        {"x", "1.50", {0, 0}, "{\"event\":\"x\",\"data\":1.50,\"socket\":null}"},
        {"x",
         "no \"JSON\"",
         {0, 0},
         "{\"event\":\"x\",\"data\":\"no \\\"JSON\\\"\",\"socket\":null}"},
        {"x", "", {0, 0}, "{\"event\":\"x\",\"data\":\"\",\"socket\":null}"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct fixture f;
        const pusherc_event event = {.struct_size = sizeof event,
                                     .name = pc_slice_of(rows[i].name),
                                     .data = pc_slice_of(rows[i].data),
                                     .except = rows[i].except};
        open_all(&f);
        pc_laravel_put_message(&f.buf, &event);
        assert_string_equal(text(&f), rows[i].message);
        close_all(&f);
    }
}

static void a_message_is_read_as_laravel_means_it(void **state)
{
    static const struct {
        const char *text, *name, *data; /* name NULL = it is none */
        pusherc_socket_id except;
    } rows[] = {
        {"{\"event\":\"App\\\\Events\\\\A\",\"data\":{\"a\":1.50,\"socket\":null},\"socket\":null}",
         "App\\Events\\A",
         "{\"a\":1.50}",
         {0, 0}},
        {"{\"event\":\"x\",\"data\":{\"socket\":\"12.34\",\"a\":{\"socket\":1}},\"socket\":\"12."
         "34\"}",
         "x",
         "{\"a\":{\"socket\":1}}",
         {12, 34}},
        /* arrays in PHP */
        {"{\"event\":\"x\",\"data\":{\"socket\":null},\"socket\":null}", "x", "[]", {0, 0}},
        {"{\"event\":\"x\",\"data\":{\"0\":\"a\",\"1\":[],\"socket\":null}}",
         "x",
         "[\"a\",[]]",
         {0, 0}},
        {"{\"event\":\"x\",\"data\":{\"1\":\"a\",\"0\":2}}", "x", "{\"1\":\"a\",\"0\":2}", {0, 0}},
        {"{\"event\":\"x\",\"data\":{\"0\":\"a\",\"2\":2}}", "x", "{\"0\":\"a\",\"2\":2}", {0, 0}},
        /* of other writers */
        {"{\"event\":\"x\",\"data\":\"a \\\"b\\\"\",\"socket\":\"none\"}", "x", "a \"b\"", {0, 0}},
        {" {\"data\":[1, 2],\"event\":\"x\",\"socket\":7} ", "x", "[1, 2]", {0, 0}},
        {"{\"event\":\"x\",\"data\":null}", "x", "null", {0, 0}},
        {"", NULL, NULL, {0, 0}},
        {"[]", NULL, NULL, {0, 0}},
        {"{\"event\":\"x\"}", NULL, NULL, {0, 0}},
        {"{\"event\":1,\"data\":{}}", NULL, NULL, {0, 0}},
        {"{\"event\":\"x\",\"data\":\"\\ud800\"}", NULL, NULL, {0, 0}},
        {"{\"event\":\"x\",\"data\":{}", NULL, NULL, {0, 0}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct fixture f;
        struct pc_laravel_message m;
        open_all(&f);
        int err = pc_laravel_read_message(&m, pc_slice_of(rows[i].text), &f.buf);
        assert_int_equal(err, rows[i].name ? 0 : PUSHERC_EINVAL);
        if (rows[i].name) {
            assert_true(pc_slice_eq(m.name, pc_slice_of(rows[i].name)));
            assert_true(pc_slice_eq(m.data, pc_slice_of(rows[i].data)));
            assert_int_equal(m.except.a, rows[i].except.a);
            assert_int_equal(m.except.b, rows[i].except.b);
        }
        close_all(&f);
    }
}

static void reading_without_memory_fails(void **state)
{
    struct fixture f;
    struct pc_laravel_message m;
    (void)state;
    open_all(&f);
    f.alloc.fail_at = f.alloc.requests + 1;
    assert_int_equal(
        pc_laravel_read_message(&m, PC_S("{\"event\":\"x\",\"data\":{\"a\":1}}"), &f.buf),
        PUSHERC_ENOMEM);
    close_all(&f);
}

static void a_prefix_is_made_of_the_applications_name(void **state)
{
    static const struct {
        const char *name, *dashes, *lines;
    } rows[] = {
        {"", "laravel-database-", "laravel_database_"},
        {"Laravel", "laravel-database-", "laravel_database_"},
        {"My Shop", "my-shop-database-", "my_shop_database_"},
        {" a_b - c! ", "a-b-c-database-", "a_b_c_database_"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct fixture f;
        open_all(&f);
        pc_laravel_put_prefix(&f.buf, pc_slice_of(rows[i].name), '-');
        assert_true(pc_slice_eq(pc_buf_slice(&f.buf), pc_slice_of(rows[i].dashes)));
        pc_buf_clear(&f.buf);
        pc_laravel_put_prefix(&f.buf, pc_slice_of(rows[i].name), '_');
        assert_true(pc_slice_eq(pc_buf_slice(&f.buf), pc_slice_of(rows[i].lines)));
        close_all(&f);
    }
}

static struct pc_broadcast_event *event_new(struct fixture *f)
{
    const pusherc_slice channels[] = {PUSHERC_LIT("a"), PUSHERC_LIT("private-b")};
    const pusherc_event event = {.struct_size = sizeof event,
                                 .name = PUSHERC_LIT("x"),
                                 .channels = channels,
                                 .channel_count = 2,
                                 .data = PUSHERC_LIT("1")};
    return pc_broadcast_event_new(&f->mem, &event, PC_S(""), PC_S(""));
}

static void each_channel_is_one_command_behind_its_prefix(void **state)
{
    struct fixture f;
    struct pc_broadcast_batch batch = {.count = 1};
    const struct pc_broadcast_url url = {.prefix = PUSHERC_LIT("my-app-database-")};
    uint32_t count;
    (void)state;
    open_all(&f);
    struct pc_broadcast_event *e = event_new(&f);
    pc_list_init(&batch.events);
    pc_list_push_back(&batch.events, &e->of_state);
    assert_int_equal(pc_redis_put_batch(&f.buf, &url, &batch, &count), 0);
    assert_int_equal(count, 2);
    assert_string_equal(text(&f),
                        "*3\r\n$7\r\nPUBLISH\r\n$17\r\nmy-app-database-a\r\n$36\r\n"
                        "{\"event\":\"x\",\"data\":1,\"socket\":null}\r\n"
                        "*3\r\n$7\r\nPUBLISH\r\n$25\r\nmy-app-database-private-b\r\n$36\r\n"
                        "{\"event\":\"x\",\"data\":1,\"socket\":null}\r\n");
    pc_broadcast_event_free(&f.mem, e);
    close_all(&f);
}

static void a_connection_begins_with_what_its_setting_asks_for(void **state)
{
    static const struct {
        struct pc_broadcast_url url;
        uint32_t count;
        const char *text;
    } rows[] = {
        {{.db = 0}, 0, ""},
        {{.password = PUSHERC_LIT("p w")}, 1, "*2\r\n$4\r\nAUTH\r\n$3\r\np w\r\n"},
        {{.user = PUSHERC_LIT("u"), .password = PUSHERC_LIT("p"), .db = 12},
         2,
         "*3\r\n$4\r\nAUTH\r\n$1\r\nu\r\n$1\r\np\r\n*2\r\n$6\r\nSELECT\r\n$2\r\n12\r\n"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct fixture f;
        uint32_t count;
        open_all(&f);
        assert_int_equal(pc_redis_put_greeting(&f.buf, &rows[i].url, &count), 0);
        assert_int_equal(count, rows[i].count);
        assert_string_equal(text(&f), rows[i].text);
        close_all(&f);
    }
}

static void errors_are_refusals_or_pass(void **state)
{
    static const struct {
        const char *text;
        enum pc_broadcast_outcome outcome;
        int code;
    } rows[] = {
        {"NOAUTH Authentication required.", PC_BROADCAST_REFUSED, PUSHERC_EAUTH},
        {"WRONGPASS invalid username-password pair", PC_BROADCAST_REFUSED, PUSHERC_EAUTH},
        {"ERR invalid password", PC_BROADCAST_REFUSED, PUSHERC_EAUTH},
        {"ERR wrong number of arguments", PC_BROADCAST_REFUSED, PUSHERC_EINVAL},
        {"ERR max number of clients reached", PC_BROADCAST_AWAY, PUSHERC_EIO},
        {"LOADING Redis is loading the dataset in memory", PC_BROADCAST_AWAY, PUSHERC_EIO},
        {"CLUSTERDOWN The cluster is down", PC_BROADCAST_AWAY, PUSHERC_EIO},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pc_broadcast_answer out;
        pc_redis_judge(&out, pc_slice_of(rows[i].text));
        assert_int_equal(out.outcome, rows[i].outcome);
        assert_int_equal(out.code, rows[i].code);
        assert_true(pc_slice_eq(out.reason, pc_slice_of(rows[i].text)));
    }
}

static void memory_that_runs_out_is_an_error(void **state)
{
    struct fixture f;
    struct pc_broadcast_batch batch = {.count = 1};
    const struct pc_broadcast_url url = {.prefix = PUSHERC_LIT("p"), .password = PUSHERC_LIT("w")};
    bool failed = true;
    (void)state;
    for (size_t n = 1; failed; n++) {
        uint32_t count;
        open_all(&f);
        struct pc_broadcast_event *e = event_new(&f);
        pc_list_init(&batch.events);
        pc_list_push_back(&batch.events, &e->of_state);
        f.alloc.fail_at = f.alloc.requests + n;
        int err = pc_redis_put_greeting(&f.buf, &url, &count);
        if (err == 0)
            err = pc_redis_put_batch(&f.buf, &url, &batch, &count);
        failed = failing_alloc_hit(&f.alloc);
        assert_true(failed == (err == PUSHERC_ENOMEM));
        pc_broadcast_event_free(&f.mem, e);
        close_all(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_message_is_laravels),
        cmocka_unit_test(a_message_is_read_as_laravel_means_it),
        cmocka_unit_test(reading_without_memory_fails),
        cmocka_unit_test(a_prefix_is_made_of_the_applications_name),
        cmocka_unit_test(each_channel_is_one_command_behind_its_prefix),
        cmocka_unit_test(a_connection_begins_with_what_its_setting_asks_for),
        cmocka_unit_test(errors_are_refusals_or_pass),
        cmocka_unit_test(memory_that_runs_out_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
