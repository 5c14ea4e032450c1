/* Reads an app's "webhooks" from JSON, with the names of soketi or of this library. */
#ifndef PC_CODEC_WEBHOOK_JSON_H
#define PC_CODEC_WEBHOOK_JSON_H

#include <cjson/cJSON.h>

#include <pusherc/webhook.h>

#include "base/mem.h"

/* Bytes of a sentence that says what is wrong. It contains no value of a field. */
#define PC_WEBHOOK_JSON_WHY 160

struct pc_webhooks_read {
    /* owned: one block from cJSON's allocator, headers included; strings are borrowed from the JSON */
    pusherc_webhook *items;
    size_t count;
};

/* 0; PUSHERC_EINVAL with `why`; PUSHERC_ENOMEM. The caller calls pc_webhooks_read_free() in any case. */
PC_CHECKED int pc_webhooks_read(struct pc_webhooks_read *out, const cJSON *array,
                                char why[PC_WEBHOOK_JSON_WHY]);
void pc_webhooks_read_free(struct pc_webhooks_read *read);

#endif
