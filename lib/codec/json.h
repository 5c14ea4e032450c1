/*
 * JSON on the wire. Reading is a cursor over the text itself: a value is its source bytes, so
 * numbers, key order and escapes are relayed exactly as they came (a tree would turn numbers into
 * doubles). The whole text is validated once, before anything is looked at: RFC 8259, valid UTF-8,
 * at most PC_JSON_MAX_DEPTH levels, so a walk over a valid value cannot fail. Nothing recurses on
 * input depth.
 */
#ifndef PC_CODEC_JSON_H
#define PC_CODEC_JSON_H

#include "base/buf.h"

#define PC_JSON_MAX_DEPTH 64 /* of objects and arrays in each other; real frames use 4 */

enum pc_json_type {
    PC_JSON_NONE = 0, /* absent, or not valid JSON */
    PC_JSON_NULL,
    PC_JSON_BOOL,
    PC_JSON_NUMBER,
    PC_JSON_STRING,
    PC_JSON_OBJECT,
    PC_JSON_ARRAY
};

/* A value inside a validated text; raw has no white space around it. Zero = absent. */
struct pc_json {
    enum pc_json_type type;
    pusherc_slice raw; /* strings with their quotes */
};

/* Without the byte order mark that some editors and programs put before a text; it is no part of the JSON. */
static inline pusherc_slice pc_json_without_mark(pusherc_slice text)
{
    return pc_slice_starts(text, PC_S("\xef\xbb\xbf")) ? pc_slice_skip(text, 3) : text;
}

/* Validates the whole of `text` (white space around it allowed). NONE if it is no valid value. */
struct pc_json pc_json_parse(pusherc_slice text);

/* Where a text that is not valid goes wrong, for messages: the start of the value or item at which
 * or behind which it does. */
size_t pc_json_error_offset(pusherc_slice text);

/* Walks the members of an object or the items of an array. Zero-initialise apart from `value`. */
struct pc_json_iter {
    pusherc_slice rest;
    struct pc_json key; /* objects: a string */
    struct pc_json value;
};
struct pc_json_iter pc_json_iter_of(struct pc_json container); /* of anything else: empty */
bool pc_json_next(struct pc_json_iter *iter);

/* The last member of that name (as JSON.parse takes it), NONE if it is missing or `object` is not one. Names
 * with escapes are compared decoded. */
struct pc_json pc_json_get(struct pc_json object, pusherc_slice name);

/* The string's bytes, decoded. Without escapes it points into the text and costs nothing; otherwise
 * it is appended to `scratch`, whose max limits the decoded bytes. 0, PUSHERC_EINVAL (no string, or
 * an escape of a lone surrogate, which UTF-8 cannot carry), or scratch's status. NUL may be in it. */
PC_CHECKED int pc_json_string(struct pc_json value, struct pc_buf *scratch, pusherc_slice *out);

/* true only for an integer without fraction or exponent that fits. */
bool pc_json_i64(struct pc_json value, int64_t *out);

/* Appends the value without white space between tokens. */
void pc_json_put_compact(struct pc_buf *buf, struct pc_json value);
/* Appends text as a JSON string with quotes. Escapes only what must be escaped (", \, controls);
 * valid UTF-8 passes unchanged; text that is not valid UTF-8 is the caller's mistake. */
void pc_json_put_string(struct pc_buf *buf, pusherc_slice text);
/* The same without the quotes, for strings made of several parts. */
void pc_json_put_escaped(struct pc_buf *buf, pusherc_slice text);

#endif
