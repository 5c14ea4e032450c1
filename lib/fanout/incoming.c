#include "fanout/incoming.h"

#include <string.h>

/* -- what the hook reads -- */

pusherc_event_source pusherc_incoming_source(const pusherc_incoming *event)
{
    return event->source;
}

pusherc_slice pusherc_incoming_app_id(const pusherc_incoming *event)
{
    return event->app->id;
}

pusherc_slice pusherc_incoming_name(const pusherc_incoming *event)
{
    return event->publication.event;
}

pusherc_slice pusherc_incoming_data(const pusherc_incoming *event)
{
    return event->publication.data;
}

size_t pusherc_incoming_channel_count(const pusherc_incoming *event)
{
    return event->publication.channel_count;
}

pusherc_slice pusherc_incoming_channel(const pusherc_incoming *event, size_t index)
{
    const struct pc_publication *p = &event->publication;
    return index < p->channel_count ? p->channels[index] : PC_S("");
}

pusherc_socket_id pusherc_incoming_except(const pusherc_incoming *event)
{
    return event->publication.except;
}

/* -- what it changes -- */

/* Checks the event as it would be, and makes the copy that it keeps. */
static int keep(const pusherc_incoming *event, const struct pc_publication *changed,
                pusherc_slice text, char **out)
{
    int err = pc_publication_check(event->engine, event->app, changed, NULL);
    if (err)
        return err;
    *out = pc_dup(&event->engine->mem, text);
    return *out ? 0 : PUSHERC_ENOMEM;
}

/* One of the event's texts is now `copy`, which the event owns. */
static void replace(pusherc_incoming *event, char **own, pusherc_slice *text, char *copy,
                    size_t len)
{
    pc_free(&event->engine->mem, *own);
    *own = copy;
    *text = pc_slice(copy, len);
    event->changed = true;
}

int pusherc_incoming_set_name(pusherc_incoming *event, pusherc_slice name)
{
    struct pc_publication changed = event->publication;
    char *copy;
    changed.event = name;
    int err = keep(event, &changed, name, &copy);
    if (err == 0)
        replace(event, &event->name, &event->publication.event, copy, name.len);
    return err;
}

int pusherc_incoming_set_data(pusherc_incoming *event, pusherc_slice data)
{
    struct pc_publication changed = event->publication;
    char *copy;
    changed.data = data;
    int err = keep(event, &changed, data, &copy);
    if (err == 0)
        replace(event, &event->data, &event->publication.data, copy, data.len);
    return err;
}

/* Makes room for one more channel. */
static int grow(pusherc_incoming *event)
{
    const struct pc_publication *p = &event->publication;
    const size_t count = p->channel_count;
    pusherc_slice *channels =
        pc_resize_array(&event->engine->mem, event->channels, count + 1, sizeof *channels);
    if (!channels)
        return PUSHERC_ENOMEM;
    if (!event->channels) {
        memcpy(channels, p->channels, count * sizeof *channels);
        event->given = count;
    }
    event->channels = channels;
    event->publication.channels = channels;
    return 0;
}

int pusherc_incoming_add_channel(pusherc_incoming *event, pusherc_slice channel)
{
    struct pc_publication *p = &event->publication;
    for (size_t i = 0; i < p->channel_count; i++)
        if (pc_slice_eq(p->channels[i], channel))
            return 0;
    int err = grow(event);
    if (err)
        return err;
    struct pc_publication changed = *p;
    char *copy;
    event->channels[p->channel_count] = channel;
    changed.channel_count++;
    err = keep(event, &changed, channel, &copy);
    if (err)
        return err;
    event->channels[p->channel_count++] = pc_slice(copy, channel.len);
    event->changed = true;
    return 0;
}

int pusherc_incoming_refuse(pusherc_incoming *event, const char *reason)
{
    pusherc_slice text = pc_utf8_cut(pc_slice_of(reason), PC_REFUSAL_MAX);
    if (text.len)
        memcpy(event->reason, text.ptr, text.len);
    event->reason[text.len] = '\0';
    return PUSHERC_EAUTH;
}

/* -- asking it -- */

static void trace(const pusherc_incoming *in, const char *verdict)
{
    struct pc_log *log = &in->engine->log;
    const struct pc_publication *p = &in->publication;
    const struct pc_log_about about = {.subject = "event", .app_id = in->app->id};
    if (!pc_log_wants(log, PUSHERC_LOG_TRACE))
        return;
    for (size_t i = 0; i < p->channel_count; i++)
        pc_log_write_always(log, PUSHERC_LOG_TRACE, about, __FILE__, __LINE__,
                            "%s %.*s on %.*s%s%s: %.*s", verdict, (int)p->event.len, p->event.ptr,
                            (int)p->channels[i].len, p->channels[i].ptr, in->reason[0] ? ": " : "",
                            in->reason, (int)p->data.len, p->data.ptr);
}

bool pc_incoming_judge(struct pusherc_incoming *in, struct pc_engine *engine,
                       const struct pc_app *app, pusherc_event_source source,
                       const struct pc_publication *p)
{
    const struct pc_worker *worker = p->worker;
    const pusherc_hooks *hooks = worker->hooks;
    struct pc_app_stats *stats = pc_app_stats(app, worker->index);
    in->engine = engine;
    in->app = app;
    in->source = source;
    in->publication = *p;
    if (hooks->on_publish && hooks->on_publish(in, hooks->user_data)) {
        pc_stat_add(&stats->incoming_refused, 1);
        trace(in, "refused");
        return false;
    }
    pc_stat_add(&stats->incoming_changed, in->changed);
    trace(in, in->changed ? "changed" : "published");
    return true;
}

void pc_incoming_free(struct pusherc_incoming *in)
{
    if (!in->engine)
        return;
    const struct pc_mem *mem = &in->engine->mem;
    if (in->channels)
        for (size_t i = in->given; i < in->publication.channel_count; i++)
            pc_free(mem, (char *)in->channels[i].ptr);
    pc_free(mem, in->channels);
    pc_free(mem, in->name);
    pc_free(mem, in->data);
}
