/*
 * Users on several workers: threads whose clients come, join, sign in and go, while another thread takes lists. The
 * reports, sorted by their number, have no gap, and each is a change; each list and the reports after it make the same
 * as all reports.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <sched.h>

#include "engine_fixture.h"
#include "session/grant.h"

#define USERS   5
#define CLIENTS 3 /* of each worker */
#define STEPS   4000
#define MAX     (FX_WORKERS * STEPS * 2)
#define LISTS   200

struct report {
    int user; /* -1 = none */
    bool online;
};

struct host {
    struct fx fx;
    pusherc_hooks hooks;
    pthread_mutex_t mutex;
    struct report reports[MAX + 1]; /* by number */
    uint64_t count;
    _Atomic uint32_t running;
    struct list {
        uint64_t number;
        bool online[USERS];
    } lists[LISTS];
    int list_count;
};

struct work {
    struct host *host;
    uint32_t worker;
    uint64_t random;
    pthread_t thread;
    struct fx_client clients[CLIENTS];
};

static uint32_t roll(uint64_t *state, uint32_t below)
{
    *state = *state * UINT64_C(6364136223846793005) + 1442695040888963407U;
    return (uint32_t)(*state >> 33) % below;
}

static void on_user(const pusherc_user_event *event, void *user_data)
{
    struct host *host = user_data;
    pthread_mutex_lock(&host->mutex);
    REQUIRE(event->sequence > 0 && event->sequence <= MAX);
    REQUIRE(host->reports[event->sequence].user < 0); /* each number once */
    host->reports[event->sequence] = (struct report){event->user_id.ptr[0] - '0', event->online};
    host->count++;
    pthread_mutex_unlock(&host->mutex);
}

static void connect_client(struct work *w, struct fx_client *client)
{
    char id[2] = {(char)('0' + roll(&w->random, USERS)), '\0'};
    if (roll(&w->random, 2))
        fx_connect(&w->host->fx, client, w->worker);
    else
        fx_connect_as(&w->host->fx, client, w->worker, id);
}

static void step(struct work *w)
{
    struct fx_client *client = &w->clients[roll(&w->random, CLIENTS)];
    struct pc_worker *worker = &w->host->fx.engine->workers[w->worker];
    char text[64];
    unsigned user = roll(&w->random, USERS);
    if (!client->fx) {
        connect_client(w, client);
        return;
    }
    switch (roll(&w->random, 6)) {
    case 0:
        client->session.expelled = roll(&w->random, 2); /* the host closes it */
        fx_disconnect(client);
        client->fx = NULL;
        break;
    case 1:
        snprintf(text, sizeof text, "{\"id\":\"%u\"}", user);
        fx_sign_in(client, text);
        break;
    case 2:
        snprintf(text, sizeof text, "{\"user_id\":\"%u\"}", user);
        fx_join(client, "presence-room", text);
        break;
    case 3:
        fx_unsubscribe(client, "presence-room");
        break;
    default:
        worker->now_ms += roll(&w->random, 60);
        pc_timers_run(&worker->timers, worker->now_ms);
        break;
    }
    fx_round(&w->host->fx, w->worker);
}

static void *work(void *arg)
{
    struct work *w = arg;
    pc_mailbox_own(w->host->fx.engine->workers[w->worker].mailbox);
    for (int i = 0; i < STEPS; i++)
        step(w);
    for (int i = 0; i < CLIENTS; i++)
        fx_disconnect(&w->clients[i]);
    atomic_fetch_sub(&w->host->running, 1);
    return NULL;
}

/* As pusherc_list_users() does. */
static void take_list(struct host *host, struct pc_people *people)
{
    struct list *list = &host->lists[host->list_count++];
    pthread_mutex_lock(&people->mutex);
    PC_LIST_EACH(l, &people->here) {
        const struct pc_person *person = PC_CONTAINER(l, struct pc_person, link);
        list->online[person->key[0] - '0'] = person->online;
    }
    list->number = people->number;
    pthread_mutex_unlock(&people->mutex);
}

static void check_lists(const struct host *host)
{
    bool online[USERS] = {false};
    int next = 0;
    for (uint64_t n = 0; n <= host->count; n++) {
        if (n > 0) {
            const struct report *r = &host->reports[n];
            REQUIRE(r->user >= 0 && online[r->user] != r->online);
            online[r->user] = r->online;
        }
        for (; next < host->list_count && host->lists[next].number == n; next++)
            REQUIRE(memcmp(host->lists[next].online, online, sizeof online) == 0);
    }
    REQUIRE(next == host->list_count);
    for (int u = 0; u < USERS; u++)
        REQUIRE(!online[u]);
}

static void no_wake(void *ctx)
{
    (void)ctx;
}

static void run(uint32_t workers)
{
    static struct host host;
    static struct work works[FX_WORKERS];
    pusherc_server_options limits = fx_limits();
    pusherc_app_options app = fx_app();
    memset(&host, 0, sizeof host);
    memset(works, 0, sizeof works);
    for (size_t i = 0; i <= MAX; i++)
        host.reports[i].user = -1;
    host.hooks = (pusherc_hooks)PUSHERC_HOOKS_INIT;
    host.hooks.on_user = on_user;
    host.hooks.user_data = &host;
    pthread_mutex_init(&host.mutex, NULL);
    host.fx.mem = pc_mem_make(NULL);
    REQUIRE(fx_try_open_here(&host.fx, &limits, &host.hooks, workers) == 0);
    app.user_events = true;
    app.offline_delay_ms = 50;
    app.max_users_seen = 2;
    REQUIRE(fx_try_put(&host.fx, &app) == 0);
    struct pc_app *put = pc_apps_by_id(&host.fx.engine->apps, PC_S("app-id"));
    atomic_store(&host.running, workers);
    for (uint32_t i = 0; i < workers; i++) {
        host.fx.engine->workers[i].mailbox->wake = no_wake;
        works[i].host = &host;
        works[i].worker = i;
        works[i].random = 7 + i;
        REQUIRE(pthread_create(&works[i].thread, NULL, work, &works[i]) == 0);
    }
    while (atomic_load(&host.running) > 0 && host.list_count < LISTS) {
        take_list(&host, &put->state->people);
        for (int i = 0; i < 50; i++)
            sched_yield();
    }
    for (uint32_t i = 0; i < workers; i++)
        pthread_join(works[i].thread, NULL);
    host.fx.engine->draining = true; /* those who are absent leave, and who is away is offline */
    for (uint32_t i = 0; i < workers; i++)
        pc_channel_timers_hurry(&host.fx.engine->workers[i], NULL, NULL);
    for (uint32_t i = 0; i < workers; i++)
        pc_people_hurry(&host.fx.engine->workers[i]);
    check_lists(&host);
    assert_true(host.count > 100);
    assert_in_range(put->state->people.by_id.count, 0, 2);
    pc_app_unref(put);
    fx_close(&host.fx);
    pthread_mutex_destroy(&host.mutex);
}

static void reports_and_lists_fit_together_on_one_worker(void **state)
{
    (void)state;
    run(1);
}

static void reports_and_lists_fit_together_on_two_workers(void **state)
{
    (void)state;
    run(2);
}

static void reports_and_lists_fit_together_on_four_workers(void **state)
{
    (void)state;
    run(4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reports_and_lists_fit_together_on_one_worker),
        cmocka_unit_test(reports_and_lists_fit_together_on_two_workers),
        cmocka_unit_test(reports_and_lists_fit_together_on_four_workers),
    };
    return cmocka_run_group_tests_name("people_workers", tests, NULL, NULL);
}
