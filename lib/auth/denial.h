/* The reasons to deny (PUSHERC_DENIAL_MAP): their count, and what clients are told of each. */
#ifndef PC_AUTH_DENIAL_H
#define PC_AUTH_DENIAL_H

#include <pusherc/auth.h>

/* For arrays indexed by pusherc_denial_reason; 0 is no reason. */
#define PC_DENIAL_ROW_(...) +1
#define PC_DENIAL_COUNT     (1 PUSHERC_DENIAL_MAP(PC_DENIAL_ROW_))

/* "type" of pusher:subscription_error (protocol section 2.4). */
const char *pc_denial_type(pusherc_denial_reason reason);

#endif
