/*
 * Digests, HMAC, base64, random bytes: Mbed TLS through its PSA interface, so that 3.6 and 4.x both
 * serve. The only file that knows Mbed TLS besides net/tls*.c. Stateless; any thread.
 */
#ifndef PC_CODEC_CRYPTO_H
#define PC_CODEC_CRYPTO_H

#include <stdbool.h>
#include <stdint.h>

#include "base/mem.h"
#include "base/slice.h"

#define PC_SHA256_SIZE 32
#define PC_SHA256_HEX  64 /* without NUL */
#define PC_MD5_HEX     32

/* Call it before the other functions here; a repeated call is harmless. 0 or PUSHERC_EIO. */
PC_CHECKED int pc_crypto_init(void);

PC_CHECKED int pc_random(void *out, size_t len); /* 0 or PUSHERC_EIO */

/* Each: 0, or PUSHERC_EIO if the crypto library was built without that digest. */
PC_CHECKED int pc_sha1(pusherc_slice data, uint8_t out[20]);
PC_CHECKED int pc_sha256(pusherc_slice data, uint8_t out[PC_SHA256_SIZE]);
PC_CHECKED int pc_md5_hex(pusherc_slice data, char out[PC_MD5_HEX]);

/* An HMAC-SHA256 key whose two blocks are hashed at creation, because an app signs many texts with one secret. */
struct pc_hmac_key;
/* 0, PUSHERC_ENOMEM, PUSHERC_EIO. `mem` is copied. */
PC_CHECKED int pc_hmac_key_new(struct pc_hmac_key **out, const struct pc_mem *mem,
                               pusherc_slice secret);
PC_CHECKED int pc_hmac_key_copy(struct pc_hmac_key **out, const struct pc_mem *mem,
                                const struct pc_hmac_key *from);
/* Do two keys sign alike? */
bool pc_hmac_key_eq(const struct pc_hmac_key *a, const struct pc_hmac_key *b);
void pc_hmac_key_free(struct pc_hmac_key *key); /* wipes; NULL is harmless */
/* Signs the concatenation of `parts`; lower-case hex without NUL. The key is not changed. 0 or PUSHERC_EIO. */
PC_CHECKED int pc_hmac_hex(const struct pc_hmac_key *key, const pusherc_slice *parts,
                           size_t part_count, char out[PC_SHA256_HEX]);

/* Compares in a time that depends on len only. */
bool pc_equal_constant_time(const void *a, const void *b, size_t len);

/* With padding, without NUL; `out` has room for 4 * ((n + 2) / 3). Returns the length. */
size_t pc_base64_encode(pusherc_slice data, char *out);
/* Strict (padding, alphabet, no stray bits). Returns false if malformed or longer than cap. */
bool pc_base64_decode(pusherc_slice text, uint8_t *out, size_t cap, size_t *len);

void pc_hex(const uint8_t *data, size_t len, char *out); /* lower case, 2 * len, no NUL */

#endif
