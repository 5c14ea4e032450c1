/* What waits for one connection: order, partial writes, dropping, and where its memory comes from. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "engine_fixture.h"
#include "fanout/flush.h"

struct fixture {
    struct fx fx;
    struct pc_worker *worker;
    struct pc_outq q;
    unsigned overflows;
};

static void on_overflow(struct pc_outq *q)
{
    PC_CONTAINER(q, struct fixture, q)->overflows++;
}

static int set_up(void **state)
{
    static struct fixture f;
    fx_open(&f.fx, 1);
    f.worker = &f.fx.engine->workers[0];
    pc_outq_init(&f.q, f.worker, on_overflow);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    pc_outq_free(&f->q);
    bool clean = f->worker->queued_bytes == 0 && !pc_worker_marked(f->worker);
    fx_close(&f->fx);
    return clean && failing_alloc_live(&f->fx.alloc) == 0 ? 0 : -1;
}

/* Bytes as they are, without a WebSocket header. */
static void push(struct fixture *f, const char *text)
{
    assert_int_equal(pc_outq_send(&f->q, 0, pc_slice_of(text)), 0);
}

static void push_many(struct fixture *f, int from, int to)
{
    char text[16];
    for (int i = from; i < to; i++) {
        snprintf(text, sizeof text, "%d,", i);
        push(f, text);
    }
}

/* Everything that waits, in order, as a gather of at most `max` vectors sees it. */
static const char *waiting(struct fixture *f, size_t max)
{
    static char text[4096];
    struct iovec iov[256];
    size_t len = 0, n = pc_outq_gather(&f->q, iov, max);
    assert_true(max <= 256 && n <= max);
    for (size_t i = 0; i < n; i++) {
        assert_true(len + iov[i].iov_len < sizeof text);
        memcpy(text + len, iov[i].iov_base, iov[i].iov_len);
        len += iov[i].iov_len;
    }
    text[len] = '\0';
    return text;
}

static void expect_bytes(struct fixture *f, size_t bytes, uint32_t count)
{
    assert_int_equal(pc_outq_bytes(&f->q), bytes);
    assert_int_equal(f->q.count, count);
    assert_int_equal(f->worker->queued_bytes, bytes);
}

static void frames_leave_in_the_order_they_came(void **state)
{
    struct fixture *f = *state;
    push(f, "one ");
    push(f, "two ");
    push(f, "three");
    assert_string_equal(waiting(f, 256), "one two three");
    assert_string_equal(waiting(f, 2), "one two ");
    assert_string_equal(waiting(f, 1), "one ");
    expect_bytes(f, 13, 3);
    pc_outq_wrote(&f->q, 13);
    expect_bytes(f, 0, 0);
    assert_string_equal(waiting(f, 256), "");
    assert_null(f->q.first);
}

static void a_write_may_end_anywhere(void **state)
{
    struct fixture *f = *state;
    const char all[] = "onetwothreefour";
    for (size_t cut = 0; cut < sizeof all; cut++) {
        push(f, "one");
        push(f, "two");
        push(f, "three");
        push(f, "four");
        pc_outq_wrote(&f->q, cut);
        assert_string_equal(waiting(f, 256), all + cut);
        assert_int_equal(pc_outq_bytes(&f->q), sizeof all - 1 - cut);
        pc_outq_wrote(&f->q, sizeof all - 1 - cut);
        expect_bytes(f, 0, 0);
        assert_int_equal(f->q.offset, 0);
    }
}

static void chunks_follow_each_other(void **state)
{
    struct fixture *f = *state;
    const int counts[] = {PC_CHUNK_SLOTS - 1, PC_CHUNK_SLOTS, PC_CHUNK_SLOTS + 1,
                          2 * PC_CHUNK_SLOTS, 3 * PC_CHUNK_SLOTS + 1};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        char expected[1024] = "";
        size_t len = 0;
        push_many(f, 0, counts[i]);
        for (int k = 0; k < counts[i]; k++)
            len += (size_t)snprintf(expected + len, sizeof expected - len, "%d,", k);
        assert_string_equal(waiting(f, 256), expected);
        expect_bytes(f, len, (uint32_t)counts[i]);
        /* byte by byte through all chunk borders */
        for (size_t k = 0; k < len; k++) {
            assert_string_equal(waiting(f, 256), expected + k);
            pc_outq_wrote(&f->q, 1);
        }
        expect_bytes(f, 0, 0);
        assert_null(f->q.first);
        assert_null(f->q.last);
    }
}

static void a_queue_may_grow_while_it_is_written(void **state)
{
    struct fixture *f = *state;
    int next = 0, read = 0;
    for (int round = 0; round < 200; round++) {
        struct iovec iov;
        push_many(f, next, next + 3);
        next += 3;
        for (int i = 0; i < (round % 2 ? 4 : 2) && pc_outq_gather(&f->q, &iov, 1); i++) {
            uint64_t number;
            pusherc_slice text = pc_slice(iov.iov_base, iov.iov_len);
            text.len = pc_slice_find(text, ','); /* no NUL follows a frame */
            assert_true(pc_slice_to_u64(text, &number));
            assert_int_equal(number, read++);
            pc_outq_wrote(&f->q, iov.iov_len);
        }
    }
    assert_int_equal(f->q.count, next - read);
}

static void an_empty_queue_owns_nothing(void **state)
{
    struct fixture *f = *state;
    size_t live = failing_alloc_live(&f->fx.alloc);
    push_many(f, 0, 100);
    pc_outq_wrote(&f->q, pc_outq_bytes(&f->q));
    assert_null(f->q.first);
    /* the worker keeps its chunks for other queues */
    assert_int_equal(f->worker->spare_chunk_count, 4);
    assert_int_equal(failing_alloc_live(&f->fx.alloc), live + 4);
    size_t requests = f->fx.alloc.requests;
    push_many(f, 0, 100);
    assert_int_equal(f->fx.alloc.requests - requests, 100); /* the frames, no chunk */
}

static void the_worker_keeps_a_bounded_number_of_chunks(void **state)
{
    struct fixture *f = *state;
    const uint32_t more = PC_SPARE_CHUNKS + 10;
    struct pc_chunk *list = NULL;
    for (uint32_t i = 0; i < more; i++) {
        struct pc_chunk *chunk = pc_chunk_take(f->worker);
        assert_non_null(chunk);
        chunk->next = list;
        list = chunk;
    }
    while (list) {
        struct pc_chunk *next = list->next;
        pc_chunk_give(f->worker, list);
        list = next;
    }
    assert_int_equal(f->worker->spare_chunk_count, PC_SPARE_CHUNKS);
}

static void a_queue_that_got_something_is_dirty_once(void **state)
{
    struct fixture *f = *state;
    assert_true(pc_list_empty(&f->worker->dirty));
    push(f, "a");
    push(f, "b");
    assert_ptr_equal(f->worker->dirty.next, &f->q.dirty);
    assert_ptr_equal(f->worker->dirty.prev, &f->q.dirty);
    pc_outq_mark(&f->q);
    assert_ptr_equal(f->q.dirty.next, &f->worker->dirty);
    pc_list_remove(&f->q.dirty);
    pc_outq_wrote(&f->q, 1);
    assert_true(pc_list_empty(&f->worker->dirty));
    pc_outq_mark(&f->q);
    assert_false(pc_list_empty(&f->worker->dirty));
}

static void a_closed_queue_takes_nothing_and_still_gives(void **state)
{
    struct fixture *f = *state;
    push(f, "before");
    f->q.closed = true;
    push(f, "after");
    assert_string_equal(waiting(f, 256), "before");
    expect_bytes(f, 6, 1);
}

static void dropping_spares_a_frame_that_has_begun(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(pc_outq_drop(&f->q), 0);
    for (int frames = 1; frames < 4 * PC_CHUNK_SLOTS; frames++) {
        for (int begun = 0; begun < 2; begun++) {
            push_many(f, 100, 100 + frames); /* "100," and so on, four bytes each */
            if (begun)
                pc_outq_wrote(&f->q, 1);
            assert_int_equal(pc_outq_drop(&f->q), frames - begun);
            assert_string_equal(waiting(f, 256), begun ? "00," : "");
            expect_bytes(f, begun ? 3 : 0, (uint32_t)begun);
            push(f, "x");
            assert_string_equal(waiting(f, 256), begun ? "00,x" : "x");
            pc_outq_wrote(&f->q, pc_outq_bytes(&f->q));
            expect_bytes(f, 0, 0);
        }
    }
}

static void dropping_after_part_was_written_keeps_the_count(void **state)
{
    struct fixture *f = *state;
    /* the frame that has begun is not the chunk's first, and then not the queue's first chunk */
    for (int written = 1; written < 3 * PC_CHUNK_SLOTS - 1; written++) {
        push_many(f, 100, 100 + 3 * PC_CHUNK_SLOTS);
        pc_outq_wrote(&f->q, 4 * (size_t)written + 2);
        assert_int_equal(pc_outq_drop(&f->q), 3 * PC_CHUNK_SLOTS - written - 1);
        expect_bytes(f, 2, 1);
        push_many(f, 0, 3);
        pc_outq_wrote(&f->q, 2);
        assert_string_equal(waiting(f, 256), "0,1,2,");
        pc_outq_wrote(&f->q, 6);
        expect_bytes(f, 0, 0);
    }
}

static void freeing_releases_waiting_data(void **state)
{
    struct fixture *f = *state;
    struct pc_frame *frame = pc_frame_new(&f->fx.mem, 1, 0, PC_S("shared"));
    struct pc_outq other;
    assert_non_null(frame);
    pc_outq_init(&other, f->worker, on_overflow);
    pc_slot_begin(&frame->slots[0]);
    assert_int_equal(pc_outq_push(&f->q, &frame->slots[0]), 0);
    assert_int_equal(pc_outq_push(&other, &frame->slots[0]), 0);
    pc_slot_unref(&frame->slots[0]);
    pc_frame_done(frame);
    pc_outq_free(&f->q);
    expect_bytes(&(struct fixture){.worker = f->worker, .q = other}, 6, 1);
    assert_int_equal(pc_outq_push(&f->q, &frame->slots[0]), 0); /* does nothing */
    assert_int_equal(f->q.count, 0);
    struct iovec iov;
    assert_int_equal(pc_outq_gather(&other, &iov, 1), 1);
    assert_memory_equal(iov.iov_base, "shared", 6);
    pc_outq_free(&other);
}

static void without_memory_nothing_is_queued(void **state)
{
    struct fixture *f = *state;
    struct pc_frame *frame = pc_frame_new(&f->fx.mem, 1, 0, PC_S("x"));
    assert_non_null(frame);
    pc_slot_begin(&frame->slots[0]);
    for (int i = 0; i < PC_CHUNK_SLOTS; i++)
        assert_int_equal(pc_outq_push(&f->q, &frame->slots[0]), 0);
    f->fx.alloc.fail_at = f->fx.alloc.requests + 1;
    assert_int_equal(pc_outq_push(&f->q, &frame->slots[0]), PUSHERC_ENOMEM);
    expect_bytes(f, PC_CHUNK_SLOTS, PC_CHUNK_SLOTS);
    assert_int_equal(pc_outq_push(&f->q, &frame->slots[0]), 0);
    expect_bytes(f, PC_CHUNK_SLOTS + 1, PC_CHUNK_SLOTS + 1);
    pc_slot_unref(&frame->slots[0]);
    pc_frame_done(frame);
    /* and a message that cannot be made does not reach the queue */
    for (size_t i = 1; i <= 2; i++) {
        pc_outq_wrote(&f->q, pc_outq_bytes(&f->q));
        f->worker->spare_chunk_count = 0;
        while (f->worker->spare_chunks) {
            struct pc_chunk *chunk = f->worker->spare_chunks;
            f->worker->spare_chunks = chunk->next;
            pc_free(&f->fx.mem, chunk);
        }
        f->fx.alloc.fail_at = f->fx.alloc.requests + i;
        assert_int_equal(pc_outq_send(&f->q, PC_WS_TEXT, PC_S("y")), PUSHERC_ENOMEM);
        expect_bytes(f, 0, 0);
    }
}

static void frames_carry_their_header(void **state)
{
    static const struct {
        size_t payload, header;
    } cases[] = {{0, 2}, {125, 2}, {126, 4}, {65535, 4}, {65536, 10}};
    struct fixture *f = *state;
    static char payload[65536];
    memset(payload, 'p', sizeof payload);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct pc_frame *frame =
            pc_frame_new(&f->fx.mem, 3, PC_WS_TEXT, pc_slice(payload, cases[i].payload));
        assert_int_equal(frame->header_len, cases[i].header);
        for (uint32_t k = 0; k < 3; k++) {
            assert_int_equal((uintptr_t)&frame->slots[k] % 64, 0); /* workers do not share a line */
            assert_int_equal(frame->slots[k].len, cases[i].header + cases[i].payload);
            assert_int_equal((unsigned char)frame->slots[k].bytes[0], 0x81);
        }
        pc_frame_done(frame);
    }
    pc_frame_done(NULL);
    assert_null(pc_frame_new(&f->fx.mem, 1, PC_WS_TEXT, pc_slice(payload, (size_t)INT32_MAX + 1)));
}

static void what_a_connection_did_not_write_is_taken_back_in_order(void **state)
{
    struct fixture *f = *state;
    struct pc_outq conn;
    pc_outq_init(&conn, f->worker, on_overflow);
    conn.encoding = f->q.encoding = PC_ENCODING_XHR;
    assert_int_equal(pc_outq_send(&conn, 0, PC_S("a head, which is no message")), 0);
    for (int i = 0; i < 100; i++) {
        char text[16];
        int n = snprintf(text, sizeof text, "%d", i);
        assert_int_equal(
            pc_outq_send(i < 70 ? &conn : &f->q, PC_WS_TEXT, pc_slice(text, (size_t)n)), 0);
    }
    pc_outq_wrote(&conn,
                  sizeof "a head, which is no message" - 1 + strlen("7\r\na[\"0\"]\n\r\n") + 3);
    assert_int_equal(pc_outq_take_back(&f->q, &conn), 0);
    pc_outq_free(&conn);
    assert_int_equal(f->q.count, 99); /* the first was written, the second only in part */
    const char *text = waiting(f, 256);
    for (int i = 1; i < 100; i++) {
        char line[32];
        snprintf(line, sizeof line, "a[\"%d\"]\n", i);
        text = strstr(text, line);
        assert_non_null(text);
    }
}

/* What waits for a frame. */
struct awaited {
    struct pc_due due;
    unsigned written, freed;
};

static void on_written(struct pc_due *due, struct pc_worker *worker)
{
    assert_non_null(worker);
    PC_CONTAINER(due, struct awaited, due)->written++;
}

static void on_free(struct pc_due *due)
{
    PC_CONTAINER(due, struct awaited, due)->freed++;
}

/* Pushes a message of ten bytes that is waited for. */
static void push_awaited(struct fixture *f, struct awaited *awaited)
{
    struct pc_frame *frame = pc_outq_make(&f->q, 0, PC_S("0123456789"));
    struct pc_slot *slot = &frame->slots[0];
    pc_slot_begin(slot);
    *awaited = (struct awaited){.due = {.written = on_written, .free = on_free}};
    struct pc_frame *own = pc_frame_new_due(&f->fx.mem, slot, &awaited->due);
    assert_non_null(own);
    pc_slot_unref(slot);
    pc_frame_done(frame);
    assert_int_equal(pc_outq_push(&f->q, &own->slots[0]), 0);
    pc_slot_unref(&own->slots[0]);
}

#define ENDED(awaited, is_written)                                                                 \
    assert_true((awaited).written == (is_written) && (awaited).freed == 1)
#define WAITS(awaited) assert_true((awaited).written == 0 && (awaited).freed == 0)

static void a_frame_that_is_waited_for_is_told_after_its_last_byte(void **state)
{
    struct fixture *f = *state;
    struct awaited a[3];
    push(f, "ab");
    for (size_t i = 0; i < 3; i++)
        push_awaited(f, &a[i]);
    assert_string_equal(waiting(f, 256), "ab012345678901234567890123456789");
    pc_outq_wrote(&f->q, 11);
    pc_outq_tell(&f->q);
    WAITS(a[0]);
    pc_outq_wrote(&f->q, 12); /* the last byte of one, and all of the next but a byte */
    WAITS(a[0]);
    pc_outq_tell(&f->q);
    ENDED(a[0], 1);
    pc_outq_wrote(&f->q, 9);
    assert_int_equal(f->q.count, 0);
    pc_outq_tell(&f->q);
    for (size_t i = 0; i < 3; i++)
        ENDED(a[i], 1);
}

static void a_frame_that_moves_is_told_by_the_queue_that_writes_it(void **state)
{
    struct fixture *f = *state;
    struct awaited a, b;
    struct pc_outq conn;
    pc_outq_init(&conn, f->worker, on_overflow);
    push_awaited(f, &a);
    push_awaited(f, &b);
    for (int i = 0; i < 2; i++) {
        struct pc_slot *slot = pc_outq_take(&f->q);
        assert_int_equal(pc_outq_push(&conn, slot), 0);
        pc_slot_unref(slot);
    }
    assert_int_equal(f->q.count, 0);
    pc_outq_tell(&f->q);
    WAITS(a);
    pc_outq_wrote(&conn, 15);
    pc_outq_tell(&conn);
    ENDED(a, 1);
    pc_outq_free(&conn);
    ENDED(b, 0);
}

static void a_frame_that_is_dropped_is_not_told(void **state)
{
    struct fixture *f = *state;
    struct awaited a, b, c;
    push_awaited(f, &a);
    push_awaited(f, &b);
    pc_outq_drop(&f->q);
    pc_outq_tell(&f->q);
    ENDED(a, 0);
    ENDED(b, 0);
    push_awaited(f, &c);
    pc_outq_wrote(&f->q, 10);
    pc_outq_free(&f->q); /* the kernel has never had it */
    ENDED(c, 0);
}

static struct pc_flush *begin_flush(void)
{
    static struct pc_flush pass;
    static char buffers[PC_WRITE_BUFFERS * PC_WRITE_BUFFER];
    pc_flush_begin(&pass, buffers);
    return &pass;
}

static void expect_copy(struct pc_flush *pass, const struct pc_outq *q, const char *text)
{
    pusherc_slice copy = pc_flush_copy(pass, q);
    assert_int_equal(copy.len, strlen(text));
    assert_memory_equal(copy.ptr, text, copy.len);
}

static void queues_with_the_same_frames_share_a_copy(void **state)
{
    struct fixture *f = *state;
    struct pc_flush *pass = begin_flush();
    struct pc_outq others[2];
    push(f, "one ");
    push(f, "two");
    for (int i = 0; i < 2; i++) {
        pc_outq_init(&others[i], f->worker, on_overflow);
        for (int n = 0; n < 2 - i; n++)
            assert_int_equal(pc_outq_push(&others[i], f->q.first->items[n]), 0);
    }
    expect_copy(pass, &f->q, "one two");
    const char *first = pc_flush_copy(pass, &f->q).ptr;
    assert_ptr_equal(pc_flush_copy(pass, &others[0]).ptr, first);
    expect_copy(pass, &others[1], "one ");
    assert_ptr_equal(pc_flush_copy(pass, &others[0]).ptr, first); /* still kept */
    pc_flush_copy(pass, &f->q);
    assert_ptr_equal(pc_flush_scratch(pass), first);
    assert_ptr_not_equal(pc_flush_copy(pass, &f->q).ptr, first); /* may be overwritten */
    pc_flush_end(pass);
    for (int i = 0; i < 2; i++)
        pc_outq_free(&others[i]);
}

/* A frame made in a flush would get the memory of one that was written in it. */
static void a_copy_holds_its_frames(void **state)
{
    struct fixture *f = *state;
    struct pc_flush *pass = begin_flush();
    char text[] = "0?";
    for (; text[0] <= '9'; text[0]++) {
        push(f, text);
        expect_copy(pass, &f->q, text);
        pc_outq_wrote(&f->q, 2);
    }
    pc_flush_end(pass);
}

static void what_no_other_queue_has_is_not_copied(void **state)
{
    struct fixture *f = *state;
    struct pc_flush *pass = begin_flush();
    static char large[PC_WRITE_BUFFER + 2];
    struct awaited a;
    memset(large, 'x', PC_WRITE_BUFFER);
    push(f, large);
    expect_copy(pass, &f->q, large);
    push(f, "x");
    assert_int_equal(pc_flush_copy(pass, &f->q).len, 0); /* too long */
    pc_outq_wrote(&f->q, 1);
    assert_int_equal(pc_flush_copy(pass, &f->q).len, 0); /* written in part */
    pc_outq_wrote(&f->q, PC_WRITE_BUFFER);
    push_many(f, 0, PC_CHUNK_SLOTS + 1);
    assert_int_equal(pc_flush_copy(pass, &f->q).len, 0); /* in two chunks */
    pc_outq_wrote(&f->q, pc_outq_bytes(&f->q));
    push(f, "x");
    push_awaited(f, &a);
    assert_int_equal(pc_flush_copy(pass, &f->q).len, 0);
    pc_outq_wrote(&f->q, pc_outq_bytes(&f->q));
    pc_outq_tell(&f->q);
    ENDED(a, 1); /* the flush holds it no longer than the queue */
    pc_flush_end(pass);
}

#define outq_test(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        outq_test(a_frame_that_is_waited_for_is_told_after_its_last_byte),
        outq_test(a_frame_that_moves_is_told_by_the_queue_that_writes_it),
        outq_test(a_frame_that_is_dropped_is_not_told),
        outq_test(queues_with_the_same_frames_share_a_copy),
        outq_test(a_copy_holds_its_frames),
        outq_test(what_no_other_queue_has_is_not_copied),
        outq_test(what_a_connection_did_not_write_is_taken_back_in_order),
        outq_test(frames_leave_in_the_order_they_came),
        outq_test(a_write_may_end_anywhere),
        outq_test(chunks_follow_each_other),
        outq_test(a_queue_may_grow_while_it_is_written),
        outq_test(an_empty_queue_owns_nothing),
        outq_test(the_worker_keeps_a_bounded_number_of_chunks),
        outq_test(a_queue_that_got_something_is_dirty_once),
        outq_test(a_closed_queue_takes_nothing_and_still_gives),
        outq_test(dropping_spares_a_frame_that_has_begun),
        outq_test(dropping_after_part_was_written_keeps_the_count),
        outq_test(freeing_releases_waiting_data),
        outq_test(without_memory_nothing_is_queued),
        outq_test(frames_carry_their_header),
    };
    return cmocka_run_group_tests_name("outq", tests, NULL, NULL);
}
