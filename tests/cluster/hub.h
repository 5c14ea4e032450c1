/*
 * The link of several nodes in one process: an authority, and for each node two connections, one for steps and
 * publications and one for topics, each with a queue in both directions. Nothing moves by itself: the caller moves one
 * item of one queue at a time, and breaks what it likes. One partition.
 */
#ifndef TESTS_CLUSTER_HUB_H
#define TESTS_CLUSTER_HUB_H

#include <stdlib.h>
#include <string.h>

#include <pusherc/pusherc.h>

#include "base/list.h"
#include "base/mem.h"
#include "base/slice.h"
#include "require.h"

#define HUB_NODES  4
#define HUB_QUEUES 4 /* of a node, below */
#define HUB_VALUES 512

enum hub_queue {
    HUB_ASKED,     /* steps and publications on their way to the authority */
    HUB_ANSWERS,   /* and what it answered */
    HUB_TOPICS,    /* subscriptions on their way */
    HUB_DELIVERIES /* messages, and that a subscription is there */
};

/* Something under way, with copies of its texts. */
struct hub_item {
    struct pc_list in_order;
    uint64_t since_ms;
    int kind; /* of HUB_ASKED: the step, 0 = a publication; else enum hub_kind */
    pusherc_topic topic;
    size_t count;
    pusherc_slice values[];
};
enum hub_kind {
    HUB_SUBSCRIBE,
    HUB_UNSUBSCRIBE,
    HUB_MESSAGE
};

/* A step that was executed: a replica that follows executes it later. */
struct hub_logged {
    uint64_t us;
    pusherc_step step;
    struct hub_item *item; /* owned */
};

struct hub;

struct hub_end {
    struct hub *hub;
    pusherc_link *link; /* NULL = there is no such node */
    bool connected;
    uint64_t session;
    struct pc_list queues[HUB_QUEUES];
    struct pc_list topics; /* subscribed: struct hub_item with the key */
};

struct hub {
    pusherc_authority *authority;
    uint64_t now_ms;
    unsigned runs; /* places where the data has lived */
    bool stalled;  /* the authority stands still */
    struct hub_end ends[HUB_NODES];
    struct hub_logged *log;
    size_t log_count, log_cap;
    /* Called when a node's JOIN was answered OK. NULL = not needed. */
    void (*on_join)(void *ctx, size_t node, pusherc_slice channel, pusherc_slice user);
    /* An incarnation was declared dead. NULL = not needed. */
    void (*on_reap)(void *ctx, pusherc_slice dead);
    void *ctx;
    /* while a step is executed */
    size_t asking;
    const struct hub_item *asked;
};

/* -- items -- */

static inline struct hub_item *hub_item_new(const struct hub *hub, int kind, pusherc_topic topic,
                                            const pusherc_slice *values, size_t count)
{
    size_t size = sizeof(struct hub_item) + count * sizeof *values;
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += values[i].len;
    struct hub_item *item = malloc(size + bytes);
    REQUIRE(item);
    char *at = (char *)item + size;
    pc_list_init(&item->in_order);
    item->since_ms = hub->now_ms;
    item->kind = kind;
    item->topic = topic;
    item->count = count;
    for (size_t i = 0; i < count; i++) {
        if (values[i].len)
            memcpy(at, values[i].ptr, values[i].len);
        item->values[i] = (pusherc_slice){at, values[i].len};
        at += values[i].len;
    }
    return item;
}

static inline struct hub_item *hub_first(struct pc_list *queue)
{
    return PC_CONTAINER(queue->next, struct hub_item, in_order);
}

static inline struct hub_item *hub_take(struct pc_list *queue)
{
    struct hub_item *item = hub_first(queue);
    pc_list_remove(&item->in_order);
    return item;
}

static inline void hub_clear(struct pc_list *queue)
{
    while (!pc_list_empty(queue))
        free(hub_take(queue));
}

static inline size_t hub_index(const struct hub_end *end)
{
    return (size_t)(end - end->hub->ends);
}

/* -- the link's functions -- */

static inline void hub_lose(struct hub *hub, size_t node, bool topics_only);

static inline int hub_start(void *self, pusherc_link *link)
{
    ((struct hub_end *)self)->link = link;
    return 0;
}

static inline void hub_stop(void *self)
{
    struct hub_end *end = self;
    end->link = NULL;
    end->connected = false;
    for (int q = 0; q < HUB_QUEUES; q++)
        hub_clear(&end->queues[q]);
    hub_clear(&end->topics);
}

static inline int hub_put(struct hub_end *end, enum hub_queue queue, int kind, pusherc_topic topic,
                          const pusherc_slice *values, size_t count)
{
    if (!end->connected)
        return PUSHERC_ECANCELED;
    struct hub_item *item = hub_item_new(end->hub, kind, topic, values, count);
    pc_list_push_back(&end->queues[queue], &item->in_order);
    return 0;
}

static inline int hub_subscribe(void *self, uint32_t partition, uint64_t session,
                                pusherc_topic topic, pusherc_slice key)
{
    REQUIRE(partition == 0);
    if (session != ((struct hub_end *)self)->session)
        return PUSHERC_ECANCELED;
    return hub_put(self, HUB_TOPICS, HUB_SUBSCRIBE, topic, &key, 1);
}

static inline int hub_unsubscribe(void *self, uint32_t partition, uint64_t session,
                                  pusherc_topic topic, pusherc_slice key)
{
    REQUIRE(partition == 0);
    if (session != ((struct hub_end *)self)->session)
        return PUSHERC_ECANCELED;
    return hub_put(self, HUB_TOPICS, HUB_UNSUBSCRIBE, topic, &key, 1);
}

static inline int hub_publish(void *self, uint32_t partition, uint64_t session, pusherc_slice key,
                              pusherc_slice message)
{
    const pusherc_slice values[] = {key, message};
    REQUIRE(partition == 0);
    if (session != ((struct hub_end *)self)->session)
        return PUSHERC_ECANCELED;
    return hub_put(self, HUB_ASKED, 0, PUSHERC_TOPIC_CHANNEL, values, 2);
}

static inline int hub_execute(void *self, uint32_t partition, uint64_t session, pusherc_step step,
                              const pusherc_slice *args, size_t count)
{
    REQUIRE(partition == 0 && step > 0);
    if (session != ((struct hub_end *)self)->session)
        return PUSHERC_ECANCELED;
    return hub_put(self, HUB_ASKED, (int)step, PUSHERC_TOPIC_CHANNEL, args, count);
}

/* What the hub answers makes sense, so no node gives it up, unless a test lies. */
static inline int hub_reset(void *self, uint32_t partition, uint64_t session)
{
    struct hub_end *end = self;
    REQUIRE(partition == 0);
    if (session == end->session && end->connected)
        hub_lose(end->hub, hub_index(end), false);
    return 0;
}

static inline pusherc_link_ops hub_ops(void)
{
    pusherc_link_ops ops = PUSHERC_LINK_OPS_INIT;
    ops.partitions = 1;
    ops.start = hub_start;
    ops.stop = hub_stop;
    ops.subscribe = hub_subscribe;
    ops.unsubscribe = hub_unsubscribe;
    ops.publish = hub_publish;
    ops.execute = hub_execute;
    ops.reset = hub_reset;
    return ops;
}

/* -- the authority's side -- */

static inline void hub_deliver(struct hub *hub, pusherc_topic topic, pusherc_slice key,
                               pusherc_slice message)
{
    const pusherc_slice values[] = {key, message};
    for (size_t i = 0; i < HUB_NODES; i++) {
        struct hub_end *end = &hub->ends[i];
        PC_LIST_EACH(l, &end->topics) {
            const struct hub_item *t = PC_CONTAINER(l, struct hub_item, in_order);
            if (t->topic == topic && pc_slice_eq(t->values[0], key))
                (void)hub_put(end, HUB_DELIVERIES, HUB_MESSAGE, topic, values, 2);
        }
    }
}

static inline void hub_on_message(pusherc_topic topic, pusherc_slice key, pusherc_slice message,
                                  void *user_data)
{
    hub_deliver(user_data, topic, key, message);
}

static inline void hub_on_answer(const pusherc_slice *values, size_t count, void *user_data)
{
    struct hub *hub = user_data;
    const struct hub_item *asked = hub->asked;
    (void)hub_put(&hub->ends[hub->asking], HUB_ANSWERS, 0, PUSHERC_TOPIC_CHANNEL, values, count);
    if (asked->kind == PUSHERC_STEP_JOIN && pc_slice_eq(values[0], PC_S("OK")) && hub->on_join)
        hub->on_join(hub->ctx, hub->asking, asked->values[2], asked->values[3]);
    if (asked->kind == PUSHERC_STEP_REAP && pc_slice_eq(values[0], PC_S("OK")) && hub->on_reap)
        hub->on_reap(hub->ctx, asked->values[3]);
}

static inline void hub_nothing_said(pusherc_topic topic, pusherc_slice key, pusherc_slice message,
                                    void *user_data)
{
    (void)topic;
    (void)key;
    (void)message;
    (void)user_data;
}

static inline void hub_nothing_answered(const pusherc_slice *values, size_t count, void *user_data)
{
    (void)values;
    (void)count;
    (void)user_data;
}

static inline void hub_log(struct hub *hub, struct hub_item *item)
{
    if (hub->log_count == hub->log_cap) {
        hub->log_cap = hub->log_cap ? 2 * hub->log_cap : 256;
        hub->log = realloc(hub->log, hub->log_cap * sizeof *hub->log);
        REQUIRE(hub->log);
    }
    hub->log[hub->log_count++] =
        (struct hub_logged){hub->now_ms * 1000, (pusherc_step)item->kind, item};
}

/* HUB_TRACE in the environment: what moves is printed. */
static inline void hub_trace(const struct hub *hub, const char *what, size_t node,
                             const struct hub_item *item)
{
    if (!getenv("HUB_TRACE"))
        return;
    fprintf(stderr, "%8llu n%zu %s %d:", (unsigned long long)hub->now_ms, node, what, item->kind);
    for (size_t i = 0; i < item->count && i < 8; i++)
        fprintf(stderr, " [%.*s]", (int)item->values[i].len, item->values[i].ptr);
    fprintf(stderr, "\n");
}

/* The authority takes the next step or publication of a node. */
static inline void hub_serve(struct hub_end *end)
{
    struct hub *hub = end->hub;
    struct hub_item *item = hub_take(&end->queues[HUB_ASKED]);
    hub_trace(hub, "asks", hub_index(end), item);
    if (item->kind == 0) {
        hub_deliver(hub, PUSHERC_TOPIC_CHANNEL, item->values[0], item->values[1]);
        (void)hub_put(end, HUB_ANSWERS, 0, PUSHERC_TOPIC_CHANNEL, NULL, 0);
        free(item);
        return;
    }
    hub->asking = hub_index(end);
    hub->asked = item;
    REQUIRE(pusherc_authority_execute(hub->authority, hub->now_ms * 1000, (pusherc_step)item->kind,
                                      item->values, item->count, hub_on_message, hub_on_answer,
                                      hub) == 0);
    hub_log(hub, item);
}

static inline void hub_serve_topic(struct hub_end *end)
{
    struct hub_item *item = hub_take(&end->queues[HUB_TOPICS]);
    struct pc_list *there = NULL;
    PC_LIST_EACH(l, &end->topics) {
        const struct hub_item *t = PC_CONTAINER(l, struct hub_item, in_order);
        if (t->topic == item->topic && pc_slice_eq(t->values[0], item->values[0]))
            there = l;
    }
    if (item->kind == HUB_UNSUBSCRIBE) {
        if (there) {
            pc_list_remove(there);
            free(PC_CONTAINER(there, struct hub_item, in_order));
        }
        free(item);
        return;
    }
    (void)hub_put(end, HUB_DELIVERIES, HUB_SUBSCRIBE, item->topic, item->values, 1);
    if (there)
        free(item);
    else
        pc_list_push_back(&end->topics, &item->in_order);
}

/* The node gets the next answer or delivery. If it has no memory for it, the link counts as lost. */
static inline void hub_report(struct hub_end *end, enum hub_queue queue)
{
    int err;
    struct hub_item *item = hub_take(&end->queues[queue]);
    hub_trace(end->hub, queue == HUB_ANSWERS ? "is answered" : "hears", hub_index(end), item);
    if (queue == HUB_ANSWERS)
        err = pusherc_link_answer(end->link, 0, item->values, item->count);
    else if (item->kind == HUB_SUBSCRIBE)
        err = pusherc_link_subscribed(end->link, 0, item->topic, item->values[0]);
    else
        err = pusherc_link_message(end->link, 0, item->topic, item->values[0], item->values[1]);
    free(item);
    REQUIRE(err == 0 || err == PUSHERC_ENOMEM);
    if (err)
        hub_lose(end->hub, hub_index(end), queue == HUB_DELIVERIES);
}

/* False: nothing of this kind is under way, or it cannot move. */
static inline bool hub_can_move(const struct hub *hub, size_t node, enum hub_queue queue)
{
    const struct hub_end *end = &hub->ends[node];
    bool served = queue == HUB_ASKED || queue == HUB_TOPICS;
    return end->connected && !pc_list_empty(&end->queues[queue]) && !(served && hub->stalled);
}

/* The caller lets the node's engine run after a report. */
static inline void hub_move(struct hub *hub, size_t node, enum hub_queue queue)
{
    struct hub_end *end = &hub->ends[node];
    switch (queue) {
    case HUB_ASKED:
        hub_serve(end);
        break;
    case HUB_TOPICS:
        hub_serve_topic(end);
        break;
    case HUB_ANSWERS:
    case HUB_DELIVERIES:
        hub_report(end, queue);
        break;
    }
}

/* -- connections and faults -- */

static inline void hub_connect(struct hub *hub, size_t node)
{
    struct hub_end *end = &hub->ends[node];
    char run[16];
    int len = snprintf(run, sizeof run, "r%u", hub->runs);
    end->connected = true;
    int err = pusherc_link_up(end->link, 0, ++end->session, pc_slice(run, (size_t)len));
    REQUIRE(err == 0 || err == PUSHERC_ENOMEM);
    if (err)
        hub_lose(hub, node, false);
}

static inline void hub_lose(struct hub *hub, size_t node, bool topics_only)
{
    struct hub_end *end = &hub->ends[node];
    hub_clear(&end->queues[HUB_TOPICS]);
    hub_clear(&end->queues[HUB_DELIVERIES]);
    hub_clear(&end->topics);
    if (!topics_only) {
        hub_clear(&end->queues[HUB_ASKED]);
        hub_clear(&end->queues[HUB_ANSWERS]);
        end->connected = false;
    }
    pusherc_link_lost(end->link, 0, topics_only);
}

static inline void hub_renew_authority(struct hub *hub)
{
    pusherc_authority_free(hub->authority);
    REQUIRE(pusherc_authority_new(&hub->authority, NULL) == 0);
}

/* The data is that of `lost` steps ago, in another place. Connections are the caller's to lose. */
static inline void hub_fail_over(struct hub *hub, size_t lost)
{
    size_t left = hub->log_count > lost ? hub->log_count - lost : 0;
    hub_renew_authority(hub);
    for (size_t i = 0; i < left; i++)
        REQUIRE(pusherc_authority_execute(hub->authority, hub->log[i].us, hub->log[i].step,
                                          hub->log[i].item->values, hub->log[i].item->count,
                                          hub_nothing_said, hub_nothing_answered, NULL) == 0);
    while (hub->log_count > left)
        free(hub->log[--hub->log_count].item);
    hub->runs++;
}

/* All data is deleted, where it is. */
static inline void hub_delete(struct hub *hub)
{
    hub_renew_authority(hub);
    while (hub->log_count > 0)
        free(hub->log[--hub->log_count].item);
}

/* The next message on its way to a node is lost without a sign. False: there is none. */
static inline bool hub_vanish(struct hub *hub, size_t node)
{
    PC_LIST_EACH_SAFE(l, next, &hub->ends[node].queues[HUB_DELIVERIES]) {
        struct hub_item *item = PC_CONTAINER(l, struct hub_item, in_order);
        if (item->kind != HUB_MESSAGE)
            continue;
        pc_list_remove(l);
        free(item);
        return true;
    }
    return false;
}

/* -- life -- */

static inline void hub_open(struct hub *hub, uint64_t now_ms)
{
    *hub = (struct hub){.now_ms = now_ms, .runs = 1};
    for (size_t i = 0; i < HUB_NODES; i++) {
        struct hub_end *end = &hub->ends[i];
        end->hub = hub;
        pc_list_init(&end->topics);
        for (int q = 0; q < HUB_QUEUES; q++)
            pc_list_init(&end->queues[q]);
    }
    hub_renew_authority(hub);
}

/* After its nodes. */
static inline void hub_close(struct hub *hub)
{
    while (hub->log_count > 0)
        free(hub->log[--hub->log_count].item);
    free(hub->log);
    pusherc_authority_free(hub->authority);
}

#endif
