/*
 * Fields of what was sent: of a form, with files (multipart.h) or without, or of a JSON object.
 */
#ifndef COMMON_FIELDS_H
#define COMMON_FIELDS_H

#include <stdbool.h>
#include <stddef.h>

#include <pusherc/pusherc.h>

/* Whatever it is, as text: a number, true ("1"), a string. "" and false if it does not fit or has a NUL inside. */
bool field_copy(char *out, size_t out_bytes, const pusherc_http_request *request, const char *name);
/* One line of UTF-8, "" if it is missing; false if it is more than that. */
#define FIELD_LINE_BYTES 512
bool field_line(char *out, size_t out_bytes, const pusherc_http_request *request, const char *name);
/* The same for paragraphs: lines end with "\n", and there is no white space around it. */
bool field_text(char *out, size_t out_bytes, const pusherc_http_request *request, const char *name);
/* UTF-8 without control characters. */
bool field_is_line(const char *text);
/* True if it is there, and neither empty nor false: a box that was ticked. */
bool field_ticked(const pusherc_http_request *request, const char *name);
/* How many characters, as a form counts them; SIZE_MAX if it is no UTF-8. */
size_t field_characters(const char *text);

#endif
