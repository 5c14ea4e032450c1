/* The built-in auth endpoints on a connection that speaks HTTP. */
#ifndef PC_NET_AUTH_CONN_H
#define PC_NET_AUTH_CONN_H

#include "net/conn.h"

struct pc_auth_call;

/* Takes the request at hand if it is for one of the endpoints; false: it is not. */
bool pc_conn_auth(struct pc_conn *conn, const struct pc_http_message *message);
/* The connection goes. */
void pc_auth_call_abandon(struct pc_auth_call *call);

#endif
