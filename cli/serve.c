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

#include "arguments.h"
#include "asking.h"
#include "certificates.h"
#include "command.h"
#include "environment.h"
#include "forward.h"
#include "notify.h"
#include "show.h"

struct serving {
    struct cli_arguments arguments;
    struct cli_settings settings;
    struct cli_certificates certificates; /* of `settings` */
    struct cli_apps apps;                 /* the server's current apps */
    struct cli_asking *asking;            /* NULL = no rule asks a URL */
    pusherc_hooks asked;                  /* its hooks */
    struct cli_forward forward;
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
    return CLI_EXIT_CANNOT;
}

static void print_help(void)
{
    printf("usage: pusherc serve [OPTION]...\n\n");
    cli_arguments_print(stdout);
    printf(
        "\nAn option counts before the environment (the names of soketi, Reverb and Laravel), and\n"
        "that before the config file. SIGTERM and SIGINT stop the server in a paced way, the "
        "second\n"
        "one at once; SIGHUP reads the config file's apps and the certificate again. More in "
        "pusherc(1).\n");
}

static int put_apps(pusherc_server *server, const struct cli_apps *apps, pusherc_errinfo *info)
{
    pusherc_app_options *options = calloc(apps->count, sizeof *options);

    for (size_t i = 0; options && i < apps->count; i++)
        options[i] = apps->items[i].options;
    int status =
        options ? pusherc_server_put_apps(server, options, apps->count, info) : PUSHERC_ENOMEM;
    free(options);
    return status;
}

/* Checks that a server accepts these apps: puts them into a second server, which is not started. */
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
    struct cli_apps apps;
    struct cli_error error;
    pusherc_errinfo info = {0};
    size_t added = 0, removed = 0;

    cli_apps_init(&apps);
    if (cli_gather(&serving->arguments, NULL, &apps, NULL, &error)) {
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

/* Reads the certificate again: a renewed one has the same file name. */
static void reload_certificate(struct serving *serving)
{
    pusherc_errinfo info = {0};

    int status = pusherc_server_reload_tls(serving->server, 0, serving->certificates.items, &info);
    if (status)
        (void)complain_info("the certificate stays as it was: ", status, &info);
    else
        printf("certificate read again\n");
}

static void reload(struct serving *serving)
{
    bool file = cli_given(&serving->arguments, "config") != NULL;

    if (file)
        reload_apps(serving);
    if (serving->settings.tls_cert)
        reload_certificate(serving);
    else if (!file)
        (void)complain(0, "SIGHUP: there is no config file and no certificate to read again");
}

/* Turns a host name into a numeric address, because the library does not look names up. */
static int resolve(const char *host, char out[INET6_ADDRSTRLEN])
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;

    int status = getaddrinfo(host, NULL, &hints, &found);
    if (status == 0)
        status = getnameinfo(found->ai_addr, found->ai_addrlen, out, INET6_ADDRSTRLEN, NULL, 0,
                             NI_NUMERICHOST);
    freeaddrinfo(found);
    if (status) {
        struct cli_error error;
        (void)cli_fail(&error, "cannot listen on \"%.200s\": %s", host, gai_strerror(status));
        (void)complain(0, error.text);
    }
    return status ? -1 : 0;
}

static bool is_loopback(const char *address)
{
    return strncmp(address, "127.", 4) == 0 || strcmp(address, "::1") == 0;
}

static void warn_of_default_secret(const struct cli_apps *apps, const char *address)
{
    for (size_t i = 0; i < apps->count; i++) {
        const struct cli_app *app = &apps->items[i];

        if (strcmp(app->secret, CLI_DEFAULT_APP_SECRET) != 0)
            continue;
        if (!is_loopback(address))
            (void)fprintf(stderr,
                          "pusherc: warning: app \"%.200s\" has the default secret, and %s can be "
                          "reached from other machines\n",
                          app->id, address);
        else if (!cli_app_is_default(app)) /* so the default secret was chosen */
            (void)fprintf(
                stderr,
                "pusherc: warning: app \"%.200s\" has the default secret, which everybody "
                "knows\n",
                app->id);
    }
}

static void print_url(const char *what, const char *scheme, const char *address, uint16_t port,
                      const char *path)
{
    bool bracketed = strchr(address, ':') != NULL;
    char shown[256];

    (void)snprintf(shown, sizeof shown, "%s", path ? path : "");
    cli_make_plain(shown);
    printf("%s %s://%s%s%s:%u%s\n", what, scheme, bracketed ? "[" : "", address,
           bracketed ? "]" : "", (unsigned)port, shown);
}

static int listen_for_clients(struct serving *serving, const char *address)
{
    const struct cli_settings *settings = &serving->settings;
    pusherc_listen_options options = PUSHERC_LISTEN_OPTIONS_INIT;
    pusherc_errinfo info = {0};

    options.host = address;
    options.port = (uint16_t)settings->port;
    options.tls = serving->certificates.items;

    int status = pusherc_server_listen(serving->server, &options, &info);
    if (status == PUSHERC_ENOSYS)
        return complain(CLI_EXIT_CANNOT, "this build cannot serve TLS");
    return status ? complain_info("", status, &info) : 0;
}

/* Listens for metrics. If another program has the default port, warns and goes on without metrics (*listens is false);
 * if the user chose the port, fails. */
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

static int listen_on_socket(struct serving *serving)
{
    const struct cli_settings *settings = &serving->settings;
    pusherc_listen_options options = PUSHERC_LISTEN_OPTIONS_INIT;
    pusherc_errinfo info = {0};
    char address[256];

    (void)snprintf(address, sizeof address, "unix:%s", settings->unix_socket);
    options.host = address;
    options.unix_mode = (uint16_t)settings->unix_socket_mode;
    int status = pusherc_server_listen(serving->server, &options, &info);
    return status ? complain_info("", status, &info) : 0;
}

static int start(struct serving *serving)
{
    const struct cli_settings *settings = &serving->settings;
    pusherc_errinfo info = {0};
    char address[INET6_ADDRSTRLEN], metrics_address[INET6_ADDRSTRLEN], path[128];
    bool metrics = settings->metrics;

    if (resolve(settings->host, address) ||
        (metrics && resolve(settings->metrics_host, metrics_address)))
        return CLI_EXIT_CANNOT;
    int status = listen_for_clients(serving, address);
    if (status == 0 && metrics)
        status = listen_for_metrics(serving, metrics_address, &metrics);
    if (status == 0 && settings->unix_socket)
        status = listen_on_socket(serving);
    if (status)
        return status;
    struct cli_error error;
    if (cli_asking_start(serving->asking, &error))
        return complain(CLI_EXIT_CANNOT, error.text);
    status = pusherc_server_start(serving->server, &info);
    if (status)
        return complain_info("", status, &info);

    /* Comes before "listening on", which scripts wait for. */
    warn_of_default_secret(&serving->apps, address);
    cli_environment_tell(stderr);
    if (metrics)
        print_url("metrics on", "http", metrics_address, pusherc_server_port(serving->server, 1),
                  "/metrics");
    if (settings->unix_socket) {
        (void)snprintf(path, sizeof path, "%s", settings->unix_socket);
        cli_make_plain(path);
        printf("listening also on unix:%s\n", path);
    }
    print_url("listening on", settings->tls_cert ? "https" : "http", address,
              pusherc_server_port(serving->server, 0), settings->server.path_prefix);
    cli_notify("READY=1");
    return 0;
}

/* Runs on a worker. Wakes the main thread by a signal, because it is in sigwait(). */
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
            if (!stopping) {
                printf("stopping; a second signal stops at once\n");
                cli_notify("STOPPING=1");
            }
            stopping = true;
            (void)pusherc_server_stop(serving->server, grace_ms, stopped, serving);
        }
    }
    printf("stopped\n");
}

/* Forwards the events of the first app: the receiver is one app, too. */
static int open_forward(struct serving *serving)
{
    const struct cli_settings *settings = &serving->settings;
    const char *app_id = serving->apps.items[0].id;
    pusherc_errinfo info = {0};

    if (!settings->forward)
        return 0;
    int status =
        cli_forward_open(&serving->forward, settings->forward, app_id, &settings->server, &info);
    if (status) {
        (void)complain_info("forward: ", status, &info);
        return status == PUSHERC_EINVAL ? CLI_EXIT_WRONG : CLI_EXIT_CANNOT;
    }
    if (serving->apps.count > 1)
        (void)fprintf(stderr, "pusherc: warning: only events of app \"%.200s\" are forwarded\n",
                      app_id);
    return 0;
}

static int link_over_redis(struct serving *serving)
{
    const struct cli_settings *settings = &serving->settings;
    pusherc_redis_options options = PUSHERC_REDIS_OPTIONS_INIT;
    pusherc_errinfo info = {0};

    options.url = settings->redis;
    options.prefix = settings->redis_prefix;
    options.timeout_ms = settings->redis_timeout_ms;
    options.ca_file = settings->redis_ca_file;
    int status = pusherc_server_use_redis(serving->server, &options, &settings->cluster, &info);
    if (status)
        (void)complain_info("redis: ", status, &info);
    return status == PUSHERC_EINVAL ? CLI_EXIT_WRONG : status ? CLI_EXIT_CANNOT : 0;
}

/* The events of the first app: the application is one, too. */
static int listen_to_laravel(struct serving *serving)
{
    const struct cli_settings *settings = &serving->settings;
    pusherc_laravel_redis_options options = PUSHERC_LARAVEL_REDIS_OPTIONS_INIT;
    pusherc_errinfo info = {0};

    options.url = settings->laravel_redis;
    options.prefix = settings->laravel_redis_prefix;
    options.app_name = settings->laravel_app_name;
    options.timeout_ms = settings->redis_timeout_ms;
    options.ca_file = settings->redis_ca_file;
    options.app_id = serving->apps.items[0].id;
    int status = pusherc_server_use_laravel_redis(serving->server, &options, &info);
    if (status)
        (void)complain_info("laravel_redis: ", status, &info);
    else if (serving->apps.count > 1)
        (void)fprintf(stderr,
                      "pusherc: warning: what Laravel publishes in Redis goes to app \"%.200s\"\n",
                      options.app_id);
    return status == PUSHERC_EINVAL ? CLI_EXIT_WRONG : status ? CLI_EXIT_CANNOT : 0;
}

/* -- hooks, which run on the workers -- */

static void identify(pusherc_identify_request *request, void *user_data)
{
    const struct serving *serving = user_data;
    serving->asked.identify(request, serving->asked.user_data);
}

static int on_publish(pusherc_incoming *event, void *user_data)
{
    struct serving *serving = user_data;
    cli_forward_event(&serving->forward, event);
    return 0;
}

static int make_server(struct serving *serving)
{
    pusherc_errinfo info = {0};
    struct cli_error error;
    pusherc_hooks hooks = PUSHERC_HOOKS_INIT;

    pusherc_hooks_init(&serving->asked, sizeof serving->asked);
    if (cli_asking_new(&serving->asking, &serving->settings.rules, &serving->asked, &error))
        return complain(CLI_EXIT_CANNOT, error.text);
    hooks.identify = serving->asked.identify ? identify : NULL;
    hooks.on_publish = serving->settings.forward ? on_publish : NULL;
    hooks.user_data = serving;

    /* The library logs nothing without a function. */
    if (serving->settings.server.log_level != PUSHERC_LOG_OFF)
        serving->settings.server.log_fn =
            serving->settings.log_format ? pusherc_log_json_to_stderr : pusherc_log_to_stderr;
    int status = open_forward(serving);
    if (status)
        return status;
    pusherc_server_options options = serving->settings.server;
    options.hooks = &hooks;
    status = pusherc_server_new(&serving->server, &options, &info);
    if (status) {
        (void)complain_info("", status, &info);
        return status == PUSHERC_EINVAL ? CLI_EXIT_WRONG : CLI_EXIT_CANNOT;
    }
    status = put_apps(serving->server, &serving->apps, &info);
    if (status) {
        (void)complain_info("", status, &info);
        return CLI_EXIT_WRONG;
    }
    if (cli_asking_add(serving->asking, serving->server, &error))
        return complain(CLI_EXIT_WRONG, error.text);
    if (serving->settings.redis && (status = link_over_redis(serving)) != 0)
        return status;
    return serving->settings.laravel_redis ? listen_to_laravel(serving) : 0;
}

/* Checks everything that could make the start fail, except that the address may be in use. */
static int check(struct serving *serving)
{
    const struct cli_settings *settings = &serving->settings;
    pusherc_listen_options options = PUSHERC_LISTEN_OPTIONS_INIT;
    pusherc_errinfo info = {0};
    char address[INET6_ADDRSTRLEN];

    int status = make_server(serving);
    if (status == 0 && resolve(settings->host, address))
        status = CLI_EXIT_CANNOT;
    if (status || !settings->tls_cert)
        return status;
    options.tls =
        serving->certificates.items; /* binds a port that the system picks, and does not serve it */
    status = pusherc_server_listen(serving->server, &options, &info);
    return status ? complain_info("", status, &info) : 0;
}

static int run(struct serving *serving)
{
    sigset_t signals;

    int status = make_server(serving);
    if (status)
        return status;

    /* Blocked before the threads start, which inherit it: the signals arrive in sigwait() only. */
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

/* Raises the limit of descriptors: each client takes one, and the usual soft limit is 1024. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static int serve(char **words)
{
    struct serving serving = {0};
    struct cli_error error = {""};
    int status;

    cli_settings_init(&serving.settings);
    cli_apps_init(&serving.apps);
    cli_environment_unquote(stderr);
    if (cli_arguments_read(&serving.arguments, words, &error)) {
        status = complain(CLI_EXIT_WRONG, error.text);
    } else if (cli_given(&serving.arguments, "help")) {
        print_help();
        status = 0;
    } else if (cli_gather(&serving.arguments, &serving.settings, &serving.apps, stderr, &error) ||
               cli_certificates_init(&serving.certificates, &serving.settings, &error)) {
        status = complain(CLI_EXIT_WRONG, error.text);
    } else {
        cli_environment_warn(stderr, serving.settings.port);
        raise_descriptor_limit();
        status = cli_given(&serving.arguments, "check") ? check(&serving) : run(&serving);
        if (status == 0 && cli_given(&serving.arguments, "check")) {
            cli_environment_tell(stderr);
            cli_show(stdout, &serving.settings, &serving.apps);
        }
    }
    pusherc_server_free(serving.server);
    cli_asking_free(serving.asking);
    cli_forward_close(&serving.forward);
    cli_apps_free(&serving.apps);
    cli_certificates_free(&serving.certificates);
    cli_settings_free(&serving.settings);
    cli_arguments_free(&serving.arguments);
    return status;
}

const struct cli_command cli_serve_command = {
    .name = "serve",
    .help = "run a server",
    .words = "",
    .options = cli_serve_options,
    .option_count = CLI_SERVE_OPTION_COUNT,
    .run = serve,
};
