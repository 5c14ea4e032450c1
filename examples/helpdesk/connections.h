/*
 * How open pages do, for admins: connections, what was refused and why, how long an event takes.
 */
#ifndef CONNECTIONS_H
#define CONNECTIONS_H

#include "desk.h"

void connections_note_denial(struct program *program, const pusherc_denial *denial);
/* Route: GET /api/v1/connections */
void connections_get(struct program *program, pusherc_http_request *request,
                     const struct http_params *params);
/* Route: POST /api/v1/connections/echo: an event comes back to the user who asks. */
void connections_echo(struct program *program, pusherc_http_request *request,
                      const struct http_params *params);

#endif
