/* Receipts against a model: what is known, and that each is told once (receipt_model.h). */
#include <stddef.h>
#include <stdint.h>

#include "receipt_model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    receipt_model_run(data, size);
    return 0;
}
