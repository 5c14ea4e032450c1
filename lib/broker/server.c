#include "broker/server.h"

#include <stdio.h>

#include <pusherc/error.h>

#include "broadcast/redis_format.h"
#include "codec/crypto.h"

#define MAX_ANSWER  (64u << 20)
#define MAX_OUT     (16u << 20) /* of commands that wait; more is refused */
#define MAX_UNSENT  (1u << 20)  /* that the system has not taken; the rest waits */
#define MAX_KEPT    65536       /* room of a buffer that is empty */
#define MAX_REPORTS 64          /* that wait when the server reads on */
#define PROBE_MS    3000
#define TICKS       4 /* in a time-out */

static const struct pc_log_about about = {.subject = "cluster"};

static uint64_t now_ms(const struct pc_broker_server *s)
{
    return pc_broker_now_ms(s->common);
}

/* -- commands -- */

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

int pc_broker_server_put_topic(struct pc_broker_server *s, bool subscribe, uint32_t partition,
                               pusherc_topic topic, pusherc_slice key)
{
    struct pc_buf *buf = &s->topics_out;
    size_t len = buf->len;
    if (len >= MAX_OUT)
        return PUSHERC_EBACKLOG;
    pc_redis_put_count(buf, 2);
    pc_redis_put_word(buf, subscribe ? s->words->subscribe : s->words->unsubscribe);
    pc_broker_put_topic(buf, &s->common->names, partition, topic, key);
    return settle(buf, len, 0);
}

static int reserve(struct pc_broker_server *s)
{
    return s->out.len >= MAX_OUT ? PUSHERC_EBACKLOG : pc_asked_reserve(&s->asked);
}

int pc_broker_server_put_event(struct pc_broker_server *s, uint32_t session, uint32_t partition,
                               pusherc_slice key, pusherc_slice message)
{
    size_t len = s->out.len;
    int err = reserve(s);
    if (err)
        return err;
    pc_redis_put_count(&s->out, 3);
    pc_redis_put_word(&s->out, s->words->publish);
    pc_broker_put_topic(&s->out, &s->common->names, partition, PUSHERC_TOPIC_CHANNEL, key);
    pc_redis_put_word(&s->out, message);
    err = settle(&s->out, len, 0);
    if (err == 0)
        pc_asked_push(&s->asked, (struct pc_asked){.kind = PC_ASKED_PUBLICATION,
                                                   .session = session,
                                                   .partition = (uint16_t)partition});
    return err;
}

int pc_broker_server_put_step(struct pc_broker_server *s, uint32_t session, uint32_t partition,
                              pusherc_step step, const pusherc_slice *args, size_t count)
{
    size_t len = s->out.len;
    int err = reserve(s);
    if (err)
        return err;
    err = settle(&s->out, len,
                 pc_broker_put_step(&s->out, &s->common->names, &s->greeting.shas, partition, step,
                                    0, args, count));
    if (err == 0)
        pc_asked_push(&s->asked, (struct pc_asked){.kind = PC_ASKED_STEP,
                                                   .step = (uint8_t)step,
                                                   .session = session,
                                                   .partition = (uint16_t)partition});
    return err;
}

/* -- losing the connections -- */

static void on_timer(uv_timer_t *timer);

static void wait_ms(struct pc_broker_server *s, uint64_t ms)
{
    s->due_ms = now_ms(s) + ms;
    uv_timer_start(&s->timer, on_timer, ms, 0);
}

static void set_state(struct pc_broker_server *s, enum pc_broker_server_state state)
{
    s->state = state;
    s->began_ms = now_ms(s);
}

uint64_t pc_broker_next_pause(uint32_t *tries, bool longest)
{
    uint32_t random = 0, pause_ms = PC_BROKER_FIRST_PAUSE_MS << (*tries < 2 ? *tries : 2);
    for (uint32_t i = PC_BROKER_SOON; i < *tries && pause_ms < PC_BROKER_LAST_PAUSE_MS; i++)
        pause_ms *= 2;
    if (longest || pause_ms > PC_BROKER_LAST_PAUSE_MS)
        pause_ms = PC_BROKER_LAST_PAUSE_MS;
    if (*tries < UINT32_MAX)
        ++*tries;
    if (pc_random(&random, sizeof random))
        random = 0;
    return pause_ms / 2 + random % (pause_ms / 2 + 1);
}

void pc_broker_say(const struct pc_broker_common *common, char said[PC_BROKER_TROUBLE],
                   const struct pc_redis_place *place, bool unfit, const char *why)
{
    if (strcmp(said, why) == 0)
        return;
    (void)snprintf(said, PC_BROKER_TROUBLE, "%s", why);
    if (unfit)
        PC_LOG(common->log, ERROR, about, "Redis at %.*s:%u %s", (int)place->host.len,
               place->host.ptr, (unsigned)place->port, why);
    else
        PC_LOG(common->log, WARN, about, "Redis at %.*s:%u %s; tries again", (int)place->host.len,
               place->host.ptr, (unsigned)place->port, why);
}

static void close_conns(struct pc_broker_server *s)
{
    if (s->commands)
        pc_redis_conn_close(s->commands);
    if (s->topics)
        pc_redis_conn_close(s->topics);
    s->commands = s->topics = NULL;
    s->commands_ready = s->topics_ready = false;
}

/* Nothing is written any more for these connections. */
static void forget(struct pc_broker_server *s)
{
    s->given_up = false;
    pc_asked_free(&s->asked);
    pc_buf_free(&s->out);
    pc_buf_free(&s->topics_out);
}

void pc_broker_server_lose(struct pc_broker_server *s, bool unfit, const char *why)
{
    bool was_open = s->state == PC_BROKER_OPEN;
    if (s->state == PC_BROKER_IDLE || s->state == PC_BROKER_PAUSING)
        return;
    close_conns(s);
    /* Trouble right after each start is no reason to hurry. */
    if (was_open && now_ms(s) - s->began_ms > PC_BROKER_LAST_PAUSE_MS)
        s->tries = 0;
    if (was_open)
        s->said[0] = '\0';
    pc_broker_say(s->common, s->said, &s->place, unfit, why);
    set_state(s, PC_BROKER_PAUSING);
    wait_ms(s, pc_broker_next_pause(&s->tries, unfit));
    s->ops->lost(s->owner, s, was_open);
    forget(s);
}

void pc_broker_server_lacks_memory(struct pc_broker_server *s)
{
    pc_broker_server_lose(s, false, "cannot be used: out of memory");
}

void pc_broker_server_close(struct pc_broker_server *s)
{
    close_conns(s);
    uv_timer_stop(&s->timer);
    set_state(s, PC_BROKER_IDLE);
    s->said[0] = '\0';
    s->tries = 0;
    forget(s);
}

/* -- sending -- */

static void send_out(struct pc_broker_server *s, struct pc_redis_conn *conn, struct pc_buf *buf)
{
    if (!conn || buf->len == 0 || pc_redis_conn_unsent(conn) > MAX_UNSENT)
        return;
    pc_stat_add(&s->common->counts.bytes_out, buf->len);
    if (pc_redis_conn_write(conn, buf))
        pc_broker_server_lacks_memory(s);
    else if (buf->cap > MAX_KEPT)
        pc_buf_free(buf);
}

/* What the node has to do for reports holds up the mail of clients that comes behind them. */
static bool are_many_reports(const struct pc_broker_server *s)
{
    return atomic_load_explicit(s->common->reports_waiting, memory_order_relaxed) > MAX_REPORTS;
}

static void read_on(struct pc_broker_server *s)
{
    if (are_many_reports(s)) {
        s->common->has_work = true; /* to look again */
        return;
    }
    s->is_paused = false;
    if (pc_redis_conn_resume(s->commands) || pc_redis_conn_resume(s->topics))
        pc_broker_server_lose(s, false, "cannot be read any more");
}

void pc_broker_server_flush(struct pc_broker_server *s)
{
    if (s->given_up)
        pc_broker_server_lose(s, false, "has answered what the server does not understand");
    if (s->state == PC_BROKER_OPEN)
        send_out(s, s->commands, &s->out);
    if (s->state == PC_BROKER_OPEN)
        send_out(s, s->topics, &s->topics_out);
    if (s->state == PC_BROKER_OPEN && s->is_paused)
        read_on(s);
}

static void on_sent(void *owner, struct pc_redis_conn *conn)
{
    struct pc_broker_server *s = owner;
    (void)conn;
    pc_broker_enter(s->common);
    s->common->has_work = true;
}

/* -- the server's own topic -- */

#define MAX_OWN_TOPIC 160

static pusherc_slice own_topic(const struct pc_broker_server *s, char text[MAX_OWN_TOPIC])
{
    pusherc_slice head = s->common->names.heads[s->own];
    int len = snprintf(text, MAX_OWN_TOPIC, "%.*sn/%s", (int)head.len, head.ptr, s->common->id);
    return pc_slice(text, (size_t)len);
}

static void put_own(const struct pc_broker_server *s, struct pc_buf *buf)
{
    char text[MAX_OWN_TOPIC];
    const pusherc_slice words[] = {s->words->subscribe, own_topic(s, text)};
    pc_redis_put_command(buf, words, 2);
}

void pc_broker_server_prove_by(struct pc_broker_server *s, uint32_t partition)
{
    s->own = partition;
    s->heard_ms = now_ms(s);
    size_t len = s->topics_out.len;
    put_own(s, &s->topics_out);
    int err = settle(&s->topics_out, len, 0);
    s->common->has_work = true;
    if (err)
        pc_broker_server_lacks_memory(s);
}

/* A question of the link itself. */
static void ask(struct pc_broker_server *s, enum pc_asked_kind kind)
{
    char text[MAX_OWN_TOPIC];
    const pusherc_slice probe[] = {s->words->publish, own_topic(s, text), PUSHERC_LIT("P")};
    size_t len = s->out.len;
    if (pc_asked_reserve(&s->asked) == 0) {
        if (kind == PC_ASKED_WHO)
            pc_broker_put_who(&s->out);
        else
            pc_redis_put_command(&s->out, probe, 3);
        if (kind == PC_ASKED_PROBE)
            s->probe_ns = uv_hrtime();
        s->common->has_work = true;
        if (settle(&s->out, len, 0) == 0)
            pc_asked_push(&s->asked,
                          (struct pc_asked){.kind = (uint8_t)kind, .partition = (uint16_t)s->own});
    }
}

static uint64_t us_since_probe(const struct pc_broker_server *s)
{
    return (uv_hrtime() - s->probe_ns) / 1000;
}

/* -- answers -- */

static bool on_reply(struct pc_broker_server *s, const struct pc_redis_reply *reply)
{
    struct pc_asked asked;
    bool has = pc_asked_take(&s->asked, &asked);
    s->answered_ms = now_ms(s);
    if (!has)
        return false;
    if (reply->items[0].type == PC_REDIS_ERROR) {
        pc_stat_add(&s->common->counts.errors, 1);
        s->ops->refused(s->owner, s, asked, reply->items[0].text);
        return true;
    }
    switch ((enum pc_asked_kind)asked.kind) {
    case PC_ASKED_STEP:
    case PC_ASKED_PUBLICATION:
        return s->ops->answered(s->owner, s, asked, reply);
    case PC_ASKED_WHO:
        if (!pc_broker_is_same(&s->greeting, reply))
            pc_broker_server_lose(s, false, "is another process than before");
        break;
    case PC_ASKED_PROBE:
        atomic_store_explicit(&s->common->counts.round_trip_us, us_since_probe(s),
                              memory_order_relaxed);
        break;
    }
    return true;
}

/* -- becoming open -- */

static void open_if_ready(struct pc_broker_server *s)
{
    if (!s->commands_ready || !s->topics_ready)
        return;
    set_state(s, PC_BROKER_OPEN);
    pc_stat_add(&s->common->counts.connects, 1);
    s->answered_ms = s->heard_ms = s->probed_ms = now_ms(s);
    s->down_ms = 0;
    s->said[0] = '\0';
    if (s->greeting.evicts)
        PC_LOG(s->common->log, ERROR, about,
               "Redis may evict what servers share (maxmemory-policy %s): set noeviction",
               s->greeting.policy);
    s->ops->opened(s->owner, s);
}

static void on_greeted(struct pc_broker_server *s, const struct pc_redis_reply *reply)
{
    struct pc_buf buf;
    pc_buf_init(&buf, &s->common->mem, SIZE_MAX);
    enum pc_broker_verdict verdict = pc_broker_greeted(&s->greeting, reply, &buf);
    if (verdict == PC_BROKER_MORE && buf.len && pc_redis_conn_write(s->commands, &buf))
        verdict = PC_BROKER_FAILED;
    pc_buf_free(&buf);
    switch (verdict) {
    case PC_BROKER_MORE:
        break;
    case PC_BROKER_DONE:
        s->commands_ready = true;
        open_if_ready(s);
        break;
    case PC_BROKER_AWAY:
        pc_broker_server_lose(s, false, s->greeting.why);
        break;
    case PC_BROKER_UNFIT:
        pc_broker_server_lose(s, true, s->greeting.why);
        break;
    case PC_BROKER_SHARDED:
        pc_broker_server_close(s);
        s->ops->sharded(s->owner, s);
        break;
    case PC_BROKER_FAILED:
        pc_broker_server_lacks_memory(s);
        break;
    }
}

/* -- topics -- */

static void on_own_topic(struct pc_broker_server *s, pusherc_slice what)
{
    if (s->state != PC_BROKER_OPEN) {
        s->topics_ready = true;
        open_if_ready(s);
    } else if (s->probe_ns && pc_slice_eq(what, s->words->message)) {
        atomic_store_explicit(&s->common->counts.transit_us, us_since_probe(s),
                              memory_order_relaxed);
    }
}

static bool on_topics_reply(struct pc_broker_server *s, const struct pc_redis_reply *reply)
{
    struct pc_broker_topic topic;
    char why[PC_BROKER_TROUBLE];
    if (reply->items[0].type == PC_REDIS_ERROR && s->state == PC_BROKER_OPEN) {
        s->ops->refused_topic(s->owner, s, reply->items[0].text);
        return true;
    }
    if (reply->items[0].type == PC_REDIS_ERROR) {
        bool unfit = pc_broker_judge(reply->items[0].text, why, sizeof why) == PC_BROKER_UNFIT;
        pc_broker_server_lose(s, unfit, why);
        return true;
    }
    if (s->logins > 0) {
        s->logins--;
        return true;
    }
    if (reply->count != 4)
        return false;
    s->heard_ms = now_ms(s);
    if (pc_broker_topic_parse(&s->common->names, reply->items[2].text, &topic))
        s->ops->heard(s->owner, s, reply->items[1].text, &topic, reply->items[3].text);
    else
        on_own_topic(s, reply->items[1].text);
    return true;
}

/* -- connections -- */

/* A turn that has taken long, or has brought much, goes on reading in a later one. */
static void mind_time(struct pc_broker_server *s, struct pc_redis_conn *conn)
{
    bool is_long = uv_hrtime() - s->common->loop->turn_ns >= PC_LINK_NS;
    if (s->state != PC_BROKER_OPEN || (!is_long && !are_many_reports(s)))
        return;
    pc_redis_conn_pause(conn);
    s->is_paused = s->common->has_work = true;
}

static bool on_replied(void *owner, struct pc_redis_conn *conn, const struct pc_redis_reply *reply)
{
    struct pc_broker_server *s = owner;
    bool known = true;
    pc_broker_enter(s->common);
    pc_stat_add(&s->common->counts.bytes_in, pc_redis_conn_take_received(conn));
    if (conn == s->topics)
        known = on_topics_reply(s, reply);
    else if (s->commands_ready)
        known = on_reply(s, reply);
    else
        on_greeted(s, reply);
    mind_time(s, conn);
    return known;
}

static void on_failed(void *owner, struct pc_redis_conn *conn, bool reached, const char *reason)
{
    struct pc_broker_server *s = owner;
    char why[PC_REDIS_LINE];
    pc_broker_enter(s->common);
    if (conn == s->commands)
        s->commands = NULL; /* closes by itself */
    else
        s->topics = NULL;
    (void)snprintf(why, sizeof why, reached ? "is gone: %s" : "cannot be used: %s", reason);
    pc_broker_server_lose(s, false, why);
}

static void on_gone(void *owner)
{
    struct pc_broker_server *s = owner;
    pc_broker_handle_gone(s->common);
}

static void on_opened(void *owner, struct pc_redis_conn *conn);

static const struct pc_redis_conn_ops conn_ops = {.opened = on_opened,
                                                  .replied = on_replied,
                                                  .failed = on_failed,
                                                  .sent = on_sent,
                                                  .gone = on_gone};

static int open_conn(struct pc_broker_server *s, struct pc_redis_conn **out,
                     const struct pc_redis_place *place)
{
    return pc_broker_conn_open(s->common, out, place, MAX_ANSWER, &conn_ops, s);
}

/* To the Redis of the other connection: a Sentinel may name another one in between. */
static int connect_topics(struct pc_broker_server *s)
{
    const struct pc_redis_place place = pc_redis_conn_place(s->commands);
    return open_conn(s, &s->topics, &place);
}

static int put_first(struct pc_broker_server *s, bool commands, struct pc_buf *buf)
{
    const struct pc_broker_common *c = s->common;
    char text[MAX_OWN_TOPIC];
    const struct pc_broker_errand errand = {.url = &c->url,
                                            .names = &c->names,
                                            .client_name = pc_slice_of(c->client_name),
                                            .own_topic = own_topic(s, text),
                                            .sharded = s->greeting.shas.sharded,
                                            .partitions = s->greeting.partitions};
    if (commands)
        return pc_broker_greet(&s->greeting, buf, &errand);
    int err = pc_redis_put_greeting(buf, &c->url, &s->logins);
    put_own(s, buf);
    return err;
}

static void on_opened(void *owner, struct pc_redis_conn *conn)
{
    struct pc_broker_server *s = owner;
    bool commands = conn == s->commands;
    struct pc_buf buf;
    pc_broker_enter(s->common);
    pc_buf_init(&buf, &s->common->mem, SIZE_MAX);
    int err = put_first(s, commands, &buf);
    err = err ? err : pc_buf_status(&buf);
    err = err ? err : pc_redis_conn_write(conn, &buf);
    pc_buf_free(&buf);
    if (err || (commands && connect_topics(s)))
        pc_broker_server_lacks_memory(s);
}

void pc_broker_server_set_place(struct pc_broker_server *s, const struct pc_shard_place *place)
{
    memcpy(s->host, place->host, sizeof s->host);
    s->place = (struct pc_redis_place){
        .host = pc_slice_of(s->host), .port = place->port, .trust = s->common->trust};
}

void pc_broker_server_connect(struct pc_broker_server *s, bool sharded, uint64_t partitions)
{
    set_state(s, PC_BROKER_CONNECTING);
    s->greeting = (struct pc_broker_greeting){.shas.sharded = sharded, .partitions = partitions};
    s->words = pc_broker_words(sharded);
    for (s->own = 0; !(partitions >> s->own & 1);)
        s->own++;
    if (open_conn(s, &s->commands, &s->place))
        pc_broker_server_lacks_memory(s);
    else
        wait_ms(s, s->common->timeout_ms / TICKS);
}

/* -- time -- */

/* A connection may seem sound and lead nowhere: its answers, or its messages, do not come. And a proxy may have led it to
 * another process without a sign. */
static void watch(struct pc_broker_server *s)
{
    uint64_t now = now_ms(s), timeout_ms = s->common->timeout_ms;
    if (s->asked.count == 0)
        s->answered_ms = now;
    if (now - s->answered_ms >= timeout_ms) {
        pc_broker_server_lose(s, false, "does not answer");
    } else if (now - s->heard_ms >= PROBE_MS + timeout_ms) {
        pc_broker_server_lose(s, false, "answers, but messages do not come");
    } else if (now - s->probed_ms >= PROBE_MS) {
        s->probed_ms = now;
        ask(s, PC_ASKED_WHO);
        ask(s, PC_ASKED_PROBE);
    }
}

/* A loop that was held up has not read what Redis said meanwhile: silence counts from now. */
static void mind_delay(struct pc_broker_server *s)
{
    uint64_t now = now_ms(s);
    if (now - s->due_ms >= s->common->timeout_ms / TICKS)
        s->began_ms = s->answered_ms = s->heard_ms = now;
}

static void on_timer(uv_timer_t *timer)
{
    struct pc_broker_server *s = timer->data;
    pc_broker_enter(s->common);
    mind_delay(s);
    switch (s->state) {
    case PC_BROKER_IDLE:
        return;
    case PC_BROKER_PAUSING:
        set_state(s, PC_BROKER_IDLE);
        s->ops->paused(s->owner, s);
        return;
    case PC_BROKER_CONNECTING:
        if (now_ms(s) - s->began_ms >= s->common->timeout_ms)
            pc_broker_server_lose(s, false, pc_redis_conn_silence(s->commands));
        break;
    case PC_BROKER_OPEN:
        watch(s);
        break;
    }
    if (s->state == PC_BROKER_CONNECTING || s->state == PC_BROKER_OPEN)
        wait_ms(s, s->common->timeout_ms / TICKS);
}

/* -- handles -- */

void pc_broker_timer_open(struct pc_broker_common *common, uv_timer_t *timer, void *owner)
{
    uv_timer_init(common->loop->uv, timer); /* cannot fail */
    timer->data = owner;
    common->open++;
}

static void on_timer_closed(uv_handle_t *timer)
{
    pc_broker_handle_gone(timer->data);
}

void pc_broker_timer_close(struct pc_broker_common *common, uv_timer_t *timer)
{
    timer->data = common;
    uv_close(pc_handle(timer), on_timer_closed);
}

int pc_broker_conn_open(struct pc_broker_common *common, struct pc_redis_conn **out,
                        const struct pc_redis_place *place, size_t max_answer_bytes,
                        const struct pc_redis_conn_ops *ops, void *owner)
{
    int err = pc_redis_conn_open(out, &common->mem, common->loop->uv, place, max_answer_bytes, ops,
                                 owner);
    common->open += err == 0;
    return err;
}

void pc_broker_handle_gone(struct pc_broker_common *common)
{
    pc_broker_enter(common);
    common->open--;
}

/* -- life -- */

int pc_broker_server_new(struct pc_broker_server **out, struct pc_broker_common *common,
                         const struct pc_broker_server_ops *ops, void *owner)
{
    struct pc_broker_server *s = pc_alloc_zero(&common->mem, sizeof *s);
    *out = s;
    if (!s)
        return PUSHERC_ENOMEM;
    s->common = common;
    s->ops = ops;
    s->owner = owner;
    s->words = pc_broker_words(false);
    pc_broker_timer_open(common, &s->timer, s);
    pc_asked_init(&s->asked, &common->mem);
    pc_buf_init(&s->out, &common->mem, SIZE_MAX);
    pc_buf_init(&s->topics_out, &common->mem, SIZE_MAX);
    return 0;
}

void pc_broker_server_stop(struct pc_broker_server *s)
{
    close_conns(s);
    s->state = PC_BROKER_IDLE;
    pc_broker_timer_close(s->common, &s->timer);
}

void pc_broker_server_free(struct pc_broker_server *s)
{
    if (!s)
        return;
    pc_asked_free(&s->asked);
    pc_buf_free(&s->out);
    pc_buf_free(&s->topics_out);
    pc_free(&s->common->mem, s);
}
