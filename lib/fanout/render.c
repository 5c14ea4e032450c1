#include "fanout/render.h"

#include <pusherc/error.h>

#include "codec/json.h"

pusherc_slice pusherc_render_view(const pusherc_render *render)
{
    return render->view;
}

pusherc_slice pusherc_render_app_id(const pusherc_render *render)
{
    return render->app->id;
}

pusherc_slice pusherc_render_channel(const pusherc_render *render)
{
    return render->channel;
}

pusherc_slice pusherc_render_event(const pusherc_render *render)
{
    return render->event;
}

pusherc_slice pusherc_render_data(const pusherc_render *render)
{
    return render->data;
}

pusherc_slice pusherc_render_param(const pusherc_render *render, const char *name)
{
    return pc_rule_param(render->match, pc_slice_of(name));
}

int pusherc_render_payload(pusherc_render *render, pusherc_slice data)
{
    render->replaced = false;
    if (!pc_utf8_valid(data))
        return PUSHERC_EINVAL;
    if (data.len > render->engine->options.out_hard_bytes / 2)
        return PUSHERC_ELIMIT;
    pc_buf_clear(&render->payload);
    pc_buf_put(&render->payload, data);
    render->replaced = pc_buf_status(&render->payload) == 0;
    return pc_buf_status(&render->payload);
}

/* What the rule says without the host. A view that is not listed sees nothing, and neither does one from whose data
 * nothing can be left out, because it is no object. */
static pusherc_render_verdict redact(struct pusherc_render *r)
{
    const struct pc_redaction *redaction = pc_redaction_of(r->match->rule->redactions, r->view);
    if (!redaction || redaction->nothing)
        return PUSHERC_RENDER_NOTHING;
    if (redaction->path_count == 0)
        return PUSHERC_RENDER_SAME;
    struct pc_json data = pc_json_parse(r->data);
    if (data.type != PC_JSON_OBJECT)
        return PUSHERC_RENDER_NOTHING;
    pc_buf_clear(&r->payload);
    bool left_out = pc_json_put_without(&r->payload, data, redaction->paths, redaction->path_count);
    r->err = pc_buf_status(&r->payload);
    if (r->err)
        return PUSHERC_RENDER_NOTHING;
    return left_out ? PUSHERC_RENDER_REPLACED : PUSHERC_RENDER_SAME;
}

/* The view gets nothing unless the answer is SAME or a valid replacement, so a mistake of the host reveals no data. */
static pusherc_render_verdict ask(struct pusherc_render *r)
{
    const pusherc_rule *rule = &r->match->rule->options;
    r->replaced = false;
    pusherc_render_verdict verdict = rule->render(r, rule->user_data);
    if (verdict == PUSHERC_RENDER_SAME)
        return verdict;
    if (verdict != PUSHERC_RENDER_REPLACED || !r->replaced ||
        (r->wants_json && pc_json_parse(pc_buf_slice(&r->payload)).type == PC_JSON_NONE))
        return PUSHERC_RENDER_NOTHING;
    return verdict;
}

bool pc_render(struct pusherc_render *r, pusherc_slice *out)
{
    r->err = 0;
    switch (r->match->rule->redactions ? redact(r) : ask(r)) {
    case PUSHERC_RENDER_SAME:
        *out = r->data;
        return true;
    case PUSHERC_RENDER_REPLACED:
        *out = pc_buf_slice(&r->payload);
        return true;
    case PUSHERC_RENDER_NOTHING:
        break;
    }
    *out = PC_S("{}");
    return r->wants_json;
}
