/*
 * Files that are part of the program: pages/, sql/ and static/. embed.py makes assets.c of them.
 */
#ifndef STATUS_PAGE_ASSETS_H
#define STATUS_PAGE_ASSETS_H

#include <stddef.h>

struct asset {
    const char *name; /* "static/style.css" */
    const char *data; /* followed by a NUL that does not count */
    size_t size;
    const char *etag; /* quoted, changes with the data */
};

/* NULL if there is none. */
const struct asset *asset_find(const char *name);

#endif
