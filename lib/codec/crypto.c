#include "codec/crypto.h"

#include <psa/crypto.h>

#include <pusherc/error.h>

#define SHA256_BLOCK 64

/* PSA allocates a copy of each input, so hashing one joined text costs less than hashing its parts.
 * Most signed texts are shorter than this. */
#define JOINED_BYTES 512

int pc_crypto_init(void)
{
    return psa_crypto_init() == PSA_SUCCESS ? 0 : PUSHERC_EIO;
}

int pc_random(void *out, size_t len)
{
    return psa_generate_random(out, len) == PSA_SUCCESS ? 0 : PUSHERC_EIO;
}

static const uint8_t *bytes_of(pusherc_slice data)
{
    return (const uint8_t *)data.ptr;
}

static int digest(psa_algorithm_t algorithm, pusherc_slice data, uint8_t *out, size_t size)
{
    size_t len;
    psa_status_t status = psa_hash_compute(algorithm, bytes_of(data), data.len, out, size, &len);
    return status == PSA_SUCCESS && len == size ? 0 : PUSHERC_EIO;
}

int pc_sha1(pusherc_slice data, uint8_t out[20])
{
    return digest(PSA_ALG_SHA_1, data, out, 20);
}

int pc_sha256(pusherc_slice data, uint8_t out[PC_SHA256_SIZE])
{
    return digest(PSA_ALG_SHA_256, data, out, PC_SHA256_SIZE);
}

int pc_md5_hex(pusherc_slice data, char out[PC_MD5_HEX])
{
    uint8_t sum[PC_MD5_HEX / 2];
    int err = digest(PSA_ALG_MD5, data, sum, sizeof sum);
    if (err == 0)
        pc_hex(sum, sizeof sum, out);
    return err;
}

/* HMAC from two digests that have already hashed the key's inner and outer block. A signature clones
 * both, so it costs only its text and one block. PSA's HMAC is not used: it keeps the key in one of a
 * fixed number of slots of the process (32 by default), a server may have more apps, and the host
 * needs slots, too. */
struct pc_hmac_key {
    struct pc_mem mem;
    psa_hash_operation_t inner, outer;
};

static psa_status_t start_digest(psa_hash_operation_t *operation, const uint8_t key[SHA256_BLOCK],
                                 uint8_t pad)
{
    uint8_t block[SHA256_BLOCK];
    for (size_t i = 0; i < SHA256_BLOCK; i++)
        block[i] = key[i] ^ pad;
    psa_status_t status = psa_hash_setup(operation, PSA_ALG_SHA_256);
    if (status == PSA_SUCCESS)
        status = psa_hash_update(operation, block, sizeof block);
    pc_wipe(block, sizeof block);
    return status;
}

int pc_hmac_key_new(struct pc_hmac_key **out, const struct pc_mem *mem, pusherc_slice secret)
{
    uint8_t block[SHA256_BLOCK] = {0};
    int err = 0;

    *out = NULL;
    struct pc_hmac_key *key = pc_alloc_zero(mem, sizeof *key);
    if (!key)
        return PUSHERC_ENOMEM;
    key->mem = *mem;
    key->inner = psa_hash_operation_init();
    key->outer = psa_hash_operation_init();

    if (secret.len > sizeof block)
        err = pc_sha256(secret, block);
    else if (secret.len)
        memcpy(block, secret.ptr, secret.len);
    if (err == 0 && (start_digest(&key->inner, block, 0x36) != PSA_SUCCESS ||
                     start_digest(&key->outer, block, 0x5c) != PSA_SUCCESS))
        err = PUSHERC_EIO;
    pc_wipe(block, sizeof block);
    if (err) {
        pc_hmac_key_free(key);
        return err;
    }
    *out = key;
    return 0;
}

int pc_hmac_key_copy(struct pc_hmac_key **out, const struct pc_mem *mem,
                     const struct pc_hmac_key *from)
{
    struct pc_hmac_key *key = *out = pc_alloc_zero(mem, sizeof *key);
    if (!key)
        return PUSHERC_ENOMEM;
    key->mem = *mem;
    key->inner = psa_hash_operation_init();
    key->outer = psa_hash_operation_init();
    if (psa_hash_clone(&from->inner, &key->inner) == PSA_SUCCESS &&
        psa_hash_clone(&from->outer, &key->outer) == PSA_SUCCESS)
        return 0;
    pc_hmac_key_free(key);
    *out = NULL;
    return PUSHERC_EIO;
}

void pc_hmac_key_free(struct pc_hmac_key *key)
{
    if (!key)
        return;
    struct pc_mem mem = key->mem;
    (void)psa_hash_abort(&key->inner);
    (void)psa_hash_abort(&key->outer);
    pc_wipe(key, sizeof *key);
    pc_free(&mem, key);
}

/* Joins `parts` in `room`; false if they are longer. */
static bool join(const pusherc_slice *parts, size_t part_count, char room[JOINED_BYTES],
                 pusherc_slice *out)
{
    size_t len = 0;
    for (size_t i = 0; i < part_count; i++) {
        if (parts[i].len > JOINED_BYTES - len)
            return false;
        if (parts[i].len)
            memcpy(room + len, parts[i].ptr, parts[i].len);
        len += parts[i].len;
    }
    *out = pc_slice(room, len);
    return true;
}

/* Hashes `parts` after what `started` has hashed. `started` is not changed. */
static psa_status_t finish_digest(const psa_hash_operation_t *started, const pusherc_slice *parts,
                                  size_t part_count, uint8_t out[PC_SHA256_SIZE])
{
    psa_hash_operation_t operation = PSA_HASH_OPERATION_INIT;
    size_t len;
    psa_status_t status = psa_hash_clone(started, &operation);
    for (size_t i = 0; i < part_count && status == PSA_SUCCESS; i++)
        status = psa_hash_update(&operation, bytes_of(parts[i]), parts[i].len);
    if (status == PSA_SUCCESS)
        status = psa_hash_finish(&operation, out, PC_SHA256_SIZE, &len);
    if (status != PSA_SUCCESS)
        (void)psa_hash_abort(&operation);
    return status;
}

int pc_hmac_hex(const struct pc_hmac_key *key, const pusherc_slice *parts, size_t part_count,
                char out[PC_SHA256_HEX])
{
    uint8_t sum[PC_SHA256_SIZE] = {0}; /* for compilers that do not see it set */
    pusherc_slice inner = pc_slice((const char *)sum, sizeof sum);
    pusherc_slice joined;
    char room[JOINED_BYTES];

    if (join(parts, part_count, room, &joined)) {
        parts = &joined;
        part_count = 1;
    }
    if (finish_digest(&key->inner, parts, part_count, sum) != PSA_SUCCESS ||
        finish_digest(&key->outer, &inner, 1, sum) != PSA_SUCCESS)
        return PUSHERC_EIO;
    pc_hex(sum, sizeof sum, out);
    return 0;
}

bool pc_hmac_key_eq(const struct pc_hmac_key *a, const struct pc_hmac_key *b)
{
    const pusherc_slice text = PC_S("");
    char of_a[PC_SHA256_HEX], of_b[PC_SHA256_HEX];
    return pc_hmac_hex(a, &text, 1, of_a) == 0 && pc_hmac_hex(b, &text, 1, of_b) == 0 &&
           pc_equal_constant_time(of_a, of_b, sizeof of_a);
}

/* Hides the number from the optimiser, which might otherwise leave the loops below at the first difference. */
static inline void hide(uint64_t *number)
{
#if defined(__GNUC__)
    __asm__ volatile("" : "+r"(*number));
#else
    *(volatile uint64_t *)number = *number;
#endif
}

bool pc_equal_constant_time(const void *a, const void *b, size_t len)
{
    const uint8_t *left = a;
    const uint8_t *right = b;
    uint64_t difference = 0;
    for (; len >= 8; len -= 8, left += 8, right += 8) {
        uint64_t x, y;
        memcpy(&x, left, 8);
        memcpy(&y, right, 8);
        difference |= x ^ y;
        hide(&difference);
    }
    for (size_t i = 0; i < len; i++) {
        difference |= (uint64_t)(left[i] ^ right[i]);
        hide(&difference);
    }
    return difference == 0;
}

static const char base64_alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t pc_base64_encode(pusherc_slice data, char *out)
{
    const uint8_t *p = bytes_of(data);
    char *to = out;

    for (size_t left = data.len; left > 0;) {
        size_t take = left < 3 ? left : 3;
        uint32_t group = (uint32_t)p[0] << 16;
        if (take > 1)
            group |= (uint32_t)p[1] << 8;
        if (take > 2)
            group |= p[2];
        *to++ = base64_alphabet[group >> 18];
        *to++ = base64_alphabet[group >> 12 & 63];
        *to++ = take > 1 ? base64_alphabet[group >> 6 & 63] : '=';
        *to++ = take > 2 ? base64_alphabet[group & 63] : '=';
        p += take;
        left -= take;
    }
    return (size_t)(to - out);
}

/* Six bits, or -1. */
static int base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+')
        return 62;
    return c == '/' ? 63 : -1;
}

/* The 24 bits of four digits, with padding as zero; -1 if a character is not a digit. */
static int32_t base64_group(const char digits[4], size_t padding)
{
    int32_t bits = 0;
    for (size_t i = 0; i < 4; i++) {
        int digit = i < 4 - padding ? base64_digit(digits[i]) : 0;
        if (digit < 0)
            return -1;
        bits = bits * 64 + digit;
    }
    return bits;
}

bool pc_base64_decode(pusherc_slice text, uint8_t *out, size_t cap, size_t *len)
{
    size_t padding = 0;
    size_t written = 0;

    *len = 0;
    if (text.len % 4)
        return false;
    while (padding < 2 && padding < text.len && text.ptr[text.len - 1 - padding] == '=')
        padding++;
    if (text.len / 4 * 3 - padding > cap)
        return false;
    for (size_t at = 0; at < text.len; at += 4) {
        size_t missing = at + 4 == text.len ? padding : 0;
        int32_t bits = base64_group(text.ptr + at, missing);
        /* The bits behind the last byte must be zero, so that one value has one text. */
        if (bits < 0 || bits % (1 << 8 * missing))
            return false;
        for (size_t i = 0; i < 3 - missing; i++)
            out[written++] = (uint8_t)(bits >> (16 - 8 * i));
    }
    *len = written;
    return true;
}

void pc_hex(const uint8_t *data, size_t len, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < len; i++) {
        out[2 * i] = digits[data[i] >> 4];
        out[2 * i + 1] = digits[data[i] & 15];
    }
}
