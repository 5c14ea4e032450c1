#include "login.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>
#include <uv.h>

#include "attempts.h"
#include "audience.h"
#include "fields.h"
#include "session.h"
#include "site.h"
#include "store.h"

#define LOGIN_COOKIE "status_login"
#define SESSION_S    "43200" /* 12 hours */
#define MAX_WAITING                                                                                \
    64 /* for one of libuv's four threads: each password takes a tenth of a second */
#define PASSWORD_MAX 128

/* What was asked for before signing in: a dashboard, or the status page if `page` is "status". */
struct wanted {
    char slug[HTTP_PARAM_BYTES]; /* "" = any */
    char page[8];
};

/* The password check costs that much on purpose, so it runs on libuv's thread pool, and the request is
 * answered when it is done: the loop goes on meanwhile. */
struct login {
    uv_work_t work;
    struct site *site;
    pusherc_http_request *request;
    struct attempt *attempt;
    int64_t user_id;
    struct wanted wanted;
    char email[128];
    char password[PASSWORD_MAX];
    char hash[crypto_pwhash_STRBYTES];
    bool right;
};

#define LOCATION_BYTES (HTTP_PARAM_BYTES + 16)

/* The page wanted if the user may see it, else the first dashboard that is the user's own, else the start. */
static void find_target(char out[LOCATION_BYTES], struct site *site, int64_t user_id,
                        const struct wanted *wanted)
{
    cJSON *found = store_row(
        site->store,
        "SELECT o.slug, iif(o.slug = ?2 AND ?3 = 'status', '/status/', '/dashboard/') place"
        " FROM organizations o LEFT JOIN memberships m ON m.organization_id = o.id AND m.user_id = "
        "?1"
        " WHERE m.user_id OR (o.public AND o.slug = ?2 AND ?3 = 'status')"
        " ORDER BY o.slug <> ?2, o.id",
        VALUES(INT(user_id), TEXT(wanted->slug), TEXT(wanted->page)));
    snprintf(out, LOCATION_BYTES, "%s%s", found ? row_text(found, "place") : "/",
             row_text(found, "slug"));
    cJSON_Delete(found);
}

void login_ask(pusherc_http_request *request, const char *slug, const char *page)
{
    char location[HTTP_PARAM_BYTES + 64];
    snprintf(location, sizeof location, "/login?organization=%s%s%s", slug, *page ? "&page=" : "",
             page);
    http_redirect(request, location, NULL);
}

/* A demo's users and passwords are known to everybody (sql/demo.sql): a button for each. What is private is not
 * called by its name. */
static cJSON *demo_users(struct site *site, const char *slug)
{
    return store_rows(site->store,
                      "SELECT u.email, o.slug || '-demo' password, upper(substr(m.role, 1, 1)) ||"
                      " substr(m.role, 2) || ' of ' || iif(o.public, o.name,"
                      " 'a private organization') label FROM memberships m"
                      " JOIN users u ON u.id = m.user_id"
                      " JOIN organizations o ON o.id = m.organization_id"
                      " JOIN settings s ON s.name = 'demo'"
                      " WHERE u.email LIKE '%@' || o.slug || '.example'"
                      " ORDER BY o.slug <> ?, o.id, u.id",
                      VALUES(TEXT(slug)));
}

/* Before a user is signed in, the form is protected by a cookie of its own that it has to repeat. */
static void send_form(struct site *site, pusherc_http_request *request,
                      const struct http_answer *answer, const struct wanted *wanted,
                      const char *email, const char *error)
{
    struct http_answer whole = *answer;
    char token[SESSION_TOKEN_BYTES];
    char cookie[SESSION_COOKIE_BYTES];
    session_read_token(token, pusherc_http_cookie(request, LOGIN_COOKIE));
    if (!token[0])
        session_random_token(token);
    session_write_cookie(cookie, site, request, LOGIN_COOKIE, token,
                         "Path=/login; SameSite=Strict");
    cJSON *values = cJSON_CreateObject();
    cJSON_AddStringToObject(values, "csrf", token);
    cJSON_AddStringToObject(values, "slug", wanted->slug);
    cJSON_AddStringToObject(values, "page", wanted->page);
    cJSON_AddBoolToObject(values, "members_only", strcmp(wanted->page, "status") == 0);
    cJSON_AddStringToObject(values, "email", email);
    cJSON_AddStringToObject(values, "error", error);
    cJSON *users = demo_users(site, wanted->slug);
    cJSON_AddBoolToObject(values, "demo", cJSON_GetArraySize(users) > 0);
    cJSON_AddItemToObject(values, "users", users);
    whole.cookie = cookie;
    http_send_page(request, "login", values, &whole);
}

void login_page(struct site *site, pusherc_http_request *request, const struct http_params *params)
{
    (void)params;
    struct session session;
    struct wanted wanted;
    char location[LOCATION_BYTES];
    http_copy(wanted.slug, sizeof wanted.slug, pusherc_http_query(request, "organization"));
    http_copy(wanted.page, sizeof wanted.page, pusherc_http_query(request, "page"));
    session_find(site, pusherc_http_cookie(request, SESSION_COOKIE), &session);
    if (session.user_id == 0) {
        send_form(site, request, &(struct http_answer){.status = 200}, &wanted, "", "");
        return;
    }
    find_target(location, site, session.user_id, &wanted);
    http_redirect(request, location, NULL);
}

static void check_password(uv_work_t *work)
{
    struct login *login = work->data;
    login->right =
        crypto_pwhash_str_verify(login->hash, login->password, strlen(login->password)) == 0;
}

static void sign_in(struct login *login)
{
    struct store *store = login->site->store;
    char token[SESSION_TOKEN_BYTES];
    char hash[SESSION_TOKEN_BYTES];
    char cookie[SESSION_COOKIE_BYTES];
    char location[LOCATION_BYTES];
    session_random_token(token);
    session_derive(hash, token, "id");
    if (store_run(store, "DELETE FROM sessions WHERE expires_at <= unixepoch()", NO_VALUES) != 0 ||
        store_run(store, "INSERT INTO sessions VALUES (?, ?, unixepoch() + " SESSION_S ")",
                  VALUES(TEXT(hash), INT(login->user_id))) != 0) {
        http_send_error(login->request, 500, "Signing in did not work. Please try again.");
    } else {
        session_write_cookie(cookie, login->site, login->request, SESSION_COOKIE, token,
                             "Path=/; SameSite=Lax; Max-Age=" SESSION_S);
        find_target(location, login->site, login->user_id, &login->wanted);
        http_redirect(login->request, location, cookie);
    }
    sodium_memzero(token, sizeof token);
    sodium_memzero(cookie, sizeof cookie);
}

static uint64_t now_s(const struct site *site)
{
    return uv_now(site->loop) / 1000;
}

static void password_checked(uv_work_t *work, int status)
{
    struct login *login = work->data;
    bool right = status == 0 && login->right && login->user_id != 0;
    login->site->logins_waiting--;
    attempts_end(login->attempt, right, now_s(login->site));
    if (right)
        sign_in(login);
    else
        send_form(login->site, login->request, &(struct http_answer){.status = 422}, &login->wanted,
                  login->email, "That e-mail address and password do not belong together.");
    sodium_memzero(login, sizeof *login);
    free(login);
}

/* The password of an unknown user is compared with a hash that no password fits: that must take as long as a wrong one. */
static const char no_hash[] = "$argon2id$v=19$m=65536,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$"
                              "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

static struct login *new_login(struct site *site, pusherc_http_request *request,
                               const struct wanted *wanted)
{
    struct login *login = calloc(1, sizeof *login);
    if (!login)
        return NULL;
    login->work.data = login;
    login->site = site;
    login->request = request;
    login->wanted = *wanted;
    field_line(login->email, sizeof login->email, request, "email");
    http_copy(login->password, sizeof login->password, pusherc_http_form(request, "password"));
    cJSON *user = store_row(site->store, "SELECT id, password FROM users WHERE email = lower(?)",
                            VALUES(TEXT(login->email)));
    login->user_id = row_int(user, "id");
    snprintf(login->hash, sizeof login->hash, "%s", user ? row_text(user, "password") : no_hash);
    cJSON_Delete(user);
    return login;
}

static void refuse(struct site *site, pusherc_http_request *request, const struct wanted *wanted,
                   uint32_t wait_s)
{
    char seconds[16];
    snprintf(seconds, sizeof seconds, "%u", (unsigned)wait_s);
    send_form(site, request, &(struct http_answer){.status = 429, .retry_after = seconds}, wanted,
              "", "Too many sign-ins from your network did not work. Please wait a minute.");
}

void login_post(struct site *site, pusherc_http_request *request, const struct http_params *params)
{
    (void)params;
    char token[SESSION_TOKEN_BYTES];
    char field[SESSION_TOKEN_BYTES];
    struct wanted wanted;
    struct login *login = NULL;
    struct attempt *attempt;
    uint32_t wait_s;
    session_read_token(token, pusherc_http_cookie(request, LOGIN_COOKIE));
    http_copy(field, sizeof field, pusherc_http_form(request, "csrf"));
    field_line(wanted.slug, sizeof wanted.slug, request, "organization");
    field_line(wanted.page, sizeof wanted.page, request, "page");
    if (!session_same_token(token, field)) {
        send_form(site, request, &(struct http_answer){.status = 403}, &wanted, "",
                  "The form was too old. Please try again.");
        return;
    }
    attempt =
        attempts_begin(&site->attempts, pusherc_http_client_ip(request), now_s(site), &wait_s);
    if (!attempt) {
        refuse(site, request, &wanted, wait_s);
    } else if (site->logins_waiting >= MAX_WAITING ||
               !(login = new_login(site, request, &wanted)) ||
               uv_queue_work(site->loop, &login->work, check_password, password_checked) != 0) {
        attempts_end(attempt, true, now_s(site));
        free(login);
        http_send_error(request, 503, "Too many people sign in right now. Please try again.");
    } else {
        login->attempt = attempt;
        site->logins_waiting++;
    }
}

/* Open pages lose what only this session could hear, at once. */
void login_logout(struct site *site, pusherc_http_request *request,
                  const struct http_params *params)
{
    (void)params;
    struct session session;
    char cookie[SESSION_COOKIE_BYTES];
    session_find(site, pusherc_http_cookie(request, SESSION_COOKIE), &session);
    if (!session_may_write(&session, request)) {
        http_redirect(request, "/", NULL);
        return;
    }
    store_run(site->store, "DELETE FROM sessions WHERE token_hash = ?", VALUES(TEXT(session.id)));
    audience_left(site, session.id);
    session_write_cookie(cookie, site, request, SESSION_COOKIE, "",
                         "Path=/; SameSite=Lax; Max-Age=0");
    http_redirect(request, "/", cookie);
}
