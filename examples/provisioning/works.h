/*
 * What goes on on a server that is set up: packages, databases and deployments with a progress, and tasks that end.
 */
#ifndef PROVISIONING_WORKS_H
#define PROVISIONING_WORKS_H

#include "common/http.h"
#include "events.h"

/* One page and one resource each. `extra` of their routes. */
struct work_kind {
    const char *name; /* of works.kind */
    enum event_kind event;
    bool site; /* {id} of its addresses is a site's */
};
extern const struct work_kind work_packages, work_databases, work_deployment;

/* Of a page or resource: 0 if there is no such server or site. */
int64_t work_server(struct program *program, const struct work_kind *kind, int64_t id);

/* Routes: GET /api/v1/servers/{id}/packages and so on; POST adds one. POST /servers/{id}/deploy: the first site's. */
void works_get(struct program *, pusherc_http_request *, const struct http_params *);
void works_add(struct program *, pusherc_http_request *, const struct http_params *);
void works_deploy(struct program *, pusherc_http_request *, const struct http_params *);
/* Route: POST /api/v1/servers/{id}/tasks */
void tasks_add(struct program *, pusherc_http_request *, const struct http_params *);

/* The job that does them, now and then. */
void works_tick(struct program *program);

#endif
