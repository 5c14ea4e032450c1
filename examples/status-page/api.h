/*
 * The HTTP API under /api/v1, for programs and for the dashboard's forms. Answers are JSON; a form is sent back
 * to its page. Writes take form fields (application/x-www-form-urlencoded), among them "csrf", or have
 * the header X-CSRF-Token; fields may come as a JSON object, too.
 *
 *   GET  /api/v1/organizations/{slug}                          what this client may see of it
 *   POST /api/v1/services/{id}/status                          admins and owners: services.h; or PATCH
 *   POST /api/v1/organizations/{id}/services
 *   POST /api/v1/organizations/{id}/incidents                  ... incidents.h
 *   POST /api/v1/incidents/{id}, /api/v1/incidents/{id}/updates
 *   POST /api/v1/organizations/{id}/maintenances               ... maintenances.h
 *   POST /api/v1/maintenances/{id}, .../updates, .../state
 *   POST /api/v1/organizations/{id}/members                    owners: organization.h
 *   POST /api/v1/organizations/{id}/members/{id}/remove
 *   POST /api/v1/organizations/{id}/visibility
 *   PATCH /services/{id}/status, POST /incidents               the same by names that others know: "description" is
 *                                                              "message", "severity" (minor, major, critical) the effect
 *   GET  /api/v1/health, /api/v1/websocket/health              common/health.h
 *   GET  /api/v1/websocket/metrics                             counters.h
 */
#ifndef STATUS_PAGE_API_H
#define STATUS_PAGE_API_H

#include "common/http.h"

/* True if the request was one for the API and is answered or will be. */
bool api_dispatch(struct program *program, pusherc_http_request *request);

#endif
