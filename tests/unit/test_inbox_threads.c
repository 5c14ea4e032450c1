/*
 * Two servers with two workers each share an inbox. While clients ask, threads take and answer, a server is freed, then
 * the inbox, then the other server. In the end no block is allocated: each question was answered once, by a thread or by
 * silence. The thread sanitizer sees the rest.
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

#include <pusherc/pusherc.h>

#include "unit/ws_client.h"

#define CLIENTS   4
#define ANSWERERS 2
#define KEPT      512

struct scene {
    pusherc_allocator memory;
    _Atomic long blocks;
    pusherc_inbox *inbox;
    pusherc_server *servers[2];
    uint16_t ports[2];
    _Atomic bool taking, asking;
    _Atomic unsigned asked, taken, abandoned;
    pthread_mutex_t mutex;
    pusherc_auth_request *kept[KEPT]; /* guarded by the mutex */
    size_t kept_count;
    bool taker_gone;
};

static void *allocate(size_t size, void *scene)
{
    void *ptr = malloc(size);
    ((struct scene *)scene)->blocks += ptr != NULL;
    return ptr;
}

static void *resize(void *before, size_t size, void *scene)
{
    void *ptr = realloc(before, size);
    ((struct scene *)scene)->blocks += ptr && !before;
    return ptr;
}

static void release(void *ptr, void *scene)
{
    ((struct scene *)scene)->blocks -= ptr != NULL;
    free(ptr);
}

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

static void start(struct scene *s, size_t i)
{
    pusherc_server_options options = PUSHERC_SERVER_OPTIONS_INIT;
    pusherc_app_options app = PUSHERC_APP_OPTIONS_INIT;
    pusherc_rule rule = PUSHERC_RULE_INIT;
    options.allocator = &s->memory;
    options.worker_count = 2;
    options.close_timeout_ms = 100;
    options.inbox = s->inbox;
    options.inbox_messages = 1u << PUSHERC_MESSAGE_ABANDONED | 1u << PUSHERC_MESSAGE_CLOSE |
                             1u << PUSHERC_MESSAGE_STOPPED | 1u << PUSHERC_MESSAGE_REAUTHORIZED;
    app.id = "app-id", app.key = "app-key", app.secret = "app-secret";
    app.auth_mode = PUSHERC_AUTH_RULES;
    rule.pattern = "room.{n}";
    rule.inbox = true;
    assert_int_equal(pusherc_server_new(&s->servers[i], &options, NULL), 0);
    assert_int_equal(pusherc_server_put_app(s->servers[i], &app, NULL), 0);
    assert_int_equal(pusherc_server_add_rule(s->servers[i], &rule, NULL), 0);
    assert_int_equal(pusherc_server_listen(s->servers[i], NULL, NULL), 0);
    assert_int_equal(pusherc_server_start(s->servers[i], NULL), 0);
    s->ports[i] = pusherc_server_port(s->servers[i], 0);
}

/* -- threads -- */

/* Comes, asks for twenty channels, and leaves without waiting for all answers; the server may be gone at any moment. */
static void *ask(void *scene)
{
    struct scene *s = scene;
    char frames[20][126], rest[2048];
    for (size_t i = 0; i < 20; i++) {
        char *body = frames[i] + 6;
        int len = snprintf(body, sizeof frames[i] - 6,
                           "{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":"
                           "\"private-room.%zu\"}}",
                           i);
        memcpy(frames[i], "\x81\x80\0\0\0\0", 6);
        frames[i][1] = (char)(0x80 | len);
    }
    for (unsigned n = 0; s->asking; n++) {
        struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(s->ports[n % 2])};
        struct timeval patience = {.tv_usec = 50000};
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0) {
            (void)!send(fd, ws_client_upgrade, strlen(ws_client_upgrade), MSG_NOSIGNAL);
            for (size_t i = 0; i < 20; i++)
                (void)!send(fd, frames[i], 6 + (size_t)(frames[i][1] & 0x7f), MSG_NOSIGNAL);
            for (unsigned i = 0; i < 1 + n % 4; i++)
                (void)!recv(fd, rest, sizeof rest, 0);
            s->asked++;
        }
        close(fd);
    }
    return NULL;
}

static void answer(pusherc_auth_request *request, bool yes)
{
    (void)!(yes ? pusherc_auth_allow(request, NULL) : pusherc_auth_deny(request, 403, "no"));
}

/* Answers every third question at once, and leaves the others to the threads below. */
static void *take(void *scene)
{
    struct scene *s = scene;
    pusherc_message messages[7];
    for (unsigned turn = 0; s->taking; turn++) {
        size_t n = pusherc_inbox_take(s->inbox, messages, sizeof *messages, 1 + turn % 7, 20);
        for (size_t i = 0; i < n; i++) {
            s->abandoned += messages[i].type == PUSHERC_MESSAGE_ABANDONED;
            if (messages[i].type != PUSHERC_MESSAGE_AUTHORIZE)
                continue;
            pthread_mutex_lock(&s->mutex);
            bool keep = s->taken++ % 3 != 0 && s->kept_count < KEPT;
            if (keep)
                s->kept[s->kept_count++] = messages[i].request;
            pthread_mutex_unlock(&s->mutex);
            if (!keep)
                answer(messages[i].request, true);
        }
    }
    pthread_mutex_lock(&s->mutex);
    s->taker_gone = true;
    pthread_mutex_unlock(&s->mutex);
    return NULL;
}

/* The newest first, so that some wait until their clients have left. */
static void *answer_kept(void *scene)
{
    struct scene *s = scene;
    for (bool over = false; !over;) {
        pusherc_auth_request *request = NULL;
        pthread_mutex_lock(&s->mutex);
        if (s->kept_count > 0)
            request = s->kept[--s->kept_count];
        over = !request && s->taker_gone;
        pthread_mutex_unlock(&s->mutex);
        if (request)
            answer(request, ((uintptr_t)request >> 6) & 1);
        else
            pause_ms(3);
    }
    return NULL;
}

static void servers_and_inbox_end_under_load(void **state)
{
    struct scene scene = {.taking = true, .asking = true}, *s = &scene;
    pusherc_inbox_options options = PUSHERC_INBOX_OPTIONS_INIT;
    pthread_t clients[CLIENTS], answerers[ANSWERERS], taker;
    (void)state;
    s->memory = (pusherc_allocator){allocate, resize, release, s};
    pthread_mutex_init(&s->mutex, NULL);
    options.allocator = &s->memory;
    options.max_messages = 64;
    assert_int_equal(pusherc_inbox_new(&s->inbox, &options), 0);
    start(s, 0);
    start(s, 1);
    pthread_create(&taker, NULL, take, s);
    for (size_t i = 0; i < ANSWERERS; i++)
        pthread_create(&answerers[i], NULL, answer_kept, s);
    for (size_t i = 0; i < CLIENTS; i++)
        pthread_create(&clients[i], NULL, ask, s);

    while (s->asked < 50 || s->taken < 200 || s->abandoned == 0) {
        (void)!pusherc_reauthorize(s->servers[0], "app-id", NULL, NULL, NULL);
        pause_ms(5);
    }
    pusherc_server_free(s->servers[0]);
    for (unsigned before = s->asked; s->asked < before + 10;)
        pause_ms(5);
    s->taking = false;
    pthread_join(taker, NULL);
    pusherc_inbox_free(s->inbox);
    for (unsigned before = s->asked; s->asked < before + 10;)
        pause_ms(5);
    pusherc_server_free(s->servers[1]);
    s->asking = false;
    for (size_t i = 0; i < CLIENTS; i++)
        pthread_join(clients[i], NULL);
    for (size_t i = 0; i < ANSWERERS; i++)
        pthread_join(answerers[i], NULL);
    pthread_mutex_destroy(&s->mutex);
    assert_int_equal(s->blocks, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(servers_and_inbox_end_under_load),
    };
    return cmocka_run_group_tests_name("inbox_threads", tests, NULL, NULL);
}
