/* 12.5: a rule names what a view does not see, and no function is called. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "auth_fixture.h"
#include "codec/json_without.h"

/* -- what is left of one payload -- */

#define MEMBERS 4

/* left NULL = nothing may be seen; "=" = the same bytes, without a copy. */
struct vector {
    const char *data, *members[MEMBERS], *left;
};

static const struct vector vectors[] = {
    {"{\"id\":7,\"note\":\"x\"}", {"note"}, "{\"id\":7}"},
    {"{\"note\":1,\"id\":[1, {\"note\":2}],\"z\":{\"note\":3}}",
     {"note"},
     "{\"id\":[1, {\"note\":2}],\"z\":{\"note\":3}}"},
    {" { \"a\" : 1.0e5 , \"note\" : null , \"b\" : \"\\u00e4\" } ",
     {"note"},
     "{\"a\":1.0e5,\"b\":\"\\u00e4\"}"},
    /* several names, everything, nothing */
    {"{\"a\":1,\"b\":2,\"c\":3}", {"a", "/c"}, "{\"b\":2}"},
    {"{\"a\":1,\"b\":2}", {"a", "b"}, "{}"},
    {"{\"a\":1,\"b\":2}", {"c", "/a/b", "/b/0", ""}, "="},
    {"{}", {"a"}, "="},
    /* each of one name, however it is written */
    {"{\"note\":1,\"b\":2,\"note\":3}", {"note"}, "{\"b\":2}"},
    {"{\"n\\u006fte\":1,\"b\":2}", {"note"}, "{\"b\":2}"},
    {"{\"\\ud83d\\ude00\":1,\"b\":2}", {"\xf0\x9f\x98\x80"}, "{\"b\":2}"},
    {"{\"Note\":1,\"note \":2,\"not\":3,\"notes\":4}", {"note"}, "="},
    /* further inside */
    {"{\"customer\":{\"name\":\"n\",\"email\":\"e\"},\"email\":\"o\"}",
     {"/customer/email"},
     "{\"customer\":{\"name\":\"n\"},\"email\":\"o\"}"},
    {"{\"a\":{\"b\":{\"c\":{\"d\":1,\"e\":2}}},\"b\":{\"c\":1}}",
     {"/a/b/c/d"},
     "{\"a\":{\"b\":{\"c\":{\"e\":2}}},\"b\":{\"c\":1}}"},
    {"{\"a\":{\"b\":1,\"c\":2},\"d\":3}", {"/a/b", "a"}, "{\"d\":3}"},
    {"{\"a\":{\"b\":1},\"a\":{\"b\":2,\"c\":3}}", {"/a/b"}, "{\"a\":{},\"a\":{\"c\":3}}"},
    {"{\"a\":\"/a/b\",\"b\":null}", {"/a/b", "/b/c"}, "="},
    /* an array stands for its items */
    {"{\"items\":[{\"n\":1,\"price\":2},{\"price\":3},4,[{\"price\":5,\"n\":6}],{\"n\":7}],"
     "\"price\":8}",
     {"/items/price"},
     "{\"items\":[{\"n\":1},{},4,[{\"n\":6}],{\"n\":7}],\"price\":8}"},
    {"{\"a\":[{\"b\":[{\"c\":1},{\"d\":2}]}]}", {"/a/b/c"}, "{\"a\":[{\"b\":[{},{\"d\":2}]}]}"},
    {"{\"a\":[1,2]}", {"/a/0", "/a/1"}, "="},
    /* pointers */
    {"{\"a/b\":1,\"m~n\":2,\"\":3,\"/x\":4,\"c\":5}", {"/a~1b", "/m~0n", "/", "/~1x"}, "{\"c\":5}"},
    {"{\"a/b\":1,\"~1\":2}", {"a/b", "~1"}, "{}"},
    {"{\"~1\":1,\"/\":2}", {"/~01"}, "{\"/\":2}"},
    {"{\"a\":{\"\":1,\"b\":2}}", {"/a/"}, "{\"a\":{\"b\":2}}"},
    /* what is no object shows nothing */
    {"[{\"note\":1}]", {"note"}, NULL},
    {"\"{\\\"note\\\":1}\"", {"note"}, NULL},
    {"note", {"note"}, NULL},
    {"{\"note\":1", {"note"}, NULL},
    {"{\"note\":1}{}", {"note"}, NULL},
    {"\xef\xbb\xbf{\"note\":1}", {"note"}, NULL},
    {"", {"note"}, NULL},
    {"1", {"note"}, NULL},
};

/* -- the rule -- */

static const struct {
    const char *view;
    const char *members[3];
    bool nothing;
} audiences[] = {
    {"agent", {NULL}, false},
    {"customer", {"note", "/from/email"}, false},
    {"shut out", {NULL}, true},
};

/* A rule with these audiences; what it points to is free after it was added. */
static int add_rule(struct ax *ax, const char *pattern, uint32_t kinds)
{
    pusherc_redaction redactions[3] = {PUSHERC_REDACTION_INIT, PUSHERC_REDACTION_INIT,
                                       PUSHERC_REDACTION_INIT};
    pusherc_slice members[3][3];
    for (size_t i = 0; i < 3; i++) {
        redactions[i].view = pc_slice_of(audiences[i].view);
        redactions[i].nothing = audiences[i].nothing;
        redactions[i].members = members[i];
        for (size_t k = 0; k < 3 && audiences[i].members[k]; k++)
            members[i][redactions[i].member_count++] = pc_slice_of(audiences[i].members[k]);
    }
    pusherc_rule rule = ax_rule(ax, pattern);
    rule.kinds = kinds;
    rule.redactions = redactions;
    rule.redaction_count = 3;
    int err = pc_rules_add(&ax->fx.engine->rules, &rule, NULL);
    memset(redactions, 0xff, sizeof redactions);
    memset(members, 0xff, sizeof members);
    return err;
}

static int set_up(void **state)
{
    struct ax *ax = malloc(sizeof *ax);
    REQUIRE(ax);
    ax_open(ax, 2, PUSHERC_AUTH_RULES);
    REQUIRE(add_rule(ax, "t.{x}", 0) == 0);
    ax->answer = AX_ALLOW;
    *state = ax;
    return 0;
}

#define with_views(function) cmocka_unit_test_setup_teardown(function, set_up, ax_tear_down)

static const char *const all_views[] = {"agent", "customer", "shut out", "not listed", NULL};

static void enter_all(struct ax *ax, const char *channel)
{
    for (size_t i = 0; i < 5; i++) {
        char user[4];
        snprintf(user, sizeof user, "u%zu", i);
        ax_connect(ax, i, (uint32_t)(i % 2), user);
        ax->grant.view = pc_slice_of(all_views[i]);
        ax_subscribe(ax, i, channel);
    }
    for (size_t i = 0; i < 5; i++)
        ax_heard(ax, i);
}

/* The data that a client heard, still encoded; "" = it heard nothing. */
static const char *data_of(struct ax *ax, size_t i)
{
    static char text[1024];
    snprintf(text, sizeof text, "%s", ax_heard(ax, i));
    char *data = strstr(text, "\"data\":");
    char *end = data ? strrchr(data, '}') : NULL;
    if (!end)
        return "";
    *end = '\0';
    return data + 7;
}

static void expect_each(struct ax *ax, const char *agent, const char *customer)
{
    assert_string_equal(data_of(ax, 0), agent);
    assert_string_equal(data_of(ax, 1), customer);
    for (size_t i = 2; i < 5; i++)
        assert_string_equal(ax_heard(ax, i), "");
}

/* -- tests -- */

static void members_are_left_out(void **state)
{
    struct ax *ax = *state;
    struct pc_buf out;
    pc_buf_init(&out, &ax->fx.mem, SIZE_MAX);
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        const struct vector *v = &vectors[i];
        pusherc_redaction redaction = PUSHERC_REDACTION_INIT;
        pusherc_slice members[MEMBERS];
        pusherc_rule rule = ax_rule(ax, "a");
        struct pc_redactions *made;
        redaction.view = PC_S("v");
        redaction.members = members;
        for (size_t k = 0; k < MEMBERS && v->members[k] && *v->members[k]; k++)
            members[redaction.member_count++] = pc_slice_of(v->members[k]);
        rule.redactions = &redaction;
        rule.redaction_count = 1;
        assert_int_equal(pc_redactions_new(&made, &ax->fx.mem, &rule, NULL), 0);
        struct pc_json data = pc_json_parse(pc_slice_of(v->data));
        assert_int_equal(data.type == PC_JSON_OBJECT, v->left != NULL);
        if (v->left) {
            const struct pc_redaction *r = pc_redaction_of(made, PC_S("v"));
            pc_buf_clear(&out);
            bool left_out = pc_json_put_without(&out, data, r->paths, r->path_count);
            assert_int_equal(left_out, strcmp(v->left, "=") != 0);
            if (left_out && !pc_slice_eq(pc_buf_slice(&out), pc_slice_of(v->left)))
                fail_msg("%s: %.*s instead of %s", v->data, (int)out.len, out.ptr, v->left);
        }
        pc_free(&ax->fx.mem, made);
    }
    pc_buf_free(&out);
}

static void the_deepest_member_is_left_out(void **state)
{
    struct ax *ax = *state;
    char text[1024], path[200];
    size_t len = 0, path_len = 0;
    struct pc_buf out;
    for (int i = 0; i < PC_JSON_MAX_DEPTH; i++)
        len += (size_t)sprintf(text + len, "{\"a\":");
    len += (size_t)sprintf(text + len, "1");
    memset(text + len, '}', PC_JSON_MAX_DEPTH);
    text[len + PC_JSON_MAX_DEPTH] = '\0';
    for (int i = 0; i < PC_JSON_MAX_DEPTH; i++)
        path_len += (size_t)sprintf(path + path_len, "/a");
    pusherc_redaction redaction = PUSHERC_REDACTION_INIT;
    pusherc_slice member = pc_slice_of(path);
    pusherc_rule rule = ax_rule(ax, "a");
    struct pc_redactions *made;
    redaction.view = PC_S("v");
    redaction.members = &member;
    redaction.member_count = 1;
    rule.redactions = &redaction;
    rule.redaction_count = 1;
    assert_int_equal(pc_redactions_new(&made, &ax->fx.mem, &rule, NULL), 0);
    pc_buf_init(&out, &ax->fx.mem, SIZE_MAX);
    struct pc_json data = pc_json_parse(pc_slice_of(text));
    assert_true(pc_json_put_without(&out, data, made->items[0].paths, 1));
    pc_buf_put_char(&out, '\0');
    assert_null(strchr(out.ptr, '1'));
    assert_non_null(strstr(out.ptr, "{\"a\":{}}"));
    pc_buf_free(&out);
    pc_free(&ax->fx.mem, made);
}

static void each_view_gets_its_own(void **state)
{
    struct ax *ax = *state;
    enter_all(ax, "private-t.1");
    fx_publish(&ax->fx, "private-t.1", "e",
               "{\"id\":1,\"note\":\"n\",\"from\":{\"name\":\"x\",\"email\":\"y\"}}");
    expect_each(ax,
                "\"{\\\"id\\\":1,\\\"note\\\":\\\"n\\\",\\\"from\\\":{\\\"name\\\":\\\"x\\\","
                "\\\"email\\\":\\\"y\\\"}}\"",
                "\"{\\\"id\\\":1,\\\"from\\\":{\\\"name\\\":\\\"x\\\"}}\"");
    fx_publish(&ax->fx, "private-t.1", "e", "{ \"id\" : 2 }"); /* nothing to leave out */
    expect_each(ax, "\"{ \\\"id\\\" : 2 }\"", "\"{ \\\"id\\\" : 2 }\"");
    /* no object: the note may be anywhere in it */
    static const char *const others[][2] = {{"the note", "the note"},
                                            {"[{\"note\":1}]", "[{\\\"note\\\":1}]"},
                                            {"\"note\"", "\\\"note\\\""},
                                            {"17", "17"}};
    for (size_t i = 0; i < 4; i++) {
        char seen[64];
        snprintf(seen, sizeof seen, "\"%s\"", others[i][1]);
        fx_publish(&ax->fx, "private-t.1", "e", others[i][0]);
        expect_each(ax, seen, "");
    }
    assert_int_equal(ax->renders, 0);
}

static void events_of_clients_are_redacted(void **state)
{
    struct ax *ax = *state;
    enter_all(ax, "private-t.1");
    fx_say(&ax->clients[2],
           "{\"event\":\"client-x\",\"channel\":\"private-t.1\",\"data\":{\"a\":1,\"note\":2}}");
    assert_non_null(strstr(data_of(ax, 0), "note"));
    const char *customer = data_of(ax, 1);
    assert_non_null(strstr(customer, "a"));
    assert_null(strstr(customer, "note"));
    for (size_t i = 2; i < 5; i++)
        assert_string_equal(ax_heard(ax, i), "");
}

static void members_infos_are_redacted(void **state)
{
    struct ax *ax = *state;
    ax->grant.user_info_json = PC_S("{\"name\":\"x\",\"note\":\"secret\"}");
    static const struct {
        const char *sees, *sees_not;
    } views[] = {{"secret", "no such"}, {"name", "secret"}, {"{}", "name"}, {"{}", "name"}};
    for (size_t i = 0; i < 4; i++) {
        char user[4];
        snprintf(user, sizeof user, "u%zu", i);
        ax_connect(ax, i, (uint32_t)(i % 2), user);
        ax->grant.view = pc_slice_of(all_views[i]);
        ax_subscribe(ax, i, "presence-t.1");
        const char *roster = ax_heard(ax, i);
        assert_non_null(strstr(roster, "\\\"u0\\\""));
        assert_non_null(strstr(roster, views[i].sees));
        assert_null(strstr(roster, views[i].sees_not));
        for (size_t k = 0; k < i; k++) {
            const char *added = ax_heard(ax, k);
            assert_non_null(strstr(added, "member_added"));
            assert_non_null(strstr(added, views[k].sees));
            assert_null(strstr(added, views[k].sees_not));
        }
    }
}

static void what_a_cache_keeps_is_redacted_for_each_newcomer(void **state)
{
    struct ax *ax = *state;
    struct pc_app *app = pc_apps_by_id(&ax->fx.engine->apps, PC_S("app-id"));
    pusherc_slice name = PC_S("private-cache-t.1");
    struct pc_publication p = {.event = PC_S("tick"),
                               .channels = &name,
                               .channel_count = 1,
                               .data = PC_S("{\"a\":1,\"note\":2}"),
                               .cacheable = true,
                               .now_ms = FX_START_MS};
    assert_int_equal(pc_publish(ax->fx.engine, app, &p), 0);
    for (size_t i = 0; i < 5; i++) {
        ax_connect(ax, i, (uint32_t)(i % 2), "u");
        ax_heard(ax, i);
        ax->grant.view = pc_slice_of(all_views[i]);
        ax_subscribe(ax, i, "private-cache-t.1");
        const char *text = ax_heard(ax, i), *kept = strchr(text, '\n') + 1;
        assert_non_null(strstr(text, "subscription_succeeded"));
        assert_null(strstr(text, "cache_miss"));
        assert_int_equal(strstr(kept, "\\\"a\\\":1") != NULL, i < 2);
        assert_int_equal(strstr(kept, "note") != NULL, i == 0);
    }
    pc_app_unref(app);
}

/* One redaction of one member. */
static int try(struct ax *ax, pusherc_redaction redaction, pusherc_slice member,
               pusherc_errinfo *info)
{
    pusherc_rule rule = ax_rule(ax, "tried");
    redaction.struct_size = sizeof redaction;
    if (member.ptr) {
        redaction.members = &member;
        redaction.member_count = 1;
    }
    rule.redactions = &redaction;
    rule.redaction_count = 1;
    *info = (pusherc_errinfo){0};
    return pc_rules_add(&ax->fx.engine->rules, &rule, info);
}

static void what_is_against_the_rules_is_refused(void **state)
{
    struct ax *ax = *state;
    pusherc_errinfo info;
    char longest[202];
    const pusherc_redaction of_v = {.view = PC_S("v")};
    const pusherc_slice none = {0};
    memset(longest, 'x', sizeof longest);
    assert_int_equal(try(ax, (pusherc_redaction){0}, PC_S("a"), &info), PUSHERC_EINVAL);
    assert_int_equal(try(ax, (pusherc_redaction){.view = {longest, 65}}, none, &info),
                     PUSHERC_EINVAL);
    assert_int_equal(try(ax, (pusherc_redaction){.view = PC_S("\xff")}, none, &info),
                     PUSHERC_EINVAL);
    assert_int_equal(
        try(ax, (pusherc_redaction){.view = PC_S("v"), .nothing = true}, PC_S("a"), &info),
        PUSHERC_EINVAL);
    assert_int_equal(
        try(ax, (pusherc_redaction){.view = PC_S("v"), .member_count = 1}, none, &info),
        PUSHERC_EINVAL);
    assert_int_equal(try(ax, (pusherc_redaction){.view = PC_S("v"), .reserved_ = {1}}, none, &info),
                     PUSHERC_EINVAL);
    const pusherc_slice bad[] = {PC_S(""), PC_S("\xff"), {longest, 201}, PC_S("/a~2"), PC_S("/~")};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(try(ax, of_v, bad[i], &info), PUSHERC_EINVAL);
    assert_string_equal(info.text,
                        "pattern tried, view \"v\": a member is a name or a JSON pointer "
                        "of 1 to 200 bytes of UTF-8");
    assert_int_equal(try(ax, of_v, pc_slice(longest, 200), &info), 0);
    /* beside a function, of one view twice, too many, for what the server cannot read */
    pusherc_redaction many[PUSHERC_RULE_MAX_VIEWS + 1] = {
        {.struct_size = sizeof many[0], .view = PC_S("v")},
        {.struct_size = sizeof many[0], .view = PC_S("v")}};
    pusherc_rule rule = ax_rule(ax, "another");
    rule.redactions = many;
    rule.redaction_count = 2;
    assert_int_equal(pc_rules_add(&ax->fx.engine->rules, &rule, &info), PUSHERC_EINVAL);
    rule.redaction_count = PUSHERC_RULE_MAX_VIEWS + 1;
    assert_int_equal(pc_rules_add(&ax->fx.engine->rules, &rule, &info), PUSHERC_EINVAL);
    rule.redaction_count = 1;
    rule.redactions = NULL;
    assert_int_equal(pc_rules_add(&ax->fx.engine->rules, &rule, &info), PUSHERC_EINVAL);
    rule.redactions = many;
    rule.render = (pusherc_render_fn)abort;
    assert_int_equal(pc_rules_add(&ax->fx.engine->rules, &rule, &info), PUSHERC_EINVAL);
    assert_int_equal(add_rule(ax, "e", PUSHERC_RULE_ENCRYPTED), PUSHERC_EINVAL);
    rule.render = NULL;
    assert_int_equal(pc_rules_add(&ax->fx.engine->rules, &rule, &info), 0);
}

static void encrypted_channels_are_left_out(void **state)
{
    struct ax *ax = *state;
    struct pc_rule_match match =
        pc_rules_find(&ax->fx.engine->rules, PC_S("app-id"), PC_S("private-encrypted-t.1"),
                      PUSHERC_CHANNEL_PRIVATE_ENCRYPTED);
    assert_null(match.rule); /* so no client gets what could not be redacted */
}

static void what_redacts_stays_while_the_server_runs(void **state)
{
    struct ax *ax = *state;
    struct pc_rule_table *old;
    pusherc_redaction redaction = PUSHERC_REDACTION_INIT;
    pusherc_rule rule = ax_rule(ax, "v.7");
    redaction.view = PC_S("v");
    rule.redactions = &redaction;
    rule.redaction_count = 1;
    assert_int_equal(pc_rules_put(&ax->fx.engine->rules, &rule, true, &old, NULL), PUSHERC_ESTATE);
    rule = ax_rule(ax, "t.7");
    assert_int_equal(pc_rules_put(&ax->fx.engine->rules, &rule, true, &old, NULL), PUSHERC_ESTATE);
    assert_int_equal(
        pc_rules_remove(&ax->fx.engine->rules, PC_S(""), PC_S("t.{x}"), true, &old, NULL),
        PUSHERC_ESTATE);
}

/* Either a call fails and no view gets anything, or each gets its own. */
static void without_memory_no_view_sees_more(void **state)
{
    static struct ax ax;
    (void)state;
    bool failed = true;
    for (size_t n = 1; failed; n++) {
        int err = ax_try_open(&ax, 2, PUSHERC_AUTH_RULES, n);
        if (err == 0) {
            err = add_rule(&ax, "t.{x}", 0);
            ax.answer = AX_ALLOW;
            ax.grant.user_info_json = PC_S("{\"note\":\"secret\"}");
        }
        for (size_t i = 0; i < 2 && err == 0; i++)
            err = ax_try_connect(&ax, i, (uint32_t)i, i ? "u1" : "u0");
        if (err == 0) {
            for (size_t i = 0; i < 2; i++) {
                ax.grant.view = pc_slice_of(all_views[i]);
                ax_subscribe(&ax, i, "presence-t.1");
                ax_settle(&ax);
            }
            const char *whole = ax.clients[1].heard;
            assert_true(!whole || !strstr(whole, "secret"));
            size_t before = whole ? strlen(whole) : 0;
            bool hit = failing_alloc_hit(&ax.fx.alloc);
            int sent = fx_publish(&ax.fx, "presence-t.1", "e", "{\"a\":1,\"note\":\"secret\"}");
            assert_true(sent == 0 || sent == PUSHERC_ENOMEM);
            ax_pass(&ax, 1);
            const char *text = ax.clients[1].heard;
            assert_true(!text || !strstr(text, "secret"));
            bool heard = text && strlen(text) > before && strstr(text + before, "\"e\"");
            bool in = whole && !hit && strstr(whole, "subscription_succeeded");
            if (in && sent == 0 && !heard && ax.clients[1].closed == 0)
                fail_msg("request %zu: the event is lost", n);
        }
        failed = failing_alloc_hit(&ax.fx.alloc);
        if (ax.fx.engine)
            ax_close(&ax);
        if (failing_alloc_live(&ax.fx.alloc))
            fail_msg("request %zu: %zu blocks left", n, failing_alloc_live(&ax.fx.alloc));
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        with_views(members_are_left_out),
        with_views(the_deepest_member_is_left_out),
        with_views(each_view_gets_its_own),
        with_views(events_of_clients_are_redacted),
        with_views(members_infos_are_redacted),
        with_views(what_a_cache_keeps_is_redacted_for_each_newcomer),
        with_views(what_is_against_the_rules_is_refused),
        with_views(encrypted_channels_are_left_out),
        with_views(what_redacts_stays_while_the_server_runs),
        cmocka_unit_test(without_memory_no_view_sees_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
