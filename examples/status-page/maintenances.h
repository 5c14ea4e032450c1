/*
 * Maintenances, told as maintenance.scheduled, .updated, .started, .completed and .cancelled, and the clock that starts
 * and completes them.
 */
#ifndef STATUS_PAGE_MAINTENANCES_H
#define STATUS_PAGE_MAINTENANCES_H

#include <stdint.h>

#include <pusherc/pusherc.h>

struct change;
struct program;

/* Writes; NULL, or why not. Fields: title, message, starts_at ("2026-08-01T12:30", UTC), minutes and any number of
 * service_{id}. */
const char *maintenance_schedule(struct change *change, int64_t organization_id,
                                 const pusherc_http_request *request);
/* Fields: title, starts_at, minutes; and with "services" the boxes service_{id} as they shall be. */
const char *maintenance_edit(struct change *change, int64_t notice_id,
                             const pusherc_http_request *request);
/* Fields: message, and internal for a note that visitors do not get. */
const char *maintenance_update(struct change *change, int64_t notice_id,
                               const pusherc_http_request *request);
/* Field: state, "started", "completed" or "cancelled". */
const char *maintenance_move(struct change *change, int64_t notice_id,
                             const pusherc_http_request *request);

/* Start and complete what is due; called every second. */
void maintenance_tick(struct program *program);

#endif
