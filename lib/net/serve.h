/* Routes HTTP requests: to the API, the auth endpoints, the WebSocket upgrade and the host's pages. */
#ifndef PC_NET_SERVE_H
#define PC_NET_SERVE_H

#include <pusherc/server.h>

#include "net/conn.h"

/* Makes a connection that was accepted by a listener of this purpose, or adopted. Takes the socket in any case. `tls`
 * NULL = plain. NULL: no place is free, out of memory, or refused by libuv; the socket is closed. */
struct pc_conn *pc_serve_conn_new(struct pc_loop *loop, int fd, struct pc_tls_config *tls,
                                  pusherc_listen_purpose purpose);

#endif
