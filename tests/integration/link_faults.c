/*
 * A whole run of a server that is linked over Redis, while one request for memory fails, each in turn: it starts, links,
 * publishes and stops. Whatever fails is an error of the call, or the link is made again; nothing is left.
 *   link_faults REDIS_URL [each]     prints how many requests there were. Without `each` some of the later ones are left out
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <pusherc/pusherc.h>

#include "../require.h"
#include "../unit/failing_alloc.h"

#define PATIENCE_S 60

static bool stopped;

static void on_stopped(pusherc_server *server, void *user_data)
{
    (void)server;
    (void)user_data;
    stopped = true;
}

static bool is_up(pusherc_server *server)
{
    pusherc_cluster_info info = PUSHERC_CLUSTER_INFO_INIT;
    REQUIRE(pusherc_server_cluster(server, &info) == 0);
    return info.state == PUSHERC_LINK_UP;
}

static void turn_until_up(pusherc_server *server)
{
    time_t began = time(NULL);
    while (!is_up(server)) {
        REQUIRE(time(NULL) - began < PATIENCE_S);
        (void)pusherc_server_poll(server, 10);
    }
}

static void publish(pusherc_server *server)
{
    const pusherc_slice channel = PUSHERC_LIT("news");
    pusherc_event event = PUSHERC_EVENT_INIT;
    event.name = (pusherc_slice)PUSHERC_LIT("tick");
    event.channels = &channel, event.channel_count = 1;
    event.data = (pusherc_slice)PUSHERC_LIT("{}");
    int err = pusherc_publish(server, "app-id", &event);
    /* EBACKLOG: only this server's subscribers have it */
    REQUIRE(err == 0 || err == PUSHERC_ENOMEM || err == PUSHERC_EBACKLOG);
}

static void stop(pusherc_server *server)
{
    stopped = false;
    if (pusherc_server_stop(server, 0, on_stopped, NULL))
        REQUIRE(pusherc_server_stop(server, 0, on_stopped, NULL) == 0);
    while (!stopped)
        (void)pusherc_server_poll(server, 10);
}

/* False: there was no such request. */
static bool run(const char *url, size_t n)
{
    struct failing_alloc alloc;
    const pusherc_allocator allocator = failing_alloc_init(&alloc, 0);
    pusherc_server_options o = PUSHERC_SERVER_OPTIONS_INIT;
    pusherc_redis_options redis = PUSHERC_REDIS_OPTIONS_INIT;
    pusherc_app_options app = PUSHERC_APP_OPTIONS_INIT;
    pusherc_server *server;
    o.allocator = &allocator;
    o.worker_count = PUSHERC_WORKERS_NONE;
    o.log_level = PUSHERC_LOG_OFF;
    redis.url = url;
    app.id = "app-id", app.key = "app-key", app.secret = "app-secret";
    REQUIRE(pusherc_server_new(&server, &o, NULL) == 0);
    REQUIRE(pusherc_server_put_app(server, &app, NULL) == 0);
    REQUIRE(pusherc_server_listen(server, NULL, NULL) == 0);
    alloc.fail_at = alloc.requests + n;
    int err = pusherc_server_use_redis(server, &redis, NULL, NULL);
    REQUIRE(err == 0 || err == PUSHERC_ENOMEM);
    err = err ? err : pusherc_server_start(server, NULL);
    REQUIRE(err == 0 || err == PUSHERC_ENOMEM || err == PUSHERC_EIO);
    if (err == 0) {
        turn_until_up(server);
        for (int i = 0; i < 3; i++)
            publish(server);
        (void)pusherc_server_poll(server, 0);
        turn_until_up(server); /* it may have been lost for memory */
        stop(server);
    }
    pusherc_server_free(server);
    REQUIRE(failing_alloc_live(&alloc) == 0);
    REQUIRE(err == 0 || failing_alloc_hit(&alloc));
    return failing_alloc_hit(&alloc);
}

int main(int argc, char **argv)
{
    size_t n = 1;
    REQUIRE(argc == 2 || (argc == 3 && strcmp(argv[2], "each") == 0));
    while (run(argv[1], n))
        n += argc == 3 ? 1 : 1 + n / 32;
    printf("%zu\n", n);
    return 0;
}
