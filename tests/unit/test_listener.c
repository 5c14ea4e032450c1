#include "net/listener.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static int bind_to(const char *host, uint16_t *port, uint32_t count, int *fds,
                   pusherc_errinfo *info)
{
    pusherc_listen_options options = PUSHERC_LISTEN_OPTIONS_INIT;
    options.host = host;
    options.port = *port;
    *info = (pusherc_errinfo){0};
    return pc_listener_bind(&options, count, fds, port, info);
}

static void close_all(const int *fds, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        close(fds[i]);
}

/* Containers often have none. */
static bool has_ipv6(void)
{
    uint16_t port = 0;
    int fd;
    pusherc_errinfo info;
    if (bind_to("::1", &port, 1, &fd, &info))
        return false;
    close(fd);
    return true;
}

static void a_name_is_refused_with_what_to_write(void **state)
{
    static const char *const names[] = {"localhost", "", "127.0.0.1:6001", "[::1]", "1.2.3", "::g"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char expected[100];
        uint16_t port = 0;
        int fd;
        pusherc_errinfo info;
        snprintf(expected, sizeof expected,
                 "\"%s\": write a numeric address such as 127.0.0.1 or ::", names[i]);
        assert_int_equal(bind_to(names[i], &port, 1, &fd, &info), PUSHERC_EINVAL);
        assert_int_equal(info.code, PUSHERC_EINVAL);
        assert_string_equal(info.text, expected);
    }
}

static void the_system_picks_one_port_for_all_workers(void **state)
{
    int fds[3];
    uint16_t port = 0;
    pusherc_errinfo info;
    (void)state;
    assert_int_equal(bind_to(NULL, &port, 3, fds, &info), 0);
    assert_int_not_equal(port, 0);
    close_all(fds, 3);
    if (!has_ipv6())
        return;
    port = 0;
    assert_int_equal(bind_to("::1", &port, 2, fds, &info), 0);
    assert_int_not_equal(port, 0);
    close_all(fds, 2);
}

/* Also by another process's workers that share it: SO_REUSEPORT alone would let us in. */
static void an_address_in_use_is_named(void **state)
{
    (void)state;
    for (uint32_t count = 1; count <= 2; count++) {
        char expected[100];
        int fds[2], more[2];
        uint16_t port = 0;
        pusherc_errinfo info;
        assert_int_equal(bind_to("127.0.0.1", &port, count, fds, &info), 0);
        for (uint32_t i = 0; i < count; i++)
            assert_int_equal(listen(fds[i], 1), 0);
        snprintf(expected, sizeof expected, "address in use: 127.0.0.1:%u", port);
        assert_int_equal(bind_to("127.0.0.1", &port, 2, more, &info), PUSHERC_EIO);
        assert_string_equal(info.text, expected);
        assert_int_equal(info.sys, UV_EADDRINUSE);
        close_all(fds, count);
    }
}

static void an_address_of_another_machine_is_named(void **state)
{
    uint16_t port = 6001;
    int fd;
    pusherc_errinfo info;
    (void)state;
    if (!has_ipv6())
        skip();
    /* RFC 3849: of documentation only */
    assert_int_equal(bind_to("2001:db8::1", &port, 1, &fd, &info), PUSHERC_EIO);
    assert_string_equal(info.text, "no such address on this machine: [2001:db8::1]:6001");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_is_refused_with_what_to_write),
        cmocka_unit_test(the_system_picks_one_port_for_all_workers),
        cmocka_unit_test(an_address_in_use_is_named),
        cmocka_unit_test(an_address_of_another_machine_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
