/*
 * Gateways that another server of the same database polls: what it has read is taken from there.
 */
#ifndef FOLLOW_H
#define FOLLOW_H

#include "monitor.h"

/* Within a second of each write. Gateways that this server polls are left alone. */
void follow_begin(struct monitor *monitor);
void follow_end(struct monitor *monitor);

#endif
