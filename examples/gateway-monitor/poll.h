/*
 * What a poll of a gateway leads to: values, counters, a status, rows of the database, events, alerts.
 */
#ifndef POLL_H
#define POLL_H

#include "monitor.h"

/* Of one point: two registers of 16 bits, and what they mean. */
struct measured {
    double value;
    enum quality quality;
};

/* A poll has ended. `measured`: one for each point of the gateway; NULL: no answer. */
void poll_ended(struct monitor *monitor, struct gateway *gateway, const struct measured *measured);
/* A gateway is inactive after so many polls without an answer, and active with the first answer. */
#define FAILURES_UNTIL_INACTIVE 3

/* Each second: is there room for more events; and what is too old in the database goes, bit by bit. */
void poll_tick(struct monitor *monitor);

#endif
