/* The built-in auth endpoints on a connection that speaks HTTP. */
#ifndef PC_NET_AUTH_CONN_H
#define PC_NET_AUTH_CONN_H

#include "codec/http.h"
#include "net/conn.h"

/* Handles the current request if it is for one of the endpoints. False: it is for another path. */
bool pc_conn_auth(struct pc_conn *conn, const struct pc_http_message *message);

#endif
