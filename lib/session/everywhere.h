/*
 * Changes of the host's facts and orders to close connections, in all processes that serve the app: here, and with the
 * party that knows the others (fanout/everywhere.h) there as well. Without that party they are pc_change_send() and
 * pc_disconnect().
 */
#ifndef PC_SESSION_EVERYWHERE_H
#define PC_SESSION_EVERYWHERE_H

#include "session/change.h"
#include "session/disconnect.h"

/* As pc_change_send(). `done` waits for the other processes. */
PC_CHECKED int pc_change_everywhere(const struct pc_app *app, struct pc_change *change);
/* As pc_disconnect(), of one socket or user. */
PC_CHECKED int pc_disconnect_everywhere(struct pc_engine *engine, const struct pc_app *app,
                                        const struct pc_disconnect *which);

/* Carries out what another process ordered; its text is input. `done` is called once, on any thread, perhaps before this
 * returns; NULL = it is not needed. 0, or (then it is not called)
 * PUSHERC_EPROTO: the text is not an order; PUSHERC_ENOENT: the app is not known here; PUSHERC_ENOMEM */
PC_CHECKED int pc_everywhere_obey(struct pc_engine *engine, pusherc_slice order,
                                  pusherc_reauthorized_fn done, void *user_data);

/* Asks for every grant of this process again. 0 or PUSHERC_ENOMEM. */
PC_CHECKED int pc_everywhere_missed(struct pc_engine *engine);

#endif
