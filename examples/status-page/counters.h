/*
 * What the server has counted.
 */
#ifndef STATUS_PAGE_COUNTERS_H
#define STATUS_PAGE_COUNTERS_H

#include "common/http.h"

/* Route: what pusherc_stats has, for admins and owners. Prometheus asks the listener of --metrics-port. */
void counters_send(struct program *program, pusherc_http_request *request,
                   const struct http_params *params);

#endif
