#include "fanout/count.h"

#include "fanout/channel_timer.h"
#include "protocol/message_out.h"

/* Of all processes. */
static uint64_t total_of(const struct pc_channel *channel)
{
    return channel->subscriptions + channel->elsewhere;
}

static uint64_t next_ms(const struct pc_channel *channel)
{
    return channel->count.told_ms +
           (total_of(channel) > PC_COUNT_LARGE ? PC_COUNT_LARGE_MS : PC_GATHER_MS);
}

static bool all_know(const struct pc_channel *channel)
{
    return channel->subscriptions == 0 ||
           (channel->count.told == total_of(channel) && !channel->count.newcomers);
}

static void tell(struct pc_worker *worker, struct pc_app *app, struct pc_channel *channel,
                 struct pc_posting *posting)
{
    struct pc_engine *engine = worker->engine;
    char stack[512];
    struct pc_buf message;
    struct pc_notice notice = {.kind = PUSHERC_WEBHOOK_SUBSCRIPTION_COUNT,
                               .app = app,
                               .channel = channel->name,
                               .subscription_count = total_of(channel)};
    pc_buf_init_in(&message, &engine->mem, SIZE_MAX, stack, sizeof stack);
    pc_out_subscription_count(&message, channel->name, total_of(channel));
    int err = pc_buf_status(&message);
    if (err == 0)
        err = pc_post_message(engine, channel, pc_buf_slice(&message), posting);
    pc_buf_free(&message);
    channel->count.told = err ? 0 : total_of(channel);
    channel->count.newcomers = false;
    channel->count.told_ms = worker->now_ms;
    if (!engine->told_by_link)
        pc_posting_note(engine, &notice, posting);
}

static uint64_t on_interval(struct pc_worker *worker, struct pc_app *app,
                            struct pc_channel *channel)
{
    struct pc_posting posting = {0};
    pthread_mutex_lock(&channel->shard->mutex);
    if (!all_know(channel) && worker->now_ms >= next_ms(channel))
        tell(worker, app, channel, &posting);
    uint64_t again_ms = all_know(channel) ? 0 : next_ms(channel);
    channel->count.timer_set = again_ms != 0;
    pc_shard_unlock(channel->shard);
    pc_posting_finish(worker->engine, &posting);
    return again_ms;
}

void pc_count_changed(struct pc_worker *worker, struct pc_app *app, struct pc_channel *channel,
                      bool joined, struct pc_posting *posting)
{
    if (!app->options.subscription_count_events ||
        channel->class.kind == PUSHERC_CHANNEL_PRESENCE ||
        channel->class.kind == PUSHERC_CHANNEL_USER)
        return;
    channel->count.newcomers |= joined;
    /* Workers' clocks differ a little, so told_ms may lie ahead of this worker's time. */
    if (worker->now_ms >= next_ms(channel))
        tell(worker, app, channel, posting);
    if (!all_know(channel) && !channel->count.timer_set)
        channel->count.timer_set =
            pc_channel_timer_start(worker, app, channel, next_ms(channel), on_interval) == 0;
}

void pc_count_elsewhere(struct pc_worker *worker, struct pc_app *app, struct pc_channel *channel,
                        uint64_t elsewhere, struct pc_posting *posting)
{
    if (channel->elsewhere == elsewhere)
        return;
    channel->elsewhere = elsewhere;
    if (channel->subscriptions > 0)
        pc_count_changed(worker, app, channel, false, posting);
}
