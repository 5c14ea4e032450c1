/*
 * What is told of tickets: names, payloads, channels. The member "for" of a payload is for audience.c, which takes it out.
 */
#ifndef EVENTS_H
#define EVENTS_H

#include "desk.h"

/* Fewer of them, for how long the past is kept, who types, who has got what: docs/shaping.md, history.md, typing.md,
 * receipts.md. */
void events_configure(pusherc_app_options *app);

/* The ticket's change has happened: what follows goes to the ticket, its creator and its office. */
void events_of_ticket(struct change *change, int64_t ticket_id);
/* One more channel, unless it is there already. */
void events_also(struct change *change, const char *kind, int64_t id);

void event_reply(struct change *change, int64_t reply_id);
/* `changes`: {field: {"old", "new"}}; taken. Internal: of a note. */
void event_updated(struct change *change, int64_t ticket_id, cJSON *changes, bool internal);
void event_status(struct change *change, int64_t ticket_id, const char *before);
/* `what`: "delivered" or "read". On the ticket only. */
void event_mark(struct change *change, const char *what, int64_t ticket_id, int64_t reply_id,
                int64_t user_id, bool internal);

/* Run with --trigger EVENT --ticket UUID: publish what the program would. 0 or -1. */
int event_trigger(struct program *program);

#endif
