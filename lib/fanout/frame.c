#include "fanout/frame.h"

#include "channel/receipts.h"
#include "codec/xhr.h"

/* Makes a frame with room for `len` bytes at *bytes, which the caller fills. */
static struct pc_frame *make(const struct pc_mem *mem, uint32_t slot_count, size_t len,
                             char **bytes)
{
    /* The allocator aligns to 16 bytes only, and each slot needs a cache line of its own: round up by hand. */
    size_t slack = _Alignof(struct pc_slot);
    size_t fixed = sizeof(struct pc_frame) + slot_count * sizeof(struct pc_slot);
    char *block = pc_alloc(mem, sizeof(void *) + slack + fixed + len);
    if (!block)
        return NULL;
    uintptr_t at = ((uintptr_t)block + sizeof(void *) + slack - 1) & ~(uintptr_t)(slack - 1);
    struct pc_frame *frame = (struct pc_frame *)at;
    ((void **)(void *)frame)[-1] = block;

    frame->mem = *mem;
    atomic_init(&frame->workers, 1);
    frame->slot_count = slot_count;
    frame->header_len = 0;
    frame->characters = 0;
    frame->due = NULL;
    frame->tracked = NULL;
    frame->variants = NULL;
    frame->encodings = 0;
    frame->numbered = false;
    frame->directory = NULL;
    frame->channel = NULL;
    frame->number = 0;
    frame->posted_ns = 0;
    frame->except = (pusherc_socket_id){0};
    *bytes = (char *)frame + fixed;
    for (uint32_t i = 0; i < slot_count; i++)
        frame->slots[i] = (struct pc_slot){.frame = frame, .bytes = *bytes, .len = (uint32_t)len};
    return frame;
}

struct pc_frame *pc_frame_new(const struct pc_mem *mem, uint32_t slot_count, int opcode,
                              pusherc_slice payload)
{
    uint8_t header[PC_WS_MAX_HEADER];
    size_t header_len = opcode ? pc_ws_header(header, (enum pc_ws_opcode)opcode, payload.len) : 0;
    char *bytes;
    if (payload.len > INT32_MAX)
        return NULL;
    struct pc_frame *frame = make(mem, slot_count, header_len + payload.len, &bytes);
    if (!frame)
        return NULL;
    frame->header_len = (uint32_t)header_len;
    memcpy(bytes, header, header_len);
    if (payload.len)
        memcpy(bytes + header_len, payload.ptr, payload.len);
    return frame;
}

struct pc_frame *pc_frame_new_xhr(const struct pc_mem *mem, uint32_t slot_count,
                                  pusherc_slice message)
{
    char line_stack[2048], chunk_stack[2048];
    struct pc_buf line, chunk;
    struct pc_frame *frame = NULL;
    pc_buf_init_in(&line, mem, SIZE_MAX, line_stack, sizeof line_stack);
    pc_buf_init_in(&chunk, mem, SIZE_MAX, chunk_stack, sizeof chunk_stack);
    pc_xhr_put_message(&line, message);
    pc_xhr_put_chunk(&chunk, pc_buf_slice(&line));
    if (pc_buf_status(&line) == 0 && pc_buf_status(&chunk) == 0)
        frame = pc_frame_new(mem, slot_count, 0, pc_buf_slice(&chunk));
    if (frame) {
        frame->header_len = (uint32_t)pc_xhr_chunk_head(pc_buf_slice(&chunk));
        frame->characters = (uint32_t)pc_xhr_characters(pc_buf_slice(&line));
    }
    pc_buf_free(&line);
    pc_buf_free(&chunk);
    return frame;
}

struct pc_frame *pc_frame_new_due(const struct pc_mem *mem, struct pc_slot *of, struct pc_due *due)
{
    char *unused;
    struct pc_frame *frame = make(mem, 1, 0, &unused);
    if (!frame)
        return NULL;
    frame->header_len = of->frame->header_len;
    frame->characters = of->frame->characters;
    frame->slots[0].bytes = of->bytes;
    frame->slots[0].len = of->len;
    frame->due = due;
    due->frame = frame;
    due->of = of;
    of->refs++;
    pc_slot_begin(&frame->slots[0]);
    pc_frame_done(frame); /* the slot holds it */
    return frame;
}

struct pc_frame *pc_frame_new_variants(const struct pc_mem *mem, uint32_t slot_count)
{
    char *unused;
    struct pc_variants *variants = pc_alloc_zero(mem, sizeof *variants);
    if (!variants)
        return NULL;
    memset(variants->index, PC_NO_VARIANT, sizeof variants->index);
    struct pc_frame *frame = make(mem, slot_count, 0, &unused);
    if (frame)
        frame->variants = variants;
    else
        pc_free(mem, variants);
    return frame;
}

static void free_variants(const struct pc_mem *mem, struct pc_variants *variants)
{
    for (uint32_t i = 0; i < variants->count; i++)
        pc_frame_done(variants->frames[i]);
    pc_free(mem, variants);
}

static void free_due(struct pc_due *due)
{
    pc_slot_unref(due->of);
    due->free(due);
}

void pc_frame_done(struct pc_frame *frame)
{
    /* release: this thread's last reads come before the free; acquire: the free comes after the reads of all others */
    if (!frame || atomic_fetch_sub_explicit(&frame->workers, 1, memory_order_acq_rel) != 1)
        return;
    if (frame->channel)
        pc_channel_release(frame->directory, frame->channel);
    if (frame->due)
        free_due(frame->due);
    if (frame->tracked)
        pc_tracked_unref(frame->tracked);
    struct pc_mem mem = frame->mem;
    if (frame->variants)
        free_variants(&mem, frame->variants);
    pc_free(&mem, ((void **)(void *)frame)[-1]);
}

void pc_slot_last(struct pc_slot *slot)
{
    pc_frame_done(slot->frame);
}
