/*
 * Notices: what incidents and maintenances have in common. A notice has a story, and services that it affects while it
 * lasts.
 */
#ifndef STATUS_PAGE_NOTICES_H
#define STATUS_PAGE_NOTICES_H

#include <stdbool.h>
#include <stdint.h>

#include <pusherc/pusherc.h>

#include "common/fields.h"

struct change;

extern const char notice_no_title[];
extern const char notice_no_message[];

bool notice_read_title(char out[FIELD_LINE_BYTES], const pusherc_http_request *request);

/* The story goes on; `event` tells it. */
void notice_add_update(struct change *change, int64_t notice_id, const char *event,
                       const char *state, const char *message, bool internal);
/* It was corrected, which is no part of its story. */
void notice_tell_correction(struct change *change, int64_t notice_id, const char *event);

/* It affects the services whose boxes, service_{id}, were ticked. A notice whose services are all hidden is hidden
 * itself, but not from visitors who have seen it already. True if something is different now. */
bool notice_set_services(struct change *change, int64_t notice_id,
                         const pusherc_http_request *request, bool is_new);

#endif
