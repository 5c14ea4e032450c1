/* A JSON object without some of its members. */
#ifndef PC_CODEC_JSON_WITHOUT_H
#define PC_CODEC_JSON_WITHOUT_H

#include "codec/json.h"

#define PC_JSON_MAX_PATHS 64

/* A member: of the object, of an object in it, and so on. Where the way leads to an array, it goes on in each of its
 * items. */
struct pc_json_path {
    const pusherc_slice *names; /* not encoded */
    size_t count;               /* 1 or more */
};

/* Appends `object` without these members, at most PC_JSON_MAX_PATHS; what stays is copied as it is written. Names are
 * compared decoded, and each member of a name is left out if there are several. True: at least one was left out. */
bool pc_json_put_without(struct pc_buf *buf, struct pc_json object,
                         const struct pc_json_path *paths, size_t count);

#endif
