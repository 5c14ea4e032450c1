#include "settings.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define DEFAULT_HOST     "127.0.0.1"
#define DEFAULT_PORT     6001
#define DEFAULT_METRICS  9601 /* as in soketi */
#define DEFAULT_GRACE_MS 3000 /* as in soketi */
#define DEFAULT_MODE     0660 /* the library's */
#define MAX_GRACE_MS     86400000

#define AT(member) offsetof(struct cli_settings, member)
#define SERVER_ROW(kind, name, min, max, fallback, words, meaning)                                 \
    {#name, CLI_SETTING_##kind, AT(server.name), min, max, fallback, words, meaning},

/* clang-format off */
const struct cli_setting cli_server_settings[] = {
    {"host", CLI_SETTING_TEXT, AT(host), 0, 0, 0, "", "address to listen on; a name is looked up"},
    {"port", CLI_SETTING_NUMBER, AT(port), 0, 65535, DEFAULT_PORT, "", "port to listen on; 0: the system picks one"},
    {"unix_socket", CLI_SETTING_TEXT, AT(unix_socket), 0, 0, 0, "", "path of a unix socket to listen on as well"},
    {"unix_socket_mode", CLI_SETTING_MODE, AT(unix_socket_mode), 1, 0777, 0, "", "permissions of that socket, in octal"},
    {"workers", CLI_SETTING_WORKERS, AT(server.worker_count), 1, PUSHERC_WORKERS_MAX, 1, "", "threads, 1 to 64, or `auto`: one for each processor"},
    {"log_level", CLI_SETTING_CHOICE, AT(server.log_level), 0, 5, 0, "off|error|warn|info|debug|trace", "`off`, `error`, `warn`, `info`, `debug`, `trace`"},
    {"log_format", CLI_SETTING_CHOICE, AT(log_format), 0, 1, 0, "text|json", "log lines as `text`, or as `json` objects"},
    {"grace_ms", CLI_SETTING_NUMBER, AT(grace_ms), 0, MAX_GRACE_MS, DEFAULT_GRACE_MS, "", "a stop tells the clients in random order over so long"},
    {"tls_cert", CLI_SETTING_TEXT, AT(tls_cert), 0, 0, 0, "", "certificate chain, PEM: then TLS only; FILE,FILE for several names"},
    {"tls_key", CLI_SETTING_TEXT, AT(tls_key), 0, 0, 0, "", "its private key, PEM; several in the order of the certificates"},
    {"tls_password", CLI_SETTING_SECRET, AT(tls_password), 0, 0, 0, "", "password of the key"},
    {"redis", CLI_SETTING_SECRET, AT(redis), 0, 0, 0, "", "URL of a Redis that links several servers, redis://[user:password@]host[:port][/db]"},
    {"redis_prefix", CLI_SETTING_TEXT, AT(redis_prefix), 0, 0, 0, "", "what the names of keys and topics begin with; default `pusherc:`"},
    {"redis_ca_file", CLI_SETTING_TEXT, AT(redis_ca_file), 0, 0, 0, "", "PEM file of the authorities that a Redis with `rediss://` is trusted by, `laravel_redis` as well; by default the system's"},
    {"redis_timeout_ms", CLI_SETTING_NUMBER, AT(redis_timeout_ms), 100, 600000, 5000, "", "a Redis that does not answer for so long is given up, and connected anew"},
    {"laravel_redis", CLI_SETTING_SECRET, AT(laravel_redis), 0, 0, 0, "", "URL of the Redis in which a Laravel application publishes; the first app gets its events"},
    {"laravel_redis_prefix", CLI_SETTING_TEXT, AT(laravel_redis_prefix), 0, 0, 0, "", "what the application puts before the names of channels; default: what Laravel makes of `laravel_app_name`, older releases included"},
    {"laravel_app_name", CLI_SETTING_TEXT, AT(laravel_app_name), 0, 0, 0, "", "the application's `APP_NAME`; default `laravel`"},
    {"cluster_lease_ms", CLI_SETTING_NUMBER, AT(cluster.lease_ms), 300, 3600000, 10000, "", "a server that the others have not heard of for so long is dead; three renewals at least, and the same on all servers, like the next three"},
    {"cluster_renew_ms", CLI_SETTING_NUMBER, AT(cluster.renew_ms), 100, 1200000, 3000, "", "a server says so often that it lives"},
    {"cluster_settle_ms", CLI_SETTING_NUMBER, AT(cluster.settle_ms), 101, 3600000, 5000, "", "after Redis lost data no member leaves for so long; more than one renewal"},
    {"cluster_join_wait_ms", CLI_SETTING_NUMBER, AT(cluster.join_wait_ms), 1, 600000, 2000, "", "without Redis a subscribe waits so long, and is then answered with what this server knows"},
    {"cluster_stale_reads", CLI_SETTING_FLAG, AT(cluster.stale_reads), 0, 1, 0, "", "without Redis the HTTP API answers with what this server knows; else with 503"},
    {"cluster_ready_needs_link", CLI_SETTING_FLAG, AT(cluster.ready_needs_link), 0, 1, 0, "", "without Redis `/ready` answers 503; else 200, and says `degraded`"},
    {"cluster_close_after_ms", CLI_SETTING_NUMBER, AT(cluster.close_after_ms), 0, 86400000, 0, "", "without Redis for so long the server closes its clients with 4200 and refuses new ones with 4100, until Redis is back; 0: it keeps them"},
    {"metrics", CLI_SETTING_FLAG, AT(metrics), 0, 1, 0, "", "serve pages for operators on a port of their own"},
    {"metrics_host", CLI_SETTING_TEXT, AT(metrics_host), 0, 0, 0, "", "address of that port"},
    {"metrics_port", CLI_SETTING_NUMBER, AT(metrics_port), 0, 65535, DEFAULT_METRICS, "", "number of that port; 0: the system picks one"},
    {"webhook_batching", CLI_SETTING_FLAG, AT(webhook_batching), 0, 1, 0, "", "gather events for one webhook endpoint; else each is sent by itself"},
    {"forward", CLI_SETTING_SECRET, AT(forward), 0, 0, 0, "", "another server that gets the first app's events over HTTP as well"},
    PUSHERC_SERVER_SETTING_MAP(SERVER_ROW)
};

#undef AT
#define AT(member) offsetof(pusherc_app_options, member)
#define APP_ROW(kind, name, min, max, fallback, words, meaning) APP_##kind(kind, name, min, max, fallback, words, meaning)
#define APP(kind, name, min, max, fallback, words, meaning) {#name, CLI_SETTING_##kind, AT(name), min, max, fallback, words, meaning},
#define APP_TEXT(...) /* struct cli_app owns the texts */
#define APP_SECRET(...)
#define APP_FLAG   APP
#define APP_CHOICE APP
#define APP_NUMBER APP
#define APP_LIMIT  APP
#define APP_DELAY  APP

const struct cli_setting cli_app_settings[] = {
    PUSHERC_APP_SETTING_MAP(APP_ROW)
};
/* clang-format on */
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
const size_t cli_server_setting_count = COUNT(cli_server_settings);
const size_t cli_app_setting_count = COUNT(cli_app_settings);

void cli_settings_init(struct cli_settings *settings)
{
    *settings = (struct cli_settings){.port = DEFAULT_PORT,
                                      .metrics = true,
                                      .webhook_batching = true,
                                      .metrics_port = CLI_NO_PORT,
                                      .grace_ms = DEFAULT_GRACE_MS};
    pusherc_server_options_init(&settings->server, sizeof settings->server);
    pusherc_cluster_options_init(&settings->cluster, sizeof settings->cluster);
    settings->server.log_level = PUSHERC_LOG_INFO;
}

/* True if the setting is a pointer to an owned text. */
static bool is_text(const struct cli_setting *setting)
{
    return setting->kind == CLI_SETTING_TEXT || setting->kind == CLI_SETTING_SECRET ||
           setting->kind == CLI_SETTING_PATH;
}

void cli_settings_free(struct cli_settings *settings)
{
    for (size_t i = 0; i < cli_server_setting_count; i++) {
        void *text = (char *)settings + cli_server_settings[i].offset;
        if (is_text(&cli_server_settings[i]))
            free((char *)*(const char **)text);
    }
    cli_rules_free(&settings->rules);
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

static int set_text(const char **target, const char *text, struct cli_error *error)
{
    char *copy = strdup(text);

    if (!copy)
        return cli_fail_no_memory(error);
    free((char *)*target);
    *target = copy;
    return 0;
}

/* Turns a path into the form that the library takes, "/a/b" or nothing: many .env files omit the leading slash. */
static int set_path(const char **path, const char *text, struct cli_error *error)
{
    size_t slash = text[0] != '/';
    char *copy = malloc(slash + strlen(text) + 1);

    if (!copy)
        return cli_fail_no_memory(error);
    copy[0] = '/';
    memcpy(copy + slash, text, strlen(text) + 1);
    for (size_t len = strlen(copy); len > 0 && copy[len - 1] == '/'; len--)
        copy[len - 1] = '\0';
    free((char *)*path);
    *path = copy;
    return 0;
}

static int set_flag(bool *flag, const char *source, const char *text, struct cli_error *error)
{
    return cli_parse_switch(text, flag)
               ? 0
               : cli_fail(error, "%s must be true or false, not \"%.100s\"", source, text);
}

static void put_number(void *target, const struct cli_setting *setting, uint64_t number)
{
    if (setting->kind == CLI_SETTING_BIG)
        *(uint64_t *)target = number;
    else
        *(uint32_t *)target = (uint32_t)number;
}

static int set_number(void *target, const struct cli_setting *setting, const char *source,
                      uint32_t unit, const char *text, struct cli_error *error)
{
    bool limit = setting->kind == CLI_SETTING_LIMIT;
    uint64_t value = 0, min = (setting->min + unit - 1) / unit, max = setting->max / unit;

    if (limit && strcmp(text, "-1") == 0) {
        put_number(target, setting, PUSHERC_NO_LIMIT);
        return 0;
    }
    if (cli_parse_number(text, &value) && value >= min && value <= max) {
        bool none = value == 0 && setting->kind == CLI_SETTING_DELAY;
        put_number(target, setting, none ? PUSHERC_NO_DELAY : value * unit);
        return 0;
    }
    if (limit && setting->max == PUSHERC_NO_LIMIT - 1)
        return cli_fail(error, "%s must be a number from %llu, or -1 for no limit, not \"%.100s\"",
                        source, (unsigned long long)min, text);
    return cli_fail(error, "%s must be a number from %llu to %llu%s, not \"%.100s\"", source,
                    (unsigned long long)min, (unsigned long long)max,
                    limit ? ", or -1 for no limit" : "", text);
}

static int set_mode(uint32_t *mode, const struct cli_setting *setting, const char *source,
                    const char *text, struct cli_error *error)
{
    char *end;
    unsigned long value = strtoul(text, &end, 8);

    if (strspn(text, "01234567") != strlen(text) || *end || value < setting->min ||
        value > setting->max)
        return cli_fail(error, "%s must be permissions in octal, such as 660, not \"%.100s\"",
                        source, text);
    *mode = (uint32_t)value;
    return 0;
}

static int set_workers(uint32_t *count, const char *source, const char *text,
                       struct cli_error *error)
{
    uint64_t value = 0;

    if (strcmp(text, "auto") == 0)
        value = PUSHERC_WORKERS_PER_CPU;
    else if (!cli_parse_number(text, &value) || value < 1 || value > PUSHERC_WORKERS_MAX)
        return cli_fail(error, "%s must be a number from 1 to %d, or \"auto\", not \"%.100s\"",
                        source, PUSHERC_WORKERS_MAX, text);
    *count = (uint32_t)value;
    return 0;
}

/* Cuts the first word from a list such as "one|two|three" and returns its length. 0: the list is empty. */
static size_t next_word(const char **words, const char **word)
{
    size_t len = strcspn(*words, "|");

    *word = *words;
    *words += len + ((*words)[len] == '|');
    return len;
}

static int refuse_word(const char *words, const char *source, const char *text,
                       struct cli_error *error)
{
    char all[100] = "";
    const char *word;
    size_t word_len;

    for (size_t len = 0; (word_len = next_word(&words, &word)) > 0 && len < sizeof all;) {
        const char *before = len == 0 ? "" : *words ? ", " : " or ";
        len += (size_t)snprintf(all + len, sizeof all - len, "%s%.*s", before, (int)word_len, word);
    }
    return cli_fail(error, "%s must be %s, not \"%.100s\"", source, all, text);
}

static int set_choice(int *choice, const char *words, const char *source, const char *text,
                      struct cli_error *error)
{
    const char *rest = words, *word;
    size_t len;

    for (int i = 0; (len = next_word(&rest, &word)) > 0; i++) {
        if (len == strlen(text) && strncasecmp(text, word, len) == 0) {
            *choice = i;
            return 0;
        }
    }
    return refuse_word(words, source, text, error);
}

int cli_setting_set(void *in, const struct cli_setting *setting, const char *source, uint32_t unit,
                    const char *text, struct cli_error *error)
{
    void *target = (char *)in + setting->offset;

    switch (setting->kind) {
    case CLI_SETTING_TEXT:
    case CLI_SETTING_SECRET:
        return set_text(target, text, error);
    case CLI_SETTING_PATH:
        return set_path(target, text, error);
    case CLI_SETTING_FLAG:
        return set_flag(target, source, text, error);
    case CLI_SETTING_NUMBER:
    case CLI_SETTING_LIMIT:
    case CLI_SETTING_DELAY:
    case CLI_SETTING_BIG:
        return set_number(target, setting, source, unit, text, error);
    case CLI_SETTING_MODE:
        return set_mode(target, setting, source, text, error);
    case CLI_SETTING_WORKERS:
        return set_workers(target, source, text, error);
    case CLI_SETTING_CHOICE: /* an enum has the size of an int */
        return set_choice(target, setting->words, source, text, error);
    }
    return cli_fail(error, "%s cannot be set", source);
}

static void print_number(FILE *file, const struct cli_setting *setting, uint64_t number)
{
    if (number == 0 && (setting->min > 0 || setting->kind == CLI_SETTING_DELAY))
        number = setting->fallback;
    if (number == 0 && setting->min > 0) /* it follows something else */
        (void)fputs("null", file);
    else if (setting->kind == CLI_SETTING_LIMIT && number == PUSHERC_NO_LIMIT)
        (void)fputs("-1", file);
    else if (setting->kind == CLI_SETTING_DELAY && number == PUSHERC_NO_DELAY)
        (void)fputs("0", file);
    else if (setting->kind == CLI_SETTING_WORKERS && number == PUSHERC_WORKERS_PER_CPU)
        (void)fputs("\"auto\"", file);
    else
        (void)fprintf(file, "%llu", (unsigned long long)number);
}

static void print_choice(FILE *file, const char *words, int choice)
{
    const char *word = words;
    size_t len = next_word(&words, &word);

    for (; choice > 0; choice--)
        len = next_word(&words, &word);
    (void)fprintf(file, "\"%.*s\"", (int)len, word);
}

void cli_setting_print(FILE *file, const void *in, const struct cli_setting *setting)
{
    const void *source = (const char *)in + setting->offset;

    switch (setting->kind) {
    case CLI_SETTING_TEXT:
    case CLI_SETTING_PATH:
        cli_print_json_text(file, *(const char *const *)source);
        return;
    case CLI_SETTING_SECRET:
        (void)fputs(*(const char *const *)source ? "\"(not shown)\"" : "null", file);
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
    case CLI_SETTING_MODE: {
        uint32_t mode = *(const uint32_t *)source;
        (void)fprintf(file, "\"%03o\"", (unsigned)(mode ? mode : DEFAULT_MODE));
        return;
    }
    case CLI_SETTING_BIG:
        print_number(file, setting, *(const uint64_t *)source);
        return;
    case CLI_SETTING_CHOICE:
        print_choice(file, setting->words, *(const int *)source);
        return;
    }
}

int cli_settings_complete(struct cli_settings *settings, struct cli_error *error)
{
    if ((!settings->host && set_text(&settings->host, DEFAULT_HOST, error)) ||
        (!settings->metrics_host && set_text(&settings->metrics_host, DEFAULT_HOST, error)))
        return -1;
    settings->metrics_port_chosen = settings->metrics_port != CLI_NO_PORT;
    if (!settings->metrics_port_chosen)
        settings->metrics_port = DEFAULT_METRICS;
    if (!settings->webhook_batching)
        settings->server.webhook_batch_ms = PUSHERC_NO_DELAY;
    if (settings->unix_socket && settings->unix_socket[0] != '/')
        return cli_fail(error, "unix_socket must be a path from / on, not \"%.100s\"",
                        settings->unix_socket);
    if (!settings->tls_cert != !settings->tls_key)
        return cli_fail(error, "TLS needs both files: a certificate (--tls-cert) and its key "
                               "(--tls-key)");
    return 0;
}
