/*
 * Signing in and out.
 */
#ifndef STATUS_PAGE_LOGIN_H
#define STATUS_PAGE_LOGIN_H

#include "http.h"

/* Where a private page or a dashboard sends a visitor; `page` is "status" or "". */
void login_ask(pusherc_http_request *request, const char *slug, const char *page);

/* Routes: the form, its answer, and the way out. */
void login_page(struct site *site, pusherc_http_request *request, const struct http_params *params);
void login_post(struct site *site, pusherc_http_request *request, const struct http_params *params);
void login_logout(struct site *site, pusherc_http_request *request,
                  const struct http_params *params);

#endif
