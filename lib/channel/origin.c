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

/* '*' stands for any run of characters. Linear: on a mismatch only the last star is tried again. */
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

/* "example.org:8443" -> "example.org", and *port = "8443"; without a port it stays as it is. */
static pusherc_slice authority_host(pusherc_slice authority, pusherc_slice *port)
{
    size_t end = authority.len;
    while (end > 0 && authority.ptr[end - 1] >= '0' && authority.ptr[end - 1] <= '9')
        end--;
    if (end == 0 || authority.ptr[end - 1] != ':')
        return authority;
    if (end < authority.len)
        *port = pc_slice_skip(authority, end);
    return pc_slice_first(authority, end - 1);
}

bool pc_origin_is_own(pusherc_slice origin, bool https, pusherc_slice host)
{
    pusherc_slice scheme = https ? PC_S("https://") : PC_S("http://");
    pusherc_slice page_port = https ? PC_S("443") : PC_S("80"), port = page_port;
    if (host.len == 0 || !pc_slice_eq_nocase(pc_slice_first(origin, scheme.len), scheme))
        return false;
    pusherc_slice page = authority_host(pc_slice_skip(origin, scheme.len), &page_port);
    return pc_slice_eq_nocase(page, authority_host(host, &port)) && pc_slice_eq(page_port, port);
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
