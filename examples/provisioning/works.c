#include "works.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/fields.h"
#include "common/program.h"
#include "logs.h"
#include "servers.h"

#define TASK_BYTES   1024 /* of the event, which is told as a whole */
#define TASK_SECONDS 6

const struct work_kind work_packages = {"packages", EVENT_PACKAGES, false};
const struct work_kind work_databases = {"databases", EVENT_DATABASES, false};
const struct work_kind work_deployment = {"deployment", EVENT_DEPLOYMENT, true};

int64_t work_server(struct program *program, const struct work_kind *kind, int64_t id)
{
    if (!kind->site)
        return id;
    cJSON *site =
        store_row(program->store, "SELECT server_id FROM sites WHERE id = ?", VALUES(INT(id)));
    int64_t server_id = row_int(site, "server_id");
    cJSON_Delete(site);
    return server_id;
}

void works_get(struct program *program, pusherc_http_request *request,
               const struct http_params *params)
{
    const struct work_kind *kind = params->extra;
    struct session session;
    int64_t id = strtoll(params->value[0], NULL, 10);
    int64_t server_id = work_server(program, kind, id);
    if (!server_is_own(program, request, SERVER_READ, server_id, &session))
        return;
    cJSON *works = store_row(
        program->store,
        "SELECT ?2 id, s.id server_id, s.name server, s.revision,"
        " coalesce((SELECT name FROM sites WHERE id = ?3), s.name) name,"
        " (SELECT json_group_array(json_object('id', id, 'name', name, 'progress', progress))"
        "  FROM (SELECT * FROM works WHERE server_id = s.id AND kind = ?4"
        "   AND (?3 IS NULL OR site_id = ?3) ORDER BY id DESC LIMIT 10)) \"json:works\""
        " FROM servers s WHERE s.id = ?1",
        VALUES(INT(server_id), INT(id), kind->site ? INT(id) : NOTHING, TEXT(kind->name)));
    http_send_json(request, works ? 200 : 500, works);
    cJSON_Delete(works);
}

static void add(struct program *program, pusherc_http_request *request,
                const struct session *session, const struct work_kind *kind, int64_t id,
                const char *name)
{
    struct change change;
    char location[64];
    int64_t server_id = work_server(program, kind, id);
    server_begin(&change, program, server_id, session->user_id, request);
    change_run(
        &change,
        "INSERT INTO works (server_id, site_id, kind, name)"
        " SELECT ?1, ?2, ?3, coalesce((SELECT name FROM sites WHERE id = ?2), ?4)",
        VALUES(INT(server_id), kind->site ? INT(id) : NOTHING, TEXT(kind->name), TEXT(name)));
    event_tell(&change, kind->event, id, NULL);
    snprintf(location, sizeof location, "/%s/%" PRId64 "/%s", kind->site ? "sites" : "servers", id,
             kind->name);
    server_done(request, change_end(&change), location);
}

void works_add(struct program *program, pusherc_http_request *request,
               const struct http_params *params)
{
    const struct work_kind *kind = params->extra;
    char name[FIELD_LINE_BYTES] = "";
    struct session session;
    int64_t id = strtoll(params->value[0], NULL, 10);
    int64_t server_id = work_server(program, kind, id);
    if (server_is_own(program, request, SERVER_WRITE, server_id, &session) &&
        (kind->site || server_read_name(name, request)))
        add(program, request, &session, kind, id, name);
}

void works_deploy(struct program *program, pusherc_http_request *request,
                  const struct http_params *params)
{
    struct session session;
    int64_t id = strtoll(params->value[0], NULL, 10);
    if (!server_is_own(program, request, SERVER_WRITE, id, &session))
        return;
    cJSON *site = store_row(program->store, "SELECT min(id) id FROM sites WHERE server_id = ?",
                            VALUES(INT(id)));
    int64_t site_id = row_int(site, "id");
    cJSON_Delete(site);
    if (site_id)
        add(program, request, &session, &work_deployment, site_id, "");
    else
        http_send_error(request, 409, "There is no site on this server.");
}

/* A task that would be too long to be told as a whole is not begun. */
static bool is_short(const struct change *change)
{
    const cJSON *event = cJSON_GetArrayItem(change->events, 0);
    char *data = cJSON_PrintUnformatted(cJSON_GetObjectItem(event, "data"));
    bool fits = data && strlen(data) < TASK_BYTES;
    cJSON_free(data);
    return fits;
}

void tasks_add(struct program *program, pusherc_http_request *request,
               const struct http_params *params)
{
    char name[FIELD_LINE_BYTES];
    char location[64];
    struct session session;
    struct change change;
    int64_t id = strtoll(params->value[0], NULL, 10);
    if (!server_is_own(program, request, SERVER_WRITE, id, &session))
        return;
    if (!field_line(name, sizeof name, request, "name") || !name[0]) {
        http_send_error(request, 422, "Write a line.");
        return;
    }
    snprintf(location, sizeof location, "/servers/%" PRId64, id);
    server_begin(&change, program, id, session.user_id, request);
    change_run(&change,
               "INSERT INTO tasks (server_id, name, due_at, completed_at) VALUES (?, ?, "
               "unixepoch() + ?, 0)",
               VALUES(INT(id), TEXT(name), INT(TASK_SECONDS)));
    int64_t task_id = change_new_id(&change);
    event_tell(&change, EVENT_TASK, task_id, NULL); /* as it will be */
    bool fits = is_short(&change);
    cJSON_Delete(change.events);
    change.events = cJSON_CreateArray();
    change_run(&change, "UPDATE tasks SET completed_at = NULL WHERE id = ?", VALUES(INT(task_id)));
    event_tell(&change, EVENT_PROVISION, id, NULL);
    change.failed = change.failed || !fits;
    int status = change_end(&change);
    if (!fits)
        http_send_error(request, 422, "That is too long for a task: its event has 1 KiB.");
    else
        server_done(request, status, location);
}

static void advance(struct program *program, const cJSON *work)
{
    struct change change;
    const char *kind = row_text(work, "kind");
    int64_t site_id = row_int(work, "site_id");
    int64_t server_id = row_int(work, "server_id");
    int64_t progress = row_int(work, "progress") + 4 + row_int(work, "id") % 7;
    server_begin(&change, program, server_id, 0, NULL);
    change_run(&change, "UPDATE works SET progress = min(100, ?) WHERE id = ?",
               VALUES(INT(progress), INT(row_int(work, "id"))));
    event_tell(&change,
               site_id                         ? EVENT_DEPLOYMENT
               : strcmp(kind, "packages") == 0 ? EVENT_PACKAGES
                                               : EVENT_DATABASES,
               site_id ? site_id : server_id, NULL);
    change_end(&change);
    if (site_id) {
        char line[64];
        snprintf(line, sizeof line, "deploy: %" PRId64 " %% done", progress < 100 ? progress : 100);
        log_append(program, server_id, "deployment", line);
    }
}

static void complete(struct program *program, const cJSON *task)
{
    struct change change;
    int64_t id = row_int(task, "id");
    server_begin(&change, program, row_int(task, "server_id"), 0, NULL);
    change_run(&change, "UPDATE tasks SET completed_at = unixepoch() WHERE id = ?",
               VALUES(INT(id)));
    event_tell(&change, EVENT_TASK, id, NULL);
    change_end(&change);
}

void works_tick(struct program *program)
{
    const cJSON *row;
    cJSON *works =
        store_rows(program->store, "SELECT * FROM works WHERE progress < 100 LIMIT 100", NO_VALUES);
    cJSON_ArrayForEach(row, works) advance(program, row);
    cJSON_Delete(works);
    cJSON *tasks = store_rows(program->store,
                              "SELECT id, server_id FROM tasks WHERE completed_at IS NULL"
                              " AND due_at <= unixepoch() LIMIT 100",
                              NO_VALUES);
    cJSON_ArrayForEach(row, tasks) complete(program, row);
    cJSON_Delete(tasks);
}
