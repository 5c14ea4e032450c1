/* A connection that speaks WebSocket: the handshake, messages to and from its session, the two-sided close. */
#ifndef PC_NET_WS_CONN_H
#define PC_NET_WS_CONN_H

#include "net/conn.h"
#include "session/admit.h"
#include "session/session.h"

/* All of these answer the upgrade request of a connection that speaks HTTP, and end its HTTP; without a proper
 * handshake the answer is an HTTP error. */

/* Takes over the newcomer and opens its session. 0; PUSHERC_ELIMIT: its user has too many connections; or another
 * reason why there is no session. The client has been told what it can be told. */
PC_CHECKED int pc_ws_conn_open(struct pc_conn *conn, const struct pc_http_message *request,
                               struct pc_newcomer *newcomer);
/* After 0: its grants are asked again when this time is over; 0 = never. */
void pc_ws_conn_expire_identity(struct pc_conn *conn, uint32_t expires_in_ms);
/* Completes the handshake, so that the client can see the close code, and closes. `app` NULL = it asked for none that
 * there is. */
void pc_ws_conn_turn_away(struct pc_conn *conn, const struct pc_http_message *request,
                          const struct pc_app *app, uint16_t code, pusherc_slice reason);
/* The request asks for no WebSocket, but came to the path of WebSockets: the answer says what to ask for. */
void pc_ws_conn_refuse_plain(struct pc_conn *conn, const struct pc_http_message *request);

/* What comes out of the codec; `user` is the connection. */
extern const struct pc_ws_events pc_ws_conn_events;

#endif
