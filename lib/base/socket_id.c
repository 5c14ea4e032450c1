#include <pusherc/types.h>

#include <stdbool.h>

#include <pusherc/error.h>

#include "base/slice.h"

static bool all_digits(pusherc_slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9')
            return false;
    }
    return s.len > 0;
}

/* Accepts only the form that this library prints: a leading zero would make a second text of one id. */
static bool parse_half(pusherc_slice digits, uint64_t *out)
{
    return (digits.len == 1 || digits.ptr[0] != '0') && pc_slice_to_u64(digits, out);
}

int pusherc_socket_id_parse(pusherc_slice text, pusherc_socket_id *out)
{
    if (!out)
        return PUSHERC_EINVAL;
    *out = (pusherc_socket_id){0, 0};

    size_t dot = pc_slice_find(text, '.');
    if (dot == text.len)
        return PUSHERC_EINVAL;
    pusherc_slice a = pc_slice_first(text, dot);
    pusherc_slice b = pc_slice_skip(text, dot + 1);
    if (!all_digits(a) || !all_digits(b))
        return PUSHERC_EINVAL;

    pusherc_socket_id id;
    if (!parse_half(a, &id.a) || !parse_half(b, &id.b))
        return PUSHERC_ELIMIT;
    *out = id;
    return 0;
}

size_t pusherc_socket_id_format(pusherc_socket_id id, char out[PUSHERC_SOCKET_ID_STRLEN])
{
    size_t len = pc_format_u64(id.a, out);
    out[len++] = '.';
    len += pc_format_u64(id.b, out + len);
    out[len] = '\0';
    return len;
}
