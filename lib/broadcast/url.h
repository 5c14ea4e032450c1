/*
 * The setting that names a carrier, parsed: include/pusherc/broadcast.h has the forms. What is between the separators
 * may be percent-encoded. Nothing here says what a carrier does with it.
 */
#ifndef PC_BROADCAST_URL_H
#define PC_BROADCAST_URL_H

#include <pusherc/sign.h>

#include "base/mem.h"
#include "base/slice.h"

#define PC_BROADCAST_MAX_HOSTS    8
#define PC_BROADCAST_MAX_CARRIERS 8 /* of one failover: */

enum pc_carrier_kind {
    PC_CARRIER_HTTP,
    PC_CARRIER_REDIS,
    PC_CARRIER_LOCAL,
    PC_CARRIER_LOG,
    PC_CARRIER_NULL,
    PC_CARRIER_HOST,
    PC_CARRIER_FAILOVER
};

struct pc_broadcast_host {
    pusherc_slice name; /* without the brackets of IPv6 */
    uint16_t port;      /* not 0 */
    bool is_ipv6;
};

struct pc_broadcast_url {
    enum pc_carrier_kind kind;
    bool tls;
    bool no_keys;                 /* idempotency=off */
    pusherc_slice user, password; /* of HTTP: key and secret */
    pusherc_slice app_id;         /* of HTTP and local: */
    pusherc_slice path;           /* of HTTP: what stands before /apps/ID; may be empty */
    pusherc_slice prefix;         /* of Redis: what stands before each channel */
    pusherc_slice
        master; /* of Redis: the hosts are Sentinels, which know it; len 0 = they are Redis */
    pusherc_slice sentinel_user, sentinel_password;
    pusherc_slice ca_file, cert_file, key_file; /* of Redis over TLS; len 0 = not given */
    uint32_t db;                                /* of Redis */
    struct pc_broadcast_host hosts[PC_BROADCAST_MAX_HOSTS];
    size_t host_count;
    bool has_master_key;
    uint8_t master_key[PUSHERC_MASTER_KEY_SIZE];
    pusherc_slice rest;       /* of failover: the list */
    const struct pc_mem *mem; /* borrowed */
    char *text;               /* owned: the slices point into it */
    size_t text_size;
};

/* 0; PUSHERC_EINVAL: *why is a static sentence without secrets; PUSHERC_ENOMEM. Free it after a success. */
PC_CHECKED int pc_broadcast_url_parse(struct pc_broadcast_url *out, const struct pc_mem *mem,
                                      pusherc_slice text, const char **why);
void pc_broadcast_url_free(struct pc_broadcast_url *url); /* wipes; zero is harmless */

/* Cuts the first setting off a list with commas; false when nothing is left. A comma separates only if a setting follows
 * it, for lists of hosts have commas as well. */
bool pc_broadcast_url_next(pusherc_slice *list, pusherc_slice *one);

#endif
