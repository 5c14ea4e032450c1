/*
 * What the library itself needs of a broadcaster beyond pusherc/broadcast.h. Any thread.
 */
#ifndef PC_BROADCAST_BROADCASTER_H
#define PC_BROADCAST_BROADCASTER_H

#include <pusherc/broadcast.h>

#include "base/mem.h"

/* Does what pusherc_broadcast_now() does for one event, with a key of the caller's, always through the queue, and
 * without a deadline (49 days). PUSHERC_EINVAL: the event or the key breaks a rule. */
PC_CHECKED int pc_broadcast_keyed(pusherc_broadcaster *broadcaster, const pusherc_event *event,
                                  pusherc_slice key, pusherc_broadcast_fn done, void *user_data);

#endif
