/*
 * The one publish path: the HTTP API, the host's own thread and client events all come through here.
 * An event is encoded once per channel on the publishing thread, numbered and posted under the shard's
 * lock, and handed to queues by each interested worker.
 */
#ifndef PC_FANOUT_PUBLISH_H
#define PC_FANOUT_PUBLISH_H

#include <pusherc/error.h>

#include "fanout/engine.h"

struct pc_bundle;
struct pc_cached;

struct pc_publication {
    pusherc_slice event;
    const pusherc_slice *channels;
    size_t channel_count;
    pusherc_slice data;
    pusherc_slice user_id;    /* client events on presence channels, else len 0 */
    pusherc_socket_id except; /* zero = nobody */
    bool cacheable;           /* cache channels keep it; client events are not */
    uint64_t now_ms;          /* monotonic; for what is kept */
    struct pc_worker *worker; /* whose thread this is; NULL = none's, or not known */
    uint64_t posted_ns;       /* pc_publish() sets it */
};

/* What a server SDK or the host may publish under this app's settings. 0; PUSHERC_EINVAL; PUSHERC_ELIMIT for
 * data that is too long. `info` gets a sentence for the publisher. */
PC_CHECKED int pc_publication_check(const struct pc_engine *engine, const struct pc_app *app,
                                    const struct pc_publication *p, pusherc_errinfo *info);

/* Takes what was checked; repeated channels count once. 0; PUSHERC_EBACKLOG or PUSHERC_ENOMEM: the channels
 * before the one that failed have been served, and some of its workers may have been. */
PC_CHECKED int pc_publish(struct pc_engine *engine, const struct pc_app *app,
                          const struct pc_publication *p);

/* What a cache channel is to keep of a publication; cached NULL = nothing. */
struct pc_keeping {
    struct pc_cached *cached; /* counted */
    struct pc_channel_class class;
    struct pc_rule_match match; /* the rule that covers the channel */
    uint64_t now_ms;
};
/* Locked, at the moment that numbers the event: what newcomers are shown and what they hear fits together. */
void pc_keep(struct pc_engine *engine, struct pc_channel *channel,
             const struct pc_keeping *keeping);

/* What a post under a shard's lock leaves to be done after it. Zero-initialise. */
struct pc_posting {
    struct pc_frame *frame;
    struct pc_bundle *bundle;
    uint64_t wake; /* a bit per worker */
    bool noted;    /* the observer is to be woken */
};

/* A message of our own (member_added ...) to a channel whose shard the caller has locked: takes a number
 * and posts. Whatever is returned, pc_posting_finish() follows the unlock. */
PC_CHECKED int pc_publish_locked(struct pc_engine *engine, struct pc_channel *channel,
                                 pusherc_slice message, struct pc_posting *posting);
/* Tells the observer, if it wants to know. The channel's shard is locked, or it is about a client event. */
void pc_posting_note(struct pc_engine *engine, const struct pc_notice *notice,
                     struct pc_posting *posting);
/* Wakes workers and the observer, and lets go of the frame. No lock is held. */
void pc_posting_finish(struct pc_engine *engine, struct pc_posting *posting);

#endif
