/* Names with values: the header fields of HTTP, and the parameters of a query string or form. */
#ifndef PC_CODEC_PAIRS_H
#define PC_CODEC_PAIRS_H

#include "base/buf.h"

struct pc_pair {
    pusherc_slice name, value;
};

/* The first value of that name, compared without regard to case; NULL = absent. */
const pusherc_slice *pc_pair_find(const struct pc_pair *pairs, size_t count, pusherc_slice name);

/* Cuts the next "name=value" off a query string, both as sent; false when nothing is left. Empty pieces ("a=1&&b=2")
 * are skipped. */
bool pc_query_next(pusherc_slice *query, struct pc_pair *pair);
/* The first value that is not empty of exactly that name, as sent; len 0 = absent. */
pusherc_slice pc_query_value(pusherc_slice query, pusherc_slice name);

/* Appends the text percent-encoded, but for letters, digits and "-._~". */
void pc_put_percent(struct pc_buf *buf, pusherc_slice text);

#endif
