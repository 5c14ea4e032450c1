#include "codec/xhr.h"

#include <pusherc/error.h>

#include "codec/json.h"

void pc_xhr_put_chunk(struct pc_buf *out, pusherc_slice data)
{
    static const char digits[] = "0123456789abcdef";
    char head[18];
    size_t at = sizeof head;
    head[--at] = '\n';
    head[--at] = '\r';
    for (size_t len = data.len; len || at == sizeof head - 2; len >>= 4)
        head[--at] = digits[len & 15];
    pc_buf_put(out, pc_slice(head + at, sizeof head - at));
    pc_buf_put(out, data);
    pc_buf_put(out, PC_S("\r\n"));
}

void pc_xhr_put_message(struct pc_buf *out, pusherc_slice message)
{
    pc_buf_put(out, PC_S("a["));
    pc_json_put_string(out, message);
    pc_buf_put(out, PC_S("]\n"));
}

void pc_xhr_put_close(struct pc_buf *out, uint16_t code, pusherc_slice reason)
{
    pc_buf_put(out, PC_S("c["));
    pc_buf_put_u64(out, code);
    pc_buf_put_char(out, ',');
    pc_json_put_string(out, reason);
    pc_buf_put(out, PC_S("]\n"));
}

size_t pc_xhr_characters(pusherc_slice text)
{
    size_t n = 0;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t byte = (uint8_t)text.ptr[i];
        n += (byte & 0xc0) == 0x80 ? 0u : byte >= 0xf0 ? 2u : 1u;
    }
    return n;
}

int pc_xhr_read(pusherc_slice body, struct pc_json_iter *items, size_t *count)
{
    struct pc_json array = pc_json_parse(body);
    *count = 0;
    if (array.type != PC_JSON_ARRAY)
        return PUSHERC_EPROTO;
    struct pc_json_iter all = *items = pc_json_iter_of(array);
    while (pc_json_next(&all)) {
        if (all.value.type != PC_JSON_STRING)
            return PUSHERC_EPROTO;
        ++*count;
    }
    return 0;
}
