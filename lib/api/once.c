/*
 * Publishing once (protocol section 12, last line). A publisher that does not get an answer sends its request again,
 * with the same key: in the header field X-Idempotency-Key, or in the member idempotency_key of a request or of an
 * event of a batch.
 *
 * Before publishing, pc_api_once_begin() looks the key up among the app's (channel/idempotency.h). A new key is taken,
 * together with a hash of what is published and with the answer, and pc_api_once_end() keeps it, or forgets it if
 * nothing was published. A known key is a repeat if the content is the same: the first answer is given again and
 * nothing is published. With another content it is an error of the publisher, and answering that with the old success
 * would lose an event: 409. While the first request is still being served, a repeat gets 503.
 */
#include "api/call.h"

bool pc_api_once_valid(pusherc_slice key)
{
    return key.len > 0 && pc_utf8_valid(key) && pc_utf8_length(key) <= PC_IDEMPOTENCY_KEY_MAX;
}

bool pc_api_once_key(struct pc_api_call *call, pusherc_slice member, pusherc_slice *key)
{
    pusherc_slice field = pc_http_field(call->request->message, PC_S("X-Idempotency-Key"));
    *key = member.len ? member : field;
    if (field.len && !pc_api_once_valid(field))
        pc_api_plain(call->reply, 400, "X-Idempotency-Key must have 1 to 128 characters.");
    else if (field.len && member.len && !pc_slice_eq(field, member))
        pc_api_plain(call->reply, 400,
                     "X-Idempotency-Key and idempotency_key are two different keys.");
    else
        return true;
    return false;
}

/* The parts are chained, so "ab","c" differs from "a","bc". The seed is secret: publishers cannot look for two contents
 * with the same hash. */
uint64_t pc_api_content(const struct pc_api_call *call, uint64_t before, pusherc_slice part)
{
    const uint64_t *seed = call->request->engine->seed;
    const uint64_t chained[2] = {seed[0] ^ before, seed[1]};
    return pc_hash(chained, part);
}

static void say_busy(struct pc_api_call *call)
{
    pc_api_unavailable(call->reply,
                       "The first request with this idempotency key is still being served.");
}

static void say_other(struct pc_api_call *call, pusherc_slice key)
{
    pc_api_plain(call->reply, 409, "The idempotency key ");
    pc_api_say_quoted(call->reply, key);
    pc_api_say(call->reply, PC_S(" was used for something else a short time ago, and this was not "
                                 "published: give each event a key of its own."));
}

bool pc_api_once_begin(struct pc_api_call *call, struct pc_api_once *once, pusherc_slice answer,
                       struct pc_buf *stored)
{
    const struct pc_api_request *request = call->request;
    const struct pc_idempotency_limits keep = {request->engine->constants.idempotency_max_bytes,
                                               request->engine->options.idempotency_ms};
    switch (pc_idempotency_begin(&call->app->state->idempotency, &keep, once->key, once->content,
                                 answer, request->worker->now_ms, stored, &once->entry)) {
    case PC_IDEMPOTENCY_FIRST:
        return true;
    case PC_IDEMPOTENCY_REPEAT:
        once->repeat = true;
        PC_LOG(&request->engine->log, DEBUG,
               ((struct pc_log_about){.subject = "api", .app_id = call->app->id}),
               "not published again: idempotency key \"%.*s\"", (int)once->key.len, once->key.ptr);
        return true;
    case PC_IDEMPOTENCY_RUNNING:
        say_busy(call);
        return false;
    case PC_IDEMPOTENCY_OTHER:
        say_other(call, once->key);
        return false;
    case PC_IDEMPOTENCY_NO_MEMORY:
        break;
    }
    /* What cannot be remembered is not published: a repeat would publish it twice. */
    pc_api_out_of_memory(call->reply);
    return false;
}

void pc_api_once_end(struct pc_api_call *call, struct pc_api_once *once, bool done)
{
    if (once->entry)
        pc_idempotency_end(&call->app->state->idempotency, once->entry, done);
    once->entry = NULL;
}
