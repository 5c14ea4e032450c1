/* Publishing and asking from the host's own code (pusherc/publish.h, pusherc/channel.h). */
#include <pusherc/channel.h>
#include <pusherc/publish.h>

#include "fanout/publish.h"
#include "server/server.h"

/* -- publishing -- */

static struct pc_publication publication_of(const pusherc_event *event)
{
    return (struct pc_publication){.event = event->name,
                                   .channels = event->channels,
                                   .channel_count = event->channels ? event->channel_count : 0,
                                   .data = event->data,
                                   .except = event->except};
}

int pusherc_publish_batch(pusherc_server *server, const char *app_id, const pusherc_event *events,
                          size_t count)
{
    int rc;
    if (!events || count == 0 || count > PUSHERC_MAX_EVENTS_PER_BATCH)
        return PUSHERC_EINVAL;
    struct pc_app *app = pc_server_app(server, app_id, &rc);
    if (!app)
        return rc;
    if (!pc_server_runs(server))
        rc = PUSHERC_ESTATE;
    for (size_t i = 0; rc == 0 && i < count; i++) {
        struct pc_publication p = publication_of(&events[i]);
        rc = events[i].struct_size == sizeof events[i]
                 ? pc_publication_check(&server->engine, app, &p, NULL)
                 : PUSHERC_EINVAL;
    }
    for (size_t i = 0; rc == 0 && i < count; i++) {
        struct pc_publication p = publication_of(&events[i]);
        rc = pc_publish(&server->engine, app, &p);
    }
    pc_app_unref(app);
    return rc;
}

int pusherc_publish(pusherc_server *server, const char *app_id, const pusherc_event *event)
{
    return pusherc_publish_batch(server, app_id, event, 1);
}

int pusherc_send_to_user(pusherc_server *server, const char *app_id, pusherc_slice user_id,
                         pusherc_slice name, pusherc_slice data)
{
    static const pusherc_slice prefix = PUSHERC_LIT(PC_USER_CHANNEL);
    char channel[PC_ANY_CHANNEL_NAME_MAX];
    if (!pc_user_id_valid(user_id))
        return PUSHERC_EINVAL;
    memcpy(channel, prefix.ptr, prefix.len);
    memcpy(channel + prefix.len, user_id.ptr, user_id.len);
    pusherc_slice channels[] = {{channel, prefix.len + user_id.len}};
    pusherc_event event = {.struct_size = sizeof event,
                           .name = name,
                           .channels = channels,
                           .channel_count = 1,
                           .data = data};
    return pusherc_publish(server, app_id, &event);
}

/* -- asking: copied under the shard's lock, handed over without it -- */

struct channel_copy {
    struct pc_buf names;
    struct pc_buf items; /* of pusherc_channel_info; names are offsets until all are there */
};

static void describe(const struct pc_channel *channel, pusherc_channel_info *out)
{
    *out = (pusherc_channel_info){.struct_size = sizeof *out,
                                  .name = channel->name,
                                  .kind = channel->class.kind,
                                  .cache = channel->class.cache,
                                  .subscription_count = channel->subscriptions,
                                  .user_count = pc_roster_count(&channel->roster)};
}

static void copy_channel(const struct pc_channel *channel, void *ctx)
{
    struct channel_copy *copy = ctx;
    pusherc_channel_info info;
    if (channel->class.kind == PUSHERC_CHANNEL_USER)
        return;
    describe(channel, &info);
    info.name.ptr = NULL;
    pc_buf_put(&copy->names, channel->name);
    pc_buf_put(&copy->items, pc_slice((const char *)&info, sizeof info));
}

int pusherc_list_channels(pusherc_server *server, const char *app_id, pusherc_slice prefix,
                          pusherc_channels_fn done, void *user_data)
{
    int rc;
    struct channel_copy copy;
    if (!done)
        return PUSHERC_EINVAL;
    struct pc_app *app = pc_server_app(server, app_id, &rc);
    if (!app)
        return rc;
    pc_buf_init(&copy.names, &server->engine.mem, SIZE_MAX);
    pc_buf_init(&copy.items, &server->engine.mem, SIZE_MAX);
    pc_directory_each(&server->engine.directory, app->live->uid, prefix, copy_channel, &copy);
    pc_app_unref(app);
    rc = pc_buf_status(&copy.names) ? pc_buf_status(&copy.names) : pc_buf_status(&copy.items);
    if (rc == 0) {
        pusherc_channel_info *items = (pusherc_channel_info *)(void *)copy.items.ptr;
        size_t count = copy.items.len / sizeof *items;
        const char *name = copy.names.ptr;
        for (size_t i = 0; i < count; name += items[i++].name.len)
            items[i].name.ptr = name;
        done(items, count, user_data);
    }
    pc_buf_free(&copy.names);
    pc_buf_free(&copy.items);
    return rc;
}

int pusherc_get_channel(pusherc_server *server, const char *app_id, pusherc_slice name,
                        pusherc_channel_info *out)
{
    int rc;
    struct pc_channel_class class;
    if (!out || !pc_channel_name_valid(name, PC_CHANNEL_NAME_MAX, &class))
        return PUSHERC_EINVAL;
    struct pc_app *app = pc_server_app(server, app_id, &rc);
    if (!app)
        return rc;
    *out = (pusherc_channel_info){
        .struct_size = sizeof *out, .kind = class.kind, .cache = class.cache};
    struct pc_shard *shard = pc_directory_lock(&server->engine.directory, app->live->uid, name);
    const struct pc_channel *channel = pc_shard_find(shard, app->live->uid, name);
    if (channel)
        describe(channel, out);
    pc_shard_unlock(shard);
    out->name = name;
    pc_app_unref(app);
    return 0;
}

/* Locked. Every member with its texts: an info per member, the texts one after another. */
static void copy_members(const struct pc_channel *channel, struct channel_copy *copy)
{
    for (struct pc_list *l = channel->roster.in_order.next; l != &channel->roster.in_order;
         l = l->next) {
        const struct pc_roster_member *m = PC_CONTAINER(l, struct pc_roster_member, in_order);
        pusherc_member member = {.struct_size = sizeof member,
                                 .user_id = {NULL, m->node.key.len},
                                 .info_json = {NULL, m->info.len}};
        pc_buf_put(&copy->names, m->node.key);
        pc_buf_put(&copy->names, m->info);
        pc_buf_put(&copy->items, pc_slice((const char *)&member, sizeof member));
    }
}

int pusherc_list_members(pusherc_server *server, const char *app_id, pusherc_slice name,
                         pusherc_members_fn done, void *user_data)
{
    int rc;
    struct pc_channel_class class;
    struct channel_copy copy;
    if (!done || !pc_channel_name_valid(name, PC_CHANNEL_NAME_MAX, &class) ||
        class.kind != PUSHERC_CHANNEL_PRESENCE)
        return PUSHERC_EINVAL;
    struct pc_app *app = pc_server_app(server, app_id, &rc);
    if (!app)
        return rc;
    pc_buf_init(&copy.names, &server->engine.mem, SIZE_MAX);
    pc_buf_init(&copy.items, &server->engine.mem, SIZE_MAX);
    struct pc_shard *shard = pc_directory_lock(&server->engine.directory, app->live->uid, name);
    const struct pc_channel *channel = pc_shard_find(shard, app->live->uid, name);
    if (channel)
        copy_members(channel, &copy);
    pc_shard_unlock(shard);
    pc_app_unref(app);
    rc = pc_buf_status(&copy.names) ? pc_buf_status(&copy.names) : pc_buf_status(&copy.items);
    if (rc == 0) {
        pusherc_member *items = (pusherc_member *)(void *)copy.items.ptr;
        size_t count = copy.items.len / sizeof *items;
        const char *text = copy.names.ptr;
        for (size_t i = 0; i < count; i++) {
            items[i].user_id.ptr = text;
            items[i].info_json.ptr = text + items[i].user_id.len;
            text = items[i].info_json.ptr + items[i].info_json.len;
        }
        done(items, count, user_data);
    }
    pc_buf_free(&copy.names);
    pc_buf_free(&copy.items);
    return rc;
}
