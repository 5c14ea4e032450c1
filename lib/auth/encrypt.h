/*
 * The data of end-to-end encrypted channels (protocol section 4.3). Who has a channel's shared secret can read it;
 * a server that only relays needs none of this. Pure; any thread.
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

/* What pc_encrypt() appends for so many bytes of data; SIZE_MAX if that is more than there can be. */
size_t pc_encrypted_size(size_t data_len);

/* Appends {"nonce":...,"ciphertext":...}. A nonce serves once: NULL takes a random one, as everybody must but a
 * test of known answers. 0, the status of `buf`, PUSHERC_EIO, or PUSHERC_ENOSYS without libsodium; after a failure
 * `buf` may hold a part. */
PC_CHECKED int pc_encrypt(struct pc_buf *buf, pusherc_slice channel, pusherc_slice data,
                          const uint8_t master_key[PUSHERC_MASTER_KEY_SIZE], const uint8_t *nonce);

/* Appends the data again. As pc_encrypt(), and
 * PUSHERC_EINVAL  `encrypted` is not of that form
 * PUSHERC_EAUTH   it was made for another channel, with another key, or was changed */
PC_CHECKED int pc_decrypt(struct pc_buf *buf, pusherc_slice channel, pusherc_slice encrypted,
                          const uint8_t master_key[PUSHERC_MASTER_KEY_SIZE]);

#endif
