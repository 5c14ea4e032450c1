/*
 * Signing in and out, by a form (a cookie) or by the API (a bearer token). A client address that guesses has to wait.
 */
#ifndef COMMON_LOGIN_H
#define COMMON_LOGIN_H

#include "common/http.h"

/* What was asked for before signing in: the fields of program_spec.login_names, "" if they are missing. */
struct login_wanted {
    char value[2][HTTP_PARAM_BYTES];
};

#define LOGIN_TARGET_BYTES (HTTP_PARAM_BYTES + 32)

/* Routes: GET and POST /login, POST /logout */
void login_page(struct program *program, pusherc_http_request *request,
                const struct http_params *params);
void login_post(struct program *program, pusherc_http_request *request,
                const struct http_params *params);
void login_logout(struct program *program, pusherc_http_request *request,
                  const struct http_params *params);
/* Routes, with program_spec.tokens: POST /api/v1/login answers {"token", "expires_at", "user"}, POST /api/v1/logout ends
 * the token that it brings. */
void login_token(struct program *program, pusherc_http_request *request,
                 const struct http_params *params);
void login_token_end(struct program *program, pusherc_http_request *request,
                     const struct http_params *params);

/* Send the browser to the form, which leads to what is wanted. */
void login_ask(struct program *program, pusherc_http_request *request,
               const struct login_wanted *wanted);

#endif
