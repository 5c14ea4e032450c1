/* The queue of a broadcaster against a model; see broadcast_model.h. */
#include "broadcast_model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bm_run(data, size, 0);
    bm_run(data, size, 7);
    return 0;
}
