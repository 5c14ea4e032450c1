/*
 * What one connection may use of its worker's time, so that no client spends what belongs to the others.
 *
 * A share: in one turn a connection's input is handled for PC_SHARE_NS, and one message longer. What is left waits
 * in the connection, and the connection waits for its next share. It does not read meanwhile.
 * Two classes: established clients (WebSockets), and the rest, which are handshakes and requests. In one turn the
 * rest has PC_REST_NS, so that they hold up no established client.
 * A turn: when the time of a class is used up, a connection of that class that has input waits for a share, unread.
 * So the order of the sockets in the kernel's list does not decide who is served: the lists are first come, first
 * served. finish_turn() gives those who wait a share each, as far as the time reaches.
 * A rate: a client that has sent more messages than its app allows waits for PC_PACE_MS.
 *
 * Joins: those that are long (session/joining.h) are finished after a turn's input, for PC_JOINS_NS, and one longer.
 * Mail: a turn runs what other turns and workers have posted for PC_MAIL_NS, and one mail longer, of an event for more
 * than PC_CROWD_SLICE subscribers a part. Output: a turn writes to connections, and ends broken ones, for PC_FLUSH_NS
 * after that; the others are first in the next turn. The crowd waits: events of crowded channels (PC_CROWD) wait for
 * other mail, and what they and long joins bring, long queues and ends are written last, for PC_BULK_NS at least.
 *
 * The link (broker/): its connections are read until PC_LINK_NS of a turn have passed, each once in any case unless many
 * reports wait in the mailbox.
 *
 * So whatever arrives, a turn handles clients' input for PC_ESTABLISHED_NS + PC_WAITERS_NS + 2 * PC_REST_NS and a message
 * of each list at most, and a client that sends one message waits for one share of each client that came before it.
 */
#ifndef PC_NET_BUDGET_H
#define PC_NET_BUDGET_H

#include <stdbool.h>

#include <uv.h>

#include "base/list.h"
#include "base/timer.h"

#define PC_SHARE_NS       200000
#define PC_ESTABLISHED_NS 4000000
#define PC_WAITERS_NS     3000000
#define PC_REST_NS        2000000
/* What the two classes may use before those who wait; more, because there were thousands of them, is taken off theirs. */
#define PC_INPUT_NS (PC_ESTABLISHED_NS + PC_REST_NS)
#define PC_JOINS_NS 2000000
#define PC_LINK_NS  2000000
#define PC_MAIL_NS  2000000
#define PC_FLUSH_NS 3000000
#define PC_BULK_NS  1000000
#define PC_PACE_MS  50

struct pc_loop;

struct pc_budget {
    uint64_t share_ends_ns; /* of the connection whose input is being handled */
    uint64_t rest_ns;       /* what connections that are not established have used in this turn */
    struct pc_list waiting; /* established connections, by pc_conn.waiting */
    struct pc_list rest;    /* other connections */
    struct pc_list paced;   /* established connections */
    struct pc_timer pace;   /* armed while there is one */
};

void pc_budget_init(struct pc_budget *budget);

/* The connection whose input is being handled has used its share. */
static inline bool pc_budget_used(const struct pc_budget *budget)
{
    return uv_hrtime() >= budget->share_ends_ns;
}

/* Gives those who wait a share each, as far as the time reaches, one in any case; the last input of a turn. */
void pc_budget_serve(struct pc_loop *loop);

/* A connection waits for the next turn. */
static inline bool pc_budget_waits(const struct pc_budget *budget)
{
    return !pc_list_empty(&budget->waiting) || !pc_list_empty(&budget->rest);
}

#endif
