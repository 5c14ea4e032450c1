/*
 * Organizations and accounts are made on the command line: who may run the program may do that.
 */
#ifndef STATUS_PAGE_SETUP_H
#define STATUS_PAGE_SETUP_H

#include <stdbool.h>

#include "options.h"

struct store;

/* True if the options ask for one of them: then the program does that and does not serve. */
bool setup_wanted(const struct options *options);
/* 0, or -1 after a line on standard error. */
int setup_run(struct store *store, const struct options *options);

#endif
