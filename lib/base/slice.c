#include "base/slice.h"

#include <stdint.h>

pusherc_slice pusherc_slice_of(const char *text)
{
    return pc_slice_of(text);
}

bool pusherc_slice_equal(pusherc_slice a, pusherc_slice b)
{
    return pc_slice_eq(a, b);
}

bool pc_slice_eq_nocase(pusherc_slice a, pusherc_slice b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++) {
        if (pc_ascii_lower(a.ptr[i]) != pc_ascii_lower(b.ptr[i]))
            return false;
    }
    return true;
}

bool pc_slice_to_u64(pusherc_slice s, uint64_t *out)
{
    uint64_t number = 0;
    if (s.len == 0)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        unsigned digit = (unsigned)(unsigned char)s.ptr[i] - '0';
        if (digit > 9 || number > (UINT64_MAX - digit) / 10)
            return false;
        number = number * 10 + digit;
    }
    *out = number;
    return true;
}

size_t pc_format_u64(uint64_t number, char out[PC_U64_DIGITS])
{
    char digits[PC_U64_DIGITS];
    size_t start = sizeof digits;
    do {
        digits[--start] = (char)('0' + number % 10);
        number /= 10;
    } while (number);
    memcpy(out, digits + start, sizeof digits - start);
    return sizeof digits - start;
}

size_t pc_utf8_sequence(const char *text, const char *end)
{
    const unsigned char *p = (const unsigned char *)text;
    size_t left = (size_t)(end - text);
    /* The range of the second byte depends on the first. It excludes overlong forms (E0, F0),
     * surrogates (ED) and code points above U+10FFFF (F4): RFC 3629, section 4. */
    unsigned char low = 0x80, high = 0xbf;
    size_t len;

    if (left == 0)
        return 0;
    if (p[0] < 0x80)
        return 1;
    if (p[0] >= 0xc2 && p[0] <= 0xdf) {
        len = 2;
    } else if (p[0] >= 0xe0 && p[0] <= 0xef) {
        len = 3;
        if (p[0] == 0xe0)
            low = 0xa0;
        else if (p[0] == 0xed)
            high = 0x9f;
    } else if (p[0] >= 0xf0 && p[0] <= 0xf4) {
        len = 4;
        if (p[0] == 0xf0)
            low = 0x90;
        else if (p[0] == 0xf4)
            high = 0x8f;
    } else {
        return 0;
    }
    if (left < len || p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < len; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    }
    return len;
}

bool pc_utf8_valid(pusherc_slice s)
{
    const char *p = s.ptr;
    const char *end = s.len ? p + s.len : p;

    while (p < end) {
        uint64_t eight;
        if (end - p >= 8 && (memcpy(&eight, p, 8), (eight & 0x8080808080808080U) == 0)) {
            p += 8;
            continue;
        }
        size_t len = pc_utf8_sequence(p, end);
        if (len == 0)
            return false;
        p += len;
    }
    return true;
}

pusherc_slice pc_utf8_cut(pusherc_slice s, size_t max_bytes)
{
    if (s.len <= max_bytes)
        return s;
    /* In valid text at most three continuation bytes precede the start of the character cut. */
    size_t len = max_bytes;
    while (len > 0 && max_bytes - len < 3 && ((unsigned char)s.ptr[len] & 0xc0) == 0x80)
        len--;
    return pc_slice(s.ptr, len);
}

size_t pc_utf8_length(pusherc_slice utf8)
{
    size_t n = 0;
    for (size_t i = 0; i < utf8.len; i++)
        n += ((unsigned char)utf8.ptr[i] & 0xc0) != 0x80;
    return n;
}
