/*
 * Who may see which gateways, and what each audience sees of an event.
 *
 * An audience is a set of sites, and whether it sees addresses: one view of the library for each such pair that is in use
 * (at most PUSHERC_RULE_MAX_VIEWS at a time).
 */
#ifndef AUDIENCE_H
#define AUDIENCE_H

#include "monitor.h"

struct audience {
    int64_t user_id; /* 0: not signed in */
    bool admin;
    uint64_t sites; /* a bit for each */
};

void audience_of_user(struct program *program, int64_t user_id, struct audience *out);
/* Of a request; `session` is filled, too. */
void audience_of(struct program *program, const pusherc_http_request *request,
                 struct session *session, struct audience *out);
static inline bool audience_sees(const struct audience *audience, const struct gateway *gateway)
{
    return gateway && audience->sites >> gateway->site & 1;
}

int audience_add_rules(struct program *program, pusherc_errinfo *info);

/* The gateway that the path names, if they may see it; else NULL, and the request is answered: 404. */
const struct gateway *audience_gateway(struct program *program, pusherc_http_request *request,
                                       const struct http_params *params,
                                       const struct audience *audience);

#endif
