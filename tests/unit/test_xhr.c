#include "codec/xhr.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <pusherc/error.h>

#include "codec/json.h"
#include "fanout/frame.h"
#include "unit/failing_alloc.h"

static void expect(const struct pc_buf *buf, const char *text)
{
    assert_int_equal(pc_buf_status(buf), 0);
    assert_int_equal(buf->len, strlen(text));
    assert_memory_equal(buf->ptr, text, buf->len);
}

static void a_chunk_says_its_length_in_hexadecimal(void **state)
{
    (void)state;
    struct pc_mem mem = pc_mem_make(NULL);
    struct pc_buf buf;
    static char zeros[0x12345];
    pc_buf_init(&buf, &mem, SIZE_MAX);
    pc_xhr_put_chunk(&buf, PC_S("hello"));
    expect(&buf, "5\r\nhello\r\n");
    assert_int_equal(pc_xhr_chunk_head(pc_buf_slice(&buf)), 3);
    pc_buf_clear(&buf);
    pc_xhr_put_chunk(&buf, PC_S("0123456789abcdef\n"));
    expect(&buf, "11\r\n0123456789abcdef\n\r\n");
    assert_int_equal(pc_xhr_chunk_head(pc_buf_slice(&buf)), 4);
    pc_buf_clear(&buf);
    pc_xhr_put_chunk(&buf, pc_slice(zeros, sizeof zeros));
    assert_memory_equal(buf.ptr, "12345\r\n", 7);
    assert_int_equal(buf.len, 7 + sizeof zeros + PC_XHR_CHUNK_TAIL);
    pc_buf_free(&buf);
}

static void lines_are_json(void **state)
{
    (void)state;
    struct pc_mem mem = pc_mem_make(NULL);
    struct pc_buf buf;
    pc_buf_init(&buf, &mem, SIZE_MAX);
    pc_xhr_put_message(&buf, PC_S("{\"event\":\"a\\\"b\"}"));
    expect(&buf, "a[\"{\\\"event\\\":\\\"a\\\\\\\"b\\\"}\"]\n");
    pc_buf_clear(&buf);
    pc_xhr_put_message(&buf, PC_S("\n\x01"));
    expect(&buf, "a[\"\\n\\u0001\"]\n"); /* one line, whatever is in it */
    pc_buf_clear(&buf);
    pc_xhr_put_close(&buf, 4001, PC_S("no \"app\""));
    expect(&buf, "c[4001,\"no \\\"app\\\"\"]\n");
    pc_buf_free(&buf);
}

static void characters_are_counted_as_browsers_do(void **state)
{
    (void)state;
    assert_int_equal(pc_xhr_characters(PC_S("")), 0);
    assert_int_equal(pc_xhr_characters(PC_S("a\xc3\xbc\xe2\x82\xac")), 3);
    assert_int_equal(pc_xhr_characters(PC_S("\xf0\x9f\x98\x80!")), 3); /* a pair of surrogates */
}

static void only_arrays_of_texts_are_read(void **state)
{
    (void)state;
    static const char *const broken[] = {"",     "[",          "{}",         "\"a\"",
                                         "null", "[1]",        "[\"a\",[]]", "[\"a\"]x",
                                         "[,]",  "[\"\xff\"]", "[\"a]",      "[null]"};
    struct pc_json_iter items;
    size_t count;
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++)
        assert_int_equal(pc_xhr_read(pc_slice_of(broken[i]), &items, &count), PUSHERC_EPROTO);
    assert_int_equal(pc_xhr_read(PC_S(" [ ] "), &items, &count), 0);
    assert_int_equal(count, 0);
    assert_false(pc_json_next(&items));
    assert_int_equal(pc_xhr_read(PC_S("[\"a\", \"b\"]"), &items, &count), 0);
    assert_int_equal(count, 2);
    assert_true(pc_json_next(&items) && pc_json_next(&items) && !pc_json_next(&items));
}

static void a_frame_is_the_chunk_of_a_message(void **state)
{
    (void)state;
    bool failed = true;
    for (size_t n = 1; failed; n++) {
        struct failing_alloc alloc;
        pusherc_allocator allocator = failing_alloc_init(&alloc, n);
        struct pc_mem mem = pc_mem_make(&allocator);
        static char text[5000];
        memset(text, 'x', sizeof text);
        struct pc_frame *frame = pc_frame_new_xhr(&mem, 2, pc_slice(text, sizeof text));
        failed = failing_alloc_hit(&alloc);
        assert_int_equal(frame == NULL, failed);
        if (frame) {
            assert_memory_equal(frame->slots[1].bytes, "138e\r\na[\"xxx", 12);
            assert_int_equal(frame->header_len, 6);
            assert_int_equal(frame->characters, 5006);
            assert_int_equal(frame->slots[1].len, 6 + 5006 + 2);
        }
        pc_frame_done(frame);
        assert_int_equal(failing_alloc_live(&alloc), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_chunk_says_its_length_in_hexadecimal),
        cmocka_unit_test(lines_are_json),
        cmocka_unit_test(characters_are_counted_as_browsers_do),
        cmocka_unit_test(only_arrays_of_texts_are_read),
        cmocka_unit_test(a_frame_is_the_chunk_of_a_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
