/* What is published on Laravel's channels in Redis: any bytes are read without harm, what is read is an event's data, and
 * what redis: writes is read as it was. */
#include "broadcast/laravel.h"
#include "codec/json.h"
#include "require.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool read(const struct pc_mem *mem, pusherc_slice text, struct pc_laravel_message *out,
                 struct pc_buf *scratch)
{
    pc_buf_init(scratch, mem, SIZE_MAX);
    int err = pc_laravel_read_message(out, text, scratch);
    REQUIRE(err == 0 || err == PUSHERC_EINVAL);
    return err == 0;
}

static void check_read(const struct pc_mem *mem, pusherc_slice text)
{
    struct pc_laravel_message message;
    struct pc_buf scratch;
    if (read(mem, text, &message, &scratch)) {
        enum pc_json_type sent = pc_json_get(pc_json_parse(text), PC_S("data")).type;
        struct pc_json taken = pc_json_parse(message.data);
        REQUIRE(pc_utf8_valid(message.name) && pc_utf8_valid(message.data));
        REQUIRE(scratch.len <= text.len);
        if (sent == PC_JSON_OBJECT)
            REQUIRE((taken.type == PC_JSON_OBJECT || taken.type == PC_JSON_ARRAY) &&
                    pc_json_get(taken, PC_S("socket")).type == PC_JSON_NONE);
        else if (sent != PC_JSON_STRING)
            REQUIRE(taken.type == sent);
    }
    pc_buf_free(&scratch);
}

static void check_written(const struct pc_mem *mem, pusherc_slice data)
{
    const pusherc_event event = {.struct_size = sizeof event,
                                 .name = PUSHERC_LIT("x"),
                                 .data = data,
                                 .except = {data.len & 1, 7}};
    struct pc_laravel_message message;
    struct pc_buf buf, scratch;
    struct pc_json own = pc_json_parse(data);
    if (!pc_utf8_valid(data) || data.len > 4096)
        return;
    pc_buf_init(&buf, mem, SIZE_MAX);
    pc_laravel_put_message(&buf, &event);
    /* data at the limit of depth is one level deeper in the message */
    bool fits = pc_json_parse(pc_buf_slice(&buf)).type == PC_JSON_OBJECT;
    bool good = read(mem, pc_buf_slice(&buf), &message, &scratch);
    /* a string may hold half of a surrogate pair */
    REQUIRE(good || !fits || own.type == PC_JSON_STRING);
    if (good) {
        REQUIRE(message.except.a == event.except.a && message.except.b == event.except.b);
        if (own.type == PC_JSON_NONE)
            REQUIRE(pc_slice_eq(message.data, data));
    }
    pc_buf_free(&scratch);
    pc_buf_free(&buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct pc_mem mem = pc_mem_make(NULL);
    const pusherc_slice bytes = {(const char *)data, size};
    check_read(&mem, bytes);
    check_written(&mem, bytes);
    return 0;
}
