/*
 * A node: this process as one of several that serve the same channels. It is the decider of joins (fanout/decider.h)
 * and the relay of publications (fanout/relay.h), and it has a link (pusherc_link_ops) to an authority.
 *
 * What is wanted and what the authority is known to hold are compared (remote.c), and the difference is asked for. So a
 * step may be repeated, and a lost answer, a new connection or a failover need no code of their own: what was asked and
 * not answered is not known, and is asked again.
 *
 * The node lives on the thread of the first worker. Other threads change only what the mutex guards: what is wanted, and
 * what is to be relayed. They mark what they changed and send one mail; the node looks at all marks in pc_node_look().
 * Reports of the link come from any thread, as mails (link.c).
 *
 * Each partition has a link of its own, with a state, requests under way, and an epoch (node.c). tests/cluster/model
 * has the same rules in a form that can be run with faults.
 */
#ifndef PC_CLUSTER_NODE_H
#define PC_CLUSTER_NODE_H

#include <pusherc/cluster.h>

#include "cluster/partition.h"
#include "cluster/values.h"
#include "fanout/engine.h"
#include "fanout/pending.h"
#include "fanout/posting.h"

#define PC_NODE_TICK_MS   100
#define PC_REJOIN_MS      500 /* with events that wait a node subscribes so long before it attaches */
#define PC_LEASE_MS       10000 /* defaults of pusherc_cluster_options */
#define PC_RENEW_MS       3000
#define PC_SETTLE_MS      5000
#define PC_NODE_ID        16    /* characters */
#define PC_MAX_REQUESTS   10000 /* of one partition under way; more wait as what is wanted */
#define PC_MAX_EPOCH      64    /* bytes of an epoch */
#define PC_MAX_RUN        200
#define PC_MAX_PARTITIONS 1024
#define PC_STEPS          (PUSHERC_STEP_TOTALS + 1)
#define PC_REAP_BATCH     50
#define PC_SWEEP_BATCH    100
#define PC_MAX_MESSAGE    (8u << 20) /* a longer one is refused */

struct pc_node_part;
struct pc_remote;
struct pc_remote_user;
struct pc_search;
struct pc_begun;

enum pc_link_state {
    PC_LINK_DOWN = 0,
    PC_LINK_ATTACHING,   /* connected; the incarnation begins or comes back */
    PC_LINK_RECONCILING, /* what the authority has of this incarnation is asked */
    PC_LINK_UP
};

/* A step or a publication that the authority has not answered. */
struct pc_request;
struct pc_request_kind {
    pusherc_step step; /* 0 = a publication */
    /* The answer, the first value of which is neither EPOCH nor FENCED. */
    void (*answered)(struct pc_node_part *part, struct pc_request *r, const pusherc_slice *values,
                     size_t count);
    /* There will be no answer that counts, so whether it was done is not known. */
    void (*forgotten)(struct pc_node_part *part, struct pc_request *r);
};
struct pc_request {
    struct pc_list in_order;
    const struct pc_request_kind *kind;
    bool stale;   /* forgotten, and the answer is still to come */
    bool put_off; /* forgotten, because the authority cannot do it now */
    struct pc_remote *remote;
    struct pc_remote_user *user;
    struct pc_relayed *event;
    struct pc_search *search;
    struct pc_begun *begun; /* once.c */
    uint64_t number;
    uint64_t asked_ns; /* 0 = time is not taken */
    struct pc_buf text;
};

/* What the link reports, on the node's thread. */
struct pc_link_reports {
    void (*up)(struct pc_node_part *part, uint64_t session, pusherc_slice run);
    void (*lost)(struct pc_node_part *part, bool topics_only);
    void (*subscribed)(struct pc_node_part *part, pusherc_topic topic, pusherc_slice key);
    void (*message)(struct pc_node_part *part, pusherc_topic topic, pusherc_slice key,
                    pusherc_slice message);
    void (*answer)(struct pc_node_part *part, const pusherc_slice *values, size_t count);
};

/* A name in a list. */
struct pc_name {
    struct pc_list in_order;
    pusherc_slice text;
};

/* What other threads hand to the node, to be sent in this order. */
struct pc_outgoing {
    struct pc_list in_order;
    /* Takes it over, on the node's thread. */
    void (*take)(struct pusherc_link *node, struct pc_outgoing *out);
};

/* orders.h */
struct pc_orders {
    struct pc_log_id last; /* seen, if it is known */
    bool known, subscribed, reading;
    bool behind;  /* there may be others than what is being read */
    bool in_step; /* all orders are seen when they are given */
    bool said_in_step;
    bool owes_all;           /* all grants have to be asked again */
    _Atomic uint64_t number; /* of this node's last order */
    struct pc_list open;     /* this node's */
    size_t open_count;
    struct pc_map obeyed; /* of other nodes */
    struct pc_list obeyed_in_order;
    struct pc_list carried; /* of them, those that were carried out; guarded by the mutex */
};

/* noted.h */
struct pc_noted_edges {
    bool acknowledging;  /* TOLD is under way */
    struct pc_map by_id; /* edges that may wait for endpoints */
    struct pc_list in_order;
    struct pc_map last; /* the last of them of each channel and user */
};

/* told.h */
struct pc_told {
    bool doubtful;   /* the data may have gone back since something was told */
    bool unchecked;  /* a CHECK was lost */
    uint32_t checks; /* under way */
    struct pc_map by_key;
    struct pc_list in_order; /* told longest ago first */
};

/* teller.h; of one partition */
struct pc_teller {
    bool is;               /* by the last renewal */
    bool asking;           /* TELL is under way */
    bool leaving, over;    /* takes leave; there is nothing more to tell */
    bool at_rest;          /* nothing was noted when TELL was asked: if nothing comes, it rests */
    uint64_t asked_ms;     /* TELL, last */
    uint64_t at_ms;        /* of the next TELL */
    bool leaves;           /* edges for a node that knows their app, */
    uint64_t leaves_ms;    /* since then */
    uint64_t office_ms;    /* since then it is the teller */
    uint64_t gave_up_ms;   /* when it gave the office up; 0 = never */
    struct pc_log_id read; /* edges up to this one */
    struct pc_noted_edges noted;
    struct pc_told told;
};

/* isolation.h */
struct pc_isolation {
    uint64_t linked_ms; /* when the link worked in all partitions, at the latest; or the start */
    uint64_t ticked_ms; /* the last tick */
    bool apart;         /* it takes no clients */
    uint64_t close_ms;  /* then, when those that are left are closed */
};

/* Reports of the link that were made before the link was lost do not count. */
struct pc_report_ages {
    uint64_t steps, topics;
};

/* One partition, as this node sees it. */
struct pc_node_part {
    struct pusherc_link *node;
    uint32_t index;
    enum pc_link_state state;
    char run[PC_MAX_RUN + 1];         /* the place of the data */
    uint64_t session;                 /* of the link */
    uint64_t lost_ms;                 /* when the link went down */
    uint64_t incarnation;             /* number */
    char epoch[PC_MAX_EPOCH + 1];     /* attached under */
    char announced[PC_MAX_EPOCH + 1]; /* all that this incarnation holds was said under */
    bool awaited;                     /* ATTACH or MINE is under way */
    bool said;                        /* this incarnation may hold something */
    bool must_sync;                   /* all that it holds is being asked for; then SYNCED */
    bool asks_again;                  /* something could not be asked; at the next tick */
    bool isolated;                    /* without a link for longer than a lease */
    bool detached;                    /* has taken leave */
    bool unsettled, renewing;
    bool topic_asked; /* the partition's own topic is subscribed */
    uint64_t attach_at_ms, renew_at_ms, sweep_at_ms;
    uint64_t confirmed_ms; /* when the last renewal was asked for that was answered; 0 = none was */
    uint64_t alive;        /* incarnations, by the last renewal */
    struct pc_list requests;
    size_t request_count;
    struct pc_list remotes;
    struct pc_list todo;   /* of them, those to look at in the next tick, */
    struct pc_list soon;   /* and those that the present report has changed */
    struct pc_list outbox; /* publications to send, in order */
    struct pc_map origins; /* of publications of other nodes: the last number of each */
    struct pc_list origins_in_order;
    uint64_t published;          /* number of this node's last publication; guarded by the mutex */
    struct pc_list lapsed, gone; /* incarnations: found late by the last renewal; to be buried */
    bool reaping;
    struct pc_teller teller;
    /* guarded by the mutex */
    struct pc_report_ages ages;
    bool lost_all, lost_topics; /* `lost` brings this */
    bool lost_posted;
    struct pc_mail lost;
};

struct pc_node_stats {
    _Atomic uint64_t gaps;    /* changes that were missed; losses of a partition's topics */
    _Atomic uint64_t swept;   /* mirrors that a comparison found wrong */
    _Atomic uint64_t dropped; /* publications that other nodes did not get */
    _Atomic uint64_t refused; /* messages and answers that were not understood */
    _Atomic uint64_t reaped, fenced, epochs, losses;
    _Atomic uint64_t missed; /* all grants were asked again: orders may have been missed */
    _Atomic uint64_t
        unanswered; /* nodes that did not say in time that they have carried out an order */
    _Atomic uint64_t unlinked_ms; /* time without a link in all partitions */
    /* there are now: channels whose roster is followed; users held; channels' topics that are subscribed or asked for */
    _Atomic uint64_t mirrors, holds, topics;
    struct pc_histogram step_times[PC_STEPS]; /* by step: from asking until the answer is here */
};

/* What a link of this library counts. */
struct pc_link_counts {
    _Atomic uint64_t connects; /* times that it was connected */
    _Atomic uint64_t commands, errors, bytes_out, bytes_in;
    _Atomic uint64_t publications,
        messages;                   /* events sent and heard, of both what other nodes need */
    _Atomic uint64_t round_trip_us; /* of the last question; 0 = not known */
    _Atomic uint64_t
        transit_us; /* of the last probe, from publishing until it was heard; 0 = not known */
};

/* The node; the host knows it as the link that it reports to. */
struct pusherc_link {
    struct pc_engine *engine;
    struct pc_worker *worker; /* the first */
    pusherc_link_ops ops;
    void *self;
    void (*dispose)(void *self);         /* frees `self` with the node; NULL = it is the host's */
    const struct pc_link_counts *counts; /* of `self`; NULL = the link is the host's */
    const struct pc_link_reports *reports;
    pusherc_cluster_options options; /* with defaults */
    char id[PC_NODE_ID + 1];
    struct pc_timer tick;
    struct pc_node_part *parts;
    uint32_t part_count;
    uint64_t fetches;          /* numbers of fetches, of all channels */
    uint64_t epochs;           /* numbers of epochs that this node proposes */
    char gone[PC_NODE_ID + 1]; /* the dead node that the log has heard of last */
    bool started;
    struct pc_await find_app; /* the host is asked for the app of an edge, */
    uint64_t find_app_ms;     /* since then; */
    bool app_is_late;         /* and has not answered in time */
    struct pc_list searches;  /* that wait for their next step */
    struct pc_list untold;    /* idempotency keys that are done, and could not be told */
    uint64_t tokens;          /* numbers of idempotency keys that were begun */
    struct pc_orders orders;
    struct pc_isolation isolation;
    struct pc_node_stats stats;
    _Atomic int worst; /* enum pc_link_state; for other threads */
    _Atomic uint32_t alive;
    _Atomic bool unsettled;
    _Atomic uint32_t reports_waiting; /* in the mailbox, but for losses */

    /* Taken under a shard's; a mailbox is posted to under it. Guards the rest, and what remote.h says. */
    pthread_mutex_t mutex;
    struct pc_map remotes; /* by "app/channel" */
    struct pc_list marked; /* channels to look at */
    struct pc_list outgoing;
    struct pc_list to_search;
    size_t outbox_bytes; /* of all publications until they are answered */
    bool look_posted;
    struct pc_mail look;
};

static inline uint64_t pc_node_now(const struct pusherc_link *node)
{
    return node->worker->now_ms;
}

static inline bool pc_part_is_up(const struct pc_node_part *part)
{
    return part->state == PC_LINK_UP;
}

/* CRC-16 of XMODEM, by which a Redis Cluster spreads keys as well. */
uint16_t pc_node_slot(pusherc_slice bytes);
struct pc_node_part *pc_node_part_of(struct pusherc_link *node, pusherc_slice key);

/* With the mutex held: the node shall look. Returns the workers to wake, a bit for each. */
uint64_t pc_node_mark(struct pusherc_link *node);

PC_CHECKED int pc_node_new(struct pusherc_link **out, struct pc_engine *engine,
                           const pusherc_link_ops *ops, void *self,
                           const pusherc_cluster_options *options);
/* The workers have mailboxes, and their time is set. 0, or what ops.start returned. */
PC_CHECKED int pc_node_start(struct pusherc_link *node);
/* Any thread. */
void pc_node_info(const struct pusherc_link *node, pusherc_cluster_info *out);
/* Bytes of publications that are not answered yet. Any thread, without a lock. */
size_t pc_node_outbox_bytes(struct pusherc_link *node);
/* The link makes no report after this. NULL is harmless. */
void pc_node_stop(struct pusherc_link *node);
/* After the last worker has ended, and its mailbox is closed. NULL is harmless. */
void pc_node_free(struct pusherc_link *node);
/* The node's thread. Takes leave of the authority, as far as it can be reached. True: there is nothing left to wait
 * for. */
bool pc_node_leave(struct pusherc_link *node);

void pc_link_lost_init(struct pc_node_part *part); /* link.c */

/* -- names -- */

/* False: out of memory. */
bool pc_names_add(struct pusherc_link *node, struct pc_list *names, pusherc_slice text);
bool pc_names_have(const struct pc_list *names, pusherc_slice text);
/* False: it was not there. */
bool pc_names_remove(struct pusherc_link *node, struct pc_list *names, pusherc_slice text);
void pc_names_free(struct pusherc_link *node, struct pc_list *names);
void pc_name_free(struct pusherc_link *node, struct pc_name *name);

/* -- requests -- */

/* NULL: out of memory. */
struct pc_request *pc_request_new(struct pusherc_link *node, const struct pc_request_kind *kind);
void pc_request_free(struct pusherc_link *node, struct pc_request *r);
/* Asks; frees the arguments, and takes over the request, which may be NULL. False: it was not asked, and is freed;
 * forgotten() is not called. */
bool pc_request_send(struct pc_node_part *part, struct pc_request *r, struct pc_values *args);
/* The same for a publication, of which nothing is copied here. */
bool pc_request_publish(struct pc_node_part *part, struct pc_request *r, pusherc_slice key,
                        pusherc_slice message);
/* The answer is here. */
void pc_request_time(struct pusherc_link *node, const struct pc_request *r);
/* What a call of the link has returned. True: it has taken what it was given. */
bool pc_part_took(struct pc_node_part *part, int err);
/* This incarnation's name. */
void pc_part_put_incarnation(const struct pc_node_part *part, struct pc_values *args);
/* The incarnation and the epoch, as the first arguments of most steps. */
void pc_part_put_guard(const struct pc_node_part *part, struct pc_values *args);
/* The authority answered what does not make sense. */
void pc_node_refuse(struct pusherc_link *node, const char *what);

#endif
