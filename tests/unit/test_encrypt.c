/* End-to-end encryption: the vectors V11 to V15 of protocol section 4.3, and what must not be decrypted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <pusherc/sign.h>
#include <pusherc/version.h>

#include "auth/encrypt.h"
#include "codec/crypto.h"
#include "unit/failing_alloc.h"

#define VAULT  "private-encrypted-vault"
#define CACHED "private-encrypted-cache-vault"
#define NONCE  "ZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXp7"
#define V13                                                                                        \
    "{\"nonce\":\"" NONCE "\",\"ciphertext\":\"0I8D7FvAqy03v4ZPTg2gP6tj0ZcDQMOlJ8JqyDO7F4CYOjo="   \
    "\"}"

static uint8_t master_key[PUSHERC_MASTER_KEY_SIZE], nonce[PC_SECRETBOX_NONCE];

static pusherc_credentials with_key(void)
{
    pusherc_credentials credentials = PUSHERC_CREDENTIALS_INIT;
    credentials.master_key = pc_slice((const char *)master_key, sizeof master_key);
    return credentials;
}

static int set_up(void **state)
{
    (void)state;
    for (uint8_t i = 0; i < sizeof master_key; i++)
        master_key[i] = i;
    for (uint8_t i = 0; i < sizeof nonce; i++)
        nonce[i] = (uint8_t)(0x64 + i);
    return pc_crypto_init();
}

/* Without libsodium there is nothing to test but that. */
static void need_encryption(void)
{
    pusherc_credentials credentials = with_key();
    char out[200];
    if (strstr(pusherc_features(), "encryption"))
        return;
    assert_int_equal(
        pusherc_encrypt_event(&credentials, PC_S(VAULT), PC_S("{}"), out, sizeof out, NULL),
        PUSHERC_ENOSYS);
    assert_int_equal(
        pusherc_decrypt_event(&credentials, PC_S(VAULT), PC_S(V13), out, sizeof out, NULL),
        PUSHERC_ENOSYS);
    skip();
}

static void shared_secrets_are_those_of_the_vectors(void **state)
{
    static const struct {
        const char *id, *channel, *base64;
    } vectors[] = {
        {"V11", VAULT, "wp8Orjt2S4H4n8dDP7pa2A9reduRTTedbaiVnjqomsc="},
        {"V12", CACHED, "I1qRd7K02IuwO4ry62hz+N90H4dWRix9T6tcfEGHAus="},
    };
    pusherc_credentials credentials = with_key();
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        uint8_t secret[PUSHERC_SHARED_SECRET_SIZE];
        char base64[45] = "";
        assert_int_equal(
            pusherc_shared_secret(&credentials, pc_slice_of(vectors[i].channel), secret), 0);
        pc_base64_encode(pc_slice((const char *)secret, sizeof secret), base64);
        assert_string_equal(base64, vectors[i].base64);
    }
}

static void data_is_encrypted_as_the_vectors_say(void **state)
{
    static const struct {
        const char *id, *data, *ciphertext;
    } vectors[] = {
        {"V13", "{\"message\":\"hello\"}", "0I8D7FvAqy03v4ZPTg2gP6tj0ZcDQMOlJ8JqyDO7F4CYOjo="},
        {"V14", "\"plain text\"", "QRuOdeeAAijVeX3Tqe1JivIx0JMZXYK2J5gkyA=="},
        {"V15", "{}", "kAO7GwiOsSbars8ZojwS56s8"},
    };
    struct pc_mem mem = pc_mem_make(NULL);
    (void)state;
    need_encryption();
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        pusherc_slice data = pc_slice_of(vectors[i].data);
        struct pc_buf buf, plain;
        char expected[200];
        pc_buf_init(&buf, &mem, 1000);
        pc_buf_init(&plain, &mem, 1000);
        assert_int_equal(pc_encrypt(&buf, PC_S(VAULT), data, master_key, nonce), 0);
        snprintf(expected, sizeof expected, "{\"nonce\":\"" NONCE "\",\"ciphertext\":\"%s\"}",
                 vectors[i].ciphertext);
        assert_true(pc_slice_eq(pc_buf_slice(&buf), pc_slice_of(expected)));
        assert_int_equal(buf.len, pc_encrypted_size(data.len));
        assert_int_equal(pc_decrypt(&plain, PC_S(VAULT), pc_slice_of(expected), master_key), 0);
        assert_true(pc_slice_eq(pc_buf_slice(&plain), data));
        pc_buf_free(&plain);
        pc_buf_free(&buf);
    }
}

static void every_message_has_a_nonce_of_its_own(void **state)
{
    enum {
        COUNT = 200
    };
    static char results[COUNT][200];
    pusherc_credentials credentials = with_key();
    (void)state;
    need_encryption();
    for (size_t i = 0; i < COUNT; i++) {
        char plain[16];
        size_t len;
        assert_int_equal(pusherc_encrypt_event(&credentials, PC_S(VAULT), PC_S("{}"), results[i],
                                               sizeof *results, &len),
                         0);
        assert_int_equal(strlen(results[i]), len);
        for (size_t k = 0; k < i; k++)
            assert_int_not_equal(strncmp(results[i], results[k], strlen("{\"nonce\":\"" NONCE)), 0);
        assert_int_equal(pusherc_decrypt_event(&credentials, PC_S(VAULT), pc_slice_of(results[i]),
                                               plain, sizeof plain, &len),
                         0);
        assert_string_equal(plain, "{}");
    }
}

static void any_length_comes_back(void **state)
{
    static char data[5000], encrypted[8000], plain[8000];
    pusherc_credentials credentials = with_key();
    (void)state;
    need_encryption();
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (char)(i * 7);
    for (size_t n = 0; n < sizeof data; n += n < 100 ? 1 : 613) {
        size_t len, plain_len;
        assert_int_equal(pusherc_encrypt_event(&credentials, PC_S(VAULT), pc_slice(data, n),
                                               encrypted, sizeof encrypted, &len),
                         0);
        assert_int_equal(len, pc_encrypted_size(n));
        assert_true(len <= 4 * ((n + 18) / 3) + 61); /* and NUL: what sign.h says is enough */
        assert_int_equal(pusherc_decrypt_event(&credentials, PC_S(VAULT), pc_slice(encrypted, len),
                                               plain, sizeof plain, &plain_len),
                         0);
        assert_int_equal(plain_len, n);
        assert_memory_equal(plain, data, n);
        assert_int_equal(plain[n], '\0');
    }
}

static void data_for_another_channel_or_key_is_refused(void **state)
{
    pusherc_credentials credentials = with_key(), other = with_key();
    uint8_t other_key[PUSHERC_MASTER_KEY_SIZE] = {1};
    char out[100] = "before", changed[sizeof V13];
    size_t len = 7;
    (void)state;
    need_encryption();
    other.master_key.ptr = (const char *)other_key;
    assert_int_equal(
        pusherc_decrypt_event(&credentials, PC_S(CACHED), PC_S(V13), out, sizeof out, &len),
        PUSHERC_EAUTH);
    assert_int_equal(pusherc_decrypt_event(&other, PC_S(VAULT), PC_S(V13), out, sizeof out, &len),
                     PUSHERC_EAUTH);
    for (size_t i = 0; i < sizeof V13 - 1; i++) { /* one other character, anywhere */
        memcpy(changed, V13, sizeof V13);
        changed[i] = changed[i] == 'A' ? 'B' : 'A';
        int err = pusherc_decrypt_event(&credentials, PC_S(VAULT), pc_slice_of(changed), out,
                                        sizeof out, &len);
        assert_true(err == PUSHERC_EAUTH || err == PUSHERC_EINVAL);
    }
    assert_string_equal(out, "before");
    assert_int_equal(len, 7);
}

static void other_forms_are_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "null",
        "[]",
        "\"x\"",
        "{}",
        "not JSON",
        "{\"nonce\":\"" NONCE "\"}",
        "{\"ciphertext\":\"kAO7GwiOsSbars8ZojwS56s8\"}",
        "{\"nonce\":1,\"ciphertext\":\"kAO7GwiOsSbars8ZojwS56s8\"}",
        "{\"nonce\":\"\",\"ciphertext\":\"kAO7GwiOsSbars8ZojwS56s8\"}",
        "{\"nonce\":\"" NONCE "\",\"ciphertext\":\"\"}",
        "{\"nonce\":\"" NONCE "\",\"ciphertext\":\"kAO7GwiOsSbars8Zojw=\"}", /* 14 bytes: no tag */
        "{\"nonce\":\"ZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXo=\",\"ciphertext\":"
        "\"kAO7GwiOsSbars8ZojwS56s8\"}",
        "{\"nonce\":\"" NONCE NONCE "\",\"ciphertext\":\"kAO7GwiOsSbars8ZojwS56s8\"}",
        "{\"nonce\":\"" NONCE "\",\"ciphertext\":\"kAO7GwiOsSbars8ZojwS56s*\"}",
        "{\"nonce\":\"" NONCE "\",\"ciphertext\":\"kAO7GwiOsSbars8ZojwS56s8",
    };
    pusherc_credentials credentials = with_key();
    char out[100];
    (void)state;
    need_encryption();
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(pusherc_decrypt_event(&credentials, PC_S(VAULT), pc_slice_of(bad[i]), out,
                                               sizeof out, NULL),
                         PUSHERC_EINVAL);
    /* other order, escaped slashes, white space: as other writers of JSON have it */
    assert_int_equal(
        pusherc_decrypt_event(&credentials, PC_S(VAULT),
                              PC_S(" { \"ciphertext\": "
                                   "\"kAO7GwiOsSbars8ZojwS56s8\" ,\n \"nonce\":\"" NONCE
                                   "\", \"more\": 1}"),
                              out, sizeof out, NULL),
        0);
    assert_string_equal(out, "{}");
}

static void arguments_are_checked(void **state)
{
    pusherc_credentials good = with_key(), bad[4];
    const char *const channels[] = {"",         "vault",     "private-vault", "presence-vault",
                                    "bad name", "#encrypted"};
    pusherc_slice nothing = {NULL, 1};
    uint8_t secret[PUSHERC_SHARED_SECRET_SIZE];
    char out[200];
    (void)state;
    for (size_t i = 0; i < 4; i++)
        bad[i] = with_key();
    bad[0].struct_size--;
    bad[1].master_key.len = 0;
    bad[2].master_key.len = 31;
    bad[3].master_key.ptr = NULL;
    for (size_t i = 0; i < 5; i++) {
        const pusherc_credentials *c = i < 4 ? &bad[i] : NULL;
        assert_int_equal(pusherc_shared_secret(c, PC_S(VAULT), secret), PUSHERC_EINVAL);
        assert_int_equal(pusherc_encrypt_event(c, PC_S(VAULT), PC_S("{}"), out, sizeof out, NULL),
                         PUSHERC_EINVAL);
        assert_int_equal(pusherc_decrypt_event(c, PC_S(VAULT), PC_S(V13), out, sizeof out, NULL),
                         PUSHERC_EINVAL);
    }
    for (size_t i = 0; i < sizeof channels / sizeof *channels; i++) {
        pusherc_slice channel = pc_slice_of(channels[i]);
        assert_int_equal(pusherc_shared_secret(&good, channel, secret), PUSHERC_EINVAL);
        assert_int_equal(pusherc_encrypt_event(&good, channel, PC_S("{}"), out, sizeof out, NULL),
                         PUSHERC_EINVAL);
        assert_int_equal(pusherc_decrypt_event(&good, channel, PC_S(V13), out, sizeof out, NULL),
                         PUSHERC_EINVAL);
    }
    assert_int_equal(pusherc_shared_secret(&good, PC_S(VAULT), NULL), PUSHERC_EINVAL);
    assert_int_equal(pusherc_encrypt_event(&good, PC_S(VAULT), nothing, out, sizeof out, NULL),
                     PUSHERC_EINVAL);
    assert_int_equal(pusherc_decrypt_event(&good, PC_S(VAULT), nothing, out, sizeof out, NULL),
                     PUSHERC_EINVAL);
}

static void small_buffers_stay_untouched(void **state)
{
    pusherc_credentials credentials = with_key();
    char out[sizeof V13];
    size_t needed;
    (void)state;
    need_encryption();
    assert_int_equal(pusherc_encrypt_event(&credentials, PC_S(VAULT), PC_S("{}"), NULL, 0, &needed),
                     PUSHERC_ENOBUFS);
    assert_int_equal(needed, pc_encrypted_size(2) + 1);
    assert_int_equal(pusherc_decrypt_event(&credentials, PC_S(VAULT), PC_S(V13), NULL, 0, &needed),
                     PUSHERC_ENOBUFS);
    assert_int_equal(needed, strlen("{\"message\":\"hello\"}") + 1);
    memset(out, 'x', sizeof out);
    assert_int_equal(
        pusherc_decrypt_event(&credentials, PC_S(VAULT), PC_S(V13), out, needed - 1, NULL),
        PUSHERC_ENOBUFS);
    assert_int_equal(out[0], 'x');
    assert_int_equal(pusherc_decrypt_event(&credentials, PC_S(VAULT), PC_S(V13), out, needed, NULL),
                     0);
    assert_string_equal(out, "{\"message\":\"hello\"}");
}

/* Long enough for every buffer to leave the stack. */
static void out_of_memory_is_told(void **state)
{
    static char data[4000];
    static char encrypted[8000];
    pusherc_credentials credentials = with_key();
    size_t len;
    (void)state;
    need_encryption();
    memset(data, 'd', sizeof data);
    assert_int_equal(pusherc_encrypt_event(&credentials, PC_S(VAULT), pc_slice(data, sizeof data),
                                           encrypted, sizeof encrypted, &len),
                     0);
    bool failed = true;
    for (size_t n = 1; failed; n++) {
        struct failing_alloc alloc;
        pusherc_allocator allocator = failing_alloc_init(&alloc, n);
        struct pc_mem mem = pc_mem_make(&allocator);
        struct pc_buf one, two;
        pc_buf_init(&one, &mem, SIZE_MAX / 2);
        pc_buf_init(&two, &mem, SIZE_MAX / 2);
        int err = pc_encrypt(&one, PC_S(VAULT), pc_slice(data, sizeof data), master_key, NULL);
        if (!err)
            err = pc_decrypt(&two, PC_S(VAULT), pc_slice(encrypted, len), master_key);
        failed = failing_alloc_hit(&alloc);
        assert_int_equal(err, failed ? PUSHERC_ENOMEM : 0);
        pc_buf_free(&one);
        pc_buf_free(&two);
        assert_int_equal(failing_alloc_live(&alloc), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shared_secrets_are_those_of_the_vectors),
        cmocka_unit_test(data_is_encrypted_as_the_vectors_say),
        cmocka_unit_test(every_message_has_a_nonce_of_its_own),
        cmocka_unit_test(any_length_comes_back),
        cmocka_unit_test(data_for_another_channel_or_key_is_refused),
        cmocka_unit_test(other_forms_are_refused),
        cmocka_unit_test(arguments_are_checked),
        cmocka_unit_test(small_buffers_stay_untouched),
        cmocka_unit_test(out_of_memory_is_told),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
