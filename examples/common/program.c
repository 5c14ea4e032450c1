#include "common/program.h"

#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>
#include <uv.h>

#include "common/health.h"
#include "common/publish.h"
#include "common/say.h"

#define STOP_GRACE_MS 500
#define MAX_BODY      65536

static const struct http_route routes[] = {
    {"GET", "/login", login_page, NULL},
    {"POST", "/login", login_post, NULL},
    {"POST", "/logout", login_logout, NULL},
    {"GET", "/static/{file}", scripts_send, NULL},
    {"GET", "/api/v1/health", health_program, NULL},
    {"GET", "/api/v1/websocket/health", health_websocket, NULL},
};
static const struct http_route token_routes[] = {
    {"POST", "/api/v1/login", login_token, NULL},
    {"POST", "/api/v1/logout", login_token_end, NULL},
};
#define COUNT(list) (sizeof(list) / sizeof(list)[0])

static void on_http(pusherc_http_request *request, void *user_data)
{
    struct program *program = user_data;
    bool answered = (program->spec->on_http && program->spec->on_http(program, request)) ||
                    http_dispatch(routes, COUNT(routes), program, request) ||
                    (program->spec->tokens &&
                     http_dispatch(token_routes, COUNT(token_routes), program, request));
    if (!answered)
        http_send_error(request, 404, "There is nothing here.");
}

static void on_denied(const pusherc_denial *denial, void *user_data)
{
    struct program *program = user_data;
    if (program->spec->on_denied)
        program->spec->on_denied(program, denial);
    if (program->trace)
        fprintf(stderr, "broadcast: denied %s %.*s %d %.*s\n", pusherc_denial_name(denial->reason),
                (int)denial->channel.len, denial->channel.ptr, denial->status,
                (int)denial->detail.len, denial->detail.ptr);
}

static int fail(const char *what, const pusherc_errinfo *info)
{
    say("%s: %s", what, info->text);
    return -1;
}

/* Clients prove who they are by their session: no signature counts. */
static int put_app(struct program *program, pusherc_app_options *app, pusherc_errinfo *info)
{
    char secret[129];
    publish_read_app(program, secret);
    app->id = program->app_id;
    app->key = program->app_key;
    app->secret = secret;
    app->auth_mode = PUSHERC_AUTH_RULES;
    int status = pusherc_server_put_app(program->server, app, info);
    sodium_memzero(secret, sizeof secret);
    return status;
}

static int listen_on(struct program *program, pusherc_errinfo *info)
{
    const struct options *options = program->options;
    pusherc_tls_options tls = PUSHERC_TLS_OPTIONS_INIT;
    tls.cert_file = options->tls_cert;
    tls.key_file = options->tls_key;
    program->tls = options->tls_cert || options->tls_key;
    pusherc_listen_options listen_options = PUSHERC_LISTEN_OPTIONS_INIT;
    listen_options.host = options->host;
    listen_options.port = options->port;
    listen_options.tls = program->tls ? &tls : NULL;
    int status = pusherc_server_listen(program->server, &listen_options, info);
    program->port = pusherc_server_port(program->server, 0);
    if (status != 0 || !options->metrics)
        return status;
    listen_options.host = options->metrics_host;
    listen_options.port = options->metrics_port;
    listen_options.tls = NULL;
    listen_options.purpose = PUSHERC_LISTEN_METRICS;
    return pusherc_server_listen(program->server, &listen_options, info);
}

/* The library advises to name the allowed origins where cookies decide. Here no name is known, and none is needed:
 * accounts_identify() asks for cookies only, and from pages of other origins the library takes none. */
static void log_line(const pusherc_log_entry *entry, void *user_data)
{
    static const char advice[] = "allowed_origins";
    if (!memmem(entry->message.ptr, entry->message.len, advice, sizeof advice - 1))
        pusherc_log_to_stderr(entry, user_data);
}

static int start_server(struct program *program)
{
    pusherc_errinfo info = {0};
    pusherc_hooks hooks = PUSHERC_HOOKS_INIT;
    pusherc_app_options app = PUSHERC_APP_OPTIONS_INIT;
    hooks.user_data = program;
    hooks.on_http = on_http;
    hooks.identify = accounts_identify;
    hooks.on_denied = on_denied;

    pusherc_server_options server_options = PUSHERC_SERVER_OPTIONS_INIT;
    server_options.loop = program->loop;
    server_options.hooks = &hooks;
    server_options.user_auth_path = program->spec->tokens ? NULL : ""; /* pages sign in by it */
    server_options.max_http_body_bytes = MAX_BODY;
    server_options.proxy_count = program->options->proxies;
    server_options.log_fn = log_line;
    server_options.log_level = PUSHERC_LOG_WARN;
    if (program->spec->configure)
        program->spec->configure(program, &server_options, &hooks, &app);
    if (pusherc_server_new(&program->server, &server_options, &info) != 0)
        return fail("cannot make a server", &info);
    if (put_app(program, &app, &info) != 0)
        return fail("cannot add the app", &info);
    if (program->spec->prepare && program->spec->prepare(program, &info) != 0)
        return fail("cannot add the rules", &info);
    if (publish_open(program, log_line, &info) != 0)
        return fail("cannot publish", &info);
    if (listen_on(program, &info) != 0)
        return fail("cannot listen", &info);
    if (pusherc_server_start(program->server, &info) != 0)
        return fail("cannot start", &info);
    return 0;
}

static void greet(struct program *program)
{
    const char *host = program->options->host;
    bool ipv6 = strchr(host, ':') != NULL;
    uint16_t metrics_port = pusherc_server_port(program->server, 1);
    if (metrics_port)
        printf("metrics on port %u\n", (unsigned)metrics_port);
    printf("listening on http%s://%s%s%s:%u\n", program->tls ? "s" : "", ipv6 ? "[" : "", host,
           ipv6 ? "]" : "", (unsigned)program->port);
    if (program->spec->greet)
        program->spec->greet(program);
    fflush(stdout);
}

/* What runs beside the server. The loop keeps the handles until their close callback. */
struct running {
    struct program program;
    uv_signal_t signals[2];
    uv_timer_t clock;
};

static void server_stopped(pusherc_server *server, void *user_data)
{
    struct running *running = user_data;
    pusherc_server_free(server);
    running->program.server = NULL;
    if (running->program.spec->end)
        running->program.spec->end(&running->program);
    uv_close((uv_handle_t *)&running->signals[0], NULL);
    uv_close((uv_handle_t *)&running->signals[1], NULL);
    uv_close((uv_handle_t *)&running->clock, NULL);
}

/* What waited to be published has had its time. */
static void broadcaster_stopped(void *user_data)
{
    struct running *running = user_data;
    publish_close(&running->program);
    pusherc_server_stop(running->program.server, STOP_GRACE_MS, server_stopped, running);
}

/* The first signal closes the clients one by one, the second one does not wait for them. */
static void on_signal(uv_signal_t *handle, int number)
{
    (void)number;
    struct running *running = handle->data;
    bool second = running->program.ending;
    running->program.ending = true;
    uv_timer_stop(&running->clock);
    if (running->program.broadcaster)
        pusherc_broadcaster_stop(running->program.broadcaster, second ? 0 : STOP_GRACE_MS,
                                 broadcaster_stopped, running);
    else if (second)
        pusherc_server_stop(running->program.server, 0, NULL, NULL);
}

static void on_second(uv_timer_t *handle)
{
    struct program *program = handle->data;
    if (program->spec->each_second)
        program->spec->each_second(program);
}

static void watch(struct running *running)
{
    static const int numbers[] = {SIGINT, SIGTERM};
    signal(SIGPIPE, SIG_IGN); /* a write to a closed socket is an error code, not our end */
    for (int i = 0; i < 2; i++) {
        uv_signal_init(running->program.loop, &running->signals[i]);
        running->signals[i].data = running;
        uv_signal_start(&running->signals[i], on_signal, numbers[i]);
    }
    uv_timer_init(running->program.loop, &running->clock);
    running->clock.data = &running->program;
    uv_timer_start(&running->clock, on_second, 0, 1000);
}

static int run(struct running *running)
{
    struct program *program = &running->program;
    const struct options *options = program->options;
    unsigned char start_id[8];
    randombytes_buf(start_id, sizeof start_id);
    sodium_bin2hex(program->start_id, sizeof program->start_id, start_id, sizeof start_id);
    program->trace = options_trace();
    program->kept = strcmp(options->data, ":memory:") != 0;
    bool sets_up = program->spec->sets_up && program->spec->sets_up(program);
    if (store_open(&program->store, options->data, &program->spec->schema,
                   !options->empty && !sets_up) != 0)
        return -1;
    if (sets_up)
        return program->spec->set_up(program);
    if (scripts_load(&program->scripts, program->spec->scripts, options->node_modules) != 0)
        return -1;
    int status = start_server(program);
    if (status == 0) {
        watch(running);
        greet(program);
        if (program->spec->begin)
            program->spec->begin(program);
    } else {
        publish_close(program);
        pusherc_server_free(program->server);
    }
    uv_run(program->loop, UV_RUN_DEFAULT); /* until the last handle is closed */
    return status;
}

int program_main(int argc, char **argv, const struct program_spec *spec, void *own)
{
    struct options options;
    uv_loop_t loop;
    int parsed = options_parse(&options, spec, argc, argv);
    if (parsed != 0)
        return parsed > 0 ? 0 : 2;
    if (!setlocale(LC_CTYPE, "C.UTF-8") || sodium_init() < 0 || uv_loop_init(&loop) != 0) {
        say("no UTF-8, no random numbers or no event loop here");
        return 1;
    }
    struct running running = {
        .program = {.spec = spec, .options = &options, .own = own, .loop = &loop}};
    int status = run(&running);
    store_close(running.program.store);
    scripts_free(running.program.scripts);
    return uv_loop_close(&loop) == 0 && status == 0 ? 0 : 1;
}
