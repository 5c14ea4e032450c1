/*
 * The one publish path: the HTTP API, the host's own thread and client events all come through here.
 * An event is encoded once per channel on the publishing thread, numbered and posted under the shard's
 * lock (posting.h), and handed to queues by each interested worker (local.h).
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
    bool cacheable;           /* cache channels keep it; client events are not */
    uint64_t now_ms;          /* monotonic; for what is kept */
    struct pc_worker *worker; /* the worker whose thread this is; NULL = none, or not known */
};

/* What a server SDK or the host may publish under this app's settings. 0; PUSHERC_EINVAL; PUSHERC_ELIMIT for
 * data that is too long. `info` gets a sentence for the publisher. */
PC_CHECKED int pc_publication_check(const struct pc_engine *engine, const struct pc_app *app,
                                    const struct pc_publication *p, pusherc_errinfo *info);

/* Takes what was checked; repeated channels count once. 0; PUSHERC_EBACKLOG or PUSHERC_ENOMEM: the channels
 * before the one that failed have been served, and some of its workers may have been. */
PC_CHECKED int pc_publish(struct pc_engine *engine, const struct pc_app *app,
                          const struct pc_publication *p);

#endif
