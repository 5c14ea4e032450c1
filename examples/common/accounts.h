/*
 * Who is it: the session behind a cookie or a bearer token, and protection of writes. login.h makes and ends sessions;
 * what a user may do is for the example to know.
 *
 * A session is a random token, in a cookie that scripts cannot read, or given to a client that sends it as "Authorization:
 * Bearer". The database has its hash only, and a different one for each of the two, so that neither is good for the other.
 * Every write with a cookie brings a second token that is derived from it, which a page of another origin cannot know.
 */
#ifndef COMMON_ACCOUNTS_H
#define COMMON_ACCOUNTS_H

#include <stdbool.h>
#include <stdint.h>

#include <cjson/cJSON.h>

#include "common/http.h"

#define TOKEN_BYTES 65 /* hex and NUL */

struct session {
    int64_t user_id; /* 0 = a visitor */
    char id[TOKEN_BYTES];
    char name[64];
    char csrf[TOKEN_BYTES]; /* "" if the session is a bearer token's */
    uint32_t expires_in_ms;
};

/* Of a request: the bearer token's if there is one, else the cookie's. Fills `out`, with zeros for a visitor. */
void accounts_find(struct program *program, const pusherc_http_request *request,
                   struct session *out);
/* It is a bearer token's, or the field "csrf" or the header X-CSRF-Token is the session's. */
bool session_may_write(const struct session *session, const pusherc_http_request *request);

/* Write a session and return its token; -1 if it cannot be written. */
enum session_kind {
    SESSION_COOKIE,
    SESSION_BEARER
};
int accounts_begin(char token[TOKEN_BYTES], struct program *program, enum session_kind kind,
                   int64_t user_id);
/* End it. Open pages lose what only this session could hear, at once. */
void accounts_end(struct program *program, const struct session *session);

/* Why a bearer token is no session's: "malformed", "expired", "unknown or revoked"; NULL: it is one's. */
const char *accounts_bearer_fault(struct program *program, pusherc_slice bearer);

/* Hook: a connection is who its cookie says; a page signs in by its bearer token. To the library a "user" is a session,
 * so that signing out in one browser does not end another one. `user_data`: the program. */
void accounts_identify(pusherc_identify_request *request, void *user_data);

/* Tokens: random, hexadecimal. Derived ones are different for different uses; none tells another. */
void token_make(char out[TOKEN_BYTES]);
void token_derive(char out[TOKEN_BYTES], const char *token, const char *use);
bool token_same(const char *one, const char *other);
/* "" if it is not of that form. */
void token_read(char out[TOKEN_BYTES], pusherc_slice text);

/* The name of the program's cookie for this use: programs on one host share its cookies, whatever their ports. */
#define COOKIE_NAME_BYTES 80
void accounts_cookie_name(char out[COOKIE_NAME_BYTES], const struct program *program,
                          const char *use);
/* A Set-Cookie value. Only for TLS if the browser came by TLS, be it to a proxy in front of this program. */
#define COOKIE_BYTES 288
void accounts_write_cookie(char out[COOKIE_BYTES], struct program *program,
                           const pusherc_http_request *request, const char *use, const char *value,
                           const char *attributes);

#endif
