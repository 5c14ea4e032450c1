/*
 * What an app's publishers have sent under keys of their own choice (protocol section 12): whoever sends the same
 * once more gets the answer of the first time, and nothing is published again. Knows nothing of HTTP: a content
 * is a number, an answer is bytes. One table for each app, so that no app can push out another's keys. Any thread;
 * time is a parameter.
 */
#ifndef PC_CHANNEL_IDEMPOTENCY_H
#define PC_CHANNEL_IDEMPOTENCY_H

#include <pthread.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/map.h"

#define PC_IDEMPOTENCY_KEY_MAX 128 /* characters */

struct pc_idempotency {
    struct pc_mem mem;     /* a copy: an app may outlive its server */
    pthread_mutex_t mutex; /* leaf lock; guards everything below */
    struct pc_map by_key;
    struct pc_list in_order; /* by the time they began */
    size_t bytes;            /* what all of them take */
};

struct pc_idempotency_limits {
    size_t max_bytes; /* above it the oldest goes, before its time */
    uint64_t keep_ms; /* from the first request with a key */
};

void pc_idempotency_init(struct pc_idempotency *table, const struct pc_mem *mem,
                         const uint64_t seed[2]);
void pc_idempotency_free(struct pc_idempotency *table);

enum pc_idempotency_result {
    PC_IDEMPOTENCY_FIRST = 0, /* do it, and say with pc_idempotency_end() how it went */
    PC_IDEMPOTENCY_REPEAT,    /* done before: the answer has been appended to `stored` */
    PC_IDEMPOTENCY_RUNNING,   /* the first one is being done */
    PC_IDEMPOTENCY_OTHER,     /* the key stands for another content */
    PC_IDEMPOTENCY_NO_MEMORY  /* nothing was noted: do nothing */
};

struct pc_idempotency_entry;

/* Takes the key. `answer` is what a repeat will get: whatever is kept is allocated here, so that nothing can fail
 * once the thing is done. *entry is set with FIRST, and belongs to the table. */
enum pc_idempotency_result
pc_idempotency_begin(struct pc_idempotency *table, const struct pc_idempotency_limits *limits,
                     pusherc_slice key, uint64_t content, pusherc_slice answer, uint64_t now_ms,
                     struct pc_buf *stored, struct pc_idempotency_entry **entry);
/* Done, or not done: then the key is free again. */
void pc_idempotency_end(struct pc_idempotency *table, struct pc_idempotency_entry *entry,
                        bool done);

#endif
