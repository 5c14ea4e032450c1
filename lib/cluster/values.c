#include "cluster/values.h"

#include <pusherc/error.h>

void pc_values_init(struct pc_values *values, const struct pc_mem *mem)
{
    values->count = 0;
    pc_buf_init_in(&values->bytes, mem, SIZE_MAX, values->bytes_storage,
                   sizeof values->bytes_storage);
    pc_buf_init_in(&values->slices, mem, SIZE_MAX, (char *)values->slice_storage,
                   sizeof values->slice_storage);
}

void pc_values_free(struct pc_values *values)
{
    pc_buf_free(&values->bytes);
    pc_buf_free(&values->slices);
}

int pc_values_reserve(struct pc_values *values, size_t count, size_t size)
{
    bool ok = pc_buf_reserve(&values->slices, count * sizeof(pusherc_slice)) &&
              pc_buf_reserve(&values->bytes, size);
    return ok ? 0 : PUSHERC_ENOMEM;
}

void pc_values_end(struct pc_values *values, size_t begin)
{
    pusherc_slice value = {NULL, values->bytes.len - begin};
    pc_buf_put(&values->slices, pc_slice((const char *)&value, sizeof value));
    values->count++;
}

void pc_values_put(struct pc_values *values, pusherc_slice value)
{
    size_t begin = values->bytes.len;
    pc_buf_put(&values->bytes, value);
    pc_values_end(values, begin);
}

void pc_values_put_u64(struct pc_values *values, uint64_t number)
{
    size_t begin = values->bytes.len;
    pc_buf_put_u64(&values->bytes, number);
    pc_values_end(values, begin);
}

int pc_values_status(const struct pc_values *values)
{
    return pc_buf_status(&values->bytes) || pc_buf_status(&values->slices) ? PUSHERC_ENOMEM : 0;
}

const pusherc_slice *pc_values_list(struct pc_values *values)
{
    pusherc_slice *slices = (pusherc_slice *)(void *)values->slices.ptr;
    const char *at = values->bytes.ptr;
    for (size_t i = 0; i < values->count; i++) {
        slices[i].ptr = at;
        at += slices[i].len;
    }
    return slices;
}
