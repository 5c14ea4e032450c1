/*
 * The settings of the server as a whole, whoever sets them: the config file, the environment or an
 * option. One table knows each by all its names, so that they are checked alike.
 * (The apps are in apps.h.)
 */
#ifndef CLI_SETTINGS_H
#define CLI_SETTINGS_H

#include <pusherc/server.h>

#include "text.h"

struct cli_settings {
    pusherc_server_options server; /* its strings are those below */
    char *host;                    /* owned, as is every string here; NULL = the default */
    char *path_prefix;
    char *tls_cert, *tls_key, *tls_password;
    uint32_t port;
    uint32_t grace_ms;
};

enum cli_setting_kind {
    CLI_SETTING_TEXT,
    CLI_SETTING_PATH,     /* a URL path, kept as "/a/b" */
    CLI_SETTING_NUMBER,   /* min..max */
    CLI_SETTING_WORKERS,  /* 1..64 or "auto" */
    CLI_SETTING_LOG_LEVEL /* a name */
};

struct cli_setting {
    const char *name;           /* in the config file; the option has '-' for '_' */
    const char *environment[2]; /* the first that is set counts */
    enum cli_setting_kind kind;
    size_t offset;     /* in struct cli_settings */
    uint32_t min, max; /* numbers */
};

extern const struct cli_setting cli_settings_table[];
extern const size_t cli_settings_count;

void cli_settings_init(struct cli_settings *settings);
void cli_settings_free(struct cli_settings *settings);

/* By the name in the config file; NULL if there is none. */
const struct cli_setting *cli_setting_find(const char *name);

/* Check `text` and take it. `source` says whose value it is: "--port", "SOKETI_PORT".
 * Returns 0, or -1 with `error`. */
int cli_settings_set(struct cli_settings *settings, const struct cli_setting *setting,
                     const char *source, const char *text, struct cli_error *error);

/* Take what the environment says. Returns 0, or -1 with `error`. */
int cli_settings_from_environment(struct cli_settings *settings, struct cli_error *error);

/* What only the settings together can break. Returns 0, or -1 with `error`. */
int cli_settings_check(const struct cli_settings *settings, struct cli_error *error);

#endif
