/* Handlers for each kind of message; session.c calls them. */
#ifndef PC_SESSION_HANDLERS_H
#define PC_SESSION_HANDLERS_H

#include "session/session.h"

void pc_session_subscribe(struct pc_session *session, const struct pc_message_in *in);
void pc_session_unsubscribe(struct pc_session *session, const struct pc_message_in *in);
void pc_session_signin(struct pc_session *session, const struct pc_message_in *in);
void pc_session_resume(struct pc_session *session, const struct pc_message_in *in);
void pc_session_client_event(struct pc_session *session, const struct pc_message_in *in);
/* Part of a sign-in: replaces the watchlist and sends the current status of each user. */
void pc_session_watch(struct pc_session *session, struct pc_json watchlist);

#endif
