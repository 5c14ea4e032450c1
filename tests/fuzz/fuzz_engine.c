/*
 * Sessions, channels, presence and fan-out under random operations: clients come, talk, read at their own pace
 * and go; events are published; workers take parts of their turns in any order; time passes. Held against
 * engine_model.h after every operation: what each session writes is predicted byte by byte.
 */
#include <stdint.h>

#include "fuzz/engine_model.h"
#include "session/member.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX_NUMBER 4100 /* of events: each takes a byte of input or more */
#define RECEIPTS   "{x...} id=/0 shown=client-read"

struct input {
    const uint8_t *data;
    size_t size;
};

struct world {
    struct fx fx;
    struct model model;
    struct input in;
    uint64_t app_uid;
    unsigned number;            /* of the event published last */
    unsigned wakes[FX_WORKERS]; /* when that worker last ran its mail */
    bool online[M_USERS];       /* as on_user has told */
    uint64_t user_changes;
    bool user_events;
    bool expelled
        [M_USERS]; /* the user's session that has ended last since the last check: the host closed it */
    uint64_t counts[M_CHANNELS], sequences[M_CHANNELS]; /* as hooks were told */
    /* receipts by channel and number, a bit for each user, in rows by pusherc_receipt_kind: due, and told */
    uint8_t due[3][M_CHANNELS][MAX_NUMBER], told[3][M_CHANNELS][MAX_NUMBER];
    bool exists[M_CHANNELS][MAX_NUMBER];                     /* was published */
    bool shows;                                              /* pages say what they have shown */
    bool occupied[M_CHANNELS], present[M_CHANNELS][M_USERS]; /* as the observer was told */
};

static unsigned next(struct world *w, unsigned below)
{
    if (w->in.size == 0 || below <= 1)
        return 0;
    w->in.size--;
    return *w->in.data++ % below;
}

/* -- hooks -- */

static int channel_index(pusherc_slice name)
{
    int i = 0;
    while (i < M_CHANNELS && !pc_slice_eq(name, pc_slice_of(m_channels[i].name)))
        i++;
    REQUIRE(i < M_CHANNELS);
    return i;
}

static void on_channel(const pusherc_channel_event *event, void *user_data)
{
    struct world *w = user_data;
    int channel = channel_index(event->channel);
    /* several events of one change share its number */
    REQUIRE(event->sequence >= w->sequences[channel]);
    REQUIRE(m_channels[channel].kind != M_USER);
    w->sequences[channel] = event->sequence;
    w->counts[channel] = event->subscription_count;
}

static void on_user(const pusherc_user_event *event, void *user_data)
{
    struct world *w = user_data;
    int user = event->user_id.ptr[1] - '0';
    REQUIRE(event->sequence == ++w->user_changes);
    REQUIRE(w->online[user] != event->online);
    w->online[user] = event->online;
}

/* Each receipt is told once, and none that is not due. */
static void on_receipt(const pusherc_receipt *receipt, void *user_data)
{
    struct world *w = user_data;
    const int channel = channel_index(receipt->channel);
    const unsigned number = (unsigned)strtoul(receipt->id.ptr, NULL, 10);
    const uint8_t user = (uint8_t)(1u << (receipt->user_id.ptr[1] - '0'));
    uint8_t *told = &w->told[receipt->kind][channel][number];
    REQUIRE(w->due[receipt->kind][channel][number] & user);
    REQUIRE(!(*told & user));
    *told |= user;
}

static void due(struct world *w, pusherc_receipt_kind kind, int channel, unsigned number, int user)
{
    if (user >= 0)
        w->due[kind][channel][number] |= (uint8_t)(1u << user);
}

static bool is_told(const struct world *w, pusherc_receipt_kind kind, int channel, unsigned number)
{
    return w->told[kind][channel][number] == w->due[kind][channel][number];
}

/* What the observer hears of a channel makes sense in the order it hears it. */
static bool note(void *ctx, const struct pc_notice *notice)
{
    struct world *w = ctx;
    int channel = channel_index(notice->channel);
    int user = notice->user_id.len ? notice->user_id.ptr[1] - '0' : 0;
    bool *occupied = &w->occupied[channel], *present = &w->present[channel][user];
    REQUIRE(m_channels[channel].kind != M_USER);
    switch (notice->kind) {
    case PUSHERC_WEBHOOK_CHANNEL_OCCUPIED:
        REQUIRE(!*occupied);
        *occupied = true;
        break;
    case PUSHERC_WEBHOOK_CHANNEL_VACATED:
        REQUIRE(*occupied);
        for (int u = 0; u < M_USERS; u++)
            REQUIRE(!w->present[channel][u]);
        *occupied = false;
        break;
    case PUSHERC_WEBHOOK_MEMBER_ADDED:
        REQUIRE(*occupied && !*present);
        *present = true;
        break;
    case PUSHERC_WEBHOOK_MEMBER_REMOVED:
        REQUIRE(*occupied && *present);
        *present = false;
        break;
    default:
        REQUIRE(*occupied);
        break;
    }
    return true;
}

static void observer_wake(void *ctx)
{
    (void)ctx;
}

/* -- a client's view of presence, from what it reads -- */

static int number_after(const char *text, const char *key)
{
    const char *at = strstr(text, key);
    return at ? atoi(at + strlen(key)) : -1;
}

static void read_roster(struct m_view *view, const char *payload)
{
    *view = (struct m_view){.known = true, .missed = view->missed};
    for (int u = 0; u < M_USERS; u++) {
        char key[32];
        snprintf(key, sizeof key, "\\\"u%d\\\":{\\\"n\\\":", u);
        view->info[u] = number_after(payload, key);
        view->there[u] = view->info[u] >= 0;
    }
}

static void read_message(struct m_session *s, const char *payload)
{
    const char *name = strstr(payload, "\"channel\":\"presence-");
    if (!name)
        return;
    name += strlen("\"channel\":\"");
    int channel = channel_index(pc_slice(name, strcspn(name, "\"")));
    struct m_view *view = &s->views[channel];
    int user = number_after(payload, "\\\"user_id\\\":\\\"u");
    if (strstr(payload, "subscription_succeeded")) {
        if (m_find_joined(s, channel))
            read_roster(view, payload);
    } else if (strstr(payload, "member_added") && view->known && !view->missed) {
        REQUIRE(!view->there[user]); /* a user in the roster is not announced again */
        view->there[user] = true;
        view->info[user] = number_after(payload, "\\\"n\\\":");
    } else if (strstr(payload, "member_removed") && view->known && !view->missed) {
        REQUIRE(view->there[user]);
        view->there[user] = false;
    }
}

static void check_views(struct world *w)
{
    for (int i = 0; i < M_SESSIONS; i++) {
        struct m_session *s = &w->model.sessions[i];
        for (int c = 0; s->used && s->state == PC_SESSION_OPEN && c < M_CHANNELS; c++) {
            const struct m_view *view = &s->views[c];
            if (m_channels[c].kind != M_PRESENCE || !m_find_joined(s, c) || view->missed)
                continue;
            REQUIRE(view->known);
            for (int u = 0; u < M_USERS; u++) {
                const struct m_member *member = &w->model.members[c][u];
                REQUIRE(view->there[u] == m_is_member(member));
                REQUIRE(!view->there[u] || view->info[u] == member->info);
            }
        }
    }
}

/* -- writing -- */

/* At most `max` bytes reach the peer; they are what the model says. */
static void write_bytes(struct world *w, struct m_session *s, size_t max)
{
    struct iovec iov[4];
    struct m_frame last = {.user = -1}; /* that was written */
    while (max > 0 && s->client.q.count > 0) {
        size_t n = pc_outq_gather(&s->client.q, iov, 4), written = 0;
        REQUIRE(n > 0);
        for (size_t i = 0; i < n && written < max; i++) {
            size_t part = iov[i].iov_len < max - written ? iov[i].iov_len : max - written;
            REQUIRE(s->first && s->first->len - s->offset == iov[i].iov_len);
            REQUIRE(memcmp(s->first->bytes + s->offset, iov[i].iov_base, part) == 0);
            written += part;
            s->offset += part;
            s->bytes -= part;
            if (s->offset == s->first->len) {
                read_message(s, s->first->bytes + (s->first->len < 126 + 2 ? 2 : 4));
                last = *s->first;
                due(w, PUSHERC_RECEIPT_WRITTEN, last.channel, last.number, last.user);
                m_pop(s);
            }
        }
        pc_outq_wrote(&s->client.q, written);
        pc_outq_tell(&s->client.q);
        REQUIRE(last.user < 0 || is_told(w, PUSHERC_RECEIPT_WRITTEN, last.channel, last.number));
        max -= written;
    }
}

static void end_session(struct world *w, struct m_session *s)
{
    if (s->state != PC_SESSION_ENDED && s->user >= 0)
        w->expelled[s->user] = s->expelled;
    for (uint32_t i = 0; i < s->joined_count; i++)
        if (m_channels[s->joined[i].channel].kind == M_PRESENCE)
            w->expelled[s->joined[i].user] = s->expelled;
    m_end(&w->model, s);
}

/* As fx_flush(), with a peer that may be slow. */
static void flush_session(struct world *w, struct m_session *s, size_t max)
{
    if (s->state == PC_SESSION_CLOSING) {
        end_session(w, s);
        pc_session_end(&s->client.session);
    }
    write_bytes(w, s, max);
    if (s->state == PC_SESSION_OPEN && s->bytes > 0) {
        m_judge_soft(&w->model, s);
        pc_session_slow(&s->client.session);
    }
}

static void flush_worker(struct world *w, uint32_t index, size_t max)
{
    struct pc_list dirty;
    fx_take_marked(&w->fx.engine->workers[index], &dirty);
    while (!pc_list_empty(&dirty)) {
        struct pc_outq *q = PC_CONTAINER(dirty.next, struct pc_outq, dirty);
        pc_list_remove(&q->dirty);
        flush_session(w, PC_CONTAINER(q, struct m_session, client.q), max);
    }
}

static void run_mail(struct world *w, uint32_t index)
{
    struct pc_worker *worker = &w->fx.engine->workers[index];
    bool any = w->model.workers[index].mail_count > 0;
    w->wakes[index] = w->fx.wakes[index];
    m_run_mail(&w->model, index);
    REQUIRE(pc_mailbox_run(worker->mailbox, worker) == any);
}

/* -- after every operation -- */

static void check_session(struct m_session *s)
{
    const struct fx_client *client = &s->client;
    REQUIRE(client->session.state == s->state);
    REQUIRE(pc_outq_bytes(&client->q) == s->bytes && client->q.count == s->frames);
    REQUIRE(client->closed == s->close_code);
    REQUIRE(client->pings == s->pings);
    REQUIRE(client->session.subscription_count == s->joined_count);
    for (uint32_t i = 0; i < s->joined_count; i++) {
        const char *name = m_channels[s->joined[i].channel].name;
        const struct pc_subscription *sub =
            pc_session_subscription(&s->client.session, pc_slice_of(name));
        REQUIRE(sub && sub->local->targets[sub->index].subscription == sub);
    }
}

/* What a channel was told last is forgotten with the channel, which lives as long as frames of it do. */
static void forget_count(struct world *w, int channel)
{
    pusherc_slice name = pc_slice_of(m_channels[channel].name);
    struct pc_shard *shard = pc_directory_lock(&w->fx.engine->directory, w->app_uid, name);
    if (!pc_shard_find(shard, w->app_uid, name)) {
        REQUIRE(!w->model.counted[channel].timer.set && !w->model.absent_timers[channel].set);
        w->model.counted[channel] = (struct m_count){.told = 0};
    }
    pc_shard_unlock(shard);
}

static void check_users(struct world *w)
{
    for (int u = 0; w->user_events && u < M_USERS; u++) {
        m_judge_user(&w->model, u, w->expelled[u]);
        REQUIRE(w->online[u] == w->model.people[u].online);
        w->expelled[u] = false;
    }
}

static void check(struct world *w)
{
    check_users(w);
    struct model *m = &w->model;
    size_t queued[FX_WORKERS] = {0};
    uint64_t occupied = 0;
    for (int i = 0; i < M_SESSIONS; i++) {
        if (!m->sessions[i].used)
            continue;
        check_session(&m->sessions[i]);
        queued[m->sessions[i].worker] += m->sessions[i].bytes;
    }
    for (uint32_t i = 0; i < m->worker_count; i++) {
        const struct pc_worker *worker = &w->fx.engine->workers[i];
        REQUIRE(worker->queued_bytes == queued[i]);
        REQUIRE(worker->mailbox->count == m->workers[i].mail_count);
        REQUIRE(worker->mailbox->pins == 0);
        /* a worker with mail has been woken since it last looked */
        REQUIRE(m->workers[i].mail_count == 0 || w->fx.wakes[i] != w->wakes[i]);
    }
    for (int c = 0; c < M_CHANNELS; c++) {
        uint64_t count = m_subscriptions(m, c, UINT32_MAX);
        for (int u = 0; u < M_USERS; u++)
            count += m->members[c][u].absent > 0;
        occupied += count > 0;
        REQUIRE(m_channels[c].kind == M_USER || w->counts[c] == count);
        REQUIRE(m_channels[c].kind == M_USER || w->occupied[c] == (count > 0));
        for (int u = 0; u < M_USERS; u++)
            REQUIRE(w->present[c][u] == m_is_member(&m->members[c][u]));
        forget_count(w, c);
    }
    REQUIRE(pc_directory_occupied(&w->fx.engine->directory) == occupied);
    REQUIRE(w->fx.engine->unmatched == m->unmatched);
    REQUIRE(w->fx.engine->mailbox_refused == m->refused);
}

/* -- operations -- */

static void open_session(struct world *w, struct m_session *s)
{
    static const uint8_t protocols[] = {7, 5, 4, 6};
    uint32_t worker = next(w, w->model.worker_count);
    uint8_t protocol = protocols[next(w, 4)];
    REQUIRE(fx_try_connect(&w->fx, &s->client, worker, protocol) == 0);
    m_open(&w->model, s, worker, protocol);
}

static void remove_session(struct world *w, int index)
{
    struct m_session *s = &w->model.sessions[index];
    end_session(w, s);
    fx_disconnect(&s->client);
    m_remove(&w->model, index);
}

static void subscribe(struct world *w, struct m_session *s)
{
    int channel = (int)next(w, M_CHANNELS);
    unsigned how = next(w, 256);
    int user = (int)(how % M_USERS), info = (int)(how / M_USERS % 4);
    bool signature = how < 224;
    const char *name = m_channels[channel].name;
    char text[256];
    m_subscribe(&w->model, s, channel, user, info, signature);
    if (signature) {
        snprintf(text, sizeof text, "{\"user_id\":\"u%d\",\"user_info\":{\"n\":%d}}", user, info);
        fx_join(&s->client, name, m_channels[channel].kind == M_PRESENCE ? text : NULL);
    } else {
        snprintf(text, sizeof text,
                 "{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"%s\"}}", name);
        fx_say(&s->client, text);
    }
}

static void unsubscribe(struct world *w, struct m_session *s)
{
    int channel = (int)next(w, M_CHANNELS);
    m_unsubscribe(&w->model, s, channel);
    fx_unsubscribe(&s->client, m_channels[channel].name);
}

/* Its page says that it has shown an event, which may never have been. */
static void show(struct world *w, struct m_session *s, int channel, unsigned number)
{
    char text[128];
    if (m_shows(&w->model, s, channel) && w->exists[channel][number])
        due(w, PUSHERC_RECEIPT_SHOWN, channel, number, m_user_on(s, channel));
    snprintf(text, sizeof text,
             "{\"event\":\"client-read\",\"channel\":\"%s\",\"data\":{\"id\":%u}}",
             m_channels[channel].name, number);
    fx_say(&s->client, text);
    REQUIRE(is_told(w, PUSHERC_RECEIPT_SHOWN, channel, number));
}

static void client_event(struct world *w, int index)
{
    struct m_session *s = &w->model.sessions[index];
    int channel = (int)next(w, M_CHANNELS);
    char text[256];
    if (w->shows) {
        show(w, s, channel, next(w, w->number + 1));
        return;
    }
    m_client_event(&w->model, index, channel, ++w->number);
    snprintf(text, sizeof text, "{\"event\":\"client-e\",\"channel\":\"%s\",\"data\":%u}",
             m_channels[channel].name, w->number);
    fx_say(&s->client, text);
}

static void publish_as(struct world *w, struct pc_publication *p, int expected)
{
    struct pc_app *app = pc_apps_by_id(&w->fx.engine->apps, PC_S("app-id"));
    p->cacheable = true;
    p->now_ms = w->model.now_ms;
    REQUIRE(pc_publish(w->fx.engine, app, p) == expected);
    pc_app_unref(app);
}

static void publish(struct world *w)
{
    int channel = (int)next(w, M_CHANNELS);
    unsigned how = next(w, 256);
    int except =
        how < 64 && w->model.sessions[how % M_SESSIONS].used ? (int)(how % M_SESSIONS) : -1;
    size_t padding = how >= 192 ? 100 + how : 0; /* frames with longer headers, too */
    char data[512], text[M_MAX_TEXT];
    snprintf(data, sizeof data, "[%u,1%0*d]", ++w->number, (int)padding + 1, 0);
    snprintf(text, sizeof text, "{\"event\":\"e\",\"channel\":\"%s\",\"data\":\"%s\"}",
             m_channels[channel].name, data);
    w->exists[channel][w->number] = true;
    int expected = m_publish(&w->model, channel, except, text);
    pusherc_slice name = pc_slice_of(m_channels[channel].name);
    struct pc_publication p = {
        .event = PC_S("e"), .channels = &name, .channel_count = 1, .data = pc_slice_of(data)};
    if (except >= 0)
        p.except = w->model.sessions[except].client.q.owner;
    publish_as(w, &p, expected);
}

/* One event to several channels: served up to the first that cannot be. */
static void publish_to_many(struct world *w)
{
    pusherc_slice names[M_CHANNELS * 2];
    char text[M_MAX_TEXT];
    bool done[M_CHANNELS] = {false};
    size_t count = 1 + next(w, M_CHANNELS * 2);
    int expected = 0;
    char data[32];
    snprintf(data, sizeof data, "[%u]", ++w->number);
    for (size_t i = 0; i < count; i++) {
        int channel = (int)next(w, M_CHANNELS);
        names[i] = pc_slice_of(m_channels[channel].name);
        if (done[channel] || expected)
            continue;
        done[channel] = true;
        w->exists[channel][w->number] = true;
        snprintf(text, sizeof text, "{\"event\":\"m\",\"channel\":\"%s\",\"data\":\"%s\"}",
                 m_channels[channel].name, data);
        expected = m_publish(&w->model, channel, -1, text);
    }
    struct pc_publication p = {
        .event = PC_S("m"), .channels = names, .channel_count = count, .data = pc_slice_of(data)};
    publish_as(w, &p, expected);
}

static void talk(struct world *w, struct m_session *s)
{
    switch (next(w, 6)) {
    case 0:
        m_ping(&w->model, s);
        fx_say(&s->client, "{\"event\":\"pusher:ping\",\"data\":{}}");
        break;
    case 1:
        m_hears(&w->model, s);
        fx_say(&s->client, "{\"event\":\"pusher:pong\",\"data\":{}}");
        break;
    case 2:
        for (unsigned i = 0, times = 1 + next(w, 120); i < times; i++) {
            m_nonsense(&w->model, s);
            fx_say(&s->client, "{");
        }
        break;
    case 3: {
        int user = (int)next(w, M_USERS);
        char text[32];
        snprintf(text, sizeof text, "{\"id\":\"u%d\"}", user);
        m_sign_in(&w->model, s, user);
        fx_sign_in(&s->client, text);
        break;
    }
    case 4:
        if (s->state == PC_SESSION_OPEN)
            s->seen_ms = w->model.now_ms;
        if (s->client.session.state == PC_SESSION_OPEN)
            pc_session_seen(&s->client.session);
        break;
    case 5:
        if (next(w, 2)) /* as an order of the host does */
            s->expelled = s->client.session.expelled = true;
        m_close(s, 4200, "Server is closing, please reconnect");
        pc_session_close(&s->client.session, 4200, PC_S("Server is closing, please reconnect"));
        break;
    }
}

static void pass(struct world *w)
{
    static const uint64_t steps_ms[] = {1, 10, 100, 999, 1000, 5000, 29999, 30000, 30001, 60000};
    uint64_t ms = steps_ms[next(w, 10)];
    m_pass(&w->model, ms);
    fx_pass(&w->fx, ms);
}

static void operate(struct world *w)
{
    unsigned operation = next(w, 16);
    int index = (int)next(w, M_SESSIONS);
    struct m_session *s = &w->model.sessions[index];
    uint32_t worker = (uint32_t)index % w->model.worker_count;
    switch (operation) {
    case 0:
    case 1:
    case 2:
    case 3:
        if (s->used)
            subscribe(w, s);
        else
            open_session(w, s);
        break;
    case 4:
    case 5:
        if (s->used)
            unsubscribe(w, s);
        break;
    case 6:
        if (s->used)
            client_event(w, index);
        break;
    case 7:
        if (s->used)
            talk(w, s);
        break;
    case 8:
        if (s->used)
            remove_session(w, index);
        break;
    case 9:
    case 10:
        publish(w);
        break;
    case 11:
        publish_to_many(w);
        break;
    case 12:
        run_mail(w, worker);
        break;
    case 13:
        flush_worker(w, worker, next(w, 2) ? SIZE_MAX : next(w, 256));
        break;
    case 14:
        if (s->used)
            flush_session(w, s, 1 + 2 * (size_t)next(w, 256));
        break;
    case 15:
        pass(w);
        break;
    }
}

/* -- the whole -- */

static void settle(struct world *w)
{
    bool any = true;
    while (any) {
        any = false;
        for (uint32_t i = 0; i < w->model.worker_count; i++) {
            any |= w->model.workers[i].mail_count > 0;
            run_mail(w, i);
            any |= pc_worker_marked(&w->fx.engine->workers[i]);
            flush_worker(w, i, SIZE_MAX);
        }
    }
    for (int i = 0; i < M_SESSIONS; i++) {
        struct m_session *s = &w->model.sessions[i];
        if (s->used)
            flush_session(w, s, SIZE_MAX);
        REQUIRE(!s->used || (s->first == NULL && s->client.q.first == NULL));
    }
}

static void begin(struct world *w)
{
    struct model *m = &w->model;
    pusherc_hooks hooks = PUSHERC_HOOKS_INIT;
    pusherc_app_options app = fx_app();
    hooks.user_data = w;
    hooks.on_channel = on_channel;
    hooks.on_user = on_user;
    hooks.on_receipt = on_receipt;
    m->worker_count = 1 + next(w, FX_WORKERS);
    m->now_ms = FX_START_MS;
    m->limits = fx_limits();
    if (next(w, 3) == 0) {
        m->limits.out_soft_bytes = 500 + 5 * PC_FRAME_COST;
        m->limits.out_hard_bytes = 1500 + 15 * PC_FRAME_COST;
        m->limits.out_soft_ms = 5000;
    }
    m->mailbox_max = next(w, 3) == 0 ? 4 : 65536;
    m->drops = next(w, 2) == 0;
    app.slow_policy = m->drops ? PUSHERC_SLOW_DROP : PUSHERC_SLOW_CLOSE;
    app.activity_timeout_ms = M_ACTIVITY;
    app.max_channels_per_connection = M_MAX_JOINED;
    app.max_presence_members = M_MAX_MEMBERS;
    app.max_client_events_per_s = PUSHERC_NO_LIMIT;
    REQUIRE(fx_try_open(&w->fx, &m->limits, &hooks, m->worker_count, 0) == 0);
    for (uint32_t i = 0; i < m->worker_count; i++)
        w->fx.engine->workers[i].mailbox->max = m->mailbox_max;
    app.cache_ttl_s = M_CACHE_TTL_S;
    app.subscription_count_events = m->counts = next(w, 2) == 1;
    /* by the input's length, so that what is in the corpus does what it did */
    m->max_received = w->in.size % 4 == 1 ? 3 + (uint32_t)(w->in.size / 4 % 8) : 0;
    app.max_received_messages_per_s = m->max_received;
    w->shows = w->in.size % 5 == 2;
    app.receipts = RECEIPTS;
    app.user_events = w->user_events = w->in.size % 3 > 0;
    m->offline_ms = w->in.size % 3 == 1 ? 1000 : 0;
    app.offline_delay_ms = m->offline_ms ? m->offline_ms : PUSHERC_NO_DELAY;
    app.presence_grace_ms = m->grace_ms = next(w, 2) == 1 ? 1000 : 0;
    REQUIRE(fx_try_put(&w->fx, &app) == 0);
    w->fx.engine->observer = (struct pc_observer){note, observer_wake, w};
    struct pc_app *put = pc_apps_by_id(&w->fx.engine->apps, PC_S("app-id"));
    put->state->notices = PUSHERC_WEBHOOK_ALL;
    w->app_uid = put->state->uid;
    pc_app_unref(put);
}

static void end(struct world *w)
{
    settle(w);
    check(w);
    check_views(w);
    for (int i = 0; i < M_SESSIONS; i++)
        if (w->model.sessions[i].used)
            remove_session(w, i);
    check(w);
    m_pass(&w->model, 1000); /* no longer than members may be absent */
    fx_pass(&w->fx, 1000);
    check(w);
    /* mail holds its channels until the worker takes it out */
    settle(w);
    size_t left = 0; /* but the one that keeps an event */
    for (size_t i = 0; i < PC_SHARDS; i++)
        left += w->fx.engine->directory.shards[i].channels.count;
    REQUIRE(left == (w->model.kept[0] != '\0'));
    fx_close(&w->fx);
    REQUIRE(failing_alloc_live(&w->fx.alloc) == 0);
    m_free(&w->model);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct world world;
    world = (struct world){.in = {data, size < 4096 ? size : 4096}};
    begin(&world);
    while (world.in.size > 0) {
        operate(&world);
        check(&world);
    }
    end(&world);
    return 0;
}
