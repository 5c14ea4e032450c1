/* client-* events: checked, reduced to what subscribers may see, published to all other
 * subscribers (section 2.9). */
#include <stdio.h>

#include "fanout/posting.h"
#include "fanout/publish.h"
#include "session/doing.h"
#include "session/handlers.h"
#include "session/member.h"
#include "session/reply.h"
#include "session/shown.h"

static struct pc_app_stats *stats_of(const struct pc_session *s)
{
    return pc_app_stats(s->app, s->worker->index);
}

static void refuse_event(struct pc_session *s, enum pc_error_code code, const char *text)
{
    pc_engine_note(s->worker->engine, s->worker,
                   &(struct pc_happening){.kind = PC_HAPPENED_DENIAL,
                                          .app_id = s->app->id,
                                          .socket_id = s->q->owner,
                                          .status = code > 0 ? (int)code : 0,
                                          .name = PC_S("client_event"),
                                          .detail = pc_slice_of(text)});
    pc_stat_add(&stats_of(s)->client_events_refused, 1);
    pc_session_say_error(s, code, text);
}

/* Strings are relayed as they are, everything else as its JSON text, nothing as "null". */
static int event_data(const struct pc_message_in *in, struct pc_buf *scratch, pusherc_slice *out)
{
    if (in->data.type == PC_JSON_STRING)
        return pc_json_string(in->data, scratch, out);
    *out = in->data.type == PC_JSON_NONE ? PC_S("null") : in->data.raw;
    return 0;
}

static void refuse_state(struct pc_session *s, const char *setting)
{
    char text[120];
    (void)snprintf(text, sizeof text, "There are too many such states (%s)", setting);
    refuse_event(s, PC_ERROR_CLIENT_EVENT, text);
}

/* The event is within the app's limits, and the host lets it pass. */
static void publish(struct pc_session *s, const struct pc_message_in *in, pusherc_slice data,
                    pusherc_slice user_id, struct pc_ephemeral_change *change)
{
    struct pc_engine *engine = s->worker->engine;
    struct pc_publication p = {.event = in->event,
                               .channels = &in->channel,
                               .channel_count = 1,
                               .data = data,
                               .user_id = user_id,
                               .except = s->q->owner,
                               .way = PC_WAY_CLIENT,
                               .ephemeral = change,
                               .now_ms = s->worker->now_ms,
                               .worker = s->worker};
    int err = pc_publish(engine, s->app, &p);
    if (err == PUSHERC_ELIMIT) {
        refuse_state(s, change->bounds.full);
        return;
    }
    if (err) {
        refuse_event(s, PC_ERROR_CLIENT_EVENT,
                     err == PUSHERC_EBACKLOG ? "The server is overloaded" : "Out of memory");
        return;
    }
    pc_stat_add(&stats_of(s)->client_events, 1);
    if (change && !change->done)
        return; /* the end of what has ended: nothing was sent */
    struct pc_posting posting = {0};
    struct pc_notice notice = {.kind = PUSHERC_WEBHOOK_CLIENT_EVENT,
                               .app = s->app,
                               .channel = in->channel,
                               .user_id = user_id,
                               .event = in->event,
                               .data = data,
                               .socket_id = s->q->owner};
    pc_posting_note(engine, &notice, &posting);
    pc_posting_finish(engine, &posting);
}

static void relay(struct pc_session *s, const struct pc_message_in *in, pusherc_slice data,
                  struct pc_subscription *sub)
{
    const pusherc_hooks *hooks = s->worker->hooks;
    pusherc_slice user_id = sub->member ? sub->member->node.key : PC_S("");
    if (hooks->on_client_event) {
        pusherc_client_event event = {.struct_size = sizeof event,
                                      .channel = in->channel,
                                      .event = in->event,
                                      .data = data,
                                      .user_id = user_id};
        if (hooks->on_client_event((const pusherc_conn *)s, &event, hooks->user_data)) {
            refuse_event(s, PC_ERROR_CLIENT_EVENT, "Client event rejected by the application");
            return;
        }
    }
    const struct pc_receipt_rule *receipt = pc_app_shown(s->app, in->channel, in->event);
    if (receipt) { /* it is for the server */
        pc_shown_take(s, sub, receipt, data);
        return;
    }
    const struct pc_ephemeral_rule *rule = pc_app_ephemeral(s->app, in->channel, in->event);
    struct pc_ephemeral_change change = {.said = NULL};
    if (rule && pc_doing_read(s, sub, rule, in->event, data, &change)) {
        refuse_event(s, PC_ERROR_CLIENT_EVENT, "Out of memory");
        return;
    }
    publish(s, in, data, user_id, change.said ? &change : NULL);
    pc_said_unref(change.said);
}

static bool take_event(struct pc_session *s)
{
    uint32_t per_s = s->app->options.max_client_events_per_s;
    if (per_s == PUSHERC_NO_LIMIT)
        return true;
    pc_stat_add(&stats_of(s)->rate_checks[0], 1);
    bool ok = pc_rate_take(&s->client_events, per_s, 1, s->worker->now_ms);
    if (!ok)
        pc_app_limited(s->app, PC_APP_max_client_events_per_s);
    return ok;
}

static bool data_fits(const struct pc_session *s, pusherc_slice data)
{
    bool fits = data.len <= s->app->options.max_event_payload_bytes;
    if (!fits)
        pc_app_limited(s->app, PC_APP_max_event_payload_bytes);
    return fits;
}

static void refuse_size(struct pc_session *s, size_t len)
{
    char text[120];
    (void)snprintf(text, sizeof text,
                   "The event data is too large: %zu bytes, the maximum is %u "
                   "(max_event_payload_bytes)",
                   len, (unsigned)s->app->options.max_event_payload_bytes);
    refuse_event(s, PC_ERROR_CLIENT_EVENT, text);
}

void pc_session_client_event(struct pc_session *s, const struct pc_message_in *in)
{
    const pusherc_app_options *o = &s->app->options;
    struct pc_channel_class class;
    const bool shown = pc_app_shown(s->app, in->channel, in->event) != NULL;
    if (!o->client_events && !shown) {
        refuse_event(s, PC_ERROR_CLIENT_EVENT,
                     "To send client events, you must enable this feature for the app");
        return;
    }
    if (!pc_channel_name_valid(in->channel, o->max_channel_name_bytes, &class) ||
        !(shown || pc_kind_takes_client_events(class.kind))) {
        refuse_event(s, PC_ERROR_PLAIN,
                     "Client events are only supported on private and presence channels");
        return;
    }
    struct pc_subscription *sub = pc_session_subscription(s, in->channel);
    if (!sub) {
        refuse_event(s, PC_ERROR_PLAIN, "Client events can only be sent to subscribed channels");
        return;
    }
    if (!take_event(s)) {
        refuse_event(s, PC_ERROR_CLIENT_EVENT,
                     "The rate limit for sending client events was exceeded");
        return;
    }
    if (in->event.len > o->max_event_name_bytes) {
        pc_app_limited(s->app, PC_APP_max_event_name_bytes);
        refuse_event(s, PC_ERROR_CLIENT_EVENT, "The event name is too long");
        return;
    }
    char stack[PC_SESSION_STACK];
    struct pc_buf scratch;
    pusherc_slice data;
    pc_buf_init_in(&scratch, s->worker->mem, SIZE_MAX, stack, sizeof stack);
    int err = event_data(in, &scratch, &data);
    if (err)
        refuse_event(s, PC_ERROR_PLAIN,
                     err == PUSHERC_EINVAL
                         ? "Invalid message format: data has an escape that no text can "
                           "hold, half of a surrogate pair"
                         : "Out of memory");
    else if (!data_fits(s, data))
        refuse_size(s, data.len);
    else
        relay(s, in, data, sub);
    pc_buf_free(&scratch);
}
