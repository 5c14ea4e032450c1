/*
 * Tickets: who may have one, and what is changed in it.
 */
#ifndef TICKETS_H
#define TICKETS_H

#include "desk.h"
#include "people.h"

struct ticket {
    int64_t id;
    char uuid[UUID_BYTES];
    bool as_staff; /* what agents see, internal notes included */
    char status[12];
    int64_t created_by_id;
};

/* The person's ticket of that uuid; false if there is none, or it is another's: nothing tells one from the other. */
bool ticket_find(struct program *program, const struct person *person, const char *uuid,
                 struct ticket *out);
/* The same, for a request that needs it; false: answered. */
bool ticket_needed(struct program *program, pusherc_http_request *request, enum person_need need,
                   const char *uuid, struct session *session, struct person *person,
                   struct ticket *out);
/* {"tickets": [...], "me": {...}} */
cJSON *tickets_describe(struct program *program, const struct person *person);
/* One of them. */
cJSON *ticket_describe(struct program *program, const struct person *person,
                       const struct ticket *ticket);
/* A reply has been written, or a note: the ticket is newer. */
void ticket_touch(struct change *change, int64_t ticket_id, bool internal);
/* Change the status, and tell. */
void ticket_set_status(struct change *change, const struct ticket *ticket, const char *status);
/* 204, or a redirect for a form; 500 if status is not 0. */
void ticket_done(pusherc_http_request *request, int status, const char *uuid);

/* Routes */
void tickets_list(struct program *program, pusherc_http_request *request,
                  const struct http_params *params);
void tickets_create(struct program *program, pusherc_http_request *request,
                    const struct http_params *params);
void tickets_change(struct program *program, pusherc_http_request *request,
                    const struct http_params *params);
void tickets_change_many(struct program *program, pusherc_http_request *request,
                         const struct http_params *params);

#endif
