#include "settings.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define DEFAULT_PORT     6001
#define DEFAULT_GRACE_MS 3000 /* soketi's */
#define MAX_TIME_MS      86400000
#define MAX_BYTES        1073741824

#define AT(member) offsetof(struct cli_settings, member)

/* clang-format off */
const struct cli_setting cli_settings_table[] = {
    {"host", {"SOKETI_HOST", "REVERB_SERVER_HOST"}, CLI_SETTING_TEXT, AT(host), 0, 0},
    {"port", {"SOKETI_PORT", "REVERB_SERVER_PORT"}, CLI_SETTING_NUMBER, AT(port), 0, 65535},
    {"workers", {NULL, NULL}, CLI_SETTING_WORKERS, AT(server.worker_count), 1, PUSHERC_WORKERS_MAX},
    {"path_prefix", {"SOKETI_PATH_PREFIX", "REVERB_SERVER_PATH"}, CLI_SETTING_PATH, AT(path_prefix), 0, 0},
    {"log_level", {NULL, NULL}, CLI_SETTING_LOG_LEVEL, AT(server.log_level), 0, 0},
    {"grace_ms", {"SOKETI_SHUTDOWN_GRACE_PERIOD", NULL}, CLI_SETTING_NUMBER, AT(grace_ms), 0, MAX_TIME_MS},
    {"tls_cert", {"SOKETI_SSL_CERT", NULL}, CLI_SETTING_TEXT, AT(tls_cert), 0, 0},
    {"tls_key", {"SOKETI_SSL_KEY", NULL}, CLI_SETTING_TEXT, AT(tls_key), 0, 0},
    {"tls_password", {"SOKETI_SSL_PASS", NULL}, CLI_SETTING_TEXT, AT(tls_password), 0, 0},
    {"max_connections", {NULL, NULL}, CLI_SETTING_NUMBER, AT(server.max_connections), 1, UINT32_MAX},
    {"max_frame_bytes", {"REVERB_APP_MAX_MESSAGE_SIZE", NULL}, CLI_SETTING_NUMBER, AT(server.max_frame_bytes), 1, MAX_BYTES},
    {"max_http_body_bytes", {"REVERB_MAX_REQUEST_SIZE", NULL}, CLI_SETTING_NUMBER, AT(server.max_http_body_bytes), 1, MAX_BYTES},
    {"max_http_head_bytes", {NULL, NULL}, CLI_SETTING_NUMBER, AT(server.max_http_head_bytes), 1, MAX_BYTES},
    {"handshake_timeout_ms", {NULL, NULL}, CLI_SETTING_NUMBER, AT(server.handshake_timeout_ms), 1, MAX_TIME_MS},
    {"request_timeout_ms", {NULL, NULL}, CLI_SETTING_NUMBER, AT(server.request_timeout_ms), 1, MAX_TIME_MS},
    {"keep_alive_ms", {NULL, NULL}, CLI_SETTING_NUMBER, AT(server.keep_alive_ms), 1, MAX_TIME_MS},
    {"pong_timeout_ms", {NULL, NULL}, CLI_SETTING_NUMBER, AT(server.pong_timeout_ms), 1, MAX_TIME_MS},
    {"close_timeout_ms", {NULL, NULL}, CLI_SETTING_NUMBER, AT(server.close_timeout_ms), 1, MAX_TIME_MS},
    {"out_soft_bytes", {NULL, NULL}, CLI_SETTING_NUMBER, AT(server.out_soft_bytes), 1, MAX_BYTES},
    {"out_soft_ms", {NULL, NULL}, CLI_SETTING_NUMBER, AT(server.out_soft_ms), 1, MAX_TIME_MS},
    {"out_hard_bytes", {NULL, NULL}, CLI_SETTING_NUMBER, AT(server.out_hard_bytes), 1, MAX_BYTES},
    {"mailbox_max_messages", {NULL, NULL}, CLI_SETTING_NUMBER, AT(server.mailbox_max_messages), 1, MAX_BYTES},
    {"max_auth_skew_s", {NULL, NULL}, CLI_SETTING_NUMBER, AT(server.max_auth_skew_s), 1, MAX_TIME_MS},
};
/* clang-format on */
const size_t cli_settings_count = sizeof(cli_settings_table) / sizeof(cli_settings_table[0]);

static const char *const level_names[] = {"off", "error", "warn", "info", "debug", "trace"};

void cli_settings_init(struct cli_settings *settings)
{
    *settings = (struct cli_settings){.port = DEFAULT_PORT, .grace_ms = DEFAULT_GRACE_MS};
    pusherc_server_options_init(&settings->server);
    settings->server.log_level = PUSHERC_LOG_INFO;
}

void cli_settings_free(struct cli_settings *settings)
{
    free(settings->host);
    free(settings->path_prefix);
    free(settings->tls_cert);
    free(settings->tls_key);
    free(settings->tls_password);
}

const struct cli_setting *cli_setting_find(const char *name)
{
    for (size_t i = 0; i < cli_settings_count; i++) {
        if (strcmp(cli_settings_table[i].name, name) == 0)
            return &cli_settings_table[i];
    }
    return NULL;
}

/* Reverb's path has no leading slash in many a .env file; the library wants "/a/b" or nothing. */
static int set_path(char **path, const char *text, struct cli_error *error)
{
    size_t slash = text[0] != '/';
    char *copy = malloc(slash + strlen(text) + 1);

    if (!copy)
        return cli_fail_no_memory(error);
    copy[0] = '/';
    memcpy(copy + slash, text, strlen(text) + 1);
    for (size_t len = strlen(copy); len > 0 && copy[len - 1] == '/'; len--)
        copy[len - 1] = '\0';
    free(*path);
    *path = copy;
    return 0;
}

static int set_workers(uint32_t *count, const char *source, const char *text,
                       struct cli_error *error)
{
    uint32_t value = 0;

    if (strcmp(text, "auto") == 0)
        value = PUSHERC_WORKERS_PER_CPU;
    else if (!cli_parse_u32(text, &value) || value < 1 || value > PUSHERC_WORKERS_MAX)
        return cli_fail(error, "%s must be a number from 1 to %d, or \"auto\", not \"%.100s\"",
                        source, PUSHERC_WORKERS_MAX, text);
    *count = value;
    return 0;
}

static int set_level(pusherc_log_level *level, const char *source, const char *text,
                     struct cli_error *error)
{
    size_t count = sizeof(level_names) / sizeof(level_names[0]);

    for (size_t i = 0; i < count; i++) {
        if (strcasecmp(text, level_names[i]) == 0) {
            *level = (pusherc_log_level)i;
            return 0;
        }
    }
    return cli_fail(error, "%s must be off, error, warn, info, debug or trace, not \"%.100s\"",
                    source, text);
}

int cli_settings_set(struct cli_settings *settings, const struct cli_setting *setting,
                     const char *source, const char *text, struct cli_error *error)
{
    void *target = (char *)settings + setting->offset;
    uint32_t number = 0;

    switch (setting->kind) {
    case CLI_SETTING_TEXT:
        return cli_set_text(target, text) ? 0 : cli_fail_no_memory(error);
    case CLI_SETTING_PATH:
        return set_path(target, text, error);
    case CLI_SETTING_NUMBER:
        if (!cli_parse_u32(text, &number) || number < setting->min || number > setting->max)
            return cli_fail(error, "%s must be a number from %u to %u, not \"%.100s\"", source,
                            setting->min, setting->max, text);
        *(uint32_t *)target = number;
        return 0;
    case CLI_SETTING_WORKERS:
        return set_workers(target, source, text, error);
    case CLI_SETTING_LOG_LEVEL:
        return set_level(target, source, text, error);
    }
    return cli_fail(error, "%s cannot be set", source);
}

int cli_settings_from_environment(struct cli_settings *settings, struct cli_error *error)
{
    const char *debug = getenv("SOKETI_DEBUG");
    bool verbose = false;

    if (debug && *debug && !cli_parse_switch(debug, &verbose))
        return cli_fail(error, "SOKETI_DEBUG must be true or false, not \"%.100s\"", debug);
    if (verbose)
        settings->server.log_level = PUSHERC_LOG_DEBUG;

    for (size_t i = 0; i < cli_settings_count; i++) {
        const struct cli_setting *setting = &cli_settings_table[i];

        for (size_t j = 0; j < 2 && setting->environment[j]; j++) {
            const char *text = getenv(setting->environment[j]);

            if (!text || !*text)
                continue;
            if (cli_settings_set(settings, setting, setting->environment[j], text, error))
                return -1;
            break;
        }
    }
    return 0;
}

int cli_settings_check(const struct cli_settings *settings, struct cli_error *error)
{
    if (!settings->tls_cert != !settings->tls_key)
        return cli_fail(error, "TLS needs both files: a certificate (--tls-cert) and its key "
                               "(--tls-key)");
    return 0;
}
