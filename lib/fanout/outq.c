#include "fanout/outq.h"

#include <pusherc/error.h>

#include "fanout/compress.h"
#include "fanout/worker.h"

struct pc_chunk *pc_chunk_take(struct pc_worker *worker)
{
    struct pc_chunk *chunk = worker->spare_chunks;
    if (chunk) {
        worker->spare_chunks = chunk->next;
        worker->spare_chunk_count--;
    } else {
        chunk = pc_alloc(worker->mem, sizeof *chunk);
        if (!chunk)
            return NULL;
    }
    chunk->next = NULL;
    chunk->head = chunk->tail = 0;
    return chunk;
}

void pc_chunk_give(struct pc_worker *worker, struct pc_chunk *chunk)
{
    if (worker->spare_chunk_count >= PC_SPARE_CHUNKS) {
        pc_free(worker->mem, chunk);
        return;
    }
    chunk->next = worker->spare_chunks;
    worker->spare_chunks = chunk;
    worker->spare_chunk_count++;
}

void pc_chunks_free(struct pc_worker *worker)
{
    while (worker->spare_chunks) {
        struct pc_chunk *chunk = worker->spare_chunks;
        worker->spare_chunks = chunk->next;
        pc_free(worker->mem, chunk);
    }
    worker->spare_chunk_count = 0;
}

void pc_outq_init(struct pc_outq *q, struct pc_worker *worker, void (*overflow)(struct pc_outq *q))
{
    *q = (struct pc_outq){.worker = worker, .overflow = overflow};
    pc_list_init(&q->dirty);
}

static void drop_first_chunk(struct pc_outq *q)
{
    struct pc_chunk *chunk = q->first;
    q->first = chunk->next;
    if (!q->first)
        q->last = NULL;
    pc_chunk_give(q->worker, chunk);
}

static struct pc_due *take_written(struct pc_outq *q)
{
    struct pc_due *last = q->written, *first = last ? last->next : NULL;
    if (last)
        last->next = NULL;
    q->written = NULL;
    return first;
}

static void end_written(struct pc_outq *q, bool tell)
{
    struct pc_due *due = take_written(q), *next;
    for (; due; due = next) {
        next = due->next;
        if (tell)
            due->written(due, q->worker);
        pc_slot_unref(&due->frame->slots[0]);
    }
}

void pc_outq_free(struct pc_outq *q)
{
    q->closed = true;
    pc_list_remove(&q->dirty);
    for (; q->first; drop_first_chunk(q)) {
        struct pc_chunk *chunk = q->first;
        while (chunk->head < chunk->tail)
            pc_slot_unref(chunk->items[chunk->head++]);
    }
    end_written(q, false);
    q->worker->queued_bytes -= pc_outq_bytes(q);
    q->count = 0;
    q->held = 0;
    q->offset = 0;
}

void pc_outq_mark(struct pc_outq *q)
{
    if (pc_list_empty(&q->dirty))
        pc_list_push_back(&q->worker->dirty, &q->dirty);
}

void pc_outq_mark_bulk(struct pc_outq *q)
{
    if (pc_list_empty(&q->dirty))
        pc_list_push_back(&q->worker->bulk, &q->dirty);
}

int pc_outq_push(struct pc_outq *q, struct pc_slot *slot)
{
    if (q->closed)
        return 0;
    struct pc_chunk *chunk = q->last;
    if (!chunk || chunk->tail == PC_CHUNK_SLOTS) {
        chunk = pc_chunk_take(q->worker);
        if (!chunk)
            return PUSHERC_ENOMEM;
        if (q->last)
            q->last->next = chunk;
        else
            q->first = chunk;
        q->last = chunk;
    }
    chunk->items[chunk->tail++] = slot;
    slot->refs++;
    q->count++;
    q->held += slot->len + PC_FRAME_COST;
    q->worker->queued_bytes += slot->len;
    pc_outq_mark(q);
    return 0;
}

void pc_outq_append(struct pc_outq *q, struct pc_outq *from)
{
    if (!from->first)
        return;
    if (q->last)
        q->last->next = from->first;
    else
        q->first = from->first;
    q->last = from->last;
    q->count += from->count;
    q->held += from->held;
    from->first = from->last = NULL;
    from->count = 0;
    from->held = 0;
    pc_outq_mark(q);
}

int pc_outq_take_back(struct pc_outq *q, const struct pc_outq *from)
{
    struct pc_outq all;
    int err = 0;
    pc_outq_init(&all, q->worker, q->overflow);
    for (const struct pc_chunk *chunk = from->first; chunk && err == 0; chunk = chunk->next)
        for (uint32_t i = chunk->head; i < chunk->tail && err == 0; i++)
            if (chunk->items[i]->frame->header_len) /* a message */
                err = pc_outq_push(&all, chunk->items[i]);
    if (err == 0) {
        pc_outq_append(&all, q);
        pc_outq_append(q, &all);
    }
    pc_outq_free(&all);
    return err;
}

struct pc_frame *pc_outq_make(const struct pc_outq *q, int opcode, pusherc_slice payload)
{
    struct pc_worker *worker = q->worker;
    struct pc_frame *compressed = NULL;
    if (opcode == PC_WS_TEXT && q->encoding == PC_ENCODING_XHR)
        return pc_frame_new_xhr(worker->mem, 1, payload);
    if (opcode == PC_WS_TEXT && q->encoding == PC_ENCODING_WS_DEFLATE)
        compressed = pc_frame_new_compressed(worker->engine, 1, payload);
    return compressed ? compressed : pc_frame_new(worker->mem, 1, opcode, payload);
}

int pc_outq_send(struct pc_outq *q, int opcode, pusherc_slice payload)
{
    struct pc_frame *frame = pc_outq_make(q, opcode, payload);
    if (!frame)
        return PUSHERC_ENOMEM;
    struct pc_slot *slot = &frame->slots[0];
    pc_slot_begin(slot);
    int err = pc_outq_push(q, slot);
    pc_slot_unref(slot);
    pc_frame_done(frame);
    return err;
}

size_t pc_outq_gather(const struct pc_outq *q, struct iovec *iov, size_t max)
{
    size_t n = 0;
    size_t skip = q->offset;
    for (const struct pc_chunk *chunk = q->first; chunk && n < max; chunk = chunk->next) {
        for (uint32_t i = chunk->head; i < chunk->tail && n < max; i++) {
            const struct pc_slot *slot = chunk->items[i];
            iov[n++] = (struct iovec){(char *)slot->bytes + skip, slot->len - skip};
            skip = 0;
        }
    }
    return n;
}

/* The last queue of this worker's that had the frame has written it. */
static void written_last(struct pc_outq *q, struct pc_slot *slot)
{
    struct pc_due *due = slot->frame->due;
    if (!due) {
        pc_slot_last(slot);
        return;
    }
    slot->refs = 1; /* until it is told */
    due->next = q->written ? q->written->next : due;
    if (q->written)
        q->written->next = due;
    q->written = due;
}

void pc_outq_tell(struct pc_outq *q)
{
    end_written(q, true);
}

void pc_outq_wrote(struct pc_outq *q, size_t written)
{
    q->held -= written;
    q->worker->queued_bytes -= written;
    written += q->offset;
    while (q->first) {
        struct pc_chunk *chunk = q->first;
        while (chunk->head < chunk->tail && written >= chunk->items[chunk->head]->len) {
            struct pc_slot *slot = chunk->items[chunk->head++];
            written -= slot->len;
            q->count--;
            q->held -= PC_FRAME_COST;
            if (--slot->refs == 0)
                written_last(q, slot);
        }
        if (chunk->head < chunk->tail)
            break;
        drop_first_chunk(q);
    }
    q->offset = (uint32_t)written;
}

struct pc_slot *pc_outq_take(struct pc_outq *q)
{
    struct pc_slot *slot = pc_outq_first(q);
    slot->refs++; /* so that this is not the last queue */
    pc_outq_wrote(q, slot->len);
    return slot;
}

uint32_t pc_outq_drop(struct pc_outq *q)
{
    struct pc_chunk *chunk = q->first;
    if (!chunk)
        return 0;
    uint32_t keep = q->offset > 0; /* a frame that is written in part has to be completed */
    uint32_t dropped = 0;
    size_t kept_bytes = keep ? chunk->items[chunk->head]->len - q->offset : 0;
    for (struct pc_chunk *c = chunk; c; c = c->next) {
        uint32_t from = c->head + (c == chunk ? keep : 0);
        for (uint32_t i = from; i < c->tail; i++, dropped++)
            pc_slot_unref(c->items[i]);
        c->tail = from;
    }
    while (chunk->next) {
        struct pc_chunk *next = chunk->next;
        chunk->next = next->next;
        pc_chunk_give(q->worker, next);
    }
    q->last = chunk;
    if (!keep)
        drop_first_chunk(q);
    q->worker->queued_bytes -= pc_outq_bytes(q) - kept_bytes;
    q->held = kept_bytes + keep * PC_FRAME_COST;
    q->count = keep;
    return dropped;
}
