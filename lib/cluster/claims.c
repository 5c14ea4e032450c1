#include "cluster/claims.h"

#include <assert.h>

#include <pusherc/error.h>

#include "cluster/mirror.h"
#include "fanout/watch.h"

/* A client that waits to join. */
struct wait {
    struct pc_list in_order; /* guarded; unlinked = it is decided */
    struct pc_mail mail;     /* brings the decision to the client's worker */
    struct pc_mem mem;
    struct pc_worker *worker;
    struct pc_joining *joining; /* guarded; NULL = abandoned */
    struct pc_remote *remote;
    struct pc_remote_user *user; /* NULL: not a presence channel */
    uint64_t since_ms;
    int result;
};

/* -- claims; the mutex is held -- */

/* A user who is signed in wants nothing of the channel. */
static bool follows(const struct pc_remote *remote, const struct pc_remote_user *user)
{
    return !remote->is_user || !user;
}

static int claim(struct pc_remote *remote, struct pc_remote_user *user, pusherc_slice info)
{
    if (user && user->claims == 0) {
        char *copy = pc_dup(remote->users.mem, info);
        if (!copy)
            return PUSHERC_ENOMEM;
        pc_free(remote->users.mem, user->info);
        user->info = copy;
    }
    if (user)
        user->claims++;
    remote->claims++;
    remote->follows += follows(remote, user);
    return 0;
}

static uint64_t release(struct pc_remote *remote, struct pc_remote_user *user)
{
    remote->claims--;
    remote->follows -= follows(remote, user);
    if (user && --user->claims == 0) {
        user->let_in = false;
        pc_remote_user_todo(remote, user);
    }
    return pc_remote_mark(pc_remote_node(remote), remote);
}

/* -- the decider -- */

/* Runs on the client's worker. */
static void on_decided(struct pc_mail *mail, struct pc_worker *worker)
{
    struct wait *w = PC_CONTAINER(mail, struct wait, mail);
    struct pc_joining *joining = worker ? w->joining : NULL;
    struct pc_mem mem = w->mem;
    int result = w->result;
    pc_free(&mem, w);
    if (!joining)
        return;
    joining->of_decider = NULL;
    pc_join_decide(joining, result);
}

static struct wait *wait_new(struct pc_joining *joining)
{
    struct pc_worker *worker = joining->worker;
    struct wait *w = pc_alloc_zero(worker->mem, sizeof *w);
    if (!w)
        return NULL;
    pc_list_init(&w->in_order);
    w->mail.run = on_decided;
    w->mem = *worker->mem;
    w->worker = worker;
    w->joining = joining;
    w->since_ms = worker->now_ms;
    return w;
}

/* The app was removed, and added again under its id: the channel in the directory is another one. */
static bool is_added_again(const struct pc_remote *remote, const struct pc_app *app)
{
    const struct pc_app *last = remote->app;
    if (!pc_list_empty(&remote->homes))
        last = PC_CONTAINER(remote->homes.prev, struct pc_remote_home, in_order)->app;
    return last && last->state != app->state &&
           !atomic_load_explicit(&app->state->removed, memory_order_acquire);
}

/* Newcomers wait until the node has put it in place. */
static int add_home(struct pc_remote *remote, struct pc_app *app, struct pc_channel *channel)
{
    struct pc_remote_home *home = pc_alloc_zero(remote->users.mem, sizeof *home);
    if (!home)
        return PUSHERC_ENOMEM;
    pc_app_ref(app);
    home->app = app;
    home->channel = channel;
    if (channel)
        channel->holders++;
    pc_list_push_back(&remote->homes, &home->in_order);
    remote->open = false;
    return 0;
}

/* Both locks are held. The first claim says where the channel is here. Both may be NULL. */
static int claim_at(struct pc_remote *remote, struct pc_remote_user *user, pusherc_slice info,
                    struct pc_app *app, struct pc_channel *channel)
{
    int err = is_added_again(remote, app) ? add_home(remote, app, channel) : 0;
    err = err ? err : claim(remote, user, info);
    if (err)
        return err;
    if (!remote->app) {
        remote->app = app;
        pc_app_ref(remote->app);
    }
    if (channel && !remote->channel && remote->app->state == app->state) {
        remote->channel = channel;
        channel->holders++;
    }
    return 0;
}

/* Both locks are held. Takes over the wait if the join waits. */
static int begin_locked(struct pusherc_link *node, struct pc_joining *joining, struct wait *w,
                        struct pc_channel *channel, uint64_t *wake)
{
    const bool presence = joining->join.class.kind == PUSHERC_CHANNEL_PRESENCE;
    const struct pc_join *join = &joining->join;
    struct pc_remote_key bytes;
    struct pc_remote *remote =
        pc_remote_get(node, pc_remote_key(&bytes, join->app->id, join->channel));
    struct pc_remote_user *user = NULL;
    if (!remote)
        return PUSHERC_ENOMEM;
    *wake = pc_remote_mark(node, remote);
    if (presence && !(user = pc_remote_get_user(remote, join->user_id)))
        return PUSHERC_ENOMEM;
    if (user)
        pc_remote_user_todo(remote, user);
    int err = claim_at(remote, user, join->user_info, join->app, channel);
    if (err)
        return err;
    if (remote->open && (!user || user->let_in))
        return 0;
    w->remote = remote;
    w->user = user;
    pc_list_push_back(&remote->waits, &w->in_order);
    joining->of_decider = w;
    return PC_JOIN_WAITS;
}

/* The node tells the channel's subscribers what other nodes report. */
static bool is_held(const struct pc_join *join)
{
    return join->class.kind == PUSHERC_CHANNEL_PRESENCE || pc_watched_user(join->channel).len > 0 ||
           (join->class.kind != PUSHERC_CHANNEL_USER &&
            join->app->options.subscription_count_events);
}

static int begin(void *ctx, struct pc_joining *joining)
{
    struct pusherc_link *node = ctx;
    const struct pc_join *join = &joining->join;
    struct pc_directory *directory = &node->engine->directory;
    struct pc_app_state *app = join->app->state;
    struct pc_shard *shard = NULL;
    struct pc_channel *channel = NULL;
    struct wait *w = wait_new(joining);
    uint64_t wake = 0;
    int result = w ? 0 : PUSHERC_ENOMEM;
    joining->of_decider = NULL;
    if (w && is_held(join)) {
        shard = pc_directory_lock(directory, app->uid, join->channel);
        channel = pc_shard_get(directory, shard, app, join->channel, join->class, join->match);
        result = channel ? 0 : PUSHERC_ENOMEM;
    }
    if (result == 0) {
        pc_node_lock(node);
        result = begin_locked(node, joining, w, channel, &wake);
        pc_node_unlock(node);
    }
    if (channel)
        pc_channel_settle(directory, channel);
    if (shard)
        pc_shard_unlock(shard);
    pc_wake_workers(node->engine, wake);
    if (result != PC_JOIN_WAITS && w)
        pc_free(joining->worker->mem, w);
    return result;
}

static void abandon(void *ctx, struct pc_joining *joining)
{
    struct pusherc_link *node = ctx;
    const struct pc_join *join = &joining->join;
    struct wait *w = joining->of_decider;
    struct pc_remote_key bytes;
    bool listed = false;
    uint64_t wake = 0;
    pc_node_lock(node);
    if (w) {
        listed = !pc_list_empty(&w->in_order);
        pc_list_remove(&w->in_order);
        w->joining = NULL;
    }
    if (!w || w->result == 0) { /* a refused one has been released */
        struct pc_remote *remote =
            pc_remote_find(node, pc_remote_key(&bytes, join->app->id, join->channel));
        assert(remote); /* it stays as long as it has claims */
        wake = release(remote, pc_remote_is_presence(remote)
                                   ? pc_remote_find_user(remote, join->user_id)
                                   : NULL);
    }
    pc_node_unlock(node);
    pc_wake_workers(node->engine, wake);
    joining->of_decider = NULL;
    if (listed)
        pc_free(joining->worker->mem, w); /* otherwise its mail frees it */
}

/* The channel's shard may be locked. */
static uint64_t left(void *ctx, const struct pc_app *app, pusherc_slice channel,
                     pusherc_slice user_id)
{
    struct pusherc_link *node = ctx;
    struct pc_remote_key bytes;
    pc_node_lock(node);
    struct pc_remote *remote = pc_remote_find(node, pc_remote_key(&bytes, app->id, channel));
    assert(remote); /* it stays as long as it has claims */
    uint64_t wake = release(remote, user_id.len ? pc_remote_find_user(remote, user_id) : NULL);
    pc_node_unlock(node);
    return wake;
}

static int came_locked(struct pusherc_link *node, struct pc_app *app, struct pc_channel *channel,
                       pusherc_slice user_id, uint64_t *wake)
{
    struct pc_remote_key bytes;
    struct pc_remote *remote = pc_remote_get(node, pc_remote_key(&bytes, app->id, channel->name));
    struct pc_remote_user *user = remote ? pc_remote_get_user(remote, user_id) : NULL;
    if (remote)
        *wake = pc_remote_mark(node, remote);
    if (!user)
        return PUSHERC_ENOMEM;
    pc_remote_user_todo(remote, user);
    int err = claim_at(remote, user, PC_S(""), app, channel);
    if (err == 0)
        user->came = user->let_in = true;
    return err;
}

/* The channel's shard is locked. */
static int came(void *ctx, struct pc_app *app, struct pc_channel *channel, pusherc_slice user_id,
                uint64_t *wake)
{
    struct pusherc_link *node = ctx;
    pc_node_lock(node);
    int err = came_locked(node, app, channel, user_id, wake);
    pc_node_unlock(node);
    return err;
}

/* -- letting clients in -- */

static bool has_what_it_needs(const struct pc_remote *remote, const struct pc_remote_user *user)
{
    if (!pc_part_is_up(remote->part) || remote->topic != PC_TOPIC_THERE)
        return false;
    if (remote->class.cache && !remote->kept_known)
        return false;
    if (!user)
        return remote->live || !remote->is_user;
    return remote->live && user->held == PC_KNOWN_YES && !user->asked &&
           (user->has_number ? remote->last >= user->number : user->mirrored);
}

static bool has_waited(const struct pc_remote *remote, const struct wait *w)
{
    const struct pusherc_link *node = pc_remote_node(remote);
    uint64_t now_ms = pc_node_now(node);
    return remote->part->state == PC_LINK_DOWN && now_ms >= w->since_ms &&
           now_ms - w->since_ms >= node->options.join_wait_ms;
}

/* Hands decided waits to their workers. */
static void send_decisions(struct pc_list *decided)
{
    PC_LIST_EACH_SAFE(l, next, decided) {
        struct wait *w = PC_CONTAINER(l, struct wait, in_order);
        pc_list_remove(&w->in_order);
        if (pc_mailbox_send(w->worker->mailbox, &w->mail, PC_MAIL_CONTROL))
            on_decided(&w->mail, NULL); /* the worker has ended */
    }
}

/* Lets those in who have waited for what is there now. True: some wait still. */
bool pc_claims_decide(struct pc_remote *remote)
{
    struct pusherc_link *node = pc_remote_node(remote);
    struct pc_list decided;
    pc_list_init(&decided);
    pc_node_lock(node);
    PC_LIST_EACH_SAFE(l, next, &remote->waits) {
        struct wait *w = PC_CONTAINER(l, struct wait, in_order);
        if (!has_what_it_needs(remote, w->user) && !has_waited(remote, w))
            continue;
        if (w->user)
            w->user->let_in = true;
        pc_list_remove(&w->in_order);
        pc_list_push_back(&decided, &w->in_order);
    }
    bool some_wait = !pc_list_empty(&remote->waits);
    pc_node_unlock(node);
    PC_LIST_EACH(l, &decided) {
        const struct wait *w = PC_CONTAINER(l, struct wait, in_order);
        if (w->user)
            pc_mirror_assume(remote, w->user);
    }
    send_decisions(&decided);
    return some_wait;
}

/* The channel is full. */
void pc_claims_refuse(struct pc_remote *remote, struct pc_remote_user *user)
{
    struct pusherc_link *node = pc_remote_node(remote);
    struct pc_list decided;
    uint64_t wake = 0;
    pc_list_init(&decided);
    pc_node_lock(node);
    PC_LIST_EACH_SAFE(l, next, &remote->waits) {
        struct wait *w = PC_CONTAINER(l, struct wait, in_order);
        if (w->user != user)
            continue;
        w->result = PUSHERC_ELIMIT;
        wake |= release(remote, user);
        pc_list_remove(&w->in_order);
        pc_list_push_back(&decided, &w->in_order);
    }
    pc_node_unlock(node);
    pc_wake_workers(node->engine, wake);
    send_decisions(&decided);
}

void pc_claims_init(struct pusherc_link *node)
{
    node->engine->decider = (struct pc_decider){begin, abandon, left, came, node};
}
