/*
 * Services: what they are for an organization's pages, and changing their status.
 */
#ifndef STATUS_PAGE_SERVICES_H
#define STATUS_PAGE_SERVICES_H

#include <stdbool.h>
#include <stdint.h>

#include <pusherc/pusherc.h>

struct change;

/* What people may write, in characters; the forms and the tables (sql/schema.sql) have the same limits. */
#define TITLE_MAX     120
#define MESSAGE_MAX   2000
#define MESSAGE_BYTES (4 * MESSAGE_MAX + 1)

/* "message", or "description" as others call it; false if it is no text or too long. */
bool message_read(char out[MESSAGE_BYTES], const pusherc_http_request *request);

/* Write: fields group, name, description, and hidden if only members see it. */
const char *service_add(struct change *change, int64_t organization_id,
                        const pusherc_http_request *request);
/* Write: fields status and message. */
const char *service_change(struct change *change, int64_t service_id,
                           const pusherc_http_request *request);

/* While a notice lasts its services are in the state that is its effect. Afterwards, and when it is no longer about
 * them, those that no other one holds are operational. */
void services_follow(struct change *change, int64_t notice_id, const char *message);

#endif
