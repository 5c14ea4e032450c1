/*
 * The one publish path, for the HTTP API, for the host's threads and for client events.
 * An event is encoded once per channel on the publishing thread, numbered and posted under the shard's
 * lock (posting.h), and put into queues by each worker that has subscribers (local.h).
 */
#ifndef PC_FANOUT_PUBLISH_H
#define PC_FANOUT_PUBLISH_H

#include <pusherc/error.h>

#include "fanout/engine.h"

struct pc_publication {
    pusherc_slice event;
    const pusherc_slice *channels;
    size_t channel_count;
    pusherc_slice data;
    pusherc_slice user_id;    /* client events on presence channels, else len 0 */
    pusherc_socket_id except; /* zero = no client */
    bool cacheable;           /* cache channels keep the event; false for client events */
    bool from_elsewhere;      /* from another process, so it is not relayed, and was shaped there */
    bool returns;             /* is this process's own, and was counted when it went to the relay */
    bool is_everywhere;       /* all linked processes get it by themselves, so it is not relayed */
    enum pc_way way;          /* for the inspector; of what came from elsewhere nothing is said */
    bool shaped;              /* has come out of shaping (shaping.h) */
    uint64_t now_ms;          /* monotonic; for the age of kept events, and ephemeral states */
    /* What the event says of a state of its one channel; NULL = nothing. Such an event is not shaped. */
    struct pc_ephemeral_change *ephemeral;
    /* the worker whose thread this is; NULL = no worker's, or not known */
    struct pc_worker *worker;
};

/* Checks what a server SDK or the host publishes against the app's settings. 0; PUSHERC_EINVAL; PUSHERC_ELIMIT: the
 * data is too long. `info` gets a sentence for the publisher. */
PC_CHECKED int pc_publication_check(const struct pc_engine *engine, const struct pc_app *app,
                                    const struct pc_publication *p, pusherc_errinfo *info);

struct pc_said;

/* Publishes that a state has ended, with what was said of it last. The change says OVER, `at_once` and `said`; `done` false:
 * it was renewed or has ended. 0 or as pc_publish(). `worker` may be NULL. */
PC_CHECKED int pc_publish_ended(struct pc_engine *engine, const struct pc_app *app,
                                pusherc_slice channel, struct pc_ephemeral_change *change,
                                pusherc_socket_id except, struct pc_worker *worker,
                                uint64_t now_ms);
/* The same for states that are over, and tells the host: the pc_ephemera_tell_fn of all changes. */
PC_CHECKED int pc_publish_over(struct pc_worker *worker, const struct pc_app *app,
                               pusherc_slice channel, struct pc_said *said,
                               pusherc_socket_id except);

/* Publishes what was checked, once to each channel, also if the list repeats it. 0; PUSHERC_EBACKLOG or
 * PUSHERC_ENOMEM: one channel failed; the channels before it have the event, and some of its workers may have it;
 * PUSHERC_ELIMIT: p->ephemeral has no room. */
PC_CHECKED int pc_publish(struct pc_engine *engine, const struct pc_app *app,
                          const struct pc_publication *p);

#endif
