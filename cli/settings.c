#include "settings.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define DEFAULT_HOST     "127.0.0.1"
#define DEFAULT_PORT     6001
#define DEFAULT_METRICS  9601 /* soketi's */
#define DEFAULT_GRACE_MS 3000 /* soketi's */
#define MAX_TIME_MS      86400000
#define MAX_BYTES        1073741824

#define AT(member) offsetof(struct cli_settings, member)
#define NO_LIMIT   PUSHERC_NO_LIMIT

/* clang-format off */
const struct cli_setting cli_server_settings[] = {
    {"host", CLI_SETTING_TEXT, AT(host), 0, 0, 0},
    {"port", CLI_SETTING_NUMBER, AT(port), 0, 65535, DEFAULT_PORT},
    {"workers", CLI_SETTING_WORKERS, AT(server.worker_count), 1, PUSHERC_WORKERS_MAX, 1},
    {"path_prefix", CLI_SETTING_PATH, AT(path_prefix), 0, 0, 0},
    {"log_level", CLI_SETTING_LOG_LEVEL, AT(server.log_level), 0, 0, 0},
    {"grace_ms", CLI_SETTING_NUMBER, AT(grace_ms), 0, MAX_TIME_MS, DEFAULT_GRACE_MS},
    {"tls_cert", CLI_SETTING_TEXT, AT(tls_cert), 0, 0, 0},
    {"tls_key", CLI_SETTING_TEXT, AT(tls_key), 0, 0, 0},
    {"tls_password", CLI_SETTING_SECRET, AT(tls_password), 0, 0, 0},
    {"max_connections", CLI_SETTING_LIMIT, AT(server.max_connections), 1, UINT32_MAX - 1, NO_LIMIT},
    {"max_frame_bytes", CLI_SETTING_NUMBER, AT(server.max_frame_bytes), 1, MAX_BYTES, 65536},
    {"max_http_body_bytes", CLI_SETTING_NUMBER, AT(server.max_http_body_bytes), 1, MAX_BYTES, 1048576},
    {"max_http_head_bytes", CLI_SETTING_NUMBER, AT(server.max_http_head_bytes), 1, MAX_BYTES, 16384},
    {"handshake_timeout_ms", CLI_SETTING_NUMBER, AT(server.handshake_timeout_ms), 1, MAX_TIME_MS, 10000},
    {"request_timeout_ms", CLI_SETTING_NUMBER, AT(server.request_timeout_ms), 1, MAX_TIME_MS, 30000},
    {"keep_alive_ms", CLI_SETTING_NUMBER, AT(server.keep_alive_ms), 1, MAX_TIME_MS, 75000},
    {"pong_timeout_ms", CLI_SETTING_NUMBER, AT(server.pong_timeout_ms), 1, MAX_TIME_MS, 30000},
    {"close_timeout_ms", CLI_SETTING_NUMBER, AT(server.close_timeout_ms), 1, MAX_TIME_MS, 3000},
    {"out_soft_bytes", CLI_SETTING_NUMBER, AT(server.out_soft_bytes), 1, MAX_BYTES, 262144},
    {"out_soft_ms", CLI_SETTING_NUMBER, AT(server.out_soft_ms), 1, MAX_TIME_MS, 10000},
    {"out_hard_bytes", CLI_SETTING_NUMBER, AT(server.out_hard_bytes), 1, MAX_BYTES, 1048576},
    {"max_cache_bytes", CLI_SETTING_BIG, AT(server.max_cache_bytes), 1, UINT32_MAX, 67108864},
    {"mailbox_max_messages", CLI_SETTING_NUMBER, AT(server.mailbox_max_messages), 1, MAX_BYTES, 65536},
    {"http_error_format", CLI_SETTING_FORMAT, AT(server.http_error_format), 0, 0, 0},
    {"idempotency_ms", CLI_SETTING_NUMBER, AT(server.idempotency_ms), 1, MAX_TIME_MS, 120000},
    {"idempotency_max_bytes", CLI_SETTING_NUMBER, AT(server.idempotency_max_bytes), 1, MAX_BYTES, 4194304},
    {"max_auth_skew_s", CLI_SETTING_NUMBER, AT(server.max_auth_skew_s), 1, MAX_TIME_MS, 600},
    {"proxy_count", CLI_SETTING_NUMBER, AT(server.proxy_count), 0, 100, 0},
    {"metrics", CLI_SETTING_FLAG, AT(metrics), 0, 0, 0},
    {"metrics_host", CLI_SETTING_TEXT, AT(metrics_host), 0, 0, 0},
    {"metrics_port", CLI_SETTING_NUMBER, AT(metrics_port), 0, 65535, 0},
    {"metrics_prefix", CLI_SETTING_TEXT, AT(metrics_prefix), 0, 0, 0},
    {"accept_traffic_percent", CLI_SETTING_NUMBER, AT(server.accept_traffic_percent), 1, 100, 85},
    {"webhook_batching", CLI_SETTING_FLAG, AT(webhook_batching), 0, 0, 0},
    {"webhook_batch_ms", CLI_SETTING_DELAY, AT(server.webhook_batch_ms), 0, MAX_TIME_MS, 250},
    {"webhook_batch_events", CLI_SETTING_NUMBER, AT(server.webhook_batch_events), 1, PUSHERC_MAX_WEBHOOK_EVENTS, 20},
    {"webhook_delay_ms", CLI_SETTING_DELAY, AT(server.webhook_delay_ms), 0, MAX_TIME_MS, 3000},
    {"webhook_timeout_ms", CLI_SETTING_NUMBER, AT(server.webhook_timeout_ms), 1, MAX_TIME_MS, 10000},
    {"webhook_retry_ms", CLI_SETTING_DELAY, AT(server.webhook_retry_ms), 0, MAX_TIME_MS, 300000},
    {"webhook_max_queued", CLI_SETTING_NUMBER, AT(server.webhook_max_queued), 1, MAX_BYTES, 10000},
    {"webhook_ca_file", CLI_SETTING_TEXT, AT(webhook_ca_file), 0, 0, 0},
};

#undef AT
#define AT(member) offsetof(pusherc_app_options, member)

const struct cli_setting cli_app_settings[] = {
    {"disabled", CLI_SETTING_FLAG, AT(disabled), 0, 0, 0},
    {"tls_only", CLI_SETTING_FLAG, AT(tls_only), 0, 0, 0},
    {"client_events", CLI_SETTING_FLAG, AT(client_events), 0, 0, 0},
    {"strict_user_info", CLI_SETTING_FLAG, AT(strict_user_info), 0, 0, 0},
    {"allow_missing_protocol", CLI_SETTING_FLAG, AT(allow_missing_protocol), 0, 0, 0},
    {"user_authentication", CLI_SETTING_FLAG, AT(user_authentication), 0, 0, 0},
    {"user_authentication_timeout_ms", CLI_SETTING_NUMBER, AT(user_authentication_timeout_ms), 1, MAX_TIME_MS, 30000},
    {"subscription_count_events", CLI_SETTING_FLAG, AT(subscription_count_events), 0, 0, 0},
    {"watchlist_events", CLI_SETTING_FLAG, AT(watchlist_events), 0, 0, 0},
    {"offline_delay_ms", CLI_SETTING_DELAY, AT(offline_delay_ms), 0, MAX_TIME_MS, 3000},
    {"terminate_matches_presence", CLI_SETTING_FLAG, AT(terminate_matches_presence), 0, 0, 0},
    {"jsonp", CLI_SETTING_FLAG, AT(jsonp), 0, 0, 0},
    {"slow_policy", CLI_SETTING_POLICY, AT(slow_policy), 0, 0, 0},
    {"activity_timeout_ms", CLI_SETTING_NUMBER, AT(activity_timeout_ms), 1000, MAX_TIME_MS, 120000},
    {"cache_ttl_s", CLI_SETTING_NUMBER, AT(cache_ttl_s), 1, MAX_TIME_MS, 1800},
    {"max_connections", CLI_SETTING_LIMIT, AT(max_connections), 1, UINT32_MAX - 1, NO_LIMIT},
    {"max_connections_per_user", CLI_SETTING_LIMIT, AT(max_connections_per_user), 1, UINT32_MAX - 1, NO_LIMIT},
    {"max_connections_per_ip", CLI_SETTING_LIMIT, AT(max_connections_per_ip), 1, UINT32_MAX - 1, NO_LIMIT},
    {"max_channels_per_connection", CLI_SETTING_LIMIT, AT(max_channels_per_connection), 1, UINT32_MAX - 1, 1000},
    {"max_client_events_per_s", CLI_SETTING_LIMIT, AT(max_client_events_per_s), 1, UINT32_MAX - 1, 10},
    {"max_backend_events_per_s", CLI_SETTING_LIMIT, AT(max_backend_events_per_s), 1, UINT32_MAX - 1, NO_LIMIT},
    {"max_read_requests_per_s", CLI_SETTING_LIMIT, AT(max_read_requests_per_s), 1, UINT32_MAX - 1, NO_LIMIT},
    {"max_channel_name_bytes", CLI_SETTING_NUMBER, AT(max_channel_name_bytes), 1, 200, 200},
    {"max_event_name_bytes", CLI_SETTING_LIMIT, AT(max_event_name_bytes), 1, MAX_BYTES, 200},
    {"max_event_payload_bytes", CLI_SETTING_LIMIT, AT(max_event_payload_bytes), 1, MAX_BYTES, 10240},
    {"max_event_channels", CLI_SETTING_NUMBER, AT(max_event_channels), 1, 100, 100},
    {"max_batch_events", CLI_SETTING_NUMBER, AT(max_batch_events), 1, 10, 10},
    {"max_presence_members", CLI_SETTING_LIMIT, AT(max_presence_members), 1, MAX_BYTES, 100},
    {"max_user_info_bytes", CLI_SETTING_LIMIT, AT(max_user_info_bytes), 1, MAX_BYTES, 2048},
    {"max_watchlist_users", CLI_SETTING_NUMBER, AT(max_watchlist_users), 1, 100, 100},
};
/* clang-format on */
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
const size_t cli_server_setting_count = COUNT(cli_server_settings);
const size_t cli_app_setting_count = COUNT(cli_app_settings);

/* The words of an enum, in its order. */
struct words {
    const char *list[7]; /* NULL behind the last one */
    const char *all;
};

static const struct words level_words = {{"off", "error", "warn", "info", "debug", "trace"},
                                         "off, error, warn, info, debug or trace"};
static const struct words policy_words = {{"close", "drop"}, "close or drop"};
static const struct words format_words = {{"text", "json"}, "text or json"};

/* NULL: not a setting of words. */
static const struct words *words_of(const struct cli_setting *setting)
{
    return setting->kind == CLI_SETTING_LOG_LEVEL ? &level_words
           : setting->kind == CLI_SETTING_POLICY  ? &policy_words
           : setting->kind == CLI_SETTING_FORMAT  ? &format_words
                                                  : NULL;
}

void cli_settings_init(struct cli_settings *settings)
{
    *settings = (struct cli_settings){.port = DEFAULT_PORT,
                                      .metrics = true,
                                      .webhook_batching = true,
                                      .metrics_port = CLI_NO_PORT,
                                      .grace_ms = DEFAULT_GRACE_MS};
    pusherc_server_options_init(&settings->server, sizeof settings->server);
    settings->server.log_level = PUSHERC_LOG_INFO;
}

void cli_settings_free(struct cli_settings *settings)
{
    free(settings->host);
    free(settings->path_prefix);
    free(settings->tls_cert);
    free(settings->tls_key);
    free(settings->tls_password);
    free(settings->metrics_host);
    free(settings->metrics_prefix);
    free(settings->webhook_ca_file);
}

static const struct cli_setting *find(const struct cli_setting *table, size_t count,
                                      const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(table[i].name, name) == 0)
            return &table[i];
    }
    return NULL;
}

const struct cli_setting *cli_server_setting(const char *name)
{
    return find(cli_server_settings, cli_server_setting_count, name);
}

const struct cli_setting *cli_app_setting(const char *name)
{
    return find(cli_app_settings, cli_app_setting_count, name);
}

bool cli_setting_is_number(const struct cli_setting *setting)
{
    return setting->kind == CLI_SETTING_LIMIT || setting->kind == CLI_SETTING_DELAY ||
           (setting->kind == CLI_SETTING_NUMBER && setting->min > 0);
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

static int set_flag(bool *flag, const char *source, const char *text, struct cli_error *error)
{
    return cli_parse_switch(text, flag)
               ? 0
               : cli_fail(error, "%s must be true or false, not \"%.100s\"", source, text);
}

static int set_number(uint32_t *number, const struct cli_setting *setting, const char *source,
                      uint32_t unit, const char *text, struct cli_error *error)
{
    bool limit = setting->kind == CLI_SETTING_LIMIT;
    uint32_t value = 0, min = (setting->min + unit - 1) / unit, max = setting->max / unit;

    if (limit && strcmp(text, "-1") == 0) {
        *number = PUSHERC_NO_LIMIT;
        return 0;
    }
    if (cli_parse_u32(text, &value) && value >= min && value <= max) {
        bool none = value == 0 && setting->kind == CLI_SETTING_DELAY;
        *number = none ? PUSHERC_NO_DELAY : value * unit;
        return 0;
    }
    if (limit && setting->max == UINT32_MAX - 1)
        return cli_fail(error, "%s must be a number from %u, or -1 for no limit, not \"%.100s\"",
                        source, min, text);
    return cli_fail(error, "%s must be a number from %u to %u%s, not \"%.100s\"", source, min, max,
                    limit ? ", or -1 for no limit" : "", text);
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

static int set_big(uint64_t *number, const struct cli_setting *setting, const char *source,
                   uint32_t unit, const char *text, struct cli_error *error)
{
    uint32_t value = 0;

    if (!cli_parse_u32(text, &value) || value < setting->min || value > setting->max)
        return cli_fail(error, "%s must be a number from %u to %u, not \"%.100s\"", source,
                        setting->min, setting->max, text);
    *number = (uint64_t)value * unit;
    return 0;
}

static int set_word(void *target, const struct words *words, const char *source, const char *text,
                    struct cli_error *error)
{
    for (int i = 0; words->list[i]; i++) {
        if (strcasecmp(text, words->list[i]) == 0) {
            memcpy(target, &i, sizeof(i)); /* an enum: as large as an int */
            return 0;
        }
    }
    return cli_fail(error, "%s must be %s, not \"%.100s\"", source, words->all, text);
}

int cli_setting_set(void *in, const struct cli_setting *setting, const char *source, uint32_t unit,
                    const char *text, struct cli_error *error)
{
    void *target = (char *)in + setting->offset;

    switch (setting->kind) {
    case CLI_SETTING_TEXT:
    case CLI_SETTING_SECRET:
        return cli_set_text(target, text) ? 0 : cli_fail_no_memory(error);
    case CLI_SETTING_PATH:
        return set_path(target, text, error);
    case CLI_SETTING_FLAG:
        return set_flag(target, source, text, error);
    case CLI_SETTING_NUMBER:
    case CLI_SETTING_LIMIT:
    case CLI_SETTING_DELAY:
        return set_number(target, setting, source, unit, text, error);
    case CLI_SETTING_WORKERS:
        return set_workers(target, source, text, error);
    case CLI_SETTING_BIG:
        return set_big(target, setting, source, unit, text, error);
    case CLI_SETTING_LOG_LEVEL:
    case CLI_SETTING_POLICY:
    case CLI_SETTING_FORMAT:
        return set_word(target, words_of(setting), source, text, error);
    }
    return cli_fail(error, "%s cannot be set", source);
}

static void print_number(FILE *file, const struct cli_setting *setting, uint32_t number)
{
    if (number == 0 && (cli_setting_is_number(setting) || setting->kind == CLI_SETTING_WORKERS))
        number = setting->fallback;
    if (setting->kind == CLI_SETTING_LIMIT && number == PUSHERC_NO_LIMIT)
        (void)fputs("-1", file);
    else if (setting->kind == CLI_SETTING_DELAY && number == PUSHERC_NO_DELAY)
        (void)fputs("0", file);
    else if (setting->kind == CLI_SETTING_WORKERS && number == PUSHERC_WORKERS_PER_CPU)
        (void)fputs("\"auto\"", file);
    else
        (void)fprintf(file, "%u", number);
}

void cli_setting_print(FILE *file, const void *in, const struct cli_setting *setting)
{
    const void *source = (const char *)in + setting->offset;

    switch (setting->kind) {
    case CLI_SETTING_TEXT:
    case CLI_SETTING_PATH:
        cli_print_json_text(file, *(char *const *)source);
        return;
    case CLI_SETTING_SECRET:
        (void)fputs(*(char *const *)source ? "\"(not shown)\"" : "null", file);
        return;
    case CLI_SETTING_FLAG:
        (void)fputs(*(const bool *)source ? "true" : "false", file);
        return;
    case CLI_SETTING_NUMBER:
    case CLI_SETTING_LIMIT:
    case CLI_SETTING_DELAY:
    case CLI_SETTING_WORKERS:
        print_number(file, setting, *(const uint32_t *)source);
        return;
    case CLI_SETTING_BIG: {
        uint64_t number = *(const uint64_t *)source;
        (void)fprintf(file, "%llu", (unsigned long long)(number ? number : setting->fallback));
        return;
    }
    case CLI_SETTING_LOG_LEVEL:
    case CLI_SETTING_POLICY:
    case CLI_SETTING_FORMAT:
        cli_print_json_text(file, words_of(setting)->list[*(const int *)source]);
        return;
    }
}

int cli_settings_complete(struct cli_settings *settings, struct cli_error *error)
{
    if ((!settings->host && !cli_set_text(&settings->host, DEFAULT_HOST)) ||
        (!settings->metrics_host && !cli_set_text(&settings->metrics_host, DEFAULT_HOST)))
        return cli_fail_no_memory(error);
    settings->metrics_port_chosen = settings->metrics_port != CLI_NO_PORT;
    if (!settings->metrics_port_chosen)
        settings->metrics_port = DEFAULT_METRICS;
    if (!settings->webhook_batching)
        settings->server.webhook_batch_ms = PUSHERC_NO_DELAY;
    if (!settings->tls_cert != !settings->tls_key)
        return cli_fail(error, "TLS needs both files: a certificate (--tls-cert) and its key "
                               "(--tls-key)");
    return 0;
}
