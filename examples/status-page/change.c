#include "change.h"

#include <inttypes.h>
#include <stdio.h>

#include <pusherc/pusherc.h>

#include "site.h"

/* Pages that know another one load themselves again. 2: "service", "incident" and "maintenance" are objects; the
 * fields of version 1 stay beside them until version 3. */
#define PAYLOAD_VERSION 2

void change_begin(struct change *change, struct site *site, int64_t organization_id,
                  int64_t user_id)
{
    *change = (struct change){.site = site,
                              .organization_id = organization_id,
                              .user_id = user_id,
                              .events = cJSON_CreateArray()};
    change->failed = site->write_failed = store_run(site->store, "BEGIN IMMEDIATE", NO_VALUES) != 0;
    change_run(change, "UPDATE organizations SET revision = revision + 1 WHERE id = ?",
               VALUES(INT(organization_id)));
}

struct store_value change_user(const struct change *change)
{
    return change->user_id ? INT(change->user_id) : NOTHING;
}

void change_run(struct change *change, const char *sql, const struct store_value *values,
                size_t count)
{
    if (!change->failed)
        change->failed = change->site->write_failed =
            store_run(change->site->store, sql, values, count) != 0;
}

int64_t change_new_id(struct change *change)
{
    cJSON *row = store_row(change->site->store, "SELECT last_insert_rowid() id", NO_VALUES);
    int64_t id = row_int(row, "id");
    cJSON_Delete(row);
    return id;
}

void change_tell(struct change *change, const char *name, const char *sql,
                 const struct store_value *values, size_t count)
{
    cJSON *organization =
        store_row(change->site->store, "SELECT revision FROM organizations WHERE id = ?",
                  VALUES(INT(change->organization_id)));
    cJSON *rows = change->failed ? NULL : store_rows(change->site->store, sql, values, count);
    change->failed = !rows;
    while (rows && rows->child) {
        cJSON *data = cJSON_DetachItemFromArray(rows, 0);
        cJSON_AddNumberToObject(data, "v", PAYLOAD_VERSION);
        cJSON_AddNumberToObject(data, "revision", (double)row_int(organization, "revision"));
        cJSON *event = cJSON_CreateObject();
        cJSON_AddStringToObject(event, "name", name);
        cJSON_AddItemToObject(event, "data", data);
        cJSON_AddItemToArray(change->events, event);
    }
    cJSON_Delete(rows);
    cJSON_Delete(organization);
}

/* A page that misses an event catches up when it next connects, so a failure is logged and not more. */
static void publish(struct site *site, int64_t organization_id, const char *name, const char *data)
{
    char channel_name[48];
    snprintf(channel_name, sizeof channel_name, "organization.%" PRId64, organization_id);
    pusherc_slice channel = pusherc_slice_of(channel_name);
    pusherc_event event = PUSHERC_EVENT_INIT;
    event.name = pusherc_slice_of(name);
    event.channels = &channel;
    event.channel_count = 1;
    event.data = pusherc_slice_of(data);
    int status = data ? pusherc_publish(site->server, SITE_APP_ID, &event) : PUSHERC_ENOMEM;
    site->publish_failed = status != 0;
    if (status != 0)
        fprintf(stderr, "status-page: %s: not published: %s\n", name, pusherc_strerror(status));
    else if (site->trace)
        fprintf(stderr, "broadcast: %s %s %s\n", channel_name, name, data);
}

int change_end(struct change *change)
{
    struct store *store = change->site->store;
    bool written = false;
    if (!change->failed && !change->nothing) {
        written = store_run(store, "COMMIT", NO_VALUES) == 0;
        change->site->write_failed = !written;
    }
    if (!written)
        store_run(store, "ROLLBACK", NO_VALUES);
    const cJSON *event;
    cJSON_ArrayForEach(event, change->events)
    {
        char *data = cJSON_PrintUnformatted(cJSON_GetObjectItem(event, "data"));
        if (written)
            publish(change->site, change->organization_id, row_text(event, "name"), data);
        cJSON_free(data);
    }
    cJSON_Delete(change->events);
    change->events = NULL;
    return written || (change->nothing && !change->failed) ? 0 : -1;
}
