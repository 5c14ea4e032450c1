#include "codec/pairs.h"

const pusherc_slice *pc_pair_find(const struct pc_pair *pairs, size_t count, pusherc_slice name)
{
    for (size_t i = 0; i < count; i++)
        if (pc_slice_eq_nocase(pairs[i].name, name))
            return &pairs[i].value;
    return NULL;
}

bool pc_query_next(pusherc_slice *query, struct pc_pair *pair)
{
    pusherc_slice piece = {NULL, 0};
    while (query->len && piece.len == 0) {
        piece = pc_slice_first(*query, pc_slice_find(*query, '&'));
        *query = pc_slice_skip(*query, piece.len + (piece.len < query->len));
    }
    size_t n = pc_slice_find(piece, '=');
    pair->name = pc_slice_first(piece, n);
    pair->value = n < piece.len ? pc_slice_skip(piece, n + 1) : PC_S("");
    return piece.len > 0;
}

pusherc_slice pc_query_value(pusherc_slice query, pusherc_slice name)
{
    struct pc_pair pair;
    while (pc_query_next(&query, &pair))
        if (pair.value.len && pc_slice_eq(pair.name, name))
            return pair.value;
    return PC_S("");
}

void pc_put_percent(struct pc_buf *buf, pusherc_slice text)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
            c == '-' || c == '.' || c == '_' || c == '~')
            pc_buf_put_char(buf, (char)c);
        else
            pc_buf_put(buf, pc_slice((const char[]){'%', digits[c >> 4], digits[c & 15]}, 3));
    }
}
