/*
 * The pages and the JSON API: what they show.
 */
#ifndef PAGES_H
#define PAGES_H

#include "monitor.h"

bool pages_dispatch(struct program *program, pusherc_http_request *request);

#endif
