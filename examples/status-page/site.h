/*
 * What the status page has beside the program: program->own.
 */
#ifndef STATUS_PAGE_SITE_H
#define STATUS_PAGE_SITE_H

#include <stddef.h>

#include "setup.h"

/* The public page that was drawn last. */
struct drawn_page {
    char etag[160];
    char *page;
    size_t bytes;
};

struct site {
    struct setup setup;
    struct drawn_page drawn;
};

#endif
