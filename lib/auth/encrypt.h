/*
 * The data of end-to-end encrypted channels (protocol section 4.3). A client with the channel's shared secret can read
 * it. A server relays encrypted data without these functions. Pure; any thread.
 */
#ifndef PC_AUTH_ENCRYPT_H
#define PC_AUTH_ENCRYPT_H

#include <pusherc/sign.h>

#include "auth/secretbox.h"
#include "base/buf.h"

/* SHA-256(channel, master key). The name is valid. 0 or PUSHERC_EIO. */
PC_CHECKED int pc_shared_secret(pusherc_slice channel,
                                const uint8_t master_key[PUSHERC_MASTER_KEY_SIZE],
                                uint8_t out[PUSHERC_SHARED_SECRET_SIZE]);

/* How many bytes pc_encrypt() appends for `data_len` bytes of data; SIZE_MAX if a size_t cannot hold the number. */
size_t pc_encrypted_size(size_t data_len);

/* Appends {"nonce":...,"ciphertext":...}. `nonce` NULL takes a random one. A nonce must not be used twice, so only
 * tests of known answers give one. 0, the status of `buf`, PUSHERC_ELIMIT: the data is too long, PUSHERC_EIO, or
 * PUSHERC_ENOSYS without libsodium. After a failure `buf` may hold a part. */
PC_CHECKED int pc_encrypt(struct pc_buf *buf, pusherc_slice channel, pusherc_slice data,
                          const uint8_t master_key[PUSHERC_MASTER_KEY_SIZE], const uint8_t *nonce);

/* Appends the decrypted data. Errors as of pc_encrypt(), and
 * PUSHERC_EINVAL  `encrypted` does not have the form that pc_encrypt() writes
 * PUSHERC_EAUTH   it was made for another channel or with another key, or was changed */
PC_CHECKED int pc_decrypt(struct pc_buf *buf, pusherc_slice channel, pusherc_slice encrypted,
                          const uint8_t master_key[PUSHERC_MASTER_KEY_SIZE]);

#endif
