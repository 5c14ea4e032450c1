#include "fanout/view.h"

#include <pusherc/error.h>

#include "fanout/render.h"
#include "protocol/message_out.h"

struct rendering;

/* Writes the message that carries the rendered data. */
typedef void (*encode_fn)(struct pc_buf *out, const struct rendering *r, pusherc_slice data);

/* One event being rendered for several views. */
struct rendering {
    struct pusherc_render call;
    encode_fn encode;
    pusherc_slice user_id; /* of the event or the member */
    const struct pc_recipients *recipients;
    struct pc_frame *event;
    const uint8_t *same; /* the row of the views that see the data unchanged; NULL = not made yet */
};

/* `row` receives the frames of the view that `call` names, unless the view gets nothing. */
static int render_view(struct rendering *r, uint8_t row[PC_ENCODING_COUNT])
{
    pusherc_slice data;
    if (!pc_render(&r->call, &data) || r->call.err)
        return r->call.err;
    bool is_same = data.ptr == r->call.data.ptr;
    if (is_same && r->same) {
        memcpy(row, r->same, PC_ENCODING_COUNT);
        return 0;
    }
    char stack[2048];
    struct pc_buf message;
    pc_buf_init_in(&message, &r->event->mem, SIZE_MAX, stack, sizeof stack);
    r->encode(&message, r, data);
    int err = pc_buf_status(&message);
    if (err == 0)
        err = pc_event_add(r->event, r->recipients, pc_buf_slice(&message), row);
    if (err == 0 && is_same)
        r->same = row;
    pc_buf_free(&message);
    return err;
}

static int render_all(struct rendering *r, const struct pc_recipients *recipients,
                      struct pc_frame **out)
{
    int err = 0;
    r->recipients = recipients;
    *out = NULL;
    r->event = pc_event_new_rendered(recipients);
    if (!r->event)
        return PUSHERC_ENOMEM;
    r->call.channel = recipients->channel->name;
    r->call.match = &recipients->views.match;
    pc_buf_init(&r->call.payload, &recipients->engine->mem, SIZE_MAX);
    for (uint32_t i = 0; err == 0 && i < PC_VIEW_PLACES; i++) {
        const struct pc_view *view = &recipients->views.items[i];
        if (view->uses == 0)
            continue;
        r->call.view = pc_slice(view->name, view->name_len);
        err = render_view(r, r->event->variants->index[i]);
    }
    pc_buf_free(&r->call.payload);
    if (err)
        pc_frame_done(r->event);
    else
        *out = r->event;
    return err;
}

static void encode_event(struct pc_buf *out, const struct rendering *r, pusherc_slice data)
{
    pc_out_event(out, r->call.event, r->call.channel, data, r->user_id);
    pc_event_id(out, r->recipients);
}

int pc_view_event(struct pc_engine *engine, const struct pc_app *app,
                  const struct pc_publication *p, const struct pc_recipients *recipients,
                  struct pc_frame **out)
{
    struct rendering r = {
        .call = {.app = app, .engine = engine, .event = p->event, .data = p->data},
        .encode = encode_event,
        .user_id = p->user_id};
    return render_all(&r, recipients, out);
}

static void encode_member(struct pc_buf *out, const struct rendering *r, pusherc_slice data)
{
    pc_out_member_added(out, r->call.channel, r->user_id, data);
}

/* False: the channel has no subscribers. */
static bool find_recipients(struct pc_engine *engine, const struct pc_join *join,
                            struct pc_recipients *out)
{
    uint64_t uid = join->app->state->uid;
    struct pc_shard *shard = pc_directory_lock(&engine->directory, uid, join->channel);
    struct pc_channel *channel = pc_shard_find(shard, uid, join->channel);
    bool any = channel && channel->interested;
    if (any)
        pc_recipients_read(engine, channel, out);
    pc_shard_unlock(shard);
    return any;
}

int pc_view_member_added(struct pc_engine *engine, const struct pc_join *join,
                         struct pc_frame **out)
{
    struct pc_recipients recipients;
    *out = NULL;
    if (!find_recipients(engine, join, &recipients))
        return 0;
    struct rendering r = {.call = {.app = join->app,
                                   .engine = engine,
                                   .event = PC_S(PUSHERC_RENDER_MEMBER),
                                   .data = join->user_info,
                                   .wants_json = true},
                          .encode = encode_member,
                          .user_id = join->user_id};
    int err = render_all(&r, &recipients, out);
    pc_channel_release(&engine->directory, recipients.channel);
    return err;
}

void pc_render_past(struct pc_engine *engine, const struct pc_join *join, pusherc_slice event,
                    pusherc_slice text, pusherc_slice user_id, struct pc_buf *out)
{
    struct pusherc_render r = {.app = join->app,
                               .engine = engine,
                               .match = join->match,
                               .channel = join->channel,
                               .event = event,
                               .data = text,
                               .view = join->view};
    pusherc_slice data;
    if (!pc_join_rendered(join)) {
        pc_out_event(out, event, join->channel, text, user_id);
        return;
    }
    if (join->view.len == 0)
        return;
    pc_buf_init(&r.payload, &engine->mem, SIZE_MAX);
    if (pc_render(&r, &data))
        pc_out_event(out, event, join->channel, data, user_id);
    if (r.err)
        out->status = r.err;
    pc_buf_free(&r.payload);
}
