/* Memory, slices, buffers, lists, rates, settings, error names and the version. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include <pusherc/app.h>
#include <pusherc/error.h>
#include <pusherc/version.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/rate.h"
#include "base/setting.h"
#include "base/utc.h"
#include "failing_alloc.h"

static void assert_slice(pusherc_slice s, const char *expected)
{
    if (s.len != strlen(expected) || (s.len && memcmp(s.ptr, expected, s.len) != 0))
        fail_msg("got \"%.*s\", expected \"%s\"", (int)s.len, s.ptr, expected);
}

/* Memory */

static void the_default_allocator_is_the_c_librarys(void **state)
{
    (void)state;
    struct pc_mem mem = pc_mem_make(NULL);
    char *text = pc_dup(&mem, PC_S("abc"));
    assert_string_equal(text, "abc");
    text = pc_resize_array(&mem, text, 2, 100);
    assert_string_equal(text, "abc");
    pc_free(&mem, text);
    pc_free(&mem, NULL);
}

static void arrays_whose_size_overflows_are_refused(void **state)
{
    (void)state;
    struct failing_alloc alloc;
    pusherc_allocator allocator = failing_alloc_init(&alloc, 0);
    struct pc_mem mem = pc_mem_make(&allocator);
    assert_null(pc_alloc_array(&mem, SIZE_MAX / 8 + 1, 8));
    assert_null(pc_alloc_array(&mem, 8, SIZE_MAX / 8 + 1));
    assert_null(pc_resize_array(&mem, NULL, SIZE_MAX / 8 + 1, 8));
    assert_int_equal(alloc.requests, 0);
}

static void arrays_start_zeroed(void **state)
{
    (void)state;
    struct pc_mem mem = pc_mem_make(NULL);
    unsigned char *array = pc_alloc_array(&mem, 33, 3);
    assert_non_null(array);
    for (size_t i = 0; i < 99; i++)
        assert_int_equal(array[i], 0);
    pc_free(&mem, array);
}

static void a_copy_has_a_nul_even_of_nothing(void **state)
{
    (void)state;
    struct pc_mem mem = pc_mem_make(NULL);
    char *copy = pc_dup(&mem, pc_slice(NULL, 0));
    assert_string_equal(copy, "");
    pc_free(&mem, copy);
}

static void wiped_bytes_are_zero_and_their_neighbours_are_not(void **state)
{
    (void)state;
    char text[] = "secret!";
    pc_wipe(text + 1, 5);
    assert_memory_equal(text, "s\0\0\0\0\0!", 8);
}

/* Slices */

static void the_public_helpers_make_and_compare_slices(void **state)
{
    const char text[] = "orders";
    pusherc_slice lit = PUSHERC_LIT("orders");
    (void)state;
    assert_ptr_equal(pusherc_slice_of(text).ptr, text);
    assert_int_equal(pusherc_slice_of(text).len, 6);
    assert_int_equal(pusherc_slice_of("").len, 0);
    assert_null(pusherc_slice_of(NULL).ptr);
    assert_int_equal(pusherc_slice_of(NULL).len, 0);
    assert_true(pusherc_slice_equal(pusherc_slice_of(text), lit));
    assert_false(pusherc_slice_equal(pusherc_slice_of("order"), lit));
    assert_false(pusherc_slice_equal(pusherc_slice_of("Orders"), lit));
    assert_true(pusherc_slice_equal(pusherc_slice_of(NULL), pusherc_slice_of("")));
    assert_true(pusherc_slice_equal((pusherc_slice){"a\0b", 3}, (pusherc_slice){"a\0b", 3}));
    assert_false(pusherc_slice_equal((pusherc_slice){"a\0b", 3}, (pusherc_slice){"a\0c", 3}));
}

static void comparing_ignores_ascii_case_only(void **state)
{
    (void)state;
    assert_true(pc_slice_eq_nocase(PC_S("Sec-WebSocket-Key"), PC_S("sec-websocket-KEY")));
    assert_true(pc_slice_eq_nocase(PC_S(""), pc_slice(NULL, 0)));
    assert_false(pc_slice_eq_nocase(PC_S("abc"), PC_S("abcd")));
    assert_false(pc_slice_eq_nocase(PC_S("@"), PC_S("`"))); /* 0x20 apart, no letters */
    assert_false(pc_slice_eq_nocase(PC_S("["), PC_S("{")));
    assert_false(pc_slice_eq_nocase(PC_S("\xc3\x84"), PC_S("\xc3\xa4"))); /* U+00C4, U+00E4 */
}

static void numbers_are_digits_that_fit(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool good;
        uint64_t number;
    } cases[] = {
        {"0", true, 0},
        {"00", true, 0},
        {"7", true, 7},
        {"18446744073709551615", true, UINT64_MAX},
        {"018446744073709551615", true, UINT64_MAX},
        {"18446744073709551616", false, 0},
        {"18446744073709551620", false, 0},
        {"99999999999999999999", false, 0},
        {"184467440737095516150", false, 0},
        {"", false, 0},
        {"-1", false, 0},
        {"+1", false, 0},
        {" 1", false, 0},
        {"1 ", false, 0},
        {"1a", false, 0},
        {"0x1", false, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t number = 0;
        bool good = pc_slice_to_u64(pc_slice_of(cases[i].text), &number);
        if (good != cases[i].good || number != cases[i].number)
            fail_msg("\"%s\": %d %llu", cases[i].text, good, (unsigned long long)number);
    }
}

static void prefixes_suffixes_and_searches_stay_inside(void **state)
{
    (void)state;
    pusherc_slice s = PC_S("presence-room");
    assert_true(pc_slice_starts(s, PC_S("presence-")));
    assert_true(pc_slice_starts(s, PC_S("")));
    assert_false(pc_slice_starts(PC_S("pre"), PC_S("presence")));
    assert_true(pc_slice_ends(s, PC_S("room")));
    assert_false(pc_slice_ends(PC_S("oom"), PC_S("room")));
    assert_int_equal(pc_slice_find(s, '-'), 8);
    assert_int_equal(pc_slice_find(s, '+'), s.len);
    assert_int_equal(pc_slice_find(pc_slice(NULL, 0), 'x'), 0);
    assert_slice(pc_slice_skip(s, 9), "room");
    assert_slice(pc_slice_first(s, 3), "pre");
    assert_slice(pc_slice_first(PC_S("ab"), 3), "ab");
}

static void every_character_but_surrogates_is_utf8(void **state)
{
    (void)state;
    for (unsigned code = 0x80; code <= 0x10ffff; code++) {
        char text[4];
        size_t len = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
        for (size_t i = 1; i < len; i++)
            text[i] = (char)(0x80 | (code >> 6 * (len - 1 - i) & 0x3f));
        text[0] = (char)(0xf00 >> len | code >> 6 * (len - 1));
        bool surrogate = code >= 0xd800 && code <= 0xdfff;
        if (pc_utf8_valid(pc_slice(text, len)) == surrogate ||
            pc_utf8_sequence(text, text + len) != (surrogate ? 0 : len))
            fail_msg("U+%04X", code);
        assert_int_equal(pc_utf8_sequence(text, text + len - 1), 0);
    }
}

/* Every string of up to three bytes is tried and the valid ones counted: 128 ASCII characters, 1920
 * of two bytes, 65536 - 2048 surrogates - 2048 shorter ones of three. */
static void utf8_of_three_bytes_is_exactly_rfc_3629(void **state)
{
    (void)state;
    unsigned valid[4] = {0};
    for (unsigned length = 1; length <= 3; length++) {
        for (unsigned code = 0; code < 1U << (8 * length); code++) {
            char text[3] = {(char)code, (char)(code >> 8), (char)(code >> 16)};
            valid[length] += pc_utf8_valid(pc_slice(text, length));
        }
    }
    assert_int_equal(valid[1], 128);
    assert_int_equal(valid[2], 128 * 128 + 1920);
    assert_int_equal(valid[3], 128 * 128 * 128 + 2 * 128 * 1920 + 61440);
}

static void utf8_of_four_bytes_ends_at_u10ffff(void **state)
{
    (void)state;
    assert_true(pc_utf8_valid(PC_S("\xf0\x90\x80\x80")));
    assert_true(pc_utf8_valid(PC_S("\xf4\x8f\xbf\xbf")));
    assert_false(pc_utf8_valid(PC_S("\xf0\x8f\xbf\xbf"))); /* overlong */
    assert_false(pc_utf8_valid(PC_S("\xf4\x90\x80\x80"))); /* U+110000 */
    assert_false(pc_utf8_valid(PC_S("\xf5\x80\x80\x80")));
    assert_false(pc_utf8_valid(PC_S("\xf0\x9f\x98\x41")));
    assert_false(pc_utf8_valid(PC_S("\xf0\x9f\x41\x80")));
    assert_false(pc_utf8_valid(PC_S("\xf8\x88\x80\x80\x80")));
}

static void invalid_utf8_is_found_at_every_place(void **state)
{
    (void)state;
    char text[40];
    for (size_t len = 1; len <= sizeof text; len++) {
        for (size_t at = 0; at < len; at++) {
            memset(text, 'a', sizeof text);
            assert_true(pc_utf8_valid(pc_slice(text, len)));
            text[at] = (char)0xff;
            assert_false(pc_utf8_valid(pc_slice(text, len)));
        }
    }
    assert_true(pc_utf8_valid(pc_slice(NULL, 0)));
    assert_false(pc_utf8_valid(PC_S("aaaaaaa\xc3"))); /* the end cuts a character */
}

static void cutting_never_splits_a_character(void **state)
{
    (void)state;
    pusherc_slice s = PC_S("a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80z");
    assert_slice(pc_utf8_cut(s, 0), "");
    assert_slice(pc_utf8_cut(s, 1), "a");
    assert_slice(pc_utf8_cut(s, 2), "a");
    assert_slice(pc_utf8_cut(s, 3), "a\xc3\xa4");
    assert_slice(pc_utf8_cut(s, 5), "a\xc3\xa4");
    assert_slice(pc_utf8_cut(s, 6), "a\xc3\xa4\xe2\x82\xac");
    assert_slice(pc_utf8_cut(s, 9), "a\xc3\xa4\xe2\x82\xac");
    assert_slice(pc_utf8_cut(s, 10), "a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80");
    assert_int_equal(pc_utf8_cut(s, 11).len, s.len);
    assert_int_equal(pc_utf8_cut(s, 500).len, s.len);
}

/* Buffers */

static void a_buffer_holds_what_was_appended(void **state)
{
    (void)state;
    struct pc_mem mem = pc_mem_make(NULL);
    struct pc_buf buf;
    char expected[3000] = "";

    pc_buf_init(&buf, &mem, 100000);
    for (unsigned i = 0; i < 300; i++) {
        char text[16];
        int len = snprintf(text, sizeof text, "%u,", i * 7);
        strcat(expected, text);
        pc_buf_put_u64(&buf, i * 7);
        pc_buf_put_char(&buf, ',');
        assert_true(len > 0);
    }
    pc_buf_put(&buf, pc_slice(NULL, 0));
    assert_int_equal(pc_buf_status(&buf), 0);
    assert_slice(pc_buf_slice(&buf), expected);
    pc_buf_free(&buf);
    assert_int_equal(buf.len, 0);
}

static void numbers_are_appended_in_full(void **state)
{
    (void)state;
    struct pc_mem mem = pc_mem_make(NULL);
    struct pc_buf buf;
    pc_buf_init(&buf, &mem, 100);
    pc_buf_put_u64(&buf, 0);
    pc_buf_put_char(&buf, ' ');
    pc_buf_put_u64(&buf, UINT64_MAX);
    assert_slice(pc_buf_slice(&buf), "0 18446744073709551615");
    pc_buf_free(&buf);
}

static void the_maximum_is_reached_exactly_and_not_passed(void **state)
{
    (void)state;
    struct pc_mem mem = pc_mem_make(NULL);
    for (size_t max = 0; max < 600; max += 37) {
        struct pc_buf buf;
        pc_buf_init(&buf, &mem, max);
        for (size_t i = 0; i < max; i++)
            pc_buf_put_char(&buf, 'x');
        assert_int_equal(pc_buf_status(&buf), 0);
        assert_int_equal(buf.len, max);
        pc_buf_put_char(&buf, 'x');
        assert_int_equal(pc_buf_status(&buf), PUSHERC_ELIMIT);
        assert_int_equal(buf.len, max);
        pc_buf_free(&buf);
    }
}

static void a_failed_buffer_takes_nothing_more_until_cleared(void **state)
{
    (void)state;
    struct pc_mem mem = pc_mem_make(NULL);
    struct pc_buf buf;
    pc_buf_init(&buf, &mem, 4);
    pc_buf_put(&buf, PC_S("abc"));
    pc_buf_put(&buf, PC_S("defg"));
    pc_buf_put_char(&buf, 'h'); /* would fit */
    assert_null(pc_buf_reserve(&buf, 1));
    assert_int_equal(pc_buf_status(&buf), PUSHERC_ELIMIT);
    assert_slice(pc_buf_slice(&buf), "abc");
    pc_buf_clear(&buf);
    pc_buf_put(&buf, PC_S("defg"));
    assert_int_equal(pc_buf_status(&buf), 0);
    assert_slice(pc_buf_slice(&buf), "defg");
    pc_buf_free(&buf);
}

static void impossible_sizes_are_beyond_the_maximum(void **state)
{
    (void)state;
    struct pc_mem mem = pc_mem_make(NULL);
    struct pc_buf buf;
    pc_buf_init(&buf, &mem, 1000);
    pc_buf_put(&buf, PC_S("abc"));
    assert_null(pc_buf_reserve(&buf, SIZE_MAX));
    assert_int_equal(pc_buf_status(&buf), PUSHERC_ELIMIT);
    pc_buf_free(&buf);
}

static void lent_storage_is_used_first_and_never_freed(void **state)
{
    (void)state;
    struct failing_alloc alloc;
    pusherc_allocator allocator = failing_alloc_init(&alloc, 0);
    struct pc_mem mem = pc_mem_make(&allocator);
    struct pc_buf buf;
    char storage[8];

    pc_buf_init_in(&buf, &mem, 1000, storage, sizeof storage);
    pc_buf_put(&buf, PC_S("12345678"));
    assert_int_equal(alloc.requests, 0);
    assert_ptr_equal(buf.ptr, storage);
    pc_buf_put(&buf, PC_S("9"));
    assert_int_equal(alloc.requests, 1);
    assert_slice(pc_buf_slice(&buf), "123456789");
    pc_buf_free(&buf);
    assert_int_equal(failing_alloc_live(&alloc), 0);

    pc_buf_init_in(&buf, &mem, 4, storage, sizeof storage); /* more lent than allowed */
    pc_buf_put(&buf, PC_S("12345"));
    assert_int_equal(pc_buf_status(&buf), PUSHERC_ELIMIT);
    pc_buf_free(&buf);
}

static void consuming_keeps_the_rest(void **state)
{
    (void)state;
    struct pc_mem mem = pc_mem_make(NULL);
    struct pc_buf buf;
    pc_buf_init(&buf, &mem, 100);
    pc_buf_consume(&buf, 0);
    pc_buf_put(&buf, PC_S("abcdef"));
    pc_buf_consume(&buf, 2);
    assert_slice(pc_buf_slice(&buf), "cdef");
    pc_buf_consume(&buf, 4);
    assert_slice(pc_buf_slice(&buf), "");
    pc_buf_free(&buf);
}

static void a_buffer_out_of_memory_says_so_and_keeps_what_it_has(void **state)
{
    (void)state;
    bool failed = true;
    for (size_t n = 1; failed; n++) {
        struct failing_alloc alloc;
        pusherc_allocator allocator = failing_alloc_init(&alloc, n);
        struct pc_mem mem = pc_mem_make(&allocator);
        struct pc_buf buf;
        pc_buf_init(&buf, &mem, 100000);
        for (size_t i = 0; i < 5000; i++)
            pc_buf_put(&buf, PC_S("0123456789"));
        failed = failing_alloc_hit(&alloc);
        assert_int_equal(pc_buf_status(&buf), failed ? PUSHERC_ENOMEM : 0);
        for (size_t i = 0; i < buf.len; i++)
            assert_int_equal(buf.ptr[i], '0' + i % 10);
        pc_buf_free(&buf);
        assert_int_equal(failing_alloc_live(&alloc), 0);
    }
}

/* Lists */

struct item {
    int number;
    struct pc_list link;
};

static int sum_in_order(const struct pc_list *head)
{
    int sum = 0;
    PC_LIST_EACH(l, head)
        sum = sum * 10 + PC_CONTAINER(l, struct item, link)->number;
    return sum;
}

static void a_list_keeps_order_and_removing_twice_is_harmless(void **state)
{
    (void)state;
    struct pc_list head, other;
    struct item items[3] = {{.number = 1}, {.number = 2}, {.number = 3}};

    pc_list_init(&head);
    assert_true(pc_list_empty(&head));
    for (size_t i = 0; i < 3; i++)
        pc_list_push_back(&head, &items[i].link);
    assert_int_equal(sum_in_order(&head), 123);
    pc_list_remove(&items[1].link);
    pc_list_remove(&items[1].link);
    assert_int_equal(sum_in_order(&head), 13);

    pc_list_take(&other, &head);
    assert_true(pc_list_empty(&head));
    assert_int_equal(sum_in_order(&other), 13);
    pc_list_push_back(&head, &items[1].link);
    assert_int_equal(sum_in_order(&head), 2);
    assert_int_equal(sum_in_order(&other), 13);
    pc_list_remove(&items[1].link);
    pc_list_take(&other, &head);
    assert_true(pc_list_empty(&other));
}

/* Rates */

static void a_rate_allows_so_many_in_a_second_and_starts_anew(void **state)
{
    (void)state;
    struct pc_rate rate = {0};
    for (int i = 0; i < 10; i++)
        assert_true(pc_rate_take(&rate, 10, 1, 5000 + (uint64_t)i));
    assert_false(pc_rate_take(&rate, 10, 1, 5500));
    assert_false(pc_rate_take(&rate, 10, 1, 5999));
    assert_true(pc_rate_take(&rate, 10, 1, 6000));
}

static void a_refused_amount_takes_nothing(void **state)
{
    (void)state;
    struct pc_rate rate = {0};
    assert_true(pc_rate_take(&rate, 10, 7, 100));
    assert_false(pc_rate_take(&rate, 10, 4, 100));
    assert_true(pc_rate_take(&rate, 10, 3, 100));
    assert_false(pc_rate_take(&rate, 10, 11, 2000)); /* more than a whole second allows */
    assert_true(pc_rate_take(&rate, UINT32_MAX, UINT32_MAX, 2000));
    assert_true(pc_rate_take(&rate, UINT32_MAX, 1, 2000));
}

/* Errors and version */

/* Against the C library's calendar: every day there is, each at another second of the day. */
static void times_become_dates_as_the_c_library_writes_them(void **state)
{
    const uint64_t last = 253402300799; /* 9999-12-31T23:59:59Z */
    struct tm tm;
    (void)state;
    for (uint64_t day = 0; day <= last / 86400; day++) {
        uint64_t unix_time_s = day * 86400 + day * 7919 % 86400;
        struct pc_utc utc = pc_utc_of(unix_time_s);
        time_t time = (time_t)unix_time_s;
        assert_non_null(gmtime_r(&time, &tm));
        if (utc.year != (uint32_t)tm.tm_year + 1900 || utc.month != tm.tm_mon + 1 ||
            utc.day != tm.tm_mday || utc.weekday != tm.tm_wday || utc.hour != tm.tm_hour ||
            utc.minute != tm.tm_min || utc.second != tm.tm_sec)
            fail_msg("%llu", (unsigned long long)unix_time_s);
    }
    assert_int_equal(pc_utc_of(UINT64_MAX).year, 9999);
    assert_int_equal(pc_utc_of(last + 1).second, 59);
}

static void every_error_has_a_name_a_text_and_a_value_of_its_own(void **state)
{
    (void)state;
    static const int codes[] = {
#define CODE(name, value, text) PUSHERC_##name,
        PUSHERC_ERROR_MAP(CODE)
#undef CODE
    };
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        assert_in_range(-codes[i], 20000, 20999);
        assert_string_not_equal(pusherc_err_name(codes[i]), "UNKNOWN");
        assert_string_not_equal(pusherc_strerror(codes[i]), "");
    }
    assert_string_equal(pusherc_err_name(PUSHERC_EBACKLOG), "EBACKLOG");
    assert_string_equal(pusherc_strerror(PUSHERC_ENOMEM), "out of memory");
    assert_string_equal(pusherc_err_name(0), "OK");
    assert_string_equal(pusherc_err_name(-1), "UNKNOWN");
    assert_string_equal(pusherc_err_name(INT32_MIN), "UNKNOWN");
    assert_string_equal(pusherc_strerror(12345), "unknown error");
}

static void the_three_forms_of_the_version_agree(void **state)
{
    (void)state;
    char text[32];
    unsigned version = pusherc_version();
    int len =
        snprintf(text, sizeof text, "%u.%u.%u", version >> 16, version >> 8 & 0xff, version & 0xff);
    assert_true(len > 0);
    assert_string_equal(text, PUSHERC_VERSION_STRING);
    assert_string_equal(text, pusherc_version_string());
    assert_non_null(pusherc_features());
    assert_int_not_equal(pusherc_features()[0], ' ');
}

/* Settings */

struct example {
    const char *text;
    uint32_t number, limit, delay, count;
    uint64_t big;
    int choice;
    bool flag;
};

/* clang-format off */
static const struct pc_setting example_settings[] = {
    PC_SETTING_ROW(struct example, TEXT, text, 0, 0, 0)
    PC_SETTING_ROW(struct example, NUMBER, number, 10, 20, 15)
    PC_SETTING_ROW(struct example, LIMIT, limit, 1, 100, PUSHERC_NO_LIMIT)
    PC_SETTING_ROW(struct example, DELAY, delay, 0, 100, 30)
    PC_SETTING_ROW(struct example, NUMBER, count, 0, UINT32_MAX, 0)
    PC_SETTING_ROW(struct example, BIG, big, 1, UINT64_MAX, 4294967296)
    PC_SETTING_ROW(struct example, CHOICE, choice, 0, 2, 0)
    PC_SETTING_ROW(struct example, FLAG, flag, 0, 1, 0)
};
/* clang-format on */

#define EXAMPLE_COUNT (sizeof example_settings / sizeof example_settings[0])

static void what_is_zero_gets_the_default_of_its_row(void **state)
{
    struct example empty = {NULL, 0, 0, 0, 0, 0, 0, false};
    struct example full = {"x", 11, 12, PUSHERC_NO_DELAY, 13, 14, 2, true};
    (void)state;
    pc_settings_fill(example_settings, EXAMPLE_COUNT, &empty);
    assert_null(empty.text);
    assert_int_equal(empty.number, 15);
    assert_int_equal(empty.limit, PUSHERC_NO_LIMIT);
    assert_int_equal(empty.delay, 30);
    assert_int_equal(empty.count, 0);
    assert_true(empty.big == 4294967296);
    assert_int_equal(empty.choice, 0);
    assert_false(empty.flag);
    pc_settings_fill(example_settings, EXAMPLE_COUNT, &full);
    assert_string_equal(full.text, "x");
    assert_int_equal(full.number, 11);
    assert_int_equal(full.limit, 12);
    assert_int_equal(full.delay, 0);
    assert_int_equal(full.count, 13);
    assert_int_equal(full.big, 14);
    assert_int_equal(full.choice, 2);
    assert_true(full.flag);
}

static void a_setting_out_of_its_range_is_named(void **state)
{
    static const struct {
        struct example options;
        const char *why; /* NULL = nothing is wrong */
    } cases[] = {
        {{.number = 0}, NULL},
        {{.number = 10,
          .limit = 100,
          .delay = 100,
          .count = UINT32_MAX,
          .big = UINT64_MAX,
          .choice = 2},
         NULL},
        {{.number = 20, .limit = PUSHERC_NO_LIMIT, .delay = PUSHERC_NO_DELAY}, NULL},
        {{.number = 9}, "about: number must be 10 or more"},
        {{.number = 21}, "about: number must be at most 20"},
        {{.number = UINT32_MAX}, "about: number must be at most 20"},
        {{.limit = 101}, "about: limit must be at most 100"},
        {{.delay = 101}, "about: delay must be at most 100"},
        {{.choice = 3}, "about: choice is no value of its enum"},
        {{.choice = -1}, "about: choice is no value of its enum"},
        {{.number = 9, .limit = 101}, "about: number must be 10 or more"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pusherc_errinfo info = {0};
        int err =
            pc_settings_check(example_settings, EXAMPLE_COUNT, &cases[i].options, "about: ", &info);
        assert_int_equal(err, cases[i].why ? PUSHERC_EINVAL : 0);
        assert_string_equal(info.text, cases[i].why ? cases[i].why : "");
    }
}

static void a_choice_is_one_of_its_words(void **state)
{
    static const struct {
        const char *words, *word;
        int choice;
    } cases[] = {
        {"one|two|three", "one", 0},  {"one|two|three", "two", 1}, {"one|two|three", "three", 2},
        {"one|two|three", "tw", -1},  {"one|two|three", "", -1},   {"one|two|three", "one|two", -1},
        {"one|two|three", "Two", -1}, {"one", "one", 0},           {"", "", -1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(pc_setting_word(cases[i].words, pc_slice_of(cases[i].word)),
                         cases[i].choice);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_default_allocator_is_the_c_librarys),
        cmocka_unit_test(arrays_whose_size_overflows_are_refused),
        cmocka_unit_test(arrays_start_zeroed),
        cmocka_unit_test(a_copy_has_a_nul_even_of_nothing),
        cmocka_unit_test(wiped_bytes_are_zero_and_their_neighbours_are_not),
        cmocka_unit_test(the_public_helpers_make_and_compare_slices),
        cmocka_unit_test(comparing_ignores_ascii_case_only),
        cmocka_unit_test(numbers_are_digits_that_fit),
        cmocka_unit_test(prefixes_suffixes_and_searches_stay_inside),
        cmocka_unit_test(every_character_but_surrogates_is_utf8),
        cmocka_unit_test(utf8_of_three_bytes_is_exactly_rfc_3629),
        cmocka_unit_test(utf8_of_four_bytes_ends_at_u10ffff),
        cmocka_unit_test(invalid_utf8_is_found_at_every_place),
        cmocka_unit_test(cutting_never_splits_a_character),
        cmocka_unit_test(a_buffer_holds_what_was_appended),
        cmocka_unit_test(numbers_are_appended_in_full),
        cmocka_unit_test(the_maximum_is_reached_exactly_and_not_passed),
        cmocka_unit_test(a_failed_buffer_takes_nothing_more_until_cleared),
        cmocka_unit_test(impossible_sizes_are_beyond_the_maximum),
        cmocka_unit_test(lent_storage_is_used_first_and_never_freed),
        cmocka_unit_test(consuming_keeps_the_rest),
        cmocka_unit_test(a_buffer_out_of_memory_says_so_and_keeps_what_it_has),
        cmocka_unit_test(a_list_keeps_order_and_removing_twice_is_harmless),
        cmocka_unit_test(a_rate_allows_so_many_in_a_second_and_starts_anew),
        cmocka_unit_test(a_refused_amount_takes_nothing),
        cmocka_unit_test(times_become_dates_as_the_c_library_writes_them),
        cmocka_unit_test(what_is_zero_gets_the_default_of_its_row),
        cmocka_unit_test(a_setting_out_of_its_range_is_named),
        cmocka_unit_test(a_choice_is_one_of_its_words),
        cmocka_unit_test(every_error_has_a_name_a_text_and_a_value_of_its_own),
        cmocka_unit_test(the_three_forms_of_the_version_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
