/*
 * Clients of SockJS's own library, which stock pusher-js uses with its transport `sockjs`: sessions over HTTP (fallback.h)
 * whose address names no app. The session stands as soon as the client has a request that receives; its first message,
 * {"path":"/app/KEY?QUERY"}, says what it asks for. Until then its receiving request keeps its place among the sockets
 * that are not established clients. The library sends cookies, so the answers name the page's origin.
 */
#ifndef PC_NET_SOCKJS_H
#define PC_NET_SOCKJS_H

#include "net/fallback_path.h"
#include "net/fallback_session.h"

/* Answers GET /info: what the library may use. */
void pc_sockjs_serve_info(struct pc_conn *conn, const struct pc_http_message *m);
/* What the client sends before its session is open. */
void pc_sockjs_take_first(struct pc_fallback *f, struct pc_conn *conn,
                          const struct pc_http_message *m);

#endif
