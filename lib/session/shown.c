#include "session/shown.h"

#include "fanout/receipt.h"
#include "fanout/view.h"
#include "session/reply.h"

/* The audience that the client belongs to; len 0 = none. */
static pusherc_slice view_of(const struct pc_subscription *sub)
{
    const struct pc_views *views = sub->local->channel->views;
    if (!views || sub->view == PC_NO_VIEW)
        return PC_S("");
    const struct pc_view *view = &views->items[sub->view]; /* it stays, as long as it is in use */
    return pc_slice(view->name, view->name_len);
}

/* An audience that does not get the event has not seen it, whatever its pages say. */
static bool may_see(struct pc_session *s, const struct pc_subscription *sub,
                    const struct pc_tracked *event)
{
    struct pc_engine *engine = s->worker->engine;
    const struct pc_channel *channel = sub->local->channel;
    const struct pc_rule_match match =
        pc_rules_find(&engine->rules, s->app->id, channel->name, channel->class.kind);
    const struct pc_join join = {.app = s->app,
                                 .channel = channel->name,
                                 .class = channel->class,
                                 .match = &match,
                                 .view = view_of(sub)};
    char stack[PC_SESSION_STACK];
    struct pc_buf message;
    if (!pc_join_rendered(&join))
        return true;
    if (!event->data.ptr)
        return false;
    pc_buf_init_in(&message, s->worker->mem, SIZE_MAX, stack, sizeof stack);
    pc_render_past(engine, &join, event->event, event->data, PC_S(""), &message);
    const bool may = message.len > 0 && pc_buf_status(&message) == 0;
    pc_buf_free(&message);
    return may;
}

static pusherc_slice user_of(const struct pc_session *s, const struct pc_subscription *sub)
{
    return sub->member ? sub->member->node.key : pc_identity_user_id(pc_session_identity(s));
}

static void take_id(struct pc_session *s, struct pc_subscription *sub,
                    const struct pc_receipt_rule *rule, pusherc_slice id)
{
    struct pc_receipts *receipts = &s->app->state->receipts;
    const struct pc_receipt_name name = {sub->local->channel->name, rule->event, id};
    const pusherc_slice user_id = user_of(s, sub);
    struct pc_tracked *event =
        user_id.len ? pc_receipts_find(receipts, &name, s->worker->now_ms) : NULL;
    if (event && may_see(s, sub, event))
        pc_receipt_tell(s->worker, event, PUSHERC_RECEIPT_SHOWN, user_id, s->q->owner);
    else
        pc_stat_add_shared(&receipts->unknown, 1);
    pc_tracked_unref(event);
}

static void take_value(struct pc_session *s, struct pc_subscription *sub,
                       const struct pc_receipt_rule *rule, struct pc_json value)
{
    char room[PC_RECEIPT_ID_MAX];
    struct pc_buf scratch;
    pusherc_slice id;
    pc_buf_init_in(&scratch, s->worker->mem, sizeof room, room, sizeof room);
    if (pc_receipt_id(value, &scratch, &id))
        take_id(s, sub, rule, id);
    pc_buf_free(&scratch);
}

void pc_shown_take(struct pc_session *s, struct pc_subscription *sub,
                   const struct pc_receipt_rule *rule, pusherc_slice data)
{
    const struct pc_json ids = pc_json_get(pc_json_parse(data), PC_S("id"));
    struct pc_json_iter each = pc_json_iter_of(ids);
    if (ids.type != PC_JSON_ARRAY) {
        take_value(s, sub, rule, ids);
        return;
    }
    for (int n = 0; n < PC_RECEIPT_IDS_MAX && pc_json_next(&each); n++)
        take_value(s, sub, rule, each.value);
}

void pc_shown_say_past(struct pc_session *s, const struct pc_join *join, pusherc_slice event,
                       pusherc_slice data, struct pc_buf *message)
{
    const pusherc_slice user_id =
        join->user_id.len ? join->user_id : pc_identity_user_id(pc_session_identity(s));
    struct pc_tracked *tracked =
        pc_receipt_find(s->app, join->channel, event, data, s->worker->now_ms);
    pc_session_say_tracked(s, message, tracked, user_id);
    pc_tracked_unref(tracked);
}
