/*
 * Any bytes as JSON: what is valid is what a second, plainly written reader takes; whatever is valid
 * is the same to cJSON; compact output means the same; any text survives being a string.
 *
 * cJSON alone differs, and it is not asked about: lone surrogates (refused), NUL (ends the string),
 * numbers of 60 characters or more (refused by released versions).
 */
#include <stdint.h>
#include <stdlib.h>

#include <cjson/cJSON.h>

#include <pusherc/error.h>

#include "codec/json.h"
#include "codec/json_without.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

/* The second reader: RFC 8259 rule by rule, a byte at a time, recursive. */

struct reader {
    const uint8_t *p, *end;
    unsigned depth;
    bool undecodable; /* a string holds a lone surrogate */
    bool nul;         /* a string holds NUL */
    bool long_number;
};

static int peek(const struct reader *r)
{
    return r->p < r->end ? *r->p : -1;
}

static bool take(struct reader *r, int byte)
{
    if (peek(r) != byte)
        return false;
    r->p++;
    return true;
}

static void ws(struct reader *r)
{
    while (take(r, ' ') || take(r, '\t') || take(r, '\n') || take(r, '\r'))
        ;
}

static bool digits(struct reader *r)
{
    const uint8_t *start = r->p;
    while (peek(r) >= '0' && peek(r) <= '9')
        r->p++;
    return r->p > start;
}

static bool number(struct reader *r)
{
    const uint8_t *start = r->p;
    take(r, '-');
    if (!take(r, '0') && !digits(r))
        return false;
    if (take(r, '.') && !digits(r))
        return false;
    if (take(r, 'e') || take(r, 'E')) {
        if (!take(r, '+'))
            take(r, '-');
        if (!digits(r))
            return false;
    }
    r->long_number = r->long_number || r->p - start >= 60;
    return true;
}

/* The value of the 4 digits after \u, or -1. */
static long unicode(struct reader *r)
{
    char text[5] = "";
    for (int i = 0; i < 4; i++, r->p++) {
        int c = peek(r);
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F')))
            return -1;
        text[i] = (char)c;
    }
    return strtol(text, NULL, 16);
}

/* One character of UTF-8, by its number and not by its bytes. */
static bool character(struct reader *r)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    int first = peek(r);
    int len = first < 0x80       ? 1
              : first >> 5 == 6  ? 2
              : first >> 4 == 14 ? 3
              : first >> 3 == 30 ? 4
                                 : 0;
    if (len == 0)
        return false;
    uint32_t code = len == 1 ? (uint32_t)first : (uint32_t)first & (0x7fU >> len);
    r->p++;
    for (int i = 1; i < len; i++, r->p++) {
        if (peek(r) < 0 || peek(r) >> 6 != 2)
            return false;
        code = code << 6 | ((uint32_t)peek(r) & 0x3f);
    }
    return code >= least[len] && code <= 0x10ffff && !(code >= 0xd800 && code <= 0xdfff);
}

static bool string(struct reader *r)
{
    bool high = false; /* the last character was the first half of a pair */
    if (!take(r, '"'))
        return false;
    while (!take(r, '"')) {
        int c = peek(r);
        bool was_high = high;
        high = false;
        if (c < 0x20) /* or the end */
            return false;
        if (c != '\\') {
            if (!character(r))
                return false;
            r->undecodable = r->undecodable || was_high;
            continue;
        }
        r->p++;
        if (take(r, 'u')) {
            long code = unicode(r);
            if (code < 0)
                return false;
            bool low = code >= 0xdc00 && code <= 0xdfff;
            high = code >= 0xd800 && code <= 0xdbff;
            r->undecodable = r->undecodable || low != was_high;
            r->nul = r->nul || code == 0;
        } else {
            c = peek(r);
            if (c < 0 || !strchr("\"\\/bfnrt", c) || c == 0)
                return false;
            r->p++;
            r->undecodable = r->undecodable || was_high;
        }
    }
    r->undecodable = r->undecodable || high;
    return true;
}

static bool word(struct reader *r, const char *letters)
{
    for (; *letters; letters++) {
        if (!take(r, *letters))
            return false;
    }
    return true;
}

static bool value(struct reader *r);

static bool container(struct reader *r, bool object)
{
    int close = object ? '}' : ']';
    r->p++;
    if (++r->depth > PC_JSON_MAX_DEPTH)
        return false;
    ws(r);
    if (!take(r, close)) {
        do {
            if (object) {
                ws(r);
                if (!string(r))
                    return false;
                ws(r);
                if (!take(r, ':'))
                    return false;
            }
            if (!value(r))
                return false;
        } while (take(r, ','));
        if (!take(r, close))
            return false;
    }
    r->depth--;
    return true;
}

static bool value(struct reader *r)
{
    bool good;
    ws(r);
    switch (peek(r)) {
    case '{':
    case '[':
        good = container(r, peek(r) == '{');
        break;
    case '"':
        good = string(r);
        break;
    case 't':
        good = word(r, "true");
        break;
    case 'f':
        good = word(r, "false");
        break;
    case 'n':
        good = word(r, "null");
        break;
    default:
        good = number(r);
        break;
    }
    ws(r);
    return good;
}

/* Our values against cJSON's tree. */

static void check_text(struct pc_json ours, const char *theirs, struct pc_buf *scratch)
{
    pusherc_slice text;
    pc_buf_clear(scratch);
    check(pc_json_string(ours, scratch, &text) == 0);
    check(pc_slice_eq(text, pc_slice_of(theirs)));
}

static void check_same(struct pc_json ours, const cJSON *theirs, struct pc_buf *scratch)
{
    struct pc_json_iter iter = pc_json_iter_of(ours);
    const cJSON *item;
    int64_t integer;
    int count = 0;

    switch (ours.type) {
    case PC_JSON_NONE:
        abort();
    case PC_JSON_NULL:
        check(cJSON_IsNull(theirs));
        return;
    case PC_JSON_BOOL:
        check(cJSON_IsBool(theirs) && cJSON_IsTrue(theirs) == (ours.raw.ptr[0] == 't'));
        return;
    case PC_JSON_NUMBER:
        check(cJSON_IsNumber(theirs));
        if (pc_json_i64(ours, &integer))
            check(theirs->valuedouble >= (double)integer && theirs->valuedouble <= (double)integer);
        return;
    case PC_JSON_STRING:
        check(cJSON_IsString(theirs));
        check_text(ours, theirs->valuestring, scratch);
        return;
    case PC_JSON_OBJECT:
    case PC_JSON_ARRAY:
        break;
    }
    check(ours.type == PC_JSON_OBJECT ? cJSON_IsObject(theirs) : cJSON_IsArray(theirs));
    cJSON_ArrayForEach(item, theirs)
    {
        check(pc_json_next(&iter));
        check_same(iter.value, item, scratch);
        if (ours.type == PC_JSON_ARRAY)
            continue;
        check_text(iter.key, item->string, scratch);
        if (++count > 20) /* the next is quadratic */
            continue;
        struct pc_json found = pc_json_get(ours, pc_slice_of(item->string));
        check(found.type != PC_JSON_NONE && found.raw.ptr >= iter.value.raw.ptr);
    }
    check(!pc_json_next(&iter));
}

static void check_compact(struct pc_json ours, const cJSON *theirs, struct pc_buf *scratch,
                          const struct pc_mem *mem)
{
    struct pc_buf once, twice;
    pc_buf_init(&once, mem, SIZE_MAX / 2);
    pc_buf_init(&twice, mem, SIZE_MAX / 2);
    pc_json_put_compact(&once, ours);
    struct pc_json again = pc_json_parse(pc_buf_slice(&once));
    check(again.type == ours.type && once.len <= ours.raw.len);
    if (theirs)
        check_same(again, theirs, scratch);
    pc_json_put_compact(&twice, again);
    check(pc_slice_eq(pc_buf_slice(&once), pc_buf_slice(&twice)));
    pc_buf_free(&once);
    pc_buf_free(&twice);
}

/* No "a" is left in this object, or in an object that is an item of this array. */
static void check_has_no_a(struct pc_json value)
{
    struct pc_json_iter iter = pc_json_iter_of(value);
    check(pc_json_get(value, PC_S("a")).type == PC_JSON_NONE);
    while (value.type == PC_JSON_ARRAY && pc_json_next(&iter))
        check_has_no_a(iter.value);
}

static void check_without(struct pc_json object, const struct pc_mem *mem)
{
    static const pusherc_slice a[] = {PUSHERC_LIT("a")},
                               b_a[] = {PUSHERC_LIT("b"), PUSHERC_LIT("a")};
    static const struct pc_json_path paths[] = {{a, 1}, {b_a, 2}};
    struct pc_buf less, same, compact;
    pc_buf_init(&less, mem, SIZE_MAX / 2);
    pc_buf_init(&same, mem, SIZE_MAX / 2);
    pc_buf_init(&compact, mem, SIZE_MAX / 2);
    bool left_out = pc_json_put_without(&less, object, paths, 2);
    struct pc_json left = pc_json_parse(pc_buf_slice(&less));
    check(left.type == PC_JSON_OBJECT && less.len <= object.raw.len);
    check_has_no_a(left);
    struct pc_json_iter iter = pc_json_iter_of(left);
    while (pc_json_next(&iter))
        if (pc_json_name_is(iter.key, PC_S("b")))
            check_has_no_a(iter.value);
    check(!pc_json_put_without(&same, left, paths, 2)); /* nothing is left to leave out */
    pc_json_put_compact(&compact, left_out ? left : object);
    pc_buf_clear(&less);
    pc_json_put_compact(&less, pc_json_parse(pc_buf_slice(&same)));
    check(pc_slice_eq(pc_buf_slice(&less), pc_buf_slice(&compact)));
    pc_buf_free(&less);
    pc_buf_free(&same);
    pc_buf_free(&compact);
}

static bool utf8(const uint8_t *data, size_t size)
{
    struct reader r = {.p = data, .end = data + size};
    while (r.p < r.end) {
        if (!character(&r))
            return false;
    }
    return true;
}

static void check_string(pusherc_slice text, struct pc_buf *scratch, const struct pc_mem *mem)
{
    struct pc_buf buf, parts;
    pusherc_slice decoded;
    pc_buf_init(&buf, mem, SIZE_MAX / 2);
    pc_buf_init(&parts, mem, SIZE_MAX / 2);
    pc_json_put_string(&buf, text);
    struct pc_json string_value = pc_json_parse(pc_buf_slice(&buf));
    check(string_value.type == PC_JSON_STRING);
    pc_buf_clear(scratch);
    int err = pc_json_string(string_value, scratch, &decoded);
    check(err == 0 && pc_slice_eq(decoded, text));

    pc_json_put_escaped(&parts, pc_slice_first(text, text.len / 3));
    if (text.len)
        pc_json_put_escaped(&parts, pc_slice_skip(text, text.len / 3));
    check(buf.len == parts.len + 2 && (!parts.len || !memcmp(buf.ptr + 1, parts.ptr, parts.len)));

    pusherc_slice cut = pc_utf8_cut(text, text.len / 2);
    check(pc_utf8_valid(cut) && cut.len + 3 >= text.len / 2);
    pc_buf_free(&buf);
    pc_buf_free(&parts);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pc_mem mem = pc_mem_make(NULL);
    pusherc_slice text = pc_slice((const char *)data, size);
    struct reader r = {.p = data, .end = data + size};
    struct pc_buf scratch;

    pc_buf_init(&scratch, &mem, SIZE_MAX / 2);
    struct pc_json ours = pc_json_parse(text);
    bool good = value(&r) && r.p == r.end;
    check(good == (ours.type != PC_JSON_NONE));
    check(pc_json_error_offset(text) <= size);
    if (good) {
        bool strange = r.undecodable || r.nul || r.long_number;
        cJSON *theirs = strange ? NULL : cJSON_ParseWithLength(text.ptr, text.len);
        check(theirs || strange);
        if (ours.type == PC_JSON_STRING) {
            pusherc_slice decoded;
            check(pc_json_string(ours, &scratch, &decoded) == (r.undecodable ? PUSHERC_EINVAL : 0));
        }
        if (theirs)
            check_same(ours, theirs, &scratch);
        check_compact(ours, theirs, &scratch, &mem);
        if (ours.type == PC_JSON_OBJECT)
            check_without(ours, &mem);
        cJSON_Delete(theirs);
    }
    check(pc_utf8_valid(text) == utf8(data, size));
    if (pc_utf8_valid(text))
        check_string(text, &scratch, &mem);
    pc_buf_free(&scratch);
    return 0;
}
