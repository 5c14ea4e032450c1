/*
 * Whether the program works, for those who watch it.
 */
#ifndef COMMON_HEALTH_H
#define COMMON_HEALTH_H

#include <stdbool.h>

#include "common/http.h"

/* True if the database takes writes. */
bool health_database(struct program *program);

/* Routes. 503 and "degraded" if the database takes no writes, or events do not reach the server. */
void health_program(struct program *program, pusherc_http_request *request,
                    const struct http_params *params);
void health_websocket(struct program *program, pusherc_http_request *request,
                      const struct http_params *params);

#endif
