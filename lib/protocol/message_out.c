#include "protocol/message_out.h"

#include "codec/json.h"

#define PUT(buf, literal) pc_buf_put((buf), PC_S(literal))

/* A JSON string inside "data", which is a JSON string itself, so the text is escaped twice. Runs that need no escape
 * are copied; only the single characters between the runs are escaped twice. */
static void put_inner_string(struct pc_buf *buf, pusherc_slice text)
{
    PUT(buf, "\\\"");
    while (text.len) {
        size_t run = 0;
        while (run < text.len && (unsigned char)text.ptr[run] >= 0x20 && text.ptr[run] != '"' &&
               text.ptr[run] != '\\')
            run++;
        pc_buf_put(buf, pc_slice_first(text, run));
        text = pc_slice_skip(text, run);
        if (text.len == 0)
            break;

        char storage[8]; /* an escape has at most six bytes */
        struct pc_buf escaped;
        pc_buf_init_in(&escaped, buf->mem, sizeof storage, storage, sizeof storage);
        pc_json_put_escaped(&escaped, pc_slice_first(text, 1));
        pc_json_put_escaped(buf, pc_buf_slice(&escaped));
        text = pc_slice_skip(text, 1);
    }
    PUT(buf, "\\\"");
}

static void put_channel(struct pc_buf *buf, pusherc_slice channel)
{
    PUT(buf, ",\"channel\":");
    pc_json_put_string(buf, channel);
}

void pc_out_established(struct pc_buf *buf, pusherc_socket_id id, uint32_t activity_timeout_s)
{
    PUT(buf, "{\"event\":\"pusher:connection_established\",\"data\":\"{\\\"socket_id\\\":\\\"");
    pc_buf_put_u64(buf, id.a);
    pc_buf_put_char(buf, '.');
    pc_buf_put_u64(buf, id.b);
    PUT(buf, "\\\",\\\"activity_timeout\\\":");
    pc_buf_put_u64(buf, activity_timeout_s);
    PUT(buf, "}\"}");
}

void pc_out_ping(struct pc_buf *buf)
{
    PUT(buf, "{\"event\":\"pusher:ping\",\"data\":\"{}\"}");
}

void pc_out_pong(struct pc_buf *buf)
{
    PUT(buf, "{\"event\":\"pusher:pong\",\"data\":\"{}\"}");
}

void pc_out_error(struct pc_buf *buf, uint16_t code, pusherc_slice message)
{
    PUT(buf, "{\"event\":\"pusher:error\",\"data\":{\"code\":");
    if (code)
        pc_buf_put_u64(buf, code);
    else
        PUT(buf, "null");
    PUT(buf, ",\"message\":");
    pc_json_put_string(buf, message);
    PUT(buf, "}}");
}

void pc_out_subscribed(struct pc_buf *buf, pusherc_slice channel)
{
    PUT(buf, "{\"event\":\"pusher_internal:subscription_succeeded\"");
    put_channel(buf, channel);
    PUT(buf, ",\"data\":\"{}\"}");
}

void pc_out_subscribed_presence(struct pc_buf *buf, pusherc_slice channel, pusherc_slice presence)
{
    PUT(buf, "{\"event\":\"pusher_internal:subscription_succeeded\"");
    put_channel(buf, channel);
    PUT(buf, ",\"data\":\"");
    pc_buf_put(buf, presence);
    PUT(buf, "\"}");
}

void pc_out_subscription_error(struct pc_buf *buf, pusherc_slice channel, const char *type,
                               pusherc_slice error, int status)
{
    PUT(buf, "{\"event\":\"pusher:subscription_error\"");
    put_channel(buf, channel);
    PUT(buf, ",\"data\":\"{\\\"type\\\":");
    put_inner_string(buf, pc_slice_of(type));
    PUT(buf, ",\\\"error\\\":");
    put_inner_string(buf, error);
    PUT(buf, ",\\\"status\\\":");
    pc_buf_put_u64(buf, status > 0 ? (uint64_t)status : 0);
    PUT(buf, "}\"}");
}

void pc_out_member_added(struct pc_buf *buf, pusherc_slice channel, pusherc_slice user_id,
                         pusherc_slice info_json)
{
    PUT(buf, "{\"event\":\"pusher_internal:member_added\"");
    put_channel(buf, channel);
    PUT(buf, ",\"data\":\"{\\\"user_id\\\":");
    put_inner_string(buf, user_id);
    PUT(buf, ",\\\"user_info\\\":");
    pc_json_put_escaped(buf, info_json);
    PUT(buf, "}\"}");
}

void pc_out_member_removed(struct pc_buf *buf, pusherc_slice channel, pusherc_slice user_id)
{
    PUT(buf, "{\"event\":\"pusher_internal:member_removed\"");
    put_channel(buf, channel);
    PUT(buf, ",\"data\":\"{\\\"user_id\\\":");
    put_inner_string(buf, user_id);
    PUT(buf, "}\"}");
}

void pc_out_subscription_count(struct pc_buf *buf, pusherc_slice channel, uint64_t count)
{
    PUT(buf, "{\"event\":\"pusher_internal:subscription_count\"");
    put_channel(buf, channel);
    PUT(buf, ",\"data\":\"{\\\"subscription_count\\\":");
    pc_buf_put_u64(buf, count);
    PUT(buf, "}\"}");
}

void pc_out_cache_miss(struct pc_buf *buf, pusherc_slice channel)
{
    PUT(buf, "{\"event\":\"pusher:cache_miss\"");
    put_channel(buf, channel);
    PUT(buf, ",\"data\":\"{}\"}");
}

void pc_out_signin_success(struct pc_buf *buf, pusherc_slice user_data)
{
    PUT(buf, "{\"event\":\"pusher:signin_success\",\"data\":\"{\\\"user_data\\\":");
    put_inner_string(buf, user_data);
    PUT(buf, "}\"}");
}

static void put_users(struct pc_buf *buf, pusherc_slice name, const pusherc_slice *ids,
                      size_t count)
{
    PUT(buf, "{\\\"name\\\":\\\"");
    pc_buf_put(buf, name);
    PUT(buf, "\\\",\\\"user_ids\\\":[");
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            pc_buf_put_char(buf, ',');
        put_inner_string(buf, ids[i]);
    }
    PUT(buf, "]}");
}

void pc_out_watchlist(struct pc_buf *buf, const pusherc_slice *online, size_t online_count,
                      const pusherc_slice *offline, size_t offline_count)
{
    PUT(buf, "{\"event\":\"pusher_internal:watchlist_events\",\"data\":\"{\\\"events\\\":[");
    if (online_count)
        put_users(buf, PC_S("online"), online, online_count);
    if (online_count && offline_count)
        pc_buf_put_char(buf, ',');
    if (offline_count)
        put_users(buf, PC_S("offline"), offline, offline_count);
    PUT(buf, "]}\"}");
}

static const char digits[] = "0123456789abcdef";

void pc_put_digits(char *out, size_t count, uint64_t value)
{
    for (size_t i = count; i > 0; value >>= 4)
        out[--i] = digits[value & 15];
}

void pc_out_add_id(struct pc_buf *buf, pusherc_slice id)
{
    if (pc_buf_status(buf))
        return;
    buf->len--; /* the closing brace */
    PUT(buf, ",\"event_id\":\"");
    pc_buf_put(buf, id);
    PUT(buf, "\"}");
}

/* What follows the number in each form has no hexadecimal digit. */
void pc_message_renumber(char *message, size_t len, uint64_t number)
{
    while (len > PC_NUMBER_DIGITS && !memchr(digits, message[len - 1], sizeof digits - 1))
        len--;
    if (len > PC_NUMBER_DIGITS)
        pc_put_digits(message + len - PC_NUMBER_DIGITS, PC_NUMBER_DIGITS, number);
}

void pc_out_history_lost(struct pc_buf *buf, pusherc_slice channel)
{
    PUT(buf, "{\"event\":\"pusher:history_lost\"");
    put_channel(buf, channel);
    PUT(buf, ",\"data\":\"{}\"}");
}

void pc_out_resumed(struct pc_buf *buf, pusherc_slice channel, uint64_t events)
{
    PUT(buf, "{\"event\":\"pusher:resumed\"");
    put_channel(buf, channel);
    PUT(buf, ",\"data\":\"{\\\"events\\\":");
    pc_buf_put_u64(buf, events);
    PUT(buf, "}\"}");
}

#define EVENT_OPEN    "{\"event\":\""
#define EVENT_CHANNEL "\",\"channel\":\""
#define EVENT_DATA    "\",\"data\":\""
#define EVENT_USER    "\",\"user_id\":\""
#define EVENT_CLOSE   "\"}"

size_t pc_out_event_size(pusherc_slice event, pusherc_slice channel, pusherc_slice data,
                         pusherc_slice user_id)
{
    size_t size = sizeof(EVENT_OPEN EVENT_CHANNEL EVENT_DATA EVENT_CLOSE) - 1 + event.len +
                  channel.len + data.len;
    return user_id.len ? size + sizeof EVENT_USER - 1 + user_id.len : size;
}

void pc_out_event(struct pc_buf *buf, pusherc_slice event, pusherc_slice channel,
                  pusherc_slice data, pusherc_slice user_id)
{
    /* The buffer grows at most once unless something is escaped. */
    if (!pc_buf_reserve(buf, pc_out_event_size(event, channel, data, user_id)))
        return;
    PUT(buf, EVENT_OPEN);
    pc_json_put_escaped(buf, event);
    PUT(buf, EVENT_CHANNEL);
    pc_json_put_escaped(buf, channel);
    PUT(buf, EVENT_DATA);
    pc_json_put_escaped(buf, data);
    if (user_id.len) {
        PUT(buf, EVENT_USER);
        pc_json_put_escaped(buf, user_id);
    }
    PUT(buf, EVENT_CLOSE);
}
