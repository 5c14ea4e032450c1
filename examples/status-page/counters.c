#include "counters.h"

#include "common/accounts.h"
#include "common/program.h"

/* clang-format off */
#define EACH_COUNTER(X) \
    X(connections) X(connections_total) X(sockets) X(subscriptions) X(channels) X(messages_in_total) \
    X(messages_out_total) X(bytes_in_total) X(bytes_out_total) X(write_calls_total) X(http_requests_total) \
    X(publishes_total) X(publishes_unmatched_total) X(slow_closed_total) X(slow_dropped_total) \
    X(out_queued_bytes) X(mailbox_refused_total)
/* clang-format on */

void counters_send(struct program *program, pusherc_http_request *request,
                   const struct http_params *params)
{
    (void)params;
    struct session session;
    accounts_find(program, request, &session);
    if (!store_has(program->store,
                   "SELECT 1 FROM memberships WHERE user_id = ? AND role <> 'member'",
                   VALUES(INT(session.user_id)))) {
        http_send_error(request, session.user_id ? 403 : 401, "This is for admins and owners.");
        return;
    }
    pusherc_stats stats = PUSHERC_STATS_INIT;
    pusherc_server_stats(program->server, &stats);
    cJSON *metrics = cJSON_CreateObject();
#define ADD(name) cJSON_AddNumberToObject(metrics, #name, (double)stats.name);
    EACH_COUNTER(ADD)
#undef ADD
    http_send_json(request, 200, metrics);
    cJSON_Delete(metrics);
}
