#include "fanout/worker.h"

#include <pusherc/error.h>

#include "fanout/engine.h"

void pc_worker_init(struct pc_worker *worker, struct pc_engine *engine, uint32_t index,
                    uint64_t now_ms)
{
    worker->engine = engine;
    worker->mem = &engine->mem;
    worker->index = index;
    worker->now_ms = now_ms;
    pc_timers_init(&worker->timers, now_ms);
    pc_list_init(&worker->sessions);
    pc_list_init(&worker->channel_timers);
    pc_list_init(&worker->dirty);
    pc_map_init(&worker->by_id, worker->mem, engine->seed);
    pc_map_init(&worker->users, worker->mem, engine->seed);
}

void pc_worker_free(struct pc_worker *worker)
{
    pc_worker_written(worker);
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

void pc_worker_delivered(struct pc_worker *worker, struct pc_app_live *live, uint64_t messages,
                         uint64_t bytes, uint64_t posted_ns)
{
    struct pc_app_stats *stats = &live->stats[worker->index];
    pc_stat_add(&worker->stats.messages_out, messages);
    pc_stat_add(&stats->messages_out, messages);
    pc_stat_add(&stats->bytes_out, bytes);
    if (messages == 0 || posted_ns == 0)
        return;
    if (worker->timed_count == PC_WORKER_TIMED)
        pc_worker_written(worker);
    uint32_t i = worker->timed_count++;
    /* The app may go with its last connection before it is written. */
    if (i == 0 || worker->timed[i - 1].live != live)
        pc_app_live_ref(live);
    worker->timed[i] = (struct pc_timed){posted_ns, live};
}

void pc_worker_written(struct pc_worker *worker)
{
    if (worker->timed_count == 0)
        return;
    const uint64_t now_ns = worker->engine->clock_ns();
    for (uint32_t i = 0; i < worker->timed_count; i++) {
        const struct pc_timed *t = &worker->timed[i];
        uint64_t us = now_ns > t->posted_ns ? (now_ns - t->posted_ns) / 1000 : 0;
        pc_histogram_observe(&worker->stats.latency, us);
        pc_histogram_observe(&t->live->stats[worker->index].latency, us);
        if (i + 1 == worker->timed_count || t[1].live != t->live)
            pc_app_live_unref(t->live);
    }
    worker->timed_count = 0;
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
