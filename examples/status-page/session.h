/*
 * Who is it: signing in and out, the session behind a cookie, roles, and protection of writes.
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

/* Routes: the form, its answer, and the way out. */
void session_login_page(struct site *site, pusherc_http_request *request,
                        const struct http_params *params);
void session_login(struct site *site, pusherc_http_request *request,
                   const struct http_params *params);
void session_logout(struct site *site, pusherc_http_request *request,
                    const struct http_params *params);

#endif
