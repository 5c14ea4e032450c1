/*
 * Writes that belong to no other file: what a poller elsewhere has read, who may see what, the demo's panel.
 */
#ifndef WRITES_H
#define WRITES_H

#include "monitor.h"

/* Routes, all POST: /api/v1/gateways/{id}/poll, /api/v1/users/{id}/sites; /api/v1/demo/gateways and .../lose-site */
void write_poll(struct program *program, pusherc_http_request *request,
                const struct http_params *params);
void write_permissions(struct program *program, pusherc_http_request *request,
                       const struct http_params *params);
void write_demo(struct program *program, pusherc_http_request *request,
                const struct http_params *params);

#endif
