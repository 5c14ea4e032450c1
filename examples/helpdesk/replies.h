/*
 * What is written in a ticket: replies, internal notes, files.
 */
#ifndef REPLIES_H
#define REPLIES_H

#include "desk.h"
#include "people.h"
#include "tickets.h"

/* As a request has it. Files are slices of the request's body: use it before the request is answered. */
struct reply;
/* NULL: the request is answered. */
struct reply *reply_read(struct program *program, pusherc_http_request *request,
                         const struct person *person, bool may_be_internal);
void reply_free(struct reply *reply);
/* Insert it, and tell. Its id. */
int64_t reply_write(struct change *change, const struct ticket *ticket, const struct person *person,
                    const struct reply *reply);
/* The replies after `since` as the person sees them, at most 200. */
cJSON *replies_describe(struct program *program, const struct ticket *ticket, int64_t since);

/* Routes */
void replies_get(struct program *program, pusherc_http_request *request,
                 const struct http_params *params);
void replies_add(struct program *program, pusherc_http_request *request,
                 const struct http_params *params);
/* /tickets/{uuid}/files/{file}: the number of the reply, "-", the place of the file in it. */
void replies_file(struct program *program, pusherc_http_request *request,
                  const struct http_params *params);

#endif
