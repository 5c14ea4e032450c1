/*
 * Users under threads: three workers, each with its own clients, which connect, sign in, watch, sign in again and
 * leave at random. Watchers are told only of real changes, at the end each watcher knows the true state, and no user
 * ever has more connections than the app allows.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>

#include "engine_fixture.h"

#define WORKERS FX_WORKERS
#define EACH    6 /* clients of a worker */
#define PEOPLE  4
#define ALLOWED 3 /* connections of a user */
#define TURNS   20000

enum known {
    UNKNOWN,
    OFFLINE,
    ONLINE
};

struct guest {
    struct fx_client client;
    bool connected, asked; /* a sign-in, whose answer it has not read */
    bool fresh;            /* it was told that it is signed in, and of no user yet */
    bool counted;
    int user; /* that it signs in as; -1 = not yet */
    enum known known[PEOPLE];
};

struct crew;
struct crew_worker {
    struct crew *crew;
    uint32_t index;
    pthread_t thread;
    struct guest guests[EACH];
    uint64_t changes, refused;
};
struct crew {
    struct fx fx;
    struct crew_worker workers[WORKERS];
    _Atomic int connections[PEOPLE];
};

static uint32_t roll(uint64_t *dice, uint32_t below)
{
    *dice = *dice * UINT64_C(6364136223846793005) + 1442695040888963407;
    return (uint32_t)(*dice >> 33) % below;
}

static void no_wake(void *ctx)
{
    (void)ctx; /* they look all the time */
}

/* -- reading -- */

static void hear_people(struct crew_worker *w, struct guest *guest, const char *frame)
{
    static const char name[] = "\\\"name\\\":\\\"", ids[] = "\\\"user_ids\\\":[";
    for (const char *at = strstr(frame, name); at; at = strstr(at, name)) {
        at += sizeof name - 1;
        enum known now = strncmp(at, "online", 6) == 0 ? ONLINE : OFFLINE;
        for (at = strstr(at, ids) + sizeof ids - 1; *at != ']'; at++) {
            if (*at < '0' || *at >= '0' + PEOPLE)
                continue;
            enum known before = guest->known[*at - '0'];
            REQUIRE(guest->fresh ? before == UNKNOWN : before != UNKNOWN && before != now);
            guest->known[*at - '0'] = now;
            w->changes += !guest->fresh;
        }
    }
    guest->fresh = false;
}

static void read_all(struct crew_worker *w, struct guest *guest)
{
    char *rest = guest->connected ? guest->client.heard : NULL;
    for (char *end; rest && (end = strchr(rest, '\n')); rest = end + 1) {
        *end = '\0';
        if (strstr(rest, "signin_success")) {
            memset(guest->known, 0, sizeof guest->known);
            guest->fresh = true;
        } else if (strstr(rest, "watchlist_events")) {
            hear_people(w, guest, rest);
        } else if (strstr(rest, "pusher:error")) {
            REQUIRE(strstr(rest, "The user has too many connections"));
            w->refused++;
        }
    }
    if (guest->connected)
        fx_forget(&guest->client);
}

/* -- doing -- */

static void sign_in(struct crew_worker *w, struct guest *guest, uint64_t *dice)
{
    char text[128], list[64] = "";
    int user = guest->counted ? guest->user : (int)roll(dice, PEOPLE);
    for (int i = 0; i < PEOPLE; i++)
        if (roll(dice, 2))
            sprintf(list + strlen(list), "%s\"%d\"", *list ? "," : "", i);
    snprintf(text, sizeof text, "{\"id\":\"%d\",\"watchlist\":[%s]}", user, list);
    fx_sign_in(&guest->client, text);
    if (guest->counted || !guest->client.session.user)
        return;
    guest->counted = true;
    guest->user = user;
    REQUIRE(atomic_fetch_add(&w->crew->connections[user], 1) < ALLOWED);
}

static void leave(struct crew_worker *w, struct guest *guest)
{
    if (guest->counted) /* before it is true, so that the count is never too high */
        atomic_fetch_sub(&w->crew->connections[guest->user], 1);
    fx_disconnect(&guest->client);
    *guest = (struct guest){.user = -1};
}

static void act(struct crew_worker *w, uint64_t *dice)
{
    struct guest *guest = &w->guests[roll(dice, EACH)];
    if (guest->connected)
        fx_flush(&guest->client);
    read_all(w, guest);
    if (!guest->connected) {
        fx_connect(&w->crew->fx, &guest->client, w->index);
        guest->connected = true;
    } else if (roll(dice, 3) == 0) {
        leave(w, guest);
    } else {
        sign_in(w, guest, dice);
    }
}

static void *work(void *arg)
{
    struct crew_worker *w = arg;
    struct pc_worker *worker = &w->crew->fx.engine->workers[w->index];
    uint64_t dice = w->index + 1;
    pc_mailbox_own(worker->mailbox);
    for (int n = 0; n < TURNS; n++) {
        act(w, &dice);
        if (roll(&dice, 3) == 0)
            fx_round(&w->crew->fx, w->index);
        if (roll(&dice, 4) == 0) {
            worker->now_ms += 40;
            pc_timers_run(&worker->timers, worker->now_ms);
        }
    }
    return NULL;
}

static void expect_truth(struct crew *crew)
{
    bool online[PEOPLE] = {false};
    for (uint32_t i = 0; i < WORKERS; i++)
        for (uint32_t k = 0; k < EACH; k++)
            if (crew->workers[i].guests[k].counted)
                online[crew->workers[i].guests[k].user] = true;
    for (uint32_t i = 0; i < WORKERS; i++) {
        for (uint32_t k = 0; k < EACH; k++) {
            struct guest *guest = &crew->workers[i].guests[k];
            read_all(&crew->workers[i], guest);
            for (int u = 0; u < PEOPLE; u++)
                if (guest->known[u] != UNKNOWN)
                    assert_int_equal(guest->known[u], online[u] ? ONLINE : OFFLINE);
        }
    }
}

static void run(uint32_t offline_delay_ms)
{
    static struct crew crew;
    pusherc_server_options limits = fx_limits();
    pusherc_app_options app = fx_app();
    app.watchlist_events = true;
    app.offline_delay_ms = offline_delay_ms;
    app.max_connections_per_user = ALLOWED;
    crew = (struct crew){.workers[0].index = 0};
    crew.fx.mem = pc_mem_make(NULL);
    assert_int_equal(fx_try_open_here(&crew.fx, &limits, NULL, WORKERS), 0);
    assert_int_equal(fx_try_put(&crew.fx, &app), 0);
    for (uint32_t i = 0; i < WORKERS; i++) {
        struct pc_worker *worker = &crew.fx.engine->workers[i];
        pc_mailbox_close(worker->mailbox);
        pc_mailbox_unref(worker->mailbox);
        assert_int_equal(pc_mailbox_new(&worker->mailbox, &crew.fx.mem, 65536, no_wake, NULL), 0);
        crew.workers[i].crew = &crew;
        crew.workers[i].index = i;
        for (uint32_t k = 0; k < EACH; k++)
            crew.workers[i].guests[k].user = -1;
    }
    for (uint32_t i = 0; i < WORKERS; i++)
        assert_int_equal(pthread_create(&crew.workers[i].thread, NULL, work, &crew.workers[i]), 0);
    for (uint32_t i = 0; i < WORKERS; i++)
        pthread_join(crew.workers[i].thread, NULL);

    fx_settle(&crew.fx);
    fx_pass(&crew.fx, 10000); /* who is gone is offline; timers may have to look twice */
    fx_settle(&crew.fx);
    fx_pass(&crew.fx, 10000);
    fx_settle(&crew.fx);
    expect_truth(&crew);
    uint64_t changes = 0, refused = 0;
    for (uint32_t i = 0; i < WORKERS; i++) {
        changes += crew.workers[i].changes;
        refused += crew.workers[i].refused;
        for (uint32_t k = 0; k < EACH; k++)
            if (crew.workers[i].guests[k].connected)
                leave(&crew.workers[i], &crew.workers[i].guests[k]);
    }
    assert_true(changes > 10 &&
                refused > 100); /* how many changes there are is up to the threads */
    fx_settle(&crew.fx);
    fx_pass(&crew.fx, 10000);
    fx_settle(&crew.fx);
    for (size_t i = 0; i < PC_SHARDS; i++)
        assert_int_equal(crew.fx.engine->directory.shards[i].channels.count, 0);
    struct pc_app *left = pc_apps_by_id(&crew.fx.engine->apps, PC_S("app-id"));
    assert_int_equal(left->state->per_user.by_key.count, 0);
    pc_app_unref(left);
    fx_close(&crew.fx);
}

static void without_a_delay_every_watcher_knows_the_state(void **state)
{
    (void)state;
    run(PUSHERC_NO_DELAY);
}

static void with_a_delay_every_watcher_knows_the_state(void **state)
{
    (void)state;
    run(200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_delay_every_watcher_knows_the_state),
        cmocka_unit_test(with_a_delay_every_watcher_knows_the_state),
    };
    return cmocka_run_group_tests_name("watch", tests, NULL, NULL);
}
