#include "fanout/channel_timer.h"

#include <pusherc/error.h>

struct channel_timer {
    struct pc_timer timer;
    struct pc_list of_worker;
    struct pc_worker *worker;
    struct pc_app *app;         /* counted */
    struct pc_channel *channel; /* held */
    pc_channel_timer_fn run;
};

static void timer_free(struct channel_timer *t)
{
    struct pc_worker *worker = t->worker;
    pc_list_remove(&t->of_worker);
    pc_timer_stop(&worker->timers, &t->timer);
    pc_channel_release(&worker->engine->directory, t->channel);
    pc_app_unref(t->app);
    pc_free(worker->mem, t);
}

static void on_due(struct pc_timer *timer, uint64_t now_ms)
{
    struct channel_timer *t = PC_CONTAINER(timer, struct channel_timer, timer);
    struct pc_worker *worker = t->worker;
    struct pc_shard *shard = t->channel->shard;
    struct pc_posting posting = {0};
    (void)now_ms;
    pthread_mutex_lock(&shard->mutex);
    t->run(worker, t->app, t->channel, &posting);
    pc_shard_unlock(shard);
    pc_posting_finish(worker->engine, &posting);
    timer_free(t);
}

int pc_channel_timer_start(struct pc_worker *worker, struct pc_app *app, struct pc_channel *channel,
                           uint64_t due_ms, pc_channel_timer_fn run)
{
    struct channel_timer *t = pc_alloc(worker->mem, sizeof *t);
    if (!t)
        return PUSHERC_ENOMEM;
    *t = (struct channel_timer){.worker = worker, .app = app, .channel = channel, .run = run};
    pc_app_ref(app);
    channel->holders++;
    pc_list_push_back(&worker->channel_timers, &t->of_worker);
    pc_timer_init(&t->timer, on_due);
    pc_timer_arm(&worker->timers, &t->timer, due_ms);
    return 0;
}

void pc_channel_timers_forget(struct pc_worker *worker)
{
    while (!pc_list_empty(&worker->channel_timers))
        timer_free(PC_CONTAINER(worker->channel_timers.next, struct channel_timer, of_worker));
}
