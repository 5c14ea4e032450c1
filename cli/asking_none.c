/* In place of asking.c: there is no libcurl. */
#include "asking.h"

int cli_asking_new(struct cli_asking **out, const struct cli_rules *rules, pusherc_hooks *hooks,
                   struct cli_error *error)
{
    (void)hooks;
    *out = NULL;
    return rules->count ? cli_fail(error, "rules: this build cannot ask a URL, it has no libcurl")
                        : 0;
}

int cli_asking_add(struct cli_asking *asking, pusherc_server *server, struct cli_error *error)
{
    (void)asking, (void)server, (void)error;
    return 0;
}

int cli_asking_start(struct cli_asking *asking, struct cli_error *error)
{
    (void)asking, (void)error;
    return 0;
}

void cli_asking_free(struct cli_asking *asking)
{
    (void)asking;
}
