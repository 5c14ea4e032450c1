/*
 * Shaping: what a rule (channel/shape_rule.h) keeps of one channel's events, and when it lets which of them go.
 *
 * Each key has an entry with at most one event, or with the array of a batch that grows. An entry waits for its window:
 * it is in `by_due`, in the order of the windows' ends. When that is over it stands in `ready`, for the channel's rate.
 * An entry with an event is in `by_first` as well, in the order in which events began to wait: at the longest wait it
 * goes first, whatever window and rate say. After a leading event, or while windows follow each other, an entry stays
 * without an event until its window is over. So each step looks at heads of lists only, and merging costs one look-up.
 *
 * Only one event of a channel is on its way at a time, between pc_shape_next() and pc_shape_sent(), and its entry stays
 * in the table meanwhile: what comes for its key then waits. So events of one key keep their order.
 *
 * Time is a parameter. The caller holds the channel's lock.
 */
#ifndef PC_FANOUT_SHAPE_H
#define PC_FANOUT_SHAPE_H

#include "base/buf.h"
#include "base/list.h"
#include "base/map.h"
#include "channel/shape_rule.h"

/* An event as the subscribers are to get it. Borrowed. */
struct pc_shape_event {
    pusherc_slice name, data, user_id;
    pusherc_socket_id except;
    bool cacheable, is_everywhere;
};

struct pc_shape_entry;

struct pc_shape {
    const struct pc_mem *mem;   /* borrowed */
    struct pc_shape_rule *rule; /* counted */
    struct pc_map keys;         /* entries that take events; a full batch is in none */
    struct pc_list by_due, by_first, ready;
    struct pc_shape_entry *sending; /* NULL = none */
    struct {                        /* what it sends */
        char *value;                /* owned */
        size_t cap;
        uint32_t events;
    } under_way;
    size_t bytes;      /* of entries, keys and events */
    uint32_t count;    /* entries */
    uint32_t max_data; /* bytes of a batch, unless it has one event only */
    uint64_t free_us;  /* the rate: when its next event would be on time */
    bool closing;      /* all goes at once */
};

enum pc_shape_result {
    PC_SHAPE_KEPT, /* it waits */
    PC_SHAPE_PASSED, /* no room: the caller sends it at once; nothing of its key waits or is on its way */
    PC_SHAPE_FULL, /* a batch has no room: the caller refuses it */
    PC_SHAPE_NOMEM /* no memory, and the event before it is on its way: the caller refuses it */
};

void pc_shape_init(struct pc_shape *shape, const struct pc_mem *mem, const uint64_t seed[2],
                   struct pc_shape_rule *rule, uint32_t max_data);
void pc_shape_free(struct pc_shape *shape); /* drops what waits */

/* Takes an event in and counts it. `key`: of pc_json_key(); without one it is not shaped. */
enum pc_shape_result pc_shape_put(struct pc_shape *shape, const struct pc_shape_event *event,
                                  pusherc_slice key, uint64_t now_ms);
/* An event that may go now; valid until pc_shape_sent(). False: none may. */
bool pc_shape_next(struct pc_shape *shape, uint64_t now_ms, struct pc_shape_event *out);
/* It has been sent, or (false) could not be. */
void pc_shape_sent(struct pc_shape *shape, bool ok, uint64_t now_ms);
/* When to call pc_shape_next() again; UINT64_MAX = not before the next event comes in. */
uint64_t pc_shape_due(const struct pc_shape *shape, uint64_t now_ms);
/* Drops and counts what waits. */
void pc_shape_drop(struct pc_shape *shape);

static inline bool pc_shape_is_empty(const struct pc_shape *shape)
{
    return shape->count == 0;
}
/* Nothing of it matters any more: it is empty, and the rate has forgotten what was sent. */
static inline bool pc_shape_is_over(const struct pc_shape *shape, uint64_t now_ms)
{
    return shape->count == 0 && (shape->closing || shape->free_us <= now_ms * 1000);
}

#endif
