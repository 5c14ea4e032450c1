#include "fanout/compress.h"

#include "codec/deflate.h"

static struct pc_frame *compress(struct pc_engine *engine, uint32_t slot_count,
                                 pusherc_slice message)
{
    char stack[4096];
    struct pc_buf compressed;
    struct pc_frame *frame = NULL;
    pc_buf_init_in(&compressed, &engine->mem, SIZE_MAX, stack, sizeof stack);
    if (pc_deflate(engine->deflaters, message, &compressed))
        frame =
            pc_frame_new(&engine->mem, slot_count, PC_WS_TEXT_DEFLATED, pc_buf_slice(&compressed));
    if (frame) {
        pc_stat_add_shared(&engine->compressed, 1);
        pc_stat_add_shared(&engine->compressed_from_bytes, message.len);
        pc_stat_add_shared(&engine->compressed_to_bytes, compressed.len);
    }
    pc_buf_free(&compressed);
    return frame;
}

struct pc_frame *pc_frame_new_compressed(struct pc_engine *engine, uint32_t slot_count,
                                         pusherc_slice message)
{
    bool wanted = engine->deflaters && message.len >= engine->options.deflate_min_bytes;
    return wanted ? compress(engine, slot_count, message) : NULL;
}
