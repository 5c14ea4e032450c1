/* JSON: what is valid, walking it, strings both ways. */
#include "codec/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pusherc/error.h>

#include "failing_alloc.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void assert_slice(pusherc_slice s, const char *expected)
{
    if (s.len != strlen(expected) || (s.len && memcmp(s.ptr, expected, s.len) != 0))
        fail_msg("got \"%.*s\", expected \"%s\"", (int)s.len, s.ptr, expected);
}

/* In a block of its exact size, so that a sanitizer sees a byte read too many. */
static enum pc_json_type type_of(pusherc_slice text)
{
    char *copy = malloc(text.len ? text.len : 1);
    assert_non_null(copy);
    if (text.len)
        memcpy(copy, text.ptr, text.len);
    enum pc_json_type type = pc_json_parse(pc_slice(copy, text.len)).type;
    free(copy);
    return type;
}

static const struct {
    const char *text;
    enum pc_json_type type;
} valid[] = {
    {"null", PC_JSON_NULL},
    {"true", PC_JSON_BOOL},
    {"false", PC_JSON_BOOL},
    {"0", PC_JSON_NUMBER},
    {"-0", PC_JSON_NUMBER},
    {"10", PC_JSON_NUMBER},
    {"-1.50", PC_JSON_NUMBER},
    {"0.1e1", PC_JSON_NUMBER},
    {"1E+2", PC_JSON_NUMBER},
    {"1e-0", PC_JSON_NUMBER},
    {"1e999999", PC_JSON_NUMBER},
    {"123456789012345678901234567890", PC_JSON_NUMBER},
    {"\"\"", PC_JSON_STRING},
    {"\"a\"", PC_JSON_STRING},
    {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\uabCD\"", PC_JSON_STRING},
    {"\"\\ud800\"", PC_JSON_STRING}, /* a lone surrogate is grammatical */
    {"\"\\u0000\"", PC_JSON_STRING},
    {"\"\x7f\"", PC_JSON_STRING},
    {"\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\"", PC_JSON_STRING},
    {"\"01234567890123456789012345678901234567\xc3\xa4 \\\\ 0123456789\"", PC_JSON_STRING},
    {"[]", PC_JSON_ARRAY},
    {"[ ]", PC_JSON_ARRAY},
    {"[1]", PC_JSON_ARRAY},
    {"[[],[[]],{}]", PC_JSON_ARRAY},
    {"[1,\"a\",null,{\"b\":[]}]", PC_JSON_ARRAY},
    {"{}", PC_JSON_OBJECT},
    {"{\"\":0}", PC_JSON_OBJECT},
    {"{\"a\":1,\"a\":2}", PC_JSON_OBJECT},
    {"{\"a\":{\"b\":{\"c\":[{}]}}}", PC_JSON_OBJECT},
    {" \t\r\n{ \"a\" : [ 1 , 2 ] , \"b\" : { } } \n", PC_JSON_OBJECT},
    {" 1 ", PC_JSON_NUMBER},
};

static const char *const invalid[] = {
    "",
    " ",
    "nul",
    "nulll",
    "True",
    "tru",
    "truee",
    "falsey",
    "undefined",
    "NaN",
    "Infinity",
    /* numbers */
    "-",
    "+1",
    "01",
    "-01",
    "00",
    "1.",
    ".5",
    "-.5",
    "1.e1",
    "1e",
    "1e+",
    "1ee1",
    "1.2.3",
    "0x1",
    "1a",
    "--1",
    "1 2",
    "1,",
    "\x31\xc2\xa0",
    "1_000",
    /* strings */
    "\"",
    "\"a",
    "'a'",
    "\"\\\"",
    "\"\\",
    "\"\\x\"",
    "\"\\a\"",
    "\"\\u\"",
    "\"\\u123\"",
    "\"\\u12\"",
    "\"\\u123g\"",
    "\"\\u 123\"",
    "\"\\U0041\"",
    "\"\t\"",
    "\"\n\"",
    "\"\x1f\"",
    "\"a\"b",
    "\"\xc3\"",
    "\"\xff\"",
    "\"\xc0\x80\"",
    "\"\xed\xa0\x80\"",
    "\"\xf4\x90\x80\x80\"",
    "\"0123456\xc3\"",
    "\"01234567\x01\"",
    "\"a\" \"b\"",
    /* containers */
    "[",
    "]",
    "[1",
    "[1,",
    "[1,]",
    "[,1]",
    "[,]",
    "[1 2]",
    "[1}",
    "[1]]",
    "[[]",
    "[\"a\":1]",
    "{",
    "}",
    "{]",
    "{\"a\"",
    "{\"a\"}",
    "{\"a\":",
    "{\"a\":}",
    "{\"a\":1",
    "{\"a\":1,",
    "{\"a\":1,}",
    "{,}",
    "{a:1}",
    "{1:2}",
    "{null:1}",
    "{\"a\" 1}",
    "{\"a\":1 \"b\":2}",
    "{\"a\":1,,\"b\":2}",
    "{\"a\":1]",
    "{\"a\":1}}",
    "{\"a\"::1}",
    "{[]:1}",
    "[{]}",
    "{} {}",
    "[] []",
    "{},",
    "[]x",
    /* around */
    "\xef\xbb\xbf{}",
    "/**/1",
    "1//",
    "\x0b{}",
    "\xc2\xa0 1",
    "\x0c[]",
};

static void valid_texts_are_recognised_by_type(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(valid); i++) {
        enum pc_json_type type = type_of(pc_slice_of(valid[i].text));
        if (type != valid[i].type)
            fail_msg("%s: %d", valid[i].text, type);
    }
}

static void anything_else_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(invalid); i++) {
        if (type_of(pc_slice_of(invalid[i])) != PC_JSON_NONE)
            fail_msg("%s was taken", invalid[i]);
    }
    assert_int_equal(type_of(PC_S("1\0")), PC_JSON_NONE);
    assert_int_equal(type_of(PC_S("\0")), PC_JSON_NONE);
    assert_int_equal(type_of(PC_S("\"a\0b\"")), PC_JSON_NONE);
    assert_int_equal(pc_json_parse(pc_slice(NULL, 0)).type, PC_JSON_NONE);
}

static void no_prefix_of_a_container_or_string_is_valid(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(valid); i++) {
        pusherc_slice text = pc_slice_of(valid[i].text);
        char last = text.ptr[text.len - 1];
        if (last != '"' && last != ']' && last != '}')
            continue;
        for (size_t len = 0; len < text.len; len++)
            assert_int_equal(type_of(pc_slice_first(text, len)), PC_JSON_NONE);
    }
}

static void raw_has_no_white_space_around_it(void **state)
{
    (void)state;
    assert_slice(pc_json_parse(PC_S(" \n [ 1 ] \t")).raw, "[ 1 ]");
    assert_slice(pc_json_parse(PC_S("-1.5e3 ")).raw, "-1.5e3");
    assert_slice(pc_json_parse(PC_S(" \"a \" ")).raw, "\"a \"");
}

static void an_error_is_placed_at_the_value_it_is_in_or_behind(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t offset;
    } cases[] = {
        {"", 0},
        {"  x", 2},
        {"[1, tru]", 4},
        {"[1 2]", 1},
        {"{\"a\":1,\n\"b\":[],\n\"c\":\"\t\"}", 20},
        {"{\"a\":1} x", 8},
        {"[1,", 3},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        pusherc_slice text = pc_slice_of(cases[i].text);
        assert_int_equal(pc_json_parse(text).type, PC_JSON_NONE);
        assert_int_equal(pc_json_error_offset(text), cases[i].offset);
    }
}

static void one_bad_byte_is_found_at_every_place_of_a_string(void **state)
{
    (void)state;
    static const char bad[] = {'\x01', '\x1f', '\n', (char)0x80, (char)0xff, '"'};
    char text[40];
    for (size_t len = 3; len <= sizeof text; len++) {
        for (size_t at = 1; at < len - 1; at++) {
            memset(text, 'a', sizeof text);
            text[0] = text[len - 1] = '"';
            assert_int_equal(type_of(pc_slice(text, len)), PC_JSON_STRING);
            for (size_t i = 0; i < sizeof bad; i++) {
                text[at] = bad[i];
                assert_int_equal(type_of(pc_slice(text, len)), PC_JSON_NONE);
            }
            /* it escapes the closing quote; before 'a' it is not a valid escape */
            text[at] = '\\';
            assert_int_equal(type_of(pc_slice(text, len)), PC_JSON_NONE);
        }
    }
}

/* `depth` containers in each other, objects where the bit of `kinds` is set. */
static pusherc_slice nested(char *out, unsigned depth, uint64_t kinds, const char *inside)
{
    char *to = out;
    for (unsigned i = 0; i < depth; i++)
        to = stpcpy(to, kinds >> i % 64 & 1 ? "{\"k\":" : "[");
    to = stpcpy(to, inside);
    for (unsigned i = depth; i-- > 0;)
        *to++ = kinds >> i % 64 & 1 ? '}' : ']';
    return pc_slice(out, (size_t)(to - out));
}

static void nesting_ends_at_the_limit(void **state)
{
    (void)state;
    static const uint64_t kinds[] = {0, UINT64_MAX, 0x5555555555555555, 0xdeadbeefcafef00d};
    static char text[10000];
    for (size_t i = 0; i < COUNT(kinds); i++) {
        for (unsigned depth = 1; depth <= PC_JSON_MAX_DEPTH; depth++)
            assert_int_not_equal(type_of(nested(text, depth, kinds[i], "1")), PC_JSON_NONE);
        assert_int_equal(type_of(nested(text, PC_JSON_MAX_DEPTH + 1, kinds[i], "1")), PC_JSON_NONE);
        assert_int_equal(type_of(nested(text, PC_JSON_MAX_DEPTH, kinds[i], "[]")), PC_JSON_NONE);
        assert_int_equal(type_of(nested(text, PC_JSON_MAX_DEPTH, kinds[i], "{}")), PC_JSON_NONE);
        assert_int_equal(type_of(nested(text, 1000, kinds[i], "1")), PC_JSON_NONE);
    }
    /* the limit is on depth, not on number */
    pusherc_slice wide =
        PC_S("[[[]],[[]],[[]],{\"a\":{}},[],[],[],[],[],[],[],[],[],[],[],[],[],[]]");
    assert_int_equal(type_of(wide), PC_JSON_ARRAY);
}

static void a_wrong_bracket_is_seen_at_every_depth(void **state)
{
    (void)state;
    static char text[1000];
    for (unsigned depth = 1; depth <= PC_JSON_MAX_DEPTH; depth++) {
        pusherc_slice s = nested(text, depth, 0x5a5a3c3c0ff0a55a, "1");
        for (size_t i = s.len - depth; i < s.len; i++) {
            text[i] ^= ']' ^ '}';
            assert_int_equal(type_of(s), PC_JSON_NONE);
            text[i] ^= ']' ^ '}';
        }
        assert_int_not_equal(type_of(s), PC_JSON_NONE);
    }
}

static void members_are_visited_in_order(void **state)
{
    (void)state;
    struct pc_json object = pc_json_parse(
        PC_S("{ \"event\":\"pusher:subscribe\" , \"data\" : {\"channel\":\"a]}\\\"\",\"n\":[1,{}]},"
             "\"x\":-1.5e3,\"y\":true\n,\"z\":null }"));
    static const char *const expected[][2] = {
        {"\"event\"", "\"pusher:subscribe\""},
        {"\"data\"", "{\"channel\":\"a]}\\\"\",\"n\":[1,{}]}"},
        {"\"x\"", "-1.5e3"},
        {"\"y\"", "true"},
        {"\"z\"", "null"},
    };
    static const enum pc_json_type types[] = {PC_JSON_STRING, PC_JSON_OBJECT, PC_JSON_NUMBER,
                                              PC_JSON_BOOL, PC_JSON_NULL};
    struct pc_json_iter iter = pc_json_iter_of(object);
    for (size_t i = 0; i < COUNT(expected); i++) {
        assert_true(pc_json_next(&iter));
        assert_int_equal(iter.key.type, PC_JSON_STRING);
        assert_slice(iter.key.raw, expected[i][0]);
        assert_slice(iter.value.raw, expected[i][1]);
        assert_int_equal(iter.value.type, types[i]);
    }
    assert_false(pc_json_next(&iter));
    assert_false(pc_json_next(&iter));
}

static void items_are_visited_in_order(void **state)
{
    (void)state;
    struct pc_json array = pc_json_parse(PC_S("[1 ,\"a,b\", [2,[3]], {\"c\":[4]} ,false ]"));
    static const char *const expected[] = {"1", "\"a,b\"", "[2,[3]]", "{\"c\":[4]}", "false"};
    struct pc_json_iter iter = pc_json_iter_of(array);
    for (size_t i = 0; i < COUNT(expected); i++) {
        assert_true(pc_json_next(&iter));
        assert_int_equal(iter.key.type, PC_JSON_NONE);
        assert_slice(iter.value.raw, expected[i]);
    }
    assert_false(pc_json_next(&iter));
}

static void there_is_nothing_to_visit_in_empty_containers_and_scalars(void **state)
{
    (void)state;
    static const char *const texts[] = {"[]", "[ \n]", "{}", "{ }", "1", "\"ab\"", "null", "x"};
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct pc_json_iter iter = pc_json_iter_of(pc_json_parse(pc_slice_of(texts[i])));
        assert_false(pc_json_next(&iter));
    }
}

static void the_last_of_equal_names_counts(void **state)
{
    (void)state;
    struct pc_json object =
        pc_json_parse(PC_S("{\"a\":1,\"b\":2,\"a\":3,\"ab\":4,\"A\":5,\"\":6}"));
    assert_slice(pc_json_get(object, PC_S("a")).raw, "3");
    assert_slice(pc_json_get(object, PC_S("b")).raw, "2");
    assert_slice(pc_json_get(object, PC_S("ab")).raw, "4");
    assert_slice(pc_json_get(object, PC_S("")).raw, "6");
    assert_int_equal(pc_json_get(object, PC_S("abc")).type, PC_JSON_NONE);
    assert_int_equal(pc_json_get(pc_json_parse(PC_S("[\"a\"]")), PC_S("a")).type, PC_JSON_NONE);
    assert_int_equal(pc_json_get((struct pc_json){0}, PC_S("a")).type, PC_JSON_NONE);
}

static void names_are_compared_decoded(void **state)
{
    (void)state;
    struct pc_json object = pc_json_parse(
        PC_S("{\"\\u0061b\":1,\"\\ud83d\\ude00\":2,\"q\\\"\":3,\"\\udead\":4,\"xy\\u007a\":5}"));
    assert_slice(pc_json_get(object, PC_S("ab")).raw, "1");
    assert_slice(pc_json_get(object, PC_S("\xf0\x9f\x98\x80")).raw, "2");
    assert_slice(pc_json_get(object, PC_S("q\"")).raw, "3");
    assert_slice(pc_json_get(object, PC_S("xyz")).raw, "5");
    assert_int_equal(pc_json_get(object, PC_S("a")).type, PC_JSON_NONE);
    assert_int_equal(pc_json_get(object, PC_S("abc")).type, PC_JSON_NONE);
    assert_int_equal(pc_json_get(object, PC_S("\\udead")).type, PC_JSON_NONE);
    assert_int_equal(pc_json_get(object, PC_S("")).type, PC_JSON_NONE);
}

/* Strings */

static void strings_without_escapes_point_into_the_text(void **state)
{
    (void)state;
    pusherc_slice text = PC_S("\"Zo\xc3\xab\"");
    pusherc_slice out;
    /* no scratch is needed, so none is given */
    assert_int_equal(pc_json_string(pc_json_parse(text), NULL, &out), 0);
    assert_ptr_equal(out.ptr, text.ptr + 1);
    assert_slice(out, "Zo\xc3\xab");
    assert_int_equal(pc_json_string(pc_json_parse(PC_S("\"\"")), NULL, &out), 0);
    assert_int_equal(out.len, 0);
}

static const struct {
    const char *json;
    const char *decoded; /* NULL = refused */
} escapes[] = {
    {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t"},
    {"\"\\u0041\\u00e4\\u20aC\"", "A\xc3\xa4\xe2\x82\xac"},
    {"\"\\u0001\\u007f\\u0080\\u07ff\\u0800\\uffff\"",
     "\x01\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf"},
    {"\"\\ud83d\\ude00\"", "\xf0\x9f\x98\x80"},
    {"\"\\ud800\\udc00\\uDBFF\\uDFFF\"", "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"},
    {"\"0123456789abcdef\\n0123456789abcdef\"", "0123456789abcdef\n0123456789abcdef"},
    {"\"\xc3\xa4\\\\\xc3\xa4\"", "\xc3\xa4\\\xc3\xa4"},
    {"\"\\\\u0041\"", "\\u0041"},
    {"\"{\\\"a\\\":\\\"b\\\\\\\"c\\\"}\"", "{\"a\":\"b\\\"c\"}"},
    {"\"\\ud83d\"", NULL},
    {"\"\\ud83d\\n\"", NULL},
    {"\"\\ud83dxxxxxx\"", NULL},
    {"\"\\ud83d\\u0041\"", NULL},
    {"\"\\ud83d\\ud83d\\ude00\"", NULL},
    {"\"\\ud83d\\ud83d\"", NULL},
    {"\"\\ud83d\\udbff\"", NULL},
    {"\"\\ud83d\\ue000\"", NULL},
    {"\"\\ude00\"", NULL},
    {"\"\\ude00\\ud83d\"", NULL},
    {"\"0123456789\\udfff0123456789\"", NULL},
};

static void escapes_are_decoded_or_refused(void **state)
{
    (void)state;
    struct pc_mem mem = pc_mem_make(NULL);
    struct pc_buf scratch;
    pc_buf_init(&scratch, &mem, 1000);
    for (size_t i = 0; i < COUNT(escapes); i++) {
        struct pc_json value = pc_json_parse(pc_slice_of(escapes[i].json));
        pusherc_slice out = PC_S("?");
        int err = pc_json_string(value, &scratch, &out);
        if (!escapes[i].decoded) {
            assert_int_equal(err, PUSHERC_EINVAL);
            assert_int_equal(out.len, 0);
            continue;
        }
        assert_int_equal(err, 0);
        assert_slice(out, escapes[i].decoded);
    }
    pc_buf_free(&scratch);
}

static void nul_is_a_character_like_others(void **state)
{
    (void)state;
    char room[8];
    struct pc_mem mem = pc_mem_make(NULL);
    struct pc_buf scratch;
    pusherc_slice out;
    pc_buf_init_in(&scratch, &mem, sizeof room, room, sizeof room);
    assert_int_equal(pc_json_string(pc_json_parse(PC_S("\"a\\u0000b\"")), &scratch, &out), 0);
    assert_int_equal(out.len, 3);
    assert_memory_equal(out.ptr, "a\0b", 3);
}

static void every_length_around_eight_bytes_is_decoded(void **state)
{
    (void)state;
    struct pc_mem mem = pc_mem_make(NULL);
    for (size_t before = 0; before < 20; before++) {
        for (size_t after = 0; after < 20; after++) {
            char json[64] = "\"", expected[64] = "";
            pusherc_slice out;
            struct pc_buf scratch;
            memset(json + 1, 'b', before);
            strcat(json, "\\u00e4\\\\");
            memset(json + strlen(json), 'a', after);
            strcat(json, "\"");
            memset(expected, 'b', before);
            strcat(expected, "\xc3\xa4\\");
            memset(expected + strlen(expected), 'a', after);

            size_t size = strlen(expected);
            pc_buf_init(&scratch, &mem, size); /* decoded length is what counts */
            struct pc_json value = pc_json_parse(pc_slice_of(json));
            assert_int_equal(pc_json_string(value, &scratch, &out), 0);
            assert_slice(out, expected);
            assert_int_equal(scratch.len, size);
            pc_buf_free(&scratch);

            pc_buf_init(&scratch, &mem, size - 1);
            assert_int_equal(pc_json_string(value, &scratch, &out), PUSHERC_ELIMIT);
            assert_int_equal(scratch.len, 0);
            pc_buf_free(&scratch);
        }
    }
}

static void other_values_are_no_strings(void **state)
{
    (void)state;
    static const char *const texts[] = {"null", "1", "true", "[]", "{}", "x"};
    for (size_t i = 0; i < COUNT(texts); i++) {
        pusherc_slice out = PC_S("?");
        struct pc_json value = pc_json_parse(pc_slice_of(texts[i]));
        assert_int_equal(pc_json_string(value, NULL, &out), PUSHERC_EINVAL);
        assert_int_equal(out.len, 0);
    }
}

static void a_string_out_of_memory_is_an_error_and_leaves_scratch_as_it_was(void **state)
{
    (void)state;
    struct failing_alloc alloc;
    pusherc_allocator allocator = failing_alloc_init(&alloc, 1);
    struct pc_mem mem = pc_mem_make(&allocator);
    struct pc_buf scratch;
    pusherc_slice out;
    pc_buf_init(&scratch, &mem, 100);
    struct pc_json value = pc_json_parse(PC_S("\"a\\nb\""));
    assert_int_equal(pc_json_string(value, &scratch, &out), PUSHERC_ENOMEM);
    pc_buf_clear(&scratch);
    assert_int_equal(pc_json_string(value, &scratch, &out), 0);
    assert_slice(out, "a\nb");
    pc_buf_free(&scratch);
    assert_int_equal(failing_alloc_live(&alloc), 0);
}

static void only_integers_that_fit_are_integers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool good;
        int64_t number;
    } cases[] = {
        {"0", true, 0},
        {"-0", true, 0},
        {"42", true, 42},
        {"-42", true, -42},
        {"9223372036854775807", true, INT64_MAX},
        {"-9223372036854775808", true, INT64_MIN},
        {"9223372036854775808", false, 0},
        {"-9223372036854775809", false, 0},
        {"99999999999999999999999", false, 0},
        {"1.0", false, 0},
        {"1e2", false, 0},
        {"\"1\"", false, 0},
        {"true", false, 0},
        {"x", false, 0},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        int64_t number = 0;
        bool good = pc_json_i64(pc_json_parse(pc_slice_of(cases[i].text)), &number);
        if (good != cases[i].good || number != cases[i].number)
            fail_msg("%s: %d %lld", cases[i].text, good, (long long)number);
    }
}

/* Writing */

static void compact_output_drops_white_space_between_tokens_only(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {" { \"a b\" : [ 1 , 2.50 ,\t{ } ] ,\n\"c\" : \" \\\" x \" } ",
         "{\"a b\":[1,2.50,{}],\"c\":\" \\\" x \"}"},
        {"[1,2]", "[1,2]"},
        {" \"a  b\" ", "\"a  b\""},
        {" 1.0E+2 ", "1.0E+2"},
        {"[ ]", "[]"},
    };
    struct pc_mem mem = pc_mem_make(NULL);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct pc_buf buf;
        pc_buf_init(&buf, &mem, 1000);
        pc_json_put_compact(&buf, pc_json_parse(pc_slice_of(cases[i][0])));
        assert_int_equal(pc_buf_status(&buf), 0);
        assert_slice(pc_buf_slice(&buf), cases[i][1]);
        pc_buf_free(&buf);
    }
}

static void nothing_is_written_for_an_absent_value(void **state)
{
    (void)state;
    struct pc_mem mem = pc_mem_make(NULL);
    struct pc_buf buf;
    pc_buf_init(&buf, &mem, 10);
    pc_json_put_compact(&buf, (struct pc_json){0});
    pc_json_put_escaped(&buf, pc_slice(NULL, 0));
    assert_int_equal(buf.len, 0);
    pc_json_put_string(&buf, pc_slice(NULL, 0));
    assert_slice(pc_buf_slice(&buf), "\"\"");
    pc_buf_free(&buf);
}

static void only_what_must_be_escaped_is(void **state)
{
    (void)state;
    struct pc_mem mem = pc_mem_make(NULL);
    struct pc_buf buf;
    pc_buf_init(&buf, &mem, 1000);
    pc_json_put_string(&buf, PC_S("a/b'\"\\\b\f\n\r\t\x01\x1f\x7f Zo\xc3\xab \xe2\x80\xa8"));
    assert_slice(pc_buf_slice(&buf),
                 "\"a/b'\\\"\\\\\\b\\f\\n\\r\\t\\u0001\\u001f\x7f Zo\xc3\xab \xe2\x80\xa8\"");
    pc_buf_clear(&buf);
    pc_json_put_string(&buf, PC_S("a\0b"));
    assert_slice(pc_buf_slice(&buf), "\"a\\u0000b\"");
    pc_buf_clear(&buf);
    pc_json_put_string(&buf, PC_S("{\"id\":42,\"name\":\"x\"}"));
    assert_slice(pc_buf_slice(&buf), "\"{\\\"id\\\":42,\\\"name\\\":\\\"x\\\"}\"");
    pc_buf_free(&buf);
}

/* One character of each sort at each place of a text of each length. */
static void what_was_escaped_decodes_to_the_same(void **state)
{
    (void)state;
    static const char *const sorts[] = {"\"", "\\", "\n", "\x01", "x", "\x7f", "\xc3\xa4"};
    struct pc_mem mem = pc_mem_make(NULL);
    for (size_t sort = 0; sort < COUNT(sorts); sort++) {
        for (size_t before = 0; before < 20; before++) {
            for (size_t after = 0; after < 20; after++) {
                char text[64] = "";
                struct pc_buf buf, scratch;
                pusherc_slice out;
                memset(text, 'b', before);
                strcat(text, sorts[sort]);
                strcat(text, sorts[(sort + after) % COUNT(sorts)]);
                memset(text + strlen(text), 'a', after);
                pc_buf_init(&buf, &mem, 1000);
                pc_buf_init(&scratch, &mem, 1000);
                pc_json_put_string(&buf, pc_slice_of(text));
                struct pc_json value = pc_json_parse(pc_buf_slice(&buf));
                assert_int_equal(value.type, PC_JSON_STRING);
                assert_int_equal(pc_json_string(value, &scratch, &out), 0);
                assert_slice(out, text);
                pc_buf_free(&buf);
                pc_buf_free(&scratch);
            }
        }
    }
}

static void parts_escaped_one_by_one_make_the_same_string(void **state)
{
    (void)state;
    struct pc_mem mem = pc_mem_make(NULL);
    struct pc_buf whole, parts;
    pusherc_slice text = PC_S("{\"user_id\":\"7\",\"user_info\":{\"name\":\"Zo\xc3\xab\"}}\n");
    pc_buf_init(&whole, &mem, 1000);
    pc_buf_init(&parts, &mem, 1000);
    pc_json_put_escaped(&whole, text);
    for (size_t i = 0; i < text.len; i++)
        pc_json_put_escaped(&parts, pc_slice(text.ptr + i, 1));
    assert_true(pc_slice_eq(pc_buf_slice(&whole), pc_buf_slice(&parts)));
    pc_buf_free(&whole);
    pc_buf_free(&parts);
}

static void an_escaped_text_fits_exactly_or_not_at_all(void **state)
{
    (void)state;
    struct pc_mem mem = pc_mem_make(NULL);
    struct pc_buf buf;
    pc_buf_init(&buf, &mem, 10);
    pc_json_put_escaped(&buf, PC_S("\x01\"ab"));
    assert_int_equal(pc_buf_status(&buf), 0);
    assert_int_equal(buf.len, 10);
    pc_buf_free(&buf);
    pc_buf_init(&buf, &mem, 9);
    pc_json_put_escaped(&buf, PC_S("\x01\"ab"));
    assert_int_equal(pc_buf_status(&buf), PUSHERC_ELIMIT);
    pc_buf_free(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(valid_texts_are_recognised_by_type),
        cmocka_unit_test(anything_else_is_refused),
        cmocka_unit_test(no_prefix_of_a_container_or_string_is_valid),
        cmocka_unit_test(raw_has_no_white_space_around_it),
        cmocka_unit_test(an_error_is_placed_at_the_value_it_is_in_or_behind),
        cmocka_unit_test(one_bad_byte_is_found_at_every_place_of_a_string),
        cmocka_unit_test(nesting_ends_at_the_limit),
        cmocka_unit_test(a_wrong_bracket_is_seen_at_every_depth),
        cmocka_unit_test(members_are_visited_in_order),
        cmocka_unit_test(items_are_visited_in_order),
        cmocka_unit_test(there_is_nothing_to_visit_in_empty_containers_and_scalars),
        cmocka_unit_test(the_last_of_equal_names_counts),
        cmocka_unit_test(names_are_compared_decoded),
        cmocka_unit_test(strings_without_escapes_point_into_the_text),
        cmocka_unit_test(escapes_are_decoded_or_refused),
        cmocka_unit_test(nul_is_a_character_like_others),
        cmocka_unit_test(every_length_around_eight_bytes_is_decoded),
        cmocka_unit_test(other_values_are_no_strings),
        cmocka_unit_test(a_string_out_of_memory_is_an_error_and_leaves_scratch_as_it_was),
        cmocka_unit_test(only_integers_that_fit_are_integers),
        cmocka_unit_test(compact_output_drops_white_space_between_tokens_only),
        cmocka_unit_test(nothing_is_written_for_an_absent_value),
        cmocka_unit_test(only_what_must_be_escaped_is),
        cmocka_unit_test(what_was_escaped_decodes_to_the_same),
        cmocka_unit_test(parts_escaped_one_by_one_make_the_same_string),
        cmocka_unit_test(an_escaped_text_fits_exactly_or_not_at_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
