/*
 * The JSON API: calls, health, figures.
 */
#ifndef PBX_API_H
#define PBX_API_H

#include "pbx.h"

/* Routes: GET /api/v1/calls?state=active, and ?before=ID&limit=50&number=TEXT */
void api_calls(struct program *, pusherc_http_request *, const struct http_params *);
/* GET /api/v1/health, /api/v1/websocket/health: exactly what watchers of such applications expect. */
void api_health(struct program *, pusherc_http_request *, const struct http_params *);
void api_websocket_health(struct program *, pusherc_http_request *, const struct http_params *);
/* GET /api/v1/websocket/metrics, for admins and operators: the queue of what is published, the link, and the server's counters. */
void api_metrics(struct program *, pusherc_http_request *, const struct http_params *);

/* A number of the query; `otherwise` if it is missing or none. */
int64_t api_query(const pusherc_http_request *request, const char *name, int64_t otherwise);

#endif
