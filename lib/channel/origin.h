/* The patterns of origins that an app allows, and the match of an Origin header with them. */
#ifndef PC_CHANNEL_ORIGIN_H
#define PC_CHANNEL_ORIGIN_H

#include <stdbool.h>

#include "base/mem.h"
#include "base/slice.h"

/* Copies a list of patterns that ends with NULL, in lower case. The caller owns *out, also after PUSHERC_ENOMEM. */
PC_CHECKED int pc_origins_copy(const struct pc_mem *mem, const char *const *patterns, char ***out);
void pc_origins_free(const struct pc_mem *mem, char **patterns); /* NULL is harmless */

/* True if every origin is allowed: there is no list, or it has "*". */
bool pc_origins_any(char *const *patterns);
/* An empty `origin`, an absent header, passes only if every origin is allowed. */
bool pc_origins_allow(char *const *patterns, pusherc_slice origin);

#endif
