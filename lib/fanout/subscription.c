#include "fanout/subscription.h"

#include <assert.h>

#include <pusherc/error.h>

#include "channel/keep.h"
#include "fanout/absence.h"
#include "fanout/hold.h"
#include "fanout/occupancy.h"
#include "fanout/roster_view.h"
#include "fanout/view.h"

/* Locked. */
static void drop_view(struct pc_channel *channel, uint32_t view)
{
    if (view != PC_NO_VIEW)
        pc_channel_drop_view(channel, view);
}

/* Locked. Does all work for a presence member that can fail, and undoes it on failure. */
static int join_member(struct pc_worker *worker, struct pc_channel *channel,
                       const struct pc_join *join, struct pc_buf *roster,
                       struct pc_roster_member **out, struct pc_posting *posting,
                       struct pc_channel_change *change)
{
    struct pc_engine *engine = worker->engine;
    struct pc_roster_member *member;
    struct pc_person *person = NULL;
    int err = pc_roster_join(&channel->roster, join->user_id, join->user_info,
                             join->app->options.max_presence_members, &member);
    if (err)
        return err;
    if (channel->views) {
        pc_copy_members(channel, roster); /* they are rendered for the newcomer after the unlock */
    } else {
        err = pc_roster_put(&channel->roster, roster);
    }
    err = err ? err : pc_buf_status(roster);
    if (err == 0 && join->app->options.user_events && member->subscriptions == 1)
        err = pc_people_reserve(join->app, join->user_id, &person);
    if (err == 0 && member->subscriptions == 1 && !member->mirrored)
        err = pc_occupancy_member_added(engine, channel, member, posting);
    if (err == PUSHERC_EBACKLOG)
        /* one worker's mailbox is full; refusing the newcomer would not help that worker */
        err = 0;
    if (err) {
        pc_people_cancel(join->app, person);
        if (pc_roster_leave(&channel->roster, member))
            pc_roster_member_free(&channel->roster, member);
        return err;
    }
    if (person) {
        member->person = person;
        pc_people_came(worker, join->app, person, PC_PEOPLE_CHANNEL, &change->user);
    }
    *out = member;
    return 0;
}

/* Locked. Nothing has happened to the channel if the subscription continues that of an absent member. */
static void count_joined(struct pc_worker *worker, const struct pc_join *join,
                         struct pc_channel *channel, struct pc_roster_member *member,
                         struct pc_posting *posting, struct pc_channel_change *change)
{
    struct pc_app_stats *stats = pc_app_stats(join->app, worker->index);
    struct pc_occupancy what = {.joined = true,
                                .member_edge = member && member->subscriptions == 1,
                                .user_id = join->user_id};
    change->subscriptions = channel->subscriptions;
    if (member && pc_absence_over(worker, join, member, what.member_edge, posting))
        return;
    what.edge = ++channel->subscriptions == 1;
    pc_stat_add(&stats->occupied[join->class.kind], what.edge);
    pc_occupancy_changed(worker, join->app, channel, &what, posting, change);
}

/* Locked; the channel exists. Does the last part of a join that can fail, then the changes, which cannot fail. */
static int join_locked(struct pc_worker *worker, const struct pc_join *join,
                       struct pc_channel *channel, struct pc_buf *roster, struct pc_subscription *s,
                       struct pc_channel_change *change, struct pc_posting *posting)
{
    struct pc_local *local = pc_local_reserve(worker, channel, join->app->state);
    const struct pc_history_rule *history = pc_app_history(join->app, join->channel);
    int err = local ? 0 : PUSHERC_ENOMEM;
    if (err == 0 && history)
        err = pc_history_make(&worker->engine->directory, channel, history);
    s->view = PC_NO_VIEW;
    if (err == 0 && channel->ephemera)
        err = pc_ephemera_copy(worker->engine, channel, &change->ephemeral);
    if (err == 0 && channel->views && join->view.len) {
        err = pc_channel_use_view(channel, join->view, &s->view);
        change->views_full = err == PUSHERC_ELIMIT;
    }
    if (err == 0 && join->class.kind == PUSHERC_CHANNEL_PRESENCE) {
        err = join_member(worker, channel, join, roster, &s->member, posting, change);
        if (err)
            drop_view(channel, s->view);
    }
    if (err) {
        pc_said_list_free(&change->ephemeral);
        pc_local_settle(worker, channel);
        return err;
    }
    change->sequence = ++channel->shard->number;
    change->cached = pc_channel_kept(channel, worker->now_ms);
    if (channel->history)
        pc_history_read(channel, worker->now_ms, &change->past);
    pc_local_add(worker, local, s, join->q, change->sequence);
    count_joined(worker, join, channel, s->member, posting, change);
    return 0;
}

/* Tries once, and consumes the event. False, with *err 0: the channel's views have changed since `event` (member_added)
 * was rendered for them, so nothing was done. */
static bool try_join(struct pc_worker *worker, const struct pc_join *join, struct pc_frame *event,
                     struct pc_buf *members, struct pc_subscription *s,
                     struct pc_channel_change *change, int *err)
{
    struct pc_engine *engine = worker->engine;
    struct pc_posting posting = {.event = event};
    uint64_t uid = join->app->state->uid;
    bool fits = true;
    struct pc_shard *shard = pc_directory_lock(&engine->directory, uid, join->channel);
    struct pc_channel *channel = pc_shard_get(&engine->directory, shard, join->app->state,
                                              join->channel, join->class, join->match);
    *err = channel ? 0 : PUSHERC_ENOMEM;
    if (channel) {
        if (channel->views && join->class.kind == PUSHERC_CHANNEL_PRESENCE)
            fits = pc_event_fits(event, channel);
        if (fits)
            *err = join_locked(worker, join, channel, members, s, change, &posting);
        pc_channel_settle(&engine->directory, channel);
    }
    pc_shard_unlock(shard);
    pc_posting_finish(engine, &posting);
    return fits;
}

int pc_join_begin(struct pc_joining *joining)
{
    const struct pc_decider *decider = &joining->worker->engine->decider;
    joining->result = PC_JOIN_WAITS;
    joining->result = decider->begin ? decider->begin(decider->ctx, joining) : 0;
    return joining->result;
}

void pc_join_decide(struct pc_joining *joining, int result)
{
    assert(joining->result == PC_JOIN_WAITS && result != PC_JOIN_WAITS);
    joining->result = result;
    joining->decided(joining);
}

void pc_join_abandon(struct pc_joining *joining)
{
    const struct pc_decider *decider = &joining->worker->engine->decider;
    if (decider->begin && joining->result >= 0)
        decider->abandon(decider->ctx, joining);
}

/* The join has failed after the decider let it go on. The caller holds no lock. */
static void tell_decider(struct pc_engine *engine, const struct pc_join *join)
{
    bool presence = join->class.kind == PUSHERC_CHANNEL_PRESENCE;
    pc_wake_workers(engine, pc_decider_left(&engine->decider, join->app, join->channel,
                                            presence ? join->user_id : PC_S("")));
}

int pc_join_finish(struct pc_worker *worker, const struct pc_join *join, struct pc_buf *roster,
                   struct pc_subscription **out, struct pc_channel_change *change)
{
    struct pc_engine *engine = worker->engine;
    bool rendered = join->class.kind == PUSHERC_CHANNEL_PRESENCE && pc_join_rendered(join);
    struct pc_buf raw;
    int err = 0;
    *out = NULL;
    *change = (struct pc_channel_change){0};
    struct pc_subscription *s = pc_alloc_zero(worker->mem, sizeof *s);
    if (!s) {
        tell_decider(engine, join);
        return PUSHERC_ENOMEM;
    }
    pc_buf_init(&raw, &engine->mem, SIZE_MAX);
    /* Tries again while the channel's views change between rendering and joining. */
    for (bool fitted = false; !fitted && err == 0;) {
        struct pc_frame *event = NULL;
        if (rendered)
            err = pc_view_member_added(engine, join, &event);
        if (err == 0)
            fitted = try_join(worker, join, event, rendered ? &raw : roster, s, change, &err);
    }
    if (err) {
        pc_free(worker->mem, s);
        tell_decider(engine, join);
    } else {
        struct pc_app_stats *stats = pc_app_stats(join->app, worker->index);
        pc_stat_add(&worker->stats.subscriptions, 1);
        pc_stat_add(&stats->subscribed[join->class.kind], 1);
        if (rendered)
            err = pc_render_roster(engine, join, pc_buf_slice(&raw), roster);
        if (err) {
            pc_cached_unref(change->cached);
            pc_past_events_free(&change->past);
            pc_said_list_free(&change->ephemeral);
            /* The caller tells the host neither of the join nor of the leave. If the join has ended an absence, which
             * the host does not know, the member may be absent again. */
            pc_people_tell(worker, join->app, join->user_id, &change->user);
            pc_leave(worker, join->app, s, change->count > 0, NULL, change);
            pc_people_tell(worker, join->app, join->user_id, &change->user);
        } else {
            *out = s;
        }
    }
    pc_buf_free(&raw);
    return err;
}

/* -- changes of view -- */

/*
 * An event is rendered for the views that the channel has when it is numbered, and lies in the worker's mailbox from
 * then on. A change of view takes its place there as well, under the same lock: behind every event that was numbered
 * before, and before every one that was rendered with the new view in the table. Until it comes the subscription
 * stays with its old view, and both are in use. So nothing is lost between the two, and delivery does not know of it.
 */
struct pc_view_change {
    struct pc_mail mail;
    struct pc_mem mem;
    struct pc_view_change *next;          /* of the subscription */
    struct pc_subscription *subscription; /* NULL = has left the channel */
    uint32_t view;
};

/* Locked. The subscription is leaving the view, or (-1) it has left or stays after all. */
static void count_leaving(struct pc_channel *channel, uint32_t view, int change)
{
    if (view != PC_NO_VIEW)
        channel->views->items[view].leaving += (uint32_t)change;
}

/* Locked. */
static void begin_view(struct pc_subscription *s, struct pc_view_change *change)
{
    count_leaving(s->local->channel, s->view, -1);
    drop_view(s->local->channel, s->view);
    s->view = change->view;
    s->view_changes = change->next;
    pc_local_set_view(s, 0); /* earlier events have passed */
}

static void change_view(struct pc_mail *mail, struct pc_worker *worker)
{
    struct pc_view_change *change = PC_CONTAINER(mail, struct pc_view_change, mail);
    struct pc_subscription *s = worker ? change->subscription : NULL;
    struct pc_mem mem = change->mem;
    if (s) {
        struct pc_shard *shard = s->local->channel->shard;
        pthread_mutex_lock(&shard->mutex);
        begin_view(s, change);
        pc_shard_unlock(shard);
    }
    pc_free(&mem, change);
}

static void on_view_change(struct pc_mail *mail, struct pc_worker *worker)
{
    const struct pc_subscription *s =
        worker ? PC_CONTAINER(mail, struct pc_view_change, mail)->subscription : NULL;
    if (s && pc_aside_waits(&s->local->aside)) /* behind the events that were numbered before */
        pc_mailbox_set_aside(worker->mailbox, &s->local->aside, mail, change_view);
    else
        change_view(mail, worker);
}

/* Locked. */
static void abandon_view_changes(struct pc_subscription *s)
{
    struct pc_channel *channel = s->local->channel;
    if (s->view_changes)
        count_leaving(channel, s->view, -1);
    for (struct pc_view_change *c = s->view_changes; c; c = c->next) {
        if (c->next)
            count_leaving(channel, c->view, -1);
        drop_view(channel, c->view);
        c->subscription = NULL; /* its mail frees it */
    }
    s->view_changes = NULL;
}

/* Locked. Takes over the change, unless the subscription has that view or will have. 0; PUSHERC_ELIMIT;
 * PUSHERC_ECANCELED: the mailbox is closed, no event follows. */
static int send_view_change(struct pc_subscription *s, pusherc_slice view,
                            struct pc_view_change *change, bool *wake)
{
    struct pc_channel *channel = s->local->channel;
    struct pc_view_change **end = &s->view_changes;
    uint32_t before = s->view;
    int err = 0;
    for (; *end; end = &(*end)->next)
        before = (*end)->view;
    count_leaving(channel, before, 1);
    if (view.len)
        err = pc_channel_use_view(channel, view, &change->view);
    if (err == 0 && change->view != before)
        err =
            pc_mailbox_post(pc_queue_of(s)->worker->mailbox, &change->mail, PC_MAIL_CONTROL, wake);
    if (err == 0 && change->view != before) {
        *end = change;
        return 0;
    }
    count_leaving(channel, before, -1);
    drop_view(channel, change->view);
    pc_free(&change->mem, change);
    return err;
}

int pc_change_view(struct pc_subscription *s, pusherc_slice view)
{
    struct pc_channel *channel = s->local->channel;
    struct pc_worker *worker = pc_queue_of(s)->worker;
    bool wake = false;
    if (!channel->views)
        return 0;
    struct pc_view_change *change = pc_alloc_zero(worker->mem, sizeof *change);
    if (!change)
        return PUSHERC_ENOMEM;
    change->mem = *worker->mem;
    change->mail.run = on_view_change;
    change->subscription = s;
    change->view = PC_NO_VIEW;
    pthread_mutex_lock(&channel->shard->mutex);
    int err = send_view_change(s, view, change, &wake);
    pc_shard_unlock(channel->shard);
    if (wake)
        pc_mailbox_wake(worker->mailbox);
    return err == PUSHERC_ECANCELED ? 0 : err;
}

/* -- leaving -- */

/* Locked, and unlocked while it tells. What the connection alone has said ends with it, while it is still there. */
static void end_states(struct pc_worker *worker, struct pc_app *app, struct pc_channel *channel,
                       struct pc_subscription *s)
{
    pc_ephemera_left(channel, &s->ephemeral);
    pthread_mutex_unlock(&channel->shard->mutex);
    int err = pc_ephemera_tell(worker, app, channel, UINT32_MAX);
    (void)err; /* without memory the timer tells it */
    pthread_mutex_lock(&channel->shard->mutex);
}

/* Locked. The member's last subscription ends, and the member may stay for a while. */
static bool is_absence(struct pc_worker *worker, struct pc_app *app, struct pc_channel *channel,
                       const struct pc_subscription *s)
{
    return s->member && s->member->subscriptions == 1 &&
           pc_absence_begin(worker, app, channel, s->member);
}

void pc_leave(struct pc_worker *worker, struct pc_app *app, struct pc_subscription *s, bool at_once,
              struct pc_buf *user_id, struct pc_channel_change *change)
{
    struct pc_engine *engine = worker->engine;
    struct pc_local *local = s->local;
    struct pc_channel *channel = local->channel;
    struct pc_posting posting = {0};
    pusherc_channel_kind kind = channel->class.kind;
    int err = 0;
    *change = (struct pc_channel_change){.at_once = at_once};
    pc_hold_drop(s);

    struct pc_shard *shard = channel->shard;
    pthread_mutex_lock(&shard->mutex);
    if (s->ephemeral)
        end_states(worker, app, channel, s);
    pc_local_remove(worker, s);
    abandon_view_changes(s);
    drop_view(channel, s->view);
    if (at_once || !is_absence(worker, app, channel, s))
        err = pc_occupancy_left(worker, app, channel, s->member, user_id, &posting, change);
    pc_channel_settle(&engine->directory, channel);
    pc_shard_unlock(shard);
    pc_posting_finish(engine, &posting);

    pc_occupancy_note_lost(engine, app, err);
    pc_local_shrink(worker, local);
    pc_stat_sub(&worker->stats.subscriptions, 1);
    pc_stat_add(&pc_app_stats(app, worker->index)->unsubscribed[kind], 1);
    pc_free(worker->mem, s);
}
