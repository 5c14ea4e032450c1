/*
 * The fleet in memory: gateways, points, and what was read last.
 */
#ifndef FLEET_H
#define FLEET_H

#include "monitor.h"

/* Read gateways and points that are not in memory yet, after making so many that there are `wanted`. 0 or -1. */
int fleet_load(struct monitor *monitor, int64_t wanted);
/* Hand the counters of polls to the writer: else they are written when a gateway comes or goes. */
void fleet_save(struct monitor *monitor);
void fleet_free(struct monitor *monitor);
/* NULL: there is none. */
struct gateway *fleet_gateway(const struct monitor *monitor, int64_t id);
struct point *fleet_point(const struct monitor *monitor, int64_t id);
void fleet_add_sample(struct monitor *monitor, struct point *point, int64_t at_ms, double value);

/* What the dashboard shows, of these sites, as JSON; the line of one point (0: none) after `since_ms`. To be freed. */
char *fleet_dashboard(const struct monitor *monitor, uint64_t sites, int64_t point_id,
                      int64_t since_ms, size_t *bytes);
/* The same for drawing a page: sites with their gateways with their points. */
cJSON *fleet_sites(const struct monitor *monitor, uint64_t sites);
cJSON *fleet_describe(const struct monitor *monitor, const struct gateway *gateway, bool admin);
void fleet_count(const struct monitor *monitor, uint64_t sites, size_t *active, size_t *inactive);

const char *quality_name(enum quality quality);

#endif
