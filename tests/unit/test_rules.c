/* Patterns and the table of rules (protocol section 6.3, checks 176 to 178; where Laravel is not followed). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>
#include <pthread.h>

#include <pusherc/error.h>

#include "auth/rules.h"
#include "unit/failing_alloc.h"

static void authorize(pusherc_auth_request *request, void *user_data)
{
    (void)request;
    (void)user_data;
}

static void authorize_batch(pusherc_auth_request *const *requests, size_t count, void *user_data)
{
    (void)requests;
    (void)count;
    (void)user_data;
}

static pusherc_render_verdict render(pusherc_render *r, void *user_data)
{
    (void)r;
    (void)user_data;
    return PUSHERC_RENDER_SAME;
}

struct fixture {
    struct failing_alloc alloc;
    struct pc_mem mem;
    struct pc_rules rules;
};

static struct fixture *make(struct fixture *f, size_t fail_at)
{
    pusherc_allocator allocator = failing_alloc_init(&f->alloc, fail_at);
    f->mem = pc_mem_make(&allocator);
    pc_rules_init(&f->rules, &f->mem);
    return f;
}

static int set_up(void **state)
{
    static struct fixture f;
    *state = make(&f, 0);
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    pc_rules_free(&f->rules);
    return failing_alloc_live(&f->alloc) == 0 ? 0 : -1;
}

static int add(struct fixture *f, const char *app, const char *pattern, uint32_t kinds)
{
    pusherc_rule rule = PUSHERC_RULE_INIT;
    rule.app_id = app;
    rule.pattern = pattern;
    rule.kinds = kinds;
    rule.authorize = authorize;
    return pc_rules_add(&f->rules, &rule, NULL);
}

static const char *winner(struct fixture *f, const char *app, const char *channel)
{
    struct pc_channel_class class;
    assert_true(pc_channel_name_valid(pc_slice_of(channel), 200, &class));
    struct pc_rule_match match =
        pc_rules_find(&f->rules, pc_slice_of(app), pc_slice_of(channel), class.kind);
    return match.rule ? match.rule->options.pattern : "";
}

static bool matches(const char *pattern, const char *subject)
{
    return pc_pattern_matches(pc_slice_of(pattern), pc_slice_of(subject), NULL);
}

/* -- patterns -- */

/* #176 */
static void patterns_match_as_laravel_writes_them(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *subject;
        bool matches;
    } cases[] = {
        {"orders.{id}", "orders.42", true},
        {"orders.{id}", "orders.4-2", true},
        {"orders.{id}", "orders.", false},
        {"orders.{id}", "orders.4.2", false},
        {"orders.{id}", "xorders.42", false},
        {"orders.{id}", "ordersx42", false},
        {"orders.{id}", "orders", false},
        {"orders.{id}", "Orders.1", false},
        {"orders", "orders", true},
        {"orders", "orders2", false},
        {"{a}", "x", true},
        {"{a}", "", false},
        {"{a}.{b}", "x.y", true},
        {"{a}.{b}", "x.y.z", false},
        {"{a}{b}", "xy", true},
        {"{a}{b}", "x", false},
        {"{a}-{b}", "x-y-z", true},
        {"a{x}a", "aa", false},
        {"a{x}a", "aaa", true},
        {"a{x}b.c", "axxb.c", true},
        {"*", "anything", false}, /* everything but {x} is itself */
        {"a+", "aa", false},
        {"App.Models.User.{id}", "App.Models.User.7", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (matches(cases[i].pattern, cases[i].subject) != cases[i].matches)
            fail_msg("%s %s", cases[i].pattern, cases[i].subject);
}

/* F9 */
static void a_last_parameter_may_take_the_rest_of_the_name(void **state)
{
    struct fixture *f = *state;
    assert_true(matches("{name...}", "a.b.c"));
    assert_true(matches("{name...}", "a"));
    assert_false(matches("{name...}", ""));
    assert_true(matches("shop.{rest...}", "shop.1.2"));
    assert_false(matches("shop.{rest...}", "shop."));
    assert_false(matches("shop.{rest...}", "shops.1"));
    /* the least specific of all, and no rival of {name} */
    assert_int_equal(add(f, NULL, "{name...}", 0), 0);
    assert_int_equal(add(f, NULL, "shop.{rest...}", 0), 0);
    assert_int_equal(add(f, NULL, "shop.{id}", 0), 0);
    assert_int_equal(add(f, NULL, "{a}.{b}.{c}.{d}", 0), 0);
    assert_int_equal(add(f, NULL, "{other...}", 0), PUSHERC_EEXIST);
    assert_string_equal(winner(f, "app", "private-shop.1"), "shop.{id}");
    assert_string_equal(winner(f, "app", "private-shop.1.2"), "shop.{rest...}");
    assert_string_equal(winner(f, "app", "private-shop.1.2.3"), "{a}.{b}.{c}.{d}");
    assert_string_equal(winner(f, "app", "presence-room"), "{name...}");
    assert_string_equal(winner(f, "app", "room"), "");
    struct pc_rule_match match = pc_rules_find(
        &f->rules, PC_S("app"), PC_S("private-cache-shop.1.2"), PUSHERC_CHANNEL_PRIVATE);
    assert_true(pc_slice_eq(pc_rule_param(&match, PC_S("rest")), PC_S("1.2")));
}

/* Laravel's expression, the slow way: each {x} as greedy as what follows allows. */
static bool oracle(const char *p, const char *s, pusherc_slice *values)
{
    if (*p == '\0')
        return *s == '\0';
    if (*p != '{')
        return *p == *s && oracle(p + 1, s + 1, values);
    const char *rest = strchr(p, '}') + 1;
    for (size_t n = strcspn(s, "."); n > 0; n--) {
        *values = pc_slice(s, n);
        if (oracle(rest, s + n, values + 1))
            return true;
    }
    return false;
}

static uint32_t next_random(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + 1442695040888963407U;
    return (uint32_t)(*state >> 33);
}

static void random_patterns_agree_with_the_slow_way(void **state)
{
    (void)state;
    static const char *const pieces[] = {"{x}", "{y}", "a", "b", ".", "a.", "-"};
    uint64_t seed = 42;
    unsigned hits = 0;
    for (int round = 0; round < 400000; round++) {
        char pattern[64] = "", subject[32] = "";
        size_t params = 0;
        for (uint32_t n = 1 + next_random(&seed) % 7; n > 0; n--) {
            const char *piece = pieces[next_random(&seed) % 7];
            params += piece[0] == '{';
            strcat(pattern, piece); /* NOLINT: bounded above */
        }
        uint32_t len = next_random(&seed) % 12;
        for (uint32_t i = 0; i < len; i++)
            subject[i] = "aab.-"[next_random(&seed) % 5];
        pusherc_slice expected[8], found[8];
        bool want = oracle(pattern, subject, expected);
        bool got = pc_pattern_matches(pc_slice_of(pattern), pc_slice_of(subject), found);
        if (want != got)
            fail_msg("%s %s: %d", pattern, subject, got);
        for (size_t i = 0; want && i < params; i++)
            if (expected[i].ptr != found[i].ptr || expected[i].len != found[i].len)
                fail_msg("%s %s: parameter %zu is %.*s", pattern, subject, i, (int)found[i].len,
                         found[i].ptr);
        hits += want;
    }
    assert_true(hits > 5000);
}

static void the_worst_pattern_takes_no_time(void **state)
{
    (void)state;
    char pattern[201], subject[201];
    size_t len = 0;
    for (size_t i = 0; i < PUSHERC_RULE_MAX_PARAMS; i++)
        len += (size_t)snprintf(pattern + len, sizeof pattern - len, "a{x%zu}a", i);
    snprintf(pattern + len, sizeof pattern - len, "b");
    memset(subject, 'a', 200);
    subject[200] = '\0';
    clock_t before = clock();
    for (int i = 0; i < 1000; i++)
        assert_false(matches(pattern, subject));
    memset(subject, 'b', 1);
    subject[199] = 'b';
    for (int i = 0; i < 1000; i++)
        assert_false(matches(pattern, subject));
    assert_true((double)(clock() - before) / CLOCKS_PER_SEC < 2.0);
}

static void parameters_have_names(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(add(f, NULL, "a.{one}-{two_2}.{Three}", 0), 0);
    pusherc_slice name = PC_S("private-cache-a.x-y-z.w");
    struct pc_rule_match match =
        pc_rules_find(&f->rules, PC_S("app"), name, PUSHERC_CHANNEL_PRIVATE);
    assert_non_null(match.rule);
    assert_true(pc_slice_eq(pc_rule_param(&match, PC_S("one")), PC_S("x-y")));
    assert_true(pc_slice_eq(pc_rule_param(&match, PC_S("two_2")), PC_S("z")));
    assert_true(pc_slice_eq(pc_rule_param(&match, PC_S("Three")), PC_S("w")));
    assert_int_equal(pc_rule_param(&match, PC_S("four")).len, 0);
}

/* #178, but that "cache-" is not part of what is asked about. */
static void prefixes_are_stripped_once(void **state)
{
    (void)state;
    static const struct {
        const char *channel, *subject;
    } cases[] = {
        {"private-encrypted-x", "x"},
        {"private-x", "x"},
        {"presence-x", "x"},
        {"x", "x"},
        {"private-private-x", "private-x"},
        {"private-cache-x", "x"},
        {"private-encrypted-cache-x", "x"},
        {"presence-cache-x", "x"},
        {"cache-x", "x"},
        {"cache-cache-x", "cache-x"},
        {"cache-private-x", "private-x"},
        {"presence-private-x", "private-x"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (!pc_slice_eq(pc_rule_subject(pc_slice_of(cases[i].channel)),
                         pc_slice_of(cases[i].subject)))
            fail_msg("%s", cases[i].channel);
}

/* -- the table -- */

/* #177: the most specific wins, not the first. */
static void order_of_registration_does_not_matter(void **state)
{
    (void)state;
    static const char *const patterns[] = {"t.{a}.{b}", "t.{a}.edit", "t.7.{b}", "{a}.7.edit",
                                           "t.7.edit"};
    static const struct {
        const char *channel, *winner;
    } cases[] = {
        {"private-t.7.edit", "t.7.edit"},  {"private-t.8.edit", "t.{a}.edit"},
        {"private-t.7.view", "t.7.{b}"},   {"private-u.7.edit", "{a}.7.edit"},
        {"private-t.8.view", "t.{a}.{b}"}, {"private-u.8.view", ""},
    };
    size_t order[5];
    for (unsigned permutation = 0; permutation < 120; permutation++) {
        struct fixture f;
        unsigned rest = permutation;
        size_t left[5] = {0, 1, 2, 3, 4};
        make(&f, 0);
        for (size_t i = 0; i < 5; i++) {
            size_t at = rest % (5 - i);
            rest /= (unsigned)(5 - i);
            order[i] = left[at];
            memmove(left + at, left + at + 1, (4 - at) * sizeof *left);
            assert_int_equal(add(&f, NULL, patterns[order[i]], 0), 0);
        }
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
            if (strcmp(winner(&f, "app", cases[i].channel), cases[i].winner) != 0)
                fail_msg("permutation %u: %s is decided by %s", permutation, cases[i].channel,
                         winner(&f, "app", cases[i].channel));
        pc_rules_free(&f.rules);
    }
}

static void an_apps_own_rule_comes_first(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(add(f, NULL, "t.1", 0), 0);
    assert_int_equal(add(f, "one", "t.{x}", 0), 0);
    assert_string_equal(winner(f, "one", "private-t.1"), "t.{x}");
    assert_string_equal(winner(f, "two", "private-t.1"), "t.1");
    assert_string_equal(winner(f, "two", "private-t.2"), "");
}

static void kinds_are_what_a_rule_says(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(add(f, NULL, "default", 0), 0);
    assert_int_equal(add(f, NULL, "open", PUSHERC_RULE_PUBLIC), 0);
    assert_true(pc_rules_now(&f->rules)->any_public);
    assert_int_equal(add(f, NULL, "open", PUSHERC_RULE_PRIVATE), 0);
    static const struct {
        const char *channel;
        bool covered;
    } cases[] = {
        {"private-default", true},
        {"presence-default", true},
        {"private-encrypted-default", true},
        {"default", false},
        {"cache-default", false},
        {"open", true},
        {"cache-open", true},
        {"private-open", true},
        {"presence-open", false},
        {"#server-to-user-7", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if ((winner(f, "app", cases[i].channel)[0] != '\0') != cases[i].covered)
            fail_msg("%s", cases[i].channel);
}

static void duplicates_are_refused_with_text(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(add(f, NULL, "t.{id}.x", 0), 0);
    assert_int_equal(add(f, NULL, "t.{other}.x", PUSHERC_RULE_PRIVATE), PUSHERC_EEXIST);
    assert_int_equal(add(f, NULL, "t.{id}.x", PUSHERC_RULE_PUBLIC), 0);
    assert_int_equal(add(f, "app", "t.{id}.x", 0), 0);
    assert_int_equal(add(f, "app", "t.{id}.x", 0), PUSHERC_EEXIST);
    assert_int_equal(add(f, NULL, "t.{id}.y", 0), 0);
    pusherc_errinfo info = {0};
    pusherc_rule rule = PUSHERC_RULE_INIT;
    rule.pattern = "t.{a}.y";
    rule.authorize = authorize;
    assert_int_equal(pc_rules_add(&f->rules, &rule, &info), PUSHERC_EEXIST);
    assert_non_null(strstr(info.text, "t.{a}.y"));
    assert_non_null(strstr(info.text, "t.{id}.y"));
}

static void wrong_rules_are_refused_with_text(void **state)
{
    struct fixture *f = *state;
    char nine[64] = "", long_pattern[202];
    for (int i = 0; i < 9; i++)
        snprintf(nine + strlen(nine), sizeof nine - strlen(nine), "{p%d}.", i);
    nine[strlen(nine) - 1] = '\0';
    memset(long_pattern, 'a', 201);
    long_pattern[201] = '\0';
    const char *const patterns[] = {NULL,    "",        "{",          "}",          "{}",
                                    "a{b",   "a}b",     "{a}}",       "{{a}",       "{a b}",
                                    "{a.b}", "{a}.{a}", nine,         long_pattern, "{...}",
                                    "{a..}", "{a...}b", "{a}.{b...}", "{a...}{b}",  "...}"};
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        pusherc_errinfo info = {0};
        pusherc_rule rule = PUSHERC_RULE_INIT;
        rule.pattern = patterns[i];
        rule.authorize = authorize;
        if (pc_rules_add(&f->rules, &rule, &info) != PUSHERC_EINVAL || !info.text[0])
            fail_msg("pattern %zu: %s", i, info.text);
    }
    for (int i = 0; i < 9; i++) {
        pusherc_errinfo info = {0};
        pusherc_rule rule = PUSHERC_RULE_INIT;
        rule.pattern = "t";
        rule.authorize = i == 1 || i == 7 ? NULL : authorize;
        rule.authorize_batch = i == 2 || i == 7 ? authorize_batch : NULL;
        rule.struct_size -= i == 3;
        rule.kinds = i == 4 ? 16 : i == 5 ? PUSHERC_RULE_ENCRYPTED : 0;
        rule.render = i == 5 ? render : NULL;
        rule.gather_ms = i == 6 ? 1 : i == 7 ? 1001 : 0;
        rule.reserved_[0] = i == 8;
        if ((pc_rules_add(&f->rules, &rule, &info) == 0) != (i == 0))
            fail_msg("rule %d: %s", i, info.text);
        if (i == 5)
            assert_non_null(strstr(info.text, "ncrypted"));
    }
}

static void views_leave_encrypted_channels_out(void **state)
{
    struct fixture *f = *state;
    pusherc_rule rule = PUSHERC_RULE_INIT;
    rule.pattern = "t.{x}";
    rule.authorize = authorize;
    rule.render = render;
    assert_int_equal(pc_rules_add(&f->rules, &rule, NULL), 0);
    assert_string_equal(winner(f, "app", "private-t.1"), "t.{x}");
    assert_string_equal(winner(f, "app", "private-encrypted-t.1"), "");
}

/* -- rules that come and go (F9) -- */

/* One name after the other of a small alphabet. */
static bool next_name(char *name, size_t max)
{
    static const char alphabet[] = "ab.";
    for (size_t i = 0; i < max; i++) {
        const char *at = name[i] ? strchr(alphabet, name[i]) : NULL;
        if (!at) {
            name[i] = 'a';
            return true;
        }
        if (at[1]) {
            name[i] = at[1];
            return true;
        }
        name[i] = 'a';
    }
    return false;
}

static void patterns_meet_if_a_name_matches_both(void **state)
{
    (void)state;
    static const char *const patterns[] = {
        "a",    "{x}",      "a.{x}", "{x}.a",       "{x}.{y}", "{x...}",   "a{x...}", "a.{x...}",
        "{x}a", "a{x}{y}b", "b{x}",  "{x}.{y}.{z}", "ab.b",    "b.{x...}", "{x}b{y}", "..{x}"};
    const size_t count = sizeof patterns / sizeof *patterns;
    unsigned met = 0;
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < count; k++) {
            pusherc_slice a = pc_slice_of(patterns[i]), b = pc_slice_of(patterns[k]);
            char name[8] = "";
            bool found = false;
            while (!found && next_name(name, 6))
                found = matches(patterns[i], name) && matches(patterns[k], name);
            if (pc_patterns_meet(a, b) != found)
                fail_msg("%s and %s: a name that both match: %s", patterns[i], patterns[k],
                         found ? name : "none");
            met += found;
        }
    assert_true(met > 50 && met < 200);
}

static void count_frees(void *user_data)
{
    (*(int *)user_data)++;
}

static int put(struct fixture *f, const char *pattern, bool replaces, int *frees, bool views_stay,
               pusherc_render_fn rendering)
{
    struct pc_rule_table *old;
    pusherc_rule rule = PUSHERC_RULE_INIT;
    rule.pattern = pattern;
    rule.authorize = authorize;
    rule.render = rendering;
    rule.user_data = frees;
    rule.free_user_data = frees ? count_frees : NULL;
    rule.replaces = replaces;
    int err = pc_rules_put(&f->rules, &rule, views_stay, &old, NULL);
    pc_rule_table_unref(old);
    return err;
}

static int take_out(struct fixture *f, const char *app, const char *pattern, bool views_stay)
{
    struct pc_rule_table *old;
    int err =
        pc_rules_remove(&f->rules, pc_slice_of(app), pc_slice_of(pattern), views_stay, &old, NULL);
    pc_rule_table_unref(old);
    return err;
}

static void a_rule_stays_as_long_as_it_is_kept(void **state)
{
    struct fixture *f = *state;
    int one = 0, two = 0, refused = 0;
    assert_int_equal(put(f, "t.{a}", false, &one, false, NULL), 0);
    assert_int_equal(put(f, "t.{b}", false, &refused, false, NULL), PUSHERC_EEXIST);
    assert_int_equal(refused, 0); /* still the caller's */
    struct pc_rule_match match =
        pc_rules_find(&f->rules, PC_S("app"), PC_S("private-t.1"), PUSHERC_CHANNEL_PRIVATE);
    struct pc_rule_table *table = pc_rules_take(&f->rules);
    pc_rule_ref(match.rule);
    assert_int_equal(put(f, "t.{b}", true, &two, false, NULL), 0);
    assert_string_equal(winner(f, "app", "private-t.1"), "t.{b}");
    assert_int_equal(pc_rules_now(&f->rules)->count, 1);
    assert_int_equal(table->count, 1); /* as it was */
    pc_rule_table_unref(table);
    assert_int_equal(one, 0);
    pc_rule_unref(match.rule);
    assert_int_equal(one, 1);
    assert_int_equal(take_out(f, "app", "t.{b}", false), PUSHERC_ENOENT);
    assert_int_equal(take_out(f, "", "t.{a}", false), PUSHERC_ENOENT);
    assert_int_equal(take_out(f, "", "t.{b}", false), 0);
    assert_int_equal(two, 1);
    assert_string_equal(winner(f, "app", "private-t.1"), "");
    assert_false(pc_rules_now(&f->rules)->any_public);
}

static void every_kind_of_a_pattern_is_removed(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(add(f, "app", "t", PUSHERC_RULE_PUBLIC), 0);
    assert_int_equal(add(f, "app", "t", PUSHERC_RULE_PRIVATE), 0);
    assert_int_equal(add(f, NULL, "t", PUSHERC_RULE_PRIVATE), 0);
    assert_int_equal(add(f, NULL, "u", PUSHERC_RULE_PUBLIC), 0);
    assert_int_equal(take_out(f, "app", "t", true), 0);
    assert_int_equal(pc_rules_now(&f->rules)->count, 2);
    assert_true(pc_rules_now(&f->rules)->any_public);
    assert_string_equal(winner(f, "app", "private-t"), "t");
    assert_string_equal(winner(f, "app", "t"), "");
}

static void what_renders_stays_while_the_server_runs(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(put(f, "t.{a}", false, NULL, false, render), 0);
    assert_int_equal(put(f, "u.{a}", false, NULL, false, NULL), 0);
    /* another that renders; one that is more specific; one that is less; the same; all the rest */
    assert_int_equal(put(f, "v.{a}", false, NULL, true, render), PUSHERC_ESTATE);
    assert_int_equal(put(f, "t.1", false, NULL, true, NULL), PUSHERC_ESTATE);
    assert_int_equal(put(f, "{a}.{b}", false, NULL, true, NULL), PUSHERC_ESTATE);
    assert_int_equal(put(f, "t.{b}", true, NULL, true, NULL), PUSHERC_ESTATE);
    assert_int_equal(put(f, "{a...}", false, NULL, true, NULL), PUSHERC_ESTATE);
    assert_int_equal(take_out(f, "", "t.{a}", true), PUSHERC_ESTATE);
    assert_int_equal(put(f, "t.{a}.x", false, NULL, true, NULL), 0);
    assert_int_equal(put(f, "u.{b}", true, NULL, true, NULL), 0);
    assert_int_equal(take_out(f, "", "u.{b}", true), 0);
    assert_int_equal(add(f, NULL, "t.2", PUSHERC_RULE_PUBLIC), 0); /* it renders no public names */
    assert_int_equal(take_out(f, "", "t.{a}", false), 0);          /* before the start */
    assert_string_equal(winner(f, "app", "private-t.1"), "");
}

struct readers {
    struct pc_rules rules;
    _Atomic bool over;
    _Atomic unsigned reads;
};

static void *read_rules(void *arg)
{
    struct readers *r = arg;
    while (!atomic_load(&r->over)) {
        struct pc_rule_table *table = pc_rules_take(&r->rules);
        struct pc_rule_match match =
            pc_rule_table_find(table, PC_S("app"), PC_S("private-shop.1"), PUSHERC_CHANNEL_PRIVATE);
        assert_non_null(match.rule); /* one is there at any time */
        assert_int_equal(match.rule->pattern.ptr[0], 's');
        pc_rule_ref(match.rule);
        pc_rule_table_unref(table);
        assert_int_equal(match.rule->pattern.ptr[0], 's');
        pc_rule_unref(match.rule);
        atomic_fetch_add(&r->reads, 1);
    }
    return NULL;
}

static void rules_are_replaced_while_threads_look_them_up(void **state)
{
    static struct readers r;
    struct pc_mem mem = pc_mem_make(NULL);
    pthread_t threads[3];
    int frees = 0;
    (void)state;
    pc_rules_init(&r.rules, &mem);
    pusherc_rule rule = PUSHERC_RULE_INIT;
    rule.pattern = "shop.{id}";
    rule.authorize = authorize;
    rule.replaces = true;
    assert_int_equal(pc_rules_add(&r.rules, &rule, NULL), 0);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_rules, &r), 0);
    rule.pattern = "shop.{other}";
    for (unsigned n = 0; n < 2000 || atomic_load(&r.reads) < 2000; n++)
        assert_int_equal(pc_rules_add(&r.rules, &rule, NULL), 0);
    atomic_store(&r.over, true);
    for (size_t i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    rule.user_data = &frees;
    rule.free_user_data = count_frees;
    assert_int_equal(pc_rules_add(&r.rules, &rule, NULL), 0);
    pc_rules_free(&r.rules);
    assert_int_equal(frees, 1);
}

static void without_memory_a_rule_is_refused(void **state)
{
    (void)state;
    bool failed = true;
    for (size_t n = 1; failed; n++) {
        struct fixture f;
        make(&f, n);
        int err = add(&f, "app", "a.{x}", 0);
        err = err ? err : add(&f, "app", "b.{x}", 0);
        err = err ? err : take_out(&f, "app", "a.{x}", true);
        failed = failing_alloc_hit(&f.alloc);
        assert_int_equal(err, failed ? PUSHERC_ENOMEM : 0);
        pc_rules_free(&f.rules);
        assert_int_equal(failing_alloc_live(&f.alloc), 0);
    }
}

#define with_table(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns_match_as_laravel_writes_them),
        cmocka_unit_test(random_patterns_agree_with_the_slow_way),
        cmocka_unit_test(the_worst_pattern_takes_no_time),
        with_table(a_last_parameter_may_take_the_rest_of_the_name),
        with_table(parameters_have_names),
        cmocka_unit_test(prefixes_are_stripped_once),
        cmocka_unit_test(order_of_registration_does_not_matter),
        with_table(an_apps_own_rule_comes_first),
        with_table(kinds_are_what_a_rule_says),
        with_table(duplicates_are_refused_with_text),
        with_table(wrong_rules_are_refused_with_text),
        with_table(views_leave_encrypted_channels_out),
        cmocka_unit_test(patterns_meet_if_a_name_matches_both),
        with_table(a_rule_stays_as_long_as_it_is_kept),
        with_table(every_kind_of_a_pattern_is_removed),
        with_table(what_renders_stays_while_the_server_runs),
        cmocka_unit_test(rules_are_replaced_while_threads_look_them_up),
        cmocka_unit_test(without_memory_a_rule_is_refused),
    };
    return cmocka_run_group_tests_name("rules", tests, NULL, NULL);
}
