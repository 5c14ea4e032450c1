/*
 * A status page: the program links libpusherc, and serves its pages, its JSON API and the WebSocket of
 * pusher-js on one port.
 *
 * The server is attached to the program's own libuv loop. So every callback runs on the main thread: the
 * database needs no lock, and the program's timers and signals live beside the server's. What takes long
 * (password hashes) runs on libuv's thread pool and answers its request later.
 */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pusherc/pusherc.h>
#include <sodium.h>
#include <uv.h>

#include "api.h"
#include "http.h"
#include "pages.h"
#include "scripts.h"
#include "session.h"
#include "site.h"
#include "store.h"

#define STOP_GRACE_MS 500
#define MAX_BODY      65536

static const struct http_route routes[] = {
    {"GET", "/", page_start},
    {"GET", "/status/{slug}", page_status},
    {"GET", "/dashboard/{slug}", page_dashboard},
    {"GET", "/login", session_login_page},
    {"POST", "/login", session_login},
    {"POST", "/logout", session_logout},
    {"GET", "/static/{file}", scripts_send},
    {"GET", "/api/v1/organizations/{slug}/services", api_services},
    {"POST", "/api/v1/services/{id}/status", api_change_status},
    {"GET", "/api/v1/websocket/health", api_health},
};

struct options {
    const char *host;
    uint16_t port;
    const char *data;
    const char *node_modules;
};

static const char usage[] =
    "Usage: status-page [OPTION]...\n"
    "Serve a status page that is live through libpusherc.\n"
    "\n"
    "  --host ADDRESS       numeric address to listen on (default 127.0.0.1)\n"
    "  --port PORT          default 8080; 0 = the system picks\n"
    "  --data FILE          keep the data in this SQLite file (default: in memory, gone at exit)\n"
    "  --node-modules DIR   where npm has put pusher-js and laravel-echo\n"
    "                       (default " DEFAULT_NODE_MODULES ")\n"
    "  --help               print this\n";

static int parse_options(struct options *options, int argc, char **argv)
{
    static const struct option known[] = {
        {"host", required_argument, NULL, 'h'},         {"port", required_argument, NULL, 'p'},
        {"data", required_argument, NULL, 'd'},         {"help", no_argument, NULL, '?' + 1},
        {"node-modules", required_argument, NULL, 'n'}, {0},
    };
    *options = (struct options){"127.0.0.1", 8080, ":memory:", DEFAULT_NODE_MODULES};
    int option;
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        char *end = NULL;
        unsigned long port;
        switch (option) {
        case 'h':
            options->host = optarg;
            break;
        case 'd':
            options->data = optarg;
            break;
        case 'n':
            options->node_modules = optarg;
            break;
        case 'p':
            port = strtoul(optarg, &end, 10);
            if (*optarg < '0' || *optarg > '9' || *end || port > UINT16_MAX) {
                fprintf(stderr, "status-page: --port wants a number from 0 to 65535\n");
                return -1;
            }
            options->port = (uint16_t)port;
            break;
        case '?' + 1:
            fputs(usage, stdout);
            exit(0);
        default:
            return -1; /* getopt has said why */
        }
    }
    if (optind < argc) {
        fprintf(stderr, "status-page: what is \"%s\"? Try --help.\n", argv[optind]);
        return -1;
    }
    return 0;
}

static void on_http(pusherc_http_request *request, void *user_data)
{
    http_dispatch(routes, sizeof routes / sizeof routes[0], user_data, request);
}

static int fail(const char *what, const pusherc_errinfo *info)
{
    fprintf(stderr, "status-page: %s: %s\n", what, info->text);
    return -1;
}

static int start_server(struct site *site, const struct options *options)
{
    pusherc_errinfo info = {0};
    pusherc_hooks hooks = PUSHERC_HOOKS_INIT;
    hooks.user_data = site;
    hooks.on_http = on_http;

    pusherc_server_options server_options = PUSHERC_SERVER_OPTIONS_INIT;
    server_options.loop = site->loop;
    server_options.hooks = &hooks;
    server_options.max_http_body_bytes = MAX_BODY;
    server_options.log_fn = pusherc_log_to_stderr;
    server_options.log_level = PUSHERC_LOG_WARN;
    if (pusherc_server_new(&site->server, &server_options, &info) != 0)
        return fail("cannot make a server", &info);

    char secret[65];
    unsigned char raw[32];
    randombytes_buf(raw, sizeof raw);
    sodium_bin2hex(secret, sizeof secret, raw, sizeof raw);
    pusherc_app_options app = PUSHERC_APP_OPTIONS_INIT;
    app.id = SITE_APP_ID;
    app.key = SITE_APP_KEY;
    app.secret = secret;
    if (pusherc_server_put_app(site->server, &app, &info) != 0)
        return fail("cannot add the app", &info);

    pusherc_listen_options listen_options = PUSHERC_LISTEN_OPTIONS_INIT;
    listen_options.host = options->host;
    listen_options.port = options->port;
    if (pusherc_server_listen(site->server, &listen_options, &info) != 0)
        return fail("cannot listen", &info);
    if (pusherc_server_start(site->server, &info) != 0)
        return fail("cannot start", &info);
    site->host = options->host;
    site->port = pusherc_server_port(site->server, 0);
    return 0;
}

static void greet(struct site *site)
{
    bool ipv6 = strchr(site->host, ':') != NULL;
    printf("listening on http://%s%s%s:%u\n", ipv6 ? "[" : "", site->host, ipv6 ? "]" : "",
           (unsigned)site->port);
    if (store_is_demo(site->store)) {
        printf("\nDemo users:\n");
        cJSON *users = store_rows(site->store,
                                  "SELECT u.email, o.slug, m.role FROM users u"
                                  " JOIN memberships m ON m.user_id = u.id"
                                  " JOIN organizations o ON o.id = m.organization_id ORDER BY u.id",
                                  NULL, 0);
        const cJSON *user;
        cJSON_ArrayForEach(user, users)
            printf("  %-28s %s-demo   (%s of %s)\n", row_text(user, "email"),
                   row_text(user, "slug"), row_text(user, "role"), row_text(user, "slug"));
        cJSON_Delete(users);
    }
    fflush(stdout);
}

/* The end */

/* The loop keeps the signal handles until their close callback. */
struct program {
    struct site site;
    uv_signal_t signals[2];
};

static void close_signals(struct program *program)
{
    for (int i = 0; i < 2; i++)
        uv_close((uv_handle_t *)&program->signals[i], NULL);
}

static void stopped(pusherc_server *server, void *user_data)
{
    struct program *program = user_data;
    pusherc_server_free(server);
    program->site.server = NULL;
    close_signals(program);
}

/* The first signal lets everybody go in peace, the second one does not wait for them. */
static void on_signal(uv_signal_t *handle, int number)
{
    (void)number;
    struct program *program = handle->data;
    pusherc_server *server = program->site.server;
    if (pusherc_server_stop(server, STOP_GRACE_MS, stopped, program) == PUSHERC_ESTATE)
        pusherc_server_stop(server, 0, NULL, NULL);
}

static void watch_signals(struct program *program)
{
    static const int numbers[] = {SIGINT, SIGTERM};
    signal(SIGPIPE, SIG_IGN); /* a write to a closed socket is an error code, not our end */
    for (int i = 0; i < 2; i++) {
        uv_signal_init(program->site.loop, &program->signals[i]);
        program->signals[i].data = program;
        uv_signal_start(&program->signals[i], on_signal, numbers[i]);
    }
}

static int run(struct program *program, const struct options *options)
{
    struct site *site = &program->site;
    unsigned char start_id[8];
    randombytes_buf(start_id, sizeof start_id);
    sodium_bin2hex(site->start_id, sizeof site->start_id, start_id, sizeof start_id);
    if (scripts_load(&site->scripts, options->node_modules) != 0 ||
        store_open(&site->store, options->data) != 0)
        return -1;
    int status = start_server(site, options);
    if (status == 0) {
        greet(site);
        watch_signals(program);
    } else {
        pusherc_server_free(site->server);
    }
    uv_run(site->loop, UV_RUN_DEFAULT); /* until the last handle is closed */
    return status;
}

int main(int argc, char **argv)
{
    struct options options;
    uv_loop_t loop;
    if (parse_options(&options, argc, argv) != 0)
        return 2;
    if (sodium_init() < 0 || uv_loop_init(&loop) != 0) {
        fprintf(stderr, "status-page: this system gives no event loop or no random numbers\n");
        return 1;
    }
    struct program program = {.site.loop = &loop};
    int status = run(&program, &options);
    store_close(program.site.store);
    scripts_free(program.site.scripts);
    return uv_loop_close(&loop) == 0 && status == 0 ? 0 : 1;
}
