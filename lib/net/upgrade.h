/* The way of a client to its WebSocket: admission, the host's own decision, the session. */
#ifndef PC_NET_UPGRADE_H
#define PC_NET_UPGRADE_H

#include "net/http_conn.h"

/* The request at hand asks for a WebSocket. */
void pc_upgrade(struct pc_conn *conn, const struct pc_http_message *request);

#endif
