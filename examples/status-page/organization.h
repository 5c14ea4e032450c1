/*
 * An organization as its pages and the API show it: sql/organization.sql does the work.
 */
#ifndef STATUS_PAGE_ORGANIZATION_H
#define STATUS_PAGE_ORGANIZATION_H

#include <stdbool.h>

#include "common/accounts.h"
#include "common/change.h"

/* Ordered: each may do what the one before may. */
enum role {
    ROLE_NONE = 0, /* not a member */
    ROLE_MEMBER,   /* sees the dashboard */
    ROLE_ADMIN,    /* changes things */
    ROLE_OWNER
};

enum view {
    VIEW_PUBLIC = 0, /* no internal notes, no names of people, only public services */
    VIEW_MEMBER,
    VIEW_EDITOR /* and what can be chosen */
};

/* A row of organizations, to be deleted by the caller; NULL if there is none. */
cJSON *organization_by_slug(struct program *program, const char *slug);
enum role organization_role(struct program *program, const struct session *session,
                            int64_t organization_id);
/* A private one is for its members. */
bool organization_may_see(const cJSON *organization, enum role role);
/* Add overall, groups (of services), incidents, maintenances, past, activity and people. */
void organization_fill(struct program *program, cJSON *organization, enum view view);

/* Begin a change of it: its revision grows, and organization.{id} hears of it. Events: "public" 0 means for members only,
 * and only members get "by" (audience.c sees to both). `request` NULL: it goes by itself. */
void organization_begin(struct change *change, struct program *program, int64_t organization_id,
                        int64_t user_id, const pusherc_http_request *request);

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
