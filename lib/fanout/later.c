#include "fanout/later.h"

#include <pusherc/error.h>

struct later {
    struct pc_timer timer;
    struct pc_list of_worker;
    struct pc_worker *worker;
    struct pc_app *app;         /* counted */
    struct pc_channel *channel; /* held */
    pc_later_fn run;
};

static void later_free(struct later *later)
{
    struct pc_worker *worker = later->worker;
    pc_list_remove(&later->of_worker);
    pc_timer_stop(&worker->timers, &later->timer);
    pc_channel_release(&worker->engine->directory, later->channel);
    pc_app_unref(later->app);
    pc_free(worker->mem, later);
}

static void on_due(struct pc_timer *timer, uint64_t now_ms)
{
    struct later *later = PC_CONTAINER(timer, struct later, timer);
    struct pc_worker *worker = later->worker;
    struct pc_shard *shard = later->channel->shard;
    struct pc_posting posting = {0};
    (void)now_ms;
    pthread_mutex_lock(&shard->mutex);
    later->run(worker, later->app, later->channel, &posting);
    pc_shard_unlock(shard);
    pc_posting_finish(worker->engine, &posting);
    later_free(later);
}

int pc_later(struct pc_worker *worker, struct pc_app *app, struct pc_channel *channel,
             uint64_t due_ms, pc_later_fn run)
{
    struct later *later = pc_alloc(worker->mem, sizeof *later);
    if (!later)
        return PUSHERC_ENOMEM;
    *later = (struct later){.worker = worker, .app = app, .channel = channel, .run = run};
    pc_app_ref(app);
    channel->holders++;
    pc_list_push_back(&worker->laters, &later->of_worker);
    pc_timer_init(&later->timer, on_due);
    pc_timer_arm(&worker->timers, &later->timer, due_ms);
    return 0;
}

void pc_laters_forget(struct pc_worker *worker)
{
    while (!pc_list_empty(&worker->laters))
        later_free(PC_CONTAINER(worker->laters.next, struct later, of_worker));
}
