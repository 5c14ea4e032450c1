#include "members.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uv.h>

#include "audience.h"
#include "client.h" /* of cli/ */
#include "common/say.h"

#define TIMEOUT_US 5000000

/* A page here is on one of the two names, that of another application on the other one. */
static const char *const rosters[] = {CHANNEL_OWN, CHANNEL_DOCUMENT};
#define ROSTERS (sizeof rosters / sizeof rosters[0])

struct asking {
    uv_work_t work;
    struct program *program;
    pusherc_http_request *request;
    int64_t organization_id;
    bool admin;
    cJSON *ids; /* of users, as text; owned */
    struct cli_error error;
    bool failed;
};

static void add_members(const pusherc_member *items, size_t count, uint64_t sequence,
                        void *user_data)
{
    (void)sequence;
    cJSON *ids = user_data;
    for (size_t i = 0; i < count; i++) {
        char id[24];
        if (http_copy(id, sizeof id, PUSHERC_AT(items, i)->user_id))
            cJSON_AddItemToArray(ids, cJSON_CreateString(id));
    }
}

/* -- of this server -- */

static void list_here(struct asking *asking)
{
    char channel[64];
    for (size_t i = 0; i < ROSTERS; i++) {
        snprintf(channel, sizeof channel, "%s%" PRId64, rosters[i], asking->organization_id);
        if (pusherc_list_members(asking->program->server, asking->program->app_id,
                                 pusherc_slice_of(channel), add_members, asking->ids) != 0)
            asking->failed = true;
    }
}

/* -- of all servers: each knows who is in the channels of its own clients, and the API asks further -- */

static void find_self(struct cli_target *target, const struct program *program)
{
    const char *host = program->options->host;
    bool any = strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0;
    snprintf(target->api.host, sizeof target->api.host, "%s", any ? "127.0.0.1" : host);
    target->api.port = program->port;
    target->api.tls = program->tls;
    target->ws = target->api;
    snprintf(target->id, sizeof target->id, "%s", program->app_id);
    snprintf(target->key, sizeof target->key, "%s", program->app_key);
    snprintf(target->secret, sizeof target->secret, "%s",
             ((const struct pbx *)program->own)->app_secret);
}

static void take_answer(struct asking *asking, const struct cli_http_answer *answer)
{
    const cJSON *user;
    cJSON *json = answer->status == 200 ? cJSON_Parse(cli_http_body(answer)) : NULL;
    asking->failed = asking->failed || !json;
    cJSON_ArrayForEach(user, cJSON_GetObjectItem(json, "users"))
        cJSON_AddItemToArray(asking->ids, cJSON_CreateString(row_text(user, "id")));
    cJSON_Delete(json);
}

static void ask_on_thread(uv_work_t *work)
{
    struct asking *asking = work->data;
    struct cli_link link = {.timeout_us = TIMEOUT_US};
    find_self(&link.target, asking->program);
    bool open =
        cli_link_open(&link, NULL, true, NULL, &asking->error) == 0; /* it is this program */
    for (size_t i = 0; i < ROSTERS && open; i++) {
        struct cli_http_answer answer = {0};
        char what[96];
        snprintf(what, sizeof what, "/channels/%s%" PRId64 "/users", rosters[i],
                 asking->organization_id);
        if (cli_link_api(&link, "GET", what, NULL, 0, NULL, &answer, &asking->error) == 0)
            take_answer(asking, &answer);
        else
            asking->failed = true;
        cli_http_answer_free(&answer);
    }
    asking->failed = asking->failed || !open;
    cli_link_free(&link);
}

/* -- the answer -- */

static void finish(struct asking *asking)
{
    char *ids = cJSON_PrintUnformatted(asking->ids);
    cJSON *members =
        store_rows(asking->program->store,
                   "SELECT CAST(u.id AS TEXT) id, u.name, p.role, iif(?2, u.email, NULL) email"
                   " FROM users u JOIN people p ON p.user_id = u.id WHERE CAST(u.id AS TEXT) IN"
                   " (SELECT value FROM json_each(?1)) ORDER BY u.name",
                   VALUES(TEXT(ids ? ids : "[]"), INT(asking->admin)));
    if (asking->failed || !members) {
        http_send_error(asking->request, 503, "Who is online is not known at the moment.");
    } else {
        cJSON *answer = cJSON_CreateObject();
        cJSON_AddNumberToObject(answer, "total", cJSON_GetArraySize(members));
        cJSON_AddItemReferenceToObject(answer, "members", members);
        http_send_json(asking->request, 200, answer);
        cJSON_Delete(answer);
    }
    cJSON_Delete(members);
    cJSON_free(ids);
    cJSON_Delete(asking->ids);
    free(asking);
}

static void asked(uv_work_t *work, int status)
{
    struct asking *asking = work->data;
    (void)status;
    if (asking->failed)
        say_seldom(asking->program->own, "members: %s", asking->error.text);
    finish(asking);
}

void members_get(struct program *program, pusherc_http_request *request,
                 const struct http_params *params)
{
    (void)params;
    struct session session;
    struct person person;
    if (!person_is_in(program, request, &session, &person))
        return;
    struct asking *asking = calloc(1, sizeof *asking);
    if (!asking || !(asking->ids = cJSON_CreateArray())) {
        free(asking);
        http_send_error(request, 503, "Too many ask this now.");
        return;
    }
    asking->work.data = asking;
    asking->program = program;
    asking->request = request;
    asking->organization_id = person.organization_id;
    asking->admin = person.admin;
    if (pbx_of(program)->linked &&
        uv_queue_work(program->loop, &asking->work, ask_on_thread, asked) == 0)
        return;
    list_here(asking);
    finish(asking);
}
