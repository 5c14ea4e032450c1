/*
 * Which server of a Redis Cluster has which partition, as the servers say it: the answer to CLUSTER SLOTS, and the errors
 * by which a server sends a command elsewhere. No socket.
 *
 * All keys and topics of a partition are in one slot, so a partition has one server, a master, at a time. While its slot
 * moves the former server goes on with what it still has whole, and refuses the rest (TRYAGAIN, ASK): such a step was not
 * done, and is asked for again, until all has moved and the former server answers MOVED.
 */
#ifndef PC_BROKER_SHARDS_H
#define PC_BROKER_SHARDS_H

#include "broker/steps.h"

#define PC_SHARD_HOST 256 /* with the NUL */
#define PC_NO_SHARD   UINT8_MAX

struct pc_shard_place {
    char host[PC_SHARD_HOST];
    uint16_t port;
};

struct pc_shards {
    struct pc_shard_place places[PC_BROKER_PARTITIONS]; /* of masters that have partitions */
    size_t count;
    uint8_t of[PC_BROKER_PARTITIONS]; /* by partition: index of its master, or PC_NO_SHARD */
};

/* The answer to CLUSTER SLOTS. `asked`: the host that gave it, which it need not name. 0; PUSHERC_EPROTO: it makes no
 * sense. */
PC_CHECKED int pc_shards_parse(struct pc_shards *out, const struct pc_broker_names *names,
                               const struct pc_redis_reply *reply, pusherc_slice asked);

/* What an error of a server of a Redis Cluster says about the command. */
enum pc_shard_error {
    PC_SHARD_OTHER,      /* nothing about where it belongs */
    PC_SHARD_IS_LATE,    /* not done: the slot is moving */
    PC_SHARD_IS_DOWN,    /* not done: too many servers are missing */
    PC_SHARD_HAS_MOVED,  /* not done: another server has the partition, */
    PC_SHARD_IS_UNSERVED /* or none */
};
/* With PC_SHARD_HAS_MOVED also what has moved where. */
struct pc_shard_refusal {
    enum pc_shard_error error;
    uint32_t partition; /* PC_BROKER_PARTITIONS = none of ours */
    struct pc_shard_place place;
};
struct pc_shard_refusal pc_shards_judge(const struct pc_broker_names *names, pusherc_slice error,
                                        pusherc_slice asked);

#endif
