/*
 * Asks a Redis Cluster which server has which partition (shards.h), on a connection of its own: at the start, and when a
 * server is lost or sends a partition to none. Any server of the cluster can be asked; one that is gone is followed by the
 * next. Questions in a row have pauses between them.
 */
#ifndef PC_BROKER_LOCATOR_H
#define PC_BROKER_LOCATOR_H

#include "broker/server.h"

struct pc_broker_locator_ops {
    /* The nth server to ask, in turn. */
    struct pc_redis_place (*place)(void *owner, uint64_t nth);
    void (*located)(void *owner, const struct pc_shards *shards);
    /* What was asked is no part of a Redis Cluster. */
    void (*unsharded)(void *owner);
};

struct pc_broker_locator {
    struct pc_broker_common *common; /* borrowed */
    const struct pc_broker_locator_ops *ops;
    void *owner;
    uv_timer_t timer;
    bool waits;                  /* for the timer, to ask */
    struct pc_redis_conn *conn;  /* NULL = asks nothing */
    uint32_t logins;             /* answers to AUTH and SELECT that are still to come */
    uint64_t nth;                /* to ask next */
    struct pc_redis_place place; /* that was asked last */
    uint32_t tries;
    uint64_t asked_ms;
    char said[PC_BROKER_TROUBLE];
};

/* `ops` and `common` are borrowed. */
void pc_broker_locator_init(struct pc_broker_locator *l, struct pc_broker_common *common,
                            const struct pc_broker_locator_ops *ops, void *owner);
/* Soon; one question at a time. */
void pc_broker_locator_ask(struct pc_broker_locator *l);
/* Begins to close; nothing is reported any more. */
void pc_broker_locator_stop(struct pc_broker_locator *l);

#endif
