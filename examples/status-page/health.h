/*
 * Whether the program works, for those who watch it.
 */
#ifndef STATUS_PAGE_HEALTH_H
#define STATUS_PAGE_HEALTH_H

#include "http.h"

/* Routes. 503 and "degraded" if the database takes no writes, or the last event could not be published. */
void health_program(struct site *site, pusherc_http_request *request,
                    const struct http_params *params);
void health_websocket(struct site *site, pusherc_http_request *request,
                      const struct http_params *params);
/* What pusherc_stats has, for admins and owners. Prometheus asks the listener of --metrics-port. */
void health_metrics(struct site *site, pusherc_http_request *request,
                    const struct http_params *params);

#endif
