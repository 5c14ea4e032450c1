/*
 * Static files: those of static/, and the two scripts that npm brings, read once at start.
 */
#ifndef STATUS_PAGE_SCRIPTS_H
#define STATUS_PAGE_SCRIPTS_H

#include "http.h"

struct scripts;

/* Read pusher-js and laravel-echo as they are below a node_modules directory. 0, or -1 after a line on
 * standard error that says what to do. */
int scripts_load(struct scripts **out, const char *node_modules);
void scripts_free(struct scripts *scripts);

/* Route: /static/{file} */
void scripts_send(struct site *site, pusherc_http_request *request,
                  const struct http_params *params);

#endif
