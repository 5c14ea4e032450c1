#include "events.h"

#include <inttypes.h>
#include <stdio.h>

#include <pusherc/pusherc.h>

#include "site.h"
#include "store.h"

#define PAYLOAD_VERSION 1 /* pages that know another one load themselves again */

/* A page that misses an event catches up when it next connects, so a failure is logged and not more. */
static void publish(struct site *site, int64_t organization_id, const char *name, const cJSON *data)
{
    char channel_name[48];
    snprintf(channel_name, sizeof channel_name, "organization.%" PRId64, organization_id);
    pusherc_slice channel = pusherc_slice_of(channel_name);
    char *text = cJSON_PrintUnformatted(data);
    int status = PUSHERC_ENOMEM;
    if (text) {
        pusherc_event event = PUSHERC_EVENT_INIT;
        event.name = pusherc_slice_of(name);
        event.channels = &channel;
        event.channel_count = 1;
        event.data = pusherc_slice_of(text);
        status = pusherc_publish(site->server, SITE_APP_ID, &event);
    }
    if (status != 0)
        fprintf(stderr, "status-page: %s: not published: %s\n", name, pusherc_strerror(status));
    cJSON_free(text);
}

/* Small: what a page needs to say something at once. For the rest it asks. */
void events_status_changed(struct site *site, const cJSON *change)
{
    cJSON *data = cJSON_CreateObject();
    cJSON_AddNumberToObject(data, "v", PAYLOAD_VERSION);
    cJSON_AddNumberToObject(data, "revision", (double)row_int(change, "revision"));
    cJSON_AddNumberToObject(data, "service_id", (double)row_int(change, "service_id"));
    cJSON_AddStringToObject(data, "old_status", row_text(change, "old_status"));
    cJSON_AddStringToObject(data, "new_status", row_text(change, "new_status"));
    cJSON_AddStringToObject(data, "message", row_text(change, "message"));
    cJSON_AddStringToObject(data, "timestamp", row_text(change, "at"));
    publish(site, row_int(change, "organization_id"), "service.status.changed", data);
    cJSON_Delete(data);
}
