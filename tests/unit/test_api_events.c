/* Publishing over HTTP without sockets: protocol sections 2.7, 5.2, 5.3, 5.8. Numbers in comments are the
 * checks of the protocol's appendix B. */
#include "unit/api_fixture.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static char *allocate(size_t size)
{
    char *text = malloc(size);
    if (!text)
        abort();
    return text;
}

/* A JSON string of `count` letters, with what stands before and after it. */
static char *long_text(const char *before, size_t count, const char *after)
{
    size_t head = strlen(before), tail = strlen(after);
    char *text = allocate(head + count + tail + 1);
    memcpy(text, before, head);
    memset(text + head, 'x', count);
    memcpy(text + head + count, after, tail + 1);
    return text;
}

/* {"name":"a","data":"d","channels":["c0","c1",...]} */
static char *many_channels(size_t count)
{
    char *text = allocate(64 + count * 8);
    size_t len = (size_t)sprintf(text, "{\"name\":\"a\",\"data\":\"d\",\"channels\":[");
    for (size_t i = 0; i < count; i++)
        len += (size_t)sprintf(text + len, "%s\"c%zu\"", i ? "," : "", i);
    strcpy(text + len, "]}");
    return text;
}

/* -- what arrives -- */

struct relay {
    const char *body, *frames; /* "" = nothing */
};

/* 87, 88, 89, 104, 105, 146, 147 */
static void events_are_relayed_as_they_came(void **state)
{
    static const struct relay cases[] = {
        {"{\"name\":\"order.paid\",\"channel\":\"orders\",\"data\":\"{\\\"id\\\":42}\"}",
         "{\"event\":\"order.paid\",\"channel\":\"orders\",\"data\":\"{\\\"id\\\":42}\"}\n"},
        {"{\"name\":\"e\",\"channels\":[\"orders\"],\"data\":\"\"}",
         "{\"event\":\"e\",\"channel\":\"orders\",\"data\":\"\"}\n"},
        {" {\"data\" : \"d\" , \"channel\":\"orders\",\"name\":\"e\",\"x\":[{}]} \n",
         "{\"event\":\"e\",\"channel\":\"orders\",\"data\":\"d\"}\n"},
        /* byte for byte, however it was escaped on the way in */
        {"{\"name\":\"e\",\"channel\":\"orders\",\"data\":\"\\u00eb\xc3\xab \\/ \\t {\\\"a\\\": "
         "1.0e5}\"}",
         "{\"event\":\"e\",\"channel\":\"orders\",\"data\":\"\xc3\xab\xc3\xab / \\t {\\\"a\\\": "
         "1.0e5}\"}\n"},
        {"{\"name\":\"e\",\"channel\":\"orders\",\"data\":\"\\ud83d\\ude00\"}",
         "{\"event\":\"e\",\"channel\":\"orders\",\"data\":\"\xf0\x9f\x98\x80\"}\n"},
        {"{\"name\":\"App\\\\Events\\\\Z.o\xc3\xab\",\"channel\":\"orders\",\"data\":\"d\"}",
         "{\"event\":\"App\\\\Events\\\\Z.o\xc3\xab\",\"channel\":\"orders\",\"data\":\"d\"}\n"},
        {"{\"name\":\"client-typing\",\"channel\":\"orders\",\"data\":\"d\"}",
         "{\"event\":\"client-typing\",\"channel\":\"orders\",\"data\":\"d\"}\n"},
        /* what is no string becomes the text of its JSON, numbers and order untouched */
        {"{\"name\":\"e\",\"channel\":\"orders\",\"data\":{ \"b\" : 1.50 , \"a\" : [ 1e3, \"x y\" "
         "] }}",
         "{\"event\":\"e\",\"channel\":\"orders\",\"data\":\"{\\\"b\\\":1.50,\\\"a\\\":[1e3,\\\"x "
         "y\\\"]}\"}\n"},
        {"{\"name\":\"e\",\"channel\":\"orders\",\"data\":[ ]}",
         "{\"event\":\"e\",\"channel\":\"orders\",\"data\":\"[]\"}\n"},
        {"{\"name\":\"e\",\"channel\":\"orders\",\"data\":0}",
         "{\"event\":\"e\",\"channel\":\"orders\",\"data\":\"0\"}\n"},
        {"{\"name\":\"e\",\"channel\":\"orders\",\"data\":false}",
         "{\"event\":\"e\",\"channel\":\"orders\",\"data\":\"false\"}\n"},
        {"{\"name\":\"e\",\"channel\":\"orders\",\"data\":{\"a\":\"\\ud800\"}}",
         "{\"event\":\"e\",\"channel\":\"orders\",\"data\":\"{\\\"a\\\":\\\"\\\\ud800\\\"}\"}\n"},
        /* channels wins; null is absent; repeated channels count once; the last of equal names counts */
        {"{\"name\":\"e\",\"channel\":\"orders\",\"channels\":[\"other\"],\"data\":\"d\"}", ""},
        {"{\"name\":\"e\",\"channel\":\"orders\",\"channels\":null,\"socket_id\":null,\"info\":"
         "null,"
         "\"data\":\"d\"}",
         "{\"event\":\"e\",\"channel\":\"orders\",\"data\":\"d\"}\n"},
        {"{\"name\":\"e\",\"channels\":[\"orders\",\"x\",\"orders\",\"x\"],\"data\":\"d\"}",
         "{\"event\":\"e\",\"channel\":\"orders\",\"data\":\"d\"}\n"},
        {"{\"name\":\"f\",\"channel\":\"x\",\"data\":1,\"name\":\"e\",\"data\":\"d\",\"channel\":"
         "\"orders\"}",
         "{\"event\":\"e\",\"channel\":\"orders\",\"data\":\"d\"}\n"},
        /* names with escapes */
        {"{\"n\\u0061me\":\"e\",\"ch\\u0061nnel\":\"ord\\u0065rs\",\"d\\u0061ta\":\"d\"}",
         "{\"event\":\"e\",\"channel\":\"orders\",\"data\":\"d\"}\n"},
        /* a byte order mark */
        {"\xef\xbb\xbf{\"name\":\"e\",\"channel\":\"orders\",\"data\":\"d\"}",
         "{\"event\":\"e\",\"channel\":\"orders\",\"data\":\"d\"}\n"},
        /* a frame per channel */
        {"{\"name\":\"e\",\"channels\":[\"orders\",\"private-a\"],\"data\":\"d\",\"user_id\":"
         "\"7\"}",
         "{\"event\":\"e\",\"channel\":\"orders\",\"data\":\"d\"}\n"
         "{\"event\":\"e\",\"channel\":\"private-a\",\"data\":\"d\"}\n"},
        {"{\"name\":\"e\",\"channel\":\"#server-to-user-7\",\"data\":\"d\"}",
         "{\"event\":\"e\",\"channel\":\"#server-to-user-7\",\"data\":\"d\"}\n"},
    };
    struct api_fixture *f = *state;
    for (size_t i = 0; i < 3; i += 2) { /* one on each worker */
        api_join(f, i, "orders", NULL);
        api_join(f, i, "private-a", NULL);
        api_join(f, i, "#server-to-user-7", NULL);
    }
    for (size_t i = 0; i < LENGTH(cases); i++) {
        api_publish(f, cases[i].body);
        api_expect_status(f, 200, "{}", cases[i].body);
        assert_string_equal(f->reply.content_type, "application/json");
        assert_string_equal(api_received(f, 0), cases[i].frames);
        assert_string_equal(api_received(f, 2), cases[i].frames);
        assert_string_equal(api_received(f, 1), "");
    }
}

/* 90, 150 */
static void the_socket_named_gets_no_copy(void **state)
{
    static const struct {
        const char *socket_id;
        bool first, third;
    } cases[] = {
        {"1000.2000", false, true},
        {"1002.2002", true, false},
        /* well-formed and unknown */
        {"1.1", true, true},
        {"01000.2000", true, true},
        {"99999999999999999999999999.1", true, true},
        {"18446744073709551615.18446744073709551615", true, true},
    };
    struct api_fixture *f = *state;
    api_join(f, 0, "orders", NULL);
    api_join(f, 2, "orders", NULL);
    for (size_t i = 0; i < LENGTH(cases); i++) {
        char body[300];
        snprintf(body, sizeof body,
                 "{\"name\":\"e\",\"channel\":\"orders\",\"data\":\"d\",\"socket_id\":\"%s\"}",
                 cases[i].socket_id);
        api_publish(f, body);
        api_expect_json(f, "{}");
        assert_int_equal(*api_received(f, 0) != '\0', cases[i].first);
        assert_int_equal(*api_received(f, 2) != '\0', cases[i].third);
    }
}

/* 91 */
static void events_arrive_in_order(void **state)
{
    struct api_fixture *f = *state;
    api_join(f, 3, "orders", NULL);
    for (int i = 0; i < 1000; i++) {
        char body[100];
        snprintf(body, sizeof body, "{\"name\":\"e\",\"channel\":\"orders\",\"data\":%d}", i);
        api_publish(f, body);
        api_expect_json(f, "{}");
    }
    const char *text = api_received(f, 3);
    for (int i = 0; i < 1000; i++) {
        char frame[100];
        int len = snprintf(frame, sizeof frame,
                           "{\"event\":\"e\",\"channel\":\"orders\",\"data\":\"%d\"}\n", i);
        assert_memory_equal(text, frame, (size_t)len);
        text += len;
    }
}

/* 147 */
static void a_hundred_channels_are_served(void **state)
{
    struct api_fixture *f = *state;
    api_join(f, 0, "c0", NULL);
    api_join(f, 0, "c99", NULL);
    char *body = many_channels(100);
    api_publish(f, body);
    api_expect_json(f, "{}");
    assert_string_equal(api_received(f, 0),
                        "{\"event\":\"a\",\"channel\":\"c0\",\"data\":\"d\"}\n"
                        "{\"event\":\"a\",\"channel\":\"c99\",\"data\":\"d\"}\n");
    free(body);
}

/* -- what is refused -- */

struct refusal {
    int status;
    const char *body, *text;
};

/* 148, 150, 162, 168; nothing of a refused event arrives */
static void wrong_events_are_refused_with_a_reason(void **state)
{
    static const struct refusal cases[] = {
        {400, "", "The request has no body: it should be a JSON object."},
        {400, " ", "The body is not valid JSON in UTF-8 from byte 1 on."},
        {400, "{", "The body is not valid JSON in UTF-8 from byte 0 on."},
        {400, "{}{}", "The body is not valid JSON in UTF-8 from byte 2 on."},
        {400, "name=a", "The body is not valid JSON in UTF-8 from byte 0 on."},
        {400, "{\"name\":\"\xff\"}", "The body is not valid JSON in UTF-8 from byte 8 on."},
        {400, "[]", "The body is not a JSON object."},
        {400, "\"{}\"", "The body is not a JSON object."},
        {400, "null", "The body is not a JSON object."},
        {400, "{}", "name is missing."},
        {400, "{\"name\":null,\"channel\":\"orders\",\"data\":\"d\"}", "name is missing."},
        {400, "{\"name\":\"\",\"channel\":\"orders\",\"data\":\"d\"}",
         "The event name is missing."},
        {400, "{\"name\":7,\"channel\":\"orders\",\"data\":\"d\"}", "name must be a string."},
        {400, "{\"name\":\"e\",\"channel\":\"orders\"}", "data is missing."},
        {400, "{\"name\":\"e\",\"channel\":\"orders\",\"data\":null}", "data is missing."},
        {400, "{\"name\":\"e\",\"channel\":\"orders\",\"data\":\"\\ud800\"}",
         "data has an escape that no text can hold: half of a surrogate pair."},
        {400, "{\"name\":\"e\\udfff\",\"channel\":\"orders\",\"data\":\"d\"}",
         "name has an escape that no text can hold: half of a surrogate pair."},
        {400, "{\"name\":\"e\",\"data\":\"d\"}", "channel and channels are missing."},
        {400, "{\"name\":\"e\",\"data\":\"d\",\"channel\":null}",
         "channel and channels are missing."},
        {400, "{\"name\":\"e\",\"data\":\"d\",\"channels\":[]}", "The event names no channel."},
        {400, "{\"name\":\"e\",\"data\":\"d\",\"channels\":[],\"channel\":\"orders\"}",
         "The event names no channel."},
        {400, "{\"name\":\"e\",\"data\":\"d\",\"channels\":\"orders\"}",
         "channels must be an array of strings."},
        {400, "{\"name\":\"e\",\"data\":\"d\",\"channels\":{\"0\":\"orders\"}}",
         "channels must be an array of strings."},
        {400, "{\"name\":\"e\",\"data\":\"d\",\"channels\":[\"orders\",7]}",
         "channels must be an array of strings."},
        {400, "{\"name\":\"e\",\"data\":\"d\",\"channel\":[\"orders\"]}",
         "channel must be a string."},
        {400, "{\"name\":\"e\",\"data\":\"d\",\"channel\":\"\"}",
         "Invalid channel name:  (allowed are A-Z a-z 0-9 _ - = @ , . ;)."},
        {400, "{\"name\":\"e\",\"data\":\"d\",\"channels\":[\"orders\",\"bad name\"]}",
         "Invalid channel name: bad name (allowed are A-Z a-z 0-9 _ - = @ , . ;)."},
        {400, "{\"name\":\"e\",\"data\":\"d\",\"channel\":\"orders\\n\"}",
         "Invalid channel name: orders? (allowed are A-Z a-z 0-9 _ - = @ , . ;)."},
        {400, "{\"name\":\"e\",\"data\":\"d\",\"channel\":\"#orders\"}",
         "Invalid channel name: #orders (allowed are A-Z a-z 0-9 _ - = @ , . ;)."},
        {400, "{\"name\":\"e\",\"data\":\"d\",\"channel\":\"#server-to-user-\"}",
         "Invalid channel name: #server-to-user- (allowed are A-Z a-z 0-9 _ - = @ , . ;)."},
        {400, "{\"name\":\"e\",\"data\":\"d\",\"channel\":\"orders\",\"socket_id\":\"\"}",
         "Malformed socket_id: \"\"."},
        {400, "{\"name\":\"e\",\"data\":\"d\",\"channel\":\"orders\",\"socket_id\":\"12\"}",
         "Malformed socket_id: \"12\"."},
        {400, "{\"name\":\"e\",\"data\":\"d\",\"channel\":\"orders\",\"socket_id\":\"1.2\\r\\n\"}",
         "Malformed socket_id: \"1.2??\"."},
        {400, "{\"name\":\"e\",\"data\":\"d\",\"channel\":\"orders\",\"socket_id\":1.2}",
         "socket_id must be a string."},
        {400, "{\"name\":\"e\",\"data\":\"d\",\"channel\":\"orders\",\"info\":[\"user_count\"]}",
         "info must be a string."},
        {400, "{\"name\":\"pusher:error\",\"data\":\"d\",\"channel\":\"orders\"}",
         "The event name starts with a prefix reserved for the protocol."},
        {400, "{\"name\":\"pusher_internal:x\",\"data\":\"d\",\"channel\":\"orders\"}",
         "The event name starts with a prefix reserved for the protocol."},
    };
    struct api_fixture *f = *state;
    api_join(f, 0, "orders", NULL);
    for (size_t i = 0; i < LENGTH(cases); i++) {
        api_publish(f, cases[i].body);
        api_expect_error(f, cases[i].status, cases[i].text, cases[i].body);
        assert_string_equal(api_received(f, 0), "");
    }
}

/* 148, 149 */
static void limits_are_exact(void **state)
{
    static const struct {
        const char *before, *after, *text; /* of what is one too long */
        size_t fits;
        int status;
    } cases[] = {
        {"{\"name\":\"e\",\"channel\":\"orders\",\"data\":\"", "\"}",
         "The data content of this event exceeds the allowed maximum (10240 bytes): it has 10241 "
         "bytes, see max_event_payload_bytes (event \"e\", channel \"orders\").",
         10240, 413},
        {"{\"name\":\"long\\n\",\"channels\":[\"orders\",\"b\",\"c\"],\"data\":\"", "\"}",
         "The data content of this event exceeds the allowed maximum (10240 bytes): it has 10241 "
         "bytes, see max_event_payload_bytes (event \"long?\", channel \"orders\" and 2 more).",
         10240, 413},
        /* counted decoded: 6 bytes of JSON each are one */
        {"{\"name\":\"e\",\"channel\":\"orders\",\"data\":\"\\u0041", "\"}",
         "The data content of this event exceeds the allowed maximum (10240 bytes): it has 10241 "
         "bytes, see max_event_payload_bytes (event \"e\", channel \"orders\").",
         10239, 413},
        {"{\"channel\":\"orders\",\"data\":\"d\",\"name\":\"", "\"}",
         "The event name is too long: 201 bytes, the maximum is 200.", 200, 400},
        {"{\"data\":\"d\",\"name\":\"e\",\"channel\":\"", "\"}",
         "The channel name is too long: 201 bytes, the maximum is 200: "
         "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx....",
         200, 400},
        {"{\"data\":\"d\",\"name\":\"e\",\"channel\":\"#server-to-user-", "\"}",
         "The channel name is too long: 217 bytes, the maximum is 216: "
         "#server-to-user-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx....",
         200, 400},
    };
    struct api_fixture *f = *state;
    for (size_t i = 0; i < LENGTH(cases); i++) {
        char *body = long_text(cases[i].before, cases[i].fits, cases[i].after);
        api_publish(f, body);
        api_expect_json(f, "{}");
        free(body);
        body = long_text(cases[i].before, cases[i].fits + 1, cases[i].after);
        api_publish(f, body);
        api_expect_error(f, cases[i].status, cases[i].text, cases[i].before);
        free(body);
    }
    char *body = many_channels(101);
    api_publish(f, body);
    api_expect_error(f, 400, "Cannot broadcast to more than 100 channels at once.", "channels");
    free(body);
}

static void limits_are_the_apps(void **state)
{
    struct api_fixture *f = *state;
    pusherc_app_options options = api_app();
    options.max_event_channels = 2;
    options.max_batch_events = 1;
    options.max_event_payload_bytes = 3;
    options.max_event_name_bytes = 4;
    api_put(f, &options);
    api_publish(f, "{\"name\":\"four\",\"channels\":[\"a\",\"b\"],\"data\":\"123\"}");
    api_expect_json(f, "{}");
    api_publish(f, "{\"name\":\"four\",\"channels\":[\"a\",\"b\",\"c\"],\"data\":\"123\"}");
    api_expect_error(f, 400, "Cannot broadcast to more than 2 channels at once.", "channels");
    api_publish(f, "{\"name\":\"fives\",\"channel\":\"a\",\"data\":\"123\"}");
    api_expect_error(f, 400, "The event name is too long: 5 bytes, the maximum is 4.", "name");
    api_publish(f, "{\"name\":\"four\",\"channel\":\"a\",\"data\":[ 1, 2 ]}");
    assert_int_equal(f->reply.status, 413);
    api_batch(f, "{\"batch\":[{\"name\":\"a\",\"channel\":\"a\",\"data\":\"\"},"
                 "{\"name\":\"a\",\"channel\":\"a\",\"data\":\"\"}]}");
    api_expect_error(f, 400, "Cannot batch-send more than 1 events at once.", "batch");
}

/* EBACKLOG */
static void a_full_mailbox_is_503(void **state)
{
    struct api_fixture *f = *state;
    api_set_mailboxes(f, 2);
    api_join(f, 0, "orders", NULL);
    for (size_t i = 0; i < 3; i++)
        api_publish(f, "{\"name\":\"e\",\"channel\":\"orders\",\"data\":\"d\"}");
    api_expect_error(f, 503, "The server is overloaded: not every subscriber gets this event.",
                     "third");
    api_expect_field(f, "Retry-After", "1");
    api_publish(f, "{\"name\":\"e\",\"channel\":\"nobody\",\"data\":\"d\"}");
    api_expect_json(f, "{}");
    api_run_mail(f);
    api_publish(f, "{\"name\":\"e\",\"channel\":\"orders\",\"data\":\"d\"}");
    api_expect_json(f, "{}");
}

/* -- info -- */

/* 151 */
static void info_tells_what_applies(void **state)
{
    static const struct {
        const char *channels, *info, *answer;
    } cases[] = {
        {"\"presence-room.1\",\"orders\"", "user_count,subscription_count",
         "{\"channels\":{\"presence-room.1\":{\"user_count\":2,\"subscription_count\":3},"
         "\"orders\":{\"subscription_count\":1}}}"},
        {"\"presence-room.1\",\"orders\"", " subscription_count , nonsense",
         "{\"channels\":{\"presence-room.1\":{\"subscription_count\":3},\"orders\":{"
         "\"subscription_count\":1}}}"},
        {"\"orders\",\"orders\"", "user_count", "{\"channels\":{\"orders\":{}}}"},
        {"\"orders\"", "nonsense", "{\"channels\":{\"orders\":{}}}"},
        {"\"orders\"", "cache", "{\"channels\":{\"orders\":{}}}"},
        {"\"orders\"", "", "{}"},
        {"\"orders\"", " , ", "{}"},
        {"\"nobody\",\"presence-nobody\"", "user_count,subscription_count",
         "{\"channels\":{\"nobody\":{\"subscription_count\":0},\"presence-nobody\":{"
         "\"user_count\":0,\"subscription_count\":0}}}"},
    };
    struct api_fixture *f = *state;
    api_join(f, 0, "presence-room.1", "7");
    api_join(f, 1, "presence-room.1", "7");
    api_join(f, 2, "presence-room.1", "8");
    api_join(f, 2, "orders", NULL);
    for (size_t i = 0; i < LENGTH(cases); i++) {
        char body[300];
        snprintf(body, sizeof body,
                 "{\"name\":\"e\",\"channels\":[%s],\"data\":\"d\",\"info\":\"%s\"}",
                 cases[i].channels, cases[i].info);
        api_publish(f, body);
        api_expect_status(f, 200, cases[i].answer, cases[i].info);
    }
}

/* -- batches -- */

/* 152, 153 */
static void batches_are_published_in_order(void **state)
{
    struct api_fixture *f = *state;
    api_join(f, 0, "a", NULL);
    api_join(f, 0, "presence-b", "7");
    api_received(f, 0);
    api_batch(f, "{\"batch\":["
                 "{\"name\":\"1\",\"channel\":\"a\",\"data\":\"x\"},"
                 "{\"name\":\"2\",\"channel\":\"presence-b\",\"data\":{ \"y\" : 1 }},"
                 "{\"name\":\"3\",\"channel\":\"a\",\"data\":\"\\n\",\"socket_id\":\"1000.2000\"},"
                 "{\"name\":\"4\",\"channel\":\"a\",\"data\":\"z\\t\"}]}");
    api_expect_json(f, "{}");
    assert_string_equal(api_received(f, 0),
                        "{\"event\":\"1\",\"channel\":\"a\",\"data\":\"x\"}\n"
                        "{\"event\":\"2\",\"channel\":\"presence-b\",\"data\":\"{\\\"y\\\":1}\"}\n"
                        "{\"event\":\"4\",\"channel\":\"a\",\"data\":\"z\\t\"}\n");
    api_batch(f, "{\"batch\":["
                 "{\"name\":\"1\",\"channel\":\"presence-b\",\"data\":\"x\",\"info\":\"user_count,"
                 "subscription_count\"},"
                 "{\"name\":\"2\",\"channel\":\"a\",\"data\":\"x\"},"
                 "{\"name\":\"2\",\"channel\":\"a\",\"data\":\"x\",\"info\":\"user_count\"},"
                 "{\"name\":\"2\",\"channel\":\"a\",\"data\":\"x\",\"info\":\"subscription_count\"}"
                 "]}");
    api_expect_json(f, "{\"batch\":[{\"user_count\":1,\"subscription_count\":1},{},{},"
                       "{\"subscription_count\":1}]}");
}

/* 153 */
static void a_wrong_batch_publishes_nothing(void **state)
{
#define GOOD "{\"name\":\"e\",\"channel\":\"a\",\"data\":\"d\"}"
    static const struct refusal cases[] = {
        {400, "", "The body is not valid JSON in UTF-8 from byte 0 on."},
        {400, "[" GOOD "]", "The body is not a JSON object."},
        {400, "{}", "batch must be an array of events."},
        {400, "{\"batch\":" GOOD "}", "batch must be an array of events."},
        {400, "{\"batch\":[]}", "The batch is empty."},
        {400, "{\"batch\":[" GOOD ",7]}", "Event 2 of the batch: It is not a JSON object."},
        {400, "{\"batch\":[" GOOD ",{\"channel\":\"a\",\"data\":\"d\"}]}",
         "Event 2 of the batch: name is missing."},
        {400, "{\"batch\":[{\"name\":\"e\",\"data\":\"d\"}," GOOD "]}",
         "Event 1 of the batch: channel is missing."},
        /* one channel each: an answer could not be aligned otherwise */
        {400,
         "{\"batch\":[" GOOD "," GOOD ",{\"name\":\"e\",\"data\":\"d\",\"channels\":[\"a\"]}]}",
         "Event 3 of the batch: channel is missing."},
        {400, "{\"batch\":[" GOOD ",{\"name\":\"e\",\"channel\":\"a\"}]}",
         "Event 2 of the batch: data is missing."},
        {400, "{\"batch\":[" GOOD ",{\"name\":\"e\",\"channel\":\"a b\",\"data\":\"d\"}]}",
         "Event 2 of the batch: Invalid channel name: a b (allowed are A-Z a-z 0-9 _ - = @ , . "
         ";)."},
        {400,
         "{\"batch\":[" GOOD ",{\"name\":\"e\",\"channel\":\"a\",\"data\":\"d\",\"socket_id\":"
         "\"x\"}]}",
         "Event 2 of the batch: Malformed socket_id: \"x\"."},
        {400,
         "{\"batch\":[" GOOD "," GOOD "," GOOD "," GOOD "," GOOD "," GOOD "," GOOD "," GOOD "," GOOD
         "," GOOD "," GOOD "]}",
         "Cannot batch-send more than 10 events at once."},
    };
    struct api_fixture *f = *state;
    api_join(f, 0, "a", NULL);
    for (size_t i = 0; i < LENGTH(cases); i++) {
        api_batch(f, cases[i].body);
        api_expect_error(f, cases[i].status, cases[i].text, cases[i].body);
        assert_string_equal(api_received(f, 0), "");
    }
    char *body = long_text("{\"batch\":[" GOOD ",{\"name\":\"big\",\"channel\":\"a\",\"data\":\"",
                           10241, "\"}]}");
    api_batch(f, body);
    api_expect_error(f, 413,
                     "Event 2 of the batch: The data content of this event exceeds the allowed "
                     "maximum (10240 bytes): it has 10241 bytes, see max_event_payload_bytes "
                     "(event \"big\", channel \"a\").",
                     "size");
    assert_string_equal(api_received(f, 0), "");
    free(body);

    api_batch(f, "{\"batch\":[" GOOD "," GOOD "," GOOD "," GOOD "," GOOD "," GOOD "," GOOD "," GOOD
                 "," GOOD "," GOOD "]}");
    api_expect_json(f, "{}");
    assert_string_not_equal(api_received(f, 0), "");
#undef GOOD
}

/* -- other ways in -- */

static void events_may_be_query_parameters_if_there_is_no_body(void **state)
{
    static const struct {
        const char *params, *answer, *frames; /* frames NULL: refused */
    } cases[] = {
        {"name=e&data=d d&channel=a", "{}",
         "{\"event\":\"e\",\"channel\":\"a\",\"data\":\"d d\"}\n"},
        {"name=e&data={}&channels[]=a&channels[]=b", "{}",
         "{\"event\":\"e\",\"channel\":\"a\",\"data\":\"{}\"}\n"
         "{\"event\":\"e\",\"channel\":\"b\",\"data\":\"{}\"}\n"},
        {"name=e&data=&channels[0]=b&channels[1]=b&channel=a", "{}",
         "{\"event\":\"e\",\"channel\":\"b\",\"data\":\"\"}\n"},
        {"name=e&data=d&channels=a&socket_id=1000.2000", "{}", ""},
        {"name=e&data=d&channels=a&info=subscription_count",
         "{\"channels\":{\"a\":{\"subscription_count\":1}}}",
         "{\"event\":\"e\",\"channel\":\"a\",\"data\":\"d\"}\n"},
        {"name=e&channel=a", "data is missing.", NULL},
        {"data=d&channel=a", "name is missing.", NULL},
        {"channel=a", "The request has no body: it should be a JSON object.", NULL},
        {"name=e&data=d", "The event names no channel.", NULL},
        {"name=e&data=d&channels[x]=a", "The event names no channel.", NULL},
        {"name=e&data=d&channel=a&socket_id=x", "Malformed socket_id: \"x\".", NULL},
        {"name=e&data=\xff&channel=a", "The data is not UTF-8.", NULL},
        {"name=\xff&data=d&channel=a", "The event name is not UTF-8.", NULL},
    };
    struct api_fixture *f = *state;
    api_join(f, 0, "a", NULL);
    api_join(f, 0, "b", NULL);
    for (size_t i = 0; i < LENGTH(cases); i++) {
        api_request(f, "POST", "/apps/app-id/events", cases[i].params, "");
        if (cases[i].frames)
            api_expect_status(f, 200, cases[i].answer, cases[i].params);
        else
            api_expect_error(f, 400, cases[i].answer, cases[i].params);
        assert_string_equal(api_received(f, 0), cases[i].frames ? cases[i].frames : "");
    }
    /* a body decides alone */
    api_request(f, "POST", "/apps/app-id/events", "name=e&data=d&channel=a", "{}");
    api_expect_error(f, 400, "name is missing.", "body and query");

    char params[2000] = "name=e&data=d";
    for (size_t i = 0; i < 101; i++)
        strcat(params, "&channels[]=a");
    api_request(f, "POST", "/apps/app-id/events", params, "");
    api_expect_error(f, 400, "Cannot broadcast to more than 100 channels at once.", "channels");
}

/* 164 */
static void the_deprecated_form_takes_the_body_as_data(void **state)
{
    static const char path[] = "/apps/app-id/channels/a/events";
    struct api_fixture *f = *state;
    api_join(f, 0, "a", NULL);
    api_request(f, "POST", path, "name=e", "not \"JSON\"");
    api_expect_status(f, 202, "", "ok");
    assert_null(f->reply.content_type);
    assert_string_equal(api_received(f, 0),
                        "{\"event\":\"e\",\"channel\":\"a\",\"data\":\"not \\\"JSON\\\"\"}\n");
    api_request(f, "POST", path, "name=e&socket_id=1000.2000", "x");
    api_expect_status(f, 202, "", "except");
    api_request(f, "POST", path, NULL, "x");
    api_expect_error(f, 400, "name is missing.", "name");
    api_request(f, "POST", path, "name=e&socket_id=1000", "x");
    api_expect_error(f, 400, "Malformed socket_id: \"1000\".", "socket_id");
    api_request(f, "POST", path, "name=e", "\xff");
    api_expect_error(f, 400, "The data is not UTF-8.", "data");
    api_request(f, "POST", "/apps/app-id/channels/a%20b/events", "name=e", "x");
    api_expect_error(f, 400, "Invalid channel name: a b (allowed are A-Z a-z 0-9 _ - = @ , . ;).",
                     "channel");
    assert_string_equal(api_received(f, 0), "");
}

/* Small events cost one allocation, the frame; without subscribers none. */
static void an_ordinary_event_allocates_its_frame_only(void **state)
{
    static const char body[] =
        "{\"name\":\"order.paid\",\"channel\":\"orders\",\"data\":\"{\\\"id\\\":42}\"}";
    struct api_fixture *f = *state;
    api_publish(f, body);
    size_t before = f->alloc.requests;
    api_publish(f, body);
    api_expect_json(f, "{}");
    assert_int_equal(f->alloc.requests - before, 0);
    api_join(f, 0, "orders", NULL);
    before = f->alloc.requests;
    api_publish(f, body);
    assert_int_equal(f->alloc.requests - before, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        api_test(events_are_relayed_as_they_came),
        api_test(the_socket_named_gets_no_copy),
        api_test(events_arrive_in_order),
        api_test(a_hundred_channels_are_served),
        api_test(wrong_events_are_refused_with_a_reason),
        api_test(limits_are_exact),
        api_test(limits_are_the_apps),
        api_test(a_full_mailbox_is_503),
        api_test(info_tells_what_applies),
        api_test(batches_are_published_in_order),
        api_test(a_wrong_batch_publishes_nothing),
        api_test(events_may_be_query_parameters_if_there_is_no_body),
        api_test(the_deprecated_form_takes_the_body_as_data),
        api_test(an_ordinary_event_allocates_its_frame_only),
    };
    return cmocka_run_group_tests_name("api_events", tests, NULL, NULL);
}
