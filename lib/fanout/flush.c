#include "fanout/flush.h"

#include <string.h>

void pc_flush_begin(struct pc_flush *pass, char *buffers)
{
    pass->buffers = buffers;
    pass->last = 0;
    for (uint32_t i = 0; i < PC_WRITE_BUFFERS; i++)
        pass->kept[i].len = pass->kept[i].count = 0; /* slots are written before they are read */
}

static void let_go(struct pc_copied *copy)
{
    for (uint32_t i = 0; i < copy->count; i++)
        pc_slot_unref(copy->slots[i]);
    copy->len = copy->count = 0;
}

void pc_flush_end(struct pc_flush *pass)
{
    for (uint32_t i = 0; i < PC_WRITE_BUFFERS; i++)
        let_go(&pass->kept[i]);
}

static char *buffer(const struct pc_flush *pass, uint32_t i)
{
    return pass->buffers + (size_t)i * PC_WRITE_BUFFER;
}

/* A frame that is waited for is in one queue only. */
static bool has_own(struct pc_slot *const *slots, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (slots[i]->frame->due)
            return true;
    }
    return false;
}

static void copy_together(struct pc_copied *copy, char *to, struct pc_slot *const *slots,
                          uint32_t count)
{
    for (copy->count = 0; copy->count < count; copy->count++) {
        struct pc_slot *slot = slots[copy->count];
        memcpy(to + copy->len, slot->bytes, slot->len);
        copy->len += slot->len;
        copy->slots[copy->count] = slot;
        slot->refs++;
    }
}

pusherc_slice pc_flush_copy(struct pc_flush *pass, const struct pc_outq *q)
{
    const struct pc_chunk *chunk = q->first;
    uint32_t count = chunk->tail - chunk->head;
    struct pc_slot *const *slots = chunk->items + chunk->head;
    if (chunk->next || q->offset || pc_outq_bytes(q) > PC_WRITE_BUFFER)
        return PC_S("");
    for (uint32_t n = 0; n < PC_WRITE_BUFFERS; n++) {
        uint32_t i = (pass->last + n) % PC_WRITE_BUFFERS;
        const struct pc_copied *copy = &pass->kept[i];
        if (copy->len && count == copy->count &&
            memcmp(slots, copy->slots, count * sizeof(struct pc_slot *)) == 0) {
            pass->last = i;
            return pc_slice(buffer(pass, i), copy->len);
        }
    }
    if (has_own(slots, count))
        return PC_S("");
    pass->last = (pass->last + 1) % PC_WRITE_BUFFERS;
    struct pc_copied *copy = &pass->kept[pass->last];
    let_go(copy);
    copy_together(copy, buffer(pass, pass->last), slots, count);
    return pc_slice(buffer(pass, pass->last), copy->len);
}

char *pc_flush_scratch(struct pc_flush *pass)
{
    pass->kept[pass->last].len = 0;
    return buffer(pass, pass->last);
}
