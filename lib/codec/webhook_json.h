/* An app's "webhooks" from JSON, in soketi's words or ours. */
#ifndef PC_CODEC_WEBHOOK_JSON_H
#define PC_CODEC_WEBHOOK_JSON_H

#include <cjson/cJSON.h>

#include <pusherc/webhook.h>

#include "base/mem.h"

/* Room for a sentence about what is wrong: names no value. */
#define PC_WEBHOOK_JSON_WHY 160

struct pc_webhooks_read {
    pusherc_webhook
        *items; /* with their headers one block of cJSON's memory; strings are the JSON's */
    size_t count;
};

/* 0; PUSHERC_EINVAL with `why`; PUSHERC_ENOMEM. pc_webhooks_read_free() in any case. */
PC_CHECKED int pc_webhooks_read(struct pc_webhooks_read *out, const cJSON *array,
                                char why[PC_WEBHOOK_JSON_WHY]);
void pc_webhooks_read_free(struct pc_webhooks_read *read);

#endif
