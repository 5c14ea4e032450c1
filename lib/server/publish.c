/* Publishing from the host's own code (pusherc/publish.h). */
#include <pusherc/publish.h>

#include "auth/encrypt.h"
#include "base/clock.h"
#include "base/options.h"
#include "fanout/publish.h"
#include "server/server.h"

/* An event that has been checked and, if needed, encrypted; zero-initialise. */
struct ready {
    struct pc_publication p;
    struct pc_buf encrypted; /* the data that clients get, if the server encrypts */
};

/* True if a channel is encrypted: then the server encrypts the data, if the app has a master key. */
static bool has_encrypted_channel(const struct pc_publication *p)
{
    for (size_t i = 0; i < p->channel_count; i++) {
        struct pc_channel_class class;
        if (pc_channel_name_valid(p->channels[i], SIZE_MAX, &class) &&
            class.kind == PUSHERC_CHANNEL_PRIVATE_ENCRYPTED)
            return true;
    }
    return false;
}

/* Encrypts the data for one channel. PUSHERC_EINVAL if there are several: each channel has another key. */
static int encrypt_data(const pusherc_server *server, const struct pc_app *app, struct ready *ready)
{
    struct pc_publication *p = &ready->p;
    for (size_t i = 1; i < p->channel_count; i++)
        if (!pc_slice_eq(p->channels[i], p->channels[0]))
            return PUSHERC_EINVAL;
    pc_buf_init(&ready->encrypted, &server->engine.mem, pc_encrypted_size(p->data.len));
    int err = pc_encrypt(&ready->encrypted, p->channels[0], p->data, app->master_key, NULL);
    p->data = pc_buf_slice(&ready->encrypted);
    return err ? err : pc_publication_check(&server->engine, app, p, NULL);
}

static int make_ready(const pusherc_server *server, const struct pc_app *app,
                      const pusherc_event *from, struct ready *ready)
{
    pusherc_event taken, *const event = &taken;
    int err = PC_TAKE(event, event, from, NULL);
    if (err)
        return err;
    ready->p = (struct pc_publication){.event = event->name,
                                       .channels = event->channels,
                                       .channel_count = event->channels ? event->channel_count : 0,
                                       .data = event->data,
                                       .cacheable = true,
                                       .now_ms = pc_clock_us() / 1000,
                                       .except = event->except};
    err = pc_publication_check(&server->engine, app, &ready->p, NULL);
    if (err || event->encrypted || !app->has_master_key || !has_encrypted_channel(&ready->p))
        return err;
    return encrypt_data(server, app, ready);
}

/* All are checked before the first is sent. `ready` has room for `count` and is zero. */
static int publish_all(pusherc_server *server, const char *app_id, const pusherc_event *events,
                       size_t count, struct ready *ready)
{
    int err;
    struct pc_app *app = pc_server_app(server, app_id, &err);
    if (!app)
        return err;
    if (!pc_server_runs(server))
        err = PUSHERC_ESTATE;
    for (size_t i = 0; err == 0 && i < count; i++)
        err = make_ready(server, app, PUSHERC_AT(events, i), &ready[i]);
    for (size_t i = 0; err == 0 && i < count; i++)
        err = pc_publish(&server->engine, app, &ready[i].p);
    for (size_t i = 0; i < count; i++)
        if (ready[i].encrypted.ptr)
            pc_buf_free(&ready[i].encrypted);
    pc_app_unref(app);
    return err;
}

int pusherc_publish_batch(pusherc_server *server, const char *app_id, const pusherc_event *events,
                          size_t count)
{
    struct ready ready[PUSHERC_MAX_EVENTS_PER_BATCH] = {0};
    if (!events || count == 0 || count > PUSHERC_MAX_EVENTS_PER_BATCH)
        return PUSHERC_EINVAL;
    return publish_all(server, app_id, events, count, ready);
}

int pusherc_publish(pusherc_server *server, const char *app_id, const pusherc_event *event)
{
    struct ready ready = {0};
    return event ? publish_all(server, app_id, event, 1, &ready) : PUSHERC_EINVAL;
}

int pusherc_publish_to(pusherc_server *server, const char *app_id, const char *channel,
                       size_t channel_len, const char *name, size_t name_len, const char *data,
                       size_t data_len, const char *except)
{
    const pusherc_slice to = {channel, channel_len};
    pusherc_event event = {.struct_size = sizeof event,
                           .name = {name, name_len},
                           .channels = &to,
                           .channel_count = 1,
                           .data = {data, data_len}};
    if ((channel_len && !channel) || (name_len && !name) || (data_len && !data))
        return PUSHERC_EINVAL;
    if (except) {
        int err = pusherc_socket_id_parse(pc_slice_of(except), &event.except);
        if (err && err != PUSHERC_ELIMIT) /* an id of another server fits no client here */
            return PUSHERC_EINVAL;
    }
    return pusherc_publish(server, app_id, &event);
}

int pusherc_send_to_user(pusherc_server *server, const char *app_id, pusherc_slice user_id,
                         pusherc_slice name, pusherc_slice data)
{
    static const pusherc_slice prefix = PUSHERC_LIT(PUSHERC_USER_CHANNEL_PREFIX);
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
