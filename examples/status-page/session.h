/*
 * Who is it: the session behind a cookie, roles, and protection of writes. login.h makes and ends sessions.
 *
 * A session is a random token in a cookie that scripts cannot read. The database has its hash only. Every write
 * brings a second token that is derived from it, which a page of another origin cannot know.
 */
#ifndef STATUS_PAGE_SESSION_H
#define STATUS_PAGE_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include <cjson/cJSON.h>

#include "http.h"

#define SESSION_COOKIE      "status_session"
#define SESSION_TOKEN_BYTES 65 /* hex and NUL */

struct session {
    int64_t user_id; /* 0 = a visitor */
    char id[SESSION_TOKEN_BYTES];
    char name[64];
    char csrf[SESSION_TOKEN_BYTES];
    uint32_t expires_in_ms;
};

/* Ordered: each may do what the one before may. */
enum role {
    ROLE_NONE = 0, /* not a member */
    ROLE_MEMBER,   /* sees the dashboard */
    ROLE_ADMIN,    /* changes things */
    ROLE_OWNER
};

/* By the value of the cookie. Fills `out`, with zeros for a visitor. */
void session_find(struct site *site, pusherc_slice cookie, struct session *out);
enum role session_role(struct site *site, const struct session *session, int64_t organization_id);
/* The field "csrf" or the header X-CSRF-Token is the session's. */
bool session_may_write(const struct session *session, const pusherc_http_request *request);

/* Tokens: random, hexadecimal. Derived ones are different for different uses; none tells another. */
void session_random_token(char out[SESSION_TOKEN_BYTES]);
void session_derive(char out[SESSION_TOKEN_BYTES], const char *token, const char *use);
bool session_same_token(const char *one, const char *other);
/* "" if it is not of that form. */
void session_read_token(char out[SESSION_TOKEN_BYTES], pusherc_slice cookie);

/* A Set-Cookie value. Only for TLS if the browser came by TLS, be it to a proxy in front of this program. */
#define SESSION_COOKIE_BYTES 224
void session_write_cookie(char out[SESSION_COOKIE_BYTES], struct site *site,
                          const pusherc_http_request *request, const char *name, const char *value,
                          const char *attributes);

#endif
