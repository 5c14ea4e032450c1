/*
 * Servers: whose they are, and what their owners do with them.
 */
#ifndef PROVISIONING_SERVERS_H
#define PROVISIONING_SERVERS_H

#include "common/accounts.h"
#include "common/change.h"
#include "common/http.h"

#define NAME_CHARACTERS 120

/* Begin a change of it, and count its revision. `request` NULL: it goes by itself. */
void server_begin(struct change *change, struct program *program, int64_t server_id,
                  int64_t user_id, const pusherc_http_request *request);

/* Order one; 0 if it could not be written. `token`: of its machine, of which the database has a hash only. */
int64_t server_order(struct program *program, const pusherc_http_request *request, int64_t user_id,
                     const char *name, bool simulated, char token[TOKEN_BYTES]);
void server_delete(struct program *program, const pusherc_http_request *request, int64_t server_id);

/* True if it is this user's. Else the request is answered: 401, 403 (an old page, for a write), 404. */
#define NO_SERVER (-1) /* the user only has to be signed in */
enum server_use {
    SERVER_READ,
    SERVER_WRITE
};
bool server_is_own(struct program *program, pusherc_http_request *request, enum server_use use,
                   int64_t server_id, struct session *session);
/* A write is done: what the page needs of it, or the way to `location` for a form. */
void server_done(pusherc_http_request *request, int status, const char *location);
/* One line of at most NAME_CHARACTERS. Else the request is answered. */
bool server_read_name(char out[512], pusherc_http_request *request);

/* Routes. POST /api/v1/servers answers {"id","token"}: it is shown once. */
void servers_list(struct program *, pusherc_http_request *, const struct http_params *);
void servers_get(struct program *, pusherc_http_request *, const struct http_params *);
void servers_order(struct program *, pusherc_http_request *, const struct http_params *);
void servers_retry(struct program *, pusherc_http_request *, const struct http_params *);
void servers_hand_over(struct program *, pusherc_http_request *, const struct http_params *);
void servers_remove(struct program *, pusherc_http_request *, const struct http_params *);

#endif
