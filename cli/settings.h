/*
 * The settings of the server and of one app. The config file, the environment and the options set them by name, through
 * a table, so all values are checked and shown in the same way. Most rows of the table are the library's
 * (pusherc/settings.h). The names in other servers are in names.h, the list of apps in apps.h.
 */
#ifndef CLI_SETTINGS_H
#define CLI_SETTINGS_H

#include <stdio.h>

#include <pusherc/cluster.h>
#include <pusherc/settings.h>

#include "rules.h"
#include "text.h"

#define CLI_NO_PORT UINT32_MAX

/* Every text is owned; NULL = the default. */
struct cli_settings {
    pusherc_server_options server;
    const char *host, *metrics_host;
    const char *unix_socket;   /* NULL = none */
    uint32_t unix_socket_mode; /* 0 = the library's default */
    const char *tls_cert, *tls_key, *tls_password;
    const char *forward;              /* where events are sent as well; NULL = nowhere */
    const char *redis, *redis_prefix; /* NULL = one process, or the library's prefix */
    const char *redis_ca_file;        /* NULL = the system's */
    uint32_t redis_timeout_ms;
    const char *laravel_redis, *laravel_redis_prefix, *laravel_app_name; /* NULL = not used */
    pusherc_cluster_options cluster;
    uint32_t port;
    uint32_t metrics_port;    /* CLI_NO_PORT until it is set, then the default */
    bool metrics_port_chosen; /* the user has set it */
    bool metrics;
    bool webhook_batching;
    uint32_t grace_ms;
    int log_format;         /* 0 = text, 1 = JSON */
    struct cli_rules rules; /* of the config file */
};

/* The kinds of pusherc/settings.h, and two more. */
enum cli_setting_kind {
    CLI_SETTING_TEXT,   /* const char *, owned */
    CLI_SETTING_SECRET, /* the same, never shown */
    CLI_SETTING_PATH,   /* the same: a URL path, kept as "/a/b" */
    CLI_SETTING_FLAG,   /* bool */
    CLI_SETTING_CHOICE, /* an enum, by its words */
    CLI_SETTING_NUMBER, /* uint32_t from min to max */
    CLI_SETTING_LIMIT,  /* the same, or -1 for PUSHERC_NO_LIMIT */
    CLI_SETTING_DELAY,  /* the same, and 0 is PUSHERC_NO_DELAY */
    CLI_SETTING_BIG,    /* uint64_t from min to max */
    CLI_SETTING_MODE,   /* uint32_t: permissions in octal, from min to max */
    CLI_SETTING_WORKERS /* uint32_t: 1..64 or "auto" */
};

struct cli_setting {
    const char *name; /* in the config file; an option has '-' for '_' */
    enum cli_setting_kind kind;
    size_t offset;               /* in struct cli_settings, or in pusherc_app_options */
    uint64_t min, max, fallback; /* of numbers; fallback: the value that 0 stands for */
    const char *words;           /* of a choice: "one|two" */
    const char *meaning;         /* one sentence; `...` marks names */
};

/* Of the server: in a struct cli_settings. */
extern const struct cli_setting cli_server_settings[];
extern const size_t cli_server_setting_count;
/* Of an app: in a pusherc_app_options. Without id, key, secret and lists, which apps.h owns. */
extern const struct cli_setting cli_app_settings[];
extern const size_t cli_app_setting_count;

void cli_settings_init(struct cli_settings *settings);
void cli_settings_free(struct cli_settings *settings);

/* Find a setting by its name; NULL: unknown. */
const struct cli_setting *cli_server_setting(const char *name);
const struct cli_setting *cli_app_setting(const char *name);

/* True if the setting is a uint32_t whose 0 means "not set". */
bool cli_setting_is_number(const struct cli_setting *setting);

/*
 * Check `text` and set the setting to it.
 *
 * in      the struct cli_settings or pusherc_app_options that the setting belongs to
 * source  the name in messages: "--port", "SOKETI_PORT"
 * unit    for numbers: the value of 1 in `text`, in the setting's unit
 *
 * Returns 0, or -1 with `error`.
 */
int cli_setting_set(void *in, const struct cli_setting *setting, const char *source, uint32_t unit,
                    const char *text, struct cli_error *error);

/* Write the value in force as JSON; a secret as "(not shown)". */
void cli_setting_print(FILE *file, const void *in, const struct cli_setting *setting);

/* Call it after all sources: puts in the remaining defaults, and checks settings that depend on each other. Returns 0,
 * or -1 with `error`. */
int cli_settings_complete(struct cli_settings *settings, struct cli_error *error);

#endif
