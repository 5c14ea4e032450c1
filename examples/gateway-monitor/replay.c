#include "replay.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audience.h"
#include "common/fields.h"
#include "common/publish.h"
#include "common/say.h"
#include "fleet.h"

#define MAX_REPLAYS 32
#define TICK_MS     100
#define JOIN_MS     15000 /* the page subscribes within this time */

struct replay {
    int64_t id; /* 0: free */
    int64_t user_id, gateway_id;
    int64_t position_ms,
        to_ms; /* what was read after the one and up to the other is still to come */
    int64_t speed;
    int64_t made_ms;
    bool joined;
};

struct replays {
    uv_timer_t timer;
    struct replay items[MAX_REPLAYS];
    int64_t last_id;
};

size_t replay_bytes(void)
{
    return sizeof(struct replays);
}

int64_t replay_owner(const struct monitor *monitor, int64_t id)
{
    for (size_t i = 0; id && i < MAX_REPLAYS; i++) {
        if (monitor->replays->items[i].id == id)
            return monitor->replays->items[i].user_id;
    }
    return 0;
}

static void tell(struct monitor *monitor, const struct replay *replay, const char *name,
                 cJSON *data)
{
    char channel[48];
    cJSON *events = cJSON_CreateArray();
    cJSON *event = cJSON_CreateObject();
    cJSON_AddItemToArray(events, event);
    snprintf(channel, sizeof channel, "private-replay.%" PRId64, replay->id);
    cJSON_AddStringToObject(event, "name", name);
    cJSON_AddItemToArray(cJSON_AddArrayToObject(event, "channels"), cJSON_CreateString(channel));
    cJSON_AddItemToObject(event, "data", data);
    publish(monitor->program, events, (pusherc_socket_id){0}, NULL, NULL);
    cJSON_Delete(events);
}

static void finish(struct monitor *monitor, struct replay *replay, const char *reason)
{
    cJSON *data = cJSON_CreateObject();
    cJSON_AddNumberToObject(data, "replay", (double)replay->id);
    cJSON_AddStringToObject(data, "reason", reason);
    tell(monitor, replay, "replay.ended", data);
    replay->id = 0;
}

static void play(struct monitor *monitor, struct replay *replay)
{
    int64_t until = replay->position_ms + replay->speed * TICK_MS;
    if (until > replay->to_ms)
        until = replay->to_ms;
    cJSON *rows = store_rows(
        monitor->program->store,
        "SELECT json_object('id', r.id, 'value', round(r.scaled_value, 2), 'quality', r.quality, "
        "'read_at',"
        " strftime('%Y-%m-%dT%H:%M:%fZ', r.read_at_ms / 1000.0, 'unixepoch')) \"json:reading\","
        " json_object('id', p.id, 'gateway_id', g.id, 'gateway', g.name, 'group', p.part, 'label', "
        "p.label,"
        " 'unit', p.unit) \"json:data_point\", json('true') \"json:replayed\","
        " strftime('%Y-%m-%dT%H:%M:%fZ') timestamp FROM readings r"
        " JOIN data_points p ON p.id = r.data_point_id JOIN gateways g ON g.id = r.gateway_id"
        " WHERE r.gateway_id = ? AND r.read_at_ms > ? AND r.read_at_ms <= ? ORDER BY r.read_at_ms, "
        "r.id "
        "LIMIT 2000",
        VALUES(INT(replay->gateway_id), INT(replay->position_ms), INT(until)));
    while (rows && rows->child)
        tell(monitor, replay, "reading.new", cJSON_DetachItemFromArray(rows, 0));
    cJSON_Delete(rows);
    replay->position_ms = until;
    if (until == replay->to_ms)
        finish(monitor, replay, "over");
}

static void go_on(struct monitor *monitor, struct replay *replay)
{
    char channel[48];
    pusherc_channel_info info = PUSHERC_CHANNEL_INFO_INIT;
    const struct program *program = monitor->program;
    snprintf(channel, sizeof channel, "private-replay.%" PRId64, replay->id);
    pusherc_get_channel(program->server, program->app_id, pusherc_slice_of(channel), &info);
    if (info.subscription_count > 0) {
        replay->joined = true;
        play(monitor, replay);
    } else if (replay->joined || now_ms() - replay->made_ms > JOIN_MS) {
        finish(monitor, replay, "left");
    }
}

static void on_tick(uv_timer_t *timer)
{
    struct monitor *monitor = timer->data;
    for (size_t i = 0; i < MAX_REPLAYS; i++) {
        if (monitor->replays->items[i].id)
            go_on(monitor, &monitor->replays->items[i]);
    }
}

void replay_begin(struct monitor *monitor)
{
    uv_timer_init(monitor->program->loop, &monitor->replays->timer);
    monitor->replays->timer.data = monitor;
    uv_timer_start(&monitor->replays->timer, on_tick, TICK_MS, TICK_MS);
}

void replay_end(struct monitor *monitor)
{
    uv_close((uv_handle_t *)&monitor->replays->timer, NULL);
}

/* The user's, else one that is free; NULL: none is. */
static struct replay *place_for(struct monitor *monitor, int64_t user_id)
{
    struct replay *free_one = NULL;
    for (size_t i = 0; i < MAX_REPLAYS; i++) {
        struct replay *replay = &monitor->replays->items[i];
        if (replay->id && replay->user_id == user_id)
            return replay;
        if (!replay->id && !free_one)
            free_one = replay;
    }
    return free_one;
}

static int64_t number(const pusherc_http_request *request, const char *name)
{
    char text[24];
    field_line(text, sizeof text, request, name);
    return strtoll(text, NULL, 10);
}

/* The gateway, if the user may see it and write; else NULL, and the request is answered. */
static const struct gateway *find(struct program *program, pusherc_http_request *request,
                                  const struct http_params *params, struct session *session)
{
    struct audience audience;
    audience_of(program, request, session, &audience);
    if (session_may_write(session, request))
        return audience_gateway(program, request, params, &audience);
    http_send_error(request, session->user_id ? 403 : 401, "Please sign in.");
    return NULL;
}

void replay_start(struct program *program, pusherc_http_request *request,
                  const struct http_params *params)
{
    struct monitor *monitor = monitor_of(program);
    struct session session;
    const struct gateway *gateway = find(program, request, params, &session);
    if (!gateway)
        return;
    struct replay wanted = {.id = ++monitor->replays->last_id,
                            .user_id = session.user_id,
                            .gateway_id = gateway->id,
                            .position_ms = number(request, "from"),
                            .to_ms = number(request, "to"),
                            .speed = number(request, "speed"),
                            .made_ms = now_ms()};
    if (wanted.to_ms > wanted.made_ms)
        wanted.to_ms = wanted.made_ms;
    if (wanted.speed < 1 || wanted.speed > 600 || wanted.position_ms >= wanted.to_ms) {
        http_send_error(request, 422,
                        "Say from and to in milliseconds since 1970, and a speed from 1 to 600.");
        return;
    }
    struct replay *place = place_for(monitor, session.user_id);
    if (!place) {
        http_send_wait(request, 10, "There are too many replays. Please wait a moment.");
        return;
    }
    if (place->id)
        finish(monitor, place, "replaced");
    *place = wanted;
    cJSON *answer = cJSON_CreateObject();
    cJSON_AddNumberToObject(answer, "replay", (double)wanted.id);
    cJSON_AddNumberToObject(answer, "from", (double)wanted.position_ms);
    cJSON_AddNumberToObject(answer, "to", (double)wanted.to_ms);
    http_send_json(request, 201, answer);
    cJSON_Delete(answer);
}

void replay_stop(struct program *program, pusherc_http_request *request,
                 const struct http_params *params)
{
    struct monitor *monitor = monitor_of(program);
    struct session session;
    if (!find(program, request, params, &session))
        return;
    struct replay *replay = place_for(monitor, session.user_id);
    if (replay && replay->id)
        finish(monitor, replay, "stopped");
    http_send(request, &(struct http_answer){.status = 204});
}
