#include "common/publish.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "common/change.h"
#include "common/program.h"
#include "common/say.h"

#define MAX_URL 1024

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
    status = pusherc_broadcaster_new(&program->broadcaster, &options, info);
    sodium_memzero(url, sizeof url);
    return status;
}

static void trace(const cJSON *event, const char *data)
{
    const cJSON *channel;
    cJSON_ArrayForEach(channel, cJSON_GetObjectItem(event, "channels")) fprintf(
        stderr, "broadcast: %s %s %s\n", channel->valuestring, row_text(event, "name"), data);
}

void publish(struct program *program, const cJSON *event, pusherc_socket_id except)
{
    pusherc_slice channels[CHANGE_CHANNELS];
    pusherc_event told = PUSHERC_EVENT_INIT;
    char *data = cJSON_PrintUnformatted(cJSON_GetObjectItem(event, "data"));
    const cJSON *channel;
    told.name = pusherc_slice_of(row_text(event, "name"));
    told.channels = channels;
    told.except = except;
    cJSON_ArrayForEach(channel, cJSON_GetObjectItem(event, "channels"))
        channels[told.channel_count++] = pusherc_slice_of(channel->valuestring);
    told.data = pusherc_slice_of(data ? data : "");
    int status = !data                   ? PUSHERC_ENOMEM
                 : !program->broadcaster ? PUSHERC_ESTATE
                                         : pusherc_broadcast(program->broadcaster, &told, 1);
    if (status != 0)
        note_failure(program, told.name, pusherc_slice_of(pusherc_strerror(status)));
    else if (program->trace)
        trace(event, data);
    cJSON_free(data);
}

bool program_publishes(struct program *program)
{
    pusherc_broadcast_stats stats = PUSHERC_BROADCAST_STATS_INIT;
    if (!program->broadcaster || pusherc_broadcaster_stats(program->broadcaster, &stats) != 0)
        return false;
    if (program->publish_failed && stats.accepted > program->accepted)
        program->publish_failed = false;
    return !program->publish_failed && stats.paused_ms == 0;
}
