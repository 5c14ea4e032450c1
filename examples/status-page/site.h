/*
 * The one object that everything hangs from.
 */
#ifndef STATUS_PAGE_SITE_H
#define STATUS_PAGE_SITE_H

#include <stddef.h>
#include <stdint.h>

#include <pusherc/pusherc.h>

/* There is one app. Its key is public, its secret is made up on each start: only this process publishes. */
#define SITE_APP_ID  "status-page"
#define SITE_APP_KEY "status-page-key"

struct scripts;
struct store;

struct site {
    pusherc_server *server;
    struct uv_loop_s *loop;
    struct store *store;
    struct scripts *scripts;
    const char *host; /* as listened on */
    uint16_t port;
    size_t logins_running; /* passwords being checked on other threads */
    char start_id[17];     /* part of ETags: another program may draw another page */
};

#endif
