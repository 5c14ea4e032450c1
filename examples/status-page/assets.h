/*
 * Files: pages/, sql/ and static/ are part of the program (embed.py makes assets.c of them), and two scripts that
 * npm brings are read at start (scripts.c).
 */
#ifndef STATUS_PAGE_ASSETS_H
#define STATUS_PAGE_ASSETS_H

#include <stddef.h>

#include "http.h"

struct asset {
    const char *name; /* "static/style.css" */
    const char *data; /* followed by a NUL that does not count */
    size_t size;
    const char *etag; /* quoted, changes with the data */
};

/* NULL if there is none. */
const struct asset *asset_find(const char *name);

struct scripts;

/* Read pusher-js and laravel-echo as they are below a node_modules directory. 0, or -1 after a line on
 * standard error that says what to do. */
int scripts_load(struct scripts **out, const char *node_modules);
void scripts_free(struct scripts *scripts);

/* Route: /static/{file} */
void scripts_send(struct site *site, pusherc_http_request *request,
                  const struct http_params *params);

#endif
