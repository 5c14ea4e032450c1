/*
 * A status page: the program links libpusherc, and serves its pages, its JSON API and the WebSocket of
 * pusher-js on one port.
 *
 * The server is attached to the program's own libuv loop. So every callback runs on the main thread: the
 * database needs no lock, and the program's timers and signals live beside the server's. What takes long
 * (password hashes) runs on libuv's thread pool and answers its request later.
 */
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pusherc/pusherc.h>
#include <sodium.h>
#include <uv.h>

#include "api.h"
#include "assets.h"
#include "audience.h"
#include "http.h"
#include "login.h"
#include "maintenances.h"
#include "options.h"
#include "pages.h"
#include "setup.h"
#include "site.h"
#include "store.h"

#define STOP_GRACE_MS 500
#define MAX_BODY      65536

static const struct http_route routes[] = {
    {"GET", "/", page_start, NULL},
    {"GET", "/status/{slug}", page_status, NULL},
    {"GET", "/status/{slug}/history", page_history, NULL},
    {"GET", "/status/{slug}/incidents/{id}", page_notice, "incident"},
    {"GET", "/status/{slug}/maintenances/{id}", page_notice, "maintenance"},
    {"GET", "/dashboard/{slug}", page_dashboard, NULL},
    {"GET", "/login", login_page, NULL},
    {"POST", "/login", login_post, NULL},
    {"POST", "/logout", login_logout, NULL},
    {"GET", "/static/{file}", scripts_send, NULL},
};

static void on_http(pusherc_http_request *request, void *user_data)
{
    if (!http_dispatch(routes, sizeof routes / sizeof routes[0], user_data, request) &&
        !api_dispatch(user_data, request))
        http_send_error(request, 404, "There is nothing here.");
}

static int fail(const char *what, const pusherc_errinfo *info)
{
    fprintf(stderr, "status-page: %s: %s\n", what, info->text);
    return -1;
}

/* Clients prove who they are by their session: no signature counts, and the secret is not even known. */
static int put_app(struct site *site, pusherc_errinfo *info)
{
    char secret[65];
    unsigned char raw[32];
    randombytes_buf(raw, sizeof raw);
    sodium_bin2hex(secret, sizeof secret, raw, sizeof raw);
    pusherc_app_options app = PUSHERC_APP_OPTIONS_INIT;
    app.id = SITE_APP_ID;
    app.key = SITE_APP_KEY;
    app.secret = secret;
    app.auth_mode = PUSHERC_AUTH_RULES;
    return pusherc_server_put_app(site->server, &app, info);
}

static int listen_on(struct site *site, const struct options *options, pusherc_errinfo *info)
{
    pusherc_tls_options tls = PUSHERC_TLS_OPTIONS_INIT;
    tls.cert_file = options->tls_cert;
    tls.key_file = options->tls_key;
    site->host = options->host;
    site->tls = options->tls_cert || options->tls_key;
    pusherc_listen_options listen_options = PUSHERC_LISTEN_OPTIONS_INIT;
    listen_options.host = options->host;
    listen_options.port = options->port;
    listen_options.tls = site->tls ? &tls : NULL;
    int status = pusherc_server_listen(site->server, &listen_options, info);
    site->port = pusherc_server_port(site->server, 0);
    if (status != 0 || !options->metrics)
        return status;
    listen_options.host = options->metrics_host;
    listen_options.port = options->metrics_port;
    listen_options.tls = NULL;
    listen_options.purpose = PUSHERC_LISTEN_METRICS;
    return pusherc_server_listen(site->server, &listen_options, info);
}

/* The library advises to name the allowed origins where cookies decide. Here no name is known, and none is needed:
 * audience_identify() asks for cookies only, and from pages of other origins the library takes none. */
static void log_line(const pusherc_log_entry *entry, void *user_data)
{
    static const char advice[] = "allowed_origins";
    if (!memmem(entry->message.ptr, entry->message.len, advice, sizeof advice - 1))
        pusherc_log_to_stderr(entry, user_data);
}

static int start_server(struct site *site, const struct options *options)
{
    pusherc_errinfo info = {0};
    pusherc_hooks hooks = PUSHERC_HOOKS_INIT;
    hooks.user_data = site;
    hooks.on_http = on_http;
    hooks.identify = audience_identify;
    hooks.on_denied = audience_denied;

    pusherc_server_options server_options = PUSHERC_SERVER_OPTIONS_INIT;
    server_options.loop = site->loop;
    server_options.hooks = &hooks;
    server_options.user_auth_path = ""; /* no client signs in over the WebSocket */
    server_options.max_http_body_bytes = MAX_BODY;
    server_options.proxy_count = options->proxies;
    server_options.log_fn = log_line;
    server_options.log_level = PUSHERC_LOG_WARN;
    if (pusherc_server_new(&site->server, &server_options, &info) != 0)
        return fail("cannot make a server", &info);
    if (put_app(site, &info) != 0)
        return fail("cannot add the app", &info);
    if (audience_add_rule(site, &info) != 0)
        return fail("cannot add the rule", &info);
    if (listen_on(site, options, &info) != 0)
        return fail("cannot listen", &info);
    if (pusherc_server_start(site->server, &info) != 0)
        return fail("cannot start", &info);
    return 0;
}

static void greet(struct site *site)
{
    bool ipv6 = strchr(site->host, ':') != NULL;
    uint16_t metrics_port = pusherc_server_port(site->server, 1);
    if (metrics_port)
        printf("metrics on port %u\n", (unsigned)metrics_port);
    printf("listening on http%s://%s%s%s:%u\n", site->tls ? "s" : "", ipv6 ? "[" : "", site->host,
           ipv6 ? "]" : "", (unsigned)site->port);
    if (store_has(site->store, "SELECT 1 FROM settings WHERE name = 'demo'", NO_VALUES)) {
        printf("\nDemo users:\n");
        cJSON *users = store_rows(site->store,
                                  "SELECT u.email, o.slug, m.role FROM users u"
                                  " JOIN memberships m ON m.user_id = u.id"
                                  " JOIN organizations o ON o.id = m.organization_id ORDER BY u.id",
                                  NO_VALUES);
        const cJSON *user;
        cJSON_ArrayForEach(user, users)
            printf("  %-28s %s-demo   (%s of %s)\n", row_text(user, "email"),
                   row_text(user, "slug"), row_text(user, "role"), row_text(user, "slug"));
        cJSON_Delete(users);
    }
    fflush(stdout);
}

/* What runs beside the server. The loop keeps the handles until their close callback. */
struct program {
    struct site site;
    uv_signal_t signals[2];
    uv_timer_t clock;
};

static void stopped(pusherc_server *server, void *user_data)
{
    struct program *program = user_data;
    pusherc_server_free(server);
    program->site.server = NULL;
    uv_close((uv_handle_t *)&program->signals[0], NULL);
    uv_close((uv_handle_t *)&program->signals[1], NULL);
    uv_close((uv_handle_t *)&program->clock, NULL);
}

/* The first signal lets everybody go in peace, the second one does not wait for them. */
static void on_signal(uv_signal_t *handle, int number)
{
    (void)number;
    struct program *program = handle->data;
    pusherc_server *server = program->site.server;
    if (pusherc_server_stop(server, STOP_GRACE_MS, stopped, program) == PUSHERC_ESTATE)
        pusherc_server_stop(server, 0, NULL, NULL);
    uv_timer_stop(&program->clock);
}

static void on_second(uv_timer_t *handle)
{
    maintenance_tick(handle->data);
}

static void watch(struct program *program)
{
    static const int numbers[] = {SIGINT, SIGTERM};
    signal(SIGPIPE, SIG_IGN); /* a write to a closed socket is an error code, not our end */
    for (int i = 0; i < 2; i++) {
        uv_signal_init(program->site.loop, &program->signals[i]);
        program->signals[i].data = program;
        uv_signal_start(&program->signals[i], on_signal, numbers[i]);
    }
    uv_timer_init(program->site.loop, &program->clock);
    program->clock.data = &program->site;
    uv_timer_start(&program->clock, on_second, 0, 1000);
}

static int run(struct program *program, const struct options *options)
{
    struct site *site = &program->site;
    unsigned char start_id[8];
    randombytes_buf(start_id, sizeof start_id);
    sodium_bin2hex(site->start_id, sizeof site->start_id, start_id, sizeof start_id);
    site->trace = options_trace();
    site->kept = strcmp(options->data, ":memory:") != 0;
    if (store_open(&site->store, options->data, !options->empty && !setup_wanted(options)) != 0)
        return -1;
    if (setup_wanted(options))
        return setup_run(site->store, options);
    if (scripts_load(&site->scripts, options->node_modules) != 0)
        return -1;
    int status = start_server(site, options);
    if (status == 0) {
        greet(site);
        watch(program);
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
    int parsed = options_parse(&options, argc, argv);
    if (parsed != 0)
        return parsed > 0 ? 0 : 2;
    if (!setlocale(LC_CTYPE, "C.UTF-8") || sodium_init() < 0 || uv_loop_init(&loop) != 0) {
        fprintf(stderr, "status-page: no UTF-8, no random numbers or no event loop here\n");
        return 1;
    }
    struct program program = {.site.loop = &loop};
    int status = run(&program, &options);
    store_close(program.site.store);
    scripts_free(program.site.scripts);
    free(program.site.drawn.page);
    return uv_loop_close(&loop) == 0 && status == 0 ? 0 : 1;
}
