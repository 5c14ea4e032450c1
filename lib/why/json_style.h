/* Writes a JSON text anew as other languages write the same value. */
#ifndef PC_WHY_JSON_STYLE_H
#define PC_WHY_JSON_STYLE_H

#include "base/buf.h"

struct pc_json_style {
    bool spaced;  /* a space behind ',' and ':' */
    bool escaped; /* escapes for what is not ASCII */
    bool slashes; /* a backslash before every '/' */
};

/* `json` is valid. What did not fit shows in pc_buf_status(buf); `scratch` is overwritten. */
void pc_json_put_styled(struct pc_buf *buf, pusherc_slice json, struct pc_json_style style,
                        struct pc_buf *scratch);

#endif
