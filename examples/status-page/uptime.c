#include "uptime.h"

#include <stdio.h>
#include <time.h>

#include "services.h"
#include "store.h"

#define DAY_S 86400

struct day {
    enum service_status worst;
    int64_t trouble_s; /* in any state but operational */
};

struct history {
    int64_t from_s; /* midnight (UTC) of the oldest day */
    int64_t outage_s;
    struct day days[UPTIME_DAYS];
};

static int64_t later(int64_t one, int64_t other)
{
    return one > other ? one : other;
}

/* The service was in this state from..to. */
static void add_period(struct history *history, enum service_status status, int64_t from,
                       int64_t to)
{
    from = later(from, history->from_s);
    if (status == STATUS_OPERATIONAL || to <= from)
        return;
    if (status >= STATUS_PARTIAL_OUTAGE)
        history->outage_s += to - from;
    while (from < to) {
        int64_t index = (from - history->from_s) / DAY_S;
        int64_t midnight = history->from_s + (index + 1) * DAY_S;
        int64_t until = to < midnight ? to : midnight;
        if (index >= UPTIME_DAYS)
            return;
        struct day *day = &history->days[index];
        day->worst = status > day->worst ? status : day->worst;
        day->trouble_s += until - from;
        from = until;
    }
}

static void read_log(struct history *history, struct store *store, const cJSON *service,
                     int64_t now_s)
{
    cJSON *log =
        store_rows(store,
                   "SELECT at, old_status, new_status FROM status_log"
                   " WHERE service_id = ? AND at >= ? ORDER BY at, id",
                   STORE_VALUES(STORE_INT(row_int(service, "id")), STORE_INT(history->from_s)));
    const char *status = row_text(log && log->child ? log->child : service,
                                  log && log->child ? "old_status" : "status");
    int64_t since = history->from_s;
    const cJSON *entry;
    cJSON_ArrayForEach(entry, log)
    {
        add_period(history, service_status(status), since, row_int(entry, "at"));
        since = row_int(entry, "at");
        status = row_text(entry, "new_status");
    }
    /* One second more: what began just now shows at once. */
    add_period(history, service_status(status), since, now_s + 1);
    cJSON_Delete(log);
}

static cJSON *describe_day(const struct history *history, int index)
{
    char title[96];
    char hours[24] = "";
    char date[16] = "";
    const struct day *day = &history->days[index];
    time_t at = (time_t)(history->from_s + (int64_t)index * DAY_S);
    struct tm parts;
    if (gmtime_r(&at, &parts))
        strftime(date, sizeof date, "%Y-%m-%d", &parts);
    long long minutes = (long long)(day->trouble_s + 59) / 60;
    if (minutes >= 60)
        snprintf(hours, sizeof hours, "%lld h ", minutes / 60);
    snprintf(title, sizeof title, "%s: %s, %s%lld min", date, service_label(day->worst), hours,
             minutes % 60);
    cJSON *value = cJSON_CreateObject();
    cJSON_AddNumberToObject(value, "x", index);
    cJSON_AddStringToObject(value, "status", service_status_name(day->worst));
    cJSON_AddStringToObject(value, "title", title);
    return value;
}

void uptime_add(struct store *store, cJSON *service, int64_t now_s)
{
    struct history history = {.from_s = now_s - now_s % DAY_S - (UPTIME_DAYS - 1) * DAY_S};
    read_log(&history, store, service, now_s);

    char uptime[16];
    int64_t created = later(row_int(service, "created_at"), history.from_s);
    double known_s = (double)later(now_s - created, 1);
    double share = 100.0 * (1.0 - (double)history.outage_s / known_s);
    /* Rounding must not hide an outage. */
    if (history.outage_s > 0 && share > 99.99)
        share = 99.99;
    snprintf(uptime, sizeof uptime, share < 100.0 ? "%.2f" : "%.0f", share > 0 ? share : 0);
    cJSON_AddStringToObject(service, "uptime", uptime);
    cJSON_AddNumberToObject(service, "unknown", (double)((created - history.from_s) / DAY_S));
    cJSON *days = cJSON_AddArrayToObject(service, "days");
    for (int i = 0; i < UPTIME_DAYS; i++) {
        if (history.days[i].worst != STATUS_OPERATIONAL)
            cJSON_AddItemToArray(days, describe_day(&history, i));
    }
}
