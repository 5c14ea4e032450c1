/*
 * The rules of the config file: patterns of channels, and the URL that is asked who may have them. They own all their
 * strings. Who asks is asking.h.
 */
#ifndef CLI_RULES_H
#define CLI_RULES_H

#include <stdio.h>

#include <cjson/cJSON.h>
#include <pusherc/auth.h>

#include "text.h"

#define CLI_RULE_TIMEOUT_MS 5000

struct cli_rule {
    pusherc_rule options; /* its strings point to the members below; without functions */
    char *app_id, *pattern;
    char *url;
    char *view_field; /* of the answer; NULL = subscribers have no view */
    char **fields;    /* "Name: value" for each request, NULL-terminated; NULL = none */
    size_t field_count;
    uint32_t timeout_ms; /* of a request */
    uint32_t expires_ms; /* of a grant; 0 = never */
    pusherc_redaction *views;
    size_t view_count;
};

struct cli_rules {
    struct cli_rule *items; /* owned */
    size_t count;
};

/* Take the array of the config file. Returns 0, or -1 with `error`. Free `rules` in either case. */
int cli_rules_read(struct cli_rules *rules, const cJSON *array, struct cli_error *error);
void cli_rules_free(struct cli_rules *rules);

/* Write them as JSON, without what may be secret. */
void cli_rules_print(FILE *file, const struct cli_rules *rules);

#endif
