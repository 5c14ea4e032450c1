/*
 * The commands that publish events as Laravel's "redis" broadcaster does, and what the answers of Redis mean for them. No
 * socket.
 */
#ifndef PC_BROADCAST_REDIS_FORMAT_H
#define PC_BROADCAST_REDIS_FORMAT_H

#include "base/buf.h"
#include "broadcast/batch.h"
#include "broadcast/url.h"
#include "redis/conn.h"

#define PC_REDIS_MAX_ANSWER_BYTES 65536

/* Appends PUBLISH for each channel of each event. *count: how many answers follow. 0 or PUSHERC_ENOMEM. */
PC_CHECKED int pc_redis_put_batch(struct pc_buf *buf, const struct pc_broadcast_url *url,
                                  const struct pc_broadcast_batch *batch, uint32_t *count);
/* The same for what a new connection needs: AUTH and SELECT. *count may be 0. */
PC_CHECKED int pc_redis_put_greeting(struct pc_buf *buf, const struct pc_broadcast_url *url,
                                     uint32_t *count);

/* What an error means for the events. `reason` is that text. */
void pc_redis_judge(struct pc_broadcast_answer *out, pusherc_slice error);

/* What the setting says about TLS: with `*out` NULL Redis is reached without it. `ca_file`: if the setting has none; NULL =
 * the system's authorities. As pc_tls_trust_new(). */
PC_CHECKED int pc_redis_trust(struct pc_tls_trust **out, const struct pc_mem *mem,
                              const struct pc_broadcast_url *url, const char *ca_file,
                              pusherc_errinfo *info);
/* The nth host of the setting, which outlives connections to it. */
struct pc_redis_place pc_redis_place(const struct pc_broadcast_url *url, size_t host,
                                     const struct pc_tls_trust *trust);

#endif
