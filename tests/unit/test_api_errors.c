/*
 * The table of failures of the HTTP API (protocol section 5.1), row by row: the status, and a line that says what to
 * do; and the same as JSON. "HTTP body too large" is the parser's, see test_http.c.
 */
#include "unit/api_fixture.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

#define E      "/apps/app-id/events"
#define B      "/apps/app-id/batch_events"
#define HEAD   "{\"name\":\"e\",\"channel\":\"orders\","
#define GOOD   HEAD "\"data\":\"d\"}"
#define GOOD10 GOOD "," GOOD "," GOOD "," GOOD "," GOOD "," GOOD "," GOOD "," GOOD "," GOOD "," GOOD

struct row {
    const char *row; /* as the table has it */
    int status;
    const char *path, *body;
    const char *text;
};

static char long_name[300], long_data[10400], many_channels[1200];

static const struct row rows[] = {
    {"app id unknown", 404, "/apps/nobody/events", GOOD,
     "The app \"nobody\" could not be found: the path must have the app's id, not its key."},
    {"app disabled", 403, "/apps/off/events", GOOD,
     "The app is disabled in the server's settings."},
    {"body is not a JSON object", 400, E, "[" GOOD "]", "The body is not a JSON object."},
    {"body is not a JSON object", 400, E, "{\"name\":\"e\",}",
     "The body is not valid JSON in UTF-8 from byte 8 on."},
    {"name missing", 400, E, "{\"channel\":\"orders\",\"data\":\"d\"}", "name is missing."},
    {"name empty", 400, E, "{\"name\":\"\",\"channel\":\"orders\",\"data\":\"d\"}",
     "The event name is missing."},
    {"name not string", 400, E, "{\"name\":7,\"channel\":\"orders\",\"data\":\"d\"}",
     "name must be a string."},
    {"data missing", 400, E, "{\"name\":\"e\",\"channel\":\"orders\"}", "data is missing."},
    {"data null", 400, E, HEAD "\"data\":null}", "data is missing."},
    {"\"\" accepted", 200, E, HEAD "\"data\":\"\"}", "{}"},
    {"no channel and no channels", 400, E, "{\"name\":\"e\",\"data\":\"d\"}",
     "channel and channels are missing."},
    {"empty list", 400, E, "{\"name\":\"e\",\"data\":\"d\",\"channels\":[]}",
     "The event names no channel."},
    {"both", 200, E,
     HEAD "\"channels\":[\"others\"],\"data\":\"d\",\"info\":\"subscription_count\"}",
     "{\"channels\":{\"others\":{\"subscription_count\":0}}}"},
    {"> 100 channels", 400, E, many_channels,
     "Cannot broadcast to more than 100 channels at once."},
    {"name > 200", 400, E, long_name, "The event name is too long: 201 bytes, the maximum is 200."},
    {"data too large", 413, E, long_data,
     "The data content of this event exceeds the allowed maximum (10240 bytes): it has 10241 "
     "bytes, see max_event_payload_bytes "
     "(event \"e\", channel \"orders\")."},
    {"invalid channel name", 400, E, "{\"name\":\"e\",\"channel\":\"a b\",\"data\":\"d\"}",
     "Invalid channel name: a b (allowed are A-Z a-z 0-9 _ - = @ , . ;)."},
    {"socket_id malformed", 400, E, HEAD "\"data\":\"d\",\"socket_id\":\"1\"}",
     "Malformed socket_id: \"1\"."},
    {"socket_id unknown", 200, E, HEAD "\"data\":\"d\",\"socket_id\":\"9.9\"}", "{}"},
    {"batch > 10", 400, B, "{\"batch\":[" GOOD10 "," GOOD "]}",
     "Cannot batch-send more than 10 events at once."},
    {"one batch item invalid", 400, B, "{\"batch\":[" GOOD "," HEAD "\"data\":null}]}",
     "Event 2 of the batch: data is missing."},
    {"unknown path", 404, "/apps/app-id/event", GOOD,
     "There is nothing here: the API begins with /apps/{app id}/."},
    {"wrong method", 405, "/apps/app-id/channels", GOOD, "Use GET here."},
};

static void put_disabled(struct api_fixture *f)
{
    pusherc_app_options off = api_app();
    off.id = "off";
    off.key = "off-key";
    off.disabled = true;
    api_put(f, &off);
}

static void fill_long_bodies(void)
{
    static char name[202], data[10242];
    memset(name, 'n', sizeof name - 1);
    memset(data, 'd', sizeof data - 1);
    snprintf(long_name, sizeof long_name, "{\"name\":\"%s\",\"channel\":\"orders\",\"data\":\"\"}",
             name);
    snprintf(long_data, sizeof long_data, HEAD "\"data\":\"%s\"}", data);
    int n = snprintf(many_channels, sizeof many_channels,
                     "{\"name\":\"e\",\"data\":\"\",\"channels\":[");
    for (int i = 0; i <= 100; i++)
        n += snprintf(many_channels + n, sizeof many_channels - (size_t)n, "%s\"c%d\"",
                      i ? "," : "", i);
    snprintf(many_channels + n, sizeof many_channels - (size_t)n, "]}");
}

/* Signed with the key of the app in the path. */
static void send_row(struct api_fixture *f, const struct row *row)
{
    pusherc_credentials credentials = PUSHERC_CREDENTIALS_INIT;
    char query[512];
    credentials.key = strstr(row->path, "/off/") ? PC_S("off-key") : PC_S("app-key");
    credentials.secret = PC_S("app-secret");
    assert_int_equal(pusherc_sign_request(&credentials, "POST", row->path, NULL, 0,
                                          pc_slice_of(row->body), f->unix_time_s, query,
                                          sizeof query, NULL),
                     0);
    api_send(f, "POST", row->path, query, pc_slice_of(row->body));
}

static void every_failure_of_the_table_says_what_to_do(void **state)
{
    struct api_fixture *f = *state;
    fill_long_bodies();
    put_disabled(f);
    api_join(f, 0, "orders", NULL);
    for (size_t i = 0; i < LENGTH(rows); i++) {
        send_row(f, &rows[i]);
        if (rows[i].status == 200) {
            api_expect_json(f, rows[i].text);
            continue;
        }
        api_expect_error(f, rows[i].status, rows[i].text, rows[i].row);
        if (rows[i].status == 405)
            api_expect_field(f, "Allow", "GET, HEAD, OPTIONS");
    }
    /* "" and an unknown socket_id were published, and nothing else was */
    const char *received = api_received(f, 0);
    size_t lines = 0;
    for (const char *p = received; (p = strchr(p, '\n')); p++)
        lines++;
    assert_int_equal(lines, 2);
}

static void failures_may_be_json(void **state)
{
    struct api_fixture *f = *state;
    char expected[1024], body[1024] = "";
    fill_long_bodies();
    put_disabled(f);
    for (size_t i = 0; i < LENGTH(rows); i++) {
        send_row(f, &rows[i]);
        snprintf(body, sizeof body, "%.1000s", f->body);
        pc_api_error_as_json(&f->reply);
        pusherc_slice json = pc_buf_slice(&f->reply.body);
        assert_int_equal(f->reply.status, rows[i].status); /* stays */
        assert_string_equal(f->reply.content_type, "application/json");
        assert_int_equal(pc_json_parse(json).type, PC_JSON_OBJECT);
        if (rows[i].status == 200) {
            assert_true(pc_slice_eq(json, pc_slice_of(body)));
            continue;
        }
        struct pc_buf quoted;
        pc_buf_init(&quoted, &f->mem, 2000);
        pc_json_put_string(&quoted, pc_slice_of(rows[i].text));
        snprintf(expected, sizeof expected, "{\"error\":%.*s,\"code\":%d}", (int)quoted.len,
                 quoted.ptr, rows[i].status);
        pc_buf_free(&quoted);
        assert_true(pc_slice_eq(json, pc_slice_of(expected)));
    }
}

/* Only a one-line error becomes JSON. Without memory the reply has no body. */
static void other_replies_stay_as_they_are(void **state)
{
    struct api_fixture *f = *state;
    api_send(f, "GET", "/ready", "", PC_S(""));
    pc_api_error_as_json(&f->reply);
    assert_true(pc_slice_eq(pc_buf_slice(&f->reply.body), PC_S("OK")));
    api_send(f, "OPTIONS", E, "", PC_S(""));
    pc_api_error_as_json(&f->reply);
    assert_int_equal(f->reply.body.len, 0);
    char text[1200];
    memset(text, '"', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    for (size_t n = 1; n < 4; n++) {
        pc_api_plain(&f->reply, 400, text);
        f->alloc.fail_at = f->alloc.requests + n;
        pc_api_error_as_json(&f->reply);
        f->alloc.fail_at = 0;
        assert_true(f->reply.status == 400 || (f->reply.status == 500 && f->reply.body.len == 0));
    }
}

/* 401: five ways. The texts of each are in test_sign.c. */
static void a_wrong_signature_is_401(void **state)
{
    static const struct {
        const char *row, *part, *instead, *text;
    } cases[] = {
        {"signature wrong", "auth_signature=", "auth_signature=0",
         "Invalid signature: you should have sent HmacSHA256Hex(\"POST\\n" E "\\n"},
        {"timestamp wrong", "auth_timestamp=1700000000", "auth_timestamp=1600000000",
         "Timestamp expired: Given timestamp (1600000000) not within 600s of server time "
         "(1700000000)"},
        {"key wrong", "auth_key=app-key", "auth_key=other", "Unknown auth_key"},
        {"version wrong", "auth_version=1.0", "auth_version=2.0", "Version not supported"},
        {"md5 missing", "body_md5=", "body_md6=", "Invalid signature: you should have sent"},
    };
    struct api_fixture *f = *state;
    for (size_t i = 0; i < LENGTH(cases); i++) {
        pusherc_credentials credentials = PUSHERC_CREDENTIALS_INIT;
        char query[512], changed[600];
        credentials.key = PC_S("app-key");
        credentials.secret = PC_S("app-secret");
        assert_int_equal(pusherc_sign_request(&credentials, "POST", E, NULL, 0, PC_S(GOOD),
                                              f->unix_time_s, query, sizeof query, NULL),
                         0);
        char *at = strstr(query, cases[i].part);
        assert_non_null(at);
        snprintf(changed, sizeof changed, "%.*s%s%s", (int)(at - query), query, cases[i].instead,
                 at + strlen(cases[i].part));
        api_send(f, "POST", E, changed, PC_S(GOOD));
        assert_int_equal(f->reply.status, 401);
        if (strncmp(f->body, cases[i].text, strlen(cases[i].text)) != 0)
            fail_msg("%s: %s", cases[i].row, f->body);
    }
}

static void too_many_and_shutting_down_say_when_to_come_again(void **state)
{
    struct api_fixture *f = *state;
    pusherc_app_options options = api_app();
    options.max_backend_events_per_s = 1;
    api_put(f, &options);
    api_publish(f, GOOD);
    api_publish(f, GOOD);
    api_expect_error(f, 429, "Too many requests: the app's limit is 1 in a second.", "rate limit");
    api_expect_field(f, "Retry-After", "1");
    api_expect_field(f, "X-RateLimit-Limit", "1");
    api_expect_field(f, "X-RateLimit-Remaining", "0");
    atomic_store(&f->engine->draining, true);
    api_publish(f, GOOD);
    api_expect_error(f, 503, "The server is shutting down.", "server shutting down");
    api_expect_field(f, "Retry-After", "1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        api_test(every_failure_of_the_table_says_what_to_do),
        api_test(failures_may_be_json),
        api_test(other_replies_stay_as_they_are),
        api_test(a_wrong_signature_is_401),
        api_test(too_many_and_shutting_down_say_when_to_come_again),
    };
    return cmocka_run_group_tests_name("test_api_errors", tests, NULL, NULL);
}
