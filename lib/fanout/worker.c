#include "fanout/worker.h"

#include <pusherc/error.h>

#include "fanout/engine.h"
#include "fanout/later.h"

void pc_worker_init(struct pc_worker *worker, struct pc_engine *engine, uint32_t index,
                    uint64_t now_ms)
{
    worker->engine = engine;
    worker->mem = &engine->mem;
    worker->index = index;
    worker->now_ms = now_ms;
    pc_timers_init(&worker->timers, now_ms);
    pc_list_init(&worker->sessions);
    pc_list_init(&worker->laters);
    pc_list_init(&worker->dirty);
    pc_map_init(&worker->by_id, worker->mem, engine->seed);
    pc_map_init(&worker->users, worker->mem, engine->seed);
}

void pc_worker_free(struct pc_worker *worker)
{
    pc_laters_forget(worker);
    while (worker->spare_chunks) {
        struct pc_chunk *chunk = worker->spare_chunks;
        worker->spare_chunks = chunk->next;
        pc_free(worker->mem, chunk);
    }
    pc_map_free(&worker->by_id);
    pc_map_free(&worker->users);
}

struct pc_chunk *pc_worker_take_chunk(struct pc_worker *worker)
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

void pc_worker_give_chunk(struct pc_worker *worker, struct pc_chunk *chunk)
{
    if (worker->spare_chunk_count >= PC_WORKER_SPARE_CHUNKS) {
        pc_free(worker->mem, chunk);
        return;
    }
    chunk->next = worker->spare_chunks;
    worker->spare_chunks = chunk;
    worker->spare_chunk_count++;
}

int pc_worker_send(struct pc_outq *q, int opcode, pusherc_slice payload)
{
    struct pc_frame *frame = pc_frame_new(q->worker->mem, 1, opcode, payload);
    if (!frame)
        return PUSHERC_ENOMEM;
    struct pc_slot *slot = &frame->slots[0];
    pc_slot_begin(slot);
    int rc = pc_outq_push(q, slot);
    pc_slot_unref(slot);
    pc_frame_done(frame);
    return rc;
}
