#include "fanout/absence.h"

#include "fanout/channel_timer.h"
#include "fanout/occupancy.h"

/* Leaves of one channel in one turn: each is a message to all its subscribers. */
#define PER_TURN 64

static uint32_t grace_ms(const struct pc_join *join)
{
    const struct pc_rule *rule = join->match ? join->match->rule : NULL;
    uint32_t of_rule_ms = rule ? rule->options.presence_grace_ms : 0;
    if (of_rule_ms == 0)
        return join->app->options.presence_grace_ms;
    return of_rule_ms == PUSHERC_NO_DELAY ? 0 : of_rule_ms;
}

bool pc_absence_over(struct pc_worker *worker, const struct pc_join *join,
                     struct pc_roster_member *member, bool added, struct pc_posting *posting)
{
    bool absent = !pc_list_empty(&member->absent);
    member->grace_ms = grace_ms(join);
    if (added)
        member->told_ms = worker->now_ms;
    if (absent) {
        pc_list_remove(&member->absent);
        member->expelled = false;
        member->subscriptions--;
        pc_wake_add(
            worker->engine, &posting->wake,
            pc_decider_left(&worker->engine->decider, join->app, join->channel, join->user_id));
    }
    return absent;
}

/* Ends the absence that began first. False: no absence ends now; *again_ms is when the next one does, or 0. */
static bool end_first(struct pc_worker *worker, struct pc_app *app, struct pc_channel *channel,
                      uint64_t *again_ms)
{
    struct pc_engine *engine = worker->engine;
    struct pc_roster *roster = &channel->roster;
    struct pc_roster_member *member = NULL;
    struct pc_posting posting = {0};
    struct pc_channel_change change = {0};
    char stack[256];
    struct pc_buf user_id; /* a copy for the hook: the member is freed */
    int err = 0;
    pc_buf_init_in(&user_id, &engine->mem, SIZE_MAX, stack, sizeof stack);
    pthread_mutex_lock(&channel->shard->mutex);
    if (!pc_list_empty(&roster->absent))
        member = PC_CONTAINER(roster->absent.next, struct pc_roster_member, absent);
    *again_ms = member ? member->leaves_ms : 0;
    if (*again_ms > worker->now_ms && !pc_engine_is_draining(engine))
        member = NULL;
    if (member) {
        pc_list_remove(&member->absent);
        change.at_once = member->expelled;
        err = pc_occupancy_left(worker, app, channel, member, &user_id, &posting, &change);
    }
    roster->absent_timer_set = member || *again_ms;
    pc_shard_unlock(channel->shard);
    pc_posting_finish(engine, &posting);
    if (member) {
        pc_occupancy_note_lost(engine, app, err);
        pc_occupancy_tell_host(worker, app, channel->name, pc_buf_slice(&user_id), &change);
    }
    pc_buf_free(&user_id);
    return member != NULL;
}

static uint64_t on_due(struct pc_worker *worker, struct pc_app *app, struct pc_channel *channel)
{
    uint64_t again_ms = 0;
    for (unsigned n = 0; n < PER_TURN || pc_engine_is_draining(worker->engine); n++)
        if (!end_first(worker, app, channel, &again_ms))
            return again_ms;
    return worker->now_ms;
}

bool pc_absence_begin(struct pc_worker *worker, struct pc_app *app, struct pc_channel *channel,
                      struct pc_roster_member *member)
{
    struct pc_roster *roster = &channel->roster;
    uint64_t until_ms = worker->now_ms + member->grace_ms;
    if (until_ms < member->told_ms + PC_GATHER_MS)
        until_ms = member->told_ms + PC_GATHER_MS;
    if (until_ms <= worker->now_ms || pc_engine_is_draining(worker->engine))
        return false;
    if (!roster->absent_timer_set)
        roster->absent_timer_set =
            pc_channel_timer_start(worker, app, channel, until_ms, on_due) == 0;
    if (!roster->absent_timer_set)
        return false;
    member->leaves_ms = until_ms;
    pc_list_push_back(&roster->absent, &member->absent);
    return true;
}

struct expelled {
    uint64_t app_uid, now_ms;
    pusherc_slice user_id;
};

/* Lets the user, if it is absent from this channel, leave before the others. */
static bool pick(struct pc_channel *channel, void *ctx)
{
    const struct expelled *who = ctx;
    struct pc_roster *roster = &channel->roster;
    if (channel->app->uid != who->app_uid)
        return false;
    pthread_mutex_lock(&channel->shard->mutex);
    struct pc_roster_member *member = pc_roster_find(roster, who->user_id);
    bool absent = member && !pc_list_empty(&member->absent);
    if (absent) {
        pc_list_remove(&member->absent);
        pc_list_push_back(roster->absent.next, &member->absent);
        member->leaves_ms = who->now_ms;
        member->expelled = true;
    }
    pc_shard_unlock(channel->shard);
    return absent;
}

void pc_absence_expel(struct pc_worker *worker, uint64_t app_uid, pusherc_slice user_id)
{
    struct expelled who = {app_uid, worker->now_ms, user_id};
    pc_channel_timers_hurry(worker, pick, &who);
}
