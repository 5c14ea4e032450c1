/*
 * How the steps of an authority (pusherc/cluster.h) and its topics are said to Redis: names of keys and topics, a script for
 * each step, and what their answers mean. No socket.
 *
 * A partition's keys and topics begin with the prefix and the partition's tag, "pusherc:{4}". Tags are decimal numbers whose
 * hash slots are spread evenly, so that a partition is in one slot of a Redis Cluster, and the partitions are even over any
 * number of servers.
 */
#ifndef PC_BROKER_STEPS_H
#define PC_BROKER_STEPS_H

#include <pusherc/cluster.h>

#include "base/buf.h"
#include "cluster/values.h"
#include "redis/reader.h"

#define PC_BROKER_PARTITIONS 64 /* part of the layout: data with another number is refused */
#define PC_BROKER_LAYOUT     1  /* version of keys and scripts */
#define PC_BROKER_SCRIPTS    26
#define PC_BROKER_SHA        40 /* characters of a script's name */

/* What the keys of each partition begin with, and their slot in a Redis Cluster. */
struct pc_broker_names {
    pusherc_slice prefix;
    pusherc_slice heads[PC_BROKER_PARTITIONS];
    uint16_t slots[PC_BROKER_PARTITIONS];
    const struct pc_mem *mem;
    char *text; /* owned: the slices point into it */
};

PC_CHECKED int pc_broker_names_init(struct pc_broker_names *names, const struct pc_mem *mem,
                                    pusherc_slice prefix);
void pc_broker_names_free(struct pc_broker_names *names); /* zero is harmless */

/* The partition that the slot of a Redis Cluster has; PC_BROKER_PARTITIONS: it has none. */
uint32_t pc_broker_partition_of_slot(const struct pc_broker_names *names, uint64_t slot);

/* -- topics -- */

/* What is said of topics to one server, and to a server of a Redis Cluster; and what it says of them. */
struct pc_broker_words {
    pusherc_slice subscribe, unsubscribe, publish;
    pusherc_slice subscribed, unsubscribed, message;
};
const struct pc_broker_words *pc_broker_words(bool sharded);

/* A topic's name, as one word of a command. */
void pc_broker_put_topic(struct pc_buf *buf, const struct pc_broker_names *names,
                         uint32_t partition, pusherc_topic topic, pusherc_slice key);

struct pc_broker_topic {
    uint32_t partition;
    pusherc_topic topic;
    pusherc_slice key; /* points into the name */
};
/* False: it is none of ours. */
bool pc_broker_topic_parse(const struct pc_broker_names *names, pusherc_slice name,
                           struct pc_broker_topic *out);

/* -- steps -- */

/* Names of the scripts, as Redis has told them, and how they publish. */
struct pc_broker_shas {
    char text[PC_BROKER_SCRIPTS][PC_BROKER_SHA];
    bool sharded; /* to topics of a Redis Cluster */
};

/* Appends SCRIPT LOAD of the nth script. */
void pc_broker_put_script(struct pc_buf *buf, size_t nth);
/* Appends a step. `unix_us`: 0 = Redis's own clock. PUSHERC_EINVAL: the arguments are not what the step takes; then, and
 * without memory, what the buffer has is of no use. */
PC_CHECKED int pc_broker_put_step(struct pc_buf *buf, const struct pc_broker_names *names,
                                  const struct pc_broker_shas *shas, uint32_t partition,
                                  pusherc_step step, uint64_t unix_us, const pusherc_slice *args,
                                  size_t count);
/* Appends the question for the layout of a partition's data, which says it if there is none yet. Answer: version,
 * partitions. 0 or PUSHERC_ENOMEM. */
PC_CHECKED int pc_broker_put_layout(struct pc_buf *buf, const struct pc_broker_names *names,
                                    const struct pc_broker_shas *shas, uint32_t partition);
/* The answer to a step, which is no error. 0; PUSHERC_EPROTO: it makes no sense; PUSHERC_ENOMEM. */
PC_CHECKED int pc_broker_answer(pusherc_step step, const struct pc_redis_reply *reply,
                                struct pc_values *out);

#endif
