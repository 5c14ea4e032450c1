/* pusherc_explain_auth() and pusherc_explain_request(). signature_none.c is in place of it in a build without diagnosis. */
#include <pusherc/sign.h>

#include "base/options.h"
#include "codec/http.h"
#include "why/signature.h"

#define DEFAULT_SKEW_S 600
#define MAX_BYTES      (PC_SIGN_MAX_WHY + PC_WHY_MAX_BYTES + 2)

static bool is_valid(pusherc_slice s)
{
    return s.ptr || s.len == 0;
}

/* Copies the host's struct, checks it, and makes the key. 0, PUSHERC_EINVAL, PUSHERC_ENOMEM or PUSHERC_EIO. */
static int take(const pusherc_credentials *from, pusherc_credentials *taken,
                const struct pc_mem *mem, struct pc_hmac_key **key)
{
    *key = NULL;
    if (!from || PC_TAKE(credentials, taken, from, NULL) || !is_valid(taken->app_id) ||
        !taken->key.ptr || taken->key.len == 0 || !taken->secret.ptr || taken->secret.len == 0)
        return PUSHERC_EINVAL;
    int err = pc_crypto_init();
    return err ? err : pc_hmac_key_new(key, mem, taken->secret);
}

static struct pc_wrong_signature wrong_of(const pusherc_credentials *credentials,
                                          const struct pc_mem *mem, const struct pc_hmac_key *key,
                                          pusherc_slice text)
{
    return (struct pc_wrong_signature){.mem = mem,
                                       .text = text,
                                       .app_id = credentials->app_id,
                                       .app_key = credentials->key,
                                       .secret_text = credentials->secret,
                                       .secret = key};
}

int pusherc_explain_auth(const pusherc_credentials *credentials, pusherc_slice auth,
                         pusherc_socket_id socket_id, pusherc_slice channel, pusherc_slice data,
                         char *out, size_t cap, size_t *len)
{
    static const struct pc_why_sockets no_others = {0};
    const struct pc_mem mem = pc_mem_make(NULL);
    char id_text[PUSHERC_SOCKET_ID_STRLEN];
    pusherc_credentials taken;
    struct pc_hmac_key *key;
    const char *ignored;
    struct pc_buf cause;

    if (!is_valid(auth) || !is_valid(channel) || !is_valid(data))
        return PUSHERC_EINVAL;
    int err = take(credentials, &taken, &mem, &key);
    if (err)
        return err;
    pusherc_slice id = pc_slice(id_text, pusherc_socket_id_format(socket_id, id_text));
    const struct pc_wrong_signature wrong = wrong_of(&taken, &mem, key, auth);
    pc_buf_init(&cause, &mem, MAX_BYTES);
    err = channel.len ? pc_verify_channel_auth(taken.key, key, id, channel, data, auth, &ignored)
                      : pc_verify_user_auth(taken.key, key, id, data, auth, &ignored);
    if (err == PUSHERC_EAUTH && channel.len)
        pc_why_channel_auth(&wrong, id, channel, data, &no_others, &cause);
    else if (err == PUSHERC_EAUTH)
        pc_why_user_auth(&wrong, id, data, &no_others, &cause);
    if (err == 0 || err == PUSHERC_EAUTH)
        err = pc_buf_hand_over(&cause, out, cap, len);
    pc_buf_free(&cause);
    pc_hmac_key_free(key);
    return err;
}

/* Appends what the HTTP API would answer, and the cause if there is more to say. */
static int explain(const pusherc_credentials *credentials, const struct pc_mem *mem,
                   const struct pc_hmac_key *key, const struct pc_signed_request *request,
                   pusherc_slice query, uint64_t unix_time_s, struct pc_buf *text)
{
    const pusherc_slice *signature =
        pc_pair_find(request->params, request->param_count, PC_S("auth_signature"));
    const struct pc_wrong_signature wrong =
        wrong_of(credentials, mem, key, signature ? *signature : PC_S(""));
    char room[PC_WHY_MAX_BYTES];
    struct pc_buf cause;

    int err =
        pc_verify_request(credentials->key, key, request, unix_time_s, DEFAULT_SKEW_S, mem, text);
    if (err != PUSHERC_EAUTH)
        return err;
    pc_buf_init_in(&cause, mem, sizeof room, room, sizeof room);
    if (pc_why_request_signature(&wrong, request, query, PC_S(""), unix_time_s, DEFAULT_SKEW_S,
                                 &cause)) {
        pc_buf_put(text, PC_S(": "));
        pc_buf_put(text, pc_buf_slice(&cause));
    }
    pc_buf_free(&cause);
    return pc_buf_status(text);
}

int pusherc_explain_request(const pusherc_credentials *credentials, const char *method,
                            const char *path, pusherc_slice query, pusherc_slice body,
                            uint64_t unix_time_s, char *out, size_t cap, size_t *len)
{
    const struct pc_mem mem = pc_mem_make(NULL);
    struct pc_pair params[PC_SIGN_MAX_PARAMS];
    pusherc_credentials taken;
    struct pc_hmac_key *key;
    struct pc_buf scratch, text;

    if (!method || !path || !is_valid(query) || !is_valid(body))
        return PUSHERC_EINVAL;
    int err = take(credentials, &taken, &mem, &key);
    if (err)
        return err;
    struct pc_signed_request request = {
        .method = pc_slice_of(method), .path = pc_slice_of(path), .params = params, .body = body};
    pc_buf_init(&scratch, &mem, SIZE_MAX);
    pc_buf_init(&text, &mem, MAX_BYTES);
    err = pc_http_params(query, params, PC_SIGN_MAX_PARAMS, &request.param_count, &scratch);
    if (err == 0)
        err = explain(&taken, &mem, key, &request, query, unix_time_s, &text);
    if (err == 0)
        err = pc_buf_hand_over(&text, out, cap, len);
    pc_buf_free(&text);
    pc_buf_free(&scratch);
    pc_hmac_key_free(key);
    return err;
}
