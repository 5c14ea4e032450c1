#include "auth/sign.h"

#include <assert.h>

#include <pusherc/error.h>

#include "auth/encrypt.h"
#include "codec/json.h"

/* -- subscriptions and sign-ins -- */

static int refuse_auth(const char **why, int err, const char *sentence)
{
    *why = sentence;
    return err;
}

/* 0 if `hex` is the digest of `parts`, else PUSHERC_EAUTH or PUSHERC_EIO. The time that it takes depends on neither
 * digest. */
static int check_digest(const struct pc_hmac_key *secret, const pusherc_slice *parts,
                        size_t part_count, pusherc_slice hex)
{
    char expected[PC_SHA256_HEX];

    if (hex.len != sizeof expected)
        return PUSHERC_EAUTH;
    if (pc_hmac_hex(secret, parts, part_count, expected))
        return PUSHERC_EIO;
    bool same = pc_equal_constant_time(expected, hex.ptr, sizeof expected);
    /* The stack must not keep a valid signature. */
    pc_wipe(expected, sizeof expected);
    return same ? 0 : PUSHERC_EAUTH;
}

static int verify_auth(pusherc_slice app_key, const struct pc_hmac_key *secret,
                       const pusherc_slice *parts, size_t part_count, pusherc_slice auth,
                       const char **why)
{
    if (auth.len == 0)
        return refuse_auth(why, PUSHERC_EAUTH, "Auth info required");

    size_t colon = pc_slice_find(auth, ':');
    if (colon == auth.len || !pc_slice_eq(pc_slice_first(auth, colon), app_key))
        return refuse_auth(why, PUSHERC_EAUTH, "Invalid key in subscription auth data");

    int err = check_digest(secret, parts, part_count, pc_slice_skip(auth, colon + 1));
    if (err == PUSHERC_EAUTH)
        return refuse_auth(why, err, "Invalid signature");
    return err ? refuse_auth(why, err, "Signature could not be checked") : 0;
}

int pc_verify_channel_auth(pusherc_slice app_key, const struct pc_hmac_key *secret,
                           pusherc_slice socket_id, pusherc_slice channel,
                           pusherc_slice channel_data, pusherc_slice auth, const char **why)
{
    const pusherc_slice parts[] = {socket_id, PC_S(":"), channel, PC_S(":"), channel_data};

    return verify_auth(app_key, secret, parts, channel_data.len ? 5 : 3, auth, why);
}

int pc_verify_user_auth(pusherc_slice app_key, const struct pc_hmac_key *secret,
                        pusherc_slice socket_id, pusherc_slice user_data, pusherc_slice auth,
                        const char **why)
{
    const pusherc_slice parts[] = {socket_id, PC_S("::user::"), user_data};

    return verify_auth(app_key, secret, parts, 3, auth, why);
}

/* Appends the member shared_secret: SHA-256(channel, master key) in base64. */
static int put_shared_secret(struct pc_buf *buf, pusherc_slice channel,
                             const uint8_t master_key[PUSHERC_MASTER_KEY_SIZE])
{
    uint8_t secret[PUSHERC_SHARED_SECRET_SIZE];
    char base64[4 * ((PUSHERC_SHARED_SECRET_SIZE + 2) / 3)];

    int err = pc_shared_secret(channel, master_key, secret);
    if (!err) {
        size_t len = pc_base64_encode(pc_slice((const char *)secret, sizeof secret), base64);
        pc_buf_put(buf, PC_S(",\"shared_secret\":\""));
        pc_buf_put(buf, pc_slice(base64, len));
        pc_buf_put_char(buf, '"');
    }
    pc_wipe(secret, sizeof secret);
    pc_wipe(base64, sizeof base64);
    return err;
}

int pc_sign_put_answer(struct pc_buf *buf, const struct pc_sign_answer *a)
{
    pc_buf_put(buf, PC_S("{\"auth\":\""));
    pc_json_put_escaped(buf, a->app_key);
    pc_buf_put_char(buf, ':');
    pc_buf_put(buf, pc_slice(a->hex, PC_SHA256_HEX));
    pc_buf_put_char(buf, '"');
    if (a->data.len) {
        pc_buf_put(buf, PC_S(",\""));
        pc_buf_put(buf, a->data_name);
        pc_buf_put(buf, PC_S("\":"));
        pc_json_put_string(buf, a->data);
    }
    int err = a->master_key ? put_shared_secret(buf, a->channel, a->master_key) : 0;
    pc_buf_put_char(buf, '}');
    return err;
}

/* -- the canonical query -- */

/* True for "k[]" and "k[12]"; then it removes the brackets from `name`. */
static bool cut_brackets(pusherc_slice *name)
{
    if (name->len < 3 || name->ptr[name->len - 1] != ']')
        return false;
    size_t open = name->len - 2;
    while (open > 0 && name->ptr[open] >= '0' && name->ptr[open] <= '9')
        open--;
    if (open == 0 || name->ptr[open] != '[')
        return false;
    name->len = open;
    return true;
}

static bool has_arrays(const struct pc_pair *params, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        pusherc_slice name = params[i].name;
        if (cut_brackets(&name))
            return true;
    }
    return false;
}

/* The name by which a parameter is sorted, and whether it is joined with others of that name. */
struct query_key {
    pusherc_slice name;
    bool merge;
};

static struct query_key query_key_of(const struct pc_pair *param, enum pc_query_form form)
{
    struct query_key key = {param->name, false};
    if (form == PC_QUERY_ARRAYS_MERGED)
        key.merge = cut_brackets(&key.name);
    return key;
}

static int compare_names(pusherc_slice a, pusherc_slice b)
{
    size_t common = a.len < b.len ? a.len : b.len;
    for (size_t i = 0; i < common; i++) {
        unsigned char x = (unsigned char)pc_ascii_lower(a.ptr[i]);
        unsigned char y = (unsigned char)pc_ascii_lower(b.ptr[i]);
        if (x != y)
            return x < y ? -1 : 1;
    }
    return a.len == b.len ? 0 : a.len < b.len ? -1 : 1;
}

/* The first comparison is enough for names in lower case, which all SDKs send. */
static bool same_name(pusherc_slice name, pusherc_slice known)
{
    return name.len == known.len &&
           (memcmp(name.ptr, known.ptr, known.len) == 0 || pc_slice_eq_nocase(name, known));
}

/* Stable insertion sort: SDKs send nearly sorted queries of a handful of parameters. */
static size_t sort_params(const struct pc_pair *params, size_t count, enum pc_query_form form,
                          uint16_t order[PC_SIGN_MAX_PARAMS])
{
    size_t sorted = 0;
    for (size_t i = 0; i < count; i++) {
        if (same_name(params[i].name, PC_S("auth_signature")))
            continue;
        pusherc_slice name = query_key_of(&params[i], form).name;
        size_t at = sorted++;
        while (at > 0 && compare_names(query_key_of(&params[order[at - 1]], form).name, name) > 0) {
            order[at] = order[at - 1];
            at--;
        }
        order[at] = (uint16_t)i;
    }
    return sorted;
}

static void put_lower(struct pc_buf *buf, pusherc_slice name)
{
    char *at = pc_buf_reserve(buf, name.len);
    if (!at)
        return;
    for (size_t i = 0; i < name.len; i++)
        at[i] = pc_ascii_lower(name.ptr[i]);
    pc_buf_advance(buf, name.len);
}

void pc_sign_put_query(struct pc_buf *buf, const struct pc_pair *params, size_t count,
                       enum pc_query_form form)
{
    uint16_t order[PC_SIGN_MAX_PARAMS];
    struct query_key last = {.merge = false};

    assert(count <= PC_SIGN_MAX_PARAMS);
    size_t sorted = sort_params(params, count, form, order);
    for (size_t i = 0; i < sorted; i++) {
        const struct pc_pair *param = &params[order[i]];
        struct query_key key = query_key_of(param, form);

        if (key.merge && last.merge && compare_names(key.name, last.name) == 0) {
            pc_buf_put_char(buf, ',');
        } else {
            if (i)
                pc_buf_put_char(buf, '&');
            put_lower(buf, key.name);
            pc_buf_put_char(buf, '=');
        }
        pc_buf_put(buf, param->value);
        last = key;
    }
}

/* -- HTTP API requests -- */

/*
 * A request is signed over a string of three lines: method, path, canonical query. The query holds the MD5 of the body,
 * so the signature covers the body, too.
 *
 * SDKs do not agree on the string: some leave a path prefix out, sign the path decoded, or write lists in the query in
 * another way. So the server makes the string in each form that a known SDK signs, the form of all current SDKs first,
 * and accepts the request if one digest fits. This does not weaken the signature: each form follows from the request
 * alone, and forging one needs the secret. A right signature costs one HMAC in most cases, a wrong one up to twelve
 * (four paths, three queries).
 */

/* The parameters that the scheme itself uses. */
enum {
    AUTH_KEY,
    AUTH_TIMESTAMP,
    AUTH_VERSION,
    AUTH_SIGNATURE,
    BODY_MD5,
    AUTH_PARAM_COUNT
};

static const struct {
    pusherc_slice name;
    const char *missing;
    const char *repeated;
} auth_params[AUTH_PARAM_COUNT] = {
    [AUTH_KEY] = {PUSHERC_LIT("auth_key"), "Missing parameter: auth_key",
                  "Repeated parameter: auth_key"},
    [AUTH_TIMESTAMP] = {PUSHERC_LIT("auth_timestamp"), "Timestamp required",
                        "Repeated parameter: auth_timestamp"},
    [AUTH_VERSION] = {PUSHERC_LIT("auth_version"), "Version required",
                      "Repeated parameter: auth_version"},
    [AUTH_SIGNATURE] = {PUSHERC_LIT("auth_signature"), "Missing parameter: auth_signature",
                        "Repeated parameter: auth_signature"},
    [BODY_MD5] = {PUSHERC_LIT("body_md5"), NULL /* depends on the body */,
                  "Repeated parameter: body_md5"},
};

static int deny(struct pc_buf *why)
{
    return pc_buf_status(why) ? PUSHERC_ENOMEM : PUSHERC_EAUTH;
}

static int deny_with(struct pc_buf *why, const char *sentence)
{
    pc_buf_put(why, pc_slice_of(sentence));
    return deny(why);
}

/* Appends text that a client sent, in quotes and with escapes: it stays one line of UTF-8, and cannot be mistaken for
 * the server's own text. */
static void put_quoted(struct pc_buf *buf, pusherc_slice text, size_t max_bytes)
{
    static const char digits[] = "0123456789abcdef";
    pusherc_slice shown = pc_utf8_cut(text, max_bytes);
    bool utf8 = pc_utf8_valid(shown);

    pc_buf_put_char(buf, '"');
    for (size_t i = 0; i < shown.len; i++) {
        unsigned char c = (unsigned char)shown.ptr[i];
        if (c == '\n') {
            pc_buf_put(buf, PC_S("\\n"));
        } else if (c == '"' || c == '\\') {
            pc_buf_put(buf, pc_slice((const char[]){'\\', (char)c}, 2));
        } else if (c < 0x20 || c == 0x7f || (c >= 0x80 && !utf8)) {
            pc_buf_put(buf, pc_slice((const char[]){'\\', 'x', digits[c >> 4], digits[c & 15]}, 4));
        } else {
            pc_buf_put_char(buf, (char)c);
        }
    }
    pc_buf_put(buf, shown.len < text.len ? PC_S("\"...") : PC_S("\""));
}

/* Step 2: finds the scheme's parameters. */
static int find_auth_params(const struct pc_signed_request *request,
                            const pusherc_slice *found[AUTH_PARAM_COUNT], struct pc_buf *why)
{
    for (size_t i = 0; i < request->param_count; i++) {
        pusherc_slice name = request->params[i].name;
        for (size_t k = 0; k < AUTH_PARAM_COUNT; k++) {
            if (!same_name(name, auth_params[k].name))
                continue;
            if (found[k])
                return deny_with(why, auth_params[k].repeated);
            found[k] = &request->params[i].value;
            break;
        }
    }
    for (size_t k = 0; k < AUTH_PARAM_COUNT; k++)
        if (!found[k] && auth_params[k].missing)
            return deny_with(why, auth_params[k].missing);
    return 0;
}

static int check_timestamp(pusherc_slice text, uint64_t now_s, uint32_t max_skew_s,
                           struct pc_buf *why)
{
    uint64_t sent_s;

    if (!pc_slice_to_u64(text, &sent_s))
        return deny_with(why, "Timestamp required: auth_timestamp is not a number of seconds");
    if ((sent_s > now_s ? sent_s - now_s : now_s - sent_s) <= max_skew_s)
        return 0;
    pc_buf_put(why, PC_S("Timestamp expired: Given timestamp ("));
    pc_buf_put_u64(why, sent_s);
    pc_buf_put(why, PC_S(") not within "));
    pc_buf_put_u64(why, max_skew_s);
    pc_buf_put(why, PC_S("s of server time ("));
    pc_buf_put_u64(why, now_s);
    pc_buf_put_char(why, ')');
    return deny(why);
}

/* Step 4. It follows the check of the signature, so only a client with the secret can make the server hash a large
 * body. */
static int check_body(pusherc_slice body, const pusherc_slice *body_md5, struct pc_buf *why)
{
    char md5[PC_MD5_HEX];

    if (!body_md5) {
        if (body.len == 0)
            return 0;
        return deny_with(why, "Missing parameter: body_md5");
    }
    if (pc_md5_hex(body, md5))
        return PUSHERC_EIO;
    if (!pc_slice_eq(*body_md5, pc_slice(md5, sizeof md5)))
        return deny_with(why, "Invalid body_md5: it is not the MD5 of the body received");
    return 0;
}

#define MAX_COMPARED_PARAMS 32

/* The paths that a client may have signed when it sent this one. */
struct paths {
    pusherc_slice at[4];
    size_t count;
};

static void add_path(struct paths *paths, pusherc_slice path, pusherc_slice prefix)
{
    /* With a line break in it, a path could imitate the rest of the string to sign. */
    if (pc_slice_find(path, '\n') < path.len)
        return;
    paths->at[paths->count++] = path;
    while (prefix.len && prefix.ptr[prefix.len - 1] == '/')
        prefix.len--;
    if (prefix.len && path.len > prefix.len && pc_slice_starts(path, prefix) &&
        path.ptr[prefix.len] == '/')
        paths->at[paths->count++] = pc_slice_skip(path, prefix.len);
}

/* 0 if `signature` is right for one of the paths with this query. */
static int check_paths(const struct pc_hmac_key *secret, const struct pc_signed_request *request,
                       const struct paths *paths, const struct pc_buf *query,
                       pusherc_slice signature)
{
    if (pc_buf_status(query))
        return PUSHERC_ENOMEM;
    for (size_t i = 0; i < paths->count; i++) {
        const pusherc_slice parts[] = {request->method, PC_S("\n"), paths->at[i], PC_S("\n"),
                                       pc_buf_slice(query)};
        int err = check_digest(secret, parts, 5, signature);
        if (err != PUSHERC_EAUTH)
            return err;
    }
    return PUSHERC_EAUTH;
}

/* Some HTTP clients of Ruby's SDK send "info=a&info=b" where the SDK has signed "info[]=a&info[]=b". Appends "[]" to
 * names that occur more than once; false if there are none. It compares each name with each, so it does nothing for
 * queries with more than MAX_COMPARED_PARAMS names. */
static bool bracket_repeated(const struct pc_signed_request *request, struct pc_pair *out,
                             struct pc_buf *names)
{
    bool any = false;
    size_t size = 0;
    for (size_t i = 0; i < request->param_count; i++)
        size += request->params[i].name.len + 2;
    if (request->param_count > MAX_COMPARED_PARAMS || !pc_buf_reserve(names, size))
        return false;
    for (size_t i = 0; i < request->param_count; i++) {
        bool repeated = false;
        out[i] = request->params[i];
        for (size_t k = 0; k < request->param_count && !repeated; k++)
            repeated = k != i && same_name(request->params[k].name, out[i].name);
        if (!repeated)
            continue;
        any = true;
        out[i].name = pc_slice(names->ptr + names->len, out[i].name.len + 2);
        pc_buf_put(names, request->params[i].name);
        pc_buf_put(names, PC_S("[]"));
    }
    return any;
}

static int check_repeated(const struct pc_hmac_key *secret, const struct pc_signed_request *request,
                          const struct paths *paths, struct pc_buf *query, const struct pc_mem *mem,
                          pusherc_slice signature)
{
    struct pc_pair params[MAX_COMPARED_PARAMS];
    char storage[512];
    struct pc_buf names;
    int err = PUSHERC_EAUTH;
    pc_buf_init_in(&names, mem, SIZE_MAX, storage, sizeof storage);
    if (bracket_repeated(request, params, &names)) {
        pc_buf_clear(query);
        pc_sign_put_query(query, params, request->param_count, PC_QUERY_AS_RECEIVED);
        err = check_paths(secret, request, paths, query, signature);
    } else if (pc_buf_status(&names)) {
        err = PUSHERC_ENOMEM;
    }
    pc_buf_free(&names);
    return err;
}

/* Step 5: 0 if the signature is right for one form of the string to sign. */
static int try_signed_forms(const struct pc_hmac_key *secret,
                            const struct pc_signed_request *request, pusherc_slice signature,
                            struct pc_buf *query, struct pc_buf *decoded)
{
    struct paths paths = {.count = 0};

    add_path(&paths, request->path, request->path_prefix);
    if (pc_slice_find(request->path, '%') < request->path.len) {
        pusherc_slice path;
        if (pc_http_decode(request->path, false, decoded, &path))
            return PUSHERC_ENOMEM;
        add_path(&paths, path, request->path_prefix);
    }

    pc_sign_put_query(query, request->params, request->param_count, PC_QUERY_AS_RECEIVED);
    int err = check_paths(secret, request, &paths, query, signature);
    if (err == PUSHERC_EAUTH && has_arrays(request->params, request->param_count)) {
        pc_buf_clear(query);
        pc_sign_put_query(query, request->params, request->param_count, PC_QUERY_ARRAYS_MERGED);
        err = check_paths(secret, request, &paths, query, signature);
    }
    if (err == PUSHERC_EAUTH)
        err = check_repeated(secret, request, &paths, query, decoded->mem, signature);
    return err;
}

static void put_signature_error(const struct pc_signed_request *request, pusherc_slice signature,
                                struct pc_buf *query, struct pc_buf *why)
{
    /* The text shows the documented form, whichever form was tried last. */
    pc_buf_clear(query);
    pc_buf_put(query, request->method);
    pc_buf_put_char(query, '\n');
    pc_buf_put(query, request->path);
    pc_buf_put_char(query, '\n');
    pc_sign_put_query(query, request->params, request->param_count, PC_QUERY_AS_RECEIVED);

    pc_buf_put(why, PC_S("Invalid signature: you should have sent HmacSHA256Hex("));
    put_quoted(why, pc_buf_slice(query), 1000);
    pc_buf_put(why, PC_S(", your_secret_key), but you sent "));
    put_quoted(why, signature, 100);
}

static size_t canonical_size(const struct pc_signed_request *request)
{
    size_t size = request->method.len + request->path.len + 2;
    for (size_t i = 0; i < request->param_count; i++)
        size += request->params[i].name.len + request->params[i].value.len + 4; /* "[]" "=" "&" */
    return size;
}

int pc_verify_request(pusherc_slice app_key, const struct pc_hmac_key *secret,
                      const struct pc_signed_request *request, uint64_t unix_time_s,
                      uint32_t max_skew_s, const struct pc_mem *mem, struct pc_buf *why)
{
    const pusherc_slice *found[AUTH_PARAM_COUNT] = {NULL};

    if (request->param_count > PC_SIGN_MAX_PARAMS)
        return deny_with(why, "Too many parameters");
    int err = find_auth_params(request, found, why);
    if (err)
        return err;
    if (!pc_slice_eq(*found[AUTH_KEY], app_key))
        return deny_with(why, "Unknown auth_key");
    if (!pc_slice_eq(*found[AUTH_VERSION], PC_S("1.0")))
        return deny_with(why, "Version not supported");
    err = check_timestamp(*found[AUTH_TIMESTAMP], unix_time_s, max_skew_s, why);
    if (err)
        return err;

    char query_storage[2048], decoded_storage[512];
    struct pc_buf query, decoded;
    pc_buf_init_in(&query, mem, canonical_size(request), query_storage, sizeof query_storage);
    pc_buf_init_in(&decoded, mem, request->path.len, decoded_storage, sizeof decoded_storage);

    err = try_signed_forms(secret, request, *found[AUTH_SIGNATURE], &query, &decoded);
    if (err == PUSHERC_EAUTH) {
        put_signature_error(request, *found[AUTH_SIGNATURE], &query, why);
        if (pc_buf_status(&query))
            err = PUSHERC_ENOMEM;
        else
            err = deny(why);
    }
    if (!err)
        err = check_body(request->body, found[BODY_MD5], why);

    pc_buf_free(&decoded);
    pc_buf_free(&query);
    return err;
}
