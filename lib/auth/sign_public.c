/* pusherc/sign.h: checks the host's arguments and calls the functions that the server uses itself. */
#include <pusherc/sign.h>

#include "auth/encrypt.h"
#include "auth/sign.h"
#include "base/buf.h"
#include "base/options.h"
#include "codec/json.h"
#include "protocol/message_in.h"
#include "protocol/names.h"

#define STACK_BYTES      1024           /* most results fit; memory for longer ones is allocated */
#define NO_MAX           (SIZE_MAX / 2) /* results are as long as the caller's data, which is in memory */
#define DEFAULT_SKEW_S   600
#define METHOD_MAX_BYTES 15

static bool slice_valid(pusherc_slice s)
{
    return s.ptr || s.len == 0;
}

/* A key is written before a colon, in plain text and in JSON. */
static bool key_valid(pusherc_slice key)
{
    if (!slice_valid(key) || key.len == 0 || !pc_utf8_valid(key))
        return false;
    for (size_t i = 0; i < key.len; i++)
        if ((unsigned char)key.ptr[i] < 0x20 || key.ptr[i] == ':' || key.ptr[i] == 0x7f)
            return false;
    return true;
}

/* Copies the host's struct, which may be of an older version, to `taken`, which has all members, and makes *credentials
 * point to the copy. */
static bool take_credentials(const pusherc_credentials **credentials, pusherc_credentials *taken)
{
    if (!*credentials || PC_TAKE(credentials, taken, *credentials, NULL))
        return false;
    *credentials = taken;
    return true;
}

static bool credentials_valid(const pusherc_credentials **credentials, pusherc_credentials *taken)
{
    return take_credentials(credentials, taken) && key_valid(taken->key) && taken->secret.ptr &&
           taken->secret.len && slice_valid(taken->master_key);
}

static bool channel_valid(pusherc_slice channel, pusherc_channel_kind *kind)
{
    return pusherc_channel_classify(channel, kind, NULL) == 0;
}

static bool socket_id_valid(pusherc_socket_id id)
{
    return id.a != 0 || id.b != 0;
}

static pusherc_slice print_socket_id(pusherc_socket_id id, char storage[PUSHERC_SOCKET_ID_STRLEN])
{
    size_t len = pusherc_socket_id_format(id, storage);
    return pc_slice(storage, len);
}

static int hmac_hex(pusherc_slice secret, const pusherc_slice *parts, size_t part_count,
                    char out[PC_SHA256_HEX])
{
    struct pc_mem mem = pc_mem_make(NULL);
    struct pc_hmac_key *key = NULL;

    int err = pc_crypto_init();
    if (!err)
        err = pc_hmac_key_new(&key, &mem, secret);
    if (!err)
        err = pc_hmac_hex(key, parts, part_count, out);
    pc_hmac_key_free(key);
    return err;
}

int pusherc_hmac_sha256_hex(pusherc_slice secret, pusherc_slice data,
                            char out[PUSHERC_HMAC_HEX_SIZE])
{
    char hex[PC_SHA256_HEX];

    if (!secret.ptr || secret.len == 0 || !slice_valid(data) || !out)
        return PUSHERC_EINVAL;
    int err = hmac_hex(secret, &data, 1, hex);
    if (err)
        return err;
    memcpy(out, hex, sizeof hex);
    out[sizeof hex] = '\0';
    return 0;
}

/* -- subscriptions and sign-ins -- */

static int sign_channel(const pusherc_credentials *credentials, pusherc_socket_id socket_id,
                        pusherc_slice channel, pusherc_slice channel_data, char hex[PC_SHA256_HEX])
{
    char storage[PUSHERC_SOCKET_ID_STRLEN];
    const pusherc_slice parts[] = {print_socket_id(socket_id, storage), PC_S(":"), channel,
                                   PC_S(":"), channel_data};

    return hmac_hex(credentials->secret, parts, channel_data.len ? 5 : 3, hex);
}

static int sign_user(const pusherc_credentials *credentials, pusherc_socket_id socket_id,
                     pusherc_slice user_data, char hex[PC_SHA256_HEX])
{
    char storage[PUSHERC_SOCKET_ID_STRLEN];
    const pusherc_slice parts[] = {print_socket_id(socket_id, storage), PC_S("::user::"),
                                   user_data};

    return hmac_hex(credentials->secret, parts, 3, hex);
}

/* Copies "key:hex" to the caller's buffer. */
static int hand_over_auth(pusherc_slice key, const char hex[PC_SHA256_HEX], char *out, size_t cap,
                          size_t *len)
{
    struct pc_mem mem = pc_mem_make(NULL);
    char storage[STACK_BYTES];
    struct pc_buf buf;

    pc_buf_init_in(&buf, &mem, key.len + 1 + PC_SHA256_HEX, storage, sizeof storage);
    pc_buf_put(&buf, key);
    pc_buf_put_char(&buf, ':');
    pc_buf_put(&buf, pc_slice(hex, PC_SHA256_HEX));
    int err = pc_buf_hand_over(&buf, out, cap, len);
    pc_buf_free(&buf);
    return err;
}

int pusherc_sign_channel(const pusherc_credentials *credentials, pusherc_socket_id socket_id,
                         pusherc_slice channel, pusherc_slice channel_data, char *out, size_t cap,
                         size_t *len)
{
    pusherc_credentials taken;
    pusherc_channel_kind kind;
    char hex[PC_SHA256_HEX];

    if (!credentials_valid(&credentials, &taken) || !socket_id_valid(socket_id) ||
        !channel_valid(channel, &kind) || !slice_valid(channel_data))
        return PUSHERC_EINVAL;
    int err = sign_channel(credentials, socket_id, channel, channel_data, hex);
    return err ? err : hand_over_auth(credentials->key, hex, out, cap, len);
}

int pusherc_sign_user(const pusherc_credentials *credentials, pusherc_socket_id socket_id,
                      pusherc_slice user_data, char *out, size_t cap, size_t *len)
{
    pusherc_credentials taken;
    char hex[PC_SHA256_HEX];

    if (!credentials_valid(&credentials, &taken) || !socket_id_valid(socket_id) || !user_data.ptr ||
        user_data.len == 0)
        return PUSHERC_EINVAL;
    int err = sign_user(credentials, socket_id, user_data, hex);
    return err ? err : hand_over_auth(credentials->key, hex, out, cap, len);
}

/* 0, PUSHERC_EINVAL or PUSHERC_ENOMEM. */
static int check_user_object(pusherc_slice text, bool signin)
{
    struct pc_mem mem = pc_mem_make(NULL);
    char storage[STACK_BYTES];
    struct pc_buf scratch;
    struct pc_user_data user;
    const char *why;

    pc_buf_init_in(&scratch, &mem, text.len, storage, sizeof storage);
    int err = pc_user_data_parse(text, signin ? PC_S("id") : PC_S("user_id"), !signin, false,
                                 &scratch, &user, &why);
    if (!err && signin && !pc_user_id_valid(user.id))
        err = PUSHERC_EINVAL;
    pc_buf_free(&scratch);
    return err;
}

static int check_channel_data(pusherc_slice channel_data, pusherc_channel_kind kind)
{
    if (channel_data.len == 0)
        return 0;
    if (!channel_data.ptr)
        return PUSHERC_EINVAL;
    if (kind == PUSHERC_CHANNEL_PRESENCE)
        return check_user_object(channel_data, false);
    return pc_json_parse(channel_data).type == PC_JSON_OBJECT ? 0 : PUSHERC_EINVAL;
}

static int hand_over_answer(const struct pc_sign_answer *answer, char *out, size_t cap, size_t *len)
{
    struct pc_mem mem = pc_mem_make(NULL);
    char storage[STACK_BYTES];
    struct pc_buf buf;

    pc_buf_init_in(&buf, &mem, NO_MAX, storage, sizeof storage);
    int err = pc_sign_put_answer(&buf, answer);
    if (!err)
        err = pc_buf_hand_over(&buf, out, cap, len);
    pc_wipe(buf.ptr, buf.len); /* the answer may hold a shared secret */
    pc_buf_free(&buf);
    return err;
}

int pusherc_auth_response_json(const pusherc_credentials *credentials, pusherc_socket_id socket_id,
                               pusherc_slice channel, pusherc_slice channel_data, char *out,
                               size_t cap, size_t *len)
{
    pusherc_credentials taken;
    pusherc_channel_kind kind;

    if (!credentials_valid(&credentials, &taken) || !socket_id_valid(socket_id) ||
        !channel_valid(channel, &kind))
        return PUSHERC_EINVAL;
    if (kind == PUSHERC_CHANNEL_PRIVATE_ENCRYPTED &&
        credentials->master_key.len != PUSHERC_MASTER_KEY_SIZE)
        return PUSHERC_EINVAL;
    int err = check_channel_data(channel_data, kind);
    if (err)
        return err;

    char hex[PC_SHA256_HEX];
    err = sign_channel(credentials, socket_id, channel, channel_data, hex);
    if (err)
        return err;

    struct pc_sign_answer answer = {.app_key = credentials->key,
                                    .hex = hex,
                                    .data_name = PC_S("channel_data"),
                                    .data = channel_data,
                                    .channel = channel};
    if (kind == PUSHERC_CHANNEL_PRIVATE_ENCRYPTED)
        answer.master_key = (const uint8_t *)credentials->master_key.ptr;
    return hand_over_answer(&answer, out, cap, len);
}

int pusherc_user_auth_response_json(const pusherc_credentials *credentials,
                                    pusherc_socket_id socket_id, pusherc_slice user_data, char *out,
                                    size_t cap, size_t *len)
{
    pusherc_credentials taken;
    if (!credentials_valid(&credentials, &taken) || !socket_id_valid(socket_id) || !user_data.ptr)
        return PUSHERC_EINVAL;
    int err = check_user_object(user_data, true);
    if (err)
        return err;

    char hex[PC_SHA256_HEX];
    err = sign_user(credentials, socket_id, user_data, hex);
    if (err)
        return err;

    const struct pc_sign_answer answer = {
        .app_key = credentials->key, .hex = hex, .data_name = PC_S("user_data"), .data = user_data};
    return hand_over_answer(&answer, out, cap, len);
}

int pusherc_master_key_decode(pusherc_slice base64, uint8_t out[PUSHERC_MASTER_KEY_SIZE])
{
    uint8_t key[PUSHERC_MASTER_KEY_SIZE];
    size_t len = 0;

    if (!slice_valid(base64) || !out || !pc_base64_decode(base64, key, sizeof key, &len) ||
        len != sizeof key)
        return PUSHERC_EINVAL;
    memcpy(out, key, sizeof key);
    pc_wipe(key, sizeof key);
    return 0;
}

/* -- end-to-end encryption -- */

static bool may_encrypt(const pusherc_credentials **credentials, pusherc_credentials *taken,
                        pusherc_slice channel)
{
    pusherc_channel_kind kind;

    return take_credentials(credentials, taken) && taken->master_key.ptr &&
           taken->master_key.len == PUSHERC_MASTER_KEY_SIZE && channel_valid(channel, &kind) &&
           kind == PUSHERC_CHANNEL_PRIVATE_ENCRYPTED;
}

int pusherc_shared_secret(const pusherc_credentials *credentials, pusherc_slice channel,
                          uint8_t out[PUSHERC_SHARED_SECRET_SIZE])
{
    pusherc_credentials taken;
    uint8_t secret[PUSHERC_SHARED_SECRET_SIZE];

    if (!may_encrypt(&credentials, &taken, channel) || !out)
        return PUSHERC_EINVAL;
    int err = pc_crypto_init();
    if (!err)
        err = pc_shared_secret(channel, (const uint8_t *)credentials->master_key.ptr, secret);
    if (!err)
        memcpy(out, secret, sizeof secret);
    pc_wipe(secret, sizeof secret);
    return err;
}

typedef int (*crypt_fn)(struct pc_buf *buf, pusherc_slice channel, pusherc_slice text,
                        const uint8_t master_key[PUSHERC_MASTER_KEY_SIZE]);

static int encrypt(struct pc_buf *buf, pusherc_slice channel, pusherc_slice data,
                   const uint8_t master_key[PUSHERC_MASTER_KEY_SIZE])
{
    return pc_encrypt(buf, channel, data, master_key, NULL);
}

static int use_master_key(const pusherc_credentials *credentials, pusherc_slice channel,
                          pusherc_slice text, crypt_fn fn, char *out, size_t cap, size_t *len)
{
    pusherc_credentials taken;
    struct pc_mem mem = pc_mem_make(NULL);
    char storage[STACK_BYTES];
    struct pc_buf buf;

    if (!may_encrypt(&credentials, &taken, channel) || !slice_valid(text))
        return PUSHERC_EINVAL;
    pc_buf_init_in(&buf, &mem, NO_MAX, storage, sizeof storage);
    int err = pc_crypto_init();
    if (!err)
        err = fn(&buf, channel, text, (const uint8_t *)credentials->master_key.ptr);
    if (!err)
        err = pc_buf_hand_over(&buf, out, cap, len);
    pc_wipe(buf.ptr, buf.len);
    pc_buf_free(&buf);
    return err;
}

int pusherc_encrypt_event(const pusherc_credentials *credentials, pusherc_slice channel,
                          pusherc_slice data, char *out, size_t cap, size_t *len)
{
    return use_master_key(credentials, channel, data, encrypt, out, cap, len);
}

int pusherc_decrypt_event(const pusherc_credentials *credentials, pusherc_slice channel,
                          pusherc_slice encrypted, char *out, size_t cap, size_t *len)
{
    return use_master_key(credentials, channel, encrypted, pc_decrypt, out, cap, len);
}

/* -- HTTP API requests -- */

static bool upper_method(const char *method, char out[METHOD_MAX_BYTES + 1])
{
    size_t len = 0;

    for (; method[len]; len++) {
        char c = method[len];
        if (len == METHOD_MAX_BYTES || !((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z')))
            return false;
        out[len] = c >= 'a' ? (char)(c - 'a' + 'A') : c;
    }
    out[len] = '\0';
    return len > 0;
}

static bool path_valid(const char *path)
{
    if (path[0] != '/')
        return false;
    for (const char *at = path; *at; at++)
        if ((unsigned char)*at <= 0x20 || *at == 0x7f || *at == '?' || *at == '#')
            return false;
    return true;
}

/* The caller must not give names that the signature itself uses. */
static bool params_valid(const pusherc_http_param *params, size_t count)
{
    if (!params && count)
        return false;
    for (size_t i = 0; i < count; i++) {
        pusherc_slice name = params[i].name;
        if (!slice_valid(params[i].value) || !name.ptr || name.len == 0 ||
            pc_slice_eq_nocase(pc_slice_first(name, 5), PC_S("auth_")) ||
            pc_slice_eq_nocase(name, PC_S("body_md5")))
            return false;
    }
    return true;
}

static void put_percent_query(struct pc_buf *buf, const struct pc_pair *params, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        pc_put_percent(buf, params[i].name);
        pc_buf_put_char(buf, '=');
        pc_put_percent(buf, params[i].value);
        pc_buf_put_char(buf, '&');
    }
}

/* Appends the canonical form to `canonical`, and to `query` the query to send, which ends with "&". */
static int put_signed_params(const pusherc_credentials *credentials,
                             const pusherc_http_param *params, size_t param_count,
                             pusherc_slice body, uint64_t unix_time_s, struct pc_buf *canonical,
                             struct pc_buf *query)
{
    struct pc_pair all[PC_SIGN_MAX_PARAMS];
    char digits[24], md5[PC_MD5_HEX];
    struct pc_buf timestamp;
    size_t count = 0;

    pc_buf_init_in(&timestamp, canonical->mem, sizeof digits, digits, sizeof digits);
    pc_buf_put_u64(&timestamp, unix_time_s);
    all[count++] = (struct pc_pair){PC_S("auth_key"), credentials->key};
    all[count++] = (struct pc_pair){PC_S("auth_timestamp"), pc_buf_slice(&timestamp)};
    all[count++] = (struct pc_pair){PC_S("auth_version"), PC_S("1.0")};
    if (body.len) {
        int err = pc_md5_hex(body, md5);
        if (err)
            return err;
        all[count++] = (struct pc_pair){PC_S("body_md5"), pc_slice(md5, sizeof md5)};
    }
    for (size_t i = 0; i < param_count; i++)
        all[count++] = (struct pc_pair){params[i].name, params[i].value};

    pc_sign_put_query(canonical, all, count, PC_QUERY_AS_RECEIVED);
    put_percent_query(query, all, count);
    return pc_buf_status(canonical) || pc_buf_status(query) ? PUSHERC_ENOMEM : 0;
}

int pusherc_sign_request(const pusherc_credentials *credentials, const char *method,
                         const char *path, const pusherc_http_param *params, size_t param_count,
                         pusherc_slice body, uint64_t unix_time_s, char *out, size_t cap,
                         size_t *len)
{
    pusherc_credentials taken;
    char upper[METHOD_MAX_BYTES + 1];

    if (!credentials_valid(&credentials, &taken) || !method || !upper_method(method, upper) ||
        !path || !path_valid(path) || !slice_valid(body))
        return PUSHERC_EINVAL;
    if (param_count > PUSHERC_MAX_SIGNED_PARAMS - 5)
        return PUSHERC_ELIMIT;
    if (!params_valid(params, param_count))
        return PUSHERC_EINVAL;

    struct pc_mem mem = pc_mem_make(NULL);
    char canonical_storage[STACK_BYTES], query_storage[STACK_BYTES], hex[PC_SHA256_HEX];
    struct pc_buf canonical, query;
    pc_buf_init_in(&canonical, &mem, NO_MAX, canonical_storage, sizeof canonical_storage);
    pc_buf_init_in(&query, &mem, NO_MAX, query_storage, sizeof query_storage);

    int err = pc_crypto_init();
    if (!err)
        err = put_signed_params(credentials, params, param_count, body, unix_time_s, &canonical,
                                &query);
    if (!err) {
        const pusherc_slice parts[] = {pc_slice_of(upper), PC_S("\n"), pc_slice_of(path),
                                       PC_S("\n"), pc_buf_slice(&canonical)};
        err = hmac_hex(credentials->secret, parts, 5, hex);
    }
    if (!err) {
        pc_buf_put(&query, PC_S("auth_signature="));
        pc_buf_put(&query, pc_slice(hex, sizeof hex));
        err = pc_buf_hand_over(&query, out, cap, len);
    }
    pc_buf_free(&query);
    pc_buf_free(&canonical);
    return err;
}

static int verify_copied(const pusherc_credentials *credentials,
                         const struct pc_signed_request *request, uint64_t unix_time_s,
                         uint32_t max_skew_s)
{
    struct pc_mem mem = pc_mem_make(NULL);
    struct pc_hmac_key *secret = NULL;
    char storage[STACK_BYTES];
    struct pc_buf why;

    int err = pc_crypto_init();
    if (!err)
        err = pc_hmac_key_new(&secret, &mem, credentials->secret);
    if (err)
        return err;
    pc_buf_init_in(&why, &mem, PC_SIGN_MAX_WHY, storage, sizeof storage);
    err = pc_verify_request(credentials->key, secret, request, unix_time_s,
                            max_skew_s ? max_skew_s : DEFAULT_SKEW_S, &mem, &why);
    pc_buf_free(&why);
    pc_hmac_key_free(secret);
    return err;
}

int pusherc_verify_request(const pusherc_credentials *credentials, const char *method,
                           const char *path, const pusherc_http_param *params, size_t param_count,
                           pusherc_slice body, uint64_t unix_time_s, uint32_t max_skew_s)
{
    pusherc_credentials taken;
    struct pc_pair copies[PC_SIGN_MAX_PARAMS];

    if (!credentials_valid(&credentials, &taken) || !method || !path || (!params && param_count) ||
        !slice_valid(body))
        return PUSHERC_EINVAL;
    if (param_count > PC_SIGN_MAX_PARAMS)
        return PUSHERC_EAUTH;
    for (size_t i = 0; i < param_count; i++) {
        if (!slice_valid(params[i].name) || !slice_valid(params[i].value))
            return PUSHERC_EINVAL;
        copies[i] = (struct pc_pair){params[i].name, params[i].value};
    }

    const struct pc_signed_request request = {
        .method = pc_slice_of(method),
        .path = pc_slice_of(path),
        .params = copies,
        .param_count = param_count,
        .body = body,
    };
    return verify_copied(credentials, &request, unix_time_s, max_skew_s);
}

/* -- webhooks -- */

int pusherc_sign_webhook(const pusherc_credentials *credentials, pusherc_slice body,
                         char out[PUSHERC_HMAC_HEX_SIZE])
{
    pusherc_credentials taken;
    if (!credentials_valid(&credentials, &taken))
        return PUSHERC_EINVAL;
    return pusherc_hmac_sha256_hex(credentials->secret, body, out);
}

int pusherc_verify_webhook(const pusherc_credentials *credentials, pusherc_slice body,
                           pusherc_slice signature_hex)
{
    pusherc_credentials taken;
    char hex[PC_SHA256_HEX];

    if (!credentials_valid(&credentials, &taken) || !slice_valid(body) ||
        !slice_valid(signature_hex))
        return PUSHERC_EINVAL;
    int err = hmac_hex(credentials->secret, &body, 1, hex);
    if (err)
        return err;
    if (signature_hex.len != sizeof hex ||
        !pc_equal_constant_time(hex, signature_hex.ptr, sizeof hex))
        return PUSHERC_EAUTH;
    return 0;
}
