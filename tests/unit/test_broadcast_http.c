/* Requests that a broadcaster makes of the HTTP API, and what the answers mean. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <pusherc/pusherc.h>

#include "broadcast/http_format.h"
#include "codec/crypto.h"
#include "codec/json.h"
#include "codec/pairs.h"
#include "unit/failing_alloc.h"

#define SETTING                                                                                    \
    "pusher://app-key:app-secret@a,[::1]:6001/my%20app?scheme=http&path=/ws"                       \
    "&encryption_master_key=YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE%3D"

struct fixture {
    struct failing_alloc alloc;
    struct pc_mem mem;
    struct pc_broadcast_url url;
    struct pc_http_publisher publisher;
    struct pc_broadcast_batch batch;
    struct pc_buf body, text;
};

static void open_all(struct fixture *f)
{
    const char *why;
    *f = (struct fixture){.batch = {.count = 0}};
    pusherc_allocator allocator = failing_alloc_init(&f->alloc, 0);
    f->mem = pc_mem_make(&allocator);
    assert_int_equal(pc_crypto_init(), 0);
    assert_int_equal(pc_broadcast_url_parse(&f->url, &f->mem, PC_S(SETTING), &why), 0);
    f->publisher.url = &f->url;
    pc_list_init(&f->batch.events);
    pc_buf_init(&f->body, &f->mem, SIZE_MAX);
    pc_buf_init(&f->text, &f->mem, SIZE_MAX);
}

static void close_all(struct fixture *f)
{
    while (!pc_list_empty(&f->batch.events)) {
        struct pc_broadcast_event *e = pc_broadcast_first(&f->batch);
        pc_list_remove(&e->of_state);
        pc_broadcast_event_free(&f->mem, e);
    }
    pc_buf_free(&f->body);
    pc_buf_free(&f->text);
    pc_broadcast_url_free(&f->url);
    assert_int_equal(failing_alloc_live(&f->alloc), 0);
}

static void add(struct fixture *f, const char *name, const char *one, const char *two,
                const char *data, uint64_t except, const char *key)
{
    const pusherc_slice channels[] = {pc_slice_of(one), pc_slice_of(two)};
    pusherc_event event = PUSHERC_EVENT_INIT;
    event.name = pc_slice_of(name);
    event.channels = channels;
    event.channel_count = two ? 2 : 1;
    event.data = pc_slice_of(data);
    event.except = (pusherc_socket_id){except, except};
    assert_true(pc_broadcast_event_valid(&event));
    struct pc_broadcast_event *e =
        pc_broadcast_event_new(&f->mem, &event, pc_slice_of(key), PC_S(""));
    assert_non_null(e);
    pc_list_push_back(&f->batch.events, &e->of_state);
    f->batch.count++;
}

static const char *body(struct fixture *f)
{
    pc_buf_clear(&f->body);
    assert_int_equal(pc_http_put_body(&f->body, &f->publisher, &f->batch), 0);
    pc_buf_put_char(&f->body, '\0');
    assert_int_equal(pc_buf_status(&f->body), 0);
    return f->body.ptr;
}

static void one_event_is_written_for_events(void **state)
{
    struct fixture f;
    (void)state;
    open_all(&f);
    add(&f, "order \"paid\"", "a", "b", "{\"id\":1}", 12, "k-1");
    assert_string_equal(body(&f), "{\"name\":\"order \\\"paid\\\"\",\"channels\":[\"a\",\"b\"],"
                                  "\"data\":\"{\\\"id\\\":1}\",\"socket_id\":\"12.12\","
                                  "\"idempotency_key\":\"k-1\"}");
    f.publisher.no_keys = true;
    assert_null(strstr(body(&f), "idempotency"));
    close_all(&f);
}

static void several_are_written_for_batch_events(void **state)
{
    struct fixture f;
    (void)state;
    open_all(&f);
    add(&f, "x", "a", NULL, "", 0, "k-1");
    add(&f, "y", "b", NULL, "2", 0, "k-2");
    assert_string_equal(
        body(&f),
        "{\"batch\":[{\"name\":\"x\",\"channel\":\"a\",\"data\":\"\",\"idempotency_key\":\"k-1\"},"
        "{\"name\":\"y\",\"channel\":\"b\",\"data\":\"2\",\"idempotency_key\":\"k-2\"}]}");
    close_all(&f);
}

static void an_event_with_a_key_has_one_form_however_it_is_sent(void **state)
{
    struct fixture f;
    (void)state;
    open_all(&f);
    add(&f, "x", "a", NULL, "", 0, "k-1");
    assert_true(pc_http_uses_batch(&f.publisher, &f.batch));
    assert_string_equal(body(&f), "{\"batch\":[{\"name\":\"x\",\"channel\":\"a\",\"data\":\"\","
                                  "\"idempotency_key\":\"k-1\"}]}");
    f.publisher.no_keys = true;
    assert_false(pc_http_uses_batch(&f.publisher, &f.batch));
    assert_string_equal(body(&f), "{\"name\":\"x\",\"channels\":[\"a\"],\"data\":\"\"}");
    close_all(&f);
}

static void the_request_is_signed_without_the_prefix_of_the_path(void **state)
{
    struct fixture f;
    struct pc_pair pair;
    pusherc_http_param params[16];
    size_t count = 0;
    (void)state;
    open_all(&f);
    const pusherc_slice text = PC_S("{\"name\":\"x\"}");
    assert_int_equal(pc_http_put_url(&f.text, &f.publisher, 0, false, text, 1700000000), 0);
    const char *begins = "http://a:80/ws/apps/my%20app/events?auth_key=app-key&";
    assert_memory_equal(f.text.ptr, begins, strlen(begins));
    pusherc_slice query = pc_slice_of(strchr(f.text.ptr, '?') + 1);
    while (pc_query_next(&query, &pair))
        params[count++] = (pusherc_http_param){pair.name, pair.value};
    const pusherc_credentials credentials = {.struct_size = sizeof credentials,
                                             .key = PUSHERC_LIT("app-key"),
                                             .secret = PUSHERC_LIT("app-secret")};
    assert_int_equal(pusherc_verify_request(&credentials, "POST", "/apps/my%20app/events", params,
                                            count, text, 1700000001, 0),
                     0);
    pc_buf_clear(&f.text);
    assert_int_equal(pc_http_put_url(&f.text, &f.publisher, 1, true, text, 1700000000), 0);
    begins = "http://[::1]:6001/ws/apps/my%20app/batch_events?";
    assert_memory_equal(f.text.ptr, begins, strlen(begins));
    close_all(&f);
}

static void an_encrypted_channel_gets_the_same_text_in_each_attempt(void **state)
{
    struct fixture f;
    char first[1024];
    pusherc_slice data;
    (void)state;
    open_all(&f);
    add(&f, "x", "private-encrypted-a", NULL, "hush", 0, "k-1");
    f.publisher.no_keys = true; /* as one event */
    struct pc_json whole = pc_json_parse(pc_slice_of(body(&f)));
    if (!strstr(pusherc_features(), "encryption"))
        skip();
    snprintf(first, sizeof first, "%s", f.body.ptr);
    assert_null(strstr(first, "hush"));
    assert_int_equal(pc_json_string(pc_json_get(whole, PC_S("data")), &f.text, &data), 0);
    const pusherc_credentials credentials = {
        .struct_size = sizeof credentials,
        .key = PUSHERC_LIT("k"),
        .secret = PUSHERC_LIT("s"),
        .master_key = {(const char *)f.url.master_key, PUSHERC_MASTER_KEY_SIZE}};
    char plain[64];
    assert_int_equal(pusherc_decrypt_event(&credentials, PC_S("private-encrypted-a"), data, plain,
                                           sizeof plain, NULL),
                     0);
    assert_string_equal(plain, "hush");
    assert_string_equal(body(&f), first);
    /* another event has another nonce */
    struct pc_broadcast_event *e = pc_broadcast_first(&f.batch);
    e->key.len--;
    assert_string_not_equal(body(&f), first);
    close_all(&f);
}

static void each_answer_has_its_meaning(void **state)
{
    static const struct {
        int status;
        enum pc_broadcast_outcome outcome;
        int code;
        bool next_host;
    } rows[] = {
        {200, PC_BROADCAST_ACCEPTED, 0, false},
        {202, PC_BROADCAST_ACCEPTED, 0, false},
        {301, PC_BROADCAST_REFUSED, PUSHERC_EPROTO, false},
        {400, PC_BROADCAST_REFUSED, PUSHERC_EINVAL, false},
        {401, PC_BROADCAST_REFUSED, PUSHERC_EAUTH, false},
        {403, PC_BROADCAST_REFUSED, PUSHERC_EAUTH, false},
        {404, PC_BROADCAST_REFUSED, PUSHERC_ENOENT, false},
        {409, PC_BROADCAST_REFUSED, PUSHERC_EINVAL, false},
        {413, PC_BROADCAST_REFUSED, PUSHERC_ELIMIT, false},
        {422, PC_BROADCAST_REFUSED, PUSHERC_EINVAL, false},
        {408, PC_BROADCAST_FAILED, PUSHERC_ETIMEDOUT, false},
        {500, PC_BROADCAST_FAILED, PUSHERC_EIO, false},
        {429, PC_BROADCAST_AWAY, PUSHERC_ELIMIT, false},
        {502, PC_BROADCAST_AWAY, PUSHERC_EIO, true},
        {503, PC_BROADCAST_AWAY, PUSHERC_EIO, true},
        {504, PC_BROADCAST_AWAY, PUSHERC_EIO, true},
        {0, PC_BROADCAST_AWAY, PUSHERC_EIO, true},
    };
    struct pc_broadcast_answer out;
    char room[160];
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct pc_http_answer answer = {.status = rows[i].status,
                                              .error = rows[i].status ? NULL : "Connection refused",
                                              .retry_after_s = 5,
                                              .body = PC_S("not now\nsecond")};
        pc_http_judge(&out, &answer, room);
        assert_int_equal(out.outcome, rows[i].outcome);
        assert_int_equal(out.code, rows[i].code);
        assert_int_equal(out.retry_after_ms, out.outcome == PC_BROADCAST_AWAY ? 5000 : 0);
        assert_int_equal(pc_http_tries_next_host(&answer), rows[i].next_host);
    }
    assert_true(pc_slice_eq(out.reason, PC_S("Connection refused")));
    const struct pc_http_answer refused = {.status = 413, .body = PC_S("too long\nsecond line")};
    pc_http_judge(&out, &refused, room);
    assert_true(pc_slice_eq(out.reason, PC_S("answered 413: too long")));
    assert_true(out.too_large);
}

static void events_that_break_a_rule_are_found(void **state)
{
    static char long_name[202];
    const struct {
        const char *name, *channel, *data;
    } rows[] = {{"", "a", ""},     {"pusher:x", "a", ""}, {"pusher_internal:x", "a", ""},
                {"x", "", ""},     {"x", "a b", ""},      {"x", "a", "\xff"},
                {"\xc3", "a", ""}, {long_name, "a", ""},  {"x", long_name, ""}};
    (void)state;
    memset(long_name, 'a', sizeof long_name - 1);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const pusherc_slice channel = pc_slice_of(rows[i].channel);
        const pusherc_event event = {.struct_size = sizeof event,
                                     .name = pc_slice_of(rows[i].name),
                                     .channels = &channel,
                                     .channel_count = 1,
                                     .data = pc_slice_of(rows[i].data)};
        assert_false(pc_broadcast_event_valid(&event));
    }
    const pusherc_slice both[] = {PUSHERC_LIT("private-encrypted-a"), PUSHERC_LIT("b")};
    const pusherc_event event = {.struct_size = sizeof event,
                                 .name = PUSHERC_LIT("x"),
                                 .channels = both,
                                 .channel_count = 2};
    assert_false(pc_broadcast_event_valid(&event));
}

static void memory_that_runs_out_is_an_error(void **state)
{
    struct fixture f;
    bool failed = true;
    (void)state;
    for (size_t n = 1; failed; n++) {
        open_all(&f);
        add(&f, "x", "private-encrypted-a", NULL, "hush", 0, "k-1");
        add(&f, "y", "b", NULL, "2", 0, "k-2");
        f.alloc.fail_at = f.alloc.requests + n;
        int err = pc_http_put_body(&f.body, &f.publisher, &f.batch);
        if (err == 0)
            err = pc_http_put_url(&f.text, &f.publisher, 0, true, pc_buf_slice(&f.body), 1);
        failed = failing_alloc_hit(&f.alloc);
        assert_true(err == PUSHERC_ENOSYS || err == (failed ? PUSHERC_ENOMEM : 0));
        failed = failed && err != PUSHERC_ENOSYS;
        close_all(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_event_is_written_for_events),
        cmocka_unit_test(several_are_written_for_batch_events),
        cmocka_unit_test(an_event_with_a_key_has_one_form_however_it_is_sent),
        cmocka_unit_test(the_request_is_signed_without_the_prefix_of_the_path),
        cmocka_unit_test(an_encrypted_channel_gets_the_same_text_in_each_attempt),
        cmocka_unit_test(each_answer_has_its_meaning),
        cmocka_unit_test(events_that_break_a_rule_are_found),
        cmocka_unit_test(memory_that_runs_out_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
