/* Requests of our own, against a server on the same loop that answers by the path it is asked for. */
#include "net/fetch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <pusherc/error.h>

#include "engine_fixture.h"

#define BACKLOG    16
#define TIMEOUT_MS 5000

struct server {
    uv_tcp_t listener;
    uint16_t port;
    unsigned connections, requests;
    char last[4096]; /* request, NUL-terminated */
};

struct client {
    uv_tcp_t tcp;
    struct server *server;
    uv_write_t write;
    uv_shutdown_t shutdown;
    size_t len;
    char text[4096];
};

/* What one request came to. */
struct outcome {
    unsigned times;
    int status;
    char error[256]; /* "" = none */
    uint32_t retry_after_s;
};

struct fixture {
    struct failing_alloc alloc;
    struct pc_mem mem;
    struct pc_engine engine;
    struct pc_loop loop;
    struct server server;
    struct pc_fetcher *fetcher;
    struct outcome *begins_next; /* it is begun when another ends */
    char url[64];
};

/* -- the server -- */

static void on_client_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void on_written(uv_write_t *write, int status)
{
    (void)write;
    (void)status;
}

static void say(struct client *client, const char *answer)
{
    uv_buf_t buf = uv_buf_init((char *)answer, (unsigned)strlen(answer));
    uv_write(&client->write, (uv_stream_t *)&client->tcp, &buf, 1, on_written);
}

static void answer(struct client *client)
{
    static char long_answer[PC_FETCH_MAX_ANSWER_BYTES + 100];
    const char *path = strchr(client->text, ' ') + 1;
    client->server->requests++;
    strcpy(client->server->last, client->text);
    client->len = 0;
    if (strncmp(path, "/ok ", 4) == 0) {
        say(client, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    } else if (strncmp(path, "/bye ", 5) == 0) {
        say(client, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
        uv_shutdown(&client->shutdown, (uv_stream_t *)&client->tcp, NULL);
    } else if (strncmp(path, "/elsewhere ", 11) == 0) {
        say(client, "HTTP/1.1 302 Found\r\nLocation: /ok\r\nContent-Length: 0\r\n\r\n");
    } else if (strncmp(path, "/later ", 7) == 0) {
        say(client, "HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n");
    } else if (strncmp(path, "/short ", 7) == 0) {
        say(client, "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello");
        uv_close((uv_handle_t *)&client->tcp, on_client_closed);
    } else if (strncmp(path, "/reset ", 7) == 0) {
        uv_tcp_close_reset(&client->tcp, on_client_closed);
    } else if (strncmp(path, "/long ", 6) == 0) {
        int head = snprintf(long_answer, sizeof long_answer, "HTTP/1.1 500 Oh\r\n\r\n");
        memset(long_answer + head, 'x', sizeof long_answer - 1 - (size_t)head);
        say(client, long_answer);
    } /* else it hangs */
}

static void on_room(uv_handle_t *handle, size_t size, uv_buf_t *buf)
{
    struct client *client = handle->data;
    (void)size;
    *buf =
        uv_buf_init(client->text + client->len, (unsigned)(sizeof client->text - 1 - client->len));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct client *client = stream->data;
    (void)buf;
    if (n < 0) {
        uv_close((uv_handle_t *)stream, on_client_closed);
        return;
    }
    client->len += (size_t)n;
    client->text[client->len] = '\0';
    const char *end = strstr(client->text, "\r\n\r\n");
    const char *length = strstr(client->text, "Content-Length: ");
    if (end && strlen(end + 4) == (length ? strtoul(length + 16, NULL, 10) : 0))
        answer(client);
}

static void on_connection(uv_stream_t *stream, int status)
{
    struct server *server = stream->data;
    struct client *client = calloc(1, sizeof *client);
    assert_int_equal(status, 0);
    assert_non_null(client);
    server->connections++;
    client->server = server;
    uv_tcp_init(stream->loop, &client->tcp);
    client->tcp.data = client;
    assert_int_equal(uv_accept(stream, (uv_stream_t *)&client->tcp), 0);
    uv_read_start((uv_stream_t *)&client->tcp, on_room, on_read);
}

static void server_open(struct server *server, uv_loop_t *uv)
{
    struct sockaddr_storage address;
    int len = sizeof address;
    assert_int_equal(uv_ip4_addr("127.0.0.1", 0, (struct sockaddr_in *)&address), 0);
    uv_tcp_init(uv, &server->listener);
    server->listener.data = server;
    assert_int_equal(uv_tcp_bind(&server->listener, (struct sockaddr *)&address, 0), 0);
    assert_int_equal(uv_listen((uv_stream_t *)&server->listener, BACKLOG, on_connection), 0);
    assert_int_equal(uv_tcp_getsockname(&server->listener, (struct sockaddr *)&address, &len), 0);
    server->port = ntohs(((struct sockaddr_in *)&address)->sin_port);
}

/* -- the fetcher -- */

static struct pc_fetch *begin(struct fixture *f, const char *path, struct outcome *outcome)
{
    snprintf(f->url, sizeof f->url, "http://127.0.0.1:%u%s", f->server.port, path);
    const struct pc_fetch_request request = {
        .method = "GET", .url = f->url, .timeout_ms = TIMEOUT_MS, .ctx = outcome};
    return pc_fetch_begin(f->fetcher, &request);
}

static void on_done(void *user, void *ctx, const struct pc_fetch_result *result)
{
    struct fixture *f = user;
    struct outcome *outcome = ctx, *next = f->begins_next;
    outcome->times++;
    outcome->status = result->status;
    outcome->retry_after_s = result->retry_after_s;
    snprintf(outcome->error, sizeof outcome->error, "%s", result->error ? result->error : "");
    f->begins_next = NULL;
    if (next)
        assert_non_null(begin(f, "/ok", next));
}

/* 0 or PUSHERC_ENOMEM; then everything but the loop and the server is missing. */
static int try_open(struct fixture *f, uint32_t max_under_way, size_t fail_at)
{
    pusherc_server_options limits = fx_limits();
    int sys;
    *f = (struct fixture){.fetcher = NULL};
    pusherc_allocator allocator = failing_alloc_init(&f->alloc, 0);
    f->mem = pc_mem_make(&allocator);
    assert_int_equal(pc_engine_init(&f->engine, &f->mem, &limits, 1, FX_START_MS), 0);
    assert_int_equal(pc_loop_init(&f->loop, &f->engine.workers[0], NULL, &sys), 0);
    assert_int_equal(pc_loop_start(&f->loop, &sys), 0);
    server_open(&f->server, f->loop.uv);
    const struct pc_fetcher_home home = {f->loop.uv, &f->engine.mem, &f->engine.log, &f->loop};
    const struct pc_fetcher_options options = {
        .ca_file = "/nowhere", .max_under_way = max_under_way, .done = on_done, .user = f};
    f->alloc.fail_at = fail_at ? f->alloc.requests + fail_at : 0;
    return pc_fetcher_new(&f->fetcher, &home, &options);
}

static void open_all(struct fixture *f, uint32_t max_under_way)
{
    int err = try_open(f, max_under_way, 0);
    if (err == PUSHERC_ENOSYS)
        skip();
    assert_int_equal(err, 0);
}

static void close_handle(uv_handle_t *handle, void *ctx)
{
    struct fixture *f = ctx;
    if (!uv_is_closing(handle))
        uv_close(handle, handle == (uv_handle_t *)&f->server.listener ? NULL : on_client_closed);
}

static void turn(struct fixture *f)
{
    pc_loop_poll(&f->loop, 10);
}

static void close_all(struct fixture *f)
{
    pc_fetcher_free(f->fetcher);
    if (!f->loop.stopping)
        pc_loop_stop(&f->loop, 0);
    while (!f->loop.ended)
        turn(f);
    uv_walk(f->loop.uv, close_handle, f); /* only the server's are left */
    uv_run(f->loop.uv, UV_RUN_DEFAULT);
    pc_loop_free(&f->loop);
    pc_engine_free(&f->engine);
    assert_int_equal(failing_alloc_live(&f->alloc), 0);
}

static void wait_for(struct fixture *f, const struct outcome *outcome)
{
    while (outcome->times == 0)
        turn(f);
    assert_int_equal(outcome->times, 1);
}

static void fetch(struct fixture *f, const char *path, struct outcome *outcome)
{
    *outcome = (struct outcome){0};
    assert_non_null(begin(f, path, outcome));
    wait_for(f, outcome);
}

/* -- tests -- */

static void a_request_says_what_it_was_given_and_hears_the_answer(void **state)
{
    struct fixture f;
    struct outcome outcome = {0};
    struct pc_buf body;
    static const struct pc_pair fields[] = {{PUSHERC_LIT("X-Name"), PUSHERC_LIT("value: 1")},
                                            {PUSHERC_LIT("X-Empty"), PUSHERC_LIT("")}};
    (void)state;
    open_all(&f, 1);
    pc_buf_init(&body, &f.mem, 5);
    snprintf(f.url, sizeof f.url, "http://127.0.0.1:%u/ok", f.server.port);
    const struct pc_fetch_request request = {.method = "PUT",
                                             .url = f.url,
                                             .fields = fields,
                                             .field_count = 2,
                                             .body = PC_S("a=1"),
                                             .answer = &body,
                                             .timeout_ms = TIMEOUT_MS,
                                             .ctx = &outcome};
    assert_non_null(pc_fetch_begin(f.fetcher, &request));
    assert_int_equal(outcome.times, 0);
    wait_for(&f, &outcome);
    assert_int_equal(outcome.status, 200);
    assert_string_equal(outcome.error, "");
    assert_true(pc_slice_eq(pc_buf_slice(&body), PC_S("hello")));
    assert_ptr_equal(strstr(f.server.last, "PUT /ok HTTP/1.1\r\n"), f.server.last);
    assert_non_null(strstr(f.server.last, "\r\nX-Name: value: 1\r\n"));
    assert_non_null(strstr(f.server.last, "\r\nX-Empty:\r\n"));
    assert_non_null(strstr(f.server.last, "\r\nUser-Agent: libpusherc/"));
    assert_null(strstr(f.server.last, "Expect"));
    assert_non_null(strstr(f.server.last, "\r\n\r\na=1"));
    pc_buf_free(&body);
    close_all(&f);
}

static void what_goes_wrong_is_told_in_words(void **state)
{
    struct fixture f;
    struct outcome outcome;
    (void)state;
    open_all(&f, 1);
    fetch(&f, "/elsewhere", &outcome);
    assert_int_equal(outcome.status, 302);
    assert_string_equal(outcome.error, "");
    assert_int_equal(f.server.requests, 1);
    fetch(&f, "/long", &outcome);
    assert_int_equal(outcome.status, 500);
    assert_string_equal(outcome.error, "the answer is too long");
    fetch(&f, "/short", &outcome);
    assert_int_equal(outcome.status, 200);
    assert_string_not_equal(outcome.error, "");
    fetch(&f, "/reset", &outcome);
    assert_int_equal(outcome.status, 0);
    assert_string_not_equal(outcome.error, "");
    const char *urls[] = {"http://127.0.0.1:1/", "https://127.0.0.1:1/", "file:///etc/hostname"};
    for (size_t i = 0; i < 3; i++) {
        const struct pc_fetch_request request = {
            .method = "GET", .url = urls[i], .timeout_ms = TIMEOUT_MS, .ctx = &outcome};
        outcome = (struct outcome){0};
        assert_non_null(pc_fetch_begin(f.fetcher, &request));
        wait_for(&f, &outcome);
        assert_int_equal(outcome.status, 0);
        assert_string_not_equal(outcome.error, "");
    }
    close_all(&f);
}

static void an_answer_may_ask_to_come_later(void **state)
{
    struct fixture f;
    struct outcome outcome;
    (void)state;
    open_all(&f, 1);
    fetch(&f, "/ok", &outcome);
    assert_int_equal(outcome.retry_after_s, 0);
    fetch(&f, "/later", &outcome);
    assert_int_equal(outcome.status, 429);
    assert_int_equal(outcome.retry_after_s, 7);
    close_all(&f);
}

static void a_server_that_does_not_answer_in_time_is_given_up(void **state)
{
    struct fixture f;
    struct outcome outcome = {0};
    (void)state;
    open_all(&f, 1);
    snprintf(f.url, sizeof f.url, "http://127.0.0.1:%u/hang", f.server.port);
    const struct pc_fetch_request request = {
        .method = "GET", .url = f.url, .timeout_ms = 50, .ctx = &outcome};
    assert_non_null(pc_fetch_begin(f.fetcher, &request));
    wait_for(&f, &outcome);
    assert_int_equal(outcome.status, 0);
    assert_string_not_equal(outcome.error, "");
    close_all(&f);
}

static void an_answer_above_its_buffer_is_broken_off(void **state)
{
    struct fixture f;
    struct outcome outcome = {0};
    struct pc_buf body;
    (void)state;
    open_all(&f, 1);
    pc_buf_init(&body, &f.mem, 4);
    snprintf(f.url, sizeof f.url, "http://127.0.0.1:%u/ok", f.server.port);
    const struct pc_fetch_request request = {
        .method = "GET", .url = f.url, .answer = &body, .timeout_ms = TIMEOUT_MS, .ctx = &outcome};
    assert_non_null(pc_fetch_begin(f.fetcher, &request));
    wait_for(&f, &outcome);
    assert_int_equal(outcome.status, 200);
    assert_string_equal(outcome.error, pusherc_strerror(PUSHERC_ELIMIT));
    pc_buf_free(&body);
    close_all(&f);
}

static void connections_are_kept_unless_a_new_one_is_wanted(void **state)
{
    struct fixture f;
    struct outcome outcome = {0};
    (void)state;
    open_all(&f, 1);
    fetch(&f, "/ok", &outcome);
    fetch(&f, "/ok", &outcome);
    assert_int_equal(f.server.connections, 1);
    outcome = (struct outcome){0};
    const struct pc_fetch_request request = {.method = "GET",
                                             .url = f.url,
                                             .timeout_ms = TIMEOUT_MS,
                                             .on_new_connection = true,
                                             .ctx = &outcome};
    assert_non_null(pc_fetch_begin(f.fetcher, &request));
    wait_for(&f, &outcome);
    assert_int_equal(f.server.connections, 2);
    assert_int_equal(f.server.requests, 3);
    close_all(&f);
}

/* The next request uses what the one before has left. */
static void a_request_has_nothing_of_the_one_before(void **state)
{
    struct fixture f;
    struct outcome outcome = {0};
    struct pc_buf body;
    char field[] = "1";
    const struct pc_pair fields[] = {{PUSHERC_LIT("X-Name"), {field, 1}}};
    (void)state;
    open_all(&f, 1);
    pc_buf_init(&body, &f.mem, 5);
    for (int i = 0; i < 3; i++) {
        snprintf(f.url, sizeof f.url, "http://127.0.0.1:%u/%s", f.server.port, i ? "ok" : "later");
        const struct pc_fetch_request request = {.method = i < 2 ? "PUT" : "POST",
                                                 .url = f.url,
                                                 .fields = fields,
                                                 .field_count = 1,
                                                 .body = i < 2 ? PC_S("a=1") : PC_S("a=12"),
                                                 .answer = &body,
                                                 .timeout_ms = TIMEOUT_MS,
                                                 .ctx = &outcome};
        outcome = (struct outcome){0};
        pc_buf_clear(&body);
        *field = (char)('1' + i);
        assert_non_null(pc_fetch_begin(f.fetcher, &request));
        wait_for(&f, &outcome);
        assert_int_equal(outcome.status, i ? 200 : 429);
        assert_int_equal(outcome.retry_after_s, i ? 0 : 7);
        char line[] = "\r\nX-Name: ?\r\n";
        line[10] = *field;
        assert_non_null(strstr(f.server.last, line));
        assert_non_null(strstr(f.server.last, i < 2 ? "\r\n\r\na=1" : "\r\n\r\na=12"));
    }
    fetch(&f, "/ok", &outcome);
    assert_ptr_equal(strstr(f.server.last, "GET /ok HTTP/1.1\r\n"), f.server.last);
    assert_null(strstr(f.server.last, "X-Name"));
    assert_null(strstr(f.server.last, "Content-Length"));
    assert_true(pc_slice_eq(pc_buf_slice(&body), PC_S("hello")));
    assert_int_equal(f.server.connections, 1);
    pc_buf_free(&body);
    close_all(&f);
}

static void a_kept_connection_that_the_server_closes_is_replaced(void **state)
{
    struct fixture f;
    struct outcome outcome;
    (void)state;
    open_all(&f, 1);
    for (unsigned i = 0; i < 5; i++) {
        fetch(&f, "/bye", &outcome);
        assert_int_equal(outcome.status, 200);
        assert_string_equal(outcome.error, "");
        assert_int_equal(f.server.connections, i + 1);
        for (int n = 0; n < 5; n++) /* the end of the connection is heard */
            uv_run(f.loop.uv, UV_RUN_NOWAIT);
    }
    close_all(&f);
}

static void no_more_than_the_maximum_are_under_way(void **state)
{
    struct fixture f;
    struct outcome outcomes[3] = {{0}};
    (void)state;
    open_all(&f, 2);
    assert_non_null(begin(&f, "/ok", &outcomes[0]));
    assert_true(pc_fetcher_has_room(f.fetcher));
    assert_non_null(begin(&f, "/ok", &outcomes[1]));
    assert_false(pc_fetcher_has_room(f.fetcher));
    assert_null(begin(&f, "/ok", &outcomes[2]));
    f.begins_next = &outcomes[2]; /* the end of one makes room */
    for (size_t i = 0; i < 3; i++)
        wait_for(&f, &outcomes[i]);
    assert_int_equal(f.server.requests, 3);
    assert_true(pc_fetcher_has_room(f.fetcher));
    close_all(&f);
}

static void a_cancelled_request_calls_nothing(void **state)
{
    struct fixture f;
    struct outcome outcomes[3] = {{0}};
    (void)state;
    open_all(&f, 2);
    pc_fetch_cancel(begin(&f, "/ok", &outcomes[0])); /* not even connected */
    struct pc_fetch *hanging = begin(&f, "/hang", &outcomes[1]);
    while (f.server.requests == 0)
        turn(&f);
    pc_fetch_cancel(hanging);
    fetch(&f, "/ok", &outcomes[2]);
    assert_int_equal(outcomes[0].times + outcomes[1].times, 0);
    close_all(&f);
}

static void the_end_of_the_loop_ends_what_is_under_way(void **state)
{
    struct fixture f;
    struct outcome outcomes[2] = {{0}};
    (void)state;
    open_all(&f, 2);
    pc_loop_own(&f.loop);
    assert_non_null(begin(&f, "/hang", &outcomes[0]));
    while (f.server.requests == 0)
        turn(&f);
    pc_loop_stop(&f.loop, 0);
    while (!f.loop.ended)
        turn(&f);
    assert_int_equal(outcomes[0].times, 1);
    assert_string_equal(outcomes[0].error, "the server was stopped");
    assert_null(begin(&f, "/ok", &outcomes[1]));
    close_all(&f);
}

/* libcurl's own memory does not come from us. */
static void a_failed_allocation_fails_one_request(void **state)
{
    bool failed = true;
    (void)state;
    for (size_t n = 1; failed; n++) {
        struct fixture f;
        struct outcome outcome = {0};
        int err = try_open(&f, 1, n);
        if (err == PUSHERC_ENOSYS)
            skip();
        if (err == 0 && begin(&f, "/ok", &outcome))
            wait_for(&f, &outcome);
        failed = failing_alloc_hit(&f.alloc);
        assert_true(failed || outcome.status == 200);
        assert_true(err == 0 || err == PUSHERC_ENOMEM);
        if (failed && err == 0) { /* the next is served */
            fetch(&f, "/ok", &outcome);
            assert_int_equal(outcome.status, 200);
        }
        close_all(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_says_what_it_was_given_and_hears_the_answer),
        cmocka_unit_test(what_goes_wrong_is_told_in_words),
        cmocka_unit_test(an_answer_may_ask_to_come_later),
        cmocka_unit_test(a_server_that_does_not_answer_in_time_is_given_up),
        cmocka_unit_test(an_answer_above_its_buffer_is_broken_off),
        cmocka_unit_test(connections_are_kept_unless_a_new_one_is_wanted),
        cmocka_unit_test(a_request_has_nothing_of_the_one_before),
        cmocka_unit_test(a_kept_connection_that_the_server_closes_is_replaced),
        cmocka_unit_test(no_more_than_the_maximum_are_under_way),
        cmocka_unit_test(a_cancelled_request_calls_nothing),
        cmocka_unit_test(the_end_of_the_loop_ends_what_is_under_way),
        cmocka_unit_test(a_failed_allocation_fails_one_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
