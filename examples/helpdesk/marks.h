/*
 * Who has got and read which replies. The server says when an event was written to a connection, and pages say by a client
 * event what has been scrolled into view (docs/receipts.md); what a page has got by asking it says with a request.
 */
#ifndef MARKS_H
#define MARKS_H

#include "desk.h"
#include "tickets.h"

struct marks;

void marks_watch(pusherc_hooks *hooks);
/* The loop runs, and ends. */
void marks_begin(struct program *program);
void marks_end(struct program *program);

/* Up to where others have got and read the ticket. */
cJSON *marks_describe(struct program *program, const struct ticket *ticket);

/* Route: {"up_to": the number of a reply}; `extra` is "delivered" or "read". */
void marks_post(struct program *program, pusherc_http_request *request,
                const struct http_params *params);

#endif
