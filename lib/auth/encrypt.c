#include "auth/encrypt.h"

#include <assert.h>

#include "codec/crypto.h"
#include "codec/json.h"
#include "protocol/names.h"

#define BASE64_SIZE(n) (4 * (((n) + 2) / 3))
#define NONCE_BASE64   BASE64_SIZE(PC_SECRETBOX_NONCE)
#define STACK_BYTES    1024 /* most boxes fit */

static const pusherc_slice head = PUSHERC_LIT("{\"nonce\":\"");
static const pusherc_slice middle = PUSHERC_LIT("\",\"ciphertext\":\"");
static const pusherc_slice tail = PUSHERC_LIT("\"}");

int pc_shared_secret(pusherc_slice channel, const uint8_t master_key[PUSHERC_MASTER_KEY_SIZE],
                     uint8_t out[PUSHERC_SHARED_SECRET_SIZE])
{
    char input[PC_ANY_CHANNEL_NAME_MAX + PUSHERC_MASTER_KEY_SIZE];

    assert(channel.len <= PC_ANY_CHANNEL_NAME_MAX);
    memcpy(input, channel.ptr, channel.len);
    memcpy(input + channel.len, master_key, PUSHERC_MASTER_KEY_SIZE);
    int err = pc_sha256(pc_slice(input, channel.len + PUSHERC_MASTER_KEY_SIZE), out);
    pc_wipe(input, sizeof input);
    return err;
}

size_t pc_encrypted_size(size_t data_len)
{
    if (data_len > SIZE_MAX / 2)
        return SIZE_MAX;
    return head.len + NONCE_BASE64 + middle.len + BASE64_SIZE(data_len + PC_SECRETBOX_TAG) +
           tail.len;
}

static void put_base64(struct pc_buf *buf, const uint8_t *bytes, size_t len)
{
    char *at = pc_buf_reserve(buf, BASE64_SIZE(len));
    if (at)
        pc_buf_advance(buf, pc_base64_encode(pc_slice((const char *)bytes, len), at));
}

int pc_encrypt(struct pc_buf *buf, pusherc_slice channel, pusherc_slice data,
               const uint8_t master_key[PUSHERC_MASTER_KEY_SIZE], const uint8_t *nonce)
{
    uint8_t random[PC_SECRETBOX_NONCE], secret[PUSHERC_SHARED_SECRET_SIZE];
    char storage[STACK_BYTES];
    struct pc_buf box;

    /* Checked first: without libsodium the error is PUSHERC_ENOSYS, whatever else is wrong. */
    int err = pc_secretbox_ready();
    if (err)
        return err;
    if (pc_encrypted_size(data.len) == SIZE_MAX)
        return PUSHERC_ELIMIT;
    if (!nonce) {
        err = pc_random(random, sizeof random);
        if (err)
            return err;
        nonce = random;
    }
    pc_buf_init_in(&box, buf->mem, data.len + PC_SECRETBOX_TAG, storage, sizeof storage);
    uint8_t *sealed = (uint8_t *)pc_buf_reserve(&box, data.len + PC_SECRETBOX_TAG);
    err = sealed ? pc_shared_secret(channel, master_key, secret) : pc_buf_status(&box);
    if (!err)
        err = pc_secretbox_seal(data, nonce, secret, sealed);
    pc_wipe(secret, sizeof secret);
    if (!err) {
        pc_buf_put(buf, head);
        put_base64(buf, nonce, PC_SECRETBOX_NONCE);
        pc_buf_put(buf, middle);
        put_base64(buf, sealed, data.len + PC_SECRETBOX_TAG);
        pc_buf_put(buf, tail);
        err = pc_buf_status(buf);
    }
    pc_buf_free(&box);
    return err;
}

/* Appends the bytes that a member of the object holds in base64. The text may have JSON escapes, as "\/". */
static int read_base64(struct pc_buf *buf, struct pc_json object, pusherc_slice name)
{
    char storage[STACK_BYTES];
    struct pc_buf decoded;
    pusherc_slice text;
    size_t len = 0;

    struct pc_json value = pc_json_get(object, name);
    pc_buf_init_in(&decoded, buf->mem, value.raw.len, storage, sizeof storage);
    int err = pc_json_string(value, &decoded, &text);
    if (!err) {
        size_t room = text.len / 4 * 3;
        uint8_t *at = (uint8_t *)pc_buf_reserve(buf, room + 1);
        if (!at)
            err = pc_buf_status(buf);
        else if (!pc_base64_decode(text, at, room, &len))
            err = PUSHERC_EINVAL;
        else
            pc_buf_advance(buf, len);
    }
    pc_buf_free(&decoded);
    return err;
}

int pc_decrypt(struct pc_buf *buf, pusherc_slice channel, pusherc_slice encrypted,
               const uint8_t master_key[PUSHERC_MASTER_KEY_SIZE])
{
    uint8_t secret[PUSHERC_SHARED_SECRET_SIZE];
    char nonce_storage[2 * PC_SECRETBOX_NONCE], box_storage[STACK_BYTES];
    struct pc_buf nonce, box;

    int err = pc_secretbox_ready();
    if (err)
        return err;
    struct pc_json object = pc_json_parse(encrypted);
    pc_buf_init_in(&nonce, buf->mem, encrypted.len + 1, nonce_storage, sizeof nonce_storage);
    pc_buf_init_in(&box, buf->mem, encrypted.len + 1, box_storage, sizeof box_storage);
    err = read_base64(&nonce, object, PC_S("nonce"));
    if (!err)
        err = read_base64(&box, object, PC_S("ciphertext"));
    if (!err && (nonce.len != PC_SECRETBOX_NONCE || box.len < PC_SECRETBOX_TAG))
        err = PUSHERC_EINVAL;
    size_t len = box.len - PC_SECRETBOX_TAG;
    uint8_t *plain = err ? NULL : (uint8_t *)pc_buf_reserve(buf, len + 1);
    if (!err)
        err = plain ? pc_shared_secret(channel, master_key, secret) : pc_buf_status(buf);
    if (!err)
        err = pc_secretbox_open(pc_buf_slice(&box), (const uint8_t *)nonce.ptr, secret, plain);
    if (!err)
        pc_buf_advance(buf, len);
    pc_wipe(secret, sizeof secret);
    pc_buf_free(&box);
    pc_buf_free(&nonce);
    return err;
}
