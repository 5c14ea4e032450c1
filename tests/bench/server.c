/*
 * What the benchmarks measure: the library, as a host would link it, without limits on what an app may do.
 *
 *     server PORT WORKERS [views|rules]     PORT 0: the system picks one; it is printed
 *
 * views: subscribers of the channel "views" belong to three audiences in turn, and an event is rendered for
 * each. rules: a rule decides about private-bench.{n}; who asks says so in the parameter `token`, or as a bearer.
 *
 * The app is app-id, app-key, app-secret. SIGINT or SIGTERM ends it.
 */
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <pusherc/pusherc.h>

/* -- views -- */

static void give_view(pusherc_auth_request *request, void *user_data)
{
    static const char *const views[] = {"a", "b", "c"};
    _Atomic unsigned *next = user_data;
    pusherc_grant grant = PUSHERC_GRANT_INIT;
    grant.view = pusherc_slice_of(views[atomic_fetch_add(next, 1) % 3]);
    (void)pusherc_auth_allow(request, &grant);
}

/* Each audience gets a frame of its own, with the same text, so that the load generator can judge it. */
static pusherc_render_verdict render(pusherc_render *call, void *user_data)
{
    (void)user_data;
    return pusherc_render_payload(call, pusherc_render_data(call)) ? PUSHERC_RENDER_NOTHING
                                                                   : PUSHERC_RENDER_REPLACED;
}

/* -- rules -- */

static void identify(pusherc_identify_request *request, void *user_data)
{
    pusherc_identity identity = PUSHERC_IDENTITY_INIT;
    (void)user_data;
    identity.user_id = pusherc_identify_bearer(request);
    if (identity.user_id.len == 0)
        identity.user_id = pusherc_identify_query(request, "token");
    (void)pusherc_identify_accept(request, &identity);
}

static void allow_known(pusherc_auth_request *const *requests, size_t count, void *user_data)
{
    (void)user_data;
    for (size_t i = 0; i < count; i++)
        if (pusherc_auth_user_id(requests[i]).len)
            (void)pusherc_auth_allow(requests[i], NULL);
        else
            (void)pusherc_auth_deny(requests[i], 0, NULL);
}

static int add_rule(pusherc_server *server, const char *what, _Atomic unsigned *next_view,
                    pusherc_errinfo *info)
{
    pusherc_rule rule = PUSHERC_RULE_INIT;
    if (strcmp(what, "views") == 0) {
        rule.pattern = "views";
        rule.kinds = PUSHERC_RULE_PUBLIC;
        rule.authorize = give_view;
        rule.render = render;
        rule.user_data = next_view;
    } else {
        rule.pattern = "bench.{n}";
        rule.authorize_batch = allow_known;
    }
    return pusherc_server_add_rule(server, &rule, info);
}

static int put_app(pusherc_server *server, pusherc_errinfo *info)
{
    pusherc_app_options app = PUSHERC_APP_OPTIONS_INIT;
    app.id = "app-id";
    app.key = "app-key";
    app.secret = "app-secret";
    app.client_events = true;
    app.auth_mode = PUSHERC_AUTH_EITHER;
    app.max_presence_members = PUSHERC_NO_LIMIT;
    app.max_client_events_per_s = PUSHERC_NO_LIMIT;
    return pusherc_server_put_app(server, &app, info);
}

int main(int argc, char **argv)
{
    pusherc_server *server = NULL;
    pusherc_errinfo info = {0};
    pusherc_server_options options = PUSHERC_SERVER_OPTIONS_INIT;
    pusherc_listen_options listen = PUSHERC_LISTEN_OPTIONS_INIT;
    pusherc_hooks hooks = PUSHERC_HOOKS_INIT;
    _Atomic unsigned next_view = 0;
    struct rlimit files;
    sigset_t end;
    int signal_number;

    if (argc < 3 || argc > 4) {
        fprintf(stderr, "usage: server PORT WORKERS [views|rules]\n");
        return 2;
    }
    listen.port = (uint16_t)atoi(argv[1]);
    listen.backlog = 4096;
    options.worker_count = (uint32_t)atoi(argv[2]);
    options.log_fn = pusherc_log_to_stderr;
    hooks.identify = identify;
    if (argc == 4)
        options.hooks = &hooks;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    /* before the workers, which inherit it: the signal is for sigwait() */
    sigemptyset(&end);
    sigaddset(&end, SIGINT);
    sigaddset(&end, SIGTERM);
    sigprocmask(SIG_BLOCK, &end, NULL);

    int err = pusherc_server_new(&server, &options, &info);
    if (err == 0 && argc == 4)
        err = add_rule(server, argv[3], &next_view, &info);
    if (err == 0)
        err = put_app(server, &info);
    if (err == 0)
        err = pusherc_server_listen(server, &listen, &info);
    if (err == 0)
        err = pusherc_server_start(server, &info);
    if (err == 0) {
        printf("listening on 127.0.0.1:%u\n", pusherc_server_port(server, 0));
        fflush(stdout);
        sigwait(&end, &signal_number);
        pusherc_server_stop(server, 0, NULL, NULL);
    } else {
        fprintf(stderr, "%s\n", info.text);
    }
    pusherc_server_free(server);
    return err != 0;
}
