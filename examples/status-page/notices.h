/*
 * Notices: incidents and maintenances, their story, and the clock that starts and completes maintenances.
 *
 * They are told as incident.created, .updated and .resolved, and as maintenance.scheduled, .started and
 * .completed.
 */
#ifndef STATUS_PAGE_NOTICES_H
#define STATUS_PAGE_NOTICES_H

#include <stdint.h>

#include <pusherc/pusherc.h>

struct change;
struct site;

/* Writes; NULL, or why not. Fields: title, effect, message and any number of service_{id}. */
const char *incident_open(struct change *change, int64_t organization_id,
                          const pusherc_http_request *request);
/* Fields: state, message, and internal for a note that visitors do not get. */
const char *incident_update(struct change *change, int64_t notice_id,
                            const pusherc_http_request *request);
/* Fields: title, message, starts_at ("2026-08-01T12:30", UTC), minutes and any number of service_{id}. */
const char *maintenance_schedule(struct change *change, int64_t organization_id,
                                 const pusherc_http_request *request);
/* Field: state, "started" or "completed". */
const char *maintenance_move(struct change *change, int64_t notice_id,
                             const pusherc_http_request *request);

/* Start and complete what is due; called every second. */
void maintenance_tick(struct site *site);

#endif
