/*
 * Pages for people, drawn on the server: they work without scripts, and become live with them.
 */
#ifndef STATUS_PAGE_PAGES_H
#define STATUS_PAGE_PAGES_H

#include "common/http.h"

/* Routes */
void page_start(struct program *program, pusherc_http_request *request,
                const struct http_params *params);
void page_status(struct program *program, pusherc_http_request *request,
                 const struct http_params *params);
void page_history(struct program *program, pusherc_http_request *request,
                  const struct http_params *params);
void page_notice(struct program *program, pusherc_http_request *request,
                 const struct http_params *params);
void page_dashboard(struct program *program, pusherc_http_request *request,
                    const struct http_params *params);

#endif
