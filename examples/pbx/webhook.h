/*
 * What the telephony provider says. Each request is signed with the secret that the provider and this program share:
 *
 *     X-Voice-Timestamp: 1767225600
 *     X-Voice-Signature: hex of HMAC-SHA256(secret, timestamp "." body)
 *
 * and is JSON: {"event_id", "type", "organization_id", "call_id"} with "from" and "to" if a call arrives, "extension" (its
 * number) if it is answered, "status" if it ends.
 */
#ifndef PBX_WEBHOOK_H
#define PBX_WEBHOOK_H

#include "pbx.h"

/* From VOICE_WEBHOOK_SECRET, or made up and kept in the database. 0 or -1. */
int webhook_read_secret(struct pbx *pbx);
/* Route: POST /api/v1/webhooks/voice. 202: it is written, and told after this answer; 200: it was known; 401: not signed,
 * or too old; 403: of another organization; 404: there is no such call; 422: it is no event. */
void webhook_post(struct program *, pusherc_http_request *, const struct http_params *);
/* Forget events that are too old to be said again. */
void webhook_tidy(struct program *program);

#endif
