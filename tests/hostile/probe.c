#include "hostile/probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <pusherc/sign.h>

#include "hostile/clients.h"

#define EVERY_MS         10
#define CONNECT_EVERY_MS 50
#define PATIENCE_S       30
#define CHANNEL          "private-probe"

static double now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static void sleep_until(double ms)
{
    double left = ms - now_ms();
    if (left <= 0)
        return;
    const struct timespec time = {.tv_sec = (time_t)(left / 1e3),
                                  .tv_nsec =
                                      (long)((left - 1e3 * (double)(time_t)(left / 1e3)) * 1e6)};
    nanosleep(&time, NULL);
}

/* -- what is measured -- */

struct times {
    double ms[1 << 16];
    uint32_t count, failed;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct times delivery, connecting, late;
static atomic_bool measuring;

static void measured(struct times *times, double ms)
{
    pthread_mutex_lock(&lock);
    if (times->count < sizeof times->ms / sizeof times->ms[0])
        times->ms[times->count++] = ms;
    pthread_mutex_unlock(&lock);
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static struct probe_times sum(struct times *times)
{
    struct probe_times out = {.count = times->count, .failed = times->failed};
    if (out.count == 0)
        return out;
    qsort(times->ms, out.count, sizeof times->ms[0], by_size);
    out.p50_ms = times->ms[out.count / 2];
    out.p99_ms = times->ms[(uint64_t)out.count * 99 / 100];
    out.longest_ms = times->ms[out.count - 1];
    return out;
}

/* -- a client on a blocking socket -- */

struct honest {
    struct client client;
    char got[4096]; /* NUL-terminated */
    size_t len;
};

static struct sockaddr_in server;

static bool dial(struct honest *h)
{
    const struct timeval patience = {.tv_sec = PATIENCE_S};
    h->len = 0;
    h->client.fd = socket(AF_INET, SOCK_STREAM, 0);
    return h->client.fd >= 0 &&
           setsockopt(h->client.fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0 &&
           connect(h->client.fd, (struct sockaddr *)&server, sizeof server) == 0 &&
           send(h->client.fd, CLIENTS_UPGRADE, sizeof CLIENTS_UPGRADE - 1, MSG_NOSIGNAL) > 0;
}

/* Where `text` stands in what has come; what was before it is forgotten. NULL: it does not come. */
static const char *hear(struct honest *h, const char *text, size_t and_more)
{
    for (;;) {
        const char *at = memmem(h->got, h->len, text, strlen(text));
        if (at && (size_t)(h->got + h->len - at) >= strlen(text) + and_more)
            return at + strlen(text);
        size_t keep = h->len < 64 ? h->len : 64;
        if (at)
            keep = (size_t)(h->got + h->len - at);
        memmove(h->got, h->got + h->len - keep, keep);
        h->len = keep;
        ssize_t n = recv(h->client.fd, h->got + h->len, sizeof h->got - h->len - 1, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return NULL;
        h->len += (size_t)n;
        h->got[h->len] = '\0';
    }
}

static bool enter(struct honest *h)
{
    const char *id = dial(h) ? hear(h, "socket_id\\\":\\\"", 24) : NULL;
    return id &&
           pusherc_socket_id_parse((pusherc_slice){id, strcspn(id, "\\")}, &h->client.id) == 0;
}

static void open_pair_member(struct honest *h)
{
    pusherc_credentials app = PUSHERC_CREDENTIALS_INIT;
    char auth[256], text[512];
    size_t len;
    app.key = pusherc_slice_of(CLIENTS_KEY), app.secret = pusherc_slice_of(CLIENTS_SECRET);
    must(enter(h), "the probe connects");
    must(pusherc_sign_channel(&app, h->client.id, pusherc_slice_of(CHANNEL), pusherc_slice_of(""),
                              auth, sizeof auth, &len) == 0,
         "sign");
    snprintf(text, sizeof text,
             "{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"" CHANNEL
             "\",\"auth\":\"%s\"}}",
             auth);
    client_say(&h->client, text);
    must(hear(h, "subscription_succeeded", 0), "the probe subscribes");
}

/* -- the threads -- */

static struct honest sender, receiver;
static _Atomic uint64_t sent, arrived;

static void *send_events(void *none)
{
    for (double due = now_ms();; due += EVERY_MS) {
        char text[160];
        sleep_until(due);
        if (!measuring)
            continue;
        measured(&late, now_ms() - due);
        snprintf(text, sizeof text,
                 "{\"event\":\"client-probe\",\"channel\":\"" CHANNEL
                 "\",\"data\":\"due:%020.6f\"}",
                 due);
        sent++;
        must(client_says(&sender.client, text), "the probe sends");
    }
    return none;
}

static void *take_events(void *none)
{
    for (;;) {
        const char *due = hear(&receiver, "due:", 20);
        if (!due) {
            if (errno == EAGAIN)
                continue; /* there was nothing to say */
            must(false, "the probe was closed");
        }
        measured(&delivery, now_ms() - strtod(due, NULL));
        memcpy(receiver.got, "\0", 1); /* the text is not found again */
        memmove(receiver.got, due + 20, (size_t)(receiver.got + receiver.len - due - 20));
        receiver.len = (size_t)(receiver.got + receiver.len - due - 20);
        arrived++;
    }
    return none;
}

static bool connect_once(void)
{
    static struct honest h;
    static const char subscribe[] =
        "{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"probe\"}}";
    bool good =
        enter(&h) && client_says(&h.client, subscribe) && hear(&h, "subscription_succeeded", 0);
    if (h.client.fd >= 0)
        close(h.client.fd);
    return good;
}

static void *come_and_go(void *none)
{
    for (;;) {
        double begin = now_ms();
        if (measuring) {
            if (connect_once())
                measured(&connecting, now_ms() - begin);
            else
                connecting.failed++;
        }
        sleep_until(begin + CONNECT_EVERY_MS);
    }
    return none;
}

/* -- what is asked -- */

static void begin(void)
{
    pthread_mutex_lock(&lock);
    delivery.count = connecting.count = late.count = 0;
    delivery.failed = connecting.failed = 0;
    pthread_mutex_unlock(&lock);
    sent = arrived = 0;
    measuring = true;
}

static struct probe_report end(void)
{
    measuring = false;
    for (double over = now_ms() + PATIENCE_S * 1e3; arrived < sent && now_ms() < over;)
        sleep_until(now_ms() + 5);
    sleep_until(now_ms() + 2 * EVERY_MS); /* the one that was being sent */
    pthread_mutex_lock(&lock);
    delivery.failed = (uint32_t)(sent - arrived);
    const struct probe_report report = {sum(&delivery), sum(&connecting), sum(&late)};
    pthread_mutex_unlock(&lock);
    return report;
}

int probe_run(uint16_t port, int control)
{
    static void *(*const jobs[])(void *) = {send_events, take_events, come_and_go};
    char what;
    server = (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    open_pair_member(&sender);
    open_pair_member(&receiver);
    for (size_t i = 0; i < sizeof jobs / sizeof jobs[0]; i++) {
        pthread_t thread;
        must(pthread_create(&thread, NULL, jobs[i], NULL) == 0, "pthread_create");
    }
    while (read(control, &what, 1) == 1) {
        if (what == PROBE_BEGIN) {
            begin();
            continue;
        }
        const struct probe_report report = end();
        if (write(control, &report, sizeof report) != sizeof report)
            break;
    }
    return 0;
}
