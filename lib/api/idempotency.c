/*
 * Idempotency keys: a repeated request publishes nothing (protocol section 12, last line). A publisher that does not
 * get an answer sends its request again with the same key, in the header field X-Idempotency-Key, or in the member
 * idempotency_key of a request or of an event of a batch.
 *
 * Before publishing, pc_api_idempotency_begin() looks the key up in the app's table (channel/idempotency.h). A new key
 * is entered with a hash of the content and with the answer; pc_api_idempotency_end() keeps the entry, or removes it if
 * nothing was published. If the key is known and the content is the same, the request is a repeat: it gets the first
 * answer, and nothing is published. If the content differs, the publisher has made an error and gets 409, because the
 * old answer would hide that an event was lost. While the first request is still being served, a repeat gets 503.
 *
 * A key costs a look-up and a hash of the content; a request without a key costs nothing.
 */
#include "api/call.h"

bool pc_api_idempotency_key_valid(pusherc_slice key)
{
    return key.len > 0 && pc_utf8_valid(key) && pc_utf8_length(key) <= PC_IDEMPOTENCY_KEY_MAX;
}

bool pc_api_idempotency_key(struct pc_api_call *call, pusherc_slice member, pusherc_slice *key)
{
    pusherc_slice field = pc_http_field(call->request->message, PC_S("X-Idempotency-Key"));
    *key = member.len ? member : field;
    if (field.len && !pc_api_idempotency_key_valid(field))
        pc_api_plain(call->reply, 400, "X-Idempotency-Key must have 1 to 128 characters.");
    else if (field.len && member.len && !pc_slice_eq(field, member))
        pc_api_plain(call->reply, 400,
                     "X-Idempotency-Key and idempotency_key are two different keys.");
    else
        return true;
    return false;
}

/* The parts are chained, so "ab","c" and "a","bc" have different hashes. The seed is secret, so a publisher cannot
 * search for two contents with the same hash. */
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

bool pc_api_idempotency_begin(struct pc_api_call *call, struct pc_api_idempotency *idempotency,
                              pusherc_slice answer, struct pc_buf *stored)
{
    const struct pc_api_request *request = call->request;
    const struct pc_idempotency_limits keep = {request->engine->constants.idempotency_max_bytes,
                                               request->engine->options.idempotency_ms};
    switch (pc_idempotency_begin(&call->app->state->idempotency, &keep, idempotency->key,
                                 idempotency->content, answer, request->worker->now_ms, stored,
                                 &idempotency->entry)) {
    case PC_IDEMPOTENCY_FIRST:
        return true;
    case PC_IDEMPOTENCY_REPEAT:
        idempotency->repeat = true;
        PC_LOG(&request->engine->log, DEBUG,
               ((struct pc_log_about){.subject = "api", .app_id = call->app->id}),
               "not published again: idempotency key \"%.*s\"", (int)idempotency->key.len,
               idempotency->key.ptr);
        return true;
    case PC_IDEMPOTENCY_RUNNING:
        say_busy(call);
        return false;
    case PC_IDEMPOTENCY_OTHER:
        say_other(call, idempotency->key);
        return false;
    case PC_IDEMPOTENCY_NO_MEMORY:
        break;
    }
    /* Without an entry nothing is published, because a repeat would publish it twice. */
    pc_api_out_of_memory(call->reply);
    return false;
}

void pc_api_idempotency_end(struct pc_api_call *call, struct pc_api_idempotency *idempotency,
                            bool done)
{
    if (idempotency->entry)
        pc_idempotency_end(&call->app->state->idempotency, idempotency->entry, done);
    idempotency->entry = NULL;
}
