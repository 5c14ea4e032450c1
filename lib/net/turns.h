/*
 * The order of the requests of one client over HTTP. pusher-js sends each message with a request of its own, several at once
 * on several connections, so that they arrive in any order. It numbers all requests of a page, also those that receive.
 *
 * How it works. `next` is the first number that has not come yet. A request with a higher number waits until the gap before
 * it is filled, or has stayed open for `patience_ms`; then its turn has come. A gap stays open if a request got lost, or if
 * its number belongs to another session of the same page. So each gap that stays open halves the patience, down to none, and
 * a request that comes after a later one restores it: a session alone on its page keeps its order, and one that is not waits
 * for less than twice the patience in its whole life. A request without a number, or with one that has passed, does not wait
 * for others. This file knows neither sockets nor time.
 */
#ifndef PC_NET_TURNS_H
#define PC_NET_TURNS_H

#include <stdint.h>

#include "base/list.h"

struct pc_conn;

/* A request that waits. */
struct pc_turn {
    struct pc_list of_turns;
    uint64_t number;
    struct pc_conn *conn; /* where it has come */
};

struct pc_turns {
    uint64_t next;          /* 0 = no number has come */
    uint64_t passed;        /* bit i: the request with the number next + i has passed */
    uint32_t patience_ms;   /* for a gap; 0 = it does not matter */
    uint32_t most_ms;       /* of `patience_ms` */
    struct pc_list waiting; /* struct pc_turn, in the order of their numbers */
};

void pc_turns_init(struct pc_turns *turns, uint32_t patience_ms);
/* A request has come; `number` 0 = it has none. True: its turn has come as well. */
bool pc_turns_come(struct pc_turns *turns, uint64_t number);
/* The request has been handled, whether its turn had come or not. */
void pc_turns_pass(struct pc_turns *turns, uint64_t number);
/* Puts the turn behind those with the same number. The caller has filled it in, and unlinks it when the wait ends. */
void pc_turns_wait(struct pc_turns *turns, struct pc_turn *turn);
/* The first of those that wait; NULL = none does. */
struct pc_turn *pc_turns_first(const struct pc_turns *turns);
/* Has the turn of the first come? False if none waits. */
bool pc_turns_ready(const struct pc_turns *turns);
/* The gap before the first that waits, if there is one, has stayed open. */
void pc_turns_give_up(struct pc_turns *turns);

#endif
