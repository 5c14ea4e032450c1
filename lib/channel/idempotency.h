/*
 * Idempotency keys (protocol section 12): a publisher that repeats a request under the same key gets the answer of the
 * first request, and the event is not published again. Independent of HTTP: a content is a number, an answer is bytes.
 * One table per app, so that an app cannot displace the keys of another. Any thread; time is a parameter.
 *
 * An entry is `running` from _begin() to _end(): a second request with its key is told so and does not wait. The answer
 * is stored at _begin(), so that _end() cannot fail once the event is published. Entries are listed in the order in
 * which they began; each _begin() removes from the front those that have expired, and the oldest ones while the table
 * is above its maximum. Running entries are not removed. A call costs one look-up and the entries that it removes.
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
    struct pc_list in_order; /* the one that began first is the first */
    size_t bytes;            /* of all entries */
};

struct pc_idempotency_limits {
    size_t max_bytes; /* above it the oldest entries are removed before they expire */
    uint64_t keep_ms; /* from the first request with a key */
};

void pc_idempotency_init(struct pc_idempotency *table, const struct pc_mem *mem,
                         const uint64_t seed[2]);
void pc_idempotency_free(struct pc_idempotency *table);

enum pc_idempotency_result {
    PC_IDEMPOTENCY_FIRST = 0, /* publish, then report the outcome with pc_idempotency_end() */
    PC_IDEMPOTENCY_REPEAT,    /* published before: the answer has been appended to `stored` */
    PC_IDEMPOTENCY_RUNNING,   /* the first request is not finished */
    PC_IDEMPOTENCY_OTHER,     /* the key was used for another content */
    PC_IDEMPOTENCY_NO_MEMORY  /* no entry was made: do not publish */
};

struct pc_idempotency_entry;

/* Looks the key up, and takes it if it is free. A repeat will get `answer`. FIRST sets *entry, which the table owns. */
enum pc_idempotency_result
pc_idempotency_begin(struct pc_idempotency *table, const struct pc_idempotency_limits *limits,
                     pusherc_slice key, uint64_t content, pusherc_slice answer, uint64_t now_ms,
                     struct pc_buf *stored, struct pc_idempotency_entry **entry);
/* Ends the first request. done: it was published; otherwise the key becomes free again. */
void pc_idempotency_end(struct pc_idempotency *table, struct pc_idempotency_entry *entry,
                        bool done);

#endif
