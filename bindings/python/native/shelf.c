/*
 * Keys of Python objects that hang on connections. The library frees what a connection holds on a worker's thread, where
 * the interpreter must not be called. So the key is put on a list, and Python lets go of the object when it looks at the
 * list next. The shelf lives until its owner and the last connection have let go of it.
 */
#include <stdatomic.h>
#include <stdlib.h>

#include "native.h"

struct item {
    shelf *of;
    struct item *next;
    uint64_t key;
};

struct shelf {
    _Atomic(struct item *) dropped;
    _Atomic size_t holders;
};

shelf *shelf_new(void)
{
    shelf *s = calloc(1, sizeof *s);
    if (s)
        s->holders = 1;
    return s;
}

static void let_go(shelf *s)
{
    if (atomic_fetch_sub(&s->holders, 1) != 1)
        return;
    for (struct item *item = s->dropped; item;) {
        struct item *next = item->next;
        free(item);
        item = next;
    }
    free(s);
}

void shelf_free(shelf *s)
{
    let_go(s);
}

void *shelf_put(shelf *s, uint64_t key)
{
    struct item *item = calloc(1, sizeof *item);
    if (!item)
        return NULL;
    item->of = s;
    item->key = key;
    atomic_fetch_add(&s->holders, 1);
    return item;
}

void shelf_drop(void *dropped)
{
    struct item *item = dropped;
    if (!item)
        return;
    shelf *s = item->of;
    item->next = atomic_load(&s->dropped);
    while (!atomic_compare_exchange_weak(&s->dropped, &item->next, item))
        continue;
    let_go(s);
}

size_t shelf_sweep(shelf *s, uint64_t *keys, size_t capacity)
{
    size_t count = 0;
    if (!atomic_load(&s->dropped))
        return 0;
    struct item *item = atomic_exchange(&s->dropped, NULL);
    while (item && count < capacity) {
        struct item *next = item->next;
        keys[count++] = item->key;
        free(item);
        item = next;
    }
    while (item) { /* what did not fit comes with the next sweep */
        struct item *next = item->next;
        item->next = atomic_load(&s->dropped);
        while (!atomic_compare_exchange_weak(&s->dropped, &item->next, item))
            continue;
        item = next;
    }
    return count;
}

uint64_t shelf_key(const void *item)
{
    return item ? ((const struct item *)item)->key : 0;
}
