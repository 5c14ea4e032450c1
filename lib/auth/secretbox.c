#include "auth/secretbox.h"

#include <sodium.h>

#include <pusherc/error.h>

_Static_assert(crypto_secretbox_KEYBYTES == PC_SECRETBOX_KEY, "key");
_Static_assert(crypto_secretbox_NONCEBYTES == PC_SECRETBOX_NONCE, "nonce");
_Static_assert(crypto_secretbox_MACBYTES == PC_SECRETBOX_TAG, "tag");

int pc_secretbox_ready(void)
{
    /* libsodium keeps one state for the process behind a lock of its own, so any thread may call this first, also after
     * the host has called it. */
    return sodium_init() < 0 ? PUSHERC_EIO : 0;
}

int pc_secretbox_seal(pusherc_slice plain, const uint8_t nonce[PC_SECRETBOX_NONCE],
                      const uint8_t key[PC_SECRETBOX_KEY], uint8_t *box)
{
    int err = pc_secretbox_ready();
    if (err)
        return err;
    return crypto_secretbox_easy(box, (const unsigned char *)plain.ptr, plain.len, nonce, key)
               ? PUSHERC_EIO
               : 0;
}

int pc_secretbox_open(pusherc_slice box, const uint8_t nonce[PC_SECRETBOX_NONCE],
                      const uint8_t key[PC_SECRETBOX_KEY], uint8_t *plain)
{
    int err = pc_secretbox_ready();
    if (err)
        return err;
    return crypto_secretbox_open_easy(plain, (const unsigned char *)box.ptr, box.len, nonce, key)
               ? PUSHERC_EAUTH
               : 0;
}
