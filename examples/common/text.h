/*
 * What people have written, for pages: links in it become links.
 */
#ifndef COMMON_TEXT_H
#define COMMON_TEXT_H

#include <cjson/cJSON.h>

/* Beside each member "message" and "note" in `values`, however deep, put "message_parts" and "note_parts": an array
 * of {"text"} and {"url"}. Only http: and https: are links. */
void text_find_links(cJSON *values);

#endif
