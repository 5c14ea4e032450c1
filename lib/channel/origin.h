/* The patterns of origins that an app allows, and the match of an Origin header with them. */
#ifndef PC_CHANNEL_ORIGIN_H
#define PC_CHANNEL_ORIGIN_H

#include <stdbool.h>

#include "base/mem.h"
#include "base/slice.h"

/* Copy a list of patterns, its last one NULL, in lower case. `out` is owned by the caller, also after PUSHERC_ENOMEM. */
/* Why no Origin of a browser can ever fit this pattern, as an end of a sentence; NULL: one can. */
const char *pc_origin_wrong(const char *pattern);

PC_CHECKED int pc_origins_copy(const struct pc_mem *mem, const char *const *patterns, char ***out);
void pc_origins_free(const struct pc_mem *mem, char **patterns); /* NULL is harmless */

/* True if every origin is allowed: there is no list, or it has "*". */
bool pc_origins_any(char *const *patterns);
/* True if `origin`, of a page, names the server that a request with this Host reached, over HTTPS or plain HTTP.
 * Scheme, host and port count; a port that is left out is the scheme's own. */
bool pc_origin_is_own(pusherc_slice origin, bool https, pusherc_slice host);
/* An empty `origin`, an absent header, passes only if every origin is allowed. */
bool pc_origins_allow(char *const *patterns, pusherc_slice origin);

#endif
