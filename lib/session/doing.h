/*
 * What a client says that its user is doing, and what it is told of others when it joins: ephemeral states
 * (docs/typing.md) in the session.
 */
#ifndef PC_SESSION_DOING_H
#define PC_SESSION_DOING_H

#include "session/session.h"

/* Reads what a client event says of a state: fills the change, whose `said` is counted for the caller. `said` NULL: the
 * event is an event and nothing else. 0 or PUSHERC_ENOMEM. */
PC_CHECKED int pc_doing_read(struct pc_session *s, struct pc_subscription *sub,
                             const struct pc_ephemeral_rule *rule, pusherc_slice event,
                             pusherc_slice data, struct pc_ephemeral_change *out);

/* Tells a client that has joined what the other users are doing, as its view may see it. */
void pc_doing_say_all(struct pc_session *s, const struct pc_join *join,
                      const struct pc_said_list *list);

#endif
