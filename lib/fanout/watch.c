#include "fanout/watch.h"

#include "base/pack.h"
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

pusherc_slice pc_watched_user(pusherc_slice channel)
{
    return pc_slice_starts(channel, PC_S(PREFIX)) ? pc_slice_skip(channel, PREFIX_LEN) : PC_S("");
}

static const struct pc_channel_class class = {PUSHERC_CHANNEL_USER, false};

static pusherc_slice put_name(char *out, pusherc_slice user_id)
{
    char *at = out;
    pc_pack(&at, PC_S(PREFIX));
    pc_pack(&at, user_id);
    return pc_slice(out, PREFIX_LEN + user_id.len);
}

/* Locks the shard and returns the user's channel; NULL = out of memory. The caller calls pc_channel_settle() and
 * pc_shard_unlock() afterwards. */
static struct pc_channel *lock_user(struct pc_engine *engine, const struct pc_app *app,
                                    pusherc_slice user_id, struct pc_shard **shard)
{
    char bytes[PREFIX_LEN + PC_USER_ID_MAX];
    pusherc_slice name = put_name(bytes, user_id);
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

/* Locked. 0; PUSHERC_ENOMEM: the user is still offline. */
static int go_online(struct pc_engine *engine, struct pc_channel *user, uint64_t now_ms,
                     struct pc_posting *posting)
{
    if (user->user.online)
        return 0;
    int err = set_online(engine, user, true, posting);
    user->user.online = err == 0;
    user->user.told_ms = now_ms;
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

/* Locked. The decider hears that the user is here, once. */
static int hold(struct pc_engine *engine, struct pc_app *app, struct pc_channel *user,
                struct pc_posting *posting)
{
    const struct pc_decider *decider = &engine->decider;
    uint64_t wake = 0;
    if (user->user.held || !decider->came)
        return 0;
    int err = decider->came(decider->ctx, app, user, id_of(user), &wake);
    user->user.held = err == 0;
    pc_wake_add(engine, &posting->wake, wake);
    return err;
}

/* Locked. The user has no connection here, and its time is over. */
static void be_gone(struct pc_engine *engine, const struct pc_app *app, struct pc_channel *user,
                    struct pc_posting *posting)
{
    if (!user->user.held) {
        go_offline(engine, app, user, posting);
        return;
    }
    user->user.held = false;
    pc_wake_add(engine, &posting->wake,
                pc_decider_left(&engine->decider, app, user->name, id_of(user)));
}

int pc_user_came(struct pc_worker *worker, struct pc_app *app, pusherc_slice user_id,
                 struct pc_channel **out)
{
    struct pc_engine *engine = worker->engine;
    struct pc_posting posting = {0};
    struct pc_shard *shard;
    struct pc_channel *user = lock_user(engine, app, user_id, &shard);
    bool was_held = user && user->user.held;
    int err = user ? hold(engine, app, user, &posting) : PUSHERC_ENOMEM;
    err = err ? err : go_online(engine, user, worker->now_ms, &posting);
    if (err == 0) {
        user->user.connections++;
        user->holders++;
    } else if (user && user->user.held && !was_held) {
        be_gone(engine, app, user, &posting);
    }
    if (user)
        pc_channel_settle(&engine->directory, user);
    pc_shard_unlock(shard);
    pc_posting_finish(engine, &posting);
    *out = err ? NULL : user;
    return err;
}

int pc_user_elsewhere(struct pc_worker *worker, const struct pc_app *app, struct pc_channel *user,
                      bool online)
{
    struct pc_engine *engine = worker->engine;
    struct pc_posting posting = {0};
    int err = 0;
    pthread_mutex_lock(&user->shard->mutex);
    if (online)
        err = go_online(engine, user, worker->now_ms, &posting);
    else if (user->user.online && !user->user.held)
        go_offline(engine, app, user, &posting);
    pc_shard_unlock(user->shard);
    pc_posting_finish(engine, &posting);
    return err;
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
        be_gone(worker->engine, app, user, &posting);
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
        /* One timer per user is enough. Without watchers, here or elsewhere, there is no message to delay. */
        if (!user->user.timer_set && (user->interested || user->user.held) &&
            user->user.offline_at_ms > worker->now_ms)
            user->user.timer_set =
                pc_channel_timer_start(worker, app, user, user->user.offline_at_ms, on_absent) == 0;
        if (!user->user.timer_set)
            be_gone(engine, app, user, &posting);
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

void pc_unwatch(struct pc_worker *worker, struct pc_app *app, struct pc_subscription *watch)
{
    struct pc_local *local = watch->local;
    struct pc_channel *user = local->channel;
    struct pc_shard *shard = user->shard;
    pthread_mutex_lock(&shard->mutex);
    pc_local_remove(worker, watch);
    uint64_t wake = pc_decider_left(&worker->engine->decider, app, user->name, PC_S(""));
    user->holders--;
    pc_channel_settle(&worker->engine->directory, user);
    pc_shard_unlock(shard);
    pc_wake_workers(worker->engine, wake);
    pc_local_shrink(worker, local);
    pc_free(worker->mem, watch);
}

pusherc_slice pc_watched_id(const struct pc_subscription *watch)
{
    return id_of(watch->local->channel);
}

/* -- asking the decider first -- */

struct watching_user {
    struct pc_list in_order;
    struct pc_joining joining;
    struct pc_watching *watching;
    char name[];
};

static void on_decided(struct pc_joining *joining)
{
    struct pc_watching *w = PC_CONTAINER(joining, struct watching_user, joining)->watching;
    if (--w->undecided == 0)
        w->decided(w->ctx);
}

void pc_watching_init(struct pc_watching *watching, struct pc_worker *worker, struct pc_app *app,
                      struct pc_outq *q, void (*decided)(void *ctx), void *ctx)
{
    *watching =
        (struct pc_watching){.worker = worker, .app = app, .q = q, .decided = decided, .ctx = ctx};
    pc_list_init(&watching->users);
}

int pc_watching_add(struct pc_watching *watching, pusherc_slice user_id)
{
    const struct pc_mem *mem = watching->worker->mem;
    struct watching_user *u = pc_alloc_zero(mem, sizeof *u + PREFIX_LEN + user_id.len);
    if (!u)
        return PUSHERC_ENOMEM;
    u->watching = watching;
    u->joining.worker = watching->worker;
    u->joining.decided = on_decided;
    u->joining.join = (struct pc_join){.app = watching->app,
                                       .q = watching->q,
                                       .channel = put_name(u->name, user_id),
                                       .class = class};
    int err = pc_join_begin(&u->joining);
    if (err < 0) {
        pc_free(mem, u);
        return PUSHERC_ENOMEM;
    }
    pc_list_push_back(&watching->users, &u->in_order);
    watching->count++;
    watching->undecided += err == PC_JOIN_WAITS;
    return 0;
}

bool pc_watching_has(const struct pc_watching *watching, pusherc_slice user_id)
{
    PC_LIST_EACH(l, &watching->users) {
        const struct watching_user *u = PC_CONTAINER(l, struct watching_user, in_order);
        if (pc_slice_eq(pc_watched_user(u->joining.join.channel), user_id))
            return true;
    }
    return false;
}

static struct watching_user *take_first(struct pc_watching *watching)
{
    struct watching_user *u = PC_CONTAINER(watching->users.next, struct watching_user, in_order);
    pc_list_remove(&u->in_order);
    watching->count--;
    return u;
}

int pc_watching_begin(struct pc_watching *watching, struct pc_subscription **out, bool *online)
{
    struct watching_user *u = take_first(watching);
    int err = pc_watch(watching->worker, watching->app, watching->q,
                       pc_watched_user(u->joining.join.channel), out, online);
    if (err)
        pc_join_abandon(&u->joining);
    pc_free(watching->worker->mem, u);
    return err;
}

void pc_watching_abandon(struct pc_watching *watching)
{
    while (!pc_list_empty(&watching->users)) {
        struct watching_user *u = take_first(watching);
        pc_join_abandon(&u->joining);
        pc_free(watching->worker->mem, u);
    }
    watching->undecided = 0;
}
