/*
 * Services: what they are for an organization's pages, and changing their status.
 */
#ifndef STATUS_PAGE_SERVICES_H
#define STATUS_PAGE_SERVICES_H

#include <stdint.h>

#include <pusherc/pusherc.h>

struct change;

/* Write: fields status and message. */
const char *service_change(struct change *change, int64_t service_id,
                           const pusherc_http_request *request);

/* While a notice lasts its services are in the state that is its effect; afterwards those that no other one
 * holds are operational. */
void services_follow(struct change *change, int64_t notice_id, const char *message);

#endif
