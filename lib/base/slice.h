/* Borrowed bytes: comparing and cutting. Nothing allocates. */
#ifndef PC_BASE_SLICE_H
#define PC_BASE_SLICE_H

#include <stdbool.h>
#include <string.h>

#include <pusherc/types.h>

#define PC_S(literal) ((pusherc_slice){(literal), sizeof literal - 1})

static inline pusherc_slice pc_slice(const char *ptr, size_t len)
{
    return (pusherc_slice){ptr, len};
}

/* NULL gives the empty slice. */
static inline pusherc_slice pc_slice_of(const char *text)
{
    return (pusherc_slice){text, text ? strlen(text) : 0};
}

static inline bool pc_slice_eq(pusherc_slice a, pusherc_slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool pc_slice_starts(pusherc_slice s, pusherc_slice prefix)
{
    return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.ptr, prefix.ptr, prefix.len) == 0);
}

static inline bool pc_slice_ends(pusherc_slice s, pusherc_slice suffix)
{
    return s.len >= suffix.len &&
           (suffix.len == 0 || memcmp(s.ptr + s.len - suffix.len, suffix.ptr, suffix.len) == 0);
}

/* Without the first n bytes; n <= len. */
static inline pusherc_slice pc_slice_skip(pusherc_slice s, size_t n)
{
    return (pusherc_slice){s.ptr + n, s.len - n};
}

static inline pusherc_slice pc_slice_first(pusherc_slice s, size_t n)
{
    return (pusherc_slice){s.ptr, n < s.len ? n : s.len};
}

/* Index of the first `c`, or len. */
static inline size_t pc_slice_find(pusherc_slice s, char c)
{
    const char *hit = s.len ? memchr(s.ptr, c, s.len) : NULL;
    return hit ? (size_t)(hit - s.ptr) : s.len;
}

/* ASCII only, whatever the locale. */
static inline char pc_ascii_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

/* Ignores ASCII case. */
bool pc_slice_eq_nocase(pusherc_slice a, pusherc_slice b);

/* Decimal digits only, no sign; false on anything else and on overflow. */
bool pc_slice_to_u64(pusherc_slice s, uint64_t *out);
/* The reverse, without NUL. Returns the length. */
#define PC_U64_DIGITS 20
size_t pc_format_u64(uint64_t number, char out[PC_U64_DIGITS]);

/* UTF-8 as RFC 3629: no overlong forms, no surrogates, at most U+10FFFF. */
bool pc_utf8_valid(pusherc_slice s);

/* Length of the valid character that starts at `text`, 1..4; 0: no valid character ends before `end`. */
size_t pc_utf8_sequence(const char *text, const char *end);

/* The longest prefix of at most max_bytes that does not cut a character. */
pusherc_slice pc_utf8_cut(pusherc_slice s, size_t max_bytes);
/* Characters of valid UTF-8. */
size_t pc_utf8_length(pusherc_slice utf8);

#endif
