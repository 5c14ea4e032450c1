#include "channel/origin.h"

#include <string.h>

#include <pusherc/error.h>

/* Behind the scheme, or the whole: what browsers send of it is a host, and a port that is not the scheme's own. */
static const char *authority(const char *pattern)
{
    const char *scheme = strstr(pattern, "://");
    return scheme ? scheme + 3 : pattern;
}

/* The length of the port with its colon; 0 = no port. */
static size_t port_len(const char *authority, size_t len)
{
    size_t at = authority[0] == '[' ? pc_slice_find(pc_slice(authority, len), ']') : 0;
    return len - at - pc_slice_find(pc_slice(authority + at, len - at), ':');
}

static size_t without_slashes(const char *text)
{
    size_t len = strlen(text);
    while (len > 0 && text[len - 1] == '/')
        len--;
    return len;
}

const char *pc_origin_wrong(const char *pattern)
{
    const char *at = authority(pattern);
    size_t len = without_slashes(at);
    if (len == 0)
        return "there is no host in it";
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)at[i];
        if (c == '/' || c == '?' || c == '#')
            return "an Origin has no path: leave it out";
        if (c >= 0x80)
            return "browsers send such a host in its form with xn--";
        if (c <= ' ' || c == 0x7f || c == '@' || c == ',')
            return "no Origin has such a character";
    }
    if (at == pattern && port_len(at, len))
        return "a port needs the scheme before it, as in https://a.example:8443";
    pusherc_slice scheme = pc_slice(pattern, (size_t)(at - pattern));
    if (pc_slice_eq_nocase(scheme, PC_S("ws://")) || pc_slice_eq_nocase(scheme, PC_S("wss://")))
        return "an Origin begins with http:// or https://";
    return NULL;
}

/* A copy as browsers write it: lower case, no slash at the end, no port that is the scheme's own. NULL: no memory. */
static char *normalized(const struct pc_mem *mem, const char *pattern)
{
    size_t len = (size_t)(authority(pattern) - pattern) + without_slashes(authority(pattern));
    char *copy = pc_dup(mem, pc_slice(pattern, len));
    if (!copy)
        return NULL;
    for (char *c = copy; *c; c++)
        *c = pc_ascii_lower(*c);
    pusherc_slice text = pc_slice(copy, len);
    if (pc_slice_starts(text, PC_S("https://")) && pc_slice_ends(text, PC_S(":443")))
        copy[len - 4] = '\0';
    else if (pc_slice_starts(text, PC_S("http://")) && pc_slice_ends(text, PC_S(":80")))
        copy[len - 3] = '\0';
    return copy;
}

int pc_origins_copy(const struct pc_mem *mem, const char *const *patterns, char ***out)
{
    size_t count = 0;
    while (patterns[count])
        count++;
    char **copies = *out = pc_alloc_array(mem, count + 1, sizeof *copies);
    if (!copies)
        return PUSHERC_ENOMEM;
    for (size_t i = 0; i < count; i++) {
        copies[i] = normalized(mem, patterns[i]);
        if (!copies[i])
            return PUSHERC_ENOMEM;
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
