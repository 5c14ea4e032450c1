/*
 * NaCl's secretbox (XSalsa20-Poly1305), by libsodium; this module's only file that knows it. A library without
 * libsodium has secretbox_none.c instead. Stateless; any thread.
 */
#ifndef PC_AUTH_SECRETBOX_H
#define PC_AUTH_SECRETBOX_H

#include <stdint.h>

#include "base/mem.h"
#include "base/slice.h"

#define PC_SECRETBOX_KEY   32
#define PC_SECRETBOX_NONCE 24
#define PC_SECRETBOX_TAG   16 /* a box begins with it */

/* 0; PUSHERC_ENOSYS: compiled without libsodium; PUSHERC_EIO: the library refused. */
PC_CHECKED int pc_secretbox_ready(void);

/* Fills `box`, plain.len + PC_SECRETBOX_TAG bytes that do not overlap. As pc_secretbox_ready(). */
PC_CHECKED int pc_secretbox_seal(pusherc_slice plain, const uint8_t nonce[PC_SECRETBOX_NONCE],
                                 const uint8_t key[PC_SECRETBOX_KEY], uint8_t *box);

/* Fills `plain`, box.len - PC_SECRETBOX_TAG bytes that do not overlap; box.len is at least that.
 * PUSHERC_EAUTH: not made with this key and nonce, nothing was filled; otherwise as pc_secretbox_ready(). */
PC_CHECKED int pc_secretbox_open(pusherc_slice box, const uint8_t nonce[PC_SECRETBOX_NONCE],
                                 const uint8_t key[PC_SECRETBOX_KEY], uint8_t *plain);

#endif
