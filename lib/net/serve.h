/* What the requests of HTTP connections mean: the API, auth endpoints, WebSockets, the host's pages. */
#ifndef PC_NET_SERVE_H
#define PC_NET_SERVE_H

#include <pusherc/server.h>

#include "net/conn.h"

/* A connection to a listener of this purpose, or to none. Takes the socket in any case. `tls` NULL = plain. NULL: out
 * of memory or refused by libuv; the socket is closed. */
struct pc_conn *pc_serve_conn_new(struct pc_loop *loop, int fd, struct pc_tls_config *tls,
                                  pusherc_listen_purpose purpose);

#endif
