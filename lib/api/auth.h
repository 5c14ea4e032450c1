/*
 * The built-in auth endpoints for stock Echo and pusher-js (protocol section 6): what a request asks for, and the
 * exact bodies that clients accept. Reading and writing only: net/auth_conn.c asks
 * for the decision.
 */
#ifndef PC_API_AUTH_H
#define PC_API_AUTH_H

#include "api/api.h"
#include "auth/rules.h"

enum pc_auth_endpoint {
    PC_AUTH_NONE = 0, /* the path is neither */
    PC_AUTH_CHANNEL,  /* may this socket have this channel? */
    PC_AUTH_USER      /* who is this? */
};

enum pc_auth_endpoint pc_auth_endpoint_of(const struct pc_engine *engine, pusherc_slice path);

/* What the client asks for. Owned; lives as long as the request is under way. */
struct pc_auth_query {
    pusherc_slice socket_id;  /* as sent, well-formed */
    pusherc_socket_id socket; /* zero: well-formed, but not an id of this server */
    pusherc_slice channel;    /* PC_AUTH_CHANNEL: a valid name */
    struct pc_channel_class class;
    pusherc_slice app_key;  /* parameter "app_key"; len 0 = not said */
    pusherc_slice callback; /* JSONP: the function to call; len 0 = a plain answer */
    struct pc_buf text;     /* they point here or into the message */
};
/* Form, JSON or query string. False: the reply says what is wrong. pc_auth_query_free() in any case. */
bool pc_auth_query_read(const struct pc_http_message *message, enum pc_auth_endpoint endpoint,
                        const struct pc_mem *mem, struct pc_auth_query *out,
                        struct pc_api_reply *reply);
void pc_auth_query_free(struct pc_auth_query *query);

/* Signed answers. Without memory the reply is a 500. */
void pc_auth_put_channel(struct pc_api_reply *reply, const struct pc_app *app,
                         const struct pc_auth_query *query, pusherc_slice user_id,
                         pusherc_slice user_info);
void pc_auth_put_user(struct pc_api_reply *reply, const struct pc_app *app,
                      const struct pc_auth_query *query, pusherc_slice user_id,
                      pusherc_slice user_info);
/* callback({...}); for a script element. Only a signed answer: there is no way to tell a script of a refusal, and any
 * other status keeps it from running. */
void pc_auth_as_script(struct pc_api_reply *reply, pusherc_slice callback);
/* A name of functions as client libraries make them up: a.b_1, a['7'], a["7"], a[7]. Everything else could be code. */
bool pc_auth_callback_valid(pusherc_slice callback);
/* The answer to a browser that asks first. */
void pc_auth_put_preflight(struct pc_api_reply *reply);
/* {"message": text}, as Laravel says no. */
void pc_auth_put_refusal(struct pc_api_reply *reply, int status, pusherc_slice text);

/* Browsers must not guess another type for the answer, and caches must not keep it. */
void pc_auth_guard(struct pc_api_reply *reply);
/* Fields that let a page of an allowed origin use the endpoint with its cookies. `origin` must state as long as
 * the reply. */
void pc_auth_allow_origin(struct pc_api_reply *reply, pusherc_slice origin);

#endif
