#include "poll.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "alerts.h"
#include "common/publish.h"
#include "fleet.h"

#define SAVE_EVERY_S 10
#define EVENT_BYTES  1024

int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void write_time(char out[TIME_BYTES], int64_t at_ms)
{
    time_t seconds = at_ms / 1000;
    struct tm parts = {0};
    gmtime_r(&seconds, &parts);
    size_t len = strftime(out, TIME_BYTES, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(out + len, TIME_BYTES - len, ".%03dZ", (int)(at_ms % 1000));
}

/* -- the status of a gateway -- */

static cJSON *describe_change(const struct gateway *gateway)
{
    char at[TIME_BYTES];
    cJSON *data = cJSON_CreateObject();
    cJSON_AddNumberToObject(data, "site", gateway->site); /* audience.c takes it out again */
    cJSON *changed = cJSON_AddObjectToObject(data, "gateway");
    cJSON_AddNumberToObject(changed, "id", (double)gateway->id);
    cJSON_AddStringToObject(changed, "name", gateway->name);
    cJSON_AddStringToObject(changed, "ip_address", gateway->ip_address);
    cJSON_AddNumberToObject(changed, "success_count", (double)gateway->success_count);
    cJSON_AddNumberToObject(changed, "failure_count", (double)gateway->failure_count);
    write_time(at, gateway->last_seen_ms);
    cJSON_AddItemToObject(changed, "last_seen_at",
                          gateway->last_seen_ms ? cJSON_CreateString(at) : cJSON_CreateNull());
    cJSON_AddStringToObject(data, "previous_status", gateway->active ? "inactive" : "active");
    cJSON_AddStringToObject(data, "current_status", gateway->active ? "active" : "inactive");
    write_time(at, now_ms());
    cJSON_AddStringToObject(data, "timestamp", at);
    return data;
}

/* By the writer, as all that polls lead to: this thread does not wait for the database. */
static void set_status(struct monitor *monitor, struct gateway *gateway, bool active)
{
    char channel[32];
    gateway->active = active;
    writer_put(
        monitor->writer,
        "UPDATE gateways SET active = ?, success_count = ?, failure_count = ?, last_seen_ms = ?"
        " WHERE id = ?",
        VALUES(INT(active), INT(gateway->success_count), INT(gateway->failure_count),
               INT(gateway->last_seen_ms), INT(gateway->id)));
    snprintf(channel, sizeof channel, "gateway.%" PRId64, gateway->id);
    cJSON *events = cJSON_CreateArray();
    cJSON *event = cJSON_CreateObject();
    cJSON_AddItemToArray(events, event);
    cJSON_AddStringToObject(event, "name", "gateway.status-changed");
    cJSON *channels = cJSON_AddArrayToObject(event, "channels");
    cJSON_AddItemToArray(channels, cJSON_CreateString("gateways"));
    cJSON_AddItemToArray(channels, cJSON_CreateString(channel));
    cJSON_AddItemToObject(event, "data", describe_change(gateway));
    publish(monitor->program, events, (pusherc_socket_id){0}, NULL, NULL);
    cJSON_Delete(events);
}

/* -- a reading -- */

struct announcement {
    char batch[MAX_POINTS][EVENT_BYTES], single[MAX_POINTS][EVENT_BYTES];
    char channel[32];
    pusherc_slice names[2]; /* readings, and the gateway's channel */
    pusherc_event events[2 * MAX_POINTS];
    size_t count;
};

static void begin_announcement(struct announcement *all, const struct gateway *gateway)
{
    snprintf(all->channel, sizeof all->channel, "gateway.%" PRId64, gateway->id);
    all->names[0] = (pusherc_slice)PUSHERC_LIT("readings");
    all->names[1] = pusherc_slice_of(all->channel);
    all->count = 0;
}

static void add_event(struct announcement *all, const char *name, const char *data, size_t channels)
{
    pusherc_event *event = &all->events[all->count++];
    *event = (pusherc_event)PUSHERC_EVENT_INIT;
    event->name = pusherc_slice_of(name);
    event->channels = all->names;
    event->channel_count = channels;
    event->data = pusherc_slice_of(data);
}

/* A reading by itself, for the gateway's channel and for pages that want the newest one; and as a part of a batch, which
 * the library makes (main.c has its rules). The site comes first: audience.c takes it out again. */
static void announce(struct announcement *all, const struct gateway *gateway,
                     const struct point *point, int64_t reading_id)
{
    char at[TIME_BYTES], text[EVENT_BYTES - 64];
    size_t nth = all->count / 2;
    write_time(at, point->read_at_ms);
    int len = snprintf(text, sizeof text,
                       "{\"site\":%u,\"reading\":{\"id\":%" PRId64
                       ",\"value\":%.2f,\"quality\":\"%s\",\"read_at\":\"%s\"},%s}",
                       gateway->site, reading_id, point->value, quality_name(point->quality), at,
                       point->json);
    if (len < 0 || (size_t)len >= sizeof text)
        return;
    memcpy(all->batch[nth], text, (size_t)len + 1);
    snprintf(all->single[nth], EVENT_BYTES, "%.*s,\"timestamp\":\"%s\"}", len - 1, text, at);
    add_event(all, "reading.batch", all->batch[nth], 1);
    add_event(all, "reading.new", all->single[nth], 2);
}

/* Processor time of this thread: what else the machine does is not the broadcaster's. */
static double cpu_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* The polls of one turn of the loop are a round. */
static void note_publish_time(struct monitor *monitor, double took_ms)
{
    const uint64_t turn_ms = uv_now(monitor->program->loop);
    if (turn_ms != monitor->round_ms)
        monitor->publish_ms = 0;
    monitor->round_ms = turn_ms;
    monitor->publish_ms += took_ms;
    monitor->publish_ms_max = fmax(monitor->publish_ms_max, monitor->publish_ms);
}

/* Events of a poll, in one call: it returns when they are in the queue, whatever becomes of them. There a newer value of a
 * point takes the place of the one that waits (main.c has the rules). */
static void send_announcement(struct monitor *monitor, const struct announcement *all)
{
    struct program *program = monitor->program;
    if (all->count == 0 || !program->broadcaster)
        return;
    const double begin_ms = cpu_ms();
    if (pusherc_broadcast(program->broadcaster, all->events, all->count) != 0)
        program->publish_failed = true;
    note_publish_time(monitor, cpu_ms() - begin_ms);
}

static void store_reading(struct monitor *monitor, const struct gateway *gateway,
                          const struct point *point, int64_t id)
{
    char registers[32];
    int scaled = (int)lround(point->value * 100);
    snprintf(registers, sizeof registers, "[%d,%d]", scaled >> 16 & 0xffff, scaled & 0xffff);
    writer_put(
        monitor->writer,
        "INSERT OR REPLACE INTO readings (gateway_id, read_at_ms, data_point_id, id, raw_value,"
        " scaled_value, quality) VALUES (?, ?, ?, ?, ?, ?, ?)",
        VALUES(INT(gateway->id), INT(point->read_at_ms), INT(point->id), INT(id), TEXT(registers),
               REAL(point->value), TEXT(quality_name(point->quality))));
}

static void add_to_minute(struct monitor *monitor, const struct gateway *gateway,
                          struct point *point)
{
    int64_t number = point->read_at_ms / 60000;
    if (point->minute.count && point->minute.number != number) {
        writer_put(monitor->writer, "INSERT OR REPLACE INTO minutes VALUES (?, ?, ?, ?, ?, ?)",
                   VALUES(INT(gateway->id), INT(point->minute.number * 60000), INT(point->id),
                          REAL(point->minute.low), REAL(point->minute.high),
                          REAL(point->minute.sum / point->minute.count)));
        point->minute.count = 0;
    }
    if (point->minute.count == 0) {
        point->minute.number = number;
        point->minute.low = point->minute.high = point->value;
        point->minute.sum = 0;
    }
    point->minute.low = fmin(point->minute.low, point->value);
    point->minute.high = fmax(point->minute.high, point->value);
    point->minute.sum += point->value;
    point->minute.count++;
}

/* True if pages have to hear of it: it left the dead band, or they have not heard for long. */
static bool is_news(const struct monitor *monitor, const struct point *point)
{
    return monitor->every_value || point->quality != point->sent_quality ||
           fabs(point->value - point->sent_value) > point->dead_band ||
           point->read_at_ms - point->sent_at_ms >= monitor->full_picture_ms;
}

static void take_reading(struct monitor *monitor, struct announcement *all,
                         const struct gateway *gateway, struct point *point,
                         const struct measured *measured, int64_t now)
{
    point->value = measured->value;
    point->quality = measured->quality;
    point->read_at_ms = now;
    fleet_add_sample(monitor, point, now, point->value);
    add_to_minute(monitor, gateway, point);
    alerts_check(monitor, point);
    if (!is_news(monitor, point)) {
        monitor->unchanged++;
        return;
    }
    point->sent_value = point->value;
    point->sent_quality = point->quality;
    point->sent_at_ms = now;
    monitor->announced++;
    store_reading(monitor, gateway, point, ++monitor->last_reading_id);
    announce(all, gateway, point, monitor->last_reading_id);
}

void poll_ended(struct monitor *monitor, struct gateway *gateway, const struct measured *measured)
{
    struct announcement all;
    int64_t now = now_ms();
    monitor->polls++;
    gateway->polled_ms = now;
    if (!measured) {
        gateway->failure_count++;
        if (++gateway->failed_in_a_row == FAILURES_UNTIL_INACTIVE && gateway->active)
            set_status(monitor, gateway, false);
        return;
    }
    gateway->success_count++;
    gateway->failed_in_a_row = 0;
    /* A reading is known by its time: two polls within a millisecond get two. */
    if (now <= gateway->last_seen_ms && gateway->last_seen_ms - now < 1000)
        now = gateway->last_seen_ms + 1;
    gateway->last_seen_ms = now;
    if (!gateway->active)
        set_status(monitor, gateway, true);
    begin_announcement(&all, gateway);
    for (size_t i = 0; i < gateway->point_count; i++)
        take_reading(monitor, &all, gateway, &monitor->points[gateway->first_point + i],
                     &measured[i], now);
    send_announcement(monitor, &all);
}

/* -- each second -- */

/* Raw readings of a day, minutes of a month. */
static void forget_old(struct monitor *monitor, const struct gateway *gateway, int64_t now)
{
    writer_put(monitor->writer, "DELETE FROM readings WHERE gateway_id = ? AND read_at_ms < ?",
               VALUES(INT(gateway->id), INT(now - INT64_C(86400000))));
    writer_put(monitor->writer, "DELETE FROM minutes WHERE gateway_id = ? AND at_ms < ?",
               VALUES(INT(gateway->id), INT(now - INT64_C(31) * 86400000)));
}

void poll_tick(struct monitor *monitor)
{
    if (!monitor->writer)
        return;
    int64_t now = now_ms();
    if (monitor->follower && monitor->ticks % SAVE_EVERY_S == 0)
        fleet_save(monitor); /* for the others */
    /* Some gateways each second, all of them in some minutes; and all of them at the start. */
    bool first = monitor->ticks++ == 0;
    for (size_t i = first ? 0 : (size_t)(now / 1000) % 300; i < monitor->gateway_count;
         i += first ? 1 : 300)
        forget_old(monitor, &monitor->gateways[i], now);
}
