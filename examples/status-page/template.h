/*
 * HTML templates: a small part of Mustache, filled from JSON.
 *
 *   {{name}}              the value, always escaped: there is no way to print it raw
 *   {{#name}}...{{/name}} for each element of an array; once for an object or any other value that is not
 *                         false, null, 0, "" or []; inside, names are looked up in the element first
 *   {{^name}}...{{/name}} if there was nothing to show
 *   {{>file}}             another template with the same values
 */
#ifndef STATUS_PAGE_TEMPLATE_H
#define STATUS_PAGE_TEMPLATE_H

#include <cjson/cJSON.h>

#include "text.h"

/* `name` is a file of pages/ without ".html". Failures show in out->failed. */
void template_render(struct text *out, const char *name, const cJSON *values);

#endif
