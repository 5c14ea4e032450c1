/* The value at a place in a JSON text that a setting names: the member FIELD of an object, or /A/JSON/POINTER (RFC 6901). */
#ifndef PC_CODEC_JSON_AT_H
#define PC_CODEC_JSON_AT_H

#include "codec/json.h"

#define PC_JSON_PLACE_MAX 512 /* bytes of such a place */

/* NONE: the text is no JSON, or has no value there. `place` has 1..PC_JSON_PLACE_MAX bytes. */
struct pc_json pc_json_at(pusherc_slice text, pusherc_slice place);
/* The value there as bytes that are equal for equal values, so that they can tell texts apart; "" for a place of len 0.
 * *key points into `data` or `scratch`, which is empty. False: there is none, or no memory. */
bool pc_json_key(pusherc_slice data, pusherc_slice place, struct pc_buf *scratch,
                 pusherc_slice *key);

#endif
