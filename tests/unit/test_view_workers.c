/*
 * Views on threads: two workers whose clients join a presence channel with one view and leave it again, and two
 * threads that publish to it. Whatever a client reads was rendered for the view it has, and the events of one
 * publisher come in order.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <sched.h>

#include "engine_fixture.h"
#include "fanout/subscription.h"

#define WORKERS    2
#define EACH       2 /* clients of a worker */
#define PUBLISHERS 2
#define TURNS      2000 /* of a worker, and messages that its clients read: so many or more */
#define VIEWS      3
#define CHANNEL    "presence-t.1"

static const char *const views[VIEWS] = {"red", "green", "blue"};

struct crew {
    struct fx fx;
    struct pc_app *app;
    struct pc_rule_match match;
    _Atomic uint32_t done; /* workers */
};

struct member {
    struct fx_client client;
    struct pc_subscription *subscription; /* NULL = is not in the channel */
    const char *view;
    unsigned heard, last[PUBLISHERS];
};

struct crew_thread {
    struct crew *crew;
    uint32_t index;
    pthread_t thread;
};

/* Not called: clients join below the session. */
static void authorize(pusherc_auth_request *request, void *user_data)
{
    (void)request;
    (void)user_data;
}

/* {"view":"red","data":...}, and for events the data as it is. */
static pusherc_render_verdict render(pusherc_render *r, void *user_data)
{
    char text[128];
    pusherc_slice view = pusherc_render_view(r), data = pusherc_render_data(r);
    (void)user_data;
    int n = snprintf(text, sizeof text, "{\"view\":\"%.*s\",\"data\":%.*s}", (int)view.len,
                     view.ptr, (int)data.len, data.ptr);
    REQUIRE(pusherc_render_payload(r, pc_slice(text, (size_t)n)) == 0);
    return PUSHERC_RENDER_REPLACED;
}

static void check(struct member *m)
{
    for (char *line = m->client.heard, *end; line && *line; line = end + 1) {
        end = strchr(line, '\n');
        *end = '\0';
        const char *at = strstr(line, "\\\"data\\\":");
        if (strstr(line, "member_removed"))
            continue;
        for (size_t v = 0; v < VIEWS; v++)
            REQUIRE((strstr(line, views[v]) != NULL) == (views[v] == m->view));
        if (strstr(line, "\"event\":\"news\"")) {
            unsigned publisher, number;
            REQUIRE(at && sscanf(at, "\\\"data\\\":%u", &number) == 1);
            publisher = number % PUBLISHERS;
            REQUIRE(number > m->last[publisher]);
            m->last[publisher] = number;
        }
        m->heard++;
    }
    fx_forget(&m->client);
}

static void turn(struct crew *crew, uint32_t worker, struct member *members)
{
    if (!fx_round(&crew->fx, worker))
        sched_yield();
    for (size_t i = 0; i < EACH; i++)
        check(&members[i]);
}

static void enter(struct crew *crew, uint32_t worker, struct member *m, const char *view)
{
    char id[32], info[] = "{}";
    struct pc_channel_change change;
    struct pc_buf roster;
    snprintf(id, sizeof id, "u%llx", (unsigned long long)m->client.q.owner.b);
    struct pc_join join = {.app = crew->app,
                           .q = &m->client.q,
                           .channel = PC_S(CHANNEL),
                           .class = pc_channel_classify(PC_S(CHANNEL)),
                           .match = &crew->match,
                           .user_id = pc_slice_of(id),
                           .user_info = pc_slice_of(info),
                           .view = pc_slice_of(view)};
    m->view = view;
    pc_buf_init(&roster, &crew->fx.mem, SIZE_MAX);
    REQUIRE(pc_join_finish(&crew->fx.engine->workers[worker], &join, &roster, &m->subscription,
                           &change) == 0);
    pc_buf_free(&roster);
}

static void leave(struct crew *crew, uint32_t worker, struct member *m)
{
    struct pc_channel_change change;
    if (m->subscription)
        pc_leave(&crew->fx.engine->workers[worker], crew->app, m->subscription, true, NULL,
                 &change);
    m->subscription = NULL;
}

static void *work(void *arg)
{
    struct crew_thread *t = arg;
    struct crew *crew = t->crew;
    static struct member all[WORKERS][EACH];
    struct member *members = all[t->index];
    pc_mailbox_own(crew->fx.engine->workers[t->index].mailbox);
    for (size_t i = 0; i < EACH; i++) {
        members[i] = (struct member){.view = ""};
        fx_connect(&crew->fx, &members[i].client, t->index);
        fx_round(&crew->fx, t->index);
        fx_forget(&members[i].client);
    }
    for (unsigned n = 0; n < TURNS || members[0].heard < TURNS; n++) {
        struct member *m = &members[n % EACH];
        turn(crew, t->index, members);
        if (n % 16 < EACH) {
            leave(crew, t->index, m);
            turn(crew, t->index, members);
            enter(crew, t->index, m, views[(n / 16 + t->index) % VIEWS]);
        }
    }
    crew->done++;
    for (size_t i = 0; i < EACH; i++) {
        leave(crew, t->index, &members[i]);
        fx_disconnect(&members[i].client);
    }
    return NULL;
}

static void *publish(void *arg)
{
    struct crew_thread *t = arg;
    char data[32];
    for (unsigned n = 1; t->crew->done < WORKERS; n++) {
        snprintf(data, sizeof data, "%u", n * PUBLISHERS + t->index);
        int err = fx_publish(&t->crew->fx, CHANNEL, "news", data);
        REQUIRE(err == 0 || err == PUSHERC_EBACKLOG);
    }
    return NULL;
}

/* The workers look by themselves. */
static void wake(void *ctx)
{
    (void)ctx;
}

static void clients_read_what_was_rendered_for_their_view(void **state)
{
    struct crew crew = {.done = 0};
    struct crew_thread threads[WORKERS + PUBLISHERS];
    pusherc_server_options limits = fx_limits();
    pusherc_app_options app = fx_app();
    pusherc_rule rule = PUSHERC_RULE_INIT;
    (void)state;
    crew.fx.mem = pc_mem_make(NULL);
    assert_int_equal(fx_try_open_here(&crew.fx, &limits, NULL, WORKERS), 0);
    assert_int_equal(fx_try_put(&crew.fx, &app), 0);
    rule.pattern = "t.{x}";
    rule.authorize = authorize;
    rule.render = render;
    assert_int_equal(pc_rules_add(&crew.fx.engine->rules, &rule, NULL), 0);
    crew.app = pc_apps_by_id(&crew.fx.engine->apps, PC_S("app-id"));
    crew.match = pc_rules_find(&crew.fx.engine->rules, crew.app->id, PC_S(CHANNEL),
                               PUSHERC_CHANNEL_PRESENCE);
    assert_non_null(crew.match.rule);
    for (uint32_t i = 0; i < WORKERS; i++)
        crew.fx.engine->workers[i].mailbox->wake = wake,
        crew.fx.engine->workers[i].mailbox->max = 64;
    for (uint32_t i = 0; i < WORKERS + PUBLISHERS; i++) {
        threads[i] = (struct crew_thread){&crew, i < WORKERS ? i : i - WORKERS, 0};
        assert_int_equal(
            pthread_create(&threads[i].thread, NULL, i < WORKERS ? work : publish, &threads[i]), 0);
    }
    for (size_t i = 0; i < WORKERS + PUBLISHERS; i++)
        pthread_join(threads[i].thread, NULL);
    for (size_t i = 0; i < WORKERS; i++)
        pc_mailbox_close(crew.fx.engine->workers[i].mailbox);
    assert_int_equal(pc_directory_occupied(&crew.fx.engine->directory), 0);
    pc_app_unref(crew.app);
    fx_close(&crew.fx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clients_read_what_was_rendered_for_their_view),
    };
    return cmocka_run_group_tests_name("view_workers", tests, NULL, NULL);
}
