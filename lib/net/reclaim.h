/*
 * Room for new sockets: closes an idle socket that is not an established client (places.h) when a limit is reached. A
 * socket whose input the server has not read yet, or whose answer it has not tried to write, is not idle: there the
 * client waits for the server.
 */
#ifndef PC_NET_RECLAIM_H
#define PC_NET_RECLAIM_H

#include "net/conn.h"
#include "net/peer.h"

/* True if one more socket of this address may have a place; closes an idle socket if that is necessary: of the same
 * address any, of others one that has not come just now. False: the caller closes the new socket, which is counted. */
bool pc_make_room(struct pc_loop *loop, struct pc_places *places, const struct pc_address *peer);
/* Would an idle socket make room if all places were taken? Closes none. */
bool pc_has_room(struct pc_loop *loop, struct pc_places *places);
/* Closes one socket of the loop because the process has no more descriptors. Only one that has been idle for PC_IDLE_MS:
 * while all others are needed, newcomers must not push each other out of the last one. False: there is none. */
bool pc_free_descriptor(struct pc_loop *loop);

#endif
