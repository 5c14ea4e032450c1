/*
 * Signing in, as far as it is about organizations: where it leads, and who can do it in the demo.
 */
#ifndef STATUS_PAGE_SIGNIN_H
#define STATUS_PAGE_SIGNIN_H

#include "common/login.h"

/* The fields of the form: what was asked for before is a dashboard, or the status page if `page` is "status". */
#define SIGNIN_NAMES                                                                               \
    {                                                                                              \
        "organization", "page"                                                                     \
    }

/* For program_spec. */
void signin_target(char out[LOGIN_TARGET_BYTES], struct program *program, int64_t user_id,
                   const struct login_wanted *wanted);
void signin_fill(struct program *program, cJSON *values, const struct login_wanted *wanted);

#endif
