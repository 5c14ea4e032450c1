/*
 * The counters as Prometheus reads them (text format 0.0.4), or as the JSON that prom-client makes of it.
 * docs/metrics.md describes each family; a test holds that page against what comes from here.
 */
#include "server/metrics.h"

#include "base/process.h"
#include "codec/json.h"

#define CHUNK 4096 /* bytes handed over at once, at most */
#define LINE                                                                                       \
    2048 /* more than the longest line: app ids have 200 bytes, all of them may want escapes */

enum type {
    COUNTER,
    GAUGE,
    HISTOGRAM
};

static const char *const type_names[] = {"counter", "gauge", "histogram"};

struct label {
    const char *name;
    pusherc_slice value;
    bool is_number; /* JSON has it without quotes */
};

#define MAX_LABELS 3

struct out {
    pusherc_server *server;
    pusherc_write_fn write;
    void *user_data;
    int status; /* of `write`; after a failure nothing more is handed over */
    bool json;
    bool is_first_family, is_first_sample;
    char port[PC_U64_DIGITS + 1];
    const char *family;
    struct pc_buf chunk;
    char storage[CHUNK];
};

/* -- writing -- */

static void hand_over(struct out *out)
{
    if (out->status == 0 && out->chunk.len > 0)
        out->status = out->write(pc_buf_slice(&out->chunk), out->user_data);
    pc_buf_clear(&out->chunk);
}

/* Begins a line, which then fits. */
static void begin_line(struct out *out)
{
    if (out->chunk.len > CHUNK - LINE)
        hand_over(out);
}

static void put(struct out *out, const char *text)
{
    pc_buf_put(&out->chunk, pc_slice_of(text));
}

static void put_name(struct out *out, const char *suffix)
{
    put(out, out->server->engine.options.metrics_prefix);
    put(out, out->family);
    put(out, suffix);
}

/* number / 10^decimals, without zeros at its end */
static void put_number(struct pc_buf *to, uint64_t number, unsigned decimals)
{
    char digits[PC_U64_DIGITS];
    uint64_t unit = 1;
    for (unsigned i = 0; i < decimals; i++)
        unit *= 10;
    pc_buf_put_u64(to, number / unit);
    uint64_t rest = number % unit;
    if (rest == 0)
        return;
    pc_buf_put_char(to, '.');
    size_t len = pc_format_u64(rest + unit, digits); /* a 1 before it keeps leading zeros */
    while (digits[len - 1] == '0')
        len--;
    pc_buf_put(to, pc_slice(digits + 1, len - 1));
}

static void begin_family(struct out *out, const char *name, enum type type, const char *help)
{
    out->family = name;
    out->is_first_sample = true;
    begin_line(out);
    if (out->json) {
        put(out, out->is_first_family ? "[{\"help\":\"" : ",{\"help\":\"");
        put(out, help);
        put(out, "\",\"name\":\"");
        put_name(out, "");
        put(out, "\",\"type\":\"");
        put(out, type_names[type]);
        put(out, "\",\"values\":[");
    } else {
        put(out, "# HELP ");
        put_name(out, " ");
        put(out, help);
        put(out, "\n# TYPE ");
        put_name(out, " ");
        put(out, type_names[type]);
        put(out, "\n");
    }
    out->is_first_family = false;
}

static void end_family(struct out *out)
{
    begin_line(out);
    if (out->json)
        put(out, "],\"aggregator\":\"sum\"}");
}

static void put_label_value(struct out *out, const struct label *label)
{
    pusherc_slice value = label->value;
    if (out->json && label->is_number) {
        pc_buf_put(&out->chunk, value);
        return;
    }
    if (out->json) {
        pc_json_put_string(&out->chunk, value);
        return;
    }
    pc_buf_put_char(&out->chunk, '"');
    for (size_t i = 0; i < value.len; i++) {
        char c = value.ptr[i];
        if (c == '\\' || c == '"' || c == '\n')
            pc_buf_put_char(&out->chunk, '\\');
        pc_buf_put_char(&out->chunk, c == '\n' ? 'n' : c);
    }
    pc_buf_put_char(&out->chunk, '"');
}

static void put_labels(struct out *out, const struct label *labels, size_t count)
{
    const char *quote = out->json ? "\"" : "";
    for (size_t i = 0; i < count; i++) {
        put(out, i ? "," : "");
        put(out, quote);
        put(out, labels[i].name);
        put(out, quote);
        put(out, out->json ? ":" : "=");
        put_label_value(out, &labels[i]);
    }
}

/* The suffix is that of a part of a histogram, or "". */
static void put_sample(struct out *out, const char *suffix, const struct label *labels,
                       size_t count, uint64_t number, unsigned decimals)
{
    begin_line(out);
    if (!out->json) {
        put_name(out, suffix);
        put(out, "{");
        put_labels(out, labels, count);
        put(out, "} ");
        put_number(&out->chunk, number, decimals);
        put(out, "\n");
        return;
    }
    put(out, out->is_first_sample ? "{\"value\":" : ",{\"value\":");
    put_number(&out->chunk, number, decimals);
    put(out, ",\"labels\":{");
    put_labels(out, labels, count);
    put(out, "}");
    if (*suffix) {
        put(out, ",\"metricName\":\"");
        put_name(out, suffix);
        put(out, "\"");
    }
    put(out, "}");
    out->is_first_sample = false;
}

/* -- histograms -- */

/* A copy, or the sum of several. */
struct histogram {
    uint64_t buckets[PC_HISTOGRAM_BOUNDS + 1];
    uint64_t sum_us;
};

static void add_histogram(struct histogram *sum, const struct pc_histogram *histogram)
{
    for (size_t i = 0; i <= PC_HISTOGRAM_BOUNDS; i++)
        sum->buckets[i] += pc_stat_get(&histogram->buckets[i]);
    sum->sum_us += pc_stat_get(&histogram->sum_us);
}

static void put_bucket(struct out *out, pusherc_slice bound, bool is_number,
                       const struct label *labels, size_t count, uint64_t total)
{
    struct label with_bound[MAX_LABELS + 1] = {{"le", bound, is_number}};
    memcpy(with_bound + 1, labels, count * sizeof *labels);
    put_sample(out, "_bucket", with_bound, count + 1, total, 0);
}

/* `decimals`: 6 for seconds, 3 for milliseconds. The count is the sum of the buckets, whatever is counted
 * meanwhile. */
static void put_histogram(struct out *out, const struct label *labels, size_t count,
                          const struct histogram *h, unsigned decimals)
{
    uint64_t total = 0;
    for (size_t i = 0; i < PC_HISTOGRAM_BOUNDS; i++) {
        char storage[32];
        struct pc_buf bound;
        pc_buf_init_in(&bound, out->chunk.mem, sizeof storage, storage, sizeof storage);
        put_number(&bound, pc_histogram_bounds_us[i], decimals);
        total += h->buckets[i];
        put_bucket(out, pc_buf_slice(&bound), true, labels, count, total);
    }
    total += h->buckets[PC_HISTOGRAM_BOUNDS];
    put_bucket(out, PC_S("+Inf"), false, labels, count, total);
    put_sample(out, "_sum", labels, count, h->sum_us, decimals);
    put_sample(out, "_count", labels, count, total, 0);
}

/* -- per app -- */

struct app_family {
    const char *name;
    enum type type;
    size_t offset; /* in struct pc_app_stats */
    const char *help;
};

#define AT(member) offsetof(struct pc_app_stats, member)

/* clang-format off */
static const struct app_family app_families[] = {
    /* soketi's names, some of them without the _total that is usual */
    {"connected", GAUGE, AT(connected), "Clients that are connected now."},
    {"new_connections_total", COUNTER, AT(connections), "Clients that were established."},
    {"new_disconnections_total", COUNTER, AT(disconnections), "Established clients that have gone."},
    {"socket_received_bytes", COUNTER, AT(bytes_in), "Bytes of WebSocket messages from clients."},
    {"socket_transmitted_bytes", COUNTER, AT(bytes_out), "Bytes of WebSocket messages to clients."},
    {"ws_messages_received_total", COUNTER, AT(messages_in), "WebSocket messages from clients."},
    {"ws_messages_sent_total", COUNTER, AT(messages_out), "WebSocket messages to clients."},
    {"http_received_bytes", COUNTER, AT(http_bytes_in), "Bytes of request bodies of the HTTP API."},
    {"http_transmitted_bytes", COUNTER, AT(http_bytes_out), "Bytes of answer bodies of the HTTP API."},
    {"http_calls_received_total", COUNTER, AT(http_calls), "Requests of the HTTP API."},
    /* ours */
    {"publishes_total", COUNTER, AT(publishes), "Events published, counted once for each channel."},
    {"publishes_unmatched_total", COUNTER, AT(unmatched), "Of those, the ones to channels without a subscriber."},
    {"client_events_total", COUNTER, AT(client_events), "Client events taken."},
    {"client_events_refused_total", COUNTER, AT(client_events_refused), "Client events refused, for whatever reason."},
    {"slow_closed_total", COUNTER, AT(slow_closed), "Clients closed because they did not keep up."},
    {"slow_dropped_total", COUNTER, AT(slow_dropped), "Messages skipped for clients that did not keep up."},
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
    for (uint32_t i = 0; i <= app->live->worker_count; i++) {
        const char *stats = (const char *)&app->live->stats[i];
        sum += pc_stat_get((const _Atomic uint64_t *)(const void *)(stats + offset));
    }
    /* Workers are not read at one moment: what has come to one and gone from another may be missed. */
    return sum > INT64_MAX ? 0 : sum;
}

/* app_id and port, as on every metric of soketi's, and what the family adds. */
static void put_app_sample(struct out *out, pusherc_slice app_id, const char *label,
                           const char *value, uint64_t number)
{
    const struct label labels[MAX_LABELS] = {
        {.name = "app_id", .value = app_id},
        {.name = "port", .value = pc_slice_of(out->port)},
        {.name = label, .value = pc_slice_of(value)},
    };
    put_sample(out, "", labels, label ? 3 : 2, number, 0);
}

static void put_app_families(struct out *out, const struct apps *apps)
{
    for (size_t f = 0; f < sizeof app_families / sizeof app_families[0]; f++) {
        const struct app_family *family = &app_families[f];
        begin_family(out, family->name, family->type, family->help);
        for (size_t i = 0; i < apps->count; i++)
            put_app_sample(out, apps->items[i]->id, NULL, NULL,
                           sum_of(apps->items[i], family->offset));
        end_family(out);
    }
}

/* A sample for each kind of channel that the app has had. */
static void put_kinds(struct out *out, const struct apps *apps, const char *name, enum type type,
                      size_t offset, const char *help)
{
    begin_family(out, name, type, help);
    for (size_t i = 0; i < apps->count; i++) {
        const struct pc_app *app = apps->items[i];
        for (size_t k = 0; k < PC_KIND_COUNT; k++)
            if (sum_of(app, AT(subscribed[0]) + k * sizeof(uint64_t)))
                put_app_sample(out, app->id, "channel_type", pc_kind_label((pusherc_channel_kind)k),
                               sum_of(app, offset + k * sizeof(uint64_t)));
    }
    end_family(out);
}

static void put_subscriptions(struct out *out, const struct apps *apps)
{
    begin_family(out, "subscriptions", GAUGE, "Subscriptions there are now.");
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
    end_family(out);
}

/* A sample for each that has happened. */
static void put_enumerated(struct out *out, pusherc_slice app_id, const char *label,
                           const _Atomic uint64_t *counters, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t number = pc_stat_get(&counters[i]);
        if (number && names[i])
            put_app_sample(out, app_id, label, names[i], number);
    }
}

static void put_rates(struct out *out, const struct apps *apps)
{
    begin_family(out, "rate_limit_checks_total", COUNTER,
                 "How often a rate that is limited was looked at.");
    for (size_t i = 0; i < apps->count; i++) {
        for (size_t r = 0; r < PC_RATE_COUNT; r++) {
            uint64_t number = sum_of(apps->items[i], AT(rate_checks[0]) + r * sizeof(uint64_t));
            if (number)
                put_app_sample(out, apps->items[i]->id, "limiter_type", rate_names[r], number);
        }
    }
    end_family(out);
    begin_family(out, "rate_limit_triggered_total", COUNTER,
                 "How often something was refused because of its rate.");
    for (size_t i = 0; i < apps->count; i++)
        put_enumerated(out, apps->items[i]->id, "limiter_type",
                       &apps->items[i]->live->refusals.limits[PC_APP_max_client_events_per_s],
                       rate_names, PC_RATE_COUNT);
    end_family(out);
}

static void put_refusals(struct out *out, const struct apps *apps)
{
    const struct pc_app_refusals *strangers = &out->server->engine.strangers;
    begin_family(out, "connection_errors_total", COUNTER,
                 "Clients turned away; without app_id: for no app there is.");
    put_enumerated(out, PC_S(""), "error_type", strangers->connects, connect_names,
                   PC_CONNECT_ERROR_COUNT);
    for (size_t i = 0; i < apps->count; i++)
        put_enumerated(out, apps->items[i]->id, "error_type",
                       apps->items[i]->live->refusals.connects, connect_names,
                       PC_CONNECT_ERROR_COUNT);
    end_family(out);

    begin_family(out, "denials_total", COUNTER,
                 "Subscriptions, sign-ins and questions to the auth endpoints that were denied.");
    put_enumerated(out, PC_S(""), "reason", strangers->denials, denial_names, PC_DENIAL_COUNT);
    for (size_t i = 0; i < apps->count; i++)
        put_enumerated(out, apps->items[i]->id, "reason", apps->items[i]->live->refusals.denials,
                       denial_names, PC_DENIAL_COUNT);
    end_family(out);

    begin_family(out, "limit_refusals_total", COUNTER, "What a limit of the app has refused.");
    for (size_t i = 0; i < apps->count; i++)
        put_enumerated(out, apps->items[i]->id, "limit", apps->items[i]->live->refusals.limits,
                       limit_names, PC_APP_SETTING_COUNT);
    end_family(out);
}

static void put_broadcast_latency(struct out *out, const struct apps *apps)
{
    begin_family(out, "broadcast_latency_ms", HISTOGRAM,
                 "From publishing an event to having written it, for each worker that did.");
    for (size_t i = 0; i < apps->count; i++) {
        const struct pc_app *app = apps->items[i];
        const struct label labels[] = {{.name = "app_id", .value = app->id},
                                       {.name = "port", .value = pc_slice_of(out->port)}};
        struct histogram sum = {.sum_us = 0};
        for (uint32_t w = 0; w < app->live->worker_count; w++)
            add_histogram(&sum, &app->live->stats[w].latency);
        put_histogram(out, labels, 2, &sum, 3);
    }
    end_family(out);
}

static void put_apps(struct out *out, const struct apps *apps)
{
    put_app_families(out, apps);
    put_kinds(out, apps, "channel_subscriptions_total", COUNTER, AT(subscribed[0]),
              "Subscriptions made.");
    put_kinds(out, apps, "channel_unsubscriptions_total", COUNTER, AT(unsubscribed[0]),
              "Subscriptions ended, those of clients that have gone included.");
    put_kinds(out, apps, "active_channels", GAUGE, AT(occupied[0]),
              "Channels that have a subscriber now.");
    put_subscriptions(out, apps);
    put_rates(out, apps);
    put_refusals(out, apps);
    put_broadcast_latency(out, apps);
}

/* -- per server -- */

struct server_family {
    const char *name;
    enum type type;
    size_t offset; /* in pusherc_stats */
    const char *help;
};

/* clang-format off */
static const struct server_family server_families[] = {
    {"sockets", GAUGE, offsetof(pusherc_stats, sockets), "TCP connections there are now."},
    {"received_bytes_total", COUNTER, offsetof(pusherc_stats, bytes_in_total), "Bytes read from sockets."},
    {"transmitted_bytes_total", COUNTER, offsetof(pusherc_stats, bytes_out_total), "Bytes written to sockets."},
    {"write_calls_total", COUNTER, offsetof(pusherc_stats, write_calls_total), "System calls that wrote them."},
    {"http_requests_total", COUNTER, offsetof(pusherc_stats, http_requests_total), "HTTP requests of every kind."},
    {"mailbox_refused_total", COUNTER, offsetof(pusherc_stats, mailbox_refused_total), "Events that a worker's full mailbox refused."},
    {"grants", GAUGE, offsetof(pusherc_stats, grants), "Answers about channels that are remembered now."},
    {"webhook_requests_total", COUNTER, offsetof(pusherc_stats, webhook_requests_total), "Requests to webhook endpoints."},
    {"webhook_failures_total", COUNTER, offsetof(pusherc_stats, webhook_failures_total), "Requests to webhook endpoints that were not accepted."},
    {"webhook_retries_total", COUNTER, offsetof(pusherc_stats, webhook_retries_total), "Requests to webhook endpoints that repeat one."},
    {"webhook_events_delivered_total", COUNTER, offsetof(pusherc_stats, webhook_delivered_total), "Webhook events that an endpoint has accepted."},
    {"webhook_events_dropped_total", COUNTER, offsetof(pusherc_stats, webhook_dropped_total), "Webhook events that found a full queue."},
    {"webhook_events_given_up_total", COUNTER, offsetof(pusherc_stats, webhook_given_up_total), "Webhook events that no endpoint accepted in time."},
    {"webhook_events_queued", GAUGE, offsetof(pusherc_stats, webhook_queued), "Webhook events that wait now."},
};
/* clang-format on */

static void put_server(struct out *out)
{
    const struct label labels[] = {{.name = "port", .value = pc_slice_of(out->port)}};
    pusherc_stats stats = PUSHERC_STATS_INIT;
    pc_server_count(out->server, &stats);
    for (size_t f = 0; f < sizeof server_families / sizeof server_families[0]; f++) {
        const struct server_family *family = &server_families[f];
        const char *at = (const char *)&stats + family->offset;
        begin_family(out, family->name, family->type, family->help);
        put_sample(out, "", labels, 1, *(const uint64_t *)(const void *)at, 0);
        end_family(out);
    }
}

/* -- per worker -- */

/* Port and worker. `digits` has room for the number. */
static void worker_labels(const struct out *out, uint32_t worker, struct label labels[2],
                          char digits[PC_U64_DIGITS])
{
    labels[0] = (struct label){.name = "port", .value = pc_slice_of(out->port)};
    labels[1] =
        (struct label){.name = "worker", .value = pc_slice(digits, pc_format_u64(worker, digits))};
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

static void put_worker_gauge(struct out *out, const char *name, const char *help,
                             uint64_t (*read)(const struct pc_worker *worker))
{
    const struct pc_engine *engine = &out->server->engine;
    begin_family(out, name, GAUGE, help);
    for (uint32_t i = 0; i < engine->worker_count; i++) {
        char digits[PC_U64_DIGITS];
        struct label labels[2];
        worker_labels(out, i, labels, digits);
        put_sample(out, "", labels, 2, read(&engine->workers[i]), 0);
    }
    end_family(out);
}

static void put_worker_histogram(struct out *out, const char *name, const char *help, size_t offset)
{
    const struct pc_engine *engine = &out->server->engine;
    begin_family(out, name, HISTOGRAM, help);
    for (uint32_t i = 0; i < engine->worker_count; i++) {
        char digits[PC_U64_DIGITS];
        struct label labels[2];
        struct histogram copy = {.sum_us = 0};
        const char *stats = (const char *)&engine->workers[i].stats;
        worker_labels(out, i, labels, digits);
        add_histogram(&copy, (const struct pc_histogram *)(const void *)(stats + offset));
        put_histogram(out, labels, 2, &copy, 6);
    }
    end_family(out);
}

static void put_workers(struct out *out)
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

static void put_process(struct out *out)
{
    struct pc_process p;
    pc_process_read(&p, "");
    /* clang-format off */
    const struct {
        const char *name;
        enum type type;
        uint64_t number;
        unsigned decimals;
        const char *help;
    } families[] = {
        {"process_cpu_user_seconds_total", COUNTER, p.cpu_user_us, 6, "CPU time of the whole process in its own code."},
        {"process_cpu_system_seconds_total", COUNTER, p.cpu_system_us, 6, "CPU time of the whole process in the kernel."},
        {"process_cpu_seconds_total", COUNTER, p.cpu_user_us + p.cpu_system_us, 6, "CPU time of the whole process."},
        {"process_start_time_seconds", GAUGE, p.start_time_s, 0, "When the process began, Unix time."},
        {"process_resident_memory_bytes", GAUGE, p.resident_bytes, 0, "Memory the process holds in RAM."},
        {"process_virtual_memory_bytes", GAUGE, p.virtual_bytes, 0, "Address space of the process."},
        {"process_heap_bytes", GAUGE, p.heap_bytes, 0, "Address space of its data."},
        {"process_open_fds", GAUGE, p.open_fds, 0, "Descriptors that are open."},
        {"process_max_fds", GAUGE, p.max_fds, 0, "Descriptors that may be open."},
    };
    /* clang-format on */
    const struct label labels[] = {{.name = "port", .value = pc_slice_of(out->port)}};
    for (size_t f = 0; f < sizeof families / sizeof families[0]; f++) {
        begin_family(out, families[f].name, families[f].type, families[f].help);
        put_sample(out, "", labels, 1, families[f].number, families[f].decimals);
        end_family(out);
    }
}

/* -- all of it -- */

int pc_server_write_metrics(pusherc_server *server, bool json, pusherc_write_fn write,
                            void *user_data)
{
    struct out out = {.server = server,
                      .write = write,
                      .user_data = user_data,
                      .json = json,
                      .is_first_family = true};
    struct apps apps;
    int rc = pc_apps_list(&server->engine.apps, &apps.items, &apps.count);
    if (rc)
        return rc;
    pc_format_u64(server->engine.port, out.port);
    pc_buf_init_in(&out.chunk, &server->engine.mem, CHUNK, out.storage, sizeof out.storage);
    put_apps(&out, &apps);
    put_server(&out);
    put_workers(&out);
    put_process(&out);
    if (json)
        put(&out, "]");
    hand_over(&out);
    for (size_t i = 0; i < apps.count; i++)
        pc_app_unref(apps.items[i]);
    pc_free(&server->engine.mem, apps.items);
    return out.status;
}

int pusherc_server_metrics(pusherc_server *server, pusherc_write_fn write, void *user_data)
{
    if (!server || !write)
        return PUSHERC_EINVAL;
    return pc_server_write_metrics(server, false, write, user_data);
}
