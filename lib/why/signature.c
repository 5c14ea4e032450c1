#include "why/signature.h"

#include "codec/json.h"
#include "protocol/names.h"
#include "why/json_style.h"

#define MAX_TRIED_BYTES 4096 /* for a longer string to sign only a few mistakes are tried */
#define SHOWN_BYTES     80

/* -- trying -- */

/* The digest that was sent, as lower-case hex for comparing, and the sentence that is written. The functions say...()
 * append to the sentence; those that return bool return true. */
struct trial {
    const struct pc_wrong_signature *wrong;
    char hex[PC_SHA256_HEX];
    struct pc_buf *cause;
};

static bool say(const struct trial *t, const char *sentence)
{
    pc_buf_put(t->cause, pc_slice_of(sentence));
    return true;
}

/* What it was made with cannot be told: a secret or a socket that this server does not know looks the same. */
static void say_unknown(const struct trial *t)
{
    say(t, "none of the usual mistakes: another secret, or something else that is not known here");
}

static void say_unknown_client(const struct trial *t)
{
    say(t, "none of the usual mistakes: another secret, or the socket_id of a connection that is "
           "not known here");
}

static void put_shown(struct pc_buf *buf, pusherc_slice text)
{
    pc_buf_put_char(buf, '"');
    pc_buf_put(buf, pc_utf8_cut(text, SHOWN_BYTES));
    pc_buf_put_char(buf, '"');
}

/* Appends the sentence: `before` "text" `after`. */
static bool say_of(const struct trial *t, const char *before, pusherc_slice text, const char *after)
{
    pc_buf_put(t->cause, pc_slice_of(before));
    put_shown(t->cause, text);
    pc_buf_put(t->cause, pc_slice_of(after));
    return true;
}

static bool fits(const struct trial *t, const struct pc_hmac_key *key, const pusherc_slice *parts,
                 size_t count)
{
    char made[PC_SHA256_HEX];
    bool same = pc_hmac_hex(key, parts, count, made) == 0 &&
                pc_equal_constant_time(made, t->hex, sizeof made);
    pc_wipe(made, sizeof made);
    return same;
}

static bool fits_text(const struct trial *t, pusherc_slice text, const pusherc_slice *parts,
                      size_t count)
{
    struct pc_hmac_key *key;
    if (pc_hmac_key_new(&key, t->wrong->mem, text))
        return false;
    bool same = fits(t, key, parts, count);
    pc_hmac_key_free(key);
    return same;
}

static bool is_hex(pusherc_slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = pc_ascii_lower(s.ptr[i]);
        if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'f'))
            return false;
    }
    return true;
}

/* Reads the digest into `hex`. *form is a sentence about a wrong spelling, for the case that the digest is right; NULL:
 * the spelling is right. False: it cannot be a digest, and the sentence has been appended. */
static bool read_digest(struct trial *t, pusherc_slice sent, const char **form)
{
    uint8_t bytes[PC_SHA256_SIZE];
    size_t len;
    *form = NULL;
    if (sent.len == sizeof t->hex && is_hex(sent)) {
        for (size_t i = 0; i < sent.len; i++) {
            t->hex[i] = pc_ascii_lower(sent.ptr[i]);
            if (t->hex[i] != sent.ptr[i])
                *form = "its hex digits are in upper case, and must be in lower case";
        }
        return true;
    }
    if (pc_base64_decode(sent, bytes, sizeof bytes, &len) && len == sizeof bytes) {
        pc_hex(bytes, sizeof bytes, t->hex);
        *form = "it is in base64, and must be in hex";
        return true;
    }
    pc_buf_put(t->cause, PC_S("it has "));
    pc_buf_put_u64(t->cause, sent.len);
    pc_buf_put(t->cause, PC_S(" characters in place of 64 hex digits"));
    return false;
}

/* Tries the right string with wrong secrets. */
static bool try_secrets(const struct trial *t, const pusherc_slice *parts, size_t count)
{
    static const struct {
        const char *before, *behind, *sentence;
    } around[] = {
        {"", "\n", "it was made with the secret and a line feed behind it"},
        {"", "\r\n", "it was made with the secret and a carriage return and line feed behind it"},
        {"", " ", "it was made with the secret and a space behind it"},
        {" ", "", "it was made with the secret and a space before it"},
        {"\"", "\"", "it was made with the secret in double quotes"},
        {"'", "'", "it was made with the secret in single quotes"},
    };
    const struct pc_wrong_signature *b = t->wrong;
    pusherc_slice secret = b->secret_text;
    for (size_t i = 0; i < b->other_count; i++)
        if (fits(t, b->others[i].key, parts, count))
            return say_of(t, "it was made with the secret of app ", b->others[i].app_id, "");
    if (fits_text(t, b->app_key, parts, count))
        return say(t, "it was made with the app's key in place of its secret");
    if (fits_text(t, b->app_id, parts, count))
        return say(t, "it was made with the app's id in place of its secret");
    if (fits_text(t, PC_S(""), parts, count))
        return say(t, "it was made with an empty secret: the setting was not read");
    while (secret.len && strchr(" \t\r\n", secret.ptr[0]))
        secret = pc_slice_skip(secret, 1);
    while (secret.len && strchr(" \t\r\n", secret.ptr[secret.len - 1]))
        secret.len--;
    if (secret.len < b->secret_text.len && fits_text(t, secret, parts, count))
        return say(t, "it was made with the secret without the white space that it has here");
    for (size_t i = 0; i < sizeof around / sizeof around[0]; i++) {
        struct pc_buf text;
        pc_buf_init(&text, b->mem, SIZE_MAX);
        /* All room at once: growing would leave a copy of the secret in freed memory. */
        if (!pc_buf_reserve(&text, b->secret_text.len + 4))
            return false;
        pc_buf_put(&text, pc_slice_of(around[i].before));
        pc_buf_put(&text, b->secret_text);
        pc_buf_put(&text, pc_slice_of(around[i].behind));
        bool same = fits_text(t, pc_buf_slice(&text), parts, count);
        pc_wipe(text.ptr, text.len);
        pc_buf_free(&text);
        if (same)
            return say(t, around[i].sentence);
    }
    return false;
}

/* Checks the key before the colon, and reads the digest. False: one is wrong, and the sentence has been appended. */
static bool read_auth(struct trial *t, const char **form)
{
    const struct pc_wrong_signature *b = t->wrong;
    size_t colon = pc_slice_find(b->text, ':');
    pusherc_slice key = pc_slice_first(b->text, colon);
    if (colon == b->text.len) {
        say(t, "there is no ':' in it: it must be the app's key, ':' and 64 hex digits");
        return false;
    }
    if (b->key_owner.len) {
        say_of(t, "the key before the ':' is that of app ", b->key_owner, "");
        return false;
    }
    if (!pc_slice_eq(key, b->app_key)) {
        say(t, pc_slice_eq(key, b->app_id) ? "before the ':' is the app's id, not its key"
                                           : "before the ':' is not this app's key");
        return false;
    }
    return read_digest(t, pc_slice_skip(b->text, colon + 1), form);
}

/* -- data that was encoded again on its way -- */

/* Tries other encodings of the data, which is the last of the parts. */
static bool try_data(const struct trial *t, pusherc_slice *parts, size_t count, const char *what)
{
    static const struct pc_json_style styles[] = {
        {false, false, false},                      /* JavaScript, Go */
        {false, true, true},                        /* PHP */
        {false, true, false},  {true, true, false}, /* Python */
        {true, false, false},
    };
    struct pc_buf encoded, scratch;
    pusherc_slice data = parts[count - 1];
    bool found = false;
    if (data.len == 0 || data.len > MAX_TRIED_BYTES)
        return false;
    pc_buf_init(&encoded, t->wrong->mem, SIZE_MAX);
    pc_buf_init(&scratch, t->wrong->mem, SIZE_MAX);
    if (pc_json_parse(data).type != PC_JSON_NONE) {
        for (size_t i = 0; i < sizeof styles / sizeof styles[0] && !found; i++) {
            pc_buf_clear(&encoded);
            pc_json_put_styled(&encoded, data, styles[i], &scratch);
            parts[count - 1] = pc_buf_slice(&encoded);
            found = pc_buf_status(&encoded) == 0 && fits(t, t->wrong->secret, parts, count);
        }
        if (!found) { /* the text encoded as a JSON string */
            pc_buf_clear(&encoded);
            pc_json_put_string(&encoded, data);
            parts[count - 1] = pc_buf_slice(&encoded);
            found = pc_buf_status(&encoded) == 0 && fits(t, t->wrong->secret, parts, count);
        }
    }
    parts[count - 1] = data;
    pc_buf_free(&encoded);
    pc_buf_free(&scratch);
    if (found) {
        say(t, what);
        say(t, " was written anew after it was signed: it must be sent byte for byte as it was "
               "signed");
    }
    return found;
}

/* -- clients -- */

/* Tries other socket ids in parts[0]. */
static bool try_sockets(const struct trial *t, pusherc_slice *parts, size_t count,
                        const struct pc_why_sockets *others)
{
    char escaped[PUSHERC_SOCKET_ID_STRLEN + 2];
    pusherc_slice own = parts[0];
    size_t dot = pc_slice_find(own, '.');
    bool found = false;
    for (size_t i = 0; i < others->open + others->ended && !found; i++) {
        parts[0] = others->ids[i];
        found = fits(t, t->wrong->secret, parts, count) &&
                (i < others->open
                     ? say_of(t, "it was made for another connection, ", others->ids[i],
                              ": ask with the socket_id of the one that sends it")
                     : say_of(t, "it was made for a connection that has ended, ", others->ids[i],
                              ": after connecting again, ask again with the new socket_id"));
    }
    if (!found && dot < own.len && own.len + 2 <= sizeof escaped) {
        memcpy(escaped, own.ptr, dot);
        memcpy(escaped + dot, "%2E", 3);
        memcpy(escaped + dot + 3, own.ptr + dot + 1, own.len - dot - 1);
        parts[0] = pc_slice(escaped, own.len + 2);
        found = fits(t, t->wrong->secret, parts, count) &&
                say_of(t, "it was made for a socket_id that was URL-encoded, ", parts[0], "");
    }
    parts[0] = own;
    return found;
}

static bool try_name(const struct trial *t, pusherc_slice *parts, size_t count, pusherc_slice name)
{
    pusherc_slice own = parts[2];
    parts[2] = name;
    bool found = !pc_slice_eq(name, own) && fits(t, t->wrong->secret, parts, count);
    parts[2] = own;
    return found && say_of(t, "it was made for the name ", name, ": sign the whole name");
}

/* Tries `name` as it is, and with each of the prefixes. */
static bool try_prefixes(const struct trial *t, pusherc_slice *parts, size_t count,
                         pusherc_slice name)
{
    char text[PC_ANY_CHANNEL_NAME_MAX + 32];
    bool found = try_name(t, parts, count, name);
    for (size_t i = 0; i < PC_CHANNEL_PREFIX_COUNT && !found; i++) {
        pusherc_slice prefix = pc_channel_prefixes[i].text;
        if (prefix.len + name.len > sizeof text || name.len == 0)
            continue;
        memcpy(text, prefix.ptr, prefix.len);
        memcpy(text + prefix.len, name.ptr, name.len);
        found = try_name(t, parts, count, pc_slice(text, prefix.len + name.len));
    }
    return found;
}

/* Tries other channel names in parts[2]. */
static bool try_names(const struct trial *t, pusherc_slice *parts, size_t count)
{
    char text[PC_ANY_CHANNEL_NAME_MAX];
    pusherc_slice name = parts[2];
    pusherc_slice stem = pc_slice_skip(name, pc_channel_prefix_of(name)->text.len);
    if (try_prefixes(t, parts, count, stem) || try_prefixes(t, parts, count, name))
        return true;
    if (name.len > sizeof text)
        return false;
    for (size_t i = 0; i < name.len; i++)
        text[i] = pc_ascii_lower(name.ptr[i]);
    return try_name(t, parts, count, pc_slice(text, name.len));
}

static bool explain_channel(struct trial *t, pusherc_slice *parts,
                            const struct pc_why_sockets *others)
{
    pusherc_slice channel = parts[2], data = parts[4];
    const pusherc_slice as_user[] = {parts[0], PC_S("::user::"), data};
    const struct pc_hmac_key *secret = t->wrong->secret;
    size_t count = data.len ? 5 : 3;
    const char *form;
    if (!read_auth(t, &form))
        return true;
    if (form && fits(t, secret, parts, count))
        return say(t, form);
    if (data.len && fits(t, secret, parts, 3))
        return say(t, "it was made without the channel_data that came with it");
    if (data.len && fits(t, secret, as_user, 3))
        return say(t, "it was made as for a sign-in, with \"::user::\"");
    if (data.len + channel.len > MAX_TRIED_BYTES)
        return false;
    return try_secrets(t, parts, count) || try_names(t, parts, count) ||
           (data.len && try_data(t, parts, count, "channel_data")) ||
           try_sockets(t, parts, count, others);
}

void pc_why_channel_auth(const struct pc_wrong_signature *wrong, pusherc_slice socket_id,
                         pusherc_slice channel, pusherc_slice channel_data,
                         const struct pc_why_sockets *others, struct pc_buf *cause)
{
    struct trial t = {.wrong = wrong, .cause = cause};
    pusherc_slice parts[] = {socket_id, PC_S(":"), channel, PC_S(":"), channel_data};
    if (explain_channel(&t, parts, others))
        return;
    if (channel_data.len == 0 && pc_channel_prefix_of(channel)->is.kind == PUSHERC_CHANNEL_PRESENCE)
        say(&t, "channel_data is missing: the auth endpoint answers with it beside auth, and the "
                "client has to send both");
    else
        say_unknown_client(&t);
}

static bool explain_user(struct trial *t, pusherc_slice *parts, const struct pc_why_sockets *others)
{
    const pusherc_slice as_channel[] = {parts[0], PC_S(":"), parts[2]};
    const char *form;
    if (!read_auth(t, &form))
        return true;
    if (form && fits(t, t->wrong->secret, parts, 3))
        return say(t, form);
    if (fits(t, t->wrong->secret, as_channel, 3))
        return say(t, "it was made as for a subscription, with \":\" in place of \"::user::\"");
    if (parts[2].len > MAX_TRIED_BYTES)
        return false;
    return try_secrets(t, parts, 3) || try_data(t, parts, 3, "user_data") ||
           try_sockets(t, parts, 3, others);
}

void pc_why_user_auth(const struct pc_wrong_signature *wrong, pusherc_slice socket_id,
                      pusherc_slice user_data, const struct pc_why_sockets *others,
                      struct pc_buf *cause)
{
    struct trial t = {.wrong = wrong, .cause = cause};
    pusherc_slice parts[] = {socket_id, PC_S("::user::"), user_data};
    if (!explain_user(&t, parts, others))
        say_unknown_client(&t);
}

/* -- HTTP requests -- */

static const pusherc_slice *find_param(const struct pc_signed_request *request, pusherc_slice name)
{
    return pc_pair_find(request->params, request->param_count, name);
}

/* Tries the string to sign with this method, path and query. */
static bool try_request(const struct trial *t, pusherc_slice method, pusherc_slice path,
                        const struct pc_buf *query, const char *sentence)
{
    const pusherc_slice parts[] = {method, PC_S("\n"), path, PC_S("\n"), pc_buf_slice(query)};
    return pc_buf_status(query) == 0 && fits(t, t->wrong->secret, parts, 5) && say(t, sentence);
}

/* Splits the query without decoding. */
static size_t split_raw(pusherc_slice query, struct pc_pair *params)
{
    size_t count = 0;
    while (count < PC_SIGN_MAX_PARAMS && pc_query_next(&query, &params[count]))
        count++;
    return count;
}

static bool is_named(const struct pc_pair *param, pusherc_slice name)
{
    return pc_slice_eq_nocase(param->name, name);
}

static bool try_queries(const struct trial *t, const struct pc_signed_request *r,
                        pusherc_slice raw_query, struct pc_buf *query)
{
    struct pc_pair params[PC_SIGN_MAX_PARAMS];
    size_t count = split_raw(raw_query, params);
    pc_buf_clear(query);
    pc_sign_put_query(query, params, count, PC_QUERY_AS_RECEIVED);
    if (try_request(t, r->method, r->path, query,
                    "it was made of query values that were URL-encoded: sign them decoded"))
        return true;
    pc_buf_clear(query);
    for (size_t i = 0; i < r->param_count; i++) {
        if (is_named(&r->params[i], PC_S("auth_signature")))
            continue;
        if (query->len)
            pc_buf_put_char(query, '&');
        pc_buf_put(query, r->params[i].name);
        pc_buf_put_char(query, '=');
        pc_buf_put(query, r->params[i].value);
    }
    if (try_request(t, r->method, r->path, query,
                    "it was made of a query that was not sorted by its names"))
        return true;
    count = 0;
    for (size_t i = 0; i < r->param_count; i++)
        if (!is_named(&r->params[i], PC_S("body_md5")))
            params[count++] = r->params[i];
    pc_buf_clear(query);
    pc_sign_put_query(query, params, count, PC_QUERY_AS_RECEIVED);
    return count < r->param_count && try_request(t, r->method, r->path, query,
                                                 "it was made without body_md5, which was added "
                                                 "later");
}

static bool try_path(const struct trial *t, const struct pc_signed_request *r, pusherc_slice before,
                     pusherc_slice behind, const struct pc_buf *query)
{
    struct pc_buf path;
    pc_buf_init(&path, t->wrong->mem, SIZE_MAX);
    pc_buf_put(&path, before);
    pc_buf_put(&path, r->path);
    pc_buf_put(&path, behind);
    const pusherc_slice parts[] = {r->method, PC_S("\n"), pc_buf_slice(&path), PC_S("\n"),
                                   pc_buf_slice(query)};
    bool found = pc_buf_status(&path) == 0 && fits(t, t->wrong->secret, parts, 5);
    if (found)
        say_of(t, "it was made for the path ", pc_buf_slice(&path),
               ", and another arrived: something on the way changes it");
    pc_buf_free(&path);
    return found;
}

static bool explain_signature(struct trial *t, const struct pc_signed_request *r,
                              pusherc_slice raw_query, pusherc_slice forwarded_prefix,
                              struct pc_buf *query)
{
    char lower[16];
    const char *form;
    const struct pc_wrong_signature *b = t->wrong;
    if (!read_digest(t, b->text, &form))
        return true;
    pc_sign_put_query(query, r->params, r->param_count, PC_QUERY_AS_RECEIVED);
    const pusherc_slice parts[] = {r->method, PC_S("\n"), r->path, PC_S("\n"), pc_buf_slice(query)};
    if (pc_buf_status(query))
        return false;
    if (form && fits(t, b->secret, parts, 5))
        return say(t, form);
    if (r->path.len + query->len > MAX_TRIED_BYTES)
        return false;
    if (try_secrets(t, parts, 5))
        return true;
    if (forwarded_prefix.len && try_path(t, r, forwarded_prefix, PC_S(""), query))
        return true;
    if (try_path(t, r, PC_S(""), PC_S("/"), query) || try_path(t, r, PC_S("/"), PC_S(""), query))
        return true;
    size_t len = r->method.len < sizeof lower ? r->method.len : sizeof lower;
    for (size_t i = 0; i < len; i++)
        lower[i] = pc_ascii_lower(r->method.ptr[i]);
    return try_request(t, pc_slice(lower, len), r->path, query,
                       "it was made for the method in lower case") ||
           try_request(t, PC_S("GET"), r->path, query, "it was made for the method GET") ||
           try_request(t, PC_S("POST"), r->path, query, "it was made for the method POST") ||
           try_queries(t, r, raw_query, query);
}

/* The signature is right and covers body_md5, so the body must have changed. */
static bool explain_body(const struct trial *t, const struct pc_signed_request *r)
{
    const pusherc_slice *sent = find_param(r, PC_S("body_md5"));
    char md5[PC_MD5_HEX];
    if (!sent || pc_md5_hex(r->body, md5))
        return false;
    if (pc_slice_eq_nocase(*sent, pc_slice(md5, sizeof md5)))
        return say(t, "body_md5 is in upper case, and must be in lower case");
    say(t, "the body is not what body_md5 was made of: ");
    pc_buf_put_u64(t->cause, r->body.len);
    return say(t, " bytes arrived; was it changed, or encoded anew, after it was signed?");
}

static bool explain_key(const struct trial *t, pusherc_slice key)
{
    const struct pc_wrong_signature *b = t->wrong;
    if (b->key_owner.len)
        return say_of(t, "auth_key is the key of app ", b->key_owner,
                      ", and the path has the id of another one");
    if (pc_slice_eq(key, b->app_id))
        return say(t, "auth_key is the app's id, not its key");
    return say(t, "auth_key is not the key of this app, nor of another one here");
}

static bool explain_time(const struct trial *t, uint64_t sent_s, uint64_t now_s,
                         uint32_t max_skew_s)
{
    uint64_t off = sent_s > now_s ? sent_s - now_s : now_s - sent_s;
    uint64_t in_s = sent_s / 1000;
    if ((in_s > now_s ? in_s - now_s : now_s - in_s) <= max_skew_s)
        return say(t, "auth_timestamp is in milliseconds, and must be in seconds");
    say(t, sent_s < now_s ? "auth_timestamp is " : "auth_timestamp is ahead by ");
    pc_buf_put_u64(t->cause, off);
    return say(t, sent_s < now_s
                      ? " seconds old: the request waited, was sent again, or a clock is wrong"
                      : " seconds: a clock is wrong");
}

bool pc_why_request_signature(const struct pc_wrong_signature *wrong,
                              const struct pc_signed_request *request, pusherc_slice raw_query,
                              pusherc_slice forwarded_prefix, uint64_t unix_time_s,
                              uint32_t max_skew_s, struct pc_buf *cause)
{
    struct trial t = {.wrong = wrong, .cause = cause};
    const pusherc_slice *key = find_param(request, PC_S("auth_key"));
    const pusherc_slice *time = find_param(request, PC_S("auth_timestamp"));
    const struct pc_hmac_key *secret = wrong->secret;
    struct pc_buf query, why;
    uint64_t sent_s;
    if (!key || !time || !pc_slice_to_u64(*time, &sent_s))
        return false; /* the answer to the client is enough */
    if (!pc_slice_eq(*key, wrong->app_key))
        return explain_key(&t, *key);
    if ((sent_s > unix_time_s ? sent_s - unix_time_s : unix_time_s - sent_s) > max_skew_s)
        return explain_time(&t, sent_s, unix_time_s, max_skew_s);
    pc_buf_init(&why, wrong->mem, PC_SIGN_MAX_WHY);
    pc_buf_init(&query, wrong->mem, SIZE_MAX);
    /* Without the body, the check says whether the signature or the body is wrong. */
    struct pc_signed_request head = *request;
    head.body = PC_S("");
    int err = pc_verify_request(wrong->app_key, secret, &head, sent_s, 0, wrong->mem, &why);
    bool found = false;
    if (err == 0 || pc_slice_starts(pc_buf_slice(&why), PC_S("Invalid body_md5")))
        found = explain_body(&t, request);
    else if (pc_slice_starts(pc_buf_slice(&why), PC_S("Invalid signature")))
        found = explain_signature(&t, request, raw_query, forwarded_prefix, &query);
    else
        err = 0;
    if (err && !found)
        say_unknown(&t);
    pc_buf_free(&query);
    pc_buf_free(&why);
    return err || found;
}
