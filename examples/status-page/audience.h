/*
 * Who hears what. The channel organization.{id} is public by name, but guarded: visitors get the public view of
 * each event, members all of it, and a private organization has no visitors. Members also see each other on
 * presence-organization.{id}.
 */
#ifndef STATUS_PAGE_AUDIENCE_H
#define STATUS_PAGE_AUDIENCE_H

#include <stdint.h>

#include <pusherc/pusherc.h>

struct site;

/* Hooks: a connection is who its session cookie says; and refusals, for the trace. `user_data`: the site. */
void audience_identify(pusherc_identify_request *request, void *user_data);
void audience_denied(const pusherc_denial *denial, void *user_data);

/* Add the rule to a server that is not started. 0 or an error of the library. */
int audience_add_rule(struct site *site, pusherc_errinfo *info);

/* Members or visibility have changed: everybody who listens is asked for again. */
void audience_changed(struct site *site, int64_t organization_id);
/* A session has ended. */
void audience_left(struct site *site, const char *session_id);

#endif
