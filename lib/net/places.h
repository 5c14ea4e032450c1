/*
 * The places of sockets that are not established clients: silent ones, TLS handshakes, HTTP connections, and those that
 * close. Their number is limited for each worker and purpose of a listener, and within it for each client address, so
 * that strangers cannot use up the descriptors and the memory that clients need.
 *
 * A place is in the list of its kind of waiting (enum pc_idle) twice: of all places, and of those of its address. The
 * place that has waited longest is first in both, so the place that has to make room is found in O(1). This file knows
 * neither sockets nor time; reclaim.h closes the socket. The worker's thread.
 */
#ifndef PC_NET_PLACES_H
#define PC_NET_PLACES_H

#include "base/list.h"
#include "base/map.h"
#include "fanout/worker.h"

struct pc_conn;

/* What the server waits for. A socket earlier in this list makes room first. */
enum pc_idle {
    PC_IDLE_MUTE = 0, /* no request has begun since the socket was accepted */
    PC_IDLE_CLOSING,  /* the peer's half of a close */
    PC_IDLE_KEPT,     /* the next request of an HTTP connection */
    PC_IDLE_BEGUN,    /* the rest of a request */
    PC_IDLE_LEFT,     /* an answer for a client that has shut its half */
    PC_NOT_IDLE       /* an answer for a client that is still there: never makes room */
};

struct pc_places {
    const struct pc_mem *mem;      /* borrowed */
    struct pc_worker_stats *stats; /* borrowed: `unestablished` */
    uint32_t max, max_per_address; /* PUSHERC_NO_LIMIT = none */
    uint32_t count;
    struct pc_list idle[PC_NOT_IDLE];
    struct pc_map by_address; /* struct pc_address_places */
};

/* The places of one client address. Freed with the last of them. */
struct pc_address_places;

struct pc_place {
    struct pc_list of_all, of_address; /* unlinked while PC_NOT_IDLE */
    struct pc_places *places;
    struct pc_address_places *address; /* NULL = unknown */
    struct pc_conn *conn;              /* its socket */
    uint64_t since_ms;                 /* when the waiting began */
};

void pc_places_init(struct pc_places *places, const struct pc_mem *mem, const uint64_t seed[2],
                    struct pc_worker_stats *stats);
void pc_places_free(struct pc_places *places); /* all places have been given back */

bool pc_places_full(const struct pc_places *places);
/* The places of an address (pc_address_network()) if it has as many as it may; otherwise NULL. */
struct pc_address_places *pc_places_full_address(const struct pc_places *places,
                                                 pusherc_slice network);

/* A place for a socket, beyond the limits if need be; it is not idle. network.len 0 = unknown: counts for no address.
 * Undo: pc_place_free(). NULL: out of memory. */
struct pc_place *pc_place_new(struct pc_places *places, pusherc_slice network,
                              struct pc_conn *conn);
void pc_place_free(struct pc_place *place); /* NULL is harmless */
void pc_place_set(struct pc_place *place, enum pc_idle idle, uint64_t now_ms);

/* The place that has to make room first, of all or of one address: of those that have waited for PC_IDLE_MS the one
 * whose kind comes first in enum pc_idle, and of that kind the oldest. If none has waited so long, the oldest of any
 * kind, so that a client that has just come has the best chance. NULL: none is idle. */
struct pc_place *pc_places_oldest(const struct pc_places *places,
                                  const struct pc_address_places *address, uint64_t now_ms);
/* An honest client needs less to go on with its handshake or its request. */
#define PC_IDLE_MS 1000

#endif
