/*
 * What is told to whom: one table of channels, events, their payloads and who owns what they are about. An event says that
 * something has changed, and pages ask what; only a task that is done is told as a whole.
 */
#ifndef PROVISIONING_EVENTS_H
#define PROVISIONING_EVENTS_H

#include <pusherc/pusherc.h>

#include "common/change.h"

enum event_kind {
    EVENT_PROVISION,
    EVENT_PACKAGES,
    EVENT_DATABASES,
    EVENT_LOG,
    EVENT_DEPLOYMENT,
    EVENT_TASK,
    EVENT_SERVERS,
    EVENT_KINDS
};

struct event {
    const char *pattern; /* of channels, without "private-" */
    const char *name;    /* as `useEcho` forms it: App\Events\... */
    const char *payload; /* SQL, of ?1: what the channel is about, and ?2 */
    const char *owner;   /* SQL: a row if the user of session ?2 owns ?1, a text */
};
extern const struct event events[EVENT_KINDS];

/* Fewer of them: docs/shaping.md. */
extern const char events_shaping[];

/* Tell it at the end of the change. `more`: ?2 of its payload; NULL if there is none. */
void event_tell(struct change *change, enum event_kind kind, int64_t id, const char *more);

/* The rules of all channels in the table. */
struct audience {
    struct program *program;
    enum event_kind kind;
};
int events_add_rules(struct program *program, struct audience audiences[EVENT_KINDS],
                     pusherc_errinfo *info);
/* The server has another owner: pages of the former one hear no more of it. */
void events_owner_changed(struct program *program, int64_t server_id);

#endif
