#include "common/health.h"

#include <time.h>

#include "common/program.h"
#include "common/store.h"

/* A database that has refused a write is asked whether it would take one now, and it must not be waited for. */
bool health_database(struct program *program)
{
    if (program->write_failed) {
        store_run(program->store, "PRAGMA busy_timeout = 0", NO_VALUES);
        program->write_failed = store_run(program->store, "BEGIN IMMEDIATE", NO_VALUES) != 0;
        if (!program->write_failed)
            store_run(program->store, "ROLLBACK", NO_VALUES);
        store_run(program->store, "PRAGMA busy_timeout = " STORE_BUSY_MS, NO_VALUES);
    }
    return !program->write_failed &&
           store_has(program->store, "SELECT count(*) FROM users", NO_VALUES);
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

void health_program(struct program *program, pusherc_http_request *request,
                    const struct http_params *params)
{
    (void)params;
    bool database = health_database(program);
    bool publishes = program_publishes(program);
    bool works = database && publishes;
    cJSON *health = begin(works);
    cJSON_AddStringToObject(health, "database", database ? "ok" : "failed");
    cJSON_AddStringToObject(health, "websocket", publishes ? "connected" : "disconnected");
    send(request, health, works);
}

void health_websocket(struct program *program, pusherc_http_request *request,
                      const struct http_params *params)
{
    (void)params;
    bool works = program_publishes(program); /* this answer comes from the port of the WebSocket */
    cJSON *health = begin(works);
    cJSON_AddStringToObject(health, "websocket", works ? "connected" : "disconnected");
    cJSON_AddStringToObject(health, "driver", program->driver);
    cJSON_AddStringToObject(health, "host", program->options->host);
    cJSON_AddNumberToObject(health, "port", program->port);
    cJSON_AddBoolToObject(health, "tls", program->tls);
    if (program->spec->describe_health)
        program->spec->describe_health(program, health);
    send(request, health, works);
}
