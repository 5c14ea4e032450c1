/*
 * Changes of an organization: written in one transaction, and told to open pages once they are written.
 *
 * A handler begins a change, runs statements, says which events follow from them, and ends it. A client that hears
 * of the change can already read it, and no client hears of a change that was not written.
 */
#ifndef STATUS_PAGE_CHANGE_H
#define STATUS_PAGE_CHANGE_H

#include <stdbool.h>

#include "store.h"

struct site;

struct change {
    struct site *site;
    int64_t organization_id;
    int64_t user_id; /* 0: it goes by itself */
    bool failed;     /* set it, too: nothing more is run, and all of it will be undone */
    bool nothing;  /* set it if all is as wanted already: nothing is written, and no page is told */
    cJSON *events; /* {"name", "data"}, to be published */
};

void change_begin(struct change *change, struct site *site, int64_t organization_id,
                  int64_t user_id);
/* 0: no user, for a column that refers to one. */
struct store_value change_user(const struct change *change);
void change_run(struct change *change, const char *sql, const struct store_value *values,
                size_t count);
/* The id that the last INSERT has given. */
int64_t change_new_id(struct change *change);
/* Each row of a SELECT becomes an event on organization.{id}: its columns are the payload, with "v" and "revision"
 * added. "public" 0 means for members only, and only members get "by" (audience.c sees to both). */
void change_tell(struct change *change, const char *name, const char *sql,
                 const struct store_value *values, size_t count);
/* 0: written, or there was nothing to write; or -1: it could not be written. */
int change_end(struct change *change);

#endif
