/*
 * Clients that no WebSocket reaches, because a network in between eats them: the sessions that pusher-js keeps over HTTP
 * (`xhr_streaming`, `xhr_polling`; sockjs.h). The client chooses a name for its session. It receives with one request that stays
 * open, for one answer without an end or for one that ends with the next frames, and sends with others. Between two
 * receiving requests what is sent to it waits in the session's queue; a client that does not come again in time has left.
 *
 * A session lives on the worker that its name's hash says, and a request that reaches another worker is handed over with
 * its connection (hand_over.h). So no table is shared.
 */
#ifndef PC_NET_FALLBACK_H
#define PC_NET_FALLBACK_H

#include "net/http_conn.h"

/* Serves the request if it is one of these. */
bool pc_fallback_serve(struct pc_conn *conn, const struct pc_http_message *message);

struct pc_fallbacks;                                    /* of one loop */
void pc_fallbacks_free(struct pc_fallbacks *fallbacks); /* NULL is harmless */

#endif
