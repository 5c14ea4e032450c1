/* One thing that an endpoint is to be told: a copy of what was noted, and how it is said (protocol section 7.2). */
#ifndef PC_WEBHOOK_EVENT_H
#define PC_WEBHOOK_EVENT_H

#include "base/buf.h"
#include "base/list.h"
#include "base/map.h"
#include "fanout/notice.h"

struct pc_webhook_event {
    struct pc_list link;
    struct pc_map_node node; /* removals that wait: the key is what they would take back */
    uint64_t ready_ms;       /* may be sent from then on */
    uint32_t kind;
    bool silent; /* waits only so that the addition it is followed by is not told either */
    size_t size; /* bytes, all in all */
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

/* Vacated, member removed: told later, as they may be taken back. */
bool pc_webhook_is_removal(uint32_t kind);
/* Occupied, member added: what takes a removal back. */
bool pc_webhook_is_addition(uint32_t kind);
/* Appends what a removal and the addition that takes it back have in common. Empty for other kinds. */
void pc_webhook_put_key(struct pc_buf *buf, const struct pc_notice *notice);

#endif
