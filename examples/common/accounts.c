#include "common/accounts.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <sodium.h>

#include "common/fields.h"
#include "common/program.h"
#include "common/say.h"
#include "common/store.h"

#define TOKEN_RAW_BYTES 32

void token_make(char out[TOKEN_BYTES])
{
    unsigned char raw[TOKEN_RAW_BYTES];
    randombytes_buf(raw, sizeof raw);
    sodium_bin2hex(out, TOKEN_BYTES, raw, sizeof raw);
}

void token_derive(char out[TOKEN_BYTES], const char *token, const char *use)
{
    unsigned char raw[TOKEN_RAW_BYTES];
    crypto_generichash(raw, sizeof raw, (const unsigned char *)use, strlen(use),
                       (const unsigned char *)token, strlen(token));
    sodium_bin2hex(out, TOKEN_BYTES, raw, sizeof raw);
}

bool token_same(const char *one, const char *other)
{
    return strlen(one) == TOKEN_BYTES - 1 && strlen(other) == TOKEN_BYTES - 1 &&
           sodium_memcmp(one, other, TOKEN_BYTES - 1) == 0;
}

void token_read(char out[TOKEN_BYTES], pusherc_slice cookie)
{
    http_copy(out, TOKEN_BYTES, cookie);
    if (strspn(out, "0123456789abcdef") != TOKEN_BYTES - 1)
        out[0] = '\0';
}

void accounts_cookie_name(char out[COOKIE_NAME_BYTES], const struct program *program,
                          const char *use)
{
    snprintf(out, COOKIE_NAME_BYTES, "%s_%s", program->spec->cookies, use);
}

void accounts_write_cookie(char out[COOKIE_BYTES], struct program *program,
                           const pusherc_http_request *request, const char *use, const char *value,
                           const char *attributes)
{
    char name[COOKIE_NAME_BYTES];
    bool secure =
        program->tls || pusherc_slice_equal(pusherc_http_header(request, "x-forwarded-proto"),
                                            pusherc_slice_of("https"));
    accounts_cookie_name(name, program, use);
    snprintf(out, COOKIE_BYTES, "%s=%s; HttpOnly; %s%s", name, value, attributes,
             secure ? "; Secure" : "");
}

/* What the hash of a session's token is derived for. */
static const char *use_of(enum session_kind kind)
{
    return kind == SESSION_BEARER ? "bearer" : "id";
}

/* By its token, or none. */
static void find_session(struct program *program, enum session_kind kind, pusherc_slice text,
                         struct session *out)
{
    char token[TOKEN_BYTES];
    *out = (struct session){0};
    token_read(token, text);
    if (!token[0])
        return;
    token_derive(out->id, token, use_of(kind));
    cJSON *row = store_row(program->store,
                           "SELECT u.id, u.name, s.expires_at - unixepoch() left_s"
                           " FROM sessions s JOIN users u ON u.id = s.user_id"
                           " WHERE s.token_hash = ? AND s.expires_at > unixepoch()",
                           VALUES(TEXT(out->id)));
    if (row) {
        out->user_id = row_int(row, "id");
        snprintf(out->name, sizeof out->name, "%s", row_text(row, "name"));
        if (kind == SESSION_COOKIE)
            token_derive(out->csrf, token, "csrf");
        out->expires_in_ms = (uint32_t)row_int(row, "left_s") * 1000;
    } else {
        out->id[0] = '\0';
    }
    cJSON_Delete(row);
    sodium_memzero(token, sizeof token);
}

/* What follows "Bearer "; false if the request has no Authorization of that kind. */
static bool read_bearer(pusherc_slice *out, const pusherc_http_request *request)
{
    static const char scheme[] = "Bearer ";
    *out = pusherc_http_header(request, "authorization");
    if (out->len < sizeof scheme - 1 || strncasecmp(out->ptr, scheme, sizeof scheme - 1) != 0)
        return false;
    out->ptr += sizeof scheme - 1;
    out->len -= sizeof scheme - 1;
    return true;
}

void accounts_find(struct program *program, const pusherc_http_request *request,
                   struct session *out)
{
    char cookie[COOKIE_NAME_BYTES];
    pusherc_slice bearer;
    accounts_cookie_name(cookie, program, "session");
    if (program->spec->tokens && read_bearer(&bearer, request))
        find_session(program, SESSION_BEARER, bearer, out);
    else
        find_session(program, SESSION_COOKIE, pusherc_http_cookie(request, cookie), out);
}

void accounts_identify(pusherc_identify_request *request, void *user_data)
{
    struct program *program = user_data;
    struct session session;
    char cookie[COOKIE_NAME_BYTES];
    accounts_cookie_name(cookie, program, "session");
    pusherc_slice bearer = pusherc_identify_bearer(request);
    if (program->spec->tokens && bearer.len > 0)
        find_session(program, SESSION_BEARER, bearer, &session);
    else /* the library refuses this cookie from pages of other origins */
        find_session(program, SESSION_COOKIE, pusherc_identify_cookie(request, cookie), &session);
    pusherc_identity identity = PUSHERC_IDENTITY_INIT;
    identity.user_id = pusherc_slice_of(session.id);
    identity.expires_in_ms = session.expires_in_ms;
    pusherc_identify_accept(request, &identity);
}

const char *accounts_bearer_fault(struct program *program, pusherc_slice bearer)
{
    char token[TOKEN_BYTES];
    char id[TOKEN_BYTES];
    token_read(token, bearer);
    if (!token[0])
        return "malformed";
    token_derive(id, token, use_of(SESSION_BEARER));
    sodium_memzero(token, sizeof token);
    cJSON *row = store_row(program->store,
                           "SELECT expires_at > unixepoch() good FROM sessions"
                           " WHERE token_hash = ?",
                           VALUES(TEXT(id)));
    const char *fault = !row ? "unknown or revoked" : row_int(row, "good") ? NULL : "expired";
    cJSON_Delete(row);
    return fault;
}

int accounts_begin(char token[TOKEN_BYTES], struct program *program, enum session_kind kind,
                   int64_t user_id)
{
    struct store *store = program->store;
    char hash[TOKEN_BYTES];
    token_make(token);
    token_derive(hash, token, use_of(kind));
    if (store_run(store, "DELETE FROM sessions WHERE expires_at <= unixepoch()", NO_VALUES) != 0)
        return -1;
    return store_run(store, "INSERT INTO sessions VALUES (?, ?, unixepoch() + ?)",
                     VALUES(TEXT(hash), INT(user_id), INT(program->options->session_s)));
}

void accounts_end(struct program *program, const struct session *session)
{
    store_run(program->store, "DELETE FROM sessions WHERE token_hash = ?",
              VALUES(TEXT(session->id)));
    pusherc_grant_match match = PUSHERC_GRANT_MATCH_INIT;
    match.user_id = pusherc_slice_of(session->id);
    int status = pusherc_reauthorize(program->server, program->app_id, &match, NULL, NULL);
    if (status != 0)
        say("listeners not asked for again: %s", pusherc_strerror(status));
}

bool session_may_write(const struct session *session, const pusherc_http_request *request)
{
    char header[TOKEN_BYTES];
    char field[TOKEN_BYTES];
    if (session->user_id == 0 || !session->csrf[0])
        return session->user_id != 0;
    http_copy(header, sizeof header, pusherc_http_header(request, "x-csrf-token"));
    field_copy(field, sizeof field, request, "csrf");
    return token_same(session->csrf, header) || token_same(session->csrf, field);
}
