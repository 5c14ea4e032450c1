/*
 * The app's rates for backends. A request that exceeds a rate gets 429, and is counted twice: as a check of that rate
 * and as one of the app's refusals.
 */
#include "api/call.h"

/* What is left of the rate after a refusal. */
static uint32_t rate_left(struct pc_app *app, const struct pc_rate *rate, uint32_t per_s)
{
    pthread_mutex_lock(&app->state->mutex);
    uint32_t left = per_s > rate->used ? per_s - rate->used : 0;
    pthread_mutex_unlock(&app->state->mutex);
    return left;
}

static void count_check(const struct pc_api_call *call, enum pc_app_setting rate)
{
    struct pc_app_stats *stats = pc_app_stats(call->app, call->request->worker->index);
    pc_stat_add(&stats->rate_checks[rate - PC_APP_max_client_events_per_s], 1);
}

bool pc_api_take_events(struct pc_api_call *call, uint32_t count)
{
    struct pc_app *app = call->app;
    uint32_t limit = app->options.max_backend_events_per_s;
    if (limit == PUSHERC_NO_LIMIT)
        return true;
    count_check(call, PC_APP_max_backend_events_per_s);
    if (pc_app_take_events(app, count, call->request->worker->now_ms))
        return true;
    pc_app_limited(app, PC_APP_max_backend_events_per_s);
    pc_api_too_many(call->reply, limit, rate_left(app, &app->state->backend_events, limit));
    return false;
}

bool pc_api_take_read(struct pc_api_call *call)
{
    struct pc_app *app = call->app;
    uint32_t limit = app->options.max_read_requests_per_s;
    if (limit == PUSHERC_NO_LIMIT)
        return true;
    count_check(call, PC_APP_max_read_requests_per_s);
    if (pc_app_take_read(app, call->request->worker->now_ms))
        return true;
    pc_app_limited(app, PC_APP_max_read_requests_per_s);
    pc_api_too_many(call->reply, limit, rate_left(app, &app->state->read_requests, limit));
    return false;
}
