/*
 * How connections do: the last attempts, which pages ask because they cannot hear, and what is recommended to those.
 */
#ifndef HEALTH_H
#define HEALTH_H

#include "monitor.h"

size_t health_bytes(void); /* of struct connections, all zeros at first */
/* Hooks: clients that come and go. */
void health_watch(pusherc_hooks *hooks);
/* A page has asked because it is not live, and asks again after so many seconds; 0: it is live. A page calls itself by a
 * number. */
void health_note_fallback(struct program *program, int64_t page, int64_t interval_s);
/* More for /api/v1/websocket/health. */
void health_describe(struct program *program, cJSON *health);

#endif
