/*
 * Pusher's signatures (protocol section 4), on top of codec/crypto. The public functions of
 * pusherc/sign.h are thin calls of these. Pure; any thread.
 */
#ifndef PC_AUTH_SIGN_H
#define PC_AUTH_SIGN_H

#include <pusherc/sign.h>

#include "codec/crypto.h"
#include "codec/http.h"

/* Query parameters of one signed request; a POST without body may name 100 channels in them. */
#define PC_SIGN_MAX_PARAMS 256

/* What pc_verify_request() appends to `why` at most. */
#define PC_SIGN_MAX_WHY 8192

/* Is `auth` = "key:hex" right for this subscription? socket_id is its printed form. channel_data len 0 =
 * none. 0;
 * PUSHERC_EAUTH  *why is a static sentence that never holds the expected digest ("Auth info required",
 *                "Invalid key in subscription auth data", "Invalid signature")
 * PUSHERC_EIO    no digest could be made; *why is filled too */
PC_CHECKED int pc_verify_channel_auth(pusherc_slice app_key, const struct pc_hmac_key *secret,
                                      pusherc_slice socket_id, pusherc_slice channel,
                                      pusherc_slice channel_data, pusherc_slice auth,
                                      const char **why);
/* The same for pusher:signin. */
PC_CHECKED int pc_verify_user_auth(pusherc_slice app_key, const struct pc_hmac_key *secret,
                                   pusherc_slice socket_id, pusherc_slice user_data,
                                   pusherc_slice auth, const char **why);

/* What auth endpoints answer: {"auth":"key:hex","channel_data":"...","shared_secret":"..."}. */
struct pc_sign_answer {
    pusherc_slice app_key;
    const char *hex;         /* the signature, PC_SHA256_HEX long */
    pusherc_slice data_name; /* "channel_data" or "user_data" */
    pusherc_slice data;      /* JSON, told as a string; len 0 = left out */
    pusherc_slice channel;   /* a valid name */
    const uint8_t
        *master_key; /* for the shared_secret of encrypted channels; NULL = it is left out */
};
/* 0 or PUSHERC_EIO: there was no shared secret. */
PC_CHECKED int pc_sign_put_answer(struct pc_buf *buf, const struct pc_sign_answer *answer);

/* A signed HTTP API request (4.4). `params` are decoded, in the order received. */
struct pc_signed_request {
    pusherc_slice method, path; /* path as sent, percent-encoding kept */
    pusherc_slice path_prefix;  /* what some SDKs leave out of the path they sign; may be empty */
    const struct pc_pair *params;
    size_t param_count;
    pusherc_slice body;
};

/* The checks of "REC verification procedure", steps 2 to 6. 0, or
 * PUSHERC_EAUTH   the text for the 401 body has been appended to `why`: one line of valid UTF-8 with the
 *                 documented sentences; names the string to sign, never the expected digest
 * PUSHERC_ENOMEM  also when `why` could not grow
 * PUSHERC_EIO     no digest could be made */
PC_CHECKED int pc_verify_request(pusherc_slice app_key, const struct pc_hmac_key *secret,
                                 const struct pc_signed_request *request, uint64_t unix_time_s,
                                 uint32_t max_skew_s, const struct pc_mem *mem, struct pc_buf *why);

/* How parameters like "info[0]=a&info[1]=b" are signed: Ruby's SDK signs the pairs, PHP's "info=a,b". */
enum pc_query_form {
    PC_QUERY_AS_RECEIVED,
    PC_QUERY_ARRAYS_MERGED
};

/* Appends the canonical query: all but "auth_signature", keys in lower case and sorted by them (equal keys
 * keep their order), values decoded. count <= PC_SIGN_MAX_PARAMS. */
void pc_sign_put_query(struct pc_buf *buf, const struct pc_pair *params, size_t count,
                       enum pc_query_form form);

#endif
