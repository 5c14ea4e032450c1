/*
 * What the benchmarks measure: the library, as a host would link it, without limits on what an app may do.
 *
 *     server PORT WORKERS     PORT 0: the system picks one; it is printed
 *
 * The app is app-id, app-key, app-secret. SIGINT or SIGTERM ends it.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include <pusherc/pusherc.h>

static int put_app(pusherc_server *server, pusherc_errinfo *info)
{
    pusherc_app_options app = PUSHERC_APP_OPTIONS_INIT;
    app.id = "app-id";
    app.key = "app-key";
    app.secret = "app-secret";
    app.client_events = true;
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
    struct rlimit files;
    sigset_t end;
    int signal_number;

    if (argc != 3) {
        fprintf(stderr, "usage: server PORT WORKERS\n");
        return 2;
    }
    listen.port = (uint16_t)atoi(argv[1]);
    listen.backlog = 4096;
    options.worker_count = (uint32_t)atoi(argv[2]);
    options.log_fn = pusherc_log_to_stderr;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    /* before the workers, which inherit it: the signal is for sigwait() */
    sigemptyset(&end);
    sigaddset(&end, SIGINT);
    sigaddset(&end, SIGTERM);
    sigprocmask(SIG_BLOCK, &end, NULL);

    int rc = pusherc_server_new(&server, &options, &info);
    if (rc == 0)
        rc = put_app(server, &info);
    if (rc == 0)
        rc = pusherc_server_listen(server, &listen, &info);
    if (rc == 0)
        rc = pusherc_server_start(server, &info);
    if (rc == 0) {
        printf("listening on 127.0.0.1:%u\n", pusherc_server_port(server, 0));
        fflush(stdout);
        sigwait(&end, &signal_number);
        pusherc_server_stop(server, 0, NULL, NULL);
    } else {
        fprintf(stderr, "%s\n", info.text);
    }
    pusherc_server_free(server);
    return rc != 0;
}
