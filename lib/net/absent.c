#include "net/absent.h"

#include <string.h>

#include <pusherc/error.h>

#define MAX_NETWORK 16 /* bytes of a key */

struct pc_absent_address {
    struct pc_map_node node;
    struct pc_list absent;
    uint32_t count;    /* of `absent` */
    uint32_t sessions; /* absent or not */
    char key[MAX_NETWORK];
};

void pc_absentees_init(struct pc_absentees *all, const struct pc_mem *mem, const uint64_t seed[2])
{
    *all = (struct pc_absentees){.mem = mem};
    pc_list_init(&all->absent);
    pc_map_init(&all->by_address, mem, seed);
}

void pc_absentees_free(struct pc_absentees *all)
{
    pc_map_free(&all->by_address);
}

static struct pc_absent_address *find(const struct pc_absentees *all, pusherc_slice network)
{
    struct pc_map_node *node = network.len ? pc_map_find(&all->by_address, network) : NULL;
    return node ? PC_CONTAINER(node, struct pc_absent_address, node) : NULL;
}

/* NULL: out of memory. */
static struct pc_absent_address *add(struct pc_absentees *all, pusherc_slice network)
{
    struct pc_absent_address *address = pc_alloc_zero(all->mem, sizeof *address);
    if (!address)
        return NULL;
    pc_list_init(&address->absent);
    memcpy(address->key, network.ptr, network.len);
    address->node.key = pc_slice(address->key, network.len);
    if (pc_map_insert(&all->by_address, &address->node)) {
        pc_free(all->mem, address);
        return NULL;
    }
    return address;
}

int pc_absentee_init(struct pc_absentee *absentee, struct pc_absentees *all, pusherc_slice network)
{
    struct pc_absent_address *address = find(all, network);
    if (network.len && !address && !(address = add(all, network)))
        return PUSHERC_ENOMEM;
    *absentee = (struct pc_absentee){.all = all, .address = address};
    pc_list_init(&absentee->of_all);
    pc_list_init(&absentee->of_address);
    if (address)
        address->sessions++;
    return 0;
}

void pc_absentee_drop(struct pc_absentee *absentee)
{
    struct pc_absent_address *address = absentee->address;
    pc_absentee_set(absentee, false);
    if (address && --address->sessions == 0) {
        pc_map_remove(&absentee->all->by_address, &address->node);
        pc_free(absentee->all->mem, address);
    }
}

void pc_absentee_set(struct pc_absentee *absentee, bool absent)
{
    struct pc_absentees *all = absentee->all;
    struct pc_absent_address *address = absentee->address;
    uint32_t change = absent ? 1u : UINT32_MAX;
    if (!pc_list_empty(&absentee->of_all) == absent)
        return;
    all->count += change;
    if (address)
        address->count += change;
    if (!absent) {
        pc_list_remove(&absentee->of_all);
        pc_list_remove(&absentee->of_address);
        return;
    }
    pc_list_push_back(&all->absent, &absentee->of_all);
    if (address)
        pc_list_push_back(&address->absent, &absentee->of_address);
}

struct pc_absentee *pc_absentees_first_above(const struct pc_absentees *all, pusherc_slice network,
                                             uint32_t max, uint32_t max_per_address)
{
    const struct pc_absent_address *address = find(all, network);
    if (address && address->count >= max_per_address)
        return PC_CONTAINER(address->absent.next, struct pc_absentee, of_address);
    if (all->count >= max)
        return PC_CONTAINER(all->absent.next, struct pc_absentee, of_all);
    return NULL;
}
