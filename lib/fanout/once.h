/*
 * Idempotency keys of all processes that serve the same apps, not only of this one: one of them begins a key, the others
 * are told what became of it. Without an optional party that knows (a link to other processes), each process has its
 * own table (channel/idempotency.h), which it keeps in any case.
 */
#ifndef PC_FANOUT_ONCE_H
#define PC_FANOUT_ONCE_H

#include <pusherc/publish.h>

#include "base/buf.h"
#include "fanout/elsewhere.h"

#define PC_ONCE_KEYS                                                                               \
    (PUSHERC_MAX_EVENTS_PER_BATCH + 1) /* of one request: each event's, and its own */

struct pc_once_party;

enum pc_once_result {
    PC_ONCE_ALONE = 0, /* there is no link: this process decides by what it knows */
    PC_ONCE_FIRST,     /* publish, then report the outcome with `end` */
    PC_ONCE_REPEAT,    /* published before: the answer is in `answer` */
    PC_ONCE_RUNNING,   /* the first request is not finished */
    PC_ONCE_OTHER      /* the key was used for another content */
};

/* One key, from pc_once_key_new() until it is freed or handed to `end`. */
struct pc_once_key {
    struct pc_list in_order; /* of the question; then the party's */
    struct pc_mem mem;
    pusherc_slice app_id, key; /* behind the struct */
    uint64_t content;
    uint64_t keep_ms;
    enum pc_once_result result;
    struct pc_buf
        answer; /* of a repeat; of the first one: what a repeat is to get, set before it is published */
    void *of_party; /* while the result is FIRST */
};

/* The keys of one request, and the answer: a struct pc_pending of the party that answers. */
struct pc_once {
    struct pc_pending pending; /* first */
    const struct pc_once_party *party;
    struct pc_list keys;
    size_t open; /* the party's */
    /* The waiting side's: what it was answered before (only `found`), if it has asked. */
    struct pc_search before;
    bool has_before;
};

struct pc_once_party {
    /* Called on the worker that waits, with all results ALONE. 0: takes over the question, and answers it;
     * PUSHERC_ETIMEDOUT: there is no link, PUSHERC_ENOMEM: the question is the caller's. NULL = there is no such party. */
    int (*ask)(void *ctx, struct pc_once *once);
    /* Takes over a key that is FIRST. `done`: its content is published, or about to be in this order; else the key is free
     * again. Any thread. Cannot fail. */
    void (*end)(void *ctx, struct pc_once_key *key, bool done);
    void *ctx;
};

/* NULL: out of memory. */
struct pc_once_key *pc_once_key_new(const struct pc_mem *mem, pusherc_slice app_id,
                                    pusherc_slice key);
void pc_once_key_free(struct pc_once_key *key);
/* Frees the keys of the question. What is begun and not ended has not been published: its key is free again. */
void pc_once_keys_free(struct pc_once *once);

#endif
