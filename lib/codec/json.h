/*
 * JSON on the wire. Reading is a cursor over the text itself: a value is its source bytes, so
 * numbers, key order and escapes are relayed exactly as they came (a tree would turn numbers into
 * doubles). pc_json_parse() validates the whole text before any value is read: RFC 8259, valid UTF-8,
 * at most PC_JSON_MAX_DEPTH levels. So a walk over a value cannot fail. No function here recurses, and
 * reading needs memory only for decoded strings. A step to the next member costs the bytes of the value it passes;
 * pc_json_get() passes the whole object.
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

/* Offset of the error in an invalid text, for messages: the start of the last value that was begun (the
 * error is in it or behind it), or the first byte behind a complete value. */
size_t pc_json_error_offset(pusherc_slice text);

/* Walks the members of an object or the items of an array. Zero-initialise apart from `value`. */
struct pc_json_iter {
    pusherc_slice rest;
    struct pc_json key; /* objects: a string */
    struct pc_json value;
};
struct pc_json_iter pc_json_iter_of(struct pc_json container); /* of anything else: empty */
bool pc_json_next(struct pc_json_iter *iter);

/* True if a member's key, decoded, is `name`. */
bool pc_json_name_is(struct pc_json key, pusherc_slice name);
/* The last member of that name, which is the one that JSON.parse keeps; NONE if it is missing or `object` is not an
 * object. Names with escapes are compared decoded. */
struct pc_json pc_json_get(struct pc_json object, pusherc_slice name);

/* Decodes a string. Without escapes *out points into the text; otherwise the string
 * is appended to `scratch`, whose max limits the decoded bytes. 0, PUSHERC_EINVAL (no string, or
 * an escape of a lone surrogate, which UTF-8 cannot carry), or scratch's status. NUL may be in it. */
PC_CHECKED int pc_json_string(struct pc_json value, struct pc_buf *scratch, pusherc_slice *out);

/* True only for an integer that fits and has neither fraction nor exponent. */
bool pc_json_i64(struct pc_json value, int64_t *out);

/* Appends the value without white space between tokens. */
void pc_json_put_compact(struct pc_buf *buf, struct pc_json value);
/* Appends text as a JSON string with quotes. Escapes only what must be escaped (", \, controls);
 * valid UTF-8 passes unchanged; text that is not valid UTF-8 is the caller's mistake. */
void pc_json_put_string(struct pc_buf *buf, pusherc_slice text);
/* The same without the quotes, for strings made of several parts. */
void pc_json_put_escaped(struct pc_buf *buf, pusherc_slice text);

#endif
