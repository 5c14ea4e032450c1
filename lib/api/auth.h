/*
 * The built-in auth endpoints for stock Echo and pusher-js (protocol section 6): reading requests, and writing the
 * exact bodies that clients accept. net/auth_conn.c asks for the decision.
 */
#ifndef PC_API_AUTH_H
#define PC_API_AUTH_H

#include "api/api.h"
#include "auth/rules.h"

enum pc_auth_endpoint {
    PC_AUTH_NONE = 0, /* the path is not an auth endpoint's */
    PC_AUTH_CHANNEL,  /* authorizes a socket for a channel */
    PC_AUTH_USER      /* authenticates a socket's user */
};

enum pc_auth_endpoint pc_auth_endpoint_of(const struct pc_engine *engine, pusherc_slice path);

/* What the client asks for. The caller owns it while the request is under way. */
struct pc_auth_query {
    pusherc_slice socket_id;  /* as sent, well-formed */
    pusherc_socket_id socket; /* zero: the text is well-formed, but not an id of this server */
    pusherc_slice channel;    /* PC_AUTH_CHANNEL: a valid name */
    struct pc_channel_class class;
    pusherc_slice app_key;  /* parameter "app_key"; len 0 = not given */
    pusherc_slice callback; /* JSONP: the function to call; len 0 = a plain answer */
    struct pc_buf text;     /* the slices above point here or into the message */
};
/* Reads a form, JSON or query string. False: the reply says what is wrong. In any case the caller calls
 * pc_auth_query_free(). */
bool pc_auth_query_read(const struct pc_http_message *message, enum pc_auth_endpoint endpoint,
                        const struct pc_mem *mem, struct pc_auth_query *out,
                        struct pc_api_reply *reply);
void pc_auth_query_free(struct pc_auth_query *query);

/* Make signed answers. If memory runs out, the reply is a 500. */
void pc_auth_put_channel(struct pc_api_reply *reply, const struct pc_app *app,
                         const struct pc_auth_query *query, pusherc_slice user_id,
                         pusherc_slice user_info);
void pc_auth_put_user(struct pc_api_reply *reply, const struct pc_app *app,
                      const struct pc_auth_query *query, pusherc_slice user_id,
                      pusherc_slice user_info);
/* Turns a signed answer into callback({...}); for a script element. Refusals stay as they are: a script with another
 * status than 200 does not run, and the protocol has no form to tell it of a refusal. */
void pc_auth_as_script(struct pc_api_reply *reply, pusherc_slice callback);
/* True for names as client libraries make them: a.b_1, a['7'], a["7"], a[7]. Any other text could be code. */
bool pc_auth_callback_valid(pusherc_slice callback);
/* Answers a browser's CORS preflight request. */
void pc_auth_put_preflight(struct pc_api_reply *reply);
/* Makes a refusal in Laravel's form, {"message": text}. */
void pc_auth_put_refusal(struct pc_api_reply *reply, int status, pusherc_slice text);

/* Adds fields that forbid browsers to guess another content type, and caches to keep the answer. */
void pc_auth_guard(struct pc_api_reply *reply);

#endif
