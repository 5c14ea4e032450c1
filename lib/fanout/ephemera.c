#include "fanout/ephemera.h"

#include <pusherc/error.h>

#define PORTION                                                                                    \
    64 /* ends told in one turn, so that a channel does not keep the worker from others */

struct pc_ephemera {
    struct pc_owned_timer owned; /* holds the channel and the app */
    struct pc_ephemera_table table;
    pc_ephemera_tell_fn tell;
};

/* -- ends -- */

static void log_lost(struct pc_engine *engine, const struct pc_app *app,
                     const struct pc_channel *channel, int err)
{
    PC_LOG(&engine->log, WARN, ((struct pc_log_about){.subject = "fanout", .app_id = app->id}),
           "the end of a state on %.*s did not reach all subscribers: %s", (int)channel->name.len,
           channel->name.ptr, pusherc_strerror(err));
}

/* What was said last of a state that is over, counted for the caller; NULL: none is. */
static struct pc_said *take_over(struct pc_channel *channel, uint64_t now_ms,
                                 pc_ephemera_tell_fn *tell, pusherc_socket_id *except)
{
    pthread_mutex_lock(&channel->shard->mutex);
    const struct pc_ephemera *ephemera = channel->ephemera;
    struct pc_said *said = ephemera ? pc_ephemera_over(&ephemera->table, now_ms, except) : NULL;
    if (said) {
        *tell = ephemera->tell;
        pc_said_ref(said);
    }
    pc_shard_unlock(channel->shard);
    return said;
}

int pc_ephemera_tell(struct pc_worker *worker, const struct pc_app *app, struct pc_channel *channel,
                     uint32_t max)
{
    int err = 0;
    while (max-- && err != PUSHERC_ENOMEM) {
        pc_ephemera_tell_fn tell = NULL;
        pusherc_socket_id except;
        struct pc_said *said = take_over(channel, worker->now_ms, &tell, &except);
        if (!said)
            return 0;
        err = tell(worker, app, channel->name, said, except);
        if (err && err != PUSHERC_ENOMEM) /* the state has ended all the same */
            log_lost(worker->engine, app, channel, err);
        pc_said_unref(said);
    }
    return err == PUSHERC_ENOMEM ? err : 0;
}

/* Locked. When the timer is to fire; 0: there are no states and no mail is under way. */
static uint64_t next_ms(const struct pc_ephemera *ephemera, uint64_t now_ms, int err)
{
    const uint64_t due_ms = pc_ephemera_due(&ephemera->table, now_ms);
    if (due_ms == UINT64_MAX)
        return ephemera->owned.mailed ? now_ms + PC_GATHER_MS : 0;
    if (due_ms)
        return due_ms;
    return now_ms +
           (err ? PC_GATHER_MS : 1); /* without memory later; a portion is left: another turn */
}

/* On the owner's thread. */
static uint64_t run(struct pc_worker *worker, struct pc_app *app, struct pc_channel *channel)
{
    const int err = pc_ephemera_tell(worker, app, channel, PORTION);
    pthread_mutex_lock(&channel->shard->mutex);
    struct pc_ephemera *ephemera = channel->ephemera;
    const uint64_t due_ms = next_ms(ephemera, worker->now_ms, err);
    ephemera->owned.due_ms = due_ms;
    if (due_ms == 0) {
        channel->ephemera = NULL;
        pc_ephemera_free(&ephemera->table);
    }
    pc_shard_unlock(channel->shard);
    return due_ms;
}

/* The timer ends, with what there still is if the worker is gone. */
static void on_over(struct pc_channel_timer *timer)
{
    struct pc_ephemera *ephemera = PC_CONTAINER(timer, struct pc_ephemera, owned.timer);
    pthread_mutex_lock(&timer->channel->shard->mutex);
    if (timer->channel->ephemera == ephemera) {
        timer->channel->ephemera = NULL;
        pc_ephemera_free(&ephemera->table);
    }
    pc_shard_unlock(timer->channel->shard);
}

/* -- changes -- */

/* Locked. 0; PUSHERC_ENOMEM; PUSHERC_ECANCELED: the owner is gone, because the server stops. */
static int make(struct pc_engine *engine, const struct pc_app *app, struct pc_channel *channel,
                pc_ephemera_tell_fn tell, uint64_t *wake)
{
    struct pc_ephemera *ephemera = pc_alloc_zero(&engine->mem, sizeof *ephemera);
    if (!ephemera)
        return PUSHERC_ENOMEM;
    ephemera->tell = tell;
    pc_ephemera_init(&ephemera->table, &engine->mem, engine->seed, &app->state->ephemeral);
    int err = pc_owned_timer_begin(&ephemera->owned, engine, (struct pc_app *)app, channel, run,
                                   on_over, ephemera, wake);
    if (err)
        pc_free(&engine->mem, ephemera);
    else
        channel->ephemera = ephemera;
    return err;
}

/* Locked. */
static int put(struct pc_engine *engine, const struct pc_app *app, struct pc_channel *channel,
               struct pc_ephemeral_change *change, uint64_t now_ms, uint64_t *wake)
{
    int err = channel->ephemera || pc_engine_is_draining(engine)
                  ? 0
                  : make(engine, app, channel, change->tell, wake);
    struct pc_ephemera *ephemera = channel->ephemera;
    change->done = true;
    if (!ephemera) /* a server that stops sends the event, and keeps nothing */
        return err == PUSHERC_ECANCELED ? 0 : err;
    err = pc_ephemera_put(&ephemera->table, change->said, &change->bounds, change->holder, now_ms);
    if (err == 0 && now_ms + change->bounds.rule->ttl_ms < ephemera->owned.due_ms)
        (void)pc_owned_timer_ask(&ephemera->owned, wake);
    return err;
}

int pc_ephemera_change(struct pc_engine *engine, const struct pc_app *app,
                       struct pc_channel *channel, struct pc_ephemeral_change *change,
                       uint64_t now_ms, uint64_t *wake)
{
    struct pc_ephemera *ephemera = channel ? channel->ephemera : NULL;
    change->done = false;
    switch (change->step) {
    case PC_EPHEMERAL_SAID:
        return put(engine, app, channel, change, now_ms, wake);
    case PC_EPHEMERAL_ENDED:
        change->done = ephemera && pc_ephemera_end(&ephemera->table, change->said->id);
        return 0;
    case PC_EPHEMERAL_OVER:
        change->left = ephemera && pc_ephemera_is_left(&ephemera->table, change->said->id);
        change->done = ephemera && pc_ephemera_end_over(&ephemera->table, change->said, now_ms,
                                                        change->at_once);
        return 0;
    }
    return 0;
}

void pc_ephemera_left(struct pc_channel *channel, struct pc_ephemeral_hold **holder)
{
    pc_ephemera_let_go(&channel->ephemera->table, holder);
}

/* -- reading -- */

static void count_one(struct pc_said *said, uint64_t ends_ms, void *ctx)
{
    (void)said, (void)ends_ms;
    ++*(size_t *)ctx;
}

static void copy_one(struct pc_said *said, uint64_t ends_ms, void *ctx)
{
    struct pc_said_list *list = ctx;
    pc_said_ref(said);
    list->ends_ms[list->count] = ends_ms;
    list->items[list->count++] = said;
}

int pc_ephemera_copy(const struct pc_engine *engine, const struct pc_channel *channel,
                     struct pc_said_list *out)
{
    size_t count = 0;
    *out = (struct pc_said_list){.mem = &engine->mem};
    if (channel->ephemera)
        pc_ephemera_each(&channel->ephemera->table, count_one, &count);
    if (count == 0)
        return 0;
    out->items = pc_alloc_array(out->mem, count, sizeof *out->items + sizeof *out->ends_ms);
    if (!out->items)
        return PUSHERC_ENOMEM;
    out->ends_ms = (uint64_t *)(void *)(out->items + count);
    pc_ephemera_each(&channel->ephemera->table, copy_one, out);
    return 0;
}

void pc_said_list_free(struct pc_said_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        pc_said_unref(list->items[i]);
    if (list->items)
        pc_free(list->mem, list->items);
    *list = (struct pc_said_list){.count = 0};
}

struct pc_said *pc_ephemera_look(struct pc_engine *engine, const struct pc_app *app,
                                 pusherc_slice channel, pusherc_slice id)
{
    struct pc_shard *shard = pc_directory_lock(&engine->directory, app->state->uid, channel);
    const struct pc_channel *found = pc_shard_find(shard, app->state->uid, channel);
    struct pc_said *said =
        found && found->ephemera ? pc_ephemera_find(&found->ephemera->table, id) : NULL;
    if (said)
        pc_said_ref(said);
    pc_shard_unlock(shard);
    return said;
}
