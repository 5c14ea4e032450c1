/*
 * Mirrors: a node's copy of a roster, as of a number. Fetched when the topic is subscribed, then kept up by changes that
 * are numbered and chained; a change that does not follow the last one shows that one was missed, and the roster is
 * fetched again. The last change is followed by none, so mirrors are compared now and then.
 *
 * The mirror's members are also members of the channel's roster in the directory, marked as mirrored
 * (fanout/occupancy.h), so clients are served from there. What clients are told is the difference between what was told
 * and what is, whatever comes in. As long as not every node has said what it holds, additions are told and removals wait.
 */
#ifndef PC_CLUSTER_MIRROR_H
#define PC_CLUSTER_MIRROR_H

#include "cluster/remote.h"

/* All on the node's thread, without the mutex. */

void pc_mirror_fetch(struct pc_remote *remote);
/* Tells clients here the difference. */
void pc_mirror_update(struct pc_remote *remote);
/* A client of the user is let in before the authority can have heard of it. The user stays in the channel's roster until
 * it has left and the mirror does not have it. */
void pc_mirror_assume(struct pc_remote *remote, struct pc_remote_user *user);
/* Of a user's channel. If the user has signed in here since the last look, that is shown: fanout/watch.h has told it. */
void pc_mirror_look_who_came(struct pc_remote *remote);
/* The authority has the user, or has not. False: out of memory, nothing has changed. */
bool pc_mirror_set(struct pc_remote *remote, struct pc_remote_user *user, bool mirrored,
                   pusherc_slice info);
/* Adds the user to the channel's roster as one of another node, or removes it; a user's channel has no roster here, but
 * says whether the user is online. 0 or PUSHERC_ENOMEM. */
int pc_mirror_show(struct pc_remote *remote, const struct pc_remote_user *user, bool there);
void pc_mirror_forget_kept(struct pc_remote *remote);
void pc_mirror_set_live(struct pc_remote *remote, bool live);
/* Notes for other threads whether newcomers have to wait. */
void pc_mirror_set_open(struct pc_remote *remote);

/* A message on the topic of this channel that is not a publication. False: it makes no sense. */
bool pc_mirror_message(struct pc_node_part *part, pusherc_slice key, pusherc_slice text);
/* Every incarnation has said what it holds. */
void pc_mirrors_settled(struct pc_node_part *part);
/* Compares mirrors with the authority. */
void pc_mirrors_sweep(struct pc_node_part *part);

#endif
