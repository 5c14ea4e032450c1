/*
 * host: the host's own functions. A request has copies of its events, so the host may keep it as long as it likes, also
 * after the broadcaster has ended: then its answer only frees it.
 */
#include <pthread.h>

#include <pusherc/error.h>

#include "broadcast/carrier.h"

/* What requests and the carrier share; counted, because an answer may come after the end. */
struct shared {
    struct pc_mem mem; /* a copy */
    pthread_mutex_t mutex;
    uint32_t refs;
    bool closed;
    struct pc_list answered;
    void (*wake)(void *ctx);
    void *wake_ctx;
};

struct pusherc_broadcast_request {
    struct pc_list of_carrier; /* under way */
    struct pc_list of_answered;
    struct shared *shared;            /* counted */
    struct pc_broadcast_batch *batch; /* borrowed; only the loop's thread looks */
    size_t count;
    int code;
    uint32_t retry_after_ms;
    char reason[160];
    struct pc_broadcast_event *copies[PUSHERC_MAX_EVENTS_PER_BATCH]; /* owned */
    pusherc_event events[PUSHERC_MAX_EVENTS_PER_BATCH];              /* their `event`s */
};

struct host {
    struct pc_carrier carrier;
    struct shared *shared;
    struct pc_list under_way;
    bool closed;
};

static void shared_unref(struct shared *shared)
{
    pthread_mutex_lock(&shared->mutex);
    bool last = --shared->refs == 0;
    pthread_mutex_unlock(&shared->mutex);
    if (last) {
        struct pc_mem mem = shared->mem;
        pthread_mutex_destroy(&shared->mutex);
        pc_free(&mem, shared);
    }
}

static void request_free(struct pusherc_broadcast_request *request)
{
    struct shared *shared = request->shared;
    for (size_t i = 0; i < request->count; i++)
        pc_broadcast_event_free(&shared->mem, request->copies[i]);
    pc_free(&shared->mem, request);
    shared_unref(shared);
}

/* -- the host's side -- */

const pusherc_event *pusherc_broadcast_request_events(const pusherc_broadcast_request *request,
                                                      size_t *count)
{
    if (count)
        *count = request->count;
    return request->events;
}

pusherc_slice pusherc_broadcast_request_key(const pusherc_broadcast_request *request, size_t nth)
{
    return nth < request->count ? request->copies[nth]->key : PC_S("");
}

void pusherc_broadcast_answer(pusherc_broadcast_request *request, int code, uint32_t retry_after_ms,
                              const char *reason)
{
    struct shared *shared = request->shared;
    pusherc_slice text = pc_utf8_cut(pc_slice_of(reason ? reason : pusherc_strerror(code)),
                                     sizeof request->reason - 1);
    request->code = code;
    request->retry_after_ms = retry_after_ms;
    memcpy(request->reason, text.ptr, text.len);
    request->reason[text.len] = '\0';
    pthread_mutex_lock(&shared->mutex);
    bool closed = shared->closed;
    if (!closed) {
        pc_list_push_back(&shared->answered, &request->of_answered);
        shared->wake(shared->wake_ctx); /* under the lock: not after `closed` */
    }
    pthread_mutex_unlock(&shared->mutex);
    if (closed)
        request_free(request);
}

/* -- the carrier's side -- */

static enum pc_broadcast_outcome outcome_of(int code)
{
    if (code == 0)
        return PC_BROADCAST_ACCEPTED;
    if (code == PUSHERC_EBACKLOG)
        return PC_BROADCAST_AWAY;
    return code == PUSHERC_EIO ? PC_BROADCAST_FAILED : PC_BROADCAST_REFUSED;
}

static void answer(struct host *host, struct pusherc_broadcast_request *request)
{
    const struct pc_broadcast_answer answer = {.outcome = outcome_of(request->code),
                                               .code = request->code,
                                               .retry_after_ms = request->retry_after_ms,
                                               .reason = pc_slice_of(request->reason)};
    struct pc_broadcast_batch *batch = request->batch;
    pc_list_remove(&request->of_carrier);
    pc_carrier_answer(&host->carrier, batch, &answer);
    request_free(request);
}

static void host_turn(struct pc_carrier *carrier)
{
    struct host *host = PC_CONTAINER(carrier, struct host, carrier);
    struct pc_list answered;
    pthread_mutex_lock(&host->shared->mutex);
    pc_list_take(&answered, &host->shared->answered);
    pthread_mutex_unlock(&host->shared->mutex);
    while (!pc_list_empty(&answered)) {
        struct pusherc_broadcast_request *request =
            PC_CONTAINER(answered.next, struct pusherc_broadcast_request, of_answered);
        pc_list_remove(&request->of_answered);
        answer(host, request);
    }
}

/* NULL: out of memory. */
static struct pusherc_broadcast_request *request_new(struct host *host,
                                                     struct pc_broadcast_batch *batch)
{
    const struct pc_mem *mem = &host->carrier.home->mem;
    struct pusherc_broadcast_request *request = pc_alloc_zero(mem, sizeof *request);
    if (!request)
        return NULL;
    request->shared = host->shared;
    pthread_mutex_lock(&host->shared->mutex);
    host->shared->refs++;
    pthread_mutex_unlock(&host->shared->mutex);
    request->batch = batch;
    pc_list_init(&request->of_answered);
    pc_list_init(&request->of_carrier);
    PC_LIST_EACH(l, &batch->events) {
        const struct pc_broadcast_event *e = PC_CONTAINER(l, struct pc_broadcast_event, of_state);
        struct pc_broadcast_event *copy = pc_broadcast_event_new(mem, &e->event, e->key, PC_S(""));
        if (!copy) {
            request_free(request);
            return NULL;
        }
        request->events[request->count] = copy->event;
        request->copies[request->count++] = copy;
    }
    return request;
}

static void host_send(struct pc_carrier *carrier, struct pc_broadcast_batch *batch)
{
    struct host *host = PC_CONTAINER(carrier, struct host, carrier);
    struct pusherc_broadcast_request *request = request_new(host, batch);
    if (!request) {
        pc_carrier_answer(carrier, batch,
                          &(struct pc_broadcast_answer){.outcome = PC_BROADCAST_AWAY,
                                                        .code = PUSHERC_ENOMEM,
                                                        .reason = PC_S("out of memory")});
        return;
    }
    pc_list_push_back(&host->under_way, &request->of_carrier);
    carrier->home->driver.send(request, carrier->home->driver.user_data);
}

static bool host_ended(struct pc_carrier *carrier)
{
    struct host *host = PC_CONTAINER(carrier, struct host, carrier);
    if (host->closed)
        return true;
    host->closed = true;
    host_turn(carrier);
    pthread_mutex_lock(&host->shared->mutex);
    host->shared->closed = true;
    pthread_mutex_unlock(&host->shared->mutex);
    host_turn(carrier); /* what came in between */
    while (!pc_list_empty(&host->under_way)) {
        struct pusherc_broadcast_request *request =
            PC_CONTAINER(host->under_way.next, struct pusherc_broadcast_request, of_carrier);
        /* The host has it: its answer frees it. */
        pc_list_remove(&request->of_carrier);
        pc_carrier_answer(carrier, request->batch,
                          &(struct pc_broadcast_answer){.outcome = PC_BROADCAST_AWAY,
                                                        .code = PUSHERC_ECANCELED,
                                                        .reason = PC_S("not answered")});
    }
    if (carrier->home->driver.close)
        carrier->home->driver.close(carrier->home->driver.user_data);
    return true;
}

static void host_free(struct pc_carrier *carrier)
{
    struct host *host = PC_CONTAINER(carrier, struct host, carrier);
    shared_unref(host->shared);
    pc_free(&carrier->home->mem, host);
}

int pc_carrier_new_host(struct pc_carrier **out, struct pc_carrier_home *home,
                        struct pc_broadcast_url *url, const char **why)
{
    static const struct pc_carrier_kind_ops ops = {
        .send = host_send, .turn = host_turn, .ended = host_ended, .free = host_free};
    const pusherc_broadcast_driver *driver = &home->driver;
    (void)url;
    *why = "host: needs a `driver` with `send`, and max_events of at most 10";
    if (!driver->send || driver->max_events > PUSHERC_MAX_EVENTS_PER_BATCH)
        return PUSHERC_EINVAL;
    struct host *host = pc_alloc_zero(&home->mem, sizeof *host);
    struct shared *shared = pc_alloc_zero(&home->mem, sizeof *shared);
    if (!host || !shared) {
        pc_free(&home->mem, host);
        pc_free(&home->mem, shared);
        return PUSHERC_ENOMEM;
    }
    shared->mem = home->mem;
    shared->refs = 1;
    shared->wake = home->wake;
    shared->wake_ctx = home->wake_ctx;
    pthread_mutex_init(&shared->mutex, NULL);
    pc_list_init(&shared->answered);
    pc_list_init(&host->under_way);
    host->shared = shared;
    host->carrier =
        (struct pc_carrier){.ops = &ops,
                            .home = home,
                            .max_events = driver->max_events ? driver->max_events : 1,
                            .max_under_way = driver->max_under_way ? driver->max_under_way : 1};
    *out = &host->carrier;
    return 0;
}
