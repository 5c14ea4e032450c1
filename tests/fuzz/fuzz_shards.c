/* What servers of a Redis Cluster say of where slots are, as an answer and as an error: any bytes are read without harm, and
 * what is understood can be connected to. */
#include <string.h>

#include "broker/shards.h"
#include "require.h"

#define MAX_BYTES 65536

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_place(const struct pc_shard_place *place)
{
    size_t len = strnlen(place->host, sizeof place->host);
    REQUIRE(place->port > 0 && len > 0 && len < sizeof place->host);
    for (size_t i = 0; i < len; i++)
        REQUIRE(place->host[i] > ' ' && place->host[i] <= '~');
}

static void check_answers(const struct pc_mem *mem, const struct pc_broker_names *names,
                          pusherc_slice bytes)
{
    struct pc_redis_reader *reader = pc_redis_reader_new(mem, MAX_BYTES);
    struct pc_redis_reply reply;
    struct pc_shards shards;
    REQUIRE(reader);
    int more = pc_redis_reader_feed(reader, bytes);
    while (more == 0 && (more = pc_redis_reader_next(reader, &reply)) > 0) {
        more = 0;
        if (pc_shards_parse(&shards, names, &reply, PC_S("asked")))
            continue;
        REQUIRE(shards.count <= PC_BROKER_PARTITIONS);
        for (size_t i = 0; i < shards.count; i++)
            check_place(&shards.places[i]);
        for (size_t i = 0; i < PC_BROKER_PARTITIONS; i++)
            REQUIRE(shards.of[i] == PC_NO_SHARD || shards.of[i] < shards.count);
    }
    pc_redis_reader_free(reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const pusherc_slice bytes = pc_slice((const char *)data, size);
    struct pc_mem mem = pc_mem_make(NULL);
    struct pc_broker_names names;
    REQUIRE(pc_broker_names_init(&names, &mem, PC_S("x:")) == 0);
    struct pc_shard_refusal refusal = pc_shards_judge(&names, bytes, PC_S("asked"));
    if (refusal.error == PC_SHARD_HAS_MOVED)
        check_place(&refusal.place);
    REQUIRE(refusal.partition <= PC_BROKER_PARTITIONS);
    check_answers(&mem, &names, bytes);
    pc_broker_names_free(&names);
    return 0;
}
