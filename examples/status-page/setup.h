/*
 * Organizations and accounts are made on the command line: who may run the program may do that.
 */
#ifndef STATUS_PAGE_SETUP_H
#define STATUS_PAGE_SETUP_H

#include <stdbool.h>

struct program;

/* Options; NULL = not given. */
struct setup {
    const char *add_organization;
    const char *add_user;
    const char *name;
    const char *organization;
    const char *role;
};

/* For program_spec. */
extern const char setup_usage[];
bool setup_wanted(struct program *program);
int setup_run(struct program *program);

#endif
