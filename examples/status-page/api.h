/*
 * The JSON API under /api/v1. Forms may post to it, too, and are sent back to their page.
 *
 *   GET  /api/v1/organizations/{slug}/services   what the public page shows
 *   POST /api/v1/services/{id}/status            fields status, message, csrf (or header X-CSRF-Token)
 *   GET  /api/v1/websocket/health
 */
#ifndef STATUS_PAGE_API_H
#define STATUS_PAGE_API_H

#include "http.h"

void api_services(struct site *site, pusherc_http_request *request,
                  const struct http_params *params);
void api_change_status(struct site *site, pusherc_http_request *request,
                       const struct http_params *params);
void api_health(struct site *site, pusherc_http_request *request, const struct http_params *params);

#endif
