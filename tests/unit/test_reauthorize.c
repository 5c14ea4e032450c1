/*
 * Three workers on threads of their own, four drivers that publish, revoke and grant again, and two threads that
 * answer what the rules are asked: at once, late, twice, from facts of before. Afterwards everything that clients
 * have read is held against what was theirs: no event published after `done` of a revocation, every one
 * published while a grant stood, each once and in order.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include "auth_fixture.h"

#define DRIVERS  4 /* each has a channel of its own */
#define USERS    4
#define CLIENTS  AX_CLIENTS
#define ROUNDS   600
#define MAX_HELD 4096

struct span {
    int from, to; /* numbers of events; `to` is not one of them */
};

struct driver {
    struct host *host;
    int index;
    pthread_t thread;
    uint64_t random;
    int published;
    struct span theirs[USERS][ROUNDS + 1], not_theirs[USERS][ROUNDS + 1];
    int theirs_count[USERS], not_theirs_count[USERS];
};

struct host {
    struct ax ax;
    _Atomic bool allowed[DRIVERS][USERS];
    _Atomic bool stop, drivers_done;
    pthread_mutex_t mutex;
    struct held {
        pusherc_auth_request *request;
        int driver, user;
    } held[MAX_HELD]; /* guarded */
    size_t held_count;
    struct driver drivers[DRIVERS];
    pthread_t workers[FX_WORKERS], answerers[2];
    _Atomic unsigned answered, again;
};

static uint32_t roll(uint64_t *state, uint32_t below)
{
    *state = *state * UINT64_C(6364136223846793005) + 1442695040888963407U;
    return (uint32_t)(*state >> 33) % below;
}

/* -- rules -- */

static int digit(pusherc_slice text)
{
    REQUIRE(text.len == 1);
    return text.ptr[0] - '0';
}

static void answer(struct host *host, const struct held *h, bool allow)
{
    pusherc_grant grant = PUSHERC_GRANT_INIT;
    grant.expires_in_ms = 2; /* so that questions also arise without any call of the host */
    int err =
        allow ? pusherc_auth_allow(h->request, &grant) : pusherc_auth_deny(h->request, 0, "no");
    REQUIRE(err == 0 || err == PUSHERC_ECANCELED);
    atomic_fetch_add(&host->answered, 1);
}

static void authorize(pusherc_auth_request *request, void *user_data)
{
    struct host *host = user_data;
    struct held h = {request, digit(pusherc_auth_param(request, "n")),
                     digit(pusherc_auth_user_id(request))};
    pthread_mutex_lock(&host->mutex);
    bool held = host->held_count < MAX_HELD && host->held_count % 4 != 3;
    if (held)
        host->held[host->held_count++] = h;
    pthread_mutex_unlock(&host->mutex);
    if (!held)
        answer(host, &h, atomic_load(&host->allowed[h.driver][h.user]));
}

/* Looks at the facts, dawdles, answers. */
static void *answer_late(void *arg)
{
    struct host *host = arg;
    uint64_t random = (uint64_t)(uintptr_t)&random;
    for (;;) {
        struct held h = {0};
        pthread_mutex_lock(&host->mutex);
        if (host->held_count > 0) {
            size_t i = roll(&random, (uint32_t)host->held_count);
            h = host->held[i];
            host->held[i] = host->held[--host->held_count];
        }
        pthread_mutex_unlock(&host->mutex);
        if (!h.request) {
            if (atomic_load(&host->stop))
                return NULL;
            sched_yield();
            continue;
        }
        bool allow = atomic_load(&host->allowed[h.driver][h.user]);
        for (uint32_t n = roll(&random, 4); n > 0; n--)
            sched_yield();
        answer(host, &h, allow);
    }
}

/* -- workers -- */

static void no_wake(void *ctx)
{
    (void)ctx;
}

static void *work(void *arg)
{
    struct pc_worker *worker = arg;
    struct host *host = worker->runtime;
    pc_mailbox_own(worker->mailbox);
    for (unsigned turn = 0; !atomic_load(&host->stop); turn++) {
        worker->now_ms += turn % 8 == 0;
        pc_timers_run(&worker->timers, worker->now_ms);
        bool any = fx_round(&host->ax.fx, worker->index);
        any |= pc_decisions_ask(worker);
        if (!any)
            sched_yield();
    }
    return NULL;
}

static void on_done(uint64_t kept, uint64_t revoked, void *user_data)
{
    (void)kept;
    (void)revoked;
    atomic_store((_Atomic bool *)user_data, true);
}

/* -- drivers -- */

static void publish(struct driver *d)
{
    char channel[32], data[16];
    snprintf(channel, sizeof channel, "private-t.%d", d->index);
    snprintf(data, sizeof data, "%d", d->published++);
    REQUIRE(fx_publish(&d->host->ax.fx, channel, "news", data) == 0);
}

static void tell_change(struct driver *d, int user)
{
    char user_id[2] = {(char)('0' + user), '\0'}, pattern[8];
    _Atomic bool done = false;
    struct fx *fx = &d->host->ax.fx;
    snprintf(pattern, sizeof pattern, "t.%d", d->index);
    struct pc_app *app = pc_apps_by_id(&fx->engine->apps, PC_S("app-id"));
    struct pc_grant_filter filter = {.app_uid = app->state->uid,
                                     .user_id = pc_slice_of(user_id),
                                     .pattern = pc_slice_of(pattern)};
    pc_app_unref(app);
    struct pc_change *change = pc_change_new(fx->engine, &filter, PC_S(""), PC_S(""));
    REQUIRE(change);
    change->done = on_done;
    change->user_data = &done;
    REQUIRE(pc_change_send(change) == 0);
    while (!atomic_load(&done)) {
        if (roll(&d->random, 8) == 0)
            publish(d); /* meanwhile */
        sched_yield();
    }
}

static void *drive(void *arg)
{
    struct driver *d = arg;
    struct host *host = d->host;
    for (int u = 0; u < USERS; u++)
        d->theirs[u][0].from = 0;
    for (int round = 0; round < ROUNDS; round++) {
        int u = (int)roll(&d->random, USERS);
        for (uint32_t n = roll(&d->random, 4); n > 0; n--)
            publish(d);
        if (atomic_load(&host->allowed[d->index][u])) {
            d->theirs[u][d->theirs_count[u]++].to = d->published;
            atomic_store(&host->allowed[d->index][u], false);
            tell_change(d, u);
            d->not_theirs[u][d->not_theirs_count[u]].from = d->published;
        } else {
            d->not_theirs[u][d->not_theirs_count[u]++].to = d->published;
            atomic_store(&host->allowed[d->index][u], true);
            tell_change(d, u);
            d->theirs[u][d->theirs_count[u]].from = d->published;
        }
    }
    for (int u = 0; u < USERS; u++) {
        if (atomic_load(&host->allowed[d->index][u]))
            d->theirs[u][d->theirs_count[u]++].to = d->published;
        else
            d->not_theirs[u][d->not_theirs_count[u]++].to = d->published;
    }
    return NULL;
}

/* -- the reckoning -- */

static void check_client(struct host *host, size_t index)
{
    struct fx_client *client = &host->ax.clients[index];
    int user = digit(client->session.identity->user_id);
    for (int n = 0; n < DRIVERS; n++) {
        struct driver *d = &host->drivers[n];
        char key[64];
        int last = -1;
        bool *got = calloc((size_t)d->published + 1, sizeof *got);
        REQUIRE(got);
        snprintf(key, sizeof key, "{\"event\":\"news\",\"channel\":\"private-t.%d\",\"data\":\"",
                 n);
        for (const char *at = client->heard; at && (at = strstr(at, key)); at++) {
            int number = atoi(at + strlen(key));
            if (number <= last)
                fail_msg("client %zu: %d after %d", index, number, last);
            last = number;
            got[number] = true;
        }
        for (int i = 0; i < d->not_theirs_count[user]; i++)
            for (int k = d->not_theirs[user][i].from; k < d->not_theirs[user][i].to; k++)
                if (got[k])
                    fail_msg("client %zu: event %d of channel %d after it was revoked", index, k,
                             n);
        for (int i = 0; i < d->theirs_count[user]; i++)
            for (int k = d->theirs[user][i].from; k < d->theirs[user][i].to; k++)
                if (!got[k])
                    fail_msg("client %zu: event %d of channel %d was lost", index, k, n);
        free(got);
    }
}

static void revoked_is_silent_and_granted_loses_nothing(void **state)
{
    static struct host host;
    struct ax *ax = &host.ax;
    pusherc_rule rule = PUSHERC_RULE_INIT;
    (void)state;
    ax_open(ax, FX_WORKERS, PUSHERC_AUTH_RULES);
    ax->fx.engine->hooks.on_denied = NULL;
    ax->fx.engine->options.out_hard_bytes = UINT32_MAX;
    ax->fx.engine->options.auth_timeout_ms = UINT32_MAX;
    ax->fx.engine->options.pong_timeout_ms = UINT32_MAX;
    pthread_mutex_init(&host.mutex, NULL);
    rule.pattern = "t.{n}";
    rule.authorize = authorize;
    rule.user_data = &host;
    ax_add(ax, &rule);
    for (int n = 0; n < DRIVERS; n++)
        for (int u = 0; u < USERS; u++)
            atomic_store(&host.allowed[n][u], true);
    for (size_t i = 0; i < CLIENTS; i++) {
        char user[2] = {(char)('0' + i % USERS), '\0'};
        ax_connect(ax, i, (uint32_t)(i % FX_WORKERS), user);
        for (int n = 0; n < DRIVERS; n++) {
            char name[32];
            snprintf(name, sizeof name, "private-t.%d", n);
            ax_subscribe(ax, i, name);
        }
    }
    ax_settle(ax);
    while (host.held_count > 0)
        answer(&host, &host.held[--host.held_count], true);
    ax_settle(ax);
    for (size_t i = 0; i < CLIENTS; i++)
        assert_int_equal(ax->clients[i].session.subscription_count, DRIVERS);

    for (uint32_t i = 0; i < FX_WORKERS; i++) {
        struct pc_worker *worker = &ax->fx.engine->workers[i];
        worker->runtime = &host;
        worker->mailbox->wake = no_wake; /* they never sleep */
        assert_int_equal(pthread_create(&host.workers[i], NULL, work, worker), 0);
    }
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&host.answerers[i], NULL, answer_late, &host), 0);
    for (int n = 0; n < DRIVERS; n++) {
        host.drivers[n].host = &host;
        host.drivers[n].index = n;
        host.drivers[n].random = (uint64_t)n + 1;
        assert_int_equal(pthread_create(&host.drivers[n].thread, NULL, drive, &host.drivers[n]), 0);
    }
    for (int n = 0; n < DRIVERS; n++)
        pthread_join(host.drivers[n].thread, NULL);
    atomic_store(&host.stop, true);
    for (size_t i = 0; i < 2; i++)
        pthread_join(host.answerers[i], NULL);
    for (size_t i = 0; i < FX_WORKERS; i++)
        pthread_join(host.workers[i], NULL);
    for (size_t i = 0; i < FX_WORKERS; i++)
        ax->fx.engine->workers[i].mailbox->has_owner = false;
    ax_settle(ax);
    for (size_t i = 0; i < CLIENTS; i++)
        check_client(&host, i);
    assert_true(atomic_load(&host.answered) >= DRIVERS * ROUNDS);
    ax_close(ax);
    assert_int_equal(failing_alloc_live(&ax->fx.alloc), 0);
    pthread_mutex_destroy(&host.mutex);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(revoked_is_silent_and_granted_loses_nothing),
    };
    return cmocka_run_group_tests_name("reauthorize", tests, NULL, NULL);
}
