#include "broker/link.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <uv.h>

#include <pusherc/error.h>

#include "broadcast/redis_format.h"
#include "broker/asked.h"
#include "broker/greeting.h"
#include "broker/steps.h"
#include "codec/crypto.h"
#include "redis/conn.h"

#define MAX_ANSWER     (64u << 20)
#define MAX_OUT        (16u << 20) /* of commands that wait; more is refused */
#define MAX_UNSENT     (1u << 20)  /* that the system has not taken; the rest waits */
#define FIRST_PAUSE_MS 100
#define LAST_PAUSE_MS  5000
#define PROBE_MS       3000
#define TICKS          4 /* in a time-out */

static const struct pc_log_about about = {.subject = "cluster"};

enum state {
    PAUSING,    /* until the timer rings */
    CONNECTING, /* or greeting, on either connection */
    OPEN
};

struct pc_broker {
    struct pc_mem mem;
    struct pc_log *log; /* borrowed */
    pusherc_link *link;
    struct pc_broadcast_url url; /* owned */
    struct pc_tls_trust *trust;  /* owned; NULL = in the clear */
    struct pc_broker_names names;
    uint32_t timeout_ms;
    char client_name[32], own_topic[160];
    pthread_t thread;
    uv_loop_t uv;
    uv_async_t async;
    uv_timer_t timer;

    /* Only the link's thread. */
    enum state state;
    struct pc_redis_conn *commands, *topics; /* NULL = closed; former ones may not be gone yet */
    struct pc_broker_greeting greeting;
    uint32_t logins; /* answers to AUTH and SELECT that the topics' connection has still to get */
    bool commands_ready, topics_ready;
    size_t host;
    uint32_t pause_ms;
    uint64_t began_ms;              /* the state */
    uint64_t answered_ms;           /* since when Redis has owed an answer, at least */
    uint64_t heard_ms;              /* a message, of the link itself if of no other */
    uint64_t probed_ms, short_ms;   /* when it asked; when the log was told of a lack of memory */
    char said[PC_REDIS_LINE + 128]; /* the trouble of which the log knows */
    uint64_t probe_ns;              /* when the last probe was written */

    struct pc_link_counts counts;

    /* The rest is guarded. */
    pthread_mutex_t mutex;
    bool open, stopping, woken, given_up;
    uint64_t session;
    struct pc_asked_list asked;
    struct pc_buf out, topics_out;
};

static uint64_t now_ms(const struct pc_broker *b)
{
    return uv_now(&b->uv);
}

static uv_handle_t *handle_of(void *handle)
{
    return handle;
}

/* -- the server's thread -- */

/* With the mutex held: the link's thread shall look. */
static bool must_wake(struct pc_broker *b)
{
    bool wake = !b->woken;
    b->woken = true;
    return wake;
}

/* What a call of the session may do. */
static int check(const struct pc_broker *b, uint64_t session, const struct pc_buf *buf)
{
    if (!b->open || session != b->session)
        return PUSHERC_ECANCELED;
    return buf->len >= MAX_OUT ? PUSHERC_EBACKLOG : 0;
}

/* A command was written behind `len` bytes, or not: then it is taken back. */
static int settle(struct pc_buf *buf, size_t len, int err)
{
    err = err ? err : pc_buf_status(buf);
    if (err) {
        buf->len = len;
        buf->status = 0;
    }
    return err;
}

/* With the mutex held. `taken`: a command was. */
static void unlock(struct pc_broker *b, bool wake, bool taken)
{
    if (taken)
        pc_stat_add(&b->counts.commands, 1);
    pthread_mutex_unlock(&b->mutex);
    if (wake)
        (void)uv_async_send(&b->async); /* fails only where it was not opened */
}

static int on_subscribe(void *self, uint32_t partition, uint64_t session, pusherc_topic topic,
                        pusherc_slice key, const char *word)
{
    struct pc_broker *b = self;
    bool wake = false;
    pthread_mutex_lock(&b->mutex);
    struct pc_buf *buf = &b->topics_out;
    size_t len = buf->len;
    int err = check(b, session, buf);
    if (err == 0) {
        pc_redis_put_count(buf, 2);
        pc_redis_put_word(buf, pc_slice_of(word));
        pc_broker_put_topic(buf, &b->names, partition, topic, key);
        err = settle(buf, len, 0);
        wake = err == 0 && must_wake(b);
    }
    unlock(b, wake, err == 0);
    return err;
}

static int subscribe(void *self, uint32_t partition, uint64_t session, pusherc_topic topic,
                     pusherc_slice key)
{
    return on_subscribe(self, partition, session, topic, key, "SUBSCRIBE");
}

static int unsubscribe(void *self, uint32_t partition, uint64_t session, pusherc_topic topic,
                       pusherc_slice key)
{
    return on_subscribe(self, partition, session, topic, key, "UNSUBSCRIBE");
}

static int publish(void *self, uint32_t partition, uint64_t session, pusherc_slice key,
                   pusherc_slice message)
{
    struct pc_broker *b = self;
    bool wake = false;
    pthread_mutex_lock(&b->mutex);
    size_t len = b->out.len;
    int err = check(b, session, &b->out);
    err = err ? err : pc_asked_reserve(&b->asked);
    if (err == 0) {
        pc_redis_put_count(&b->out, 3);
        pc_redis_put_word(&b->out, PC_S("PUBLISH"));
        pc_broker_put_topic(&b->out, &b->names, partition, PUSHERC_TOPIC_CHANNEL, key);
        pc_redis_put_word(&b->out, message);
        err = settle(&b->out, len, 0);
    }
    if (err == 0) {
        pc_asked_push(&b->asked, (struct pc_asked){.kind = PC_ASKED_PUBLICATION,
                                                   .partition = (uint16_t)partition});
        pc_stat_add(&b->counts.publications, 1);
        wake = must_wake(b);
    }
    unlock(b, wake, err == 0);
    return err;
}

static int execute(void *self, uint32_t partition, uint64_t session, pusherc_step step,
                   const pusherc_slice *args, size_t count)
{
    struct pc_broker *b = self;
    bool wake = false;
    pthread_mutex_lock(&b->mutex);
    size_t len = b->out.len;
    int err = check(b, session, &b->out);
    err = err ? err : pc_asked_reserve(&b->asked);
    if (err == 0)
        err = settle(&b->out, len,
                     pc_broker_put_step(&b->out, &b->names, &b->greeting.shas, partition, step, 0,
                                        args, count));
    if (err == 0) {
        pc_asked_push(&b->asked, (struct pc_asked){.kind = PC_ASKED_STEP,
                                                   .step = (uint8_t)step,
                                                   .partition = (uint16_t)partition});
        wake = must_wake(b);
    }
    unlock(b, wake, err == 0);
    return err;
}

static int reset(void *self, uint32_t partition, uint64_t session)
{
    struct pc_broker *b = self;
    bool wake = false;
    (void)partition; /* all share the connections */
    pthread_mutex_lock(&b->mutex);
    if (b->open && session == b->session) {
        b->given_up = true;
        wake = must_wake(b);
    }
    unlock(b, wake, false);
    return 0;
}

/* -- losing the connections -- */

static void on_timer(uv_timer_t *timer);

static void wait_ms(struct pc_broker *b, uint64_t ms)
{
    uv_timer_start(&b->timer, on_timer, ms, 0);
}

static void set_state(struct pc_broker *b, enum state state)
{
    b->state = state;
    b->began_ms = now_ms(b);
}

/* Between half and the whole of the pause, so that nodes do not come back all at once. */
static uint64_t next_pause(struct pc_broker *b, bool unfit)
{
    uint32_t random = 0;
    b->pause_ms = b->pause_ms ? 2 * b->pause_ms : FIRST_PAUSE_MS;
    if (unfit || b->pause_ms > LAST_PAUSE_MS)
        b->pause_ms = LAST_PAUSE_MS;
    if (pc_random(&random, sizeof random))
        random = 0;
    return b->pause_ms / 2 + random % (b->pause_ms / 2 + 1);
}

static void say(struct pc_broker *b, bool unfit, const char *why)
{
    const struct pc_broadcast_host *host = &b->url.hosts[b->host];
    if (strcmp(b->said, why) == 0)
        return;
    (void)snprintf(b->said, sizeof b->said, "%s", why);
    if (unfit)
        PC_LOG(b->log, ERROR, about, "Redis at %.*s:%u %s", (int)host->name.len, host->name.ptr,
               (unsigned)host->port, why);
    else
        PC_LOG(b->log, WARN, about, "Redis at %.*s:%u %s; tries again", (int)host->name.len,
               host->name.ptr, (unsigned)host->port, why);
}

static void close_conns(struct pc_broker *b)
{
    if (b->commands)
        pc_redis_conn_close(b->commands);
    if (b->topics)
        pc_redis_conn_close(b->topics);
    b->commands = b->topics = NULL;
    b->commands_ready = b->topics_ready = false;
}

/* True: it was open. */
static bool forget_session(struct pc_broker *b)
{
    pthread_mutex_lock(&b->mutex);
    bool was_open = b->open;
    b->open = b->given_up = false;
    pc_asked_free(&b->asked);
    pc_buf_free(&b->out);
    pc_buf_free(&b->topics_out);
    pthread_mutex_unlock(&b->mutex);
    return was_open;
}

static void lose(struct pc_broker *b, bool unfit, const char *why)
{
    if (b->state == PAUSING)
        return;
    close_conns(b);
    /* Trouble right after each start is no reason to hurry. */
    if (b->state == OPEN && now_ms(b) - b->began_ms > LAST_PAUSE_MS)
        b->pause_ms = 0;
    if (b->state == OPEN)
        b->said[0] = '\0';
    say(b, unfit, why);
    set_state(b, PAUSING);
    if (forget_session(b)) {
        for (uint32_t i = 0; i < PC_BROKER_PARTITIONS; i++)
            pusherc_link_lost(b->link, i, false);
    } else {
        b->host = (b->host + 1) % b->url.host_count;
    }
    wait_ms(b, next_pause(b, unfit));
}

static void is_short_of_memory(struct pc_broker *b)
{
    lose(b, false, "cannot be used: out of memory");
}

/* -- sending -- */

static void flush_one(struct pc_broker *b, struct pc_redis_conn *conn, struct pc_buf *buf)
{
    struct pc_buf bytes;
    if (!conn || pc_redis_conn_unsent(conn) > MAX_UNSENT)
        return;
    pthread_mutex_lock(&b->mutex);
    bytes = *buf;
    pc_buf_init(buf, &b->mem, SIZE_MAX);
    pthread_mutex_unlock(&b->mutex);
    pc_stat_add(&b->counts.bytes_out, bytes.len);
    if (bytes.len && pc_redis_conn_write(conn, &bytes))
        is_short_of_memory(b);
    pc_buf_free(&bytes);
}

static void flush(struct pc_broker *b)
{
    if (b->state == OPEN)
        flush_one(b, b->commands, &b->out);
    if (b->state == OPEN)
        flush_one(b, b->topics, &b->topics_out);
}

static void on_sent(void *owner, struct pc_redis_conn *conn)
{
    (void)conn;
    flush(owner);
}

/* A question of the link itself. */
static void ask(struct pc_broker *b, enum pc_asked_kind kind)
{
    const pusherc_slice probe[] = {PUSHERC_LIT("PUBLISH"), pc_slice_of(b->own_topic),
                                   PUSHERC_LIT("P")};
    pthread_mutex_lock(&b->mutex);
    size_t len = b->out.len;
    if (pc_asked_reserve(&b->asked) == 0) {
        if (kind == PC_ASKED_WHO)
            pc_broker_put_who(&b->out);
        else
            pc_redis_put_command(&b->out, probe, 3);
        if (kind == PC_ASKED_PROBE)
            b->probe_ns = uv_hrtime();
        if (settle(&b->out, len, 0) == 0)
            pc_asked_push(&b->asked, (struct pc_asked){.kind = (uint8_t)kind});
    }
    pthread_mutex_unlock(&b->mutex);
}

/* -- answers -- */

static bool is_out_of_memory(pusherc_slice error)
{
    static const char sign[] = "OOM command not allowed"; /* 6.2 puts other words before it */
    return error.len && memmem(error.ptr, error.len, sign, sizeof sign - 1);
}

/* An error that the whole connection suffers from, or one that only this step does. */
static void on_error(struct pc_broker *b, struct pc_asked asked, pusherc_slice error)
{
    const pusherc_slice later = PUSHERC_LIT("LATER");
    char why[PC_REDIS_LINE + 128];
    if (asked.kind == PC_ASKED_STEP && is_out_of_memory(error)) {
        if (now_ms(b) - b->short_ms >= LAST_PAUSE_MS || !b->short_ms)
            PC_LOG(b->log, ERROR, about,
                   "Redis has no memory left (maxmemory): joins and leaves wait");
        b->short_ms = now_ms(b);
        if (pusherc_link_answer(b->link, asked.partition, &later, 1))
            is_short_of_memory(b);
        return;
    }
    bool unfit = pc_broker_judge(error, why, sizeof why) == PC_BROKER_UNFIT;
    lose(b, unfit, why);
}

/* False: it makes no sense. */
static bool on_answer(struct pc_broker *b, struct pc_asked asked,
                      const struct pc_redis_reply *reply)
{
    struct pc_values values;
    int err = 0;
    pc_values_init(&values, &b->mem);
    if (asked.kind == PC_ASKED_STEP)
        err = pc_broker_answer((pusherc_step)asked.step, reply, &values);
    if (err == 0)
        err = pusherc_link_answer(b->link, asked.partition, pc_values_list(&values), values.count);
    pc_values_free(&values);
    if (err == PUSHERC_ENOMEM)
        is_short_of_memory(b);
    return err != PUSHERC_EPROTO;
}

static bool on_reply(struct pc_broker *b, const struct pc_redis_reply *reply)
{
    struct pc_asked asked;
    pthread_mutex_lock(&b->mutex);
    bool has = pc_asked_take(&b->asked, &asked);
    pthread_mutex_unlock(&b->mutex);
    b->answered_ms = now_ms(b);
    if (!has)
        return false;
    if (reply->items[0].type == PC_REDIS_ERROR) {
        pc_stat_add(&b->counts.errors, 1);
        on_error(b, asked, reply->items[0].text);
        return true;
    }
    switch ((enum pc_asked_kind)asked.kind) {
    case PC_ASKED_STEP:
    case PC_ASKED_PUBLICATION:
        return on_answer(b, asked, reply);
    case PC_ASKED_WHO:
        if (!pc_broker_is_same(&b->greeting, reply))
            lose(b, false, "is another process than before");
        break;
    case PC_ASKED_PROBE:
        atomic_store_explicit(&b->counts.round_trip_us, (uv_hrtime() - b->probe_ns) / 1000,
                              memory_order_relaxed);
        break;
    }
    return true;
}

/* -- becoming open -- */

static void open_session(struct pc_broker *b)
{
    const struct pc_redis_place place = pc_redis_conn_place(b->commands);
    pusherc_slice run = pc_slice_of(b->greeting.run);
    int err = 0;
    if (!b->commands_ready || !b->topics_ready)
        return;
    set_state(b, OPEN);
    pc_stat_add(&b->counts.connects, 1);
    b->answered_ms = b->heard_ms = b->probed_ms = now_ms(b);
    b->said[0] = '\0';
    PC_LOG(b->log, INFO, about, "linked with other servers by Redis %s at %.*s:%u",
           b->greeting.version, (int)place.host.len, place.host.ptr, (unsigned)place.port);
    if (b->greeting.evicts)
        PC_LOG(b->log, ERROR, about,
               "Redis may evict what servers share (maxmemory-policy %s): set noeviction",
               b->greeting.policy);
    pthread_mutex_lock(&b->mutex);
    b->open = true;
    b->session++;
    pthread_mutex_unlock(&b->mutex);
    for (uint32_t i = 0; i < PC_BROKER_PARTITIONS && err == 0; i++)
        err = pusherc_link_up(b->link, i, b->session, run);
    if (err)
        is_short_of_memory(b);
}

static void on_greeted(struct pc_broker *b, const struct pc_redis_reply *reply)
{
    struct pc_buf buf;
    pc_buf_init(&buf, &b->mem, SIZE_MAX);
    enum pc_broker_verdict verdict = pc_broker_greeted(&b->greeting, reply, &buf);
    if (verdict == PC_BROKER_MORE && buf.len && pc_redis_conn_write(b->commands, &buf))
        verdict = PC_BROKER_FAILED;
    pc_buf_free(&buf);
    switch (verdict) {
    case PC_BROKER_MORE:
        break;
    case PC_BROKER_DONE:
        b->commands_ready = true;
        open_session(b);
        break;
    case PC_BROKER_AWAY:
        lose(b, false, b->greeting.why);
        break;
    case PC_BROKER_UNFIT:
        lose(b, true, b->greeting.why);
        break;
    case PC_BROKER_FAILED:
        is_short_of_memory(b);
        break;
    }
}

/* -- topics -- */

static bool is_word(const struct pc_redis_item *item, const char *word)
{
    return pc_slice_eq(item->text, pc_slice_of(word));
}

/* A message, or that a topic is subscribed. */
static void heard_probe(struct pc_broker *b)
{
    if (b->probe_ns)
        atomic_store_explicit(&b->counts.transit_us, (uv_hrtime() - b->probe_ns) / 1000,
                              memory_order_relaxed);
}

static void on_topic(struct pc_broker *b, const struct pc_redis_reply *reply)
{
    struct pc_broker_topic topic;
    int err = 0;
    if (!pc_broker_topic_parse(&b->names, reply->items[2].text, &topic)) {
        heard_probe(b); /* it is the link's own one */
        return;
    }
    if (is_word(&reply->items[1], "message")) {
        pc_stat_add(&b->counts.messages, 1);
        err = pusherc_link_message(b->link, topic.partition, topic.topic, topic.key,
                                   reply->items[3].text);
    } else if (is_word(&reply->items[1], "subscribe")) {
        err = pusherc_link_subscribed(b->link, topic.partition, topic.topic, topic.key);
    }
    if (err == PUSHERC_ENOMEM)
        is_short_of_memory(b);
}

static bool on_topics_reply(struct pc_broker *b, const struct pc_redis_reply *reply)
{
    char why[PC_REDIS_LINE + 128];
    if (reply->items[0].type == PC_REDIS_ERROR) {
        lose(b, pc_broker_judge(reply->items[0].text, why, sizeof why) == PC_BROKER_UNFIT, why);
        return true;
    }
    if (b->logins > 0) {
        b->logins--;
        return true;
    }
    if (reply->count != 4)
        return false;
    b->heard_ms = now_ms(b);
    if (b->state == OPEN) {
        on_topic(b, reply);
    } else {
        b->topics_ready = true; /* its own topic is subscribed */
        open_session(b);
    }
    return true;
}

/* -- connections -- */

static bool on_conn_replied(void *owner, struct pc_redis_conn *conn,
                            const struct pc_redis_reply *reply)
{
    struct pc_broker *b = owner;
    pc_stat_add(&b->counts.bytes_in, pc_redis_conn_take_received(conn));
    if (conn == b->topics)
        return on_topics_reply(b, reply);
    if (b->commands_ready)
        return on_reply(b, reply);
    on_greeted(b, reply);
    return true;
}

static void on_failed(void *owner, struct pc_redis_conn *conn, bool reached, const char *reason)
{
    struct pc_broker *b = owner;
    char why[PC_REDIS_LINE];
    if (conn == b->commands)
        b->commands = NULL; /* closes by itself */
    else
        b->topics = NULL;
    (void)snprintf(why, sizeof why, reached ? "is gone: %s" : "cannot be used: %s", reason);
    lose(b, false, why);
}

static void on_gone(void *owner)
{
    (void)owner; /* the loop ends when nothing is left in it */
}

static void on_opened(void *owner, struct pc_redis_conn *conn);

static const struct pc_redis_conn_ops conn_ops = {.opened = on_opened,
                                                  .replied = on_conn_replied,
                                                  .failed = on_failed,
                                                  .sent = on_sent,
                                                  .gone = on_gone};

/* To the Redis of the other connection: a Sentinel may name another one in between. */
static int connect_topics(struct pc_broker *b)
{
    const struct pc_redis_place place = pc_redis_conn_place(b->commands);
    return pc_redis_conn_open(&b->topics, &b->mem, &b->uv, &place, MAX_ANSWER, &conn_ops, b);
}

static void on_opened(void *owner, struct pc_redis_conn *conn)
{
    struct pc_broker *b = owner;
    struct pc_buf buf;
    const pusherc_slice subscribe_own[] = {PUSHERC_LIT("SUBSCRIBE"), pc_slice_of(b->own_topic)};
    int err;
    pc_buf_init(&buf, &b->mem, SIZE_MAX);
    if (conn == b->commands) {
        err = pc_broker_greet(&b->greeting, &buf, &b->url, &b->names, pc_slice_of(b->client_name),
                              pc_slice_of(b->own_topic));
    } else {
        err = pc_redis_put_greeting(&buf, &b->url, &b->logins);
        pc_redis_put_command(&buf, subscribe_own, 2);
    }
    err = err ? err : pc_buf_status(&buf);
    err = err ? err : pc_redis_conn_write(conn, &buf);
    pc_buf_free(&buf);
    if (err || (conn == b->commands && connect_topics(b)))
        is_short_of_memory(b);
}

static void connect_now(struct pc_broker *b)
{
    const struct pc_redis_place place = pc_redis_place(&b->url, b->host, b->trust);
    set_state(b, CONNECTING);
    if (pc_redis_conn_open(&b->commands, &b->mem, &b->uv, &place, MAX_ANSWER, &conn_ops, b)) {
        is_short_of_memory(b);
        return;
    }
    wait_ms(b, b->timeout_ms / TICKS);
}

/* -- time -- */

/* A connection may seem sound and lead nowhere: its answers, or its messages, do not come. And a proxy may have led it to
 * another process without a sign. */
static void watch(struct pc_broker *b)
{
    uint64_t now = now_ms(b);
    pthread_mutex_lock(&b->mutex);
    bool owes = b->asked.count > 0;
    pthread_mutex_unlock(&b->mutex);
    if (!owes)
        b->answered_ms = now;
    if (now - b->answered_ms >= b->timeout_ms) {
        lose(b, false, "does not answer");
    } else if (now - b->heard_ms >= PROBE_MS + b->timeout_ms) {
        lose(b, false, "answers, but messages do not come");
    } else if (now - b->probed_ms >= PROBE_MS) {
        b->probed_ms = now;
        ask(b, PC_ASKED_WHO);
        ask(b, PC_ASKED_PROBE);
        flush(b);
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct pc_broker *b = timer->data;
    if (b->state == PAUSING) {
        connect_now(b);
        return;
    }
    if (b->state == OPEN)
        watch(b);
    else if (now_ms(b) - b->began_ms >= b->timeout_ms)
        lose(b, false, pc_redis_conn_silence(b->commands));
    if (b->state != PAUSING)
        wait_ms(b, b->timeout_ms / TICKS);
}

/* -- life -- */

static void on_async(uv_async_t *async)
{
    struct pc_broker *b = async->data;
    pthread_mutex_lock(&b->mutex);
    b->woken = false;
    bool stopping = b->stopping, given_up = b->given_up;
    pthread_mutex_unlock(&b->mutex);
    if (stopping) {
        close_conns(b);
        uv_close(handle_of(&b->async), NULL);
        uv_close(handle_of(&b->timer), NULL);
    } else if (given_up) {
        lose(b, false, "has answered what the server does not understand");
    } else {
        flush(b);
    }
}

static void *run(void *arg)
{
    struct pc_broker *b = arg;
    connect_now(b);
    uv_run(&b->uv, UV_RUN_DEFAULT);
    return NULL;
}

static int open_loop(struct pc_broker *b)
{
    if (uv_loop_init(&b->uv))
        return PUSHERC_EIO;
    if (uv_async_init(&b->uv, &b->async, on_async)) {
        (void)uv_loop_close(&b->uv);
        return PUSHERC_EIO;
    }
    uv_timer_init(&b->uv, &b->timer); /* cannot fail */
    b->async.data = b->timer.data = b;
    return 0;
}

static void close_loop(struct pc_broker *b)
{
    uv_run(&b->uv, UV_RUN_DEFAULT); /* what was closed has to be gone */
    (void)uv_loop_close(&b->uv);
}

/* The host's threads handle signals: this one blocks them. */
static int start(void *self, pusherc_link *link)
{
    struct pc_broker *b = self;
    sigset_t all, before;
    int err = open_loop(b);
    if (err)
        return err;
    b->link = link;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    err = pthread_create(&b->thread, NULL, run, b);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (err == 0)
        return 0;
    uv_close(handle_of(&b->async), NULL);
    uv_close(handle_of(&b->timer), NULL);
    close_loop(b);
    return PUSHERC_EIO;
}

static void stop(void *self)
{
    struct pc_broker *b = self;
    pthread_mutex_lock(&b->mutex);
    b->stopping = true;
    b->open = false;
    unlock(b, true, false);
    pthread_join(b->thread, NULL);
    close_loop(b);
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
    char name[2 * sizeof id + 1] = ""; /* pc_hex() puts no NUL behind */
    *out = NULL;
    int err = pc_random(id, sizeof id);
    struct pc_broker *b = err ? NULL : pc_alloc_zero(mem, sizeof *b);
    if (!b) {
        pc_tls_trust_free(trust);
        return err ? err : PUSHERC_ENOMEM;
    }
    b->mem = *mem;
    b->trust = trust;
    b->log = log;
    b->timeout_ms = timeout_ms;
    err = pc_broker_names_init(&b->names, &b->mem, prefix);
    if (err) {
        pc_tls_trust_free(trust);
        pc_free(mem, b);
        return err;
    }
    pc_hex(id, sizeof id, name);
    (void)snprintf(b->client_name, sizeof b->client_name, "pusherc-%s", name);
    (void)snprintf(b->own_topic, sizeof b->own_topic, "%.*sn/%s", (int)b->names.heads[0].len,
                   b->names.heads[0].ptr, name);
    b->url = *url;
    *url = (struct pc_broadcast_url){.text = NULL}; /* it is the link's now */
    pthread_mutex_init(&b->mutex, NULL);
    pc_asked_init(&b->asked, &b->mem);
    pc_buf_init(&b->out, &b->mem, SIZE_MAX);
    pc_buf_init(&b->topics_out, &b->mem, SIZE_MAX);
    *out = b;
    return 0;
}

const struct pc_link_counts *pc_broker_counts(const struct pc_broker *broker)
{
    return &broker->counts;
}

void pc_broker_free(void *broker)
{
    struct pc_broker *b = broker;
    if (!b)
        return;
    struct pc_mem mem = b->mem;
    pc_asked_free(&b->asked);
    pc_buf_free(&b->out);
    pc_buf_free(&b->topics_out);
    pc_broker_names_free(&b->names);
    pc_broadcast_url_free(&b->url);
    pc_tls_trust_free(b->trust);
    pthread_mutex_destroy(&b->mutex);
    pc_free(&mem, b);
}
