#include "server/options.h"

#include <sched.h>
#include <string.h>

#include "base/options.h"

#define MAX_METRICS_PREFIX 64

static uint32_t or_default(uint32_t value, uint32_t fallback)
{
    return value ? value : fallback;
}

/* Afterwards 0 means 0. */
static uint32_t delay_or_default(uint32_t value, uint32_t fallback)
{
    return value == PUSHERC_NO_DELAY ? 0 : or_default(value, fallback);
}

struct pc_limits pc_server_limits(const pusherc_server_options *o)
{
    return (struct pc_limits){
        .max_connections = or_default(o->max_connections, PUSHERC_NO_LIMIT),
        .max_frame_bytes = or_default(o->max_frame_bytes, 65536),
        .max_http_body_bytes = or_default(o->max_http_body_bytes, 1048576),
        .max_http_head_bytes = or_default(o->max_http_head_bytes, 16384),
        .handshake_timeout_ms = or_default(o->handshake_timeout_ms, 10000),
        .request_timeout_ms = or_default(o->request_timeout_ms, 30000),
        .keep_alive_ms = or_default(o->keep_alive_ms, 75000),
        .identify_timeout_ms = or_default(o->identify_timeout_ms, 10000),
        .auth_timeout_ms = or_default(o->auth_timeout_ms, 10000),
        .pong_timeout_ms = or_default(o->pong_timeout_ms, 30000),
        .close_timeout_ms = or_default(o->close_timeout_ms, 3000),
        .out_soft_bytes = or_default(o->out_soft_bytes, 262144),
        .out_soft_ms = or_default(o->out_soft_ms, 10000),
        .out_hard_bytes = or_default(o->out_hard_bytes, 1048576),
        .mailbox_max_messages = or_default(o->mailbox_max_messages, 65536),
        .max_auth_skew_s = or_default(o->max_auth_skew_s, 600),
        .proxy_count = o->proxy_count,
        .max_cache_bytes = o->max_cache_bytes ? o->max_cache_bytes : 64u << 20,
        .http_error_format = o->http_error_format,
        .idempotency_ms = or_default(o->idempotency_ms, 120000),
        .idempotency_max_bytes = or_default(o->idempotency_max_bytes, 4194304),
        .accept_traffic_percent = or_default(o->accept_traffic_percent, 85),
        .webhook_batch_ms = delay_or_default(o->webhook_batch_ms, 250),
        .webhook_batch_events =
            o->webhook_batch_ms == PUSHERC_NO_DELAY ? 1 : or_default(o->webhook_batch_events, 20),
        .webhook_delay_ms = delay_or_default(o->webhook_delay_ms, 3000),
        .webhook_timeout_ms = or_default(o->webhook_timeout_ms, 10000),
        .webhook_retry_ms = delay_or_default(o->webhook_retry_ms, 300000),
        .webhook_max_queued = or_default(o->webhook_max_queued, 10000),
    };
}

static uint32_t cpu_count(void)
{
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    return n < 1 ? 1 : n > PUSHERC_WORKERS_MAX ? PUSHERC_WORKERS_MAX : (uint32_t)n;
}

uint32_t pc_server_workers(const pusherc_server_options *o, enum pc_server_mode *mode)
{
    if (o->loop) {
        *mode = PC_SERVER_ATTACHED;
        return o->worker_count <= 1 || o->worker_count == PUSHERC_WORKERS_NONE;
    }
    if (o->worker_count == PUSHERC_WORKERS_NONE) {
        *mode = PC_SERVER_POLLED;
        return 1;
    }
    *mode = PC_SERVER_THREADS;
    if (o->worker_count == PUSHERC_WORKERS_PER_CPU)
        return cpu_count();
    return o->worker_count == 0 ? 1 : o->worker_count <= PUSHERC_WORKERS_MAX ? o->worker_count : 0;
}

/* Names of metrics must be what Prometheus takes, and dashboards are written against. */
static bool prefix_valid(pusherc_slice prefix)
{
    for (size_t i = 0; i < prefix.len; i++) {
        char c = pc_ascii_lower(prefix.ptr[i]);
        bool digit = c >= '0' && c <= '9';
        if (!((c >= 'a' && c <= 'z') || c == '_' || c == ':' || (digit && i > 0)))
            return false;
    }
    return prefix.len <= MAX_METRICS_PREFIX;
}

static int check(const pusherc_server_options *o, pusherc_errinfo *info)
{
    pusherc_slice prefix = pc_slice_of(o->path_prefix);
    if (prefix.len && (prefix.ptr[0] != '/' || prefix.ptr[prefix.len - 1] == '/'))
        return pc_errinfo(info, PUSHERC_EINVAL, 0,
                          "path_prefix must begin with '/' and not end with it");
    if (strpbrk(prefix.len ? prefix.ptr : "", " ?#%"))
        return pc_errinfo(info, PUSHERC_EINVAL, 0,
                          "path_prefix must be a plain path, without ' ', '?', '#' and '%%'");
    if (!prefix_valid(pc_slice_of(o->metrics_prefix)))
        return pc_errinfo(info, PUSHERC_EINVAL, 0,
                          "metrics_prefix: at most %d letters, digits, '_' and ':', no digit first",
                          MAX_METRICS_PREFIX);
    if (o->accept_traffic_percent > 100)
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "accept_traffic_percent: 1..100");
    if (o->allocator &&
        (!o->allocator->malloc_fn || !o->allocator->realloc_fn || !o->allocator->free_fn))
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "allocator: a function is missing");
    if (o->http_error_format != PUSHERC_HTTP_ERRORS_TEXT &&
        o->http_error_format != PUSHERC_HTTP_ERRORS_JSON)
        return pc_errinfo(info, PUSHERC_EINVAL, 0,
                          "http_error_format is none of PUSHERC_HTTP_ERRORS_*");
    if (o->out_soft_bytes && o->out_hard_bytes && o->out_soft_bytes > o->out_hard_bytes)
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "out_soft_bytes is above out_hard_bytes");
    if (o->webhook_batch_events > PUSHERC_MAX_WEBHOOK_EVENTS)
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "webhook_batch_events: at most %d",
                          PUSHERC_MAX_WEBHOOK_EVENTS);
    if (o->max_http_head_bytes > (64u << 20) || o->max_frame_bytes > (1u << 30) ||
        o->max_http_body_bytes > (1u << 30))
        return pc_errinfo(
            info, PUSHERC_EINVAL, 0,
            "max_http_head_bytes: at most 64 MiB; max_frame_bytes and max_http_body_bytes: 1 GiB");
    return 0;
}

int pc_server_options_take(pusherc_server_options *out, pusherc_hooks *hooks,
                           const pusherc_server_options *options, pusherc_errinfo *info)
{
    int err = PC_TAKE(server_options, out, options, info);
    if (err == 0 && out->hooks) {
        err = PC_TAKE(hooks, hooks, out->hooks, info);
        out->hooks = hooks;
    }
    return err ? err : check(out, info);
}
