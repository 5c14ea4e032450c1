#include "base/map.h"

#include <assert.h>

#include <pusherc/error.h>

#include "base/slice.h"

/* The small table of one connection then costs one cache line. */
#define FIRST_CHAINS 8

static inline uint64_t rotate(uint64_t x, unsigned bits)
{
    return (x << bits) | (x >> (64 - bits));
}

static inline void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[2] += v[3];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] = rotate(v[0], 32);
    v[2] += v[1];
    v[0] += v[3];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] = rotate(v[2], 32);
}

/* Little-endian on every machine, so that all hash alike. Compilers turn the loop into one load. */
static inline uint64_t load_le(const unsigned char *p, size_t len)
{
    uint64_t word = 0;
    for (size_t i = 0; i < len; i++)
        word |= (uint64_t)p[i] << (8 * i);
    return word;
}

/* SipHash with one round per word and three to finish (Aumasson and Bernstein): enough where only
 * the table's shape is at stake, and the seed never leaves the process. */
uint64_t pc_hash(const uint64_t seed[2], pusherc_slice key)
{
    const unsigned char *p = (const unsigned char *)key.ptr;
    size_t whole = key.len / 8;
    uint64_t v[4] = {
        seed[0] ^ 0x736f6d6570736575U,
        seed[1] ^ 0x646f72616e646f6dU,
        seed[0] ^ 0x6c7967656e657261U,
        seed[1] ^ 0x7465646279746573U,
    };

    for (size_t i = 0; i < whole; i++, p += 8) {
        uint64_t word = load_le(p, 8);
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
    }
    uint64_t last = load_le(p, key.len % 8) | (uint64_t)key.len << 56;
    v[3] ^= last;
    sip_round(v);
    v[0] ^= last;
    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

void pc_map_init(struct pc_map *map, const struct pc_mem *mem, const uint64_t seed[2])
{
    *map = (struct pc_map){.mem = mem, .seed = {seed[0], seed[1]}};
}

void pc_map_free(struct pc_map *map)
{
    pc_free(map->mem, map->chains);
    pc_map_init(map, map->mem, map->seed);
}

/*
 * The table. A node is in the chain that the low bits of its hash select. An insert doubles the array
 * when there are as many nodes as chains, so a chain has one node on average, and halves it when there are
 * eight times as many chains as nodes; a remove does not, so that a visitor may remove. Nodes keep their
 * hash: a new array hashes no key again, and a search compares keys only where the whole hash is equal.
 * Find, insert and remove cost O(1) on average, a new array O(n) at once. Nodes do not move in memory.
 */

static struct pc_map_node **chain_of(const struct pc_map *map, uint64_t hash)
{
    return &map->chains[hash & (map->chain_count - 1)];
}

struct pc_map_node *pc_map_find(const struct pc_map *map, pusherc_slice key)
{
    if (map->count == 0)
        return NULL;
    uint64_t hash = pc_hash(map->seed, key);
    for (struct pc_map_node *node = *chain_of(map, hash); node; node = node->next) {
        if (node->hash == hash && pc_slice_eq(node->key, key))
            return node;
    }
    return NULL;
}

/* Out of memory leaves the table as it is. */
static void resize(struct pc_map *map, size_t count)
{
    size_t old_count = map->chain_count;
    struct pc_map_node **old = map->chains;
    struct pc_map_node **chains = pc_alloc_array(map->mem, count, sizeof *chains);
    if (!chains)
        return;

    map->chains = chains;
    map->chain_count = count;
    for (size_t i = 0; i < old_count; i++) {
        struct pc_map_node *next;
        for (struct pc_map_node *node = old[i]; node; node = next) {
            struct pc_map_node **chain = chain_of(map, node->hash);
            next = node->next;
            node->next = *chain;
            *chain = node;
        }
    }
    pc_free(map->mem, old);
}

int pc_map_insert(struct pc_map *map, struct pc_map_node *node)
{
    if (map->count >= map->chain_count)
        resize(map, map->chain_count ? map->chain_count * 2 : FIRST_CHAINS);
    else if (map->count < map->chain_count / 8 && map->chain_count > FIRST_CHAINS)
        resize(map, map->chain_count / 2);
    if (map->chain_count == 0)
        return PUSHERC_ENOMEM;
    node->hash = pc_hash(map->seed, node->key);
    struct pc_map_node **chain = chain_of(map, node->hash);
    node->next = *chain;
    *chain = node;
    map->count++;
    return 0;
}

void pc_map_remove(struct pc_map *map, struct pc_map_node *node)
{
    struct pc_map_node **link = chain_of(map, node->hash);
    while (*link != node) {
        assert(*link); /* the node is in this table */
        link = &(*link)->next;
    }
    *link = node->next;
    node->next = NULL;
    map->count--;
}

void pc_map_each(const struct pc_map *map, pc_map_visit_fn visit, void *ctx)
{
    for (size_t i = 0; i < map->chain_count; i++) {
        struct pc_map_node *next;
        for (struct pc_map_node *node = map->chains[i]; node; node = next) {
            next = node->next; /* the visitor may free the node */
            visit(node, ctx);
        }
    }
}
