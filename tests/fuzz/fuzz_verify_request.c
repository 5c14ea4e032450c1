/*
 * A signed HTTP API request as text: method, path, configured prefix and query, one per line, then the
 * body. It is verified as it is; then its parameters are signed anew, which must be accepted. What the log says of
 * it, and of the same text as a subscription's, holds no digest that would be right.
 */
#include <stdint.h>
#include <stdlib.h>

#include <pusherc/error.h>
#include <pusherc/sign.h>

#include "auth/sign.h"
#include "why/signature.h"

#define NOW 1700000000U

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static pusherc_slice take_line(pusherc_slice *text)
{
    size_t len = pc_slice_find(*text, '\n');
    pusherc_slice line = pc_slice_first(*text, len);
    *text = pc_slice_skip(*text, len < text->len ? len + 1 : len);
    return line;
}

static bool contains(pusherc_slice text, pusherc_slice part)
{
    for (; text.len >= part.len; text = pc_slice_skip(text, 1))
        if (pc_slice_starts(text, part))
            return true;
    return false;
}

static bool was_sent(const struct pc_signed_request *request, pusherc_slice part)
{
    bool sent = contains(request->method, part) || contains(request->path, part);
    for (size_t i = 0; i < request->param_count; i++)
        sent = sent || contains(request->params[i].name, part) ||
               contains(request->params[i].value, part);
    return sent;
}

/* The digest that would have been right for the documented form. */
static void expected_digest(const struct pc_hmac_key *secret,
                            const struct pc_signed_request *request, const struct pc_mem *mem,
                            char hex[PC_SHA256_HEX])
{
    struct pc_buf query;
    pc_buf_init(&query, mem, SIZE_MAX / 2);
    pc_sign_put_query(&query, request->params, request->param_count, PC_QUERY_AS_RECEIVED);
    const pusherc_slice parts[] = {request->method, PC_S("\n"), request->path, PC_S("\n"),
                                   pc_buf_slice(&query)};
    check(pc_hmac_hex(secret, parts, 5, hex) == 0);
    pc_buf_free(&query);
}

static void check_as_it_is(const struct pc_hmac_key *secret,
                           const struct pc_signed_request *request, const struct pc_mem *mem)
{
    struct pc_buf why;
    pc_buf_init(&why, mem, PC_SIGN_MAX_WHY);
    int err = pc_verify_request(PC_S("app-key"), secret, request, NOW, 600, mem, &why);
    check(err == 0 || err == PUSHERC_EAUTH);
    check((err != 0) == (why.len > 0));
    check(pc_utf8_valid(pc_buf_slice(&why)));
    for (size_t i = 0; i < why.len; i++)
        check((unsigned char)why.ptr[i] >= 0x20);
    if (err && request->param_count <= PC_SIGN_MAX_PARAMS) {
        char hex[PC_SHA256_HEX];
        expected_digest(secret, request, mem, hex);
        /* Unless it was sent; its first digits may be those of an escaped byte, "\xb2". */
        check(!contains(pc_buf_slice(&why), pc_slice(hex, sizeof hex)) ||
              was_sent(request, pc_slice(hex + 2, sizeof hex - 2)));
    }
    pc_buf_free(&why);
}

#ifdef PC_WITH_EXPLAIN
static void check_cause(struct pc_buf *cause, const struct pc_hmac_key *secret,
                        const pusherc_slice *parts, size_t count, bool sent)
{
    char hex[PC_SHA256_HEX];
    check(pc_buf_status(cause) == 0 && cause->len <= PC_WHY_MAX_BYTES);
    check(pc_hmac_hex(secret, parts, count, hex) == 0);
    check(sent || !contains(pc_buf_slice(cause), pc_slice(hex, sizeof hex)));
    pc_buf_free(cause);
}

static void check_diagnosis(const struct pc_hmac_key *secret,
                            const struct pc_signed_request *request, pusherc_slice query,
                            const struct pc_mem *mem)
{
    const struct pc_why_secret other = {PC_S("other"), secret};
    struct pc_wrong_signature wrong = {.mem = mem,
                                       .text = request->path,
                                       .app_id = PC_S("app-id"),
                                       .app_key = PC_S("app-key"),
                                       .secret_text = PC_S("app-secret"),
                                       .secret = secret,
                                       .others = &other,
                                       .other_count = 1};
    const pusherc_slice parts[] = {PC_S("1.2"), PC_S(":"), query, PC_S(":"), request->body};
    const pusherc_slice user[] = {PC_S("1.2"), PC_S("::user::"), request->body};
    const struct pc_why_sockets sockets = {parts, 1, 1};
    char auth[8 + PC_SHA256_HEX];
    struct pc_buf cause;
    for (int i = 0; i < 2; i++) { /* as sent, and with some digest, so that everything is tried */
        pc_buf_init(&cause, mem, SIZE_MAX / 2);
        pc_why_channel_auth(&wrong, PC_S("1.2"), query, request->body, &sockets, &cause);
        check_cause(&cause, secret, parts, request->body.len ? 5 : 3, i == 0);
        pc_buf_init(&cause, mem, SIZE_MAX / 2);
        pc_why_user_auth(&wrong, PC_S("1.2"), request->body, &sockets, &cause);
        check_cause(&cause, secret, user, 3, i == 0);
        memcpy(auth, "app-key:", 8);
        memset(auth + 8, '0', PC_SHA256_HEX);
        wrong.text = pc_slice(auth, sizeof auth);
    }
    if (request->param_count > PC_SIGN_MAX_PARAMS)
        return;
    char hex[PC_SHA256_HEX];
    expected_digest(secret, request, mem, hex);
    wrong.text = pc_slice(auth + 8, PC_SHA256_HEX);
    pc_buf_init(&cause, mem, SIZE_MAX / 2);
    (void)pc_why_request_signature(&wrong, request, query, PC_S("/prefix"), NOW, 600, &cause);
    check(cause.len <= PC_WHY_MAX_BYTES);
    check(!contains(pc_buf_slice(&cause), pc_slice(hex, sizeof hex)) ||
          was_sent(request, pc_slice(hex, sizeof hex)));
    pc_buf_free(&cause);
}

#else
static void check_diagnosis(const struct pc_hmac_key *secret,
                            const struct pc_signed_request *request, pusherc_slice query,
                            const struct pc_mem *mem)
{
    (void)secret, (void)request, (void)query, (void)mem;
}
#endif

static bool is_own(pusherc_slice name)
{
    return name.len == 0 || pc_slice_eq_nocase(pc_slice_first(name, 5), PC_S("auth_")) ||
           pc_slice_eq_nocase(name, PC_S("body_md5"));
}

static void check_signed_anew(const struct pc_signed_request *request, const struct pc_mem *mem)
{
    static pusherc_http_param params[PUSHERC_MAX_SIGNED_PARAMS];
    static struct pc_pair parsed[PC_SIGN_MAX_PARAMS];
    pusherc_credentials credentials = PUSHERC_CREDENTIALS_INIT;
    credentials.key = PC_S("app-key");
    credentials.secret = PC_S("app-secret");
    size_t count = 0;

    for (size_t i = 0; i < request->param_count; i++)
        if (!is_own(request->params[i].name) && count < PUSHERC_MAX_SIGNED_PARAMS - 5)
            params[count++] =
                (pusherc_http_param){request->params[i].name, request->params[i].value};

    char *path = pc_dup(mem, request->path), *query = NULL;
    size_t needed = 0;
    check(path != NULL);
    int err = pusherc_sign_request(&credentials, "POST", path, params, count, request->body, NOW,
                                   NULL, 0, &needed);
    if (err == PUSHERC_EINVAL) { /* no such path */
        pc_free(mem, path);
        return;
    }
    check(err == PUSHERC_ENOBUFS);
    query = pc_alloc(mem, needed);
    check(query != NULL);
    check(pusherc_sign_request(&credentials, "POST", path, params, count, request->body, NOW, query,
                               needed, &needed) == 0);

    struct pc_buf scratch;
    pc_buf_init(&scratch, mem, SIZE_MAX / 2);
    check(pc_http_params(pc_slice(query, needed), parsed, PC_SIGN_MAX_PARAMS, &count, &scratch) ==
          0);
    for (size_t i = 0; i < count; i++)
        params[i] = (pusherc_http_param){parsed[i].name, parsed[i].value};
    check(pusherc_verify_request(&credentials, "POST", path, params, count, request->body, NOW,
                                 0) == 0);
    pc_buf_free(&scratch);
    pc_free(mem, query);
    pc_free(mem, path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct pc_pair params[PC_SIGN_MAX_PARAMS + 1];
    struct pc_mem mem = pc_mem_make(NULL);
    struct pc_hmac_key *secret = NULL;
    pusherc_slice rest = pc_slice((const char *)data, size);
    struct pc_signed_request request = {.params = params};

    check(pc_crypto_init() == 0 && pc_hmac_key_new(&secret, &mem, PC_S("app-secret")) == 0);
    request.method = take_line(&rest);
    request.path = take_line(&rest);
    request.path_prefix = take_line(&rest);
    pusherc_slice query = take_line(&rest);
    request.body = rest;

    struct pc_buf scratch;
    pc_buf_init(&scratch, &mem, size);
    if (pc_http_params(query, params, sizeof params / sizeof params[0], &request.param_count,
                       &scratch) == 0) {
        check_as_it_is(secret, &request, &mem);
        check_diagnosis(secret, &request, query, &mem);
        check_signed_anew(&request, &mem);
    }
    pc_buf_free(&scratch);
    pc_hmac_key_free(secret);
    return 0;
}
