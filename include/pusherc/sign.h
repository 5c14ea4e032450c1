/**
 * @file sign.h
 * Pusher's signatures and its end-to-end encryption, without a server: for auth endpoints, clients of the HTTP API,
 * and receivers of webhooks.
 *
 * The functions have no state. Those that write text end it with NUL, and put its length without NUL into *len, unless
 * `len` is NULL. If `cap` is too small they return PUSHERC_ENOBUFS, leave `out` as it was, and put the capacity that
 * they need into *len; `out` may be NULL if `cap` is 0. After any other failure `out` and *len are as they were.
 *
 * Unless said otherwise: Thread: any. Blocks: no. In callbacks: yes. Owns: nothing. Since: 0.1.
 */
#ifndef PUSHERC_SIGN_H
#define PUSHERC_SIGN_H

#include <pusherc/error.h>
#include <pusherc/types.h>

PUSHERC_BEGIN_DECLS

/** Sizes of keys and signatures. */
enum {
    PUSHERC_HMAC_HEX_SIZE = 65,   /**< 64 hex digits and NUL */
    PUSHERC_MASTER_KEY_SIZE = 32, /**< bytes of the master key of end-to-end encrypted channels */
    PUSHERC_SHARED_SECRET_SIZE =
        32, /**< bytes of the secret that subscribers of such a channel share */
    PUSHERC_MAX_SIGNED_PARAMS = 256 /**< query parameters of one signed request */
};

/** The keys of an app. All of it is borrowed until the call returns. */
typedef struct pusherc_credentials {
    size_t struct_size;       /**< sizeof(pusherc_credentials) */
    pusherc_slice app_id;     /**< not used for signing; part of HTTP API paths */
    pusherc_slice key;        /**< 1 byte or more of UTF-8; no ':', no control characters */
    pusherc_slice secret;     /**< 1 byte or more */
    pusherc_slice master_key; /**< PUSHERC_MASTER_KEY_SIZE bytes; len 0 = no encrypted channels */
} pusherc_credentials;

/* clang-format off */
/** Initialiser of a pusherc_credentials. */
#define PUSHERC_CREDENTIALS_INIT { .struct_size = sizeof(pusherc_credentials) }
/* clang-format on */

/**
 * Do what PUSHERC_CREDENTIALS_INIT does, for other languages.
 *
 * @param out          overwritten with zeros and its size
 * @param struct_size  sizeof(pusherc_credentials) as the caller knows it
 */
PUSHERC_API void pusherc_credentials_init(pusherc_credentials *out, size_t struct_size);

/** One query parameter, decoded: "a,b", not "a%2Cb". */
typedef struct pusherc_http_param {
    pusherc_slice name;  /**< any bytes */
    pusherc_slice value; /**< any bytes */
} pusherc_http_param;

/**
 * Compute HMAC-SHA256, in lower-case hex.
 *
 * @param secret  the key, 1 byte or more
 * @param data    any bytes
 * @param out     filled on success
 * @return 0, or (then `out` is as it was)
 *         PUSHERC_EINVAL  the secret is empty
 *         PUSHERC_ENOMEM
 *         PUSHERC_EIO     the crypto library failed
 *
 * Source: RFC 2104, RFC 4231.
 */
PUSHERC_API PUSHERC_NODISCARD int pusherc_hmac_sha256_hex(pusherc_slice secret, pusherc_slice data,
                                                          char out[PUSHERC_HMAC_HEX_SIZE]);

/**
 * Sign a subscription: "key:hex", the "auth" of pusher:subscribe.
 *
 * @param credentials   key and secret
 * @param socket_id     of the subscriber; not zero
 * @param channel       a valid channel name, see pusherc_channel_classify()
 * @param channel_data  member data, exactly the bytes that the client will send; len 0 = none. Presence channels need
 *                      it, unless the client signs in
 * @param out           cap bytes; key.len + 66 are enough
 * @param cap           bytes at `out`
 * @param len           the length, or the capacity needed; may be NULL
 * @return 0, or
 *         PUSHERC_EINVAL   credentials, socket id or channel break a rule
 *         PUSHERC_ENOBUFS  see the top of this file
 *         PUSHERC_ENOMEM
 *         PUSHERC_EIO      the crypto library failed
 *
 * Source: Pusher Channels, "authenticating users / generating the authentication string".
 */
PUSHERC_API PUSHERC_NODISCARD int pusherc_sign_channel(const pusherc_credentials *credentials,
                                                       pusherc_socket_id socket_id,
                                                       pusherc_slice channel,
                                                       pusherc_slice channel_data, char *out,
                                                       size_t cap, size_t *len);

/**
 * Sign a sign-in: "key:hex", the "auth" of pusher:signin.
 *
 * @param credentials  key and secret
 * @param socket_id    of the connection; not zero
 * @param user_data    JSON text, exactly the bytes that the client will send; 1 byte or more
 * @param out          cap bytes; key.len + 66 are enough
 * @param cap          bytes at `out`
 * @param len          the length, or the capacity needed; may be NULL
 * @return as pusherc_sign_channel()
 *
 * Source: Pusher Channels, "user authentication".
 */
PUSHERC_API PUSHERC_NODISCARD int pusherc_sign_user(const pusherc_credentials *credentials,
                                                    pusherc_socket_id socket_id,
                                                    pusherc_slice user_data, char *out, size_t cap,
                                                    size_t *len);

/**
 * Write the JSON body with which an auth endpoint lets a client into a channel: {"auth":...}, with "channel_data" if
 * it is given, and with "shared_secret" for an encrypted channel. Send it with status 200. To refuse a client, answer
 * with 403 and any body.
 *
 * The shared secret is base64 of SHA-256(channel, master key). A client that has it can read the channel.
 *
 * @param credentials   key and secret; for private-encrypted- channels also the master key
 * @param socket_id     as the client sent it, read by pusherc_socket_id_parse(); not zero
 * @param channel       as the client sent it: a valid name
 * @param channel_data  JSON object as UTF-8; on presence channels with a "user_id", a string or an integer of
 *                      preferably at most 128 characters; len 0 = none
 * @param out           cap bytes
 * @param cap           bytes at `out`
 * @param len           the length, or the capacity needed; may be NULL
 * @return as pusherc_sign_channel(); also
 *         PUSHERC_EINVAL  channel_data breaks its rule, or the channel is encrypted and there is no master key
 *
 * Source: Pusher Channels, "authorizing users", "encrypted channels".
 */
PUSHERC_API PUSHERC_NODISCARD int pusherc_auth_response_json(const pusherc_credentials *credentials,
                                                             pusherc_socket_id socket_id,
                                                             pusherc_slice channel,
                                                             pusherc_slice channel_data, char *out,
                                                             size_t cap, size_t *len);

/**
 * Write the JSON body with which an auth endpoint lets a client sign in: {"auth":...,"user_data":...}.
 *
 * @param credentials  key and secret
 * @param socket_id    as the client sent it; not zero
 * @param user_data    JSON object as UTF-8 with a non-empty string "id" of at most 200 characters of the
 *                     channel alphabet; optional "user_info" (object) and "watchlist" (ids)
 * @param out          cap bytes
 * @param cap          bytes at `out`
 * @param len          the length, or the capacity needed; may be NULL
 * @return as pusherc_sign_channel(); also
 *         PUSHERC_EINVAL  user_data breaks its rule
 *
 * Source: Pusher Channels, "user authentication".
 */
PUSHERC_API PUSHERC_NODISCARD int
pusherc_user_auth_response_json(const pusherc_credentials *credentials, pusherc_socket_id socket_id,
                                pusherc_slice user_data, char *out, size_t cap, size_t *len);

/**
 * Read a master key in the form in which Pusher's SDKs are configured.
 *
 * @param base64  44 characters with padding
 * @param out     filled on success
 * @return 0, or PUSHERC_EINVAL: not base64 of exactly PUSHERC_MASTER_KEY_SIZE bytes
 *
 * Source: Pusher Channels, "encrypted channels".
 */
PUSHERC_API PUSHERC_NODISCARD int pusherc_master_key_decode(pusherc_slice base64,
                                                            uint8_t out[PUSHERC_MASTER_KEY_SIZE]);

/**
 * Compute the secret that the subscribers of an encrypted channel share: SHA-256 of its name and the master key. Auth
 * endpoints send it in base64, as pusherc_auth_response_json() writes it.
 *
 * @param credentials  the master key; key and secret are not used
 * @param channel      a valid private-encrypted- name
 * @param out          filled on success; wipe it after use
 * @return 0, PUSHERC_EINVAL (credentials or channel break a rule) or PUSHERC_EIO (the crypto library failed)
 *
 * Source: Pusher Channels, "encrypted channels".
 */
PUSHERC_API PUSHERC_NODISCARD int pusherc_shared_secret(const pusherc_credentials *credentials,
                                                        pusherc_slice channel,
                                                        uint8_t out[PUSHERC_SHARED_SECRET_SIZE]);

/**
 * Encrypt the data of one event for one channel. The result, {"nonce":...,"ciphertext":...}, is the event's new
 * "data". Each call uses a new random nonce, so that no two results are the same. pusherc_publish() encrypts by
 * itself for an app with a master key; use this to publish over HTTP, or if the server must not have the key.
 *
 * @param credentials  the master key; key and secret are not used
 * @param channel      a valid private-encrypted- name; subscribers of another channel cannot read the result
 * @param data         any bytes; clients expect JSON as UTF-8
 * @param out          cap bytes; 4 * ((data.len + 18) / 3) + 62 are enough
 * @param cap          bytes at `out`
 * @param len          the length, or the capacity needed; may be NULL
 * @return 0, or
 *         PUSHERC_EINVAL   credentials or channel break a rule
 *         PUSHERC_ENOSYS   the library was built without encryption, see pusherc_features()
 *         PUSHERC_ENOBUFS  see the top of this file
 *         PUSHERC_ENOMEM
 *         PUSHERC_EIO      the crypto library failed, or has no random bytes
 *
 * Source: Pusher Channels, "encrypted channels".
 */
PUSHERC_API PUSHERC_NODISCARD int pusherc_encrypt_event(const pusherc_credentials *credentials,
                                                        pusherc_slice channel, pusherc_slice data,
                                                        char *out, size_t cap, size_t *len);

/**
 * Decrypt the data of an event of an encrypted channel, for example from a webhook.
 *
 * @param credentials  the master key; key and secret are not used
 * @param channel      of the event: a valid private-encrypted- name
 * @param encrypted    JSON as pusherc_encrypt_event() writes it, members in any order
 * @param out          cap bytes; encrypted.len are enough; receives the data and NUL; wipe it after use
 * @param cap          bytes at `out`
 * @param len          the length, or the capacity needed; may be NULL
 * @return as pusherc_encrypt_event(); also
 *         PUSHERC_EINVAL  `encrypted` does not have that form
 *         PUSHERC_EAUTH   it was encrypted for another channel or with another key, or was changed later
 *
 * Source: Pusher Channels, "encrypted channels".
 */
PUSHERC_API PUSHERC_NODISCARD int pusherc_decrypt_event(const pusherc_credentials *credentials,
                                                        pusherc_slice channel,
                                                        pusherc_slice encrypted, char *out,
                                                        size_t cap, size_t *len);

/**
 * Sign a request of the HTTP API. Writes the whole query string, percent-encoded, without '?': auth_key,
 * auth_timestamp, auth_version, body_md5 if there is a body, your parameters, auth_signature.
 *
 * @param credentials  key and secret
 * @param method       "GET" or "POST"; any other letters, upper or lower case, at most 15
 * @param path         begins with '/', percent-encoded as it will be sent; no '?', '#', space or control character
 * @param params       param_count further parameters. Names are signed in lower case; they must not be empty or
 *                     "body_md5", and must not begin with "auth_"
 * @param param_count  0..PUSHERC_MAX_SIGNED_PARAMS - 5
 * @param body         exactly as it will be sent; len 0 = none
 * @param unix_time_s  now; servers accept 600 s of difference
 * @param out          cap bytes
 * @param cap          bytes at `out`
 * @param len          the length, or the capacity needed; may be NULL
 * @return 0, or
 *         PUSHERC_EINVAL   an argument breaks a rule
 *         PUSHERC_ELIMIT   too many parameters
 *         PUSHERC_ENOBUFS  see the top of this file
 *         PUSHERC_ENOMEM
 *         PUSHERC_EIO      the crypto library failed
 *
 * Source: Pusher Channels HTTP API, "generating authentication signatures".
 */
PUSHERC_API PUSHERC_NODISCARD int
pusherc_sign_request(const pusherc_credentials *credentials, const char *method, const char *path,
                     const pusherc_http_param *params, size_t param_count, pusherc_slice body,
                     uint64_t unix_time_s, char *out, size_t cap, size_t *len);

/**
 * Check a request of the HTTP API: whether the parameters are present and not repeated, the key, version, time,
 * signature, and the MD5 of the body. Array parameters and escaped paths may be signed in any of the SDKs' forms.
 *
 * @param credentials  key and secret
 * @param method       as received, upper case
 * @param path         as received, still percent-encoded, without query. If your server adds a prefix that clients
 *                     do not sign, try again without it
 * @param params       param_count query parameters, decoded, in the order in which they came
 * @param param_count  more than PUSHERC_MAX_SIGNED_PARAMS are refused
 * @param body         raw
 * @param unix_time_s  now
 * @param max_skew_s   largest accepted difference to auth_timestamp; 0 = 600
 * @return 0, or
 *         PUSHERC_EAUTH   answer 401. Digests are compared in constant time
 *         PUSHERC_EINVAL  an argument is NULL, or credentials break a rule
 *         PUSHERC_ENOMEM
 *         PUSHERC_EIO     the crypto library failed
 *
 * Source: Pusher Channels HTTP API, "authentication".
 */
PUSHERC_API PUSHERC_NODISCARD int pusherc_verify_request(const pusherc_credentials *credentials,
                                                         const char *method, const char *path,
                                                         const pusherc_http_param *params,
                                                         size_t param_count, pusherc_slice body,
                                                         uint64_t unix_time_s, uint32_t max_skew_s);

/**
 * Explain why the signature of a subscription or sign-in is refused: the usual mistakes are made one by one, and if one
 * of them makes what was sent, it was this one. The text is for developers and operators; it holds no secret, and no
 * signature that would be right.
 *
 * @param credentials  id, key and secret of the app
 * @param auth         as the client sent it: "key:hex"
 * @param socket_id    of the client
 * @param channel      that the client wants to have; len 0 = a sign-in
 * @param data         channel_data or user_data, as the client sent it; len 0 = none
 * @param out          cap bytes; receives one sentence, or nothing if the signature is right
 * @param cap          bytes at `out`; 1024 are enough
 * @param len          the length, 0 if the signature is right, or the capacity needed; may be NULL
 * @return 0, or
 *         PUSHERC_EINVAL   an argument breaks a rule
 *         PUSHERC_ENOSYS   the library was built without diagnosis, see pusherc_features()
 *         PUSHERC_ENOBUFS  see the top of this file
 *         PUSHERC_ENOMEM
 *         PUSHERC_EIO      the crypto library failed
 *
 * Source: Pusher Channels, "generating the authentication string".
 */
PUSHERC_API PUSHERC_NODISCARD int pusherc_explain_auth(const pusherc_credentials *credentials,
                                                       pusherc_slice auth,
                                                       pusherc_socket_id socket_id,
                                                       pusherc_slice channel, pusherc_slice data,
                                                       char *out, size_t cap, size_t *len);

/**
 * Explain why a signed request of the HTTP API is refused, in the same way.
 *
 * @param credentials  id, key and secret of the app
 * @param method       as sent, upper case
 * @param path         as sent, still percent-encoded, without query
 * @param query        as sent, without '?'
 * @param body         raw; len 0 = none
 * @param unix_time_s  now
 * @param out          cap bytes; receives the sentence with which the HTTP API refuses and the probable cause, or
 *                     nothing if the request is well signed
 * @param cap          bytes at `out`; 9216 are enough
 * @param len          the length, 0 if the request is well signed, or the capacity needed; may be NULL
 * @return as pusherc_explain_auth(); also
 *         PUSHERC_ELIMIT  more than PUSHERC_MAX_SIGNED_PARAMS parameters
 *
 * Source: Pusher Channels HTTP API, "authentication".
 */
PUSHERC_API PUSHERC_NODISCARD int pusherc_explain_request(const pusherc_credentials *credentials,
                                                          const char *method, const char *path,
                                                          pusherc_slice query, pusherc_slice body,
                                                          uint64_t unix_time_s, char *out,
                                                          size_t cap, size_t *len);

/**
 * Sign a webhook: compute the value of X-Pusher-Signature.
 *
 * @param credentials  the secret; the key goes into X-Pusher-Key
 * @param body         exactly as it will be sent
 * @param out          filled on success
 * @return 0, PUSHERC_EINVAL (credentials break a rule), PUSHERC_ENOMEM or PUSHERC_EIO
 *
 * Source: Pusher Channels, "webhooks / security".
 */
PUSHERC_API PUSHERC_NODISCARD int pusherc_sign_webhook(const pusherc_credentials *credentials,
                                                       pusherc_slice body,
                                                       char out[PUSHERC_HMAC_HEX_SIZE]);

/**
 * Check a webhook that was received. Choose the credentials by the field X-Pusher-Key before.
 *
 * @param credentials    key and secret
 * @param body           raw
 * @param signature_hex  the field X-Pusher-Signature
 * @return 0, or
 *         PUSHERC_EAUTH   not signed with this secret, or the hex is in upper case
 *         PUSHERC_EINVAL  credentials break a rule
 *         PUSHERC_ENOMEM
 *         PUSHERC_EIO     the crypto library failed
 *
 * Source: Pusher Channels, "webhooks / security".
 */
PUSHERC_API PUSHERC_NODISCARD int pusherc_verify_webhook(const pusherc_credentials *credentials,
                                                         pusherc_slice body,
                                                         pusherc_slice signature_hex);

PUSHERC_END_DECLS

#endif /* PUSHERC_SIGN_H */
