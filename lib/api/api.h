/*
 * The HTTP API (protocol section 5) and the health pages: a whole request in, a whole answer out. No
 * sockets and no waiting; what only the host can answer is said in the result. Any worker's thread.
 */
#ifndef PC_API_API_H
#define PC_API_API_H

#include "codec/http.h"
#include "fanout/engine.h"

#define PC_API_MAX_FIELDS 8

struct pc_api_request {
    struct pc_engine *engine;
    struct pc_worker *worker; /* the one that serves the connection */
    const struct pc_http_message *message;
    uint64_t unix_time_s;
    bool host_has_pages; /* there is an on_http hook: "/" and unknown paths are the host's */
    bool app_asked;      /* the host has been asked for the app and has none: answer 404 now */
};

/* Borrowed strings are static or live in here: a reply is not to be copied. */
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
    PC_API_UNKNOWN_APP /* ask the host for the app: *app_id or *app_key names it; then call again */
};

void pc_api_reply_init(struct pc_api_reply *reply, const struct pc_mem *mem);
void pc_api_reply_free(struct pc_api_reply *reply);

/* Never fails: when memory runs out the reply is a 500 without body. HEAD is answered as GET:
 * pc_http_put_reply() leaves the body out. app_id and app_key are borrowed from the message or from
 * `reply`; exactly one is set on PC_API_UNKNOWN_APP, which leaves the reply empty. */
enum pc_api_result pc_api_handle(const struct pc_api_request *request, struct pc_api_reply *reply,
                                 pusherc_slice *app_id, pusherc_slice *app_key);

/* The same for a listener that has the pages for operators and nothing else. */
void pc_api_operations(const struct pc_api_request *request, struct pc_api_reply *reply);

/* For answers that do not come from pc_api_handle(): plain text with the CORS fields. Replaces what
 * the reply held. */
void pc_api_plain(struct pc_api_reply *reply, int status, const char *text);

/* An error's line of text becomes {"error":text,"code":status}; other replies stay as they are. */
void pc_api_error_as_json(struct pc_api_reply *reply);

#endif
