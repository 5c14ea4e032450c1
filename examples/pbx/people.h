/*
 * What is done to people: their role, their organization, whether they may be here at all; and tokens for pages.
 */
#ifndef PBX_PEOPLE_H
#define PBX_PEOPLE_H

#include "pbx.h"

/* Routes. POST /api/v1/people/{id}: "role" and "active" by an admin of the organization or an operator, "organization_id"
 * by an operator. Answered when no page hears any more what its person must not. */
void people_change(struct program *, pusherc_http_request *, const struct http_params *);
/* POST /api/v1/token: who is signed in by a cookie gets a bearer token, which ends with that session at the latest. */
void people_token(struct program *, pusherc_http_request *, const struct http_params *);
/* POST /logout, as in common/login.h. */
void people_logout(struct program *, pusherc_http_request *, const struct http_params *);

/* Hook: program_spec.describe_user. */
void people_describe(struct program *program, cJSON *user);

#endif
