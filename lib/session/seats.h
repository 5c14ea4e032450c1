/* A session's seats (fanout/seat.h): it counts against limits over all processes, and is closed if it is one too many. */
#ifndef PC_SESSION_SEATS_H
#define PC_SESSION_SEATS_H

#include "session/session.h"

#define PC_USER_OVER_QUOTA    "The user has too many connections"
#define PC_ADDRESS_OVER_QUOTA "Too many connections from this address"

/* Without a link to other processes it takes none. `name` as in struct pc_seats. 0 or PUSHERC_ENOMEM. */
PC_CHECKED int pc_session_take_seat(struct pc_session *session, enum pc_seat_kind kind,
                                    pusherc_slice name);
void pc_session_drop_seats(struct pc_session *session);

#endif
