/*
 * The certificates that `tls_cert` and `tls_key` name: one each, or several separated by commas, in the same order. A file
 * name with a comma cannot be given. `tls_password` is that of all keys that are locked.
 */
#ifndef CLI_CERTIFICATES_H
#define CLI_CERTIFICATES_H

#include "settings.h"

struct cli_certificates {
    char *names;                /* owned */
    pusherc_tls_options *items; /* owned: a list, the first first; NULL = no TLS */
};

/* `settings` outlives it. 0, or -1 with `error`; it can be freed in both cases. */
int cli_certificates_init(struct cli_certificates *certificates,
                          const struct cli_settings *settings, struct cli_error *error);
void cli_certificates_free(struct cli_certificates *certificates);

#endif
