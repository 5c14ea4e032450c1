#include "common/change.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "common/program.h"
#include "common/publish.h"

void change_begin(struct change *change, struct program *program, int64_t user_id,
                  const pusherc_http_request *request)
{
    *change =
        (struct change){.program = program, .user_id = user_id, .events = cJSON_CreateArray()};
    if (request)
        change->except = http_socket_id(request);
    change->failed = program->write_failed =
        store_run(program->store, "BEGIN IMMEDIATE", NO_VALUES) != 0;
}

void change_to(struct change *change, const char *format, ...)
{
    if (change->channel_count == CHANGE_CHANNELS) {
        change->failed = true;
        return;
    }
    va_list values;
    va_start(values, format);
    vsnprintf(change->channels[change->channel_count++], CHANGE_CHANNEL_BYTES, format, values);
    va_end(values);
}

void change_to_none(struct change *change)
{
    change->channel_count = 0;
}

struct store_value change_user(const struct change *change)
{
    return change->user_id ? INT(change->user_id) : NOTHING;
}

void change_run(struct change *change, const char *sql, const struct store_value *values,
                size_t count)
{
    if (!change->failed)
        change->failed = change->program->write_failed =
            store_run(change->program->store, sql, values, count) != 0;
}

int64_t change_new_id(struct change *change)
{
    cJSON *row = store_row(change->program->store, "SELECT last_insert_rowid() id", NO_VALUES);
    int64_t id = row_int(row, "id");
    cJSON_Delete(row);
    return id;
}

/* Takes `data`. */
static void add_event(struct change *change, const char *name, cJSON *data)
{
    const struct program_spec *spec = change->program->spec;
    char id[40];
    snprintf(id, sizeof id, "%s-%" PRIu64, change->program->start_id,
             change->program->last_event++);
    cJSON_AddStringToObject(data, spec->event_id_name ? spec->event_id_name : "id", id);
    cJSON_AddNumberToObject(data, "v", spec->payload_version);
    if (change->revision)
        cJSON_AddNumberToObject(data, "revision", (double)change->revision);
    cJSON *event = cJSON_CreateObject();
    cJSON_AddStringToObject(event, "name", name);
    cJSON_AddItemToObject(event, "data", data);
    cJSON *channels = cJSON_AddArrayToObject(event, "channels");
    for (size_t i = 0; i < change->channel_count; i++)
        cJSON_AddItemToArray(channels, cJSON_CreateString(change->channels[i]));
    cJSON_AddItemToArray(change->events, event);
}

void change_tell(struct change *change, const char *name, const char *sql,
                 const struct store_value *values, size_t count)
{
    cJSON *rows = change->failed ? NULL : store_rows(change->program->store, sql, values, count);
    change->failed = !rows;
    while (rows && rows->child)
        add_event(change, name, cJSON_DetachItemFromArray(rows, 0));
    cJSON_Delete(rows);
}

static void commit(struct change *change)
{
    struct store *store = change->program->store;
    if (!change->failed && !change->nothing) {
        change->written = publish_store(change->program, change->events, change->except) == 0 &&
                          store_run(store, "COMMIT", NO_VALUES) == 0;
        change->program->write_failed = !change->written;
    }
    if (!change->written)
        store_run(store, "ROLLBACK", NO_VALUES);
}

int change_write(struct change *change)
{
    if (!change->ended)
        commit(change);
    change->ended = true;
    return change->written || (change->nothing && !change->failed) ? 0 : -1;
}

void change_end_then(struct change *change, change_then_fn then, void *user_data)
{
    bool done = change_write(change) == 0;
    bool waits = change->written &&
                 publish(change->program, change->events, change->except, then, user_data);
    cJSON_Delete(change->events);
    change->events = NULL;
    if (!waits && then)
        then(done ? 0 : -1, user_data);
}

static void keep_status(int status, void *user_data)
{
    *(int *)user_data = status;
}

int change_end(struct change *change)
{
    int status = -1;
    bool now = change->program->now;
    change->program->now = false;
    change_end_then(change, keep_status, &status);
    change->program->now = now;
    return status;
}
