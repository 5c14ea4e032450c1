/*
 * Asking the rules again because the application's facts have changed: pusherc_reauthorize() for an application that is
 * another process. The answer comes when every grant has been asked about.
 */
#include "api/call.h"

#include <pusherc/auth.h>

#include "session/everywhere.h"
#include "session/identity.h"

/* The change's result, on its way to the worker of the request. */
struct result {
    struct pc_pending pending;
    uint64_t kept, revoked, unanswered;
};

/* -- reading what the change concerns -- */

struct reading {
    struct pc_api_call *call;
    struct pc_buf scratch;
    struct pc_grant_filter filters[PUSHERC_MAX_GRANT_MATCHES];
    size_t count;
};

static bool refuse(struct reading *r, const char *text)
{
    pc_api_plain(r->call->reply, 400, text);
    return false;
}

static bool refuse_member(struct reading *r, pusherc_slice member, const char *text)
{
    (void)refuse(r, "");
    pc_api_say_quoted(r->call->reply, member);
    pc_api_say(r->call->reply, pc_slice_of(text));
    return false;
}

static bool set_user(struct reading *r, struct pc_grant_filter *filter, pusherc_slice text)
{
    filter->user_id = text;
    return (text.len && text.len <= PC_IDENTITY_MAX_ID) ||
           refuse(r, "user_id must have 1 to 200 bytes.");
}

/* A name is as good as a pattern; its prefix does not matter, as in a rule. */
static bool set_channel(struct reading *r, struct pc_grant_filter *filter, pusherc_slice text)
{
    filter->pattern = pc_rule_subject(text);
    return pc_pattern_valid(filter->pattern, NULL, NULL) ||
           refuse_member(r, text, " is neither a channel name nor a pattern.");
}

static bool set_socket(struct reading *r, struct pc_grant_filter *filter, pusherc_slice text)
{
    if (pusherc_socket_id_parse(text, &filter->socket_id) == 0)
        return true;
    return refuse_member(r, text, " is not a socket id of this server.");
}

static bool read_member(struct reading *r, struct pc_grant_filter *filter, struct pc_json key,
                        struct pc_json value)
{
    static const struct {
        pusherc_slice name;
        bool (*set)(struct reading *r, struct pc_grant_filter *filter, pusherc_slice text);
    } texts[] = {
        {PUSHERC_LIT("user_id"), set_user},
        {PUSHERC_LIT("channel"), set_channel},
        {PUSHERC_LIT("socket_id"), set_socket},
    };
    pusherc_slice name, text;

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (pc_json_name_is(key, texts[i].name))
            return pc_json_string(value, &r->scratch, &text)
                       ? refuse_member(r, texts[i].name, " must be a string.")
                       : texts[i].set(r, filter, text);
    if (pc_json_name_is(key, PC_S("anonymous"))) {
        filter->anonymous = pc_slice_eq(value.raw, PC_S("true"));
        return value.type == PC_JSON_BOOL || refuse(r, "anonymous must be true or false.");
    }
    /* A name that is spelled wrong would otherwise match everything. */
    if (pc_json_string(key, &r->scratch, &name))
        name = key.raw;
    return refuse_member(r, name, " is none of user_id, channel, socket_id, anonymous, matches.");
}

static bool read_match(struct reading *r, struct pc_json match)
{
    struct pc_grant_filter *filter = &r->filters[r->count];
    struct pc_json_iter iter = pc_json_iter_of(match);

    if (match.type != PC_JSON_OBJECT)
        return refuse(r, "matches must be an array of objects.");
    if (r->count == PUSHERC_MAX_GRANT_MATCHES)
        return refuse(r, "There are more than 100 matches.");
    *filter = (struct pc_grant_filter){.app_uid = r->call->app->state->uid};
    while (pc_json_next(&iter))
        if (!read_member(r, filter, iter.key, iter.value))
            return false;
    if (filter->anonymous && filter->user_id.len)
        return refuse(r, "A match cannot have a user_id and be anonymous.");
    if (r->count++)
        filter[-1].next = filter;
    return true;
}

/* An object with `matches` has nothing else; any other object is the only match. */
static bool read_body(struct reading *r)
{
    struct pc_json_iter iter;
    struct pc_json body = pc_api_body_object(r->call);
    struct pc_json matches = pc_json_get(body, PC_S("matches"));

    if (body.type != PC_JSON_OBJECT)
        return false;
    if (matches.type == PC_JSON_NONE)
        return read_match(r, body);
    iter = pc_json_iter_of(body);
    while (pc_json_next(&iter))
        if (!pc_json_name_is(iter.key, PC_S("matches")))
            return refuse(r, "An object with matches cannot have other members.");
    if (matches.type != PC_JSON_ARRAY)
        return refuse(r, "matches must be an array of objects.");
    iter = pc_json_iter_of(matches);
    while (pc_json_next(&iter))
        if (!read_match(r, iter.value))
            return false;
    return r->count > 0 || refuse(r, "matches is empty.");
}

/* -- asking -- */

/* Any worker's thread. */
static void done(uint64_t kept, uint64_t revoked, void *user_data)
{
    struct result *result = user_data;
    result->kept = kept;
    result->revoked = revoked;
    (void)pc_pending_answer(&result->pending); /* the client may have left */
}

static void answer(struct pc_api_call *call)
{
    const struct result *result = PC_CONTAINER(call->answer, struct result, pending);
    struct pc_buf *body = &call->reply->body;
    pc_api_begin(call->reply, 200, PC_API_JSON);
    pc_buf_put(body, PC_S("{\"kept\":"));
    pc_buf_put_u64(body, result->kept);
    pc_buf_put(body, PC_S(",\"revoked\":"));
    pc_buf_put_u64(body, result->revoked);
    if (result->unanswered) {
        pc_buf_put(body, PC_S(",\"unanswered\":"));
        pc_buf_put_u64(body, result->unanswered);
    }
    pc_buf_put_char(body, '}');
}

static void reauthorize(struct pc_api_call *call, const struct pc_grant_filter *filters)
{
    const struct pc_api_request *request = call->request;
    struct pc_await *await = request->await;

    if (!await) {
        pc_api_unavailable(call->reply, "This request needs a connection that can wait.");
        return;
    }
    struct pc_change *change = pc_change_new(request->engine, filters, PC_S(""), PC_S(""));
    struct result *result = change ? pc_alloc_zero(request->worker->mem, sizeof *result) : NULL;

    if (!result) {
        pc_change_drop(change);
        pc_api_out_of_memory(call->reply);
        return;
    }
    pc_pending_begin(&result->pending, request->worker, await, NULL);
    if (!pc_api_wait(call, answer)) {
        pc_change_drop(change);
        pc_pending_cancel(&result->pending, request->worker);
        return;
    }
    call->copy->patience_ms = 0; /* auth_timeout_ms ends each question, and so the change */
    change->done = done;
    change->user_data = result;
    change->unanswered = &result->unanswered;
    /* Without memory no worker was told. Then the client waits for nothing. */
    if (pc_change_everywhere(call->app, change))
        pc_pending_silence(&result->pending);
}

void pc_api_reauthorize(struct pc_api_call *call)
{
    char storage[PC_API_BODY_ROOM];
    struct reading r;

    if (!pc_api_take_events(call, 1) ||
        !pc_api_body_scratch(call, &r.scratch, storage, sizeof storage))
        return;
    r.call = call;
    r.count = 0;
    if (read_body(&r))
        reauthorize(call, r.filters);
    pc_buf_free(&r.scratch);
}
