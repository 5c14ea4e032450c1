/* Queues of webhooks against a model: who is told what, in which order (webhook_model.h). */
#include <stddef.h>
#include <stdint.h>

#include "webhook_model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    wm_run(data, size);
    return 0;
}
