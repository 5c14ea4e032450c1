/*
 * Patterns of channel names: "orders.{id}", where a parameter stands for one or more characters without a dot, or
 * "shop.{rest...}", where the only parameter stands for the rest of the name.
 */
#ifndef PC_AUTH_PATTERN_H
#define PC_AUTH_PATTERN_H

#include <pusherc/auth.h>

#include "base/slice.h"

#define PC_PATTERN_MAX 200 /* bytes: the longest channel name */

/* True if all braces in the pattern are parameters "{name}", with names of letters, digits and '_', and there are at
 * most PUSHERC_RULE_MAX_PARAMS of them; or if there is one, "{name...}", at the end. Fills `names` and `count`, which
 * may be NULL. The functions below take valid patterns. */
bool pc_pattern_valid(pusherc_slice pattern, pusherc_slice *names, size_t *count);
/* The text in front of "{name...}"; the whole pattern if it does not end so. */
pusherc_slice pc_pattern_front(pusherc_slice pattern);
/* True if the whole of `subject` matches. `values` may be NULL. */
bool pc_pattern_matches(pusherc_slice pattern, pusherc_slice subject, pusherc_slice *values);
/* True if both match the same names: they differ at most in the names of parameters. */
bool pc_patterns_same(pusherc_slice a, pusherc_slice b);
/* True if there is a name that both match. */
bool pc_patterns_meet(pusherc_slice a, pusherc_slice b);

#endif
