/*
 * The command line.
 */
#ifndef STATUS_PAGE_OPTIONS_H
#define STATUS_PAGE_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

struct options {
    const char *host;
    uint16_t port;
    const char *data;
    const char *node_modules;
    const char *tls_cert; /* NULL = plain */
    const char *tls_key;
    /* What setup.h adds; NULL = nothing. */
    const char *add_organization;
    const char *add_user;
    const char *name;
    const char *organization;
    const char *role;
    bool empty;   /* a new database is not filled with the demo */
    bool metrics; /* listen for Prometheus, on metrics_port */
    uint16_t metrics_port;
    const char *metrics_host;
    uint16_t proxies; /* in front: client addresses are what they say */
};

/* 0, 1 if all was said with --help, or -1 after a line on standard error. */
int options_parse(struct options *options, int argc, char **argv);
/* BROADCAST_DEBUG, as people write such a thing. */
bool options_trace(void);

#endif
