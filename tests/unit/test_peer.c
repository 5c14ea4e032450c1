/* Whose connection it is: addresses of sockets, and those that proxies name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/slice.h"
#include "net/peer.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* Up to three fields X-Forwarded-For among others. */
static void expect(int fd, uint32_t proxies, const char *const forwarded[3], const char *wanted)
{
    struct pc_pair fields[5] = {{PC_S("Host"), PC_S("192.0.2.99")}};
    struct pc_http_message message = {.fields = fields, .field_count = 1};
    char text[PC_ADDRESS_STRLEN];
    for (size_t i = 0; i < 3 && forwarded[i]; i++)
        fields[message.field_count++] = (struct pc_pair){
            i % 2 ? PC_S("x-forwarded-for") : PC_S("X-Forwarded-For"), pc_slice_of(forwarded[i])};
    fields[message.field_count++] = (struct pc_pair){PC_S("X-Forwarded-Fo"), PC_S("192.0.2.98")};
    struct pc_address address = pc_client_address(fd, &message, proxies);
    pc_address_format(&address, text);
    assert_string_equal(text, wanted);
}

static void the_nth_from_the_right_is_believed(void **state)
{
    static const struct {
        uint32_t proxies;
        const char *forwarded[3], *wanted;
    } cases[] = {
        {1, {"192.0.2.1"}, "192.0.2.1"},
        {1, {"6.6.6.6, 192.0.2.1"}, "192.0.2.1"},
        {2, {"6.6.6.6, 192.0.2.1,10.0.0.1"}, "192.0.2.1"},
        {2, {"6.6.6.6", "192.0.2.1", "10.0.0.1"}, "192.0.2.1"},
        {2, {"6.6.6.6, 192.0.2.1", "10.0.0.1"}, "192.0.2.1"},
        {1, {"garbage \x01, , 192.0.2.1"}, "192.0.2.1"},
        {1, {"192.0.2.1:4711"}, "192.0.2.1"},
        {1, {"2001:DB8::1"}, "2001:db8::1"},
        {1, {"[2001:db8::1]"}, "2001:db8::1"},
        {1, {"[2001:db8::1]:4711"}, "2001:db8::1"},
        {1, {"::ffff:192.0.2.1"}, "192.0.2.1"},
        /* not believed: who has no socket has no address then */
        {0, {"192.0.2.1"}, ""},
        {1, {NULL}, ""},
        {1, {""}, ""},
        {2, {"192.0.2.1"}, ""},
        {UINT32_MAX, {"192.0.2.1"}, ""},
        {1, {"192.0.2.1, unknown"}, ""},
        {1, {"192.0.2.1,"}, "192.0.2.1"}, /* an empty item at the end does not count */
        {1, {"192.0.2.1, ,"}, ""},
        {1, {"192.0.2"}, ""},
        {1, {"192.0.2.1 6"}, ""},
        {1, {"192.0.2.1.5"}, ""},
        {1, {"[192.0.2.1"}, "192.0.2.1"},
        {1, {"["}, ""},
        {1, {":"}, ""},
        {1, {":80"}, ""},
        {1, {"fe80::1%eth0"}, ""},
        {1, {"2001:db8::1:2:3:4:5:6:7:8:9"}, ""},
        {1, {"for=192.0.2.1"}, ""},
        {1, {"11111111111111111111111111111111111111111111111111111111111111"}, ""},
    };
    (void)state;
    for (size_t i = 0; i < LENGTH(cases); i++)
        expect(-1, cases[i].proxies, cases[i].forwarded, cases[i].wanted);
}

/* A listening socket and one that has connected to it, accepted. */
static int accepted_from(const char *host, int family, int sockets[2])
{
    struct sockaddr_storage address = {.ss_family = (sa_family_t)family};
    socklen_t len = sizeof address;
    if (family == AF_INET)
        inet_pton(AF_INET, host, &((struct sockaddr_in *)&address)->sin_addr);
    else
        inet_pton(AF_INET6, host, &((struct sockaddr_in6 *)&address)->sin6_addr);
    sockets[0] = socket(family, SOCK_STREAM, 0);
    sockets[1] = socket(family, SOCK_STREAM, 0);
    if (bind(sockets[0], (struct sockaddr *)&address,
             family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6)) ||
        listen(sockets[0], 1) || getsockname(sockets[0], (struct sockaddr *)&address, &len) ||
        connect(sockets[1], (struct sockaddr *)&address, len))
        return -1;
    return accept(sockets[0], NULL, NULL);
}

static void without_a_name_it_is_the_peer(void **state)
{
    static const struct {
        const char *host;
        int family;
    } cases[] = {{"127.0.0.1", AF_INET}, {"::1", AF_INET6}};
    static const char *const none[3] = {NULL}, *const bad[3] = {"unknown"},
                             *const good[3] = {"192.0.2.1"};
    (void)state;
    for (size_t i = 0; i < LENGTH(cases); i++) {
        int sockets[2];
        int fd = accepted_from(cases[i].host, cases[i].family, sockets);
        if (fd >= 0) { /* a machine may have no IPv6 */
            char peer[64];
            expect(fd, 0, good, cases[i].host);
            expect(fd, 1, none, cases[i].host);
            expect(fd, 1, bad, cases[i].host);
            expect(fd, 2, good, cases[i].host);
            expect(fd, 1, good, "192.0.2.1");
            pc_peer_describe(fd, peer, sizeof peer);
            assert_memory_equal(peer, i ? "[::1]:" : "127.0.0.1:", i ? 6 : 10);
            close(fd);
        } else {
            assert_int_equal(cases[i].family, AF_INET6);
        }
        close(sockets[0]);
        close(sockets[1]);
    }
    /* a socket of another kind has no address */
    int pair[2];
    char peer[64];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    expect(pair[0], 1, bad, "");
    pc_peer_describe(pair[0], peer, sizeof peer);
    assert_string_equal(peer, "unix:");
    close(pair[0]);
    close(pair[1]);
}

static bool same_network(const char *a, const char *b)
{
    const char *texts[2] = {a, b};
    struct pc_address addresses[2];
    for (size_t i = 0; i < 2; i++) {
        struct pc_pair field = {PC_S("X-Forwarded-For"), pc_slice_of(texts[i])};
        struct pc_http_message message = {.fields = &field, .field_count = 1};
        addresses[i] = pc_client_address(-1, &message, 1);
    }
    return pc_slice_eq(pc_address_network(&addresses[0]), pc_address_network(&addresses[1]));
}

static void one_client_is_an_address_or_a_64(void **state)
{
    struct pc_address unknown = {0};
    (void)state;
    assert_true(same_network("192.0.2.1", "::ffff:192.0.2.1"));
    assert_false(same_network("192.0.2.1", "192.0.2.2"));
    assert_true(same_network("2001:db8:0:1::1", "2001:db8:0:1:ffff::2"));
    assert_false(same_network("2001:db8:0:1::1", "2001:db8:0:2::1"));
    assert_int_equal(pc_address_network(&unknown).len, 0);
}

static void proxies_say_what_the_client_spoke(void **state)
{
    static const struct {
        uint32_t proxies;
        bool tls;
        const char *first, *second;
        bool wanted;
    } cases[] = {
        {0, false, "https", NULL, false}, /* anyone may have sent it */
        {0, true, "http", NULL, true},
        {1, false, NULL, NULL, false},
        {1, true, NULL, NULL, true},
        {1, false, "https", NULL, true},
        {1, false, "HTTPS", NULL, true},
        {1, false, "wss", NULL, true},
        {1, true, "http", NULL, false},
        {1, false, "https, http", NULL, false},
        {1, false, "http", "https", true},
        {2, false, "https, http", NULL, true},
        {2, false, "https", NULL, true}, /* the inner one has replaced the outer one's */
        {2, false, "http, https", "http", true},
        {1, true, "", NULL, true},
        {1, true, "gopher", NULL, false},
    };
    (void)state;
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct pc_pair fields[3] = {{PC_S("X-Forwarded-For"), PC_S("192.0.2.1")}};
        struct pc_http_message message = {.fields = fields, .field_count = 1};
        if (cases[i].first)
            fields[message.field_count++] =
                (struct pc_pair){PC_S("X-Forwarded-Proto"), pc_slice_of(cases[i].first)};
        if (cases[i].second)
            fields[message.field_count++] =
                (struct pc_pair){PC_S("x-forwarded-proto"), pc_slice_of(cases[i].second)};
        if (pc_client_speaks_tls(cases[i].tls, &message, cases[i].proxies) != cases[i].wanted)
            fail_msg("case %zu", i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_nth_from_the_right_is_believed),
        cmocka_unit_test(without_a_name_it_is_the_peer),
        cmocka_unit_test(one_client_is_an_address_or_a_64),
        cmocka_unit_test(proxies_say_what_the_client_spoke),
    };
    return cmocka_run_group_tests_name("peer", tests, NULL, NULL);
}
