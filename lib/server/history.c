/* The past of channels for the host: pusherc/history.h. */
#include <pusherc/history.h>

#include "base/clock.h"
#include "channel/history.h"
#include "server/server.h"

static void put_item(struct pc_buf *items, const struct pc_past *past, uint64_t now_ms)
{
    const pusherc_past_event item = {.struct_size = sizeof item,
                                     .name = past->event,
                                     .data = past->data,
                                     .age_ms = now_ms > past->at_ms ? now_ms - past->at_ms : 0};
    pc_buf_put(items, pc_slice((const char *)&item, sizeof item));
}

/* The texts stay where they are while `events` counts them; only the ids are made here. */
static int copy_events(const struct pc_directory *dir, const struct pc_past_events *events,
                       uint64_t after, uint64_t now_ms, struct pc_buf *items, struct pc_buf *ids)
{
    for (const struct pc_past *p = pc_past_next(events, NULL); p; p = pc_past_next(events, p)) {
        char id[PC_POSITION_LEN];
        if (p->number <= after)
            continue;
        pc_position_put(id, dir, p->number);
        pc_buf_put(ids, pc_slice(id, sizeof id));
        put_item(items, p, now_ms);
    }
    int err = pc_buf_status(items) ? pc_buf_status(items) : pc_buf_status(ids);
    pusherc_past_event *all = (pusherc_past_event *)(void *)items->ptr;
    for (size_t i = 0; err == 0 && i < items->len / sizeof *all; i++)
        all[i].id = pc_slice(ids->ptr + i * PC_POSITION_LEN, PC_POSITION_LEN);
    return err;
}

static int hand_over(pusherc_server *server, const struct pc_app *app, pusherc_slice channel,
                     pusherc_slice after_id, pusherc_history_fn done, void *user_data)
{
    struct pc_directory *dir = &server->engine.directory;
    const uint64_t now_ms = pc_clock_us() / 1000;
    struct pc_past_events events;
    struct pc_buf items, ids;
    char position[PC_POSITION_LEN];
    uint64_t after;
    pc_buf_init(&items, &server->engine.mem, SIZE_MAX);
    pc_buf_init(&ids, &server->engine.mem, SIZE_MAX);
    pc_history_look(dir, app->state, channel, now_ms, &events);
    const bool complete = pc_past_events_after(&events, dir, after_id, &after);
    int err = copy_events(dir, &events, after, now_ms, &items, &ids);
    pc_position_put(position, dir, events.number);
    if (err == 0)
        done((const pusherc_past_event *)(void *)items.ptr, items.len / sizeof(pusherc_past_event),
             complete, pc_slice(position, sizeof position), user_data);
    pc_past_events_free(&events);
    pc_buf_free(&items);
    pc_buf_free(&ids);
    return err;
}

int pusherc_history(pusherc_server *server, const char *app_id, pusherc_slice channel,
                    pusherc_slice after, pusherc_history_fn done, void *user_data)
{
    int err;
    struct pc_channel_class class;
    if (!done || (after.len && !after.ptr) ||
        !pc_channel_name_valid(channel, PC_CHANNEL_NAME_MAX, &class))
        return PUSHERC_EINVAL;
    struct pc_app *app = pc_server_app(server, app_id, &err);
    if (!app)
        return err;
    err = pc_app_history(app, channel) ? hand_over(server, app, channel, after, done, user_data)
                                       : PUSHERC_ENOENT;
    pc_app_unref(app);
    return err;
}
