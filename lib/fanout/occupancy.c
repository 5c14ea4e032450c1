#include "fanout/occupancy.h"

#include "channel/history.h"
#include "fanout/count.h"
#include "fanout/shaping.h"
#include "protocol/message_out.h"

/* Locked. Sends a message of the server to a presence channel's subscribers, and frees it. */
static int tell_subscribers(struct pc_engine *engine, struct pc_channel *channel,
                            struct pc_buf *message, struct pc_posting *posting)
{
    int err = pc_buf_status(message);
    if (err == 0)
        err = pc_post_message(engine, channel, pc_buf_slice(message), posting);
    pc_buf_free(message);
    return err;
}

int pc_occupancy_member_added(struct pc_engine *engine, struct pc_channel *channel,
                              const struct pc_roster_member *member, struct pc_posting *posting)
{
    if (!channel->interested)
        return 0;
    if (channel->views)
        return pc_post(engine, channel, posting);
    char stack[1024];
    struct pc_buf message;
    pc_buf_init_in(&message, &engine->mem, SIZE_MAX, stack, sizeof stack);
    pc_out_member_added(&message, channel->name, member->node.key, member->info);
    return tell_subscribers(engine, channel, &message, posting);
}

int pc_occupancy_member_removed(struct pc_engine *engine, struct pc_channel *channel,
                                pusherc_slice user_id, struct pc_posting *posting)
{
    if (!channel->interested)
        return 0;
    char stack[1024];
    struct pc_buf message;
    pc_buf_init_in(&message, &engine->mem, SIZE_MAX, stack, sizeof stack);
    pc_out_member_removed(&message, channel->name, user_id);
    return tell_subscribers(engine, channel, &message, posting);
}

/* Puts what happened in order: a channel is occupied before its first member is added, and its last member is removed
 * before it is vacated. */
static void list(struct pc_channel_change *change, const struct pc_occupancy *what)
{
    change->count = 0;
    if (what->edge && what->joined)
        change->types[change->count++] = PUSHERC_CHANNEL_OCCUPIED;
    if (what->member_edge)
        change->types[change->count++] =
            what->joined ? PUSHERC_MEMBER_ADDED : PUSHERC_MEMBER_REMOVED;
    change->types[change->count++] = PUSHERC_SUBSCRIPTION_COUNT;
    if (what->edge && !what->joined)
        change->types[change->count++] = PUSHERC_CHANNEL_VACATED;
}

static bool is_about_member(pusherc_channel_event_type type)
{
    return type == PUSHERC_MEMBER_ADDED || type == PUSHERC_MEMBER_REMOVED;
}

static uint32_t webhook_of(pusherc_channel_event_type type)
{
    switch (type) {
    case PUSHERC_CHANNEL_OCCUPIED:
        return PUSHERC_WEBHOOK_CHANNEL_OCCUPIED;
    case PUSHERC_CHANNEL_VACATED:
        return PUSHERC_WEBHOOK_CHANNEL_VACATED;
    case PUSHERC_MEMBER_ADDED:
        return PUSHERC_WEBHOOK_MEMBER_ADDED;
    case PUSHERC_MEMBER_REMOVED:
        return PUSHERC_WEBHOOK_MEMBER_REMOVED;
    case PUSHERC_SUBSCRIPTION_COUNT:
        break; /* count.c tells the observer when it tells the subscribers */
    }
    return 0;
}

static void note(struct pc_engine *engine, struct pc_app *app, const struct pc_channel *channel,
                 pusherc_channel_event_type type, pusherc_slice user_id, struct pc_posting *posting)
{
    const uint32_t kind = webhook_of(type);
    if (engine->told_by_link || !pc_noticed(&engine->observer, app, kind))
        return;
    struct pc_notice notice = {.kind = kind,
                               .app = app,
                               .channel = channel->name,
                               .user_id = is_about_member(type) ? user_id : PC_S("")};
    pc_posting_note(engine, &notice, posting);
}

void pc_occupancy_changed(struct pc_worker *worker, struct pc_app *app, struct pc_channel *channel,
                          const struct pc_occupancy *what, struct pc_posting *posting,
                          struct pc_channel_change *change)
{
    change->subscriptions = channel->subscriptions;
    if (channel->class.kind == PUSHERC_CHANNEL_USER)
        return; /* neither subscribers, the observer nor the host are told of a user's channel */
    if (!pc_noticed(&worker->engine->observer, app, PUSHERC_WEBHOOK_ALL) &&
        !worker->engine->hooks.on_channel && !app->options.subscription_count_events)
        return; /* the list would have no reader */
    list(change, what);
    for (uint32_t i = 0; i < change->count; i++) {
        pusherc_channel_event_type type = change->types[i];
        if (type != PUSHERC_SUBSCRIPTION_COUNT)
            note(worker->engine, app, channel, type, what->user_id, posting);
        else if (channel->subscriptions > 0)
            pc_count_changed(worker, app, channel, what->joined, posting);
    }
}

int pc_occupancy_left(struct pc_worker *worker, struct pc_app *app, struct pc_channel *channel,
                      struct pc_roster_member *member, struct pc_buf *user_id,
                      struct pc_posting *posting, struct pc_channel_change *change)
{
    struct pc_engine *engine = worker->engine;
    struct pc_occupancy what = {.edge = --channel->subscriptions == 0};
    bool gone = false; /* out of the roster */
    int err = 0;
    if (member) {
        what.user_id = member->node.key;
        what.member_edge = member->subscriptions == 1;
        gone = pc_roster_leave(&channel->roster, member);
    }
    if (gone)
        err = pc_occupancy_member_removed(engine, channel, what.user_id, posting);
    if (what.member_edge && user_id)
        pc_buf_put(user_id, what.user_id);
    if (what.member_edge) {
        pc_people_left(worker, app, member->person, PC_PEOPLE_CHANNEL, change->at_once,
                       &change->user);
        member->person = NULL;
    }
    pc_occupancy_changed(worker, app, channel, &what, posting, change);
    if (what.edge) {
        pc_wake_add(engine, &posting->wake, pc_shaping_vacated(engine, channel));
        if (channel->history)
            pc_history_left(&engine->directory, channel, worker->now_ms);
    }
    pc_wake_add(engine, &posting->wake,
                pc_decider_left(&engine->decider, app, channel->name, what.user_id));
    if (gone)
        pc_roster_member_free(&channel->roster, member);
    change->sequence = ++channel->shard->number;
    pc_stat_sub(&pc_app_stats(app, worker->index)->occupied[channel->class.kind], what.edge);
    return err;
}

void pc_occupancy_note_lost(struct pc_engine *engine, const struct pc_app *app, int err)
{
    if (err)
        PC_LOG(&engine->log, ERROR, ((struct pc_log_about){.subject = "fanout", .app_id = app->id}),
               "a member_removed was lost: %s", pusherc_strerror(err));
}

void pc_occupancy_tell_host(struct pc_worker *worker, const struct pc_app *app,
                            pusherc_slice channel, pusherc_slice user_id,
                            const struct pc_channel_change *change)
{
    const pusherc_hooks *hooks = worker->hooks;
    pc_people_tell(worker, app, user_id, &change->user);
    if (!hooks->on_channel)
        return;
    for (uint32_t i = 0; i < change->count; i++) {
        pusherc_channel_event_type type = change->types[i];
        pusherc_channel_event event = {.struct_size = sizeof event,
                                       .type = type,
                                       .app_id = app->id,
                                       .channel = channel,
                                       .user_id = is_about_member(type) ? user_id : PC_S(""),
                                       .subscription_count = change->subscriptions,
                                       .sequence = change->sequence};
        hooks->on_channel(&event, hooks->user_data);
    }
}

/* -- members of other processes -- */

/* Locked. Adds the member and tells the subscribers; takes it back on failure. */
static int mirror_added(struct pc_engine *engine, struct pc_channel *channel,
                        const struct pc_join *who, struct pc_posting *posting)
{
    struct pc_roster_member *member;
    bool added;
    int err = pc_roster_mirror(&channel->roster, who->user_id, who->user_info, &member, &added);
    if (err || !added)
        return err;
    err = pc_occupancy_member_added(engine, channel, member, posting);
    if (err == PUSHERC_EBACKLOG)
        return 0; /* one worker's mailbox is full; the subscribers on the others are told */
    if (err && pc_roster_unmirror(&channel->roster, member))
        pc_roster_member_free(&channel->roster, member);
    return err;
}

/* Locked. Removes the member and tells the subscribers. */
static int mirror_removed(struct pc_engine *engine, struct pc_channel *channel,
                          pusherc_slice user_id, struct pc_posting *posting)
{
    struct pc_roster_member *member = pc_roster_find(&channel->roster, user_id);
    if (!member || !member->mirrored)
        return PUSHERC_ENOENT;
    if (!pc_roster_unmirror(&channel->roster, member))
        return 0;
    int err = pc_occupancy_member_removed(engine, channel, user_id, posting);
    pc_roster_member_free(&channel->roster, member);
    return err == PUSHERC_EBACKLOG ? 0 : err;
}

/* Tries once. False: the channel's views have changed since `event` was rendered for them, so nothing was done. */
static bool try_mirror(struct pc_engine *engine, const struct pc_join *who, bool there,
                       struct pc_frame *event, int *err)
{
    struct pc_posting posting = {.event = event};
    uint64_t uid = who->app->state->uid;
    struct pc_shard *shard = pc_directory_lock(&engine->directory, uid, who->channel);
    struct pc_channel *channel = pc_shard_find(shard, uid, who->channel);
    bool fits = !there || !channel || !channel->views || pc_event_fits(event, channel);
    if (!channel)
        *err = PUSHERC_ENOENT;
    else if (fits)
        *err = there ? mirror_added(engine, channel, who, &posting)
                     : mirror_removed(engine, channel, who->user_id, &posting);
    pc_shard_unlock(shard);
    pc_posting_finish(engine, &posting);
    return fits;
}

int pc_occupancy_mirror(struct pc_engine *engine, const struct pc_join *who, bool there)
{
    int err = 0;
    /* Tries again while the channel's views change between rendering and posting. */
    for (bool fitted = false; !fitted && err == 0;) {
        struct pc_frame *event = NULL;
        if (there && pc_join_rendered(who))
            err = pc_view_member_added(engine, who, &event);
        if (err == 0)
            fitted = try_mirror(engine, who, there, event, &err);
    }
    return err;
}
