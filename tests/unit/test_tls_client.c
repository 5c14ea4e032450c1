/* TLS as a client against servers that are none: what they say is refused with a reason, and costs only the connection. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <pusherc/error.h>

#include "codec/crypto.h"
#include "net/tls_client.h"
#include "unit/failing_alloc.h"

static const struct pc_tls_trust_files no_files = {.ca_file = NULL};

/* What a client makes of the first bytes of a server. */
static int read_all(struct pc_tls_client *client, pusherc_slice bytes)
{
    pusherc_slice text;
    int more = 1;
    pc_tls_client_feed(client, bytes);
    while (more > 0)
        more = pc_tls_client_read(client, &text);
    return more;
}

static void what_is_no_tls_is_refused_with_the_reason(void **state)
{
    static const struct {
        pusherc_slice says;
        const char *reason;
    } rows[] = {
        {PUSHERC_LIT("-ERR Protocol error\r\n"), "it answers without TLS"},
        {PUSHERC_LIT("$6\r\nfoobar\r\n"), "it answers without TLS"},
        {PUSHERC_LIT("\x15\x03\x03\x00\x02\x02\x28"), "it refuses TLS with this client"},
        {PUSHERC_LIT("\x16\x03\x03\x00\x04\x0e\x00\x00\x00"), "TLS failed: "},
        {PUSHERC_LIT("\x17\x03\x03\x00\x05hello"), "TLS failed: "},
        {PUSHERC_LIT("\x16\x09\x09\xff\xff"), "TLS failed: "},
    };
    const struct pc_mem mem = pc_mem_make(NULL);
    struct pc_tls_trust *trust;
    (void)state;
    assert_int_equal(pc_tls_trust_new(&trust, &mem, &no_files, NULL), 0);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pc_tls_client *client = pc_tls_client_new(trust, "redis.example");
        assert_non_null(client);
        assert_true(pc_tls_client_out(client)->len > 100); /* it speaks first */
        if (read_all(client, rows[i].says) != PUSHERC_ETLS)
            fail_msg("%zu is not refused", i);
        if (strncmp(pc_tls_client_reason(client), rows[i].reason, strlen(rows[i].reason)) != 0)
            fail_msg("%zu: %s", i, pc_tls_client_reason(client));
        assert_false(pc_tls_client_is_open(client));
        pc_tls_client_free(client);
    }
    pc_tls_trust_free(trust);
}

static void random_records_are_never_taken_for_text(void **state)
{
    const struct pc_mem mem = pc_mem_make(NULL);
    struct pc_tls_trust *trust;
    uint64_t random = 1;
    (void)state;
    assert_int_equal(pc_tls_trust_new(&trust, &mem, &no_files, NULL), 0);
    for (unsigned n = 0; n < 300; n++) {
        char bytes[200] = "\x16\x03\x03";
        struct pc_tls_client *client = pc_tls_client_new(trust, "redis.example");
        assert_non_null(client);
        for (size_t i = n % 2 ? 5 : 0; i < sizeof bytes; i++) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            bytes[i] = (char)(random >> 56);
        }
        bytes[4] = n % 2 ? 100 : bytes[4];
        for (size_t at = 0, err = 0; at < sizeof bytes && err == 0; at += 10)
            err = read_all(client, pc_slice(bytes + at, 10)) != 0;
        assert_false(pc_tls_client_is_open(client));
        pc_tls_client_free(client);
    }
    pc_tls_trust_free(trust);
}

static void files_that_cannot_be_used_are_said(void **state)
{
    static const struct {
        struct pc_tls_trust_files files;
        int err;
        const char *says;
    } rows[] = {
        {{.ca_file = "/nowhere.pem"}, PUSHERC_ETLS, "ca_file: no such file or directory"},
        {{.ca_file = "/"}, PUSHERC_ETLS, "ca_file: illegal operation on a directory"},
        {{.ca_file = "/dev/null"}, PUSHERC_ETLS, "ca_file: "},
        {{.cert_file = "/x"}, PUSHERC_EINVAL, "cert_file and key_file are both needed"},
        {{.key_file = "/x"}, PUSHERC_EINVAL, "cert_file and key_file are both needed"},
        {{.cert_file = "/nowhere", .key_file = "/x"}, PUSHERC_ETLS, "certificate: no such file"},
    };
    const struct pc_mem mem = pc_mem_make(NULL);
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pc_tls_trust *trust;
        pusherc_errinfo info = {0};
        assert_int_equal(pc_tls_trust_new(&trust, &mem, &rows[i].files, &info), rows[i].err);
        assert_null(trust);
        if (strncmp(info.text, rows[i].says, strlen(rows[i].says)) != 0)
            fail_msg("%zu: %s", i, info.text);
    }
}

static void memory_that_runs_out_is_an_error(void **state)
{
    bool failed = true;
    (void)state;
    for (size_t n = 1; failed; n++) {
        struct failing_alloc alloc;
        pusherc_allocator allocator = failing_alloc_init(&alloc, n);
        const struct pc_mem mem = pc_mem_make(&allocator);
        struct pc_tls_trust *trust;
        struct pc_tls_client *client = NULL;
        int err = pc_tls_trust_new(&trust, &mem, &no_files, NULL);
        if (err == 0)
            client = pc_tls_client_new(trust, "redis.example");
        failed = failing_alloc_hit(&alloc);
        assert_true(failed || client);
        if (client) /* an alert has to be put into a buffer */
            assert_true(read_all(client, PC_S("\x16\x03\x03\x00\x04\x0e\x00\x00\x00")) < 0);
        pc_tls_client_free(client);
        pc_tls_trust_free(trust);
        assert_int_equal(failing_alloc_live(&alloc), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_tls_is_refused_with_the_reason),
        cmocka_unit_test(random_records_are_never_taken_for_text),
        cmocka_unit_test(files_that_cannot_be_used_are_said),
        cmocka_unit_test(memory_that_runs_out_is_an_error),
    };
    if (pc_crypto_init())
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
