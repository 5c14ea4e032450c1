#include "text.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX_BYTES ((size_t)4 << 20)

static bool grow(struct text *text, size_t more)
{
    if (text->failed || more >= TEXT_MAX_BYTES - text->len) {
        text->failed = true;
        return false;
    }
    size_t needed = text->len + more + 1;
    if (needed <= text->cap)
        return true;
    size_t cap = text->cap ? text->cap : 1024;
    while (cap < needed)
        cap *= 2;
    char *ptr = realloc(text->ptr, cap);
    if (!ptr) {
        text->failed = true;
        return false;
    }
    text->ptr = ptr;
    text->cap = cap;
    return true;
}

void text_add(struct text *text, const char *ptr, size_t len)
{
    if (!grow(text, len))
        return;
    if (len > 0)
        memcpy(text->ptr + text->len, ptr, len);
    text->len += len;
    text->ptr[text->len] = '\0';
}

void text_add_html(struct text *text, const char *string)
{
    while (*string) {
        size_t plain = strcspn(string, "&<>\"'");
        text_add(text, string, plain);
        string += plain;
        switch (*string) {
        case '\0':
            return;
        case '&':
            text_add(text, "&amp;", 5);
            break;
        case '<':
            text_add(text, "&lt;", 4);
            break;
        case '>':
            text_add(text, "&gt;", 4);
            break;
        case '"':
            text_add(text, "&quot;", 6);
            break;
        default:
            text_add(text, "&#39;", 5);
            break;
        }
        string++;
    }
}

void text_free(struct text *text)
{
    free(text->ptr);
    *text = (struct text){0};
}

/* Bytes of the UTF-8 character at p, 0 if there is none. */
static size_t character_bytes(const unsigned char *p)
{
    if (p[0] < 0x80)
        return p[0] >= 0x20 && p[0] != 0x7f;
    size_t len = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    if (p[0] < 0xc2 || p[0] > 0xf4)
        return 0;
    for (size_t i = 1; i < len; i++) {
        if ((p[i] & 0xc0) != 0x80) /* the final NUL ends up here, too */
            return 0;
    }
    /* Longer than needed, a surrogate, beyond Unicode, or a C1 control. */
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
        (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f) ||
        (p[0] == 0xc2 && p[1] < 0xa0))
        return 0;
    return len;
}

bool text_is_line(const char *string)
{
    const unsigned char *p = (const unsigned char *)string;
    while (*p) {
        size_t len = character_bytes(p);
        if (len == 0)
            return false;
        p += len;
    }
    return true;
}
