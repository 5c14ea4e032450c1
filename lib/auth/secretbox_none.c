/* Takes the place of secretbox.c in a build without libsodium. */
#include "auth/secretbox.h"

#include <pusherc/error.h>

int pc_secretbox_ready(void)
{
    return PUSHERC_ENOSYS;
}

int pc_secretbox_seal(pusherc_slice plain, const uint8_t nonce[PC_SECRETBOX_NONCE],
                      const uint8_t key[PC_SECRETBOX_KEY], uint8_t *box)
{
    (void)plain;
    (void)nonce;
    (void)key;
    (void)box;
    return PUSHERC_ENOSYS;
}

int pc_secretbox_open(pusherc_slice box, const uint8_t nonce[PC_SECRETBOX_NONCE],
                      const uint8_t key[PC_SECRETBOX_KEY], uint8_t *plain)
{
    (void)box;
    (void)nonce;
    (void)key;
    (void)plain;
    return PUSHERC_ENOSYS;
}
