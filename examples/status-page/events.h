/*
 * What the server tells open pages: one function for each event on organization.{id}.
 */
#ifndef STATUS_PAGE_EVENTS_H
#define STATUS_PAGE_EVENTS_H

#include <cjson/cJSON.h>

struct site;

/* `change`: organization_id, revision, service_id, old_status, new_status, message, at. */
void events_status_changed(struct site *site, const cJSON *change);

#endif
