/*
 * What the Python package has in C, with threads that run at the same time as in a Python program without the
 * interpreter's lock: one takes questions and answers them, others publish and look at the server, clients come and go,
 * and the main thread frees the server. Sanitizers see what is not asserted.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "native.h"
#include "unit/ws_client.h"

#define CLIENTS  4
#define CALLERS  3
#define MAX_KEYS 100000
#define LONG_MS  100000000

struct scene {
    pusherc_inbox *inbox;
    gate *gate;
    shelf *shelf;
    tray_rule rule;
    uint16_t port;
    _Atomic bool taking, asking;
    _Atomic unsigned authorized, published, ended;
    /* of the thread that takes, and of the main thread after it */
    size_t key_count;
    unsigned char swept[MAX_KEYS + 1];
};

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

static void start(struct scene *s)
{
    pusherc_server *server;
    pusherc_server_options options = PUSHERC_SERVER_OPTIONS_INIT;
    pusherc_app_options app = PUSHERC_APP_OPTIONS_INIT;
    pusherc_rule rule = PUSHERC_RULE_INIT;
    assert_int_equal(pusherc_inbox_new(&s->inbox, NULL), 0);
    options.worker_count = 2;
    options.close_timeout_ms = 100;
    /* longer than a clock that jumps gets ahead: whatever ends a client early would fail the test */
    options.handshake_timeout_ms = options.identify_timeout_ms = LONG_MS;
    options.auth_timeout_ms = options.pong_timeout_ms = LONG_MS;
    options.inbox = s->inbox;
    options.inbox_messages = 1u << PUSHERC_MESSAGE_IDENTIFY | 1u << PUSHERC_MESSAGE_CLOSE;
    app.id = "app-id", app.key = "app-key", app.secret = "app-secret";
    app.auth_mode = PUSHERC_AUTH_RULES;
    app.activity_timeout_ms = LONG_MS;
    s->rule = (tray_rule){.index = 5, .param_count = 1, .params = {"n"}};
    rule.pattern = "room.{n}";
    rule.inbox = true;
    rule.user_data = &s->rule;
    assert_int_equal(pusherc_server_new(&server, &options, NULL), 0);
    assert_int_equal(pusherc_server_put_app(server, &app, NULL), 0);
    assert_int_equal(pusherc_server_add_rule(server, &rule, NULL), 0);
    assert_int_equal(pusherc_server_listen(server, NULL, NULL), 0);
    assert_int_equal(pusherc_server_start(server, NULL), 0);
    s->port = pusherc_server_port(server, 0);
    assert_non_null(s->gate = gate_new(server));
    assert_non_null(s->shelf = shelf_new());
}

/* -- threads -- */

static void *ask(void *scene)
{
    struct scene *s = scene;
    while (s->asking) {
        int fd = ws_client_dial(s->port);
        ws_client_send(fd, ws_client_upgrade);
        assert_true(ws_client_hears(fd, "connection_established"));
        for (char n = '0'; n < '4'; n++) {
            char text[] =
                "{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"private-room.0\"}}";
            *strchr(text, '0') = n;
            ws_client_say(fd, text);
        }
        /* A clock that jumps can end a client of which a part of a message has come. */
        if (!ws_client_hears(fd, "private-room.3"))
            s->ended++;
        close(fd);
    }
    return NULL;
}

static void *call(void *scene)
{
    struct scene *s = scene;
    for (int err = 0; err != PUSHERC_ESTATE; s->published++) {
        err = gate_publish(s->gate, "app-id", "private-room.1", 14, "e", 1, "data", 4, NULL);
        if (err == PUSHERC_EBACKLOG)
            pause_ms(1);
        err = gate_send_to_user(s->gate, "app-id", "olga", 4, "e", 1, "data", 4);
        pusherc_server *server = gate_enter(s->gate);
        if (!server)
            continue;
        assert_int_equal(pusherc_server_port(server, 0), s->port);
        gate_leave(s->gate);
    }
    return NULL;
}

/* Cuts one text off; it must be there. */
static pusherc_slice next_text(const char **at, const char *end)
{
    pusherc_slice text = {*at, 0};
    const char *separator = memchr(*at, 0xff, (size_t)(end - *at));
    assert_non_null(separator);
    text.len = (size_t)(separator - *at);
    *at = separator + 1;
    return text;
}

static void authorize(struct scene *s, const int64_t *numbers, const pusherc_slice *texts)
{
    static const char prefix[] = "private-room.";
    assert_int_equal(numbers[TRAY_KEY], s->rule.index);
    assert_in_range(numbers[TRAY_A], 1, s->key_count);
    assert_int_equal(texts[2].len, sizeof prefix);
    assert_memory_equal(texts[2].ptr, prefix, sizeof prefix - 1);
    assert_int_equal(texts[4].len, 1);
    assert_int_equal(texts[4].ptr[0], texts[2].ptr[sizeof prefix - 1]);
    switch (s->authorized++ % 3) {
    case 0:
        (void)!answer_allow(numbers[TRAY_REQUEST]);
        break;
    case 1:
        (void)!answer_grant(numbers[TRAY_REQUEST], NULL, 0, "{}", 2, NULL, 0, 0);
        break;
    default:
        (void)!answer_deny(numbers[TRAY_REQUEST], 403, "no");
        break;
    }
}

static void identify(struct scene *s, int64_t request)
{
    void *item = NULL;
    if (s->key_count < MAX_KEYS)
        assert_non_null(item = shelf_put(s->shelf, ++s->key_count));
    if (item)
        (void)!answer_identity(request, "olga", 4, NULL, 0, 0, item);
    else
        (void)!answer_reject(request, 4100, "full");
}

static void sweep(struct scene *s)
{
    uint64_t keys[2];
    for (size_t n; (n = shelf_sweep(s->shelf, keys, 2)) > 0;)
        for (size_t i = 0; i < n; i++) {
            assert_in_range(keys[i], 1, s->key_count);
            s->swept[keys[i]]++;
        }
}

static void *take(void *scene)
{
    struct scene *s = scene;
    tray *t = tray_new();
    assert_non_null(t);
    while (s->taking) {
        size_t taken = tray_take(t, s->inbox, 20);
        const char *at = t->text, *end = t->text + t->text_len;
        assert_true(t->ascii);
        for (size_t i = 0; i < taken; i++) {
            const int64_t *numbers = t->numbers + i * TRAY_NUMBERS;
            const bool asks = numbers[TRAY_TYPE] == PUSHERC_MESSAGE_AUTHORIZE;
            pusherc_slice texts[TRAY_TEXTS];
            for (size_t n = 0; n < (asks ? 4 + s->rule.param_count : TRAY_TEXTS); n++)
                texts[n] = next_text(&at, end);
            if (asks)
                authorize(s, numbers, texts);
            else if (numbers[TRAY_TYPE] == PUSHERC_MESSAGE_IDENTIFY)
                identify(s, numbers[TRAY_REQUEST]);
        }
        assert_ptr_equal(at, end);
        sweep(s);
    }
    tray_free(t);
    return NULL;
}

/* -- tests -- */

static void run(bool shelf_first)
{
    struct scene *s = calloc(1, sizeof *s);
    pthread_t clients[CLIENTS], callers[CALLERS], taker;
    int stays;
    assert_non_null(s);
    s->taking = s->asking = true;
    start(s);
    pthread_create(&taker, NULL, take, s);
    for (size_t i = 0; i < CALLERS; i++)
        pthread_create(&callers[i], NULL, call, s);
    for (size_t i = 0; i < CLIENTS; i++)
        pthread_create(&clients[i], NULL, ask, s);
    while (s->authorized < 300 || s->published < 300)
        pause_ms(5);
    s->asking = false;
    for (size_t i = 0; i < CLIENTS; i++)
        pthread_join(clients[i], NULL);
    assert_true(s->ended < s->authorized / 4);
    stays = ws_client_dial(s->port);
    ws_client_send(stays, ws_client_upgrade);
    assert_true(ws_client_hears(stays, "connection_established"));
    s->taking = false;
    pthread_join(taker, NULL);

    if (shelf_first) {
        shelf_free(s->shelf);
        gate_free_server(s->gate);
    } else {
        gate_free_server(s->gate);
        sweep(s);
        for (size_t key = 1; key <= s->key_count; key++)
            assert_int_equal(s->swept[key], 1);
        shelf_free(s->shelf);
    }
    for (size_t i = 0; i < CALLERS; i++)
        pthread_join(callers[i], NULL);
    gate_free(s->gate);
    pusherc_inbox_free(s->inbox);
    close(stays);
    free(s);
}

static void each_connection_gives_its_key_back_once(void **state)
{
    (void)state;
    run(false);
}

static void connections_outlive_the_shelf_s_owner(void **state)
{
    (void)state;
    run(true);
}

static void what_a_sweep_has_no_room_for_comes_with_the_next(void **state)
{
    shelf *s = shelf_new();
    void *items[10];
    unsigned seen = 0;
    uint64_t keys[3];
    (void)state;
    assert_non_null(s);
    for (uint64_t i = 0; i < 10; i++)
        assert_non_null(items[i] = shelf_put(s, i));
    for (size_t i = 0; i < 10; i++)
        shelf_drop(items[i]);
    for (size_t n; (n = shelf_sweep(s, keys, 3)) > 0;)
        for (size_t i = 0; i < n; i++) {
            assert_false(seen & 1u << keys[i]);
            seen |= 1u << keys[i];
        }
    assert_int_equal(seen, 0x3ff);
    shelf_free(s);
}

static void a_forked_child_gets_no_server_and_waits_for_no_lock(void **state)
{
    struct scene *s = calloc(1, sizeof *s);
    (void)state;
    assert_non_null(s);
    start(s);
    assert_non_null(gate_enter(s->gate)); /* as if a thread of the parent were inside */
    gate_forked(s->gate);
    assert_null(gate_enter(s->gate));
    assert_int_equal(gate_publish(s->gate, "app-id", "c", 1, "e", 1, "", 0, NULL), PUSHERC_ESTATE);
    gate_leave(s->gate);
    gate_free(s->gate);
    shelf_free(s->shelf);
    pusherc_inbox_free(s->inbox);
    free(s);
}

/* -- post -- */

static pusherc_broadcaster *posting(post *p, const char *url)
{
    pusherc_broadcaster_options options = PUSHERC_BROADCASTER_OPTIONS_INIT;
    pusherc_broadcast_driver driver = PUSHERC_BROADCAST_DRIVER_INIT;
    pusherc_broadcaster *made;
    pusherc_errinfo info = {0};
    options.url = url;
    options.max_queued = 5000;
    assert_int_equal(post_broadcaster(p, &made, &options, &driver, &info), 0);
    return made;
}

static void send_to_nobody(pusherc_broadcaster *b, unsigned n)
{
    const pusherc_slice channels[] = {PUSHERC_LIT("a"), PUSHERC_LIT("bc")};
    pusherc_event event = PUSHERC_EVENT_INIT;
    event.name = pusherc_slice_of("name");
    event.data = pusherc_slice_of("text");
    event.channels = channels, event.channel_count = 2;
    event.except = (pusherc_socket_id){7, n + 1};
    assert_int_equal(pusherc_broadcast(b, &event, 1), 0);
}

struct taking {
    post *post;
    unsigned refused, failed;
};

/* Refuses every other request, and forgets one of them. */
static void *take_post(void *ctx)
{
    struct taking *taking = ctx;
    for (post_item *item; (item = post_take(taking->post)); post_item_free(item)) {
        if (item->kind == POST_REQUEST && taking->refused++ != 3) {
            pusherc_broadcast_request *request = item->request;
            item->request = NULL;
            pusherc_broadcast_answer(request, PUSHERC_ELIMIT, 0, "no");
        } else if (item->kind == POST_FAILED) {
            taking->failed++;
            assert_int_equal(item->code, PUSHERC_ELIMIT);
            assert_int_equal(item->channel_count, 2);
            assert_memory_equal(item->channels[1].ptr, "bc", 2);
            assert_memory_equal(item->name.ptr, "name", 4);
            assert_memory_equal(item->data.ptr, "text", 4);
            assert_memory_equal(item->reason.ptr, "no", 2);
            assert_int_equal(item->except.a, 7);
        }
    }
    return NULL;
}

static void every_failed_event_is_posted_once(void **state)
{
    enum {
        EVENTS = 200
    };
    struct taking taking = {.post = post_new()};
    pthread_t thread;
    (void)state;
    assert_non_null(taking.post);
    pusherc_broadcaster *b = posting(taking.post, "host:");
    assert_int_equal(pthread_create(&thread, NULL, take_post, &taking), 0);
    for (unsigned i = 0; i < EVENTS; i++)
        send_to_nobody(b, i);
    pusherc_broadcaster_stop(b, 60000, NULL, NULL);
    pusherc_broadcaster_free(b);
    post_close(taking.post);
    pthread_join(thread, NULL);
    assert_int_equal(taking.failed, EVENTS);
    assert_int_equal(taking.refused, EVENTS + 1); /* the forgotten one came again */
    assert_int_equal(post_lost(taking.post), 0);
    post_free(taking.post);
}

static void a_post_that_is_not_read_is_bounded(void **state)
{
    post *p = post_new();
    (void)state;
    pusherc_broadcaster *b = posting(p, "host:"); /* its requests are never answered */
    for (unsigned i = 0; i < 1500; i++)
        send_to_nobody(b, i);
    pusherc_broadcaster_stop(b, 0, NULL, NULL);
    pusherc_broadcaster_free(b);
    assert_true(post_lost(p) >= 500);
    post_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_connection_gives_its_key_back_once),
        cmocka_unit_test(connections_outlive_the_shelf_s_owner),
        cmocka_unit_test(what_a_sweep_has_no_room_for_comes_with_the_next),
        cmocka_unit_test(a_forked_child_gets_no_server_and_waits_for_no_lock),
        cmocka_unit_test(every_failed_event_is_posted_once),
        cmocka_unit_test(a_post_that_is_not_read_is_bounded),
    };
    return cmocka_run_group_tests_name("python_native", tests, NULL, NULL);
}
