/*
 * Files: pages/, sql/ and static/ of the example and of this folder are part of the program (embed.py makes lists of
 * them), and scripts that npm brings are read at start (scripts.c).
 */
#ifndef COMMON_ASSETS_H
#define COMMON_ASSETS_H

#include <stddef.h>

#include "common/http.h"

struct asset {
    const char *name; /* "static/style.css"; NULL ends a list */
    const char *data; /* followed by a NUL that does not count */
    size_t size;
    const char *etag; /* quoted, changes with the data */
};

/* The example's, and those of this folder. One of the example's takes the place of one of the same name here. */
extern const struct asset program_assets[];
extern const struct asset common_assets[];

/* NULL if there is none. */
const struct asset *asset_find(const char *name);

/* A script of npm. A list ends with one without a name. */
struct script_source {
    const char *name; /* as an asset: "static/echo.js" */
    const char *path; /* below node_modules/ */
};

struct scripts;

/* Read them as they are below a node_modules directory. 0, or -1 after a line on standard error that says what to do. */
int scripts_load(struct scripts **out, const struct script_source *sources,
                 const char *node_modules);
void scripts_free(struct scripts *scripts);

/* Route: /static/{file} */
void scripts_send(struct program *program, pusherc_http_request *request,
                  const struct http_params *params);

#endif
