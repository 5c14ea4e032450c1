#include "session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>
#include <uv.h>

#include "audience.h"
#include "site.h"
#include "store.h"

#define LOGIN_COOKIE     "status_login"
#define SESSION_S        "43200" /* 12 hours */
#define MAX_LOGINS       8       /* at once: each takes 64 MiB for a tenth of a second */
#define PASSWORD_MAX     128
#define TOKEN_RAW_BYTES  32
#define COOKIE_MAX_BYTES 224

/* The password check costs that much on purpose, so it runs on libuv's thread pool, and the request is
 * answered when it is done: the loop goes on meanwhile. */
struct login {
    uv_work_t work;
    struct site *site;
    pusherc_http_request *request;
    int64_t user_id;
    char slug[HTTP_PARAM_BYTES]; /* of the dashboard wanted, may be empty */
    char email[128];
    char password[PASSWORD_MAX];
    char hash[crypto_pwhash_STRBYTES];
    bool right;
};

static void random_token(char out[SESSION_TOKEN_BYTES])
{
    unsigned char raw[TOKEN_RAW_BYTES];
    randombytes_buf(raw, sizeof raw);
    sodium_bin2hex(out, SESSION_TOKEN_BYTES, raw, sizeof raw);
}

/* One token, different values for different uses; none tells another. */
static void derive(char out[SESSION_TOKEN_BYTES], const char *token, const char *use)
{
    unsigned char raw[TOKEN_RAW_BYTES];
    crypto_generichash(raw, sizeof raw, (const unsigned char *)use, strlen(use),
                       (const unsigned char *)token, strlen(token));
    sodium_bin2hex(out, SESSION_TOKEN_BYTES, raw, sizeof raw);
}

static bool same_token(const char *one, const char *other)
{
    return strlen(one) == SESSION_TOKEN_BYTES - 1 && strlen(other) == SESSION_TOKEN_BYTES - 1 &&
           sodium_memcmp(one, other, SESSION_TOKEN_BYTES - 1) == 0;
}

/* "" if it is not of that form. */
static void read_token(char out[SESSION_TOKEN_BYTES], pusherc_slice cookie)
{
    http_copy(out, SESSION_TOKEN_BYTES, cookie);
    if (strspn(out, "0123456789abcdef") != SESSION_TOKEN_BYTES - 1)
        out[0] = '\0';
}

/* A Set-Cookie value. Only for TLS if the browser came by TLS, be it to a proxy in front of this program. */
static void write_cookie(char out[COOKIE_MAX_BYTES], struct site *site,
                         const pusherc_http_request *request, const char *name, const char *value,
                         const char *attributes)
{
    bool secure =
        site->tls || pusherc_slice_equal(pusherc_http_header(request, "x-forwarded-proto"),
                                         pusherc_slice_of("https"));
    snprintf(out, COOKIE_MAX_BYTES, "%s=%s; HttpOnly; %s%s", name, value, attributes,
             secure ? "; Secure" : "");
}

void session_find(struct site *site, pusherc_slice cookie, struct session *out)
{
    char token[SESSION_TOKEN_BYTES];
    *out = (struct session){0};
    read_token(token, cookie);
    if (!token[0])
        return;
    derive(out->id, token, "id");
    cJSON *row = store_row(site->store,
                           "SELECT u.id, u.name, s.expires_at - unixepoch() left_s"
                           " FROM sessions s JOIN users u ON u.id = s.user_id"
                           " WHERE s.token_hash = ? AND s.expires_at > unixepoch()",
                           VALUES(TEXT(out->id)));
    if (row) {
        out->user_id = row_int(row, "id");
        snprintf(out->name, sizeof out->name, "%s", row_text(row, "name"));
        derive(out->csrf, token, "csrf");
        out->expires_in_ms = (uint32_t)row_int(row, "left_s") * 1000;
    } else {
        out->id[0] = '\0';
    }
    cJSON_Delete(row);
    sodium_memzero(token, sizeof token);
}

enum role session_role(struct site *site, const struct session *session, int64_t organization_id)
{
    cJSON *row =
        store_row(site->store,
                  "SELECT CASE role WHEN 'owner' THEN 3 WHEN 'admin' THEN 2 ELSE 1 END role"
                  " FROM memberships WHERE user_id = ? AND organization_id = ?",
                  VALUES(INT(session->user_id), INT(organization_id)));
    enum role role = (enum role)row_int(row, "role");
    cJSON_Delete(row);
    return role;
}

bool session_may_write(const struct session *session, const pusherc_http_request *request)
{
    char header[SESSION_TOKEN_BYTES];
    char field[SESSION_TOKEN_BYTES];
    http_copy(header, sizeof header, pusherc_http_header(request, "x-csrf-token"));
    http_copy(field, sizeof field, pusherc_http_form(request, "csrf"));
    return session->user_id != 0 &&
           (same_token(session->csrf, header) || same_token(session->csrf, field));
}

/* Before anybody is signed in the form is protected by a cookie of its own that it has to repeat. */
static void send_login_page(struct site *site, pusherc_http_request *request, int status,
                            const char *slug, const char *email, const char *error)
{
    char token[SESSION_TOKEN_BYTES];
    char cookie[COOKIE_MAX_BYTES];
    read_token(token, pusherc_http_cookie(request, LOGIN_COOKIE));
    if (!token[0])
        random_token(token);
    write_cookie(cookie, site, request, LOGIN_COOKIE, token, "Path=/login; SameSite=Strict");
    cJSON *values = cJSON_CreateObject();
    cJSON_AddStringToObject(values, "csrf", token);
    cJSON_AddStringToObject(values, "slug", slug);
    cJSON_AddStringToObject(values, "email", email);
    cJSON_AddStringToObject(values, "error", error);
    http_send_page(request, "login", values,
                   &(struct http_answer){.status = status, .cookie = cookie});
}

void session_login_page(struct site *site, pusherc_http_request *request,
                        const struct http_params *params)
{
    (void)params;
    char slug[HTTP_PARAM_BYTES];
    http_copy(slug, sizeof slug, pusherc_http_query(request, "organization"));
    send_login_page(site, request, 200, slug, "", "");
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
    char cookie[COOKIE_MAX_BYTES];
    char location[HTTP_PARAM_BYTES + 16];
    random_token(token);
    derive(hash, token, "id");
    /* The dashboard asked for if it is the user's own, else the first one that is. */
    cJSON *dashboard = store_row(
        store,
        "SELECT o.slug FROM memberships m JOIN organizations o ON o.id = m.organization_id"
        " WHERE m.user_id = ? ORDER BY o.slug <> ?, o.id",
        VALUES(INT(login->user_id), TEXT(login->slug)));
    if (store_run(store, "DELETE FROM sessions WHERE expires_at <= unixepoch()", NO_VALUES) != 0 ||
        store_run(store, "INSERT INTO sessions VALUES (?, ?, unixepoch() + " SESSION_S ")",
                  VALUES(TEXT(hash), INT(login->user_id))) != 0) {
        http_send_error(login->request, 500, "Signing in did not work. Please try again.");
    } else {
        write_cookie(cookie, login->site, login->request, SESSION_COOKIE, token,
                     "Path=/; SameSite=Lax; Max-Age=" SESSION_S);
        snprintf(location, sizeof location, "%s%s", dashboard ? "/dashboard/" : "/",
                 row_text(dashboard, "slug"));
        http_redirect(login->request, location, cookie);
    }
    cJSON_Delete(dashboard);
    sodium_memzero(token, sizeof token);
    sodium_memzero(cookie, sizeof cookie);
}

static void password_checked(uv_work_t *work, int status)
{
    struct login *login = work->data;
    login->site->logins_running--;
    if (status == 0 && login->right && login->user_id != 0)
        sign_in(login);
    else
        send_login_page(login->site, login->request, 422, login->slug, login->email,
                        "That e-mail address and password do not belong together.");
    sodium_memzero(login, sizeof *login);
    free(login);
}

/* Somebody unknown is compared with a hash that nothing fits: it must take as long as a wrong password. */
static const char no_hash[] = "$argon2id$v=19$m=65536,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$"
                              "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

static struct login *new_login(struct site *site, pusherc_http_request *request)
{
    struct login *login = calloc(1, sizeof *login);
    if (!login)
        return NULL;
    login->work.data = login;
    login->site = site;
    login->request = request;
    http_field(login->slug, sizeof login->slug, request, "organization");
    http_field(login->email, sizeof login->email, request, "email");
    http_copy(login->password, sizeof login->password, pusherc_http_form(request, "password"));
    cJSON *user = store_row(site->store, "SELECT id, password FROM users WHERE email = lower(?)",
                            VALUES(TEXT(login->email)));
    login->user_id = row_int(user, "id");
    snprintf(login->hash, sizeof login->hash, "%s", user ? row_text(user, "password") : no_hash);
    cJSON_Delete(user);
    return login;
}

void session_login(struct site *site, pusherc_http_request *request,
                   const struct http_params *params)
{
    (void)params;
    char token[SESSION_TOKEN_BYTES];
    char field[SESSION_TOKEN_BYTES];
    read_token(token, pusherc_http_cookie(request, LOGIN_COOKIE));
    http_copy(field, sizeof field, pusherc_http_form(request, "csrf"));
    struct login *login = NULL;
    if (!same_token(token, field)) {
        send_login_page(site, request, 403, "", "", "The form was too old. Please try again.");
    } else if (site->logins_running >= MAX_LOGINS || !(login = new_login(site, request)) ||
               uv_queue_work(site->loop, &login->work, check_password, password_checked) != 0) {
        free(login);
        http_send_error(request, 503, "Too many people sign in right now. Please try again.");
    } else {
        site->logins_running++;
    }
}

/* Open pages lose what only this session could hear, at once. */
void session_logout(struct site *site, pusherc_http_request *request,
                    const struct http_params *params)
{
    (void)params;
    struct session session;
    char cookie[COOKIE_MAX_BYTES];
    session_find(site, pusherc_http_cookie(request, SESSION_COOKIE), &session);
    if (!session_may_write(&session, request)) {
        http_redirect(request, "/", NULL);
        return;
    }
    store_run(site->store, "DELETE FROM sessions WHERE token_hash = ?", VALUES(TEXT(session.id)));
    audience_left(site, session.id);
    write_cookie(cookie, site, request, SESSION_COOKIE, "", "Path=/; SameSite=Lax; Max-Age=0");
    http_redirect(request, "/", cookie);
}
