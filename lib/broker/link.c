#include "broker/link.h"

#include <stdio.h>
#include <uv.h>

#include <pusherc/error.h>

#include "broadcast/redis_format.h"
#include "broker/locator.h"
#include "broker/server.h"
#include "codec/crypto.h"

#define SOON_MS 1000 /* a partition that moves again so soon: servers do not agree yet */

static const struct pc_log_about about = {.subject = "cluster"};

/* Of a partition. */
struct route {
    struct pc_broker_server *server; /* that has it, as far as is known; NULL = not known */
    bool up;
    uint64_t session; /* the last one */
    uint64_t moved_ms;
};

struct pc_broker {
    struct pc_broker_common common;
    pusherc_link *link;
    struct pc_companion companion;
    bool is_closing;
    struct pc_broker_server *servers[PC_BROKER_PARTITIONS]; /* owned; idle ones as well */
    size_t server_count;
    size_t host; /* of the URL, to be tried next; without a Redis Cluster */
    bool sharded;
    struct pc_broker_locator locator;
    char said[PC_BROKER_TROUBLE]; /* the trouble with the whole of which the log knows */
    uint64_t session;             /* the last one of any partition */
    struct route routes[PC_BROKER_PARTITIONS];
};

static uint64_t now_ms(const struct pc_broker *b)
{
    return pc_broker_now_ms(&b->common);
}

/* -- what the node asks -- */

/* The server that the session's commands go to. NULL: the session is over. */
static struct pc_broker_server *server_of(const struct pc_broker *b, uint32_t partition,
                                          uint64_t session)
{
    const struct route *route = &b->routes[partition];
    return route->up && route->session == session && !b->is_closing ? route->server : NULL;
}

/* A command was taken, or not. */
static int end_call(struct pc_broker *b, int err)
{
    if (err)
        return err;
    pc_stat_add(&b->common.counts.commands, 1);
    b->common.has_work = true;
    return 0;
}

static int on_subscribe(struct pc_broker *b, bool subscribe, uint32_t partition, uint64_t session,
                        pusherc_topic topic, pusherc_slice key)
{
    struct pc_broker_server *s = server_of(b, partition, session);
    return end_call(b, s ? pc_broker_server_put_topic(s, subscribe, partition, topic, key)
                         : PUSHERC_ECANCELED);
}

static int subscribe(void *self, uint32_t partition, uint64_t session, pusherc_topic topic,
                     pusherc_slice key)
{
    return on_subscribe(self, true, partition, session, topic, key);
}

static int unsubscribe(void *self, uint32_t partition, uint64_t session, pusherc_topic topic,
                       pusherc_slice key)
{
    return on_subscribe(self, false, partition, session, topic, key);
}

static int publish(void *self, uint32_t partition, uint64_t session, pusherc_slice key,
                   pusherc_slice message)
{
    struct pc_broker *b = self;
    struct pc_broker_server *s = server_of(b, partition, session);
    int err = s ? pc_broker_server_put_event(s, (uint32_t)session, partition, key, message)
                : PUSHERC_ECANCELED;
    if (err == 0)
        pc_stat_add(&b->common.counts.publications, 1);
    return end_call(b, err);
}

static int execute(void *self, uint32_t partition, uint64_t session, pusherc_step step,
                   const pusherc_slice *args, size_t count)
{
    struct pc_broker *b = self;
    struct pc_broker_server *s = server_of(b, partition, session);
    return end_call(
        b, s ? pc_broker_server_put_step(s, (uint32_t)session, partition, step, args, count)
             : PUSHERC_ECANCELED);
}

/* All partitions of a server share its connections. */
static int reset(void *self, uint32_t partition, uint64_t session)
{
    struct pc_broker *b = self;
    struct pc_broker_server *s = server_of(b, partition, session);
    if (s)
        s->given_up = b->common.has_work = true;
    return 0;
}

/* -- routes -- */

static void go_down(struct pc_broker *b, uint32_t partition)
{
    struct route *route = &b->routes[partition];
    bool was_up = route->up;
    route->up = false;
    if (was_up)
        pusherc_link_lost(b->link, partition, false);
}

/* False: out of memory. */
static bool go_up(struct pc_broker *b, uint32_t partition)
{
    struct route *route = &b->routes[partition];
    route->session = ++b->session;
    route->up = true;
    return pusherc_link_up(b->link, partition, route->session,
                           pc_slice_of(route->server->greeting.run)) == 0;
}

/* The partitions of a server, a bit for each. */
static uint64_t partitions_of(const struct pc_broker *b, const struct pc_broker_server *s)
{
    uint64_t partitions = 0;
    for (uint32_t i = 0; i < PC_BROKER_PARTITIONS; i++)
        partitions |= (uint64_t)(b->routes[i].server == s) << i;
    return partitions;
}

static void serve(struct pc_broker *b, struct pc_broker_server *s, uint64_t partitions)
{
    if (!(partitions >> s->own & 1)) {
        uint32_t first = 0;
        while (!(partitions >> first & 1))
            first++;
        pc_broker_server_prove_by(s, first);
    }
    for (uint32_t i = 0; i < PC_BROKER_PARTITIONS && s->state == PC_BROKER_OPEN; i++) {
        if (partitions >> i & 1 && !b->routes[i].up && !go_up(b, i))
            pc_broker_server_lacks_memory(s);
    }
}

/* Makes of each server what the routes want of it. */
static void follow_routes(struct pc_broker *b)
{
    for (size_t i = 0; i < b->server_count; i++) {
        struct pc_broker_server *s = b->servers[i];
        uint64_t partitions = partitions_of(b, s);
        if (partitions == 0 && s->state != PC_BROKER_IDLE)
            pc_broker_server_close(s);
        else if (partitions && s->state == PC_BROKER_IDLE)
            pc_broker_server_connect(s, b->sharded, partitions);
        else if (s->state == PC_BROKER_OPEN)
            serve(b, s, partitions);
    }
}

static void say_up(const struct pc_broker *b, const struct pc_broker_server *s)
{
    const struct pc_redis_place place = pc_redis_conn_place(s->commands);
    unsigned count = 0;
    for (uint64_t rest = partitions_of(b, s); rest; rest &= rest - 1)
        count++;
    if (b->sharded)
        PC_LOG(b->common.log, INFO, about,
               "linked with other servers by Redis %s at %.*s:%u, which has %u of %d partitions",
               s->greeting.version, (int)place.host.len, place.host.ptr, (unsigned)place.port,
               count, PC_BROKER_PARTITIONS);
    else
        PC_LOG(b->common.log, INFO, about, "linked with other servers by Redis %s at %.*s:%u",
               s->greeting.version, (int)place.host.len, place.host.ptr, (unsigned)place.port);
}

static void on_opened(void *owner, struct pc_broker_server *s)
{
    struct pc_broker *b = owner;
    say_up(b, s);
    follow_routes(b);
}

/* -- one Redis -- */

static void connect_alone(struct pc_broker *b)
{
    struct pc_broker_server *s = b->servers[0];
    s->place = pc_redis_place(&b->common.url, b->host, b->common.trust);
    pc_broker_server_connect(s, false, 1); /* the first partition says what the data is */
}

/* All partitions are its. */
static void begin_alone(struct pc_broker *b)
{
    b->sharded = false;
    for (uint32_t i = 0; i < PC_BROKER_PARTITIONS; i++) {
        go_down(b, i);
        b->routes[i].server = b->servers[0];
    }
    for (size_t i = 0; i < b->server_count; i++)
        pc_broker_server_close(b->servers[i]);
    connect_alone(b);
}

/* -- a Redis Cluster -- */

static const struct pc_broker_server_ops server_ops;

static bool is_at(const struct pc_broker_server *s, const struct pc_shard_place *place)
{
    return s->place.port == place->port && pc_slice_eq(s->place.host, pc_slice_of(place->host));
}

/* The server at a place, perhaps one that was idle. NULL: out of memory. */
static struct pc_broker_server *server_at(struct pc_broker *b, const struct pc_shard_place *place)
{
    struct pc_broker_server *idle = NULL;
    for (size_t i = 0; i < b->server_count; i++) {
        struct pc_broker_server *s = b->servers[i];
        if (is_at(s, place))
            return s;
        if (s->state == PC_BROKER_IDLE && partitions_of(b, s) == 0)
            idle = s;
    }
    if (!idle && b->server_count < PC_BROKER_PARTITIONS &&
        pc_broker_server_new(&idle, &b->common, &server_ops, b) == 0)
        b->servers[b->server_count++] = idle;
    if (idle)
        pc_broker_server_set_place(idle, place);
    return idle;
}

static void begin_sharded(void *owner, struct pc_broker_server *s)
{
    struct pc_broker *b = owner;
    (void)s;
    b->sharded = true;
    for (uint32_t i = 0; i < PC_BROKER_PARTITIONS; i++)
        b->routes[i].server = NULL;
    pc_broker_locator_ask(&b->locator);
}

static void say_missing(struct pc_broker *b, int count)
{
    char why[PC_BROKER_TROUBLE];
    (void)snprintf(why, sizeof why,
                   "says that no server of its Redis Cluster has %d of %d partitions", count,
                   PC_BROKER_PARTITIONS);
    pc_broker_say(&b->common, b->said, &b->locator.place, false, why);
}

/* What is up stays: its server knows better. */
static void on_located(void *owner, const struct pc_shards *shards)
{
    struct pc_broker *b = owner;
    int missing = 0, late = 0;
    for (uint32_t i = 0; i < PC_BROKER_PARTITIONS; i++) {
        uint8_t index = shards->of[i];
        if (b->routes[i].up)
            continue;
        b->routes[i].server = index == PC_NO_SHARD ? NULL : server_at(b, &shards->places[index]);
        missing += !b->routes[i].server;
    }
    follow_routes(b);
    for (uint32_t i = 0; i < PC_BROKER_PARTITIONS; i++)
        late += b->routes[i].server && b->routes[i].server->state == PC_BROKER_PAUSING;
    if (missing)
        say_missing(b, missing);
    else
        b->said[0] = '\0';
    if (missing || late) /* until another server has what was that of a lost one */
        pc_broker_locator_ask(&b->locator);
}

static void on_unsharded(void *owner)
{
    begin_alone(owner);
}

/* In turn those that are known, and those that the URL names. */
static struct pc_redis_place nth_place(void *owner, uint64_t nth)
{
    struct pc_broker *b = owner;
    size_t n = (size_t)(nth % (b->server_count + b->common.url.host_count));
    if (n < b->server_count)
        return b->servers[n]->place;
    return pc_redis_place(&b->common.url, n - b->server_count, b->common.trust);
}

static const struct pc_broker_locator_ops locator_ops = {nth_place, on_located, on_unsharded};

/* The server does not have the partition any more. `place` NULL: where it is now is not known. */
static void move(struct pc_broker *b, const struct pc_broker_server *s, uint32_t partition,
                 const struct pc_shard_place *place)
{
    struct route *route = &b->routes[partition];
    uint64_t now = now_ms(b);
    if (route->server != s)
        return;
    bool again = route->moved_ms && now - route->moved_ms < SOON_MS;
    route->moved_ms = now;
    go_down(b, partition);
    b->routes[partition].server = place && !again ? server_at(b, place) : NULL;
    if (route->server)
        PC_LOG(b->common.log, INFO, about, "partition %u has moved to Redis at %s:%u", partition,
               place->host, (unsigned)place->port);
    else
        pc_broker_locator_ask(&b->locator);
    follow_routes(b);
}

/* -- losing a server -- */

static void on_server_lost(void *owner, struct pc_broker_server *s, bool was_open)
{
    struct pc_broker *b = owner;
    for (uint32_t i = 0; i < PC_BROKER_PARTITIONS; i++) {
        if (b->routes[i].server == s)
            go_down(b, i);
    }
    if (b->sharded)
        pc_broker_locator_ask(&b->locator);
    else if (!was_open)
        b->host = (b->host + 1) % b->common.url.host_count;
}

static void on_paused(void *owner, struct pc_broker_server *s)
{
    struct pc_broker *b = owner;
    (void)s;
    if (b->sharded)
        follow_routes(b); /* to where it was, unless that is known to be elsewhere by now */
    else
        connect_alone(b);
}

/* -- answers -- */

static bool is_out_of_memory(pusherc_slice error)
{
    static const char sign[] = "OOM command not allowed"; /* 6.2 puts other words before it */
    return error.len && memmem(error.ptr, error.len, sign, sizeof sign - 1);
}

static void lose_for(struct pc_broker_server *s, pusherc_slice error)
{
    char why[PC_BROKER_TROUBLE];
    bool unfit = pc_broker_judge(error, why, sizeof why) == PC_BROKER_UNFIT;
    pc_broker_server_lose(s, unfit, why);
}

/* The step was not done, and shall be asked for again. */
static void put_off(struct pc_broker *b, struct pc_broker_server *s, struct pc_asked asked)
{
    const pusherc_slice later = PUSHERC_LIT("LATER");
    if (pusherc_link_answer(b->link, asked.partition, &later, 1))
        pc_broker_server_lacks_memory(s);
}

static void say_short(struct pc_broker *b, struct pc_broker_server *s)
{
    if (now_ms(b) - s->short_ms >= PC_BROKER_LAST_PAUSE_MS || !s->short_ms)
        PC_LOG(b->common.log, ERROR, about,
               "Redis has no memory left (maxmemory): joins and leaves wait");
    s->short_ms = now_ms(b);
}

/* A cluster that is down for long may have gone on without this server. */
static bool is_down_for_long(const struct pc_broker *b, struct pc_broker_server *s)
{
    if (!s->down_ms)
        s->down_ms = now_ms(b);
    return now_ms(b) - s->down_ms >= b->common.timeout_ms;
}

/* False: the refusal is none of a Redis Cluster that the link gets over. */
static bool get_over(struct pc_broker *b, struct pc_broker_server *s, struct pc_asked asked,
                     pusherc_slice error)
{
    bool step = asked.kind == PC_ASKED_STEP;
    struct pc_shard_refusal refusal = pc_shards_judge(&b->common.names, error, s->place.host);
    if (!b->sharded)
        return false;
    switch (refusal.error) {
    case PC_SHARD_IS_LATE:
        if (step)
            put_off(b, s, asked);
        return step;
    case PC_SHARD_IS_DOWN:
        if (is_down_for_long(b, s) || !step)
            return false;
        put_off(b, s, asked);
        return true;
    case PC_SHARD_HAS_MOVED:
        move(b, s, asked.partition, &refusal.place);
        return true;
    case PC_SHARD_IS_UNSERVED:
        move(b, s, asked.partition, NULL);
        return true;
    case PC_SHARD_OTHER:
        break;
    }
    return false;
}

/* Of a session that is over nothing is reported any more. What the link asks by itself is of none. */
static bool is_over(const struct pc_broker *b, const struct pc_broker_server *s,
                    struct pc_asked asked)
{
    const struct route *route = &b->routes[asked.partition];
    bool of_link = asked.kind == PC_ASKED_WHO || asked.kind == PC_ASKED_PROBE;
    return !of_link &&
           (route->server != s || !route->up || (uint32_t)route->session != asked.session);
}

/* An error that the whole connection suffers from, or one that only this partition or this step does. */
static void on_refused(void *owner, struct pc_broker_server *s, struct pc_asked asked,
                       pusherc_slice error)
{
    struct pc_broker *b = owner;
    if (is_over(b, s, asked))
        return;
    if (asked.kind == PC_ASKED_STEP && is_out_of_memory(error)) {
        say_short(b, s);
        put_off(b, s, asked);
    } else if (!get_over(b, s, asked, error)) {
        lose_for(s, error);
    }
}

static bool on_answered(void *owner, struct pc_broker_server *s, struct pc_asked asked,
                        const struct pc_redis_reply *reply)
{
    struct pc_broker *b = owner;
    struct pc_values values;
    int err = 0;
    if (is_over(b, s, asked))
        return true;
    pc_values_init(&values, &b->common.mem);
    if (asked.kind == PC_ASKED_STEP) {
        s->down_ms = 0;
        err = pc_broker_answer((pusherc_step)asked.step, reply, &values);
    }
    if (err == 0)
        err = pusherc_link_answer(b->link, asked.partition, pc_values_list(&values), values.count);
    pc_values_free(&values);
    if (err == PUSHERC_ENOMEM)
        pc_broker_server_lacks_memory(s);
    return err != PUSHERC_EPROTO;
}

/* -- topics -- */

static void on_refused_topic(void *owner, struct pc_broker_server *s, pusherc_slice error)
{
    struct pc_broker *b = owner;
    struct pc_shard_refusal refusal = pc_shards_judge(&b->common.names, error, s->place.host);
    if (!b->sharded || refusal.error != PC_SHARD_HAS_MOVED)
        lose_for(s, error);
    else if (refusal.partition < PC_BROKER_PARTITIONS)
        move(b, s, refusal.partition, &refusal.place);
}

static void on_heard(void *owner, struct pc_broker_server *s, pusherc_slice word,
                     const struct pc_broker_topic *t, pusherc_slice message)
{
    struct pc_broker *b = owner;
    int err = 0;
    if (b->routes[t->partition].server != s || !b->routes[t->partition].up)
        return;
    if (pc_slice_eq(word, s->words->message)) {
        pc_stat_add(&b->common.counts.messages, 1);
        err = pusherc_link_message(b->link, t->partition, t->topic, t->key, message);
    } else if (pc_slice_eq(word, s->words->subscribed)) {
        err = pusherc_link_subscribed(b->link, t->partition, t->topic, t->key);
    } else if (t->topic == PUSHERC_TOPIC_PARTITION) {
        /* The node never unsubscribes this one: the slot has moved, and all of its topics are unsubscribed. To the next
         * SUBSCRIBE the server says where it is. */
        pusherc_link_lost(b->link, t->partition, true);
    }
    if (err == PUSHERC_ENOMEM)
        pc_broker_server_lacks_memory(s);
}

static const struct pc_broker_server_ops server_ops = {.opened = on_opened,
                                                       .lost = on_server_lost,
                                                       .paused = on_paused,
                                                       .sharded = begin_sharded,
                                                       .answered = on_answered,
                                                       .refused = on_refused,
                                                       .heard = on_heard,
                                                       .refused_topic = on_refused_topic};

/* -- life -- */

static void close_all(struct pc_broker *b)
{
    b->is_closing = true;
    for (size_t i = 0; i < b->server_count; i++)
        pc_broker_server_stop(b->servers[i]);
    pc_broker_locator_stop(&b->locator);
}

static bool flush(struct pc_companion *companion)
{
    struct pc_broker *b = PC_CONTAINER(companion, struct pc_broker, companion);
    if (!b->common.has_work || b->is_closing)
        return false;
    b->common.has_work = false;
    for (size_t i = 0; i < b->server_count; i++)
        pc_broker_server_flush(b->servers[i]);
    return true;
}

/* The node's companion, which joined later, has ended: nothing is asked any more. */
static bool ended(struct pc_companion *companion)
{
    struct pc_broker *b = PC_CONTAINER(companion, struct pc_broker, companion);
    if (!b->is_closing)
        close_all(b);
    return b->common.open == 0;
}

/* Also after a failed start, when no other code runs the loop. */
static void stop(void *self)
{
    struct pc_broker *b = self;
    pc_loop_leave(&b->companion);
    if (!b->is_closing)
        close_all(b);
    while (b->common.open > 0)
        uv_run(b->common.loop->uv, UV_RUN_ONCE);
}

static int start(void *self, pusherc_link *link)
{
    struct pc_broker *b = self;
    b->link = link;
    b->common.loop = pc_loop_of(link->worker);
    b->common.reports_waiting = &link->reports_waiting;
    b->companion = (struct pc_companion){.flush = flush, .ended = ended};
    pc_list_init(&b->companion.of_loop);
    pc_loop_join(b->common.loop, &b->companion);
    pc_broker_locator_init(&b->locator, &b->common, &locator_ops, b);
    int err = pc_broker_server_new(&b->servers[0], &b->common, &server_ops, b);
    if (err) {
        stop(b);
        return err;
    }
    b->server_count = 1;
    begin_alone(b);
    return 0;
}

pusherc_link_ops pc_broker_ops(void)
{
    pusherc_link_ops ops = PUSHERC_LINK_OPS_INIT;
    ops.partitions = PC_BROKER_PARTITIONS;
    ops.start = start;
    ops.stop = stop;
    ops.subscribe = subscribe;
    ops.unsubscribe = unsubscribe;
    ops.publish = publish;
    ops.execute = execute;
    ops.reset = reset;
    return ops;
}

int pc_broker_new(struct pc_broker **out, const struct pc_mem *mem, struct pc_log *log,
                  struct pc_broadcast_url *url, struct pc_tls_trust *trust, pusherc_slice prefix,
                  uint32_t timeout_ms)
{
    uint8_t id[8];
    *out = NULL;
    int err = pc_random(id, sizeof id);
    struct pc_broker *b = err ? NULL : pc_alloc_zero(mem, sizeof *b);
    if (!b) {
        pc_tls_trust_free(trust);
        return err ? err : PUSHERC_ENOMEM;
    }
    struct pc_broker_common *c = &b->common;
    c->mem = *mem;
    c->trust = trust;
    c->log = log;
    c->timeout_ms = timeout_ms;
    err = pc_broker_names_init(&c->names, &c->mem, prefix);
    if (err) {
        pc_tls_trust_free(trust);
        pc_free(mem, b);
        return err;
    }
    pc_hex(id, sizeof id, c->id); /* puts no NUL behind */
    (void)snprintf(c->client_name, sizeof c->client_name, "pusherc-%s", c->id);
    c->url = *url;
    *url = (struct pc_broadcast_url){.text = NULL}; /* it is the link's now */
    *out = b;
    return 0;
}

const struct pc_link_counts *pc_broker_counts(const struct pc_broker *broker)
{
    return &broker->common.counts;
}

void pc_broker_free(void *broker)
{
    struct pc_broker *b = broker;
    if (!b)
        return;
    struct pc_mem mem = b->common.mem;
    for (size_t i = 0; i < b->server_count; i++)
        pc_broker_server_free(b->servers[i]);
    pc_broker_names_free(&b->common.names);
    pc_broadcast_url_free(&b->common.url);
    pc_tls_trust_free(b->common.trust);
    pc_free(&mem, b);
}
