#include "webhook/sender.h"

#include <sys/socket.h>
#include <time.h>

#include <curl/curl.h>
#include <uv.h>

#include <pusherc/version.h>

#include "webhook/queue.h"

#define MAX_IN_FLIGHT    256   /* requests at a time: sockets are the host's, too */
#define MAX_IDLE         64    /* connections kept for the next request */
#define MAX_ANSWER_BYTES 65536 /* of head and body together; nothing in it is of interest */

struct pc_sender {
    struct pc_companion companion; /* of the loop */
    struct pc_loop *loop;
    struct pc_engine *engine;
    struct pc_webhooks *webhooks;
    char *ca_file; /* owned; NULL = the system's */
    CURLM *multi;  /* NULL until there is something to send */
    uint32_t in_flight;
    struct pc_list transfers;
    uv_async_t async;     /* something was noted */
    uv_timer_t due_timer; /* of `webhooks` */
    uv_timer_t curl_timer;
    uint32_t open_handles; /* these three and one for each socket */
    uint64_t stop_ms;      /* patience ends then; UINT64_MAX = no stop yet */
    struct pc_mail last;   /* says that no other loop of the server runs any more */
    bool alone;            /* it has been said */
    bool last_call;        /* the loop is empty, and what is left has got its last time limit */
    bool closing;
    bool multi_broken; /* libcurl could not be told of a socket: it is of no use any more */
};

/* One request. */
struct transfer {
    struct pc_list of_sender;
    struct pc_sender *sender;
    struct pc_webhook_batch *batch; /* borrowed until answered */
    CURL *easy;
    struct curl_slist *fields;
    size_t answer_bytes;
    char error[CURL_ERROR_SIZE];
};

struct socket_watch {
    uv_poll_t poll;
    struct pc_sender *sender;
    curl_socket_t fd;
};

static void run(struct pc_sender *s);

static uint64_t unix_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static uint64_t now_ms(const struct pc_sender *s)
{
    return uv_now(s->loop->uv);
}

/*
 * The observer.
 */

/* Any thread, a shard's lock held. */
static bool note(void *ctx, const struct pc_notice *notice)
{
    struct pc_sender *s = ctx;
    return pc_webhooks_note(s->webhooks, notice, uv_hrtime() / 1000000);
}

static void wake(void *ctx)
{
    struct pc_sender *s = ctx;
    uv_async_send(&s->async);
}

/*
 * libcurl asks for sockets to be watched and for a timer.
 */

static void on_poll_closed(uv_handle_t *handle)
{
    struct socket_watch *watch = handle->data;
    watch->sender->open_handles--;
    pc_free(&watch->sender->engine->mem, watch);
}

static void watch_close(struct socket_watch *watch)
{
    uv_close((uv_handle_t *)&watch->poll, on_poll_closed);
}

static void collect(struct pc_sender *s);

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct socket_watch *watch = poll->data;
    struct pc_sender *s = watch->sender;
    int running;
    /* Reading or writing tells better than libuv what is wrong. */
    int flags = status < 0 ? CURL_CSELECT_IN | CURL_CSELECT_OUT : 0;
    if (events & UV_READABLE)
        flags |= CURL_CSELECT_IN;
    if (events & UV_WRITABLE)
        flags |= CURL_CSELECT_OUT;
    pc_loop_enter(s->loop);
    curl_multi_socket_action(s->multi, watch->fd, flags, &running);
    collect(s);
    run(s);
}

static struct socket_watch *watch_new(struct pc_sender *s, curl_socket_t fd)
{
    struct socket_watch *watch = pc_alloc_zero(&s->engine->mem, sizeof *watch);
    if (!watch)
        return NULL;
    watch->sender = s;
    watch->fd = fd;
    watch->poll.data = watch;
    if (uv_poll_init_socket(s->loop->uv, &watch->poll, fd)) {
        pc_free(&s->engine->mem, watch);
        return NULL;
    }
    s->open_handles++;
    return watch;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *ctx, void *socket_ctx)
{
    struct pc_sender *s = ctx;
    struct socket_watch *watch = socket_ctx;
    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (watch)
            watch_close(watch);
        curl_multi_assign(s->multi, fd, NULL);
        return 0;
    }
    if (!watch)
        watch = watch_new(s, fd);
    int events = (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);
    if (!watch || uv_poll_start(&watch->poll, events, on_poll)) {
        s->multi_broken = true;
        return -1;
    }
    curl_multi_assign(s->multi, fd, watch);
    return 0;
}

static void on_curl_timer(uv_timer_t *timer)
{
    struct pc_sender *s = timer->data;
    int running;
    pc_loop_enter(s->loop);
    curl_multi_socket_action(s->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    collect(s);
    run(s);
}

static int on_timer_wish(CURLM *multi, long timeout_ms, void *ctx)
{
    struct pc_sender *s = ctx;
    (void)multi;
    if (timeout_ms < 0)
        uv_timer_stop(&s->curl_timer);
    else
        uv_timer_start(&s->curl_timer, on_curl_timer, (uint64_t)timeout_ms, 0);
    return 0;
}

/* The process is the host's: what it forks shall not inherit our sockets. */
static curl_socket_t open_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *address)
{
    (void)ctx;
    (void)purpose;
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/*
 * Requests.
 */

/* Set up when first needed: a server without webhooks does not pay for it. libcurl's global state is never given
 * back: other users of it in this process may rely on it. */
static bool open_multi(struct pc_sender *s)
{
    if (s->multi_broken && s->in_flight == 0) {
        curl_multi_cleanup(s->multi);
        s->multi = NULL;
        s->multi_broken = false;
    }
    if (s->multi)
        return !s->multi_broken;
    if (curl_global_init(CURL_GLOBAL_DEFAULT))
        return false;
    s->multi = curl_multi_init();
    if (!s->multi)
        return false;
    curl_multi_setopt(s->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(s->multi, CURLMOPT_SOCKETDATA, s);
    curl_multi_setopt(s->multi, CURLMOPT_TIMERFUNCTION, on_timer_wish);
    curl_multi_setopt(s->multi, CURLMOPT_TIMERDATA, s);
    curl_multi_setopt(s->multi, CURLMOPT_MAXCONNECTS, (long)MAX_IDLE);
    return true;
}

static size_t swallow(char *data, size_t size, size_t count, void *ctx)
{
    struct transfer *t = ctx;
    (void)data;
    t->answer_bytes += size * count;
    return t->answer_bytes > MAX_ANSWER_BYTES ? 0 : size * count; /* 0 ends the transfer */
}

static bool has_field(const struct pc_endpoint *endpoint, pusherc_slice name)
{
    for (size_t i = 0; i < endpoint->field_count; i++)
        if (pc_slice_eq_nocase(endpoint->fields[i].name, name))
            return true;
    return false;
}

static bool add_field(struct transfer *t, pusherc_slice name, pusherc_slice value)
{
    char stack[512];
    struct pc_buf line;
    pc_buf_init_in(&line, &t->sender->engine->mem, SIZE_MAX, stack, sizeof stack);
    pc_buf_put(&line, name);
    /* libcurl takes "Name:" as "leave that field out" and "Name;" as "send it empty". */
    pc_buf_put(&line, value.len ? PC_S(": ") : PC_S(";"));
    pc_buf_put(&line, value);
    pc_buf_put_char(&line, '\0');
    struct curl_slist *longer =
        pc_buf_status(&line) ? NULL : curl_slist_append(t->fields, line.ptr);
    pc_buf_free(&line);
    if (longer)
        t->fields = longer;
    return longer;
}

static bool add_fields(struct transfer *t)
{
    const struct pc_webhook_batch *batch = t->batch;
    const struct pc_endpoint *e = batch->endpoint;
    bool ok = add_field(t, PC_S("Content-Type"), PC_S("application/json")) &&
              add_field(t, PC_S("X-Pusher-Key"), batch->endpoints->app_key) &&
              add_field(t, PC_S("X-Pusher-Signature"),
                        pc_slice(batch->signature, sizeof batch->signature));
    if (ok && !has_field(e, PC_S("User-Agent")))
        ok = add_field(t, PC_S("User-Agent"), PC_S("libpusherc/" PUSHERC_VERSION_STRING));
    if (ok && !has_field(e, PC_S("Accept")))
        ok = add_field(t, PC_S("Accept"), PC_S("application/json"));
    for (size_t i = 0; ok && i < e->field_count; i++)
        ok = add_field(t, e->fields[i].name, e->fields[i].value);
    if (ok) { /* no waiting for "100 Continue" */
        struct curl_slist *longer = curl_slist_append(t->fields, "Expect:");
        ok = longer != NULL;
        t->fields = longer ? longer : t->fields;
    }
    return ok;
}

static bool set_options(struct transfer *t)
{
    const struct pc_sender *s = t->sender;
    const struct pc_webhook_batch *batch = t->batch;
    const char *ca = s->ca_file;
    CURL *h = t->easy;
#define SET(option, value) (curl_easy_setopt(h, CURLOPT_##option, value) == CURLE_OK)
    bool ok = SET(PRIVATE, t) && SET(ERRORBUFFER, t->error) && SET(URL, batch->endpoint->url) &&
              SET(PROTOCOLS_STR, "http,https") && SET(FOLLOWLOCATION, 0L) && SET(POST, 1L) &&
              SET(POSTFIELDSIZE_LARGE, (curl_off_t)batch->body.len) &&
              SET(POSTFIELDS, batch->body.ptr) && SET(HTTPHEADER, t->fields) &&
              SET(WRITEFUNCTION, swallow) && SET(WRITEDATA, t) && SET(HEADERFUNCTION, swallow) &&
              SET(HEADERDATA, t) && SET(TIMEOUT_MS, (long)s->engine->limits.webhook_timeout_ms);
    /* The process is the host's: no signals, no settings from the environment, no waiting for the resolver's thread. */
    ok = ok && SET(NOSIGNAL, 1L) && SET(PROXY, "") && SET(QUICK_EXIT, 1L) &&
         SET(OPENSOCKETFUNCTION, open_socket) && SET(HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    /* libcurl sends again at once, unasked, what a kept connection did not take. That is right for one that the peer
     * closed while it was idle, but not for an endpoint that has just failed. */
    ok = ok && SET(FRESH_CONNECT, batch->attempts > 1 ? 1L : 0L);
    return ok && (!ca || (SET(CAINFO, ca) && SET(CAPATH, NULL)));
#undef SET
}

static void transfer_free(struct transfer *t)
{
    curl_easy_cleanup(t->easy);
    curl_slist_free_all(t->fields);
    pc_list_remove(&t->of_sender);
    pc_free(&t->sender->engine->mem, t);
}

/* False: out of memory, or libcurl is of no use now. */
static bool begin(struct pc_sender *s, struct pc_webhook_batch *batch)
{
    if (!open_multi(s))
        return false;
    struct transfer *t = pc_alloc_zero(&s->engine->mem, sizeof *t);
    if (!t)
        return false;
    t->sender = s;
    t->batch = batch;
    t->easy = curl_easy_init();
    pc_list_push_back(&s->transfers, &t->of_sender);
    if (!t->easy || !add_fields(t) || !set_options(t) ||
        curl_multi_add_handle(s->multi, t->easy) != CURLM_OK) {
        transfer_free(t);
        return false;
    }
    s->in_flight++;
    return true;
}

/*
 * What became of them.
 */

/* Where it goes, without what may be secret in a URL: user, path and query. */
static pusherc_slice host_of(pusherc_slice url)
{
    pusherc_slice host = pc_slice_skip(url, pc_slice_find(url, ':') + 3);
    for (size_t i = 0; i < host.len; i++)
        if (memchr("/?#", host.ptr[i], 3))
            host.len = i;
    size_t at = 0;
    for (size_t i = 0; i < host.len; i++)
        if (host.ptr[i] == '@')
            at = i + 1;
    return pc_slice_skip(host, at);
}

static void give_up(struct pc_sender *s, struct pc_webhook_batch *batch)
{
    const pusherc_hooks *hooks = &s->engine->hooks;
    pusherc_slice url = pc_slice_of(batch->endpoint->url), host = host_of(url);
    pusherc_webhook_failure failure = {
        .struct_size = sizeof failure,
        .app_id = batch->endpoints->app_id,
        .url = url,
        .body = batch->body,
        .event_count = batch->event_count,
        .attempts = batch->attempts,
        .last_status = batch->status,
        .reason = pc_slice_of(batch->attempts ? batch->reason : "the server was stopped"),
    };
    PC_LOG(&s->engine->log, WARN,
           ((struct pc_log_about){.subject = "webhook", .app_id = failure.app_id}),
           "gave up %u events for %.*s after %u attempts: %.*s", batch->event_count, (int)host.len,
           host.ptr, batch->attempts, (int)failure.reason.len, failure.reason.ptr);
    if (hooks->on_webhook_failed)
        hooks->on_webhook_failed(&failure, hooks->user_data);
    pc_webhook_batch_free(s->webhooks, batch);
}

static void say_failed(struct pc_sender *s, const struct pc_webhook_batch *batch)
{
    pusherc_slice host = host_of(pc_slice_of(batch->endpoint->url));
    struct pc_log_about about = {.subject = "webhook", .app_id = batch->endpoints->app_id};
    if (batch->attempts == 1)
        PC_LOG(&s->engine->log, WARN, about, "%.*s did not accept %u events: %s", (int)host.len,
               host.ptr, batch->event_count, batch->reason);
    else
        PC_LOG(&s->engine->log, DEBUG, about, "%.*s did not accept %u events, attempt %u: %s",
               (int)host.len, host.ptr, batch->event_count, batch->attempts, batch->reason);
}

static void answer(struct pc_sender *s, struct pc_webhook_batch *batch, bool accepted)
{
    if (!accepted)
        say_failed(s, batch);
    if (pc_webhooks_answer(s->webhooks, batch, accepted, now_ms(s)))
        give_up(s, batch);
}

static void set_reason(struct pc_webhook_batch *batch, const char *text)
{
    pusherc_slice cut = pc_utf8_cut(pc_slice_of(text), sizeof batch->reason - 1);
    memcpy(batch->reason, cut.ptr, cut.len);
    batch->reason[cut.len] = '\0';
}

/* Its handle is not with libcurl any more. A status of 2xx counts, whatever becomes of the rest of the answer. */
static void finish(struct transfer *t, CURLcode result)
{
    struct pc_sender *s = t->sender;
    struct pc_webhook_batch *batch = t->batch;
    long status = 0;
    curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    bool accepted = status >= 200 && status <= 299;
    batch->status = (uint16_t)status;
    if (!accepted && status >= 200) {
        char text[32];
        (void)snprintf(text, sizeof text, "answered %ld", status);
        set_reason(batch, text);
    } else if (!accepted) {
        set_reason(batch, *t->error ? t->error : curl_easy_strerror(result));
    }
    s->in_flight--;
    transfer_free(t);
    answer(s, batch, accepted);
}

/* Takes what has ended from libcurl. */
static void collect(struct pc_sender *s)
{
    CURLMsg *message;
    int left;
    while (s->multi && (message = curl_multi_info_read(s->multi, &left))) {
        CURL *easy = message->easy_handle;
        CURLcode result = message->data.result; /* the message dies with the next call */
        struct transfer *t = NULL;
        if (message->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&t);
        curl_multi_remove_handle(s->multi, easy);
        finish(t, result);
    }
}

/*
 * Turns.
 */

static void on_due(uv_timer_t *timer)
{
    struct pc_sender *s = timer->data;
    pc_loop_enter(s->loop);
    run(s);
}

static void on_async(uv_async_t *async)
{
    struct pc_sender *s = async->data;
    pc_loop_enter(s->loop);
    run(s);
}

/* Sends what is due and sets the timer for what is not. */
static void run(struct pc_sender *s)
{
    struct pc_webhook_batch *batch;
    if (s->closing)
        return;
    while (s->in_flight < MAX_IN_FLIGHT &&
           (batch = pc_webhooks_take(s->webhooks, now_ms(s), unix_ms()))) {
        if (begin(s, batch))
            continue;
        batch->status = 0;
        set_reason(batch, "out of memory");
        answer(s, batch, false);
    }
    /* With all places taken the next that becomes free leads here again. */
    uint64_t wait =
        s->in_flight < MAX_IN_FLIGHT ? pc_webhooks_next(s->webhooks, now_ms(s)) : UINT64_MAX;
    if (s->last_call) {
        uint64_t patience = s->stop_ms > now_ms(s) ? s->stop_ms - now_ms(s) : 0;
        wait = patience < wait ? patience : wait;
    }
    if (wait == UINT64_MAX)
        uv_timer_stop(&s->due_timer);
    else /* not 0: libuv would call back again and again without a turn in between */
        uv_timer_start(&s->due_timer, on_due, wait ? wait : 1, 0);
}

/*
 * Life.
 */

/* One that would block the loop while it looks up a name, or that must be set up while there is one thread only, is
 * not for us. */
static bool curl_is_fit(void)
{
    const curl_version_info_data *version = curl_version_info(CURLVERSION_NOW);
    int wanted = CURL_VERSION_ASYNCHDNS | CURL_VERSION_THREADSAFE;
    return (version->features & wanted) == wanted;
}

static void stop(struct pc_companion *companion, uint64_t grace_ms);
static bool ended(struct pc_companion *companion);

int pc_sender_new(struct pc_sender **out, struct pc_loop *loop, const char *ca_file)
{
    struct pc_engine *engine = loop->engine;
    const struct pc_limits *l = &engine->limits;
    const struct pc_webhook_settings settings = {
        .batch_ms = l->webhook_batch_ms,
        .batch_events = l->webhook_batch_events,
        .delay_ms = l->webhook_delay_ms,
        .retry_ms = l->webhook_retry_ms,
        .max_queued = l->webhook_max_queued,
    };
    uint64_t seed[4];
    *out = NULL;
    if (!curl_is_fit()) {
        PC_LOG(
            &engine->log, WARN, ((struct pc_log_about){.subject = "webhook"}),
            "there are no webhooks: this libcurl is not thread-safe, or blocks to resolve names");
        return 0;
    }
    int rc = pc_random(seed, sizeof seed);
    if (rc)
        return rc;
    struct pc_sender *s = pc_alloc_zero(&engine->mem, sizeof *s);
    if (!s)
        return PUSHERC_ENOMEM;
    s->companion = (struct pc_companion){.stop = stop, .ended = ended};
    pc_list_init(&s->companion.of_loop);
    s->loop = loop;
    s->engine = engine;
    s->stop_ms = UINT64_MAX;
    pc_list_init(&s->transfers);
    rc = pc_webhooks_new(&s->webhooks, &engine->mem, &settings, &engine->webhooks, seed,
                         uv_hrtime() / 1000000);
    pc_wipe(seed, sizeof seed);
    if (rc == 0 && ca_file) {
        s->ca_file = pc_dup(&engine->mem, pc_slice_of(ca_file));
        rc = s->ca_file ? 0 : PUSHERC_ENOMEM;
    }
    if (rc) {
        pc_sender_free(s);
        return rc;
    }
    engine->observer = (struct pc_observer){note, wake, s};
    engine->apps.webhooks = true;
    *out = s;
    return 0;
}

int pc_sender_start(struct pc_sender *s, bool alone, int *sys)
{
    *sys = 0;
    if (!s)
        return 0;
    *sys = uv_async_init(s->loop->uv, &s->async, on_async);
    if (*sys)
        return PUSHERC_EIO;
    uv_timer_init(s->loop->uv, &s->due_timer); /* these two cannot fail */
    uv_timer_init(s->loop->uv, &s->curl_timer);
    s->async.data = s->due_timer.data = s->curl_timer.data = s;
    s->open_handles = 3;
    pc_loop_join(s->loop, &s->companion);
    s->alone = alone;
    return 0;
}

/* Everything gets one more attempt, at once. */
static void stop(struct pc_companion *companion, uint64_t grace_ms)
{
    struct pc_sender *s = PC_CONTAINER(companion, struct pc_sender, companion);
    if (s->closing)
        return;
    uint64_t stop_ms = now_ms(s) + grace_ms + s->engine->limits.close_timeout_ms;
    if (stop_ms < s->stop_ms)
        s->stop_ms = stop_ms;
    pc_webhooks_stop(s->webhooks, now_ms(s));
    run(s);
}

/* The turn that has brought it goes on to ended(). */
static void on_last(struct pc_mail *mail, struct pc_worker *worker)
{
    (void)worker;
    PC_CONTAINER(mail, struct pc_sender, last)->alone = true;
}

/* By mail: `async` could be closed between what is seen of a flag and the wake-up. */
void pc_sender_last(struct pc_sender *s)
{
    if (!s)
        return;
    s->last.run = on_last;
    if (pc_mailbox_send(s->loop->worker->mailbox, &s->last, PC_MAIL_CONTROL))
        on_last(&s->last, NULL); /* the loop has ended, which it does not before this */
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct pc_sender *s = handle->data;
    s->open_handles--;
}

/* Requests under way are cut off; what they carry goes the way of the rest. */
static void close_all(struct pc_sender *s)
{
    struct pc_webhook_batch *batch;
    s->closing = true;
    while (!pc_list_empty(&s->transfers)) {
        struct transfer *t = PC_CONTAINER(s->transfers.next, struct transfer, of_sender);
        curl_multi_remove_handle(s->multi, t->easy);
        set_reason(t->batch, "the server was stopped");
        finish(t, CURLE_ABORTED_BY_CALLBACK);
    }
    while ((batch = pc_webhooks_take_rest(s->webhooks, unix_ms())))
        give_up(s, batch);
    if (s->multi)
        curl_multi_cleanup(s->multi);
    s->multi = NULL;
    uv_close((uv_handle_t *)&s->async, on_handle_closed);
    uv_close((uv_handle_t *)&s->due_timer, on_handle_closed);
    uv_close((uv_handle_t *)&s->curl_timer, on_handle_closed);
}

/* The loop is stopping and has no connection any more; asked in each turn. */
static bool ended(struct pc_companion *companion)
{
    struct pc_sender *s = PC_CONTAINER(companion, struct pc_sender, companion);
    if (s->closing)
        return s->open_handles == 0;
    if (!s->alone)
        return false;
    if (!s->last_call) {
        /* The last clients may have been cut off when patience ended: what that made gets its attempt, too. */
        uint64_t least_ms = now_ms(s) + s->engine->limits.close_timeout_ms;
        s->last_call = true;
        s->stop_ms = s->stop_ms > least_ms ? s->stop_ms : least_ms;
        run(s);
    }
    if (!pc_webhooks_empty(s->webhooks) && now_ms(s) < s->stop_ms)
        return false;
    close_all(s);
    return false;
}

void pc_sender_free(struct pc_sender *s)
{
    if (!s)
        return;
    struct pc_mem mem = s->engine->mem;
    if (s->open_handles > 0) { /* the loop was not started whole, so nobody else runs it */
        close_all(s);
        while (s->open_handles > 0)
            uv_run(s->loop->uv, UV_RUN_ONCE);
    }
    pc_loop_leave(&s->companion);
    pc_webhooks_free(s->webhooks);
    pc_free(&mem, s->ca_file);
    pc_free(&mem, s);
}
