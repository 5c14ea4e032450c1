#include "broadcast/event.h"

#include <pusherc/error.h>

#include "protocol/names.h"

static bool slice_valid(pusherc_slice s)
{
    return s.ptr || s.len == 0;
}

static bool name_valid(pusherc_slice name)
{
    return slice_valid(name) && name.len > 0 && name.len <= PC_CHANNEL_NAME_MAX &&
           pc_utf8_valid(name) && !pc_slice_starts(name, PC_S("pusher:")) &&
           !pc_slice_starts(name, PC_S("pusher_internal:"));
}

bool pc_broadcast_event_valid(const pusherc_event *event)
{
    struct pc_channel_class class;
    if (!name_valid(event->name) || !slice_valid(event->data) || !pc_utf8_valid(event->data) ||
        !event->channels || event->channel_count == 0 ||
        event->channel_count > PUSHERC_MAX_CHANNELS_PER_EVENT)
        return false;
    for (size_t i = 0; i < event->channel_count; i++) {
        if (!slice_valid(event->channels[i]) ||
            !pc_channel_name_valid(event->channels[i], PC_CHANNEL_NAME_MAX, &class))
            return false;
        /* each encrypted channel has a key of its own */
        if (class.kind == PUSHERC_CHANNEL_PRIVATE_ENCRYPTED && event->channel_count > 1)
            return false;
    }
    return true;
}

static bool is_repeated(const pusherc_event *event, size_t nth)
{
    for (size_t i = 0; i < nth; i++)
        if (pc_slice_eq(event->channels[i], event->channels[nth]))
            return true;
    return false;
}

static pusherc_slice put(char **to, pusherc_slice text)
{
    char *at = *to;
    if (text.len)
        memcpy(at, text.ptr, text.len);
    *to += text.len;
    return pc_slice(at, text.len);
}

/* In the block: the struct, its links, the slices of the channels, the text. */
struct pc_broadcast_event *pc_broadcast_event_new(const struct pc_mem *mem,
                                                  const pusherc_event *event, pusherc_slice key,
                                                  pusherc_slice subject)
{
    const size_t count = event->channel_count;
    size_t text = event->name.len + event->data.len + key.len + subject.len;
    for (size_t i = 0; i < count; i++)
        text += event->channels[i].len;
    const size_t fixed = sizeof(struct pc_broadcast_event) +
                         count * (sizeof(struct pc_broadcast_link) + sizeof(pusherc_slice));
    struct pc_broadcast_event *e = pc_alloc(mem, fixed + text);
    if (!e)
        return NULL;
    memset(e, 0, fixed);
    pusherc_slice *channels = (void *)&e->links[count];
    char *to = (char *)&channels[count];
    e->event = *event;
    e->size = fixed + text;
    e->event.channels = channels;
    e->event.channel_count = 0;
    for (size_t i = 0; i < count; i++)
        if (!is_repeated(event, i))
            channels[e->event.channel_count++] = put(&to, event->channels[i]);
    e->event.name = put(&to, event->name);
    e->event.data = put(&to, event->data);
    e->key = put(&to, key);
    e->subject = put(&to, subject);
    e->of_subject.key = e->subject;
    pc_list_init(&e->of_queue);
    pc_list_init(&e->of_state);
    for (size_t i = 0; i < count; i++) {
        e->links[i].event = e;
        pc_list_init(&e->links[i].of_lane);
    }
    return e;
}

void pc_broadcast_event_free(const struct pc_mem *mem, struct pc_broadcast_event *event)
{
    pc_free(mem, event);
}
