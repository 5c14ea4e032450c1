/* Orders to every worker to close connections: one, a user's, all of an app, all of disabled apps, or all. */
#ifndef PC_SESSION_DISCONNECT_H
#define PC_SESSION_DISCONNECT_H

#include "fanout/engine.h"

/* Neither socket_id nor user_id: every connection of the app. */
struct pc_disconnect {
    uint64_t app_uid;            /* 0 = of every app that is disabled */
    bool any_app;                /* app_uid does not matter: every connection of the server */
    pusherc_socket_id socket_id; /* zero = not given */
    pusherc_slice user_id;       /* 1..PC_IDENTITY_MAX_ID bytes; len 0 = not given */
    bool signed_in;              /* only connections that signed in as the user */
    bool members;                /* also connections that are the user in a presence channel */
    uint16_t code;
    pusherc_slice reason; /* UTF-8, cut at 123 bytes */
};

/* Copies everything. 0, or PUSHERC_ENOMEM: no connection is closed. Thread: any, after the workers have started. */
PC_CHECKED int pc_disconnect(struct pc_engine *engine, const struct pc_disconnect *which);

/* The same in two steps, for a caller that must not fail in between. The caller passes the order to send(), with the
 * app, or to drop(). */
struct pc_close_order;
PC_CHECKED int pc_disconnect_prepare(struct pc_engine *engine, const struct pc_disconnect *which,
                                     struct pc_close_order **out);
void pc_disconnect_send(struct pc_close_order *close, uint64_t app_uid);
void pc_disconnect_drop(struct pc_close_order *close); /* NULL is harmless */

#endif
