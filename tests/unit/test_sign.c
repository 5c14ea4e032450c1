/* Signatures: the vectors V1 to V12 and V16 to V30 of protocol section 4, what each SDK does, and refusals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pusherc/error.h>
#include <pusherc/sign.h>

#include "auth/sign.h"
#include "unit/failing_alloc.h"

#define DOC_KEY    "278d425bdf160c739803"
#define DOC_SECRET "7ad3773142a6692b25b8"
#define MASTER_KEY "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
#define NOW        1700000000U

#define ORDERS_BODY "{\"name\":\"order.paid\",\"channel\":\"orders\",\"data\":\"{\\\"id\\\":42}\"}"
#define ZOE         "{\"id\":\"7\",\"user_info\":{\"name\":\"Zoe\"},\"watchlist\":[\"8\",\"9\"]}"

static const pusherc_slice none = {NULL, 0};
static const pusherc_socket_id socket_id = {1234, 5678};

static pusherc_credentials credentials_of(const char *key, const char *secret)
{
    pusherc_credentials credentials = PUSHERC_CREDENTIALS_INIT;
    credentials.key = pc_slice_of(key);
    credentials.secret = pc_slice_of(secret);
    return credentials;
}

static pusherc_credentials app(void)
{
    return credentials_of("app-key", "app-secret");
}

static struct pc_hmac_key *hmac_key(const char *secret)
{
    struct pc_mem mem = pc_mem_make(NULL);
    struct pc_hmac_key *key = NULL;
    assert_int_equal(pc_crypto_init(), 0);
    assert_int_equal(pc_hmac_key_new(&key, &mem, pc_slice_of(secret)), 0);
    return key;
}

/* -- subscriptions and sign-ins -- */

struct auth_vector {
    const char *id, *key, *secret;
    pusherc_socket_id socket_id;
    const char *channel; /* NULL = a sign-in */
    const char *data;
    const char *hex;
};

static const struct auth_vector auth_vectors[] = {
    {"V1",
     DOC_KEY,
     DOC_SECRET,
     {1234, 1234},
     "private-foobar",
     "",
     "58df8b0c36d6982b82c3ecf6b4662e34fe8c25bba48f5369f135bf843651c3a4"},
    {"V2",
     DOC_KEY,
     DOC_SECRET,
     {1234, 1234},
     "presence-foobar",
     "{\"user_id\":10,\"user_info\":{\"name\":\"Mr. Channels\"}}",
     "31935e7d86dba64c2a90aed31fdc61869f9b22ba9d8863bba239c03ca481bc80"},
    {"V2b",
     DOC_KEY,
     DOC_SECRET,
     {1234, 1234},
     "presence-foobar",
     "{\"user_id\":10,\"user_info\":{\"name\":\"Mr. Pusher\"}}",
     "afaed3695da2ffd16931f457e338e6c9f2921fa133ce7dac49f529792be6304c"},
    {"V3",
     "app-key",
     "app-secret",
     {1234, 5678},
     "private-orders.42",
     "",
     "e7d5f5269e1770d913fd46aed4da67e29b5af483739bce1bfa2af8d7977a3d59"},
    {"V4",
     "app-key",
     "app-secret",
     {1234, 5678},
     "presence-room.1",
     "{\"user_id\":\"7\",\"user_info\":{\"name\":\"Zo\xc3\xab\"}}",
     "7568af81836ae2581fc0d1bacd49f3948d1362977691bd07a8b576a249054a3f"},
    {"V5",
     "app-key",
     "app-secret",
     {1234, 5678},
     "presence-room.1",
     "{\"user_id\":\"7\",\"user_info\":{\"name\":\"Zo\\u00eb\"}}",
     "0e7c14386af55ab15eb75d453f123ea78ece57238a13c9d86fbd52b5d36319e0"},
    {"V6",
     "app-key",
     "app-secret",
     {1234, 5678},
     "presence-cache-board",
     "{\"user_id\":\"7\"}",
     "43b440e08e90391fe94ef7d606c244e467dce41588e97a055b7616c6b5b2d411"},
    {"V7",
     "app-key",
     "app-secret",
     {1234, 5678},
     "presence-room.1",
     "",
     "1ea6d713ef355f4bfa3728da9b258c808b3475a6a3cd34b2246e135fb51d0f95"},
    {"V8",
     "app-key",
     "app-secret",
     {1234, 5678},
     "private-encrypted-vault",
     "",
     "4053c190e5d8c41a6c0caea978423aba7191f9da573e8dd87bca52321a5b26b3"},
    {"V9",
     DOC_KEY,
     DOC_SECRET,
     {1234, 1234},
     NULL,
     "{\"id\":\"12345\"}",
     "4708d583dada6a56435fb8bc611c77c359a31eebde13337c16ab43aa6de336ba"},
    {"V10",
     "app-key",
     "app-secret",
     {1234, 5678},
     NULL,
     ZOE,
     "ad35f84e884f25140f67ee8717d70ba4894664bf9634df04a58b027eb53b8187"},
};

static int verify(const struct auth_vector *v, const char *auth, const char **why)
{
    char printed[PUSHERC_SOCKET_ID_STRLEN];
    pusherc_slice id = {printed, pusherc_socket_id_format(v->socket_id, printed)};
    struct pc_hmac_key *secret = hmac_key(v->secret);
    int err = v->channel
                  ? pc_verify_channel_auth(pc_slice_of(v->key), secret, id, pc_slice_of(v->channel),
                                           pc_slice_of(v->data), pc_slice_of(auth), why)
                  : pc_verify_user_auth(pc_slice_of(v->key), secret, id, pc_slice_of(v->data),
                                        pc_slice_of(auth), why);
    pc_hmac_key_free(secret);
    return err;
}

static void channel_and_user_vectors_are_signed_and_verified(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof auth_vectors / sizeof auth_vectors[0]; i++) {
        const struct auth_vector *v = &auth_vectors[i];
        pusherc_credentials credentials = credentials_of(v->key, v->secret);
        char expected[200], auth[200];
        const char *why = NULL;
        size_t len = 0;

        snprintf(expected, sizeof expected, "%s:%s", v->key, v->hex);
        if (v->channel)
            assert_int_equal(pusherc_sign_channel(&credentials, v->socket_id,
                                                  pc_slice_of(v->channel), pc_slice_of(v->data),
                                                  auth, sizeof auth, &len),
                             0);
        else
            assert_int_equal(pusherc_sign_user(&credentials, v->socket_id, pc_slice_of(v->data),
                                               auth, sizeof auth, &len),
                             0);
        if (strcmp(auth, expected) != 0 || len != strlen(expected))
            fail_msg("%s: %s", v->id, auth);
        if (verify(v, auth, &why))
            fail_msg("%s: %s", v->id, why);
    }
}

static void every_other_subscription_is_refused(void **state)
{
    /* V3 with one thing changed */
    static const struct auth_vector good = {
        "", "app-key", "app-secret", {1234, 5678}, "private-orders.42", "", ""};
    static const char hex[] = "e7d5f5269e1770d913fd46aed4da67e29b5af483739bce1bfa2af8d7977a3d59";
    static const struct {
        const char *auth, *why;
    } cases[] = {
        {"", "Auth info required"},
        {"app-key", "Invalid key in subscription auth data"},
        {"e7d5f5269e1770d913fd46aed4da67e29b5af483739bce1bfa2af8d7977a3d59",
         "Invalid key in subscription auth data"},
        {":e7d5f5269e1770d913fd46aed4da67e29b5af483739bce1bfa2af8d7977a3d59",
         "Invalid key in subscription auth data"},
        {"app-ke:e7d5f5269e1770d913fd46aed4da67e29b5af483739bce1bfa2af8d7977a3d59",
         "Invalid key in subscription auth data"},
        {"APP-KEY:e7d5f5269e1770d913fd46aed4da67e29b5af483739bce1bfa2af8d7977a3d59",
         "Invalid key in subscription auth data"},
        {"app-key:", "Invalid signature"},
        {"app-key::e7d5f5269e1770d913fd46aed4da67e29b5af483739bce1bfa2af8d7977a3d59",
         "Invalid signature"},
        {"app-key:e7d5f5269e1770d913fd46aed4da67e29b5af483739bce1bfa2af8d7977a3d5",
         "Invalid signature"},
        {"app-key:e7d5f5269e1770d913fd46aed4da67e29b5af483739bce1bfa2af8d7977a3d599",
         "Invalid signature"},
        {"app-key:e7d5f5269e1770d913fd46aed4da67e29b5af483739bce1bfa2af8d7977a3d5a",
         "Invalid signature"},
        {"app-key:E7D5F5269E1770D913FD46AED4DA67E29B5AF483739BCE1BFA2AF8D7977A3D59",
         "Invalid signature"},
        {"app-key:::user::e7d5f5269e1770d913fd46aed4da67e29b5af483739bce1bfa2af8d7977a",
         "Invalid signature"},
    };
    char auth[100];
    const char *why = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(verify(&good, cases[i].auth, &why), PUSHERC_EAUTH);
        assert_string_equal(why, cases[i].why);
    }

    snprintf(auth, sizeof auth, "app-key:%s", hex);
    assert_int_equal(verify(&good, auth, &why), 0);
    struct auth_vector v = good;
    v.socket_id.b++;
    assert_int_equal(verify(&v, auth, &why), PUSHERC_EAUTH);
    v = good;
    v.channel = "private-orders.43";
    assert_int_equal(verify(&v, auth, &why), PUSHERC_EAUTH);
    v = good;
    v.data = "{}";
    assert_int_equal(verify(&v, auth, &why), PUSHERC_EAUTH);
    v = good;
    v.secret = "app-secre";
    assert_int_equal(verify(&v, auth, &why), PUSHERC_EAUTH);
    assert_string_equal(why, "Invalid signature");
}

/* channel_data is signed on private channels too, and its bytes count, not its meaning. */
static void channel_data_is_always_part_of_the_signature(void **state)
{
    pusherc_credentials credentials = app();
    struct auth_vector v = {
        "", "app-key", "app-secret", {1234, 5678}, "private-a", "{\"user_id\":\"7\"}", ""};
    const char *why = NULL;
    char auth[100];

    (void)state;
    assert_int_equal(pusherc_sign_channel(&credentials, v.socket_id, pc_slice_of(v.channel),
                                          pc_slice_of(v.data), auth, sizeof auth, NULL),
                     0);
    assert_int_equal(verify(&v, auth, &why), 0);
    v.data = "";
    assert_int_equal(verify(&v, auth, &why), PUSHERC_EAUTH);
    v.data = "{\"user_id\": \"7\"}";
    assert_int_equal(verify(&v, auth, &why), PUSHERC_EAUTH);
}

static void auth_endpoints_answer_as_clients_expect(void **state)
{
    static const struct {
        const char *channel, *channel_data, *json;
    } cases[] = {
        {"private-orders.42", "",
         "{\"auth\":\"app-key:e7d5f5269e1770d913fd46aed4da67e29b5af483739bce1bfa2af8d7977a3d59\"}"},
        {"presence-room.1", "{\"user_id\":\"7\",\"user_info\":{\"name\":\"Zo\xc3\xab\"}}",
         "{\"auth\":\"app-key:7568af81836ae2581fc0d1bacd49f3948d1362977691bd07a8b576a249054a3f\","
         "\"channel_data\":\"{\\\"user_id\\\":\\\"7\\\",\\\"user_info\\\":{\\\"name\\\":"
         "\\\"Zo\xc3\xab\\\"}}\"}"},
        {"presence-room.1", "{\"user_id\":\"7\",\"user_info\":{\"name\":\"Zo\\u00eb\"}}",
         "{\"auth\":\"app-key:0e7c14386af55ab15eb75d453f123ea78ece57238a13c9d86fbd52b5d36319e0\","
         "\"channel_data\":\"{\\\"user_id\\\":\\\"7\\\",\\\"user_info\\\":{\\\"name\\\":"
         "\\\"Zo\\\\u00eb\\\"}}\"}"},
        {"presence-room.1", "",
         "{\"auth\":\"app-key:1ea6d713ef355f4bfa3728da9b258c808b3475a6a3cd34b2246e135fb51d0f95\"}"},
        /* V11, V12 */
        {"private-encrypted-vault", "",
         "{\"auth\":\"app-key:4053c190e5d8c41a6c0caea978423aba7191f9da573e8dd87bca52321a5b26b3\","
         "\"shared_secret\":\"wp8Orjt2S4H4n8dDP7pa2A9reduRTTedbaiVnjqomsc=\"}"},
    };
    pusherc_credentials credentials = app();
    uint8_t master_key[PUSHERC_MASTER_KEY_SIZE];
    char json[500];
    size_t len;

    (void)state;
    assert_int_equal(pusherc_master_key_decode(PC_S(MASTER_KEY), master_key), 0);
    credentials.master_key = pc_slice((const char *)master_key, sizeof master_key);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(
            pusherc_auth_response_json(&credentials, socket_id, pc_slice_of(cases[i].channel),
                                       pc_slice_of(cases[i].channel_data), json, sizeof json, &len),
            0);
        assert_string_equal(json, cases[i].json);
        assert_int_equal(len, strlen(json));
    }

    assert_int_equal(pusherc_auth_response_json(&credentials, socket_id,
                                                PC_S("private-encrypted-cache-vault"), none, json,
                                                sizeof json, NULL),
                     0);
    assert_non_null(
        strstr(json, ",\"shared_secret\":\"I1qRd7K02IuwO4ry62hz+N90H4dWRix9T6tcfEGHAus=\"}"));

    assert_int_equal(pusherc_user_auth_response_json(&credentials, socket_id, PC_S(ZOE), json,
                                                     sizeof json, &len),
                     0);
    assert_string_equal(
        json,
        "{\"auth\":\"app-key:ad35f84e884f25140f67ee8717d70ba4894664bf9634df04a58b027eb53b8187\","
        "\"user_data\":\"{\\\"id\\\":\\\"7\\\",\\\"user_info\\\":{\\\"name\\\":\\\"Zoe\\\"},"
        "\\\"watchlist\\\":[\\\"8\\\",\\\"9\\\"]}\"}");
    assert_int_equal(len, strlen(json));
}

static void auth_endpoints_sign_nothing_that_a_server_would_refuse(void **state)
{
    static const struct {
        const char *channel, *channel_data;
    } refused[] = {
        {"", ""},
        {"private-a b", ""},
        {"private-a\n", ""},
        {"#orders", ""},
        {"private-encrypted-vault", ""}, /* there is no master key */
        {"presence-a", "7"},
        {"presence-a", "[]"},
        {"presence-a", "{}"},
        {"presence-a", "{\"user_id\":\"7\""},
        {"presence-a", "{\"user_id\":\"\"}"},
        {"presence-a", "{\"user_id\":null}"},
        {"presence-a", "{\"user_id\":1.5}"},
        {"presence-a", "{\"user_id\":\"\xff\"}"},
        {"private-a", "x"},
        {"private-a", "\"x\""},
    };
    static const char *const refused_users[] = {
        "",
        "7",
        "[]",
        "{}",
        "{\"id\":7}",
        "{\"id\":\"\"}",
        "{\"id\":\"a b\"}",
        "{\"id\":null}",
        "{\"user_id\":\"7\"}",
    };
    pusherc_credentials credentials = app();
    char out[200] = "before";
    size_t len = 77;

    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        if (pusherc_auth_response_json(&credentials, socket_id, pc_slice_of(refused[i].channel),
                                       pc_slice_of(refused[i].channel_data), out, sizeof out,
                                       &len) != PUSHERC_EINVAL)
            fail_msg("%s %s", refused[i].channel, refused[i].channel_data);
    for (size_t i = 0; i < sizeof refused_users / sizeof refused_users[0]; i++)
        if (pusherc_user_auth_response_json(&credentials, socket_id, pc_slice_of(refused_users[i]),
                                            out, sizeof out, &len) != PUSHERC_EINVAL)
            fail_msg("%s", refused_users[i]);

    const pusherc_socket_id no_socket = {0, 0};
    assert_int_equal(pusherc_auth_response_json(&credentials, no_socket, PC_S("private-a"), none,
                                                out, sizeof out, &len),
                     PUSHERC_EINVAL);
    assert_int_equal(pusherc_user_auth_response_json(&credentials, no_socket,
                                                     PC_S("{\"id\":\"7\"}"), out, sizeof out, &len),
                     PUSHERC_EINVAL);
    assert_int_equal(
        pusherc_sign_channel(&credentials, no_socket, PC_S("a"), none, out, sizeof out, &len),
        PUSHERC_EINVAL);
    assert_int_equal(
        pusherc_sign_channel(&credentials, socket_id, PC_S("a b"), none, out, sizeof out, &len),
        PUSHERC_EINVAL);
    assert_int_equal(pusherc_sign_user(&credentials, socket_id, none, out, sizeof out, &len),
                     PUSHERC_EINVAL);
    assert_string_equal(out, "before");
    assert_int_equal(len, 77);
}

static void master_keys_have_32_bytes(void **state)
{
    uint8_t key[PUSHERC_MASTER_KEY_SIZE];

    (void)state;
    assert_int_equal(pusherc_master_key_decode(PC_S(MASTER_KEY), key), 0);
    for (size_t i = 0; i < sizeof key; i++)
        assert_int_equal(key[i], i);
    memset(key, 0xee, sizeof key);
    assert_int_equal(pusherc_master_key_decode(PC_S(""), key), PUSHERC_EINVAL);
    assert_int_equal(pusherc_master_key_decode(none, key), PUSHERC_EINVAL);
    assert_int_equal(pusherc_master_key_decode(PC_S("AAECAwQFBgcICQoLDA0ODw=="), key),
                     PUSHERC_EINVAL);
    assert_int_equal(
        pusherc_master_key_decode(PC_S("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g"), key),
        PUSHERC_EINVAL);
    assert_int_equal(
        pusherc_master_key_decode(PC_S("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"), key),
        PUSHERC_EINVAL);
    assert_int_equal(
        pusherc_master_key_decode(PC_S("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"), key),
        PUSHERC_EINVAL);
    assert_int_equal(pusherc_master_key_decode(PC_S(MASTER_KEY), NULL), PUSHERC_EINVAL);
    assert_int_equal(key[0], 0xee);

    pusherc_credentials credentials = app();
    char json[300];
    credentials.master_key = pc_slice((const char *)key, 31);
    assert_int_equal(pusherc_auth_response_json(&credentials, socket_id,
                                                PC_S("private-encrypted-vault"), none, json,
                                                sizeof json, NULL),
                     PUSHERC_EINVAL);
}

/* Every function that writes text: the capacity it asks for is enough, one byte less is not. */
static void small_buffers_stay_untouched(void **state)
{
    pusherc_credentials credentials = app();
    const pusherc_http_param param = {PUSHERC_LIT("info"), PUSHERC_LIT("user_count")};
    char out[600];
    size_t len;

    (void)state;
    for (int which = 0; which < 5; which++) {
        size_t cap = 0, needed = 0;
        for (int pass = 0; pass < 3; pass++) {
            int err = 0;
            memset(out, 'x', sizeof out);
            switch (which) {
            case 0:
                err = pusherc_sign_channel(&credentials, socket_id, PC_S("private-a"), none,
                                           cap ? out : NULL, cap, &len);
                break;
            case 1:
                err = pusherc_sign_user(&credentials, socket_id, PC_S(ZOE), cap ? out : NULL, cap,
                                        &len);
                break;
            case 2:
                err = pusherc_auth_response_json(&credentials, socket_id, PC_S("presence-a"),
                                                 PC_S("{\"user_id\":7}"), cap ? out : NULL, cap,
                                                 &len);
                break;
            case 3:
                err = pusherc_user_auth_response_json(&credentials, socket_id, PC_S(ZOE),
                                                      cap ? out : NULL, cap, &len);
                break;
            default:
                err = pusherc_sign_request(&credentials, "GET", "/apps/app-id/channels", &param, 1,
                                           none, NOW, cap ? out : NULL, cap, &len);
                break;
            }
            if (pass < 2) { /* nothing, then one byte too few */
                assert_int_equal(err, PUSHERC_ENOBUFS);
                assert_int_equal(out[0], 'x');
                needed = len;
                cap = pass == 0 ? needed - 1 : needed;
            } else {
                assert_int_equal(err, 0);
                assert_int_equal(len, needed - 1);
                assert_int_equal(strlen(out), len);
                assert_int_equal(out[needed], 'x');
            }
        }
    }
}

static void long_member_data_is_written_whole(void **state)
{
    pusherc_credentials credentials = app();
    static char data[20000], json[50000];
    size_t len;

    (void)state;
    memcpy(data, "{\"user_id\":\"7\",\"user_info\":\"", 28);
    memset(data + 28, 'i', sizeof data - 30);
    memcpy(data + sizeof data - 2, "\"}", 2);
    assert_int_equal(pusherc_auth_response_json(&credentials, socket_id, PC_S("presence-a"),
                                                pc_slice(data, sizeof data), json, sizeof json,
                                                &len),
                     0);
    assert_int_equal(len, 9 + 8 + 64 + 1 + 16 + 2 + sizeof data + 8 + 1);
}

static void credentials_are_checked(void **state)
{
    char out[200];
    pusherc_credentials bad[] = {app(), app(), app(), app(), app(), app(), app()};

    (void)state;
    bad[0].struct_size = 0;
    bad[1].key = none;
    bad[2].secret = none;
    bad[3].key = PC_S("a:b");
    bad[4].key = PC_S("a\n");
    bad[5].key = PC_S("\xff");
    bad[6].master_key = pc_slice(NULL, 32);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(
            pusherc_sign_channel(&bad[i], socket_id, PC_S("a"), none, out, sizeof out, NULL),
            PUSHERC_EINVAL);
        assert_int_equal(pusherc_sign_user(&bad[i], socket_id, PC_S("{}"), out, sizeof out, NULL),
                         PUSHERC_EINVAL);
        assert_int_equal(
            pusherc_auth_response_json(&bad[i], socket_id, PC_S("a"), none, out, sizeof out, NULL),
            PUSHERC_EINVAL);
        assert_int_equal(pusherc_user_auth_response_json(&bad[i], socket_id, PC_S("{\"id\":\"7\"}"),
                                                         out, sizeof out, NULL),
                         PUSHERC_EINVAL);
        assert_int_equal(
            pusherc_sign_request(&bad[i], "GET", "/", NULL, 0, none, NOW, out, sizeof out, NULL),
            PUSHERC_EINVAL);
        assert_int_equal(pusherc_verify_request(&bad[i], "GET", "/", NULL, 0, none, NOW, 0),
                         PUSHERC_EINVAL);
        assert_int_equal(pusherc_sign_webhook(&bad[i], none, out), PUSHERC_EINVAL);
        assert_int_equal(pusherc_verify_webhook(&bad[i], none, none), PUSHERC_EINVAL);
    }
    assert_int_equal(pusherc_sign_channel(NULL, socket_id, PC_S("a"), none, out, sizeof out, NULL),
                     PUSHERC_EINVAL);
}

/* -- HTTP API requests -- */

struct request {
    const char *id, *key, *secret;
    const char *method, *path, *prefix;
    const char *query; /* as sent; without auth_signature if `signature` is given */
    const char *body;
    uint64_t now;
    const char *signature;
};

#define A "auth_key=app-key&auth_timestamp=1700000000&auth_version=1.0"

/* Query strings as the SDKs send them. */
static const struct request good_requests[] = {
    {"V16", DOC_KEY, DOC_SECRET, "POST", "/apps/3/events", "",
     "auth_key=278d425bdf160c739803&auth_timestamp=1353088179&auth_version=1.0&"
     "body_md5=ec365a775a4cd0599faeb73354201b6f",
     "{\"name\":\"foo\",\"channels\":[\"project-3\"],\"data\":\"{\\\"some\\\":\\\"data\\\"}\"}",
     1353088179, "da454824c97ba181a32ccc17a72625ba02771f50b50e1e7430e47a1f3f457e6c"},
    {"V17", "d41a439c438a100756f5", "4bf35003e819bb138249", "GET", "/apps/102015/channels", "",
     "auth_key=d41a439c438a100756f5&auth_timestamp=1427034994&auth_version=1.0&"
     "filter_by_prefix=presence-&info=user_count",
     "", 1427034994, "4d8a02edcc8a758b0162cd6da690a9a45fb8ae326a276dca1e06a0bc42796c11"},
    {"V18", "d41a439c438a100756f5", "4bf35003e819bb138249", "GET", "/apps/102015/channels", "",
     "auth_key=d41a439c438a100756f5&auth_timestamp=1427036787&auth_version=1.0", "", 1427036787,
     "df89248f87f6e6d028925e0b04d60f316527a865992ace6936afa91281d8bef0"},
    {"V19", "key", "secret", "POST", "/some/path", "",
     "query=params&go=here&auth_key=key&auth_timestamp=1234&auth_version=1.0", "", 1234,
     "3b237953a5ba6619875cbb2a2d43e8da9ef5824e8a2c689f6284ac85bc1ea0db"},
    {"V20", "app-key", "app-secret", "POST", "/apps/app-id/events", "",
     A "&body_md5=551b225ac63d7bcdc1beaa7cef1287d7", ORDERS_BODY, NOW,
     "2177714a5e2585840555dd17a397da73cc0c1b7d0fb4b040ecb4b0a66969446b"},
    {"V21", "app-key", "app-secret", "POST", "/apps/app-id/events", "",
     A "&body_md5=1db5d9c32dae323cbecb1839a38b1106",
     "{\"name\":\"order.paid\",\"channels\":[\"presence-room.1\",\"orders\"],\"data\":"
     "\"{\\\"id\\\":42}\",\"socket_id\":\"1234.5678\",\"info\":\"user_count,subscription_count\"}",
     NOW, "871fd6955b4d5c86de4a8af63e89e54304f3ed1d71a73ab34f7cb6da3d17afac"},
    {"V22", "app-key", "app-secret", "POST", "/apps/app-id/batch_events", "",
     A "&body_md5=2fe2452cb2191150a8d12b1f6196a7d2",
     "{\"batch\":[{\"name\":\"a\",\"channel\":\"orders\",\"data\":\"1\"},{\"name\":\"b\","
     "\"channel\":"
     "\"presence-room.1\",\"data\":\"{}\",\"info\":\"user_count\"}]}",
     NOW, "2d9cec6af9f76ef852cfb003bbd0dab4acc1ce6d262fbc19d62f16b71139cb8f"},
    {"V23", "app-key", "app-secret", "GET", "/apps/app-id/channels", "",
     A "&filter_by_prefix=presence-&info=user_count", "", NOW,
     "fd5a1b38d92aee2b7913a8cf43136cffab888ee5a097536910d6239f08eb68a2"},
    {"V24 as Node sends it", "app-key", "app-secret", "GET",
     "/apps/app-id/channels/presence-room.1", "", "info=user_count,subscription_count&" A, "", NOW,
     "7ab088552e22c529b7b0350198784bdd4882eb19b620675d46e99649e0d50ae8"},
    {"V24 as PHP sends it", "app-key", "app-secret", "GET", "/apps/app-id/channels/presence-room.1",
     "", A "&info=user_count%2Csubscription_count", "", NOW,
     "7ab088552e22c529b7b0350198784bdd4882eb19b620675d46e99649e0d50ae8"},
    {"V24 as PHP sends an array", "app-key", "app-secret", "GET",
     "/apps/app-id/channels/presence-room.1", "",
     A "&info%5B0%5D=user_count&info%5B1%5D=subscription_count", "", NOW,
     "7ab088552e22c529b7b0350198784bdd4882eb19b620675d46e99649e0d50ae8"},
    {"V24 as an array, unescaped", "app-key", "app-secret", "GET",
     "/apps/app-id/channels/presence-room.1", "",
     "INFO[0]=user_count&info[1]=subscription_count&" A, "", NOW,
     "7ab088552e22c529b7b0350198784bdd4882eb19b620675d46e99649e0d50ae8"},
    {"V25", "app-key", "app-secret", "GET", "/apps/app-id/channels/presence-room.1", "",
     A "&info[]=user_count&info[]=subscription_count", "", NOW,
     "81ea79dbef1dc696aa154bc6e0d02b82ef1b4b4266a1a4c08f3a500c2c4358fd"},
    {"V25 escaped", "app-key", "app-secret", "GET", "/apps/app-id/channels/presence-room.1", "",
     A "&info%5B%5D=user_count&info%5b%5d=subscription_count", "", NOW,
     "81ea79dbef1dc696aa154bc6e0d02b82ef1b4b4266a1a4c08f3a500c2c4358fd"},
    {"V26", "app-key", "app-secret", "GET", "/apps/app-id/channels/presence-room.1/users", "", A,
     "", NOW, "7bc0254938a148f98700cc8bc497604373a953c884ab5f968656a2bd0133ac0e"},
    {"V27", "app-key", "app-secret", "GET", "/apps/app-id/channels", "",
     "body_md5=d41d8cd98f00b204e9800998ecf8427e&auth_version=1.0&auth_key=app-key&"
     "auth_timestamp=1700000000",
     "", NOW, "6a2f213f5ea86fd2cc8f4e738bac95efd868e894a2ab76d0e89393b2999b70ad"},
    {"V28", "app-key", "app-secret", "POST", "/apps/app-id/users/7/terminate_connections", "",
     A "&body_md5=99914b932bd37a50b983c5e7c90ae93b", "{}", NOW,
     "a67ca993f19242f0b373641a830ea80f251b4558fe3b9295bfbd5d566720951b"},
    {"lower-casing", "app-key", "app-secret", "POST", "/apps/app-id/events", "",
     "Zeta=1&" A "&body_md5=551b225ac63d7bcdc1beaa7cef1287d7", ORDERS_BODY, NOW,
     "9f0e45cf049bbf939f91c45df6127ebf33f4246b0e2d0b87859e464b90e81dc1"},
    {"lower-casing of all keys", "app-key", "app-secret", "POST", "/apps/app-id/events", "",
     "ZETA=1&Auth_Key=app-key&AUTH_TIMESTAMP=1700000000&auth_Version=1.0&"
     "BODY_MD5=551b225ac63d7bcdc1beaa7cef1287d7",
     ORDERS_BODY, NOW, "9f0e45cf049bbf939f91c45df6127ebf33f4246b0e2d0b87859e464b90e81dc1"},
    {"unescaping", "app-key", "app-secret", "GET", "/apps/app-id/channels", "",
     A "&filter_by_prefix=presence-%40a%2Cb%3Bc%3D", "", NOW,
     "60c7e7949df9ff577c7619db7df7550a175c2a8ace4df3a4abb337ac5bee7592"},
    /* PHP with the option `path`: V26 and V20 below a prefix */
    {"V26 without the prefix", "app-key", "app-secret", "GET",
     "/push/er/apps/app-id/channels/presence-room.1/users", "/push/er", A, "", NOW,
     "7bc0254938a148f98700cc8bc497604373a953c884ab5f968656a2bd0133ac0e"},
    {"V20 without the prefix", "app-key", "app-secret", "POST", "/p/apps/app-id/events", "/p/",
     A "&body_md5=551b225ac63d7bcdc1beaa7cef1287d7", ORDERS_BODY, NOW,
     "2177714a5e2585840555dd17a397da73cc0c1b7d0fb4b040ecb4b0a66969446b"},
    {"V24 as a PHP array without the prefix", "app-key", "app-secret", "GET",
     "/p/apps/app-id/channels/presence-room.1", "/p",
     A "&info%5B0%5D=user_count&info%5B1%5D=subscription_count", "", NOW,
     "7ab088552e22c529b7b0350198784bdd4882eb19b620675d46e99649e0d50ae8"},
    /* a path escaped on the way */
    {"V26 escaped", "app-key", "app-secret", "GET",
     "/apps/app-id/channels/presence%2Droom%2e1/users", "", A, "", NOW,
     "7bc0254938a148f98700cc8bc497604373a953c884ab5f968656a2bd0133ac0e"},
    {"V26 escaped, without the prefix", "app-key", "app-secret", "GET",
     "/p/apps/app-id/channels/presence%2Droom.1/users", "/p", A, "", NOW,
     "7bc0254938a148f98700cc8bc497604373a953c884ab5f968656a2bd0133ac0e"},
};

struct outcome {
    int err;
    char why[PC_SIGN_MAX_WHY + 1];
};

/* Runs a request through both the inside and the public function. */
static struct outcome run_with(const struct request *r, const struct pc_mem *mem)
{
    static struct pc_pair params[PC_SIGN_MAX_PARAMS + 10];
    static pusherc_http_param public_params[PC_SIGN_MAX_PARAMS + 10];
    static char query[40000];
    struct pc_mem plain = pc_mem_make(NULL);
    struct pc_buf scratch, why;
    struct outcome outcome;
    size_t count;

    snprintf(query, sizeof query, "%s%s%s", r->query, r->signature ? "&auth_signature=" : "",
             r->signature ? r->signature : "");
    pc_buf_init(&scratch, &plain, sizeof query);
    assert_int_equal(pc_http_params(pc_slice_of(query), params, sizeof params / sizeof params[0],
                                    &count, &scratch),
                     0);
    const struct pc_signed_request request = {
        .method = pc_slice_of(r->method),
        .path = pc_slice_of(r->path),
        .path_prefix = pc_slice_of(r->prefix),
        .params = params,
        .param_count = count,
        .body = pc_slice_of(r->body),
    };
    struct pc_hmac_key *secret = hmac_key(r->secret);
    pc_buf_init_in(&why, &plain, PC_SIGN_MAX_WHY, outcome.why, PC_SIGN_MAX_WHY);
    outcome.err = pc_verify_request(pc_slice_of(r->key), secret, &request, r->now, 600,
                                    mem ? mem : &plain, &why);
    outcome.why[why.len] = '\0';
    assert_int_equal(pc_buf_status(&why), 0);
    assert_true((outcome.err == PUSHERC_EAUTH) == (why.len > 0));
    assert_true(pc_utf8_valid(pc_buf_slice(&why)));
    for (size_t i = 0; i < why.len; i++)
        assert_true((unsigned char)outcome.why[i] >= 0x20);
    pc_hmac_key_free(secret);

    if (!mem && r->prefix[0] == '\0') {
        pusherc_credentials credentials = credentials_of(r->key, r->secret);
        for (size_t i = 0; i < count; i++)
            public_params[i] = (pusherc_http_param){params[i].name, params[i].value};
        assert_int_equal(pusherc_verify_request(&credentials, r->method, r->path, public_params,
                                                count, pc_slice_of(r->body), r->now, 0),
                         outcome.err);
    }
    pc_buf_free(&scratch);
    return outcome;
}

static struct outcome run(const struct request *r)
{
    return run_with(r, NULL);
}

/* Cuts the text in front of `end` off a line, and `end` with it. */
static char *cut(char **line, char end)
{
    char *part = *line;
    char *at = strchr(part, end);
    assert_non_null(at);
    *at = '\0';
    *line = at + 1;
    return part;
}

/* 143, 144, 209: real requests, unchanged, at the time at which they were made */
static void recorded_requests_of_sdks_are_accepted(void **state)
{
    static char line[4096];
    size_t count = 0;
    FILE *file = fopen("tests/vectors/sdk-requests.tsv", "r");
    (void)state;
    assert_non_null(file);
    while (fgets(line, sizeof line, file)) {
        char *rest = line;
        if (line[0] == '#')
            continue;
        struct request r = {.key = "app-key", .secret = "app-secret"};
        r.id = cut(&rest, '\t');
        r.prefix = cut(&rest, '\t');
        r.method = cut(&rest, '\t');
        r.path = cut(&rest, '?');
        r.query = cut(&rest, '\t');
        r.body = cut(&rest, '\n');
        r.now = strtoull(strstr(r.query, "auth_timestamp=") + 15, NULL, 10);
        struct outcome outcome = run(&r);
        if (outcome.err)
            fail_msg("%s %s: %d %s", r.id, r.query, outcome.err, outcome.why);
        /* for another path the signature is wrong */
        r.path = r.method;
        assert_int_equal(run(&r).err, PUSHERC_EAUTH);
        count++;
    }
    fclose(file);
    assert_int_equal(count, 40);
}

static void request_vectors_and_sdk_forms_are_accepted(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good_requests / sizeof good_requests[0]; i++) {
        struct outcome outcome = run(&good_requests[i]);
        if (outcome.err)
            fail_msg("%s: %d %s", good_requests[i].id, outcome.err, outcome.why);
    }
}

static void each_good_request_fails_with_any_other_signature(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good_requests / sizeof good_requests[0]; i++) {
        struct request r = good_requests[i];
        char signature[80];

        snprintf(signature, sizeof signature, "%s", r.signature);
        for (size_t at = 0; at < 64; at += 7) {
            char was = signature[at];
            signature[at] = was == '0' ? '1' : '0';
            r.signature = signature;
            struct outcome outcome = run(&r);
            assert_int_equal(outcome.err, PUSHERC_EAUTH);
            /* what would have been right is never told (checks 54 and 145) */
            assert_null(strstr(outcome.why, good_requests[i].signature));
            signature[at] = was;
        }
        struct request other = good_requests[i];
        other.secret = "other";
        assert_int_equal(run(&other).err, PUSHERC_EAUTH);
        other = good_requests[i];
        other.method = strcmp(other.method, "GET") == 0 ? "POST" : "GET";
        assert_int_equal(run(&other).err, PUSHERC_EAUTH);
    }
}

#define HEX64 "0000000000000000000000000000000000000000000000000000000000000000"

static void refusals_say_why(void **state)
{
    static const struct {
        const char *query, *body, *why;
    } cases[] = {
        {"", "", "Missing parameter: auth_key"},
        {"auth_timestamp=1700000000&auth_version=1.0&auth_signature=" HEX64, "",
         "Missing parameter: auth_key"},
        {"auth_key=app-key&auth_version=1.0&auth_signature=" HEX64, "", "Timestamp required"},
        {"auth_key=app-key&auth_timestamp=1700000000&auth_signature=" HEX64, "",
         "Version required"},
        {A, "", "Missing parameter: auth_signature"},
        {A "&auth_signature=" HEX64 "&auth_key=app-key", "", "Repeated parameter: auth_key"},
        {A "&auth_signature=" HEX64 "&AUTH_KEY=app-key", "", "Repeated parameter: auth_key"},
        {A "&auth_signature=" HEX64 "&auth_timestamp=1700000000", "",
         "Repeated parameter: auth_timestamp"},
        {A "&auth_signature=" HEX64 "&auth_version=1.0", "", "Repeated parameter: auth_version"},
        {A "&auth_signature=" HEX64 "&auth_signature=" HEX64, "",
         "Repeated parameter: auth_signature"},
        {A "&auth_signature=" HEX64 "&body_md5=&Body_md5=", "", "Repeated parameter: body_md5"},
        {"auth_key=nope&auth_timestamp=1700000000&auth_version=1.0&auth_signature=" HEX64, "",
         "Unknown auth_key"},
        {"auth_key=&auth_timestamp=1700000000&auth_version=1.0&auth_signature=" HEX64, "",
         "Unknown auth_key"},
        {"auth_key=app-key&auth_timestamp=1700000000&auth_version=1.1&auth_signature=" HEX64, "",
         "Version not supported"},
        {"auth_key=app-key&auth_timestamp=1700000000&auth_version=1&auth_signature=" HEX64, "",
         "Version not supported"},
        {"auth_key=app-key&auth_timestamp=&auth_version=1.0&auth_signature=" HEX64, "",
         "Timestamp required: auth_timestamp is not a number of seconds"},
        {"auth_key=app-key&auth_timestamp=1.7e9&auth_version=1.0&auth_signature=" HEX64, "",
         "Timestamp required: auth_timestamp is not a number of seconds"},
        {"auth_key=app-key&auth_timestamp=-1&auth_version=1.0&auth_signature=" HEX64, "",
         "Timestamp required: auth_timestamp is not a number of seconds"},
        {"auth_key=app-key&auth_timestamp=99999999999999999999&auth_version=1.0&auth_"
         "signature=" HEX64,
         "", "Timestamp required: auth_timestamp is not a number of seconds"},
        {"auth_key=app-key&auth_timestamp=0&auth_version=1.0&auth_signature=" HEX64, "",
         "Timestamp expired: Given timestamp (0) not within 600s of server time (1700000000)"},
        {"auth_key=app-key&auth_timestamp=18446744073709551615&auth_version=1.0&auth_"
         "signature=" HEX64,
         "",
         "Timestamp expired: Given timestamp (18446744073709551615) not within 600s of server time "
         "(1700000000)"},
        {A "&auth_signature=x%22%0A%ff", "",
         "Invalid signature: you should have sent HmacSHA256Hex(\"POST\\n/apps/app-id/events\\n" A
         "\", your_secret_key), but you sent \"x\\\"\\n\\xff\""},
        {A "&auth_signature=" HEX64 "&a=%e2%82%ac%5c%7f%01", "",
         "Invalid signature: you should have sent HmacSHA256Hex(\"POST\\n/apps/app-id/events\\n"
         "a=\xe2\x82\xac\\\\\\x7f\\x01&" A "\", your_secret_key), but you sent \"" HEX64 "\""},
        /* V20 with another body, and what else is wrong with body_md5 */
        {A "&body_md5=551b225ac63d7bcdc1beaa7cef1287d7&auth_signature="
           "2177714a5e2585840555dd17a397da73cc0c1b7d0fb4b040ecb4b0a66969446b",
         "{}", "Invalid body_md5: it is not the MD5 of the body received"},
        {A "&body_md5=551b225ac63d7bcdc1beaa7cef1287d7&auth_signature="
           "2177714a5e2585840555dd17a397da73cc0c1b7d0fb4b040ecb4b0a66969446b",
         "", "Invalid body_md5: it is not the MD5 of the body received"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct request r = {"", "app-key",      "app-secret",  "POST", "/apps/app-id/events",
                            "", cases[i].query, cases[i].body, NOW,    NULL};
        struct outcome outcome = run(&r);
        assert_string_equal(outcome.why, cases[i].why);
        assert_int_equal(outcome.err, PUSHERC_EAUTH);
    }
}

/* Signs with the public function, so that what has no vector can be checked. */
static const char *signature_of(const char *method, const char *path,
                                const pusherc_http_param *params, size_t count, const char *body)
{
    static char query[40000];
    pusherc_credentials credentials = app();
    assert_int_equal(pusherc_sign_request(&credentials, method, path, params, count,
                                          pc_slice_of(body), NOW, query, sizeof query, NULL),
                     0);
    return strstr(query, "auth_signature=") + strlen("auth_signature=");
}

static void a_body_needs_its_md5(void **state)
{
    /* the signature is right, but does not cover the body */
    struct request r = {"", "app-key", "app-secret", "POST", "/apps/app-id/events",
                        "", A,         "{}",         NOW,    NULL};

    (void)state;
    r.signature = signature_of("POST", "/apps/app-id/events", NULL, 0, "");
    struct outcome outcome = run(&r);
    assert_int_equal(outcome.err, PUSHERC_EAUTH);
    assert_string_equal(outcome.why, "Missing parameter: body_md5");
    r.body = "";
    assert_int_equal(run(&r).err, 0);
}

static void the_clock_may_differ_by_600_seconds(void **state)
{
    static const struct {
        int64_t skew_s;
        int err;
    } cases[] = {{0, 0},
                 {590, 0},
                 {-590, 0},
                 {600, 0},
                 {-600, 0},
                 {601, PUSHERC_EAUTH},
                 {-601, PUSHERC_EAUTH}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct request r = good_requests[4]; /* V20 */
        r.now = (uint64_t)((int64_t)NOW + cases[i].skew_s);
        assert_int_equal(run(&r).err, cases[i].err);
    }

    /* the public function's own limit */
    const struct request *r = &good_requests[2]; /* V18 */
    pusherc_credentials credentials = credentials_of(r->key, r->secret);
    const pusherc_http_param params[] = {
        {PUSHERC_LIT("auth_key"), PUSHERC_LIT("d41a439c438a100756f5")},
        {PUSHERC_LIT("auth_timestamp"), PUSHERC_LIT("1427036787")},
        {PUSHERC_LIT("auth_version"), PUSHERC_LIT("1.0")},
        {PUSHERC_LIT("auth_signature"),
         PUSHERC_LIT("df89248f87f6e6d028925e0b04d60f316527a865992ace6936afa91281d8bef0")},
    };
    assert_int_equal(
        pusherc_verify_request(&credentials, "GET", r->path, params, 4, none, r->now + 5, 5), 0);
    assert_int_equal(
        pusherc_verify_request(&credentials, "GET", r->path, params, 4, none, r->now + 6, 5),
        PUSHERC_EAUTH);
    assert_int_equal(pusherc_verify_request(&credentials, "GET", r->path, params, 4, none,
                                            r->now + 1000000, UINT32_MAX),
                     0);
}

static void merged_arrays_keep_the_order_received(void **state)
{
    /* by bytes, "k[10]" would stand in front of "k[2]" */
    const pusherc_http_param merged[] = {
        {PUSHERC_LIT("j"), PUSHERC_LIT("x")},
        {PUSHERC_LIT("k"), PUSHERC_LIT("a,b,c,d,e,f,g,h,i,j,k,l")},
        {PUSHERC_LIT("l"), PUSHERC_LIT("y,z")},
    };
    struct request r = {"",
                        "app-key",
                        "app-secret",
                        "GET",
                        "/apps/app-id/channels",
                        "",
                        A "&l[]=y&k[0]=a&k[1]=b&k[2]=c&k[3]=d&k[4]=e&k[5]=f&k[6]=g&k[7]=h&k[8]=i&"
                          "k[9]=j&k[10]=k&k[11]=l&j=x&l[]=z",
                        "",
                        NOW,
                        NULL};

    (void)state;
    r.signature = signature_of("GET", "/apps/app-id/channels", merged, 3, "");
    assert_int_equal(run(&r).err, 0);

    /* names that only look like arrays are left as they are */
    const pusherc_http_param odd[] = {
        {PUSHERC_LIT("[0]"), PUSHERC_LIT("a")},  {PUSHERC_LIT("[1]"), PUSHERC_LIT("b")},
        {PUSHERC_LIT("k[x]"), PUSHERC_LIT("c")}, {PUSHERC_LIT("k]"), PUSHERC_LIT("d")},
        {PUSHERC_LIT("m"), PUSHERC_LIT("1,2")},
    };
    r.query = A "&[0]=a&[1]=b&k[x]=c&k]=d&m[]=1&m[]=2";
    r.signature = signature_of("GET", "/apps/app-id/channels", odd, 5, "");
    assert_int_equal(run(&r).err, 0);
}

static void equal_keys_keep_the_order_received(void **state)
{
    const pusherc_http_param params[] = {
        {PUSHERC_LIT("k"), PUSHERC_LIT("2")},
        {PUSHERC_LIT("K"), PUSHERC_LIT("1")},
        {PUSHERC_LIT("k"), PUSHERC_LIT("3")},
    };
    struct pc_pair all[3];
    struct pc_mem mem = pc_mem_make(NULL);
    struct pc_buf buf;

    (void)state;
    for (size_t i = 0; i < 3; i++)
        all[i] = (struct pc_pair){params[i].name, params[i].value};
    pc_buf_init(&buf, &mem, 100);
    pc_sign_put_query(&buf, all, 3, PC_QUERY_AS_RECEIVED);
    assert_true(pc_slice_eq(pc_buf_slice(&buf), PC_S("k=2&k=1&k=3")));
    pc_buf_free(&buf);
}

static void a_prefix_is_only_what_ends_at_a_slash(void **state)
{
    struct request r = good_requests[14]; /* V26 */

    (void)state;
    assert_string_equal(r.id, "V26");
    r.path = "/px/apps/app-id/channels/presence-room.1/users";
    r.prefix = "/p";
    assert_int_equal(run(&r).err, PUSHERC_EAUTH);
    r.path = "/p/apps/app-id/channels/presence-room.1/users";
    r.prefix = "";
    assert_int_equal(run(&r).err, PUSHERC_EAUTH);
    r.prefix = "/p//";
    assert_int_equal(run(&r).err, 0);
    r.prefix = "/";
    assert_int_equal(run(&r).err, PUSHERC_EAUTH);
    r.path = "/p";
    r.prefix = "/p";
    assert_int_equal(run(&r).err, PUSHERC_EAUTH);

    /* a client that does sign the prefix */
    r.path = "/p/apps/app-id/channels";
    r.prefix = "/p";
    r.signature = signature_of("GET", r.path, NULL, 0, "");
    assert_int_equal(run(&r).err, 0);
    /* and one that signs an escaped path as it sends it */
    r.path = "/p/apps/app-id/channels/a%2Cb";
    r.signature = signature_of("GET", r.path, NULL, 0, "");
    assert_int_equal(run(&r).err, 0);
}

/* A path that contains the rest of another request's signed string must not pass with its signature. */
static void an_escaped_line_break_in_the_path_is_not_decoded(void **state)
{
    const pusherc_http_param param = {PUSHERC_LIT("x"), PUSHERC_LIT("\n" A)};
    struct request r = {"", "app-key", "app-secret", "GET", "/apps/app-id/channels%0A" A "&x=",
                        "", A,         "",           NOW,   NULL};

    (void)state;
    r.signature = signature_of("GET", "/apps/app-id/channels", &param, 1, "");
    assert_int_equal(run(&r).err, PUSHERC_EAUTH);
}

static void very_many_parameters_are_refused(void **state)
{
    static char query[PC_SIGN_MAX_PARAMS * 8 + 300];
    struct request r = {"", "app-key", "app-secret", "GET", "/apps/app-id/channels",
                        "", query,     "",           NOW,   HEX64};
    size_t len = 0;

    (void)state;
    for (int i = 0; i < PC_SIGN_MAX_PARAMS - 4; i++)
        len += (size_t)snprintf(query + len, sizeof query - len, "k%d=1&", i);
    snprintf(query + len, sizeof query - len, A);
    struct outcome outcome = run(&r);
    assert_int_equal(outcome.err, PUSHERC_EAUTH);
    assert_int_equal(strncmp(outcome.why, "Invalid signature", 17), 0);
    assert_non_null(strstr(outcome.why, "\"..., your_secret_key)"));

    snprintf(query + len, sizeof query - len, A "&one=more");
    assert_string_equal(run(&r).why, "Too many parameters");
}

/* A query too long for the stack and a path that must be decoded: one allocation each. */
static void out_of_memory_is_no_refusal(void **state)
{
    static char query[4000], path[1500];
    struct request r = {"", "app-key", "app-secret", "GET", path, "", query, "", NOW, HEX64};
    bool failed = true;

    (void)state;
    snprintf(query, sizeof query, "%s&k[]=%03000d", A, 1);
    snprintf(path, sizeof path, "/apps/app-id/channels/%%61%01000d", 1);
    for (size_t n = 1; failed; n++) {
        struct failing_alloc alloc;
        pusherc_allocator allocator = failing_alloc_init(&alloc, n);
        struct pc_mem mem = pc_mem_make(&allocator);
        struct outcome outcome = run_with(&r, &mem);
        failed = failing_alloc_hit(&alloc);
        assert_int_equal(outcome.err, failed ? PUSHERC_ENOMEM : PUSHERC_EAUTH);
        assert_int_equal(failing_alloc_live(&alloc), 0);
    }
}

/* The buffers of an ordinary request are on the stack. */
static void ordinary_requests_allocate_nothing(void **state)
{
    struct failing_alloc alloc;
    pusherc_allocator allocator = failing_alloc_init(&alloc, 1);
    struct pc_mem mem = pc_mem_make(&allocator);

    (void)state;
    for (size_t i = 0; i < sizeof good_requests / sizeof good_requests[0]; i++)
        assert_int_equal(run_with(&good_requests[i], &mem).err, 0);
    assert_int_equal(alloc.requests, 0);
}

/* -- signing requests -- */

static void requests_are_signed_as_the_vectors_say(void **state)
{
    const pusherc_http_param prefix = {PUSHERC_LIT("filter_by_prefix"), PUSHERC_LIT("presence-")};
    const pusherc_http_param user_count = {PUSHERC_LIT("info"), PUSHERC_LIT("user_count")};
    const pusherc_http_param odd = {PUSHERC_LIT("filter_by_prefix"),
                                    PUSHERC_LIT("presence-@a,b;c=")};
    const pusherc_http_param zeta = {PUSHERC_LIT("Zeta"), PUSHERC_LIT("1")};
    const pusherc_http_param info[] = {
        {PUSHERC_LIT("info"), PUSHERC_LIT("user_count,subscription_count")}};
    const pusherc_http_param v23[] = {user_count, prefix};

    (void)state;
    assert_string_equal(signature_of("POST", "/apps/app-id/events", NULL, 0, ORDERS_BODY),
                        "2177714a5e2585840555dd17a397da73cc0c1b7d0fb4b040ecb4b0a66969446b");
    assert_string_equal(signature_of("get", "/apps/app-id/channels", v23, 2, ""),
                        "fd5a1b38d92aee2b7913a8cf43136cffab888ee5a097536910d6239f08eb68a2");
    assert_string_equal(signature_of("GET", "/apps/app-id/channels/presence-room.1", info, 1, ""),
                        "7ab088552e22c529b7b0350198784bdd4882eb19b620675d46e99649e0d50ae8");
    assert_string_equal(
        signature_of("GET", "/apps/app-id/channels/presence-room.1/users", NULL, 0, ""),
        "7bc0254938a148f98700cc8bc497604373a953c884ab5f968656a2bd0133ac0e");
    assert_string_equal(
        signature_of("POST", "/apps/app-id/users/7/terminate_connections", NULL, 0, "{}"),
        "a67ca993f19242f0b373641a830ea80f251b4558fe3b9295bfbd5d566720951b");
    assert_string_equal(signature_of("POST", "/apps/app-id/events", &zeta, 1, ORDERS_BODY),
                        "9f0e45cf049bbf939f91c45df6127ebf33f4246b0e2d0b87859e464b90e81dc1");
    assert_string_equal(signature_of("GET", "/apps/app-id/channels", &odd, 1, ""),
                        "60c7e7949df9ff577c7619db7df7550a175c2a8ace4df3a4abb337ac5bee7592");
}

static void the_signed_query_is_complete_and_escaped(void **state)
{
    const pusherc_http_param params[] = {
        {PUSHERC_LIT("a b"), PUSHERC_LIT("1&2=3%+~\xc3\xab")},
        {PUSHERC_LIT("empty"), PUSHERC_LIT("")},
    };
    pusherc_credentials credentials = app();
    char query[500];

    (void)state;
    assert_int_equal(pusherc_sign_request(&credentials, "POST", "/apps/app-id/events", params, 2,
                                          PC_S(ORDERS_BODY), NOW, query, sizeof query, NULL),
                     0);
    static const char head[] = A "&body_md5=551b225ac63d7bcdc1beaa7cef1287d7&"
                                 "a%20b=1%262%3D3%25%2B~%C3%AB&empty=&auth_signature=";
    assert_int_equal(strncmp(query, head, sizeof head - 1), 0);
    assert_int_equal(strlen(query), sizeof head - 1 + 64);

    struct request r = {"", "app-key", "app-secret", "POST", "/apps/app-id/events",
                        "", query,     ORDERS_BODY,  NOW,    NULL};
    assert_int_equal(run(&r).err, 0);
}

static void what_cannot_be_signed_is_refused(void **state)
{
    static const char *const bad_methods[] = {"", "GE T", "GET\n", "ABCDEFGHIJKLMNOP", "M1"};
    static const char *const bad_paths[] = {"", "apps", "/a?b", "/a#b", "/a b", "/a\n"};
    const pusherc_http_param bad_params[] = {
        {PUSHERC_LIT(""), PUSHERC_LIT("1")},
        {PUSHERC_LIT("auth_key"), PUSHERC_LIT("1")},
        {PUSHERC_LIT("Auth_Other"), PUSHERC_LIT("1")},
        {PUSHERC_LIT("BODY_MD5"), PUSHERC_LIT("1")},
        {PUSHERC_LIT("a"), {NULL, 1}},
    };
    static pusherc_http_param many[PUSHERC_MAX_SIGNED_PARAMS];
    pusherc_credentials c = app();
    char out[300];

    (void)state;
    for (size_t i = 0; i < sizeof bad_methods / sizeof bad_methods[0]; i++)
        assert_int_equal(pusherc_sign_request(&c, bad_methods[i], "/a", NULL, 0, none, NOW, out,
                                              sizeof out, NULL),
                         PUSHERC_EINVAL);
    for (size_t i = 0; i < sizeof bad_paths / sizeof bad_paths[0]; i++)
        assert_int_equal(pusherc_sign_request(&c, "GET", bad_paths[i], NULL, 0, none, NOW, out,
                                              sizeof out, NULL),
                         PUSHERC_EINVAL);
    for (size_t i = 0; i < sizeof bad_params / sizeof bad_params[0]; i++)
        assert_int_equal(pusherc_sign_request(&c, "GET", "/a", &bad_params[i], 1, none, NOW, out,
                                              sizeof out, NULL),
                         PUSHERC_EINVAL);
    assert_int_equal(
        pusherc_sign_request(&c, "GET", "/a", NULL, 1, none, NOW, out, sizeof out, NULL),
        PUSHERC_EINVAL);
    assert_int_equal(
        pusherc_sign_request(&c, NULL, "/a", NULL, 0, none, NOW, out, sizeof out, NULL),
        PUSHERC_EINVAL);
    assert_int_equal(
        pusherc_sign_request(&c, "GET", NULL, NULL, 0, none, NOW, out, sizeof out, NULL),
        PUSHERC_EINVAL);
    for (size_t i = 0; i < PUSHERC_MAX_SIGNED_PARAMS; i++)
        many[i] = (pusherc_http_param){PUSHERC_LIT("k"), PUSHERC_LIT("v")};
    assert_int_equal(pusherc_sign_request(&c, "GET", "/a", many, PUSHERC_MAX_SIGNED_PARAMS - 4,
                                          none, NOW, out, sizeof out, NULL),
                     PUSHERC_ELIMIT);
    assert_int_equal(pusherc_sign_request(&c, "GET", "/a", many, PUSHERC_MAX_SIGNED_PARAMS - 5,
                                          none, NOW, out, sizeof out, NULL),
                     PUSHERC_ENOBUFS);
    assert_int_equal(pusherc_verify_request(&c, NULL, "/a", NULL, 0, none, NOW, 0), PUSHERC_EINVAL);
    assert_int_equal(pusherc_verify_request(&c, "GET", NULL, NULL, 0, none, NOW, 0),
                     PUSHERC_EINVAL);
    assert_int_equal(pusherc_verify_request(&c, "GET", "/a", NULL, 1, none, NOW, 0),
                     PUSHERC_EINVAL);
    assert_int_equal(
        pusherc_verify_request(&c, "GET", "/a", many, PUSHERC_MAX_SIGNED_PARAMS + 1, none, NOW, 0),
        PUSHERC_EAUTH);
}

/* -- webhooks and the plain HMAC -- */

static void webhook_vectors_are_signed_and_verified(void **state)
{
    static const struct {
        const char *body, *hex;
    } cases[] = {
        /* V29, V30 */
        {"{\"time_ms\":1700000000123,\"events\":[{\"name\":\"channel_occupied\",\"channel\":"
         "\"presence-room.1\"},{\"name\":\"member_added\",\"channel\":\"presence-room.1\","
         "\"user_id\":\"7\"}]}",
         "22d545681531e39f78bb50371473b1f40b5d7679dd997d98272b011f2ae1519d"},
        {"{\"time_ms\":1700000000456,\"events\":[{\"name\":\"client_event\",\"channel\":"
         "\"presence-room.1\",\"event\":\"client-typing\",\"data\":\"{\\\"on\\\":true}\","
         "\"socket_id\":\"1234.5678\",\"user_id\":\"7\"}]}",
         "b07111d6be0f5f02fd0c77bc13e2846f295053f94de1e0ecd110c9b04f65fb93"},
    };
    pusherc_credentials credentials = app();

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pusherc_slice body = pc_slice_of(cases[i].body);
        char hex[PUSHERC_HMAC_HEX_SIZE];
        assert_int_equal(pusherc_sign_webhook(&credentials, body, hex), 0);
        assert_string_equal(hex, cases[i].hex);
        assert_int_equal(pusherc_verify_webhook(&credentials, body, pc_slice_of(hex)), 0);
        assert_int_equal(pusherc_verify_webhook(&credentials, body, pc_slice(hex, 63)),
                         PUSHERC_EAUTH);
        assert_int_equal(pusherc_verify_webhook(&credentials, body, pc_slice(hex, 65)),
                         PUSHERC_EAUTH);
        assert_int_equal(pusherc_verify_webhook(&credentials, body, none), PUSHERC_EAUTH);
        assert_int_equal(pusherc_verify_webhook(&credentials, pc_slice(body.ptr, body.len - 1),
                                                pc_slice_of(hex)),
                         PUSHERC_EAUTH);
        hex[5] = hex[5] == 'b' ? 'B' : '_';
        assert_int_equal(pusherc_verify_webhook(&credentials, body, pc_slice_of(hex)),
                         PUSHERC_EAUTH);
    }
    assert_int_equal(pusherc_verify_webhook(&credentials, pc_slice(NULL, 1), none), PUSHERC_EINVAL);
}

static void hmac_vectors_of_rfc_4231_hold(void **state)
{
    char hex[PUSHERC_HMAC_HEX_SIZE] = "before", key[131];

    (void)state;
    assert_int_equal(
        pusherc_hmac_sha256_hex(PC_S("Jefe"), PC_S("what do ya want for nothing?"), hex), 0);
    assert_string_equal(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    memset(key, 0xaa, sizeof key);
    assert_int_equal(pusherc_hmac_sha256_hex(
                         pc_slice(key, sizeof key),
                         PC_S("Test Using Larger Than Block-Size Key - Hash Key First"), hex),
                     0);
    assert_string_equal(hex, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    assert_int_equal(pusherc_hmac_sha256_hex(PC_S("k"), none, hex), 0);

    snprintf(hex, sizeof hex, "before");
    assert_int_equal(pusherc_hmac_sha256_hex(none, PC_S("x"), hex), PUSHERC_EINVAL);
    assert_int_equal(pusherc_hmac_sha256_hex(PC_S("k"), pc_slice(NULL, 1), hex), PUSHERC_EINVAL);
    assert_int_equal(pusherc_hmac_sha256_hex(PC_S("k"), PC_S("x"), NULL), PUSHERC_EINVAL);
    assert_string_equal(hex, "before");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(channel_and_user_vectors_are_signed_and_verified),
        cmocka_unit_test(every_other_subscription_is_refused),
        cmocka_unit_test(channel_data_is_always_part_of_the_signature),
        cmocka_unit_test(auth_endpoints_answer_as_clients_expect),
        cmocka_unit_test(auth_endpoints_sign_nothing_that_a_server_would_refuse),
        cmocka_unit_test(master_keys_have_32_bytes),
        cmocka_unit_test(small_buffers_stay_untouched),
        cmocka_unit_test(long_member_data_is_written_whole),
        cmocka_unit_test(credentials_are_checked),
        cmocka_unit_test(request_vectors_and_sdk_forms_are_accepted),
        cmocka_unit_test(recorded_requests_of_sdks_are_accepted),
        cmocka_unit_test(each_good_request_fails_with_any_other_signature),
        cmocka_unit_test(refusals_say_why),
        cmocka_unit_test(a_body_needs_its_md5),
        cmocka_unit_test(the_clock_may_differ_by_600_seconds),
        cmocka_unit_test(merged_arrays_keep_the_order_received),
        cmocka_unit_test(equal_keys_keep_the_order_received),
        cmocka_unit_test(a_prefix_is_only_what_ends_at_a_slash),
        cmocka_unit_test(an_escaped_line_break_in_the_path_is_not_decoded),
        cmocka_unit_test(very_many_parameters_are_refused),
        cmocka_unit_test(out_of_memory_is_no_refusal),
        cmocka_unit_test(ordinary_requests_allocate_nothing),
        cmocka_unit_test(requests_are_signed_as_the_vectors_say),
        cmocka_unit_test(the_signed_query_is_complete_and_escaped),
        cmocka_unit_test(what_cannot_be_signed_is_refused),
        cmocka_unit_test(webhook_vectors_are_signed_and_verified),
        cmocka_unit_test(hmac_vectors_of_rfc_4231_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
