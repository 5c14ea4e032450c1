#include "cluster/wants.h"

#include <pusherc/error.h>

#include "cluster/claims.h"
#include "cluster/kept.h"
#include "cluster/mirror.h"
#include "cluster/seats.h"
#include "cluster/teller.h"
#include "cluster/totals.h"

/* -- asking for what is wanted -- */

static void on_joined(struct pc_node_part *part, struct pc_request *r, const pusherc_slice *values,
                      size_t count);
static void on_left(struct pc_node_part *part, struct pc_request *r, const pusherc_slice *values,
                    size_t count);

static void on_user_forgotten(struct pc_node_part *part, struct pc_request *r)
{
    (void)part;
    r->remote->requests--;
    r->remote->joins -= r->kind->step == PUSHERC_STEP_JOIN;
    pc_remote_set_user(r->remote, r->user, PC_NOT_KNOWN, false);
    pc_node_lock(pc_remote_node(r->remote));
    pc_remote_user_todo(r->remote, r->user);
    pc_node_unlock(pc_remote_node(r->remote));
    pc_remote_again(r->remote);
}

static const struct pc_request_kind join_kind = {PUSHERC_STEP_JOIN, on_joined, on_user_forgotten};
static const struct pc_request_kind leave_kind = {PUSHERC_STEP_LEAVE, on_left, on_user_forgotten};

static uint32_t max_members(struct pc_remote *remote)
{
    struct pusherc_link *node = pc_remote_node(remote);
    struct pc_app *then;
    (void)pc_remote_channel(remote, &then);
    struct pc_app *now = pc_key_app(node, remote->node.key);
    const struct pc_app *app = now ? now : then;
    uint32_t max = app ? app->options.max_presence_members : PUSHERC_NO_LIMIT;
    pc_app_unref(now);
    return max;
}

/* False: it could not be asked. */
static bool ask_user(struct pc_remote *remote, struct pc_remote_user *user, bool wanted,
                     struct pc_values *rest)
{
    struct pusherc_link *node = pc_remote_node(remote);
    struct pc_request *r = pc_request_new(node, wanted ? &join_kind : &leave_kind);
    struct pc_values args;
    pc_values_init(&args, &node->engine->mem);
    pc_part_put_guard(remote->part, &args);
    pc_values_put(&args, remote->node.key);
    pc_values_put(&args, user->node.key);
    const pusherc_slice *more = pc_values_list(rest);
    for (size_t i = 0; i < rest->count; i++)
        pc_values_put(&args, more[i]);
    if (r) {
        r->remote = remote;
        r->user = user;
    }
    if (!pc_request_send(remote->part, r, &args))
        return false;
    remote->requests++;
    remote->joins += wanted;
    remote->part->said = true;
    pc_remote_set_user(remote, user, user->held, true);
    return true;
}

/* What is wanted of the first user in the list, who is taken out. NULL: the list is empty. */
static struct pc_remote_user *next_user(struct pc_remote *remote, bool *wanted,
                                        struct pc_values *rest)
{
    struct pusherc_link *node = pc_remote_node(remote);
    struct pc_remote_user *user = NULL;
    uint32_t most = max_members(remote);
    uint64_t wants = pc_teller_wants(remote);
    pc_node_lock(node);
    if (!pc_list_empty(&remote->users_todo)) {
        user = PC_CONTAINER(remote->users_todo.next, struct pc_remote_user, todo);
        pc_list_remove(&user->todo);
        *wanted = user->claims > 0;
        if (*wanted) {
            pc_values_put(rest, pc_slice_of(user->info));
            pc_values_put_u64(rest, most);
            /* a user who was let in is not refused any more */
            pc_values_put_u64(rest, user->let_in);
        }
        pc_values_put_u64(rest, wants);
    }
    pc_node_unlock(node);
    return user;
}

static void ask_users(struct pc_remote *remote)
{
    struct pusherc_link *node = pc_remote_node(remote);
    for (bool asked = true; asked;) {
        struct pc_values rest;
        bool wanted = false;
        pc_values_init(&rest, &node->engine->mem);
        struct pc_remote_user *user = next_user(remote, &wanted, &rest);
        asked = user != NULL;
        if (user && !user->asked && user->held != (wanted ? PC_KNOWN_YES : PC_KNOWN_NO)) {
            asked = pc_values_status(&rest) == 0 && ask_user(remote, user, wanted, &rest);
            if (!asked) {
                pc_node_lock(node);
                pc_remote_user_todo(remote, user);
                pc_node_unlock(node);
                pc_remote_again(remote);
            }
        } else if (user && !user->asked) {
            if (pc_list_empty(&user->in_order))
                pc_list_push_back(&remote->users_in_order, &user->in_order);
            pc_remote_user_settle(remote, user);
        }
        pc_values_free(&rest);
    }
}

static void on_counted(struct pc_node_part *part, struct pc_request *r, const pusherc_slice *values,
                       size_t count)
{
    uint64_t total;
    r->remote->requests--;
    r->remote->count_asked = false;
    r->remote->sent_known = PC_KNOWN_YES;
    r->remote->sent = r->number;
    if (count == 3 && r->remote->is_limit && pc_slice_to_u64(values[1], &r->remote->sent))
        pc_seats_counted(r->remote, r->remote->sent);
    else if (count == 3 && pc_slice_to_u64(values[2], &total))
        pc_totals_counted(r->remote, r->number, total);
    else
        pc_node_refuse(part->node, "the answer to a COUNT");
    pc_remote_soon(r->remote);
}

static void on_count_forgotten(struct pc_node_part *part, struct pc_request *r)
{
    (void)part;
    r->remote->requests--;
    r->remote->count_asked = false;
    r->remote->sent_known = PC_NOT_KNOWN;
    pc_remote_again(r->remote);
}

static const struct pc_request_kind count_kind = {PUSHERC_STEP_COUNT, on_counted,
                                                  on_count_forgotten};

/* The list that the channel is in, "<app>:p" for presence channels and "<app>:o" for others; limits are in "<app>:q". */
static void put_index(const struct pc_remote *remote, struct pc_values *args)
{
    pusherc_slice key = remote->node.key;
    size_t begin = args->bytes.len;
    pc_buf_put(&args->bytes, pc_slice_first(key, pc_slice_find(key, '/')));
    pc_buf_put(&args->bytes, remote->is_limit                ? PC_S(":q")
                             : pc_remote_is_presence(remote) ? PC_S(":p")
                                                             : PC_S(":o"));
    pc_values_end(args, begin);
}

static void ask_count(struct pc_remote *remote, uint64_t claims)
{
    struct pusherc_link *node = pc_remote_node(remote);
    struct pc_values args;
    bool known = remote->sent_known == PC_KNOWN_YES;
    if (!remote->counted || remote->count_asked ||
        (known && remote->sent == claims && !(remote->recount && claims > 0))) {
        if (remote->is_limit && known && !remote->count_asked)
            pc_seats_fit(remote);
        remote->count_at_ms = 0;
        return;
    }
    bool leaves_room = remote->is_limit && claims < remote->sent;
    if (known && remote->sent > 0 && claims > 0 && !remote->recount && !leaves_room) {
        /* not an edge: gathered */
        if (remote->count_at_ms == 0)
            remote->count_at_ms = pc_node_now(node) + node->options.count_ms;
        if (pc_node_now(node) < remote->count_at_ms) {
            pc_remote_again(remote);
            return;
        }
    }
    struct pc_request *r = pc_request_new(node, &count_kind);
    pc_values_init(&args, &node->engine->mem);
    pc_part_put_guard(remote->part, &args);
    pc_values_put_u64(&args, remote->is_limit ? 0 : pc_teller_wants(remote));
    put_index(remote, &args);
    pc_values_put(&args, remote->node.key);
    if (remote->is_limit) {
        claims = pc_seats_put_most(remote, &args);
    } else {
        pc_values_put_u64(&args, claims);
        pc_values_put(&args, PC_S(""));
    }
    pc_values_put_u64(&args, pc_totals_wanted(remote));
    if (r) {
        r->remote = remote;
        r->number = claims;
    }
    remote->count_wanted = claims;
    remote->total_came = false;
    remote->count_asked = pc_request_send(remote->part, r, &args);
    remote->count_at_ms = 0;
    remote->recount &= !remote->count_asked;
    remote->requests += remote->count_asked;
    remote->part->said |= remote->count_asked;
    if (!remote->count_asked)
        pc_remote_again(remote);
}

/* The answer has come; what is wanted may have changed meanwhile. */
static void user_answered(struct pc_request *r, enum pc_known held)
{
    struct pc_remote *remote = r->remote;
    remote->requests--;
    remote->joins -= r->kind->step == PUSHERC_STEP_JOIN;
    pc_remote_set_user(remote, r->user, held, false);
    pc_node_lock(pc_remote_node(remote));
    pc_remote_user_todo(remote, r->user);
    pc_node_unlock(pc_remote_node(remote));
}

static void on_joined(struct pc_node_part *part, struct pc_request *r, const pusherc_slice *values,
                      size_t count)
{
    bool ok = count == 3 && pc_slice_eq(values[0], PC_S("OK"));
    user_answered(r, ok ? PC_KNOWN_YES : PC_KNOWN_NO);
    r->user->has_number = ok && pc_slice_to_u64(values[1], &r->user->number);
    if (!ok && pc_slice_eq(values[0], PC_S("FULL")))
        pc_claims_refuse(r->remote, r->user);
    else if (!ok)
        pc_node_refuse(part->node, "the answer to a JOIN");
    pc_remote_soon(r->remote);
}

static void on_left(struct pc_node_part *part, struct pc_request *r, const pusherc_slice *values,
                    size_t count)
{
    (void)part;
    (void)values;
    (void)count;
    user_answered(r, PC_KNOWN_NO);
    pc_remote_soon(r->remote);
}

/* -- looking -- */

static void subscribe(struct pc_remote *remote)
{
    struct pusherc_link *node = pc_remote_node(remote);
    int err = node->ops.subscribe(node->self, remote->part->index, remote->part->session,
                                  PUSHERC_TOPIC_CHANNEL, remote->node.key);
    if (!pc_part_took(remote->part, err)) {
        pc_remote_again(remote);
        return;
    }
    pc_remote_set_topic(remote, PC_TOPIC_ASKED);
    remote->topic_pending++;
}

/* Without a link for a lease: users of this node who have left are not waited for. */
static void isolate(struct pc_remote *remote)
{
    PC_LIST_EACH_SAFE(l, next, &remote->users_in_order) {
        struct pc_remote_user *user = PC_CONTAINER(l, struct pc_remote_user, in_order);
        pc_node_lock(pc_remote_node(remote));
        bool gone = user->claims == 0;
        pc_node_unlock(pc_remote_node(remote));
        if (gone && user->held != PC_KNOWN_NO && user->mirrored)
            pc_mirror_set(remote, user, false, PC_S(""));
    }
    pc_mirror_update(remote);
}

static void home_free(struct pusherc_link *node, struct pc_remote_home *home)
{
    pc_list_remove(&home->in_order);
    if (home->channel)
        pc_channel_release(&node->engine->directory, home->channel);
    pc_app_unref(home->app);
    pc_free(&node->engine->mem, home);
}

/* What was told in the channel as it was is not told in its place: rosters and what is kept are fetched again. */
static void forget_told(struct pc_remote *remote)
{
    PC_LIST_EACH_SAFE(l, next, &remote->users_in_order) {
        struct pc_remote_user *user = PC_CONTAINER(l, struct pc_remote_user, in_order);
        if (user->shown) /* the clients there are being closed */
            (void)pc_mirror_show(remote, user, false);
        user->shown = false;
        (void)pc_mirror_set(remote, user, false, PC_S(""));
        pc_remote_user_settle(remote, user);
    }
    remote->fetching = false;
    pc_kept_unknown(remote);
    pc_mirror_forget_kept(remote);
    pc_mirror_set_live(remote, false);
    remote->recount = remote->counted;
}

/* The app was removed and added again. */
static void move_home(struct pc_remote *remote)
{
    struct pusherc_link *node = pc_remote_node(remote);
    struct pc_list homes;
    pc_node_lock(node);
    pc_list_take(&homes, &remote->homes);
    pc_node_unlock(node);
    if (pc_list_empty(&homes))
        return;
    forget_told(remote);
    struct pc_remote_home *home = PC_CONTAINER(homes.prev, struct pc_remote_home, in_order);
    const struct pc_remote_home then = {.app = remote->app, .channel = remote->channel};
    pc_node_lock(node);
    remote->app = home->app;
    remote->channel = home->channel;
    pc_node_unlock(node);
    home->app = then.app; /* is freed in its place */
    home->channel = then.channel;
    while (!pc_list_empty(&homes))
        home_free(node, PC_CONTAINER(homes.next, struct pc_remote_home, in_order));
}

static void free_user_of(struct pc_map_node *found, void *ctx)
{
    struct pc_remote *remote = ctx;
    struct pc_remote_user *user = PC_CONTAINER(found, struct pc_remote_user, node);
    if (user->shown)
        (void)pc_mirror_show(remote, user, false); /* without subscribers none is told */
    pc_map_remove(&remote->users, found);
    pc_list_remove(&user->todo);
    pc_remote_user_free(remote, user);
}

static void remote_free(struct pc_remote *remote)
{
    struct pusherc_link *node = pc_remote_node(remote);
    pc_map_each(&remote->users, free_user_of, remote);
    pc_mirror_forget_kept(remote);
    pc_mirror_set_live(remote, false);
    pc_remote_set_topic(remote, PC_TOPIC_NONE);
    pc_map_free(&remote->users);
    while (!pc_list_empty(&remote->homes))
        home_free(node, PC_CONTAINER(remote->homes.next, struct pc_remote_home, in_order));
    pc_list_remove(&remote->of_part);
    pc_list_remove(&remote->todo);
    pc_list_remove(&remote->soon);
    if (remote->channel)
        pc_channel_release(&node->engine->directory, remote->channel);
    pc_app_unref(remote->app);
    pc_free(&node->engine->mem, remote);
}

/* Frees a channel of which nothing is wanted and nothing is known, some time after its last client. */
static void settle(struct pc_remote *remote)
{
    struct pusherc_link *node = pc_remote_node(remote);
    uint64_t now_ms = pc_node_now(node);
    bool idle = remote->busy == 0 && remote->requests == 0 && remote->topic_pending == 0 &&
                remote->sent_known == PC_KNOWN_YES && remote->sent == 0;
    pc_node_lock(node);
    idle &= remote->claims == 0 && pc_list_empty(&remote->waits);
    if (idle && remote->unused_since_ms == 0)
        remote->unused_since_ms = now_ms ? now_ms : 1;
    if (!idle)
        remote->unused_since_ms = 0;
    bool over = idle && now_ms - remote->unused_since_ms >= node->options.linger_ms;
    if (over) {
        pc_map_remove(&node->remotes, &remote->node);
        pc_list_remove(&remote->marked);
    }
    pc_node_unlock(node);
    if (idle && !over)
        pc_remote_again(remote);
    if (!over)
        return;
    if (remote->topic != PC_TOPIC_NONE && remote->part->state != PC_LINK_DOWN)
        (void)pc_part_took(remote->part, node->ops.unsubscribe(
                                             node->self, remote->part->index, remote->part->session,
                                             PUSHERC_TOPIC_CHANNEL, remote->node.key));
    remote_free(remote);
}

/* A channel is occupied before it has members, and they leave before it is vacated. So what would be told in another
 * order waits for an answer, after which the channel is looked at again. */
static void ask_in_order(struct pc_remote *remote, uint64_t claims)
{
    if (claims > 0) {
        ask_count(remote, claims);
        if (!remote->count_asked || remote->count_wanted > 0)
            ask_users(remote);
    } else {
        ask_users(remote);
        if (remote->joins == 0) /* otherwise a leave is to come */
            ask_count(remote, claims);
    }
}

/* Behind what is asked for the users here, so that it has no user who has left while there was no link. */
static void fetch(struct pc_remote *remote, bool follows)
{
    if (follows && pc_remote_has_roster(remote) && !remote->live && !remote->fetching &&
        remote->topic == PC_TOPIC_THERE)
        pc_mirror_fetch(remote);
}

void pc_wants_look(struct pc_remote *remote)
{
    struct pc_node_part *part = remote->part;
    struct pusherc_link *node = part->node;
    if (pc_list_empty(&remote->of_part))
        pc_list_push_back(&part->remotes, &remote->of_part);
    move_home(remote);
    if (remote->is_user)
        pc_mirror_look_who_came(remote);
    pc_node_lock(node);
    uint64_t claims = remote->claims;
    bool follows = remote->follows > 0;
    pc_node_unlock(node);
    if (part->state != PC_LINK_DOWN && node->orders.in_step && follows &&
        remote->topic == PC_TOPIC_NONE)
        subscribe(remote);
    if (claims == 0)
        pc_kept_unknown(
            remote); /* what is published here meanwhile may not have come back when one is let in */
    if (pc_part_is_up(part) && remote->class.cache)
        pc_kept_look(remote, claims > 0);
    if (pc_part_is_up(part)) {
        ask_in_order(remote, claims);
        fetch(remote, follows);
    } else if (part->isolated) {
        isolate(remote);
    }
    pc_mirror_set_open(remote);
    pc_mirror_update(remote);
    if (pc_claims_decide(remote) && part->state == PC_LINK_DOWN)
        pc_remote_again(remote); /* they are let in when they have waited long enough */
    settle(remote);
}

void pc_wants_look_all(struct pc_node_part *part)
{
    PC_LIST_EACH_SAFE(l, next, &part->remotes) {
        pc_wants_look(PC_CONTAINER(l, struct pc_remote, of_part));
    }
}

void pc_wants_look_soon(struct pc_node_part *part)
{
    while (!pc_list_empty(&part->soon)) {
        struct pc_remote *remote = PC_CONTAINER(part->soon.next, struct pc_remote, soon);
        pc_list_remove(&remote->soon);
        pc_wants_look(remote);
    }
}

void pc_wants_tick(struct pc_node_part *part)
{
    struct pc_list todo;
    pc_list_take(&todo, &part->todo);
    while (!pc_list_empty(&todo)) {
        struct pc_remote *remote = PC_CONTAINER(todo.next, struct pc_remote, todo);
        pc_list_remove(&remote->todo);
        pc_wants_look(remote);
    }
}

/* -- what the link reports -- */

void pc_wants_unsubscribed(struct pc_node_part *part)
{
    bool listened = false;
    PC_LIST_EACH(l, &part->remotes) {
        struct pc_remote *remote = PC_CONTAINER(l, struct pc_remote, of_part);
        listened |= remote->topic == PC_TOPIC_THERE;
        pc_remote_set_topic(remote, PC_TOPIC_NONE);
        remote->topic_pending = 0;
        remote->fetching = false;
        pc_kept_unknown(remote);
        pc_mirror_forget_kept(remote);
        pc_mirror_set_live(remote, false);
        PC_LIST_EACH(u, &remote->users_in_order) {
            PC_CONTAINER(u, struct pc_remote_user, in_order)->has_number = false;
        }
        pc_remote_again(remote);
    }
    if (listened) /* what others send until it is subscribed again is missed, and how much is not known */
        pc_stat_add(&part->node->stats.gaps, 1);
}

void pc_wants_unknown(struct pc_node_part *part)
{
    PC_LIST_EACH(l, &part->remotes) {
        struct pc_remote *remote = PC_CONTAINER(l, struct pc_remote, of_part);
        remote->fetching = false;
        pc_kept_unknown(remote);
        pc_mirror_forget_kept(remote);
        pc_mirror_set_live(remote, false);
        remote->sent_known = PC_NOT_KNOWN;
        PC_LIST_EACH(u, &remote->users_in_order) {
            struct pc_remote_user *user = PC_CONTAINER(u, struct pc_remote_user, in_order);
            user->has_number = false;
            if (user->held == PC_KNOWN_YES)
                pc_remote_set_user(remote, user, PC_NOT_KNOWN, user->asked);
        }
    }
}

static void all_todo(struct pc_remote *remote)
{
    pc_node_lock(pc_remote_node(remote));
    PC_LIST_EACH(u, &remote->users_in_order) {
        pc_remote_user_todo(remote, PC_CONTAINER(u, struct pc_remote_user, in_order));
    }
    pc_node_unlock(pc_remote_node(remote));
}

static bool take_held(struct pc_node_part *part, const pusherc_slice *values, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        struct pc_remote *remote = pc_remote_get_here(part, values[2 * i]);
        struct pc_remote_user *user =
            remote ? pc_remote_get_user_here(remote, values[2 * i + 1]) : NULL;
        if (!user)
            return false;
        pc_remote_set_user(remote, user, PC_KNOWN_YES, user->asked);
    }
    return true;
}

static bool take_counted(struct pc_node_part *part, const pusherc_slice *values, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        struct pc_remote *remote = pc_remote_get_here(part, values[2 * i]);
        if (!remote || !pc_slice_to_u64(values[2 * i + 1], &remote->sent))
            return false;
    }
    return true;
}

bool pc_wants_mine(struct pc_node_part *part, const pusherc_slice *values, size_t count)
{
    uint64_t held, counted;
    if (count < 2 || !pc_slice_to_u64(values[0], &held) || held > (count - 2) / 2)
        return false;
    size_t at = 1 + 2 * (size_t)held;
    if (!pc_slice_to_u64(values[at], &counted) || counted != (count - at - 1) / 2 ||
        (count - at - 1) % 2 != 0)
        return false;
    PC_LIST_EACH(l, &part->remotes) {
        struct pc_remote *remote = PC_CONTAINER(l, struct pc_remote, of_part);
        remote->sent_known = PC_KNOWN_YES;
        remote->sent = 0;
        PC_LIST_EACH(u, &remote->users_in_order) {
            pc_remote_set_user(remote, PC_CONTAINER(u, struct pc_remote_user, in_order),
                               PC_KNOWN_NO, false);
        }
    }
    bool ok = take_held(part, values + 1, held) && take_counted(part, values + at + 1, counted);
    PC_LIST_EACH(l, &part->remotes) {
        all_todo(PC_CONTAINER(l, struct pc_remote, of_part));
    }
    return ok;
}

void pc_wants_subscribed(struct pusherc_link *node, pusherc_slice key)
{
    pc_node_lock(node);
    struct pc_remote *remote = pc_remote_find(node, key);
    pc_node_unlock(node);
    if (!remote || remote->topic_pending == 0)
        return; /* it was asked for before subscriptions were lost */
    /* Only the report of the latest one says how it is. */
    if (--remote->topic_pending > 0 || remote->topic != PC_TOPIC_ASKED)
        return;
    pc_remote_set_topic(remote, PC_TOPIC_THERE);
    remote->recount = pc_totals_wanted(remote);
    pc_wants_look(remote);
}

/* -- life -- */

void pc_wants_init(struct pusherc_link *node)
{
    pc_map_init(&node->remotes, &node->engine->mem, node->engine->seed);
    pc_claims_init(node);
}

static void free_remote(struct pc_map_node *found, void *ctx)
{
    struct pc_remote *remote = PC_CONTAINER(found, struct pc_remote, node);
    struct pusherc_link *node = ctx;
    pc_map_remove(&node->remotes, found);
    pc_list_remove(&remote->marked);
    remote_free(remote);
}

void pc_wants_free(struct pusherc_link *node)
{
    pc_map_each(&node->remotes, free_remote, node);
    pc_map_free(&node->remotes);
}
