#include "common/multipart.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static pusherc_slice after(pusherc_slice slice, size_t bytes)
{
    return (pusherc_slice){slice.ptr + bytes, slice.len - bytes};
}

/* Case of letters does not count. NULL if it is not in there. */
static const char *find(pusherc_slice in, const char *text)
{
    size_t len = strlen(text);
    for (size_t i = 0; i + len <= in.len; i++) {
        if (strncasecmp(in.ptr + i, text, len) == 0)
            return in.ptr + i;
    }
    return NULL;
}

/* The value of a parameter, in quotes or without. False if the field has no such parameter, or its quote has no end. */
static bool read_parameter(pusherc_slice field, const char *name, pusherc_slice *out)
{
    const char *end = field.ptr + field.len;
    const char *at = find(field, name);
    if (!at)
        return false;
    at += strlen(name);
    bool quoted = at < end && *at == '"';
    at += quoted;
    const char *stop = at;
    while (stop < end && (quoted ? *stop != '"' : !strchr("; \t\r\n", *stop)))
        stop++;
    if (quoted && stop == end)
        return false;
    *out = (pusherc_slice){at, (size_t)(stop - at)};
    return true;
}

bool multipart_begin(struct multipart *all, const pusherc_http_request *request)
{
    static const char type[] = "multipart/form-data";
    pusherc_slice field = pusherc_http_header(request, "content-type");
    pusherc_slice boundary;
    if (field.len < sizeof type - 1 || strncasecmp(field.ptr, type, sizeof type - 1) != 0 ||
        !read_parameter(field, "boundary=", &boundary) || boundary.len == 0 ||
        boundary.len + 5 > sizeof all->boundary)
        return false;
    snprintf(all->boundary, sizeof all->boundary, "\r\n--%.*s", (int)boundary.len, boundary.ptr);
    all->rest = pusherc_http_body(request);
    /* The first boundary has no line before it; what stands before it is no part. */
    size_t len = strlen(all->boundary) - 2;
    const char *first =
        all->rest.len >= len ? memmem(all->rest.ptr, all->rest.len, all->boundary + 2, len) : NULL;
    all->rest = first ? after(all->rest, (size_t)(first - all->rest.ptr) + len)
                      : (pusherc_slice){all->rest.ptr, 0};
    return true;
}

bool multipart_next(struct multipart *all, struct multipart_part *part)
{
    *part = (struct multipart_part){0};
    if (all->rest.len < 2 || memcmp(all->rest.ptr, "\r\n", 2) != 0)
        return false; /* "--": the end */
    const char *head_end = memmem(all->rest.ptr, all->rest.len, "\r\n\r\n", 4);
    const char *stop = memmem(all->rest.ptr, all->rest.len, all->boundary, strlen(all->boundary));
    if (!head_end || !stop || stop < head_end + 2) {
        all->rest.len = 0;
        return false;
    }
    pusherc_slice head = {all->rest.ptr, (size_t)(head_end - all->rest.ptr)};
    const char *data = stop < head_end + 4 ? stop : head_end + 4; /* nothing is no data */
    part->data = (pusherc_slice){data, (size_t)(stop - data)};
    /* "name=" is in "filename=", too. */
    pusherc_slice disposition = {find(head, "content-disposition:"), 0};
    if (disposition.ptr) {
        const char *line = memchr(disposition.ptr, '\r', (size_t)(head_end - disposition.ptr));
        disposition.len = (size_t)((line ? line : head_end) - disposition.ptr);
        read_parameter(disposition, " name=", &part->name);
        part->is_file = read_parameter(disposition, "filename=", &part->filename);
    }
    all->rest = after(all->rest, (size_t)(stop - all->rest.ptr) + strlen(all->boundary));
    return true;
}
