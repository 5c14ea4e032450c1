/*
 * The command line, and the environment.
 */
#ifndef COMMON_OPTIONS_H
#define COMMON_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

struct program_spec;

struct options {
    const char *host;
    uint16_t port;
    const char *data;
    const char *node_modules;
    const char *tls_cert; /* NULL = plain */
    const char *tls_key;
    const char *env; /* a file with more of the environment */
    bool empty;      /* a new database is not filled with the demo */
    bool metrics;    /* listen for Prometheus, on metrics_port */
    uint16_t metrics_port;
    const char *metrics_host;
    uint16_t proxies;   /* in front: client addresses are what they say */
    uint16_t session_s; /* how long one stays signed in */
};

/* An option of the example: --NAME VALUE; with a flag --NAME alone, which is set; with both --NAME or --NAME=VALUE. A list
 * of them ends with one without a name. */
struct program_option {
    const char *name;
    const char **value;
    bool *flag;
};

/* 0, 1 if all was said with --help, or -1 after a line on standard error. Reads the file of --env, too. */
int options_parse(struct options *options, const struct program_spec *spec, int argc, char **argv);

/* BROADCAST_DEBUG, as people write such a thing. */
bool options_trace(void);

#endif
