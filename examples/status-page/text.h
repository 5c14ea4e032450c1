/*
 * A growing string, and the checks that text from outside has to pass.
 * When memory runs out `failed` is set, the string keeps what it has, and further additions do nothing.
 */
#ifndef STATUS_PAGE_TEXT_H
#define STATUS_PAGE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

struct text {
    char *ptr; /* NUL-terminated once something was added; owned */
    size_t len;
    size_t cap;
    bool failed;
};

void text_add(struct text *text, const char *ptr, size_t len);
/* With & < > " ' replaced: right between tags and inside quoted attributes. */
void text_add_html(struct text *text, const char *string);
void text_free(struct text *text);

/* UTF-8 without control characters: what a person can have typed into one line. */
bool text_is_line(const char *string);

#endif
