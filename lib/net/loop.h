/*
 * One event loop of a server: a libuv loop (the server's or the host's), its worker, listeners and connections.
 * loop.c explains a turn.
 */
#ifndef PC_NET_LOOP_H
#define PC_NET_LOOP_H

#include <time.h>

#include <uv.h>

#include "codec/http.h"
#include "codec/ws.h"
#include "fanout/engine.h"
#include "net/budget.h"
#include "net/places.h"
#include "net/tls.h"

#define PC_READ_BUFFER 65536 /* one per loop; connections have no read buffer */
#define PC_PURPOSES    2     /* of listeners: enum pusherc_listen_purpose */

struct pc_loop;
struct pc_listener;

/*
 * Something besides connections that runs on a loop, such as the sender of webhooks. It has to end before the loop
 * does: pc_loop_stop() calls `stop`, and when no connection is left the loop calls `ended` in each turn until it is
 * true. The companion that joined last ends first, so it may use those that joined before it.
 */
struct pc_companion {
    struct pc_list of_loop;
    /* Finish within grace_ms; a second call with a smaller grace shortens it. NULL = `ended` does everything. */
    void (*stop)(struct pc_companion *companion, uint64_t grace_ms);
    /* The end of a turn: sends what the turn has written for it. False: there was nothing. NULL = there never is. */
    bool (*flush)(struct pc_companion *companion);
    /* True: it has ended, and is not asked again. While it returns false, a handle of it must keep the loop turning. */
    bool (*ended)(struct pc_companion *companion);
};

struct pc_loop {
    struct pc_worker *worker;
    struct pc_engine *engine;
    uv_loop_t *uv; /* the host's, or &own */
    uv_loop_t own;
    uv_async_t async;
    uv_prepare_t prepare;
    uv_idle_t
        unfinished; /* runs from a turn's first callback until its end: the loop must not sleep */
    uv_timer_t timer;
    uint64_t timer_due_ms; /* what `timer` is set to; UINT64_MAX = not set */
    int open_handles;      /* of the four above */
    struct pc_listener *listeners;
    struct pc_list conns;
    struct pc_places places[PC_PURPOSES]; /* of those in `conns` that are not established clients */
    uint32_t conn_count;            /* with those that libuv is still closing, listeners included */
    uint64_t turn_ns;               /* when this turn began; 0 = no callback has run yet */
    struct pc_budget budget;        /* of the connections' time */
    struct pc_ws_pool *ws_pool;     /* owned; NULL until the first WebSocket */
    struct pc_fallbacks *fallbacks; /* owned; NULL until the first session over HTTP */
    struct pc_tls_spare tls_spare;
    struct pc_timer stop_timer; /* end of the grace period and of close_timeout_ms after it */
    uint64_t stop_grace_ms;
    bool stopping, ended;
    void (*on_ended)(struct pc_loop *loop, void *ctx); /* all handles of the loop are closed */
    void *on_ended_ctx;
    struct pc_list companions;         /* in the order they joined */
    char *read_buffer, *write_buffers; /* owned */
    struct pc_http_date date;
};

/* host_loop NULL = makes a libuv loop. Gives the worker its mailbox. 0; PUSHERC_ENOMEM; PUSHERC_EIO with *sys. */
PC_CHECKED int pc_loop_init(struct pc_loop *loop, struct pc_worker *worker, uv_loop_t *host_loop,
                            int *sys);
/* Call it after `ended`, or before the start, or after a failed start; after a failed start it runs the loop until its
 * handles are closed. */
void pc_loop_free(struct pc_loop *loop);

/* Begins to accept, as soon as the loop runs. 0 or PUSHERC_EIO with *sys. */
PC_CHECKED int pc_loop_start(struct pc_loop *loop, int *sys);
void pc_loop_own(struct pc_loop *loop); /* the calling thread runs the loop from now on */
void pc_loop_run(struct pc_loop *loop); /* until ended; own loop only */
/* Does what is due on an own loop, after waiting for it at most timeout_ms. */
void pc_loop_poll(struct pc_loop *loop, uint32_t timeout_ms);
/* Readable when there is something to do. */
int pc_loop_fd(const struct pc_loop *loop);
/* How long the loop may sleep unless its descriptor becomes readable; UINT32_MAX = for ever. */
uint32_t pc_loop_wait_ms(struct pc_loop *loop);
/* On the loop's thread, or before it runs. A companion that has ended has left already; leaving again is harmless. */
static inline void pc_loop_join(struct pc_loop *loop, struct pc_companion *companion)
{
    pc_list_push_back(&loop->companions, &companion->of_loop);
}
static inline void pc_loop_leave(struct pc_companion *companion)
{
    pc_list_remove(&companion->of_loop);
}
/* Stops connections and companions, paced over grace_ms. A second call with a smaller grace shortens it. */
void pc_loop_stop(struct pc_loop *loop, uint64_t grace_ms);

/* Any libuv handle as the type that uv_close() takes: all of them begin with the same members. */
static inline uv_handle_t *pc_handle(void *handle)
{
    return handle;
}

/* Does nothing: libuv does not sleep while an idle handle is active. */
static inline void pc_loop_stay_awake(uv_idle_t *unfinished)
{
    (void)unfinished;
}

/* Every libuv callback begins with this call. It sets the worker's time, and tells the mailbox that the end of the turn
 * follows, so posts from this thread need no wake-up. A host that runs the loop with UV_RUN_NOWAIT may get control back
 * before that: then uv_backend_timeout() is 0. */
static inline void pc_loop_enter(struct pc_loop *loop)
{
    loop->worker->now_ms = uv_now(loop->uv);
    loop->worker->mailbox->owner_will_look = true;
    if (loop->turn_ns)
        return;
    loop->turn_ns = uv_hrtime();
    if (!uv_is_closing(pc_handle(&loop->unfinished)))
        uv_idle_start(&loop->unfinished, pc_loop_stay_awake);
}

/* The value of a Date field, for a reply written now. */
static inline pusherc_slice pc_loop_date(struct pc_loop *loop)
{
    return pc_http_date(&loop->date, (uint64_t)time(NULL));
}

static inline struct pc_loop *pc_loop_of(struct pc_worker *worker)
{
    return worker->runtime;
}

#endif
