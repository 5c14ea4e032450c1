/*
 * Gateways that do not exist: each is polled once a second, values are slow sines with noise, some gateways do not answer
 * for a while, and tanks run over. The same seed gives the same.
 */
#ifndef SIMULATE_H
#define SIMULATE_H

#include "monitor.h"

void simulate_begin(struct monitor *monitor);
void simulate_end(struct monitor *monitor);
/* No gateway of the site answers for so long. */
void simulate_lose_site(struct monitor *monitor, unsigned site, int64_t for_ms);

#endif
