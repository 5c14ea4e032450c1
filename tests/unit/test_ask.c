#include "net/ask.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <pusherc/error.h>

#include "unit/failing_alloc.h"

/* What a host reads of a request, without a connection under it. */
struct asked {
    struct pc_pair type;
    struct pc_http_message message;
    struct pusherc_http_request request;
};

static void ask(struct asked *asked, const struct pc_mem *mem, const char *type, pusherc_slice body)
{
    memset(asked, 0, sizeof *asked);
    asked->type = (struct pc_pair){PC_S("content-type"), pc_slice_of(type)};
    asked->message.fields = &asked->type;
    asked->message.field_count = 1;
    asked->message.body = body;
    asked->request.ask.pending.mem = *mem;
    asked->request.ask.message = &asked->message;
    pc_buf_init(&asked->request.ask.decoded, &asked->request.ask.pending.mem, SIZE_MAX);
}

static void done(struct asked *asked)
{
    pc_free(&asked->request.ask.pending.mem, asked->request.form);
    pc_buf_free(&asked->request.form_text);
    pc_buf_free(&asked->request.ask.decoded);
}

static void expect_field(struct asked *asked, const char *name, const char *expected)
{
    pusherc_slice value = pusherc_http_form(&asked->request, name);
    assert_int_equal(value.len, strlen(expected));
    assert_memory_equal(value.ptr, expected, value.len);
}

#define FORM "application/x-www-form-urlencoded"

static void a_forms_fields_are_read_decoded(void **state)
{
    struct pc_mem mem = pc_mem_make(NULL);
    struct asked asked;
    (void)state;
    ask(&asked, &mem, FORM,
        PC_S("email=a%40b.c&name=A+%26+B&empty=&bare&twice=1&twice=2&x%5B%5D=y"));
    expect_field(&asked, "email", "a@b.c");
    expect_field(&asked, "name", "A & B");
    expect_field(&asked, "empty", "");
    expect_field(&asked, "bare", "");
    expect_field(&asked, "twice", "1");
    expect_field(&asked, "x[]", "y");
    expect_field(&asked, "absent", "");
    expect_field(&asked, "", "");
    done(&asked);
}

static void values_stay_where_they_are_while_others_are_read(void **state)
{
    struct pc_mem mem = pc_mem_make(NULL);
    struct asked asked;
    (void)state;
    ask(&asked, &mem, FORM, PC_S("a=%41%41%41&b=%42&c=plain"));
    pusherc_slice a = pusherc_http_form(&asked.request, "a");
    expect_field(&asked, "b", "B");
    expect_field(&asked, "c", "plain");
    assert_true(pc_slice_eq(a, PC_S("AAA")));
    assert_ptr_equal(pusherc_http_form(&asked.request, "a").ptr, a.ptr);
    done(&asked);
}

static void only_a_body_that_is_a_form_has_fields(void **state)
{
    static const struct {
        const char *type, *expected;
    } cases[] = {
        {FORM, "1"},
        {FORM "; charset=UTF-8", "1"},
        {"Application/X-WWW-Form-URLEncoded ;charset=utf-8", "1"},
        {FORM "x", ""},
        {"application/json", ""},
        {"multipart/form-data; boundary=x", ""},
        {"", ""},
    };
    struct pc_mem mem = pc_mem_make(NULL);
    struct asked asked;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ask(&asked, &mem, cases[i].type, PC_S("a=1"));
        expect_field(&asked, "a", cases[i].expected);
        done(&asked);
    }
}

static void a_form_of_too_many_fields_has_none(void **state)
{
    struct pc_mem mem = pc_mem_make(NULL);
    struct asked asked;
    struct pc_buf body;
    (void)state;
    pc_buf_init(&body, &mem, 1 << 20);
    for (int i = 1; i < PC_ASK_MAX_FIELDS; i++)
        pc_buf_put(&body, PC_S("x=%31&"));
    pc_buf_put(&body, PC_S("last=1"));
    ask(&asked, &mem, FORM, pc_buf_slice(&body));
    expect_field(&asked, "last", "1");
    done(&asked);
    pc_buf_put(&body, PC_S("&&&"));
    ask(&asked, &mem, FORM, pc_buf_slice(&body));
    expect_field(&asked, "last", "1");
    done(&asked);
    pc_buf_put(&body, PC_S("more"));
    ask(&asked, &mem, FORM, pc_buf_slice(&body));
    expect_field(&asked, "last", "");
    expect_field(&asked, "x", "");
    done(&asked);
    pc_buf_free(&body);
}

static void without_memory_there_are_no_fields(void **state)
{
    (void)state;
    for (int fail_at = 1; fail_at <= 2; fail_at++) {
        struct failing_alloc alloc;
        pusherc_allocator allocator = failing_alloc_init(&alloc, (size_t)fail_at);
        struct pc_mem mem = pc_mem_make(&allocator);
        struct asked asked;
        ask(&asked, &mem, FORM, PC_S("a=%31"));
        expect_field(&asked, "a", "");
        done(&asked);
        assert_int_equal(failing_alloc_live(&alloc), 0);
    }
}

static void an_empty_form_has_no_fields(void **state)
{
    struct pc_mem mem = pc_mem_make(NULL);
    struct asked asked;
    (void)state;
    ask(&asked, &mem, FORM, pc_slice(NULL, 0));
    expect_field(&asked, "a", "");
    done(&asked);
}

static void the_path_and_the_query_are_decoded(void **state)
{
    struct pc_mem mem = pc_mem_make(NULL);
    struct asked asked;
    (void)state;
    ask(&asked, &mem, "", PC_S(""));
    asked.message.path = PC_S("/a%20b/+");
    asked.message.query = PC_S("q=1+%2B&q=2&r");
    assert_true(pc_slice_eq(pusherc_http_path(&asked.request), PC_S("/a b/+")));
    assert_true(pc_slice_eq(pusherc_http_query(&asked.request, "q"), PC_S("1 +")));
    assert_int_equal(pusherc_http_query(&asked.request, "r").len, 0);
    assert_non_null(pusherc_http_query(&asked.request, "r").ptr);
    assert_null(pusherc_http_query(&asked.request, "s").ptr);
    assert_true(pc_slice_eq(pusherc_http_path(&asked.request), PC_S("/a b/+")));
    done(&asked);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_forms_fields_are_read_decoded),
        cmocka_unit_test(values_stay_where_they_are_while_others_are_read),
        cmocka_unit_test(only_a_body_that_is_a_form_has_fields),
        cmocka_unit_test(a_form_of_too_many_fields_has_none),
        cmocka_unit_test(without_memory_there_are_no_fields),
        cmocka_unit_test(an_empty_form_has_no_fields),
        cmocka_unit_test(the_path_and_the_query_are_decoded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
