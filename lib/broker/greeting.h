/*
 * What is asked on a new connection before the link counts as up, and whether this Redis will do. No socket.
 */
#ifndef PC_BROKER_GREETING_H
#define PC_BROKER_GREETING_H

#include "broadcast/url.h"
#include "broker/steps.h"

#define PC_BROKER_MAX_RUN 64

enum pc_broker_verdict {
    PC_BROKER_MORE,    /* answers are to come */
    PC_BROKER_DONE,    /* the connection can be used */
    PC_BROKER_AWAY,    /* not now */
    PC_BROKER_UNFIT,   /* not before the operator has done something */
    PC_BROKER_SHARDED, /* it is part of a Redis Cluster, and was not taken for one */
    PC_BROKER_FAILED   /* out of memory */
};

/* The commands, and their answers in the same order. */
struct pc_broker_greeting {
    const struct pc_broker_names *names; /* borrowed */
    uint32_t login;                      /* answers to AUTH and SELECT */
    uint32_t next;                       /* answer */
    uint64_t partitions;                 /* whose layout is asked; a bit for each */
    struct pc_broker_shas shas;
    char run[PC_BROKER_MAX_RUN + 1]; /* names the process that has the data */
    char version[24];
    char policy[32];               /* by which keys are evicted */
    bool evicts;                   /* it may evict keys of ours */
    char why[PC_REDIS_LINE + 128]; /* AWAY or UNFIT, for the log */
};

/* What a connection is for. */
struct pc_broker_errand {
    const struct pc_broadcast_url *url; /* borrowed, as the next one */
    const struct pc_broker_names *names;
    pusherc_slice client_name, own_topic;
    bool sharded;        /* to a server of a Redis Cluster */
    uint64_t partitions; /* whose layout is asked; a bit for each, at least one */
};
/* Begins, and appends the commands. What is published to the link's own topic proves that it may. */
PC_CHECKED int pc_broker_greet(struct pc_broker_greeting *g, struct pc_buf *buf,
                               const struct pc_broker_errand *errand);
/* The next answer. What has to be asked because of it is appended. */
enum pc_broker_verdict pc_broker_greeted(struct pc_broker_greeting *g,
                                         const struct pc_redis_reply *reply, struct pc_buf *buf);

/* Appends the command that asks for the process again. */
void pc_broker_put_who(struct pc_buf *buf);
/* False: the answer names another process than before, or none. */
bool pc_broker_is_same(const struct pc_broker_greeting *g, const struct pc_redis_reply *reply);

/* What an error means for a connection; `why` is a sentence. */
enum pc_broker_verdict pc_broker_judge(pusherc_slice error, char *why, size_t size);

#endif
