/*
 * Pages for people, drawn on the server: they work without scripts, and become live with them.
 */
#ifndef STATUS_PAGE_PAGES_H
#define STATUS_PAGE_PAGES_H

#include <cjson/cJSON.h>

#include "http.h"

/* Draw pages/{name}.html with these values, which are deleted, and send it; `answer` has the rest. */
void page_send(struct site *site, pusherc_http_request *request, const char *name, cJSON *values,
               const struct http_answer *answer);

/* Routes */
void page_start(struct site *site, pusherc_http_request *request, const struct http_params *params);
void page_status(struct site *site, pusherc_http_request *request,
                 const struct http_params *params);
void page_dashboard(struct site *site, pusherc_http_request *request,
                    const struct http_params *params);

#endif
