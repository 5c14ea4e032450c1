/* The patterns of origins that an app allows, and an Origin header against them. */
#ifndef PC_CHANNEL_ORIGIN_H
#define PC_CHANNEL_ORIGIN_H

#include <stdbool.h>

#include "base/mem.h"
#include "base/slice.h"

/* Copy a list of patterns, its last one NULL, in lower case. `out` is owned by the caller, also after PUSHERC_ENOMEM. */
PC_CHECKED int pc_origins_copy(const struct pc_mem *mem, const char *const *patterns, char ***out);
void pc_origins_free(const struct pc_mem *mem, char **patterns); /* NULL is harmless */

/* No origin is kept out: there is no list, or it has "*". */
bool pc_origins_any(char *const *patterns);
/* Does `origin`, of a page, name the server that a request with this Host reached over HTTPS, or without TLS over HTTP?
 * Scheme, host and port count; a port that is left out is the scheme's own. */
bool pc_origin_is_own(pusherc_slice origin, bool https, pusherc_slice host);
/* An absent header (empty) passes only when any origin does. */
bool pc_origins_allow(char *const *patterns, pusherc_slice origin);

#endif
