/* Writes a JSON text again, in the style in which the library of another language writes the same value. */
#ifndef PC_WHY_JSON_STYLE_H
#define PC_WHY_JSON_STYLE_H

#include "base/buf.h"

struct pc_json_style {
    bool spaced;  /* a space after ',' and ':' */
    bool escaped; /* characters that are not ASCII are written as \uXXXX */
    bool slashes; /* a backslash before '/' */
};

/* Appends `json`, which is valid, in this style. Errors stay in pc_buf_status(buf). Overwrites `scratch`. */
void pc_json_put_styled(struct pc_buf *buf, pusherc_slice json, struct pc_json_style style,
                        struct pc_buf *scratch);

#endif
