/* What a client may say: protocol sections 1.5, 1.10, 2.1 and 2.6. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <pusherc/error.h>

#include "protocol/message_in.h"
#include "unit/failing_alloc.h"

struct fixture {
    struct pc_mem mem;
    struct pc_buf scratch;
    struct pc_message_in in;
    struct pc_user_data user;
    const char *why;
};

static int set_up(void **state)
{
    static struct fixture f;
    f.mem = pc_mem_make(NULL);
    pc_buf_init(&f.scratch, &f.mem, 1 << 20);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    pc_buf_free(&f->scratch);
    return 0;
}

static int parse(struct fixture *f, const char *text)
{
    f->why = NULL;
    f->in = (struct pc_message_in){.type = PC_IN_PING};
    pc_buf_clear(&f->scratch);
    return pc_message_in_parse(pc_slice_of(text), &f->scratch, &f->in, &f->why);
}

static void assert_slice(pusherc_slice slice, const char *expected)
{
    if (!pc_slice_eq(slice, pc_slice_of(expected)))
        fail_msg("\"%.*s\" instead of \"%s\"", (int)slice.len, slice.ptr ? slice.ptr : "",
                 expected);
}

struct subscribe_case {
    const char *text, *channel, *auth, *channel_data;
};

static void subscribe_is_read_in_every_accepted_form(void **state)
{
    static const struct subscribe_case cases[] = {
        {"{\"event\":\"pusher:subscribe\",\"data\":{\"auth\":\"\",\"channel\":\"orders\"}}",
         "orders", "", ""},
        {"{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"orders\"}}", "orders", "", ""},
        {"{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"orders\",\"auth\":null,"
         "\"channel_data\":null}}",
         "orders", "", ""},
        {"{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"private-x\",\"auth\":\"k:00\"}}",
         "private-x", "k:00", ""},
        {"{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"presence-x\",\"auth\":\"k:00\","
         "\"channel_data\":\"{\\\"user_id\\\":\\\"7\\\"}\"}}",
         "presence-x", "k:00", "{\"user_id\":\"7\"}"},
        /* data as the text of an object */
        {"{\"event\":\"pusher:subscribe\",\"data\":\"{\\\"channel\\\":\\\"orders\\\"}\"}", "orders",
         "", ""},
        {"{\"event\":\"pusher:subscribe\",\"data\":\"{\\\"auth\\\":\\\"k:1\\\",\\\"channel\\\":"
         "\\\"presence-x\\\",\\\"channel_data\\\":\\\"{\\\\\\\"user_id\\\\\\\":7}\\\"}\"}",
         "presence-x", "k:1", "{\"user_id\":7}"},
        /* white space, other members, other order */
        {" { \"data\" : { \"x\" : [ 1 ] , \"channel\" : \"a\" } , \"z\" : {} , \"event\" : "
         "\"pusher:subscribe\" } ",
         "a", "", ""},
        /* names with escapes; the last of equal names counts */
        {"{\"ev\\u0065nt\":\"pusher:subscribe\",\"data\":{\"ch\\u0061nnel\":\"a\"}}", "a", "", ""},
        {"{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"a\",\"channel\":\"b\"}}", "b", "",
         ""},
        {"{\"event\":\"pusher:subscri\\u0062e\",\"data\":{\"channel\":\"\\u006frders\"}}", "orders",
         "", ""},
        /* names are for the caller to judge */
        {"{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"\"}}", "", "", ""},
        {"{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"a\\n\"}}", "a\n", "", ""},
        {"{\"event\":\"pusher:subscribe\",\"channel\":\"no\",\"data\":{\"channel\":\"a\"}}", "a",
         "", ""},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int err = parse(f, cases[i].text);
        if (err)
            fail_msg("%s: %s", cases[i].text, f->why);
        assert_int_equal(f->in.type, PC_IN_SUBSCRIBE);
        assert_slice(f->in.channel, cases[i].channel);
        assert_slice(f->in.auth, cases[i].auth);
        assert_slice(f->in.channel_data, cases[i].channel_data);
    }
}

static void channel_data_keeps_its_bytes(void **state)
{
    struct fixture *f = *state;
    /* V4 and V5: what is signed differs though the meaning is the same */
    assert_int_equal(parse(f,
                           "{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"presence-a\","
                           "\"channel_data\":\"{\\\"user_id\\\": \\\"Zo\xc3\xab\\\"}\"}}"),
                     0);
    assert_slice(f->in.channel_data, "{\"user_id\": \"Zo\xc3\xab\"}");
    assert_int_equal(parse(f,
                           "{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"presence-a\","
                           "\"channel_data\":\"{\\\"user_id\\\":\\\"Zo\\\\u00eb\\\"}\"}}"),
                     0);
    assert_slice(f->in.channel_data, "{\"user_id\":\"Zo\\u00eb\"}");
}

static void unsubscribe_is_read(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(parse(f, "{\"event\":\"pusher:unsubscribe\",\"data\":{\"channel\":\"a\"}}"),
                     0);
    assert_int_equal(f->in.type, PC_IN_UNSUBSCRIBE);
    assert_slice(f->in.channel, "a");
    assert_int_equal(
        parse(f, "{\"event\":\"pusher:unsubscribe\",\"data\":\"{\\\"channel\\\":\\\"a\\\"}\"}"), 0);
    assert_slice(f->in.channel, "a");
}

static void signin_is_read(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(parse(f,
                           "{\"event\":\"pusher:signin\",\"data\":{\"auth\":\"k:1\",\"user_data\":"
                           "\"{\\\"id\\\":\\\"7\\\"}\"}}"),
                     0);
    assert_int_equal(f->in.type, PC_IN_SIGNIN);
    assert_slice(f->in.auth, "k:1");
    assert_slice(f->in.user_data, "{\"id\":\"7\"}");
    assert_int_equal(parse(f, "{\"event\":\"pusher:signin\",\"data\":{}}"), 0);
    assert_slice(f->in.auth, "");
    assert_slice(f->in.user_data, "");
    assert_int_equal(parse(f, "{\"event\":\"pusher:signin\",\"data\":\"{}\"}"), 0);
}

static void pings_and_pongs_take_any_data(void **state)
{
    static const char *const datas[] = {"",
                                        ",\"data\":{}",
                                        ",\"data\":\"{}\"",
                                        ",\"data\":null",
                                        ",\"data\":\"\"",
                                        ",\"data\":[1]",
                                        ",\"data\":\"\\u0000\""};
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof datas / sizeof datas[0]; i++) {
        char text[100];
        snprintf(text, sizeof text, "{\"event\":\"pusher:ping\"%s}", datas[i]);
        assert_int_equal(parse(f, text), 0);
        assert_int_equal(f->in.type, PC_IN_PING);
        snprintf(text, sizeof text, "{\"event\":\"pusher:pong\"%s}", datas[i]);
        assert_int_equal(parse(f, text), 0);
        assert_int_equal(f->in.type, PC_IN_PONG);
    }
}

static void a_resume_has_an_object_of_channels(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(parse(f, "{\"event\":\"pusher:resume\",\"data\":{\"channels\":{\"a\":\"1\"},"
                              "\"socket_id\":\"1.2\"}}"),
                     0);
    assert_int_equal(f->in.type, PC_IN_RESUME);
    assert_slice(f->in.channels.raw, "{\"a\":\"1\"}");
    assert_slice(f->in.socket_id, "1.2");
    assert_int_equal(parse(f, "{\"event\":\"pusher:resume\",\"data\":\"{\\\"channels\\\":{}}\"}"),
                     0);
    assert_slice(f->in.channels.raw, "{}");
    assert_int_equal(f->in.socket_id.len, 0);
}

static void client_events_keep_their_data_as_written(void **state)
{
    static const struct {
        const char *member, *raw;
        enum pc_json_type type;
    } cases[] = {
        {"", "", PC_JSON_NONE},
        {",\"data\":null", "null", PC_JSON_NULL},
        {",\"data\":{\"on\" : true, \"n\":1.50e3}", "{\"on\" : true, \"n\":1.50e3}",
         PC_JSON_OBJECT},
        {",\"data\":\"a\\u00eb\"", "\"a\\u00eb\"", PC_JSON_STRING},
        {",\"data\":12345678901234567890123", "12345678901234567890123", PC_JSON_NUMBER},
        {",\"data\":[]", "[]", PC_JSON_ARRAY},
        {",\"data\":false", "false", PC_JSON_BOOL},
        {",\"data\":1,\"user_id\":\"9\",\"data\":2", "2", PC_JSON_NUMBER},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[200];
        snprintf(text, sizeof text, "{\"event\":\"client-typing\",\"channel\":\"private-a\"%s}",
                 cases[i].member);
        assert_int_equal(parse(f, text), 0);
        assert_int_equal(f->in.type, PC_IN_CLIENT_EVENT);
        assert_slice(f->in.event, "client-typing");
        assert_slice(f->in.channel, "private-a");
        assert_int_equal(f->in.data.type, cases[i].type);
        assert_slice(f->in.data.raw, cases[i].raw);
    }
}

#define BAD        "Invalid message format: "
#define DATA       BAD "data must be a JSON object, or the text of one"
#define IN_DATA(x) BAD "\"" x "\" in data must be a string"
#define TEXT       ", the text of a JSON object"
#define CHANNEL    BAD "a client event must have \"channel\" beside \"event\" and \"data\", a string"

static void malformed_messages_are_refused(void **state)
{
    static const struct {
        const char *text, *why;
    } cases[] = {
        {"", "Invalid message format"},
        {"hello", "Invalid message format"},
        {"{", "Invalid message format"},
        {"[]", "Invalid message format"},
        {"1", "Invalid message format"},
        {"\"x\"", "Invalid message format"},
        {"null", "Invalid message format"},
        {"{}", "Invalid message format"},
        {"{\"event\":1}", "Invalid message format"},
        {"{\"event\":null}", "Invalid message format"},
        {"{\"event\":\"pusher:ping\"}{}", "Invalid message format"},
        {"{\"event\":\"pusher:ping\",}", "Invalid message format"},
        {"{\"event\":\"\\u0000\"}", "Invalid message format"},
        {"{\"event\":\"\\ud800\"}", "Invalid message format"},
        {"{\"event\":\"\"}", "Unknown event"},
        {"{\"event\":\"ping\"}", "Unknown event"},
        {"{\"event\":\"pusher:\"}", "Unknown event"},
        {"{\"event\":\"pusher:pings\"}", "Unknown event"},
        {"{\"event\":\"pusher:Ping\"}", "Unknown event"},
        {"{\"event\":\"pusher:error\",\"data\":{}}", "Unknown event"},
        {"{\"event\":\"pusher:resume\"}", DATA},
        {"{\"event\":\"pusher:resume\",\"data\":{\"channels\":[]}}",
         BAD "\"channels\" in data must be an object, with an event_id for each channel"},
        {"{\"event\":\"pusher:resume\",\"data\":{\"channels\":{},\"socket_id\":1}}",
         IN_DATA("socket_id")},
        {"{\"event\":\"pusher_internal:member_added\",\"channel\":\"a\"}", "Unknown event"},
        {"{\"event\":\"order.paid\",\"channel\":\"a\",\"data\":{}}", "Unknown event"},
        {"{\"event\":\"client\",\"channel\":\"a\",\"data\":{}}", "Unknown event"},
        {"{\"event\":\"pusher:subscribe\"}", DATA},
        {"{\"event\":\"pusher:subscribe\",\"data\":null}", DATA},
        {"{\"event\":\"pusher:subscribe\",\"data\":[]}", DATA},
        {"{\"event\":\"pusher:subscribe\",\"data\":\"\"}", DATA},
        {"{\"event\":\"pusher:subscribe\",\"data\":\"[]\"}", DATA},
        {"{\"event\":\"pusher:subscribe\",\"data\":\"{\"}", DATA},
        {"{\"event\":\"pusher:subscribe\",\"data\":\"\\\"{}\\\"\"}", DATA},
        {"{\"event\":\"pusher:subscribe\",\"data\":{}}", IN_DATA("channel")},
        {"{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":7}}", IN_DATA("channel")},
        {"{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":null}}", IN_DATA("channel")},
        {"{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"a\\u0000\"}}",
         IN_DATA("channel")},
        {"{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"a\",\"auth\":1}}",
         IN_DATA("auth")},
        {"{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"a\",\"channel_data\":{}}}",
         IN_DATA("channel_data") TEXT},
        {"{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"a\",\"channel_data\":\"\\udc00\"}"
         "}",
         IN_DATA("channel_data") TEXT},
        {"{\"event\":\"pusher:unsubscribe\",\"data\":{}}", IN_DATA("channel")},
        {"{\"event\":\"pusher:unsubscribe\",\"channel\":\"a\"}", DATA},
        {"{\"event\":\"pusher:signin\"}", DATA},
        {"{\"event\":\"pusher:signin\",\"data\":{\"auth\":{}}}", IN_DATA("auth")},
        {"{\"event\":\"pusher:signin\",\"data\":{\"user_data\":{\"id\":\"7\"}}}",
         IN_DATA("user_data") TEXT},
        {"{\"event\":\"client-a\"}", CHANNEL},
        {"{\"event\":\"client-a\",\"channel\":1}", CHANNEL},
        {"{\"event\":\"client-a\",\"data\":{\"channel\":\"a\"}}", CHANNEL},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int err = parse(f, cases[i].text);
        if (err != PUSHERC_EPROTO || !f->why || strcmp(f->why, cases[i].why) != 0)
            fail_msg("%s: %d, %s", cases[i].text, err, f->why ? f->why : "(no reason)");
    }
}

static void a_refused_message_leaves_out_alone(void **state)
{
    struct fixture *f = *state;
    struct pc_message_in in = {.type = PC_IN_PONG, .channel = PC_S("before")};
    assert_int_equal(
        pc_message_in_parse(
            PC_S("{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"after\",\"auth\":1}}"),
            &f->scratch, &in, &f->why),
        PUSHERC_EPROTO);
    assert_int_equal(in.type, PC_IN_PONG);
    assert_slice(in.channel, "before");
}

/* A message whose every string is escaped, read with the smallest scratch the header allows. */
static void nothing_read_moves_while_the_rest_is_read(void **state)
{
    static const char text[] =
        "{\"event\":\"pusher:subscrib\\u0065\",\"data\":\"{\\\"channel\\\":\\\"presence-"
        "\\\\u0061\\\","
        "\\\"auth\\\":\\\"k\\\\u003a1\\\",\\\"channel_data\\\":"
        "\\\"{\\\\\\\"user_id\\\\\\\":\\\\\\\"Zo\\\\\\\\u00eb\\\\\\\"}\\\"}\"}";
    struct fixture *f = *state;
    struct pc_buf scratch;

    pc_buf_init(&scratch, &f->mem, 3 * (sizeof text - 1));
    assert_int_equal(
        pc_message_in_parse(pc_slice(text, sizeof text - 1), &scratch, &f->in, &f->why), 0);
    const char *memory = scratch.ptr;
    assert_slice(f->in.channel, "presence-a");
    assert_slice(f->in.auth, "k:1");
    assert_slice(f->in.channel_data, "{\"user_id\":\"Zo\\u00eb\"}");
    assert_int_equal(pc_user_data_parse(f->in.channel_data, PC_S("user_id"), true, false, &scratch,
                                        &f->user, &f->why),
                     0);
    assert_slice(f->user.id, "Zo\xc3\xab");
    assert_ptr_equal(scratch.ptr, memory);
    assert_slice(f->in.channel, "presence-a");
    pc_buf_free(&scratch);
}

static void plain_messages_need_no_memory(void **state)
{
    struct fixture *f = *state;
    struct pc_buf none;
    pc_buf_init(&none, &f->mem, 0);
    assert_int_equal(
        pc_message_in_parse(PC_S("{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"a\"}}"),
                            &none, &f->in, &f->why),
        0);
    assert_int_equal(pc_message_in_parse(PC_S("{\"event\":\"pusher:ping\",\"data\":\"\\n\"}"),
                                         &none, &f->in, &f->why),
                     PUSHERC_ENOMEM);
    pc_buf_free(&none);
}

static void out_of_memory_is_no_bad_message(void **state)
{
    static const char text[] =
        "{\"event\":\"pusher:subscribe\",\"data\":\"{\\\"channel\\\":\\\"a\\\"}\"}";
    struct fixture *f = *state;
    bool failed = true;

    for (size_t n = 1; failed; n++) {
        struct failing_alloc alloc;
        pusherc_allocator allocator = failing_alloc_init(&alloc, n);
        struct pc_mem mem = pc_mem_make(&allocator);
        struct pc_buf for_message, for_user;
        pc_buf_init(&for_message, &mem, 1 << 20);
        pc_buf_init(&for_user, &mem, 1 << 20);
        int err = pc_message_in_parse(pc_slice_of(text), &for_message, &f->in, &f->why);
        if (!err)
            err = pc_user_data_parse(PC_S("{\"user_id\":\"\\n\"}"), PC_S("user_id"), true, false,
                                     &for_user, &f->user, &f->why);
        failed = failing_alloc_hit(&alloc);
        assert_int_equal(err, failed ? PUSHERC_ENOMEM : 0);
        pc_buf_free(&for_user);
        pc_buf_free(&for_message);
        assert_int_equal(failing_alloc_live(&alloc), 0);
    }
}

struct user_case {
    const char *text;
    bool strict;
    const char *id, *info, *why; /* id NULL = refused */
};

static void check_users(struct fixture *f, bool signin, const struct user_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct user_case *c = &cases[i];
        pc_buf_clear(&f->scratch);
        f->user = (struct pc_user_data){.id = PC_S("before")};
        f->why = NULL;
        int err = pc_user_data_parse(pc_slice_of(c->text), signin ? PC_S("id") : PC_S("user_id"),
                                     !signin, c->strict, &f->scratch, &f->user, &f->why);
        if (err != (c->id ? 0 : PUSHERC_EINVAL))
            fail_msg("%s: %d, %s", c->text, err, f->why ? f->why : "(no reason)");
        if (!c->id) {
            assert_string_equal(f->why, c->why);
            assert_slice(f->user.id, "before");
            continue;
        }
        assert_slice(f->user.id, c->id);
        assert_slice(f->user.info, c->info);
        assert_int_equal(f->user.object.type, PC_JSON_OBJECT);
    }
}

#define NO_OBJECT "user data must be a JSON object"
#define NO_ID     "user data has no user id"
#define BAD_ID    "user id must be a string or an integer"
#define EMPTY_ID  "user id must not be empty"
#define BAD_INFO  "user_info, if supplied, must be an object"

static void members_are_read(void **state)
{
    static const struct user_case cases[] = {
        {"{\"user_id\":\"7\"}", false, "7", "{}", NULL},
        {"{\"user_id\":7}", false, "7", "{}", NULL},
        {"{\"user_id\":0}", false, "0", "{}", NULL},
        {"{\"user_id\":-0}", false, "0", "{}", NULL},
        {"{\"user_id\":-5}", false, "-5", "{}", NULL},
        {"{\"user_id\":9007199254740992}", false, "9007199254740992", "{}", NULL},
        {" { \"user_info\" : { \"a\" : 1 } , \"user_id\" : \"x\" } ", false, "x", "{ \"a\" : 1 }",
         NULL},
        {"{\"user_id\":\"Zo\\u00eb\",\"user_info\":null}", true, "Zo\xc3\xab", "{}", NULL},
        {"{\"user_id\":\"any thing:/\",\"user_info\":{}}", true, "any thing:/", "{}", NULL},
        /* Laravel's `true`, and other values that are no object */
        {"{\"user_id\":\"7\",\"user_info\":true}", false, "7", "true", NULL},
        {"{\"user_id\":\"7\",\"user_info\":[1, 2]}", false, "7", "[1, 2]", NULL},
        {"{\"user_id\":\"7\",\"user_info\":\"x\"}", false, "7", "\"x\"", NULL},
        {"{\"user_id\":\"7\",\"user_info\":true}", true, NULL, NULL, BAD_INFO},
        {"{\"user_id\":\"7\",\"user_info\":[]}", true, NULL, NULL, BAD_INFO},
        {"", false, NULL, NULL, NO_OBJECT},
        {"7", false, NULL, NULL, NO_OBJECT},
        {"[]", false, NULL, NULL, NO_OBJECT},
        {"{\"user_id\":\"7\"", false, NULL, NULL, NO_OBJECT},
        {"{}", false, NULL, NULL, NO_ID},
        {"{\"id\":\"7\"}", false, NULL, NULL, NO_ID},
        {"{\"user_id\":\"\"}", false, NULL, NULL, EMPTY_ID},
        {"{\"user_id\":null}", false, NULL, NULL, BAD_ID},
        {"{\"user_id\":true}", false, NULL, NULL, BAD_ID},
        {"{\"user_id\":1.5}", false, NULL, NULL, BAD_ID},
        {"{\"user_id\":1e2}", false, NULL, NULL, BAD_ID},
        {"{\"user_id\":1.0}", false, NULL, NULL, BAD_ID},
        {"{\"user_id\":99999999999999999999}", false, NULL, NULL, BAD_ID},
        {"{\"user_id\":{}}", false, NULL, NULL, BAD_ID},
        {"{\"user_id\":[\"7\"]}", false, NULL, NULL, BAD_ID},
        {"{\"user_id\":\"\\u0000\"}", false, NULL, NULL, BAD_ID},
        {"{\"user_id\":\"\\ud83d\"}", false, NULL, NULL, BAD_ID},
    };
    check_users(*state, false, cases, sizeof cases / sizeof cases[0]);
}

static void sign_in_data_is_read(void **state)
{
    static const struct user_case cases[] = {
        {"{\"id\":\"7\",\"user_info\":{\"name\":\"Zoe\"},\"watchlist\":[\"8\"]}", false, "7",
         "{\"name\":\"Zoe\"}", NULL},
        {"{\"id\":\"7\"}", true, "7", "{}", NULL},
        {"{\"id\":7}", false, NULL, NULL, "user id must be a string"},
        {"{\"user_id\":\"7\"}", false, NULL, NULL, NO_ID},
        {"{\"id\":\"\"}", false, NULL, NULL, EMPTY_ID},
        {"{\"id\":\"7\",\"user_info\":1}", true, NULL, NULL, BAD_INFO},
    };
    check_users(*state, true, cases, sizeof cases / sizeof cases[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(subscribe_is_read_in_every_accepted_form, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(channel_data_keeps_its_bytes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(unsubscribe_is_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(signin_is_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(pings_and_pongs_take_any_data, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_resume_has_an_object_of_channels, set_up, tear_down),
        cmocka_unit_test_setup_teardown(client_events_keep_their_data_as_written, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(malformed_messages_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_refused_message_leaves_out_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_read_moves_while_the_rest_is_read, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(plain_messages_need_no_memory, set_up, tear_down),
        cmocka_unit_test_setup_teardown(out_of_memory_is_no_bad_message, set_up, tear_down),
        cmocka_unit_test_setup_teardown(members_are_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(sign_in_data_is_read, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
