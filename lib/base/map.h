/*
 * Hash table of nodes that state inside their objects: the table owns only its array of chains.
 * Keys are bytes kept by the object; the hash is keyed (SipHash-1-3) because clients choose the
 * keys. If the array cannot grow, chains get longer; only the first insert into a table can fail.
 */
#ifndef PC_BASE_MAP_H
#define PC_BASE_MAP_H

#include "base/mem.h"

struct pc_map_node {
    struct pc_map_node *next;
    uint64_t hash;
    pusherc_slice key; /* borrowed from the object that holds the node */
};

struct pc_map {
    const struct pc_mem *mem; /* borrowed */
    struct pc_map_node **chains;
    size_t chain_count; /* 0 or a power of two */
    size_t count;
    uint64_t seed[2];
};

uint64_t pc_hash(const uint64_t seed[2], pusherc_slice key);

void pc_map_init(struct pc_map *map, const struct pc_mem *mem, const uint64_t seed[2]);
void pc_map_free(struct pc_map *map); /* the nodes are the caller's */

struct pc_map_node *pc_map_find(const struct pc_map *map, pusherc_slice key);
/* The caller has set node->key; the table has no such key yet. 0 or PUSHERC_ENOMEM (nothing changed). */
PC_CHECKED int pc_map_insert(struct pc_map *map, struct pc_map_node *node);
void pc_map_remove(struct pc_map *map, struct pc_map_node *node);

/* Visits every node in no order. The visitor may remove the node it was given, and no other. */
typedef void (*pc_map_visit_fn)(struct pc_map_node *node, void *ctx);
void pc_map_each(const struct pc_map *map, pc_map_visit_fn visit, void *ctx);

#endif
