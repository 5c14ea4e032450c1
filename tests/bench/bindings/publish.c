/*
 * What a publish costs a host in C: python_costs.py compares the Python package with it.
 *
 *     publish COUNT
 *
 * Prints its port and waits for a line, so that a subscriber of the channel `bench` can connect. Then it publishes COUNT
 * events with 100 bytes of data, 50 in a millisecond at most, and prints the CPU time of each in microseconds, that of
 * the one worker included. The end of the input ends it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <pusherc/pusherc.h>

static double cpu_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static int publish(pusherc_server *server, const char *data, long count)
{
    int err = 0;
    for (long i = 0; i < count && !err; i++) {
        if (i % 50 == 0)
            nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        err = pusherc_publish_to(server, "1", "bench", 5, "event", 5, data, strlen(data), NULL);
    }
    return err;
}

int main(int argc, char **argv)
{
    pusherc_server_options options = PUSHERC_SERVER_OPTIONS_INIT;
    pusherc_app_options app = PUSHERC_APP_OPTIONS_INIT;
    pusherc_listen_options address = PUSHERC_LISTEN_OPTIONS_INIT;
    pusherc_errinfo info = {0};
    pusherc_server *server;
    char data[101];
    long count = argc == 2 ? atol(argv[1]) : 0;

    if (count <= 0) {
        fprintf(stderr, "usage: publish COUNT\n");
        return 2;
    }
    memset(data, 'x', sizeof data - 1);
    data[sizeof data - 1] = '\0';
    options.worker_count = 1;
    options.log_fn = pusherc_log_to_stderr;
    app.id = "1", app.key = "app-key", app.secret = "app-secret";
    if (pusherc_server_new(&server, &options, &info) ||
        pusherc_server_put_app(server, &app, &info) ||
        pusherc_server_listen(server, &address, &info) || pusherc_server_start(server, &info)) {
        fprintf(stderr, "%s\n", info.text);
        return 1;
    }
    printf("%u\n", pusherc_server_port(server, 0));
    fflush(stdout);
    if (getchar() == EOF)
        return 1;
    double before = cpu_us();
    if (publish(server, data, count))
        return 1;
    printf("%.3f\n", (cpu_us() - before) / (double)count);
    fflush(stdout);
    while (getchar() != EOF)
        ;
    pusherc_server_stop(server, 0, NULL, NULL);
    pusherc_server_free(server);
    return 0;
}
