#include "tools.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <netdb.h>
#include <sodium.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "calls.h"
#include "common/publish.h"
#include "common/say.h"
#include "common/self_test.h"

#define WAIT_MS 5000

bool tools_wanted(struct program *program)
{
    return pbx_of(program)->self_test || pbx_of(program)->trigger;
}

/* -- a test call -- */

static const char *of_environment(const char *name, void *user_data)
{
    (void)user_data;
    return getenv(name);
}

/* How: as the environment says; else to the program that listens on --port, whose app has to be in the environment. */
static int find_way(struct program *program, char *url, size_t bytes, pusherc_errinfo *info)
{
    const char *driver = getenv("BROADCAST_CONNECTION");
    char secret[SECRET_BYTES];
    if (driver && *driver && strcmp(driver, "local") != 0)
        return pusherc_broadcast_url(of_environment, NULL, url, bytes, NULL, info);
    publish_read_app(program, secret);
    if (!getenv("REVERB_APP_SECRET") && !getenv("PUSHER_APP_SECRET")) {
        snprintf(info->text, sizeof info->text,
                 "set BROADCAST_CONNECTION, or REVERB_APP_ID, REVERB_APP_KEY and REVERB_APP_SECRET"
                 " of the program that listens on --port");
        return PUSHERC_ENOENT;
    }
    snprintf(url, bytes, "pusher://%s:%s@%s:%u/%s?scheme=http", program->app_key, secret,
             program->options->host, (unsigned)program->options->port, program->app_id);
    sodium_memzero(secret, sizeof secret);
    return 0;
}

/* As an application outside sends it. To be freed by cJSON_free(). */
static char *test_event(enum call_step step, const char *call_id)
{
    static const struct {
        const char *status, *at;
    } of[CALL_STEPS] = {
        {"initiated", "initiated_at"}, {"answered", "answered_at"}, {"completed", "ended_at"}};
    char at[32] = "";
    time_t now = time(NULL);
    struct tm parts;
    if (gmtime_r(&now, &parts))
        strftime(at, sizeof at, "%Y-%m-%dT%H:%M:%SZ", &parts);
    cJSON *event = cJSON_CreateObject();
    cJSON_AddStringToObject(event, "call_id", call_id);
    cJSON_AddStringToObject(event, "status", of[step].status);
    cJSON_AddStringToObject(event, of[step].at, at);
    if (step == CALL_INITIATED) {
        cJSON_AddStringToObject(event, "from_number", "+447700900000");
        cJSON_AddStringToObject(event, "to_number", "+442079460101");
        cJSON_AddStringToObject(event, "did_id", "1");
    } else if (step == CALL_ANSWERED) {
        cJSON_AddStringToObject(event, "extension_id", "1");
    } else {
        cJSON_AddNumberToObject(event, "duration", 0);
    }
    char *text = cJSON_PrintUnformatted(event);
    cJSON_Delete(event);
    return text;
}

static int publish_test(struct program *program, enum call_step step, const char *url,
                        pusherc_errinfo *info)
{
    const struct pbx *pbx = program->own;
    char channel[64];
    char call_id[CALL_ID_BYTES];
    call_make_id(call_id);
    if (pbx->call_id)
        snprintf(call_id, sizeof call_id, "%s", pbx->call_id);
    char *data = call_is_id(call_id) ? test_event(step, call_id) : NULL;
    pusherc_broadcaster *broadcaster = NULL;
    pusherc_broadcaster_options options = PUSHERC_BROADCASTER_OPTIONS_INIT;
    options.url = url;
    snprintf(channel, sizeof channel, CHANNEL_PUBLIC "%.20s",
             pbx->organization ? pbx->organization : "1");
    int status = data ? pusherc_broadcaster_new(&broadcaster, &options, info) : PUSHERC_EINVAL;
    if (status == 0) {
        pusherc_slice name = pusherc_slice_of(channel);
        pusherc_event event = PUSHERC_EVENT_INIT;
        event.name = pusherc_slice_of(call_events[step]);
        event.channels = &name;
        event.channel_count = 1;
        event.data = pusherc_slice_of(data);
        status = pusherc_broadcast_wait(broadcaster, &event, 1, WAIT_MS, info);
        if (status == 0)
            printf("published %s on %s: %s\n", call_events[step], channel, data);
    }
    pusherc_broadcaster_free(broadcaster);
    cJSON_free(data);
    return status;
}

static int trigger(struct program *program)
{
    char url[1024];
    pusherc_errinfo info = {0};
    enum call_step step = call_step_of(pusherc_slice_of(pbx_of(program)->trigger));
    if (step == CALL_STEPS) {
        say("--trigger wants call.initiated, call.answered or call.ended");
        return -1;
    }
    if (step != CALL_INITIATED && !pbx_of(program)->call_id) {
        say("--trigger %s wants --call, the id of the call", call_events[step]);
        return -1;
    }
    int status = find_way(program, url, sizeof url, &info);
    if (status == 0)
        status = publish_test(program, step, url, &info);
    sodium_memzero(url, sizeof url);
    if (status != 0)
        say("not published: %s", info.text[0] ? info.text : pusherc_strerror(status));
    return status ? -1 : 0;
}

/* -- the self-test -- */

/* Does it take connections? What the doctor cannot know is that this program needs it. */
static bool redis_answers(const char *url, char *why, size_t bytes)
{
    char host[128], port[8] = "6379";
    const struct addrinfo wanted = {.ai_socktype = SOCK_STREAM};
    const struct timeval patience = {.tv_sec = 5};
    struct addrinfo *found = NULL;
    const char *at = strrchr(url, '@');
    const char *begin = at ? at + 1 : strstr(url, "://") ? strstr(url, "://") + 3 : url;
    if (sscanf(begin, "%127[^:/?]:%7[0-9]", host, port) < 1) {
        snprintf(why, bytes, "the URL has no host");
        return false;
    }
    int status = getaddrinfo(host, port, &wanted, &found);
    int fd = status == 0 ? socket(found->ai_family, SOCK_STREAM, 0) : -1;
    bool there = fd >= 0 &&
                 setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) == 0 &&
                 connect(fd, found->ai_addr, found->ai_addrlen) == 0;
    snprintf(why, bytes, "%s:%s %s", host, port,
             there         ? "takes connections"
             : status != 0 ? "is not known"
                           : "takes no connections");
    if (fd >= 0)
        close(fd);
    if (found)
        freeaddrinfo(found);
    return there;
}

static int test_redis(struct pbx *pbx)
{
    char why[256];
    const char *host = getenv("REDIS_HOST");
    const char *url = pbx->redis ? pbx->redis : pbx->laravel_redis;
    char text[320];
    if (!url && !host) {
        if (!pbx->json)
            printf("ok    redis      not used: one server, and no publisher there\n");
        return 0;
    }
    snprintf(text, sizeof text, "redis://%s:%s", host ? host : "127.0.0.1",
             getenv("REDIS_PORT") ? getenv("REDIS_PORT") : "6379");
    bool there = redis_answers(url ? url : text, why, sizeof why);
    if (!pbx->json)
        printf("%s  redis      %s\n", there ? "ok  " : "fail", why);
    return there ? 0 : -1;
}

int tools_run(struct program *program)
{
    struct pbx *pbx = pbx_of(program);
    const char *queue = getenv("QUEUE_CONNECTION");
    if (pbx->trigger)
        return trigger(program);
    program->json = pbx->json;
    if (!pbx->json)
        printf("ok    queue      %s: the program's own; there is no worker to start\n",
               queue && *queue ? queue : "in memory");
    int status = test_redis(pbx);
    return self_test_run(program, "presence.org.1") != 0 ? -1 : status;
}
