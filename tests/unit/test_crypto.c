/* Digests, signatures and encodings against published vectors and those of protocol section 4. */
#include "codec/crypto.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pusherc/error.h>

#include "failing_alloc.h"

static void assert_hex(const uint8_t *data, size_t len, const char *expected)
{
    char hex[2 * 32 + 1] = "";
    pc_hex(data, len, hex);
    assert_string_equal(hex, expected);
}

static void sha1_gives_the_websocket_accept_value(void **state)
{
    (void)state;
    uint8_t sum[20];
    char text[28 + 1] = "";
    /* RFC 6455, section 1.3 */
    assert_int_equal(
        pc_sha1(PC_S("dGhlIHNhbXBsZSBub25jZQ==258EAFA5-E914-47DA-95CA-C5AB0DC85B11"), sum), 0);
    assert_int_equal(pc_base64_encode(pc_slice((const char *)sum, sizeof sum), text), 28);
    assert_string_equal(text, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

static void sha256_matches_the_standards_vectors(void **state)
{
    (void)state;
    uint8_t sum[PC_SHA256_SIZE];
    assert_int_equal(pc_sha256(PC_S("abc"), sum), 0);
    assert_hex(sum, sizeof sum, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_int_equal(pc_sha256(pc_slice(NULL, 0), sum), 0);
    assert_hex(sum, sizeof sum, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

/* Protocol section 4.3, V11 and V12: SHA-256 of the channel's name and the master key. */
static void shared_secrets_of_encrypted_channels_match(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"private-encrypted-vault", "wp8Orjt2S4H4n8dDP7pa2A9reduRTTedbaiVnjqomsc="},
        {"private-encrypted-cache-vault", "I1qRd7K02IuwO4ry62hz+N90H4dWRix9T6tcfEGHAus="},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t text[64 + 32], sum[PC_SHA256_SIZE];
        char secret[44 + 1] = "";
        size_t name_len = strlen(cases[i][0]), key_len = 0;
        memcpy(text, cases[i][0], name_len);
        assert_true(pc_base64_decode(PC_S("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="),
                                     text + name_len, 32, &key_len));
        assert_int_equal(key_len, 32);
        assert_int_equal(pc_sha256(pc_slice((const char *)text, name_len + key_len), sum), 0);
        assert_int_equal(pc_base64_encode(pc_slice((const char *)sum, sizeof sum), secret), 44);
        assert_string_equal(secret, cases[i][1]);
    }
}

static void body_md5_matches(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        const char *md5;
    } cases[] = {
        {"", "d41d8cd98f00b204e9800998ecf8427e"},   /* V27 */
        {"{}", "99914b932bd37a50b983c5e7c90ae93b"}, /* V28 */
        {"{\"name\":\"foo\",\"channels\":[\"project-3\"],\"data\":\"{\\\"some\\\":\\\"data\\\"}\"}",
         "ec365a775a4cd0599faeb73354201b6f"}, /* V16 */
        {"{\"name\":\"order.paid\",\"channel\":\"orders\",\"data\":\"{\\\"id\\\":42}\"}",
         "551b225ac63d7bcdc1beaa7cef1287d7"}, /* V20 */
        {"{\"name\":\"order.paid\",\"channels\":[\"presence-room.1\",\"orders\"],"
         "\"data\":\"{\\\"id\\\":42}\",\"socket_id\":\"1234.5678\","
         "\"info\":\"user_count,subscription_count\"}",
         "1db5d9c32dae323cbecb1839a38b1106"}, /* V21 */
        {"{\"batch\":[{\"name\":\"a\",\"channel\":\"orders\",\"data\":\"1\"},"
         "{\"name\":\"b\",\"channel\":\"presence-room.1\",\"data\":\"{}\",\"info\":\"user_count\"}]"
         "}",
         "2fe2452cb2191150a8d12b1f6196a7d2"}, /* V22 */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char hex[PC_MD5_HEX + 1] = "";
        assert_int_equal(pc_md5_hex(pc_slice_of(cases[i].body), hex), 0);
        assert_string_equal(hex, cases[i].md5);
    }
}

static const char documented_secret[] = "7ad3773142a6692b25b8";

#define QUERY "auth_key=app-key&auth_timestamp=1700000000&auth_version=1.0"

/* Protocol section 4: V1 to V10 and V16 to V30. */
static const struct {
    const char *name;
    const char *secret;
    const char *text;
    const char *hex;
} signatures[] = {
    {"V1", documented_secret, "1234.1234:private-foobar",
     "58df8b0c36d6982b82c3ecf6b4662e34fe8c25bba48f5369f135bf843651c3a4"},
    {"V2", documented_secret,
     "1234.1234:presence-foobar:{\"user_id\":10,\"user_info\":{\"name\":\"Mr. Channels\"}}",
     "31935e7d86dba64c2a90aed31fdc61869f9b22ba9d8863bba239c03ca481bc80"},
    {"V2b", documented_secret,
     "1234.1234:presence-foobar:{\"user_id\":10,\"user_info\":{\"name\":\"Mr. Pusher\"}}",
     "afaed3695da2ffd16931f457e338e6c9f2921fa133ce7dac49f529792be6304c"},
    {"V3", "app-secret", "1234.5678:private-orders.42",
     "e7d5f5269e1770d913fd46aed4da67e29b5af483739bce1bfa2af8d7977a3d59"},
    {"V4", "app-secret",
     "1234.5678:presence-room.1:{\"user_id\":\"7\",\"user_info\":{\"name\":\"Zo\xc3\xab\"}}",
     "7568af81836ae2581fc0d1bacd49f3948d1362977691bd07a8b576a249054a3f"},
    {"V5", "app-secret",
     "1234.5678:presence-room.1:{\"user_id\":\"7\",\"user_info\":{\"name\":\"Zo\\u00eb\"}}",
     "0e7c14386af55ab15eb75d453f123ea78ece57238a13c9d86fbd52b5d36319e0"},
    {"V6", "app-secret", "1234.5678:presence-cache-board:{\"user_id\":\"7\"}",
     "43b440e08e90391fe94ef7d606c244e467dce41588e97a055b7616c6b5b2d411"},
    {"V7", "app-secret", "1234.5678:presence-room.1",
     "1ea6d713ef355f4bfa3728da9b258c808b3475a6a3cd34b2246e135fb51d0f95"},
    {"V8", "app-secret", "1234.5678:private-encrypted-vault",
     "4053c190e5d8c41a6c0caea978423aba7191f9da573e8dd87bca52321a5b26b3"},
    {"V9", documented_secret, "1234.1234::user::{\"id\":\"12345\"}",
     "4708d583dada6a56435fb8bc611c77c359a31eebde13337c16ab43aa6de336ba"},
    {"V10", "app-secret",
     "1234.5678::user::{\"id\":\"7\",\"user_info\":{\"name\":\"Zoe\"},\"watchlist\":[\"8\",\"9\"]}",
     "ad35f84e884f25140f67ee8717d70ba4894664bf9634df04a58b027eb53b8187"},
    {"V16", documented_secret,
     "POST\n/apps/3/events\nauth_key=278d425bdf160c739803&auth_timestamp=1353088179"
     "&auth_version=1.0&body_md5=ec365a775a4cd0599faeb73354201b6f",
     "da454824c97ba181a32ccc17a72625ba02771f50b50e1e7430e47a1f3f457e6c"},
    {"V17", "4bf35003e819bb138249",
     "GET\n/apps/102015/channels\nauth_key=d41a439c438a100756f5&auth_timestamp=1427034994"
     "&auth_version=1.0&filter_by_prefix=presence-&info=user_count",
     "4d8a02edcc8a758b0162cd6da690a9a45fb8ae326a276dca1e06a0bc42796c11"},
    {"V18", "4bf35003e819bb138249",
     "GET\n/apps/102015/channels\nauth_key=d41a439c438a100756f5&auth_timestamp=1427036787"
     "&auth_version=1.0",
     "df89248f87f6e6d028925e0b04d60f316527a865992ace6936afa91281d8bef0"},
    {"V19", "secret",
     "POST\n/some/path\nauth_key=key&auth_timestamp=1234&auth_version=1.0&go=here&query=params",
     "3b237953a5ba6619875cbb2a2d43e8da9ef5824e8a2c689f6284ac85bc1ea0db"},
    {"V20", "app-secret",
     "POST\n/apps/app-id/events\n" QUERY "&body_md5=551b225ac63d7bcdc1beaa7cef1287d7",
     "2177714a5e2585840555dd17a397da73cc0c1b7d0fb4b040ecb4b0a66969446b"},
    {"V21", "app-secret",
     "POST\n/apps/app-id/events\n" QUERY "&body_md5=1db5d9c32dae323cbecb1839a38b1106",
     "871fd6955b4d5c86de4a8af63e89e54304f3ed1d71a73ab34f7cb6da3d17afac"},
    {"V22", "app-secret",
     "POST\n/apps/app-id/batch_events\n" QUERY "&body_md5=2fe2452cb2191150a8d12b1f6196a7d2",
     "2d9cec6af9f76ef852cfb003bbd0dab4acc1ce6d262fbc19d62f16b71139cb8f"},
    {"V23", "app-secret",
     "GET\n/apps/app-id/channels\n" QUERY "&filter_by_prefix=presence-&info=user_count",
     "fd5a1b38d92aee2b7913a8cf43136cffab888ee5a097536910d6239f08eb68a2"},
    {"V24", "app-secret",
     "GET\n/apps/app-id/channels/presence-room.1\n" QUERY "&info=user_count,subscription_count",
     "7ab088552e22c529b7b0350198784bdd4882eb19b620675d46e99649e0d50ae8"},
    {"V25", "app-secret",
     "GET\n/apps/app-id/channels/presence-room.1\n" QUERY
     "&info[]=user_count&info[]=subscription_count",
     "81ea79dbef1dc696aa154bc6e0d02b82ef1b4b4266a1a4c08f3a500c2c4358fd"},
    {"V26", "app-secret", "GET\n/apps/app-id/channels/presence-room.1/users\n" QUERY,
     "7bc0254938a148f98700cc8bc497604373a953c884ab5f968656a2bd0133ac0e"},
    {"V27", "app-secret",
     "GET\n/apps/app-id/channels\n" QUERY "&body_md5=d41d8cd98f00b204e9800998ecf8427e",
     "6a2f213f5ea86fd2cc8f4e738bac95efd868e894a2ab76d0e89393b2999b70ad"},
    {"V28", "app-secret",
     "POST\n/apps/app-id/users/7/terminate_connections\n" QUERY
     "&body_md5=99914b932bd37a50b983c5e7c90ae93b",
     "a67ca993f19242f0b373641a830ea80f251b4558fe3b9295bfbd5d566720951b"},
    {"lower case", "app-secret",
     "POST\n/apps/app-id/events\n" QUERY "&body_md5=551b225ac63d7bcdc1beaa7cef1287d7&zeta=1",
     "9f0e45cf049bbf939f91c45df6127ebf33f4246b0e2d0b87859e464b90e81dc1"},
    {"unescaped", "app-secret",
     "GET\n/apps/app-id/channels\n" QUERY "&filter_by_prefix=presence-@a,b;c=",
     "60c7e7949df9ff577c7619db7df7550a175c2a8ace4df3a4abb337ac5bee7592"},
    {"V29", "app-secret",
     "{\"time_ms\":1700000000123,\"events\":[{\"name\":\"channel_occupied\",\"channel\":"
     "\"presence-room.1\"},{\"name\":\"member_added\",\"channel\":\"presence-room.1\","
     "\"user_id\":\"7\"}]}",
     "22d545681531e39f78bb50371473b1f40b5d7679dd997d98272b011f2ae1519d"},
    {"V30", "app-secret",
     "{\"time_ms\":1700000000456,\"events\":[{\"name\":\"client_event\",\"channel\":"
     "\"presence-room.1\",\"event\":\"client-typing\",\"data\":\"{\\\"on\\\":true}\","
     "\"socket_id\":\"1234.5678\",\"user_id\":\"7\"}]}",
     "b07111d6be0f5f02fd0c77bc13e2846f295053f94de1e0ecd110c9b04f65fb93"},
};

static struct pc_hmac_key *make_key(pusherc_slice secret)
{
    struct pc_mem mem = pc_mem_make(NULL);
    struct pc_hmac_key *key = NULL;
    assert_int_equal(pc_hmac_key_new(&key, &mem, secret), 0);
    assert_non_null(key);
    return key;
}

static void every_signature_of_the_protocol_page_is_reproduced(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof signatures / sizeof signatures[0]; i++) {
        struct pc_hmac_key *key = make_key(pc_slice_of(signatures[i].secret));
        pusherc_slice text = pc_slice_of(signatures[i].text);
        char hex[PC_SHA256_HEX + 1] = "";
        assert_int_equal(pc_hmac_hex(key, &text, 1, hex), 0);
        if (strcmp(hex, signatures[i].hex) != 0)
            fail_msg("%s: %s", signatures[i].name, hex);
        pc_hmac_key_free(key);
    }
}

/* RFC 4231, cases 1 to 3, 6 and 7: short and long keys, and one longer than a block. */
static void hmac_matches_rfc_4231(void **state)
{
    (void)state;
    static const char ones[] = "\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b"
                               "\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b";
    char aa[131], dd[50];
    memset(aa, 0xaa, sizeof aa);
    memset(dd, 0xdd, sizeof dd);
    const struct {
        pusherc_slice key, data;
        const char *hex;
    } cases[] = {
        {PC_S(ones), PC_S("Hi There"),
         "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
        {PC_S("Jefe"), PC_S("what do ya want for nothing?"),
         "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
        {pc_slice(aa, 20), pc_slice(dd, sizeof dd),
         "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
        {pc_slice(aa, sizeof aa), PC_S("Test Using Larger Than Block-Size Key - Hash Key First"),
         "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
        {pc_slice(aa, sizeof aa),
         PC_S("This is a test using a larger than block-size key and a larger than block-size "
              "data. The key needs to be hashed before being used by the HMAC algorithm."),
         "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct pc_hmac_key *key = make_key(cases[i].key);
        char hex[PC_SHA256_HEX + 1] = "";
        assert_int_equal(pc_hmac_hex(key, &cases[i].data, 1, hex), 0);
        assert_string_equal(hex, cases[i].hex);
        pc_hmac_key_free(key);
    }
}

static void parts_are_signed_as_one_text_and_the_key_serves_again(void **state)
{
    (void)state;
    struct pc_hmac_key *key = make_key(PC_S("app-secret"));
    pusherc_slice parts[] = {
        PC_S("1234.5678"), PC_S(":"), {NULL, 0}, PC_S("private-"), PC_S("orders.42")};
    for (int again = 0; again < 3; again++) {
        char hex[PC_SHA256_HEX + 1] = "";
        assert_int_equal(pc_hmac_hex(key, parts, 5, hex), 0);
        assert_string_equal(hex,
                            "e7d5f5269e1770d913fd46aed4da67e29b5af483739bce1bfa2af8d7977a3d59");
    }
    char hex[PC_SHA256_HEX + 1] = "";
    assert_int_equal(pc_hmac_hex(key, NULL, 0, hex), 0); /* of nothing */
    assert_string_equal(hex, "f685db4c946698bf105ff5b62e30bc1f78216f3914b12bb750f8992aa6748824");
    pc_hmac_key_free(key);
}

static void keys_of_a_block_and_around_it_differ_and_work(void **state)
{
    (void)state;
    char secret[66], before[PC_SHA256_HEX] = "";
    memset(secret, 's', sizeof secret);
    for (size_t len = 0; len <= sizeof secret; len++) {
        struct pc_hmac_key *key = make_key(pc_slice(secret, len));
        char hex[PC_SHA256_HEX];
        pusherc_slice text = PC_S("text");
        assert_int_equal(pc_hmac_hex(key, &text, 1, hex), 0);
        assert_memory_not_equal(hex, before, sizeof hex);
        memcpy(before, hex, sizeof before);
        pc_hmac_key_free(key);
    }
}

/* More keys than the process has PSA key slots. */
static void a_thousand_apps_have_a_key_each(void **state)
{
    (void)state;
    static struct pc_hmac_key *keys[1000];
    for (size_t i = 0; i < 1000; i++) {
        char secret[] = {(char)('a' + i % 26), (char)('a' + i / 26)};
        keys[i] = make_key(pc_slice(secret, sizeof secret));
    }
    for (size_t i = 0; i < 1000; i++)
        pc_hmac_key_free(keys[i]);
    pc_hmac_key_free(NULL);
}

static void a_key_without_memory_is_no_key(void **state)
{
    (void)state;
    bool failed = true;
    for (size_t n = 1; failed; n++) {
        struct failing_alloc alloc;
        pusherc_allocator allocator = failing_alloc_init(&alloc, n);
        struct pc_mem mem = pc_mem_make(&allocator);
        struct pc_hmac_key *key = (void *)&mem;
        int err = pc_hmac_key_new(&key, &mem, PC_S("secret"));
        failed = failing_alloc_hit(&alloc);
        assert_int_equal(err, failed ? PUSHERC_ENOMEM : 0);
        if (failed)
            assert_null(key);
        pc_hmac_key_free(key);
        assert_int_equal(failing_alloc_live(&alloc), 0);
    }
}

/* What a freed key's memory holds is looked at before it is given back. */
struct watch {
    size_t size;
    bool clean;
};

static void *watch_malloc(size_t size, void *user_data)
{
    struct watch *watch = user_data;
    watch->size = size;
    return malloc(size);
}

static void watch_free(void *ptr, void *user_data)
{
    struct watch *watch = user_data;
    const unsigned char *bytes = ptr;
    watch->clean = true;
    for (size_t i = 0; i < watch->size; i++)
        watch->clean = watch->clean && bytes[i] == 0;
    free(ptr);
}

static void a_freed_key_leaves_nothing_behind(void **state)
{
    (void)state;
    struct watch watch = {0};
    pusherc_allocator allocator = {
        .malloc_fn = watch_malloc, .free_fn = watch_free, .user_data = &watch};
    struct pc_mem mem = pc_mem_make(&allocator);
    struct pc_hmac_key *key;
    assert_int_equal(pc_hmac_key_new(&key, &mem, PC_S("secret")), 0);
    pc_hmac_key_free(key);
    assert_true(watch.size > 0);
    assert_true(watch.clean);
}

static void random_bytes_fill_the_whole_room_and_differ(void **state)
{
    (void)state;
    uint8_t first[4096] = {0}, second[4096] = {0};
    unsigned zeros = 0;
    assert_int_equal(pc_random(first, sizeof first), 0);
    assert_int_equal(pc_random(second, sizeof second), 0);
    assert_memory_not_equal(first, second, 32);
    for (size_t i = 0; i < sizeof first; i++)
        zeros += first[i] == 0;
    assert_true(zeros < 100); /* 16 are expected */
    assert_int_equal(pc_random(first, 0), 0);
}

static void comparing_sees_every_byte(void **state)
{
    (void)state;
    char a[64], b[64];
    memset(a, 'x', sizeof a);
    memcpy(b, a, sizeof b);
    assert_true(pc_equal_constant_time(a, b, sizeof a));
    assert_true(pc_equal_constant_time(NULL, NULL, 0));
    for (size_t i = 0; i < sizeof a; i++) {
        b[i] ^= (char)(1 << i % 7);
        assert_false(pc_equal_constant_time(a, b, sizeof a));
        b[i] = a[i];
    }
}

static void base64_matches_rfc_4648_both_ways(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
        {"\xfb\xff\xbf", "+/+/"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pusherc_slice data = pc_slice_of(cases[i][0]), text = pc_slice_of(cases[i][1]);
        char encoded[16] = "";
        uint8_t decoded[16];
        size_t len = 99;
        assert_int_equal(pc_base64_encode(data, encoded), text.len);
        assert_string_equal(encoded, text.ptr);
        assert_true(pc_base64_decode(text, decoded, data.len, &len));
        assert_int_equal(len, data.len);
        assert_memory_equal(decoded, data.ptr, data.len);
        if (data.len)
            assert_false(pc_base64_decode(text, decoded, data.len - 1, &len));
    }
}

static void base64_takes_back_every_length(void **state)
{
    (void)state;
    uint8_t data[100], decoded[100];
    char text[4 * 34];
    for (size_t len = 0; len <= sizeof data; len++) {
        size_t decoded_len = 0;
        assert_int_equal(pc_random(data, sizeof data), 0);
        size_t text_len = pc_base64_encode(pc_slice((const char *)data, len), text);
        assert_int_equal(text_len, 4 * ((len + 2) / 3));
        assert_true(pc_base64_decode(pc_slice(text, text_len), decoded, len, &decoded_len));
        assert_int_equal(decoded_len, len);
        assert_memory_equal(decoded, data, len);
    }
}

static void malformed_base64_is_refused(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "Z",    "Zg",   "Zg=",    "Zg===",    "=",        "==",         "===",      "====", "Z===",
        "Zg=v", "Zm=v", "Zm9v=",  "Zm9vZ",    " Zm9v",    "Zm9v\n",     "Zm 9",     "Zm9-", "Zm9_",
        "Zh==", "Zm9=", "Zg==Zg", "Zg==Zm9v", "Zm9v====", "Z\xc3\xa4=", "Zm9v=m9v",
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t out[16];
        size_t len = 99;
        if (pc_base64_decode(pc_slice_of(cases[i]), out, sizeof out, &len) || len != 0)
            fail_msg("\"%s\" was taken", cases[i]);
    }
    uint8_t out[16];
    size_t len;
    assert_false(pc_base64_decode(PC_S("Zm9\0"), out, sizeof out, &len));
}

static int setup(void **state)
{
    (void)state;
    return pc_crypto_init() || pc_crypto_init(); /* again is harmless */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sha1_gives_the_websocket_accept_value),
        cmocka_unit_test(sha256_matches_the_standards_vectors),
        cmocka_unit_test(shared_secrets_of_encrypted_channels_match),
        cmocka_unit_test(body_md5_matches),
        cmocka_unit_test(every_signature_of_the_protocol_page_is_reproduced),
        cmocka_unit_test(hmac_matches_rfc_4231),
        cmocka_unit_test(parts_are_signed_as_one_text_and_the_key_serves_again),
        cmocka_unit_test(keys_of_a_block_and_around_it_differ_and_work),
        cmocka_unit_test(a_thousand_apps_have_a_key_each),
        cmocka_unit_test(a_key_without_memory_is_no_key),
        cmocka_unit_test(a_freed_key_leaves_nothing_behind),
        cmocka_unit_test(random_bytes_fill_the_whole_room_and_differ),
        cmocka_unit_test(comparing_sees_every_byte),
        cmocka_unit_test(base64_matches_rfc_4648_both_ways),
        cmocka_unit_test(base64_takes_back_every_length),
        cmocka_unit_test(malformed_base64_is_refused),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
