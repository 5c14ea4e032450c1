/*
 * An organization as its pages and the API show it: sql/organization.sql does the work.
 */
#ifndef STATUS_PAGE_ORGANIZATION_H
#define STATUS_PAGE_ORGANIZATION_H

#include <stdbool.h>

#include "session.h"

struct change;

enum view {
    VIEW_PUBLIC = 0, /* no internal notes, no names of people, only public services */
    VIEW_MEMBER,
    VIEW_EDITOR /* and what can be chosen */
};

/* A row of organizations, to be deleted by the caller; NULL if there is none. */
cJSON *organization_by_slug(struct site *site, const char *slug);
/* A private one is for its members. */
bool organization_may_see(const cJSON *organization, enum role role);
/* Add overall, groups (of services), incidents, maintenances, past, activity and people. */
void organization_fill(struct site *site, cJSON *organization, enum view view);

/* Write: field public, "1" or "0". */
const char *organization_show(struct change *change, int64_t organization_id,
                              const pusherc_http_request *request);

/* Write: fields email, of a user with an account, and role, "member" or "admin". */
const char *organization_add_member(struct change *change, int64_t organization_id,
                                    const pusherc_http_request *request);

/* Write: removes a member. Owners stay. */
const char *organization_remove_member(struct change *change, int64_t user_id,
                                       const pusherc_http_request *request);

#endif
