/*
 * A model of the events that endpoints receive, compared with webhook/queue.c. The input bytes become a run:
 * subscribers join, leave and return in the channels of three tenants, time passes, and endpoints accept or refuse.
 * The model has no batches, queues and retries. It knows only which events each endpoint must receive, in order.
 *
 * The names in each body are compared, so an event in another tenant's batch, in the wrong order, twice or missing
 * ends the process.
 */
#ifndef TESTS_WEBHOOK_MODEL_H
#define TESTS_WEBHOOK_MODEL_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pusherc/sign.h>

#include "channel/apps.h"
#include "codec/json.h"
#include "require.h"
#include "unit/failing_alloc.h"
#include "webhook/queue.h"

#define WM_APPS      3
#define WM_ENDPOINTS 3 /* of each app */
#define WM_CHANNELS  3 /* of each app */
#define WM_USERS     3
#define WM_TOLD      4096
#define WM_IN_FLIGHT 8
#define WM_DELAY_MS  3000

struct wm_event {
    uint32_t kind;
    int channel, user; /* -1 = none */
    uint64_t due_ms;   /* when a waiting one is due */
    bool silent;
};

struct wm_endpoint {
    uint32_t kinds;
    int channel; /* the only channel that it receives events of; -1 = all */
    struct wm_event told[WM_TOLD], waits[WM_TOLD];
    size_t told_count, waits_count, heard;
};

struct wm {
    struct failing_alloc alloc;
    struct pc_mem mem;
    struct pc_apps apps;
    struct pc_webhooks *hooks;
    struct pc_webhook_stats stats;
    struct pc_app *app[WM_APPS];
    struct wm_endpoint endpoints[WM_APPS][WM_ENDPOINTS];
    unsigned present[WM_APPS][WM_CHANNELS][WM_USERS]; /* subscriptions */
    struct pc_webhook_batch *in_flight[WM_IN_FLIGHT];
    uint64_t now_ms, noted;
};

static const struct {
    uint32_t kind;
    const char *name;
} wm_kinds[] = {
    {PUSHERC_WEBHOOK_CHANNEL_OCCUPIED, "channel_occupied"},
    {PUSHERC_WEBHOOK_CHANNEL_VACATED, "channel_vacated"},
    {PUSHERC_WEBHOOK_MEMBER_ADDED, "member_added"},
    {PUSHERC_WEBHOOK_MEMBER_REMOVED, "member_removed"},
    {PUSHERC_WEBHOOK_CLIENT_EVENT, "client_event"},
};

static const char *const wm_channels[WM_APPS][WM_CHANNELS] = {
    {"presence-a-0", "presence-a-1", "presence-a-2"},
    {"presence-b-0", "presence-b-1", "presence-b-2"},
    {"presence-c-0", "presence-c-1", "presence-c-2"},
};
static const char *const wm_suffixes[WM_CHANNELS] = {"-0", "-1", "-2"};
static const char *const wm_users[WM_USERS] = {"u0", "u1", "u2"};
static const char *const wm_ids[WM_APPS] = {"a", "b", "c"};
static const char *const wm_secrets[WM_APPS] = {"secret-a", "secret-b", "secret-c"};

/* -- the model -- */

static inline bool wm_is_removal(uint32_t kind)
{
    return kind == PUSHERC_WEBHOOK_CHANNEL_VACATED || kind == PUSHERC_WEBHOOK_MEMBER_REMOVED;
}

static inline void wm_tell(struct wm_endpoint *e, struct wm_event event)
{
    REQUIRE(e->told_count < WM_TOLD);
    if (!event.silent)
        e->told[e->told_count++] = event;
}

/* Sends the removals that have waited long enough, or all of them. */
static inline void wm_pass(struct wm_endpoint *e, uint64_t now_ms, bool all)
{
    size_t n = 0;
    while (n < e->waits_count && (all || e->waits[n].due_ms <= now_ms))
        wm_tell(e, e->waits[n++]);
    memmove(e->waits, e->waits + n, (e->waits_count - n) * sizeof e->waits[0]);
    e->waits_count -= n;
}

static inline void wm_expect(struct wm *m, struct wm_endpoint *e, struct wm_event event)
{
    uint32_t removal_of =
        event.kind == PUSHERC_WEBHOOK_CHANNEL_OCCUPIED ? PUSHERC_WEBHOOK_CHANNEL_VACATED
        : event.kind == PUSHERC_WEBHOOK_MEMBER_ADDED   ? PUSHERC_WEBHOOK_MEMBER_REMOVED
                                                       : 0;
    if (e->channel >= 0 && e->channel != event.channel)
        return;
    wm_pass(e, m->now_ms, false);
    for (size_t i = 0; i < e->waits_count; i++) {
        struct wm_event *w = &e->waits[i];
        if (w->kind == removal_of && w->channel == event.channel && w->user == event.user) {
            memmove(w, w + 1, (e->waits_count - i - 1) * sizeof *w);
            e->waits_count--;
            return;
        }
    }
    event.silent = !(e->kinds & event.kind);
    event.due_ms = m->now_ms + WM_DELAY_MS;
    if (wm_is_removal(event.kind)) {
        /* endpoints that receive only the other kind need it as well */
        if (pc_kinds_with_pairs(e->kinds) & event.kind)
            e->waits[e->waits_count++] = event;
    } else {
        wm_tell(e, event);
    }
}

/* -- both -- */

static inline void wm_note(struct wm *m, int app, uint32_t kind, int channel, int user)
{
    struct wm_event event = {.kind = kind, .channel = channel, .user = user};
    struct pc_notice notice = {.kind = kind,
                               .app = m->app[app],
                               .channel = pc_slice_of(wm_channels[app][channel]),
                               .user_id = pc_slice_of(user < 0 ? "" : wm_users[user])};
    for (int i = 0; i < WM_ENDPOINTS; i++)
        wm_expect(m, &m->endpoints[app][i], event);
    (void)pc_webhooks_note(m->hooks, &notice, m->now_ms);
}

static inline bool wm_occupied(const struct wm *m, int app, int channel)
{
    unsigned n = 0;
    for (int u = 0; u < WM_USERS; u++)
        n += m->present[app][channel][u];
    return n > 0;
}

static inline void wm_join(struct wm *m, int app, int channel, int user)
{
    if (!wm_occupied(m, app, channel))
        wm_note(m, app, PUSHERC_WEBHOOK_CHANNEL_OCCUPIED, channel, -1);
    if (m->present[app][channel][user]++ == 0)
        wm_note(m, app, PUSHERC_WEBHOOK_MEMBER_ADDED, channel, user);
}

static inline void wm_leave(struct wm *m, int app, int channel, int user)
{
    if (m->present[app][channel][user] == 0)
        return;
    if (--m->present[app][channel][user] == 0)
        wm_note(m, app, PUSHERC_WEBHOOK_MEMBER_REMOVED, channel, user);
    if (!wm_occupied(m, app, channel))
        wm_note(m, app, PUSHERC_WEBHOOK_CHANNEL_VACATED, channel, -1);
}

/* -- what is sent -- */

static inline bool wm_text_is(struct pc_json object, const char *name, const char *text)
{
    pusherc_slice raw = pc_json_get(object, pc_slice_of(name)).raw;
    return raw.len == strlen(text) + 2 && memcmp(raw.ptr + 1, text, raw.len - 2) == 0;
}

static inline void wm_hear_event(const struct wm_endpoint *e, int app, size_t n,
                                 struct pc_json event)
{
    const struct wm_event *expected = &e->told[n];
    const char *name = NULL;
    REQUIRE(n < e->told_count);
    for (size_t i = 0; i < sizeof wm_kinds / sizeof wm_kinds[0]; i++)
        if (wm_kinds[i].kind == expected->kind)
            name = wm_kinds[i].name;
    REQUIRE(name && wm_text_is(event, "name", name));
    REQUIRE(wm_text_is(event, "channel", wm_channels[app][expected->channel]));
    if (expected->user >= 0)
        REQUIRE(wm_text_is(event, "user_id", wm_users[expected->user]));
    else
        REQUIRE(pc_json_get(event, PC_S("user_id")).type == PC_JSON_NONE);
}

/* Requires that the batch has the next events of its endpoint. `heard`: the endpoint accepts it. */
static inline void wm_hear(struct wm *m, const struct pc_webhook_batch *batch, bool heard)
{
    int app = 0;
    while (!pc_slice_eq(batch->endpoints->app_id, pc_slice_of(wm_ids[app])))
        REQUIRE(++app < WM_APPS);
    size_t index = (size_t)(batch->endpoint->url[strlen(batch->endpoint->url) - 1] - '0');
    REQUIRE(index < WM_ENDPOINTS);
    struct wm_endpoint *e = &m->endpoints[app][index];
    wm_pass(e, m->now_ms, false);

    struct pc_json body = pc_json_parse(batch->body);
    REQUIRE(body.type == PC_JSON_OBJECT);
    size_t n = 0;
    struct pc_json_iter iter = pc_json_iter_of(pc_json_get(body, PC_S("events")));
    while (pc_json_next(&iter))
        wm_hear_event(e, app, e->heard + n++, iter.value);
    REQUIRE(n == batch->event_count && n >= 1 && n <= 4);
    if (batch->attempts > 0) {
        pusherc_credentials signer = {.struct_size = sizeof signer,
                                      .key = pc_slice_of(wm_ids[app]),
                                      .secret = pc_slice_of(wm_secrets[app])};
        REQUIRE(pusherc_verify_webhook(&signer, batch->body,
                                       pc_slice(batch->signature, PC_SHA256_HEX)) == 0);
    }
    if (heard)
        e->heard += n;
}

static inline void wm_take(struct wm *m)
{
    for (int i = 0; i < WM_IN_FLIGHT; i++) {
        if (m->in_flight[i])
            continue;
        struct pc_webhook_batch *batch = pc_webhooks_take(m->hooks, m->now_ms, 1700000000000);
        if (!batch)
            return;
        m->in_flight[i] = batch;
        for (int k = 0; k < WM_IN_FLIGHT; k++) /* one request at a time for each endpoint */
            REQUIRE(k == i || !m->in_flight[k] || m->in_flight[k]->queue != batch->queue);
        wm_hear(m, batch, false);
    }
}

static inline void wm_answer(struct wm *m, int which, bool accepted)
{
    struct pc_webhook_batch *batch = m->in_flight[which];
    if (!batch)
        return;
    m->in_flight[which] = NULL;
    if (accepted)
        wm_hear(m, batch, true);
    if (pc_webhooks_answer(m->hooks, batch, accepted, m->now_ms)) {
        wm_hear(m, batch, true); /* an abandoned batch counts as received: later events follow it */
        pc_webhook_batch_free(m->hooks, batch);
    }
}

/* -- a run -- */

static inline void wm_put(struct wm *m, int app, uint8_t choice)
{
    static const uint32_t kinds[] = {
        PUSHERC_WEBHOOK_ALL,
        PUSHERC_WEBHOOK_CHANNEL_OCCUPIED | PUSHERC_WEBHOOK_CLIENT_EVENT,
        PUSHERC_WEBHOOK_CHANNEL_VACATED,
        PUSHERC_WEBHOOK_MEMBER_ADDED,
        PUSHERC_WEBHOOK_MEMBER_REMOVED | PUSHERC_WEBHOOK_CHANNEL_OCCUPIED,
    };
    static const char *const urls[WM_ENDPOINTS] = {"http://x/0", "http://x/1", "http://x/2"};
    pusherc_webhook hooks[WM_ENDPOINTS];
    pusherc_app_options options = PUSHERC_APP_OPTIONS_INIT;
    options.id = options.key = wm_ids[app];
    options.secret = wm_secrets[app];
    options.webhooks = hooks;
    options.webhook_count = WM_ENDPOINTS;
    for (int i = 0; i < WM_ENDPOINTS; i++) {
        struct wm_endpoint *e = &m->endpoints[app][i];
        e->kinds = kinds[(size_t)(choice + i) % (sizeof kinds / sizeof kinds[0])];
        e->channel = (choice >> 4) % 4 == i ? i : -1;
        hooks[i] = (pusherc_webhook)PUSHERC_WEBHOOK_INIT;
        hooks[i].url = urls[i];
        hooks[i].events = e->kinds;
        hooks[i].channel_suffix = e->channel >= 0 ? wm_suffixes[e->channel] : NULL;
    }
    REQUIRE(pc_apps_put(&m->apps, &options, 1, NULL) == 0);
    m->app[app] = pc_apps_by_id(&m->apps, pc_slice_of(wm_ids[app]));
    REQUIRE(m->app[app]);
}

static inline void wm_step(struct wm *m, uint8_t op, uint8_t arg)
{
    int app = arg % WM_APPS, channel = arg / 3 % WM_CHANNELS, user = arg / 9 % WM_USERS;
    switch (op % 8) {
    case 0:
    case 1:
        wm_join(m, app, channel, user);
        break;
    case 2:
    case 3:
        wm_leave(m, app, channel, user);
        break;
    case 4:
        wm_note(m, app, PUSHERC_WEBHOOK_CLIENT_EVENT, channel, user);
        break;
    case 5:
        m->now_ms += (op & 8) ? (uint64_t)arg * 50 : arg;
        break;
    case 6:
        wm_take(m);
        break;
    default:
        wm_answer(m, arg % WM_IN_FLIGHT, arg & 64);
        break;
    }
}

/* At the end every event has been sent. */
static inline void wm_end(struct wm *m, bool stop)
{
    struct pc_webhook_batch *batch;
    for (int i = 0; i < WM_IN_FLIGHT; i++)
        wm_answer(m, i, true);
    if (stop) {
        pc_webhooks_stop(m->hooks, m->now_ms);
        for (int a = 0; a < WM_APPS; a++)
            for (int i = 0; i < WM_ENDPOINTS; i++)
                wm_pass(&m->endpoints[a][i], m->now_ms, true);
        while ((batch = pc_webhooks_take_rest(m->hooks, 1700000000000))) {
            wm_hear(m, batch, true);
            pc_webhook_batch_free(m->hooks, batch);
        }
    }
    for (int rounds = 0; !pc_webhooks_empty(m->hooks); rounds++) {
        uint64_t wait = pc_webhooks_next(m->hooks, m->now_ms);
        REQUIRE(wait != UINT64_MAX && rounds < 100000);
        m->now_ms += wait;
        wm_take(m);
        for (int i = 0; i < WM_IN_FLIGHT; i++)
            wm_answer(m, i, true);
    }
    uint64_t told = 0;
    for (int a = 0; a < WM_APPS; a++) {
        for (int i = 0; i < WM_ENDPOINTS; i++) {
            struct wm_endpoint *e = &m->endpoints[a][i];
            wm_pass(e, m->now_ms, false);
            REQUIRE(e->heard == e->told_count && e->waits_count == 0);
            told += e->told_count;
        }
    }
    REQUIRE(m->stats.delivered + m->stats.given_up == told);
    REQUIRE(m->stats.queued == 0 && m->stats.dropped == 0);
}

static inline void wm_run(const uint8_t *data, size_t size)
{
    static const uint64_t seed[4] = {1, 2, 3, 4};
    const struct pc_webhook_settings settings = {.batch_ms = 250,
                                                 .batch_events = 4,
                                                 .behind_events = UINT32_MAX,
                                                 .delay_ms = WM_DELAY_MS,
                                                 .retry_ms = 20000,
                                                 .max_queued = 100000,
                                                 .max_bytes = 1 << 30,
                                                 .max_under_way = 2 * WM_IN_FLIGHT};
    struct wm *m = calloc(1, sizeof *m);
    REQUIRE(m && pc_crypto_init() == 0);
    pusherc_allocator allocator = failing_alloc_init(&m->alloc, 0);
    m->mem = pc_mem_make(&allocator);
    m->now_ms = 1000000;
    pc_apps_init(&m->apps, &m->mem, seed, 1);
    m->apps.webhooks = true;
    REQUIRE(pc_webhooks_new(&m->hooks, &m->mem, &settings, &m->stats, seed, m->now_ms) == 0);
    for (int i = 0; i < WM_APPS; i++)
        wm_put(m, i, (size_t)i < size ? data[i] : 0);
    if (size > 2 * WM_TOLD / 4) /* each step makes at most two events for an endpoint */
        size = 2 * WM_TOLD / 4;
    for (size_t i = WM_APPS; i + 1 < size; i += 2)
        wm_step(m, data[i], data[i + 1]);
    wm_end(m, size && data[0] & 1);
    pc_webhooks_free(m->hooks);
    for (int i = 0; i < WM_APPS; i++)
        pc_app_unref(m->app[i]);
    pc_apps_free(&m->apps);
    REQUIRE(failing_alloc_live(&m->alloc) == 0);
    free(m);
}

#endif
