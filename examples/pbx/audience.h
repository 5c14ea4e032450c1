/*
 * Who hears what: rules for the names of channels, who a client is, and why it was refused.
 */
#ifndef PBX_AUDIENCE_H
#define PBX_AUDIENCE_H

#include "pbx.h"

struct person {
    int64_t user_id; /* 0: a visitor */
    int64_t organization_id;
    char name[64];
    bool admin, operator, active;
};

/* Of a request; `session` is filled, too. */
void person_of(struct program *program, const pusherc_http_request *request,
               struct session *session, struct person *out);
/* The same; false, and the request is answered, if it is no active person of an organization. */
bool person_is_in(struct program *program, pusherc_http_request *request, struct session *session,
                  struct person *out);

int audience_add_rules(struct program *program, pusherc_errinfo *info);
/* Hooks. Who it is, a token says: in the header field of a request, or by the sign-in of a page. */
void audience_identify(pusherc_identify_request *request, void *user_data);
void audience_denied(const pusherc_denial *denial, void *user_data);

/* All sessions of a user: to be looked up before those that end do. */
cJSON *audience_sessions(struct program *program, int64_t user_id);
/* Ask again about them, for facts have changed; they are deleted. `done` is called once, now or later: nothing that is
 * published afterwards reaches a client that has lost its right, on any server. NULL = not used. */
void audience_ask_again(struct program *program, cJSON *sessions, void (*done)(void *user_data),
                        void *user_data);

#endif
