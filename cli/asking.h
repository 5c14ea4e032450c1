/*
 * Asks a URL about channels, as stock clients ask Laravel's /broadcasting/auth, on a thread of its own: the rules of
 * the config file (rules.h) as rules of a server. A build without libcurl compiles asking_none.c instead.
 */
#ifndef CLI_ASKING_H
#define CLI_ASKING_H

#include <pusherc/hooks.h>
#include <pusherc/server.h>

#include "rules.h"

struct cli_asking;

/* Begin to ask for these rules, which outlive it, and fill the hook by which the header fields of clients are kept.
 * Returns 0, or -1 with `error`. No rules: *out is NULL, and the hooks stay as they are. */
int cli_asking_new(struct cli_asking **out, const struct cli_rules *rules, pusherc_hooks *hooks,
                   struct cli_error *error);
/* Add the rules to a server that has not been started. Returns 0, or -1 with `error`. NULL is harmless. */
int cli_asking_add(struct cli_asking *asking, pusherc_server *server, struct cli_error *error);
/* Start the thread, before the server is started. Returns 0, or -1 with `error`. NULL is harmless. */
int cli_asking_start(struct cli_asking *asking, struct cli_error *error);
/* Call it when the server is freed. NULL is harmless. */
void cli_asking_free(struct cli_asking *asking);

#endif
