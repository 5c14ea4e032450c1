/*
 * Socket ids that are unique without a table and cannot be guessed: a counter sent through a keyed
 * permutation (four Feistel rounds of SipHash). A permutation never repeats; without the key the
 * next value is as good as random. Safe from any thread.
 */
#ifndef PC_BASE_IDGEN_H
#define PC_BASE_IDGEN_H

#include <stdatomic.h>
#include <stdint.h>

#include <pusherc/types.h>

struct pc_idgen {
    uint64_t seed[2];
    _Atomic uint64_t counter;
};

void pc_idgen_init(struct pc_idgen *gen, const uint64_t seed[2]); /* seed: 16 random bytes */
/* Both numbers in 1..UINT32_MAX. */
pusherc_socket_id pc_idgen_next(struct pc_idgen *gen);

#endif
