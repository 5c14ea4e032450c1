/*
 * Who hears what. The channel organization.{id} is public by name, but guarded: visitors get the public view of
 * each event, members all of it, and a private organization has no visitors. Members also see each other on
 * presence-organization.{id}.
 */
#ifndef STATUS_PAGE_AUDIENCE_H
#define STATUS_PAGE_AUDIENCE_H

#include <stdint.h>

#include <pusherc/pusherc.h>

struct program;

/* Add the rule to a server that is not started. 0 or an error of the library. */
int audience_add_rule(struct program *program, pusherc_errinfo *info);

/* Members or visibility have changed: everybody who listens is asked for again. */
void audience_changed(struct program *program, int64_t organization_id);

#endif
