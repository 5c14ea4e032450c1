#include "base/options.h"
#include "channel/history.h"
#include "server/inbox.h"
#include "server/metrics.h"

void pc_server_count(pusherc_server *server, pusherc_stats *out)
{
    struct pc_engine *engine = &server->engine;
    for (uint32_t i = 0; i < engine->worker_count; i++) {
        const struct pc_worker *worker = &engine->workers[i];
        const struct pc_worker_stats *s = &worker->stats;
        uint32_t depth, most;
        pc_mailbox_depth(worker->mailbox, &depth, &most);
        out->connections += pc_stat_get(&s->connections);
        out->connections_total += pc_stat_get(&s->connections_total);
        out->sockets += pc_stat_get(&s->sockets);
        out->sockets_unestablished += pc_stat_get(&s->unestablished);
        out->sockets_reclaimed_total += pc_stat_get(&s->sockets_reclaimed);
        out->sockets_refused_total += pc_stat_get(&s->sockets_refused);
        out->subscriptions += pc_stat_get(&s->subscriptions);
        out->messages_in_total += pc_stat_get(&s->messages_in);
        out->messages_out_total += pc_stat_get(&s->messages_out);
        out->bytes_in_total += pc_stat_get(&s->bytes_in);
        out->bytes_out_total += pc_stat_get(&s->bytes_out);
        out->write_calls_total += pc_stat_get(&s->write_calls);
        out->http_requests_total += pc_stat_get(&s->http_requests);
        out->slow_closed_total += pc_stat_get(&s->slow_closed);
        out->slow_dropped_total += pc_stat_get(&s->slow_dropped);
        out->out_queued_bytes += pc_stat_get(&s->out_queued_bytes);
        out->grants += pc_stat_get(&s->grants);
        out->questions += pc_stat_get(&s->questions);
        out->questions_refused_total += pc_stat_get(&s->questions_refused);
        out->history_resumes_total += pc_stat_get(&s->resumes);
        out->history_replayed_total += pc_stat_get(&s->replayed);
        out->history_lost_total += pc_stat_get(&s->history_lost);
        out->mailbox_depth += depth;
        if (most > out->mailbox_depth_max)
            out->mailbox_depth_max = most;
    }
    pc_messages_count(server->messages, out);
    out->history_bytes = pc_history_bytes(&engine->directory);
    out->publishes_total = pc_stat_get(&engine->publishes);
    out->publishes_unmatched_total = pc_stat_get(&engine->unmatched);
    out->mailbox_refused_total = pc_stat_get(&engine->mailbox_refused);
    out->compressed_total = pc_stat_get(&engine->compressed);
    out->compressed_from_bytes_total = pc_stat_get(&engine->compressed_from_bytes);
    out->compressed_to_bytes_total = pc_stat_get(&engine->compressed_to_bytes);
    out->webhook_requests_total = pc_stat_get(&engine->webhooks.requests);
    out->webhook_failures_total = pc_stat_get(&engine->webhooks.failures);
    out->webhook_retries_total = pc_stat_get(&engine->webhooks.retries);
    out->webhook_delivered_total = pc_stat_get(&engine->webhooks.delivered);
    out->webhook_dropped_total = pc_stat_get(&engine->webhooks.dropped);
    out->webhook_given_up_total = pc_stat_get(&engine->webhooks.given_up);
    out->webhook_queued = pc_stat_get(&engine->webhooks.queued);
}

int pusherc_server_stats(pusherc_server *server, pusherc_stats *out)
{
    pusherc_stats stats = {0};
    if (!server || !out || !pc_can_give(out, &pc_sized_stats))
        return PUSHERC_EINVAL;
    if (pc_server_is_copy(server))
        return PUSHERC_ESTATE;
    pc_server_count(server, &stats);
    stats.channels = pc_directory_occupied(&server->engine.directory);
    pc_give(out, &stats, &pc_sized_stats);
    return 0;
}
