/* The steps from an upgrade request to a WebSocket: admission, the host's decision, the session. */
#ifndef PC_NET_UPGRADE_H
#define PC_NET_UPGRADE_H

#include "net/http_conn.h"

/* Handles a request for a WebSocket. */
void pc_upgrade(struct pc_conn *conn, const struct pc_http_message *request);

#endif
