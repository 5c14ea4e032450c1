/* Reads an app's "history" from JSON: an array of patterns with their bounds. */
#ifndef PC_CODEC_HISTORY_JSON_H
#define PC_CODEC_HISTORY_JSON_H

#include <cjson/cJSON.h>

#include <pusherc/history.h>

#include "base/mem.h"

/* Bytes of a sentence that says what is wrong. */
#define PC_HISTORY_JSON_WHY 160

struct pc_history_read {
    pusherc_history_pattern *items; /* owned, from cJSON's allocator; strings are the JSON's */
    size_t count;
};

/* 0; PUSHERC_EINVAL with `why`; PUSHERC_ENOMEM. The caller calls pc_history_read_free() in any case. */
PC_CHECKED int pc_history_json_read(struct pc_history_read *out, const cJSON *array,
                                    char why[PC_HISTORY_JSON_WHY]);
void pc_history_read_free(struct pc_history_read *read);

#endif
