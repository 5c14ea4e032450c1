/*
 * Idempotency keys of all nodes (fanout/once.h). A key is begun with one step (ONCE_BEGIN) before its event is published,
 * and ended with another one (ONCE_DONE, ONCE_UNDO), which follows the event's publication. A key that is begun and not
 * ended is free after PC_ONCE_RUNNING_MS, so that the death of a node frees it; one that is done is known for the
 * server's idempotency_ms.
 *
 * Without a link a node decides by itself. What it could not tell then it tells when the link is back.
 */
#ifndef PC_CLUSTER_ONCE_H
#define PC_CLUSTER_ONCE_H

#include "cluster/node.h"

#define PC_ONCE_RUNNING_MS 10000

/* Sets the engine's `once`. */
void pc_onces_init(struct pusherc_link *node);
/* Those that are left are not told. */
void pc_onces_free(struct pusherc_link *node);
/* The node's thread: tells what could not be told before. */
void pc_onces_go_on(struct pusherc_link *node);

#endif
