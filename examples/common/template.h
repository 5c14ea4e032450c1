/*
 * HTML templates: a small part of Mustache, filled from JSON.
 *
 *   {{name}}              the value, always escaped: there is no way to print it raw
 *   {{#name}}...{{/name}} for each element of an array; once for an object or any other value that is not
 *                         false, null, 0, "" or []; inside, names are looked up in the element first
 *   {{^name}}...{{/name}} if there was nothing to show
 *   {{>file}}             another template with the same values
 */
#ifndef COMMON_TEMPLATE_H
#define COMMON_TEMPLATE_H

#include <cjson/cJSON.h>

/* `name` is a file of pages/ without ".html". 0 and a text to be freed, or -1 and NULL. */
int template_render(char **out, size_t *bytes, const char *name, const cJSON *values);

#endif
