/* What the server says: exact texts (protocol section 2), then random ones against another parser. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

#include <pusherc/error.h>

#include "codec/json.h"
#include "codec/xhr.h"
#include "protocol/message_out.h"
#include "unit/failing_alloc.h"

struct fixture {
    struct pc_mem mem;
    struct pc_buf buf;
};

static int set_up(void **state)
{
    static struct fixture f;
    f.mem = pc_mem_make(NULL);
    pc_buf_init(&f.buf, &f.mem, 1 << 20);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    pc_buf_free(&f->buf);
    return 0;
}

/* What was written since the last call. */
static void assert_text(struct fixture *f, const char *expected)
{
    assert_int_equal(pc_buf_status(&f->buf), 0);
    pc_buf_put_char(&f->buf, '\0');
    assert_string_equal(f->buf.ptr, expected);
    pc_buf_clear(&f->buf);
}

static void connection_messages_are_as_documented(void **state)
{
    struct fixture *f = *state;
    struct pc_buf *buf = &f->buf;

    pc_out_established(buf, (pusherc_socket_id){1234, 5678}, 120);
    assert_text(f, "{\"event\":\"pusher:connection_established\",\"data\":"
                   "\"{\\\"socket_id\\\":\\\"1234.5678\\\",\\\"activity_timeout\\\":120}\"}");
    pc_out_established(buf, (pusherc_socket_id){UINT64_MAX, 1}, UINT32_MAX);
    assert_text(f, "{\"event\":\"pusher:connection_established\",\"data\":"
                   "\"{\\\"socket_id\\\":\\\"18446744073709551615.1\\\","
                   "\\\"activity_timeout\\\":4294967295}\"}");
    pc_out_ping(buf);
    assert_text(f, "{\"event\":\"pusher:ping\",\"data\":\"{}\"}");
    pc_out_pong(buf);
    assert_text(f, "{\"event\":\"pusher:pong\",\"data\":\"{}\"}");
    pc_out_signin_success(
        buf, PC_S("{\"id\":\"7\",\"user_info\":{\"name\":\"Zoe\"},\"watchlist\":[\"8\",\"9\"]}"));
    assert_text(f, "{\"event\":\"pusher:signin_success\",\"data\":\"{\\\"user_data\\\":"
                   "\\\"{\\\\\\\"id\\\\\\\":\\\\\\\"7\\\\\\\",\\\\\\\"user_info\\\\\\\":"
                   "{\\\\\\\"name\\\\\\\":\\\\\\\"Zoe\\\\\\\"},\\\\\\\"watchlist\\\\\\\":"
                   "[\\\\\\\"8\\\\\\\",\\\\\\\"9\\\\\\\"]}\\\"}\"}");
}

static void errors_carry_an_object(void **state)
{
    struct fixture *f = *state;

    pc_out_error(&f->buf, 4001, PC_S("App key nope does not exist"));
    assert_text(f, "{\"event\":\"pusher:error\",\"data\":{\"code\":4001,"
                   "\"message\":\"App key nope does not exist\"}}");
    pc_out_error(&f->buf, PC_ERROR_PLAIN, PC_S("No \"x\"\n"));
    assert_text(f, "{\"event\":\"pusher:error\",\"data\":{\"code\":null,"
                   "\"message\":\"No \\\"x\\\"\\n\"}}");
    pc_out_error(&f->buf, PC_ERROR_CLIENT_EVENT, PC_S(""));
    assert_text(f, "{\"event\":\"pusher:error\",\"data\":{\"code\":4301,\"message\":\"\"}}");
}

static void a_number_is_written_over_that_of_the_id_in_each_form(void **state)
{
    struct fixture *f = *state;
    struct pc_buf *buf = &f->buf;
    char text[512];
    for (int form = 0; form < 2; form++) {
        char line_room[512], room[512];
        struct pc_buf line, chunk;
        pc_buf_clear(buf);
        /* what looks like a number comes before it, too */
        pc_out_event(buf, PC_S("e"), PC_S("c"), PC_S("000000000000"), PC_S(""));
        pc_out_add_id(buf, PC_S("0a0b0c0d-000000000000"));
        pc_buf_init_in(&line, buf->mem, sizeof line_room, line_room, sizeof line_room);
        pc_buf_init_in(&chunk, buf->mem, sizeof room, room, sizeof room);
        pc_xhr_put_message(&line, pc_buf_slice(buf));
        pc_xhr_put_chunk(&chunk, pc_buf_slice(&line));
        struct pc_buf *whole = form == 0 ? buf : &chunk;
        pc_message_renumber(whole->ptr, whole->len, 0xabc123);
        snprintf(text, sizeof text, "%.*s", (int)whole->len, whole->ptr);
        assert_non_null(strstr(text, form == 0 ? "\"data\":\"000000000000\""
                                               : "\\\"data\\\":\\\"000000000000\\\""));
        assert_non_null(strstr(text, form == 0 ? "\"event_id\":\"0a0b0c0d-000000abc123\"}"
                                               : "-000000abc123\\\"}\"]\n\r\n"));
        pc_buf_free(&line);
        pc_buf_free(&chunk);
    }
    pc_buf_clear(buf);
    pc_out_history_lost(buf, PC_S("a"));
    assert_text(f, "{\"event\":\"pusher:history_lost\",\"channel\":\"a\",\"data\":\"{}\"}");
    pc_out_resumed(buf, PC_S("a"), 7);
    assert_text(f,
                "{\"event\":\"pusher:resumed\",\"channel\":\"a\",\"data\":\"{\\\"events\\\":7}\"}");
}

static void subscription_messages_are_as_documented(void **state)
{
    struct fixture *f = *state;
    struct pc_buf *buf = &f->buf;

    pc_out_subscribed(buf, PC_S("orders"));
    assert_text(f, "{\"event\":\"pusher_internal:subscription_succeeded\",\"channel\":\"orders\","
                   "\"data\":\"{}\"}");
    pc_out_subscribed_presence(buf, PC_S("presence-room.1"),
                               PC_S("{\\\"presence\\\":{\\\"ids\\\":[],\\\"count\\\":0}}"));
    assert_text(f, "{\"event\":\"pusher_internal:subscription_succeeded\","
                   "\"channel\":\"presence-room.1\",\"data\":\"{\\\"presence\\\":{\\\"ids\\\":[],"
                   "\\\"count\\\":0}}\"}");
    pc_out_subscription_error(buf, PC_S("private-a"), "AuthError", PC_S("Invalid \"signature\""),
                              401);
    assert_text(f, "{\"event\":\"pusher:subscription_error\",\"channel\":\"private-a\",\"data\":"
                   "\"{\\\"type\\\":\\\"AuthError\\\",\\\"error\\\":"
                   "\\\"Invalid \\\\\\\"signature\\\\\\\"\\\",\\\"status\\\":401}\"}");
    pc_out_subscription_count(buf, PC_S("orders"), 3);
    assert_text(f, "{\"event\":\"pusher_internal:subscription_count\",\"channel\":\"orders\","
                   "\"data\":\"{\\\"subscription_count\\\":3}\"}");
    pc_out_cache_miss(buf, PC_S("cache-price"));
    assert_text(f, "{\"event\":\"pusher:cache_miss\",\"channel\":\"cache-price\",\"data\":\"{}\"}");
    /* a refused name is repeated to the client, whatever it is */
    pc_out_subscription_error(buf, PC_S("a\"\\\n"), "SubscriptionError", PC_S("x"), 400);
    assert_text(f, "{\"event\":\"pusher:subscription_error\",\"channel\":\"a\\\"\\\\\\n\",\"data\":"
                   "\"{\\\"type\\\":\\\"SubscriptionError\\\",\\\"error\\\":\\\"x\\\","
                   "\\\"status\\\":400}\"}");
}

static void member_messages_are_as_documented(void **state)
{
    struct fixture *f = *state;

    pc_out_member_added(&f->buf, PC_S("presence-room.1"), PC_S("8"), PC_S("{\"name\":\"Ann\"}"));
    assert_text(f, "{\"event\":\"pusher_internal:member_added\",\"channel\":\"presence-room.1\","
                   "\"data\":\"{\\\"user_id\\\":\\\"8\\\",\\\"user_info\\\":"
                   "{\\\"name\\\":\\\"Ann\\\"}}\"}");
    pc_out_member_removed(&f->buf, PC_S("presence-room.1"), PC_S("8"));
    assert_text(f, "{\"event\":\"pusher_internal:member_removed\",\"channel\":\"presence-room.1\","
                   "\"data\":\"{\\\"user_id\\\":\\\"8\\\"}\"}");
    /* ids of members are any text: escaped once for the object, once for the string around it */
    pc_out_member_removed(&f->buf, PC_S("presence-a"), PC_S("\"\\/\x01\nZo\xc3\xab"));
    assert_text(
        f, "{\"event\":\"pusher_internal:member_removed\",\"channel\":\"presence-a\","
           "\"data\":\"{\\\"user_id\\\":\\\"\\\\\\\"\\\\\\\\/\\\\u0001\\\\nZo\xc3\xab\\\"}\"}");
}

static void events_carry_their_data_as_a_string(void **state)
{
    struct fixture *f = *state;
    struct pc_buf *buf = &f->buf;

    pc_out_event(buf, PC_S("order.paid"), PC_S("orders"), PC_S("{\"id\":42}"), PC_S(""));
    assert_text(f,
                "{\"event\":\"order.paid\",\"channel\":\"orders\",\"data\":\"{\\\"id\\\":42}\"}");
    pc_out_event(buf, PC_S("client-typing"), PC_S("presence-room.1"), PC_S("{\"on\":true}"),
                 PC_S("7"));
    assert_text(f, "{\"event\":\"client-typing\",\"channel\":\"presence-room.1\","
                   "\"data\":\"{\\\"on\\\":true}\",\"user_id\":\"7\"}");
    pc_out_event(buf, PC_S("App\\Events\\Paid \xe2\x82\xac"), PC_S("#server-to-user-7"), PC_S(""),
                 PC_S(""));
    assert_text(f, "{\"event\":\"App\\\\Events\\\\Paid \xe2\x82\xac\","
                   "\"channel\":\"#server-to-user-7\",\"data\":\"\"}");
    pc_out_event(buf, PC_S("e"), PC_S("c"), pc_slice("a\0b", 3), PC_S("\"x\""));
    assert_text(f, "{\"event\":\"e\",\"channel\":\"c\",\"data\":\"a\\u0000b\","
                   "\"user_id\":\"\\\"x\\\"\"}");
}

/* Every allocation is one growth: with room for exactly the announced size nothing is asked for. */
static void a_plain_event_fits_the_announced_size(void **state)
{
    static const struct {
        pusherc_slice event, channel, data, user_id;
    } cases[] = {
        {PUSHERC_LIT("e"), PUSHERC_LIT("c"), PUSHERC_LIT(""), PUSHERC_LIT("")},
        {PUSHERC_LIT("price"), PUSHERC_LIT("cache-price"), PUSHERC_LIT("101"), PUSHERC_LIT("")},
        {PUSHERC_LIT("client-a"), PUSHERC_LIT("presence-a"), PUSHERC_LIT("[1,2]"),
         PUSHERC_LIT("7")},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char storage[200];
        struct pc_buf buf;
        size_t size =
            pc_out_event_size(cases[i].event, cases[i].channel, cases[i].data, cases[i].user_id);
        pc_buf_init_in(&buf, &f->mem, size, storage, sizeof storage);
        pc_out_event(&buf, cases[i].event, cases[i].channel, cases[i].data, cases[i].user_id);
        assert_int_equal(pc_buf_status(&buf), 0);
        assert_int_equal(buf.len, size);

        pc_buf_init_in(&buf, &f->mem, size - 1, storage, sizeof storage);
        pc_out_event(&buf, cases[i].event, cases[i].channel, cases[i].data, cases[i].user_id);
        assert_int_equal(pc_buf_status(&buf), PUSHERC_ELIMIT);
    }
}

static void put_one_of_each(struct pc_buf *buf)
{
    const pusherc_slice odd = PC_S("a\"\n");
    pc_out_established(buf, (pusherc_socket_id){1, 2}, 120);
    pc_out_ping(buf);
    pc_out_pong(buf);
    pc_out_error(buf, 4009, odd);
    pc_out_subscribed(buf, odd);
    pc_out_subscribed_presence(buf, odd, odd);
    pc_out_subscription_error(buf, odd, "AuthError", odd, 401);
    pc_out_member_added(buf, odd, odd, odd);
    pc_out_member_removed(buf, odd, odd);
    pc_out_subscription_count(buf, odd, 1);
    pc_out_cache_miss(buf, odd);
    pc_out_signin_success(buf, odd);
    pc_out_event(buf, odd, odd, odd, odd);
}

static void a_failure_is_seen_at_the_end(void **state)
{
    bool failed = true;

    (void)state;
    for (size_t n = 1; failed; n++) {
        struct failing_alloc alloc;
        pusherc_allocator allocator = failing_alloc_init(&alloc, n);
        struct pc_mem mem = pc_mem_make(&allocator);
        struct pc_buf buf;
        pc_buf_init(&buf, &mem, 1 << 20);
        put_one_of_each(&buf);
        failed = failing_alloc_hit(&alloc);
        assert_int_equal(pc_buf_status(&buf), failed ? PUSHERC_ENOMEM : 0);
        pc_buf_free(&buf);
        assert_int_equal(failing_alloc_live(&alloc), 0);
    }
}

/* -- random texts -- */

enum {
    MAX_TEXT = 400,
    ROUNDS = 20000
};

static uint64_t random_state = 0x9e3779b97f4a7c15U;

static uint64_t next_random(void)
{
    uint64_t x = random_state += 0x9e3779b97f4a7c15U;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
    return x ^ (x >> 31);
}

static uint32_t below(uint32_t n)
{
    return (uint32_t)(next_random() % n);
}

/* A character of any plane but never NUL or a surrogate; ASCII and what must be escaped more often. */
static uint32_t random_character(void)
{
    static const uint32_t edges[] = {0x01,   0x1f,   0x20,    0x7e,     0x7f,    0x80,
                                     0x7ff,  0x800,  0x2028,  0x2029,   0xd7ff,  0xe000,
                                     0xfeff, 0xfffd, 0xfffe,  0xffff,   '"',     '\\',
                                     '/',    0x85,   0x10000, 0x10ffff, 0x1f600, '\b'};
    switch (below(8)) {
    case 0:
        return 1 + below(0x1f);
    case 1:
        return below(2) ? '"' : '\\';
    case 2:
        return edges[below(sizeof edges / sizeof edges[0])];
    case 3: {
        uint32_t c = 0x80 + below(0x10ffff - 0x80 + 1);
        return c >= 0xd800 && c <= 0xdfff ? 0x20ac : c;
    }
    default:
        return 0x20 + below(0x5f);
    }
}

static size_t put_character(char *out, uint32_t c)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xc0 | (c >> 6));
        out[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | (c >> 12));
        out[1] = (char)(0x80 | ((c >> 6) & 0x3f));
        out[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | (c >> 18));
    out[1] = (char)(0x80 | ((c >> 12) & 0x3f));
    out[2] = (char)(0x80 | ((c >> 6) & 0x3f));
    out[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

/* NUL-terminated; len characters at most. */
static pusherc_slice random_text(char text[MAX_TEXT + 1], uint32_t max_characters)
{
    size_t len = 0;
    for (uint32_t left = below(max_characters + 1); left; left--)
        len += put_character(text + len, random_character());
    text[len] = '\0';
    return pc_slice(text, len);
}

/* Both parsers: cJSON for the meaning, the library's because it is strict. */
static cJSON *parse_out(struct fixture *f)
{
    assert_int_equal(pc_buf_status(&f->buf), 0);
    assert_int_equal(pc_json_parse(pc_buf_slice(&f->buf)).type, PC_JSON_OBJECT);
    cJSON *json = cJSON_ParseWithLength(f->buf.ptr, f->buf.len);
    assert_non_null(json);
    pc_buf_clear(&f->buf);
    return json;
}

static const char *member(const cJSON *object, const char *name)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
    assert_non_null(text);
    return text;
}

/* The JSON inside the string "data". */
static cJSON *parse_data(const cJSON *json)
{
    const char *data = member(json, "data");
    assert_int_equal(pc_json_parse(pc_slice_of(data)).type, PC_JSON_OBJECT);
    cJSON *inner = cJSON_Parse(data);
    assert_non_null(inner);
    return inner;
}

static void random_events_come_back_as_they_were(void **state)
{
    struct fixture *f = *state;
    char event[MAX_TEXT + 1], channel[MAX_TEXT + 1], data[MAX_TEXT + 1], user_id[MAX_TEXT + 1];

    for (int round = 0; round < ROUNDS; round++) {
        pusherc_slice id = random_text(user_id, below(3) ? 30 : 0);
        pc_out_event(&f->buf, random_text(event, 20), random_text(channel, 20),
                     random_text(data, 100), id);
        cJSON *json = parse_out(f);
        assert_string_equal(member(json, "event"), event);
        assert_string_equal(member(json, "channel"), channel);
        assert_string_equal(member(json, "data"), data);
        if (id.len)
            assert_string_equal(member(json, "user_id"), user_id);
        assert_int_equal(cJSON_GetArraySize(json), id.len ? 4 : 3);
        cJSON_Delete(json);
    }
}

static void random_members_come_back_as_they_were(void **state)
{
    struct fixture *f = *state;
    char channel[MAX_TEXT + 1], user_id[MAX_TEXT + 1], name[MAX_TEXT + 1];

    for (int round = 0; round < ROUNDS; round++) {
        random_text(channel, 20);
        random_text(user_id, 50);
        random_text(name, 50);
        struct pc_buf info;
        pc_buf_init(&info, &f->mem, 4096);
        pc_buf_put(&info, PC_S("{ \"name\"\t:\n"));
        pc_json_put_string(&info, pc_slice_of(name));
        pc_buf_put(&info, PC_S(", \"n\": 1.50 }"));
        pc_out_member_added(&f->buf, pc_slice_of(channel), pc_slice_of(user_id),
                            pc_buf_slice(&info));
        pc_buf_free(&info);

        cJSON *json = parse_out(f);
        cJSON *data = parse_data(json);
        assert_string_equal(member(json, "channel"), channel);
        assert_string_equal(member(data, "user_id"), user_id);
        assert_string_equal(member(cJSON_GetObjectItem(data, "user_info"), "name"), name);
        assert_int_equal(cJSON_GetArraySize(data), 2);
        cJSON_Delete(data);
        cJSON_Delete(json);

        pc_out_member_removed(&f->buf, pc_slice_of(channel), pc_slice_of(user_id));
        json = parse_out(f);
        data = parse_data(json);
        assert_string_equal(member(data, "user_id"), user_id);
        assert_int_equal(cJSON_GetArraySize(data), 1);
        cJSON_Delete(data);
        cJSON_Delete(json);
    }
}

static void random_sentences_come_back_as_they_were(void **state)
{
    struct fixture *f = *state;
    char channel[MAX_TEXT + 1], text[MAX_TEXT + 1];

    for (int round = 0; round < ROUNDS; round++) {
        random_text(channel, 20);
        random_text(text, 100);

        pc_out_error(&f->buf, 4009, pc_slice_of(text));
        cJSON *json = parse_out(f);
        const cJSON *object = cJSON_GetObjectItem(json, "data");
        assert_true(cJSON_IsObject(object));
        assert_string_equal(member(object, "message"), text);
        cJSON_Delete(json);

        pc_out_subscription_error(&f->buf, pc_slice_of(channel), "LimitReached", pc_slice_of(text),
                                  403);
        json = parse_out(f);
        cJSON *data = parse_data(json);
        assert_string_equal(member(json, "channel"), channel);
        assert_string_equal(member(data, "type"), "LimitReached");
        assert_string_equal(member(data, "error"), text);
        assert_int_equal(cJSON_GetObjectItem(data, "status")->valueint, 403);
        cJSON_Delete(data);
        cJSON_Delete(json);

        pc_out_signin_success(&f->buf, pc_slice_of(text));
        json = parse_out(f);
        data = parse_data(json);
        assert_string_equal(member(data, "user_data"), text);
        cJSON_Delete(data);
        cJSON_Delete(json);
    }
}

static void random_channels_come_back_as_they_were(void **state)
{
    struct fixture *f = *state;
    char channel[MAX_TEXT + 1];

    for (int round = 0; round < ROUNDS / 4; round++) {
        pusherc_slice name = random_text(channel, 100);

        pc_out_subscribed(&f->buf, name);
        cJSON *json = parse_out(f);
        assert_string_equal(member(json, "channel"), channel);
        cJSON_Delete(json);
        pc_out_cache_miss(&f->buf, name);
        json = parse_out(f);
        assert_string_equal(member(json, "channel"), channel);
        cJSON_Delete(json);
        pc_out_subscription_count(&f->buf, name, next_random());
        json = parse_out(f);
        assert_string_equal(member(json, "channel"), channel);
        cJSON_Delete(parse_data(json));
        cJSON_Delete(json);
        pc_out_subscribed_presence(&f->buf, name, PC_S("{}"));
        json = parse_out(f);
        assert_string_equal(member(json, "channel"), channel);
        assert_string_equal(member(json, "data"), "{}");
        cJSON_Delete(json);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(connection_messages_are_as_documented, set_up, tear_down),
        cmocka_unit_test_setup_teardown(errors_carry_an_object, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_number_is_written_over_that_of_the_id_in_each_form,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(subscription_messages_are_as_documented, set_up, tear_down),
        cmocka_unit_test_setup_teardown(member_messages_are_as_documented, set_up, tear_down),
        cmocka_unit_test_setup_teardown(events_carry_their_data_as_a_string, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_plain_event_fits_the_announced_size, set_up, tear_down),
        cmocka_unit_test(a_failure_is_seen_at_the_end),
        cmocka_unit_test_setup_teardown(random_events_come_back_as_they_were, set_up, tear_down),
        cmocka_unit_test_setup_teardown(random_members_come_back_as_they_were, set_up, tear_down),
        cmocka_unit_test_setup_teardown(random_sentences_come_back_as_they_were, set_up, tear_down),
        cmocka_unit_test_setup_teardown(random_channels_come_back_as_they_were, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
