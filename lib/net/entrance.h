/* The steps from a request to a session: admission, the host's decision, the session. */
#ifndef PC_NET_UPGRADE_H
#define PC_NET_UPGRADE_H

#include "net/http_conn.h"
#include "session/admit.h"

/* How a client enters that asks for a session: as a WebSocket (ws_conn.h), or over HTTP (fallback.h). Each function
 * answers the request. */
struct pc_entrance {
    /* Takes over the newcomer and opens its session, whose host is asked again about all grants after expires_in_ms; 0
     * = never. 0; PUSHERC_ELIMIT: its user has too many connections; or another error: there is no session. On failure
     * the client gets the reason if it can still be sent. */
    int (*open)(struct pc_conn *conn, const struct pc_http_message *request,
                struct pc_newcomer *newcomer, uint32_t expires_in_ms);
    /* Tells the client why it is refused. `app` NULL = the client named no known app. */
    void (*turn_away)(struct pc_conn *conn, const struct pc_http_message *request,
                      const struct pc_app *app, uint16_t code, pusherc_slice reason);
};

/* Handles a request for a session of the app that has this key, encoded as in the path; len 0 = none. */
void pc_enter(struct pc_conn *conn, const struct pc_http_message *request, pusherc_slice key,
              const struct pc_entrance *entrance);

#endif
