/*
 * The one object that everything hangs from.
 */
#ifndef STATUS_PAGE_SITE_H
#define STATUS_PAGE_SITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <pusherc/pusherc.h>

#include "attempts.h"

/* There is one app. Its key is public, its secret is made up on each start: only this process publishes. */
#define SITE_APP_ID  "status-page"
#define SITE_APP_KEY "status-page-key"

struct scripts;
struct store;

/* The public page that was drawn last. */
struct drawn_page {
    char etag[160];
    char *page;
    size_t bytes;
};

struct site {
    pusherc_server *server;
    struct uv_loop_s *loop;
    struct store *store;
    struct scripts *scripts;
    struct drawn_page drawn;
    const char *host; /* as listened on */
    uint16_t port;
    bool tls;          /* as listened on; a proxy in front may speak it, too */
    bool kept;         /* the database is a file */
    bool trace;        /* BROADCAST_DEBUG: tell each publish and each decision on standard error */
    bool write_failed; /* the last one; health.c asks whether it would work now */
    bool publish_failed;   /* the last one */
    size_t logins_waiting; /* passwords being checked on other threads */
    struct attempts attempts;
    char start_id[17]; /* part of ETags: another program may draw another page */
};

#endif
