/* Reading parts of a request: header fields, cookies and the query string. */
#include "codec/http.h"

#include <pusherc/error.h>

pusherc_slice pc_http_field(const struct pc_http_message *message, pusherc_slice name)
{
    const pusherc_slice *value = pc_pair_find(message->fields, message->field_count, name);
    return value ? *value : pc_slice(NULL, 0);
}

static pusherc_slice trim(pusherc_slice s)
{
    while (s.len && (s.ptr[0] == ' ' || s.ptr[0] == '\t'))
        s = pc_slice_skip(s, 1);
    while (s.len && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t'))
        s.len--;
    return s;
}

/* Cuts the piece before the next `separator` off `list`; false when nothing is left. */
static bool take_piece(pusherc_slice *list, char separator, pusherc_slice *piece)
{
    if (list->len == 0)
        return false;
    size_t n = pc_slice_find(*list, separator);
    *piece = pc_slice_first(*list, n);
    *list = pc_slice_skip(*list, n < list->len ? n + 1 : n);
    return true;
}

static bool take_trimmed(pusherc_slice *list, char separator, pusherc_slice *piece)
{
    bool found = take_piece(list, separator, piece);
    if (found)
        *piece = trim(*piece);
    return found;
}

bool pc_http_list_next(pusherc_slice *list, pusherc_slice *item)
{
    return take_trimmed(list, ',', item);
}

bool pc_http_part_next(pusherc_slice *item, pusherc_slice *part)
{
    return take_trimmed(item, ';', part);
}

bool pc_http_field_has(const struct pc_http_message *message, pusherc_slice name,
                       pusherc_slice token)
{
    for (size_t i = 0; i < message->field_count; i++) {
        const struct pc_pair *f = &message->fields[i];
        if (!pc_slice_eq_nocase(f->name, name))
            continue;
        pusherc_slice list = f->value, item;
        while (pc_http_list_next(&list, &item))
            if (pc_slice_eq_nocase(item, token))
                return true;
    }
    return false;
}

pusherc_slice pc_http_cookie(const struct pc_http_message *message, pusherc_slice name)
{
    for (size_t i = 0; i < message->field_count; i++) {
        const struct pc_pair *f = &message->fields[i];
        if (!pc_slice_eq_nocase(f->name, PC_S("Cookie")))
            continue;
        pusherc_slice list = f->value, pair;
        while (take_piece(&list, ';', &pair)) {
            size_t n = pc_slice_find(pair, '=');
            if (n < pair.len && pc_slice_eq(trim(pc_slice_first(pair, n)), name))
                return trim(pc_slice_skip(pair, n + 1));
        }
    }
    return pc_slice(NULL, 0);
}

bool pc_http_has_form(const struct pc_http_message *message)
{
    pusherc_slice type = pc_http_field(message, PC_S("Content-Type"));
    /* parameters may follow: "; charset=UTF-8" */
    return pc_slice_eq_nocase(trim(pc_slice_first(type, pc_slice_find(type, ';'))),
                              PC_S("application/x-www-form-urlencoded"));
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* Writes the decoded bytes, at most text.len. Returns their number. */
static size_t decode(pusherc_slice text, bool plus_is_space, char *out)
{
    size_t n = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '+' && plus_is_space) {
            c = ' ';
        } else if (c == '%' && text.len - i > 2) {
            int high = hex_value(text.ptr[i + 1]);
            int low = hex_value(text.ptr[i + 2]);
            if (high >= 0 && low >= 0) {
                c = (char)(high * 16 + low);
                i += 2;
            }
        }
        out[n++] = c;
    }
    return n;
}

static bool has_escapes(pusherc_slice text, bool plus_is_space)
{
    return pc_slice_find(text, '%') < text.len ||
           (plus_is_space && pc_slice_find(text, '+') < text.len);
}

int pc_http_decode(pusherc_slice text, bool plus_is_space, struct pc_buf *scratch,
                   pusherc_slice *out)
{
    *out = text;
    if (!has_escapes(text, plus_is_space))
        return 0;
    char *room = pc_buf_reserve(scratch, text.len);
    if (!room) {
        *out = pc_slice(NULL, 0);
        return pc_buf_status(scratch);
    }
    *out = pc_slice(room, decode(text, plus_is_space, room));
    pc_buf_advance(scratch, out->len);
    return 0;
}

int pc_http_params(pusherc_slice query, struct pc_pair *params, size_t max_params, size_t *count,
                   struct pc_buf *scratch)
{
    *count = 0;
    /* Most queries have no escapes: one search here replaces one for each name and value. */
    bool escapes = has_escapes(query, true);
    /* Reserves room for all values first: decoding one must not move those decoded before. */
    if (escapes && !pc_buf_reserve(scratch, query.len))
        return pc_buf_status(scratch);
    size_t n = 0;
    struct pc_pair pair;
    while (pc_query_next(&query, &pair)) {
        if (n == max_params)
            return PUSHERC_ELIMIT;
        struct pc_pair *param = &params[n++];
        *param = pair;
        if (!escapes)
            continue;
        int status = pc_http_decode(param->name, true, scratch, &param->name);
        if (status == 0)
            status = pc_http_decode(param->value, true, scratch, &param->value);
        if (status)
            return status;
    }
    *count = n;
    return 0;
}
