/* Queries of the host about channels, members (pusherc/channel.h) and connections (pusherc/server.h). */
#include <pusherc/channel.h>
#include <pusherc/users.h>

#include "base/clock.h"
#include "base/options.h"
#include "channel/keep.h"
#include "net/peer.h"
#include "server/server.h"
#include "session/listing.h"

/*
 * A list is copied under the shards' locks, and the host gets it after they are released: `items` holds the structs,
 * `texts` their texts one after another. Buffers move while they grow, so the pointers to the texts are set at the end.
 */
struct list_copy {
    struct pc_buf items, texts;
};

static void copy_init(struct list_copy *copy, const struct pc_mem *mem)
{
    pc_buf_init(&copy->items, mem, SIZE_MAX);
    pc_buf_init(&copy->texts, mem, SIZE_MAX);
}

static void copy_free(struct list_copy *copy)
{
    pc_buf_free(&copy->items);
    pc_buf_free(&copy->texts);
}

static int copy_status(const struct list_copy *copy)
{
    return pc_buf_status(&copy->items) ? pc_buf_status(&copy->items) : pc_buf_status(&copy->texts);
}

static void describe(const struct pc_channel *channel, pusherc_channel_info *out)
{
    *out = (pusherc_channel_info){.struct_size = sizeof *out,
                                  .name = channel->name,
                                  .kind = channel->class.kind,
                                  .cache = channel->class.cache,
                                  .subscription_count = channel->subscriptions,
                                  .user_count = pc_roster_count(&channel->roster),
                                  .sequence = channel->shard->number};
}

/* Locked. */
static void copy_channel(const struct pc_channel *channel, void *ctx)
{
    struct list_copy *copy = ctx;
    pusherc_channel_info info;
    if (channel->class.kind == PUSHERC_CHANNEL_USER)
        return;
    describe(channel, &info);
    info.name.ptr = NULL;
    pc_buf_put(&copy->texts, channel->name);
    pc_buf_put(&copy->items, pc_slice((const char *)&info, sizeof info));
}

int pusherc_list_channels(pusherc_server *server, const char *app_id, pusherc_slice prefix,
                          pusherc_channels_fn done, void *user_data)
{
    int err;
    struct list_copy copy;
    if (!done)
        return PUSHERC_EINVAL;
    struct pc_app *app = pc_server_app(server, app_id, &err);
    if (!app)
        return err;
    copy_init(&copy, &server->engine.mem);
    pc_directory_each(&server->engine.directory, app->state, prefix, copy_channel, &copy);
    pc_app_unref(app);
    err = copy_status(&copy);
    if (err == 0) {
        pusherc_channel_info *items = (pusherc_channel_info *)(void *)copy.items.ptr;
        size_t count = copy.items.len / sizeof *items;
        const char *text = copy.texts.ptr;
        for (size_t i = 0; i < count; text += items[i++].name.len)
            items[i].name.ptr = text;
        done(items, count, user_data);
    }
    copy_free(&copy);
    return err;
}

int pusherc_get_channel(pusherc_server *server, const char *app_id, pusherc_slice name,
                        pusherc_channel_info *out)
{
    int err;
    struct pc_channel_class class;
    if (!out || !pc_can_give(out, &pc_sized_channel_info) ||
        !pc_channel_name_valid(name, PC_CHANNEL_NAME_MAX, &class))
        return PUSHERC_EINVAL;
    struct pc_app *app = pc_server_app(server, app_id, &err);
    if (!app)
        return err;
    pusherc_channel_info info = {.kind = class.kind, .cache = class.cache};
    struct pc_shard *shard = pc_directory_lock(&server->engine.directory, app->state->uid, name);
    const struct pc_channel *channel = pc_shard_find(shard, app->state->uid, name);
    info.sequence = shard->number;
    if (channel)
        describe(channel, &info);
    pc_shard_unlock(shard);
    info.name = name;
    pc_give(out, &info, &pc_sized_channel_info);
    pc_app_unref(app);
    return 0;
}

/* Locked. */
static void copy_members(const struct pc_channel *channel, struct list_copy *copy)
{
    PC_LIST_EACH(l, &channel->roster.in_order) {
        const struct pc_roster_member *m = PC_CONTAINER(l, struct pc_roster_member, in_order);
        pusherc_member member = {.struct_size = sizeof member,
                                 .user_id = {NULL, m->node.key.len},
                                 .info_json = {NULL, m->info.len}};
        pc_buf_put(&copy->texts, m->node.key);
        pc_buf_put(&copy->texts, m->info);
        pc_buf_put(&copy->items, pc_slice((const char *)&member, sizeof member));
    }
}

int pusherc_list_members(pusherc_server *server, const char *app_id, pusherc_slice name,
                         pusherc_members_fn done, void *user_data)
{
    int err;
    struct pc_channel_class class;
    struct list_copy copy;
    if (!done || !pc_channel_name_valid(name, PC_CHANNEL_NAME_MAX, &class) ||
        class.kind != PUSHERC_CHANNEL_PRESENCE)
        return PUSHERC_EINVAL;
    struct pc_app *app = pc_server_app(server, app_id, &err);
    if (!app)
        return err;
    copy_init(&copy, &server->engine.mem);
    struct pc_shard *shard = pc_directory_lock(&server->engine.directory, app->state->uid, name);
    const struct pc_channel *channel = pc_shard_find(shard, app->state->uid, name);
    if (channel)
        copy_members(channel, &copy);
    uint64_t sequence = shard->number;
    pc_shard_unlock(shard);
    pc_app_unref(app);
    err = copy_status(&copy);
    if (err == 0) {
        pusherc_member *items = (pusherc_member *)(void *)copy.items.ptr;
        size_t count = copy.items.len / sizeof *items;
        const char *text = copy.texts.ptr;
        for (size_t i = 0; i < count; i++) {
            items[i].user_id.ptr = text;
            items[i].info_json.ptr = text + items[i].user_id.len;
            text = items[i].info_json.ptr + items[i].info_json.len;
        }
        done(items, count, sequence, user_data);
    }
    copy_free(&copy);
    return err;
}

/* -- users -- */

/* Locked. */
static void describe_user(const struct pc_person *person, uint64_t now_ms, pusherc_user_info *out)
{
    bool away = pc_person_is_away(person);
    *out = (pusherc_user_info){.struct_size = sizeof *out,
                               .user_id = person->node.key,
                               .online = person->online,
                               .connections = person->connections,
                               .channels = person->channels,
                               .sequence = person->number};
    /* a worker's time is that of its turn: it may be behind */
    if (away && now_ms > person->seen_ms)
        out->away_ms = now_ms - person->seen_ms;
}

/* Locked. */
static void copy_users(const struct pc_list *list, bool away_too, uint64_t now_ms,
                       struct list_copy *copy)
{
    PC_LIST_EACH(l, list) {
        pusherc_user_info info;
        describe_user(PC_CONTAINER(l, struct pc_person, link), now_ms, &info);
        if (!info.online && !away_too)
            continue;
        pc_buf_put(&copy->texts, info.user_id);
        info.user_id.ptr = NULL;
        pc_buf_put(&copy->items, pc_slice((const char *)&info, sizeof info));
    }
}

int pusherc_list_users(pusherc_server *server, const char *app_id, bool away_too,
                       pusherc_users_fn done, void *user_data)
{
    int err;
    struct list_copy copy;
    uint64_t now_ms = pc_clock_us() / 1000;
    if (!done)
        return PUSHERC_EINVAL;
    struct pc_app *app = pc_server_app(server, app_id, &err);
    if (!app)
        return err;
    struct pc_people *people = &app->state->people;
    copy_init(&copy, &server->engine.mem);
    pthread_mutex_lock(&people->mutex);
    copy_users(&people->here, away_too, now_ms, &copy);
    copy_users(&people->away, away_too, now_ms, &copy);
    uint64_t sequence = people->number;
    pthread_mutex_unlock(&people->mutex);
    pc_app_unref(app);
    err = copy_status(&copy);
    if (err == 0) {
        pusherc_user_info *items = (pusherc_user_info *)(void *)copy.items.ptr;
        size_t count = copy.items.len / sizeof *items;
        const char *text = copy.texts.ptr;
        for (size_t i = 0; i < count; text += items[i++].user_id.len)
            items[i].user_id.ptr = text;
        done(items, count, sequence, user_data);
    }
    copy_free(&copy);
    return err;
}

int pusherc_get_user(pusherc_server *server, const char *app_id, pusherc_slice user_id,
                     pusherc_user_info *out)
{
    int err;
    pusherc_user_info info;
    if (!out || !pc_can_give(out, &pc_sized_user_info) || user_id.len == 0)
        return PUSHERC_EINVAL;
    struct pc_app *app = pc_server_app(server, app_id, &err);
    if (!app)
        return err;
    pthread_mutex_lock(&app->state->people.mutex);
    const struct pc_person *person = pc_people_find(&app->state->people, user_id);
    if (person)
        describe_user(person, pc_clock_us() / 1000, &info);
    pthread_mutex_unlock(&app->state->people.mutex);
    pc_app_unref(app);
    if (!person)
        return PUSHERC_ENOENT;
    info.user_id = user_id;
    pc_give(out, &info, &pc_sized_user_info);
    return 0;
}

int pusherc_get_cached_event(pusherc_server *server, const char *app_id, pusherc_slice name,
                             pusherc_cached_event_fn done, void *user_data)
{
    int err;
    struct pc_channel_class class;
    uint64_t now_ms = pc_clock_us() / 1000;
    if (!done || !pc_channel_name_valid(name, PC_CHANNEL_NAME_MAX, &class) || !class.cache)
        return PUSHERC_EINVAL;
    struct pc_app *app = pc_server_app(server, app_id, &err);
    if (!app)
        return err;
    struct pc_shard *shard = pc_directory_lock(&server->engine.directory, app->state->uid, name);
    const struct pc_channel *channel = pc_shard_find(shard, app->state->uid, name);
    struct pc_cached *cached = channel ? pc_channel_kept(channel, now_ms) : NULL;
    pc_shard_unlock(shard);
    pc_app_unref(app);
    if (!cached) {
        done(NULL, user_data);
        return 0;
    }
    pusherc_cached_event event = {.struct_size = sizeof event,
                                  .name = cached->event,
                                  .data = cached->data,
                                  .ttl_ms = cached->until_ms - now_ms};
    done(&event, user_data);
    pc_cached_unref(cached);
    return 0;
}

/* -- connections -- */

/* Locked. */
static void copy_connection(const struct pc_session *s, void *ctx)
{
    struct list_copy *copy = ctx;
    char ip[PC_ADDRESS_STRLEN];
    pc_address_format(&s->address, ip);
    const pusherc_slice texts[] = {pc_identity_user_id(s->identity), pc_identity_user_id(s->user),
                                   pc_slice_of(ip)};
    pusherc_connection c = {.struct_size = sizeof c,
                            .socket_id = s->q->owner,
                            .user_id = {NULL, texts[0].len},
                            .signed_in_as = {NULL, texts[1].len},
                            .client_ip = {NULL, texts[2].len}};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        pc_buf_put(&copy->texts, texts[i]);
    pc_buf_put(&copy->items, pc_slice((const char *)&c, sizeof c));
}

static void hand_over_connections(struct list_copy *copy, pusherc_connections_fn done,
                                  void *user_data)
{
    pusherc_connection *items = (pusherc_connection *)(void *)copy->items.ptr;
    size_t count = copy->items.len / sizeof *items;
    const char *text = copy->texts.ptr;
    for (size_t i = 0; i < count; i++) {
        pusherc_slice *const texts[] = {&items[i].user_id, &items[i].signed_in_as,
                                        &items[i].client_ip};
        for (size_t k = 0; k < sizeof texts / sizeof texts[0]; text += texts[k++]->len)
            texts[k]->ptr = text;
    }
    done(items, count, user_data);
}

int pusherc_list_connections(pusherc_server *server, const char *app_id, pusherc_slice user_id,
                             pusherc_connections_fn done, void *user_data)
{
    int err;
    struct list_copy copy;
    if (!done || user_id.len > PC_IDENTITY_MAX_ID)
        return PUSHERC_EINVAL;
    struct pc_app *app = pc_server_app(server, app_id, &err);
    if (!app)
        return err;
    uint64_t uid = app->state->uid;
    pc_app_unref(app);
    copy_init(&copy, &server->engine.mem);
    for (uint32_t i = 0; i < server->engine.worker_count; i++) {
        struct pc_worker *worker = &server->engine.workers[i];
        if (user_id.len)
            pc_listing_of_user(worker, uid, user_id, copy_connection, &copy);
        else
            pc_listing_each(worker, uid, copy_connection, &copy);
    }
    err = copy_status(&copy);
    if (err == 0)
        hand_over_connections(&copy, done, user_data);
    copy_free(&copy);
    return err;
}
