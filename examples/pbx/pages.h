/*
 * The pages, and the routes of all requests.
 */
#ifndef PBX_PAGES_H
#define PBX_PAGES_H

#include "pbx.h"

bool pages_dispatch(struct program *program, pusherc_http_request *request);

#endif
