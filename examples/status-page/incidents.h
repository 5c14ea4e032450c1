/*
 * Incidents, told as incident.created, .updated and .resolved.
 */
#ifndef STATUS_PAGE_INCIDENTS_H
#define STATUS_PAGE_INCIDENTS_H

#include <stdint.h>

#include <pusherc/pusherc.h>

struct change;

/* Writes; NULL, or why not. Fields: title, effect, message and any number of service_{id}. */
const char *incident_open(struct change *change, int64_t organization_id,
                          const pusherc_http_request *request);
/* Fields: title, effect; and with "services" the boxes service_{id} as they shall be. */
const char *incident_edit(struct change *change, int64_t notice_id,
                          const pusherc_http_request *request);
/* Fields: state, message, and internal for a note that visitors do not get. */
const char *incident_update(struct change *change, int64_t notice_id,
                            const pusherc_http_request *request);

#endif
