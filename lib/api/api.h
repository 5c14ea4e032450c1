/*
 * The HTTP API (protocol section 5) and the health pages. It takes a complete request and makes a complete reply: at
 * once, or later if the host or another process has to answer first. It uses no sockets. The worker's thread.
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
    bool host_has_pages; /* there is an on_http hook: the host serves "/" and unknown paths */
    /* waits for the answer of the host or of another process; NULL = the API does not wait */
    struct pc_await *await;
    struct pc_address address; /* of the client; it counts for questions about unknown apps */
};

/* Borrowed strings are static or point into this struct, so a reply must not be copied. */
struct pc_api_reply {
    int status;
    const char *content_type; /* NULL = no field Content-Type */
    struct pc_pair fields[PC_API_MAX_FIELDS];
    size_t field_count;
    struct pc_buf body; /* starts in `storage`: most answers allocate nothing */
    size_t text_len;
    char text[640]; /* holds field values that are not static, and the app's id */
    char storage[512];
};

enum pc_api_result {
    PC_API_REPLY = 0, /* the reply is complete */
    /* the path is not the API's: the host may have a page for it; the reply is the 404 for the case that it has not */
    PC_API_NOT_OURS,
    PC_API_PENDING /* request.await waits for an answer; then the caller calls pc_api_resume() */
};

void pc_api_reply_init(struct pc_api_reply *reply, const struct pc_mem *mem);
void pc_api_reply_free(struct pc_api_reply *reply);

struct pc_api_call;

/* Cannot fail: if memory runs out, the reply is a 500 without body. HEAD gets the reply of GET; pc_http_put_reply()
 * leaves the body out. With PC_API_PENDING the reply is empty, and the caller owns *waiting, which borrows the message
 * until it is freed. Without request.await, `waiting` may be NULL. */
enum pc_api_result pc_api_handle(const struct pc_api_request *request, struct pc_api_reply *reply,
                                 struct pc_api_call **waiting);
/* How long the call may wait for the answer; 0 = as long as it takes. */
uint32_t pc_api_patience_ms(const struct pc_api_call *waiting);
/* Continues with the answer and frees *waiting. Returns REPLY, or PENDING with another *waiting. `reply` is new. */
enum pc_api_result pc_api_resume(struct pc_api_call **waiting, struct pc_pending *answer,
                                 struct pc_api_reply *reply);
/* Called in place of pc_api_resume() when the client has left or the wait has timed out. */
void pc_api_call_free(struct pc_api_call *waiting);

/* Handles a request to a listener that serves only the pages for operators. */
void pc_api_operations(const struct pc_api_request *request, struct pc_api_reply *reply);

/* Makes a reply of plain text with the CORS fields, in place of what the reply held. */
void pc_api_plain(struct pc_api_reply *reply, int status, const char *text);

/* Turns an error's line of text into {"error":text,"code":status}; does not change other replies. */
void pc_api_error_as_json(struct pc_api_reply *reply);

#endif
