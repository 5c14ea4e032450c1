#include "fanout/watch.h"

#include "fanout/channel_timer.h"
#include "fanout/posting.h"
#include "protocol/message_out.h"

#define PREFIX     "#user-" /* no valid channel name begins with it */
#define PREFIX_LEN (sizeof PREFIX - 1)

_Static_assert(PREFIX_LEN <= sizeof PUSHERC_USER_CHANNEL_PREFIX - 1,
               "the directory has room for the name");

static pusherc_slice id_of(const struct pc_channel *user)
{
    return pc_slice_skip(user->name, PREFIX_LEN);
}

/* Locks the shard and returns the user's channel; NULL = out of memory. The caller calls pc_channel_settle() and
 * pc_shard_unlock() afterwards. */
static struct pc_channel *lock_user(struct pc_engine *engine, const struct pc_app *app,
                                    pusherc_slice user_id, struct pc_shard **shard)
{
    static const struct pc_channel_class class = {PUSHERC_CHANNEL_USER, false};
    char bytes[PREFIX_LEN + PC_USER_ID_MAX];
    memcpy(bytes, PREFIX, PREFIX_LEN);
    memcpy(bytes + PREFIX_LEN, user_id.ptr, user_id.len);
    pusherc_slice name = pc_slice(bytes, PREFIX_LEN + user_id.len);
    *shard = pc_directory_lock(&engine->directory, app->state->uid, name);
    return pc_shard_get(&engine->directory, *shard, app->state, name, class, NULL);
}

/* Locked. Sets the user's state and tells the watchers. 0; PUSHERC_ENOMEM: the state is set, no watcher is told. */
static int set_online(struct pc_engine *engine, struct pc_channel *user, bool online,
                      struct pc_posting *posting)
{
    char stack[512];
    struct pc_buf message;
    pusherc_slice id = id_of(user);
    int err = 0;
    if (user->interested) {
        pc_buf_init_in(&message, &engine->mem, SIZE_MAX, stack, sizeof stack);
        pc_out_watchlist(&message, &id, online, &id, !online);
        err = pc_buf_status(&message);
        if (err == 0)
            err = pc_post_message(engine, user, pc_buf_slice(&message), posting);
        pc_buf_free(&message);
    }
    user->user.online = online;
    /* One worker's mailbox is full; the watchers on the others are told. */
    return err == PUSHERC_EBACKLOG ? 0 : err;
}

int pc_user_came(struct pc_worker *worker, struct pc_app *app, pusherc_slice user_id,
                 struct pc_channel **out)
{
    struct pc_engine *engine = worker->engine;
    struct pc_posting posting = {0};
    struct pc_shard *shard;
    struct pc_channel *user = lock_user(engine, app, user_id, &shard);
    int err = user ? 0 : PUSHERC_ENOMEM;
    if (user && !user->user.online) {
        err = set_online(engine, user, true, &posting);
        user->user.told_ms = worker->now_ms;
    }
    if (user && err) {
        user->user.online = false;
    } else if (user) {
        user->user.connections++;
        user->holders++;
    }
    if (user)
        pc_channel_settle(&engine->directory, user);
    pc_shard_unlock(shard);
    pc_posting_finish(engine, &posting);
    *out = err ? NULL : user;
    return err;
}

/* Locked. */
static void go_offline(struct pc_engine *engine, const struct pc_app *app, struct pc_channel *user,
                       struct pc_posting *posting)
{
    int err = set_online(engine, user, false, posting);
    if (err)
        PC_LOG(&engine->log, ERROR, ((struct pc_log_about){.subject = "fanout", .app_id = app->id}),
               "that a user is offline was lost: %s", pusherc_strerror(err));
}

static uint64_t on_absent(struct pc_worker *worker, struct pc_app *app, struct pc_channel *user)
{
    struct pc_posting posting = {0};
    uint64_t again_ms = 0;
    pthread_mutex_lock(&user->shard->mutex);
    bool absent = user->user.connections == 0 && user->user.online;
    /* The user may have connected and left again since the timer was set: the delay runs from that time. */
    if (absent && worker->now_ms < user->user.offline_at_ms)
        again_ms = user->user.offline_at_ms;
    else if (absent)
        go_offline(worker->engine, app, user, &posting);
    user->user.timer_set = again_ms != 0;
    pc_shard_unlock(user->shard);
    pc_posting_finish(worker->engine, &posting);
    return again_ms;
}

/* When watchers are told that the user is offline: after the app's delay, and not sooner after "online" than they are
 * told of other things that come and go. */
static uint64_t offline_at_ms(const struct pc_worker *worker, const struct pc_app *app,
                              const struct pc_channel *user)
{
    uint64_t delayed_ms = worker->now_ms + app->options.offline_delay_ms;
    uint64_t gathered_ms = user->user.told_ms + PC_GATHER_MS;
    return delayed_ms > gathered_ms ? delayed_ms : gathered_ms;
}

void pc_user_left(struct pc_worker *worker, struct pc_app *app, struct pc_channel *user)
{
    struct pc_engine *engine = worker->engine;
    struct pc_posting posting = {0};
    struct pc_shard *shard = user->shard;
    pthread_mutex_lock(&shard->mutex);
    if (--user->user.connections == 0) {
        user->user.offline_at_ms = offline_at_ms(worker, app, user);
        /* One timer per user is enough. Without watchers there is no message to delay. */
        if (!user->user.timer_set && user->interested && user->user.offline_at_ms > worker->now_ms)
            user->user.timer_set =
                pc_channel_timer_start(worker, app, user, user->user.offline_at_ms, on_absent) == 0;
        if (!user->user.timer_set)
            go_offline(engine, app, user, &posting);
    }
    user->holders--;
    pc_channel_settle(&engine->directory, user);
    pc_shard_unlock(shard);
    pc_posting_finish(engine, &posting);
}

int pc_watch(struct pc_worker *worker, struct pc_app *app, struct pc_outq *q, pusherc_slice user_id,
             struct pc_subscription **out, bool *online)
{
    struct pc_directory *directory = &worker->engine->directory;
    struct pc_shard *shard;
    *out = NULL;
    struct pc_subscription *watch = pc_alloc_zero(worker->mem, sizeof *watch);
    if (!watch)
        return PUSHERC_ENOMEM;
    watch->view = PC_NO_VIEW;
    struct pc_channel *user = lock_user(worker->engine, app, user_id, &shard);
    struct pc_local *local = user ? pc_local_reserve(worker, user, app->state) : NULL;
    if (local) {
        pc_local_add(worker, local, watch, q, ++shard->number);
        user->holders++;
        *online = user->user.online;
        *out = watch;
    } else if (user) {
        pc_local_settle(worker, user);
        pc_channel_settle(directory, user);
    }
    pc_shard_unlock(shard);
    if (!local)
        pc_free(worker->mem, watch);
    return local ? 0 : PUSHERC_ENOMEM;
}

void pc_unwatch(struct pc_worker *worker, struct pc_subscription *watch)
{
    struct pc_local *local = watch->local;
    struct pc_channel *user = local->channel;
    struct pc_shard *shard = user->shard;
    pthread_mutex_lock(&shard->mutex);
    pc_local_remove(worker, watch);
    user->holders--;
    pc_channel_settle(&worker->engine->directory, user);
    pc_shard_unlock(shard);
    pc_local_shrink(worker, local);
    pc_free(worker->mem, watch);
}

pusherc_slice pc_watched_id(const struct pc_subscription *watch)
{
    return id_of(watch->local->channel);
}
