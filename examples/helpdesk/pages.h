/*
 * Pages. The server draws each of them whole; static/desk.js makes them live.
 */
#ifndef PAGES_H
#define PAGES_H

#include "desk.h"

/* Routes */
void page_start(struct program *program, pusherc_http_request *request,
                const struct http_params *params);
void page_tickets(struct program *program, pusherc_http_request *request,
                  const struct http_params *params);
void page_ticket(struct program *program, pusherc_http_request *request,
                 const struct http_params *params);
void page_admin(struct program *program, pusherc_http_request *request,
                const struct http_params *params);
/* /demo/{who}/tickets and /demo/{who}/tickets/{uuid}: a page whose user signs in by a token, so that two users' pages
 * stand side by side in one browser. */
void page_demo(struct program *program, pusherc_http_request *request,
               const struct http_params *params);

#endif
