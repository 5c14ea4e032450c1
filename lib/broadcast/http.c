/*
 * pusher://, https://: the HTTP API of a Pusher-compatible server, by net/fetch.h. If a server of several does not
 * answer, the next one is asked at once, and stays the first to be asked.
 */
#include <time.h>

#include <pusherc/error.h>

#include "broadcast/carrier.h"
#include "broadcast/http_format.h"
#include "net/fetch.h"

#define ANSWER_BYTES 512 /* of an answer's body, for the reason of a refusal */

struct http {
    struct pc_carrier carrier;
    struct pc_broadcast_url url; /* owned */
    struct pc_http_publisher publisher;
    struct pc_fetcher *fetcher;
    struct pc_list spare; /* exchanges that can be used again */
    size_t host;          /* the one that answered last */
    bool ending;
};

/* One request, until it is answered. */
struct exchange {
    struct pc_list of_spare;
    struct http *http;
    struct pc_broadcast_batch *batch;
    size_t host, tried; /* hosts */
    struct pc_buf url, body, answer;
};

static struct exchange *exchange_get(struct http *http)
{
    const struct pc_mem *mem = &http->carrier.home->mem;
    struct exchange *x;
    if (!pc_list_empty(&http->spare)) {
        x = PC_CONTAINER(http->spare.next, struct exchange, of_spare);
        pc_list_remove(&x->of_spare);
        x->tried = 0;
        return x;
    }
    x = pc_alloc_zero(mem, sizeof *x);
    if (!x)
        return NULL;
    x->http = http;
    pc_list_init(&x->of_spare);
    pc_buf_init(&x->url, mem, SIZE_MAX);
    pc_buf_init(&x->body, mem, SIZE_MAX);
    pc_buf_init(&x->answer, mem, PC_FETCH_MAX_ANSWER_BYTES);
    return x;
}

static void exchange_free(struct exchange *x)
{
    pc_buf_free(&x->url);
    pc_buf_free(&x->body);
    pc_buf_free(&x->answer);
    pc_free(&x->http->carrier.home->mem, x);
}

static int begin(struct exchange *x)
{
    struct http *http = x->http;
    static const struct pc_pair fields[] = {
        {PUSHERC_LIT("Content-Type"), PUSHERC_LIT("application/json")},
        {PUSHERC_LIT("Accept"), PUSHERC_LIT("application/json")}};
    pc_buf_clear(&x->url);
    pc_buf_clear(&x->answer);
    int err = pc_http_put_url(&x->url, &http->publisher, x->host,
                              pc_http_uses_batch(&http->publisher, x->batch),
                              pc_buf_slice(&x->body), (uint64_t)time(NULL));
    if (err)
        return err;
    const struct pc_fetch_request request = {.method = "POST",
                                             .url = x->url.ptr,
                                             .fields = fields,
                                             .field_count = 2,
                                             .body = pc_buf_slice(&x->body),
                                             .answer = &x->answer,
                                             .timeout_ms = http->carrier.home->timeout_ms,
                                             .on_new_connection = x->batch->again,
                                             .ctx = x};
    return pc_fetch_begin(http->fetcher, &request) ? 0 : PUSHERC_ENOMEM;
}

static void finish(struct exchange *x, const struct pc_broadcast_answer *answer)
{
    struct http *http = x->http;
    struct pc_broadcast_batch *batch = x->batch;
    pc_list_push_back(&http->spare, &x->of_spare);
    pc_carrier_answer(&http->carrier, batch, answer);
}

static void fail(struct exchange *x, int err)
{
    finish(x, &(struct pc_broadcast_answer){.outcome = err == PUSHERC_ENOSYS ? PC_BROADCAST_REFUSED
                                                                             : PC_BROADCAST_AWAY,
                                            .code = err,
                                            .reason = pc_slice_of(pusherc_strerror(err))});
}

static void on_done(void *user, void *ctx, const struct pc_fetch_result *result)
{
    struct http *http = user;
    struct exchange *x = ctx;
    const struct pc_http_answer heard = {
        .status = result->status,
        .error = result->error,
        .retry_after_s = result->retry_after_s,
        .body = pc_slice_first(pc_buf_slice(&x->answer), ANSWER_BYTES)};
    struct pc_broadcast_answer answer;
    char room[160];
    int err;
    if (pc_http_tries_next_host(&heard) && ++x->tried < http->url.host_count && !http->ending) {
        x->host = (x->host + 1) % http->url.host_count;
        http->host = x->host;
        if ((err = begin(x)))
            fail(x, err);
        return;
    }
    pc_http_judge(&answer, &heard, room);
    finish(x, &answer);
}

static void http_send(struct pc_carrier *carrier, struct pc_broadcast_batch *batch)
{
    struct http *http = PC_CONTAINER(carrier, struct http, carrier);
    struct exchange *x = exchange_get(http);
    if (!x) {
        pc_carrier_answer(carrier, batch,
                          &(struct pc_broadcast_answer){.outcome = PC_BROADCAST_AWAY,
                                                        .code = PUSHERC_ENOMEM,
                                                        .reason = PC_S("out of memory")});
        return;
    }
    x->batch = batch;
    x->host = http->host;
    pc_buf_clear(&x->body);
    int err = pc_http_put_body(&x->body, &http->publisher, batch);
    if (err == 0)
        err = begin(x);
    if (err)
        fail(x, err);
}

static bool http_ended(struct pc_carrier *carrier)
{
    struct http *http = PC_CONTAINER(carrier, struct http, carrier);
    http->ending = true;
    return pc_fetcher_ended(http->fetcher);
}

static void http_free(struct pc_carrier *carrier)
{
    struct http *http = PC_CONTAINER(carrier, struct http, carrier);
    pc_fetcher_free(http->fetcher);
    while (!pc_list_empty(&http->spare)) {
        struct exchange *x = PC_CONTAINER(http->spare.next, struct exchange, of_spare);
        pc_list_remove(&x->of_spare);
        exchange_free(x);
    }
    pc_broadcast_url_free(&http->url);
    pc_free(&carrier->home->mem, http);
}

int pc_carrier_new_http(struct pc_carrier **out, struct pc_carrier_home *home,
                        struct pc_broadcast_url *url, const char **why)
{
    static const struct pc_carrier_kind_ops ops = {
        .send = http_send, .ended = http_ended, .free = http_free};
    struct http *http = pc_alloc_zero(&home->mem, sizeof *http);
    if (!http)
        return PUSHERC_ENOMEM;
    const struct pc_fetcher_home fetching = {.uv = home->uv, .mem = &home->mem, .log = &home->log};
    const struct pc_fetcher_options options = {.ca_file = home->ca_file,
                                               .max_under_way = home->max_under_way,
                                               .done = on_done,
                                               .user = http};
    *why = "this library has no libcurl for HTTP";
    int err = pc_fetcher_new(&http->fetcher, &fetching, &options);
    if (err) {
        pc_free(&home->mem, http);
        return err;
    }
    pc_list_init(&http->spare);
    http->url = *url;
    *url = (struct pc_broadcast_url){.text = NULL}; /* it is ours now */
    http->publisher = (struct pc_http_publisher){&http->url, home->no_keys || http->url.no_keys};
    http->carrier = (struct pc_carrier){.ops = &ops, .home = home};
    *out = &http->carrier;
    return 0;
}
