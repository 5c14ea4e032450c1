#include "fanout/worker.h"

#include "fanout/engine.h"

void pc_worker_init(struct pc_worker *worker, struct pc_engine *engine, uint32_t index,
                    uint64_t now_ms)
{
    worker->engine = engine;
    worker->mem = &engine->mem;
    worker->hooks = &engine->hooks;
    worker->index = index;
    worker->now_ms = now_ms;
    pc_timers_init(&worker->timers, now_ms);
    pc_list_init(&worker->sessions);
    pc_list_init(&worker->listed);
    pthread_mutex_init(&worker->listing, NULL);
    pc_list_init(&worker->joins);
    pc_list_init(&worker->channel_timers);
    pc_list_init(&worker->people_timers);
    pc_list_init(&worker->dirty);
    pc_list_init(&worker->bulk);
    pc_map_init(&worker->by_id, worker->mem, engine->seed);
    pc_map_init(&worker->users, worker->mem, engine->seed);
    pc_quotas_init(&worker->quotas, worker);
    pc_unknown_apps_init(&worker->unknown_apps, worker);
    pc_map_init(&worker->owners, worker->mem, engine->seed);
}

void pc_worker_free(struct pc_worker *worker)
{
    pc_worker_written(worker);
    pc_chunks_free(worker);
    pc_map_free(&worker->by_id);
    pc_map_free(&worker->users);
    pc_map_free(&worker->owners);
    pthread_mutex_destroy(&worker->listing);
    pc_unknown_apps_free(&worker->unknown_apps);
    pc_quotas_free(&worker->quotas);
}

void pc_worker_begin_bulk(struct pc_worker *worker, struct pc_list *others)
{
    pc_list_take(others, &worker->dirty);
}

void pc_worker_end_bulk(struct pc_worker *worker, struct pc_list *others)
{
    pc_list_put_back(&worker->dirty, &worker->bulk);
    pc_list_take(&worker->bulk, &worker->dirty);
    pc_list_take(&worker->dirty, others);
}

void pc_worker_delivered(struct pc_worker *worker, struct pc_app_state *state, uint64_t messages,
                         uint64_t bytes)
{
    struct pc_app_stats *stats = &state->stats[worker->index];
    pc_stat_add(&worker->stats.messages_out, messages);
    pc_stat_add(&stats->messages_out, messages);
    pc_stat_add(&stats->bytes_out, bytes);
}

void pc_worker_time(struct pc_worker *worker, struct pc_app_state *state, uint64_t posted_ns)
{
    if (posted_ns == 0)
        return;
    if (worker->timed_count == PC_WORKER_TIMED)
        pc_worker_written(worker);
    uint32_t i = worker->timed_count++;
    /* The app may be freed with its last connection before the event is written. */
    if (i == 0 || worker->timed[i - 1].state != state)
        pc_app_state_ref(state);
    worker->timed[i] = (struct pc_timed){posted_ns, state};
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
        pc_histogram_observe(&t->state->stats[worker->index].latency, us);
        if (i + 1 == worker->timed_count || t[1].state != t->state)
            pc_app_state_unref(t->state);
    }
    worker->timed_count = 0;
}
