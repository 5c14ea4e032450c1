/* The events that a channel keeps, as they were published: GET /apps/{id}/channels/{name}/history. */
#include "api/call.h"

#include "channel/history.h"
#include "codec/json.h"

/* What the query asks for. */
struct ask {
    pusherc_slice after; /* len 0 = all events */
    uint64_t limit;
};

static bool read_ask(struct pc_api_call *call, struct ask *out)
{
    const pusherc_slice *after = pc_api_param(call, PC_S("after"));
    const pusherc_slice *limit = pc_api_param(call, PC_S("limit"));
    *out = (struct ask){.after = after ? *after : PC_S(""), .limit = UINT64_MAX};
    if (!limit || (pc_slice_to_u64(*limit, &out->limit) && out->limit > 0))
        return true;
    pc_api_plain(call->reply, 400, "limit must be a number, 1 or more.");
    return false;
}

static bool check_channel(struct pc_api_call *call)
{
    struct pc_channel_class class;
    if (!pc_channel_name_valid(call->channel, PC_CHANNEL_NAME_MAX, &class)) {
        pc_api_plain(call->reply, 400, "Invalid channel name: ");
        pc_api_say_quoted(call->reply, call->channel);
        pc_api_say(call->reply, PC_S(" (" PC_CHANNEL_NAME_RULE ")."));
        return false;
    }
    if (pc_app_history(call->app, call->channel))
        return true;
    pc_api_plain(call->reply, 400, "The channel has no history: no pattern of the app covers ");
    pc_api_say_quoted(call->reply, call->channel);
    pc_api_say(call->reply, PC_S("."));
    return false;
}

static void put_id(const struct pc_api_call *call, uint64_t number)
{
    char id[PC_POSITION_LEN];
    pc_position_put(id, &call->request->engine->directory, number);
    pc_buf_put(&call->reply->body, PC_S("\"event_id\":\""));
    pc_buf_put(&call->reply->body, pc_slice(id, sizeof id));
    pc_buf_put_char(&call->reply->body, '"');
}

static void put_event(const struct pc_api_call *call, const struct pc_past *past, bool first)
{
    struct pc_buf *body = &call->reply->body;
    pc_buf_put(body, first ? PC_S("{") : PC_S(",{"));
    put_id(call, past->number);
    pc_buf_put(body, PC_S(",\"name\":"));
    pc_json_put_string(body, past->event);
    pc_buf_put(body, PC_S(",\"data\":"));
    pc_json_put_string(body, past->data);
    uint64_t now_ms = call->request->worker->now_ms;
    pc_buf_put(body, PC_S(",\"age_ms\":"));
    pc_buf_put_u64(body, now_ms > past->at_ms ? now_ms - past->at_ms : 0);
    pc_buf_put_char(body, '}');
}

/* Returns the position that the answer ends at. */
static uint64_t put_events(const struct pc_api_call *call, const struct pc_past_events *events,
                           uint64_t after, uint64_t limit)
{
    uint64_t count = 0, number = events->number;
    for (const struct pc_past *p = pc_past_next(events, NULL); p; p = pc_past_next(events, p)) {
        if (p->number <= after)
            continue;
        if (count == limit)
            return number;
        put_event(call, p, count++ == 0);
        number = count == limit ? p->number : events->number;
    }
    return events->number;
}

void pc_api_channel_history(struct pc_api_call *call)
{
    struct pc_directory *directory = &call->request->engine->directory;
    struct pc_buf *body = &call->reply->body;
    struct pc_past_events events;
    struct ask ask;
    if (!check_channel(call) || !read_ask(call, &ask))
        return;
    pc_history_look(directory, call->app->state, call->channel, call->request->worker->now_ms,
                    &events);
    uint64_t after = 0;
    const bool complete = pc_past_events_after(&events, directory, ask.after, &after);
    pc_api_begin(call->reply, 200, PC_API_JSON);
    pc_buf_put(body, PC_S("{\"events\":["));
    uint64_t number = put_events(call, &events, after, ask.limit);
    pc_buf_put(body, complete ? PC_S("],\"complete\":true,") : PC_S("],\"complete\":false,"));
    put_id(call, number);
    pc_buf_put_char(body, '}');
    pc_past_events_free(&events);
}
