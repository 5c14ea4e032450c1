/* 12.3: a listener on a unix socket, and its file. */
#include "net/socket_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

#include <pusherc/pusherc.h>

#include "unit/failing_alloc.h"

/* A folder with room for one socket. */
struct place {
    char folder[64], path[80], host[90];
    struct pc_mem mem;
};

static void place_init(struct place *p)
{
    strcpy(p->folder, "/tmp/pusherc-socket-XXXXXX");
    assert_non_null(mkdtemp(p->folder));
    (void)snprintf(p->path, sizeof p->path, "%s/s", p->folder);
    (void)snprintf(p->host, sizeof p->host, "unix:%s", p->path);
    p->mem = pc_mem_make(NULL);
}

static void place_free(struct place *p)
{
    unlink(p->path);
    assert_int_equal(rmdir(p->folder), 0); /* nothing else is left there */
}

static int make(struct place *p, struct pc_socket_file **file, int *fds, uint32_t count,
                pusherc_errinfo *info)
{
    pusherc_listen_options options = PUSHERC_LISTEN_OPTIONS_INIT;
    options.backlog = 8;
    options.unix_mode = 0600;
    *info = (pusherc_errinfo){0};
    return pc_socket_file_new(file, &p->mem, p->path, &options, count, fds, info);
}

static int dial(const char *path)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    strcpy(to.sun_path, path);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0)
        return fd;
    close(fd);
    return -errno;
}

static bool is_there(const char *path)
{
    struct stat is;
    return lstat(path, &is) == 0;
}

static void the_file_has_its_mode_and_goes_with_the_listener(void **state)
{
    struct place p;
    struct pc_socket_file *file;
    struct stat is;
    pusherc_errinfo info;
    int fds[3];
    (void)state;
    place_init(&p);
    mode_t before = umask(0);
    assert_int_equal(make(&p, &file, fds, 3, &info), 0);
    umask(before);
    assert_int_equal(lstat(p.path, &is), 0);
    assert_int_equal(is.st_mode & 07777, 0600);
    int client = dial(p.path);
    assert_true(client >= 0);
    for (int i = 0; i < 3; i++) {
        struct pollfd each = {.fd = fds[i], .events = POLLIN};
        assert_int_equal(poll(&each, 1, 0), 1); /* one socket for all workers */
        assert_int_equal(fcntl(fds[i], F_GETFD), FD_CLOEXEC);
    }
    pc_socket_file_remove(file);
    assert_false(is_there(p.path));
    for (int i = 0; i < 3; i++)
        close(fds[i]);
    close(client);
    place_free(&p);
}

static void the_file_of_a_process_that_has_gone_is_replaced(void **state)
{
    struct place p;
    struct pc_socket_file *gone, *file;
    pusherc_errinfo info;
    int fd;
    (void)state;
    place_init(&p);
    assert_int_equal(make(&p, &gone, &fd, 1, &info), 0);
    close(fd);     /* as the kernel does when a process ends */
    usleep(50000); /* longer than the clock of files takes for a step */
    assert_true(is_there(p.path));
    assert_int_equal(make(&p, &file, &fd, 1, &info), 0);
    int client = dial(p.path);
    assert_true(client >= 0);
    pc_socket_file_remove(gone); /* not its own any more */
    assert_true(is_there(p.path));
    pc_socket_file_remove(file);
    assert_false(is_there(p.path));
    close(client);
    close(fd);
    place_free(&p);
}

static void a_socket_in_use_stays(void **state)
{
    struct place p;
    struct pc_socket_file *file, *other;
    pusherc_errinfo info;
    char expected[128];
    int fd, more, clients[64];
    size_t count = 0;
    (void)state;
    place_init(&p);
    assert_int_equal(make(&p, &file, &fd, 1, &info), 0);
    (void)snprintf(expected, sizeof expected, "address in use: %s", p.host);
    for (int full = 0; full < 2; full++) {
        assert_int_equal(make(&p, &other, &more, 1, &info), PUSHERC_EIO);
        assert_int_equal(info.sys, UV_EADDRINUSE);
        assert_string_equal(info.text, expected);
        assert_null(other);
        for (; count < 64 && !full; count++) { /* its queue is full: it does not answer */
            struct sockaddr_un to = {.sun_family = AF_UNIX};
            strcpy(to.sun_path, p.path);
            clients[count] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
            (void)connect(clients[count], (struct sockaddr *)&to, sizeof to);
        }
    }
    while (count > 0)
        close(clients[--count]);
    pc_socket_file_remove(file);
    close(fd);
    place_free(&p);
}

static void another_file_stays(void **state)
{
    struct place p;
    struct pc_socket_file *file;
    struct stat is;
    pusherc_errinfo info;
    int fd;
    (void)state;
    place_init(&p);
    close(open(p.path, O_CREAT | O_WRONLY, 0600));
    assert_int_equal(make(&p, &file, &fd, 1, &info), PUSHERC_EIO);
    assert_int_equal(strncmp(info.text, "there is a file that is no socket: ", 35), 0);
    assert_int_equal(lstat(p.path, &is), 0);
    assert_true(S_ISREG(is.st_mode));
    unlink(p.path);
    assert_int_equal(symlink("/dev/null", p.path), 0); /* is not followed */
    assert_int_equal(make(&p, &file, &fd, 1, &info), PUSHERC_EIO);
    assert_int_equal(lstat(p.path, &is), 0);
    assert_true(S_ISLNK(is.st_mode));
    place_free(&p);
}

static void a_path_that_cannot_be_one_is_refused(void **state)
{
    struct place p;
    pusherc_listen_options options = PUSHERC_LISTEN_OPTIONS_INIT;
    struct pc_socket_file *file;
    pusherc_errinfo info;
    char longest[109] = "/";
    int fd;
    (void)state;
    place_init(&p);
    options.unix_mode = 0600;
    memset(longest + 1, 'a', 107);
    const char *const paths[] = {"", "s", "@s", longest};
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pc_socket_file_new(&file, &p.mem, paths[i], &options, 1, &fd, &info),
                         PUSHERC_EINVAL);
    assert_int_equal(pc_socket_file_new(&file, &p.mem, "/no/such/s", &options, 1, &fd, &info),
                     PUSHERC_EIO);
    assert_string_equal(info.text, "no such directory: unix:/no/such/s");
    assert_null(pc_socket_path("127.0.0.1"));
    assert_null(pc_socket_path(NULL));
    assert_string_equal(pc_socket_path("unix:/a"), "/a");
    place_free(&p);
}

/* What a server makes of it, through the public call. */
static int listen_at(pusherc_server *server, const char *host, uint16_t port, uint16_t mode)
{
    pusherc_listen_options options = PUSHERC_LISTEN_OPTIONS_INIT;
    options.host = host;
    options.port = port;
    options.unix_mode = mode;
    return pusherc_server_listen(server, &options, NULL);
}

static void the_options_fit_to_the_address(void **state)
{
    struct place p;
    pusherc_server *server;
    (void)state;
    place_init(&p);
    assert_int_equal(pusherc_server_new(&server, NULL, NULL), 0);
    assert_int_equal(listen_at(server, p.host, 6001, 0), PUSHERC_EINVAL);
    assert_int_equal(listen_at(server, p.host, 0, 01000), PUSHERC_EINVAL);
    assert_int_equal(listen_at(server, "127.0.0.1", 0, 0660), PUSHERC_EINVAL);
    assert_int_equal(listen_at(server, "unix:s", 0, 0), PUSHERC_EINVAL);
    assert_false(is_there(p.path));
    assert_int_equal(listen_at(server, p.host, 0, 0), 0);
    assert_int_equal(pusherc_server_port(server, 0), 0);
    struct stat is;
    assert_int_equal(lstat(p.path, &is), 0);
    assert_int_equal(is.st_mode & 07777, 0660);
    pusherc_server_free(server); /* was not started */
    assert_false(is_there(p.path));
    place_free(&p);
}

static void without_memory_no_file_is_left(void **state)
{
    bool failed = true;
    (void)state;
    for (size_t n = 1; failed; n++) {
        struct place p;
        struct failing_alloc alloc;
        pusherc_allocator allocator = failing_alloc_init(&alloc, 0);
        pusherc_server_options o = PUSHERC_SERVER_OPTIONS_INIT;
        pusherc_server *server;
        place_init(&p);
        o.allocator = &allocator;
        o.worker_count = 2;
        assert_int_equal(pusherc_server_new(&server, &o, NULL), 0);
        alloc.fail_at = alloc.requests + n;
        int err = listen_at(server, p.host, 0, 0);
        failed = failing_alloc_hit(&alloc);
        assert_int_equal(err, failed ? PUSHERC_ENOMEM : 0);
        pusherc_server_free(server);
        assert_false(is_there(p.path));
        assert_int_equal(failing_alloc_live(&alloc), 0);
        place_free(&p);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_file_has_its_mode_and_goes_with_the_listener),
        cmocka_unit_test(the_file_of_a_process_that_has_gone_is_replaced),
        cmocka_unit_test(a_socket_in_use_stays),
        cmocka_unit_test(another_file_stays),
        cmocka_unit_test(a_path_that_cannot_be_one_is_refused),
        cmocka_unit_test(the_options_fit_to_the_address),
        cmocka_unit_test(without_memory_no_file_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
