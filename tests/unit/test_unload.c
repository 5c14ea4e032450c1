/*
 * 12.1: a host may close the library while its threads run, as interpreters do that end: it stays, and so does the server.
 * This program is not linked with the library; its argument is the shared one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dlfcn.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <pusherc/pusherc.h>

static const char *library;

/* A function of the library; POSIX lets the pointers be the same. */
static void find(void *handle, const char *name, void *function)
{
    void *found = dlsym(handle, name);
    assert_non_null(found);
    memcpy(function, &found, sizeof found);
}

/* A server on two threads. The port. */
static uint16_t serve(void *handle)
{
    int (*make)(pusherc_server **, const pusherc_server_options *, pusherc_errinfo *);
    int (*listen_at)(pusherc_server *, const pusherc_listen_options *, pusherc_errinfo *);
    int (*start)(pusherc_server *, pusherc_errinfo *);
    uint16_t (*port)(const pusherc_server *, size_t);
    pusherc_server_options options = PUSHERC_SERVER_OPTIONS_INIT;
    pusherc_server *server;
    options.worker_count = 2;
    find(handle, "pusherc_server_new", &make);
    find(handle, "pusherc_server_listen", &listen_at);
    find(handle, "pusherc_server_start", &start);
    find(handle, "pusherc_server_port", &port);
    assert_int_equal(make(&server, &options, NULL), 0);
    assert_int_equal(listen_at(server, NULL, NULL), 0);
    assert_int_equal(start(server, NULL), 0);
    return port(server, 0);
}

static void answers(uint16_t port)
{
    static const char request[] = "GET /ready HTTP/1.1\r\nHost: x\r\n\r\n";
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char answer[16];
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    assert_int_equal(send(fd, request, sizeof request - 1, MSG_NOSIGNAL), sizeof request - 1);
    assert_int_equal(recv(fd, answer, 12, MSG_WAITALL), 12);
    assert_memory_equal(answer, "HTTP/1.1 200", 12);
    close(fd);
}

static void a_closed_library_serves_on(void **state)
{
    (void)state;
    void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    if (!handle)
        fail_msg("%s", dlerror());
    uint16_t port = serve(handle);
    for (int i = 0; i < 8; i++)
        answers(port);
    assert_int_equal(dlclose(handle), 0);
    for (int i = 0; i < 8; i++)
        answers(port); /* both workers, each on its own thread */
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {cmocka_unit_test(a_closed_library_serves_on)};
    if (argc != 2)
        return 2;
    library = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
