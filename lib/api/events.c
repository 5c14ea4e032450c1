/*
 * Publishing over HTTP (protocol sections 5.1 to 5.3, 5.8). A request is read and checked completely before its first
 * event is published.
 */
#include "api/call.h"

#include <pusherc/publish.h>

#include "codec/json.h"
#include "fanout/incoming.h"

struct event {
    pusherc_slice name, data;
    pusherc_slice *channels; /* borrowed */
    size_t channel_count;
    pusherc_socket_id except;
    struct pc_api_info info;
    pusherc_slice key; /* idempotency_key; len 0 = none */
    struct pusherc_incoming incoming;
    /* of a batch: */
    struct pc_api_idempotency idempotency;
    size_t stored_at, stored_len; /* a repeat's first answer, in the batch's `stored` */
};

/* One event being read. */
struct reading {
    struct pc_api_call *call;
    struct pc_buf *scratch; /* decoded strings; has room for all of them, so they do not move */
    size_t item;            /* the event's place in the batch, from 1; 0 = no batch */
    struct event *event;
};

/* Begins the error's text, to which callers may append. Returns false. */
static bool refuse_event(const struct reading *r, int status, const char *text)
{
    struct pc_api_reply *reply = r->call->reply;
    pc_api_begin_text(reply, status);
    if (r->item) {
        pc_api_say(reply, PC_S("Event "));
        pc_buf_put_u64(&reply->body, r->item);
        pc_api_say(reply, PC_S(" of the batch: "));
    }
    pc_api_say(reply, pc_slice_of(text));
    return false;
}

/* -- parts of an event, from JSON or from the query -- */

static bool add_channel(const struct reading *r, pusherc_slice name)
{
    struct event *event = r->event;
    uint32_t max = r->call->app->options.max_event_channels;
    if (event->channel_count == max) {
        pc_app_limited(r->call->app, PC_APP_max_event_channels);
        refuse_event(r, 400, "Cannot broadcast to more than ");
        pc_buf_put_u64(&r->call->reply->body, max);
        pc_api_say(r->call->reply, PC_S(" channels at once."));
        return false;
    }
    event->channels[event->channel_count++] = name;
    return true;
}

static bool set_socket_id(const struct reading *r, pusherc_slice text)
{
    /* ELIMIT: well-formed, but not an id that this server gives. No client has it, so no client is excluded. */
    if (pusherc_socket_id_parse(text, &r->event->except) != PUSHERC_EINVAL)
        return true;
    refuse_event(r, 400, "Malformed socket_id: ");
    pc_api_say_quoted(r->call->reply, text);
    pc_api_say(r->call->reply, PC_S("."));
    return false;
}

static bool set_key(const struct reading *r, pusherc_slice text)
{
    r->event->key = text;
    return pc_api_idempotency_key_valid(text) ||
           refuse_event(r, 400, "idempotency_key must have 1 to 128 characters.");
}

/* Appends the name and the channel, by which the publisher finds an event that was refused for its length. */
static void say_which(const struct reading *r)
{
    struct pc_api_reply *reply = r->call->reply;
    const struct event *event = r->event;
    pc_api_say(reply, PC_S(" (event "));
    pc_api_say_quoted(reply, event->name);
    pc_api_say(reply, PC_S(", channel "));
    pc_api_say_quoted(reply, event->channels[0]);
    if (event->channel_count > 1) {
        pc_api_say(reply, PC_S(" and "));
        pc_buf_put_u64(&reply->body, event->channel_count - 1);
        pc_api_say(reply, PC_S(" more"));
    }
    pc_api_say(reply, PC_S(")"));
}

static struct pc_publication publication_of(const struct pc_api_call *call,
                                            const struct event *event)
{
    return (struct pc_publication){
        .event = event->name,
        .channels = event->channels,
        .channel_count = event->channel_count,
        .data = event->data,
        .except = event->except,
        .cacheable = true,
        .way = PC_WAY_HTTP_API,
        .now_ms = call->request->worker->now_ms,
        .worker = call->request->worker,
    };
}

static bool check_event(const struct reading *r)
{
    const struct pc_publication p = publication_of(r->call, r->event);
    pusherc_errinfo info;
    switch (pc_publication_check(r->call->request->engine, r->call->app, &p, &info)) {
    case 0:
        return true;
    case PUSHERC_ELIMIT:
        refuse_event(r, 413, info.text);
        say_which(r);
        break;
    default:
        refuse_event(r, 400, info.text);
        break;
    }
    pc_api_say(r->call->reply, PC_S("."));
    return false;
}

/* -- an event as JSON -- */

enum field {
    NAME,
    DATA,
    CHANNEL,
    CHANNELS,
    SOCKET_ID,
    INFO,
    IDEMPOTENCY_KEY,
    FIELD_COUNT
};

static const pusherc_slice field_names[FIELD_COUNT] = {
    [NAME] = PUSHERC_LIT("name"),
    [DATA] = PUSHERC_LIT("data"),
    [CHANNEL] = PUSHERC_LIT("channel"),
    [CHANNELS] = PUSHERC_LIT("channels"),
    [SOCKET_ID] = PUSHERC_LIT("socket_id"),
    [INFO] = PUSHERC_LIT("info"),
    [IDEMPOTENCY_KEY] = PUSHERC_LIT("idempotency_key"),
};

/* Finds for each name what pc_json_get() would find, in one walk over the object. */
static void pick(struct pc_json object, struct pc_json fields[FIELD_COUNT])
{
    struct pc_json_iter iter = pc_json_iter_of(object);
    while (pc_json_next(&iter)) {
        pusherc_slice key = pc_slice(iter.key.raw.ptr + 1, iter.key.raw.len - 2);
        if (pc_slice_find(key, '\\') < key.len) {
            /* Names with escapes are rare: look each field up by itself. */
            for (size_t f = 0; f < FIELD_COUNT; f++)
                fields[f] = pc_json_get(object, field_names[f]);
            return;
        }
        for (size_t f = 0; f < FIELD_COUNT; f++) {
            if (pc_slice_eq(key, field_names[f])) {
                fields[f] = iter.value;
                break;
            }
        }
    }
}

/* False also for null, which SDKs send for optional arguments that were not given. */
static bool is_given(struct pc_json value)
{
    return value.type != PC_JSON_NONE && value.type != PC_JSON_NULL;
}

static bool read_string(const struct reading *r, enum field field, struct pc_json value,
                        pusherc_slice *out)
{
    int err = pc_json_string(value, r->scratch, out);
    if (err == 0)
        return true;
    if (err != PUSHERC_EINVAL) {
        pc_api_out_of_memory(r->call->reply);
        return false;
    }
    refuse_event(r, 400, "");
    pc_api_say(r->call->reply, field_names[field]);
    if (value.type == PC_JSON_STRING)
        pc_api_say(r->call->reply,
                   PC_S(" has an escape that no text can hold: half of a surrogate pair."));
    else
        pc_api_say(r->call->reply, PC_S(" must be a string."));
    return false;
}

/* Clients get a string. If the data is another JSON value, they get its text. */
static bool read_data(const struct reading *r, struct pc_json value)
{
    struct pc_buf *scratch = r->scratch;
    switch (value.type) {
    case PC_JSON_NONE:
    case PC_JSON_NULL:
        return refuse_event(r, 400, "data is missing.");
    case PC_JSON_STRING:
        return read_string(r, DATA, value, &r->event->data);
    case PC_JSON_BOOL:
    case PC_JSON_NUMBER:
        r->event->data = value.raw;
        return true;
    case PC_JSON_OBJECT:
    case PC_JSON_ARRAY:
        break;
    }
    size_t start = scratch->len;
    pc_json_put_compact(scratch, value);
    r->event->data = pc_slice(scratch->ptr + start, scratch->len - start);
    return true;
}

static bool read_channels(const struct reading *r, struct pc_json array)
{
    static const char no_list[] = "channels must be an array of strings.";
    if (array.type != PC_JSON_ARRAY)
        return refuse_event(r, 400, no_list);
    struct pc_json_iter iter = pc_json_iter_of(array);
    while (pc_json_next(&iter)) {
        pusherc_slice name;
        if (iter.value.type != PC_JSON_STRING)
            return refuse_event(r, 400, no_list);
        if (!read_string(r, CHANNELS, iter.value, &name) || !add_channel(r, name))
            return false;
    }
    return true;
}

static bool read_channel(const struct reading *r, struct pc_json value)
{
    pusherc_slice name;
    return read_string(r, CHANNEL, value, &name) && add_channel(r, name);
}

/* `channels` takes precedence over `channel`; an event of a batch has `channel` only. */
static bool read_targets(const struct reading *r, const struct pc_json fields[FIELD_COUNT])
{
    if (is_given(fields[CHANNELS]) && r->item == 0)
        return read_channels(r, fields[CHANNELS]);
    if (is_given(fields[CHANNEL]))
        return read_channel(r, fields[CHANNEL]);
    return refuse_event(r, 400,
                        r->item ? "channel is missing." : "channel and channels are missing.");
}

static bool read_event(const struct reading *r, struct pc_json object)
{
    struct pc_json fields[FIELD_COUNT] = {{PC_JSON_NONE, {NULL, 0}}};
    pusherc_slice text;

    pick(object, fields);
    if (!is_given(fields[NAME]))
        return refuse_event(r, 400, "name is missing.");
    if (!read_string(r, NAME, fields[NAME], &r->event->name) || !read_targets(r, fields) ||
        !read_data(r, fields[DATA]))
        return false;
    if (is_given(fields[SOCKET_ID])) {
        if (!read_string(r, SOCKET_ID, fields[SOCKET_ID], &text) || !set_socket_id(r, text))
            return false;
    }
    if (is_given(fields[INFO])) {
        if (!read_string(r, INFO, fields[INFO], &text))
            return false;
        pc_api_info_add(&r->event->info, text);
    }
    if (is_given(fields[IDEMPOTENCY_KEY])) {
        if (!read_string(r, IDEMPOTENCY_KEY, fields[IDEMPOTENCY_KEY], &text) || !set_key(r, text))
            return false;
    }
    return check_event(r);
}

/* -- an event as query parameters (section 5.1): discouraged, but documented -- */

static bool read_event_of_query(const struct reading *r)
{
    const struct pc_api_call *call = r->call;
    const pusherc_slice *name = pc_api_param(call, PC_S("name"));
    const pusherc_slice *data = pc_api_param(call, PC_S("data"));
    const pusherc_slice *channel = pc_api_param(call, PC_S("channel"));
    const pusherc_slice *socket_id = pc_api_param(call, PC_S("socket_id"));
    const pusherc_slice *key = pc_api_param(call, PC_S("idempotency_key"));

    if (!name && !data)
        return refuse_event(r, 400, "The request has no body: it should be a JSON object.");
    if (!name)
        return refuse_event(r, 400, "name is missing.");
    if (!data)
        return refuse_event(r, 400, "data is missing.");
    r->event->name = *name;
    r->event->data = *data;
    for (size_t i = 0; i < call->param_count; i++)
        if (pc_api_param_is(&call->params[i], PC_S("channels")) &&
            !add_channel(r, call->params[i].value))
            return false;
    if (r->event->channel_count == 0 && channel && !add_channel(r, *channel))
        return false;
    if ((socket_id && !set_socket_id(r, *socket_id)) || (key && !set_key(r, *key)))
        return false;
    pc_api_info_of_query(call, &r->event->info);
    return check_event(r);
}

/* -- the requests -- */

/* Asks the host about the event. `item` as in struct reading. False: the reply is the refusal. */
static bool judge(struct pc_api_call *call, struct event *event, size_t item)
{
    const struct pc_publication p = publication_of(call, event);
    const struct reading r = {call, NULL, item, event};
    struct pusherc_incoming *in = &event->incoming;
    if (pc_incoming_judge(in, call->request->engine, call->app, PUSHERC_SOURCE_HTTP, &p))
        return true;
    refuse_event(&r, 403, "The event was refused");
    pc_api_say(call->reply, in->reason[0] ? PC_S(": ") : PC_S("."));
    pc_api_say(call->reply, pc_slice_of(in->reason));
    return false;
}

/* Publishes what was judged. False: the reply is the error. */
static bool publish(struct pc_api_call *call, const struct event *event)
{
    switch (pc_publish(call->request->engine, call->app, &event->incoming.publication)) {
    case 0:
        return true;
    case PUSHERC_EBACKLOG:
        pc_api_unavailable(call->reply,
                           "The server is overloaded: not every subscriber gets this event.");
        return false;
    default:
        pc_api_out_of_memory(call->reply);
        return false;
    }
}

static bool is_repeated(const struct event *event, size_t index)
{
    for (size_t i = 0; i < index; i++)
        if (pc_slice_eq(event->channels[i], event->channels[index]))
            return true;
    return false;
}

static void answer_event(struct pc_api_call *call, const struct event *event)
{
    struct pc_buf *body = &call->reply->body;
    pc_api_begin(call->reply, 200, PC_API_JSON);
    if (!event->info.given) {
        pc_buf_put(body, PC_S("{}"));
        return;
    }
    pc_buf_put(body, PC_S("{\"channels\":{"));
    for (size_t i = 0; i < event->channel_count; i++) {
        if (is_repeated(event, i))
            continue;
        if (i)
            pc_buf_put_char(body, ',');
        pc_json_put_string(body, event->channels[i]);
        pc_buf_put(body, PC_S(":{"));
        pc_api_put_counts(call, event->channels[i], &event->info, true);
        pc_buf_put_char(body, '}');
    }
    pc_buf_put(body, PC_S("}}"));
}

/* -- idempotency -- */

/* Hashes what the request publishes: all of it but the fields of its signature. */
static uint64_t content_of(const struct pc_api_call *call, pusherc_slice endpoint)
{
    uint64_t content = pc_api_content(call, pc_api_content(call, 0, endpoint), call->channel);
    for (size_t i = 0; i < call->param_count; i++) {
        const struct pc_pair *param = &call->params[i];
        if (pc_slice_eq_nocase(pc_slice_first(param->name, 5), PC_S("auth_")) ||
            pc_slice_eq_nocase(param->name, PC_S("body_md5")))
            continue;
        content = pc_api_content(call, content, param->name);
        content = pc_api_content(call, content, param->value);
    }
    return pc_api_content(call, content, call->request->message->body);
}

/* The reply holds the answer. False: the caller publishes nothing; the reply is the first answer or an error. */
static bool begin_request(struct pc_api_call *call, struct pc_api_idempotency *idempotency)
{
    char storage[512];
    struct pc_buf stored, *body = &call->reply->body;
    if (pc_buf_status(body)) {
        pc_api_out_of_memory(call->reply);
        return false;
    }
    if (idempotency->key.len == 0)
        return true;
    pc_buf_init_in(&stored, &call->request->engine->mem, SIZE_MAX, storage, sizeof storage);
    bool begun = pc_api_idempotency_begin(call, idempotency, pc_buf_slice(body), &stored);
    if (begun && idempotency->repeat) {
        pc_buf_clear(body);
        pc_buf_put(body, pc_buf_slice(&stored));
    }
    pc_buf_free(&stored);
    return begun && !idempotency->repeat;
}

/* Publishes the event unless the request is a repeat. The reply holds the answer; a failure replaces it. */
static void publish_idempotent(struct pc_api_call *call, struct event *event,
                               pusherc_slice endpoint, void (*handler)(struct pc_api_call *call))
{
    struct pc_api_idempotency idempotency = {.entry = NULL};
    const struct pc_api_idempotency *keys[] = {&idempotency};
    if (!pc_api_idempotency_key(call, event->key, &idempotency.key))
        return;
    if (idempotency.key.len)
        idempotency.content = content_of(call, endpoint);
    if (pc_api_once(call, keys, 1, handler))
        return;
    if (begin_request(call, &idempotency))
        pc_api_idempotency_end(call, &idempotency, judge(call, event, 0) && publish(call, event));
    pc_incoming_free(&event->incoming);
}

static bool read_single(const struct reading *r)
{
    if (r->call->request->message->body.len == 0)
        return read_event_of_query(r);
    struct pc_json object = pc_api_body_object(r->call);
    return object.type == PC_JSON_OBJECT && read_event(r, object);
}

/* True: the counts that the events ask for are asked elsewhere first, and the caller returns. */
static bool search_counts(struct pc_api_call *call, const struct event *events, size_t count,
                          void (*handler)(struct pc_api_call *call))
{
    char stack[1024];
    struct pc_buf names;
    pc_buf_init_in(&names, &call->request->engine->mem, SIZE_MAX, stack, sizeof stack);
    for (size_t e = 0; e < count; e++) {
        const struct event *event = &events[e];
        if (!event->info.user_count && !event->info.subscription_count)
            continue;
        for (size_t i = 0; i < event->channel_count; i++) {
            if (names.len)
                pc_buf_put_char(&names, '\n');
            pc_buf_put(&names, event->channels[i]);
        }
    }
    bool waits = names.len > 0 && pc_buf_status(&names) == 0 &&
                 pc_api_search(call, PC_SEARCH_COUNTS, pc_buf_slice(&names), handler);
    if (pc_buf_status(&names)) {
        pc_api_out_of_memory(call->reply);
        waits = true;
    }
    pc_buf_free(&names);
    return waits;
}

/* The handler is called again: the events have been counted. */
static bool has_waited(const struct pc_api_call *call)
{
    return call->found || call->once;
}

void pc_api_events(struct pc_api_call *call)
{
    char storage[PC_API_BODY_ROOM];
    struct pc_buf scratch;
    pusherc_slice channels[PUSHERC_MAX_CHANNELS_PER_EVENT];
    struct event event = {.channels = channels};
    const struct reading r = {call, &scratch, 0, &event};

    if ((!has_waited(call) && !pc_api_take_events(call, 1)) ||
        !pc_api_body_scratch(call, &scratch, storage, sizeof storage))
        return;
    if (read_single(&r) && !search_counts(call, &event, 1, pc_api_events)) {
        answer_event(call, &event);
        publish_idempotent(call, &event, PC_S("events"), pc_api_events);
    }
    pc_buf_free(&scratch);
}

/* How many events are in the batch; 0: the reply is the error. */
static size_t count_batch(struct pc_api_call *call, struct pc_json batch)
{
    uint32_t max = call->app->options.max_batch_events;
    size_t count = 0;
    if (batch.type != PC_JSON_ARRAY) {
        pc_api_plain(call->reply, 400, "batch must be an array of events.");
        return 0;
    }
    struct pc_json_iter iter = pc_json_iter_of(batch);
    while (count <= max && pc_json_next(&iter))
        count++;
    if (count == 0)
        pc_api_plain(call->reply, 400, "The batch is empty.");
    if (count <= max)
        return count;
    pc_app_limited(call->app, PC_APP_max_batch_events);
    pc_api_plain(call->reply, 400, "Cannot batch-send more than ");
    pc_buf_put_u64(&call->reply->body, max);
    pc_api_say(call->reply, PC_S(" events at once."));
    return 0;
}

static bool read_batch(struct pc_api_call *call, struct pc_json array, struct pc_buf *scratch,
                       struct event *events)
{
    struct pc_json_iter iter = pc_json_iter_of(array);
    for (size_t i = 0; pc_json_next(&iter); i++) {
        const struct reading r = {call, scratch, i + 1, &events[i]};
        if (iter.value.type != PC_JSON_OBJECT)
            return refuse_event(&r, 400, "It is not a JSON object.");
        if (!read_event(&r, iter.value))
            return false;
        events[i].idempotency.key = events[i].key;
        if (events[i].key.len)
            events[i].idempotency.content =
                pc_api_content(call, pc_api_content(call, 0, PC_S("event")), iter.value.raw);
    }
    return true;
}

/* Reads the key of the whole batch. */
static bool read_batch_key(struct pc_api_call *call, struct pc_json object, struct pc_buf *scratch,
                           pusherc_slice *key)
{
    struct event all = {.key = {NULL, 0}};
    const struct reading r = {call, scratch, 0, &all};
    struct pc_json value = pc_json_get(object, field_names[IDEMPOTENCY_KEY]);
    pusherc_slice text;
    if (is_given(value) && (!read_string(&r, IDEMPOTENCY_KEY, value, &text) || !set_key(&r, text)))
        return false;
    *key = all.key;
    return true;
}

/* A batch being served. */
struct batch {
    struct event *events;
    size_t count;
    pusherc_slice key;    /* of the whole batch */
    struct pc_buf stored; /* answers of events that are repeats */
};

static void answer_batch(struct pc_api_call *call, const struct batch *batch)
{
    const struct event *events = batch->events;
    size_t count = batch->count;
    struct pc_buf *body = &call->reply->body;
    bool given = false;
    for (size_t i = 0; i < count; i++)
        given |= events[i].info.given;
    pc_api_begin(call->reply, 200, PC_API_JSON);
    if (!given) {
        /* without the member "batch": Go's SDK accepts only an array in it */
        pc_buf_put(body, PC_S("{}"));
        return;
    }
    pc_buf_put(body, PC_S("{\"batch\":["));
    for (size_t i = 0; i < count; i++) {
        pc_buf_put(body, i ? PC_S(",{") : PC_S("{"));
        if (events[i].idempotency.repeat)
            pc_buf_put(body,
                       pc_slice(batch->stored.ptr + events[i].stored_at, events[i].stored_len));
        else
            pc_api_put_counts(call, events[i].channels[0], &events[i].info, true);
        pc_buf_put_char(body, '}');
    }
    pc_buf_put(body, PC_S("]}"));
}

static bool key_is_repeated(const struct event *events, size_t index)
{
    for (size_t i = 0; i < index; i++)
        if (pc_slice_eq(events[i].key, events[index].key))
            return true;
    return false;
}

static void end_events(struct pc_api_call *call, const struct batch *batch)
{
    for (size_t i = 0; i < batch->count; i++)
        pc_api_idempotency_end(call, &batch->events[i].idempotency, false);
}

static bool begin_event(struct pc_api_call *call, struct batch *batch, size_t index)
{
    struct event *event = &batch->events[index];
    const struct reading r = {call, NULL, index + 1, event};
    struct pc_buf *body = &call->reply->body;
    if (event->key.len == 0)
        return true;
    if (key_is_repeated(batch->events, index))
        return refuse_event(&r, 400, "Another one has the same idempotency_key.");
    event->stored_at = batch->stored.len;
    pc_api_begin(call->reply, 200, PC_API_JSON);
    pc_api_put_counts(call, event->channels[0], &event->info, true);
    if (pc_buf_status(body)) {
        pc_api_out_of_memory(call->reply);
        return false;
    }
    bool begun =
        pc_api_idempotency_begin(call, &event->idempotency, pc_buf_slice(body), &batch->stored);
    event->stored_len = batch->stored.len - event->stored_at;
    return begun;
}

/* Takes the keys of the batch's events. False: the reply is the error, and no key is taken. */
static bool begin_events(struct pc_api_call *call, struct batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        if (!begin_event(call, batch, i)) {
            end_events(call, batch);
            return false;
        }
    }
    return true;
}

/* Asks the host about all events that are no repeats. False: it has refused one, and the reply says so. */
static bool judge_batch(struct pc_api_call *call, struct batch *batch)
{
    bool ok = true;
    for (size_t i = 0; i < batch->count && ok; i++)
        ok = batch->events[i].idempotency.repeat || judge(call, &batch->events[i], i + 1);
    return ok;
}

/* Asks other processes about the keys of the events and that of the whole batch. */
static bool ask_keys(struct pc_api_call *call, const struct batch *batch,
                     const struct pc_api_idempotency *whole)
{
    const struct pc_api_idempotency *keys[PC_ONCE_KEYS];
    size_t count = 0;
    for (size_t i = 0; i < batch->count; i++)
        keys[count++] = &batch->events[i].idempotency;
    keys[count++] = whole;
    return pc_api_once(call, keys, count, pc_api_batch_events);
}

static void publish_batch(struct pc_api_call *call, struct batch *batch)
{
    struct pc_api_idempotency whole = {.entry = NULL};
    bool ok = true;
    if (!pc_api_idempotency_key(call, batch->key, &whole.key))
        return;
    if (whole.key.len)
        whole.content = content_of(call, PC_S("batch_events"));
    if (ask_keys(call, batch, &whole) || !begin_events(call, batch))
        return;
    answer_batch(call, batch);
    if (begin_request(call, &whole)) {
        ok = judge_batch(call, batch);
        for (size_t i = 0; i < batch->count && ok; i++) {
            struct event *event = &batch->events[i];
            if (event->idempotency.repeat)
                continue;
            ok = publish(call, event);
            pc_api_idempotency_end(call, &event->idempotency, ok);
        }
        pc_api_idempotency_end(call, &whole, ok);
    }
    end_events(call, batch); /* the keys of events that were not published */
    for (size_t i = 0; i < batch->count; i++)
        pc_incoming_free(&batch->events[i].incoming);
}

void pc_api_batch_events(struct pc_api_call *call)
{
    char storage[PC_API_BODY_ROOM], stored[512];
    struct pc_buf scratch;
    pusherc_slice channels[PUSHERC_MAX_EVENTS_PER_BATCH];
    struct event events[PUSHERC_MAX_EVENTS_PER_BATCH];
    struct batch batch = {.events = events};

    struct pc_json object = pc_api_body_object(call);
    if (object.type == PC_JSON_NONE)
        return;
    struct pc_json array = pc_json_get(object, PC_S("batch"));
    batch.count = count_batch(call, array);
    if (batch.count == 0 ||
        (!has_waited(call) && !pc_api_take_events(call, (uint32_t)batch.count)) ||
        !pc_api_body_scratch(call, &scratch, storage, sizeof storage))
        return;
    pc_buf_init_in(&batch.stored, &call->request->engine->mem, SIZE_MAX, stored, sizeof stored);
    for (size_t i = 0; i < batch.count; i++)
        events[i] = (struct event){.channels = &channels[i]};
    if (read_batch(call, array, &scratch, events) &&
        read_batch_key(call, object, &scratch, &batch.key) &&
        !search_counts(call, events, batch.count, pc_api_batch_events))
        publish_batch(call, &batch);
    pc_buf_free(&batch.stored);
    pc_buf_free(&scratch);
}

/* A deprecated path: the whole body is the data, in any format. */
void pc_api_channel_events(struct pc_api_call *call)
{
    const pusherc_slice *name = pc_api_param(call, PC_S("name"));
    const pusherc_slice *socket_id = pc_api_param(call, PC_S("socket_id"));
    struct event event = {
        .data = call->request->message->body,
        .channels = &call->channel,
        .channel_count = 1,
    };
    const struct reading r = {call, NULL, 0, &event};

    if (!has_waited(call) && !pc_api_take_events(call, 1))
        return;
    if (!name) {
        refuse_event(&r, 400, "name is missing.");
        return;
    }
    event.name = *name;
    if ((socket_id && !set_socket_id(&r, *socket_id)) || !check_event(&r))
        return;
    pc_api_begin(call->reply, 202, NULL);
    publish_idempotent(call, &event, PC_S("channel events"), pc_api_channel_events);
}
