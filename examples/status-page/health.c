#include "health.h"

#include <time.h>

#include "session.h"
#include "site.h"
#include "store.h"

/* A database that has refused a write is asked whether it would take one now, and it must not be waited for. */
static bool database_works(struct site *site)
{
    if (site->write_failed) {
        store_run(site->store, "PRAGMA busy_timeout = 0", NO_VALUES);
        site->write_failed = store_run(site->store, "BEGIN IMMEDIATE", NO_VALUES) != 0;
        if (!site->write_failed)
            store_run(site->store, "ROLLBACK", NO_VALUES);
        store_run(site->store, "PRAGMA busy_timeout = " STORE_BUSY_MS, NO_VALUES);
    }
    return !site->write_failed &&
           store_has(site->store, "SELECT count(*) FROM organizations", NO_VALUES);
}

/* With status and time; deleted by send(). */
static cJSON *begin(bool works)
{
    char timestamp[32] = "";
    time_t now = time(NULL);
    struct tm parts;
    if (gmtime_r(&now, &parts))
        strftime(timestamp, sizeof timestamp, "%Y-%m-%dT%H:%M:%S+00:00", &parts);
    cJSON *health = cJSON_CreateObject();
    cJSON_AddStringToObject(health, "status", works ? "ok" : "degraded");
    cJSON_AddStringToObject(health, "timestamp", timestamp);
    return health;
}

static void send(pusherc_http_request *request, cJSON *health, bool works)
{
    http_send_json(request, works ? 200 : 503, health);
    cJSON_Delete(health);
}

void health_program(struct site *site, pusherc_http_request *request,
                    const struct http_params *params)
{
    (void)params;
    bool database = database_works(site);
    bool works = database && !site->publish_failed;
    cJSON *health = begin(works);
    cJSON_AddStringToObject(health, "database", database ? "ok" : "failed");
    cJSON_AddStringToObject(health, "websocket",
                            site->publish_failed ? "disconnected" : "connected");
    send(request, health, works);
}

void health_websocket(struct site *site, pusherc_http_request *request,
                      const struct http_params *params)
{
    (void)params;
    bool works = !site->publish_failed; /* this answer comes from the port of the WebSocket */
    cJSON *health = begin(works);
    cJSON_AddStringToObject(health, "websocket", works ? "connected" : "disconnected");
    cJSON_AddStringToObject(health, "driver", "local");
    cJSON_AddStringToObject(health, "host", site->host);
    cJSON_AddNumberToObject(health, "port", site->port);
    cJSON_AddBoolToObject(health, "tls", site->tls);
    send(request, health, works);
}

/* clang-format off */
#define EACH_COUNTER(X) \
    X(connections) X(connections_total) X(sockets) X(subscriptions) X(channels) X(messages_in_total) \
    X(messages_out_total) X(bytes_in_total) X(bytes_out_total) X(write_calls_total) X(http_requests_total) \
    X(publishes_total) X(publishes_unmatched_total) X(slow_closed_total) X(slow_dropped_total) \
    X(out_queued_bytes) X(mailbox_refused_total)
/* clang-format on */

void health_metrics(struct site *site, pusherc_http_request *request,
                    const struct http_params *params)
{
    (void)params;
    struct session session;
    session_find(site, pusherc_http_cookie(request, SESSION_COOKIE), &session);
    if (!store_has(site->store, "SELECT 1 FROM memberships WHERE user_id = ? AND role <> 'member'",
                   VALUES(INT(session.user_id)))) {
        http_send_error(request, session.user_id ? 403 : 401, "This is for admins and owners.");
        return;
    }
    pusherc_stats stats = PUSHERC_STATS_INIT;
    pusherc_server_stats(site->server, &stats);
    cJSON *metrics = cJSON_CreateObject();
#define ADD(name) cJSON_AddNumberToObject(metrics, #name, (double)stats.name);
    EACH_COUNTER(ADD)
#undef ADD
    http_send_json(request, 200, metrics);
    cJSON_Delete(metrics);
}
