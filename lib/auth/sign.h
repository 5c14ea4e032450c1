/*
 * Pusher's signatures (protocol section 4), made with codec/crypto. The public functions of
 * pusherc/sign.h check their arguments and call these. Pure; any thread.
 */
#ifndef PC_AUTH_SIGN_H
#define PC_AUTH_SIGN_H

#include <pusherc/sign.h>

#include "codec/crypto.h"
#include "codec/http.h"

/* The most query parameters of one signed request; those of a POST without a body may name 100 channels. */
#define PC_SIGN_MAX_PARAMS 256

/* The most bytes that pc_verify_request() appends to `why`. */
#define PC_SIGN_MAX_WHY 8192

/* Checks `auth`, "key:hex", for this subscription. `socket_id` is in its printed form. channel_data len 0 = none. 0;
 * PUSHERC_EAUTH  *why is a static sentence that never holds the expected digest ("Auth info required",
 *                "Invalid key in subscription auth data", "Invalid signature")
 * PUSHERC_EIO    making the digest failed; *why is set too */
PC_CHECKED int pc_verify_channel_auth(pusherc_slice app_key, const struct pc_hmac_key *secret,
                                      pusherc_slice socket_id, pusherc_slice channel,
                                      pusherc_slice channel_data, pusherc_slice auth,
                                      const char **why);
/* Checks the `auth` of pusher:signin in the same way. */
PC_CHECKED int pc_verify_user_auth(pusherc_slice app_key, const struct pc_hmac_key *secret,
                                   pusherc_slice socket_id, pusherc_slice user_data,
                                   pusherc_slice auth, const char **why);

/* The answer of an auth endpoint: {"auth":"key:hex","channel_data":"...","shared_secret":"..."}. */
struct pc_sign_answer {
    pusherc_slice app_key;
    const char *hex;         /* the signature, PC_SHA256_HEX long */
    pusherc_slice data_name; /* "channel_data" or "user_data" */
    pusherc_slice data;      /* JSON, written as a string; len 0 = left out */
    pusherc_slice channel;   /* a valid name */
    /* for the shared_secret of encrypted channels; NULL = the answer has no shared_secret */
    const uint8_t *master_key;
};
/* 0; PUSHERC_EIO: making the shared secret failed. */
PC_CHECKED int pc_sign_put_answer(struct pc_buf *buf, const struct pc_sign_answer *answer);

/* A signed HTTP API request (4.4). `params` are decoded, in the order received. */
struct pc_signed_request {
    pusherc_slice method, path; /* path as sent, percent-encoding kept */
    pusherc_slice path_prefix;  /* some SDKs leave it out of the path they sign; may be empty */
    const struct pc_pair *params;
    size_t param_count;
    pusherc_slice body;
};

/* Makes the checks of "REC verification procedure", steps 2 to 6. 0, or
 * PUSHERC_EAUTH   the text for the 401 body has been appended to `why`: one line of valid UTF-8 with the documented
 *                 sentences. It contains the string to sign, but not the expected digest
 * PUSHERC_ENOMEM  memory ran out, or `why` could not grow
 * PUSHERC_EIO     making a digest failed */
PC_CHECKED int pc_verify_request(pusherc_slice app_key, const struct pc_hmac_key *secret,
                                 const struct pc_signed_request *request, uint64_t unix_time_s,
                                 uint32_t max_skew_s, const struct pc_mem *mem, struct pc_buf *why);

/* How parameters like "info[0]=a&info[1]=b" are signed: Ruby's SDK signs the pairs as sent, PHP's SDK "info=a,b". */
enum pc_query_form {
    PC_QUERY_AS_RECEIVED,
    PC_QUERY_ARRAYS_MERGED
};

/* Appends the canonical query: all parameters but "auth_signature", with keys in lower case and decoded values, sorted
 * by key (equal keys keep their order). count <= PC_SIGN_MAX_PARAMS. */
void pc_sign_put_query(struct pc_buf *buf, const struct pc_pair *params, size_t count,
                       enum pc_query_form form);

#endif
