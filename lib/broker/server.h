/*
 * A Redis server that has partitions: two connections, one that subscribes, and one for all else, from connecting until
 * they are lost; and then a pause.
 *
 * How it works. All of it is on the first worker's loop. A turn writes commands into two buffers and notes what it asked;
 * at its end the buffers are sent. Redis does what comes over one connection in order and answers in order, so answers are
 * matched by counting. When anything is wrong with one connection both are closed. So there is one state and no half of it.
 */
#ifndef PC_BROKER_SERVER_H
#define PC_BROKER_SERVER_H

#include <uv.h>

#include "base/log.h"
#include "broker/asked.h"
#include "broker/greeting.h"
#include "broker/shards.h"
#include "cluster/node.h"
#include "net/loop.h"
#include "redis/conn.h"

#define PC_BROKER_FIRST_PAUSE_MS 100u
#define PC_BROKER_LAST_PAUSE_MS  5000u
#define PC_BROKER_SOON           30 /* tries with short pauses: for as long as events wait for a link */
#define PC_BROKER_TROUBLE        (PC_REDIS_LINE + 128)

/* What all servers of a link share. It outlives them. */
struct pc_broker_common {
    struct pc_mem mem;
    struct pc_log *log;   /* borrowed */
    struct pc_loop *loop; /* borrowed: the server's first */
    uint32_t open;        /* timers and connections that libuv has not closed yet */
    bool has_work;        /* for the end of the turn */
    const _Atomic uint32_t *reports_waiting; /* borrowed: the node's */
    struct pc_broadcast_url url;             /* owned */
    struct pc_tls_trust *trust;              /* owned; NULL = in the clear */
    struct pc_broker_names names;
    uint32_t timeout_ms;
    char id[17], client_name[32]; /* of the link */
    struct pc_link_counts counts;
};

enum pc_broker_server_state {
    PC_BROKER_IDLE,
    PC_BROKER_PAUSING,    /* until its timer rings */
    PC_BROKER_CONNECTING, /* or greeting, on either connection */
    PC_BROKER_OPEN
};

struct pc_broker_server;
struct pc_broker_server_ops {
    void (*opened)(void *owner, struct pc_broker_server *s);
    /* It pauses. What was asked will not be answered. */
    void (*lost)(void *owner, struct pc_broker_server *s, bool was_open);
    /* The pause is over; it is idle. */
    void (*paused)(void *owner, struct pc_broker_server *s);
    /* It is part of a Redis Cluster, and was not taken for one. It is idle. */
    void (*sharded)(void *owner, struct pc_broker_server *s);
    /* The answer to a step or a publication. False: it makes no sense. */
    bool (*answered)(void *owner, struct pc_broker_server *s, struct pc_asked asked,
                     const struct pc_redis_reply *reply);
    /* Anything that was asked was answered with an error. */
    void (*refused)(void *owner, struct pc_broker_server *s, struct pc_asked asked,
                    pusherc_slice error);
    /* What a server says of a topic: one of its words, and behind the message's word the message. */
    void (*heard)(void *owner, struct pc_broker_server *s, pusherc_slice word,
                  const struct pc_broker_topic *topic, pusherc_slice message);
    /* A subscription was answered with an error. */
    void (*refused_topic)(void *owner, struct pc_broker_server *s, pusherc_slice error);
};

struct pc_broker_server {
    struct pc_broker_common *common; /* borrowed */
    const struct pc_broker_server_ops *ops;
    void *owner;
    struct pc_redis_place place; /* borrowed, or points to `host` */
    char host[PC_SHARD_HOST];
    uv_timer_t timer;

    enum pc_broker_server_state state;
    struct pc_redis_conn *commands, *topics; /* NULL = closed; former ones may not be gone yet */
    struct pc_broker_greeting greeting;
    const struct pc_broker_words *words;
    uint32_t own;    /* partition of the topic by which the server proves that messages come */
    uint32_t logins; /* answers to AUTH and SELECT that the topics' connection has still to get */
    bool commands_ready, topics_ready;
    bool is_paused;               /* reads on when few reports wait */
    uint32_t tries;               /* in vain */
    uint64_t due_ms;              /* when the timer is to ring */
    uint64_t began_ms;            /* the state */
    uint64_t answered_ms;         /* since when Redis has owed an answer, at least */
    uint64_t heard_ms;            /* a message, of the link itself if of no other */
    uint64_t probed_ms, short_ms; /* when it asked; when the log was told of a lack of memory */
    uint64_t down_ms;             /* since then its cluster has been down; 0 = it is not */
    char said[PC_BROKER_TROUBLE]; /* the trouble of which the log knows */
    uint64_t probe_ns;            /* when the last probe was written */

    bool given_up; /* it has answered what the node does not understand */
    struct pc_asked_list asked;
    struct pc_buf out, topics_out;
};

/* 0 or PUSHERC_ENOMEM. It is idle. `ops` and `common` are borrowed. */
PC_CHECKED int pc_broker_server_new(struct pc_broker_server **out, struct pc_broker_common *common,
                                    const struct pc_broker_server_ops *ops, void *owner);
/* After the loop has closed its timer, which pc_broker_server_stop() begins. NULL is harmless. */
void pc_broker_server_free(struct pc_broker_server *s);

/* It is idle. */
void pc_broker_server_set_place(struct pc_broker_server *s, const struct pc_shard_place *place);
/* It is idle. `sharded`: as one of a Redis Cluster. `partitions`: whose layout is asked, a bit for each, at least one. */
void pc_broker_server_connect(struct pc_broker_server *s, bool sharded, uint64_t partitions);
/* The end of a turn: sends what waits, and reads on; or loses it, if it was given up. */
void pc_broker_server_flush(struct pc_broker_server *s);
/* Its own topic shall be one of this partition. It is open. */
void pc_broker_server_prove_by(struct pc_broker_server *s, uint32_t partition);
/* `why`: a sentence behind "Redis at HOST:PORT". `unfit`: there is no hurry. */
void pc_broker_server_lose(struct pc_broker_server *s, bool unfit, const char *why);
void pc_broker_server_lacks_memory(struct pc_broker_server *s);
/* Nothing is wanted of it any more; nothing is reported. */
void pc_broker_server_close(struct pc_broker_server *s);
void pc_broker_server_stop(struct pc_broker_server *s);

/* Appends commands, for the end of the turn. 0, PUSHERC_EBACKLOG, PUSHERC_ENOMEM, PUSHERC_EINVAL: nothing was
 * appended. */
PC_CHECKED int pc_broker_server_put_topic(struct pc_broker_server *s, bool subscribe,
                                          uint32_t partition, pusherc_topic topic,
                                          pusherc_slice key);
PC_CHECKED int pc_broker_server_put_event(struct pc_broker_server *s, uint32_t session,
                                          uint32_t partition, pusherc_slice key,
                                          pusherc_slice message);
PC_CHECKED int pc_broker_server_put_step(struct pc_broker_server *s, uint32_t session,
                                         uint32_t partition, pusherc_step step,
                                         const pusherc_slice *args, size_t count);

/* -- what the servers and who looks for them share -- */

static inline uint64_t pc_broker_now_ms(const struct pc_broker_common *common)
{
    return uv_now(common->loop->uv);
}

/* Every callback of libuv's begins with this call. */
static inline void pc_broker_enter(struct pc_broker_common *common)
{
    pc_loop_enter(common->loop);
}

/* A timer of the loop, whose data is `owner`; and its end. */
void pc_broker_timer_open(struct pc_broker_common *common, uv_timer_t *timer, void *owner);
void pc_broker_timer_close(struct pc_broker_common *common, uv_timer_t *timer);
/* pc_redis_conn_open(), whose connection counts until its `gone` calls pc_broker_handle_gone(). */
PC_CHECKED int pc_broker_conn_open(struct pc_broker_common *common, struct pc_redis_conn **out,
                                   const struct pc_redis_place *place, size_t max_answer_bytes,
                                   const struct pc_redis_conn_ops *ops, void *owner);
void pc_broker_handle_gone(struct pc_broker_common *common);

/* Before the next try: between half and the whole of a pause, so that nodes do not come back all at once. For about ten seconds
 * it is at most 0.4 s, so that they do not come back long after each other either: what has waited in one is sent
 * PC_REJOIN_MS after it is back. Then it doubles. `longest`: another try is of little use. */
uint64_t pc_broker_next_pause(uint32_t *tries, bool longest);
/* Tells the log of a trouble, if it is another one than `said`. */
void pc_broker_say(const struct pc_broker_common *common, char said[PC_BROKER_TROUBLE],
                   const struct pc_redis_place *place, bool unfit, const char *why);

#endif
