#include "cluster/mirror.h"

#include <pusherc/error.h>

#include "base/pack.h"
#include "codec/json.h"
#include "fanout/occupancy.h"
#include "fanout/watch.h"

#define MAX_KEPT    64 /* changes that come while a roster is fetched; more, and it is fetched again */
#define MAX_USER_ID 512 /* bytes: 128 characters */
#define MAX_INFO    (1u << 20)

/* -- mirrors -- */

/* Adds the user to the channel's roster as one of another node, or removes it. */
int pc_mirror_show(struct pc_remote *remote, const struct pc_remote_user *user, bool there)
{
    struct pc_app *app;
    struct pc_channel *channel = pc_remote_channel(remote, &app);
    if (remote->is_user)
        return pc_user_elsewhere(pc_remote_node(remote)->worker, app, channel, there);
    const struct pc_join who = {
        .app = app,
        .channel = channel->name,
        .class = channel->class,
        .user_id = user->node.key,
        .user_info = pc_slice_of(user->mirror_info),
        .match = channel->views ? &channel->views->match : NULL,
    };
    return pc_occupancy_mirror(pc_remote_node(remote)->engine, &who, there);
}

static bool may_remove(struct pc_remote *remote, const struct pc_remote_user *user)
{
    const struct pc_node_part *part = remote->part;
    pc_node_lock(part->node);
    bool is_here = user->claims > 0;
    pc_node_unlock(part->node);
    if (is_here)
        return false; /* the authority has not heard of it yet, or has lost it */
    if (part->unsettled || remote->hold_back)
        return false; /* the node that holds the user has perhaps not said so yet */
    if (part->state == PC_LINK_DOWN)
        return true;
    /* A user who was told of before the authority has joined it may be on the way still. */
    bool is_joining = user->asked || user->held != PC_KNOWN_NO ||
                      (user->has_number && remote->last < user->number);
    /* The roster is being fetched if it is not there. */
    return remote->live && !is_joining;
}

/* Tells clients here the difference between what they were told and what is. */
void pc_mirror_update(struct pc_remote *remote)
{
    struct pc_app *app;
    if (pc_list_empty(&remote->differ) || !pc_remote_channel(remote, &app))
        return;
    PC_LIST_EACH_SAFE(l, next, &remote->differ) {
        struct pc_remote_user *user = PC_CONTAINER(l, struct pc_remote_user, differ);
        if (!user->mirrored && !may_remove(remote, user))
            continue;
        if (pc_mirror_show(remote, user, user->mirrored) == PUSHERC_ENOMEM && user->mirrored) {
            pc_remote_again(remote);
            continue;
        }
        user->shown = user->mirrored;
        pc_list_remove(&user->differ);
        pc_free(remote->users.mem, user->mirror_info);
        user->mirror_info = NULL;
        pc_remote_user_settle(remote, user);
    }
}

void pc_mirror_assume(struct pc_remote *remote, struct pc_remote_user *user)
{
    struct pc_app *app;
    if (user->shown || user->mirrored || !pc_remote_channel(remote, &app))
        return;
    pc_free(remote->users.mem, user->mirror_info);
    pc_node_lock(remote->part->node);
    user->mirror_info = pc_dup(remote->users.mem, pc_slice_of(user->info));
    pc_node_unlock(remote->part->node);
    user->shown = user->mirror_info && pc_mirror_show(remote, user, true) == 0;
    pc_free(remote->users.mem, user->mirror_info);
    user->mirror_info = NULL;
    if (user->shown)
        pc_list_push_back(&remote->differ, &user->differ);
}

void pc_mirror_look_who_came(struct pc_remote *remote)
{
    pc_node_lock(pc_remote_node(remote));
    struct pc_remote_user *user =
        pc_remote_find_user(remote, pc_watched_user(pc_key_channel(remote->node.key)));
    bool came = user && user->came;
    if (came)
        user->came = false;
    pc_node_unlock(pc_remote_node(remote));
    if (!came)
        return;
    if (pc_list_empty(&user->in_order))
        pc_list_push_back(&remote->users_in_order, &user->in_order);
    user->shown = true;
    pc_list_remove(&user->differ);
    if (!user->mirrored)
        pc_list_push_back(&remote->differ, &user->differ);
}

/* False: out of memory, nothing has changed. */
bool pc_mirror_set(struct pc_remote *remote, struct pc_remote_user *user, bool mirrored,
                   pusherc_slice info)
{
    if (mirrored && !user->shown) {
        char *copy = pc_dup(remote->users.mem, info);
        if (!copy)
            return false;
        pc_free(remote->users.mem, user->mirror_info);
        user->mirror_info = copy;
    }
    if (mirrored != user->mirrored)
        remote->mirror_count += mirrored ? 1 : UINT64_MAX; /* or one less */
    user->mirrored = mirrored;
    pc_list_remove(&user->differ);
    if (user->mirrored != user->shown)
        pc_list_push_back(&remote->differ, &user->differ);
    return true;
}

void pc_mirror_forget_kept(struct pc_remote *remote)
{
    PC_LIST_EACH_SAFE(l, next, &remote->kept) {
        pc_list_remove(l);
        pc_free(remote->users.mem, PC_CONTAINER(l, struct pc_remote_change, in_order));
    }
    remote->kept_count = 0;
    remote->spoilt = false;
}

void pc_mirror_set_open(struct pc_remote *remote)
{
    bool open = pc_part_is_up(remote->part) && remote->topic == PC_TOPIC_THERE &&
                (!pc_remote_has_roster(remote) || remote->live) &&
                (!remote->class.cache || remote->kept_known);
    pc_node_lock(pc_remote_node(remote));
    remote->open = open;
    pc_node_unlock(pc_remote_node(remote));
}

void pc_mirror_set_live(struct pc_remote *remote, bool live)
{
    pc_stat_add(&pc_remote_node(remote)->stats.mirrors, (uint64_t)live - (uint64_t)remote->live);
    remote->live = live;
    pc_mirror_set_open(remote);
}

/* The mirror missed something: it is fetched again. */
static void lose_mirror(struct pc_remote *remote)
{
    pc_mirror_set_live(remote, false);
    pc_remote_again(remote);
}

/* One change of a roster, if it is the next one. */
static void apply(struct pc_remote *remote, const struct pc_remote_change *c)
{
    struct pc_node_part *part = remote->part;
    if (!pc_slice_eq(c->epoch, pc_slice_of(remote->mirror_epoch))) {
        if (pc_slice_eq(c->epoch, pc_slice_of(part->epoch)))
            lose_mirror(remote); /* it is of older data */
        return;
    }
    if (c->number <= remote->last)
        return;
    if (c->before != remote->last && !(c->before == 0 && remote->mirror_count == 0)) {
        pc_stat_add(&part->node->stats.gaps, 1);
        lose_mirror(remote);
        return;
    }
    struct pc_remote_user *user = pc_remote_get_user_here(remote, c->user);
    if (!user || !pc_mirror_set(remote, user, c->added, c->info)) {
        lose_mirror(remote); /* out of memory */
        return;
    }
    remote->last = c->number;
    pc_remote_user_settle(remote, user);
}

/* -- fetching -- */

static void on_fetched(struct pc_node_part *part, struct pc_request *r, const pusherc_slice *values,
                       size_t count);

static void on_fetch_forgotten(struct pc_node_part *part, struct pc_request *r)
{
    (void)part;
    r->remote->requests--;
    if (r->number == r->remote->fetch_number)
        r->remote->fetching = false;
    pc_remote_again(r->remote);
}

static const struct pc_request_kind fetch_kind = {PUSHERC_STEP_FETCH, on_fetched,
                                                  on_fetch_forgotten};

void pc_mirror_fetch(struct pc_remote *remote)
{
    struct pusherc_link *node = pc_remote_node(remote);
    struct pc_request *r = pc_request_new(node, &fetch_kind);
    struct pc_values args;
    pc_values_init(&args, &node->engine->mem);
    pc_values_put(&args, pc_slice_of(remote->part->epoch));
    pc_values_put(&args, remote->node.key);
    pc_mirror_forget_kept(remote);
    if (r) {
        r->remote = remote;
        /* Numbered by the node: a channel that goes and comes must not take an answer to its former self. */
        r->number = ++node->fetches;
        remote->fetch_number = r->number;
    }
    remote->fetching = pc_request_send(remote->part, r, &args);
    remote->requests += remote->fetching;
    if (!remote->fetching)
        pc_remote_again(remote);
}

static bool member_makes_sense(pusherc_slice id, pusherc_slice info)
{
    return id.len > 0 && id.len <= MAX_USER_ID && pc_utf8_valid(id) && info.len <= MAX_INFO &&
           (info.len == 0 || pc_json_parse(info).type != PC_JSON_NONE);
}

/* Makes the mirror of the answer: number, unsettled, then the members. False: it makes no sense, or memory ran out. */
static bool take_roster(struct pc_remote *remote, uint64_t fetch, const pusherc_slice *values,
                        size_t count)
{
    uint64_t last;
    if (count < 2 || (count - 2) % 3 != 0 || !pc_slice_to_u64(values[0], &last))
        return false;
    for (size_t i = 2; i < count; i += 3) {
        if (!member_makes_sense(values[i], values[i + 2]))
            return false;
        struct pc_remote_user *user = pc_remote_get_user_here(remote, values[i]);
        if (!user || !pc_mirror_set(remote, user, true, values[i + 2]))
            return false;
        user->fetched = fetch;
    }
    PC_LIST_EACH_SAFE(l, next, &remote->users_in_order) {
        struct pc_remote_user *user = PC_CONTAINER(l, struct pc_remote_user, in_order);
        if (user->mirrored && user->fetched != fetch)
            pc_mirror_set(remote, user, false, PC_S(""));
        pc_remote_user_settle(remote, user);
    }
    remote->last = last;
    return true;
}

/* What came meanwhile is applied before anything is told. */
static void apply_kept(struct pc_remote *remote)
{
    PC_LIST_EACH(l, &remote->kept) {
        if (remote->live)
            apply(remote, PC_CONTAINER(l, struct pc_remote_change, in_order));
    }
    pc_mirror_forget_kept(remote);
}

static void on_fetched(struct pc_node_part *part, struct pc_request *r, const pusherc_slice *values,
                       size_t count)
{
    struct pc_remote *remote = r->remote;
    remote->requests--;
    if (!remote->fetching || r->number != remote->fetch_number)
        return;
    remote->fetching = false;
    if (remote->topic == PC_TOPIC_THERE && !remote->spoilt) {
        if (!take_roster(remote, r->number, values + 1, count - 1)) {
            pc_node_refuse(part->node, "a roster");
            pc_remote_again(remote);
            return;
        }
        memcpy(remote->mirror_epoch, part->epoch, sizeof remote->mirror_epoch);
        remote->hold_back = false;
        pc_mirror_set_live(remote, true);
        apply_kept(remote);
        if (remote->live)
            pc_mirror_update(remote);
    }
    pc_remote_soon(remote);
}

void pc_mirrors_settled(struct pc_node_part *part)
{
    if (!part->unsettled)
        return;
    part->unsettled = false;
    PC_LIST_EACH_SAFE(l, next, &part->remotes) {
        struct pc_remote *remote = PC_CONTAINER(l, struct pc_remote, of_part);
        bool held_back = false;
        PC_LIST_EACH(d, &remote->differ) {
            held_back |= PC_CONTAINER(d, struct pc_remote_user, differ)->shown;
        }
        if (!held_back)
            continue;
        /* A user's return may be under way still, or lost: the roster is fetched before a removal is told. */
        remote->hold_back = true;
        pc_mirror_set_live(remote, false);
        pc_remote_soon(remote);
    }
}

/* -- messages -- */

/* "<number> <number before> <epoch>\n" and the change. False: it makes no sense. */
static bool parse_change(pusherc_slice text, struct pc_remote_change *c)
{
    size_t space = pc_slice_find(text, ' ');
    if (space == text.len || !pc_slice_to_u64(pc_slice_first(text, space), &c->number))
        return false;
    text = pc_slice_skip(text, space + 1);
    space = pc_slice_find(text, ' ');
    if (space == text.len || !pc_slice_to_u64(pc_slice_first(text, space), &c->before))
        return false;
    text = pc_slice_skip(text, space + 1);
    size_t line = pc_slice_find(text, '\n');
    if (line == text.len || line > PC_MAX_EPOCH)
        return false;
    c->epoch = pc_slice_first(text, line);
    text = pc_slice_skip(text, line + 1);
    uint64_t len;
    size_t colon = pc_slice_find(text, ':');
    if (text.len == 0 || colon == text.len || (text.ptr[0] != '+' && text.ptr[0] != '-') ||
        !pc_slice_to_u64(pc_slice(text.ptr + 1, colon - 1), &len) || len > text.len - colon - 1)
        return false;
    c->added = text.ptr[0] == '+';
    text = pc_slice_skip(text, colon + 1);
    c->user = pc_slice_first(text, (size_t)len);
    c->info = pc_slice_skip(text, (size_t)len);
    return member_makes_sense(c->user, c->info);
}

static void keep_change(struct pc_remote *remote, const struct pc_remote_change *c)
{
    struct pc_remote_change *kept = NULL;
    if (remote->kept_count < MAX_KEPT)
        kept = pc_alloc(remote->users.mem, sizeof *kept + c->epoch.len + c->user.len + c->info.len);
    if (!kept) {
        remote->spoilt = true;
        return;
    }
    char *at = (char *)(kept + 1);
    *kept = *c;
    kept->epoch = pc_pack(&at, c->epoch);
    kept->user = pc_pack(&at, c->user);
    kept->info = pc_pack(&at, c->info);
    pc_list_push_back(&remote->kept, &kept->in_order);
    remote->kept_count++;
}

bool pc_mirror_message(struct pc_node_part *part, pusherc_slice key, pusherc_slice text)
{
    struct pusherc_link *node = part->node;
    struct pc_remote_change c;
    if (!parse_change(text, &c))
        return false;
    pc_node_lock(node);
    struct pc_remote *remote = pc_remote_find(node, key);
    pc_node_unlock(node);
    if (!remote || !pc_remote_has_roster(remote))
        return true; /* it is not wanted any more */
    if (remote->fetching) {
        keep_change(remote, &c);
    } else if (remote->live) {
        apply(remote, &c);
        pc_mirror_update(remote);
        pc_remote_soon(remote);
    }
    return true;
}

/* -- comparing -- */

static void on_verified(struct pc_node_part *part, struct pc_request *r,
                        const pusherc_slice *values, size_t count)
{
    struct pusherc_link *node = part->node;
    (void)r;
    for (size_t i = 1; i < count; i++) {
        pc_node_lock(node);
        struct pc_remote *remote = pc_remote_find(node, values[i]);
        pc_node_unlock(node);
        if (!remote || !remote->live || remote->last != remote->swept_last ||
            remote->mirror_count != remote->swept_count)
            continue;
        if (remote->suspect && remote->suspect_last == remote->last &&
            remote->suspect_count == remote->mirror_count) { /* twice the same: not only late */
            pc_stat_add(&node->stats.swept, 1);
            lose_mirror(remote);
        }
        remote->suspect = true;
        remote->suspect_last = remote->last;
        remote->suspect_count = remote->mirror_count;
    }
}

static void on_verify_forgotten(struct pc_node_part *part, struct pc_request *r)
{
    (void)part;
    (void)r;
}

static const struct pc_request_kind verify_kind = {PUSHERC_STEP_VERIFY, on_verified,
                                                   on_verify_forgotten};

void pc_mirrors_sweep(struct pc_node_part *part)
{
    struct pusherc_link *node = part->node;
    struct pc_list *l = part->remotes.next;
    while (l != &part->remotes) {
        struct pc_values args;
        pc_values_init(&args, &node->engine->mem);
        pc_values_put(&args, pc_slice_of(part->epoch));
        for (uint32_t n = 0; n < PC_SWEEP_BATCH && l != &part->remotes; l = l->next) {
            struct pc_remote *remote = PC_CONTAINER(l, struct pc_remote, of_part);
            if (!remote->live || !pc_remote_has_roster(remote))
                continue;
            remote->swept_last = remote->last;
            remote->swept_count = remote->mirror_count;
            pc_values_put(&args, remote->node.key);
            pc_values_put_u64(&args, remote->last);
            pc_values_put_u64(&args, remote->mirror_count);
            n++;
        }
        if (args.count == 1) {
            pc_values_free(&args);
            return;
        }
        if (!pc_request_send(part, pc_request_new(node, &verify_kind), &args))
            return;
    }
}
