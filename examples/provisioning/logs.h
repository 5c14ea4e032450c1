/*
 * Logs of servers. They grow by whole lines and are read from where one is; the event says that there is more.
 */
#ifndef PROVISIONING_LOGS_H
#define PROVISIONING_LOGS_H

#include "common/http.h"

#define LOG_ANSWER_BYTES 65536
#define LOG_KEPT_BYTES   (4 << 20) /* of each log */

/* Add lines, with or without a "\n" at the end; fewer than LOG_ANSWER_BYTES. 0 or -1. */
int log_append(struct program *program, int64_t server_id, const char *name, const char *text);

/* Route: GET /api/v1/servers/{id}/log?log=NAME&from=OFFSET: {"log","from","next","size","text"}, whole lines, at most
 * LOG_ANSWER_BYTES. Without an offset it is the end. */
void logs_get(struct program *, pusherc_http_request *, const struct http_params *);

#endif
