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
 * Other processes that serve the app are asked first (pc_api_once(), fanout/once.h). What they do not know may still be
 * in the app's table, from a time without a link to them; then they are told.
 *
 * A key costs a look-up and a hash of the content; a request without a key costs nothing.
 */
#include "api/call.h"

#include <pusherc/error.h>

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

/* The parts are chained, so "ab","c" and "a","bc" have different hashes. The seed is as secret as the app's secret, so
 * whoever writes contents and is not the publisher cannot search for two with the same hash. */
uint64_t pc_api_content(const struct pc_api_call *call, uint64_t before, pusherc_slice part)
{
    const uint64_t *seed = call->app->content_seed;
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

/* -- other processes -- */

static void dispose(struct pc_pending *pending)
{
    struct pc_once *once = PC_CONTAINER(pending, struct pc_once, pending);
    pc_once_keys_free(once);
    pc_buf_free(&once->before.found);
}

static bool add_key(const struct pc_api_call *call, struct pc_once *once,
                    const struct pc_api_idempotency *idempotency)
{
    struct pc_once_key *key = pc_once_key_new(&once->pending.mem, call->app->id, idempotency->key);
    if (!key)
        return false;
    key->content = idempotency->content;
    key->keep_ms = call->request->engine->options.idempotency_ms;
    pc_list_push_back(&once->keys, &key->in_order);
    return true;
}

/* Begins to wait. NULL: out of memory. */
static struct pc_once *once_new(const struct pc_api_call *call,
                                const struct pc_api_idempotency *const *keys, size_t count)
{
    struct pc_worker *worker = call->request->worker;
    struct pc_once *once = pc_alloc_zero(worker->mem, sizeof *once);
    if (!once)
        return NULL;
    pc_pending_begin(&once->pending, worker, call->request->await, NULL);
    once->pending.dispose = dispose;
    once->party = &call->request->engine->once;
    pc_list_init(&once->keys);
    pc_buf_init(&once->before.found, &once->pending.mem, SIZE_MAX);
    once->has_before = call->found != NULL;
    bool ok = true;
    for (size_t i = 0; i < count && ok; i++)
        ok = keys[i]->key.len == 0 || add_key(call, once, keys[i]);
    if (call->found)
        pc_buf_put(&once->before.found, pc_buf_slice(&call->found->found));
    if (ok && pc_buf_status(&once->before.found) == 0)
        return once;
    pc_pending_cancel(&once->pending, worker);
    return NULL;
}

/* The answer has come: the handler begins again. */
static void go_on(struct pc_api_call *call)
{
    call->once = PC_CONTAINER(call->answer, struct pc_once, pending);
    call->found = call->once->has_before ? &call->once->before : NULL;
    call->handler(call);
}

static bool has_key(const struct pc_api_idempotency *const *keys, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (keys[i]->key.len)
            return true;
    return false;
}

bool pc_api_once(struct pc_api_call *call, const struct pc_api_idempotency *const *keys,
                 size_t count, void (*handler)(struct pc_api_call *call))
{
    const struct pc_once_party *party = &call->request->engine->once;
    if (!party->ask || call->once || !call->request->await || !has_key(keys, count))
        return false;
    struct pc_once *once = once_new(call, keys, count);
    int err = once ? party->ask(party->ctx, once) : PUSHERC_ENOMEM;
    if (err == 0) {
        call->handler = handler;
        if (!pc_api_wait(call, go_on))
            pc_await_abandon(call->request->await); /* the reply is the 500 */
        return true;
    }
    if (once)
        pc_pending_cancel(&once->pending, call->request->worker);
    if (err == PUSHERC_ENOMEM)
        pc_api_out_of_memory(call->reply);
    return err == PUSHERC_ENOMEM;
}

/* What other processes know of the key; NULL: they were not asked. */
static struct pc_once_key *asked_key(const struct pc_api_call *call, pusherc_slice key)
{
    if (!call->once)
        return NULL;
    PC_LIST_EACH(l, &call->once->keys) {
        struct pc_once_key *k = PC_CONTAINER(l, struct pc_once_key, in_order);
        if (pc_slice_eq(k->key, key))
            return k;
    }
    return NULL;
}

/* Publishes, or has published: a repeat anywhere gets this answer. False: out of memory. */
static bool set_answer(struct pc_once_key *key, pusherc_slice answer)
{
    pc_buf_put(&key->answer, answer);
    return pc_buf_status(&key->answer) == 0;
}

static void tell_others(struct pc_api_call *call, struct pc_api_idempotency *idempotency, bool done)
{
    const struct pc_once_party *party = &call->request->engine->once;
    if (idempotency->everywhere)
        party->end(party->ctx, idempotency->everywhere, done);
    idempotency->everywhere = NULL;
}

/* -- beginning and ending -- */

static void say_repeat(struct pc_api_call *call, struct pc_api_idempotency *idempotency)
{
    idempotency->repeat = true;
    PC_LOG(&call->request->engine->log, DEBUG,
           ((struct pc_log_about){.subject = "api", .app_id = call->app->id}),
           "not published again: idempotency key \"%.*s\"", (int)idempotency->key.len,
           idempotency->key.ptr);
}

/* By what this process knows. */
static bool begin_here(struct pc_api_call *call, struct pc_api_idempotency *idempotency,
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
        say_repeat(call, idempotency);
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

/* The key is free everywhere, or the others could not be asked. */
static bool begin(struct pc_api_call *call, struct pc_api_idempotency *idempotency,
                  struct pc_once_key *asked, pusherc_slice answer, struct pc_buf *stored)
{
    size_t before = stored->len;
    if (!begin_here(call, idempotency, answer, stored))
        return false;
    if (!asked || asked->result != PC_ONCE_FIRST)
        return true;
    idempotency->everywhere = asked;
    if (!set_answer(asked,
                    idempotency->repeat ? pc_slice_skip(pc_buf_slice(stored), before) : answer)) {
        pc_api_idempotency_end(call, idempotency, false);
        pc_api_out_of_memory(call->reply);
        return false;
    }
    if (idempotency->repeat) /* published while there was no link */
        tell_others(call, idempotency, true);
    return true;
}

bool pc_api_idempotency_begin(struct pc_api_call *call, struct pc_api_idempotency *idempotency,
                              pusherc_slice answer, struct pc_buf *stored)
{
    struct pc_once_key *asked = asked_key(call, idempotency->key);
    switch (asked ? asked->result : PC_ONCE_ALONE) {
    case PC_ONCE_ALONE:
    case PC_ONCE_FIRST:
        return begin(call, idempotency, asked, answer, stored);
    case PC_ONCE_REPEAT:
        pc_buf_put(stored, pc_buf_slice(&asked->answer));
        if (pc_buf_status(stored) || pc_buf_status(&asked->answer)) {
            pc_api_out_of_memory(call->reply);
            return false;
        }
        say_repeat(call, idempotency);
        return true;
    case PC_ONCE_RUNNING:
        say_busy(call);
        return false;
    case PC_ONCE_OTHER:
        break;
    }
    say_other(call, idempotency->key);
    return false;
}

void pc_api_idempotency_end(struct pc_api_call *call, struct pc_api_idempotency *idempotency,
                            bool done)
{
    if (idempotency->entry)
        pc_idempotency_end(&call->app->state->idempotency, idempotency->entry, done);
    idempotency->entry = NULL;
    tell_others(call, idempotency, done);
}
