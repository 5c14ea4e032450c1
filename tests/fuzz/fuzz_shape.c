/* Shaping against a model: what subscribers get, when, and what is counted (shape_model.h). */
#include <stddef.h>
#include <stdint.h>

#include "shape_model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    shape_model_run(data, size);
    return 0;
}
