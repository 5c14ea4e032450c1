/*
 * The webhook endpoints of an app: a checked, counted, immutable copy of the host's options, with the key that signs.
 * It stays usable after the app's settings were replaced. Any thread.
 */
#ifndef PC_CHANNEL_ENDPOINT_H
#define PC_CHANNEL_ENDPOINT_H

#include <stdatomic.h>
#include <stdbool.h>

#include <pusherc/app.h>

#include "codec/crypto.h"
#include "codec/pairs.h"

#define PC_ENDPOINT_MAX_FIELDS 16

struct pc_endpoint {
    char *url;                    /* owned */
    uint32_t nth;                 /* of the app's endpoints with this URL, from 0 */
    uint32_t kinds;               /* PUSHERC_WEBHOOK_*: the events that it is sent */
    pusherc_slice prefix, suffix; /* of channels; owned */
    struct pc_pair *fields;       /* owned, as are names and values */
    size_t field_count;
};

/* All endpoints of one app, in the host's order. */
struct pc_endpoints {
    _Atomic uint32_t refs;
    struct pc_mem mem;
    pusherc_slice app_id, app_key; /* owned */
    struct pc_hmac_key *secret;    /* owned */
    /* The events to observe for them: those they are sent, and their reverse (see pc_kinds_with_pairs()) */
    uint32_t kinds;
    size_t count;
    struct pc_endpoint items[];
};

/* 0 or PUSHERC_EINVAL; `info` names the app, the number of the endpoint, and the field, but no value. */
PC_CHECKED int pc_endpoints_check(const pusherc_app_options *options, pusherc_errinfo *info);
/* Copies checked options with webhook_count > 0. 0, PUSHERC_ENOMEM, PUSHERC_EIO. Counted once. */
PC_CHECKED int pc_endpoints_new(struct pc_endpoints **out, const struct pc_mem *mem,
                                const pusherc_app_options *options);
struct pc_endpoints *pc_endpoints_ref(struct pc_endpoints *endpoints); /* NULL is harmless */
void pc_endpoints_unref(struct pc_endpoints *endpoints);               /* NULL is harmless */

/* The endpoint with the same URL and `nth`; NULL: it has no such endpoint. */
const struct pc_endpoint *pc_endpoints_find(const struct pc_endpoints *endpoints,
                                            const struct pc_endpoint *like);

/* Host and port of the URL, for logs and pages: user, path and query may be secret. */
pusherc_slice pc_url_host(pusherc_slice url);

/* Adds to each addition its removal, and the reverse. A channel or member that goes and comes back in time is not
 * reported, so the sender must observe both events for an endpoint that wants one of them. Adds channel_vacated to what
 * means nothing once the channel is vacant: cache misses and counts. */
uint32_t pc_kinds_with_pairs(uint32_t kinds);

static inline bool pc_endpoint_wants_channel(const struct pc_endpoint *endpoint,
                                             pusherc_slice channel)
{
    return pc_slice_starts(channel, endpoint->prefix) && pc_slice_ends(channel, endpoint->suffix);
}

#endif
