/*
 * HTTP requests of our own to other servers, on one loop: libcurl's multi interface with the loop's polling. A fetcher
 * has one user (the sender of webhooks), connections that it keeps for the next request, and a maximum of requests
 * under way. Certificates are verified, redirects are not followed, and no proxy is used.
 *
 * fetch.c is the only file that knows libcurl; without it fetch_none.c stands in, and there is no fetcher.
 * Everything is called on the loop's thread, or before the loop runs.
 */
#ifndef PC_NET_FETCH_H
#define PC_NET_FETCH_H

#include "codec/pairs.h"
#include "net/loop.h"

#define PC_FETCH_MAX_ANSWER_BYTES                                                                  \
    65536 /* of head and body together; a longer answer is broken off */

struct pc_fetcher;
struct pc_fetch; /* one request under way */

struct pc_fetch_request {
    const char *method; /* "GET", or with a body "POST", "PUT" ...; not "HEAD" */
    const char *url;    /* http:// or https:// */
    const struct pc_pair
        *fields; /* valid names and values; copied. User-Agent is added unless it is here */
    size_t field_count;
    pusherc_slice body; /* borrowed until the end; ptr NULL = none */
    struct pc_buf
        *answer; /* takes the body of the answer, borrowed likewise; NULL = it is not kept */
    uint32_t timeout_ms;    /* for all of it, looking up the name included */
    bool on_new_connection; /* not on one that was kept, on which libcurl would try twice */
    void *ctx;              /* for `done` */
};

struct pc_fetch_result {
    int status;        /* of the answer; 0 = none came */
    const char *error; /* NULL = the answer came whole; else one line, even if there is a status */
};

struct pc_fetcher_options {
    const char *ca_file; /* copied; NULL = the system's certificates */
    uint32_t max_under_way;
    /* The end of a request that was not cancelled, once. It may begin and cancel other requests. Not called from
     * inside pc_fetch_begin(). */
    void (*done)(void *user, void *ctx, const struct pc_fetch_result *result);
    void *user; /* for `done` */
};

/* From here on it is the loop's companion, which ends it. The loop outlives it. 0, PUSHERC_ENOMEM; PUSHERC_ENOSYS:
 * there is no libcurl, or none that is fit for this (logged). */
PC_CHECKED int pc_fetcher_new(struct pc_fetcher **out, struct pc_loop *loop,
                              const struct pc_fetcher_options *options);
/* Ends what is under way with an error, and takes nothing new. Not from inside `done`. */
void pc_fetcher_stop(struct pc_fetcher *fetcher);
/* Stops it; runs the loop until its handles are closed if the loop has not done so. NULL is harmless. */
void pc_fetcher_free(struct pc_fetcher *fetcher);

/* A request may be begun: less than the maximum are under way. */
bool pc_fetcher_has_room(const struct pc_fetcher *fetcher);
/* NULL: out of memory, stopped, or libcurl cannot go on before the requests under way have ended. */
PC_CHECKED struct pc_fetch *pc_fetch_begin(struct pc_fetcher *fetcher,
                                           const struct pc_fetch_request *request);
/* `done` is not called, and nothing of the request is used any more. Not from inside its own `done`. */
void pc_fetch_cancel(struct pc_fetch *fetch);

#endif
