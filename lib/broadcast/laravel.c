#include "broadcast/laravel.h"

#include <pusherc/error.h>

#include "codec/json.h"

/* -- the prefix -- */

/* As Laravel's Str::slug() for names in ASCII: other characters vanish, and what separates words is one gap. */
void pc_laravel_put_prefix(struct pc_buf *buf, pusherc_slice app_name, char gap)
{
    const pusherc_slice name = app_name.len ? app_name : PC_S("laravel");
    const size_t begin = buf->len;
    bool separated = false;
    for (size_t i = 0; i < name.len; i++) {
        char c = pc_ascii_lower(name.ptr[i]);
        bool letter = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (letter && separated && buf->len > begin)
            pc_buf_put_char(buf, gap);
        if (letter)
            pc_buf_put_char(buf, c);
        separated = letter ? false : separated || c == ' ' || c == '-' || c == '_' || c == '\t';
    }
    pc_buf_put_char(buf, gap);
    pc_buf_put(buf, PC_S("database"));
    pc_buf_put_char(buf, gap);
}

/* -- writing -- */

static void put_socket(struct pc_buf *buf, pusherc_socket_id id)
{
    char text[PUSHERC_SOCKET_ID_STRLEN];
    pc_buf_put(buf, PC_S("\"socket\":"));
    if (id.a || id.b)
        pc_json_put_string(buf, pc_slice(text, pusherc_socket_id_format(id, text)));
    else
        pc_buf_put(buf, PC_S("null"));
}

static void put_data(struct pc_buf *buf, const pusherc_event *event)
{
    struct pc_json data = pc_json_parse(event->data);
    struct pc_json_iter members = pc_json_iter_of(data);
    if (data.type == PC_JSON_NONE) {
        pc_json_put_string(buf, event->data);
        return;
    }
    if (data.type != PC_JSON_OBJECT || pc_json_get(data, PC_S("socket")).type != PC_JSON_NONE) {
        pc_buf_put(buf, data.raw);
        return;
    }
    pc_buf_put(buf, pc_slice_first(data.raw, data.raw.len - 1));
    if (pc_json_next(&members))
        pc_buf_put_char(buf, ',');
    put_socket(buf, event->except);
    pc_buf_put_char(buf, '}');
}

void pc_laravel_put_message(struct pc_buf *buf, const pusherc_event *event)
{
    pc_buf_put(buf, PC_S("{\"event\":"));
    pc_json_put_string(buf, event->name);
    pc_buf_put(buf, PC_S(",\"data\":"));
    put_data(buf, event);
    pc_buf_put_char(buf, ',');
    put_socket(buf, event->except);
    pc_buf_put_char(buf, '}');
}

/* -- reading -- */

/* The next member that is not Laravel's own. */
static bool next_member(struct pc_json_iter *members)
{
    while (pc_json_next(members))
        if (!pc_json_name_is(members->key, PC_S("socket")))
            return true;
    return false;
}

/* Was it a list in PHP? Then its names are 0, 1, 2 ... */
static bool was_list(struct pc_json object)
{
    struct pc_json_iter members = pc_json_iter_of(object);
    char digits[PC_U64_DIGITS];
    for (uint64_t i = 0; next_member(&members); i++)
        if (!pc_json_name_is(members.key, pc_slice(digits, pc_format_u64(i, digits))))
            return false;
    return true;
}

static void take_object(struct pc_laravel_message *out, struct pc_json object, struct pc_buf *buf)
{
    struct pc_json_iter members = pc_json_iter_of(object);
    const size_t begin = buf->len;
    const bool list = was_list(object);
    pc_buf_put_char(buf, list ? '[' : '{');
    while (next_member(&members)) {
        if (buf->len > begin + 1)
            pc_buf_put_char(buf, ',');
        if (!list) {
            pc_buf_put(buf, members.key.raw);
            pc_buf_put_char(buf, ':');
        }
        pc_buf_put(buf, members.value.raw);
    }
    pc_buf_put_char(buf, list ? ']' : '}');
    out->data = pc_slice(buf->ptr + begin, buf->len - begin);
}

static int take_data(struct pc_laravel_message *out, struct pc_json data, struct pc_buf *scratch)
{
    switch (data.type) {
    case PC_JSON_NONE:
        return PUSHERC_EINVAL;
    case PC_JSON_STRING:
        return pc_json_string(data, scratch, &out->data);
    case PC_JSON_OBJECT:
        take_object(out, data, scratch);
        return pc_buf_status(scratch);
    case PC_JSON_NULL:
    case PC_JSON_BOOL:
    case PC_JSON_NUMBER:
    case PC_JSON_ARRAY:
        break;
    }
    out->data = data.raw;
    return 0;
}

int pc_laravel_read_message(struct pc_laravel_message *out, pusherc_slice text,
                            struct pc_buf *scratch)
{
    struct pc_json message = pc_json_parse(text);
    struct pc_json socket = pc_json_get(message, PC_S("socket"));
    pusherc_slice id;
    *out = (struct pc_laravel_message){.name = PC_S("")};
    if (message.type != PC_JSON_OBJECT)
        return PUSHERC_EINVAL;
    /* What is decoded is not longer than the text, so that it does not move. */
    if (!pc_buf_reserve(scratch, text.len))
        return pc_buf_status(scratch);
    int err = pc_json_string(pc_json_get(message, PC_S("event")), scratch, &out->name);
    if (err == 0)
        err = take_data(out, pc_json_get(message, PC_S("data")), scratch);
    if (err == 0 && socket.type == PC_JSON_STRING) {
        err = pc_json_string(socket, scratch, &id);
        if (err == 0 && pusherc_socket_id_parse(id, &out->except))
            out->except = (pusherc_socket_id){0, 0}; /* no client has it */
    }
    return err;
}
