/* Closing a user's connections (protocol section 5.7). */
#include "api/call.h"

#include "protocol/close.h"
#include "session/everywhere.h"

void pc_api_terminate(struct pc_api_call *call)
{
    pusherc_slice user_id = call->channel; /* the route's last '*' */
    const struct pc_disconnect which = {
        .app_uid = call->app->state->uid,
        .user_id = user_id,
        .signed_in = true,
        .members = call->app->options.terminate_matches_presence,
        .code = PC_CLOSE_UNAUTHORIZED,
        .reason = PC_S("You got disconnected by the app."),
    };
    if (!pc_user_id_valid(user_id)) {
        pc_api_plain(call->reply, 400, "Invalid user id: ");
        pc_api_say_quoted(call->reply, user_id);
        pc_api_say(call->reply, PC_S("."));
        return;
    }
    if (pc_disconnect_everywhere(call->request->engine, call->app, &which)) {
        pc_api_out_of_memory(call->reply);
        return;
    }
    pc_api_begin(call->reply, 200, PC_API_JSON);
    pc_buf_put(&call->reply->body, PC_S("{}"));
}
