/* One event for one endpoint: a copy of the notice, and its JSON form (protocol section 7.2). */
#ifndef PC_WEBHOOK_EVENT_H
#define PC_WEBHOOK_EVENT_H

#include "base/buf.h"
#include "base/list.h"
#include "base/map.h"
#include "fanout/notice.h"

struct pc_webhook_event {
    struct pc_list link;
    struct pc_map_node node; /* of a delayed removal; the key is pc_webhook_put_key() */
    uint64_t ready_ms;       /* may be sent from this time on */
    uint32_t kind;
    bool silent; /* a removal that is not sent; it only cancels an addition that follows in time */
    size_t size; /* bytes of this object, texts included */
    pusherc_slice channel, user_id, event, data; /* point into text */
    pusherc_socket_id socket_id;
    uint64_t subscription_count;
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
/* Appends a key that a removal and the addition that cancels it have in common. Appends nothing for other kinds. */
void pc_webhook_put_key(struct pc_buf *buf, const struct pc_notice *notice);

#endif
