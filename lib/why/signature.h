/*
 * Finds out how a refused signature was made. Most programs that sign wrongly make one of a few mistakes: another
 * secret, another name, data that was encoded again. Each mistake is repeated on purpose: if the digest is then the one
 * that was sent, this was the mistake. One explanation makes some dozens of digests, so callers limit how often they
 * ask. The sentence is for the operator's log and not for the client, because it can name other apps of the server. It
 * holds neither a secret nor a digest that would be right.
 */
#ifndef PC_WHY_SIGNATURE_H
#define PC_WHY_SIGNATURE_H

#include "auth/sign.h"

#define PC_WHY_MAX_BYTES 400 /* of a sentence */

/* Another app of the server. */
struct pc_why_secret {
    pusherc_slice app_id;
    const struct pc_hmac_key *key;
};

/* What is known about a refused signature. */
struct pc_wrong_signature {
    const struct pc_mem *mem;
    pusherc_slice text; /* as sent: "key:hex" of clients, the hex of an HTTP request */
    pusherc_slice app_id, app_key;
    pusherc_slice secret_text;
    const struct pc_hmac_key *secret;
    pusherc_slice key_owner; /* id of the other app whose key was sent; len 0 = none */
    const struct pc_why_secret *others;
    size_t other_count;
};

/* Printed ids of other connections that a signature may have been made for. */
struct pc_why_sockets {
    const pusherc_slice *ids;
    size_t open, ended; /* those that are open come first */
};

/* Each appends a sentence to `cause`, at most PC_WHY_MAX_BYTES; also if no mistake fits. */

void pc_why_channel_auth(const struct pc_wrong_signature *wrong, pusherc_slice socket_id,
                         pusherc_slice channel, pusherc_slice channel_data,
                         const struct pc_why_sockets *others, struct pc_buf *cause);
void pc_why_user_auth(const struct pc_wrong_signature *wrong, pusherc_slice socket_id,
                      pusherc_slice user_data, const struct pc_why_sockets *others,
                      struct pc_buf *cause);

/* An HTTP request that pc_verify_request() refused. `raw_query` is the query as sent; `forwarded_prefix` is the part of
 * the path that a proxy says it has removed. False: there is nothing to add to the answer that the client got. */
bool pc_why_request_signature(const struct pc_wrong_signature *wrong,
                              const struct pc_signed_request *request, pusherc_slice raw_query,
                              pusherc_slice forwarded_prefix, uint64_t unix_time_s,
                              uint32_t max_skew_s, struct pc_buf *cause);

#endif
