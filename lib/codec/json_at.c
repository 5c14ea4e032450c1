#include "codec/json_at.h"

/* The next name of a JSON pointer, without ~0 and ~1; `room` has PC_JSON_PLACE_MAX bytes. */
static pusherc_slice cut_name(pusherc_slice *pointer, char *room)
{
    *pointer = pc_slice_skip(*pointer, 1);
    pusherc_slice name = pc_slice_first(*pointer, pc_slice_find(*pointer, '/'));
    *pointer = pc_slice_skip(*pointer, name.len);
    size_t len = 0;
    if (pc_slice_find(name, '~') == name.len)
        return name;
    for (size_t i = 0; i < name.len; i++) {
        bool escaped = name.ptr[i] == '~' && i + 1 < name.len;
        i += escaped;
        room[len++] = !escaped ? name.ptr[i] : name.ptr[i] == '1' ? '/' : '~';
    }
    return pc_slice(room, len);
}

static struct pc_json item_of(struct pc_json array, pusherc_slice name)
{
    struct pc_json_iter iter = pc_json_iter_of(array);
    uint64_t index;
    if (!pc_slice_to_u64(name, &index))
        return (struct pc_json){PC_JSON_NONE, {NULL, 0}};
    while (pc_json_next(&iter))
        if (index-- == 0)
            return iter.value;
    return (struct pc_json){PC_JSON_NONE, {NULL, 0}};
}

struct pc_json pc_json_at(pusherc_slice data, pusherc_slice pointer)
{
    char room[PC_JSON_PLACE_MAX];
    struct pc_json at = pc_json_parse(data);
    if (pointer.ptr[0] != '/')
        return pc_json_get(at, pointer);
    while (pointer.len && at.type != PC_JSON_NONE) {
        pusherc_slice name = cut_name(&pointer, room);
        at = at.type == PC_JSON_ARRAY ? item_of(at, name) : pc_json_get(at, name);
    }
    return at;
}

bool pc_json_key(pusherc_slice data, pusherc_slice place, struct pc_buf *scratch,
                 pusherc_slice *key)
{
    *key = PC_S("");
    if (place.len == 0)
        return true;
    struct pc_json value = pc_json_at(data, place);
    *key = value.raw;
    if (value.type != PC_JSON_STRING)
        return value.type != PC_JSON_NONE;
    /* A text is the same key however it is escaped. The quote before it keeps it apart from other values. */
    *key = pc_slice_first(value.raw, value.raw.len - 1);
    if (pc_slice_find(*key, '\\') == key->len)
        return true;
    pusherc_slice text;
    pc_buf_put_char(scratch, '"');
    if (pc_json_string(value, scratch, &text))
        return false;
    *key = pc_buf_slice(scratch);
    return true;
}
