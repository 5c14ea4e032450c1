#include "servers.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "cloud.h"
#include "common/fields.h"
#include "common/program.h"
#include "events.h"
#include "steps.h"

void server_begin(struct change *change, struct program *program, int64_t server_id,
                  int64_t user_id, const pusherc_http_request *request)
{
    change_begin(change, program, user_id, request);
    change->about_id = server_id;
    change_run(change, "UPDATE servers SET revision = revision + 1 WHERE id = ?",
               VALUES(INT(server_id)));
    cJSON *row = store_row(program->store, "SELECT revision FROM servers WHERE id = ?",
                           VALUES(INT(server_id)));
    change->revision = row_int(row, "revision");
    cJSON_Delete(row);
}

bool server_is_own(struct program *program, pusherc_http_request *request, enum server_use use,
                   int64_t server_id, struct session *session)
{
    accounts_find(program, request, session);
    if (session->user_id == 0)
        http_send_error(request, 401, "Please sign in.");
    else if (use == SERVER_WRITE && !session_may_write(session, request))
        http_send_error(request, 403, "The page was too old. Please load it again.");
    else if (server_id != NO_SERVER &&
             !store_has(program->store, "SELECT 1 FROM servers WHERE id = ? AND user_id = ?",
                        VALUES(INT(server_id), INT(session->user_id))))
        http_send_error(request, 404, "There is no such server, or it is not yours.");
    else
        return true;
    return false;
}

void server_done(pusherc_http_request *request, int status, const char *location)
{
    if (status != 0)
        http_send_error(request, 500, "It could not be written. Nothing was changed.");
    else if (http_wants_json(request))
        http_send(request, &(struct http_answer){.status = 204});
    else
        http_redirect(request, location, NULL);
}

bool server_read_name(char out[512], pusherc_http_request *request)
{
    if (field_line(out, 512, request, "name") && out[0] && field_characters(out) <= NAME_CHARACTERS)
        return true;
    http_send_error(request, 422, "Write a name of 1 to 120 characters.");
    return false;
}

void servers_list(struct program *program, pusherc_http_request *request,
                  const struct http_params *params)
{
    (void)params;
    struct session session;
    if (!server_is_own(program, request, SERVER_READ, NO_SERVER, &session))
        return;
    cJSON *list = store_row(
        program->store,
        "SELECT (SELECT json_group_array(json_object('id', id, 'name', name, 'provision_status',"
        "  provision_status, 'done', (SELECT count(*) FROM steps WHERE server_id = s.id"
        "  AND status = 'completed'))) FROM (SELECT * FROM servers WHERE user_id = ?"
        "  ORDER BY id DESC) s) \"json:servers\"",
        VALUES(INT(session.user_id)));
    http_send_json(request, list ? 200 : 500, list);
    cJSON_Delete(list);
}

void servers_get(struct program *program, pusherc_http_request *request,
                 const struct http_params *params)
{
    struct session session;
    int64_t id = strtoll(params->value[0], NULL, 10);
    if (!server_is_own(program, request, SERVER_READ, id, &session))
        return;
    cJSON *server =
        store_row(program->store, "SELECT * FROM server_resources WHERE id = ?", VALUES(INT(id)));
    http_send_json(request, server ? 200 : 500, server);
    cJSON_Delete(server);
}

int64_t server_order(struct program *program, const pusherc_http_request *request, int64_t user_id,
                     const char *name, bool simulated, char token[TOKEN_BYTES])
{
    struct change change;
    char hash[TOKEN_BYTES];
    token_make(token);
    token_derive(hash, token, "machine");
    change_begin(&change, program, user_id, request);
    change_run(&change,
               "INSERT INTO servers (user_id, name, token_hash, simulated) VALUES (?, ?, ?, ?)",
               VALUES(INT(user_id), TEXT(name), TEXT(hash), INT(simulated)));
    int64_t id = change_new_id(&change);
    event_tell(&change, EVENT_SERVERS, user_id, NULL);
    return change_end(&change) == 0 ? id : 0;
}

void servers_order(struct program *program, pusherc_http_request *request,
                   const struct http_params *params)
{
    (void)params;
    char name[FIELD_LINE_BYTES];
    char token[TOKEN_BYTES];
    struct session session;
    if (!server_is_own(program, request, SERVER_WRITE, NO_SERVER, &session) ||
        !server_read_name(name, request))
        return;
    bool simulated = cloud_of(program)->factory.simulates && !field_ticked(request, "machine");
    int64_t id = server_order(program, request, session.user_id, name, simulated, token);
    if (!id || !http_wants_json(request)) {
        server_done(request, id ? 0 : -1, "/servers");
        return;
    }
    cJSON *answer = cJSON_CreateObject();
    cJSON_AddNumberToObject(answer, "id", (double)id);
    cJSON_AddStringToObject(answer, "token", token);
    http_send_json(request, 201, answer);
    cJSON_Delete(answer);
}

void servers_retry(struct program *program, pusherc_http_request *request,
                   const struct http_params *params)
{
    struct session session;
    char location[64];
    int64_t id = strtoll(params->value[0], NULL, 10);
    if (!server_is_own(program, request, SERVER_WRITE, id, &session))
        return;
    snprintf(location, sizeof location, "/servers/%" PRId64 "/provisioning", id);
    int status = steps_retry(program, id, session.user_id, request);
    if (status == 1)
        http_send_error(request, 409, "This server has not failed.");
    else
        server_done(request, status, location);
}

void servers_hand_over(struct program *program, pusherc_http_request *request,
                       const struct http_params *params)
{
    char email[FIELD_LINE_BYTES];
    struct session session;
    struct change change;
    int64_t id = strtoll(params->value[0], NULL, 10);
    if (!server_is_own(program, request, SERVER_WRITE, id, &session))
        return;
    field_line(email, sizeof email, request, "email");
    cJSON *user = store_row(program->store, "SELECT id FROM users WHERE email = lower(?)",
                            VALUES(TEXT(email)));
    int64_t user_id = row_int(user, "id");
    cJSON_Delete(user);
    if (!user_id) {
        http_send_error(request, 422, "Nobody here has that e-mail address.");
        return;
    }
    server_begin(&change, program, id, session.user_id, request);
    change_run(&change, "UPDATE servers SET user_id = ? WHERE id = ?",
               VALUES(INT(user_id), INT(id)));
    event_tell(&change, EVENT_SERVERS, session.user_id, NULL);
    event_tell(&change, EVENT_SERVERS, user_id, NULL);
    int status = change_end(&change);
    if (status == 0)
        events_owner_changed(program, id);
    server_done(request, status, "/servers");
}

void server_delete(struct program *program, const pusherc_http_request *request, int64_t server_id)
{
    struct change change;
    cJSON *row = store_row(program->store, "SELECT user_id FROM servers WHERE id = ?",
                           VALUES(INT(server_id)));
    change_begin(&change, program, 0, request);
    change_run(&change, "DELETE FROM servers WHERE id = ?", VALUES(INT(server_id)));
    event_tell(&change, EVENT_SERVERS, row_int(row, "user_id"), NULL);
    cJSON_Delete(row);
    if (change_end(&change) == 0)
        events_owner_changed(program, server_id);
}

void servers_remove(struct program *program, pusherc_http_request *request,
                    const struct http_params *params)
{
    struct session session;
    int64_t id = strtoll(params->value[0], NULL, 10);
    if (!server_is_own(program, request, SERVER_WRITE, id, &session))
        return;
    server_delete(program, request, id);
    server_done(request, 0, "/servers");
}
