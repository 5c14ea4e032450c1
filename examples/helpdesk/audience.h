/*
 * Who may have which channel, and what each of the two audiences, "customer" and "agent", sees of an event.
 */
#ifndef AUDIENCE_H
#define AUDIENCE_H

#include "desk.h"

int audience_add_rules(struct program *program, pusherc_errinfo *info);

/* Facts have changed: ask again about the channels of a user, of a ticket ("" or NULL: of every ticket), or both of them.
 * `request` is answered with 204, or a redirect to `location`, when all open pages have what they may have. */
void audience_changed(struct program *program, int64_t user_id, const char *uuid,
                      pusherc_http_request *request, const char *location);

#endif
