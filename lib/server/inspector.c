/*
 * Everything that an app or a client has chosen is bounded here: lists by the numbers in the header, texts by what names
 * may have. No payloads, secrets, tokens or user_info are written, and of a webhook's URL only its host.
 */
#include "server/inspector.h"

#include <stdlib.h>

#include <pusherc/auth.h>
#include <pusherc/cluster.h>
#include <pusherc/version.h>

#include "codec/json.h"
#include "inspect/happened.h"
#include "net/peer.h"
#include "server/metrics.h"
#include "session/listing.h"

#define SHOWN_KEY 4 /* bytes of an app's key */

/* -- JSON -- */

static void begin(struct pc_buf *out, const char *name, char bracket)
{
    if (out->len && !strchr("{[", out->ptr[out->len - 1]))
        pc_buf_put_char(out, ',');
    if (name) {
        pc_json_put_string(out, pc_slice_of(name));
        pc_buf_put_char(out, ':');
    }
    if (bracket)
        pc_buf_put_char(out, bracket);
}

static void put_number(struct pc_buf *out, const char *name, uint64_t number)
{
    begin(out, name, 0);
    pc_buf_put_u64(out, number);
}

static void put_flag(struct pc_buf *out, const char *name, bool flag)
{
    begin(out, name, 0);
    pc_buf_put(out, flag ? PC_S("true") : PC_S("false"));
}

/* What a stranger has sent need not be UTF-8: each wrong byte becomes a '?'. */
static void put_text(struct pc_buf *out, const char *name, pusherc_slice text)
{
    const char *end = text.len ? text.ptr + text.len : text.ptr;
    begin(out, name, '"');
    for (const char *p = text.ptr; p < end;) {
        size_t len = pc_utf8_sequence(p, end);
        pc_json_put_escaped(out, len ? pc_slice(p, len) : PC_S("?"));
        p += len ? len : 1;
    }
    pc_buf_put_char(out, '"');
}

static void put_socket_id(struct pc_buf *out, pusherc_socket_id id)
{
    char text[PUSHERC_SOCKET_ID_STRLEN];
    if (!id.a && !id.b)
        return;
    pusherc_socket_id_format(id, text);
    put_text(out, "socket_id", pc_slice_of(text));
}

/* -- apps -- */

static uint64_t sum_of(const struct pc_app *app, size_t offset)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i <= app->state->worker_count; i++) {
        const char *stats = (const char *)&app->state->stats[i];
        sum += pc_stat_get((const _Atomic uint64_t *)(const void *)(stats + offset));
    }
    return sum > INT64_MAX ? 0 : sum; /* workers are read one after the other */
}

static uint64_t sum_of_all(const _Atomic uint64_t *counters, size_t count)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += pc_stat_get(&counters[i]);
    return sum;
}

static void put_key(struct pc_buf *out, pusherc_slice key)
{
    char shown[SHOWN_KEY + 4];
    struct pc_buf text;
    pc_buf_init_in(&text, out->mem, sizeof shown, shown, sizeof shown);
    pc_buf_put(&text, pc_utf8_cut(key, key.len > 2 * SHOWN_KEY ? SHOWN_KEY : key.len / 2));
    pc_buf_put(&text, PC_S("\xe2\x80\xa6"));
    put_text(out, "key", pc_buf_slice(&text));
}

static void put_app(struct pc_buf *out, const struct pc_app *app)
{
    const struct pc_app_refusals *refusals = &app->state->refusals;
#define SUM(name) put_number(out, #name, sum_of(app, offsetof(struct pc_app_stats, name)))
    begin(out, NULL, '{');
    put_text(out, "id", app->id);
    put_key(out, app->key);
    put_flag(out, "client_events_enabled", app->options.client_events);
    put_flag(out, "disabled", app->options.disabled);
    SUM(connected);
    SUM(publishes);
    SUM(unmatched);
    SUM(client_events);
    SUM(client_events_refused);
    put_number(out, "denials", sum_of_all(refusals->denials, PC_DENIAL_COUNT));
    put_number(out, "refused_connections", sum_of_all(refusals->connects, PC_CONNECT_ERROR_COUNT));
    pc_buf_put_char(out, '}');
#undef SUM
}

static int by_id(const void *a, const void *b)
{
    const struct pc_app *x = *(struct pc_app *const *)a, *y = *(struct pc_app *const *)b;
    size_t len = x->id.len < y->id.len ? x->id.len : y->id.len;
    int order = memcmp(x->id.ptr, y->id.ptr, len);
    return order ? order : x->id.len < y->id.len ? -1 : x->id.len > y->id.len;
}

/* *chosen: the one that was asked for, or the first one; counted; NULL = there is none. */
static int put_apps(struct pc_buf *out, struct pc_apps *apps, pusherc_slice id,
                    struct pc_app **chosen)
{
    struct pc_app **items;
    size_t count;
    int err = pc_apps_list(apps, &items, &count);
    *chosen = NULL;
    if (err)
        return err;
    if (count)
        qsort(items, count, sizeof items[0], by_id);
    put_number(out, "app_count", count);
    begin(out, "apps", '[');
    for (size_t i = 0; i < count; i++) {
        if (i < PC_INSPECTOR_APPS)
            put_app(out, items[i]);
        if (!*chosen && (id.len == 0 || pc_slice_eq(items[i]->id, id)))
            *chosen = items[i];
        else
            pc_app_unref(items[i]);
    }
    pc_buf_put_char(out, ']');
    pc_free(out->mem, items);
    return 0;
}

/* -- channels -- */

struct listed {
    uint64_t subscriptions;
    size_t users, len;
    struct pc_channel_class class;
    char name[PC_ANY_CHANNEL_NAME_MAX];
};

/* Of all channels those with most subscriptions: a heap of places, the one with fewest on top, so that a walk over many
 * channels moves no names. */
struct channels {
    struct listed items[PC_INSPECTOR_CHANNELS];
    uint16_t heap[PC_INSPECTOR_CHANNELS];
    size_t count;
    uint64_t total;
};

static uint64_t weight(const struct channels *c, size_t at)
{
    return c->items[c->heap[at]].subscriptions;
}

static void swap(struct channels *c, size_t a, size_t b)
{
    uint16_t place = c->heap[a];
    c->heap[a] = c->heap[b];
    c->heap[b] = place;
}

static void rise(struct channels *c, size_t at)
{
    for (; at > 0 && weight(c, at) < weight(c, (at - 1) / 2); at = (at - 1) / 2)
        swap(c, at, (at - 1) / 2);
}

static void sink(struct channels *c)
{
    for (size_t at = 0, child; (child = 2 * at + 1) < c->count; at = child) {
        if (child + 1 < c->count && weight(c, child + 1) < weight(c, child))
            child++;
        if (weight(c, at) <= weight(c, child))
            return;
        swap(c, at, child);
    }
}

static void fill(struct listed *item, const struct pc_channel *channel)
{
    item->subscriptions = channel->subscriptions;
    item->users = pc_roster_count(&channel->roster);
    item->class = channel->class;
    item->len = channel->name.len < sizeof item->name ? channel->name.len : sizeof item->name;
    memcpy(item->name, channel->name.ptr, item->len);
}

/* Locked. */
static void see_channel(const struct pc_channel *channel, void *ctx)
{
    struct channels *c = ctx;
    if (channel->class.kind == PUSHERC_CHANNEL_USER)
        return;
    c->total++;
    if (c->count < PC_INSPECTOR_CHANNELS) {
        c->heap[c->count] = (uint16_t)c->count;
        fill(&c->items[c->count], channel);
        rise(c, c->count++);
    } else if (channel->subscriptions > weight(c, 0)) {
        fill(&c->items[c->heap[0]], channel);
        sink(c);
    }
}

static int most_first(const void *a, const void *b)
{
    const struct listed *x = a, *y = b;
    if (x->subscriptions != y->subscriptions)
        return x->subscriptions < y->subscriptions ? 1 : -1;
    size_t len = x->len < y->len ? x->len : y->len;
    int order = memcmp(x->name, y->name, len);
    return order ? order : x->len < y->len ? -1 : x->len > y->len;
}

static int put_channels(struct pc_buf *out, struct pc_engine *engine, const struct pc_app *app,
                        pusherc_slice prefix)
{
    struct channels *c = pc_alloc_zero(&engine->mem, sizeof *c);
    if (!c)
        return PUSHERC_ENOMEM;
    pc_directory_each(&engine->directory, app->state, prefix, see_channel, c);
    if (c->count)
        qsort(c->items, c->count, sizeof c->items[0], most_first);
    put_number(out, "channel_count", c->total);
    begin(out, "channels", '[');
    for (size_t i = 0; i < c->count; i++) {
        const struct listed *item = &c->items[i];
        begin(out, NULL, '{');
        put_text(out, "name", pc_slice(item->name, item->len));
        put_text(out, "kind", pc_slice_of(pc_kind_label(item->class.kind)));
        put_flag(out, "cache", item->class.cache);
        put_number(out, "subscriptions", item->subscriptions);
        put_number(out, "users", item->users);
        pc_buf_put_char(out, '}');
    }
    pc_buf_put_char(out, ']');
    pc_free(&engine->mem, c);
    return 0;
}

/* The ids of members; user_info is the application's.. */
static int put_members(struct pc_buf *out, struct pc_engine *engine, const struct pc_app *app,
                       pusherc_slice name)
{
    struct pc_buf ids;
    size_t users = 0, shown = 0;
    uint64_t subscriptions = 0;
    pc_buf_init(&ids, &engine->mem, SIZE_MAX);
    struct pc_shard *shard = pc_directory_lock(&engine->directory, app->state->uid, name);
    const struct pc_channel *channel = pc_shard_find(shard, app->state->uid, name);
    if (channel) {
        subscriptions = channel->subscriptions;
        users = pc_roster_count(&channel->roster);
        PC_LIST_EACH(l, &channel->roster.in_order) {
            const struct pc_roster_member *m = PC_CONTAINER(l, struct pc_roster_member, in_order);
            if (shown++ == PC_INSPECTOR_MEMBERS)
                break;
            if (ids.len)
                pc_buf_put_char(&ids, ',');
            pc_json_put_string(&ids, m->node.key);
        }
    }
    pc_shard_unlock(shard);
    begin(out, "channel", '{');
    put_text(out, "name", name);
    put_number(out, "subscriptions", subscriptions);
    put_number(out, "users", users);
    begin(out, "members", '[');
    pc_buf_put(out, pc_buf_slice(&ids));
    pc_buf_put(out, PC_S("]}"));
    int err = pc_buf_status(&ids);
    pc_buf_free(&ids);
    return err;
}

/* -- connections -- */

struct connections {
    struct pc_buf text;
    uint64_t total;
};

/* Locked. */
static void see_connection(const struct pc_session *s, void *ctx)
{
    struct connections *c = ctx;
    char ip[PC_ADDRESS_STRLEN];
    if (c->total++ >= PC_INSPECTOR_CONNECTIONS)
        return;
    pc_address_format(&s->address, ip);
    begin(&c->text, NULL, '{');
    put_socket_id(&c->text, s->q->owner);
    put_text(&c->text, "user_id", pc_identity_user_id(s->identity));
    put_text(&c->text, "signed_in_as", pc_identity_user_id(s->user));
    put_text(&c->text, "address", pc_slice_of(ip));
    pc_buf_put_char(&c->text, '}');
}

static int put_connections(struct pc_buf *out, struct pc_engine *engine, const struct pc_app *app)
{
    struct connections c = {.total = 0};
    pc_buf_init(&c.text, &engine->mem, SIZE_MAX);
    for (uint32_t i = 0; i < engine->worker_count; i++)
        pc_listing_each(&engine->workers[i], app->state->uid, see_connection, &c);
    put_number(out, "connection_count", c.total);
    begin(out, "connections", '[');
    pc_buf_put(out, pc_buf_slice(&c.text));
    pc_buf_put_char(out, ']');
    int err = pc_buf_status(&c.text);
    pc_buf_free(&c.text);
    return err;
}

/* -- what has happened -- */

static void put_happening(const struct pc_happening *what, void *ctx)
{
    static const char *const ways[] = {
#define WAY(name, word) [PC_WAY_##name] = word,
        PC_WAY_MAP(WAY)
#undef WAY
    };
    struct pc_buf *out = ctx;
    begin(out, NULL, '{');
    put_number(out, "number", what->number);
    put_number(out, "at_ms", what->unix_ms);
    put_text(out, "app", what->app_id);
    switch (what->kind) {
    case PC_HAPPENED_EVENT:
        put_text(out, "channel", what->channel);
        put_text(out, "event", what->name);
        put_text(out, "way", pc_slice_of(ways[what->way]));
        put_number(out, "bytes", what->count);
        put_flag(out, "matched", what->matched);
        break;
    case PC_HAPPENED_DENIAL:
        put_text(out, "channel", what->channel);
        put_text(out, "reason", what->name);
        put_text(out, "detail", what->detail);
        put_number(out, "status", what->status > 0 ? (uint64_t)what->status : 0);
        put_socket_id(out, what->socket_id);
        break;
    case PC_HAPPENED_NEAR_MISS:
        put_text(out, "channel", what->channel);
        put_text(out, "event", what->name);
        put_text(out, "similar", what->detail);
        break;
    case PC_HAPPENED_WEBHOOK:
        put_text(out, "host", what->name);
        put_text(out, "detail", what->detail);
        put_number(out, "status", what->status > 0 ? (uint64_t)what->status : 0);
        put_number(out, "attempts", what->attempts);
        put_number(out, "events", what->count);
        break;
    }
    pc_buf_put_char(out, '}');
}

static int put_latest(struct pc_buf *out, struct pc_engine *engine, const char *name,
                      enum pc_happened_kind kind)
{
    begin(out, name, '[');
    int err = pc_happened_latest(engine->happened, kind, put_happening, out);
    pc_buf_put_char(out, ']');
    return err;
}

/* -- webhooks, nodes, sums -- */

static void put_endpoints(struct pc_buf *out, const struct pc_app *app)
{
    struct pc_endpoints *endpoints = app ? pc_app_endpoints(app->state) : NULL;
    begin(out, "endpoints", '[');
    for (size_t i = 0; endpoints && i < endpoints->count && i < PC_INSPECTOR_APPS; i++)
        put_text(out, NULL, pc_url_host(pc_slice_of(endpoints->items[i].url)));
    pc_buf_put_char(out, ']');
    pc_endpoints_unref(endpoints);
}

static int put_webhooks(struct pc_buf *out, struct pc_engine *engine, const struct pc_app *app,
                        const pusherc_stats *stats)
{
    begin(out, "webhooks", '{');
    put_number(out, "requests", stats->webhook_requests_total);
    put_number(out, "failures", stats->webhook_failures_total);
    put_number(out, "delivered", stats->webhook_delivered_total);
    put_number(out, "dropped", stats->webhook_dropped_total);
    put_number(out, "given_up", stats->webhook_given_up_total);
    put_number(out, "queued", stats->webhook_queued);
    put_endpoints(out, app);
    int err = put_latest(out, engine, "failed", PC_HAPPENED_WEBHOOK);
    pc_buf_put_char(out, '}');
    return err;
}

static void put_nodes(struct pc_buf *out, pusherc_server *server)
{
    static const char *const states[] = {[PUSHERC_LINK_NONE] = "none",
                                         [PUSHERC_LINK_DOWN] = "down",
                                         [PUSHERC_LINK_ATTACHING] = "attaching",
                                         [PUSHERC_LINK_UP] = "up"};
    pusherc_cluster_info info = PUSHERC_CLUSTER_INFO_INIT;
    if (pusherc_server_cluster(server, &info))
        info.state = PUSHERC_LINK_NONE;
    begin(out, "nodes", '{');
    put_text(out, "link", pc_slice_of(states[info.state]));
    put_text(out, "id", pc_slice_of(info.node_id));
    put_number(out, "count", info.state == PUSHERC_LINK_NONE ? 1 : info.nodes);
    put_number(out, "dropped", info.dropped);
    put_flag(out, "unsettled", info.unsettled);
    pc_buf_put_char(out, '}');
}

static void put_totals(struct pc_buf *out, const struct pc_engine *engine,
                       const pusherc_stats *stats)
{
    begin(out, "totals", '{');
    put_number(out, "workers", engine->worker_count);
    put_number(out, "connections", stats->connections);
    put_number(out, "subscriptions", stats->subscriptions);
    put_number(out, "messages_in", stats->messages_in_total);
    put_number(out, "messages_out", stats->messages_out_total);
    put_number(out, "http_requests", stats->http_requests_total);
    put_number(out, "publishes", stats->publishes_total);
    put_number(out, "unmatched", stats->publishes_unmatched_total);
    put_number(out, "queued_bytes", stats->out_queued_bytes);
    put_number(out, "slow_closed", stats->slow_closed_total);
    put_number(out, "refused_without_app",
               sum_of_all(engine->unknown_app.connects, PC_CONNECT_ERROR_COUNT));
    pc_buf_put_char(out, '}');
}

int pc_server_write_state(void *ctx, const struct pc_inspector_query *query, struct pc_buf *out)
{
    pusherc_server *server = ctx;
    struct pc_engine *engine = &server->engine;
    pusherc_stats stats = PUSHERC_STATS_INIT;
    struct pc_app *app;
    pc_server_count(server, &stats);
    begin(out, NULL, '{');
    put_text(out, "version", pc_slice_of(PUSHERC_VERSION_STRING));
    put_number(out, "clock_ms", engine->workers[0].now_ms);
    put_totals(out, engine, &stats);
    put_nodes(out, server);
    int err = put_apps(out, &engine->apps, query->app_id, &app);
    if (err == 0 && app) {
        put_text(out, "app", app->id);
        err = put_channels(out, engine, app, query->prefix);
        err = err ? err : put_connections(out, engine, app);
        if (err == 0 && query->channel.len)
            err = put_members(out, engine, app, query->channel);
    }
    err = err ? err : put_webhooks(out, engine, app, &stats);
    err = err ? err : put_latest(out, engine, "events", PC_HAPPENED_EVENT);
    err = err ? err : put_latest(out, engine, "denials", PC_HAPPENED_DENIAL);
    err = err ? err : put_latest(out, engine, "near_misses", PC_HAPPENED_NEAR_MISS);
    pc_buf_put_char(out, '}');
    pc_app_unref(app);
    return err ? err : pc_buf_status(out);
}
