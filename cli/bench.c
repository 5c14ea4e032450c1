/*
 * `pusherc bench`: a load generator for one's own server. One thread has all subscribers in one epoll set; events are
 * published by a broadcaster on its own thread, as an application would. Each event carries its number and its time, so
 * that each subscriber can tell what is lost, doubled or late. The latencies are those from the call that publishes to
 * the message at the subscriber, with the time that the event waits to be sent.
 */
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <pusherc/broadcast.h>

#include "command.h"
#include "histogram.h"

#define TAG           "pcb:" /* then the event's number, ":", its time in us, ";" */
#define MAX_EVENTS    256    /* of one look at the epoll set */
#define MAX_IN_FLIGHT 128    /* connections that are being made at once */
#define PROGRESS_US   500000
#define MAX_CHANNEL   64
#define SPARE_FILES   64

static int run(char **arguments);

static const struct cli_option options[] = {
    {"url", "URL", "the server; by default the environment's"},
    CLI_LINK_OPTIONS,
    {"connections", "N", "subscribers; the default is 100"},
    {"channels", "N", "channels that they are spread over; the default is 1"},
    {"kind", "KIND", "public, private or presence channels; the default is public"},
    {"rate", "N", "events in a second, of all channels together; the default is 10"},
    {"size", "BYTES", "length of an event's data; the default is 100"},
    {"seconds", "N", "how long to publish; the default is 10"},
    {"json", NULL, "print one JSON object"},
    {"help", NULL, "print this text"},
};

const struct cli_command cli_bench_command = {
    .name = "bench",
    .help = "put load on your own server, and measure it",
    .words = "",
    .about = "Opens connections, subscribes each to one channel, publishes at a steady rate, and "
             "counts what\n"
             "arrives. Prints how many connections and deliveries there were, deliveries in a "
             "second, latency\n"
             "from publish to receive (half of the deliveries, 99 of 100, the slowest), and what "
             "was lost,\n"
             "doubled or out of order. Run it on another machine than the server, and never "
             "against a server\n"
             "of others. Exit status: 0 if nothing was lost, 1 if something was or the load could "
             "not be made,\n"
             "2 for wrong words.",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .run = run,
};

enum step {
    IDLE,
    CONNECTING,
    JOINING,
    READY,
    GONE
};

struct bench;
struct subscriber {
    struct cli_ws ws;
    struct bench *bench;
    enum step step;
    size_t channel;
    short watched; /* what the epoll set waits for */
    uint64_t next; /* number of the event that is due on its channel */
};

struct bench {
    struct cli_given given;
    struct cli_link link;
    char path[CLI_PATH_TEXT], prefix[MAX_CHANNEL];
    uint64_t connections, channels, rate, size, seconds;
    bool presence;
    int epoll;
    struct subscriber *subscribers; /* owned */
    uint64_t begun, ready, gone;
    uint64_t *listeners; /* owned: subscribers of each channel */
    char first_failure[256];

    pusherc_broadcaster *broadcaster;
    char *data; /* owned: of one event */
    uint64_t published;
    _Atomic uint64_t failed, unreached; /* events, and the deliveries that they would have been */
    char failure[256];                  /* of the first event; written once, before `failed` */

    uint64_t expected, received, doubled, swapped;
    int64_t ready_us, begin_us, end_us, last_us;
    struct cli_histogram latencies;
};

/* -- subscribers -- */

static void lose(struct subscriber *s, const char *why)
{
    struct bench *b = s->bench;

    if (s->step == GONE)
        return;
    if (s->step == READY) {
        b->ready--;
        b->listeners[s->channel]--;
    }
    if (!b->first_failure[0])
        (void)snprintf(b->first_failure, sizeof b->first_failure, "%s", why);
    s->step = GONE;
    b->gone++;
}

static void join(struct subscriber *s, const char *text, size_t len)
{
    struct bench *b = s->bench;
    struct cli_error error = {""};
    char channel[MAX_CHANNEL + 32], member[64];

    cJSON *json = cJSON_ParseWithLength(text, len);
    const char *data = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, "data"));
    cJSON *inner = data ? cJSON_Parse(data) : NULL;
    const char *id = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(inner, "socket_id"));
    (void)snprintf(channel, sizeof channel, "%s-%zu", b->prefix, s->channel);
    (void)snprintf(member, sizeof member, "{\"user_id\":\"%td\"}", s - b->subscribers);
    char *message =
        cli_subscribe_text(&b->link, id ? id : "", channel, b->presence ? member : NULL, &error);
    if (!message || cli_ws_send(&s->ws, message, strlen(message)))
        lose(s, error.text[0] ? error.text : s->ws.error.text);
    else
        s->step = JOINING;
    cJSON_free(message);
    cJSON_Delete(inner);
    cJSON_Delete(json);
}

/* Finds the tag of an event: its number and its time. */
static bool find_tag(const char *text, size_t len, uint64_t *number, int64_t *sent_us)
{
    const char *tag = memmem(text, len, TAG, sizeof TAG - 1);
    const char *end = tag ? memchr(tag, ';', len - (size_t)(tag - text)) : NULL;
    unsigned long long first;
    long long second;
    char copy[64];

    if (!end || end - tag >= (ptrdiff_t)sizeof copy)
        return false;
    (void)snprintf(copy, sizeof copy, "%.*s", (int)(end - tag), tag);
    if (sscanf(copy, TAG "%llu:%lld", &first, &second) != 2)
        return false;
    *number = first;
    *sent_us = second;
    return true;
}

/* Events of a channel have the numbers channel, channel + channels, ...: each subscriber knows which one is due. */
static void count_event(struct subscriber *s, uint64_t number, int64_t sent_us)
{
    struct bench *b = s->bench;
    int64_t now = cli_wire_now_us();

    b->last_us = now;
    if (number < s->next) {
        b->doubled++; /* or it was overtaken */
        return;
    }
    if (number % b->channels != s->channel) {
        b->swapped++;
        return;
    }
    s->next = number + b->channels;
    b->received++;
    cli_histogram_add(&b->latencies, now > sent_us ? (uint64_t)(now - sent_us) : 0);
}

static bool has(const char *text, size_t len, const char *word)
{
    return memmem(text, len, word, strlen(word)) != NULL;
}

static void on_text(void *user, const char *text, size_t len)
{
    static const char pong[] = "{\"event\":\"pusher:pong\",\"data\":{}}";
    struct subscriber *s = user;
    uint64_t number;
    int64_t sent_us;

    if (find_tag(text, len, &number, &sent_us)) {
        count_event(s, number, sent_us);
    } else if (has(text, len, "\"pusher:ping\"")) {
        (void)cli_ws_send(&s->ws, pong, sizeof pong - 1);
    } else if (has(text, len, "\"pusher:connection_established\"")) {
        join(s, text, len);
    } else if (has(text, len, "\"pusher_internal:subscription_succeeded\"")) {
        if (s->step == JOINING) {
            s->step = READY;
            s->bench->ready++;
            s->bench->listeners[s->channel]++;
        }
    } else if (has(text, len, "\"pusher:subscription_error\"") ||
               has(text, len, "\"pusher:error\"")) {
        char shown[200];
        (void)snprintf(shown, sizeof shown, "%.*s", (int)(len < 190 ? len : 190), text);
        cli_make_plain(shown);
        lose(s, shown);
    }
}

static void watch(struct subscriber *s, bool is_new)
{
    short wants = cli_ws_wants(&s->ws);
    struct epoll_event event = {.data.ptr = s};

    if (!is_new && wants == s->watched)
        return;
    s->watched = wants;
    event.events =
        (wants & POLLIN ? (uint32_t)EPOLLIN : 0u) | (wants & POLLOUT ? (uint32_t)EPOLLOUT : 0u);
    if (epoll_ctl(s->bench->epoll, is_new ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, s->ws.wire.fd, &event))
        lose(s, strerror(errno));
}

static void note_close(struct subscriber *s)
{
    char why[200];

    if (s->ws.state != CLI_WS_CLOSED && s->step != GONE)
        return;
    if (s->ws.close_code)
        (void)snprintf(why, sizeof why, "the server closed a connection with %u: %s",
                       (unsigned)s->ws.close_code, s->ws.close_reason);
    else
        (void)snprintf(why, sizeof why, "%.190s", s->ws.error.text);
    lose(s, why);
    cli_ws_close(&s->ws);
}

static void begin_one(struct bench *b)
{
    struct subscriber *s = &b->subscribers[b->begun++];
    const struct cli_address *to = &b->link.target.ws;

    s->step = CONNECTING;
    cli_ws_connect(&s->ws, &b->link.ws, 0, to->tls ? b->link.tls : NULL, to, b->path, NULL);
    if (s->ws.state == CLI_WS_CLOSED)
        note_close(s);
    else
        watch(s, true);
}

/* One look at what has arrived, for at most so long. */
static void turn(struct bench *b, int wait_ms)
{
    struct epoll_event events[MAX_EVENTS];
    int count = epoll_wait(b->epoll, events, MAX_EVENTS, wait_ms);

    for (int i = 0; i < count; i++) {
        struct subscriber *s = events[i].data.ptr;
        if (s->step == GONE)
            continue;
        cli_ws_step(&s->ws);
        if (s->ws.state == CLI_WS_CLOSED || s->step == GONE)
            note_close(s);
        else
            watch(s, false);
    }
}

/* -- progress, on a terminal only -- */

static void show_progress(const struct bench *b, int64_t *next_us)
{
    int64_t now = cli_wire_now_us();

    if (now < *next_us || !isatty(STDERR_FILENO))
        return;
    *next_us = now + PROGRESS_US;
    (void)fprintf(stderr, "\r%llu of %llu connections, %llu events, %llu deliveries   ",
                  (unsigned long long)b->ready, (unsigned long long)b->connections,
                  (unsigned long long)b->published, (unsigned long long)b->received);
}

static void end_progress(void)
{
    if (isatty(STDERR_FILENO))
        (void)fprintf(stderr, "\r%70s\r", "");
}

/* -- the phases -- */

static int connect_all(struct bench *b, struct cli_error *error)
{
    int64_t begin_us = cli_wire_now_us(), progress_us = begin_us, shown_us = 0;
    uint64_t settled = 0;

    while (b->ready + b->gone < b->connections) {
        while (b->begun < b->connections && b->begun - b->ready - b->gone < MAX_IN_FLIGHT)
            begin_one(b);
        turn(b, 50);
        show_progress(b, &shown_us);
        if (b->ready + b->gone != settled)
            progress_us = cli_wire_now_us();
        settled = b->ready + b->gone;
        if (cli_wire_now_us() - progress_us > b->link.timeout_us)
            break;
    }
    b->ready_us = cli_wire_now_us() - begin_us;
    if (b->ready == b->connections)
        return 0;
    end_progress();
    return cli_fail(error, "only %llu of %llu connections could subscribe: %s",
                    (unsigned long long)b->ready, (unsigned long long)b->connections,
                    b->first_failure[0] ? b->first_failure : "no answer within the time");
}

static void on_failed(const pusherc_event *event, const pusherc_broadcast_result *result,
                      void *user_data)
{
    struct bench *b = user_data;
    uint64_t number;
    int64_t sent_us;

    if (!find_tag(event->data.ptr, event->data.len, &number, &sent_us))
        return;
    if (b->failed == 0)
        (void)snprintf(b->failure, sizeof b->failure, "%s: %.*s", pusherc_strerror(result->code),
                       (int)result->reason.len, result->reason.ptr);
    b->unreached += b->listeners[number % b->channels];
    b->failed++;
}

static bool publish_one(struct bench *b)
{
    char name[MAX_CHANNEL + 32];
    uint64_t channel = b->published % b->channels;
    pusherc_slice channels[1];
    pusherc_event event = PUSHERC_EVENT_INIT;

    (void)snprintf(name, sizeof name, "%s-%llu", b->prefix, (unsigned long long)channel);
    int len = snprintf(b->data, 80, "\"" TAG "%llu:%lld;", (unsigned long long)b->published,
                       (long long)cli_wire_now_us());
    size_t size = (size_t)len + 1 > b->size ? (size_t)len + 1 : b->size;
    memset(b->data + len, 'x', size - (size_t)len - 1);
    b->data[size - 1] = '"';
    channels[0] = pusherc_slice_of(name);
    event.name = pusherc_slice_of("bench");
    event.channels = channels, event.channel_count = 1;
    event.data = (pusherc_slice){b->data, size};
    if (pusherc_broadcast(b->broadcaster, &event, 1))
        return false; /* the queue is full: later */
    b->expected += b->listeners[channel];
    b->published++;
    return true;
}

static void publish_all(struct bench *b)
{
    int64_t now = b->begin_us = cli_wire_now_us(), shown_us = 0;
    int64_t until_us = now + (int64_t)b->seconds * 1000000;

    while ((now = cli_wire_now_us()) < until_us && b->ready > 0) {
        uint64_t due = (uint64_t)(now - b->begin_us) * b->rate / 1000000 + 1;
        while (b->published < due && publish_one(b))
            ;
        int64_t next_us = b->begin_us + (int64_t)(b->published * 1000000 / b->rate);
        int64_t wait_ms = (next_us - cli_wire_now_us()) / 1000;
        turn(b, wait_ms < 0 ? 0 : wait_ms > 100 ? 100 : (int)wait_ms);
        show_progress(b, &shown_us);
    }
    /* what is under way */
    b->last_us = cli_wire_now_us();
    while (b->received + b->unreached < b->expected && b->ready > 0 &&
           cli_wire_now_us() - b->last_us < b->link.timeout_us)
        turn(b, 20);
    b->end_us = b->last_us;
    end_progress();
}

/* -- the result -- */

static uint64_t lost(const struct bench *b)
{
    uint64_t arrived = b->received + b->unreached;
    return b->expected > arrived ? b->expected - arrived : 0;
}

static void report(const struct bench *b)
{
    double seconds = (double)(b->end_us - b->begin_us) / 1e6;
    const struct {
        const char *name, *label;
        double value;
        int digits;
    } rows[] = {
        {"connections", "connections", (double)b->connections, 0},
        {"connect_s", "seconds to connect and subscribe", (double)b->ready_us / 1e6, 3},
        {"closed", "connections that were closed", (double)b->gone, 0},
        {"published", "events published", (double)b->published, 0},
        {"refused", "events not accepted", (double)b->failed, 0},
        {"deliveries", "deliveries", (double)b->received, 0},
        {"deliveries_per_s", "deliveries in a second",
         seconds > 0 ? (double)b->received / seconds : 0, 0},
        {"p50_ms", "latency in ms: half of them",
         (double)cli_histogram_at(&b->latencies, 50) / 1000, 2},
        {"p99_ms", "latency in ms: 99 of 100", (double)cli_histogram_at(&b->latencies, 99) / 1000,
         2},
        {"max_ms", "latency in ms: the slowest", (double)b->latencies.largest / 1000, 2},
        {"lost", "lost", (double)lost(b), 0},
        {"doubled", "doubled or overtaken", (double)b->doubled, 0},
        {"misled", "on the wrong channel", (double)b->swapped, 0},
    };
    bool json = cli_option_of(&b->given, "json") != NULL;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (json)
            printf("%s\"%s\": %.*f", i ? ", " : "{", rows[i].name, rows[i].digits, rows[i].value);
        else
            printf("%-34s %14.*f\n", rows[i].label, rows[i].digits, rows[i].value);
    }
    printf(json ? "}\n" : "");
}

/* -- the command -- */

static int make_broadcaster(struct bench *b, struct cli_error *error)
{
    pusherc_broadcaster_options o = PUSHERC_BROADCASTER_OPTIONS_INIT;
    const struct cli_target *t = &b->link.target;
    pusherc_errinfo info = {0};
    char url[4096], key[640], secret[800], id[640];
    bool ipv6 = strchr(t->api.host, ':') != NULL;

    cli_put_percent(key, sizeof key, t->key);
    cli_put_percent(secret, sizeof secret, t->secret);
    cli_put_percent(id, sizeof id, t->id);
    (void)snprintf(url, sizeof url, "pusher://%s:%s@%s%s%s:%u%s/%s?scheme=http%s", key, secret,
                   ipv6 ? "[" : "", t->api.host, ipv6 ? "]" : "", (unsigned)t->api.port,
                   t->api.prefix, id, t->api.tls ? "s" : "");
    o.url = url;
    o.ca_file = cli_option_of(&b->given, "ca-file");
    o.grace_ms = 1;
    o.on_failed = on_failed;
    o.user_data = b;
    if (pusherc_broadcaster_new(&b->broadcaster, &o, &info))
        return cli_fail(error, "events cannot be published: %s",
                        info.text[0] ? info.text : "id, key and secret are needed");
    return 0;
}

static int read_options(struct bench *b, struct cli_error *error)
{
    const char *kind = cli_option_of(&b->given, "kind");

    if (b->given.word_count > 0)
        return cli_fail(error, "unexpected argument \"%.100s\"", b->given.words[0]);
    if (kind && strcmp(kind, "public") != 0 && strcmp(kind, "private") != 0 &&
        strcmp(kind, "presence") != 0)
        return cli_fail(error, "--kind must be public, private or presence, not \"%.100s\"", kind);
    b->presence = kind && strcmp(kind, "presence") == 0;
    (void)snprintf(b->prefix, sizeof b->prefix, "%s%spusherc-bench-%llx",
                   kind && strcmp(kind, "public") != 0 ? kind : "",
                   kind && strcmp(kind, "public") != 0 ? "-" : "",
                   (unsigned long long)cli_wire_now_us());
    return cli_number_of(&b->given, "connections", 1, 1000000, 100, &b->connections, error) ||
                   cli_number_of(&b->given, "channels", 1, 100000, 1, &b->channels, error) ||
                   cli_number_of(&b->given, "rate", 1, 1000000, 10, &b->rate, error) ||
                   cli_number_of(&b->given, "size", 1, 1000000, 100, &b->size, error) ||
                   cli_number_of(&b->given, "seconds", 1, 86400, 10, &b->seconds, error)
               ? -1
               : 0;
}

static int prepare(struct bench *b, struct cli_error *error)
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < b->connections + SPARE_FILES)
        return cli_fail(error, "this process may open %llu files only: raise ulimit -n",
                        (unsigned long long)files.rlim_cur);
    b->epoll = epoll_create1(EPOLL_CLOEXEC);
    b->subscribers = calloc(b->connections, sizeof *b->subscribers);
    b->listeners = calloc(b->channels, sizeof *b->listeners);
    b->data = malloc(b->size + 128);
    if (b->epoll < 0 || !b->subscribers || !b->listeners || !b->data)
        return cli_fail_no_memory(error);
    for (uint64_t i = 0; i < b->connections; i++) {
        struct subscriber *s = &b->subscribers[i];
        s->bench = b;
        s->channel = s->next = i % b->channels;
        s->ws.wire.fd = -1;
        s->ws.on_text = on_text;
        s->ws.user = s;
    }
    cli_ws_path(&b->link.target, b->path);
    return make_broadcaster(b, error);
}

static void bench_free(struct bench *b)
{
    pusherc_broadcaster_free(b->broadcaster);
    for (uint64_t i = 0; b->subscribers && i < b->connections; i++)
        cli_ws_close(&b->subscribers[i].ws);
    if (b->epoll >= 0)
        (void)close(b->epoll);
    cli_link_free(&b->link);
    free(b->subscribers);
    free(b->listeners);
    free(b->data);
    free(b);
}

static int measure(struct bench *b, struct cli_error *error)
{
    if (prepare(b, error) || connect_all(b, error))
        return cli_complain(CLI_EXIT_CANNOT, error);
    publish_all(b);
    report(b);
    if (b->failed > 0)
        (void)cli_fail(error, "events were not accepted: %s", b->failure);
    else if (b->gone > 0)
        (void)cli_fail(error, "connections were closed: %s", b->first_failure);
    else if (lost(b) + b->doubled + b->swapped > 0)
        (void)cli_fail(error, "not each event arrived once, in order");
    else
        return 0;
    return cli_complain(CLI_EXIT_CANNOT, error);
}

static int run(char **arguments)
{
    struct bench *b = calloc(1, sizeof *b);
    struct cli_error error;

    if (!b) {
        (void)cli_fail_no_memory(&error);
        return cli_complain(CLI_EXIT_CANNOT, &error);
    }
    b->epoll = -1;
    int status = cli_command_read(&b->given, &cli_bench_command, arguments, &error);
    if (status > 0 && (read_options(b, &error) ||
                       cli_link_of(&b->given, cli_option_of(&b->given, "url"), &b->link, &error)))
        status = -1;
    if (status > 0)
        status = measure(b, &error);
    else if (status < 0)
        status = cli_complain(CLI_EXIT_WRONG, &error);
    bench_free(b);
    return status;
}
