#include "health.h"

#include <stdio.h>
#include <string.h>

#define ATTEMPTS 20
#define PAGES    64
#define NORMAL   1000 /* the close code of a page that leaves; 1001: by another page */

struct connections {
    struct {
        int64_t at_ms;
        const char *outcome;
        int code; /* 0: none */
    } attempts[ATTEMPTS];
    uint64_t attempt_count;
    unsigned failures; /* in a row */
    struct {
        int64_t page, until_ms;
    } asking[PAGES]; /* pages that are not live */
};

static void note(struct program *program, const pusherc_conn *conn, const char *outcome, int code)
{
    struct connections *all = monitor_of(program)->connections;
    char id[48] = "";
    size_t nth = all->attempt_count++ % ATTEMPTS;
    all->attempts[nth].at_ms = now_ms();
    all->attempts[nth].outcome = outcome;
    all->attempts[nth].code = code;
    pusherc_socket_id_format(pusherc_conn_socket_id(conn), id);
    if (program->trace)
        fprintf(stderr, "client %s: %s %d\n", id, outcome, code);
}

static void on_open(const pusherc_conn *conn, void *user_data)
{
    note(user_data, conn, "connected", 0);
    monitor_of(user_data)->connections->failures = 0;
}

static void on_close(const pusherc_conn *conn, uint16_t code, void *user_data)
{
    bool failed = code > NORMAL + 1;
    note(user_data, conn, failed ? "error" : "disconnected", code);
    if (failed)
        monitor_of(user_data)->connections->failures++;
}

size_t health_bytes(void)
{
    return sizeof(struct connections);
}

void health_watch(pusherc_hooks *hooks)
{
    hooks->on_open = on_open;
    hooks->on_close = on_close;
}

void health_note_fallback(struct program *program, int64_t page, int64_t interval_s)
{
    struct connections *all = monitor_of(program)->connections;
    int64_t now = now_ms();
    size_t place = PAGES;
    for (size_t i = 0; i < PAGES; i++) {
        if (all->asking[i].page == page) {
            place = i;
            break;
        }
        if (all->asking[i].until_ms < now)
            place = i;
    }
    if (page < 1 || interval_s < 0 || interval_s > 60 || place == PAGES)
        return;
    all->asking[place].page = page;
    all->asking[place].until_ms = interval_s ? now + interval_s * 1000 + 5000 : 0;
}

static cJSON *describe_fallback(const struct connections *all)
{
    static const int intervals[] = {5, 10, 30};
    int64_t now = now_ms();
    int active = 0;
    for (size_t i = 0; i < PAGES; i++)
        active += all->asking[i].until_ms >= now;
    cJSON *fallback = cJSON_CreateObject();
    cJSON_AddNumberToObject(fallback, "active_pages", active);
    cJSON_AddItemToObject(fallback, "intervals", cJSON_CreateIntArray(intervals, 3));
    return fallback;
}

/* Each event that was handed over ("in") is counted in one of the others, or waits. */
static void describe_queue(cJSON *polling, const pusherc_broadcast_stats *queue)
{
    cJSON_AddNumberToObject(polling, "in", (double)queue->in);
    cJSON_AddNumberToObject(polling, "accepted", (double)queue->accepted);
    cJSON_AddNumberToObject(polling, "merged", (double)queue->merged);
    cJSON_AddNumberToObject(polling, "lost",
                            (double)(queue->refused + queue->expired + queue->canceled));
    cJSON_AddNumberToObject(polling, "queued", (double)queue->queued);
}

void health_describe(struct program *program, cJSON *health)
{
    const struct monitor *monitor = monitor_of(program);
    const struct connections *all = monitor->connections;
    struct writer_stats rows = writer_stats(monitor->writer);
    pusherc_broadcast_stats queue = PUSHERC_BROADCAST_STATS_INIT;
    char at[TIME_BYTES];
    cJSON_AddItemToObject(health, "fallback", describe_fallback(all));
    cJSON *attempts = cJSON_AddArrayToObject(health, "recent_attempts");
    uint64_t first = all->attempt_count > ATTEMPTS ? all->attempt_count - ATTEMPTS : 0;
    for (uint64_t i = first; i < all->attempt_count; i++) {
        cJSON *attempt = cJSON_CreateObject();
        write_time(at, all->attempts[i % ATTEMPTS].at_ms);
        cJSON_AddStringToObject(attempt, "at", at);
        cJSON_AddStringToObject(attempt, "outcome", all->attempts[i % ATTEMPTS].outcome);
        cJSON_AddNumberToObject(attempt, "code", all->attempts[i % ATTEMPTS].code);
        cJSON_AddItemToArray(attempts, attempt);
    }
    cJSON_AddNumberToObject(health, "recommended_interval_s",
                            all->failures < 1   ? 5
                            : all->failures < 3 ? 10
                                                : 30);
    cJSON *polling = cJSON_AddObjectToObject(health, "polling");
    cJSON_AddNumberToObject(polling, "polls", (double)monitor->polls);
    cJSON_AddNumberToObject(polling, "announced", (double)monitor->announced);
    cJSON_AddNumberToObject(polling, "unchanged", (double)monitor->unchanged);
    cJSON_AddNumberToObject(polling, "publish_ms_max", monitor->publish_ms_max);
    cJSON_AddNumberToObject(polling, "rows_written", (double)rows.written);
    cJSON_AddNumberToObject(polling, "rows_waiting", (double)rows.waiting);
    cJSON_AddNumberToObject(polling, "rows_lost", (double)(rows.failed + rows.refused));
    if (program->broadcaster && pusherc_broadcaster_stats(program->broadcaster, &queue) == 0)
        describe_queue(polling, &queue);
}
