/* Ephemeral states for the host: pusherc/ephemeral.h. */
#include <pusherc/ephemeral.h>

#include "base/clock.h"
#include "base/options.h"
#include "base/pack.h"
#include "fanout/ephemera.h"
#include "fanout/publish.h"
#include "server/server.h"

#define MAX_USER_ID 512 /* bytes: 128 characters */

/* Checks the names of a state, and takes it. */
static int take(pusherc_ephemeral *out, const pusherc_ephemeral *state,
                struct pc_channel_class *class)
{
    if (!state || PC_TAKE(ephemeral, out, state, NULL) ||
        !pc_channel_name_valid(out->channel, PC_CHANNEL_NAME_MAX, class) ||
        class->kind == PUSHERC_CHANNEL_PRIVATE_ENCRYPTED)
        return PUSHERC_EINVAL;
    if (out->event.len == 0 || out->user_id.len > MAX_USER_ID ||
        out->key.len > PC_EPHEMERAL_KEY_MAX || !pc_utf8_valid(out->user_id) ||
        !pc_utf8_valid(out->key))
        return PUSHERC_EINVAL;
    return 0;
}

/* Counted for the caller; NULL = out of memory. */
static struct pc_said *said_of(const struct pc_engine *engine, const pusherc_ephemeral *state,
                               struct pc_channel_class class)
{
    char who[1 + MAX_USER_ID], *at = who;
    pc_pack(&at, PC_S("u"));
    pc_pack(&at, state->user_id);
    struct pc_said *said = pc_said_new(&engine->mem, state->event,
                                       pc_slice(who, (size_t)(at - who)), state->key, state->data);
    if (said)
        said->shows_user = class.kind == PUSHERC_CHANNEL_PRESENCE;
    return said;
}

static int set(struct pc_engine *engine, const struct pc_app *app, const pusherc_ephemeral *state,
               struct pc_channel_class class)
{
    struct pc_ephemeral_change change = {
        .step = PC_EPHEMERAL_SAID,
        .bounds = {.rule = pc_app_ephemeral(app, state->channel, state->event),
                   .max_bytes = app->options.max_ephemeral_bytes},
        .tell = pc_publish_over};
    struct pc_publication p = {.event = state->event,
                               .channels = &state->channel,
                               .channel_count = 1,
                               .data = state->data,
                               .user_id = class.kind == PUSHERC_CHANNEL_PRESENCE ? state->user_id
                                                                                 : PC_S(""),
                               .ephemeral = &change,
                               .now_ms = pc_clock_us() / 1000};
    if (!change.bounds.rule)
        return PUSHERC_ENOENT;
    int err = pc_publication_check(engine, app, &p, NULL);
    if (err)
        return err;
    change.said = said_of(engine, state, class);
    err = change.said ? pc_publish(engine, app, &p) : PUSHERC_ENOMEM;
    pc_said_unref(change.said);
    return err;
}

/* Tries again while the state is renewed in between. */
static int end(struct pc_engine *engine, const struct pc_app *app, const pusherc_ephemeral *state,
               struct pc_channel_class class)
{
    const pusherc_socket_id all = {0};
    pusherc_ephemeral unsaid = *state; /* its name counts */
    unsaid.data = PC_S("");
    struct pc_said *named = said_of(engine, &unsaid, class);
    struct pc_ephemeral_change over = {.step = PC_EPHEMERAL_OVER, .at_once = true};
    int err = named ? 0 : PUSHERC_ENOMEM;
    while (!over.done && err == 0) {
        over.said = pc_ephemera_look(engine, app, state->channel, named->id);
        err = over.said ? pc_publish_ended(engine, app, state->channel, &over, all, NULL,
                                           pc_clock_us() / 1000)
                        : PUSHERC_ENOENT;
        pc_said_unref(over.said);
    }
    pc_said_unref(named);
    return err;
}

typedef int (*change_fn)(struct pc_engine *engine, const struct pc_app *app,
                         const pusherc_ephemeral *state, struct pc_channel_class class);

static int apply(pusherc_server *server, const char *app_id, const pusherc_ephemeral *state,
                 change_fn make)
{
    pusherc_ephemeral taken;
    struct pc_channel_class class;
    int err = take(&taken, state, &class);
    if (err)
        return err;
    struct pc_app *app = pc_server_app(server, app_id, &err);
    if (!app)
        return err;
    err = pc_server_runs(server) ? make(&server->engine, app, &taken, class) : PUSHERC_ESTATE;
    pc_app_unref(app);
    return err;
}

int pusherc_set_ephemeral(pusherc_server *server, const char *app_id,
                          const pusherc_ephemeral *state)
{
    return apply(server, app_id, state, set);
}

int pusherc_end_ephemeral(pusherc_server *server, const char *app_id,
                          const pusherc_ephemeral *state)
{
    return apply(server, app_id, state, end);
}

/* -- reading -- */

static void describe(const struct pc_said *said, pusherc_slice channel, uint64_t ends_in_ms,
                     pusherc_ephemeral *out)
{
    *out = (pusherc_ephemeral){.struct_size = sizeof *out,
                               .channel = channel,
                               .event = said->event,
                               .user_id = pc_said_user_id(said),
                               .key = said->key,
                               .data = said->data,
                               .ends_in_ms = ends_in_ms};
}

static int hand_over(const struct pc_engine *engine, const struct pc_said_list *list,
                     pusherc_slice channel, pusherc_ephemeral_fn done, void *user_data)
{
    const uint64_t now_ms = pc_clock_us() / 1000;
    pusherc_ephemeral *items = NULL;
    if (list->count && !(items = pc_alloc_array(&engine->mem, list->count, sizeof *items)))
        return PUSHERC_ENOMEM;
    for (size_t i = 0; i < list->count; i++)
        describe(list->items[i], channel, list->ends_ms[i] > now_ms ? list->ends_ms[i] - now_ms : 0,
                 &items[i]);
    done(items, list->count, user_data);
    pc_free(&engine->mem, items);
    return 0;
}

int pusherc_list_ephemeral(pusherc_server *server, const char *app_id, pusherc_slice channel,
                           pusherc_ephemeral_fn done, void *user_data)
{
    int err;
    struct pc_channel_class class;
    struct pc_said_list list = {.count = 0};
    if (!done || !pc_channel_name_valid(channel, PC_CHANNEL_NAME_MAX, &class))
        return PUSHERC_EINVAL;
    struct pc_app *app = pc_server_app(server, app_id, &err);
    if (!app)
        return err;
    struct pc_shard *shard = pc_directory_lock(&server->engine.directory, app->state->uid, channel);
    const struct pc_channel *found = pc_shard_find(shard, app->state->uid, channel);
    err = found ? pc_ephemera_copy(&server->engine, found, &list) : 0;
    pc_shard_unlock(shard);
    if (err == 0)
        err = hand_over(&server->engine, &list, channel, done, user_data);
    pc_said_list_free(&list);
    pc_app_unref(app);
    return err;
}
