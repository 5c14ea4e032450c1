#include "feed/feed.h"

#include <stdio.h>
#include <uv.h>

#include <pusherc/laravel.h>

#include "auth/encrypt.h"
#include "base/backoff.h"
#include "broadcast/laravel.h"
#include "broadcast/redis_format.h"
#include "broker/greeting.h"
#include "codec/json.h"
#include "fanout/incoming.h"
#include "redis/conn.h"

#define MAX_MESSAGE    (8u << 20)
#define TURN_NS        2000000u /* of one turn's reading */
#define FIRST_PAUSE_MS 100
#define LAST_PAUSE_MS  5000
#define PROBE_MS       3000
#define TICKS          4 /* in a time-out */

enum state {
    PAUSING,    /* until the timer rings */
    CONNECTING, /* or subscribing */
    OPEN
};

struct pc_feed {
    struct pc_server_feed of_server;
    struct pc_companion companion;
    pusherc_server *server;
    struct pc_loop *loop; /* the server's first */
    struct pc_mem mem;
    struct pc_broadcast_url url; /* owned */
    struct pc_tls_trust *trust;  /* owned; NULL = in the clear */
    char *texts;                 /* owned: the app's id and the prefixes */
    pusherc_slice prefixes[2];
    size_t prefix_count;
    uint32_t timeout_ms;

    enum state state;
    struct pc_redis_conn *conn; /* NULL = closed; former ones may not be gone yet */
    uv_timer_t timer, resume;   /* `resume`: reading goes on */
    uint32_t open;              /* the timers, and connections that are not gone */
    bool is_reading;
    bool closing;
    uint32_t logins;   /* answers to AUTH that are still to come */
    size_t subscribed; /* patterns */
    size_t host;
    uint32_t failures;              /* in a row */
    uint64_t random;                /* state of the back-off */
    uint64_t began_ms;              /* the state */
    uint64_t heard_ms;              /* anything */
    uint64_t asked_ms;              /* a PING that is not answered; 0 = none */
    bool was_open;                  /* before it was lost */
    char said[PC_REDIS_LINE + 128]; /* the trouble of which the log knows */
};

static struct pc_log *log_of(const struct pc_feed *f)
{
    return &f->server->engine.log;
}

static struct pc_log_about about(const struct pc_feed *f)
{
    return (struct pc_log_about){.subject = "laravel", .app_id = f->of_server.app_id};
}

static uint64_t now_ms(const struct pc_feed *f)
{
    return uv_now(f->loop->uv);
}

static void set_state(struct pc_feed *f, enum state state)
{
    f->state = state;
    f->began_ms = now_ms(f);
    atomic_store_explicit(&f->of_server.up, state == OPEN, memory_order_relaxed);
}

/* -- events -- */

static bool is_encrypted(pusherc_slice data)
{
    struct pc_json json = pc_json_parse(data);
    return pc_json_get(json, PC_S("nonce")).type == PC_JSON_STRING &&
           pc_json_get(json, PC_S("ciphertext")).type == PC_JSON_STRING;
}

/* Laravel's Redis broadcaster encrypts nothing. */
static int encrypt(const struct pc_app *app, pusherc_slice channel, struct pc_laravel_message *m,
                   struct pc_buf *buf, pusherc_errinfo *why)
{
    if (pc_channel_classify(channel).kind != PUSHERC_CHANNEL_PRIVATE_ENCRYPTED ||
        is_encrypted(m->data))
        return 0;
    if (!app->has_master_key)
        return pc_errinfo(why, PUSHERC_EAUTH, 0,
                          "the channel is encrypted, and the app has no encryption_master_key");
    int err = pc_encrypt(buf, channel, m->data, app->master_key, NULL);
    m->data = pc_buf_slice(buf);
    return err ? pc_errinfo(why, err, 0, "%s", pusherc_strerror(err)) : 0;
}

static int publish(struct pc_feed *f, const struct pc_app *app, pusherc_slice channel,
                   const struct pc_laravel_message *m, pusherc_errinfo *why)
{
    struct pc_engine *engine = &f->server->engine;
    struct pc_worker *worker = f->loop->worker;
    const struct pc_publication p = {.event = m->name,
                                     .channels = &channel,
                                     .channel_count = 1,
                                     .data = m->data,
                                     .except = m->except,
                                     .cacheable = true,
                                     .is_everywhere = true,
                                     .way = PC_WAY_LARAVEL_REDIS,
                                     .now_ms = worker->now_ms,
                                     .worker = worker};
    struct pusherc_incoming in = {.engine = NULL};
    int err = pc_publication_check(engine, app, &p, why);
    if (err)
        return err;
    if (pc_incoming_judge(&in, engine, app, PUSHERC_SOURCE_LARAVEL_REDIS, &p))
        err = pc_publish(engine, app, &in.publication);
    else
        err = pc_errinfo(why, PUSHERC_EAUTH, 0, "the host refused it%s%s", in.reason[0] ? ": " : "",
                         in.reason);
    pc_incoming_free(&in);
    return err && !why->text[0] ? pc_errinfo(why, err, 0, "%s", pusherc_strerror(err)) : err;
}

static int take(struct pc_feed *f, pusherc_slice channel, pusherc_slice text, pusherc_errinfo *why)
{
    struct pc_laravel_message message;
    struct pc_buf scratch, encrypted;
    char storage[4096];
    int err;
    struct pc_app *app = pc_server_app(f->server, f->of_server.app_id.ptr, &err);
    if (!app)
        return pc_errinfo(why, err, 0, "the app is not there any more");
    pc_buf_init_in(&scratch, &f->mem, SIZE_MAX, storage, sizeof storage);
    pc_buf_init(&encrypted, &f->mem, SIZE_MAX);
    err = pc_laravel_read_message(&message, text, &scratch);
    if (err)
        pc_errinfo(why, err, 0, "%s",
                   err == PUSHERC_EINVAL ? "it is no event as Laravel publishes it"
                                         : pusherc_strerror(err));
    err = err ? err : encrypt(app, channel, &message, &encrypted, why);
    err = err ? err : publish(f, app, channel, &message, why);
    pc_buf_free(&encrypted);
    pc_buf_free(&scratch);
    pc_app_unref(app);
    return err;
}

static void on_message(struct pc_feed *f, pusherc_slice topic, pusherc_slice text)
{
    pusherc_errinfo why = {0};
    struct pc_log_about rare = about(f);
    char shown[PC_REDIS_LINE];
    size_t i = 0;
    while (i < f->prefix_count && !pc_slice_starts(topic, f->prefixes[i]))
        i++;
    if (i == f->prefix_count)
        return; /* of a pattern that is not ours */
    if (take(f, pc_slice_skip(topic, f->prefixes[i].len), text, &why) == 0) {
        pc_stat_add(&f->of_server.taken, 1);
        return;
    }
    pc_stat_add(&f->of_server.ignored, 1);
    rare.topic = (unsigned)-why.code;
    pc_redis_line(shown, sizeof shown, pc_slice_first(topic, 100));
    PC_LOG(log_of(f), WARN, rare, "ignored a message on %s in Redis: %s", shown, why.text);
}

/* -- losing the connection -- */

static void on_timer(uv_timer_t *timer);

static void wait_ms(struct pc_feed *f, uint64_t ms)
{
    uv_timer_start(&f->timer, on_timer, ms, 0);
}

static void say(struct pc_feed *f, bool unfit, const char *why)
{
    const struct pc_broadcast_host *host = &f->url.hosts[f->host];
    if (strcmp(f->said, why) == 0)
        return;
    (void)snprintf(f->said, sizeof f->said, "%s", why);
    if (unfit)
        PC_LOG(log_of(f), ERROR, about(f), "Redis at %.*s:%u %s", (int)host->name.len,
               host->name.ptr, (unsigned)host->port, why);
    else
        PC_LOG(log_of(f), WARN, about(f), "Redis at %.*s:%u %s; tries again", (int)host->name.len,
               host->name.ptr, (unsigned)host->port, why);
}

static void close_conn(struct pc_feed *f)
{
    if (f->conn)
        pc_redis_conn_close(f->conn);
    f->conn = NULL;
    if (!f->closing)
        uv_timer_stop(&f->resume);
}

static void lose(struct pc_feed *f, bool unfit, const char *why)
{
    if (f->state == PAUSING)
        return;
    close_conn(f);
    if (f->state == OPEN) {
        f->was_open = true;
        f->said[0] = '\0';
        /* Trouble right after each start is no reason to hurry. */
        if (now_ms(f) - f->began_ms > LAST_PAUSE_MS)
            f->failures = 0;
    }
    say(f, unfit, why);
    if (f->state == CONNECTING)
        f->host = (f->host + 1) % f->url.host_count;
    set_state(f, PAUSING);
    f->failures++;
    wait_ms(f, unfit ? LAST_PAUSE_MS
                     : pc_backoff(&f->random, FIRST_PAUSE_MS, LAST_PAUSE_MS, f->failures));
}

/* -- talking -- */

static void send_words(struct pc_feed *f, const pusherc_slice *words, size_t count)
{
    struct pc_buf buf;
    pc_buf_init(&buf, &f->mem, SIZE_MAX);
    pc_redis_put_command(&buf, words, count);
    int err = pc_buf_status(&buf);
    err = err ? err : pc_redis_conn_write(f->conn, &buf);
    pc_buf_free(&buf);
    if (err)
        lose(f, false, "cannot be used: out of memory");
}

static void subscribed(struct pc_feed *f)
{
    const struct pc_broadcast_host *host = &f->url.hosts[f->host];
    char second[PC_FEED_MAX_PREFIX + 8] = "";
    if (++f->subscribed < f->prefix_count)
        return;
    set_state(f, OPEN);
    f->said[0] = '\0';
    if (f->prefix_count > 1)
        (void)snprintf(second, sizeof second, " and %.*s*", (int)f->prefixes[1].len,
                       f->prefixes[1].ptr);
    PC_LOG(log_of(f), INFO, about(f),
           "hears Laravel's events in Redis at %.*s:%u, channels %.*s*%s%s", (int)host->name.len,
           host->name.ptr, (unsigned)host->port, (int)f->prefixes[0].len,
           f->prefixes[0].len ? f->prefixes[0].ptr : "", second,
           f->was_open ? "; what was published since the connection was lost is missing" : "");
}

/* A turn that has taken long goes on reading in the next one. */
static void mind_time(struct pc_feed *f)
{
    if (!f->conn || !f->is_reading || uv_hrtime() - f->loop->turn_ns < TURN_NS)
        return;
    f->is_reading = false;
    pc_redis_conn_pause(f->conn);
    uv_timer_start(&f->resume, on_timer, 1, 0);
}

static bool is_word(const struct pc_redis_item *item, const char *word)
{
    return pc_slice_eq(item->text, pc_slice_of(word));
}

static bool on_reply(void *owner, struct pc_redis_conn *conn, const struct pc_redis_reply *reply)
{
    struct pc_feed *f = owner;
    char why[PC_REDIS_LINE + 128];
    (void)conn;
    pc_loop_enter(f->loop);
    f->heard_ms = now_ms(f);
    f->asked_ms = 0;
    if (reply->items[0].type == PC_REDIS_ERROR) {
        lose(f, pc_broker_judge(reply->items[0].text, why, sizeof why) == PC_BROKER_UNFIT, why);
        return true;
    }
    if (f->logins > 0) {
        f->logins--;
        return true;
    }
    if (reply->items[0].type != PC_REDIS_ARRAY || reply->count < 3)
        return false;
    if (is_word(&reply->items[1], "psubscribe"))
        subscribed(f);
    else if (is_word(&reply->items[1], "pmessage") && reply->count == 5)
        on_message(f, reply->items[3].text, reply->items[4].text);
    mind_time(f);
    return true;
}

/* -- connecting -- */

void pc_feed_put_pattern(struct pc_buf *buf, pusherc_slice prefix)
{
    for (size_t i = 0; i < prefix.len; i++) {
        if (strchr("*?[]\\^", prefix.ptr[i]))
            pc_buf_put_char(buf, '\\');
        pc_buf_put_char(buf, prefix.ptr[i]);
    }
    pc_buf_put_char(buf, '*');
}

static void on_opened(void *owner, struct pc_redis_conn *conn)
{
    struct pc_feed *f = owner;
    struct pc_buf buf, pattern;
    pc_loop_enter(f->loop);
    pc_buf_init(&buf, &f->mem, SIZE_MAX);
    pc_buf_init(&pattern, &f->mem, SIZE_MAX);
    int err = pc_redis_put_greeting(&buf, &f->url, &f->logins);
    for (size_t i = 0; i < f->prefix_count && err == 0; i++) {
        pc_buf_clear(&pattern);
        pc_feed_put_pattern(&pattern, f->prefixes[i]);
        const pusherc_slice words[] = {PC_S("PSUBSCRIBE"), pc_buf_slice(&pattern)};
        pc_redis_put_command(&buf, words, 2);
        err = pc_buf_status(&pattern);
    }
    err = err ? err : pc_buf_status(&buf);
    err = err ? err : pc_redis_conn_write(conn, &buf);
    pc_buf_free(&pattern);
    pc_buf_free(&buf);
    if (err)
        lose(f, false, "cannot be used: out of memory");
}

static void on_failed(void *owner, struct pc_redis_conn *conn, bool reached, const char *reason)
{
    struct pc_feed *f = owner;
    char why[PC_REDIS_LINE];
    (void)conn;
    pc_loop_enter(f->loop);
    f->conn = NULL; /* closes by itself */
    (void)snprintf(why, sizeof why, reached ? "is gone: %s" : "cannot be used: %s", reason);
    lose(f, false, why);
}

static void on_gone(void *owner)
{
    struct pc_feed *f = owner;
    pc_loop_enter(f->loop);
    f->open--;
}

static void connect_now(struct pc_feed *f)
{
    static const struct pc_redis_conn_ops ops = {
        .opened = on_opened, .replied = on_reply, .failed = on_failed, .gone = on_gone};
    const struct pc_redis_place place = pc_redis_place(&f->url, f->host, f->trust);
    set_state(f, CONNECTING);
    f->subscribed = 0;
    f->asked_ms = 0;
    f->heard_ms = now_ms(f);
    f->is_reading = true;
    if (pc_redis_conn_open(&f->conn, &f->mem, f->loop->uv, &place, MAX_MESSAGE, &ops, f)) {
        lose(f, false, "cannot be used: out of memory");
        return;
    }
    f->open++;
    wait_ms(f, f->timeout_ms / TICKS);
}

/* -- time -- */

/* A connection may seem sound and lead nowhere. While nothing is read nothing is known. */
static void watch(struct pc_feed *f)
{
    static const pusherc_slice ping = PUSHERC_LIT("PING");
    uint64_t now = now_ms(f);
    if (!f->is_reading)
        return;
    if (f->asked_ms && now - f->asked_ms >= f->timeout_ms) {
        lose(f, false, "does not answer");
    } else if (!f->asked_ms && now - f->heard_ms >= PROBE_MS) {
        f->asked_ms = now;
        send_words(f, &ping, 1);
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct pc_feed *f = timer->data;
    pc_loop_enter(f->loop);
    if (timer == &f->resume) {
        f->is_reading = true;
        if (f->conn && pc_redis_conn_resume(f->conn))
            lose(f, false, "cannot be read any more");
        return;
    }
    if (f->state == PAUSING) {
        connect_now(f);
        return;
    }
    if (f->state == OPEN)
        watch(f);
    else if (now_ms(f) - f->began_ms >= f->timeout_ms)
        lose(f, false, pc_redis_conn_silence(f->conn));
    if (f->state != PAUSING)
        wait_ms(f, f->timeout_ms / TICKS);
}

/* -- life -- */

static void on_timer_closed(uv_handle_t *handle)
{
    struct pc_feed *f = handle->data;
    pc_loop_enter(f->loop);
    f->open--;
}

static void close_all(struct pc_feed *f)
{
    f->closing = true;
    close_conn(f);
    uv_close(pc_handle(&f->timer), on_timer_closed);
    uv_close(pc_handle(&f->resume), on_timer_closed);
}

/* Called in each turn while the loop stops and has no connection left: clients get events until then. */
static bool ended(struct pc_companion *companion)
{
    struct pc_feed *f = PC_CONTAINER(companion, struct pc_feed, companion);
    if (!f->closing)
        close_all(f);
    return f->open == 0;
}

/* An application of this kind has no signatures for its pages. */
static void warn_of_auth(const struct pc_feed *f)
{
    if (!pc_rules_now(&f->server->engine.rules))
        PC_LOG(log_of(f), WARN, about(f),
               "Laravel's Redis broadcaster signs no subscriptions, so pages get public channels "
               "only: let rules ask its /broadcasting/auth (docs/laravel.md), or set "
               "BROADCAST_CONNECTION to pusher or reverb");
}

static int start(struct pc_server_feed *of_server)
{
    struct pc_feed *f = PC_CONTAINER(of_server, struct pc_feed, of_server);
    uv_timer_init(f->loop->uv, &f->timer); /* cannot fail */
    uv_timer_init(f->loop->uv, &f->resume);
    f->timer.data = f->resume.data = f;
    f->open = 2;
    f->companion = (struct pc_companion){.ended = ended};
    pc_list_init(&f->companion.of_loop);
    pc_loop_join(f->loop, &f->companion);
    warn_of_auth(f);
    wait_ms(f, 0); /* to connect on the loop's thread */
    return 0;
}

static void feed_free(struct pc_server_feed *of_server)
{
    struct pc_feed *f = PC_CONTAINER(of_server, struct pc_feed, of_server);
    struct pc_mem mem = f->mem;
    if (f->open > 0 && !f->closing) /* starting failed half-way: no other code runs the loop */
        close_all(f);
    while (f->open > 0)
        uv_run(f->loop->uv, UV_RUN_ONCE);
    if (f->companion.ended)
        pc_loop_leave(&f->companion);
    pc_broadcast_url_free(&f->url);
    pc_tls_trust_free(f->trust);
    pc_free(&mem, f->texts);
    pc_free(&mem, f);
}

static pusherc_slice put_text(char **to, pusherc_slice text)
{
    pusherc_slice copy = pc_slice(*to, text.len);
    if (text.len)
        memcpy(*to, text.ptr, text.len);
    (*to)[text.len] = '\0';
    *to += text.len + 1;
    return copy;
}

int pc_feed_new(pusherc_server *server, struct pc_broadcast_url *url,
                const struct pc_feed_options *options)
{
    size_t size = options->app_id.len + 1;
    uint64_t random = 0;
    int err = pc_random(&random, sizeof random);
    if (err)
        return err;
    struct pc_feed *f = pc_alloc_zero(&server->engine.mem, sizeof *f);
    if (!f)
        return PUSHERC_ENOMEM;
    f->of_server = (struct pc_server_feed){.start = start, .free = feed_free};
    f->server = server;
    f->loop = &server->loops[0];
    f->mem = server->engine.mem;
    f->timeout_ms = options->timeout_ms;
    f->random = random | 1;
    f->prefix_count = options->prefix_count;
    for (size_t i = 0; i < f->prefix_count; i++)
        size += options->prefixes[i].len + 1;
    f->texts = pc_alloc(&f->mem, size);
    if (!f->texts) {
        pc_free(&server->engine.mem, f);
        return PUSHERC_ENOMEM;
    }
    char *to = f->texts;
    f->of_server.app_id = put_text(&to, options->app_id);
    for (size_t i = 0; i < f->prefix_count; i++)
        f->prefixes[i] = put_text(&to, options->prefixes[i]);
    f->trust = options->trust;
    f->url = *url;
    *url = (struct pc_broadcast_url){.text = NULL}; /* it is the feed's now */
    f->url.db = 0;                                  /* channels belong to no database */
    pc_list_init(&f->of_server.of_server);
    pc_list_push_back(&server->feeds, &f->of_server.of_server);
    return 0;
}
