/*
 * A board: users who are signed in pin notes to it, and every open page shows them at once. The smallest program on
 * examples/common, to begin another one with.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "common/change.h"
#include "common/fields.h"
#include "common/program.h"

static void page(struct program *program, pusherc_http_request *request,
                 const struct http_params *params)
{
    (void)params;
    struct session session;
    accounts_find(program, request, &session);
    if (session.user_id == 0) {
        login_ask(program, request, &(struct login_wanted){0});
        return;
    }
    cJSON *values = cJSON_CreateObject();
    cJSON_AddStringToObject(values, "key", program->app_key); /* for startLive() */
    cJSON_AddStringToObject(values, "csrf", session.csrf);
    cJSON_AddStringToObject(values, "user", session.name);
    cJSON_AddItemToObject(
        values, "notes",
        store_rows(program->store,
                   "SELECT n.id, n.text, u.name, n.user_id = ? mine FROM notes n"
                   " JOIN users u ON u.id = n.user_id ORDER BY n.id DESC LIMIT 50",
                   VALUES(INT(session.user_id))));
    http_send_page(request, "board", values, &(struct http_answer){.status = 200});
}

/* Pin a note (POST), or take away one's own (DELETE, or POST as forms do). Its author hears of both by name, too. */
static void write(struct program *program, pusherc_http_request *request,
                  const struct http_params *params)
{
    static const char tell[] = "SELECT n.id note, n.text, u.name FROM notes n JOIN users u"
                               " ON u.id = n.user_id WHERE n.id = ?";
    bool add = params->extra != NULL;
    char text[FIELD_LINE_BYTES];
    struct session session;
    accounts_find(program, request, &session);
    if (!session_may_write(&session, request)) {
        http_send_error(request, session.user_id ? 403 : 401, "Please sign in.");
        return;
    }
    if (add && (!field_line(text, sizeof text, request, "text") || !text[0] ||
                field_characters(text) > 200)) {
        http_send_error(request, 422, "Write a line of at most 200 characters.");
        return;
    }
    int64_t id = strtoll(params->value[0], NULL, 10);
    if (!add && !store_has(program->store, "SELECT 1 FROM notes WHERE id = ? AND user_id = ?",
                           VALUES(INT(id), INT(session.user_id)))) {
        http_send_error(request, 404, "There is no such note, or it is not yours.");
        return;
    }
    struct change change;
    change_begin(&change, program, session.user_id, request);
    change_to(&change, "board");
    change_to(&change, "private-user.%" PRId64, session.user_id);
    if (add) {
        change_run(&change, "INSERT INTO notes (user_id, text) VALUES (?, ?)",
                   VALUES(change_user(&change), TEXT(text)));
        id = change_new_id(&change);
    }
    change_tell(&change, add ? "note.added" : "note.removed", tell, VALUES(INT(id)));
    if (!add)
        change_run(&change, "DELETE FROM notes WHERE id = ?", VALUES(INT(id)));
    if (change_end(&change) != 0)
        http_send_error(request, 500, "It could not be written. Nothing was changed.");
    else if (http_wants_json(request))
        http_send(request, &(struct http_answer){.status = 204});
    else
        http_redirect(request, "/", NULL);
}

static bool on_http(struct program *program, pusherc_http_request *request)
{
    static const struct http_route routes[] = {
        {"GET", "/", page, NULL},
        {"POST", "/notes", write, "add"},
        {"DELETE", "/notes/{id}", write, NULL},
        {"POST", "/notes/{id}/remove", write, NULL},
    };
    return http_dispatch(routes, sizeof routes / sizeof routes[0], program, request);
}

/* The board is for all users who are signed in, private-user.N for one user. */
static void decide(pusherc_auth_request *request, void *user_data)
{
    struct program *program = user_data;
    pusherc_grant grant = PUSHERC_GRANT_INIT;
    pusherc_slice wanted = pusherc_auth_param(request, "id"); /* empty: the board */
    if (store_has(
            program->store,
            "SELECT 1 FROM sessions WHERE token_hash = ?1 AND expires_at > unixepoch()"
            " AND (?2 = '' OR user_id = ?2)",
            VALUES(SLICE(pusherc_auth_user_id(request)), wanted.len ? SLICE(wanted) : TEXT(""))))
        pusherc_auth_allow(request, &grant);
    else
        pusherc_auth_deny(request, 403, "This is not yours");
}

static int prepare(struct program *program, pusherc_errinfo *info)
{
    pusherc_rule board = PUSHERC_RULE_INIT;
    board.pattern = "board";
    board.kinds = PUSHERC_RULE_PUBLIC;
    board.authorize = decide;
    board.user_data = program;
    pusherc_rule user = board;
    user.pattern = "user.{id}";
    user.kinds = PUSHERC_RULE_PRIVATE;
    int status = pusherc_server_add_rule(program->server, &board, info);
    return status ? status : pusherc_server_add_rule(program->server, &user, info);
}

static void demo_users(struct program *program, cJSON *values, const struct login_wanted *wanted)
{
    (void)wanted;
    cJSON_AddItemToObject(values, "users",
                          store_rows(program->store,
                                     "SELECT email, name label, lower(name) || '-demo' password"
                                     " FROM users WHERE email LIKE '%@board.example'",
                                     NO_VALUES));
}

int main(int argc, char **argv)
{
    static const struct script_source scripts[] = {
        {"static/pusher.js", "pusher-js/dist/web/pusher.min.js"},
        {"static/echo.js", "laravel-echo/dist/echo.iife.js"},
        {0},
    };
    const struct program_spec spec = {
        .id = "board",
        .cookies = "board",
        .summary = "Serve a board that is live through libpusherc.",
        .port = 8085,
        .schema = {.steps = {"sql/accounts.sql", "sql/notes.sql"}, .demo = "sql/demo.sql"},
        .scripts = scripts,
        .payload_version = 1,
        .tokens = true,
        .prepare = prepare,
        .on_http = on_http,
        .login_fill = demo_users,
    };
    return program_main(argc, argv, &spec, NULL);
}
