#include "people.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "audience.h"
#include "common/change.h"
#include "common/fields.h"

/* -- facts -- */

struct wish {
    char role[16], active[8], organization[24]; /* "" = as it is */
};

static bool read_wish(struct wish *wish, const pusherc_http_request *request)
{
    return field_line(wish->role, sizeof wish->role, request, "role") &&
           field_line(wish->active, sizeof wish->active, request, "active") &&
           field_line(wish->organization, sizeof wish->organization, request, "organization_id") &&
           (!wish->role[0] || strcmp(wish->role, "member") == 0 ||
            strcmp(wish->role, "admin") == 0) &&
           (!wish->active[0] || strcmp(wish->active, "0") == 0 || strcmp(wish->active, "1") == 0);
}

static bool may_change(struct program *program, const struct person *person, int64_t user_id,
                       const struct wish *wish)
{
    if (!person->active || user_id == person->user_id)
        return false;
    if (person->operator)
        return store_has(program->store,
                         "SELECT 1 FROM people WHERE user_id = ? AND role <> 'operator'",
                         VALUES(INT(user_id)));
    return person->admin && !wish->organization[0] &&
           store_has(program->store,
                     "SELECT 1 FROM people WHERE user_id = ? AND organization_id = ?",
                     VALUES(INT(user_id), INT(person->organization_id)));
}

/* 0, 404 or 500. */
static int write_facts(struct program *program, int64_t user_id, const struct wish *wish)
{
    struct change change;
    int64_t organization_id = strtoll(wish->organization, NULL, 10);
    if (wish->organization[0] &&
        !store_has(program->store, "SELECT 1 FROM organizations WHERE id = ?",
                   VALUES(INT(organization_id))))
        return 404;
    change_begin(&change, program, user_id, NULL);
    change_run(&change,
               "UPDATE people SET role = iif(?2 <> '', ?2, role),"
               " active = iif(?3 <> '', CAST(?3 AS INTEGER), active),"
               " organization_id = iif(?4 <> 0, ?4, organization_id) WHERE user_id = ?1",
               VALUES(INT(user_id), TEXT(wish->role), TEXT(wish->active), INT(organization_id)));
    if (wish->organization[0]) /* the extension stays where it is */
        change_run(
            &change,
            "UPDATE extensions SET user_id = NULL WHERE user_id = ? AND organization_id <> ?",
            VALUES(INT(user_id), INT(organization_id)));
    return change_end(&change) == 0 ? 0 : 500;
}

static void facts_are_known(void *user_data)
{
    http_send(user_data, &(struct http_answer){.status = 204});
}

void people_change(struct program *program, pusherc_http_request *request,
                   const struct http_params *params)
{
    struct session session;
    struct person person;
    struct wish wish;
    int64_t user_id = strtoll(params->value[0], NULL, 10);
    person_of(program, request, &session, &person);
    if (!session_may_write(&session, request)) {
        http_send_error(request, session.user_id ? 403 : 401, "Please sign in.");
        return;
    }
    if (!read_wish(&wish, request)) {
        http_send_error(request, 422, "role is member or admin, active is 0 or 1.");
        return;
    }
    if (!may_change(program, &person, user_id, &wish)) {
        http_send_error(request, 403, "This person is not yours to change.");
        return;
    }
    int status = write_facts(program, user_id, &wish);
    if (status != 0)
        http_send_error(request, status, "Nothing was changed.");
    else
        audience_ask_again(program, audience_sessions(program, user_id), facts_are_known, request);
}

/* -- tokens -- */

/* The token's hash is kept beside the session that it comes from. 0 or -1. */
static int keep_token(struct program *program, const char *token, const struct session *session)
{
    char id[TOKEN_BYTES];
    token_derive(id, token, "bearer");
    struct store *store = program->store;
    if (store_run(store,
                  "UPDATE sessions SET expires_at = min(expires_at, unixepoch() + ?2, (SELECT"
                  " expires_at FROM sessions WHERE token_hash = ?3)) WHERE token_hash = ?1",
                  VALUES(TEXT(id), INT(pbx_of(program)->token_s), TEXT(session->id))) != 0)
        return -1;
    return store_run(store, "INSERT INTO page_tokens VALUES (?, ?)",
                     VALUES(TEXT(id), TEXT(session->id)));
}

static void send_token(struct program *program, pusherc_http_request *request, const char *token)
{
    char id[TOKEN_BYTES];
    token_derive(id, token, "bearer");
    cJSON *answer = store_row(program->store,
                              "SELECT strftime('%Y-%m-%dT%H:%M:%SZ', expires_at, 'unixepoch')"
                              " expires_at, expires_at - unixepoch() expires_in_s"
                              " FROM sessions WHERE token_hash = ?",
                              VALUES(TEXT(id)));
    cJSON_AddStringToObject(answer, "token", token);
    http_send_json(request, answer ? 200 : 500, answer);
    cJSON_Delete(answer);
}

void people_token(struct program *program, pusherc_http_request *request,
                  const struct http_params *params)
{
    (void)params;
    struct session session;
    char token[TOKEN_BYTES];
    accounts_find(program, request, &session);
    if (!session.csrf[0] || !session_may_write(&session, request)) {
        http_send_error(request, 401, "Please sign in again.");
        return;
    }
    if (accounts_begin(token, program, SESSION_BEARER, session.user_id) != 0 ||
        keep_token(program, token, &session) != 0)
        http_send_error(request, 500, "There is no token now. Please try again.");
    else
        send_token(program, request, token);
    sodium_memzero(token, sizeof token);
}

/* The tokens of its pages end with the session, and open pages feel it at once. */
void people_logout(struct program *program, pusherc_http_request *request,
                   const struct http_params *params)
{
    struct session session;
    accounts_find(program, request, &session);
    cJSON *sessions = audience_sessions(program, session.user_id);
    login_logout(program, request, params);
    audience_ask_again(program, sessions, NULL, NULL);
}

void people_describe(struct program *program, cJSON *user)
{
    cJSON *row = store_row(program->store,
                           "SELECT role, CAST(organization_id AS TEXT) organization_id"
                           " FROM people WHERE CAST(user_id AS TEXT) = ?",
                           VALUES(TEXT(row_text(user, "id"))));
    cJSON_AddStringToObject(user, "role", row_text(row, "role"));
    cJSON_AddStringToObject(user, "organization_id", row_text(row, "organization_id"));
    cJSON_Delete(row);
}
