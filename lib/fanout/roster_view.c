#include "fanout/roster_view.h"

#include "fanout/render.h"

/* A copied member in `raw`: these lengths, then the texts of id and info. */
struct raw_member {
    size_t id_len, info_len;
};

void pc_copy_members(const struct pc_channel *channel, struct pc_buf *raw)
{
    PC_LIST_EACH(l, &channel->roster.in_order) {
        const struct pc_roster_member *m = PC_CONTAINER(l, struct pc_roster_member, in_order);
        struct raw_member lengths = {m->node.key.len, m->info.len};
        pc_buf_put(raw, pc_slice((const char *)&lengths, sizeof lengths));
        pc_buf_put(raw, m->node.key);
        pc_buf_put(raw, m->info);
    }
}

int pc_render_roster(struct pc_engine *engine, const struct pc_join *join, pusherc_slice raw,
                     struct pc_buf *out)
{
    struct pusherc_render r = {.app = join->app,
                               .engine = engine,
                               .match = join->match,
                               .channel = join->channel,
                               .event = PC_S(PUSHERC_RENDER_MEMBER),
                               .view = join->view,
                               .wants_json = true};
    struct pc_roster roster;
    struct raw_member lengths;
    int err = 0;
    pc_roster_init(&roster, &engine->mem, engine->seed);
    pc_buf_init(&r.payload, &engine->mem, SIZE_MAX);
    for (; err == 0 && raw.len > 0;
         raw = pc_slice_skip(raw, sizeof lengths + lengths.id_len + lengths.info_len)) {
        struct pc_roster_member *unused;
        memcpy(&lengths, raw.ptr, sizeof lengths);
        pusherc_slice id = pc_slice(raw.ptr + sizeof lengths, lengths.id_len);
        r.data = pc_slice(id.ptr + id.len, lengths.info_len);
        pusherc_slice info = r.data;
        if (join->view.len == 0) {
            /* A newcomer without a view gets only its own entry, which client libraries need. */
            if (!pc_slice_eq(id, join->user_id))
                continue;
            info = PC_S("{}");
        } else {
            pc_render(&r, &info); /* all views see that the member is there: at least {} */
            err = r.err;
        }
        if (err == 0)
            err = pc_roster_join(&roster, id, info, PUSHERC_NO_LIMIT, &unused);
    }
    if (err == 0)
        err = pc_roster_put(&roster, out);
    pc_buf_free(&r.payload);
    pc_roster_free(&roster);
    return err;
}
