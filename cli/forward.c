#include "forward.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "text.h"

#define TELL_AGAIN_S 10

/* Says so at once, and then at most once in ten seconds. */
static void tell_refused(struct cli_forward *forward, int err)
{
    struct timespec now;
    uint64_t refused = atomic_fetch_add(&forward->refused, 1) + 1;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    int64_t told_s = atomic_load(&forward->told_s), now_s = now.tv_sec;
    if (told_s && now_s < told_s + TELL_AGAIN_S)
        return;
    if (atomic_compare_exchange_strong(&forward->told_s, &told_s, now_s ? now_s : 1))
        (void)fprintf(stderr, "pusherc: %llu events were not forwarded so far: %s\n",
                      (unsigned long long)refused, pusherc_strerror(err));
}

void cli_forward_event(struct cli_forward *forward, const pusherc_incoming *event)
{
    pusherc_slice channels[PUSHERC_MAX_CHANNELS_PER_EVENT];
    pusherc_slice app_id = pusherc_incoming_app_id(event);
    pusherc_event out = PUSHERC_EVENT_INIT;

    if (app_id.len != strlen(forward->app_id) ||
        memcmp(app_id.ptr, forward->app_id, app_id.len) != 0)
        return;
    out.name = pusherc_incoming_name(event);
    out.data = pusherc_incoming_data(event);
    out.except = pusherc_incoming_except(event);
    out.channels = channels;
    out.channel_count = pusherc_incoming_channel_count(event);
    out.encrypted = true; /* if its channel is: by the publisher */
    for (size_t i = 0; i < out.channel_count; i++)
        channels[i] = pusherc_incoming_channel(event, i);
    int err = pusherc_broadcast(forward->broadcaster, &out, 1);
    if (err)
        tell_refused(forward, err);
}

int cli_forward_open(struct cli_forward *forward, const char *url, const char *app_id,
                     const pusherc_server_options *server, pusherc_errinfo *info)
{
    pusherc_broadcaster_options o = PUSHERC_BROADCASTER_OPTIONS_INIT;

    o.url = url;
    o.log_fn = server->log_fn;
    o.log_level = server->log_level;
    if (!cli_set_text(&forward->app_id, app_id))
        return PUSHERC_ENOMEM;
    return pusherc_broadcaster_new(&forward->broadcaster, &o, info);
}

void cli_forward_close(struct cli_forward *forward)
{
    pusherc_broadcaster_free(forward->broadcaster);
    forward->broadcaster = NULL;
    free(forward->app_id);
    forward->app_id = NULL;
}
