/* The channel directory: which channels there are, how long they live, what a visit sees. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>

#include <cmocka.h>

#include <pusherc/error.h>

#include "channel/keep.h"
#include "unit/failing_alloc.h"

static const uint64_t seed[2] = {3, 4};
static const struct pc_channel_class public = {PUSHERC_CHANNEL_PUBLIC, false};

struct fixture {
    struct failing_alloc alloc;
    struct pc_mem mem;
    struct pc_directory dir;
    const struct pc_rule_match *match; /* for channels made from now on */
    struct pc_mem plain;               /* does not fail */
    struct pc_app_state *apps[4];
};

static struct pc_app_state *app_of(struct fixture *f, uint64_t uid)
{
    size_t i = 0;
    while (f->apps[i] && f->apps[i]->uid != uid)
        i++;
    if (!f->apps[i])
        f->apps[i] = pc_app_state_new(&f->plain, uid, 3, seed);
    assert_non_null(f->apps[i]);
    return f->apps[i];
}

static void open_at(struct fixture *f, size_t fail_at)
{
    pusherc_allocator allocator = failing_alloc_init(&f->alloc, fail_at);
    f->mem = pc_mem_make(&allocator);
    pc_directory_init(&f->dir, &f->mem, seed, 3);
    f->match = NULL;
    f->plain = pc_mem_make(NULL);
    memset(f->apps, 0, sizeof f->apps);
}

static void close_fixture(struct fixture *f)
{
    for (size_t i = 0; i < 4; i++)
        pc_app_state_unref(f->apps[i]); /* channels may hold it longer */
    pc_directory_free(&f->dir);
}

static int set_up(void **state)
{
    static struct fixture f;
    open_at(&f, 0);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    close_fixture(f);
    return failing_alloc_live(&f->alloc) == 0 ? 0 : -1;
}

/* The channel with one more subscription; NULL = out of memory. */
static struct pc_channel *occupy(struct fixture *f, uint64_t app, const char *name)
{
    struct pc_shard *shard = pc_directory_lock(&f->dir, app, pc_slice_of(name));
    struct pc_channel *channel =
        pc_shard_get(&f->dir, shard, app_of(f, app), pc_slice_of(name), public, f->match);
    if (channel)
        channel->subscriptions++;
    pc_shard_unlock(shard);
    return channel;
}

static void vacate(struct fixture *f, struct pc_channel *channel)
{
    struct pc_shard *shard = channel->shard;
    pthread_mutex_lock(&shard->mutex);
    channel->subscriptions--;
    pc_channel_settle(&f->dir, channel);
    pc_shard_unlock(shard);
}

static struct pc_channel *find(struct fixture *f, uint64_t app, const char *name)
{
    struct pc_shard *shard = pc_directory_lock(&f->dir, app, pc_slice_of(name));
    struct pc_channel *channel = pc_shard_find(shard, app, pc_slice_of(name));
    pc_shard_unlock(shard);
    return channel;
}

static void a_channel_exists_while_it_has_subscribers(void **state)
{
    struct fixture *f = *state;
    assert_null(find(f, 1, "news"));
    struct pc_channel *channel = occupy(f, 1, "news");
    assert_non_null(channel);
    assert_true(pc_slice_eq(channel->name, PC_S("news")));
    assert_int_equal(channel->app->uid, 1);
    assert_ptr_equal(find(f, 1, "news"), channel);
    assert_ptr_equal(occupy(f, 1, "news"), channel);
    vacate(f, channel);
    assert_ptr_equal(find(f, 1, "news"), channel);
    vacate(f, channel);
    assert_null(find(f, 1, "news"));
    assert_int_equal(pc_directory_occupied(&f->dir), 0);
}

static void apps_do_not_share_channels(void **state)
{
    struct fixture *f = *state;
    struct pc_channel *one = occupy(f, 1, "news"), *two = occupy(f, 2, "news");
    assert_ptr_not_equal(one, two);
    assert_null(find(f, 3, "news"));
    vacate(f, one);
    assert_ptr_equal(find(f, 2, "news"), two);
    vacate(f, two);
}

static void an_event_under_way_keeps_its_channel(void **state)
{
    struct fixture *f = *state;
    struct pc_channel *channel = occupy(f, 1, "news");
    channel->holders = 2;
    vacate(f, channel);
    assert_ptr_equal(find(f, 1, "news"), channel);
    /* held, but without subscribers */
    assert_int_equal(pc_directory_occupied(&f->dir), 0);
    pc_channel_release(&f->dir, channel);
    assert_ptr_equal(find(f, 1, "news"), channel);
    /* a new subscriber joins the same channel */
    assert_ptr_equal(occupy(f, 1, "news"), channel);
    pc_channel_release(&f->dir, channel);
    assert_ptr_equal(find(f, 1, "news"), channel);
    vacate(f, channel);
    assert_null(find(f, 1, "news"));
}

static void the_longest_name_fits(void **state)
{
    struct fixture *f = *state;
    char name[217];
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    memcpy(name, "#server-to-user-", 16);
    struct pc_channel *channel = occupy(f, UINT64_MAX, name);
    assert_int_equal(channel->name.len, 216);
    assert_ptr_equal(find(f, UINT64_MAX, name), channel);
    vacate(f, channel);
}

static void channels_spread_over_shards(void **state)
{
    struct fixture *f = *state;
    size_t used = 0, most = 0;
    for (int i = 0; i < 6400; i++) {
        char name[32];
        snprintf(name, sizeof name, "channel-%d", i);
        assert_non_null(occupy(f, 1, name));
    }
    for (size_t i = 0; i < PC_SHARDS; i++) {
        size_t count = f->dir.shards[i].channels.count;
        used += count > 0;
        most = count > most ? count : most;
    }
    assert_int_equal(used, PC_SHARDS);
    assert_true(most < 200);
    assert_int_equal(pc_directory_occupied(&f->dir), 6400);
    /* what is left is freed with the directory: see tear_down() */
}

static void shards_count_for_themselves(void **state)
{
    struct fixture *f = *state;
    struct pc_channel *channel = occupy(f, 1, "news");
    uint64_t before = channel->shard->number;
    channel->shard->number++;
    for (size_t i = 0; i < PC_SHARDS; i++)
        assert_int_equal(f->dir.shards[i].number,
                         &f->dir.shards[i] == channel->shard ? before + 1 : 0);
    vacate(f, channel);
}

struct visited {
    size_t count;
    char last[64];
};

static void visit(const struct pc_channel *channel, void *ctx)
{
    struct visited *visited = ctx;
    visited->count++;
    snprintf(visited->last, sizeof visited->last, "%.*s", (int)channel->name.len,
             channel->name.ptr);
}

static void a_visit_sees_the_occupied_channels_of_one_app(void **state)
{
    struct fixture *f = *state;
    struct visited visited = {0};
    struct pc_channel *held = occupy(f, 1, "presence-held");
    occupy(f, 1, "presence-room");
    occupy(f, 1, "news");
    occupy(f, 2, "presence-other");
    held->holders = 1;
    vacate(f, held);
    pc_directory_each(&f->dir, app_of(f, 1), PC_S("presence-"), visit, &visited);
    assert_int_equal(visited.count, 1);
    assert_string_equal(visited.last, "presence-room");
    visited = (struct visited){0};
    pc_directory_each(&f->dir, app_of(f, 1), PC_S(""), visit, &visited);
    assert_int_equal(visited.count, 2);
    visited = (struct visited){0};
    pc_directory_each(&f->dir, app_of(f, 3), PC_S(""), visit, &visited);
    assert_int_equal(visited.count, 0);
    pc_channel_release(&f->dir, held);
}

/* Memory that can be closed: a read of it then ends the test. */
#define REGION_BYTES ((size_t)64 << 20)
static struct {
    char *at;
    size_t used;
    bool in_use; /* for what is allocated now */
} region;

static void *region_malloc(size_t size, void *user_data)
{
    (void)user_data;
    if (!region.in_use)
        return malloc(size);
    char *ptr = region.at + region.used;
    region.used += (size + 15) & ~(size_t)15;
    assert_true(region.used <= REGION_BYTES);
    return ptr;
}

static void *region_realloc(void *ptr, size_t size, void *user_data)
{
    (void)ptr, (void)size, (void)user_data;
    return NULL; /* no channel needs it */
}

static void region_free(void *ptr, void *user_data)
{
    (void)user_data;
    if ((char *)ptr < region.at || (char *)ptr >= region.at + REGION_BYTES)
        free(ptr);
}

/* Other apps have 100,000 channels, in memory that a visit of this app's ones may not touch. */
static void a_visit_touches_no_channel_of_another_app(void **state)
{
    pusherc_allocator allocator = {
        .malloc_fn = region_malloc, .realloc_fn = region_realloc, .free_fn = region_free};
    struct fixture f;
    struct visited visited = {0};
    char name[32];
    (void)state;
    open_at(&f, 0);
    f.mem = pc_mem_make(&allocator);
    region.at =
        mmap(NULL, REGION_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(region.at != MAP_FAILED);
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "own-%d", i);
        assert_non_null(occupy(&f, 1, name));
    }
    region.in_use = true;
    for (int i = 0; i < 100000; i++) {
        snprintf(name, sizeof name, "other-%d", i);
        assert_non_null(occupy(&f, 2 + (uint64_t)i % 2, name));
    }
    region.in_use = false;
    assert_int_equal(mprotect(region.at, REGION_BYTES, PROT_NONE), 0);
    pc_directory_each(&f.dir, app_of(&f, 1), PC_S(""), visit, &visited);
    assert_int_equal(visited.count, 100);
    assert_int_equal(mprotect(region.at, REGION_BYTES, PROT_READ | PROT_WRITE), 0);
    close_fixture(&f);
    munmap(region.at, REGION_BYTES);
}

static pusherc_render_verdict render(pusherc_render *unused, void *user_data)
{
    (void)unused;
    (void)user_data;
    return PUSHERC_RENDER_SAME;
}

/* A channel "tickets.42" under a rule "tickets.{id}" that renders. */
static struct pc_channel *occupy_with_views(struct fixture *f, struct pc_rule *rule)
{
    static const char name[] = "tickets.42";
    struct pc_rule_match match = {.rule = rule, .values = {pc_slice(name + 8, 2)}};
    rule->options.render = render;
    rule->param_count = 1;
    f->match = &match;
    struct pc_channel *channel = occupy(f, 1, name);
    f->match = NULL;
    return channel;
}

static void a_rule_that_renders_gives_the_channel_views(void **state)
{
    struct fixture *f = *state;
    struct pc_rule plain = {.param_count = 0}, rendering = {.param_count = 0};
    struct pc_rule_match match = {.rule = &plain};
    f->match = &match;
    struct pc_channel *channel = occupy(f, 1, "news");
    assert_null(channel->views);
    vacate(f, channel);
    match.rule = NULL;
    channel = occupy(f, 1, "news");
    assert_null(channel->views);
    vacate(f, channel);

    channel = occupy_with_views(f, &rendering);
    assert_non_null(channel->views);
    assert_true(pc_slice_eq(channel->views->match.values[0], PC_S("42")));
    /* in the channel's own memory: what was looked up dies with the look-up */
    assert_ptr_equal(channel->views->match.values[0].ptr, channel->name.ptr + 8);
    vacate(f, channel);
}

static void views_are_counted_and_their_places_used_again(void **state)
{
    struct fixture *f = *state;
    struct pc_rule rule = {.param_count = 0};
    struct pc_channel *channel = occupy_with_views(f, &rule);
    uint32_t agent, again, customer, index;
    assert_int_equal(pc_channel_use_view(channel, PC_S("agent"), &agent), 0);
    uint64_t generation = channel->views->generation;
    assert_int_equal(pc_channel_use_view(channel, PC_S("agent"), &again), 0);
    assert_int_equal(agent, again);
    assert_int_equal(channel->views->generation, generation); /* no new view */
    assert_int_equal(pc_channel_use_view(channel, PC_S("customer"), &customer), 0);
    assert_int_not_equal(customer, agent);
    assert_true(channel->views->generation > generation);
    pc_channel_drop_view(channel, agent);
    assert_int_equal(pc_channel_use_view(channel, PC_S("public"), &index), 0);
    assert_int_not_equal(index, agent); /* one of its two still belongs to it */
    pc_channel_drop_view(channel, agent);
    generation = channel->views->generation;
    assert_int_equal(pc_channel_use_view(channel, PC_S("other"), &index), 0);
    assert_int_equal(index, agent);
    assert_true(channel->views->generation > generation);
    vacate(f, channel);
}

static void there_is_a_limit_to_views(void **state)
{
    struct fixture *f = *state;
    struct pc_rule rule = {.param_count = 0};
    struct pc_channel *channel = occupy_with_views(f, &rule);
    char name[PC_MAX_VIEW_NAME + 1];
    uint32_t index;
    memset(name, 'v', sizeof name);
    assert_int_equal(pc_channel_use_view(channel, pc_slice(name, sizeof name), &index),
                     PUSHERC_ELIMIT);
    for (int i = 0; i < PC_MAX_VIEWS; i++) {
        name[0] = (char)('0' + i);
        assert_int_equal(pc_channel_use_view(channel, pc_slice(name, PC_MAX_VIEW_NAME), &index), 0);
    }
    name[0] = 'x';
    assert_int_equal(pc_channel_use_view(channel, pc_slice(name, PC_MAX_VIEW_NAME), &index),
                     PUSHERC_ELIMIT);
    name[0] = '0';
    assert_int_equal(pc_channel_use_view(channel, pc_slice(name, PC_MAX_VIEW_NAME), &index), 0);
    vacate(f, channel);
}

static void without_memory_there_is_no_channel(void **state)
{
    bool failed = true;
    (void)state;
    for (size_t n = 1; failed; n++) {
        struct fixture f;
        open_at(&f, n);
        struct pc_rule rule = {.param_count = 0};
        struct pc_channel *channel = occupy_with_views(&f, &rule);
        failed = failing_alloc_hit(&f.alloc);
        assert_true(failed == (channel == NULL));
        if (channel)
            vacate(&f, channel);
        assert_null(find(&f, 1, "tickets.42"));
        close_fixture(&f);
        assert_int_equal(failing_alloc_live(&f.alloc), 0);
    }
}

#define directory_test(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        directory_test(a_channel_exists_while_it_has_subscribers),
        directory_test(apps_do_not_share_channels),
        directory_test(an_event_under_way_keeps_its_channel),
        directory_test(the_longest_name_fits),
        directory_test(channels_spread_over_shards),
        directory_test(shards_count_for_themselves),
        directory_test(a_visit_sees_the_occupied_channels_of_one_app),
        {"A1: a visit touches no channel of another app", a_visit_touches_no_channel_of_another_app,
         NULL, NULL, NULL},
        directory_test(a_rule_that_renders_gives_the_channel_views),
        directory_test(views_are_counted_and_their_places_used_again),
        directory_test(there_is_a_limit_to_views),
        cmocka_unit_test(without_memory_there_is_no_channel),
    };
    return cmocka_run_group_tests_name("directory", tests, NULL, NULL);
}
