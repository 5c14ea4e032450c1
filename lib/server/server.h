/* The public server object: an engine, its loops, and the threads that run them. */
#ifndef PC_SERVER_SERVER_H
#define PC_SERVER_SERVER_H

#include <pusherc/server.h>

#include "base/latch.h"
#include "fanout/order.h"
#include "net/loop.h"
#include "webhook/sender.h"

#define PC_MAX_LISTENERS 16

struct pc_messages;

/* The link's place on the first loop. */
struct pc_server_cluster {
    struct pc_companion companion;
    bool leaving;        /* the node takes leave of the authority */
    uint64_t give_up_ms; /* and is not waited for any longer */
};

/* Brings events from outside on the first loop; made by a folder above this one. */
struct pc_server_feed {
    struct pc_list of_server;
    /* The server starts. 0 or PUSHERC_ENOMEM. */
    int (*start)(struct pc_server_feed *feed);
    void (*free)(struct pc_server_feed *feed);
    pusherc_slice app_id; /* of the app of the events */
    _Atomic uint64_t up, taken,
        ignored; /* it is connected now; messages that were published, and others */
};

enum pc_server_mode {
    PC_SERVER_THREADS,
    PC_SERVER_ATTACHED,
    PC_SERVER_POLLED
};

enum pc_server_state {
    PC_SERVER_NEW = 0,
    PC_SERVER_STARTING, /* the loops' wake-up handles are not open yet */
    PC_SERVER_STARTED,
    PC_SERVER_STOPPING,
    PC_SERVER_STOPPED /* all loops have ended; their threads may not have ended yet */
};

struct pusherc_server {
    struct pc_engine engine;
    enum pc_server_mode mode;
    struct pc_loop *loops;        /* engine.worker_count of them */
    struct pc_messages *messages; /* owned; NULL = the host has no inbox */
    struct pusherc_link *node;    /* owned; NULL = the server is not linked with others */
    struct pc_server_cluster cluster;
    struct pc_list feeds;     /* struct pc_server_feed, each owned */
    struct pc_sender *sender; /* of webhooks, on loops[0]; NULL = this build cannot send */
    pthread_t *threads;       /* threads mode: one for each loop, thread_count of them started */
    uint32_t thread_count;
    uint16_t ports[PC_MAX_LISTENERS];
    size_t listener_count;
    bool speaks_tls[PC_MAX_LISTENERS];
    uint16_t port;        /* of the first listener for clients, a label of metrics; 0 = none */
    _Atomic int state;    /* enum pc_server_state */
    struct pc_latch over; /* threads mode: it has stopped, and `stopped` has returned */
    _Atomic uint32_t next_loop; /* adopted sockets take turns */
    pthread_mutex_t mutex;      /* guards the rest; leaf */
    uint32_t running;           /* loops that have not ended */
    bool polling, polled;       /* only the thread that polls */
    pusherc_stopped_fn stopped;
    void *stopped_user_data;
    struct pc_order stop_order; /* in the mailboxes while stop_under_way */
    _Atomic uint64_t stop_grace_ms;
    bool stop_under_way, stop_again; /* again: send it once more when it has come back */
    bool flushed;                    /* its first round, in which shaping is flushed, is over */
};

/* True in a forked child, where nothing of the server may be touched. */
static inline bool pc_server_is_copy(const pusherc_server *server)
{
    return pc_forked(server->engine.mark);
}

/* Why a call that fills a pusherc_errinfo fails in a child. */
#define PC_IS_COPY "the server belongs to the process that this one was forked from"

/* Started and not stopped: workers can be posted to. */
static inline bool pc_server_runs(const pusherc_server *server)
{
    int state = atomic_load(&server->state);
    return state == PC_SERVER_STARTED || state == PC_SERVER_STOPPING;
}
/* Is the calling thread one that runs a loop of the server? It must not wait for the server. */
bool pc_server_is_own_thread(const pusherc_server *server);
/* As pusherc_server_put_apps(). Thread: any, while the engine stays. `running`: it has workers that take orders. */
PC_CHECKED int pc_server_put_apps(struct pc_engine *engine, bool running,
                                  const pusherc_app_options *options, size_t count,
                                  pusherc_errinfo *info);
/* The app, counted; NULL with *err = what the public call returns, in a forked child PUSHERC_ESTATE. */
struct pc_app *pc_server_app(pusherc_server *server, const char *app_id, int *err);

#endif
