/*
 * A broadcaster's life: its loop, its thread if it has one, its carrier and queue. The public calls are in
 * broadcaster.c.
 */
#ifndef PC_BROADCAST_SENDER_H
#define PC_BROADCAST_SENDER_H

#include "base/fork.h"
#include "broadcast/carrier.h"
#include "broadcast/conflate.h"
#include "broadcast/queue.h"

#define PC_BROADCAST_KEY_PREFIX 16

struct pusherc_broadcaster {
    struct pc_carrier_home home;
    struct pc_carrier *carrier;       /* owned */
    struct pc_broadcast_queue *queue; /* owned */
    pusherc_broadcast_failed_fn on_failed;
    void *user_data;
    uint32_t retry_ms, grace_ms;
    struct pc_conflate conflate;
    char *ca_file;             /* owned */
    struct pc_fork_mark *mark; /* counted */
    char key_prefix[PC_BROADCAST_KEY_PREFIX];
    _Atomic uint64_t keys; /* made so far */

    bool attached; /* home.uv is the host's loop */
    uv_loop_t own; /* without */
    pthread_t thread;
    bool has_thread;
    uv_async_t async;
    uv_timer_t timer;

    pthread_mutex_t mutex; /* guards what follows; leaf */
    bool stop_asked;
    uint64_t stop_grace_ms;
    void (*stopped)(void *user_data);
    void *stopped_user_data;
    bool deaf;        /* `async` is closed or closing */
    pthread_t runner; /* the thread that ran the loop last */
    bool has_runner;

    /* the loop's thread only */
    bool pumping, stopping, closing, ended;
    bool said_away; /* a line in the log says that the carrier is away */
    uint64_t stop_ms;
    uint32_t open_handles;
};

/* As pusherc_broadcaster_new(); `options` are complete. */
PC_CHECKED int pc_broadcaster_new(pusherc_broadcaster **out,
                                  const pusherc_broadcaster_options *options,
                                  pusherc_errinfo *info);
/* True on the thread that runs the loop, as far as it has shown itself. */
bool pc_broadcaster_is_own_thread(pusherc_broadcaster *b);
/* Makes the loop look at the queue and the carrier. Any thread. */
void pc_broadcaster_wake(pusherc_broadcaster *b);
/* Any thread. `change`: sets `stopped` as well. */
void pc_broadcaster_ask_stop(pusherc_broadcaster *b, uint32_t grace_ms, bool change,
                             void (*stopped)(void *user_data), void *user_data);
void pc_broadcaster_free(pusherc_broadcaster *b);

#endif
