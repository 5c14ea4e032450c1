/*
 * Claims: what clients here want of channels, and how they are let in. begin() (on the client's worker) counts a claim of
 * the channel and of the user, makes a wait, and marks the channel. The node lets the waits go when all that is there
 * which the client needs: the topic, the roster, and the user's own join in it. A claim ends with left() or abandon(),
 * which mark the channel again.
 *
 * Of a user's channel (remote.h) those who watch claim the channel and not the user, and wait for the roster; came() claims
 * the user, and nothing waits.
 */
#ifndef PC_CLUSTER_CLAIMS_H
#define PC_CLUSTER_CLAIMS_H

#include "cluster/remote.h"

/* Sets the engine's decider. */
void pc_claims_init(struct pusherc_link *node);
/* The node's thread. Lets those in who have what they need, or have waited for a link long enough. True: some wait. */
bool pc_claims_decide(struct pc_remote *remote);
/* The node's thread. The channel is full: those who wait as this user are refused. */
void pc_claims_refuse(struct pc_remote *remote, struct pc_remote_user *user);

#endif
