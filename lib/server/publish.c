/* Publishing from the host's own code (pusherc/publish.h). */
#include <pusherc/publish.h>

#include "base/clock.h"
#include "fanout/publish.h"
#include "server/server.h"

static struct pc_publication publication_of(const pusherc_event *event)
{
    return (struct pc_publication){.event = event->name,
                                   .channels = event->channels,
                                   .channel_count = event->channels ? event->channel_count : 0,
                                   .data = event->data,
                                   .cacheable = true,
                                   .now_ms = pc_clock_us() / 1000,
                                   .except = event->except};
}

int pusherc_publish_batch(pusherc_server *server, const char *app_id, const pusherc_event *events,
                          size_t count)
{
    int rc;
    if (!events || count == 0 || count > PUSHERC_MAX_EVENTS_PER_BATCH)
        return PUSHERC_EINVAL;
    struct pc_app *app = pc_server_app(server, app_id, &rc);
    if (!app)
        return rc;
    if (!pc_server_runs(server))
        rc = PUSHERC_ESTATE;
    for (size_t i = 0; rc == 0 && i < count; i++) {
        struct pc_publication p = publication_of(&events[i]);
        rc = events[i].struct_size == sizeof events[i]
                 ? pc_publication_check(&server->engine, app, &p, NULL)
                 : PUSHERC_EINVAL;
    }
    for (size_t i = 0; rc == 0 && i < count; i++) {
        struct pc_publication p = publication_of(&events[i]);
        rc = pc_publish(&server->engine, app, &p);
    }
    pc_app_unref(app);
    return rc;
}

int pusherc_publish(pusherc_server *server, const char *app_id, const pusherc_event *event)
{
    return pusherc_publish_batch(server, app_id, event, 1);
}

int pusherc_send_to_user(pusherc_server *server, const char *app_id, pusherc_slice user_id,
                         pusherc_slice name, pusherc_slice data)
{
    static const pusherc_slice prefix = PUSHERC_LIT(PC_USER_CHANNEL);
    char channel[PC_ANY_CHANNEL_NAME_MAX];
    if (!pc_user_id_valid(user_id))
        return PUSHERC_EINVAL;
    memcpy(channel, prefix.ptr, prefix.len);
    memcpy(channel + prefix.len, user_id.ptr, user_id.len);
    pusherc_slice channels[] = {{channel, prefix.len + user_id.len}};
    pusherc_event event = {.struct_size = sizeof event,
                           .name = name,
                           .channels = channels,
                           .channel_count = 1,
                           .data = data};
    return pusherc_publish(server, app_id, &event);
}
