/*
 * A timer of one worker for one channel. It keeps the channel and the app alive until it is over. When the server stops
 * each timer fires once more; one that is armed when the worker is freed is dropped.
 */
#ifndef PC_FANOUT_CHANNEL_TIMER_H
#define PC_FANOUT_CHANNEL_TIMER_H

#include "fanout/posting.h"

/* What comes and goes faster (a count, a member, a watched user) is gathered: a channel's subscribers are told of it
 * when this time is over. */
#define PC_GATHER_MS 100

/* Called on the worker's thread, without a lock. Returns the time at which it is called again, or 0: the timer is over. */
typedef uint64_t (*pc_channel_timer_fn)(struct pc_worker *worker, struct pc_app *app,
                                        struct pc_channel *channel);

struct pc_channel_timer {
    struct pc_timer timer;
    struct pc_list of_worker; /* unlinked until it is begun */
    struct pc_worker *worker;
    struct pc_app *app;         /* counted */
    struct pc_channel *channel; /* held */
    pc_channel_timer_fn run;
    void (*over)(
        struct pc_channel_timer *timer); /* called before it is freed; NULL = nothing to do */
    void *block;                         /* the memory that it is in, freed with it */
};

/* Locked. Calls run() at `due_ms`. 0 or PUSHERC_ENOMEM. */
PC_CHECKED int pc_channel_timer_start(struct pc_worker *worker, struct pc_app *app,
                                      struct pc_channel *channel, uint64_t due_ms,
                                      pc_channel_timer_fn run);
/* The same in memory of the caller, `block`, for a timer that is begun and moved later. Locked; any thread. */
void pc_channel_timer_init(struct pc_channel_timer *timer, struct pc_worker *worker,
                           struct pc_app *app, struct pc_channel *channel, pc_channel_timer_fn run,
                           void *block);
/* Calls run() now, and later when it says. On the worker's thread, without a lock. */
void pc_channel_timer_fire(struct pc_channel_timer *timer);
/* Ends it before its time. The caller holds no lock. */
void pc_channel_timer_end(struct pc_channel_timer *timer);

/* A timer that any thread begins and moves, while one worker, chosen by the channel's shard, owns it and runs it. */
struct pc_owned_timer {
    struct pc_mail mail; /* "fire it" */
    bool mailed;
    struct pc_channel_timer timer;
    uint64_t due_ms; /* when it fires; for run() and the callers of pc_owned_timer_ask() */
};

/* Locked. Begins it in memory of the caller, `block`, and asks the owner to fire it. 0; PUSHERC_ECANCELED: the owner is
 * gone, and nothing has begun. `wake` gets the workers to wake. */
PC_CHECKED int pc_owned_timer_begin(struct pc_owned_timer *timer, struct pc_engine *engine,
                                    struct pc_app *app, struct pc_channel *channel,
                                    pc_channel_timer_fn run,
                                    void (*over)(struct pc_channel_timer *timer), void *block,
                                    uint64_t *wake);
/* Locked. Asks the owner to fire it now. 0; PUSHERC_ECANCELED: the owner is gone. */
int pc_owned_timer_ask(struct pc_owned_timer *timer, uint64_t *wake);

/* Fires now those of the worker's timers whose channels `pick` picks; NULL = all, because the server stops. The caller
 * holds no lock. */
typedef bool (*pc_channel_pick_fn)(struct pc_channel *channel, void *ctx);
void pc_channel_timers_hurry(struct pc_worker *worker, pc_channel_pick_fn pick, void *ctx);
/* The same for those with this function. */
void pc_channel_timers_fire(struct pc_worker *worker, pc_channel_timer_fn run);
/* Stops and frees the worker's timers, before the worker is freed. The caller holds no lock. */
void pc_channel_timers_forget(struct pc_worker *worker);

#endif
