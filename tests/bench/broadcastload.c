/*
 * Publishes events by a broadcaster, and says what that cost this process.
 *   broadcastload SETTING EVENTS [BATCH]
 * BATCH is the most events in one request, by default 10. "local:app-id" has a server in the process, with one
 * subscriber-less app. Prints {"events":n,"seconds":s,"cpu_us":c}: processor time of all threads, from the first event to
 * the last answer.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <pusherc/pusherc.h>

#include "cost.h"

#define DATA                                                                                       \
    "{\"order\":{\"id\":42,\"state\":\"paid\"},\"by\":\"someone@example.org\",\"at\":1700000000}"

static pusherc_server *make_server(void)
{
    pusherc_server *server;
    pusherc_app_options app = PUSHERC_APP_OPTIONS_INIT;
    app.id = "app-id", app.key = "app-key", app.secret = "app-secret";
    if (pusherc_server_new(&server, NULL, NULL) || pusherc_server_put_app(server, &app, NULL) ||
        pusherc_server_start(server, NULL))
        exit(1);
    return server;
}

static void drop_line(const pusherc_log_entry *entry, void *user_data)
{
    (void)entry;
    (void)user_data;
}

/* Waits while the queue is full. */
static void hand_over(pusherc_broadcaster *b, const pusherc_event *event)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    int err;
    while ((err = pusherc_broadcast(b, event, 1)) == PUSHERC_EBACKLOG)
        nanosleep(&pause, NULL);
    if (err) {
        fprintf(stderr, "broadcastload: %s\n", pusherc_strerror(err));
        exit(1);
    }
}

static void publish_all(pusherc_broadcaster *b, long count)
{
    pusherc_event event = PUSHERC_EVENT_INIT;
    event.name = pusherc_slice_of("order.paid");
    event.channel_count = 1;
    event.data = pusherc_slice_of(DATA);
    for (long i = 0; i < count; i++) {
        char name[16];
        const int len = snprintf(name, sizeof name, "orders-%ld", i % 100);
        const pusherc_slice channel = {name, (size_t)len};
        event.channels = &channel;
        hand_over(b, &event);
    }
}

static uint64_t accepted_when_empty(pusherc_broadcaster *b)
{
    const struct timespec pause = {.tv_nsec = 500000};
    pusherc_broadcast_stats stats = PUSHERC_BROADCAST_STATS_INIT;
    while (pusherc_broadcaster_stats(b, &stats) == 0 && stats.queued > 0)
        nanosleep(&pause, NULL);
    return stats.accepted;
}

int main(int argc, char **argv)
{
    pusherc_broadcaster_options o = PUSHERC_BROADCASTER_OPTIONS_INIT;
    pusherc_broadcaster *b;
    pusherc_errinfo info = {0};
    pusherc_server *server = NULL;
    if (argc < 3)
        return 2;
    const long count = strtol(argv[2], NULL, 10);
    if (strncmp(argv[1], "local:", 6) == 0)
        server = make_server();
    o.url = argv[1];
    o.server = server;
    o.log_fn = drop_line;
    o.batch_events = argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 10) : 0;
    if (pusherc_broadcaster_new(&b, &o, &info)) {
        fprintf(stderr, "broadcastload: %s\n", info.text);
        return 1;
    }
    publish_all(b, 100); /* connections and memory */
    accepted_when_empty(b);
    const struct cost since = cost_now();
    publish_all(b, count);
    const uint64_t accepted = accepted_when_empty(b);
    cost_print(count, since);
    pusherc_broadcaster_free(b);
    pusherc_server_free(server);
    return accepted == (uint64_t)count + 100 ? 0 : 1;
}
