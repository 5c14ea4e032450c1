/*
 * Pages hear by the link whatever server they came to; what they are shown first, and what they ask for while they cannot
 * hear, comes from the memory of theirs. Events would fill it as well, but one that is lost would be missed for ever, and a
 * server that starts later would know nothing. So the database is asked, a tenth of the gateways each time.
 */
#include "follow.h"

#include <stdlib.h>
#include <string.h>

#include "common/say.h"
#include "common/store.h"
#include "fleet.h"

#define TICK_MS  100
#define TICKS    10   /* of a round: each gateway is looked at once a second */
#define OWN_MS   5000 /* polled by this server so lately: its own memory is newer */
#define LOOKS_MS 600000

struct follower {
    uv_timer_t timer;
    size_t tick;
};

static enum quality quality_of(const char *name)
{
    return strcmp(name, "bad") == 0         ? QUALITY_BAD
           : strcmp(name, "uncertain") == 0 ? QUALITY_UNCERTAIN
                                            : QUALITY_GOOD;
}

static void take_reading(struct monitor *monitor, const struct gateway *gateway, const cJSON *row)
{
    for (size_t i = 0; i < gateway->point_count; i++) {
        struct point *point = &monitor->points[gateway->first_point + i];
        if (point->id != row_int(row, "point_id"))
            continue;
        point->value = cJSON_GetNumberValue(cJSON_GetObjectItem(row, "scaled_value"));
        point->quality = quality_of(row_text(row, "quality"));
        point->read_at_ms = row_int(row, "read_at_ms");
        fleet_add_sample(monitor, point, point->read_at_ms, point->value);
    }
}

static void look_at(struct monitor *monitor, struct gateway *gateway, int64_t now)
{
    struct store *store = monitor->program->store;
    int64_t since = gateway->followed_ms ? gateway->followed_ms : now - LOOKS_MS;
    cJSON *rows = store_rows(store,
                             "SELECT data_point_id point_id, read_at_ms, scaled_value, quality"
                             " FROM readings WHERE gateway_id = ? AND read_at_ms > ?"
                             " ORDER BY read_at_ms",
                             VALUES(INT(gateway->id), INT(since)));
    cJSON *state = store_row(store,
                             "SELECT active, success_count, failure_count, last_seen_ms"
                             " FROM gateways WHERE id = ?",
                             VALUES(INT(gateway->id)));
    const cJSON *row;
    cJSON_ArrayForEach(row, rows)
    {
        take_reading(monitor, gateway, row);
        gateway->followed_ms = row_int(row, "read_at_ms");
    }
    if (state) {
        int64_t seen_ms = row_int(state, "last_seen_ms");
        gateway->active = row_int(state, "active") == 1;
        gateway->success_count = row_int(state, "success_count");
        gateway->failure_count = row_int(state, "failure_count");
        gateway->last_seen_ms = seen_ms > gateway->followed_ms ? seen_ms : gateway->followed_ms;
    }
    cJSON_Delete(state);
    cJSON_Delete(rows);
}

static void load_added(struct monitor *monitor)
{
    int64_t last = monitor->gateway_count ? monitor->gateways[monitor->gateway_count - 1].id : 0;
    if (store_has(monitor->program->store, "SELECT 1 FROM gateways WHERE id > ?",
                  VALUES(INT(last))))
        fleet_load(monitor, 0);
}

static void on_tick(uv_timer_t *timer)
{
    struct monitor *monitor = timer->data;
    int64_t now = now_ms();
    if (monitor->program->ending)
        return;
    size_t first = monitor->follower->tick++ % TICKS;
    if (first == 0)
        load_added(monitor);
    for (size_t i = first; i < monitor->gateway_count; i += TICKS) {
        struct gateway *gateway = &monitor->gateways[i];
        if (now - gateway->polled_ms < OWN_MS)
            gateway->followed_ms = now;
        else
            look_at(monitor, gateway, now);
    }
}

void follow_begin(struct monitor *monitor)
{
    struct follower *follower = calloc(1, sizeof *follower);
    if (!follower) {
        say("no memory to follow other servers");
        return;
    }
    for (size_t i = 0; i < monitor->gateway_count; i++)
        monitor->gateways[i].followed_ms = now_ms(); /* fleet_load() has read what was before */
    uv_timer_init(monitor->program->loop, &follower->timer);
    follower->timer.data = monitor;
    uv_timer_start(&follower->timer, on_tick, TICK_MS, TICK_MS);
    monitor->follower = follower;
}

static void closed(uv_handle_t *handle)
{
    struct monitor *monitor = handle->data;
    free(monitor->follower);
    monitor->follower = NULL;
}

void follow_end(struct monitor *monitor)
{
    if (monitor->follower)
        uv_close((uv_handle_t *)&monitor->follower->timer, closed);
}
