/* What each view of a rule does not see, as the host named it (pusherc_rule.redactions). Immutable. */
#ifndef PC_AUTH_REDACTION_H
#define PC_AUTH_REDACTION_H

#include <pusherc/auth.h>

#include "codec/json_without.h"

struct pc_redaction {
    pusherc_slice view;
    bool nothing;
    const struct pc_json_path *paths; /* what is left out */
    size_t path_count;
};

struct pc_redactions {
    size_t count;
    struct pc_redaction items[];
};

/* Checks and copies those of a rule, which has one at least. 0, PUSHERC_EINVAL with `info`, or PUSHERC_ENOMEM. The result
 * is one block of memory. */
PC_CHECKED int pc_redactions_new(struct pc_redactions **out, const struct pc_mem *mem,
                                 const pusherc_rule *rule, pusherc_errinfo *info);
/* NULL: the view is not listed. */
const struct pc_redaction *pc_redaction_of(const struct pc_redactions *redactions,
                                           pusherc_slice view);

#endif
