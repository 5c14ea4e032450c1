#include "session.h"

#include <stdio.h>
#include <string.h>

#include <sodium.h>

#include "site.h"
#include "store.h"

#define TOKEN_RAW_BYTES 32

void session_random_token(char out[SESSION_TOKEN_BYTES])
{
    unsigned char raw[TOKEN_RAW_BYTES];
    randombytes_buf(raw, sizeof raw);
    sodium_bin2hex(out, SESSION_TOKEN_BYTES, raw, sizeof raw);
}

void session_derive(char out[SESSION_TOKEN_BYTES], const char *token, const char *use)
{
    unsigned char raw[TOKEN_RAW_BYTES];
    crypto_generichash(raw, sizeof raw, (const unsigned char *)use, strlen(use),
                       (const unsigned char *)token, strlen(token));
    sodium_bin2hex(out, SESSION_TOKEN_BYTES, raw, sizeof raw);
}

bool session_same_token(const char *one, const char *other)
{
    return strlen(one) == SESSION_TOKEN_BYTES - 1 && strlen(other) == SESSION_TOKEN_BYTES - 1 &&
           sodium_memcmp(one, other, SESSION_TOKEN_BYTES - 1) == 0;
}

void session_read_token(char out[SESSION_TOKEN_BYTES], pusherc_slice cookie)
{
    http_copy(out, SESSION_TOKEN_BYTES, cookie);
    if (strspn(out, "0123456789abcdef") != SESSION_TOKEN_BYTES - 1)
        out[0] = '\0';
}

void session_write_cookie(char out[SESSION_COOKIE_BYTES], struct site *site,
                          const pusherc_http_request *request, const char *name, const char *value,
                          const char *attributes)
{
    bool secure =
        site->tls || pusherc_slice_equal(pusherc_http_header(request, "x-forwarded-proto"),
                                         pusherc_slice_of("https"));
    snprintf(out, SESSION_COOKIE_BYTES, "%s=%s; HttpOnly; %s%s", name, value, attributes,
             secure ? "; Secure" : "");
}

void session_find(struct site *site, pusherc_slice cookie, struct session *out)
{
    char token[SESSION_TOKEN_BYTES];
    *out = (struct session){0};
    session_read_token(token, cookie);
    if (!token[0])
        return;
    session_derive(out->id, token, "id");
    cJSON *row = store_row(site->store,
                           "SELECT u.id, u.name, s.expires_at - unixepoch() left_s"
                           " FROM sessions s JOIN users u ON u.id = s.user_id"
                           " WHERE s.token_hash = ? AND s.expires_at > unixepoch()",
                           VALUES(TEXT(out->id)));
    if (row) {
        out->user_id = row_int(row, "id");
        snprintf(out->name, sizeof out->name, "%s", row_text(row, "name"));
        session_derive(out->csrf, token, "csrf");
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
           (session_same_token(session->csrf, header) || session_same_token(session->csrf, field));
}
