/*
 * Events of publishers outside (the HTTP API, Laravel's broadcaster in Redis) on the channels of an organization: checked,
 * written, completed with "v", "id" and "revision", and published under the other names too. What this program has
 * published itself by way of a carrier has all three already, names all channels, and passes as it is.
 */
#ifndef PBX_INCOMING_H
#define PBX_INCOMING_H

#include "pbx.h"

/* Hook: pusherc_hooks.on_publish. */
int incoming_check(pusherc_incoming *event, void *user_data);

#endif
