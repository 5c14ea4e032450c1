#include "why/json_style.h"

#include "codec/json.h"

static void put_escape(struct pc_buf *buf, uint32_t unit)
{
    static const char digits[] = "0123456789abcdef";
    const char text[] = {'\\',
                         'u',
                         digits[unit >> 12 & 15],
                         digits[unit >> 8 & 15],
                         digits[unit >> 4 & 15],
                         digits[unit & 15]};
    pc_buf_put(buf, pc_slice(text, sizeof text));
}

static uint32_t code_point(const char *p, size_t len)
{
    uint32_t c = (unsigned char)p[0] & (0xffu >> (len + 1));
    for (size_t i = 1; i < len; i++)
        c = c << 6 | ((unsigned char)p[i] & 0x3f);
    return c;
}

static void put_text(struct pc_buf *buf, pusherc_slice text, struct pc_json_style style)
{
    const char *end = text.ptr + text.len;
    for (const char *p = text.ptr; text.len && p < end;) {
        size_t len = pc_utf8_sequence(p, end);
        uint32_t c = len > 1 ? code_point(p, len) : 0;
        if (len <= 1 && *p == '/' && style.slashes)
            pc_buf_put(buf, PC_S("\\/"));
        else if (len <= 1 || !style.escaped)
            pc_json_put_escaped(buf, pc_slice(p, len ? len : 1));
        else if (c < 0x10000)
            put_escape(buf, c);
        else {
            put_escape(buf, 0xd800 + ((c - 0x10000) >> 10));
            put_escape(buf, 0xdc00 + ((c - 0x10000) & 0x3ff));
        }
        p += len ? len : 1;
    }
}

/* The end of the JSON string that begins at `p`. The text is valid JSON. */
static const char *string_end(const char *p)
{
    for (p++; *p != '"'; p++)
        if (*p == '\\')
            p++;
    return p + 1;
}

void pc_json_put_styled(struct pc_buf *buf, pusherc_slice json, struct pc_json_style style,
                        struct pc_buf *scratch)
{
    const char *end = json.ptr + json.len;
    for (const char *p = json.ptr; p < end;) {
        if (*p == '"') {
            const char *behind = string_end(p);
            struct pc_json string = {PC_JSON_STRING, pc_slice(p, (size_t)(behind - p))};
            pusherc_slice text;
            pc_buf_clear(scratch);
            if (pc_json_string(string, scratch, &text))
                text = pc_slice(p + 1, string.raw.len - 2);
            pc_buf_put_char(buf, '"');
            put_text(buf, text, style);
            pc_buf_put_char(buf, '"');
            p = behind;
            continue;
        }
        if (!strchr(" \t\r\n", *p))
            pc_buf_put_char(buf, *p);
        if ((*p == ',' || *p == ':') && style.spaced)
            pc_buf_put_char(buf, ' ');
        p++;
    }
}
