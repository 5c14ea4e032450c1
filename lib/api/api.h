/*
 * The HTTP API (protocol section 5) and the health pages: a whole request in, a whole answer out, at once or, where
 * something else has to answer first, later. No sockets. The worker's thread.
 */
#ifndef PC_API_API_H
#define PC_API_API_H

#include "codec/http.h"
#include "fanout/engine.h"
#include "fanout/pending.h"

#define PC_API_MAX_FIELDS 8

struct pc_api_request {
    struct pc_engine *engine;
    struct pc_worker *worker; /* the one that serves the connection */
    const struct pc_http_message *message;
    uint64_t unix_time_s;
    bool host_has_pages; /* there is an on_http hook: "/" and unknown paths are the host's */
    struct pc_await
        *await; /* to wait with for an answer from elsewhere; NULL = all is answered at once */
};

/* Borrowed strings are static or state in here: a reply is not to be copied. */
struct pc_api_reply {
    int status;
    const char *content_type; /* NULL = none */
    struct pc_pair fields[PC_API_MAX_FIELDS];
    size_t field_count;
    struct pc_buf body; /* starts in `storage`: most answers allocate nothing */
    size_t text_len;
    char text[640]; /* for field values made up on the way, and for the app's id */
    char storage[512];
};

enum pc_api_result {
    PC_API_REPLY = 0, /* the reply is complete */
    /* no path of the API: the host's page; the reply is the 404 if there is none */
    PC_API_NOT_OURS,
    PC_API_PENDING /* waits for the answer to request.await: then call pc_api_resume() */
};

void pc_api_reply_init(struct pc_api_reply *reply, const struct pc_mem *mem);
void pc_api_reply_free(struct pc_api_reply *reply);

struct pc_api_call;

/* Never fails: when memory runs out the reply is a 500 without body. HEAD is answered as GET: pc_http_put_reply()
 * leaves the body out. With PC_API_PENDING the reply is not begun, and *waiting is what to go on with; it
 * borrows the message until it is freed. Without request.await `waiting` may be NULL. */
enum pc_api_result pc_api_handle(const struct pc_api_request *request, struct pc_api_reply *reply,
                                 struct pc_api_call **waiting);
/* Goes on with the answer: REPLY, or PENDING again with another *waiting. Frees the one before. `reply` is a new one. */
enum pc_api_result pc_api_resume(struct pc_api_call **waiting, struct pc_pending *answer,
                                 struct pc_api_reply *reply);
/* In place of that, when the client has left or is not to wait longer. */
void pc_api_call_free(struct pc_api_call *waiting);

/* The same for a listener that has the pages for operators and nothing else. */
void pc_api_operations(const struct pc_api_request *request, struct pc_api_reply *reply);

/* For answers that do not come from pc_api_handle(): plain text with the CORS fields. Replaces what
 * the reply held. */
void pc_api_plain(struct pc_api_reply *reply, int status, const char *text);

/* An error's line of text becomes {"error":text,"code":status}; other replies stay as they are. */
void pc_api_error_as_json(struct pc_api_reply *reply);

#endif
