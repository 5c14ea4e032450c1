#include <pusherc/metrics.h>

#include "server/server.h"

static uint64_t get(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

int pusherc_server_stats(pusherc_server *server, pusherc_stats *out)
{
    if (!server || !out || out->struct_size != sizeof *out)
        return PUSHERC_EINVAL;
    struct pc_engine *engine = &server->engine;
    *out = (pusherc_stats)PUSHERC_STATS_INIT;
    for (uint32_t i = 0; i < engine->worker_count; i++) {
        const struct pc_worker_stats *s = &engine->workers[i].stats;
        out->connections += get(&s->connections);
        out->connections_total += get(&s->connections_total);
        out->sockets += get(&s->sockets);
        out->subscriptions += get(&s->subscriptions);
        out->messages_in_total += get(&s->messages_in);
        out->messages_out_total += get(&s->messages_out);
        out->bytes_in_total += get(&s->bytes_in);
        out->bytes_out_total += get(&s->bytes_out);
        out->write_calls_total += get(&s->write_calls);
        out->http_requests_total += get(&s->http_requests);
        out->slow_closed_total += get(&s->slow_closed);
        out->slow_dropped_total += get(&s->slow_dropped);
        out->out_queued_bytes += get(&s->out_queued_bytes);
    }
    out->channels = pc_directory_occupied(&engine->directory);
    out->publishes_total = get(&engine->publishes);
    out->publishes_unmatched_total = get(&engine->unmatched);
    out->mailbox_refused_total = get(&engine->mailbox_refused);
    return 0;
}
