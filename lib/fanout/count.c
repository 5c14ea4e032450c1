#include "fanout/count.h"

#include "fanout/channel_timer.h"
#include "protocol/message_out.h"

static void tell(struct pc_worker *worker, struct pc_app *app, struct pc_channel *channel,
                 struct pc_posting *posting)
{
    struct pc_engine *engine = worker->engine;
    char stack[512];
    struct pc_buf message;
    struct pc_notice notice = {.kind = PUSHERC_WEBHOOK_SUBSCRIPTION_COUNT,
                               .app = app,
                               .channel = channel->name,
                               .subscription_count = channel->subscriptions};
    pc_buf_init_in(&message, &engine->mem, SIZE_MAX, stack, sizeof stack);
    pc_out_subscription_count(&message, channel->name, channel->subscriptions);
    int err = pc_buf_status(&message);
    if (err == 0)
        err = pc_post_message(engine, channel, pc_buf_slice(&message), posting);
    pc_buf_free(&message);
    if (err == 0) {
        channel->count.told = (uint32_t)channel->subscriptions;
        channel->count.told_ms = worker->now_ms;
    }
    pc_posting_note(engine, &notice, posting);
}

static void on_interval(struct pc_worker *worker, struct pc_app *app, struct pc_channel *channel,
                        struct pc_posting *posting)
{
    channel->count.timer_set = false;
    if (channel->count.told != channel->subscriptions)
        tell(worker, app, channel, posting);
}

void pc_count_changed(struct pc_worker *worker, struct pc_app *app, struct pc_channel *channel,
                      struct pc_posting *posting)
{
    if (!app->options.subscription_count_events ||
        channel->class.kind == PUSHERC_CHANNEL_PRESENCE ||
        channel->class.kind == PUSHERC_CHANNEL_USER)
        return;
    /* Workers' clocks differ a little, so told_ms may lie ahead of this worker's time. */
    uint64_t next_ms = channel->count.told_ms + PC_COUNT_INTERVAL_MS;
    if (channel->subscriptions <= PC_COUNT_FREELY || worker->now_ms >= next_ms)
        tell(worker, app, channel, posting);
    else if (!channel->count.timer_set)
        channel->count.timer_set =
            pc_channel_timer_start(worker, app, channel, next_ms, on_interval) == 0;
}
