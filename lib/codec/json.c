#include "codec/json.h"

#include <pusherc/error.h>

/*
 * Strings are examined eight bytes at a time. A mask has the top bit of a byte set where that byte
 * matches; the first byte of the text is the lowest.
 */
#define ONES  0x0101010101010101U
#define HIGHS 0x8080808080808080U

static inline uint64_t load8(const char *p)
{
    uint64_t eight;
    memcpy(&eight, p, sizeof eight);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    eight = __builtin_bswap64(eight);
#endif
    return eight;
}

/* Adding 0x7f carries into the top bit of every byte that is not zero, and not into the next byte. */
static inline uint64_t mask_zero(uint64_t eight)
{
    return ~(((eight & ~HIGHS) + ~HIGHS) | eight) & HIGHS;
}

static inline uint64_t mask_of(uint64_t eight, char c)
{
    return mask_zero(eight ^ (ONES * (unsigned char)c));
}

static inline uint64_t mask_quotes(uint64_t eight)
{
    return mask_of(eight, '"') | mask_of(eight, '\\');
}

static inline uint64_t mask_controls(uint64_t eight)
{
    return mask_zero(eight & (ONES * 0xe0)); /* below 0x20 */
}

static inline size_t mask_first(uint64_t mask)
{
    return (size_t)__builtin_ctzll(mask) / 8;
}

static inline size_t mask_count(uint64_t mask)
{
    return (size_t)(((mask >> 7) * ONES) >> 56);
}

/* True for a byte that a string must escape. */
static inline bool is_special(char c)
{
    return (unsigned char)c < 0x20 || c == '"' || c == '\\';
}

static inline bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static inline bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static const char *skip_space(const char *p, const char *end)
{
    while (p < end && is_space(*p))
        p++;
    return p;
}

/*
 * Validating: one pass over the text without recursion. scan_value() reads a value or opens a container,
 * then scan_after_value() closes the containers that end there and stops where the next value starts. The
 * open containers are one bit each in struct nesting, which is why the depth is limited.
 *
 * The scan_ functions start at the first byte of their token (scan_string behind the opening quote) and
 * return the address after it, or NULL.
 */

/* Four hexadecimal digits, or -1. */
static int32_t hex4(const char *p, const char *end)
{
    int32_t number = 0;
    if (end - p < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        char lower = (char)(p[i] | 0x20);
        if (is_digit(p[i]))
            number = number * 16 + (p[i] - '0');
        else if (lower >= 'a' && lower <= 'f')
            number = number * 16 + (lower - 'a' + 10);
        else
            return -1;
    }
    return number;
}

static const char *scan_escape(const char *p, const char *end)
{
    if (p == end)
        return NULL;
    switch (*p) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
        return p + 1;
    case 'u':
        return hex4(p + 1, end) >= 0 ? p + 5 : NULL;
    default:
        return NULL;
    }
}

/* The first byte that is special or not ASCII. */
static const char *find_end_of_plain(const char *p, const char *end)
{
    for (; end - p >= 8; p += 8) {
        uint64_t eight = load8(p);
        uint64_t mask = mask_quotes(eight) | mask_controls(eight) | (eight & HIGHS);
        if (mask)
            return p + mask_first(mask);
    }
    while (p < end && (unsigned char)*p < 0x80 && !is_special(*p))
        p++;
    return p;
}

static const char *scan_string(const char *p, const char *end)
{
    for (;;) {
        p = find_end_of_plain(p, end);
        if (p == end)
            return NULL;
        if (*p == '"')
            return p + 1;
        if (*p == '\\') {
            p = scan_escape(p + 1, end);
            if (!p)
                return NULL;
            continue;
        }
        /* A run of non-ASCII characters, or a control character, which is an error. */
        do {
            size_t len = (unsigned char)*p < 0x80 ? 0 : pc_utf8_sequence(p, end);
            if (len == 0)
                return NULL;
            p += len;
        } while (p < end && (unsigned char)*p >= 0x80);
    }
}

static const char *scan_digits(const char *p, const char *end)
{
    if (p == end || !is_digit(*p))
        return NULL;
    while (p < end && is_digit(*p))
        p++;
    return p;
}

static const char *scan_number(const char *p, const char *end)
{
    if (*p == '-')
        p++;
    if (p < end && *p == '0')
        p++; /* no digit may follow */
    else
        p = scan_digits(p, end);
    if (p && p < end && *p == '.')
        p = scan_digits(p + 1, end);
    if (p && p < end && (*p == 'e' || *p == 'E')) {
        p++;
        if (p < end && (*p == '+' || *p == '-'))
            p++;
        p = scan_digits(p, end);
    }
    return p;
}

static const char *scan_word(const char *p, const char *end, pusherc_slice word)
{
    if ((size_t)(end - p) < word.len || memcmp(p, word.ptr, word.len) != 0)
        return NULL;
    return p + word.len;
}

/* Any value but objects and arrays. */
static const char *scan_scalar(const char *p, const char *end)
{
    switch (*p) {
    case '"':
        return scan_string(p + 1, end);
    case 't':
        return scan_word(p, end, PC_S("true"));
    case 'f':
        return scan_word(p, end, PC_S("false"));
    case 'n':
        return scan_word(p, end, PC_S("null"));
    default:
        return scan_number(p, end);
    }
}

/* A member's name and its colon. */
static const char *scan_name(const char *p, const char *end)
{
    p = skip_space(p, end);
    if (p == end || *p != '"')
        return NULL;
    p = scan_string(p + 1, end);
    if (!p)
        return NULL;
    p = skip_space(p, end);
    return p < end && *p == ':' ? p + 1 : NULL;
}

/* The containers open at the place of the scan: one bit each, set for an object, innermost lowest. */
struct nesting {
    uint64_t objects;
    unsigned depth;
};

static char closing(const struct nesting *nesting)
{
    return nesting->objects & 1 ? '}' : ']';
}

/* At '{' or '['. Stops where the first value may start: behind '[', or behind the first name. *empty: the
 * container is empty, and the scan stops at its end. */
static const char *scan_open(const char *p, const char *end, struct nesting *nesting, bool *empty)
{
    bool object = *p == '{';
    if (nesting->depth == PC_JSON_MAX_DEPTH)
        return NULL;
    nesting->objects = nesting->objects << 1 | object;
    nesting->depth++;

    p = skip_space(p + 1, end);
    *empty = p < end && *p == closing(nesting);
    if (*empty || !object)
        return p;
    return scan_name(p, end);
}

/* Behind a value: closes the containers that end here. Stops where the next value starts, or at depth 0. */
static const char *scan_after_value(const char *p, const char *end, struct nesting *nesting)
{
    while (nesting->depth > 0) {
        p = skip_space(p, end);
        if (p == end)
            return NULL;
        if (*p == ',')
            return nesting->objects & 1 ? scan_name(p + 1, end) : p + 1;
        if (*p != closing(nesting))
            return NULL;
        nesting->objects >>= 1;
        nesting->depth--;
        p++;
    }
    return p;
}

/* *at: the last place where a value was expected. */
static const char *scan_value(const char *p, const char *end, const char **at)
{
    struct nesting nesting = {0};
    _Static_assert(PC_JSON_MAX_DEPTH <= 64, "one bit of struct nesting per level");

    do {
        bool empty = false;
        p = skip_space(p, end);
        *at = p;
        if (p == end)
            return NULL;
        if (*p == '{' || *p == '[') {
            p = scan_open(p, end, &nesting, &empty);
            if (p && !empty)
                continue;
        } else {
            p = scan_scalar(p, end);
        }
        if (p)
            p = scan_after_value(p, end, &nesting);
    } while (p && nesting.depth > 0);
    return p;
}

static enum pc_json_type type_at(const char *p)
{
    switch (*p) {
    case '{':
        return PC_JSON_OBJECT;
    case '[':
        return PC_JSON_ARRAY;
    case '"':
        return PC_JSON_STRING;
    case 't':
    case 'f':
        return PC_JSON_BOOL;
    case 'n':
        return PC_JSON_NULL;
    default:
        return PC_JSON_NUMBER;
    }
}

static struct pc_json value_between(const char *start, const char *end)
{
    return (struct pc_json){type_at(start), pc_slice(start, (size_t)(end - start))};
}

struct pc_json pc_json_parse(pusherc_slice text)
{
    if (text.len == 0)
        return (struct pc_json){0};
    const char *limit = text.ptr + text.len;
    const char *start = skip_space(text.ptr, limit);
    const char *at;
    const char *end = scan_value(start, limit, &at);
    if (!end || skip_space(end, limit) != limit)
        return (struct pc_json){0};
    return value_between(start, end);
}

size_t pc_json_error_offset(pusherc_slice text)
{
    if (text.len == 0)
        return 0;
    const char *limit = text.ptr + text.len;
    const char *at;
    const char *end = scan_value(text.ptr, limit, &at);
    return (size_t)((end ? skip_space(end, limit) : at) - text.ptr);
}

/*
 * Walking. The text is valid, so the skip_ functions only search for the end of their token.
 */

static const char *find_quote(const char *p, const char *end)
{
    for (; end - p >= 8; p += 8) {
        uint64_t mask = mask_quotes(load8(p));
        if (mask)
            return p + mask_first(mask);
    }
    while (p < end && *p != '"' && *p != '\\')
        p++;
    return p;
}

/* Starts behind the opening quote. */
static const char *skip_string(const char *p, const char *end)
{
    for (;;) {
        p = find_quote(p, end);
        if (p == end)
            return p;
        if (*p == '"')
            return p + 1;
        p += end - p >= 2 ? 2 : 1; /* the escaped character may be a quote */
    }
}

static const char *skip_container(const char *p, const char *end)
{
    size_t depth = 0;
    while (p < end) {
        switch (*p++) {
        case '"':
            p = skip_string(p, end);
            break;
        case '{':
        case '[':
            depth++;
            break;
        case '}':
        case ']':
            if (--depth == 0)
                return p;
            break;
        default:
            break;
        }
    }
    return p;
}

static const char *skip_value(const char *p, const char *end)
{
    if (*p == '"')
        return skip_string(p + 1, end);
    if (*p == '{' || *p == '[')
        return skip_container(p, end);
    while (p < end && *p != ',' && *p != ']' && *p != '}' && !is_space(*p))
        p++;
    return p;
}

struct pc_json_iter pc_json_iter_of(struct pc_json container)
{
    struct pc_json_iter iter = {0};
    if (container.type != PC_JSON_OBJECT && container.type != PC_JSON_ARRAY)
        return iter;
    iter.rest = pc_slice(container.raw.ptr + 1, container.raw.len - 2);
    /* pc_json_next() reads names if the key is a string. */
    iter.key.type = container.type == PC_JSON_OBJECT ? PC_JSON_STRING : PC_JSON_NONE;
    return iter;
}

bool pc_json_next(struct pc_json_iter *iter)
{
    if (iter->rest.len == 0)
        return false;
    const char *end = iter->rest.ptr + iter->rest.len;
    const char *p = skip_space(iter->rest.ptr, end);
    const char *start;

    if (p < end && *p == ',')
        p = skip_space(p + 1, end);
    if (iter->key.type == PC_JSON_STRING && p < end) {
        start = p;
        p = skip_string(p + 1, end);
        iter->key.raw = pc_slice(start, (size_t)(p - start));
        p = skip_space(p, end);
        if (p < end)
            p = skip_space(p + 1, end); /* the colon */
    }
    if (p == end) {
        iter->rest = pc_slice(end, 0);
        return false;
    }
    start = p;
    p = skip_value(p, end);
    iter->value = value_between(start, p);
    iter->rest = pc_slice(p, (size_t)(end - p));
    return true;
}

/* -- strings -- */

static pusherc_slice inside_quotes(struct pc_json string)
{
    return pc_slice(string.raw.ptr + 1, string.raw.len - 2);
}

static bool has_escapes(pusherc_slice inside)
{
    return pc_slice_find(inside, '\\') < inside.len;
}

static size_t put_utf8(uint32_t code, char out[4])
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xc0 | code >> 6);
        out[1] = (char)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (char)(0xe0 | code >> 12);
        out[1] = (char)(0x80 | (code >> 6 & 0x3f));
        out[2] = (char)(0x80 | (code & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | code >> 18);
    out[1] = (char)(0x80 | (code >> 12 & 0x3f));
    out[2] = (char)(0x80 | (code >> 6 & 0x3f));
    out[3] = (char)(0x80 | (code & 0x3f));
    return 4;
}

/* At the first digit of a \u escape. Returns the address after it and, for a pair of surrogates,
 * after its second; NULL for a lone surrogate. */
static const char *decode_unicode(const char *p, const char *end, char out[4], size_t *out_len)
{
    int32_t unit = hex4(p, end);
    p += 4;
    if (unit < 0)
        return NULL;
    if (unit >= 0xd800 && unit <= 0xdfff) {
        bool paired = unit <= 0xdbff && end - p >= 6 && p[0] == '\\' && p[1] == 'u';
        int32_t low = paired ? hex4(p + 2, end) : -1;
        if (low < 0xdc00 || low > 0xdfff)
            return NULL;
        p += 6;
        unit = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
    }
    *out_len = put_utf8((uint32_t)unit, out);
    return p;
}

/* Behind a backslash. Returns the address after the escape; NULL if it has no UTF-8 form. */
static const char *decode_escape(const char *p, const char *end, char out[4], size_t *out_len)
{
    if (p == end)
        return NULL;
    if (*p == 'u')
        return decode_unicode(p + 1, end, out, out_len);
    *out_len = 1;
    switch (*p) {
    case 'b':
        out[0] = '\b';
        break;
    case 'f':
        out[0] = '\f';
        break;
    case 'n':
        out[0] = '\n';
        break;
    case 'r':
        out[0] = '\r';
        break;
    case 't':
        out[0] = '\t';
        break;
    default:
        out[0] = *p; /* quote, backslash or slash */
        break;
    }
    return p + 1;
}

/* Bytes of the decoded string; false if an escape has no UTF-8 form. */
static bool decoded_size(pusherc_slice inside, size_t *size)
{
    const char *p = inside.ptr;
    const char *end = p + inside.len;

    *size = 0;
    for (;;) {
        const char *run = p;
        char bytes[4];
        size_t len = 0;
        p = find_quote(p, end); /* inside a string only a backslash can be found */
        *size += (size_t)(p - run);
        if (p == end)
            return true;
        p = decode_escape(p + 1, end, bytes, &len);
        if (!p)
            return false;
        *size += len;
    }
}

/* Writes the decoded_size() bytes of the string; that function has checked every escape. */
static void decode(pusherc_slice inside, char *out, size_t size)
{
    const char *p = inside.ptr;
    const char *end = p + inside.len;
    const char *out_end = out + size;

    while (p && p < end) {
        if (end - p >= 8 && out_end - out >= 8) {
            uint64_t mask = mask_of(load8(p), '\\');
            size_t plain = mask ? mask_first(mask) : 8;
            memcpy(out, p, 8); /* the bytes behind `plain` are overwritten later */
            p += plain;
            out += plain;
            if (!mask)
                continue;
        }
        if (*p != '\\') {
            *out++ = *p++;
            continue;
        }
        char bytes[4];
        size_t len = 0;
        p = decode_escape(p + 1, end, bytes, &len);
        for (size_t i = 0; i < len; i++)
            *out++ = bytes[i];
    }
}

int pc_json_string(struct pc_json value, struct pc_buf *scratch, pusherc_slice *out)
{
    *out = pc_slice(NULL, 0);
    if (value.type != PC_JSON_STRING)
        return PUSHERC_EINVAL;
    pusherc_slice inside = inside_quotes(value);
    if (!has_escapes(inside)) {
        *out = inside;
        return 0;
    }

    size_t size;
    if (!decoded_size(inside, &size))
        return PUSHERC_EINVAL;
    /* The exact size, so that the limit of `scratch` counts decoded bytes. */
    char *to = pc_buf_reserve(scratch, size);
    if (!to)
        return pc_buf_status(scratch);
    decode(inside, to, size);
    pc_buf_advance(scratch, size);
    *out = pc_slice(to, size);
    return 0;
}

bool pc_json_name_is(struct pc_json key, pusherc_slice name)
{
    pusherc_slice inside = inside_quotes(key);
    if (!has_escapes(inside))
        return pc_slice_eq(inside, name);

    const char *p = inside.ptr;
    const char *end = p + inside.len;
    while (p < end) {
        char bytes[4] = {*p};
        size_t len = 1;
        p = *p == '\\' ? decode_escape(p + 1, end, bytes, &len) : p + 1;
        if (!p || !pc_slice_starts(name, pc_slice(bytes, len)))
            return false;
        name = pc_slice_skip(name, len);
    }
    return name.len == 0;
}

struct pc_json pc_json_get(struct pc_json object, pusherc_slice name)
{
    struct pc_json found = {0};
    if (object.type != PC_JSON_OBJECT)
        return found;
    struct pc_json_iter iter = pc_json_iter_of(object);
    while (pc_json_next(&iter)) {
        if (pc_json_name_is(iter.key, name))
            found = iter.value;
    }
    return found;
}

bool pc_json_i64(struct pc_json value, int64_t *out)
{
    if (value.type != PC_JSON_NUMBER)
        return false;
    bool negative = value.raw.ptr[0] == '-';
    uint64_t magnitude;
    /* Fractions and exponents fail here: they contain characters that are not digits. */
    if (!pc_slice_to_u64(pc_slice_skip(value.raw, negative), &magnitude))
        return false;
    if (magnitude > (uint64_t)INT64_MAX + negative)
        return false;
    if (!negative)
        *out = (int64_t)magnitude;
    else
        *out = magnitude ? -(int64_t)(magnitude - 1) - 1 : 0;
    return true;
}

/* -- writing -- */

void pc_json_put_compact(struct pc_buf *buf, struct pc_json value)
{
    if (value.raw.len == 0)
        return;
    const char *p = value.raw.ptr;
    const char *end = p + value.raw.len;
    const char *run = p; /* start of what is not copied yet */
    while (p < end) {
        if (*p == '"') {
            p = skip_string(p + 1, end);
        } else if (is_space(*p)) {
            pc_buf_put(buf, pc_slice(run, (size_t)(p - run)));
            run = p = skip_space(p, end);
        } else {
            p++;
        }
    }
    pc_buf_put(buf, pc_slice(run, (size_t)(p - run)));
}

/* The character after the backslash; 'u' for controls without a short form. */
static char short_escape(char c)
{
    switch (c) {
    case '"':
    case '\\':
        return c;
    case '\b':
        return 'b';
    case '\f':
        return 'f';
    case '\n':
        return 'n';
    case '\r':
        return 'r';
    case '\t':
        return 't';
    default:
        return 'u';
    }
}

static size_t escaped_size(pusherc_slice text)
{
    const char *p = text.ptr;
    const char *end = p + text.len;
    size_t size = text.len;
    while (p < end) {
        if (end - p >= 8) {
            uint64_t eight = load8(p);
            if (!mask_controls(eight)) {
                size += mask_count(mask_quotes(eight));
                p += 8;
                continue;
            }
        }
        if (is_special(*p))
            size += short_escape(*p) == 'u' ? 5 : 1;
        p++;
    }
    return size;
}

static char *put_escape(char *to, char c)
{
    static const char digits[] = "0123456789abcdef";
    char letter = short_escape(c);
    *to++ = '\\';
    *to++ = letter;
    if (letter == 'u') {
        *to++ = '0';
        *to++ = '0';
        *to++ = digits[(unsigned char)c >> 4];
        *to++ = digits[(unsigned char)c & 15];
    }
    return to;
}

/* Without a branch: JSON inside a JSON string has a quote every few bytes, and a branch would often be
 * mispredicted. If `c` needs no backslash it overwrites the one written first. */
static inline char *put_quoted(char *to, char c)
{
    *to = '\\';
    to += (c == '"') | (c == '\\');
    *to++ = c;
    return to;
}

void pc_json_put_escaped(struct pc_buf *buf, pusherc_slice text)
{
    if (text.len == 0)
        return;
    /* Counting first costs less than reserving room before every piece. */
    size_t size = escaped_size(text);
    if (size == text.len) {
        pc_buf_put(buf, text);
        return;
    }
    char *to = pc_buf_reserve(buf, size);
    if (!to)
        return;
    const char *p = text.ptr;
    const char *end = p + text.len;
    for (; end - p >= 8; p += 8) {
        uint64_t eight = load8(p);
        if (mask_controls(eight)) {
            for (int i = 0; i < 8; i++)
                to = is_special(p[i]) ? put_escape(to, p[i]) : put_quoted(to, p[i]);
        } else if (mask_quotes(eight)) {
            for (int i = 0; i < 8; i++)
                to = put_quoted(to, p[i]);
        } else {
            memcpy(to, p, 8);
            to += 8;
        }
    }
    for (; p < end; p++)
        to = is_special(*p) ? put_escape(to, *p) : put_quoted(to, *p);
    pc_buf_advance(buf, size);
}

void pc_json_put_string(struct pc_buf *buf, pusherc_slice text)
{
    pc_buf_put_char(buf, '"');
    pc_json_put_escaped(buf, text);
    pc_buf_put_char(buf, '"');
}
