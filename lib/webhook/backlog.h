/*
 * The events that wait for one endpoint, in one of two places:
 *
 *     delayed   removals (member_removed, channel_vacated), for `delay_ms`. An addition that cancels one in that time
 *               finds it in `delayed_by_key`, and neither event is sent. All removals wait equally long, so the list is
 *               in the order of their times. If it gets long, the delay ends earlier.
 *     ready     events to send, in order
 *
 * An event may be silent: it is not sent, it only cancels its counterpart for an endpoint that wants one kind of a pair.
 *
 * An endpoint is behind when more events are ready than one batch takes. From then on what has lost its meaning before
 * the endpoint was told is not kept for it: a channel that was occupied and vacated again, a member that came and went,
 * a cache miss that waits already or whose channel is vacant, a count that a later one replaces. So clients that come
 * and go, however many, leave nothing behind here; what waits is bounded by what is. Without that, a stranger could
 * fill the queue, and the events of others would be dropped.
 *
 * The caller has a lock; nothing here reads a clock.
 */
#ifndef PC_WEBHOOK_BACKLOG_H
#define PC_WEBHOOK_BACKLOG_H

#include "channel/app.h"
#include "webhook/event.h"

struct pc_webhook_settings {
    uint32_t batch_ms, batch_events; /* 0 and 1: each event is sent alone */
    uint32_t behind_events;          /* an endpoint is behind while so many events are ready */
    uint32_t delay_ms;               /* of removals */
    uint32_t retry_ms;               /* from the first request to the last */
    uint32_t max_queued;             /* events of one endpoint */
    uint64_t max_bytes;              /* of the events of all apps */
    uint32_t max_under_way;          /* requests of all apps */
};

struct pc_webhook_backlog {
    const struct pc_mem *mem; /* borrowed, as are the next two */
    const struct pc_webhook_settings *settings;
    struct pc_webhook_stats *stats;
    struct pc_list ready, delayed;
    struct pc_map ready_by_key; /* those that a later event may cancel or replace */
    struct pc_map delayed_by_key;
    uint32_t ready_count;   /* of events in `ready` that are not silent */
    uint32_t delayed_count; /* of all in `delayed` */
    uint32_t count;         /* of all */
    size_t bytes;           /* of all */
};

void pc_backlog_init(struct pc_webhook_backlog *backlog, const struct pc_mem *mem,
                     const struct pc_webhook_settings *settings, struct pc_webhook_stats *stats,
                     const uint64_t seed[2]);
void pc_backlog_free(struct pc_webhook_backlog *backlog); /* it is empty */

/* True: nothing has to be added for the notice, because it cancels an event that waits, or one that waits says the
 * same. `key` is that of pc_webhook_put_key(). */
bool pc_backlog_absorb(struct pc_webhook_backlog *backlog, const struct pc_notice *notice,
                       pusherc_slice key);
/* More is ready than one batch takes. */
bool pc_backlog_is_behind(const struct pc_webhook_backlog *backlog);
/* Takes over the event. `delayed`: it is a removal that waits until event->ready_ms. 0 or PUSHERC_ENOMEM. */
PC_CHECKED int pc_backlog_add(struct pc_webhook_backlog *backlog, struct pc_webhook_event *event,
                              bool delayed);
/* Makes removals ready whose time has come. `all`: every one. Afterwards the first event in `ready` is not silent. */
void pc_backlog_advance(struct pc_webhook_backlog *backlog, uint64_t now_ms, bool all);

/* The first event to send, and the first removal that is delayed; NULL = none. */
struct pc_webhook_event *pc_backlog_first(const struct pc_webhook_backlog *backlog);
struct pc_webhook_event *pc_backlog_removal(const struct pc_webhook_backlog *backlog);
/* Takes the first event out; the caller owns it. There is one. */
struct pc_webhook_event *pc_backlog_take(struct pc_webhook_backlog *backlog);
/* Puts events back that were taken, before the others. */
void pc_backlog_put_back(struct pc_webhook_backlog *backlog, struct pc_list *events);
/* Drops the event that would be sent last, and counts it. False: there is none. */
bool pc_backlog_drop_last(struct pc_webhook_backlog *backlog);

#endif
