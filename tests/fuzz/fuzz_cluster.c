/*
 * Nodes that share channels, with every fault that the hub knows; the input chooses what happens next. cluster/twin.h
 * says what is checked.
 */
#include "cluster/twin.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    const uint8_t *data;
    size_t size;
};

static uint32_t next(void *ctx, uint32_t below)
{
    struct input *in = ctx;
    if (in->size == 0)
        return 0;
    in->size--;
    return *in->data++ % below;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct twin t;
    struct input in = {data, size};
    if (size < 2)
        return 0;
    bool faults = next(&in, 4) > 0;
    twin_open(&t, 2 + next(&in, 2), data[1] % 3 ? 100 : 3);
    while (in.size > 0)
        twin_step(&t, faults, next, &in);
    twin_finish(&t);
    twin_close(&t);
    return 0;
}
