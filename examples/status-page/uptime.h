/*
 * The last 90 days of one service, from its status log: what the bars on the page show.
 */
#ifndef STATUS_PAGE_UPTIME_H
#define STATUS_PAGE_UPTIME_H

#include <stdint.h>

#include <cjson/cJSON.h>

struct store;

#define UPTIME_DAYS 90

/*
 * Add to `service` (needs id, status and created_at):
 *   uptime   "99.98", the share of time without an outage since created_at or in the last 90 days
 *   unknown  days at the beginning of which nothing is known
 *   days     those with trouble: {"x": 0 for the oldest..89, "status": the worst, "title": text}
 */
void uptime_add(struct store *store, cJSON *service, int64_t now_s);

#endif
