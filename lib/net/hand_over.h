/*
 * Hands a connection over to another worker, with the request that it has just sent: for requests that belong to a
 * session of that worker.
 */
#ifndef PC_NET_HAND_OVER_H
#define PC_NET_HAND_OVER_H

#include "net/http_conn.h"

/* `message` is the connection's current request. The connection of that worker serves it as if it had come there. */
void pc_hand_over(struct pc_conn *conn, const struct pc_http_message *message,
                  struct pc_worker *to);

#endif
