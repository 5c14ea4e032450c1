#include "common/login.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <sodium.h>
#include <uv.h>

#include "common/accounts.h"
#include "common/attempts.h"
#include "common/fields.h"
#include "common/program.h"
#include "common/store.h"

#define MAX_WAITING                                                                                \
    64 /* for one of libuv's four threads: each password takes a tenth of a second */
#define PASSWORD_MAX 128

static const char wrong[] = "That e-mail address and password do not belong together.";
static const char too_often[] =
    "Too many sign-ins from your network did not work. Please wait a minute.";

/* The password check costs that much on purpose, so it runs on libuv's thread pool, and the request is
 * answered when it is done: the loop goes on meanwhile. */
struct login {
    uv_work_t work;
    struct program *program;
    pusherc_http_request *request;
    struct attempt *attempt;
    enum session_kind kind;
    int64_t user_id;
    struct login_wanted wanted;
    char email[128];
    char password[PASSWORD_MAX];
    char hash[crypto_pwhash_STRBYTES];
    bool right;
};

static void find_target(char out[LOGIN_TARGET_BYTES], struct program *program, int64_t user_id,
                        const struct login_wanted *wanted)
{
    snprintf(out, LOGIN_TARGET_BYTES, "/");
    if (program->spec->login_target)
        program->spec->login_target(out, program, user_id, wanted);
}

void login_ask(struct program *program, pusherc_http_request *request,
               const struct login_wanted *wanted)
{
    char location[2 * HTTP_PARAM_BYTES + 64] = "/login";
    for (size_t i = 0; i < 2; i++) {
        size_t len = strlen(location);
        if (wanted->value[i][0])
            snprintf(location + len, sizeof location - len, "%s%s=%s",
                     strchr(location, '?') ? "&" : "?", program->spec->login_names[i],
                     wanted->value[i]);
    }
    http_redirect(request, location, NULL);
}

/* Before a user is signed in, the form is protected by a cookie of its own that it has to repeat. */
static void read_form_token(char out[TOKEN_BYTES], struct program *program,
                            pusherc_http_request *request)
{
    char cookie[COOKIE_NAME_BYTES];
    accounts_cookie_name(cookie, program, "login");
    token_read(out, pusherc_http_cookie(request, cookie));
}

static void send_form(struct program *program, pusherc_http_request *request,
                      const struct http_answer *answer, const struct login_wanted *wanted,
                      const char *email, const char *error)
{
    struct http_answer whole = *answer;
    char token[TOKEN_BYTES];
    char cookie[COOKIE_BYTES];
    read_form_token(token, program, request);
    if (!token[0])
        token_make(token);
    accounts_write_cookie(cookie, program, request, "login", token, "Path=/login; SameSite=Strict");
    cJSON *values = cJSON_CreateObject();
    cJSON *fields = cJSON_AddArrayToObject(values, "wanted");
    for (size_t i = 0; i < 2 && program->spec->login_names[i]; i++) {
        cJSON *field = cJSON_CreateObject();
        cJSON_AddStringToObject(field, "field", program->spec->login_names[i]);
        cJSON_AddStringToObject(field, "value", wanted->value[i]);
        cJSON_AddItemToArray(fields, field);
    }
    cJSON_AddStringToObject(values, "form_token", token);
    cJSON_AddStringToObject(values, "email", email);
    cJSON_AddStringToObject(values, "error", error);
    if (program->spec->login_fill)
        program->spec->login_fill(program, values, wanted);
    cJSON_AddBoolToObject(values, "demo",
                          cJSON_GetArraySize(cJSON_GetObjectItem(values, "users")) > 0);
    whole.cookie = cookie;
    http_send_page(request, "login", values, &whole);
}

void login_page(struct program *program, pusherc_http_request *request,
                const struct http_params *params)
{
    (void)params;
    struct session session;
    struct login_wanted wanted = {0};
    char location[LOGIN_TARGET_BYTES];
    for (size_t i = 0; i < 2 && program->spec->login_names[i]; i++)
        http_copy(wanted.value[i], sizeof wanted.value[i],
                  pusherc_http_query(request, program->spec->login_names[i]));
    accounts_find(program, request, &session);
    if (session.user_id == 0) {
        send_form(program, request, &(struct http_answer){.status = 200}, &wanted, "", "");
        return;
    }
    find_target(location, program, session.user_id, &wanted);
    http_redirect(request, location, NULL);
}

static void check_password(uv_work_t *work)
{
    struct login *login = work->data;
    login->right =
        crypto_pwhash_str_verify(login->hash, login->password, strlen(login->password)) == 0;
}

static void send_cookie(struct login *login, const char *token)
{
    char cookie[COOKIE_BYTES];
    char attributes[64];
    char location[LOGIN_TARGET_BYTES];
    snprintf(attributes, sizeof attributes, "Path=/; SameSite=Lax; Max-Age=%u",
             (unsigned)login->program->options->session_s);
    accounts_write_cookie(cookie, login->program, login->request, "session", token, attributes);
    find_target(location, login->program, login->user_id, &login->wanted);
    http_redirect(login->request, location, cookie);
    sodium_memzero(cookie, sizeof cookie);
}

static void send_token(struct login *login, const char *token)
{
    char expires_at[32] = "";
    time_t then = time(NULL) + login->program->options->session_s;
    struct tm parts;
    if (gmtime_r(&then, &parts))
        strftime(expires_at, sizeof expires_at, "%Y-%m-%dT%H:%M:%SZ", &parts);
    cJSON *answer = cJSON_CreateObject();
    cJSON_AddStringToObject(answer, "token", token);
    cJSON_AddStringToObject(answer, "expires_at", expires_at);
    cJSON *user =
        store_row(login->program->store, "SELECT CAST(id AS TEXT) id, name FROM users WHERE id = ?",
                  VALUES(INT(login->user_id)));
    if (user && login->program->spec->describe_user)
        login->program->spec->describe_user(login->program, user);
    if (user)
        cJSON_AddItemToObject(answer, "user", user);
    http_send_json(login->request, 200, answer);
    cJSON_Delete(answer);
}

static void sign_in(struct login *login)
{
    char token[TOKEN_BYTES];
    if (accounts_begin(token, login->program, login->kind, login->user_id) != 0)
        http_send_error(login->request, 500, "Signing in did not work. Please try again.");
    else if (login->kind == SESSION_BEARER)
        send_token(login, token);
    else
        send_cookie(login, token);
    sodium_memzero(token, sizeof token);
}

static uint64_t now_s(const struct program *program)
{
    return uv_now(program->loop) / 1000;
}

static void password_checked(uv_work_t *work, int status)
{
    struct login *login = work->data;
    bool right = status == 0 && login->right && login->user_id != 0;
    login->program->logins_waiting--;
    attempts_end(login->attempt, right, now_s(login->program));
    if (right)
        sign_in(login);
    else if (login->kind == SESSION_BEARER)
        http_send_error(login->request, 401, wrong);
    else
        send_form(login->program, login->request, &(struct http_answer){.status = 422},
                  &login->wanted, login->email, wrong);
    sodium_memzero(login, sizeof *login);
    free(login);
}

/* The password of an unknown user is compared with a hash that no password fits: that must take as long as a wrong one. */
static const char no_hash[] = "$argon2id$v=19$m=65536,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$"
                              "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

static struct login *new_login(struct program *program, pusherc_http_request *request,
                               const struct login_wanted *wanted, enum session_kind kind)
{
    struct login *login = calloc(1, sizeof *login);
    if (!login)
        return NULL;
    login->work.data = login;
    login->program = program;
    login->request = request;
    login->kind = kind;
    login->wanted = *wanted;
    field_line(login->email, sizeof login->email, request, "email");
    field_copy(login->password, sizeof login->password, request, "password");
    cJSON *user = store_row(program->store, "SELECT id, password FROM users WHERE email = lower(?)",
                            VALUES(TEXT(login->email)));
    login->user_id = row_int(user, "id");
    snprintf(login->hash, sizeof login->hash, "%s", user ? row_text(user, "password") : no_hash);
    cJSON_Delete(user);
    return login;
}

static void refuse(struct program *program, pusherc_http_request *request,
                   const struct login_wanted *wanted, enum session_kind kind, uint32_t wait_s)
{
    char seconds[16];
    snprintf(seconds, sizeof seconds, "%u", (unsigned)wait_s);
    if (kind == SESSION_BEARER)
        http_send_wait(request, wait_s, too_often);
    else
        send_form(program, request, &(struct http_answer){.status = 429, .retry_after = seconds},
                  wanted, "", too_often);
}

static void begin(struct program *program, pusherc_http_request *request,
                  const struct login_wanted *wanted, enum session_kind kind)
{
    struct login *login = NULL;
    uint32_t wait_s;
    struct attempt *attempt = attempts_begin(&program->attempts, pusherc_http_client_ip(request),
                                             now_s(program), &wait_s);
    if (!attempt) {
        refuse(program, request, wanted, kind, wait_s);
    } else if (program->logins_waiting >= MAX_WAITING ||
               !(login = new_login(program, request, wanted, kind)) ||
               uv_queue_work(program->loop, &login->work, check_password, password_checked) != 0) {
        attempts_end(attempt, true, now_s(program));
        free(login);
        http_send_error(request, 503, "Too many people sign in right now. Please try again.");
    } else {
        login->attempt = attempt;
        program->logins_waiting++;
    }
}

void login_post(struct program *program, pusherc_http_request *request,
                const struct http_params *params)
{
    (void)params;
    char token[TOKEN_BYTES];
    char field[TOKEN_BYTES];
    struct login_wanted wanted = {0};
    read_form_token(token, program, request);
    http_copy(field, sizeof field, pusherc_http_form(request, "csrf"));
    for (size_t i = 0; i < 2 && program->spec->login_names[i]; i++)
        field_line(wanted.value[i], sizeof wanted.value[i], request, program->spec->login_names[i]);
    if (token_same(token, field))
        begin(program, request, &wanted, SESSION_COOKIE);
    else
        send_form(program, request, &(struct http_answer){.status = 403}, &wanted, "",
                  "The form was too old. Please try again.");
}

void login_token(struct program *program, pusherc_http_request *request,
                 const struct http_params *params)
{
    (void)params;
    begin(program, request, &(struct login_wanted){0}, SESSION_BEARER);
}

void login_token_end(struct program *program, pusherc_http_request *request,
                     const struct http_params *params)
{
    (void)params;
    struct session session;
    accounts_find(program, request, &session);
    if (session.user_id == 0 || session.csrf[0]) {
        http_send_error(request, 401, "Please sign in.");
        return;
    }
    accounts_end(program, &session);
    http_send(request, &(struct http_answer){.status = 204});
}

void login_logout(struct program *program, pusherc_http_request *request,
                  const struct http_params *params)
{
    (void)params;
    struct session session;
    char cookie[COOKIE_BYTES];
    accounts_find(program, request, &session);
    if (!session_may_write(&session, request)) {
        http_redirect(request, "/", NULL);
        return;
    }
    accounts_end(program, &session);
    accounts_write_cookie(cookie, program, request, "session", "",
                          "Path=/; SameSite=Lax; Max-Age=0");
    http_redirect(request, "/", cookie);
}
