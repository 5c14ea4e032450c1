#include "common/publish.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "common/change.h"
#include "common/program.h"
#include "common/say.h"
#include "common/store.h"

#define MAX_URL 1024
#define NOW_MS  3000 /* so long an installer waits for a carrier that is slow */

/* Which family of names BROADCAST_CONNECTION, or else a key that is set, speaks of: "REVERB" or "PUSHER"; NULL = none. */
static const char *find_family(void)
{
    const char *driver = getenv("BROADCAST_CONNECTION");
    driver = driver ? driver : getenv("BROADCAST_DRIVER");
    if (driver && strcmp(driver, "pusher") == 0)
        return getenv("PUSHER_APP_KEY") ? "PUSHER" : NULL;
    return getenv("REVERB_APP_KEY") ? "REVERB" : getenv("PUSHER_APP_KEY") ? "PUSHER" : NULL;
}

/* False if it is not set, empty, or too long. */
static bool read_name(char *out, size_t out_bytes, const char *family, const char *what)
{
    char name[64];
    snprintf(name, sizeof name, "%s_APP_%s", family, what);
    const char *value = getenv(name);
    if (!value || !*value || strlen(value) >= out_bytes)
        return false;
    snprintf(out, out_bytes, "%s", value);
    return true;
}

void publish_read_app(struct program *program, char secret[129])
{
    unsigned char raw[32];
    const char *family = find_family();
    randombytes_buf(raw, sizeof raw);
    sodium_bin2hex(secret, 129, raw, sizeof raw);
    snprintf(program->app_id, sizeof program->app_id, "%s", program->spec->id);
    snprintf(program->app_key, sizeof program->app_key, "%s-key", program->spec->id);
    if (!family)
        return;
    read_name(program->app_id, sizeof program->app_id, family, "ID");
    read_name(program->app_key, sizeof program->app_key, family, "KEY");
    read_name(secret, 129, family, "SECRET");
}

/* Of the environment; "local" is this program's own server, which other programs have no name for. */
static const char *look_up(const char *name, void *user_data)
{
    const char *value = getenv(name);
    if (value && strcmp(name, "BROADCAST_CONNECTION") == 0 && strcmp(value, "local") == 0)
        return user_data;
    return value;
}

/* What carries events, in one word: a setting may hold a secret. */
static void name_driver(struct program *program, const char *url)
{
    const char *driver = getenv("BROADCAST_CONNECTION");
    driver = driver ? driver : getenv("BROADCAST_DRIVER");
    if (!driver || !*driver || strchr(driver, ':'))
        driver = url;
    snprintf(program->driver, sizeof program->driver, "%.*s", (int)strcspn(driver, ":"), driver);
}

/* Said once, until an event has been accepted again. */
static void note_failure(struct program *program, pusherc_slice name, pusherc_slice reason)
{
    pusherc_broadcast_stats stats = PUSHERC_BROADCAST_STATS_INIT;
    program_publishes(program); /* forgets an older failure, if events were accepted since */
    if (!program->publish_failed)
        say("%.*s: not published: %.*s", (int)name.len, name.ptr, (int)reason.len, reason.ptr);
    program->publish_failed = true;
    if (program->broadcaster && pusherc_broadcaster_stats(program->broadcaster, &stats) == 0)
        program->accepted = stats.accepted;
}

/* An event that was handed over has not been accepted by its carrier. */
static void on_failed(const pusherc_event *event, const pusherc_broadcast_result *result,
                      void *user_data)
{
    note_failure(user_data, event->name, result->reason);
}

/* QUEUE_CONNECTION, as Laravel has it. */
static int open_queue(struct program *program, pusherc_errinfo *info)
{
    const char *queue = getenv("QUEUE_CONNECTION");
    program->now = queue && strcmp(queue, "sync") == 0;
    if (!queue || strcmp(queue, "database") != 0)
        return 0;
    if (!program->kept) {
        say("QUEUE_CONNECTION=database wants --data FILE: events wait in memory");
        return 0;
    }
    pusherc_outbox_options options = PUSHERC_OUTBOX_OPTIONS_INIT;
    options.path = program->options->data;
    options.broadcaster = program->broadcaster;
    return pusherc_outbox_new(&program->outbox, &options, info);
}

int publish_open(struct program *program, pusherc_log_fn log_fn, pusherc_errinfo *info)
{
    char local[80];
    char url[MAX_URL];
    snprintf(local, sizeof local, "local:%s", program->app_id);
    int status = pusherc_broadcast_url(look_up, local, url, sizeof url, NULL, info);
    if (status == PUSHERC_ENOENT)
        snprintf(url, sizeof url, "%s", local);
    else if (status != 0)
        return status;
    name_driver(program, url);
    pusherc_broadcaster_options options = PUSHERC_BROADCASTER_OPTIONS_INIT;
    options.url = url;
    options.server = program->server;
    options.loop = program->loop;
    options.log_fn = log_fn;
    options.log_level = strcmp(url, "log:") == 0 ? PUSHERC_LOG_INFO : PUSHERC_LOG_WARN;
    options.on_failed = on_failed;
    options.user_data = program;
    options.max_queued = program->spec->max_queued;
    options.conflate = program->spec->conflate;
    status = pusherc_broadcaster_new(&program->broadcaster, &options, info);
    sodium_memzero(url, sizeof url);
    return status ? status : open_queue(program, info);
}

void publish_close(struct program *program)
{
    pusherc_outbox_free(program->outbox);
    pusherc_broadcaster_free(program->broadcaster);
    program->outbox = NULL;
    program->broadcaster = NULL;
}

static void trace(const pusherc_event *event)
{
    for (size_t i = 0; i < event->channel_count; i++)
        fprintf(stderr, "broadcast: %.*s %.*s %.*s\n", (int)event->channels[i].len,
                event->channels[i].ptr, (int)event->name.len, event->name.ptr, (int)event->data.len,
                event->data.ptr);
}

/* As the library wants them. */
struct batch {
    size_t count;
    struct {
        pusherc_slice channels[CHANGE_CHANNELS];
        char *data; /* owned */
    } * parts;
    pusherc_event *events;
};

static void free_batch(struct batch *batch)
{
    for (size_t i = 0; batch->parts && i < batch->count; i++)
        cJSON_free(batch->parts[i].data);
    free(batch->parts);
    free(batch->events);
}

/* 0 or PUSHERC_ENOMEM. */
static int make_batch(struct batch *batch, const cJSON *events, pusherc_socket_id except)
{
    const cJSON *event;
    const cJSON *channel;
    size_t count = (size_t)cJSON_GetArraySize(events);
    *batch = (struct batch){.parts = calloc(count, sizeof *batch->parts),
                            .events = calloc(count, sizeof *batch->events)};
    if (!batch->parts || !batch->events)
        return PUSHERC_ENOMEM;
    cJSON_ArrayForEach(event, events)
    {
        pusherc_event *told = &batch->events[batch->count];
        pusherc_slice *channels = batch->parts[batch->count].channels;
        char *data = cJSON_PrintUnformatted(cJSON_GetObjectItem(event, "data"));
        batch->parts[batch->count++].data = data;
        if (!data)
            return PUSHERC_ENOMEM;
        *told = (pusherc_event)PUSHERC_EVENT_INIT;
        told->name = pusherc_slice_of(row_text(event, "name"));
        told->data = pusherc_slice_of(data);
        told->except = except;
        told->channels = channels;
        cJSON_ArrayForEach(channel, cJSON_GetObjectItem(event, "channels"))
            channels[told->channel_count++] = pusherc_slice_of(channel->valuestring);
    }
    return 0;
}

int publish_store(struct program *program, const cJSON *events, pusherc_socket_id except)
{
    struct batch batch;
    pusherc_errinfo info = {0};
    if (!program->outbox || !events->child)
        return 0;
    int status = make_batch(&batch, events, except);
    if (status == 0)
        status = pusherc_outbox_put(store_db(program->store), batch.events, batch.count, &info);
    if (status != 0)
        say("events not stored: %s", info.text);
    free_batch(&batch);
    return status ? -1 : 0;
}

/* For one that waits until its events are with the server. */
struct waiter {
    struct program *program;
    void (*then)(int status, void *user_data);
    void *user_data;
};

static void is_there(const pusherc_broadcast_result *result, void *user_data)
{
    struct waiter *waiter = user_data;
    if (result->code != 0)
        note_failure(waiter->program, pusherc_slice_of("an event"), result->reason);
    waiter->then(0, waiter->user_data);
    free(waiter);
}

/* True if `waiter` will be called. A carrier that is away is not waited for. */
static bool wait_for(struct program *program, const struct batch *batch, struct waiter waiter)
{
    struct waiter *kept = NULL;
    if (!program->now || !waiter.then || batch->count > PUSHERC_MAX_EVENTS_PER_BATCH ||
        !program_publishes(program) || !(kept = malloc(sizeof *kept)))
        return false;
    *kept = waiter;
    if (pusherc_broadcast_now(program->broadcaster, batch->events, batch->count, NOW_MS, is_there,
                              kept) == 0)
        return true;
    free(kept);
    return false;
}

/* In order; as many as one call takes at a time. 0 or an error of the library. */
static int hand_over(struct program *program, const struct batch *batch)
{
    int status = 0;
    for (size_t at = 0, count; status == 0 && at < batch->count; at += count) {
        count = batch->count - at;
        if (count > PUSHERC_MAX_EVENTS_PER_BATCH)
            count = PUSHERC_MAX_EVENTS_PER_BATCH;
        status = pusherc_broadcast(program->broadcaster, batch->events + at, count);
    }
    return status;
}

bool publish(struct program *program, const cJSON *events, pusherc_socket_id except,
             void (*then)(int status, void *user_data), void *user_data)
{
    struct batch batch;
    bool waits = false;
    if (!events->child)
        return false;
    if (program->outbox) {
        pusherc_outbox_wake(program->outbox);
        return false;
    }
    int status = make_batch(&batch, events, except);
    if (status == 0)
        status = program->muted || !program->broadcaster ? PUSHERC_ESTATE : 0;
    if (status == 0)
        waits = wait_for(program, &batch, (struct waiter){program, then, user_data});
    if (status == 0 && !waits)
        status = hand_over(program, &batch);
    if (status != 0 && !program->ending)
        note_failure(program, pusherc_slice_of(row_text(events->child, "name")),
                     pusherc_slice_of(pusherc_strerror(status)));
    for (size_t i = 0; status == 0 && program->trace && i < batch.count; i++)
        trace(&batch.events[i]);
    free_batch(&batch);
    return waits;
}

bool program_publishes(struct program *program)
{
    pusherc_broadcast_stats stats = PUSHERC_BROADCAST_STATS_INIT;
    if (program->muted || !program->broadcaster ||
        pusherc_broadcaster_stats(program->broadcaster, &stats) != 0)
        return false;
    if (program->publish_failed && stats.accepted > program->accepted)
        program->publish_failed = false;
    return !program->publish_failed && stats.paused_ms == 0;
}
