#include "webhook/event.h"

#include "base/pack.h"
#include "codec/json.h"

static const char *name_of(uint32_t kind)
{
    switch (kind) {
    case PUSHERC_WEBHOOK_CHANNEL_OCCUPIED:
        return "channel_occupied";
    case PUSHERC_WEBHOOK_CHANNEL_VACATED:
        return "channel_vacated";
    case PUSHERC_WEBHOOK_MEMBER_ADDED:
        return "member_added";
    case PUSHERC_WEBHOOK_MEMBER_REMOVED:
        return "member_removed";
    case PUSHERC_WEBHOOK_CLIENT_EVENT:
        return "client_event";
    case PUSHERC_WEBHOOK_CACHE_MISS:
        return "cache_miss";
    default:
        return "subscription_count";
    }
}

bool pc_webhook_is_removal(uint32_t kind)
{
    return kind == PUSHERC_WEBHOOK_CHANNEL_VACATED || kind == PUSHERC_WEBHOOK_MEMBER_REMOVED;
}

bool pc_webhook_is_addition(uint32_t kind)
{
    return kind == PUSHERC_WEBHOOK_CHANNEL_OCCUPIED || kind == PUSHERC_WEBHOOK_MEMBER_ADDED;
}

uint32_t pc_webhook_addition_of(uint32_t kind)
{
    return kind == PUSHERC_WEBHOOK_CHANNEL_VACATED ? PUSHERC_WEBHOOK_CHANNEL_OCCUPIED
                                                   : PUSHERC_WEBHOOK_MEMBER_ADDED;
}

/* 0 = events of this kind have no key. */
static char key_type(uint32_t kind)
{
    switch (kind) {
    case PUSHERC_WEBHOOK_CHANNEL_OCCUPIED:
    case PUSHERC_WEBHOOK_CHANNEL_VACATED:
        return PC_WEBHOOK_KEY_CHANNEL;
    case PUSHERC_WEBHOOK_MEMBER_ADDED:
    case PUSHERC_WEBHOOK_MEMBER_REMOVED:
        return PC_WEBHOOK_KEY_MEMBER;
    case PUSHERC_WEBHOOK_CACHE_MISS:
        return PC_WEBHOOK_KEY_MISS;
    case PUSHERC_WEBHOOK_SUBSCRIPTION_COUNT:
        return PC_WEBHOOK_KEY_COUNT;
    default:
        return 0;
    }
}

/* The key is unambiguous, because a channel's name contains no NUL. */
void pc_webhook_put_key(struct pc_buf *buf, const struct pc_notice *notice)
{
    char type = key_type(notice->kind);
    if (!type)
        return;
    pc_buf_put_char(buf, type);
    pc_buf_put(buf, notice->channel);
    pc_buf_put_char(buf, '\0');
    if (type == PC_WEBHOOK_KEY_MEMBER)
        pc_buf_put(buf, notice->user_id);
}

struct pc_webhook_event *pc_webhook_event_new(const struct pc_mem *mem,
                                              const struct pc_notice *notice)
{
    size_t text = notice->channel.len + notice->user_id.len + notice->event.len + notice->data.len;
    size_t key = notice->channel.len + notice->user_id.len + 2; /* see pc_webhook_put_key() */
    struct pc_webhook_event *event = pc_alloc(mem, sizeof *event + text + key);
    if (!event)
        return NULL;
    *event = (struct pc_webhook_event){.kind = notice->kind,
                                       .size = sizeof *event + text + key,
                                       .socket_id = notice->socket_id,
                                       .subscription_count = notice->subscription_count,
                                       .acceptance = pc_acceptance_ref(notice->acceptance)};
    pc_list_init(&event->link);
    char *to = event->text;
    event->channel = pc_pack(&to, notice->channel);
    event->user_id = pc_pack(&to, notice->user_id);
    event->event = pc_pack(&to, notice->event);
    event->data = pc_pack(&to, notice->data);
    struct pc_buf room;
    pc_buf_init_in(&room, mem, key, to, key);
    pc_webhook_put_key(&room, notice);
    event->node.key = pc_slice(to, room.len);
    return event;
}

void pc_webhook_event_free(const struct pc_mem *mem, struct pc_webhook_event *event)
{
    if (!event)
        return;
    pc_acceptance_unref(event->acceptance);
    pc_free(mem, event);
}

static void put_member(struct pc_buf *buf, const char *name, pusherc_slice value)
{
    pc_buf_put(buf, PC_S(",\""));
    pc_buf_put(buf, pc_slice_of(name));
    pc_buf_put(buf, PC_S("\":"));
    pc_json_put_string(buf, value);
}

static void put_client_event(struct pc_buf *buf, const struct pc_webhook_event *event)
{
    char id[PUSHERC_SOCKET_ID_STRLEN];
    pusherc_socket_id_format(event->socket_id, id);
    put_member(buf, "event", event->event);
    put_member(buf, "data", event->data);
    put_member(buf, "socket_id", pc_slice_of(id));
}

void pc_webhook_event_put(struct pc_buf *buf, const struct pc_webhook_event *event)
{
    pc_buf_put(buf, PC_S("{\"name\":\""));
    pc_buf_put(buf, pc_slice_of(name_of(event->kind)));
    pc_buf_put(buf, PC_S("\""));
    put_member(buf, "channel", event->channel);
    if (event->kind == PUSHERC_WEBHOOK_CLIENT_EVENT)
        put_client_event(buf, event);
    if (event->user_id.len)
        put_member(buf, "user_id", event->user_id);
    if (event->kind == PUSHERC_WEBHOOK_SUBSCRIPTION_COUNT) {
        pc_buf_put(buf, PC_S(",\"subscription_count\":"));
        pc_buf_put_u64(buf, event->subscription_count);
    }
    pc_buf_put_char(buf, '}');
}
