/*
 * Services and their status: what pages and API show of them, and changing it.
 */
#ifndef STATUS_PAGE_SERVICES_H
#define STATUS_PAGE_SERVICES_H

#include <stdbool.h>
#include <stdint.h>

#include <cjson/cJSON.h>

struct site;

/* Ordered: the worst of an organization's services is the state of the whole. */
enum service_status {
    STATUS_OPERATIONAL = 0,
    STATUS_MAINTENANCE,
    STATUS_DEGRADED,
    STATUS_PARTIAL_OUTAGE,
    STATUS_MAJOR_OUTAGE
};

#define SERVICE_MESSAGE_MAX 280 /* bytes */

/* "partial_outage", as in the database and in events; "Partial outage", for people. */
const char *service_status_name(enum service_status status);
const char *service_label(enum service_status status);
/* STATUS_OPERATIONAL for a name that is none, see service_is_status(). */
enum service_status service_status(const char *name);
bool service_is_status(const char *name);

/* A row of organizations, to be deleted by the caller; NULL if there is none. */
cJSON *organization_by_slug(struct site *site, const char *slug);

/* For members: who did it, and what can be chosen. */
enum service_view {
    VIEW_PUBLIC,
    VIEW_MEMBER,
    VIEW_EDITOR
};

/* Add "overall" {status, text}, "groups" (of "services") and "activity" to the organization. */
void services_add(struct site *site, cJSON *organization, enum service_view view);

/* The organization of a service, 0 if there is no such service. */
int64_t service_organization(struct site *site, int64_t service_id);

/* Write it down and publish service.status.changed. 0, or -1: nothing was changed. */
int service_change(struct site *site, int64_t service_id, int64_t user_id,
                   enum service_status status, const char *message);

#endif
