/*
 * NaCl's secretbox (XSalsa20-Poly1305). Only secretbox.c calls libsodium; a build without libsodium has
 * secretbox_none.c in its place. Stateless; any thread.
 */
#ifndef PC_AUTH_SECRETBOX_H
#define PC_AUTH_SECRETBOX_H

#include <stdint.h>

#include "base/mem.h"
#include "base/slice.h"

#define PC_SECRETBOX_KEY   32
#define PC_SECRETBOX_NONCE 24
#define PC_SECRETBOX_TAG   16 /* the first bytes of a box */

/* 0; PUSHERC_ENOSYS: built without libsodium; PUSHERC_EIO: libsodium failed. */
PC_CHECKED int pc_secretbox_ready(void);

/* Fills `box`, plain.len + PC_SECRETBOX_TAG bytes, which must not overlap `plain`. Returns as pc_secretbox_ready(). */
PC_CHECKED int pc_secretbox_seal(pusherc_slice plain, const uint8_t nonce[PC_SECRETBOX_NONCE],
                                 const uint8_t key[PC_SECRETBOX_KEY], uint8_t *box);

/* Fills `plain`, box.len - PC_SECRETBOX_TAG bytes, which must not overlap `box`; box.len is at least PC_SECRETBOX_TAG.
 * PUSHERC_EAUTH: the box was not made with this key and nonce, and `plain` was not filled; otherwise as
 * pc_secretbox_ready(). */
PC_CHECKED int pc_secretbox_open(pusherc_slice box, const uint8_t nonce[PC_SECRETBOX_NONCE],
                                 const uint8_t key[PC_SECRETBOX_KEY], uint8_t *plain);

#endif
