/* Pages that need no app and no signature: health checks, and the reports of pusher-js. */
#include "api/call.h"

void pc_api_root(struct pc_api_call *call)
{
    pc_api_plain(call->reply, 200, "OK");
}

void pc_api_ready(struct pc_api_call *call)
{
    const struct pc_engine *engine = call->request->engine;
    if (pc_engine_is_draining(engine)) {
        pc_api_unavailable(call->reply, "The server is shutting down.");
        return;
    }
    switch (pc_engine_health(engine)) {
    case PC_HEALTH_OK:
        pc_api_plain(call->reply, 200, "OK");
        break;
    case PC_HEALTH_DEGRADED:
        pc_api_plain(call->reply, 200, "degraded: the link with other servers is down");
        break;
    case PC_HEALTH_UNREADY:
    case PC_HEALTH_APART:
        pc_api_unavailable(call->reply, "The link with other servers is down.");
        break;
    }
}

void pc_api_up(struct pc_api_call *call)
{
    pc_api_begin(call->reply, 200, PC_API_JSON);
    pc_buf_put(&call->reply->body, PC_S("{\"health\":\"OK\"}"));
}

/*
 * Reports of pusher-js about its connections, in apps that turn them on and set this server as their destination
 * (protocol section 9.10). They are answered and not kept.
 */

void pc_api_timeline_script(struct pc_api_call *call)
{
    pc_api_begin(call->reply, 200, PC_API_SCRIPT);
    pc_buf_put(&call->reply->body, PC_S("/**/"));
}

void pc_api_timeline_object(struct pc_api_call *call)
{
    pc_api_begin(call->reply, 200, PC_API_JSON);
    pc_buf_put(&call->reply->body, PC_S("{}"));
}
