/*
 * F9: two workers on threads of their own whose clients come, sign in and go, while two threads list them: what stays
 * is listed exactly once in each list, what comes and goes at most once, and never anything that is of another user.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>

#include "engine_fixture.h"
#include "session/listing.h"

#define WORKERS 2
#define LISTERS 2
#define STAY    600 /* of a worker: more than are visited under one lock */
#define PASS    4   /* of a worker: come and go */
#define TURNS   3000
#define ALL     ((STAY + PASS) * WORKERS)

struct crew {
    struct fx fx;
    uint64_t app_uid;
    struct fx_client clients[WORKERS][STAY + PASS];
    _Atomic unsigned working;
};

struct thread {
    struct crew *crew;
    uint32_t index;
    pthread_t id;
};

/* One list. */
struct seen {
    struct crew *crew;
    pusherc_slice user_id; /* len 0 = all */
    size_t count;
    bool stays[WORKERS][STAY];
};

static void see(const struct pc_session *s, void *ctx)
{
    struct seen *seen = ctx;
    struct fx_client *client =
        PC_CONTAINER((struct pc_session *)(uintptr_t)s, struct fx_client, session);
    uint32_t worker = s->worker->index;
    size_t place = (size_t)(client - seen->crew->clients[worker]);
    if (seen->user_id.len)
        REQUIRE(pc_slice_eq(pc_identity_user_id(s->identity), seen->user_id) ||
                pc_slice_eq(pc_identity_user_id(s->user), seen->user_id));
    seen->count++;
    if (place >= STAY)
        return;
    REQUIRE(!seen->stays[worker][place]);
    seen->stays[worker][place] = true;
}

/* The users that the numbers of clients have: i0 to i2 by the host, s0 and s1 by sign-in. */
static void check(const struct seen *seen)
{
    const char *user = seen->user_id.ptr;
    for (size_t w = 0; w < WORKERS; w++)
        for (size_t i = 0; i < STAY; i++) {
            bool is = !user || (user[0] == 'i' && (size_t)(user[1] - '0') == i % 3) ||
                      (user[0] == 's' && i % 5 == 0 && (size_t)(user[1] - '0') == i % 2);
            REQUIRE(seen->stays[w][i] == is);
        }
}

static void list(struct crew *crew, const char *user)
{
    struct seen seen = {.crew = crew, .user_id = user ? pc_slice_of(user) : PC_S("")};
    if (!user)
        seen.user_id.ptr = NULL;
    for (uint32_t w = 0; w < WORKERS; w++) {
        if (user)
            pc_listing_of_user(&crew->fx.engine->workers[w], crew->app_uid, seen.user_id, see,
                               &seen);
        else
            pc_listing_each(&crew->fx.engine->workers[w], crew->app_uid, see, &seen);
    }
    REQUIRE(seen.count <= ALL);
    check(&seen);
}

static void come(struct crew *crew, uint32_t worker, size_t i)
{
    char user[8];
    struct fx_client *client = &crew->clients[worker][i];
    snprintf(user, sizeof user, "i%zu", i % 3);
    fx_connect_as(&crew->fx, client, worker, user);
    if (i % 5 == 0)
        fx_sign_in(client, i % 2 ? "{\"id\":\"s1\"}" : "{\"id\":\"s0\"}");
    fx_round(&crew->fx, worker);
    fx_forget(client);
}

static void *work(void *arg)
{
    struct thread *t = arg;
    struct crew *crew = t->crew;
    pc_mailbox_own(crew->fx.engine->workers[t->index].mailbox);
    for (unsigned n = 0; n < TURNS; n++) {
        size_t i = STAY + n % PASS;
        fx_disconnect(&crew->clients[t->index][i]);
        come(crew, t->index, i);
        if (n % 10 == 0) /* the same user again, with other data */
            fx_sign_in(&crew->clients[t->index][0], "{\"id\":\"s0\",\"n\":1}");
        fx_round(&crew->fx, t->index);
        fx_forget(&crew->clients[t->index][0]);
    }
    atomic_fetch_sub(&crew->working, 1);
    return NULL;
}

static void *look(void *arg)
{
    static const char *const users[] = {NULL, "i0", "s0", "s1", "i2"};
    struct thread *t = arg;
    for (unsigned n = t->index; atomic_load(&t->crew->working); n++)
        list(t->crew, users[n % 5]);
    return NULL;
}

static void lists_are_whole_while_clients_come_and_go(void **state)
{
    static struct crew crew;
    static struct thread threads[WORKERS + LISTERS];
    pusherc_server_options limits = fx_limits();
    pusherc_app_options app = fx_app();
    (void)state;
    crew.fx.mem = pc_mem_make(NULL);
    REQUIRE(fx_try_open_here(&crew.fx, &limits, NULL, WORKERS) == 0);
    REQUIRE(fx_try_put(&crew.fx, &app) == 0);
    for (uint32_t w = 0; w < WORKERS; w++)
        for (size_t i = 0; i < STAY + PASS; i++)
            come(&crew, w, i);
    crew.app_uid = crew.clients[0][0].session.app->state->uid;
    atomic_store(&crew.working, WORKERS);
    for (uint32_t i = 0; i < WORKERS + LISTERS; i++) {
        threads[i] = (struct thread){.crew = &crew, .index = i % WORKERS};
        REQUIRE(!pthread_create(&threads[i].id, NULL, i < WORKERS ? work : look, &threads[i]));
    }
    for (size_t i = 0; i < WORKERS + LISTERS; i++)
        pthread_join(threads[i].id, NULL);
    list(&crew, NULL);
    for (uint32_t w = 0; w < WORKERS; w++)
        for (size_t i = 0; i < STAY + PASS; i++)
            fx_disconnect(&crew.clients[w][i]);
    for (uint32_t w = 0; w < WORKERS; w++) {
        REQUIRE(pc_list_empty(&crew.fx.engine->workers[w].listed));
        REQUIRE(crew.fx.engine->workers[w].users.count == 0);
    }
    fx_close(&crew.fx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(lists_are_whole_while_clients_come_and_go)};
    return cmocka_run_group_tests_name("listing", tests, NULL, NULL);
}
