#include "codec/deflate.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <pusherc/error.h>

#include "unit/failing_alloc.h"

#define MAX 200000

struct fixture {
    struct pc_mem mem;
    struct pc_deflaters *deflaters;
    struct pc_inflater *inflater;
    struct pc_buf compressed, message;
};

static void set_up(struct fixture *f, size_t max)
{
    f->mem = pc_mem_make(NULL);
    assert_int_equal(pc_deflaters_new(&f->deflaters, &f->mem), 0);
    f->inflater = pc_inflater_new(&f->mem);
    assert_non_null(f->inflater);
    pc_buf_init(&f->compressed, &f->mem, SIZE_MAX);
    pc_buf_init(&f->message, &f->mem, max);
}

static void tear_down(struct fixture *f)
{
    pc_buf_free(&f->compressed);
    pc_buf_free(&f->message);
    pc_inflater_free(f->inflater);
    pc_deflaters_free(f->deflaters);
}

static int inflate_bytes(struct fixture *f, pusherc_slice compressed)
{
    pc_buf_clear(&f->message);
    return pc_inflate(f->inflater, compressed, &f->message);
}

static void check_message(struct fixture *f, const char *expected)
{
    assert_int_equal(f->message.len, strlen(expected));
    assert_memory_equal(f->message.ptr, expected, f->message.len);
}

/* JSON as events carry it, which compresses; in quotes, so that it is one text. */
static void put_readings(struct pc_buf *out, size_t len, unsigned seed)
{
    pc_buf_clear(out);
    while (out->len < len) {
        char text[100];
        seed = seed * 1664525u + 1013904223u;
        int n =
            snprintf(text, sizeof text, "{\"gateway\":\"gw-%u\",\"temperature\":%u,\"ok\":true},",
                     seed >> 20, seed % 40);
        pc_buf_put(out, pc_slice(text, (size_t)n));
    }
    out->len = len;
}

static void a_message_comes_back_as_it_was(void **state)
{
    (void)state;
    struct fixture f;
    struct pc_buf sent;
    set_up(&f, MAX);
    pc_buf_init(&sent, &f.mem, MAX);
    for (size_t len = 60; len < 150000; len = len * 3 / 2 + 1) {
        put_readings(&sent, len, (unsigned)len);
        pc_buf_clear(&f.compressed);
        bool shorter = pc_deflate(f.deflaters, pc_buf_slice(&sent), &f.compressed);
        assert_true(shorter || len < 200);
        if (!shorter)
            continue;
        assert_true(f.compressed.len < len);
        assert_int_equal(inflate_bytes(&f, pc_buf_slice(&f.compressed)), 0);
        assert_int_equal(f.message.len, len);
        assert_memory_equal(f.message.ptr, sent.ptr, len);
    }
    pc_buf_free(&sent);
    tear_down(&f);
}

static void what_would_not_get_shorter_is_left_alone(void **state)
{
    (void)state;
    struct fixture f;
    char noise[5000];
    unsigned seed = 1;
    set_up(&f, MAX);
    for (size_t i = 0; i < sizeof noise; i++)
        noise[i] = (char)((seed = seed * 1664525u + 1013904223u) >> 24);
    const size_t lengths[] = {0, 1, 2, 10, sizeof noise};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        pc_buf_clear(&f.compressed);
        assert_false(pc_deflate(f.deflaters, pc_slice(noise, lengths[i]), &f.compressed));
    }
    /* the compressor is good for the next message */
    pc_buf_clear(&f.compressed);
    assert_true(pc_deflate(f.deflaters, PC_S("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), &f.compressed));
    assert_int_equal(inflate_bytes(&f, pc_buf_slice(&f.compressed)), 0);
    check_message(&f, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    tear_down(&f);
}

#define BYTES(text)                                                                                \
    {                                                                                              \
        text, sizeof text - 1                                                                      \
    }

/* RFC 7692, section 7.2.3. */
static void every_form_of_the_rfc_is_understood(void **state)
{
    (void)state;
    static const struct {
        pusherc_slice bytes;
        const char *message;
    } forms[] = {
        {BYTES("\xf2\x48\xcd\xc9\xc9\x07\x00"), "Hello"},
        {BYTES("\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"), "Hello"},
        {BYTES("\xf3\x48\xcd\xc9\xc9\x07\x00\x00"), "Hello"},
        {BYTES("\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"), "Hello"},
        {BYTES("\x00"), ""},
        {BYTES("\x02\x00"), ""},
    };
    struct fixture f;
    set_up(&f, MAX);
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        assert_int_equal(inflate_bytes(&f, forms[i].bytes), 0);
        check_message(&f, forms[i].message);
    }
    tear_down(&f);
}

static void what_is_no_message_is_refused_and_forgotten(void **state)
{
    (void)state;
    static const pusherc_slice broken[] = {
        BYTES("\xff\xff\xff"),                         /* a kind of block that does not exist */
        BYTES("\xf2\x48\xcd\xc9\xc9"),                 /* cut */
        BYTES("\x00\x05\x00\x00\x00Hello"),            /* the length's complement is wrong */
        BYTES("\xf2\x48\x05\x10\x00\x00\xff\xff\x07"), /* garbage behind the first block */
        BYTES("\x00\x20\x00\xdf\xffHello"),            /* less than the block says */
        BYTES("\x63\x00\x11\x00\x00"),                 /* refers to bytes before the message */
    };
    struct fixture f;
    set_up(&f, MAX);
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        if (inflate_bytes(&f, broken[i]) != PUSHERC_EPROTO)
            fail_msg("broken message %zu is not refused", i);
        assert_int_equal(inflate_bytes(&f, (pusherc_slice)BYTES("\xf2\x48\xcd\xc9\xc9\x07\x00")),
                         0);
        check_message(&f, "Hello");
    }
    tear_down(&f);
}

/* So many zeros, compressed. */
static void put_bomb(struct fixture *f, size_t len)
{
    char *zeros = calloc(1, len);
    assert_non_null(zeros);
    pc_buf_clear(&f->compressed);
    assert_true(pc_deflate(f->deflaters, pc_slice(zeros, len), &f->compressed));
    free(zeros);
}

static void a_bomb_stops_at_the_limit(void **state)
{
    (void)state;
    struct fixture f;
    set_up(&f, 10000);
    put_bomb(&f, 10000);
    assert_int_equal(inflate_bytes(&f, pc_buf_slice(&f.compressed)), 0);
    assert_int_equal(f.message.len, 10000);
    put_bomb(&f, 10001);
    assert_int_equal(inflate_bytes(&f, pc_buf_slice(&f.compressed)), PUSHERC_ELIMIT);
    assert_true(f.message.len <= 10000);
    tear_down(&f);
}

static void a_bomb_stops_at_the_ratio_wherever_the_limit_is(void **state)
{
    (void)state;
    struct fixture f;
    set_up(&f, 1 << 30);
    put_bomb(&f, PC_INFLATE_FREE);
    assert_int_equal(inflate_bytes(&f, pc_buf_slice(&f.compressed)), 0);
    put_bomb(&f, 50000000);
    assert_int_equal(inflate_bytes(&f, pc_buf_slice(&f.compressed)), PUSHERC_ELIMIT);
    assert_true(f.message.len <= f.compressed.len * PC_INFLATE_RATIO);
    tear_down(&f);
}

static void without_memory_a_message_goes_as_it_is_and_comes_as_an_error(void **state)
{
    (void)state;
    struct pc_buf sent;
    struct fixture good;
    set_up(&good, MAX);
    pc_buf_init(&sent, &good.mem, MAX);
    put_readings(&sent, 50000, 7);
    assert_true(pc_deflate(good.deflaters, pc_buf_slice(&sent), &good.compressed));
    bool failed = true;
    for (size_t n = 1; failed; n++) {
        struct failing_alloc alloc;
        pusherc_allocator allocator = failing_alloc_init(&alloc, n);
        struct fixture f = {.mem = pc_mem_make(&allocator)};
        pc_buf_init(&f.compressed, &f.mem, SIZE_MAX);
        pc_buf_init(&f.message, &f.mem, MAX);
        bool shorter = pc_deflaters_new(&f.deflaters, &f.mem) == 0 &&
                       pc_deflate(f.deflaters, pc_buf_slice(&sent), &f.compressed);
        f.inflater = pc_inflater_new(&f.mem);
        int err = f.inflater ? inflate_bytes(&f, pc_buf_slice(&good.compressed)) : PUSHERC_ENOMEM;
        failed = failing_alloc_hit(&alloc);
        assert_int_equal(failed, !shorter || err);
        assert_true(err == 0 || err == PUSHERC_ENOMEM);
        tear_down(&f);
        assert_int_equal(failing_alloc_live(&alloc), 0);
    }
    pc_buf_free(&sent);
    tear_down(&good);
}

#define THREADS 4
#define ROUNDS  300

static void *compress_much(void *arg)
{
    struct pc_deflaters *deflaters = arg;
    struct pc_mem mem = pc_mem_make(NULL);
    struct pc_inflater *inflater = pc_inflater_new(&mem);
    struct pc_buf sent, compressed, got;
    bool good = inflater != NULL;
    pc_buf_init(&sent, &mem, MAX);
    pc_buf_init(&compressed, &mem, MAX);
    pc_buf_init(&got, &mem, MAX);
    for (unsigned i = 0; good && i < ROUNDS; i++) {
        put_readings(&sent, 200 + i * 10, i);
        pc_buf_clear(&compressed);
        pc_buf_clear(&got);
        good = pc_deflate(deflaters, pc_buf_slice(&sent), &compressed) &&
               pc_inflate(inflater, pc_buf_slice(&compressed), &got) == 0 &&
               pc_slice_eq(pc_buf_slice(&sent), pc_buf_slice(&got));
    }
    pc_buf_free(&sent);
    pc_buf_free(&compressed);
    pc_buf_free(&got);
    pc_inflater_free(inflater);
    return good ? deflaters : NULL;
}

static void threads_compress_side_by_side(void **state)
{
    (void)state;
    struct fixture f;
    pthread_t threads[THREADS];
    set_up(&f, MAX);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, compress_much, f.deflaters), 0);
    for (size_t i = 0; i < THREADS; i++) {
        void *result;
        pthread_join(threads[i], &result);
        assert_ptr_equal(result, f.deflaters);
    }
    tear_down(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_comes_back_as_it_was),
        cmocka_unit_test(what_would_not_get_shorter_is_left_alone),
        cmocka_unit_test(every_form_of_the_rfc_is_understood),
        cmocka_unit_test(what_is_no_message_is_refused_and_forgotten),
        cmocka_unit_test(a_bomb_stops_at_the_limit),
        cmocka_unit_test(a_bomb_stops_at_the_ratio_wherever_the_limit_is),
        cmocka_unit_test(without_memory_a_message_goes_as_it_is_and_comes_as_an_error),
        cmocka_unit_test(threads_compress_side_by_side),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
