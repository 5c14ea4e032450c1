#include "fanout/channel_timer.h"

#include <pusherc/error.h>

#include "fanout/posting.h"

#define OF_WORKER(l) PC_CONTAINER(l, struct pc_channel_timer, of_worker)

void pc_channel_timer_end(struct pc_channel_timer *t)
{
    struct pc_worker *worker = t->worker;
    if (t->over)
        t->over(t);
    pc_list_remove(&t->of_worker);
    pc_timer_stop(&worker->timers, &t->timer);
    pc_channel_release(&worker->engine->directory, t->channel);
    pc_app_unref(t->app);
    pc_free(worker->mem, t->block);
}

static void on_due(struct pc_timer *timer, uint64_t now_ms)
{
    struct pc_channel_timer *t = PC_CONTAINER(timer, struct pc_channel_timer, timer);
    uint64_t again_ms = t->run(t->worker, t->app, t->channel);
    (void)now_ms;
    if (again_ms)
        pc_timer_arm(&t->worker->timers, timer, again_ms);
    else
        pc_channel_timer_end(t);
}

void pc_channel_timer_init(struct pc_channel_timer *t, struct pc_worker *worker, struct pc_app *app,
                           struct pc_channel *channel, pc_channel_timer_fn run, void *block)
{
    *t = (struct pc_channel_timer){
        .worker = worker, .app = app, .channel = channel, .run = run, .block = block};
    pc_app_ref(app);
    channel->holders++;
    pc_list_init(&t->of_worker);
    pc_timer_init(&t->timer, on_due);
}

int pc_channel_timer_start(struct pc_worker *worker, struct pc_app *app, struct pc_channel *channel,
                           uint64_t due_ms, pc_channel_timer_fn run)
{
    struct pc_channel_timer *t = pc_alloc(worker->mem, sizeof *t);
    if (!t)
        return PUSHERC_ENOMEM;
    pc_channel_timer_init(t, worker, app, channel, run, t);
    pc_list_push_back(&worker->channel_timers, &t->of_worker);
    pc_timer_arm(&worker->timers, &t->timer, due_ms);
    return 0;
}

void pc_channel_timer_fire(struct pc_channel_timer *t)
{
    if (pc_list_empty(&t->of_worker))
        pc_list_push_back(&t->worker->channel_timers, &t->of_worker);
    pc_timer_stop(&t->worker->timers, &t->timer);
    on_due(&t->timer, t->worker->now_ms);
}

/* -- owned timers -- */

static void on_mail(struct pc_mail *mail, struct pc_worker *worker)
{
    struct pc_owned_timer *t = PC_CONTAINER(mail, struct pc_owned_timer, mail);
    struct pc_shard *shard = t->timer.channel->shard;
    pthread_mutex_lock(&shard->mutex);
    t->mailed = false;
    pc_shard_unlock(shard);
    if (worker)
        pc_channel_timer_fire(&t->timer);
    else if (pc_list_empty(&t->timer.of_worker)) /* else it ends with the worker */
        pc_channel_timer_end(&t->timer);
}

int pc_owned_timer_ask(struct pc_owned_timer *t, uint64_t *wake)
{
    const struct pc_worker *owner = t->timer.worker;
    bool wakes = false;
    if (t->mailed)
        return 0;
    t->mail.run = on_mail;
    int err = pc_mailbox_post(owner->mailbox, &t->mail, PC_MAIL_CONTROL, &wakes);
    t->mailed = err == 0;
    pc_wake_add(owner->engine, wake, (uint64_t)wakes << owner->index);
    return err;
}

int pc_owned_timer_begin(struct pc_owned_timer *t, struct pc_engine *engine, struct pc_app *app,
                         struct pc_channel *channel, pc_channel_timer_fn run,
                         void (*over)(struct pc_channel_timer *timer), void *block, uint64_t *wake)
{
    const size_t shard = (size_t)(channel->shard - engine->directory.shards);
    pc_channel_timer_init(&t->timer, &engine->workers[shard % engine->worker_count], app, channel,
                          run, block);
    t->timer.over = over;
    int err = pc_owned_timer_ask(t, wake);
    if (err) {
        channel->holders--; /* the caller settles it */
        pc_app_unref(app);
    }
    return err;
}

/* -- all of a worker -- */

void pc_channel_timers_hurry(struct pc_worker *worker, pc_channel_pick_fn pick, void *ctx)
{
    PC_LIST_EACH_SAFE(l, next, &worker->channel_timers) {
        struct pc_channel_timer *t = OF_WORKER(l);
        if (!pick || pick(t->channel, ctx))
            pc_channel_timer_fire(t);
    }
}

void pc_channel_timers_fire(struct pc_worker *worker, pc_channel_timer_fn run)
{
    PC_LIST_EACH_SAFE(l, next, &worker->channel_timers) {
        if (OF_WORKER(l)->run == run)
            pc_channel_timer_fire(OF_WORKER(l));
    }
}

void pc_channel_timers_forget(struct pc_worker *worker)
{
    while (!pc_list_empty(&worker->channel_timers))
        pc_channel_timer_end(OF_WORKER(worker->channel_timers.next));
}
