/*
 * Why a signature is wrong, for those who run the server: whoever signs wrongly mostly makes one of a few mistakes, and
 * each of them can be tried. Some dozens of digests, so callers see to it that the log wants to know and how often.
 * What is found goes into the log and never to the client: it tells what other apps there are. Never a secret,
 * never a digest that would be right.
 */
#ifndef PC_AUTH_BLAME_H
#define PC_AUTH_BLAME_H

#include "auth/sign.h"

#define PC_BLAME_MAX_OTHERS 32 /* apps, and as many sockets, that are tried */
#define PC_BLAME_MAX_BYTES  400
#define PC_BLAME_PER_S      5 /* how often it is worth it */

/* Another app of the server. */
struct pc_blame_secret {
    pusherc_slice app_id;
    const struct pc_hmac_key *key;
};

/* What is known of a signature that did not fit. */
struct pc_blame {
    const struct pc_mem *mem;
    pusherc_slice signature; /* as sent: "key:hex" of clients, the hex of an HTTP request */
    pusherc_slice app_id, app_key;
    pusherc_slice secret_text;
    const struct pc_hmac_key *secret;
    pusherc_slice key_owner; /* id of the app whose key was sent, if it is another one */
    const struct pc_blame_secret *others;
    size_t other_count;
};

/* Each appends a sentence to `cause`, at most PC_BLAME_MAX_BYTES; if no mistake fits, it says that. */

/* A subscription; other_sockets: printed ids of connections that it may have been meant for. */
void pc_blame_channel(const struct pc_blame *blame, pusherc_slice socket_id, pusherc_slice channel,
                      pusherc_slice channel_data, const pusherc_slice *other_sockets,
                      size_t other_socket_count, struct pc_buf *cause);
void pc_blame_user(const struct pc_blame *blame, pusherc_slice socket_id, pusherc_slice user_data,
                   const pusherc_slice *other_sockets, size_t other_socket_count,
                   struct pc_buf *cause);

/* An HTTP request that pc_verify_request() refused. `raw_query` as sent; `forwarded_prefix` is what a proxy says it
 * took off the path. False: the answer says all there is to say. */
bool pc_blame_request(const struct pc_blame *blame, const struct pc_signed_request *request,
                      pusherc_slice raw_query, pusherc_slice forwarded_prefix, uint64_t unix_time_s,
                      uint32_t max_skew_s, struct pc_buf *cause);

#endif
