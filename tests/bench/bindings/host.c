/*
 * What the bindings of other languages are compared with: a host in C whose rule decides in a call or through an inbox.
 *
 *     host PORT WAY [BLOCK_MS]     PORT 0: the system picks one
 *
 * WAY: none (there is no rule), callback (the rule's function is called), inbox (the rule's questions are messages, which
 * a thread of the host takes). BLOCK_MS: how long each decision blocks its thread, as a slow database would; 0 unless
 * given.
 *
 * One worker. The app is app-id, app-key, app-secret; the parameter `token` of a client is its user; the rule covers
 * private-bench.{n} and allows it to clients that have a user. SIGINT or SIGTERM ends the host, and it prints what an
 * authorization has cost, connecting and the rest included.
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include <pusherc/pusherc.h>

static struct host {
    pusherc_server *server;
    pusherc_inbox *inbox;
    bool has_rule;
    unsigned block_ms;
    unsigned long authorizations; /* of the one thread that decides */
} host;

static void identify(pusherc_identify_request *request, void *user_data)
{
    pusherc_identity who = PUSHERC_IDENTITY_INIT;
    (void)user_data;
    who.user_id = pusherc_identify_query(request, "token");
    (void)pusherc_identify_accept(request, &who);
}

static void decide(pusherc_auth_request *request, void *user_data)
{
    (void)user_data;
    host.authorizations++;
    if (host.block_ms)
        nanosleep(&(struct timespec){.tv_nsec = host.block_ms * 1000000L}, NULL);
    if (pusherc_auth_user_id(request).len)
        (void)pusherc_auth_allow(request, NULL);
    else
        (void)pusherc_auth_deny(request, 403, NULL);
}

static void *take(void *unused)
{
    pusherc_message messages[64];
    for (bool stopped = false; !stopped;) {
        size_t count = pusherc_inbox_take(host.inbox, messages, sizeof *messages, 64, UINT32_MAX);
        for (size_t i = 0; i < count; i++)
            if (messages[i].type == PUSHERC_MESSAGE_AUTHORIZE)
                decide(messages[i].request, NULL);
            else
                stopped = messages[i].type == PUSHERC_MESSAGE_STOPPED;
    }
    return unused;
}

static int start(uint16_t port, pusherc_errinfo *info)
{
    pusherc_server_options options = PUSHERC_SERVER_OPTIONS_INIT;
    pusherc_listen_options address = PUSHERC_LISTEN_OPTIONS_INIT;
    pusherc_app_options app = PUSHERC_APP_OPTIONS_INIT;
    pusherc_hooks hooks = PUSHERC_HOOKS_INIT;
    pusherc_rule rule = PUSHERC_RULE_INIT;
    int err;
    hooks.identify = identify;
    options.hooks = &hooks;
    options.worker_count = 1;
    options.log_fn = pusherc_log_to_stderr;
    options.inbox = host.inbox;
    options.inbox_messages = host.inbox ? 1u << PUSHERC_MESSAGE_STOPPED : 0;
    app.id = "app-id", app.key = "app-key", app.secret = "app-secret";
    app.auth_mode = PUSHERC_AUTH_EITHER;
    rule.pattern = "bench.{n}";
    if (host.inbox)
        rule.inbox = true;
    else
        rule.authorize = decide;
    address.port = port, address.backlog = 4096;
    if ((err = pusherc_server_new(&host.server, &options, info)) ||
        (err = pusherc_server_put_app(host.server, &app, info)) ||
        (host.has_rule && (err = pusherc_server_add_rule(host.server, &rule, info))) ||
        (err = pusherc_server_listen(host.server, &address, info)))
        return err;
    return pusherc_server_start(host.server, info);
}

int main(int argc, char **argv)
{
    pusherc_errinfo info = {0};
    struct rlimit files;
    struct rusage used;
    sigset_t end;
    pthread_t taker;
    int number;

    if (argc < 3 || argc > 4) {
        fprintf(stderr, "usage: host PORT none|callback|inbox [BLOCK_MS]\n");
        return 2;
    }
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    sigemptyset(&end); /* for sigwait(); the threads inherit that they are blocked */
    sigaddset(&end, SIGINT);
    sigaddset(&end, SIGTERM);
    sigprocmask(SIG_BLOCK, &end, NULL);

    host.has_rule = strcmp(argv[2], "none") != 0;
    host.block_ms = argc > 3 ? (unsigned)atoi(argv[3]) : 0;
    if (strcmp(argv[2], "inbox") == 0 &&
        (pusherc_inbox_new(&host.inbox, NULL) || pthread_create(&taker, NULL, take, NULL)))
        return 1;
    if (start((uint16_t)atoi(argv[1]), &info)) {
        fprintf(stderr, "%s\n", info.text);
        return 1;
    }
    printf("listening on http://127.0.0.1:%u\n", pusherc_server_port(host.server, 0));
    fflush(stdout);
    sigwait(&end, &number);
    pusherc_server_stop(host.server, 0, NULL, NULL);
    if (host.inbox)
        pthread_join(taker, NULL);
    pusherc_server_free(host.server);
    pusherc_inbox_free(host.inbox);
    getrusage(RUSAGE_SELF, &used);
    if (host.authorizations)
        printf("%lu authorizations, %.2f us each\n", host.authorizations,
               (double)((used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000000L +
                        used.ru_utime.tv_usec + used.ru_stime.tv_usec) /
                   (double)host.authorizations);
    return 0;
}
