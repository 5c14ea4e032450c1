#include "channel/origin.h"

#include <string.h>

#include <pusherc/error.h>

int pc_origins_copy(const struct pc_mem *mem, const char *const *patterns, char ***out)
{
    size_t count = 0;
    while (patterns[count])
        count++;
    char **copies = *out = pc_alloc_array(mem, count + 1, sizeof *copies);
    if (!copies)
        return PUSHERC_ENOMEM;
    for (size_t i = 0; i < count; i++) {
        copies[i] = pc_dup(mem, pc_slice_of(patterns[i]));
        if (!copies[i])
            return PUSHERC_ENOMEM;
        for (char *c = copies[i]; *c; c++)
            *c = pc_ascii_lower(*c);
    }
    return 0;
}

void pc_origins_free(const struct pc_mem *mem, char **patterns)
{
    for (char **pattern = patterns; pattern && *pattern; pattern++)
        pc_free(mem, *pattern);
    pc_free(mem, patterns);
}

/* '*' stands for any run of characters. On a mismatch the last star takes one character more; earlier stars need no
 * second try. So it neither recurses nor allocates, and costs at most the product of both lengths. */
static bool glob(const char *p, pusherc_slice s)
{
    const char *star = NULL;
    size_t i = 0, mark = 0;
    while (i < s.len) {
        if (*p == '*') {
            star = ++p;
            mark = i;
        } else if (*p == pc_ascii_lower(s.ptr[i]) && *p) {
            p++;
            i++;
        } else if (star) {
            p = star;
            i = ++mark;
        } else {
            return false;
        }
    }
    while (*p == '*')
        p++;
    return *p == '\0';
}

/* "https://example.org:8443" -> "example.org" */
static pusherc_slice origin_host(pusherc_slice origin)
{
    for (size_t i = 0; i + 3 <= origin.len; i++) {
        if (memcmp(origin.ptr + i, "://", 3) == 0) {
            origin = pc_slice_skip(origin, i + 3);
            break;
        }
    }
    if (origin.len && origin.ptr[0] == '[')
        return pc_slice_first(origin, pc_slice_find(origin, ']') + 1);
    origin = pc_slice_first(origin, pc_slice_find(origin, '/')); /* browsers send no path */
    return pc_slice_first(origin, pc_slice_find(origin, ':'));
}

bool pc_origins_allow(char *const *patterns, pusherc_slice origin)
{
    if (!patterns)
        return true;
    pusherc_slice host = origin_host(origin);
    for (char *const *pattern = patterns; *pattern; pattern++) {
        /* a pattern with a scheme is compared with the whole origin */
        bool whole = strstr(*pattern, "://") != NULL;
        if (glob(*pattern, whole ? origin : host))
            return origin.len > 0 || strcmp(*pattern, "*") == 0;
    }
    return false;
}

bool pc_origins_any(char *const *patterns)
{
    for (char *const *pattern = patterns; pattern && *pattern; pattern++)
        if (strcmp(*pattern, "*") == 0)
            return true;
    return !patterns;
}
