#include "cluster/edge.h"

#include "fanout/notice.h"

struct pc_edge_kind {
    const char *word;
    uint32_t webhook;
    pusherc_channel_event_type type;
    bool there;
};

static const struct pc_edge_kind kinds[] = {
    {"occupied", PUSHERC_WEBHOOK_CHANNEL_OCCUPIED, PUSHERC_CHANNEL_OCCUPIED, true},
    {"vacated", PUSHERC_WEBHOOK_CHANNEL_VACATED, PUSHERC_CHANNEL_VACATED, false},
    {"added", PUSHERC_WEBHOOK_MEMBER_ADDED, PUSHERC_MEMBER_ADDED, true},
    {"removed", PUSHERC_WEBHOOK_MEMBER_REMOVED, PUSHERC_MEMBER_REMOVED, false},
    {"counted", PUSHERC_WEBHOOK_SUBSCRIPTION_COUNT, PUSHERC_SUBSCRIPTION_COUNT, true},
};

const struct pc_edge_kind *pc_edge_kind_of(pusherc_slice word)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (pc_slice_eq(word, pc_slice_of(kinds[i].word)))
            return &kinds[i];
    }
    return NULL;
}

bool pc_edge_is_total(const struct pc_edge_kind *kind)
{
    return kind->type == PUSHERC_SUBSCRIPTION_COUNT;
}

const struct pc_edge_kind *pc_edge_kind_that(bool of_member, bool there)
{
    return &kinds[(of_member ? 2 : 0) + (there ? 0 : 1)];
}

bool pc_edge_is_there(const struct pc_edge_kind *kind)
{
    return kind->there;
}

static void tell_host(const struct pusherc_link *node, const struct pc_edge_kind *kind,
                      const struct pc_notice *notice, uint64_t sequence)
{
    const pusherc_hooks *hooks = node->worker->hooks;
    if (!hooks->on_channel || pc_edge_is_total(kind))
        return;
    pusherc_channel_event event = {.struct_size = sizeof event,
                                   .type = kind->type,
                                   .scope = PUSHERC_SCOPE_CLUSTER,
                                   .app_id = notice->app->id,
                                   .channel = notice->channel,
                                   .user_id = notice->user_id,
                                   .sequence = sequence};
    hooks->on_channel(&event, hooks->user_data);
}

void pc_edge_tell(const struct pc_node_part *part, const struct pc_edge_kind *kind,
                  pusherc_slice key, pusherc_slice user, struct pc_log_id id,
                  struct pc_acceptance *acceptance)
{
    struct pusherc_link *node = part->node;
    const struct pc_observer *observer = &node->engine->observer;
    struct pc_app *app = pc_key_app(part->node, key);
    if (!app)
        return;
    struct pc_notice notice = {.kind = kind->webhook,
                               .app = app,
                               .acceptance = acceptance,
                               .channel = pc_key_channel(key),
                               .user_id = pc_edge_is_total(kind) ? PC_S("") : user};
    bool ok = notice.channel.len > 0 &&
              (!pc_edge_is_total(kind) || pc_slice_to_u64(user, &notice.subscription_count));
    if (ok && pc_noticed(observer, app, kind->webhook) && observer->note(observer->ctx, &notice))
        observer->wake(observer->ctx);
    if (ok)
        tell_host(node, kind, &notice, id.at_ms << 20 | id.nth);
    pc_app_unref(app);
}

void pc_edge_put_key(struct pc_buf *key, pusherc_slice channel, pusherc_slice user)
{
    pc_buf_put_u64(key, channel.len);
    pc_buf_put_char(key, ':');
    pc_buf_put(key, channel);
    pc_buf_put(key, user);
}
