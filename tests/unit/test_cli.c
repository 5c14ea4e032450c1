/* The program's options, settings, environment names and config file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "apps.h"
#include "channel/apps.h"
#include "config.h"
#include "dotenv.h"
#include "environment.h"
#include "histogram.h"
#include "notify.h"
#include "options.h"
#include "server/options.h"
#include "settings.h"
#include "target.h"

static const struct cli_option options[] = {
    {"port", "N", "a port"},
    {"client-events", NULL, "a switch"},
    {"log-level", "LEVEL", "a level"},
};

/* Read all words; "name=value name ..." in `out`, or the error's sentence. */
static void read_words(char **words, char *out, size_t cap)
{
    struct cli_option_reader reader = {.options = options, .option_count = 3, .arguments = words};
    struct cli_error error;
    size_t index, len = 0;
    const char *value;
    int status;

    out[0] = '\0';
    while ((status = cli_options_next(&reader, &index, &value, &error)) > 0)
        len += (size_t)snprintf(out + len, cap - len, "%s%s%s ", options[index].name,
                                value ? "=" : "", value ? value : "");
    if (status < 0)
        (void)snprintf(out, cap, "%s", error.text);
}

static void options_are_read_or_refused_in_one_sentence(void **state)
{
    static const struct {
        const char *words[4];
        const char *expected;
    } cases[] = {
        {{NULL}, ""},
        {{"--port", "6001", "--client-events"}, "port=6001 client-events "},
        {{"--port=6001"}, "port=6001 "},
        {{"--port", "-1"}, "port=-1 "},
        {{"--port", "1", "--port=2"}, "port=1 port=2 "},
        {{"--port"}, "--port needs a value: --port N"},
        {{"--port="}, "--port needs a value: --port N"},
        {{"--port", "--client-events"}, "--port needs a value: --port N"},
        {{"--client-events=yes"}, "--client-events takes no value"},
        {{"--prot", "6001"}, "unknown option --prot; did you mean --port?"},
        {{"--loglevel=debug"}, "unknown option --loglevel; did you mean --log-level?"},
        {{"--client_events"}, "unknown option --client_events; did you mean --client-events?"},
        {{"--por"}, "unknown option --por; did you mean --port?"},
        {{"--frobnicate"}, "unknown option --frobnicate; --help lists the options"},
        {{"6001"}, "unexpected argument \"6001\"; options begin with --"},
        {{"--"}, "unexpected argument \"--\"; options begin with --"},
        {{"-p"}, "unexpected argument \"-p\"; options begin with --"},
        {{""}, "unexpected argument \"\"; options begin with --"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *words[5] = {NULL};
        char out[700];

        for (size_t j = 0; j < 4 && cases[i].words[j]; j++)
            words[j] = strdup(cases[i].words[j]);
        read_words(words, out, sizeof out);
        assert_string_equal(out, cases[i].expected);
        for (size_t j = 0; words[j]; j++)
            free(words[j]);
    }
}

static void nearest_word_is_near(void **state)
{
    static const char *const known[] = {"host", "port", "path_prefix", "max_http_body_bytes"};
    static const struct {
        const char *word, *expected;
    } cases[] = {
        {"hsot", "host"},
        {"ports", "port"},
        {"path-prefix", "path_prefix"},
        {"pathprefix", "path_prefix"},
        {"max_http_bytes", NULL},
        {"max_http_body", NULL},
        {"max_http_body_byte", "max_http_body_bytes"},
        {"zzzz", NULL},
        {"", NULL},
    };
    char huge[5000];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *nearest = cli_nearest(cases[i].word, known, 4);
        if (cases[i].expected) {
            assert_non_null(nearest);
            assert_string_equal(nearest, cases[i].expected);
        } else if (nearest) {
            /* within a third of its letters, or it is no slip */
            assert_true(strlen(cases[i].word) >= 12);
        }
    }
    memset(huge, 'a', sizeof huge - 1);
    huge[sizeof huge - 1] = '\0';
    assert_null(cli_nearest(huge, known, 4));
}

static void settings_of_every_source_are_checked_alike(void **state)
{
    static const struct {
        const char *name, *text, *expected; /* NULL = taken */
    } cases[] = {
        {"port", "0", NULL},
        {"port", "65535", NULL},
        {"port", "65536", "x must be a number from 0 to 65535, not \"65536\""},
        {"port", "-1", "x must be a number from 0 to 65535, not \"-1\""},
        {"port", "6001 ", "x must be a number from 0 to 65535, not \"6001 \""},
        {"port", "", "x must be a number from 0 to 65535, not \"\""},
        {"port", "99999999999999999999",
         "x must be a number from 0 to 65535, not \"99999999999999999999\""},
        {"port", "tcp://10.0.0.1:6001",
         "x must be a number from 0 to 65535, not \"tcp://10.0.0.1:6001\""},
        {"workers", "64", NULL},
        {"workers", "auto", NULL},
        {"workers", "0", "x must be a number from 1 to 64, or \"auto\", not \"0\""},
        {"workers", "65", "x must be a number from 1 to 64, or \"auto\", not \"65\""},
        {"log_level", "TRACE", NULL},
        {"log_level", "loud", "x must be off, error, warn, info, debug or trace, not \"loud\""},
        {"max_frame_bytes", "0", "x must be a number from 1 to 1073741824, not \"0\""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct cli_settings settings;
        struct cli_error error = {""};

        cli_settings_init(&settings);
        int status = cli_setting_set(&settings, cli_server_setting(cases[i].name), "x", 1,
                                     cases[i].text, &error);
        assert_int_equal(status, cases[i].expected ? -1 : 0);
        assert_string_equal(error.text, cases[i].expected ? cases[i].expected : "");
        cli_settings_free(&settings);
    }
}

/* --check and the documents say them; the library has them. */
static void defaults_are_those_of_the_library(void **state)
{
    static const struct {
        const char *name;
        size_t offset;
    } copied[] = {
#define LIMIT(name) {#name, offsetof(pusherc_server_options, name)}
        LIMIT(max_connections),        LIMIT(max_frame_bytes),      LIMIT(max_http_body_bytes),
        LIMIT(max_http_head_bytes),    LIMIT(handshake_timeout_ms), LIMIT(pong_timeout_ms),
        LIMIT(close_timeout_ms),       LIMIT(out_soft_bytes),       LIMIT(out_soft_ms),
        LIMIT(out_hard_bytes),         LIMIT(max_auth_skew_s),      LIMIT(idempotency_ms),
        LIMIT(accept_traffic_percent), LIMIT(webhook_batch_ms),     LIMIT(webhook_batch_events),
        LIMIT(webhook_delay_ms),       LIMIT(webhook_timeout_ms),   LIMIT(webhook_retry_ms),
        LIMIT(webhook_max_queued),
#undef LIMIT
    };
    const uint64_t seed[2] = {1, 2};
    pusherc_server_options server = PUSHERC_SERVER_OPTIONS_INIT;
    pusherc_app_options app_options = PUSHERC_APP_OPTIONS_INIT;
    pusherc_server_options filled;
    pusherc_hooks hooks;
    struct pc_mem mem = pc_mem_make(NULL);
    struct pc_apps apps;

    (void)state;
    assert_int_equal(pc_server_options_take(&filled, &hooks, &server, NULL), 0);
    for (size_t i = 0; i < sizeof copied / sizeof copied[0]; i++) {
        const struct cli_setting *setting = cli_server_setting(copied[i].name);
        uint32_t number;
        memcpy(&number, (const char *)&filled + copied[i].offset, sizeof number);
        assert_non_null(setting);
        assert_int_equal(setting->fallback, number);
    }
    assert_int_equal(cli_server_setting("max_cache_bytes")->fallback, filled.max_cache_bytes);

    assert_int_equal(pc_crypto_init(), 0);
    pc_apps_init(&apps, &mem, seed, 1);
    app_options.id = app_options.key = app_options.secret = "a";
    assert_int_equal(pc_apps_put(&apps, &app_options, 1, NULL), 0);
    struct pc_app *app = pc_apps_by_id(&apps, PC_S("a"));
    for (size_t i = 0; i < cli_app_setting_count; i++) {
        const struct cli_setting *setting = &cli_app_settings[i];
        uint32_t number;
        memcpy(&number, (const char *)&app->options + setting->offset, sizeof number);
        if (cli_setting_is_number(setting))
            assert_int_equal(setting->fallback, number);
    }
    pc_app_unref(app);
    pc_apps_free(&apps);
}

static void path_prefix_gets_its_slash(void **state)
{
    static const char *const cases[][2] = {
        {"/ws", "/ws"}, {"ws", "/ws"}, {"/ws/", "/ws"}, {"a/b//", "/a/b"}, {"/", ""}};
    struct cli_settings settings;
    struct cli_error error;

    (void)state;
    cli_settings_init(&settings);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(cli_setting_set(&settings, cli_server_setting("path_prefix"), "x", 1,
                                         cases[i][0], &error),
                         0);
        assert_string_equal(settings.server.path_prefix, cases[i][1]);
    }
    cli_settings_free(&settings);
}

static const char *const used_names[] = {"SOKETI_HOST",
                                         "SOKETI_PORT",
                                         "SOKETI_DEBUG",
                                         "REVERB_SERVER_PORT",
                                         "SOKETI_DEFAULT_APP_ID",
                                         "SOKETI_DEFAULT_APP_KEY",
                                         "SOKETI_DEFAULT_APP_SECRET",
                                         "SOKETI_DEFAULT_APP_MAX_CONNS",
                                         "SOKETI_DEFAULT_APP_ENABLED",
                                         "SOKETI_EVENT_MAX_SIZE_IN_KB",
                                         "REVERB_APP_ID",
                                         "REVERB_APP_KEY",
                                         "REVERB_APP_SECRET",
                                         "REVERB_APP_ACTIVITY_TIMEOUT",
                                         "REVERB_APP_ACCEPT_CLIENT_EVENTS_FROM",
                                         "PUSHER_APP_ID",
                                         "PUSHER_APP_KEY",
                                         "PUSHER_APP_SECRET",
                                         "SOKETI_ADAPTER_DRIVER",
                                         "SOKETI_METRICS_ENABLED",
                                         "REVERB_SCALING_ENABLED",
                                         "REVERB_APP_PING_INTERVAL",
                                         "PUSHER_URL",
                                         "BROADCAST_CONNECTION",
                                         "BROADCAST_DRIVER",
                                         "PORT",
                                         "HOST",
                                         "SHUTDOWN_GRACE_PERIOD",
                                         "SSL_CERT_PATH",
                                         "SSL_ENABLED",
                                         "SOCKUDO_DEFAULT_APP_ID",
                                         "SOCKUDO_DEFAULT_APP_ALLOWED_ORIGINS",
                                         "SOKETI_QUEUE_DRIVER"};

static int clear_environment(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof used_names / sizeof used_names[0]; i++)
        unsetenv(used_names[i]);
    return 0;
}

static void environment_sets_the_server(void **state)
{
    struct cli_settings settings;
    struct cli_error error;

    (void)state;
    setenv("SOKETI_HOST", "0.0.0.0", 1);
    setenv("SOKETI_PORT", "", 1); /* as good as unset */
    setenv("REVERB_SERVER_PORT", "8080", 1);
    setenv("SOKETI_DEBUG", "1", 1);
    cli_settings_init(&settings);
    assert_int_equal(settings.port, 6001);
    assert_int_equal(cli_environment_settings(&settings, &error), 0);
    assert_string_equal(settings.host, "0.0.0.0");
    assert_int_equal(settings.port, 8080);
    assert_int_equal(settings.server.log_level, PUSHERC_LOG_DEBUG);

    setenv("SOKETI_PORT", "7000", 1);
    assert_int_equal(cli_environment_settings(&settings, &error), 0);
    assert_int_equal(settings.port, 7000);

    setenv("SOKETI_PORT", "many", 1);
    assert_int_equal(cli_environment_settings(&settings, &error), -1);
    assert_string_equal(error.text, "SOKETI_PORT must be a number from 0 to 65535, not \"many\"");
    cli_settings_free(&settings);
}

static void assert_app(const struct cli_apps *apps, const char *id, const char *key,
                       const char *secret)
{
    const struct cli_app *app = cli_apps_find(apps, id);

    assert_non_null(app);
    assert_ptr_equal(app->options.id, app->id);
    assert_string_equal(app->options.key, key);
    assert_string_equal(app->options.secret, secret);
}

static void environment_names_one_app_from_one_family(void **state)
{
    struct cli_apps apps;
    struct cli_error error;

    (void)state;
    cli_apps_init(&apps);
    assert_int_equal(cli_environment_credentials(&apps, &error), 0);
    assert_int_equal(apps.count, 0);

    setenv("PUSHER_APP_ID", "p", 1);
    setenv("PUSHER_APP_SECRET", "p-secret", 1);
    setenv("REVERB_APP_ID", "r", 1);
    setenv("REVERB_APP_KEY", "r-key", 1);
    assert_int_equal(cli_environment_credentials(&apps, &error), 0);
    assert_int_equal(apps.count, 1);
    /* not Pusher's secret with Reverb's key */
    assert_app(&apps, "r", "r-key", "app-secret");
    cli_apps_free(&apps);

    setenv("BROADCAST_CONNECTION", "pusher", 1);
    assert_int_equal(cli_environment_credentials(&apps, &error), 0);
    assert_app(&apps, "p", "app-key", "p-secret");
    cli_apps_free(&apps);
    setenv("BROADCAST_CONNECTION", "reverb", 1);
    setenv("BROADCAST_DRIVER", "pusher", 1); /* left over */
    assert_int_equal(cli_environment_credentials(&apps, &error), 0);
    assert_app(&apps, "r", "r-key", "app-secret");
    cli_apps_free(&apps);
}

static void environment_without_an_id_speaks_of_the_first_app(void **state)
{
    struct cli_apps apps;
    struct cli_error error;

    (void)state;
    setenv("SOKETI_DEFAULT_APP_SECRET", "new", 1);
    setenv("SOKETI_DEFAULT_APP_MAX_CONNS", "-1", 1);
    setenv("SOKETI_EVENT_MAX_SIZE_IN_KB", "100", 1);
    cli_apps_init(&apps);
    assert_int_equal(cli_apps_put_text(&apps, "a:b:c:d", &error), 0);
    assert_int_equal(cli_apps_put_text(&apps, "x:y:z", &error), 0);
    apps.items[1].options.max_event_payload_bytes = 7;
    assert_int_equal(cli_environment_credentials(&apps, &error), 0);
    assert_int_equal(cli_environment_limits(&apps, &error), 0);
    cli_apps_share(&apps);
    assert_int_equal(apps.count, 2);
    assert_app(&apps, "a", "b", "new");
    assert_app(&apps, "x", "y", "z");
    assert_int_equal(apps.items[0].options.max_connections, PUSHERC_NO_LIMIT);
    assert_int_equal(apps.items[1].options.max_connections, 0);
    assert_int_equal(apps.items[0].options.max_event_payload_bytes, 102400);
    assert_int_equal(apps.items[1].options.max_event_payload_bytes, 7);

    setenv("SOKETI_DEFAULT_APP_MAX_CONNS", "0", 1);
    assert_int_equal(cli_environment_limits(&apps, &error), -1);
    assert_string_equal(error.text, "SOKETI_DEFAULT_APP_MAX_CONNS must be a number from 1, or -1 "
                                    "for no limit, not \"0\"");
    cli_apps_free(&apps);
}

static void reverb_names_are_understood(void **state)
{
    struct cli_apps apps;
    struct cli_error error;

    (void)state;
    setenv("REVERB_APP_ACTIVITY_TIMEOUT", "30", 1);
    setenv("REVERB_APP_ACCEPT_CLIENT_EVENTS_FROM", "members", 1);
    setenv("SOKETI_DEFAULT_APP_ENABLED", "false", 1);
    cli_apps_init(&apps);
    assert_non_null(cli_apps_get(&apps, "a"));
    assert_int_equal(cli_environment_limits(&apps, &error), 0);
    assert_int_equal(apps.items[0].options.activity_timeout_ms, 30000);
    assert_true(apps.items[0].options.client_events);
    assert_true(apps.items[0].options.disabled);
    cli_apps_free(&apps);
}

static void reverb_pings_and_tells_with_the_smaller_number(void **state)
{
    static const struct {
        const char *ping, *told;
        uint32_t expected;
    } cases[] = {{"60", "30", 30000}, {"20", "30", 20000}, {"60", "", 60000}, {"", "30", 30000}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct cli_apps apps;
        struct cli_error error;

        setenv("REVERB_APP_PING_INTERVAL", cases[i].ping, 1);
        setenv("REVERB_APP_ACTIVITY_TIMEOUT", cases[i].told, 1);
        cli_apps_init(&apps);
        assert_non_null(cli_apps_get(&apps, "a"));
        assert_int_equal(cli_environment_limits(&apps, &error), 0);
        assert_int_equal(apps.items[0].options.activity_timeout_ms, cases[i].expected);
        cli_apps_free(&apps);
    }
}

static void pusher_url_holds_the_credentials(void **state)
{
    static const char *const wrong[] = {
        "key:secret@host/apps/1",
        "https://host/apps/1",
        "https://key@host/apps/1",
        "https://key:@h/apps/1",
        "https://:secret@h/apps/1",
        "https://key:secret@host",
        "https://k:s@h/apps/",
        "ftp://key:secret@host/apps/1",
        "https://k:s%zz@h/apps/1",
        "https://k:s%00@h/apps/1",
        "http:",
        "@/apps/1",
    };
    struct cli_apps apps;
    struct cli_error error;

    (void)state;
    cli_apps_init(&apps);
    setenv("PUSHER_URL", "https://a-key:a%40:b@api.example:8443/apps/a", 1);
    assert_int_equal(cli_environment_credentials(&apps, &error), 0);
    assert_app(&apps, "a", "a-key", "a@:b");
    assert_int_equal(cli_environment_limits(&apps, &error), 0);
    cli_apps_free(&apps);

    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        setenv("PUSHER_URL", wrong[i], 1);
        assert_int_equal(cli_environment_credentials(&apps, &error), -1);
        assert_string_equal(error.text, "PUSHER_URL must be http(s)://KEY:SECRET@HOST/apps/ID");
    }
    /* three names say more than one */
    setenv("PUSHER_APP_ID", "p", 1);
    assert_int_equal(cli_environment_credentials(&apps, &error), 0);
    assert_app(&apps, "p", "app-key", "app-secret");
    cli_apps_free(&apps);
}

static void common_words_count_beside_sockudos_names_only(void **state)
{
    struct cli_settings settings;
    struct cli_apps apps;
    struct cli_error error;

    (void)state;
    cli_settings_init(&settings);
    cli_apps_init(&apps);
    setenv("PORT", "7000", 1);
    setenv("SHUTDOWN_GRACE_PERIOD", "10", 1);
    setenv("SSL_CERT_PATH", "/cert", 1);
    assert_int_equal(cli_environment_settings(&settings, &error), 0);
    assert_int_equal(settings.port, 6001);

    setenv("SOCKUDO_DEFAULT_APP_ID", "s", 1);
    setenv("SOCKUDO_DEFAULT_APP_ALLOWED_ORIGINS", "https://a.example, *.b.example", 1);
    assert_int_equal(cli_environment_settings(&settings, &error), 0);
    assert_int_equal(settings.port, 7000);
    assert_int_equal(settings.grace_ms, 10000);
    assert_null(settings.tls_cert);
    setenv("SSL_ENABLED", "true", 1);
    assert_int_equal(cli_environment_settings(&settings, &error), 0);
    assert_string_equal(settings.tls_cert, "/cert");

    assert_int_equal(cli_environment_credentials(&apps, &error), 0);
    assert_int_equal(cli_environment_limits(&apps, &error), 0);
    assert_string_equal(apps.items[0].options.allowed_origins[0], "https://a.example");
    assert_string_equal(apps.items[0].options.allowed_origins[1], "*.b.example");
    assert_null(apps.items[0].options.allowed_origins[2]);
    cli_apps_free(&apps);
    cli_settings_free(&settings);
}

static void ignored_names_give_one_warning_each(void **state)
{
    char *text = NULL;
    size_t len = 0;
    FILE *file = open_memstream(&text, &len);

    (void)state;
    assert_non_null(file);
    setenv("SOKETI_ADAPTER_DRIVER", "nats", 1);
    setenv("SOKETI_QUEUE_DRIVER", "sync", 1); /* asks for nothing */
    setenv("REVERB_SCALING_ENABLED", "false", 1);
    setenv("SOKETI_METRICS_ENABLED", "", 1);
    cli_environment_warn(file, 6001);
    (void)fclose(file);
    assert_string_equal(
        text,
        "pusherc: warning: SOKETI_ADAPTER_DRIVER is set, but not supported: servers are linked "
        "over Redis, by --redis, or redis in the config file\n");
    free(text);
}

static void environment_names_the_redis_that_links_servers(void **state)
{
    static const struct {
        const char *set[8][2];
        const char *url, *prefix;
    } rows[] = {
        {{{"REDIS_HOST", "other"}}, NULL, NULL}, /* it has other uses */
        {{{"SOKETI_ADAPTER_DRIVER", "redis"}}, "redis://127.0.0.1", NULL},
        {{{"SOKETI_ADAPTER_DRIVER", "redis"},
          {"SOKETI_DB_REDIS_HOST", "db.example"},
          {"SOKETI_DB_REDIS_PORT", "6380"},
          {"SOKETI_DB_REDIS_USERNAME", "me"},
          {"SOKETI_DB_REDIS_PASSWORD", "p@ss:/%"},
          {"SOKETI_DB_REDIS_DB", "2"},
          {"SOKETI_ADAPTER_REDIS_PREFIX", "mine:"}},
         "redis://me:p%40ss%3A%2F%25@db.example:6380/2",
         "mine:"},
        {{{"REVERB_SCALING_ENABLED", "true"},
          {"REDIS_HOST", "::1"},
          {"REDIS_PASSWORD", "null"},
          {"REDIS_USERNAME", "unused"},
          {"REVERB_SCALING_CHANNEL", "reverb"}},
         "redis://[::1]",
         "reverb"},
        {{{"REVERB_SCALING_ENABLED", "true"},
          {"REDIS_URL", "redis://:p@h/1"},
          {"REDIS_HOST", "other"}},
         "redis://:p@h/1",
         NULL},
        {{{"REVERB_SCALING_ENABLED", "false"}, {"REDIS_HOST", "other"}}, NULL, NULL},
        {{{"REVERB_SCALING_ENABLED", "true"}, {"REDIS_HOST", "tls://r.example"}, {"REDIS_DB", "1"}},
         "rediss://r.example/1",
         NULL},
        {{{"SOKETI_ADAPTER_DRIVER", "redis"},
          {"SOKETI_DB_REDIS_SENTINELS", "[{\"host\":\"s1\",\"port\":26380},{\"host\":\"::1\"}]"},
          {"SOKETI_DB_REDIS_SENTINEL_PASSWORD", "a&b"},
          {"SOKETI_DB_REDIS_INSTANCE_NAME", "main"},
          {"SOKETI_DB_REDIS_PASSWORD", "p"},
          {"SOKETI_DB_REDIS_DB", "2"}},
         "redis+sentinel://:p@s1:26380,[::1]/main/2?sentinel_password=a%26b",
         NULL},
        {{{"SOCKUDO_DEFAULT_APP_ID", "a"},
          {"ADAPTER_DRIVER", "redis"},
          {"DATABASE_REDIS_SENTINELS", "s1:26380, [::1]:1"},
          {"DATABASE_REDIS_SENTINEL_USERNAME", "u"},
          {"DATABASE_REDIS_SENTINEL_PASSWORD", "q"}},
         "redis+sentinel://s1:26380,[::1]:1/mymaster?sentinel_password=q&sentinel_user=u",
         NULL},
        {{{"SOKETI_ADAPTER_DRIVER", "redis"},
          {"SOKETI_ADAPTER_REDIS_CLUSTER_MODE", "true"},
          {"SOKETI_DB_REDIS_CLUSTER_NODES", "[{\"host\":\"n1\",\"port\":7000},{\"host\":\"::1\"}]"},
          {"SOKETI_DB_REDIS_PASSWORD", "p"},
          {"SOKETI_DB_REDIS_HOST", "other"}},
         "redis://:p@n1:7000,[::1]",
         NULL},
        {{{"SOKETI_ADAPTER_DRIVER", "redis"}, /* without the mode nodes are for something else */
          {"SOKETI_DB_REDIS_CLUSTER_NODES", "[{\"host\":\"n1\",\"port\":7000}]"},
          {"SOKETI_DB_REDIS_HOST", "h"}},
         "redis://h",
         NULL},
        {{{"SOCKUDO_DEFAULT_APP_ID", "a"},
          {"ADAPTER_DRIVER", "redis-cluster"},
          {"REDIS_CLUSTER_NODES", "other:1"},
          {"DATABASE_REDIS_CLUSTER_NODES", "rediss://n1:7000, rediss://[::1]:7001"},
          {"DATABASE_REDIS_CLUSTER_USERNAME", "u"},
          {"DATABASE_REDIS_CLUSTER_PASSWORD", "q"},
          {"DATABASE_REDIS_KEY_PREFIX", "mine:"}},
         "rediss://u:q@n1:7000,[::1]:7001",
         "mine:"},
        {{{"SOCKUDO_DEFAULT_APP_ID", "a"},
          {"ADAPTER_DRIVER", "redis-cluster"},
          {"REDIS_CLUSTER_NODES", "n1:7000,redis://n2:7000"},
          {"DATABASE_REDIS_HOST", "other"}},
         "redis://n1:7000,n2:7000",
         NULL},
        {{{"ADAPTER_DRIVER", "redis"}, {"DATABASE_REDIS_HOST", "h"}},
         NULL,
         NULL}, /* not sockudo's */
        {{{"SOCKUDO_DEFAULT_APP_ID", "a"},
          {"ADAPTER_DRIVER", "redis"},
          {"DATABASE_REDIS_HOST", "h"}},
         "redis://h",
         NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct cli_settings settings;
        struct cli_error error;
        for (size_t j = 0; j < 8 && rows[i].set[j][0]; j++)
            setenv(rows[i].set[j][0], rows[i].set[j][1], 1);
        cli_settings_init(&settings);
        assert_int_equal(cli_environment_settings(&settings, &error), 0);
        for (size_t j = 0; j < 8 && rows[i].set[j][0]; j++)
            unsetenv(rows[i].set[j][0]);
        assert_true((settings.redis != NULL) == (rows[i].url != NULL));
        assert_true((settings.redis_prefix != NULL) == (rows[i].prefix != NULL));
        if (rows[i].url)
            assert_string_equal(settings.redis, rows[i].url);
        if (rows[i].prefix)
            assert_string_equal(settings.redis_prefix, rows[i].prefix);
        cli_settings_free(&settings);
    }
}

static void app_text_has_three_parts(void **state)
{
    static const char *const wrong[] = {"", "a", "a:b", "a:b:", "a::c", ":b:c", "::"};
    struct cli_apps apps;
    struct cli_error error;

    (void)state;
    cli_apps_init(&apps);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(cli_apps_put_text(&apps, wrong[i], &error), -1);
    assert_int_equal(apps.count, 0);
    assert_int_equal(cli_apps_put_text(&apps, "a:b:c:d", &error), 0);
    assert_app(&apps, "a", "b", "c:d");
    assert_int_equal(cli_apps_put_text(&apps, "a:k:s", &error), 0);
    assert_int_equal(apps.count, 1);
    assert_app(&apps, "a", "k", "s");
    cli_apps_free(&apps);
}

static void a_service_manager_is_told(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char path[64], text[32];

    (void)state;
    cli_notify("READY=1"); /* NOTIFY_SOCKET is not set: no effect */
    for (int named = 0; named < 2; named++) {
        int len = snprintf(path, sizeof path, "%stest_cli_%d", named ? "/tmp/" : "@", getpid());
        int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        memcpy(address.sun_path, path, (size_t)len);
        if (!named)
            address.sun_path[0] = '\0';
        assert_int_equal(bind(fd, (struct sockaddr *)&address,
                              (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)len)),
                         0);
        setenv("NOTIFY_SOCKET", path, 1);
        cli_notify("READY=1");
        assert_int_equal(recv(fd, text, sizeof text, MSG_DONTWAIT), 7);
        assert_memory_equal(text, "READY=1", 7);
        close(fd);
        cli_notify("READY=1"); /* has gone */
        if (named)
            unlink(path);
    }
    setenv("NOTIFY_SOCKET", "relative", 1);
    cli_notify("READY=1");
    unsetenv("NOTIFY_SOCKET");
}

/* Read a config file with that text; its error, the file's name cut off, in `error`. */
static int read_config_warning(const char *text, struct cli_settings *settings,
                               struct cli_apps *apps, FILE *warnings, struct cli_error *error)
{
    char path[] = "/tmp/test_cli_XXXXXX";
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    error->text[0] = '\0';
    int status = cli_config_read(path, settings, apps, warnings, error);
    unlink(path);

    char *name = strstr(error->text, path);
    if (name)
        memmove(name, name + sizeof path - 1, strlen(name + sizeof path - 1) + 1);
    return status;
}

static int read_config(const char *text, struct cli_settings *settings, struct cli_apps *apps,
                       struct cli_error *error)
{
    return read_config_warning(text, settings, apps, NULL, error);
}

static void config_file_sets_server_and_apps(void **state)
{
    static const char text[] = "\n{\"host\": \"::1\", \"port\": 7001, \"workers\": \"auto\","
                               "\"path_prefix\": \"/x\", \"log_level\": \"warn\", \"grace_ms\": 0,"
                               "\"max_frame_bytes\": 1e4, \"pong_timeout_ms\": null, \"apps\": ["
                               "{\"id\": \"a\", \"key\": \"b\", \"secret\": \"c\"},"
                               "{\"id\": \"d\", \"key\": \"e\", \"secret\": \"f\","
                               "\"enableClientMessages\": true, \"max_connections\": 5,"
                               "\"allowed_origins\": [\"*.example\", \"x\"]}]}\n";
    struct cli_settings settings;
    struct cli_apps apps;
    struct cli_error error;

    (void)state;
    cli_settings_init(&settings);
    cli_apps_init(&apps);
    assert_int_equal(read_config(text, &settings, &apps, &error), 0);
    assert_string_equal(settings.host, "::1");
    assert_int_equal(settings.port, 7001);
    assert_int_equal(settings.server.worker_count, PUSHERC_WORKERS_PER_CPU);
    assert_string_equal(settings.server.path_prefix, "/x");
    assert_int_equal(settings.server.log_level, PUSHERC_LOG_WARN);
    assert_int_equal(settings.grace_ms, 0);
    assert_int_equal(settings.server.max_frame_bytes, 10000);
    assert_int_equal(apps.count, 2);
    assert_app(&apps, "a", "b", "c");
    assert_app(&apps, "d", "e", "f");
    assert_false(apps.items[0].options.client_events);
    assert_true(apps.items[1].options.client_events);
    assert_int_equal(apps.items[1].options.max_connections, 5);
    assert_string_equal(apps.items[1].options.allowed_origins[1], "x");
    assert_null(apps.items[1].options.allowed_origins[2]);
    cli_apps_free(&apps);
    /* Apps only: the settings are checked all the same. */
    assert_int_equal(read_config(text, NULL, &apps, &error), 0);
    assert_int_equal(apps.count, 2);
    cli_apps_free(&apps);
    cli_settings_free(&settings);
}

static void config_file_of_soketi_names_the_redis_that_links_servers(void **state)
{
    static const struct {
        const char *text, *url, *prefix;
    } rows[] = {
        {"{\"adapter\": {\"driver\": \"redis\", \"redis\": {\"prefix\": \"mine:\"}},"
         "\"database\": {\"redis\": {\"host\": \"h\", \"port\": 6380, \"db\": 2, \"password\": "
         "\"p\"}}}",
         "redis://:p@h:6380/2", "mine:"},
        {"{\"database.redis.sentinels\": [{\"host\": \"s\", \"port\": 26380}, {\"host\": \"t\"}],"
         "\"database.redis.sentinelPassword\": \"q\", \"adapter.driver\": \"redis\"}",
         "redis+sentinel://s:26380,t/mymaster?sentinel_password=q", NULL},
        {"{\"adapter.driver\": \"redis\", \"redis\": \"redis://own\"}", "redis://own", NULL},
        {"{\"adapter.driver\": \"local\", \"database.redis.host\": \"h\"}", NULL, NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct cli_settings settings;
        struct cli_apps apps;
        struct cli_error error = {.text = ""};
        cli_settings_init(&settings);
        cli_apps_init(&apps);
        assert_int_equal(read_config(rows[i].text, &settings, &apps, &error), 0);
        assert_true((settings.redis != NULL) == (rows[i].url != NULL));
        assert_true((settings.redis_prefix != NULL) == (rows[i].prefix != NULL));
        if (rows[i].url)
            assert_string_equal(settings.redis, rows[i].url);
        if (rows[i].prefix)
            assert_string_equal(settings.redis_prefix, rows[i].prefix);
        cli_settings_free(&settings);
        cli_apps_free(&apps);
    }
}

static void config_file_may_speak_soketi(void **state)
{
    static const char *const texts[] = {
        "{\"debug\": true, \"port\": 6002, \"pathPrefix\": \"ws\", \"shutdownGracePeriod\": "
        "100,"
        "\"eventLimits.maxPayloadInKb\": \"20\", \"channelLimits.cacheTtl\": 60,"
        "\"ssl.certPath\": \"\", \"ssl.passphrase\": \"p\", \"httpApi.requestLimitInMb\": 2,"
        "\"adapter.driver\": \"local\", \"queue.driver\": \"redis\","
        "\"appManager.array.apps\": [{\"id\": \"a\", \"key\": \"b\", \"secret\": \"c\"}]}",
        "{\"debug\": true, \"port\": 6002, \"path_prefix\": \"ws\", \"shutdown_grace_period\": 100,"
        "\"eventLimits\": {\"maxPayloadInKb\": 20}, \"channel_limits\": {\"cache_ttl\": 60},"
        "\"ssl\": {\"certPath\": \"\", \"passphrase\": \"p\"}, \"httpApi\": {\"requestLimitInMb\": "
        "2},"
        "\"adapter\": {\"driver\": \"local\"}, \"queue\": {\"driver\": \"redis\"},"
        "\"app_manager\": {\"array\": {\"apps\": [{\"id\": \"a\", \"key\": \"b\", \"secret\": "
        "\"c\"}]}}}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct cli_settings settings;
        struct cli_apps apps;
        struct cli_error error;
        char *warnings = NULL;
        size_t len;
        FILE *file = open_memstream(&warnings, &len);

        cli_settings_init(&settings);
        cli_apps_init(&apps);
        assert_int_equal(read_config_warning(texts[i], &settings, &apps, file, &error), 0);
        assert_int_equal(fclose(file), 0);
        assert_int_equal(settings.server.log_level, PUSHERC_LOG_DEBUG);
        assert_int_equal(settings.port, 6002);
        assert_string_equal(settings.server.path_prefix, "/ws");
        assert_int_equal(settings.grace_ms, 100);
        assert_null(settings.tls_cert);
        assert_string_equal(settings.tls_password, "p");
        assert_int_equal(settings.server.max_http_body_bytes, 2097152);
        cli_apps_share(&apps);
        assert_app(&apps, "a", "b", "c");
        assert_int_equal(apps.items[0].options.max_event_payload_bytes, 20480);
        assert_int_equal(apps.items[0].options.cache_ttl_s, 60);
        assert_string_equal(
            warnings,
            "pusherc: warning: queue.driver is set, but not supported: pusherc is one process\n");
        free(warnings);
        cli_apps_free(&apps);
        cli_settings_free(&settings);
    }
}

static void config_file_is_refused_in_one_sentence(void **state)
{
    static const char *const cases[][2] = {
        {"", " is not valid JSON: look at line 1"},
        {"{\n\"port\": 1,\n}", " is not valid JSON: look at line 3"},
        {"{\"port\": 1}\n\nx", " is not valid JSON: look at line 3"},
        {"[]", " must hold one JSON object"},
        {"{\"prot\": 1}", ": unknown setting \"prot\"; did you mean \"port\"?"},
        {"{\"app\": []}", ": unknown setting \"app\"; did you mean \"apps\"?"},
        {"{\"colour\": 1}", ": unknown setting \"colour\""},
        {"{\"port\": \"1\"}", ": port must be a number"},
        {"{\"port\": 1.5}", ": port must be a number from 0 to 65535, not \"1.5\""},
        {"{\"port\": -1}", ": port must be a number from 0 to 65535, not \"-1\""},
        {"{\"port\": 1e999}", ": port must be a number from 0 to 65535, not \"inf\""},
        {"{\"port\": []}", ": port must be a number"},
        {"{\"prot\": null}", ": unknown setting \"prot\"; did you mean \"port\"?"},
        {"{\"host\": 1}", ": host must be a string"},
        {"{\"workers\": true}", ": workers must be a number"},
        {"{\"apps\": {}}", ": apps must be an array"},
        {"{\"port\": 1, \"port\": 1}", ": port is given twice"},
        {"{\"max_frame_bytes\": 1, \"httpApi\": {\"requestLimitInMb\": 1}, "
         "\"max_http_body_bytes\": 1}",
         ": max_http_body_bytes is given twice"},
        {"{\"apps\": [], \"appManager.array.apps\": []}", ": appManager.array.apps is given twice"},
        {"{\"ssl\": {\"certPaht\": 1}}",
         ": unknown setting \"ssl.certPaht\"; did you mean \"ssl.certPath\"?"},
        {"{\"ssl\": 1}", ": unknown setting \"ssl\""},
        {"{\"ssl\": {\"certPath\": []}}", ": ssl.certPath must not be an array or an object"},
        {"{\"port\": {\"a\": 1}}", ": port must be a number"},
        {"{\"eventLimits\": {\"maxBatchSize\": \"11\"}}",
         ": eventLimits.maxBatchSize must be a number from 1 to 10, not \"11\""},
        {"{\"eventLimits.maxPayloadInKb\": 2000000}",
         ": eventLimits.maxPayloadInKb must be a number from 1 to 1048576, or -1 for no limit, not "
         "\"2000000\""},
        {"{\"apps\": [{\"id\":\"a\",\"key\":\"b\",\"secret\":\"c\"},"
         "{\"id\":\"a\",\"key\":\"d\",\"secret\":\"e\"}]}",
         ": there are two apps with the id \"a\""},
    };
    struct cli_settings settings;
    struct cli_apps apps;
    struct cli_error error;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cli_settings_init(&settings);
        cli_apps_init(&apps);
        assert_int_equal(read_config(cases[i][0], &settings, &apps, &error), -1);
        assert_string_equal(error.text, cases[i][1]);
        cli_apps_free(&apps);
        cli_settings_free(&settings);
    }
    /* The library's sentence names the field. */
    cli_apps_init(&apps);
    assert_int_equal(
        read_config("{\"apps\": [{\"id\":\"a\",\"maxConnection\":1}]}", NULL, &apps, &error), -1);
    assert_non_null(strstr(error.text, "maxConnection"));
    cli_apps_free(&apps);
    assert_int_equal(cli_config_read("/nonexistent/x.json", NULL, &apps, NULL, &error), -1);
    assert_string_equal(error.text, "cannot read /nonexistent/x.json: No such file or directory");
    assert_int_equal(cli_config_read("/", NULL, &apps, NULL, &error), -1);
    assert_string_equal(error.text, "cannot read /: Is a directory");
}

static void words_that_are_no_options_are_kept_where_there_is_room(void **state)
{
    char *words[] = {"a", "--port", "1", "b", "--", "--client-events", "c", NULL};
    const char *kept[3];
    struct cli_option_reader reader = {
        .options = options, .option_count = 3, .arguments = words, .words = kept, .word_max = 3};
    struct cli_error error;
    const char *value;
    size_t index;
    (void)state;
    assert_int_equal(cli_options_next(&reader, &index, &value, &error), 1);
    assert_string_equal(value, "1");
    assert_int_equal(cli_options_next(&reader, &index, &value, &error), -1);
    assert_string_equal(error.text, "unexpected argument \"c\"");
    assert_int_equal(reader.word_count, 3);
    assert_string_equal(kept[0], "a");
    assert_string_equal(kept[1], "b");
    assert_string_equal(kept[2], "--client-events");
}

static void servers_are_read_from_all_forms_of_urls(void **state)
{
    static const struct {
        const char *url, *api, *ws, *app; /* api NULL: it is refused */
    } cases[] = {
        {"http://h", "http://h:80", "ws://h:80", "//"},
        {"https://k:s@h/apps/1", "https://h:443", "wss://h:443", "1/k/s"},
        {"http://k:s@h:6001/ws/apps/1/", "http://h:6001/ws", "ws://h:6001/ws", "1/k/s"},
        {"ws://h:6001/app/key?protocol=7", "http://h:6001", "ws://h:6001", "/key/"},
        {"wss://[::1]:443/a/app/key", "https://[::1]:443/a", "wss://[::1]:443/a", "/key/"},
        {"pusher://k:s%40x@h:8/1?scheme=http", "http://h:8", "ws://h:8", "1/k/s@x"},
        {"pusher://k:s@h/1?scheme=http", "http://h:80", "ws://h:80", "1/k/s"},
        {"pusher://k:s@h:443/a/b/1?scheme=http", "http://h:443/a/b", "ws://h:443/a/b", "1/k/s"},
        {"pusher://k:s@/1?cluster=eu", "https://api-eu.pusher.com:443",
         "wss://ws-eu.pusher.com:443", "1/k/s"},
        {"pusher://k:s@/1", "https://api-mt1.pusher.com:443", "wss://ws-mt1.pusher.com:443",
         "1/k/s"},
        {"ftp://h", NULL, NULL, NULL},
        {"h:6001", NULL, NULL, NULL},
        {"http://", NULL, NULL, NULL},
        {"http://h:0", NULL, NULL, NULL},
        {"http://h:65536", NULL, NULL, NULL},
        {"http://h:1x", NULL, NULL, NULL},
        {"http://[::1", NULL, NULL, NULL},
        {"http://h%0a", NULL, NULL, NULL},
        {"http://k:s%zz@h", NULL, NULL, NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct cli_target target;
        struct cli_error error;
        char api[CLI_ADDRESS_TEXT], ws[CLI_ADDRESS_TEXT], app[700];

        int status = cli_target_parse(&target, cases[i].url, &error);
        assert_int_equal(status, cases[i].api ? 0 : -1);
        if (status) {
            assert_null(strstr(error.text, "s%zz"));
            continue;
        }
        cli_address_print(&target.api, false, api);
        cli_address_print(&target.ws, true, ws);
        (void)snprintf(app, sizeof app, "%s/%s/%s", target.id, target.key, target.secret);
        assert_string_equal(api, cases[i].api);
        assert_string_equal(ws, cases[i].ws);
        assert_string_equal(app, cases[i].app);
    }
}

static void an_env_file_is_read_as_applications_read_it(void **state)
{
    static const struct {
        const char *line, *value; /* of A; NULL: not set */
        bool odd;                 /* a quote is left over */
    } cases[] = {
        {"A=x", "x", false},
        {"  export A = x y  # c", "x y", false},
        {"A=x#y", "x#y", false},
        {"A=#c", "", false},
        {"A=", "", false},
        {"A='x # ${B}' # c", "x # ${B}", false},
        {"A=\"x\\\"\\n${B}\"", "x\"\nb", false},
        {"A=${B}/${NONE}", "b/", false},
        {"A=${B", "${B", false},
        {"A=\"x", "x", true},
        {"A=x'", "x'", true},
        {"A=\"'x'\"", "'x'", true},
        {"A", NULL, false},
        {"#A=x", NULL, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        static struct cli_dotenv env;
        struct cli_error error;
        char path[] = "/tmp/pusherc-env-XXXXXX";
        int fd = mkstemp(path);
        FILE *file = fdopen(fd, "w");

        assert_non_null(file);
        (void)fprintf(file, "B=b\n%s\r\n", cases[i].line);
        (void)fclose(file);
        assert_int_equal(cli_dotenv_read(&env, path, &error), 0);
        (void)unlink(path);
        const char *value = cli_dotenv_get("A", &env);
        if (!cases[i].value) {
            assert_null(value);
        } else {
            const struct cli_dotenv_entry *last = &env.entries[env.count - 1];
            assert_string_equal(value, cases[i].value);
            assert_int_equal(last->open_quote || last->inner_quote, cases[i].odd);
            assert_int_equal(last->line, 2);
        }
        cli_dotenv_free(&env);
    }
}

static void a_histogram_is_right_to_a_thirtieth(void **state)
{
    static struct cli_histogram h;

    (void)state;
    assert_int_equal(cli_histogram_at(&h, 50), 0);
    for (uint64_t i = 1; i <= 100000; i++)
        cli_histogram_add(&h, i);
    for (unsigned percent = 1; percent <= 100; percent++) {
        uint64_t at = cli_histogram_at(&h, percent), exact = (uint64_t)percent * 1000;
        assert_true(at >= exact && at <= exact + exact / 30);
    }
    cli_histogram_add(&h, UINT64_MAX);
    assert_int_equal(cli_histogram_at(&h, 100), UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(servers_are_read_from_all_forms_of_urls),
        cmocka_unit_test(an_env_file_is_read_as_applications_read_it),
        cmocka_unit_test(a_histogram_is_right_to_a_thirtieth),
        cmocka_unit_test(options_are_read_or_refused_in_one_sentence),
        cmocka_unit_test(words_that_are_no_options_are_kept_where_there_is_room),
        cmocka_unit_test(nearest_word_is_near),
        cmocka_unit_test(settings_of_every_source_are_checked_alike),
        cmocka_unit_test(defaults_are_those_of_the_library),
        cmocka_unit_test(path_prefix_gets_its_slash),
        cmocka_unit_test_setup_teardown(environment_sets_the_server, clear_environment,
                                        clear_environment),
        cmocka_unit_test_setup_teardown(environment_names_one_app_from_one_family,
                                        clear_environment, clear_environment),
        cmocka_unit_test_setup_teardown(environment_without_an_id_speaks_of_the_first_app,
                                        clear_environment, clear_environment),
        cmocka_unit_test_setup_teardown(reverb_names_are_understood, clear_environment,
                                        clear_environment),
        cmocka_unit_test_setup_teardown(reverb_pings_and_tells_with_the_smaller_number,
                                        clear_environment, clear_environment),
        cmocka_unit_test_setup_teardown(pusher_url_holds_the_credentials, clear_environment,
                                        clear_environment),
        cmocka_unit_test_setup_teardown(common_words_count_beside_sockudos_names_only,
                                        clear_environment, clear_environment),
        cmocka_unit_test_setup_teardown(ignored_names_give_one_warning_each, clear_environment,
                                        clear_environment),
        cmocka_unit_test(app_text_has_three_parts),
        cmocka_unit_test(a_service_manager_is_told),
        cmocka_unit_test_setup_teardown(environment_names_the_redis_that_links_servers,
                                        clear_environment, clear_environment),
        cmocka_unit_test(config_file_sets_server_and_apps),
        cmocka_unit_test(config_file_of_soketi_names_the_redis_that_links_servers),
        cmocka_unit_test(config_file_may_speak_soketi),
        cmocka_unit_test(config_file_is_refused_in_one_sentence),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
