#include "serve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <pusherc/pusherc.h>

#include "apps.h"
#include "config.h"
#include "environment.h"
#include "options.h"
#include "settings.h"
#include "show.h"

#define EXIT_CANNOT 1
#define EXIT_WRONG  2

/* clang-format off */
static const struct cli_option options_table[] = {
    {"config", "FILE", "settings and apps, in JSON"},
    {"host", "H", "address to listen on (default 127.0.0.1)"},
    {"port", "N", "port to listen on (default 6001); 0: the system picks one"},
    {"app", "ID:KEY:SECRET", "an app; may be repeated (default app-id:app-key:app-secret)"},
    {"workers", "N", "threads, 1 to 64, or \"auto\": one for each processor (default 1)"},
    {"client-events", NULL, "allow client events in all apps"},
    {"tls-cert", "FILE", "certificate chain, PEM; serves TLS only"},
    {"tls-key", "FILE", "private key, PEM"},
    {"metrics", "on|off", "serve metrics (default on)"},
    {"metrics-host", "H", "address to serve metrics on (default 127.0.0.1)"},
    {"metrics-port", "N", "port to serve metrics on (default 9601); 0: the system picks one"},
    {"metrics-prefix", "TEXT", "begins the names of metrics (default pusherc_)"},
    {"log-level", "LEVEL", "off, error, warn, info, debug or trace (default info)"},
    {"check", NULL, "read everything, print what would be used, and exit"},
    {"help", NULL, "print this and exit"},
    {"user-authentication", NULL, NULL},
    {"subscription-count", NULL, NULL},
    {"webhook", "URL", NULL},
};
/* clang-format on */
#define OPTION_COUNT (sizeof(options_table) / sizeof(options_table[0]))

/* What the command line says, unchecked. */
struct arguments {
    const char
        *values[OPTION_COUNT]; /* borrowed; "" for an option without argument; NULL = not given */
    const char **apps;         /* owned array of app_count borrowed texts */
    size_t app_count;
};

struct serving {
    struct arguments arguments;
    struct cli_settings settings;
    struct cli_apps apps; /* those the server has now */
    pusherc_server *server;
    pthread_t main_thread;
    _Atomic bool stopped;
};

static int complain(int status, const char *text)
{
    (void)fprintf(stderr, "pusherc: %s\n", text);
    return status;
}

static int complain_info(const char *what, int code, const pusherc_errinfo *info)
{
    (void)fprintf(stderr, "pusherc: %s%s\n", what,
                  info->text[0] ? info->text : pusherc_strerror(code));
    return EXIT_CANNOT;
}

static size_t option_index(const char *name)
{
    size_t i = 0;
    while (strcmp(options_table[i].name, name) != 0)
        i++;
    return i;
}

static const char *given(const struct arguments *arguments, const char *name)
{
    return arguments->values[option_index(name)];
}

static int read_arguments(struct arguments *arguments, char **words, struct cli_error *error)
{
    struct cli_option_reader reader = {options_table, OPTION_COUNT, words};
    size_t word_count = 0, index, app = option_index("app");
    const char *value;
    int status;

    while (words[word_count])
        word_count++;
    arguments->apps = calloc(word_count + 1, sizeof(*arguments->apps));
    if (!arguments->apps)
        return cli_fail_no_memory(error);
    while ((status = cli_options_next(&reader, &index, &value, error)) > 0) {
        if (index == app)
            arguments->apps[arguments->app_count++] = value;
        arguments->values[index] = value ? value : "";
    }
    return status;
}

static void print_help(void)
{
    printf("usage: pusherc serve [OPTION]...\n\n");
    cli_options_print(stdout, options_table, OPTION_COUNT);
    printf(
        "\nAn option counts before the environment (the names of soketi, Reverb and Laravel), and\n"
        "that before the config file. SIGTERM and SIGINT stop the server in a paced way, the "
        "second\n"
        "one at once; SIGHUP reads the config file's apps and the certificate again. More in "
        "pusherc(1).\n");
}

/* Later sources win, except that the apps' parts interlock: see cli_environment_credentials(). */
static int gather_apps(const struct arguments *arguments, struct cli_apps *apps,
                       struct cli_error *error)
{
    if (cli_environment_credentials(apps, error))
        return -1;
    for (size_t i = 0; i < arguments->app_count; i++) {
        if (cli_apps_put_text(apps, arguments->apps[i], error))
            return -1;
    }
    if (apps->count == 0 && !cli_apps_get(apps, CLI_DEFAULT_APP_ID))
        return cli_fail_no_memory(error);
    if (cli_environment_limits(apps, error))
        return -1;
    cli_apps_share(apps);
    for (size_t i = 0; i < apps->count && given(arguments, "client-events"); i++)
        apps->items[i].options.client_events = true;
    return 0;
}

/* The setting that an option names: "log-level" is "log_level". NULL: it is none. */
static const struct cli_setting *setting_of(const char *option_name)
{
    char name[32];

    (void)snprintf(name, sizeof(name), "%s", option_name);
    for (char *at = name; (at = strchr(at, '-')) != NULL;)
        *at = '_';
    return cli_server_setting(name);
}

static int gather_settings(const struct arguments *arguments, struct cli_settings *settings,
                           struct cli_error *error)
{
    if (cli_environment_settings(settings, error))
        return -1;
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const struct cli_setting *setting = setting_of(options_table[i].name);
        char source[34];

        if (!setting || !arguments->values[i])
            continue;
        (void)snprintf(source, sizeof(source), "--%s", options_table[i].name);
        if (cli_setting_set(settings, setting, source, 1, arguments->values[i], error))
            return -1;
    }
    return cli_settings_complete(settings, error);
}

static int gather(struct serving *serving, struct cli_error *error)
{
    const char *file = given(&serving->arguments, "config");

    if (file && cli_config_read(file, &serving->settings, &serving->apps, stderr, error))
        return -1;
    if (gather_settings(&serving->arguments, &serving->settings, error))
        return -1;
    return gather_apps(&serving->arguments, &serving->apps, error);
}

static int put_apps(pusherc_server *server, const struct cli_apps *apps, pusherc_errinfo *info)
{
    pusherc_app_options *options = calloc(apps->count, sizeof(*options));

    for (size_t i = 0; options && i < apps->count; i++)
        options[i] = apps->items[i].options;
    int status =
        options ? pusherc_server_put_apps(server, options, apps->count, info) : PUSHERC_ENOMEM;
    free(options);
    return status;
}

/* Would a server take these apps? Asks one that never starts. */
static int rehearse_apps(const struct cli_apps *apps, pusherc_errinfo *info)
{
    pusherc_server_options options = PUSHERC_SERVER_OPTIONS_INIT;
    pusherc_server *server;

    options.worker_count = PUSHERC_WORKERS_NONE;
    int status = pusherc_server_new(&server, &options, info);
    if (status == 0)
        status = put_apps(server, apps, info);
    pusherc_server_free(server);
    return status;
}

static void reload_apps(struct serving *serving)
{
    const char *file = given(&serving->arguments, "config");
    struct cli_apps apps;
    struct cli_error error;
    pusherc_errinfo info = {0};
    size_t added = 0, removed = 0;

    cli_apps_init(&apps);
    if (cli_config_read(file, NULL, &apps, NULL, &error) ||
        gather_apps(&serving->arguments, &apps, &error)) {
        (void)fprintf(stderr, "pusherc: apps stay as they were: %s\n", error.text);
        cli_apps_free(&apps);
        return;
    }
    int status = rehearse_apps(&apps, &info);
    if (status) {
        (void)complain_info("apps stay as they were: ", status, &info);
        cli_apps_free(&apps);
        return;
    }

    for (size_t i = 0; i < serving->apps.count; i++) {
        const char *id = serving->apps.items[i].id;
        if (!cli_apps_find(&apps, id)) {
            (void)pusherc_server_remove_app(serving->server, id);
            removed++;
        }
    }
    for (size_t i = 0; i < apps.count; i++)
        added += !cli_apps_find(&serving->apps, apps.items[i].id);
    status = put_apps(serving->server, &apps, &info);
    if (status)
        (void)complain_info("not every app could be changed: ", status, &info);
    printf("apps read again: %zu now, %zu added, %zu removed\n", apps.count, added, removed);
    cli_apps_free(&serving->apps);
    serving->apps = apps;
}

static void fill_tls(const struct cli_settings *settings, pusherc_tls_options *tls)
{
    pusherc_tls_options_init(tls);
    tls->cert_file = settings->tls_cert;
    tls->key_file = settings->tls_key;
    tls->key_password = settings->tls_password;
}

/* Certificates are renewed under the same names. */
static void reload_certificate(struct serving *serving)
{
    pusherc_tls_options tls;
    pusherc_errinfo info = {0};

    fill_tls(&serving->settings, &tls);
    int status = pusherc_server_reload_tls(serving->server, 0, &tls, &info);
    if (status)
        (void)complain_info("the certificate stays as it was: ", status, &info);
    else
        printf("certificate read again\n");
}

static void reload(struct serving *serving)
{
    bool file = given(&serving->arguments, "config") != NULL;

    if (file)
        reload_apps(serving);
    if (serving->settings.tls_cert)
        reload_certificate(serving);
    else if (!file)
        (void)complain(0, "SIGHUP: there is no config file and no certificate to read again");
}

/* Turn a host name into a numeric address; the library does not look names up. */
static int resolve(const char *host, char out[INET6_ADDRSTRLEN])
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;

    int status = getaddrinfo(host, NULL, &hints, &found);
    if (status == 0)
        status = getnameinfo(found->ai_addr, found->ai_addrlen, out, INET6_ADDRSTRLEN, NULL, 0,
                             NI_NUMERICHOST);
    freeaddrinfo(found);
    if (status)
        (void)fprintf(stderr, "pusherc: cannot listen on \"%.200s\": %s\n", host,
                      gai_strerror(status));
    return status ? -1 : 0;
}

static bool is_loopback(const char *address)
{
    return strncmp(address, "127.", 4) == 0 || strcmp(address, "::1") == 0;
}

static void warn_of_default_secret(const struct cli_apps *apps, const char *address)
{
    for (size_t i = 0; i < apps->count && !is_loopback(address); i++) {
        if (strcmp(apps->items[i].secret, CLI_DEFAULT_APP_SECRET) == 0)
            (void)fprintf(stderr,
                          "pusherc: warning: app \"%.200s\" has the default secret, and %s can be "
                          "reached from other machines\n",
                          apps->items[i].id, address);
    }
}

static void print_url(const char *what, const char *scheme, const char *address, uint16_t port,
                      const char *path)
{
    bool bracketed = strchr(address, ':') != NULL;

    printf("%s %s://%s%s%s:%u%s\n", what, scheme, bracketed ? "[" : "", address,
           bracketed ? "]" : "", (unsigned)port, path ? path : "");
}

static int listen_for_clients(struct serving *serving, const char *address)
{
    const struct cli_settings *settings = &serving->settings;
    pusherc_listen_options options = PUSHERC_LISTEN_OPTIONS_INIT;
    pusherc_tls_options tls;
    pusherc_errinfo info = {0};

    options.host = address;
    options.port = (uint16_t)settings->port;
    fill_tls(settings, &tls);
    options.tls = settings->tls_cert ? &tls : NULL;

    int status = pusherc_server_listen(serving->server, &options, &info);
    if (status == PUSHERC_ENOSYS)
        return complain(EXIT_CANNOT, "this build cannot serve TLS");
    return status ? complain_info("", status, &info) : 0;
}

/* Nobody who did not ask for the port shall lack a server because another one has it: *listens tells. */
static int listen_for_metrics(struct serving *serving, const char *address, bool *listens)
{
    pusherc_listen_options options = PUSHERC_LISTEN_OPTIONS_INIT;
    pusherc_errinfo info = {0};

    options.host = address;
    options.port = (uint16_t)serving->settings.metrics_port;
    options.purpose = PUSHERC_LISTEN_METRICS;
    int status = pusherc_server_listen(serving->server, &options, &info);
    *listens = status == 0;
    if (status == PUSHERC_EIO && !serving->settings.metrics_port_chosen) {
        (void)complain_info("warning: no metrics are served: ", status, &info);
        return 0;
    }
    return status ? complain_info("", status, &info) : 0;
}

static int start(struct serving *serving)
{
    const struct cli_settings *settings = &serving->settings;
    pusherc_errinfo info = {0};
    char address[INET6_ADDRSTRLEN], metrics_address[INET6_ADDRSTRLEN];
    bool metrics = settings->metrics;

    if (resolve(settings->host, address) ||
        (metrics && resolve(settings->metrics_host, metrics_address)))
        return EXIT_CANNOT;
    int status = listen_for_clients(serving, address);
    if (status == 0 && metrics)
        status = listen_for_metrics(serving, metrics_address, &metrics);
    if (status)
        return status;
    status = pusherc_server_start(serving->server, &info);
    if (status)
        return complain_info("", status, &info);

    /* Before the line that scripts wait for. */
    warn_of_default_secret(&serving->apps, address);
    if (metrics)
        print_url("metrics on", "http", metrics_address, pusherc_server_port(serving->server, 1),
                  "/metrics");
    print_url("listening on", settings->tls_cert ? "https" : "http", address,
              pusherc_server_port(serving->server, 0), settings->path_prefix);
    return 0;
}

/* Runs on a worker: wakes the main thread, which waits for signals only. */
static void stopped(pusherc_server *server, void *user_data)
{
    struct serving *serving = user_data;

    (void)server;
    atomic_store(&serving->stopped, true);
    (void)pthread_kill(serving->main_thread, SIGUSR1);
}

static void wait_for_the_end(struct serving *serving, const sigset_t *signals)
{
    bool stopping = false;

    while (!atomic_load(&serving->stopped)) {
        int number = 0;

        if (sigwait(signals, &number) != 0)
            continue;
        if (number == SIGHUP && !stopping) {
            reload(serving);
        } else if (number == SIGTERM || number == SIGINT) {
            uint32_t grace_ms = stopping ? 0 : serving->settings.grace_ms;
            if (!stopping)
                printf("stopping; a second signal stops at once\n");
            stopping = true;
            (void)pusherc_server_stop(serving->server, grace_ms, stopped, serving);
        }
    }
    printf("stopped\n");
}

static int make_server(struct serving *serving)
{
    pusherc_errinfo info = {0};

    /* To the library, "off" is the default. */
    if (serving->settings.server.log_level != PUSHERC_LOG_OFF)
        serving->settings.server.log_fn = pusherc_log_to_stderr;
    serving->settings.server.path_prefix = serving->settings.path_prefix;
    serving->settings.server.metrics_prefix = serving->settings.metrics_prefix;
    int status = pusherc_server_new(&serving->server, &serving->settings.server, &info);
    if (status) {
        (void)complain_info("", status, &info);
        return status == PUSHERC_EINVAL ? EXIT_WRONG : EXIT_CANNOT;
    }
    status = put_apps(serving->server, &serving->apps, &info);
    if (status) {
        (void)complain_info("", status, &info);
        return EXIT_WRONG;
    }
    return 0;
}

/* Whatever would keep a server from its start, but for the address being taken. */
static int check(struct serving *serving)
{
    const struct cli_settings *settings = &serving->settings;
    pusherc_listen_options options = PUSHERC_LISTEN_OPTIONS_INIT;
    pusherc_tls_options tls;
    pusherc_errinfo info = {0};
    char address[INET6_ADDRSTRLEN];

    int status = make_server(serving);
    if (status == 0 && resolve(settings->host, address))
        status = EXIT_CANNOT;
    if (status || !settings->tls_cert)
        return status;
    fill_tls(settings, &tls);
    options.tls = &tls; /* on a port that the system picks, and which is never listened to */
    status = pusherc_server_listen(serving->server, &options, &info);
    return status ? complain_info("", status, &info) : 0;
}

static int run(struct serving *serving)
{
    sigset_t signals;

    int status = make_server(serving);
    if (status)
        return status;

    /* Blocked before the workers are made, which inherit that: only sigwait() sees them. */
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGINT);
    (void)sigaddset(&signals, SIGHUP);
    (void)sigaddset(&signals, SIGUSR1);
    (void)pthread_sigmask(SIG_BLOCK, &signals, NULL);
    serving->main_thread = pthread_self();
    status = start(serving);
    if (status == 0)
        wait_for_the_end(serving, &signals);
    return status;
}

/* Each client is a descriptor, and the usual soft limit is 1024. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int cli_serve(char **words)
{
    struct serving serving = {0};
    struct cli_error error = {""};
    int status;

    cli_settings_init(&serving.settings);
    cli_apps_init(&serving.apps);
    if (read_arguments(&serving.arguments, words, &error)) {
        status = complain(EXIT_WRONG, error.text);
    } else if (given(&serving.arguments, "help")) {
        print_help();
        status = 0;
    } else if (gather(&serving, &error)) {
        status = complain(EXIT_WRONG, error.text);
    } else {
        cli_environment_warn(stderr);
        raise_descriptor_limit();
        status = given(&serving.arguments, "check") ? check(&serving) : run(&serving);
        if (status == 0 && given(&serving.arguments, "check"))
            cli_show(stdout, &serving.settings, &serving.apps);
    }
    pusherc_server_free(serving.server);
    cli_apps_free(&serving.apps);
    cli_settings_free(&serving.settings);
    free(serving.arguments.apps);
    return status;
}
