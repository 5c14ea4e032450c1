/*
 * The state of one partition: which processes (incarnations) are alive, what they hold, and what follows from that for
 * channels: rosters, totals, edges. The steps (step.h) read and change it.
 *
 * The state is a pure function of the steps and their times. Lists are kept in an order that does not depend on hash
 * seeds, so the same steps give the same answers in every process.
 *
 * Memory may run out only before a step changes anything: functions that make something come first, and what they made
 * is taken back by the function that forgets what is not needed.
 */
#ifndef PC_CLUSTER_PARTITION_H
#define PC_CLUSTER_PARTITION_H

#include <stdbool.h>

#include "base/list.h"
#include "base/map.h"
#include "cluster/values.h"

#define PC_MAX_EDGES 100000 /* that wait to be told; the oldest are dropped */

/* Names a process for as long as no other process has declared it dead. */
struct pc_incarnation {
    struct pc_map_node node; /* key: its name */
    struct pc_list by_name;  /* of all, sorted */
    bool alive;              /* it has a lease, perhaps one that has lapsed */
    bool unsynced;           /* has not said what it holds under this epoch */
    bool dying;              /* declared dead, and not all that it held is taken away */
    uint64_t lease_end_ms;
    uint64_t since_ms;  /* when its time without a lapse began */
    struct pc_map held; /* struct pc_held */
    struct pc_list held_in_order;
    struct pc_map counted; /* struct pc_counted */
    struct pc_list counted_in_order;
};

/* A channel that has members or subscriptions. */
struct pc_occupied {
    struct pc_map_node node; /* key: its name */
    struct pc_list by_number;
    uint64_t number; /* grows with each channel that appears: the position in a list of channels */
    char *index;     /* owned; of which list of channels it is a part; NULL = of none */
    uint64_t total;  /* subscriptions of all incarnations */
    uint64_t last;   /* number of the last change of the roster; 0 = the roster is empty */
    struct pc_map members;
    struct pc_list members_in_order;
};

/* A member of a roster. */
struct pc_entry {
    struct pc_map_node node; /* key: the user */
    struct pc_list in_order;
    struct pc_occupied *channel;
    uint64_t holders; /* incarnations */
    uint64_t number;  /* of the change that added it */
    pusherc_slice info;
};

/* An incarnation holds a user in a channel. */
struct pc_held {
    struct pc_map_node node; /* key: the address of `entry` */
    struct pc_list in_order;
    struct pc_entry *entry;
};

/* An incarnation has subscriptions of a channel. */
struct pc_counted {
    struct pc_map_node node; /* key: the address of `channel` */
    struct pc_list in_order;
    struct pc_occupied *channel;
    uint64_t count;
};

/* Ids of a log: a time, and a number among those of the same time. */
struct pc_log_id {
    uint64_t at_ms, nth;
};

/* A channel became occupied or vacated, a user was added or removed, or a total has changed (then it stands in place of
 * the user): to be told. */
struct pc_edge {
    struct pc_list in_order;
    struct pc_log_id id;
    const char *kind;
    pusherc_slice channel, user;
};

struct pc_partition {
    struct pc_mem mem;
    uint64_t seed[2];
    char *epoch, *run;           /* owned; NULL = no incarnation has attached */
    uint64_t counter;            /* of all changes of rosters; never goes back within an epoch */
    char *teller;                /* owned; NULL = none */
    uint64_t unsettled_until_ms; /* 0 = settled */
    struct pc_map incarnations;
    struct pc_list by_name;
    struct pc_map channels;
    struct pc_list by_number;
    uint64_t number;
    struct pc_list edges;
    size_t edge_count;
    struct pc_log_id edge_id;
    /* records.c */
    struct pc_map kept, once;
    struct pc_list kept_by_look, once_by_look; /* the entry that was looked at longest ago first */
    struct pc_list orders;
    size_t order_count;
    struct pc_log_id order_id;
};

void pc_partition_init(struct pc_partition *p, const struct pc_mem *mem, const uint64_t seed[2]);
void pc_partition_free(struct pc_partition *p);

bool pc_partition_is_epoch(const struct pc_partition *p, pusherc_slice epoch);

/* -- incarnations -- */

struct pc_incarnation *pc_incarnation_find(const struct pc_partition *p, pusherc_slice name);
/* NULL: out of memory. It is not alive yet. */
struct pc_incarnation *pc_incarnation_get(struct pc_partition *p, pusherc_slice name);
/* Frees it if it is neither alive nor dying. */
void pc_incarnation_settle(struct pc_partition *p, struct pc_incarnation *inc);

/* -- what they hold. Functions that make: NULL = out of memory -- */

struct pc_occupied *pc_occupied_find(const struct pc_partition *p, pusherc_slice channel);
struct pc_occupied *pc_occupied_get(struct pc_partition *p, pusherc_slice channel);
/* Does nothing if it has one. 0 or PUSHERC_ENOMEM. */
PC_CHECKED int pc_occupied_set_index(struct pc_partition *p, struct pc_occupied *channel,
                                     pusherc_slice index);
/* Frees it if it has neither members nor subscriptions. */
void pc_occupied_settle(struct pc_partition *p, struct pc_occupied *channel);

struct pc_entry *pc_entry_find(const struct pc_occupied *channel, pusherc_slice user);
struct pc_entry *pc_entry_get(struct pc_partition *p, struct pc_occupied *channel,
                              pusherc_slice user, pusherc_slice info);
/* Frees it if no incarnation holds it. */
void pc_entry_settle(struct pc_partition *p, struct pc_entry *entry);

/* NULL in, NULL out. */
struct pc_held *pc_held_find(const struct pc_incarnation *inc, const struct pc_entry *entry);
struct pc_held *pc_held_new(struct pc_partition *p, struct pc_incarnation *inc,
                            struct pc_entry *entry);
void pc_held_free(struct pc_partition *p, struct pc_incarnation *inc, struct pc_held *held);

struct pc_counted *pc_counted_find(const struct pc_incarnation *inc,
                                   const struct pc_occupied *channel);
struct pc_counted *pc_counted_get(struct pc_partition *p, struct pc_incarnation *inc,
                                  struct pc_occupied *channel);
/* Frees it if its count is 0. */
void pc_counted_settle(struct pc_partition *p, struct pc_incarnation *inc,
                       struct pc_counted *counted);

/* -- edges -- */

struct pc_edge *pc_edge_new(struct pc_partition *p, pusherc_slice channel, pusherc_slice user);
void pc_edge_push(struct pc_partition *p, struct pc_edge *edge, uint64_t now_ms, const char *kind);
/* The total of a channel's subscriptions in place of a user: the edge was made with PC_U64_DIGITS bytes for that. */
void pc_edge_set_total(struct pc_edge *edge, uint64_t total);
/* Takes it out and frees it. NULL is harmless. */
void pc_edge_free(struct pc_partition *p, struct pc_edge *edge);

/* The id that follows in a log. */
struct pc_log_id pc_log_id_next(struct pc_log_id last, uint64_t now_ms);
static inline bool pc_log_id_is_after(struct pc_log_id a, struct pc_log_id b)
{
    return a.at_ms > b.at_ms || (a.at_ms == b.at_ms && a.nth > b.nth);
}
/* Appends "<ms>-<nth>" as a value. */
void pc_log_id_put(struct pc_values *values, struct pc_log_id id);
/* False: the text is not an id. */
bool pc_log_id_parse(pusherc_slice text, struct pc_log_id *out);

#endif
