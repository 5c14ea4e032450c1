#include "base/idgen.h"

#include "base/map.h"
#include "base/slice.h"

/* Four rounds make a random-looking permutation of random-looking rounds (Luby and Rackoff). */
#define ROUNDS 4

void pc_idgen_init(struct pc_idgen *gen, const uint64_t seed[2])
{
    gen->seed[0] = seed[0];
    gen->seed[1] = seed[1];
    atomic_init(&gen->counter, 0);
}

static uint32_t round_of(const struct pc_idgen *gen, unsigned number, uint32_t half)
{
    unsigned char input[8] = {
        (unsigned char)number,       (unsigned char)half,         (unsigned char)(half >> 8),
        (unsigned char)(half >> 16), (unsigned char)(half >> 24),
    };
    return (uint32_t)pc_hash(gen->seed, pc_slice((const char *)input, sizeof input));
}

static pusherc_socket_id permute(const struct pc_idgen *gen, uint64_t number)
{
    uint32_t left = (uint32_t)(number >> 32);
    uint32_t right = (uint32_t)number;
    for (unsigned i = 0; i < ROUNDS; i++) {
        uint32_t mixed = left ^ round_of(gen, i, right);
        left = right;
        right = mixed;
    }
    return (pusherc_socket_id){left, right};
}

pusherc_socket_id pc_idgen_next(struct pc_idgen *gen)
{
    pusherc_socket_id id;
    /* No half of a socket id is zero. Skipping such values keeps the others unique. Relaxed: the
     * counter orders no other memory. */
    do {
        id = permute(gen, atomic_fetch_add_explicit(&gen->counter, 1, memory_order_relaxed));
    } while (id.a == 0 || id.b == 0);
    return id;
}
