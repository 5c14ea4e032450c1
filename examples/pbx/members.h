/*
 * Who is online: the presence rosters, over all servers.
 */
#ifndef PBX_MEMBERS_H
#define PBX_MEMBERS_H

#include "pbx.h"

/* Route: GET /api/v1/members answers {"total", "members": [{"id", "name", "role"}]}, with "email" for admins. */
void members_get(struct program *, pusherc_http_request *, const struct http_params *);

#endif
