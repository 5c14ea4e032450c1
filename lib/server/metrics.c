/*
 * The metrics, in text format 0.0.4 of Prometheus or in the JSON form of prom-client. docs/metrics.md describes each
 * family; a test compares that page with the output.
 */
#include "server/metrics_text.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/process.h"
#include "cluster/node.h"

/* -- per app -- */

struct app_family {
    const char *name;
    enum pc_metric_type type;
    size_t offset; /* in struct pc_app_stats */
    const char *help;
};

#define AT(member) offsetof(struct pc_app_stats, member)

/* clang-format off */
static const struct app_family app_families[] = {
    /* names of soketi, some of them without the usual _total */
    {"connected", PC_GAUGE, AT(connected), "Clients that are connected now."},
    {"new_connections_total", PC_COUNTER, AT(connections), "Clients that were established."},
    {"new_disconnections_total", PC_COUNTER, AT(disconnections), "Established clients that have gone."},
    {"socket_received_bytes", PC_COUNTER, AT(bytes_in), "Bytes of WebSocket messages from clients."},
    {"socket_transmitted_bytes", PC_COUNTER, AT(bytes_out), "Bytes of WebSocket messages to clients."},
    {"ws_messages_received_total", PC_COUNTER, AT(messages_in), "WebSocket messages from clients."},
    {"ws_messages_sent_total", PC_COUNTER, AT(messages_out), "WebSocket messages to clients."},
    {"http_received_bytes", PC_COUNTER, AT(http_bytes_in), "Bytes of request bodies of the HTTP API."},
    {"http_transmitted_bytes", PC_COUNTER, AT(http_bytes_out), "Bytes of answer bodies of the HTTP API."},
    {"http_calls_received_total", PC_COUNTER, AT(http_calls), "Requests of the HTTP API."},
    /* names of this library */
    {"publishes_total", PC_COUNTER, AT(publishes), "Events published, counted once for each channel."},
    {"publishes_unmatched_total", PC_COUNTER, AT(unmatched), "Of those, the ones to channels without a subscriber."},
    {"events_refused_total", PC_COUNTER, AT(incoming_refused), "Events from outside that the host refused (on_publish)."},
    {"events_changed_total", PC_COUNTER, AT(incoming_changed), "Events from outside that the host changed (on_publish)."},
    {"client_events_total", PC_COUNTER, AT(client_events), "Client events taken."},
    {"client_events_refused_total", PC_COUNTER, AT(client_events_refused), "Client events refused, for whatever reason."},
    {"slow_closed_total", PC_COUNTER, AT(slow_closed), "Clients closed because they did not keep up."},
    {"slow_dropped_total", PC_COUNTER, AT(slow_dropped), "Messages skipped for clients that did not keep up."},
};
/* clang-format on */

#define NAME(kind, name, min, max, fallback, words, meaning) #name,
static const char *const limit_names[] = {PUSHERC_APP_SETTING_MAP(NAME)};

static const char *const rate_names[PC_RATE_COUNT] = {"client_events", "backend_events",
                                                      "read_requests"};

static const char *const denial_names[PC_DENIAL_COUNT] = {
#define LABEL(name, value, label, type, text) [PUSHERC_DENIED_##name] = label,
    PUSHERC_DENIAL_MAP(LABEL)
#undef LABEL
};

static const char *const connect_names[PC_CONNECT_ERROR_COUNT] = {
#define LABEL(name, label) label,
    PC_CONNECT_ERROR_MAP(LABEL)
#undef LABEL
};

struct apps {
    struct pc_app **items; /* owned, each counted */
    size_t count;
};

static uint64_t sum_of(const struct pc_app *app, size_t offset)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i <= app->state->worker_count; i++) {
        const char *stats = (const char *)&app->state->stats[i];
        sum += pc_stat_get((const _Atomic uint64_t *)(const void *)(stats + offset));
    }
    /* Workers are read one after the other, so a gauge may miss an addition and see its removal: never below zero. */
    return sum > INT64_MAX ? 0 : sum;
}

/* Writes a sample with the labels app_id and port, as soketi does on all metrics, and the family's own label. */
static void put_app_sample(struct pc_metrics *out, pusherc_slice app_id, const char *label,
                           const char *value, uint64_t number)
{
    const struct pc_label labels[PC_METRICS_MAX_LABELS] = {
        {.name = "app_id", .value = app_id},
        {.name = "port", .value = pc_slice_of(out->port)},
        {.name = label, .value = pc_slice_of(value)},
    };
    pc_metrics_put_sample(out, "", labels, label ? 3 : 2, number, 0);
}

static void put_app_families(struct pc_metrics *out, const struct apps *apps)
{
    for (size_t f = 0; f < sizeof app_families / sizeof app_families[0]; f++) {
        const struct app_family *family = &app_families[f];
        pc_metrics_begin_family(out, family->name, family->type, family->help);
        for (size_t i = 0; i < apps->count; i++)
            put_app_sample(out, apps->items[i]->id, NULL, NULL,
                           sum_of(apps->items[i], family->offset));
        pc_metrics_end_family(out);
    }
}

/* Writes a sample for each kind of channel that the app has had. */
static void put_kinds(struct pc_metrics *out, const struct apps *apps, const char *name,
                      enum pc_metric_type type, size_t offset, const char *help)
{
    pc_metrics_begin_family(out, name, type, help);
    for (size_t i = 0; i < apps->count; i++) {
        const struct pc_app *app = apps->items[i];
        for (size_t k = 0; k < PC_KIND_COUNT; k++)
            if (sum_of(app, AT(subscribed[0]) + k * sizeof(uint64_t)))
                put_app_sample(out, app->id, "channel_type", pc_kind_label((pusherc_channel_kind)k),
                               sum_of(app, offset + k * sizeof(uint64_t)));
    }
    pc_metrics_end_family(out);
}

static void put_subscriptions(struct pc_metrics *out, const struct apps *apps)
{
    pc_metrics_begin_family(out, "subscriptions", PC_GAUGE, "Subscriptions there are now.");
    for (size_t i = 0; i < apps->count; i++) {
        const struct pc_app *app = apps->items[i];
        uint64_t now = 0;
        for (size_t k = 0; k < PC_KIND_COUNT; k++) {
            uint64_t gone = sum_of(app, AT(unsubscribed[0]) + k * sizeof(uint64_t));
            uint64_t come = sum_of(app, AT(subscribed[0]) + k * sizeof(uint64_t));
            now += come > gone ? come - gone : 0;
        }
        put_app_sample(out, app->id, NULL, NULL, now);
    }
    pc_metrics_end_family(out);
}

/* Writes a sample for each value of the label that has been counted. */
static void put_enumerated(struct pc_metrics *out, pusherc_slice app_id, const char *label,
                           const _Atomic uint64_t *counters, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t number = pc_stat_get(&counters[i]);
        if (number && names[i])
            put_app_sample(out, app_id, label, names[i], number);
    }
}

static void put_rates(struct pc_metrics *out, const struct apps *apps)
{
    pc_metrics_begin_family(out, "rate_limit_checks_total", PC_COUNTER,
                            "How often a rate that is limited was looked at.");
    for (size_t i = 0; i < apps->count; i++) {
        for (size_t r = 0; r < PC_RATE_COUNT; r++) {
            uint64_t number = sum_of(apps->items[i], AT(rate_checks[0]) + r * sizeof(uint64_t));
            if (number)
                put_app_sample(out, apps->items[i]->id, "limiter_type", rate_names[r], number);
        }
    }
    pc_metrics_end_family(out);
    pc_metrics_begin_family(out, "rate_limit_triggered_total", PC_COUNTER,
                            "How often something was refused because of its rate.");
    for (size_t i = 0; i < apps->count; i++)
        put_enumerated(out, apps->items[i]->id, "limiter_type",
                       &apps->items[i]->state->refusals.limits[PC_APP_max_client_events_per_s],
                       rate_names, PC_RATE_COUNT);
    pc_metrics_end_family(out);
}

static void put_refusals(struct pc_metrics *out, const struct apps *apps)
{
    const struct pc_app_refusals *unknown_app = &out->server->engine.unknown_app;
    pc_metrics_begin_family(out, "connection_errors_total", PC_COUNTER,
                            "Clients turned away; without app_id: for no app there is.");
    put_enumerated(out, PC_S(""), "error_type", unknown_app->connects, connect_names,
                   PC_CONNECT_ERROR_COUNT);
    for (size_t i = 0; i < apps->count; i++)
        put_enumerated(out, apps->items[i]->id, "error_type",
                       apps->items[i]->state->refusals.connects, connect_names,
                       PC_CONNECT_ERROR_COUNT);
    pc_metrics_end_family(out);

    pc_metrics_begin_family(
        out, "denials_total", PC_COUNTER,
        "Subscriptions, sign-ins and questions to the auth endpoints that were denied.");
    put_enumerated(out, PC_S(""), "reason", unknown_app->denials, denial_names, PC_DENIAL_COUNT);
    for (size_t i = 0; i < apps->count; i++)
        put_enumerated(out, apps->items[i]->id, "reason", apps->items[i]->state->refusals.denials,
                       denial_names, PC_DENIAL_COUNT);
    pc_metrics_end_family(out);

    pc_metrics_begin_family(out, "limit_refusals_total", PC_COUNTER,
                            "What a limit of the app has refused.");
    for (size_t i = 0; i < apps->count; i++)
        put_enumerated(out, apps->items[i]->id, "limit", apps->items[i]->state->refusals.limits,
                       limit_names, PC_APP_SETTING_COUNT);
    pc_metrics_end_family(out);
}

/* -- users and what they do -- */

/* Of the apps that tell the host about users. */
static void put_users(struct pc_metrics *out, const struct apps *apps)
{
    pc_metrics_begin_family(out, "users_online", PC_GAUGE, "Users who are online now.");
    for (size_t i = 0; i < apps->count; i++) {
        struct pc_people *people = &apps->items[i]->state->people;
        if (!apps->items[i]->options.user_events)
            continue;
        pthread_mutex_lock(&people->mutex);
        const uint32_t online = people->online_count;
        pthread_mutex_unlock(&people->mutex);
        put_app_sample(out, apps->items[i]->id, NULL, NULL, online);
    }
    pc_metrics_end_family(out);
}

/* Of apps with rules of the setting. */
struct ruled_family {
    const char *name, *help;
    enum pc_metric_type type;
    size_t offset; /* of the value in struct pc_app_state */
    size_t rules;  /* of the count of rules in struct pc_app */
};

#define EPHEMERAL(member)                                                                          \
    offsetof(struct pc_app_state, ephemeral.member), offsetof(struct pc_app, ephemeral.count)
#define RECEIPTS(member)                                                                           \
    offsetof(struct pc_app_state, receipts.member), offsetof(struct pc_app, receipts.count)

/* clang-format off */
static const struct ruled_family ruled_families[] = {
    {"ephemeral_begun_total", "Ephemeral states that began.", PC_COUNTER, EPHEMERAL(begun)},
    {"ephemeral_ended_total", "Ephemeral states that ended.", PC_COUNTER, EPHEMERAL(ended)},
    {"ephemeral_refused_total", "Ephemeral states refused by a bound, as the sender was told.", PC_COUNTER, EPHEMERAL(refused)},
    {"ephemeral_bytes", "Memory of the ephemeral states there are now.", PC_GAUGE, EPHEMERAL(bytes)},
    {"receipts_written_total", "Events that were written to a connection of a user for the first time.", PC_COUNTER, RECEIPTS(written)},
    {"receipts_shown_total", "Events that a page of a user has said to have shown for the first time.", PC_COUNTER, RECEIPTS(shown)},
    {"receipts_unknown_total", "Events that pages have said to have shown, and that are not remembered or not for them.", PC_COUNTER, RECEIPTS(unknown)},
    {"receipts_forgotten_total", "Events with receipts that were forgotten before their time, for want of memory.", PC_COUNTER, RECEIPTS(forgotten)},
    {"receipts_lost_total", "Receipts that the host was not told of, for want of memory.", PC_COUNTER, RECEIPTS(lost)},
    {"receipts_bytes", "Memory of the events with receipts that are remembered now.", PC_GAUGE, RECEIPTS(bytes)},
};
/* clang-format on */

static void put_ruled(struct pc_metrics *out, const struct apps *apps)
{
    for (size_t f = 0; f < sizeof ruled_families / sizeof ruled_families[0]; f++) {
        const struct ruled_family *family = &ruled_families[f];
        pc_metrics_begin_family(out, family->name, family->type, family->help);
        for (size_t i = 0; i < apps->count; i++) {
            const struct pc_app *app = apps->items[i];
            const void *value = (const char *)app->state + family->offset;
            const void *rules = (const char *)app + family->rules;
            if (*(const uint32_t *)rules)
                put_app_sample(out, app->id, NULL, NULL,
                               pc_stat_get((const _Atomic uint64_t *)value));
        }
        pc_metrics_end_family(out);
    }
}

/* -- per shaping rule -- */

struct shape_family {
    const char *name, *help;
    size_t offset; /* in struct pc_shape_counts */
};

#define COUNT(member) offsetof(struct pc_shape_counts, member)

/* clang-format off */
static const struct shape_family shape_families[] = {
    {"shaping_in_total", "Events that came under a shaping rule.", COUNT(in)},
    {"shaping_out_total", "Events that a shaping rule sent; a batch is one.", COUNT(out)},
    {"shaping_merged_total", "Events that a newer one replaced, or that are in a batch with an earlier one.", COUNT(merged)},
    {"shaping_passed_total", "Events sent at once: without the rule's key, or at a bound.", COUNT(passed)},
    {"shaping_refused_total", "Events that found no room in a batch, as the publisher was told.", COUNT(refused)},
    {"shaping_dropped_total", "Events that waited when their channel lost its last subscriber, or that no worker took.", COUNT(dropped)},
};
/* clang-format on */

/* Writes a sample of each rule of each app. */
static void put_shape_samples(struct pc_metrics *out, const struct apps *apps,
                              uint64_t (*read)(const struct pc_shape_counts *, size_t),
                              size_t offset)
{
    for (size_t i = 0; i < apps->count; i++) {
        const struct pc_shape_rules *rules = &apps->items[i]->shaping;
        for (uint32_t r = 0; r < rules->count; r++) {
            const struct pc_shape_rule *rule = rules->items[r];
            pusherc_slice event = pc_utf8_cut(rule->event, 200);
            char label[2 * 200 + 2];
            (void)snprintf(label, sizeof label, "%.*s%s%.*s", (int)rule->pattern.len,
                           rule->pattern.ptr, event.len ? " " : "", (int)event.len,
                           event.len ? event.ptr : "");
            put_app_sample(out, apps->items[i]->id, "rule", label, read(&rule->counts, offset));
        }
    }
}

static uint64_t shape_count(const struct pc_shape_counts *counts, size_t offset)
{
    return pc_stat_get((const _Atomic uint64_t *)(const void *)((const char *)counts + offset));
}

static uint64_t shape_waiting(const struct pc_shape_counts *counts, size_t offset)
{
    (void)offset;
    return pc_shape_waiting(counts);
}

static void put_shaping(struct pc_metrics *out, const struct apps *apps)
{
    for (size_t f = 0; f < sizeof shape_families / sizeof shape_families[0]; f++) {
        const struct shape_family *family = &shape_families[f];
        pc_metrics_begin_family(out, family->name, PC_COUNTER, family->help);
        put_shape_samples(out, apps, shape_count, family->offset);
        pc_metrics_end_family(out);
    }
    pc_metrics_begin_family(out, "shaping_waiting", PC_GAUGE, "Events that wait now.");
    put_shape_samples(out, apps, shape_waiting, 0);
    pc_metrics_end_family(out);
}

static void put_broadcast_latency(struct pc_metrics *out, const struct apps *apps)
{
    pc_metrics_begin_family(
        out, "broadcast_latency_ms", PC_HISTOGRAM,
        "From publishing an event to having written it, for each worker that did.");
    for (size_t i = 0; i < apps->count; i++) {
        const struct pc_app *app = apps->items[i];
        const struct pc_label labels[] = {{.name = "app_id", .value = app->id},
                                          {.name = "port", .value = pc_slice_of(out->port)}};
        struct pc_histogram_sum sum = {.sum_us = 0};
        for (uint32_t w = 0; w < app->state->worker_count; w++)
            pc_metrics_add_histogram(&sum, &app->state->stats[w].latency);
        pc_metrics_put_histogram(out, labels, 2, &sum, 3);
    }
    pc_metrics_end_family(out);
}

static void put_apps(struct pc_metrics *out, const struct apps *apps)
{
    put_app_families(out, apps);
    put_kinds(out, apps, "channel_subscriptions_total", PC_COUNTER, AT(subscribed[0]),
              "Subscriptions made.");
    put_kinds(out, apps, "channel_unsubscriptions_total", PC_COUNTER, AT(unsubscribed[0]),
              "Subscriptions ended, those of clients that have gone included.");
    put_kinds(out, apps, "active_channels", PC_GAUGE, AT(occupied[0]),
              "Channels that have a subscriber now.");
    put_subscriptions(out, apps);
    put_rates(out, apps);
    put_refusals(out, apps);
    put_users(out, apps);
    put_ruled(out, apps);
    put_shaping(out, apps);
    put_broadcast_latency(out, apps);
}

/* -- per server -- */

struct server_family {
    const char *name;
    enum pc_metric_type type;
    size_t offset; /* in pusherc_stats */
    const char *help;
};

/* clang-format off */
static const struct server_family server_families[] = {
    {"sockets", PC_GAUGE, offsetof(pusherc_stats, sockets), "TCP connections there are now."},
    {"sockets_unestablished", PC_GAUGE, offsetof(pusherc_stats, sockets_unestablished), "Of those, sockets that are not established clients."},
    {"sockets_reclaimed_total", PC_COUNTER, offsetof(pusherc_stats, sockets_reclaimed_total), "Idle sockets that were closed to make room for new ones."},
    {"sockets_refused_total", PC_COUNTER, offsetof(pusherc_stats, sockets_refused_total), "New sockets that were reset because no idle one could make room."},
    {"received_bytes_total", PC_COUNTER, offsetof(pusherc_stats, bytes_in_total), "Bytes read from sockets."},
    {"transmitted_bytes_total", PC_COUNTER, offsetof(pusherc_stats, bytes_out_total), "Bytes written to sockets."},
    {"write_calls_total", PC_COUNTER, offsetof(pusherc_stats, write_calls_total), "System calls that wrote them."},
    {"http_requests_total", PC_COUNTER, offsetof(pusherc_stats, http_requests_total), "HTTP requests of every kind."},
    {"mailbox_refused_total", PC_COUNTER, offsetof(pusherc_stats, mailbox_refused_total), "Events that a worker's full mailbox refused."},
    {"grants", PC_GAUGE, offsetof(pusherc_stats, grants), "Answers about channels that are remembered now."},
    {"questions", PC_GAUGE, offsetof(pusherc_stats, questions), "Questions that the host has not answered."},
    {"questions_refused_total", PC_COUNTER, offsetof(pusherc_stats, questions_refused_total), "Questions to the host that a limit refused."},
    {"inbox_depth", PC_GAUGE, offsetof(pusherc_stats, inbox_depth), "Messages that the host has not taken."},
    {"inbox_refused_total", PC_COUNTER, offsetof(pusherc_stats, inbox_refused_total), "Questions that found the inbox full."},
    {"inbox_dropped_total", PC_COUNTER, offsetof(pusherc_stats, inbox_dropped_total), "Notices that found the inbox full, or no memory."},
    {"compressed_total", PC_COUNTER, offsetof(pusherc_stats, compressed_total), "Messages compressed, an event for many subscribers once."},
    {"compressed_from_bytes_total", PC_COUNTER, offsetof(pusherc_stats, compressed_from_bytes_total), "Length of compressed messages before."},
    {"compressed_to_bytes_total", PC_COUNTER, offsetof(pusherc_stats, compressed_to_bytes_total), "Length of compressed messages after."},
    {"history_bytes", PC_GAUGE, offsetof(pusherc_stats, history_bytes), "Memory that the histories of channels hold now."},
    {"history_resumes_total", PC_COUNTER, offsetof(pusherc_stats, history_resumes_total), "Subscriptions whose client named the last event it had seen."},
    {"history_replayed_total", PC_COUNTER, offsetof(pusherc_stats, history_replayed_total), "Events sent again to such clients."},
    {"history_lost_total", PC_COUNTER, offsetof(pusherc_stats, history_lost_total), "Times that such a client was told of missing events."},
    {"webhook_requests_total", PC_COUNTER, offsetof(pusherc_stats, webhook_requests_total), "Requests to webhook endpoints."},
    {"webhook_failures_total", PC_COUNTER, offsetof(pusherc_stats, webhook_failures_total), "Requests to webhook endpoints that were not accepted."},
    {"webhook_retries_total", PC_COUNTER, offsetof(pusherc_stats, webhook_retries_total), "Requests to webhook endpoints that repeat one."},
    {"webhook_events_delivered_total", PC_COUNTER, offsetof(pusherc_stats, webhook_delivered_total), "Webhook events that an endpoint has accepted."},
    {"webhook_events_dropped_total", PC_COUNTER, offsetof(pusherc_stats, webhook_dropped_total), "Webhook events that found a full queue."},
    {"webhook_events_given_up_total", PC_COUNTER, offsetof(pusherc_stats, webhook_given_up_total), "Webhook events that no endpoint accepted in time."},
    {"webhook_events_queued", PC_GAUGE, offsetof(pusherc_stats, webhook_queued), "Webhook events that wait now."},
};
/* clang-format on */

static void put_server(struct pc_metrics *out)
{
    const struct pc_label labels[] = {{.name = "port", .value = pc_slice_of(out->port)}};
    pusherc_stats stats = PUSHERC_STATS_INIT;
    pc_server_count(out->server, &stats);
    for (size_t f = 0; f < sizeof server_families / sizeof server_families[0]; f++) {
        const struct server_family *family = &server_families[f];
        const char *at = (const char *)&stats + family->offset;
        pc_metrics_begin_family(out, family->name, family->type, family->help);
        pc_metrics_put_sample(out, "", labels, 1, *(const uint64_t *)(const void *)at, 0);
        pc_metrics_end_family(out);
    }
}

/* -- per source of events -- */

static void put_feeds(struct pc_metrics *out)
{
    static const struct {
        const char *name;
        enum pc_metric_type type;
        size_t offset;
        const char *help;
    } families[] = {
        {"laravel_redis_up", PC_GAUGE, offsetof(struct pc_server_feed, up),
         "Laravel's events in Redis are subscribed to now."},
        {"laravel_redis_events_total", PC_COUNTER, offsetof(struct pc_server_feed, taken),
         "Events of Laravel in Redis that were published."},
        {"laravel_redis_ignored_total", PC_COUNTER, offsetof(struct pc_server_feed, ignored),
         "Messages there that were no event, or were refused."},
    };
    for (size_t f = 0; f < sizeof families / sizeof families[0]; f++) {
        pc_metrics_begin_family(out, families[f].name, families[f].type, families[f].help);
        PC_LIST_EACH(l, &out->server->feeds) {
            const struct pc_server_feed *feed =
                PC_CONTAINER(l, const struct pc_server_feed, of_server);
            const char *at = (const char *)feed + families[f].offset;
            put_app_sample(out, feed->app_id, NULL, NULL,
                           pc_stat_get((const _Atomic uint64_t *)(const void *)at));
        }
        pc_metrics_end_family(out);
    }
}

/* -- the link with other servers -- */

/* clang-format off */
static const struct node_family {
    const char *name;
    enum pc_metric_type type;
    size_t offset; /* in struct pc_node_stats */
    const char *help;
    unsigned decimals;
} node_families[] = {
    {"cluster_mirrors", PC_GAUGE, offsetof(struct pc_node_stats, mirrors), "Presence channels whose roster over all servers is followed, and users of watchlists.", 0},
    {"cluster_holds", PC_GAUGE, offsetof(struct pc_node_stats, holds), "Users in presence channels, or with watchlists, for whom this server stands.", 0},
    {"cluster_topics", PC_GAUGE, offsetof(struct pc_node_stats, topics), "Channels and users of watchlists that are subscribed in Redis.", 0},
    {"cluster_gap_seconds_total", PC_COUNTER, offsetof(struct pc_node_stats, unlinked_ms), "Time without a link.", 3},
    {"cluster_orders_incomplete_total", PC_COUNTER, offsetof(struct pc_node_stats, unanswered), "Servers that did not say in time that they have carried out an order.", 0},
    {"cluster_gaps_total", PC_COUNTER, offsetof(struct pc_node_stats, gaps), "Times that messages of other servers were missed or may have been: see docs/metrics.md.", 0},
    {"cluster_sweep_wrong_total", PC_COUNTER, offsetof(struct pc_node_stats, swept), "Rosters that a comparison found wrong, and fetched again.", 0},
    {"cluster_dropped_total", PC_COUNTER, offsetof(struct pc_node_stats, dropped), "Events that other servers did not get from here.", 0},
    {"cluster_refused_total", PC_COUNTER, offsetof(struct pc_node_stats, refused), "Messages and answers that were not understood.", 0},
    {"cluster_reaped_total", PC_COUNTER, offsetof(struct pc_node_stats, reaped), "Dead servers that this one has buried, counted for each partition.", 0},
    {"cluster_fenced_total", PC_COUNTER, offsetof(struct pc_node_stats, fenced), "Times that this server had been declared dead, the same.", 0},
    {"cluster_epochs_total", PC_COUNTER, offsetof(struct pc_node_stats, epochs), "Times that the shared data was new, the same.", 0},
};

/* Of a link of this library. */
static const struct link_family {
    const char *name;
    enum pc_metric_type type;
    size_t offset; /* in struct pc_link_counts */
    unsigned decimals;
    const char *help;
} link_families[] = {
    {"cluster_connects_total", PC_COUNTER, offsetof(struct pc_link_counts, connects), 0, "Times that Redis was connected."},
    {"cluster_commands_total", PC_COUNTER, offsetof(struct pc_link_counts, commands), 0, "Commands for Redis, one for each step, event and subscription."},
    {"cluster_errors_total", PC_COUNTER, offsetof(struct pc_link_counts, errors), 0, "Errors that Redis answered, those of scripts included."},
    {"cluster_messages_out_total", PC_COUNTER, offsetof(struct pc_link_counts, publications), 0, "Events for other servers, one for each channel."},
    {"cluster_messages_in_total", PC_COUNTER, offsetof(struct pc_link_counts, messages), 0, "Events and changes of rosters that came from Redis, those of this server included."},
    {"cluster_transmitted_bytes_total", PC_COUNTER, offsetof(struct pc_link_counts, bytes_out), 0, "Bytes for Redis."},
    {"cluster_received_bytes_total", PC_COUNTER, offsetof(struct pc_link_counts, bytes_in), 0, "Bytes from Redis."},
    {"cluster_round_trip_seconds", PC_GAUGE, offsetof(struct pc_link_counts, round_trip_us), 6, "How long Redis took for the last question."},
    {"cluster_transit_seconds", PC_GAUGE, offsetof(struct pc_link_counts, transit_us), 6, "From publishing in Redis until it was heard, of the last probe."},
};
/* clang-format on */

/* `from` NULL: there is no sample. */
static void put_of_link(struct pc_metrics *out, const char *name, enum pc_metric_type type,
                        const char *help, const _Atomic uint64_t *from, unsigned decimals)
{
    const struct pc_label labels[] = {{.name = "port", .value = pc_slice_of(out->port)}};
    pc_metrics_begin_family(out, name, type, help);
    if (from)
        pc_metrics_put_sample(out, "", labels, 1, pc_stat_get(from), decimals);
    pc_metrics_end_family(out);
}

static const _Atomic uint64_t *counter_at(const void *counts, size_t offset)
{
    return counts ? (const _Atomic uint64_t *)(const void *)((const char *)counts + offset) : NULL;
}

/* Of the steps that have been answered. */
static void put_steps(struct pc_metrics *out, const struct pusherc_link *node)
{
    static const char *const names[PC_STEPS] = {
        [PUSHERC_STEP_ATTACH] = "attach",       [PUSHERC_STEP_DETACH] = "detach",
        [PUSHERC_STEP_RENEW] = "renew",         [PUSHERC_STEP_SYNCED] = "synced",
        [PUSHERC_STEP_MINE] = "mine",           [PUSHERC_STEP_JOIN] = "join",
        [PUSHERC_STEP_LEAVE] = "leave",         [PUSHERC_STEP_COUNT] = "count",
        [PUSHERC_STEP_FETCH] = "fetch",         [PUSHERC_STEP_VERIFY] = "verify",
        [PUSHERC_STEP_PEEK] = "peek",           [PUSHERC_STEP_REAP] = "reap",
        [PUSHERC_STEP_TELL] = "tell",           [PUSHERC_STEP_TOLD] = "told",
        [PUSHERC_STEP_CHECK] = "check",         [PUSHERC_STEP_CHANNELS] = "channels",
        [PUSHERC_STEP_KEEP] = "keep",           [PUSHERC_STEP_REKEEP] = "rekeep",
        [PUSHERC_STEP_KEPT] = "kept",           [PUSHERC_STEP_ONCE_BEGIN] = "once_begin",
        [PUSHERC_STEP_ONCE_DONE] = "once_done", [PUSHERC_STEP_ONCE_UNDO] = "once_undo",
        [PUSHERC_STEP_ORDER] = "order",         [PUSHERC_STEP_ORDERS] = "orders",
        [PUSHERC_STEP_TOTALS] = "totals",
    };
    pc_metrics_begin_family(out, "cluster_step_seconds", PC_HISTOGRAM,
                            "From asking Redis for a step until its answer is here.");
    for (size_t i = 0; node && i < PC_STEPS; i++) {
        const struct pc_label labels[] = {{.name = "port", .value = pc_slice_of(out->port)},
                                          {.name = "step", .value = pc_slice_of(names[i])}};
        struct pc_histogram_sum sum = {.sum_us = 0};
        uint64_t count = 0;
        pc_metrics_add_histogram(&sum, &node->stats.step_times[i]);
        for (size_t b = 0; b <= PC_HISTOGRAM_BOUNDS; b++)
            count += sum.buckets[b];
        if (names[i] && count)
            pc_metrics_put_histogram(out, labels, 2, &sum, 6);
    }
    pc_metrics_end_family(out);
}

static void put_link(struct pc_metrics *out)
{
    struct pusherc_link *node = out->server->node;
    pusherc_cluster_info info = PUSHERC_CLUSTER_INFO_INIT;
    _Atomic uint64_t now[4] = {0};
    if (node) {
        pc_node_info(node, &info);
        now[0] = info.state == PUSHERC_LINK_UP;
        now[1] = info.nodes;
        now[2] = info.unsettled;
        now[3] = pc_node_outbox_bytes(node);
    }
    put_of_link(out, "cluster_link_up", PC_GAUGE, "The link with other servers works.",
                node ? &now[0] : NULL, 0);
    put_of_link(out, "cluster_nodes", PC_GAUGE, "Live servers with this one; 0 = not known.",
                node ? &now[1] : NULL, 0);
    put_of_link(out, "cluster_unsettled", PC_GAUGE,
                "Shared data was lost, and not every server has said again what it holds.",
                node ? &now[2] : NULL, 0);
    put_of_link(out, "cluster_outbox_bytes", PC_GAUGE,
                "Events for other servers that are not answered.", node ? &now[3] : NULL, 0);
    for (size_t f = 0; f < sizeof node_families / sizeof node_families[0]; f++)
        put_of_link(out, node_families[f].name, node_families[f].type, node_families[f].help,
                    counter_at(node ? &node->stats : NULL, node_families[f].offset),
                    node_families[f].decimals);
    for (size_t f = 0; f < sizeof link_families / sizeof link_families[0]; f++)
        put_of_link(out, link_families[f].name, link_families[f].type, link_families[f].help,
                    counter_at(node ? node->counts : NULL, link_families[f].offset),
                    link_families[f].decimals);
    put_steps(out, node);
}

/* -- per worker -- */

/* Fills the labels port and worker. `digits` is storage for the worker's number. */
static void worker_labels(const struct pc_metrics *out, uint32_t worker, struct pc_label labels[2],
                          char digits[PC_U64_DIGITS])
{
    labels[0] = (struct pc_label){.name = "port", .value = pc_slice_of(out->port)};
    labels[1] = (struct pc_label){.name = "worker",
                                  .value = pc_slice(digits, pc_format_u64(worker, digits))};
}

static uint64_t queued_bytes(const struct pc_worker *worker)
{
    return pc_stat_get(&worker->stats.out_queued_bytes);
}

static uint64_t depth(const struct pc_worker *worker)
{
    uint32_t now, most;
    pc_mailbox_depth(worker->mailbox, &now, &most);
    return now;
}

static uint64_t depth_max(const struct pc_worker *worker)
{
    uint32_t now, most;
    pc_mailbox_depth(worker->mailbox, &now, &most);
    return most;
}

static void put_worker_gauge(struct pc_metrics *out, const char *name, const char *help,
                             uint64_t (*read)(const struct pc_worker *worker))
{
    const struct pc_engine *engine = &out->server->engine;
    pc_metrics_begin_family(out, name, PC_GAUGE, help);
    for (uint32_t i = 0; i < engine->worker_count; i++) {
        char digits[PC_U64_DIGITS];
        struct pc_label labels[2];
        worker_labels(out, i, labels, digits);
        pc_metrics_put_sample(out, "", labels, 2, read(&engine->workers[i]), 0);
    }
    pc_metrics_end_family(out);
}

static void put_worker_histogram(struct pc_metrics *out, const char *name, const char *help,
                                 size_t offset)
{
    const struct pc_engine *engine = &out->server->engine;
    pc_metrics_begin_family(out, name, PC_HISTOGRAM, help);
    for (uint32_t i = 0; i < engine->worker_count; i++) {
        char digits[PC_U64_DIGITS];
        struct pc_label labels[2];
        struct pc_histogram_sum copy = {.sum_us = 0};
        const char *stats = (const char *)&engine->workers[i].stats;
        worker_labels(out, i, labels, digits);
        pc_metrics_add_histogram(&copy,
                                 (const struct pc_histogram *)(const void *)(stats + offset));
        pc_metrics_put_histogram(out, labels, 2, &copy, 6);
    }
    pc_metrics_end_family(out);
}

static void put_workers(struct pc_metrics *out)
{
    put_worker_gauge(out, "queued_bytes", "Bytes that wait to be written to clients.",
                     queued_bytes);
    put_worker_gauge(out, "mailbox_depth", "What waits for the worker now.", depth);
    put_worker_gauge(out, "mailbox_depth_max", "The most that has ever waited for it.", depth_max);
    put_worker_histogram(out, "loop_lag_seconds",
                         "How long a turn of the loop took, and what came meanwhile waited.",
                         offsetof(struct pc_worker_stats, lag));
    put_worker_histogram(out, "publish_to_write_seconds",
                         "From publishing an event to having written it.",
                         offsetof(struct pc_worker_stats, latency));
}

/* -- the process -- */

static void put_process(struct pc_metrics *out)
{
    struct pc_process p;
    pc_process_recent(&p, &out->server->engine.figures.process, pc_clock_us() / 1000);
    /* clang-format off */
    const struct {
        const char *name;
        enum pc_metric_type type;
        uint64_t number;
        unsigned decimals;
        const char *help;
    } families[] = {
        {"process_cpu_user_seconds_total", PC_COUNTER, p.cpu_user_us, 6, "CPU time of the whole process in its own code."},
        {"process_cpu_system_seconds_total", PC_COUNTER, p.cpu_system_us, 6, "CPU time of the whole process in the kernel."},
        {"process_cpu_seconds_total", PC_COUNTER, p.cpu_user_us + p.cpu_system_us, 6, "CPU time of the whole process."},
        {"process_start_time_seconds", PC_GAUGE, p.start_time_s, 0, "When the process began, Unix time."},
        {"process_resident_memory_bytes", PC_GAUGE, p.resident_bytes, 0, "Memory the process holds in RAM."},
        {"process_virtual_memory_bytes", PC_GAUGE, p.virtual_bytes, 0, "Address space of the process."},
        {"process_heap_bytes", PC_GAUGE, p.heap_bytes, 0, "Address space of its data."},
        {"process_open_fds", PC_GAUGE, p.open_fds, 0, "Descriptors that are open."},
        {"process_max_fds", PC_GAUGE, p.max_fds, 0, "Descriptors that may be open."},
    };
    /* clang-format on */
    const struct pc_label labels[] = {{.name = "port", .value = pc_slice_of(out->port)}};
    for (size_t f = 0; f < sizeof families / sizeof families[0]; f++) {
        pc_metrics_begin_family(out, families[f].name, families[f].type, families[f].help);
        pc_metrics_put_sample(out, "", labels, 1, families[f].number, families[f].decimals);
        pc_metrics_end_family(out);
    }
}

/* -- the whole output -- */

int pc_server_write_metrics(void *ctx, bool json, pusherc_write_fn write, void *user_data)
{
    pusherc_server *server = ctx;
    struct pc_metrics out = {.server = server,
                             .write = write,
                             .user_data = user_data,
                             .json = json,
                             .is_first_family = true};
    struct apps apps;
    int err = pc_apps_list(&server->engine.apps, &apps.items, &apps.count);
    if (err)
        return err;
    pc_format_u64(server->port, out.port);
    pc_buf_init_in(&out.chunk, &server->engine.mem, PC_METRICS_CHUNK, out.storage,
                   sizeof out.storage);
    put_apps(&out, &apps);
    put_server(&out);
    put_feeds(&out);
    put_link(&out);
    put_workers(&out);
    put_process(&out);
    if (json)
        pc_metrics_put(&out, "]");
    pc_metrics_hand_over(&out);
    for (size_t i = 0; i < apps.count; i++)
        pc_app_unref(apps.items[i]);
    pc_free(&server->engine.mem, apps.items);
    return out.status;
}

int pusherc_server_metrics(pusherc_server *server, pusherc_write_fn write, void *user_data)
{
    if (!server || !write)
        return PUSHERC_EINVAL;
    if (pc_server_is_copy(server))
        return PUSHERC_ESTATE;
    return pc_server_write_metrics(server, false, write, user_data);
}
