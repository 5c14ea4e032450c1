/* Apps from JSON: every spelling of every field, and what is said about slips. */
#include <pusherc/app.h>

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

#include "base/slice.h"
#include "failing_alloc.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* What `each` was given; strings are copied, for they die on return. */
struct seen {
    pusherc_app_options options[4];
    char ids[4][64];
    char origins[4][256];
    size_t count;
    int answer;
};

static int see(const pusherc_app_options *options, void *user_data)
{
    struct seen *seen = user_data;
    assert_true(seen->count < 4);
    assert_int_equal(options->struct_size, sizeof *options);
    seen->options[seen->count] = *options;
    (void)snprintf(seen->ids[seen->count], sizeof seen->ids[0], "%s/%s/%s",
                   options->id ? options->id : "", options->key ? options->key : "",
                   options->secret ? options->secret : "");
    for (size_t i = 0; options->allowed_origins && options->allowed_origins[i]; i++) {
        strcat(seen->origins[seen->count], options->allowed_origins[i]);
        strcat(seen->origins[seen->count], " ");
    }
    seen->count++;
    return seen->answer;
}

static struct seen read_good(const char *json)
{
    struct seen seen = {0};
    pusherc_errinfo info = {0};
    int err = pusherc_apps_from_json(pc_slice_of(json), see, &seen, &info);
    if (err)
        fail_msg("%s: %s", json, info.text);
    return seen;
}

static void refused(const char *json, const char *text)
{
    struct seen seen = {0};
    pusherc_errinfo info = {0};
    int err = pusherc_apps_from_json(pc_slice_of(json), see, &seen, &info);
    if (err != PUSHERC_EINVAL || info.code != err || strcmp(info.text, text) != 0)
        fail_msg("%s: %s: \"%s\"", json, pusherc_err_name(err), info.text);
    assert_int_equal(seen.count, 0);
    assert_int_equal(pusherc_apps_from_json(pc_slice_of(json), see, &seen, NULL), PUSHERC_EINVAL);
}

/* Flags and numbers: all from `auth_mode` on; there is nothing between the members. */
static bool same_settings(const pusherc_app_options *a, const pusherc_app_options *b)
{
    return a->allowed_origins == b->allowed_origins &&
           memcmp(&a->auth_mode, &b->auth_mode,
                  sizeof *a - offsetof(pusherc_app_options, auth_mode)) == 0;
}

static void one_object_is_one_app_and_an_array_is_many(void **state)
{
    (void)state;
    struct seen seen = read_good("{\"id\":\"1\",\"key\":\"k\",\"secret\":\"s\"}");
    assert_int_equal(seen.count, 1);
    assert_string_equal(seen.ids[0], "1/k/s");

    seen = read_good("\xef\xbb\xbf [ {\"id\":\"1\",\"key\":\"k1\",\"secret\":\"\\u00e4\\n\"},\n"
                     " {\"AppId\":\"2\",\"AppKey\":\"k2\",\"AppSecret\":\"s2\"},"
                     " {\"app_id\":\"3\",\"appKey\":\"k3\",\"APP_SECRET\":\"s3\"} ] ");
    assert_int_equal(seen.count, 3);
    assert_string_equal(seen.ids[0], "1/k1/\xc3\xa4\n");
    assert_string_equal(seen.ids[1], "2/k2/s2");
    assert_string_equal(seen.ids[2], "3/k3/s3");

    assert_int_equal(read_good("[]").count, 0);
}

static void an_id_may_be_a_number(void **state)
{
    (void)state;
    struct seen seen = read_good("[{\"id\":1,\"key\":9007199254740991,\"secret\":0},{\"id\":2e3}]");
    assert_int_equal(seen.count, 2);
    assert_string_equal(seen.ids[0], "1/9007199254740991/0");
    assert_string_equal(seen.ids[1], "2000//");
}

static void what_is_left_out_or_null_is_the_default(void **state)
{
    (void)state;
    static const pusherc_app_options defaults = PUSHERC_APP_OPTIONS_INIT;
    struct seen seen =
        read_good("[{},{\"id\":null,\"maxConnections\":null,\"enabled\":null,"
                  "\"webhooks\":null,\"slow_policy\":null,\"allowed_origins\":null}]");
    assert_int_equal(seen.count, 2);
    assert_true(same_settings(&seen.options[0], &defaults));
    assert_true(same_settings(&seen.options[1], &defaults));
    assert_string_equal(seen.ids[1], "//");
}

#define AT(member) offsetof(pusherc_app_options, member)

static void every_number_has_its_spellings(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t offset;
        uint32_t unit;
    } cases[] = {
        {"activity_timeout_ms", AT(activity_timeout_ms), 1},
        {"activityTimeoutMs", AT(activity_timeout_ms), 1},
        {"max_connections", AT(max_connections), 1},
        {"maxConnections", AT(max_connections), 1},
        {"MaxConnections", AT(max_connections), 1},
        {"max_channel_name_bytes", AT(max_channel_name_bytes), 1},
        {"maxChannelNameLength", AT(max_channel_name_bytes), 1},
        {"max_event_name_bytes", AT(max_event_name_bytes), 1},
        {"MaxEventNameLength", AT(max_event_name_bytes), 1},
        {"max_event_payload_bytes", AT(max_event_payload_bytes), 1},
        {"maxEventPayloadInKb", AT(max_event_payload_bytes), 1024},
        {"max_event_payload_in_kb", AT(max_event_payload_bytes), 1024},
        {"max_event_channels", AT(max_event_channels), 1},
        {"maxEventChannelsAtOnce", AT(max_event_channels), 1},
        {"max_batch_events", AT(max_batch_events), 1},
        {"maxEventBatchSize", AT(max_batch_events), 1},
        {"max_presence_members", AT(max_presence_members), 1},
        {"maxPresenceMembersPerChannel", AT(max_presence_members), 1},
        {"max_user_info_bytes", AT(max_user_info_bytes), 1},
        {"maxPresenceMemberSizeInKb", AT(max_user_info_bytes), 1024},
        {"max_channels_per_connection", AT(max_channels_per_connection), 1},
        {"max_client_events_per_s", AT(max_client_events_per_s), 1},
        {"maxClientEventsPerSecond", AT(max_client_events_per_s), 1},
        {"max_client_events_per_sec", AT(max_client_events_per_s), 1},
        {"max_backend_events_per_s", AT(max_backend_events_per_s), 1},
        {"maxBackendEventsPerSecond", AT(max_backend_events_per_s), 1},
        {"max_backend_events_per_sec", AT(max_backend_events_per_s), 1},
        {"max_read_requests_per_s", AT(max_read_requests_per_s), 1},
        {"maxReadRequestsPerSecond", AT(max_read_requests_per_s), 1},
        {"max_read_req_per_sec", AT(max_read_requests_per_s), 1},
        {"max_connections_per_user", AT(max_connections_per_user), 1},
        {"max_connections_per_ip", AT(max_connections_per_ip), 1},
        {"max_watchlist_users", AT(max_watchlist_users), 1},
        {"user_authentication_timeout_ms", AT(user_authentication_timeout_ms), 1},
        {"cache_ttl_s", AT(cache_ttl_s), 1},
        {"offline_delay_ms", AT(offline_delay_ms), 1},
    };
    static const size_t without_none[] = {
        AT(activity_timeout_ms), AT(max_watchlist_users), AT(user_authentication_timeout_ms),
        AT(cache_ttl_s),         AT(offline_delay_ms),    AT(max_channel_name_bytes),
        AT(max_event_channels),  AT(max_batch_events)};
    for (size_t i = 0; i < COUNT(cases); i++) {
        char json[100];
        (void)snprintf(json, sizeof json, "{\"%s\":7}", cases[i].name);
        struct seen seen = read_good(json);
        pusherc_app_options expected = PUSHERC_APP_OPTIONS_INIT;
        *(uint32_t *)(void *)((char *)&expected + cases[i].offset) = 7 * cases[i].unit;
        if (!same_settings(&seen.options[0], &expected))
            fail_msg("%s", cases[i].name);
        bool limit = true;
        for (size_t k = 0; k < COUNT(without_none); k++)
            limit = limit && cases[i].offset != without_none[k];
        if (!limit)
            continue;
        (void)snprintf(json, sizeof json, "{\"%s\":-1}", cases[i].name);
        seen = read_good(json);
        *(uint32_t *)(void *)((char *)&expected + cases[i].offset) = PUSHERC_NO_LIMIT;
        if (!same_settings(&seen.options[0], &expected))
            fail_msg("%s: -1", cases[i].name);
    }
    assert_int_equal(read_good("{\"offline_delay_ms\":0}").options[0].offline_delay_ms,
                     PUSHERC_NO_DELAY);
    refused("{\"maxEventBatchSize\":-1}", "maxEventBatchSize: must be a number, 1 or more");
    refused("{\"offline_delay_ms\":-1}", "offline_delay_ms: must be a whole number, 0 or more");
    assert_int_equal(read_good("{\"maxEventPayloadInKb\":0.5}").options[0].max_event_payload_bytes,
                     512);
    assert_true(read_good("{\"maxConnections\":4294967294}").options[0].max_connections ==
                4294967294U);
    assert_int_equal(read_good("{\"maxConnections\":1e3}").options[0].max_connections, 1000);
    static const struct {
        const char *kb;
        uint32_t bytes;
    } fractions[] = {
        {"9.765625", 10000}, {"97656.25e-4", 10000}, {"0.0009765625e+4", 10000},
        {"1.5", 1536},       {"0.1", 102},           {"1E2", 102400},
        {"10e-1", 1024},     {"100.00", 102400},
    };
    for (size_t i = 0; i < COUNT(fractions); i++) {
        char json[100];
        (void)snprintf(json, sizeof json, "{\"maxEventPayloadInKb\":%s}", fractions[i].kb);
        assert_int_equal(read_good(json).options[0].max_event_payload_bytes, fractions[i].bytes);
    }
    static const char *const odd[] = {
        "1e999",      "-1e999", "1e-999", "0e999", "1e99999999999999999999",
        "4294967295", "1.5",    "-1.5",   "-2",    "0.999"};
    for (size_t i = 0; i < COUNT(odd); i++) {
        char json[100];
        struct seen seen = {0};
        (void)snprintf(json, sizeof json, "{\"maxConnections\":%s}", odd[i]);
        assert_int_equal(pusherc_apps_from_json(pc_slice_of(json), see, &seen, NULL),
                         PUSHERC_EINVAL);
    }
}

static void flags_may_be_said_either_way_round(void **state)
{
    (void)state;
    assert_true(read_good("{\"enableClientMessages\":true}").options[0].client_events);
    assert_false(read_good("{\"enable_client_messages\":false}").options[0].client_events);
    assert_true(read_good("{\"client_events\":true}").options[0].client_events);
    assert_true(read_good("{\"enabled\":false}").options[0].disabled);
    assert_false(read_good("{\"Enabled\":true}").options[0].disabled);
    assert_true(read_good("{\"disabled\":true}").options[0].disabled);
    assert_true(read_good("{\"tlsOnly\":true}").options[0].tls_only);
    assert_true(read_good("{\"strict_user_info\":true}").options[0].strict_user_info);
    assert_true(read_good("{\"allowMissingProtocol\":true}").options[0].allow_missing_protocol);
    assert_int_equal(read_good("{\"slowPolicy\":\"drop\"}").options[0].slow_policy,
                     PUSHERC_SLOW_DROP);
    assert_int_equal(read_good("{\"slow_policy\":\"close\"}").options[0].slow_policy,
                     PUSHERC_SLOW_CLOSE);
}

static void origins_are_a_list(void **state)
{
    (void)state;
    struct seen seen = read_good("[{\"allowed_origins\":[\"*\"]},{\"allowedOrigins\":"
                                 "[\"example.com\",\"*.example.com\"]}, {}]");
    assert_string_equal(seen.origins[0], "* ");
    assert_string_equal(seen.origins[1], "example.com *.example.com ");
    assert_null(seen.options[2].allowed_origins);
    refused("{\"allowed_origins\":[]}",
            "allowed_origins: must be an array of strings; leave it out to allow any");
    refused("{\"allowed_origins\":\"example.com\"}",
            "allowed_origins: must be an array of strings; leave it out to allow any");
    refused("{\"allowed_origins\":[\"a\",1]}",
            "allowed_origins: must be an array of strings; leave it out to allow any");
}

static void an_unknown_field_is_named_with_a_known_one_like_it(void **state)
{
    (void)state;
    refused("{\"maxConections\":1}", "maxConections: unknown field; did you mean max_connections?");
    refused("{\"Secrett\":1}", "Secrett: unknown field; did you mean secret?");
    refused("{\"ids\":\"1\"}", "ids: unknown field");
    refused("{\"enable_client_mesages\":true}",
            "enable_client_mesages: unknown field; did you mean enable_client_messages?");
    refused("{\"\":1}", ": unknown field");
    refused("[{},{\"a\\nb\":1}]", "app 2: a?b: unknown field");
    refused("{\"0123456789012345678901234567890123456789\xc3\xa4\":1}",
            "0123456789012345678901234567890123456789: unknown field");
}

static void a_value_of_the_wrong_type_is_refused_by_name(void **state)
{
    (void)state;
    refused("{\"id\":true}", "id: must be a string");
    static const char *const no_texts[] = {"-1", "1.5", "1e300", "9007199254740993"};
    for (size_t i = 0; i < COUNT(no_texts); i++) {
        char json[100];
        (void)snprintf(json, sizeof json, "{\"id\":%s}", no_texts[i]);
        refused(json, "id: must be a string or a whole number");
    }
    refused("{\"AppKey\":[]}", "AppKey: must be a string");
    refused("{\"enabled\":1}", "enabled: must be true or false");
    refused("{\"client_events\":\"true\"}", "client_events: must be true or false");
    refused("{\"slow_policy\":\"Drop\"}", "slow_policy: must be \"close\" or \"drop\"");
    refused("{\"slow_policy\":1}", "slow_policy: must be \"close\" or \"drop\"");
    static const char *const numbers[] = {"0",     "-2",    "-0.5", "0.5", "4294967295",
                                          "1e300", "\"7\"", "true", "{}"};
    for (size_t i = 0; i < COUNT(numbers); i++) {
        char json[100];
        (void)snprintf(json, sizeof json, "{\"maxConnections\":%s}", numbers[i]);
        refused(json, "maxConnections: must be a number, 1 or more, or -1 for no limit");
    }
    refused("{\"maxConnections\":1.5}", "maxConnections: must be a whole number");
    refused("{\"maxEventPayloadInKb\":0.0001}",
            "maxEventPayloadInKb: must be a number, 1 or more, or -1 for no limit");
    refused("{\"activity_timeout_ms\":-1}", "activity_timeout_ms: must be a number, 1 or more");
}

static void a_field_given_twice_is_refused(void **state)
{
    (void)state;
    refused("{\"id\":\"1\",\"id\":\"2\"}", "id: given twice");
    refused("{\"id\":\"1\",\"AppId\":\"1\"}", "AppId: given twice");
    refused("{\"disabled\":false,\"enabled\":true}", "enabled: given twice");
    refused("{\"maxEventPayloadInKb\":1,\"max_event_payload_bytes\":1024}",
            "max_event_payload_bytes: given twice");
}

static void append(char text[256], const char *more)
{
    size_t len = strlen(text);
    (void)snprintf(text + len, 256 - len, "%s ", more ? more : "-");
}

static int see_history(const pusherc_app_options *options, void *user_data)
{
    char *text = user_data;
    for (size_t i = 0; i < options->history_count; i++) {
        const pusherc_history_pattern *one = &options->history[i];
        text += sprintf(text, "%s %u %u %u;", one->pattern, one->max_events, one->max_bytes,
                        one->max_age_s);
    }
    return 0;
}

static void a_history_is_patterns_with_bounds(void **state)
{
    char text[256] = "";
    (void)state;
    assert_int_equal(
        pusherc_apps_from_json(
            PC_S("{\"history\":[{\"pattern\":\"a.{b}\",\"max_events\":5,\"max_bytes\":6,"
                 "\"max_age_s\":7},{\"pattern\":\"c\",\"max_bytes\":null}]}"),
            see_history, text, NULL),
        0);
    assert_string_equal(text, "a.{b} 5 6 7;c 0 0 0;");
    refused("{\"history\":{}}", "history: must be an array of at most 32 objects");
    refused("{\"history\":[1]}", "history: 1: must be an object");
    refused("{\"history\":[{}]}", "history: 1: pattern is missing");
    refused("{\"history\":[{\"pattern\":\"a\"},{\"pattern\":1}]}",
            "history: 2: pattern: must be a string");
    refused("{\"history\":[{\"pattern\":\"a\",\"max_events\":0}]}",
            "history: 1: max_events: must be a whole number, 1 or more");
    refused("{\"history\":[{\"pattern\":\"a\",\"seconds\":1}]}",
            "history: 1: seconds: unknown; there are pattern, max_events, max_bytes, max_age_s");
}

static int see_webhooks(const pusherc_app_options *options, void *user_data)
{
    char *text = user_data;
    for (size_t i = 0; i < options->webhook_count; i++) {
        const pusherc_webhook *hook = &options->webhooks[i];
        char events[16];
        assert_int_equal(hook->struct_size, sizeof *hook);
        (void)snprintf(events, sizeof events, "%02x", hook->events);
        append(text, hook->url);
        append(text, events);
        append(text, hook->channel_prefix);
        append(text, hook->channel_suffix);
        for (size_t h = 0; h < hook->header_count; h++) {
            append(text, hook->headers[h].name);
            append(text, hook->headers[h].value);
        }
    }
    return 0;
}

static void webhooks_may_be_written_as_soketi_does_or_as_here(void **state)
{
    (void)state;
    static const char json[] =
        "{\"Webhooks\":[{\"url\":\"https://example.org/"
        "hook\",\"event_types\":[\"channel_occupied\","
        "\"channel_vacated\",\"member_added\",\"member_removed\",\"client_event\",\"cache_miss\"],"
        "\"filter\":{\"channel_name_starts_with\":\"presence-\",\"channelNameEndsWith\":\".1\"},"
        "\"headers\":{\"X-Custom\":\"1\",\"X-Two\":\"\"}},"
        "{\"URL\":\"http://a/\",\"events\":[\"subscription_count\"],\"channel_prefix\":\"p\","
        "\"channelSuffix\":\"s\",\"headers\":{}},{\"url\":\"http://b/\",\"filter\":null}]}";
    char text[256] = "";
    assert_int_equal(pusherc_apps_from_json(pc_slice_of(json), see_webhooks, text, NULL), 0);
    assert_string_equal(text, "https://example.org/hook 3f presence- .1 X-Custom 1 X-Two  "
                              "http://a/ 40 p s http://b/ 00 - - ");
    assert_int_equal(read_good("{\"webhooks\":[]}").options[0].webhook_count, 0);
}

static void what_is_wrong_with_a_webhook_is_named(void **state)
{
    (void)state;
#define HOOK(members) "{\"webhooks\":[{\"url\":\"http://a/\"},{" members "}]}"
    refused("{\"webhooks\":\"[]\"}", "webhooks: must be an array of at most 16 objects");
    refused("{\"webhooks\":[1]}", "webhooks: 1: a webhook must be an object");
    refused(HOOK(""), "webhooks: 2: url is missing");
    refused(HOOK("\"url\":1"), "webhooks: 2: url: must be a string");
    refused(HOOK("\"url\":\"a\",\"URL\":\"b\""), "webhooks: 2: URL: given twice");
    refused(HOOK("\"secret_url\":\"x\""),
            "webhooks: 2: secret_url: unknown; a webhook has url, event_types, filter, "
            "channel_prefix, channel_suffix, headers");
    refused(HOOK("\"lambda_function\":\"f\""),
            "webhooks: 2: lambda_function: AWS Lambda is not supported; give the function a URL");
    refused(HOOK("\"event_types\":[]"),
            "webhooks: 2: event_types: must be an array of names; leave it out for all");
    refused(HOOK("\"event_types\":[\"connected\"]"),
            "webhooks: 2: connected: no such event; there are channel_occupied, channel_vacated, "
            "member_added, member_removed, client_event, cache_miss, subscription_count");
    refused(HOOK("\"filter\":{\"pattern\":\"x\"}"),
            "webhooks: 2: pattern: unknown; a filter has channel_name_starts_with and "
            "channel_name_ends_with");
    refused(HOOK("\"filter\":{\"channel_name_ends_with\":\"x\"},\"channel_suffix\":\"y\""),
            "webhooks: 2: channel_suffix: given twice");
    refused(HOOK("\"headers\":{\"X\":1}"), "webhooks: 2: X: a header's value must be a string");
    refused(HOOK("\"headers\":[\"X\"]"), "webhooks: 2: headers: must be an object");
#undef HOOK
}

static void text_that_is_not_json_is_refused_with_its_line(void **state)
{
    (void)state;
    refused("", "not valid JSON near line 1");
    refused("{\n\"id\": \"1\",\n\"key\": k\n}", "not valid JSON near line 3");
    refused("[\n{\"id\":\"1\"}\n]\n]", "not valid JSON near line 4");
    refused("{\"id\":\"\xff\"}", "not valid JSON near line 1");
    refused("{\"id\":\"a\\u0000b\"}", "a string holds the character NUL");
    refused("{\"id\":\"\\ud800\"}", "a string holds half a surrogate pair");
    assert_int_equal(read_good("{\"id\":\"a\\\\u0000b\"}").count, 1);
    refused("1", "an app must be an object");
    refused("[{},[]]", "an app must be an object");
}

static void the_last_app_may_spoil_all(void **state)
{
    (void)state;
    refused("[{\"id\":\"1\"},{\"id\":\"2\"},{\"id\":[]}]", "app 3: id: must be a string");
}

static void what_the_receiver_returns_ends_the_reading(void **state)
{
    (void)state;
    struct seen seen = {.answer = -42};
    pusherc_errinfo info = {.code = 7, .text = "mine"};
    int err = pusherc_apps_from_json(PC_S("[{},{},{}]"), see, &seen, &info);
    assert_int_equal(err, -42);
    assert_int_equal(seen.count, 1);
    assert_int_equal(info.code, 7); /* the receiver's to fill */
    assert_string_equal(info.text, "mine");
}

static void long_texts_and_missing_arguments_are_refused(void **state)
{
    (void)state;
    struct seen seen = {0};
    pusherc_errinfo info;
    size_t size = 1024 * 1024 + 1;
    char *text = malloc(size);
    assert_non_null(text);
    memset(text, ' ', size);
    text[0] = '[';
    text[1] = ']';
    assert_int_equal(pusherc_apps_from_json(pc_slice(text, size - 1), see, &seen, &info), 0);
    assert_int_equal(pusherc_apps_from_json(pc_slice(text, size), see, &seen, &info),
                     PUSHERC_ELIMIT);
    assert_int_equal(info.code, PUSHERC_ELIMIT);
    free(text);
    assert_int_equal(pusherc_apps_from_json(PC_S("[]"), NULL, NULL, &info), PUSHERC_EINVAL);
    assert_int_equal(pusherc_apps_from_json(pc_slice(NULL, 2), see, &seen, NULL), PUSHERC_EINVAL);
}

/* cJSON's memory comes from wherever the host's hooks say. */
static struct failing_alloc hooked;

static const char secret[] = "sesame";
static bool secret_left;

static void *hooked_malloc(size_t size)
{
    size = size < sizeof secret ? sizeof secret : size; /* hooked_free() looks at so much */
    void *ptr = failing_alloc_malloc(size, &hooked);
    if (ptr)
        memset(ptr, 0, size);
    return ptr;
}

static void hooked_free(void *ptr)
{
    secret_left = secret_left || (ptr && memcmp(ptr, secret, sizeof secret) == 0);
    failing_alloc_free(ptr, &hooked);
}

static void out_of_memory_is_reported_and_nothing_leaks(void **state)
{
    (void)state;
    cJSON_Hooks hooks = {hooked_malloc, hooked_free};
    bool failed = true;
    cJSON_InitHooks(&hooks);
    for (size_t n = 1; failed; n++) {
        struct seen seen = {0};
        pusherc_errinfo info = {0};
        (void)failing_alloc_init(&hooked, n);
        int err = pusherc_apps_from_json(
            PC_S("[{\"id\":\"1\",\"allowed_origins\":[\"*\"]},{\"secret\":\"sesame\"}]"), see,
            &seen, &info);
        failed = failing_alloc_hit(&hooked);
        assert_int_equal(err, failed ? PUSHERC_ENOMEM : 0);
        if (failed)
            assert_int_equal(info.code, PUSHERC_ENOMEM);
        assert_int_equal(failing_alloc_live(&hooked), 0);
    }
    cJSON_InitHooks(NULL);
}

static void secrets_do_not_stay_in_freed_memory(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{\"secret\":\"sesame\"}",
        "[{\"id\":\"1\"},{\"secret\":\"sesame\"}]",
        "{\"AppSecret\":\"sesame\",\"wrong\":1}",
        "{\"secret\":\"sesame\",\"id\":\"\\ud800\"}",
    };
    cJSON_Hooks hooks = {hooked_malloc, hooked_free};
    cJSON_InitHooks(&hooks);
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct seen seen = {0};
        (void)failing_alloc_init(&hooked, 0);
        secret_left = false;
        (void)pusherc_apps_from_json(pc_slice_of(texts[i]), see, &seen, NULL);
        assert_true(hooked.requests > 0);
        /* nor when memory runs out in the midst of it */
        bool failed = true;
        for (size_t n = 1; failed; n++) {
            seen.count = 0;
            (void)failing_alloc_init(&hooked, n);
            (void)pusherc_apps_from_json(pc_slice_of(texts[i]), see, &seen, NULL);
            failed = failing_alloc_hit(&hooked);
        }
        assert_false(secret_left);
    }
    cJSON_InitHooks(NULL);
}

/* Several at once, as any of the library's calls may be. */
static void *read_often(void *arg)
{
    for (int i = 0; i < 200; i++) {
        struct seen seen = {0};
        *(int *)arg |= pusherc_apps_from_json(
            PC_S("[{\"id\":\"1\",\"allowed_origins\":[\"*\"]},{\"max_connections\":7}]"), see,
            &seen, NULL);
        *(int *)arg |= seen.count != 2;
        *(int *)arg |= pusherc_apps_from_json(PC_S("{\"id\":"), see, &seen, NULL) != PUSHERC_EINVAL;
    }
    return NULL;
}

static void threads_read_side_by_side(void **state)
{
    pthread_t threads[4];
    int wrong[4] = {0};
    (void)state;
    for (size_t i = 0; i < COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_often, &wrong[i]), 0);
    for (size_t i = 0; i < COUNT(threads); i++)
        pthread_join(threads[i], NULL);
    for (size_t i = 0; i < COUNT(threads); i++)
        assert_int_equal(wrong[i], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_object_is_one_app_and_an_array_is_many),
        cmocka_unit_test(an_id_may_be_a_number),
        cmocka_unit_test(what_is_left_out_or_null_is_the_default),
        cmocka_unit_test(every_number_has_its_spellings),
        cmocka_unit_test(flags_may_be_said_either_way_round),
        cmocka_unit_test(origins_are_a_list),
        cmocka_unit_test(an_unknown_field_is_named_with_a_known_one_like_it),
        cmocka_unit_test(a_value_of_the_wrong_type_is_refused_by_name),
        cmocka_unit_test(a_field_given_twice_is_refused),
        cmocka_unit_test(webhooks_may_be_written_as_soketi_does_or_as_here),
        cmocka_unit_test(a_history_is_patterns_with_bounds),
        cmocka_unit_test(what_is_wrong_with_a_webhook_is_named),
        cmocka_unit_test(text_that_is_not_json_is_refused_with_its_line),
        cmocka_unit_test(the_last_app_may_spoil_all),
        cmocka_unit_test(what_the_receiver_returns_ends_the_reading),
        cmocka_unit_test(long_texts_and_missing_arguments_are_refused),
        cmocka_unit_test(out_of_memory_is_reported_and_nothing_leaks),
        cmocka_unit_test(secrets_do_not_stay_in_freed_memory),
        cmocka_unit_test(threads_read_side_by_side),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
