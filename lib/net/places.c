#include "net/places.h"

#include <assert.h>

#include <pusherc/types.h>

#define MAX_NETWORK 16 /* bytes of a key */

struct pc_address_places {
    struct pc_map_node node;
    uint32_t count;
    struct pc_list idle[PC_NOT_IDLE];
    char key[MAX_NETWORK];
};

void pc_places_init(struct pc_places *places, const struct pc_mem *mem, const uint64_t seed[2],
                    struct pc_worker_stats *stats)
{
    *places = (struct pc_places){
        .mem = mem, .stats = stats, .max = UINT32_MAX, .max_per_address = UINT32_MAX};
    for (size_t i = 0; i < PC_NOT_IDLE; i++)
        pc_list_init(&places->idle[i]);
    pc_map_init(&places->by_address, mem, seed);
}

void pc_places_free(struct pc_places *places)
{
    pc_map_free(&places->by_address);
}

bool pc_places_full(const struct pc_places *places)
{
    return places->count >= places->max;
}

static struct pc_address_places *find(const struct pc_places *places, pusherc_slice network)
{
    struct pc_map_node *node = network.len ? pc_map_find(&places->by_address, network) : NULL;
    return node ? PC_CONTAINER(node, struct pc_address_places, node) : NULL;
}

struct pc_address_places *pc_places_full_address(const struct pc_places *places,
                                                 pusherc_slice network)
{
    struct pc_address_places *address = find(places, network);
    return address && address->count >= places->max_per_address ? address : NULL;
}

/* NULL: out of memory */
static struct pc_address_places *add(struct pc_places *places, pusherc_slice network)
{
    struct pc_address_places *address = pc_alloc_zero(places->mem, sizeof *address);
    if (!address)
        return NULL;
    for (size_t i = 0; i < PC_NOT_IDLE; i++)
        pc_list_init(&address->idle[i]);
    memcpy(address->key, network.ptr, network.len);
    address->node.key = pc_slice(address->key, network.len);
    if (pc_map_insert(&places->by_address, &address->node)) {
        pc_free(places->mem, address);
        return NULL;
    }
    return address;
}

struct pc_place *pc_place_new(struct pc_places *places, pusherc_slice network, struct pc_conn *conn)
{
    assert(network.len <= MAX_NETWORK);
    struct pc_place *place = pc_alloc_zero(places->mem, sizeof *place);
    if (!place)
        return NULL;
    if (network.len && !(place->address = find(places, network)) &&
        !(place->address = add(places, network))) {
        pc_free(places->mem, place);
        return NULL;
    }
    pc_list_init(&place->of_all);
    pc_list_init(&place->of_address);
    place->places = places;
    place->conn = conn;
    places->count++;
    if (place->address)
        place->address->count++;
    pc_stat_add(&places->stats->unestablished, 1);
    return place;
}

void pc_place_free(struct pc_place *place)
{
    if (!place)
        return;
    struct pc_places *places = place->places;
    struct pc_address_places *address = place->address;
    pc_list_remove(&place->of_all);
    pc_list_remove(&place->of_address);
    places->count--;
    pc_stat_sub(&places->stats->unestablished, 1);
    if (address && --address->count == 0) {
        pc_map_remove(&places->by_address, &address->node);
        pc_free(places->mem, address);
    }
    pc_free(places->mem, place);
}

void pc_place_set(struct pc_place *place, enum pc_idle idle, uint64_t now_ms)
{
    place->since_ms = now_ms;
    pc_list_remove(&place->of_all);
    pc_list_remove(&place->of_address);
    if (idle == PC_NOT_IDLE)
        return;
    pc_list_push_back(&place->places->idle[idle], &place->of_all);
    if (place->address)
        pc_list_push_back(&place->address->idle[idle], &place->of_address);
}

/* The first of a list; NULL = none. */
static struct pc_place *first(const struct pc_places *places,
                              const struct pc_address_places *address, size_t idle)
{
    const struct pc_list *list = address ? &address->idle[idle] : &places->idle[idle];
    if (pc_list_empty(list))
        return NULL;
    return address ? PC_CONTAINER(list->next, struct pc_place, of_address)
                   : PC_CONTAINER(list->next, struct pc_place, of_all);
}

struct pc_place *pc_places_oldest(const struct pc_places *places,
                                  const struct pc_address_places *address, uint64_t now_ms)
{
    struct pc_place *young = NULL;
    for (size_t idle = 0; idle < PC_NOT_IDLE; idle++) {
        struct pc_place *place = first(places, address, idle);
        if (place && now_ms - place->since_ms >= PC_IDLE_MS)
            return place;
        if (place && (!young || place->since_ms < young->since_ms))
            young = place;
    }
    return young;
}
