/* One event for one endpoint: a copy of the notice, and its JSON form (protocol section 7.2). */
#ifndef PC_WEBHOOK_EVENT_H
#define PC_WEBHOOK_EVENT_H

#include "base/buf.h"
#include "base/list.h"
#include "base/map.h"
#include "fanout/notice.h"

struct pc_webhook_event {
    struct pc_list link;
    struct pc_map_node node; /* the key is pc_webhook_put_key() */
    bool in_map;             /* of events that are ready */
    uint64_t ready_ms;       /* may be sent from this time on */
    uint32_t kind;
    bool silent;                                 /* is not sent; it only cancels its counterpart */
    size_t size;                                 /* bytes of this object, texts included */
    pusherc_slice channel, user_id, event, data; /* point into text */
    pusherc_socket_id socket_id;
    uint64_t subscription_count;
    struct pc_acceptance *acceptance; /* counted, or NULL */
    char text[];
};

/* NULL: out of memory. */
struct pc_webhook_event *pc_webhook_event_new(const struct pc_mem *mem,
                                              const struct pc_notice *notice);
void pc_webhook_event_free(const struct pc_mem *mem, struct pc_webhook_event *event);

/* Appends the JSON object. */
void pc_webhook_event_put(struct pc_buf *buf, const struct pc_webhook_event *event);

/* True for channel_vacated and member_removed: they are delayed, because an addition may cancel them. */
bool pc_webhook_is_removal(uint32_t kind);
/* True for channel_occupied and member_added: they cancel a delayed removal. */
bool pc_webhook_is_addition(uint32_t kind);
/* The addition that this removal takes back. */
uint32_t pc_webhook_addition_of(uint32_t kind);

#define PC_WEBHOOK_KEY_CHANNEL 'c' /* first bytes of keys */
#define PC_WEBHOOK_KEY_MEMBER  'm'
#define PC_WEBHOOK_KEY_MISS    'x'
#define PC_WEBHOOK_KEY_COUNT   'n'
/* Appends a key. A removal and its addition have it in common, and cache misses, and counts, of one channel. Appends
 * nothing for client events. */
void pc_webhook_put_key(struct pc_buf *buf, const struct pc_notice *notice);

#endif
