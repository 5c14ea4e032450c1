/* Ephemeral states against a model: what there is, what is over, and who is told (ephemeral_model.h). */
#include <stddef.h>
#include <stdint.h>

#include "ephemeral_model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ephemeral_model_run(data, size);
    return 0;
}
