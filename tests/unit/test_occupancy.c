/* What joins and leaves mean: who is told, in which order, and what members of other processes change. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine_fixture.h"
#include "fanout/occupancy.h"

#define ROOM "presence-room"

/* What the observer and the hook were told, a letter each: Occupied, Vacated, + and - members. The hook counts, too. */
struct ox {
    struct fx fx;
    pusherc_hooks hooks;
    struct fx_client clients[3];
    char noted[64], hooked[64];
};

static void add(char *told, char letter)
{
    size_t len = strlen(told);
    REQUIRE(len < 60);
    told[len] = letter;
    told[len + 1] = '\0';
}

static bool note(void *ctx, const struct pc_notice *notice)
{
    struct ox *ox = ctx;
    char letter = notice->kind == PUSHERC_WEBHOOK_CHANNEL_OCCUPIED  ? 'O'
                  : notice->kind == PUSHERC_WEBHOOK_CHANNEL_VACATED ? 'V'
                  : notice->kind == PUSHERC_WEBHOOK_MEMBER_ADDED    ? '+'
                  : notice->kind == PUSHERC_WEBHOOK_MEMBER_REMOVED  ? '-'
                                                                    : '?';
    REQUIRE((notice->user_id.len > 0) == (letter == '+' || letter == '-'));
    add(ox->noted, letter);
    return false;
}

static void wake(void *ctx)
{
    (void)ctx;
}

static void on_channel(const pusherc_channel_event *event, void *user_data)
{
    static const char letters[] = {[PUSHERC_CHANNEL_OCCUPIED] = 'O',
                                   [PUSHERC_CHANNEL_VACATED] = 'V',
                                   [PUSHERC_MEMBER_ADDED] = '+',
                                   [PUSHERC_MEMBER_REMOVED] = '-',
                                   [PUSHERC_SUBSCRIPTION_COUNT] = '#'};
    struct ox *ox = user_data;
    char letter = letters[event->type];
    REQUIRE((event->user_id.len > 0) == (letter == '+' || letter == '-'));
    add(ox->hooked, letter);
}

static int set_up(void **state)
{
    struct ox *ox = calloc(1, sizeof *ox);
    pusherc_server_options limits = fx_limits();
    pusherc_app_options app = fx_app();
    *state = ox;
    if (!ox)
        return -1;
    ox->hooks = (pusherc_hooks)PUSHERC_HOOKS_INIT;
    ox->hooks.on_channel = on_channel;
    ox->hooks.user_data = ox;
    REQUIRE(fx_try_open(&ox->fx, &limits, &ox->hooks, 2, 0) == 0);
    REQUIRE(fx_try_put(&ox->fx, &app) == 0);
    ox->fx.engine->observer = (struct pc_observer){note, wake, ox};
    for (uint32_t i = 0; i < 3; i++) {
        fx_connect(&ox->fx, &ox->clients[i], i % 2);
        fx_heard(&ox->clients[i]);
    }
    struct pc_app_state *live = ox->clients[0].session.app->state;
    atomic_store(&live->notices, UINT32_MAX & ~(uint32_t)PUSHERC_WEBHOOK_SUBSCRIPTION_COUNT);
    return 0;
}

static int tear_down(void **state)
{
    struct ox *ox = *state;
    for (size_t i = 0; i < 3; i++)
        fx_disconnect(&ox->clients[i]);
    fx_close(&ox->fx);
    size_t live = failing_alloc_live(&ox->fx.alloc);
    free(ox);
    return live == 0 ? 0 : -1;
}

static void join(struct ox *ox, size_t i, const char *user)
{
    char data[64];
    snprintf(data, sizeof data, "{\"user_id\":\"%s\"}", user);
    fx_join(&ox->clients[i], ROOM, data);
}

static void observer_and_host_are_told_in_one_order(void **state)
{
    struct ox *ox = *state;
    join(ox, 0, "7");
    join(ox, 1, "7");
    join(ox, 2, "8");
    fx_wait(&ox->fx);
    fx_unsubscribe(&ox->clients[0], ROOM);
    fx_unsubscribe(&ox->clients[1], ROOM);
    fx_unsubscribe(&ox->clients[2], ROOM);
    fx_subscribe(&ox->clients[0], "news");
    fx_unsubscribe(&ox->clients[0], "news");
    assert_string_equal(ox->noted, "O++--VOV");
    assert_string_equal(ox->hooked, "O+##+##-#-#VO##V");
}

static void a_users_own_channel_is_nothing_to_tell(void **state)
{
    struct ox *ox = *state;
    fx_sign_in(&ox->clients[0], "{\"id\":\"7\"}");
    fx_subscribe(&ox->clients[0], "#server-to-user-7");
    assert_non_null(strstr(fx_heard(&ox->clients[0]), "subscription_succeeded"));
    fx_unsubscribe(&ox->clients[0], "#server-to-user-7");
    assert_string_equal(ox->noted, "");
    assert_string_equal(ox->hooked, "");
}

/* -- members of other processes -- */

static int mirror(struct ox *ox, const char *user, bool there)
{
    static const struct pc_rule_match no_rule;
    struct pc_join who = {.app = ox->clients[0].session.app,
                          .channel = PC_S(ROOM),
                          .match = &no_rule,
                          .user_id = pc_slice_of(user),
                          .user_info = PC_S("{\"far\":1}")};
    who.class.kind = PUSHERC_CHANNEL_PRESENCE;
    return pc_occupancy_mirror(ox->fx.engine, &who, there);
}

static unsigned count(const char *text, const char *needle)
{
    unsigned n = 0;
    for (const char *at = text; (at = strstr(at, needle)); at += strlen(needle))
        n++;
    return n;
}

static void a_mirrored_member_is_announced_and_in_the_roster(void **state)
{
    struct ox *ox = *state;
    assert_int_equal(mirror(ox, "9", true),
                     PUSHERC_ENOENT); /* no local subscriber has the channel */
    join(ox, 0, "7");
    fx_heard(&ox->clients[0]);
    assert_int_equal(mirror(ox, "9", true), 0);
    assert_int_equal(mirror(ox, "9", true), 0); /* repeated: nothing new */
    const char *text = fx_heard(&ox->clients[0]);
    assert_int_equal(count(text, "member_added"), 1);
    assert_int_equal(count(text, "\\\"far\\\":1"), 1);
    join(ox, 1, "8");
    assert_non_null(
        strstr(fx_heard(&ox->clients[1]), "\\\"ids\\\":[\\\"7\\\",\\\"9\\\",\\\"8\\\"]"));
    fx_heard(&ox->clients[0]);
    assert_int_equal(mirror(ox, "9", false), 0);
    assert_int_equal(mirror(ox, "9", false), PUSHERC_ENOENT);
    assert_int_equal(count(fx_heard(&ox->clients[0]), "member_removed"), 1);
    assert_int_equal(count(fx_heard(&ox->clients[1]), "member_removed"), 1);
}

/* A user who is here and elsewhere comes once and goes once. */
static void a_member_here_and_elsewhere_is_one(void **state)
{
    struct ox *ox = *state;
    join(ox, 0, "7");
    fx_heard(&ox->clients[0]);
    assert_int_equal(mirror(ox, "8", true), 0);
    join(ox, 1, "8"); /* was announced */
    assert_int_equal(count(fx_heard(&ox->clients[0]), "member_added"), 1);
    fx_heard(&ox->clients[1]);
    assert_int_equal(mirror(ox, "8", false), 0); /* is here still */
    assert_string_equal(fx_heard(&ox->clients[0]), "");
    assert_int_equal(mirror(ox, "8", true), 0);
    fx_wait(&ox->fx);
    fx_unsubscribe(&ox->clients[1], ROOM); /* is there still */
    assert_string_equal(fx_heard(&ox->clients[0]), "");
    assert_int_equal(mirror(ox, "8", false), 0);
    assert_int_equal(count(fx_heard(&ox->clients[0]), "member_removed"), 1);
    /* the observer and the host hear of this process's own */
    assert_string_equal(ox->noted, "O++-");
    assert_string_equal(ox->hooked, "O+#+#-#");
}

static void mirrored_members_go_with_the_channel(void **state)
{
    struct ox *ox = *state;
    join(ox, 0, "7");
    assert_int_equal(mirror(ox, "8", true), 0);
    fx_wait(&ox->fx);
    fx_unsubscribe(&ox->clients[0], ROOM);
    fx_settle(&ox->fx); /* no event on its way holds it */
    join(ox, 1, "9");
    assert_non_null(strstr(fx_heard(&ox->clients[1]), "\\\"ids\\\":[\\\"9\\\"]"));
}

static void without_memory_nothing_is_mirrored(void **state)
{
    struct ox *ox = *state;
    bool failed = true;
    join(ox, 0, "7");
    fx_heard(&ox->clients[0]);
    for (size_t n = 1; failed; n++) {
        ox->fx.alloc.fail_at = ox->fx.alloc.requests + n;
        int err = mirror(ox, "8", true);
        failed = failing_alloc_hit(&ox->fx.alloc);
        ox->fx.alloc.fail_at = 0;
        assert_int_equal(err, failed ? PUSHERC_ENOMEM : 0);
        if (failed)
            assert_int_equal(mirror(ox, "8", false), PUSHERC_ENOENT);
        assert_int_equal(count(fx_heard(&ox->clients[0]), "member_added"), !failed);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(observer_and_host_are_told_in_one_order),
        TEST(a_users_own_channel_is_nothing_to_tell),
        TEST(a_mirrored_member_is_announced_and_in_the_roster),
        TEST(a_member_here_and_elsewhere_is_one),
        TEST(mirrored_members_go_with_the_channel),
        TEST(without_memory_nothing_is_mirrored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
