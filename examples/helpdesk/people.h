/*
 * Who it is: roles and offices, and what admins change in them.
 */
#ifndef PEOPLE_H
#define PEOPLE_H

#include "desk.h"

struct person {
    int64_t id; /* 0: a visitor */
    bool staff; /* an agent or an admin */
    bool admin;
    char role[12];
};

/* Of a request; `session` is filled, too. */
void person_of(struct program *program, const pusherc_http_request *request,
               struct session *session, struct person *out);
/* The same for what needs a user, and a write's protection. False: the request is answered. */
enum person_need {
    PERSON_READS,
    PERSON_WRITES,
    PERSON_ADMINISTERS
};
bool person_needed(struct program *program, pusherc_http_request *request, enum person_need need,
                   struct session *session, struct person *out);
/* {"id", "name", "role", "private", "offices": [{"id", "name"}]} */
cJSON *person_describe(struct program *program, int64_t user_id);

/* Routes. An answer comes when open pages have what they may have. */
void people_list(struct program *program, pusherc_http_request *request,
                 const struct http_params *params);
void people_set_offices(struct program *program, pusherc_http_request *request,
                        const struct http_params *params);
void people_set_role(struct program *program, pusherc_http_request *request,
                     const struct http_params *params);
void people_set_privacy(struct program *program, pusherc_http_request *request,
                        const struct http_params *params);
/* Of the demo: the agent who asks is in the other office from now on. */
void people_move_me(struct program *program, pusherc_http_request *request,
                    const struct http_params *params);

#endif
