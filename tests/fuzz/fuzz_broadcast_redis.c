/* Answers of Redis, whole and in pieces: any bytes are read without harm, and alike however they are cut. And any data
 * makes a message that is JSON. */
#include <string.h>

#include "broadcast/laravel.h"
#include "broadcast/redis_format.h"
#include "codec/json.h"
#include "redis/reader.h"
#include "require.h"

#define MAX_BYTES 65536

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct heard {
    size_t count, bytes;
    bool broken;
};

static struct heard read_in_pieces(const struct pc_mem *mem, pusherc_slice bytes, size_t piece)
{
    struct pc_redis_reader *reader = pc_redis_reader_new(mem, MAX_BYTES);
    struct heard heard = {0};
    struct pc_redis_reply reply;
    REQUIRE(reader);
    for (size_t at = 0; at < bytes.len && !heard.broken; at += piece) {
        int more = pc_redis_reader_feed(reader, pc_slice_first(pc_slice_skip(bytes, at), piece));
        heard.broken = more < 0;
        while (!heard.broken && (more = pc_redis_reader_next(reader, &reply)) > 0) {
            heard.count++;
            for (size_t i = 0; i < reply.count; i++)
                heard.bytes += reply.items[i].text.len;
        }
        heard.broken |= more < 0;
    }
    pc_redis_reader_free(reader);
    return heard;
}

static void check_message(const struct pc_mem *mem, pusherc_slice data)
{
    const pusherc_slice channel = PUSHERC_LIT("a");
    const pusherc_event event = {.struct_size = sizeof event,
                                 .name = PUSHERC_LIT("x"),
                                 .channels = &channel,
                                 .channel_count = 1,
                                 .data = data,
                                 .except = {data.len & 1, 7}};
    struct pc_buf buf;
    if (!pc_utf8_valid(data) || data.len > 4096)
        return;
    pc_buf_init(&buf, mem, SIZE_MAX);
    pc_laravel_put_message(&buf, &event);
    struct pc_json whole = pc_json_parse(pc_buf_slice(&buf));
    struct pc_json own = pc_json_parse(data), sent = pc_json_get(whole, PC_S("data"));
    /* data at the limit of depth is one level deeper in the message */
    REQUIRE(whole.type == PC_JSON_OBJECT || own.type != PC_JSON_NONE);
    if (whole.type == PC_JSON_OBJECT)
        REQUIRE(sent.type == (own.type == PC_JSON_NONE ? PC_JSON_STRING : own.type));
    pc_buf_free(&buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct pc_mem mem = pc_mem_make(NULL);
    const pusherc_slice bytes = {(const char *)data, size};
    struct heard whole = read_in_pieces(&mem, bytes, size ? size : 1);
    struct heard pieces = read_in_pieces(&mem, bytes, 1);
    if (size < MAX_BYTES)
        REQUIRE(whole.count == pieces.count && whole.bytes == pieces.bytes &&
                whole.broken == pieces.broken);
    check_message(&mem, bytes);
    return 0;
}
