/*
 * A list of byte strings that is being written: the answer of a step, or what it publishes. The strings lie one after
 * the other in one buffer. Failure is sticky, as in base/buf.h. What a caller has reserved cannot fail any more.
 */
#ifndef PC_CLUSTER_VALUES_H
#define PC_CLUSTER_VALUES_H

#include "base/buf.h"

#define PC_VALUES_BYTES 512 /* in these the small lists need no allocation */
#define PC_VALUES_COUNT 16

struct pc_values {
    struct pc_buf bytes;
    struct pc_buf
        slices; /* pusherc_slice of each value; their addresses are set by pc_values_list() */
    size_t count;
    char bytes_storage[PC_VALUES_BYTES];
    pusherc_slice slice_storage[PC_VALUES_COUNT];
};

void pc_values_init(struct pc_values *values, const struct pc_mem *mem);
void pc_values_free(struct pc_values *values);
/* Makes room for `count` more values with `size` bytes in all. 0 or PUSHERC_ENOMEM. */
PC_CHECKED int pc_values_reserve(struct pc_values *values, size_t count, size_t size);

void pc_values_put(struct pc_values *values, pusherc_slice value);
void pc_values_put_u64(struct pc_values *values, uint64_t number);
/* Ends a value whose bytes the caller has put into values->bytes; `begin` was the buffer's length before. */
void pc_values_end(struct pc_values *values, size_t begin);

/* 0 or PUSHERC_ENOMEM. */
int pc_values_status(const struct pc_values *values);
/* The values; valid until one is added. */
const pusherc_slice *pc_values_list(struct pc_values *values);

#endif
