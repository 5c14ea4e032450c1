/*
 * Ephemeral states of one channel (docs/typing.md): what users are doing now, as they have said by client events, such
 * as typing. A state is named by its event, its user and the value of its rule's key. It is over when its time is, or
 * when the last connection that has said it leaves the channel; saying it again renews it.
 *
 * A state points to what was said last (struct pc_said), which is immutable and counted: readers need the lock only to
 * count it, and an end that was decided on counts only while the state still points to the same. Each time to live has
 * a lane, a list in the order in which its states are over, since each renewal moves a state to the end. So all steps
 * take the same time however many states there are, but for the few lanes that a channel's rules need. A connection has
 * a hold on each state that it has said.
 *
 * Time is a parameter. The caller holds the channel's lock.
 */
#ifndef PC_FANOUT_EPHEMERAL_H
#define PC_FANOUT_EPHEMERAL_H

#include <stdatomic.h>

#include "base/list.h"
#include "base/map.h"
#include "channel/ephemeral_rule.h"

/* What a client, or the host, has said. One allocation. */
struct pc_said {
    _Atomic uint32_t refs;
    struct pc_mem mem;
    pusherc_socket_id by; /* the sender, who does not get it; zero = the host */
    bool shows_user;      /* subscribers see the user's id, as on presence channels */
    pusherc_slice id;     /* of the state: event, who and key, with their lengths */
    pusherc_slice event, who, key, data;
    char text[];
};

/* `who` is "u" and a user's id, or "s" and a socket id. Counted for the caller; NULL = out of memory. */
struct pc_said *pc_said_new(const struct pc_mem *mem, pusherc_slice event, pusherc_slice who,
                            pusherc_slice key, pusherc_slice data);
void pc_said_ref(struct pc_said *said);
void pc_said_unref(struct pc_said *said); /* NULL is harmless; any thread */
/* len 0 = it is no user's */
static inline pusherc_slice pc_said_user_id(const struct pc_said *said)
{
    return said->who.ptr[0] == 'u' ? pc_slice_skip(said->who, 1) : PC_S("");
}

struct pc_ephemeral;

/* One connection's hold on a state. */
struct pc_ephemeral_hold {
    struct pc_list of_state;
    struct pc_ephemeral_hold *next, **at; /* of the connection's subscription */
    struct pc_ephemeral *state;
};

struct pc_ephemera_table {
    const struct pc_mem *mem;         /* borrowed */
    struct pc_ephemeral_share *share; /* borrowed */
    struct pc_map by_id;
    struct pc_list lanes;
    struct pc_list left; /* states that no connection holds any more: they are over */
};

/* The bound that has refused a state; NULL = none. */
struct pc_ephemeral_bounds {
    const struct pc_ephemeral_rule *rule;
    uint32_t max_bytes; /* of the app */
    const char *full;   /* receives the name of the setting that has refused the state */
};

void pc_ephemera_init(struct pc_ephemera_table *table, const struct pc_mem *mem,
                      const uint64_t seed[2], struct pc_ephemeral_share *share);
void pc_ephemera_free(struct pc_ephemera_table *table); /* drops what there is */

/* Begins the state or renews it; counts `said`. `holder` is the list of the sender's holds; NULL = the host. 0;
 * PUSHERC_ELIMIT: bounds->full says which; PUSHERC_ENOMEM. On failure nothing has changed. */
PC_CHECKED int pc_ephemera_put(struct pc_ephemera_table *table, struct pc_said *said,
                               struct pc_ephemeral_bounds *bounds,
                               struct pc_ephemeral_hold **holder, uint64_t now_ms);
/* Ends the state of that id. False: there is none. */
bool pc_ephemera_end(struct pc_ephemera_table *table, pusherc_slice id);
/* What was said last of the state of that id; NULL: there is none. */
struct pc_said *pc_ephemera_find(const struct pc_ephemera_table *table, pusherc_slice id);
/* The connection leaves the channel: gives up all its holds. */
void pc_ephemera_let_go(struct pc_ephemera_table *table, struct pc_ephemeral_hold **holder);

/* What was said last of a state that is over and is to be ended; NULL: none is. `except` receives the connection that
 * alone has said it, or zero. */
struct pc_said *pc_ephemera_over(const struct pc_ephemera_table *table, uint64_t now_ms,
                                 pusherc_socket_id *except);
/* Ends it, if it is still over, or (`at_once`) if nothing was said since. False: it was renewed or has ended. */
bool pc_ephemera_end_over(struct pc_ephemera_table *table, const struct pc_said *said,
                          uint64_t now_ms, bool at_once);
/* Whether the last connection that had said it has left; false: there is no such state. */
bool pc_ephemera_is_left(const struct pc_ephemera_table *table, pusherc_slice id);
/* When the next state is over; 0 = one is; UINT64_MAX = there are no states. */
uint64_t pc_ephemera_due(const struct pc_ephemera_table *table, uint64_t now_ms);

/* Calls it for each state, in the order of their lanes. */
typedef void (*pc_ephemera_visit_fn)(struct pc_said *said, uint64_t ends_ms, void *ctx);
void pc_ephemera_each(const struct pc_ephemera_table *table, pc_ephemera_visit_fn visit, void *ctx);

#endif
