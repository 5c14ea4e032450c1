/* What the log says of wrong signatures: each usual mistake is made once, and must be told as what it is. */
#include "unit/api_fixture.h"

#include "why/signature.h"
#include "why/why.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

#define KEY    "app-key"
#define SECRET "app-secret"

struct bench {
    struct failing_alloc alloc;
    struct pc_mem mem;
    struct pc_hmac_key *secret, *other;
    struct pc_why_secret others[1];
    struct pc_wrong_signature wrong;
    char cause[PC_WHY_MAX_BYTES + 1];
};

static void bench_open(struct bench *b, const char *secret)
{
    pusherc_allocator allocator = failing_alloc_init(&b->alloc, 0);
    b->mem = pc_mem_make(&allocator);
    assert_int_equal(pc_crypto_init(), 0);
    assert_int_equal(pc_hmac_key_new(&b->secret, &b->mem, pc_slice_of(secret)), 0);
    assert_int_equal(pc_hmac_key_new(&b->other, &b->mem, PC_S("other-secret")), 0);
    b->others[0] = (struct pc_why_secret){PC_S("shop"), b->other};
    b->wrong = (struct pc_wrong_signature){.mem = &b->mem,
                                           .app_id = PC_S("app-id"),
                                           .app_key = PC_S(KEY),
                                           .secret_text = pc_slice_of(secret),
                                           .secret = b->secret,
                                           .others = b->others,
                                           .other_count = 1};
}

static void bench_close(struct bench *b)
{
    pc_hmac_key_free(b->secret);
    pc_hmac_key_free(b->other);
    assert_int_equal(failing_alloc_live(&b->alloc), 0);
}

static void hmac(const char *secret, const char *text, char hex[PC_SHA256_HEX + 1])
{
    struct pc_mem mem = pc_mem_make(NULL);
    struct pc_hmac_key *key;
    const pusherc_slice part = pc_slice_of(text);
    assert_int_equal(pc_hmac_key_new(&key, &mem, pc_slice_of(secret)), 0);
    assert_int_equal(pc_hmac_hex(key, &part, 1, hex), 0);
    hex[PC_SHA256_HEX] = '\0';
    pc_hmac_key_free(key);
}

static void upper(char *text)
{
    for (; *text; text++)
        if (*text >= 'a' && *text <= 'z')
            *text = (char)(*text - 'a' + 'A');
}

/* The line must hold neither the right digest nor the secret. */
static void expect_cause(struct bench *b, struct pc_buf *cause, const char *secret,
                         const char *to_sign, const char *expected)
{
    char right[PC_SHA256_HEX + 1];
    assert_int_equal(pc_buf_status(cause), 0);
    snprintf(b->cause, sizeof b->cause, "%.*s", (int)cause->len, cause->ptr);
    if (strcmp(b->cause, expected) != 0)
        fail_msg("%s\ninstead of\n%s", b->cause, expected);
    hmac(secret, to_sign, right);
    assert_null(strstr(b->cause, right));
    assert_null(strstr(b->cause, secret));
}

static const struct pc_why_sockets none = {NULL, 0, 0};

#define UNKNOWN "none of the usual mistakes: another secret, or "
#define NOTHING UNKNOWN "the socket_id of a connection that is not known here"
#define DATA    "{\"user_id\":\"7\",\"user_info\":{\"name\":\"Zo\xc3\xab\",\"url\":\"/a\"}}"
#define ANEW    " was written anew after it was signed: it must be sent byte for byte as it was signed"

struct subscription {
    const char *channel, *data;
    const char *secret, *signed_text; /* what was done */
    const char *cause;
};

static void causes_of_subscriptions(void **state)
{
    static const struct subscription cases[] = {
        {"private-orders.42", "", "other-secret", "1234.5678:private-orders.42",
         "it was made with the secret of app \"shop\""},
        {"private-orders.42", "", KEY, "1234.5678:private-orders.42",
         "it was made with the app's key in place of its secret"},
        {"private-orders.42", "", "app-id", "1234.5678:private-orders.42",
         "it was made with the app's id in place of its secret"},
        {"private-orders.42", "", "", "1234.5678:private-orders.42",
         "it was made with an empty secret: the setting was not read"},
        {"private-orders.42", "", SECRET "\n", "1234.5678:private-orders.42",
         "it was made with the secret and a line feed behind it"},
        {"private-orders.42", "", SECRET "\r\n", "1234.5678:private-orders.42",
         "it was made with the secret and a carriage return and line feed behind it"},
        {"private-orders.42", "", SECRET " ", "1234.5678:private-orders.42",
         "it was made with the secret and a space behind it"},
        {"private-orders.42", "", " " SECRET, "1234.5678:private-orders.42",
         "it was made with the secret and a space before it"},
        {"private-orders.42", "", "\"" SECRET "\"", "1234.5678:private-orders.42",
         "it was made with the secret in double quotes"},
        {"private-orders.42", "", "'" SECRET "'", "1234.5678:private-orders.42",
         "it was made with the secret in single quotes"},
        {"private-orders.42", "", SECRET, "1234.5678:orders.42",
         "it was made for the name \"orders.42\": sign the whole name"},
        {"private-encrypted-vault", "", SECRET, "1234.5678:private-vault",
         "it was made for the name \"private-vault\": sign the whole name"},
        {"private-orders", "", SECRET, "1234.5678:private-order", NOTHING},
        {"private-encrypted-vault", "", SECRET, "1234.5678:vault",
         "it was made for the name \"vault\": sign the whole name"},
        {"private-orders.42", "", SECRET, "1234.5678:private-private-orders.42",
         "it was made for the name \"private-private-orders.42\": sign the whole name"},
        {"private-Orders", "", SECRET, "1234.5678:private-orders",
         "it was made for the name \"private-orders\": sign the whole name"},
        {"private-orders.42", "", SECRET, "9.9:private-orders.42",
         "it was made for another connection, \"9.9\": ask with the socket_id of the one that "
         "sends "
         "it"},
        {"private-orders.42", "", SECRET, "1234%2E5678:private-orders.42",
         "it was made for a socket_id that was URL-encoded, \"1234%2E5678\""},
        {"private-orders.42", "", SECRET, "8.8:private-orders.42", NOTHING},
        {"private-orders.42", "", SECRET, "7.7:private-orders.42",
         "it was made for a connection that has ended, \"7.7\": after connecting again, ask again "
         "with the new socket_id"},
        {"presence-room", DATA, SECRET, "1234.5678:presence-room",
         "it was made without the channel_data that came with it"},
        {"presence-room", DATA, SECRET, "1234.5678::user::" DATA,
         "it was made as for a sign-in, with \"::user::\""},
        {"presence-room", DATA, "other-secret", "1234.5678:presence-room:" DATA,
         "it was made with the secret of app \"shop\""},
        {"presence-room", DATA, SECRET, "1234.5678:room:" DATA,
         "it was made for the name \"room\": sign the whole name"},
        /* as PHP writes it, and Python */
        {"presence-room", DATA, SECRET,
         "1234.5678:presence-room:{\"user_id\":\"7\",\"user_info\":{\"name\":\"Zo\\u00eb\",\"url\":"
         "\"\\/a\"}}",
         "channel_data" ANEW},
        {"presence-room", DATA, SECRET,
         "1234.5678:presence-room:{\"user_id\": \"7\", \"user_info\": {\"name\": \"Zo\\u00eb\", "
         "\"url\": \"/a\"}}",
         "channel_data" ANEW},
        /* and the other way round */
        {"presence-room", "{ \"user_id\": \"\\u0037\", \"x\": \"\\ud83d\\ude00\\/\" }", SECRET,
         "1234.5678:presence-room:{\"user_id\":\"7\",\"x\":\"\xf0\x9f\x98\x80/\"}",
         "channel_data" ANEW},
        {"presence-room", "{\"x\":\"\xf0\x9f\x98\x80\"}", SECRET,
         "1234.5678:presence-room:{\"x\":\"\\ud83d\\ude00\"}", "channel_data" ANEW},
        {"presence-room", "{\"user_id\":7}", SECRET,
         "1234.5678:presence-room:\"{\\\"user_id\\\":7}\"", "channel_data" ANEW},
        {"presence-room", "{\"user_id\":7}", SECRET, "1234.5678:presence-room:{\"user_id\":8}",
         NOTHING},
        {"presence-room", "no JSON", SECRET, "1234.5678:presence-room:{}", NOTHING},
        {"presence-room", "", SECRET, "1234.5678:presence-room:{}",
         "channel_data is missing: the auth endpoint answers with it beside auth, and the client "
         "has to send both"},
    };
    const pusherc_slice ids[] = {PUSHERC_LIT("1.1"), PUSHERC_LIT("9.9"), PUSHERC_LIT("7.7")};
    const struct pc_why_sockets sockets = {ids, 2, 1};
    struct bench b;
    (void)state;
    bench_open(&b, SECRET);
    for (size_t i = 0; i < LENGTH(cases); i++) {
        const struct subscription *c = &cases[i];
        char auth[200], hex[PC_SHA256_HEX + 1], to_sign[300];
        struct pc_buf cause;
        hmac(c->secret, c->signed_text, hex);
        snprintf(auth, sizeof auth, KEY ":%s", hex);
        snprintf(to_sign, sizeof to_sign, "1234.5678:%s%s%s", c->channel, *c->data ? ":" : "",
                 c->data);
        b.wrong.text = pc_slice_of(auth);
        pc_buf_init(&cause, &b.mem, PC_WHY_MAX_BYTES);
        pc_why_channel_auth(&b.wrong, PC_S("1234.5678"), pc_slice_of(c->channel),
                            pc_slice_of(c->data), &sockets, &cause);
        expect_cause(&b, &cause, SECRET, to_sign, c->cause);
        pc_buf_free(&cause);
    }
    bench_close(&b);
}

/* The signature is right but for how it is written. */
static void causes_of_odd_forms(void **state)
{
    char right[PC_SHA256_HEX + 1], big[PC_SHA256_HEX + 1], text[200], base64[64] = "";
    uint8_t bytes[PC_SHA256_SIZE];
    struct bench b;
    (void)state;
    bench_open(&b, SECRET);
    hmac(SECRET, "1.2:private-x", right);
    snprintf(big, sizeof big, "%s", right);
    upper(big);
    for (size_t i = 0; i < sizeof bytes; i++) {
        unsigned byte;
        assert_int_equal(sscanf(right + 2 * i, "%2x", &byte), 1);
        bytes[i] = (uint8_t)byte;
    }
    pc_base64_encode(pc_slice((const char *)bytes, sizeof bytes), base64);
    const struct {
        const char *before, *hex, *owner, *cause;
    } cases[] = {
        {KEY ":", big, "", "its hex digits are in upper case, and must be in lower case"},
        {KEY ":", base64, "", "it is in base64, and must be in hex"},
        {KEY ":", "abc", "", "it has 3 characters in place of 64 hex digits"},
        {KEY ":", "", "", "it has 0 characters in place of 64 hex digits"},
        {"", right, "", "there is no ':' in it: it must be the app's key, ':' and 64 hex digits"},
        {"shop-key:", right, "shop", "the key before the ':' is that of app \"shop\""},
        {"app-id:", right, "", "before the ':' is the app's id, not its key"},
        {"x:", right, "", "before the ':' is not this app's key"},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct pc_buf cause;
        snprintf(text, sizeof text, "%s%s", cases[i].before, cases[i].hex);
        b.wrong.text = pc_slice_of(text);
        b.wrong.key_owner = pc_slice_of(cases[i].owner);
        pc_buf_init(&cause, &b.mem, PC_WHY_MAX_BYTES);
        pc_why_channel_auth(&b.wrong, PC_S("1.2"), PC_S("private-x"), PC_S(""), &none, &cause);
        expect_cause(&b, &cause, SECRET, "1.2:private-x", cases[i].cause);
        pc_buf_free(&cause);
    }
    bench_close(&b);
}

static void causes_of_sign_ins(void **state)
{
    static const struct {
        const char *secret, *signed_text, *cause;
    } cases[] = {
        {SECRET, "1.2:{\"id\":\"7\"}",
         "it was made as for a subscription, with \":\" in place of \"::user::\""},
        {SECRET, "9.9::user::{\"id\":\"7\"}",
         "it was made for another connection, \"9.9\": ask with the socket_id of the one that "
         "sends "
         "it"},
        {SECRET, "1.2::user::{\"id\": \"7\"}", "user_data" ANEW},
        {"other-secret", "1.2::user::{\"id\":\"7\"}",
         "it was made with the secret of app \"shop\""},
        {SECRET, "1.2::user::{\"id\":\"8\"}", NOTHING},
    };
    const pusherc_slice ids[] = {PUSHERC_LIT("9.9")};
    const struct pc_why_sockets sockets = {ids, 1, 0};
    struct bench b;
    (void)state;
    bench_open(&b, SECRET);
    for (size_t i = 0; i < LENGTH(cases); i++) {
        char auth[200], hex[PC_SHA256_HEX + 1];
        struct pc_buf cause;
        hmac(cases[i].secret, cases[i].signed_text, hex);
        snprintf(auth, sizeof auth, KEY ":%s", hex);
        b.wrong.text = pc_slice_of(auth);
        pc_buf_init(&cause, &b.mem, PC_WHY_MAX_BYTES);
        pc_why_user_auth(&b.wrong, PC_S("1.2"), PC_S("{\"id\":\"7\"}"), &sockets, &cause);
        expect_cause(&b, &cause, SECRET, "1.2::user::{\"id\":\"7\"}", cases[i].cause);
        pc_buf_free(&cause);
    }
    bench_close(&b);
}

/* The white space may be here instead of there. */
static void a_secret_with_white_space_here_is_told(void **state)
{
    struct bench b;
    char auth[200], hex[PC_SHA256_HEX + 1];
    struct pc_buf cause;
    (void)state;
    bench_open(&b, "app-secret\n");
    hmac("app-secret", "1.2:private-x", hex);
    snprintf(auth, sizeof auth, KEY ":%s", hex);
    b.wrong.text = pc_slice_of(auth);
    pc_buf_init(&cause, &b.mem, PC_WHY_MAX_BYTES);
    pc_why_channel_auth(&b.wrong, PC_S("1.2"), PC_S("private-x"), PC_S(""), &none, &cause);
    expect_cause(&b, &cause, "app-secret\n", "1.2:private-x",
                 "it was made with the secret without the white space that it has here");
    pc_buf_free(&cause);
    bench_close(&b);
}

/* -- through the HTTP API and its log -- */

struct lines {
    char text[1200];
};

static void on_log(const pusherc_log_entry *entry, void *user_data)
{
    struct lines *lines = user_data;
    if (strcmp(entry->subject, "auth") == 0)
        snprintf(lines->text, sizeof lines->text, "%.*s", (int)entry->message.len,
                 entry->message.ptr);
}

#define A      "auth_key=app-key&auth_timestamp=1700000000&auth_version=1.0"
#define BODY   "{\"name\":\"e\",\"channel\":\"orders\",\"data\":\"d\"}"
#define EVENTS "/apps/app-id/events"

struct http_case {
    const char *method, *path;
    const char *query;                /* sent; '$' = the body's MD5 */
    const char *secret, *signed_text; /* likewise */
    const char *cause;                /* NULL = no line */
};

/* `template` with `md5` in place of '$'. */
static void fill(char out[1000], const char *template, const char *md5)
{
    size_t before = strcspn(template, "$");
    snprintf(out, 1000, "%.*s%s%s", (int)before, template, template[before] ? md5 : "",
             template[before] ? template + before + 1 : "");
}

static void send(struct api_fixture *f, const struct http_case *c)
{
    char md5[PC_MD5_HEX + 1], query[1000], text[1000], hex[PC_SHA256_HEX + 1], whole[1200];
    pusherc_slice body = strcmp(c->method, "POST") == 0 ? PC_S(BODY) : PC_S("");
    assert_int_equal(pc_md5_hex(PC_S(BODY), md5), 0);
    md5[PC_MD5_HEX] = '\0';
    fill(query, c->query, md5);
    fill(text, c->signed_text, md5);
    hmac(c->secret, text, hex);
    snprintf(whole, sizeof whole, "%s&auth_signature=%s", query, hex);
    api_send(f, c->method, c->path, whole, body);
}

static void causes_of_http_requests(void **state)
{
    static const struct http_case cases[] = {
        {"POST", EVENTS, A "&body_md5=$", "other-secret", "POST\n" EVENTS "\n" A "&body_md5=$",
         "it was made with the secret of app \"shop\""},
        {"POST", EVENTS, A "&body_md5=$", "app-key", "POST\n" EVENTS "\n" A "&body_md5=$",
         "it was made with the app's key in place of its secret"},
        {"POST", EVENTS, A "&body_md5=$", "nobody's", "POST\n" EVENTS "\n" A "&body_md5=$",
         UNKNOWN "something else that is not known here"},
        {"POST", EVENTS, A "&body_md5=$", SECRET, "post\n" EVENTS "\n" A "&body_md5=$",
         "it was made for the method in lower case"},
        {"POST", EVENTS, A "&body_md5=$", SECRET, "GET\n" EVENTS "\n" A "&body_md5=$",
         "it was made for the method GET"},
        {"POST", EVENTS, A "&body_md5=$", SECRET, "POST\n" EVENTS "/\n" A "&body_md5=$",
         "it was made for the path \"" EVENTS
         "/\", and another arrived: something on the way changes "
         "it"},
        {"POST", EVENTS, A "&body_md5=$", SECRET, "POST\n/ws" EVENTS "\n" A "&body_md5=$",
         "it was made for the path \"/ws" EVENTS
         "\", and another arrived: something on the way changes "
         "it"},
        {"POST", EVENTS, A "&body_md5=$", SECRET, "POST\n" EVENTS "\n" A,
         "it was made without body_md5, which was added later"},
        {"GET", "/apps/app-id/channels", A "&filter_by_prefix=a%2Cb", SECRET,
         "GET\n/apps/app-id/channels\n" A "&filter_by_prefix=a%2Cb",
         "it was made of query values that were URL-encoded: sign them decoded"},
        {"GET", "/apps/app-id/channels", "info=subscription_count&" A, SECRET,
         "GET\n/apps/app-id/channels\ninfo=subscription_count&" A,
         "it was made of a query that was not sorted by its names"},
        {"POST", EVENTS, A "&body_md5=0123456789abcdef0123456789abcdef", SECRET,
         "POST\n" EVENTS "\n" A "&body_md5=0123456789abcdef0123456789abcdef",
         "the body is not what body_md5 was made of: 42 bytes arrived; was it changed, or encoded "
         "anew, "
         "after it was signed?"},
        {"GET", "/apps/app-id/channels",
         "auth_key=shop-key&auth_timestamp=1700000000&auth_version=1.0", "other-secret",
         "GET\n/apps/app-id/channels\nauth_key=shop-key&auth_timestamp=1700000000&auth_version=1.0",
         "auth_key is the key of app \"shop\", and the path has the id of another one"},
        {"GET", "/apps/app-id/channels",
         "auth_key=app-id&auth_timestamp=1700000000&auth_version=1.0", SECRET, "x",
         "auth_key is the app's id, not its key"},
        {"GET", "/apps/app-id/channels", "auth_key=x&auth_timestamp=1700000000&auth_version=1.0",
         SECRET, "x", "auth_key is not the key of this app, nor of another one here"},
        {"GET", "/apps/app-id/channels",
         "auth_key=app-key&auth_timestamp=1700000000000&auth_version=1.0", SECRET, "x",
         "auth_timestamp is in milliseconds, and must be in seconds"},
        {"GET", "/apps/app-id/channels",
         "auth_key=app-key&auth_timestamp=1699990000&auth_version=1.0", SECRET, "x",
         "auth_timestamp is 10000 seconds old: the request waited, was sent again, or a clock is "
         "wrong"},
        {"GET", "/apps/app-id/channels",
         "auth_key=app-key&auth_timestamp=1700003600&auth_version=1.0", SECRET, "x",
         "auth_timestamp is ahead by 3600 seconds: a clock is wrong"},
        /* here the answer says it all */
        {"GET", "/apps/app-id/channels",
         "auth_key=app-key&auth_timestamp=1700000000&auth_version=2.0", SECRET, "x", NULL},
        {"GET", "/apps/app-id/channels", "auth_key=app-key&auth_version=1.0", SECRET, "x", NULL},
        {"GET", "/apps/app-id/channels", A, SECRET, "GET\n/apps/app-id/channels\n" A, NULL},
    };
    static const struct pc_pair proxy = {PUSHERC_LIT("X-Forwarded-Prefix"), PUSHERC_LIT("/ws")};
    (void)state;
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct api_fixture f;
        struct lines lines = {""};
        char expected[1200] = "";
        pusherc_app_options shop = api_app();
        api_open(&f, "");
        shop.id = "shop";
        shop.key = "shop-key";
        shop.secret = "other-secret";
        api_put(&f, &shop);
        f.fields = &proxy;
        f.field_count = 1;
        pc_log_init(&f.engine->log, on_log, &lines, PUSHERC_LOG_DEBUG);
        send(&f, &cases[i]);
        if (cases[i].cause)
            snprintf(expected, sizeof expected, "wrong signature of %s %s: %s", cases[i].method,
                     cases[i].path, cases[i].cause);
        if (strcmp(lines.text, expected) != 0)
            fail_msg("%zu: %s\ninstead of\n%s", i, lines.text, expected);
        assert_null(strstr(lines.text, SECRET));
        assert_null(strstr(f.body, "secret of app")); /* only the log has it */
        if (cases[i].cause)
            assert_int_equal(f.reply.status, 401);
        api_close(&f);
    }
}

static void md5_in_upper_case_is_told(void **state)
{
    struct api_fixture *f = *state;
    struct lines lines = {""};
    char md5[PC_MD5_HEX + 1], text[300], hex[PC_SHA256_HEX + 1], query[400];
    pc_log_init(&f->engine->log, on_log, &lines, PUSHERC_LOG_DEBUG);
    assert_int_equal(pc_md5_hex(PC_S(BODY), md5), 0);
    md5[PC_MD5_HEX] = '\0';
    upper(md5);
    snprintf(text, sizeof text, "POST\n" EVENTS "\n" A "&body_md5=%s", md5);
    hmac(SECRET, text, hex);
    snprintf(query, sizeof query, A "&body_md5=%s&auth_signature=%s", md5, hex);
    api_send(f, "POST", EVENTS, query, PC_S(BODY));
    assert_int_equal(f->reply.status, 401);
    assert_string_equal(lines.text, "wrong signature of POST " EVENTS
                                    ": body_md5 is in upper case, and must be in lower case");
}

/* Not at other levels, and only a few times in a second. */
static void it_is_looked_for_a_few_times_in_a_second(void **state)
{
    struct api_fixture *f = *state;
    struct lines lines = {""};
    const struct http_case c = {"GET", "/apps/app-id/channels", A, "x", "x", NULL};
    size_t said = 0;
    pc_log_init(&f->engine->log, on_log, &lines, PUSHERC_LOG_INFO);
    send(f, &c);
    assert_string_equal(lines.text, "");
    pc_log_init(&f->engine->log, on_log, &lines, PUSHERC_LOG_DEBUG);
    for (size_t i = 0; i < 200; i++) {
        lines.text[0] = '\0';
        send(f, &c);
        said += lines.text[0] != '\0';
    }
    assert_in_range(said, 1, 4 * PC_WHY_PER_S); /* a busy machine may take some seconds */
}

static void without_memory_less_is_found(void **state)
{
    struct bench b;
    char auth[200], hex[PC_SHA256_HEX + 1];
    (void)state;
    bench_open(&b, SECRET);
    hmac(SECRET, "1.2:presence-x:{\"user_id\": \"7\"}", hex);
    snprintf(auth, sizeof auth, KEY ":%s", hex);
    b.wrong.text = pc_slice_of(auth);
    for (size_t n = 1; n < 60; n++) {
        char text[PC_WHY_MAX_BYTES];
        struct pc_buf cause;
        pc_buf_init_in(&cause, &b.mem, sizeof text, text, sizeof text);
        b.alloc.fail_at = b.alloc.requests + n;
        pc_why_channel_auth(&b.wrong, PC_S("1.2"), PC_S("presence-x"), PC_S("{\"user_id\":\"7\"}"),
                            &none, &cause);
        b.alloc.fail_at = 0;
        assert_true(cause.len > 0);
    }
    bench_close(&b);
}

/* -- the public calls -- */

static pusherc_credentials app_credentials(void)
{
    pusherc_credentials c = PUSHERC_CREDENTIALS_INIT;
    c.app_id = PC_S("app-id");
    c.key = PC_S(KEY);
    c.secret = PC_S(SECRET);
    return c;
}

static void hosts_are_told_why_a_subscription_is_refused(void **state)
{
    const pusherc_credentials credentials = app_credentials();
    const pusherc_socket_id id = {1, 2};
    char auth[sizeof KEY + 1 + PC_SHA256_HEX], hex[PC_SHA256_HEX + 1], out[1024];
    size_t len = 1;
    (void)state;

    assert_int_equal(pusherc_sign_channel(&credentials, id, PC_S("private-x"), PC_S(""), auth,
                                          sizeof auth, NULL),
                     0);
    assert_int_equal(pusherc_explain_auth(&credentials, pc_slice_of(auth), id, PC_S("private-x"),
                                          PC_S(""), out, sizeof out, &len),
                     0);
    assert_int_equal(len, 0);
    assert_string_equal(out, "");
    assert_int_equal(pusherc_explain_auth(&credentials, pc_slice_of(auth), id, PC_S("private-y"),
                                          PC_S(""), out, sizeof out, &len),
                     0);
    assert_non_null(strstr(out, "none of the usual mistakes"));
    assert_int_equal(len, strlen(out));
    hmac(SECRET, "1.2:x", hex);
    (void)snprintf(auth, sizeof auth, "%s:%s", KEY, hex);
    assert_int_equal(pusherc_explain_auth(&credentials, pc_slice_of(auth), id, PC_S("private-x"),
                                          PC_S(""), NULL, 0, &len),
                     PUSHERC_ENOBUFS);
    assert_int_equal(pusherc_explain_auth(&credentials, pc_slice_of(auth), id, PC_S("private-x"),
                                          PC_S(""), out, len, &len),
                     0);
    assert_string_equal(out, "it was made for the name \"x\": sign the whole name");
    /* a sign-in */
    hmac("app-secret ", "1.2::user::{}", hex);
    (void)snprintf(auth, sizeof auth, "%s:%s", KEY, hex);
    assert_int_equal(pusherc_explain_auth(&credentials, pc_slice_of(auth), id, PC_S(""), PC_S("{}"),
                                          out, sizeof out, &len),
                     0);
    assert_string_equal(out, "it was made with the secret and a space behind it");
    assert_int_equal(pusherc_explain_auth(NULL, pc_slice_of(auth), id, PC_S(""), PC_S("{}"), out,
                                          sizeof out, &len),
                     PUSHERC_EINVAL);
}

static void hosts_are_told_why_a_request_is_refused(void **state)
{
    pusherc_credentials credentials = app_credentials();
    const pusherc_http_param param = {PC_S("info"), PC_S("user count")};
    char query[512], out[9216];
    size_t len;
    (void)state;

    assert_int_equal(pusherc_sign_request(&credentials, "GET", "/apps/1/channels", &param, 1,
                                          PC_S(""), 1000, query, sizeof query, NULL),
                     0);
    static const struct {
        const char *method, *path;
        uint64_t now;
        const char *secret, *told; /* NULL: it is right */
    } cases[] = {
        {"GET", "/apps/1/channels", 1000, SECRET, NULL},
        {"POST", "/apps/1/channels", 1000, SECRET, ": it was made for the method GET"},
        {"GET", "/apps/1/channels/", 1000, SECRET, "none of the usual mistakes"},
        {"GET", "/apps/1/channels", 5000, SECRET, ": auth_timestamp is 4000 seconds old"},
        {"GET", "/apps/1/channels", 1000, "x", "Invalid signature"},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        credentials.secret = pc_slice_of(cases[i].secret);
        assert_int_equal(pusherc_explain_request(&credentials, cases[i].method, cases[i].path,
                                                 pc_slice_of(query), PC_S(""), cases[i].now, out,
                                                 sizeof out, &len),
                         0);
        assert_int_equal(len, strlen(out));
        if (cases[i].told)
            assert_non_null(strstr(out, cases[i].told));
        else
            assert_int_equal(len, 0);
    }
    assert_int_equal(pusherc_explain_request(&credentials, "GET", "/", PC_S(""), PC_S(""), 1, out,
                                             sizeof out, &len),
                     0);
    assert_string_equal(out, "Missing parameter: auth_key");
    credentials.key = PC_S("");
    assert_int_equal(pusherc_explain_request(&credentials, "GET", "/", PC_S(""), PC_S(""), 1, out,
                                             sizeof out, &len),
                     PUSHERC_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hosts_are_told_why_a_subscription_is_refused),
        cmocka_unit_test(hosts_are_told_why_a_request_is_refused),
        cmocka_unit_test(causes_of_subscriptions),
        cmocka_unit_test(causes_of_odd_forms),
        cmocka_unit_test(causes_of_sign_ins),
        cmocka_unit_test(a_secret_with_white_space_here_is_told),
        cmocka_unit_test(causes_of_http_requests),
        api_test(md5_in_upper_case_is_told),
        api_test(it_is_looked_for_a_few_times_in_a_second),
        cmocka_unit_test(without_memory_less_is_found),
    };
    return cmocka_run_group_tests_name("test_why_signature", tests, NULL, NULL);
}
