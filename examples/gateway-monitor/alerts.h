/*
 * Alerts: a point above its limit for its delay. They are told to the users who are responsible for the site, and posted to
 * an operator's URL. One who acknowledges does it for all.
 */
#ifndef ALERTS_H
#define ALERTS_H

#include "monitor.h"

/* After each reading: raise, or clear once the value is below the limit by the hysteresis. */
void alerts_check(struct monitor *monitor, struct point *point);
/* What the user is responsible for or may see, newest first. */
cJSON *alerts_list(struct program *program, uint64_t sites);

/* Route: POST /api/v1/alerts/{id}/acknowledge */
void alerts_acknowledge(struct program *program, pusherc_http_request *request,
                        const struct http_params *params);

#endif
