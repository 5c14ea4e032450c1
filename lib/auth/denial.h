/* The reasons for a denial (PUSHERC_DENIAL_MAP): their count, and the error type that clients get for each. */
#ifndef PC_AUTH_DENIAL_H
#define PC_AUTH_DENIAL_H

#include <pusherc/auth.h>

/* Size of arrays that are indexed by pusherc_denial_reason; 0 is not a reason. */
#define PC_DENIAL_ROW_(...) +1
#define PC_DENIAL_COUNT     (1 PUSHERC_DENIAL_MAP(PC_DENIAL_ROW_))

/* "type" of pusher:subscription_error (protocol section 2.4). */
const char *pc_denial_type(pusherc_denial_reason reason);

#endif
