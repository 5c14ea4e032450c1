/* A connection that speaks WebSocket: the handshake, messages to and from its session, the two-sided close. */
#ifndef PC_NET_WS_CONN_H
#define PC_NET_WS_CONN_H

#include "net/conn.h"
#include "session/admit.h"
#include "session/session.h"

/* The entrance of WebSockets (struct pc_entrance). Each function answers the upgrade request of an HTTP connection and
 * ends HTTP on it. If the request is no proper handshake, the answer is an HTTP error. */
PC_CHECKED int pc_ws_conn_open(struct pc_conn *conn, const struct pc_http_message *request,
                               struct pc_newcomer *newcomer, uint32_t expires_in_ms);
/* Completes the handshake, so that the client can see the close code, and closes. */
void pc_ws_conn_turn_away(struct pc_conn *conn, const struct pc_http_message *request,
                          const struct pc_app *app, uint16_t code, pusherc_slice reason);
/* Answers a request to the path of WebSockets that does not ask for one: the error says what to ask for. */
void pc_ws_conn_refuse_plain(struct pc_conn *conn, const struct pc_http_message *request);

/* The callbacks of the WebSocket codec; `user` is the connection. */
extern const struct pc_ws_events pc_ws_conn_events;

#endif
