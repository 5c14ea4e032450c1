/*
 * HTTP requests to other servers, on one loop: libcurl's multi interface with the loop's polling. A fetcher has one
 * user (the sender of webhooks, or a broadcast driver), keeps idle connections for the next request, and limits the
 * number of requests under way. It verifies certificates, does not follow redirects, and uses no proxy.
 *
 * A build without libcurl compiles fetch_none.c instead and has no fetcher. Call
 * everything on the loop's thread, or before the loop runs.
 */
#ifndef PC_NET_FETCH_H
#define PC_NET_FETCH_H

#include "codec/pairs.h"
#include "net/loop.h"

#define PC_FETCH_MAX_ANSWER_BYTES                                                                  \
    65536 /* of head and body together; a longer answer fails the request */

struct pc_curl;
struct pc_fetcher;
struct pc_fetch; /* one request under way */

struct pc_fetch_request {
    const char *method; /* "GET", or with a body "POST", "PUT" ...; not "HEAD" */
    const char *url;    /* http:// or https:// */
    /* Valid names and values; copied. User-Agent is added unless it is here. */
    const struct pc_pair *fields;
    size_t field_count;
    pusherc_slice body; /* borrowed until the end; ptr NULL = none */
    /* Gets the body of the answer; borrowed until the end; NULL = not kept. */
    struct pc_buf *answer;
    uint32_t timeout_ms;    /* for the whole request, the name lookup included */
    bool on_new_connection; /* use no kept connection, on which libcurl would try twice */
    void *ctx;              /* for `done` */
};

struct pc_fetch_result {
    int status;        /* of the answer; 0 = none came */
    const char *error; /* NULL = the answer is complete; else one line, even if there is a status */
    uint32_t retry_after_s; /* as the answer asks; 0 = it does not */
};

/* Where a fetcher lives; all of it outlives the fetcher. */
struct pc_fetcher_home {
    uv_loop_t *uv;
    const struct pc_mem *mem;
    struct pc_log *log;
    struct pc_loop
        *loop; /* of a server, which runs on `uv` and which the fetcher joins; NULL = none */
};

struct pc_fetcher_options {
    const char *ca_file;        /* copied; NULL = the system's certificates */
    const struct pc_curl *curl; /* copied; NULL = what pc_curl_load() finds */
    uint32_t max_under_way;
    /* Called once when a request ends, unless it was cancelled. May begin and cancel other requests. Not called from
     * inside pc_fetch_begin(). */
    void (*done)(void *user, void *ctx, const struct pc_fetch_result *result);
    void *user; /* for `done` */
};

/* `home` is copied. The fetcher becomes a companion of a server's loop, which ends it. 0, PUSHERC_ENOMEM;
 * PUSHERC_ENOSYS: there is no libcurl, or this libcurl is unusable here (logged). */
PC_CHECKED int pc_fetcher_new(struct pc_fetcher **out, const struct pc_fetcher_home *home,
                              const struct pc_fetcher_options *options);
/* Ends all requests under way with an error and refuses new ones. Not from inside `done`. */
void pc_fetcher_stop(struct pc_fetcher *fetcher);
/* Stops it and closes its handles. True: they are closed. Where no server's loop asks, the user asks in each turn. */
bool pc_fetcher_ended(struct pc_fetcher *fetcher);
/* Stops it. Runs the loop until the fetcher's handles are closed if that has not happened. NULL is harmless. */
void pc_fetcher_free(struct pc_fetcher *fetcher);

/* True while fewer requests than the maximum are under way. */
bool pc_fetcher_has_room(const struct pc_fetcher *fetcher);
/* NULL: out of memory, stopped, no room, or libcurl needs the requests under way to end first. */
PC_CHECKED struct pc_fetch *pc_fetch_begin(struct pc_fetcher *fetcher,
                                           const struct pc_fetch_request *request);
/* Ends the request without calling `done`; its buffers are free to reuse. Not from inside the `done` of this request.
 * */
void pc_fetch_cancel(struct pc_fetch *fetch);

#endif
