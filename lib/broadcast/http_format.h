/* Requests of Pusher's HTTP API that publish, and what an answer means for their events. No socket. */
#ifndef PC_BROADCAST_HTTP_FORMAT_H
#define PC_BROADCAST_HTTP_FORMAT_H

#include <pusherc/sign.h>

#include "auth/encrypt.h"
#include "broadcast/batch.h"
#include "broadcast/url.h"

struct pc_http_publisher {
    const struct pc_broadcast_url *url; /* borrowed */
    bool no_keys;
};

/* True: the events go to /batch_events, else the one event to /events. With a key an event has the same form in each
 * attempt, alone or with others: a server that compares what comes under one key would find another form different. */
bool pc_http_uses_batch(const struct pc_http_publisher *publisher,
                        const struct pc_broadcast_batch *batch);
/* Appends the body. Encrypts for
 * encrypted channels if there is a master key; an event is encrypted alike each time, because its key promises the same
 * content. 0, PUSHERC_ENOMEM, PUSHERC_EIO, PUSHERC_ENOSYS (needs encryption). */
PC_CHECKED int pc_http_put_body(struct pc_buf *buf, const struct pc_http_publisher *publisher,
                                const struct pc_broadcast_batch *batch);
/* Appends the signed URL of that request to one of the hosts, and a NUL. 0, PUSHERC_ENOMEM, PUSHERC_EIO. */
PC_CHECKED int pc_http_put_url(struct pc_buf *buf, const struct pc_http_publisher *publisher,
                               size_t host, bool batch, pusherc_slice body, uint64_t unix_time_s);

struct pc_http_answer {
    int status;             /* 0 = none */
    const char *error;      /* why the answer is not complete; NULL = it is */
    uint32_t retry_after_s; /* 0 = not said */
    pusherc_slice body;     /* its beginning; any bytes */
};

/* What the answer means. The reason is in `room` or static. */
void pc_http_judge(struct pc_broadcast_answer *out, const struct pc_http_answer *answer,
                   char room[160]);
/* True: another server of the same app may take it. */
bool pc_http_tries_next_host(const struct pc_http_answer *answer);

#endif
