#include "fanout/receipt.h"

#include <pusherc/error.h>

#include "base/clock.h"
#include "base/pack.h"
#include "codec/json_at.h"

/* The channel's rule renders, so that a view may not get the event. */
static bool is_rendered(struct pc_engine *engine, const struct pc_app *app, pusherc_slice channel)
{
    struct pc_rule_table *rules = pc_rules_take(&engine->rules); /* on any thread */
    const struct pc_rule_match match =
        pc_rule_table_find(rules, app->id, channel, pc_channel_classify(channel).kind);
    const bool renders = match.rule && pc_rule_renders(match.rule);
    pc_rule_table_unref(rules);
    return renders;
}

/* False: the data has no id. The name points into the data and `scratch`. */
static bool read_name(const struct pc_receipt_rule *rule, pusherc_slice channel, pusherc_slice data,
                      struct pc_buf *scratch, struct pc_receipt_name *out)
{
    *out = (struct pc_receipt_name){.channel = channel, .rule_event = rule->event};
    return pc_receipt_id(pc_json_at(data, rule->id), scratch, &out->id);
}

int pc_receipt_track(struct pc_engine *engine, const struct pc_app *app, pusherc_slice channel,
                     const struct pc_receipt_rule *rule, pusherc_slice event, pusherc_slice data,
                     uint64_t now_ms, struct pc_tracked **out)
{
    char room[PC_RECEIPT_ID_MAX];
    struct pc_buf scratch;
    struct pc_receipt_name name;
    const struct pc_receipt_bounds bounds = pc_app_receipt_bounds(app);
    const pusherc_slice none = {NULL, 0};
    int err = 0;
    *out = NULL;
    pc_buf_init_in(&scratch, &engine->mem, sizeof room, room, sizeof room);
    if (read_name(rule, channel, data, &scratch, &name))
        err = pc_receipts_add(&app->state->receipts, &bounds, &name, app->id, event,
                              is_rendered(engine, app, channel) ? data : none, now_ms, out);
    pc_buf_free(&scratch);
    return err;
}

struct pc_tracked *pc_receipt_find(const struct pc_app *app, pusherc_slice channel,
                                   pusherc_slice event, pusherc_slice data, uint64_t now_ms)
{
    char room[PC_RECEIPT_ID_MAX];
    struct pc_buf scratch;
    struct pc_receipt_name name;
    const struct pc_receipt_rule *rule = pc_app_receipt(app, channel, event);
    struct pc_tracked *found = NULL;
    if (!rule)
        return NULL;
    pc_buf_init_in(&scratch, &app->mem, sizeof room, room, sizeof room);
    if (read_name(rule, channel, data, &scratch, &name))
        found = pc_receipts_find(&app->state->receipts, &name, now_ms);
    pc_buf_free(&scratch);
    return found;
}

/* A receipt that waits until its frame is written. */
struct receipt {
    struct pc_due due;
    struct pc_mem mem;
    struct pc_app_state *state; /* counted */
    struct pc_tracked *event;   /* counted */
    pusherc_socket_id socket_id;
    pusherc_slice user_id; /* behind the struct */
};

void pc_receipt_tell(struct pc_worker *worker, struct pc_tracked *event, pusherc_receipt_kind kind,
                     pusherc_slice user_id, pusherc_socket_id socket_id)
{
    const pusherc_hooks *hooks = worker->hooks;
    if (!pc_tracked_reached(event, user_id, kind, worker->now_ms) || !hooks->on_receipt)
        return;
    const pusherc_receipt receipt = {.struct_size = sizeof receipt,
                                     .kind = kind,
                                     .app_id = event->app_id,
                                     .channel = event->channel,
                                     .event = event->event,
                                     .id = event->id,
                                     .user_id = user_id,
                                     .socket_id = socket_id,
                                     .at_ms = pc_clock_unix_ms()};
    hooks->on_receipt(&receipt, hooks->user_data);
}

static void on_written(struct pc_due *due, struct pc_worker *worker)
{
    const struct receipt *receipt = PC_CONTAINER(due, struct receipt, due);
    pc_receipt_tell(worker, receipt->event, PUSHERC_RECEIPT_WRITTEN, receipt->user_id,
                    receipt->socket_id);
}

static void receipt_free(struct receipt *receipt)
{
    struct pc_mem mem = receipt->mem;
    pc_tracked_unref(receipt->event);
    pc_app_state_unref(receipt->state);
    pc_free(&mem, receipt);
}

static void on_free(struct pc_due *due)
{
    receipt_free(PC_CONTAINER(due, struct receipt, due));
}

static struct receipt *receipt_new(const struct pc_outq *q, struct pc_app_state *state,
                                   struct pc_tracked *event, pusherc_slice user_id)
{
    const struct pc_mem *mem = &q->worker->engine->mem;
    struct receipt *receipt = pc_alloc(mem, sizeof *receipt + user_id.len);
    if (!receipt)
        return NULL;
    char *at = (char *)(receipt + 1);
    *receipt = (struct receipt){.due = {.written = on_written, .free = on_free},
                                .mem = *mem,
                                .state = state,
                                .event = event,
                                .socket_id = q->owner,
                                .user_id = pc_pack(&at, user_id)};
    pc_app_state_ref(state);
    pc_tracked_ref(event);
    return receipt;
}

struct pc_slot *pc_receipt_slot(const struct pc_outq *q, struct pc_app_state *state,
                                struct pc_tracked *event, struct pc_slot *slot,
                                pusherc_slice user_id)
{
    if (user_id.len == 0)
        return NULL;
    struct receipt *receipt = receipt_new(q, state, event, user_id);
    struct pc_frame *frame =
        receipt ? pc_frame_new_due(&q->worker->engine->mem, slot, &receipt->due) : NULL;
    if (!frame) {
        pc_stat_add_shared(&state->receipts.lost, 1);
        if (receipt)
            receipt_free(receipt);
        return NULL;
    }
    return &frame->slots[0];
}

int pc_receipt_send(struct pc_outq *q, struct pc_app_state *state, struct pc_tracked *event,
                    pusherc_slice user_id, pusherc_slice message)
{
    struct pc_frame *frame = pc_outq_make(q, PC_WS_TEXT, message);
    if (!frame)
        return PUSHERC_ENOMEM;
    struct pc_slot *slot = &frame->slots[0];
    pc_slot_begin(slot);
    struct pc_slot *own = pc_receipt_slot(q, state, event, slot, user_id);
    int err = pc_outq_push(q, own ? own : slot);
    if (own)
        pc_slot_unref(own);
    pc_slot_unref(slot);
    pc_frame_done(frame);
    return err;
}
