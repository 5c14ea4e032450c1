/* Compressed WebSocket messages, for the clients that have agreed on permessage-deflate. */
#ifndef PC_FANOUT_COMPRESS_H
#define PC_FANOUT_COMPRESS_H

#include "fanout/engine.h"

/* A text message in compressed form. NULL: the message goes as it is, because the server does not compress messages of
 * this length, the message would not get shorter, or memory ran out. Any thread. */
struct pc_frame *pc_frame_new_compressed(struct pc_engine *engine, uint32_t slot_count,
                                         pusherc_slice message);

#endif
