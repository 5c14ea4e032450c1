/* Which server of a Redis Cluster has which partition: what its answers and errors say, and answers that make no sense. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <pusherc/error.h>

#include "broker/shards.h"

#define MAX_BYTES 65536
#define ID        "$4\r\nabcd\r\n"

struct fixture {
    struct pc_mem mem;
    struct pc_broker_names names;
    struct pc_shards shards;
};

static void open_all(struct fixture *f)
{
    f->mem = pc_mem_make(NULL);
    assert_int_equal(pc_broker_names_init(&f->names, &f->mem, PC_S("x:")), 0);
}

static void close_all(struct fixture *f)
{
    pc_broker_names_free(&f->names);
}

/* PUSHERC_EINVAL: it is no whole answer. */
static int parse(struct fixture *f, pusherc_slice bytes)
{
    struct pc_redis_reader *reader = pc_redis_reader_new(&f->mem, MAX_BYTES);
    struct pc_redis_reply reply;
    assert_non_null(reader);
    int err = PUSHERC_EINVAL;
    if (pc_redis_reader_feed(reader, bytes) == 0 && pc_redis_reader_next(reader, &reply) == 1)
        err = pc_shards_parse(&f->shards, &f->names, &reply, PC_S("asked"));
    pc_redis_reader_free(reader);
    return err;
}

static const char *host_of(const struct fixture *f, uint32_t partition)
{
    uint8_t index = f->shards.of[partition];
    return index == PC_NO_SHARD ? "" : f->shards.places[index].host;
}

/* Three masters; the first has a replica, and its name, as newer servers say it, in a list behind its id. */
static const pusherc_slice three = PUSHERC_LIT(
    "*3\r\n"
    "*4\r\n:0\r\n:5461\r\n*4\r\n$1\r\na\r\n:7000\r\n" ID "*2\r\n$8\r\nhostname\r\n$1\r\nn\r\n"
    "*4\r\n$1\r\nr\r\n:7003\r\n" ID "*0\r\n"
    "*3\r\n:5462\r\n:10922\r\n*3\r\n$1\r\nb\r\n:7001\r\n" ID
    "*3\r\n:10923\r\n:16383\r\n*3\r\n$-1\r\n:7002\r\n" ID);

static void each_partition_is_where_its_slot_is(void **state)
{
    struct fixture f;
    size_t counts[3] = {0};
    (void)state;
    open_all(&f);
    assert_int_equal(parse(&f, three), 0);
    assert_int_equal(f.shards.count, 3);
    for (uint32_t i = 0; i < PC_BROKER_PARTITIONS; i++) {
        uint16_t slot = f.names.slots[i];
        const char *host = slot <= 5461 ? "a" : slot <= 10922 ? "b" : "asked";
        assert_string_equal(host_of(&f, i), host);
        assert_int_equal(pc_broker_partition_of_slot(&f.names, slot), i);
        counts[f.shards.of[i]]++;
    }
    for (size_t i = 0; i < 3; i++)
        assert_in_range(counts[i], 20, 23);
    assert_int_equal(f.shards.places[2].port, 7002);
    close_all(&f);
}

static void slots_without_a_server_are_known(void **state)
{
    struct fixture f;
    (void)state;
    open_all(&f);
    assert_int_equal(parse(&f, PC_S("*0\r\n")), 0);
    for (uint32_t i = 0; i < PC_BROKER_PARTITIONS; i++)
        assert_int_equal(f.shards.of[i], PC_NO_SHARD);
    assert_int_equal(parse(&f, PC_S("*1\r\n*3\r\n:0\r\n:8191\r\n*2\r\n$1\r\n?\r\n:1\r\n")), 0);
    assert_int_equal(f.shards.count, 1);
    assert_string_equal(host_of(&f, 0), "asked");
    assert_string_equal(host_of(&f, PC_BROKER_PARTITIONS - 1), "");
    close_all(&f);
}

static void answers_that_make_no_sense_are_refused(void **state)
{
    static const char *const answers[] = {
        "+OK\r\n",
        "$-1\r\n",
        ":1\r\n",
        "*-1\r\n",
        "*1\r\n:1\r\n",
        "*1\r\n*0\r\n",
        "*1\r\n*2\r\n:0\r\n:1\r\n",
        "*1\r\n*3\r\n:0\r\n:1\r\n:2\r\n",
        "*1\r\n*3\r\n:0\r\n:1\r\n*0\r\n",
        "*1\r\n*3\r\n:0\r\n:1\r\n*-1\r\n",
        "*1\r\n*3\r\n:0\r\n:1\r\n*1\r\n$1\r\na\r\n",
        "*1\r\n*3\r\n:-1\r\n:1\r\n*2\r\n$1\r\na\r\n:1\r\n",
        "*1\r\n*3\r\n:0\r\n$1\r\n1\r\n*2\r\n$1\r\na\r\n:1\r\n",
        "*1\r\n*3\r\n:0\r\n:1\r\n*2\r\n:1\r\n:1\r\n",
        "*1\r\n*3\r\n:0\r\n:1\r\n*2\r\n$1\r\na\r\n:0\r\n",
        "*1\r\n*3\r\n:0\r\n:1\r\n*2\r\n$1\r\na\r\n:65536\r\n",
        "*1\r\n*3\r\n:0\r\n:1\r\n*2\r\n$1\r\na\r\n:-7000\r\n",
        "*1\r\n*3\r\n:0\r\n:1\r\n*2\r\n$1\r\na\r\n$4\r\n7000\r\n",
        "*1\r\n*3\r\n:0\r\n:1\r\n*2\r\n$3\r\na b\r\n:1\r\n",
        "*1\r\n*3\r\n:0\r\n:1\r\n*2\r\n$2\r\na\n\r\n:1\r\n",
        "*2\r\n*3\r\n:0\r\n:1\r\n*2\r\n$1\r\na\r\n:1\r\n$-1\r\n",
    };
    struct fixture f;
    char host[PC_SHARD_HOST + 64];
    (void)state;
    open_all(&f);
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++)
        assert_int_equal(parse(&f, pc_slice_of(answers[i])), PUSHERC_EPROTO);
    for (int len = PC_SHARD_HOST - 1; len <= PC_SHARD_HOST; len++) {
        int size = snprintf(host, sizeof host,
                            "*1\r\n*3\r\n:0\r\n:1\r\n*2\r\n$%d\r\n%0*d\r\n:1\r\n", len, len, 0);
        assert_int_equal(parse(&f, pc_slice(host, (size_t)size)),
                         len < PC_SHARD_HOST ? 0 : PUSHERC_EPROTO);
    }
    close_all(&f);
}

/* Ranges may overlap, which no sane server says: the last one counts, and no more than a master for each partition is kept. */
static void more_masters_than_partitions_are_refused(void **state)
{
    struct fixture f;
    struct pc_buf buf;
    (void)state;
    open_all(&f);
    for (unsigned masters = PC_BROKER_PARTITIONS; masters <= PC_BROKER_PARTITIONS + 1; masters++) {
        pc_buf_init(&buf, &f.mem, SIZE_MAX);
        pc_buf_put_char(&buf, '*');
        pc_buf_put_u64(&buf, masters);
        for (unsigned i = 0; i < masters; i++) {
            pc_buf_put(&buf, PC_S("\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$1\r\nh\r\n:"));
            pc_buf_put_u64(&buf, i + 1);
        }
        pc_buf_put(&buf, PC_S("\r\n"));
        bool fits = masters == PC_BROKER_PARTITIONS;
        assert_int_equal(parse(&f, pc_buf_slice(&buf)), fits ? 0 : PUSHERC_EPROTO);
        if (fits)
            assert_int_equal(f.shards.places[f.shards.of[0]].port, masters);
        pc_buf_free(&buf);
    }
    close_all(&f);
}

/* One byte of an answer is another one. */
static void a_damaged_answer_does_no_harm(void **state)
{
    struct fixture f;
    char bytes[512];
    (void)state;
    open_all(&f);
    assert_true(three.len < sizeof bytes);
    for (size_t at = 0; at < three.len; at++) {
        for (int c = 0; c < 128; c++) {
            memcpy(bytes, three.ptr, three.len);
            bytes[at] = (char)c;
            if (parse(&f, pc_slice(bytes, three.len)))
                continue;
            for (uint32_t i = 0; i < PC_BROKER_PARTITIONS; i++)
                assert_true(f.shards.of[i] == PC_NO_SHARD || f.shards.of[i] < f.shards.count);
        }
    }
    close_all(&f);
}

static void errors_say_what_became_of_a_command(void **state)
{
    static const struct {
        pusherc_slice error;
        enum pc_shard_error means;
        const char *host;
        uint16_t port;
    } rows[] = {
        {PUSHERC_LIT("MOVED 7 10.0.0.1:7001"), PC_SHARD_HAS_MOVED, "10.0.0.1", 7001},
        {PUSHERC_LIT("MOVED 7 ::1:7001"), PC_SHARD_HAS_MOVED, "::1", 7001},
        {PUSHERC_LIT("MOVED 7 :7001"), PC_SHARD_HAS_MOVED, "asked", 7001},
        {PUSHERC_LIT("MOVED 7 ?:7001"), PC_SHARD_HAS_MOVED, "asked", 7001},
        {PUSHERC_LIT("MOVED 7 10.0.0.1"), PC_SHARD_OTHER, "", 0},
        {PUSHERC_LIT("MOVED 7 10.0.0.1:"), PC_SHARD_OTHER, "", 0},
        {PUSHERC_LIT("MOVED 7 10.0.0.1:0"), PC_SHARD_OTHER, "", 0},
        {PUSHERC_LIT("MOVED 7 10.0.0.1:65537"), PC_SHARD_OTHER, "", 0},
        {PUSHERC_LIT("MOVED x 10.0.0.1:7001"), PC_SHARD_OTHER, "", 0},
        {PUSHERC_LIT("MOVED 7 a b:7001"), PC_SHARD_OTHER, "", 0},
        {PUSHERC_LIT("MOVED "), PC_SHARD_OTHER, "", 0},
        {PUSHERC_LIT("MOVED"), PC_SHARD_OTHER, "", 0},
        {PUSHERC_LIT("ASK 7 10.0.0.1:7001"), PC_SHARD_IS_LATE, "", 0},
        {PUSHERC_LIT("TRYAGAIN Multiple keys request during rehashing of slot"), PC_SHARD_IS_LATE,
         "", 0},
        {PUSHERC_LIT("ERR Script attempted to access a non local key in a cluster node script: x"),
         PC_SHARD_IS_LATE, "", 0},
        {PUSHERC_LIT("CLUSTERDOWN Hash slot not served"), PC_SHARD_IS_UNSERVED, "", 0},
        {PUSHERC_LIT("CLUSTERDOWN The cluster is down"), PC_SHARD_IS_DOWN, "", 0},
        {PUSHERC_LIT("ERR unknown command"), PC_SHARD_OTHER, "", 0},
        {PUSHERC_LIT(""), PC_SHARD_OTHER, "", 0},
    };
    struct fixture f;
    (void)state;
    open_all(&f);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pc_shard_refusal got = pc_shards_judge(&f.names, rows[i].error, PC_S("asked"));
        assert_int_equal(got.error, rows[i].means);
        if (got.error != PC_SHARD_HAS_MOVED)
            continue;
        assert_int_equal(got.partition, PC_BROKER_PARTITIONS); /* no partition has that slot */
        assert_string_equal(got.place.host, rows[i].host);
        assert_int_equal(got.place.port, rows[i].port);
    }
    for (uint32_t i = 0; i < PC_BROKER_PARTITIONS; i++) {
        char error[64];
        int len = snprintf(error, sizeof error, "MOVED %u h:1", (unsigned)f.names.slots[i]);
        struct pc_shard_refusal got =
            pc_shards_judge(&f.names, pc_slice(error, (size_t)len), PC_S("asked"));
        assert_int_equal(got.partition, i);
    }
    close_all(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_partition_is_where_its_slot_is),
        cmocka_unit_test(slots_without_a_server_are_known),
        cmocka_unit_test(answers_that_make_no_sense_are_refused),
        cmocka_unit_test(more_masters_than_partitions_are_refused),
        cmocka_unit_test(a_damaged_answer_does_no_harm),
        cmocka_unit_test(errors_say_what_became_of_a_command),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
