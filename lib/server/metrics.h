/* The counters for operators. */
#ifndef PC_SERVER_METRICS_H
#define PC_SERVER_METRICS_H

#include <pusherc/metrics.h>

#include "server/server.h"

/* Fills all fields but `channels`, which would need a walk over the whole directory. */
void pc_server_count(pusherc_server *server, pusherc_stats *out);

/* As pusherc_server_metrics(), or JSON. `ctx` is the server. */
int pc_server_write_metrics(void *ctx, bool json, pusherc_write_fn write, void *user_data);

#endif
