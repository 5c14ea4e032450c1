/* The registry of apps: snapshots, what outlives them, quotas, rates and origins. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "channel/apps.h"
#include "unit/failing_alloc.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static const uint64_t seed[2] = {5, 6};

struct fixture {
    struct failing_alloc alloc;
    struct pc_mem mem;
    struct pc_apps apps;
};

static void open_at(struct fixture *f, size_t fail_at)
{
    pusherc_allocator allocator = failing_alloc_init(&f->alloc, fail_at);
    f->mem = pc_mem_make(&allocator);
    pc_apps_init(&f->apps, &f->mem, seed, 2);
}

static int set_up(void **state)
{
    static struct fixture f;
    if (pc_crypto_init())
        return -1;
    open_at(&f, 0);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    pc_apps_free(&f->apps);
    return failing_alloc_live(&f->alloc) == 0 ? 0 : -1;
}

static pusherc_app_options options_of(const char *id, const char *key)
{
    pusherc_app_options options = PUSHERC_APP_OPTIONS_INIT;
    options.id = id;
    options.key = key;
    options.secret = "secret";
    return options;
}

static void put(struct fixture *f, const pusherc_app_options *options)
{
    assert_int_equal(pc_apps_put(&f->apps, options, 1, NULL), 0);
}

/* Counted. */
static struct pc_app *put_and_get(struct fixture *f, const pusherc_app_options *options)
{
    put(f, options);
    struct pc_app *app = pc_apps_by_id(&f->apps, pc_slice_of(options->id));
    assert_non_null(app);
    return app;
}

static void an_app_is_found_by_id_and_by_key(void **state)
{
    struct fixture *f = *state;
    pusherc_app_options one = options_of("1", "key-1"), two = options_of("2", "key-2");
    put(f, &one);
    put(f, &two);
    struct pc_app *by_id = pc_apps_by_id(&f->apps, PC_S("1"));
    struct pc_app *by_key = pc_apps_by_key(&f->apps, PC_S("key-1"));
    assert_non_null(by_id);
    assert_ptr_equal(by_id, by_key);
    assert_true(pc_slice_eq(by_id->id, PC_S("1")));
    assert_true(pc_slice_eq(by_id->key, PC_S("key-1")));
    assert_null(pc_apps_by_id(&f->apps, PC_S("key-1")));
    assert_null(pc_apps_by_key(&f->apps, PC_S("1")));
    assert_null(pc_apps_by_id(&f->apps, PC_S("3")));
    pc_app_unref(by_id);
    pc_app_unref(by_key);
}

static void what_is_zero_gets_its_default(void **state)
{
    pusherc_app_options options = options_of("1", "k");
    struct pc_app *app = put_and_get(*state, &options);
    const pusherc_app_options *o = &app->options;
    assert_int_equal(o->activity_timeout_ms, 30000);
    assert_int_equal(o->max_connections, PUSHERC_NO_LIMIT);
    assert_int_equal(o->max_channel_name_bytes, 200);
    assert_int_equal(o->max_event_name_bytes, 200);
    assert_int_equal(o->max_event_payload_bytes, 10240);
    assert_int_equal(o->max_event_channels, 100);
    assert_int_equal(o->max_batch_events, 10);
    assert_int_equal(o->max_presence_members, 100);
    assert_int_equal(o->max_user_info_bytes, 2048);
    assert_int_equal(o->max_channels_per_connection, 10000);
    assert_int_equal(o->max_client_events_per_s, 10);
    assert_int_equal(o->max_backend_events_per_s, PUSHERC_NO_LIMIT);
    assert_int_equal(o->max_read_requests_per_s, PUSHERC_NO_LIMIT);
    assert_int_equal(o->max_connections_per_user, PUSHERC_NO_LIMIT);
    assert_int_equal(o->max_connections_per_ip, PUSHERC_NO_LIMIT);
    assert_int_equal(o->max_watchlist_users, 100);
    assert_int_equal(o->user_authentication_timeout_ms, 30000);
    assert_int_equal(o->cache_ttl_s, 1800);
    assert_int_equal(o->offline_delay_ms, 3000);
    assert_null(o->secret); /* borrowed from the host until put returned */
    pc_app_unref(app);
}

/* What is wrong with each is named. */
static void wrong_settings_are_refused_by_name(void **state)
{
    struct fixture *f = *state;
    char long_id[202];
    memset(long_id, 'x', 201);
    long_id[201] = '\0';
    pusherc_app_options good = options_of("1", "k");
    struct {
        pusherc_app_options options;
        const char *named;
    } cases[16];
    for (size_t i = 0; i < LENGTH(cases); i++)
        cases[i].options = good;
    size_t n = 0;
#define CASE(member, value, name)                                                                  \
    do {                                                                                           \
        cases[n].options.member = (value);                                                         \
        cases[n++].named = (name);                                                                 \
    } while (0)
    CASE(id, NULL, "app id");
    CASE(id, "", "app id");
    CASE(id, "a/b", "app id");
    CASE(id, "\xff", "app id");
    CASE(id, long_id, "app id");
    CASE(key, NULL, "app 1: key");
    CASE(key, "a:b", "app 1: key");
    CASE(key, "a/b", "app 1: key");
    CASE(secret, NULL, "app 1: secret");
    CASE(secret, "", "app 1: secret");
    CASE(max_watchlist_users, 101, "app 1: max_watchlist_users");
    CASE(activity_timeout_ms, 999, "app 1: activity_timeout_ms");
    CASE(max_channel_name_bytes, 201, "app 1: max_channel_name_bytes");
    CASE(max_event_channels, 101, "app 1: max_event_channels");
    CASE(max_batch_events, 11, "app 1: max_batch_events");
    CASE(slow_policy, (pusherc_slow_policy)2, "app 1: slow_policy");
#undef CASE
    for (size_t i = 0; i < n; i++) {
        pusherc_errinfo info = {0};
        assert_int_equal(pc_apps_put(&f->apps, &cases[i].options, 1, &info), PUSHERC_EINVAL);
        if (strncmp(info.text, cases[i].named, strlen(cases[i].named)) != 0)
            fail_msg("\"%s\" does not name %s", info.text, cases[i].named);
    }
    assert_null(pc_apps_by_id(&f->apps, PC_S("1")));
    good.activity_timeout_ms = 1000;
    put(f, &good);
}

static const char long_text[4200] = {[0 ... 4198] = 'x'};

static void wrong_webhooks_are_refused_without_telling_their_values(void **state)
{
    struct fixture *f = *state;
    static const char *const urls[] = {
        NULL,         "",           "example.org",       "ftp://a/",      "http://",
        "http:///x",  "http://a b", "http://a/\r\nX: y", "http://a:0/",   "http://a:x/",
        "http://:80", "http://a@/", "http://[::1",       "http://[]:80/", "http://\xc3\xa4/",
        "https//a/",  "file:///a",  "http://a:70000/",   "//a/"};
    static const char *const good_urls[] = {
        "http://a",          "HTTPS://a:8443/x?y=z#w", "http://user:pass@a/", "http://[::1]/",
        "http://[::1]:80/x", "http://127.0.0.1:1",     "http://a?x"};
    static const pusherc_webhook_header headers[] = {{"", "v"},
                                                     {"X Y", "v"},
                                                     {"X:", "v"},
                                                     {NULL, "v"},
                                                     {"X", "a\r\nb"},
                                                     {"X", "a\nb"},
                                                     {"X", "\x7f"},
                                                     {"X", long_text},
                                                     {"Host", "v"},
                                                     {"content-TYPE", "v"},
                                                     {"X-Pusher-Key", "v"},
                                                     {"X-PUSHER-SIGNATURE", "v"},
                                                     {"Transfer-Encoding", "v"},
                                                     {"Connection", "v"},
                                                     {"Expect", "v"}};
    pusherc_app_options options = options_of("1", "k");
    pusherc_webhook hooks[PUSHERC_MAX_WEBHOOKS + 1];
    pusherc_errinfo info;
    f->apps.webhooks = true;
    for (size_t i = 0; i < LENGTH(hooks); i++) {
        hooks[i] = (pusherc_webhook)PUSHERC_WEBHOOK_INIT;
        hooks[i].url = "http://a/";
    }
    options.webhooks = hooks;
    options.webhook_count = 2;
#define REFUSED(begin)                                                                             \
    do {                                                                                           \
        assert_int_equal(pc_apps_put(&f->apps, &options, 1, &info), PUSHERC_EINVAL);               \
        if (strncmp(info.text, begin, strlen(begin)) != 0)                                         \
            fail_msg("\"%s\"", info.text);                                                         \
    } while (0)
    for (size_t i = 0; i < LENGTH(urls); i++) {
        hooks[1].url = urls[i];
        REFUSED("app 1: webhook 2: url must be");
    }
    for (size_t i = 0; i < LENGTH(good_urls); i++) {
        hooks[1].url = good_urls[i];
        put(f, &options);
    }
    for (size_t i = 0; i < LENGTH(headers); i++) {
        hooks[1].headers = &headers[i];
        hooks[1].header_count = 1;
        REFUSED("app 1: webhook 2: headers:");
        assert_null(strstr(info.text, "xxx"));
    }
    hooks[1].header_count = 17;
    REFUSED("app 1: webhook 2: headers: at most 16");
    hooks[1].header_count = 0;
    hooks[1].events = 0x80;
    REFUSED("app 1: webhook 2: events");
    hooks[1].events = 0;
    hooks[1].channel_suffix = long_text;
    REFUSED("app 1: webhook 2: channel_prefix and");
    hooks[1].channel_suffix = NULL;
    hooks[1].struct_size = 0;
    REFUSED(
        "app 1: webhook 2: pusherc_webhook: struct_size is 0: begin with the struct's _INIT macro "
        "or function");
    options.webhook_count = LENGTH(hooks);
    REFUSED("app 1: webhooks: at most 16");
    options.webhook_count = 1;
    options.key = "k\n";
    REFUSED("app 1: webhooks: the key goes into a header");
    options.key = "k";
    f->apps.webhooks = false;
    assert_int_equal(pc_apps_put(&f->apps, &options, 1, &info), PUSHERC_ENOSYS);
    assert_string_equal(info.text,
                        "app 1: webhooks were not compiled in, or there is no libcurl that fits");
#undef REFUSED
}

static void a_key_belongs_to_one_app(void **state)
{
    struct fixture *f = *state;
    pusherc_app_options one = options_of("1", "k1"), two = options_of("2", "k1");
    pusherc_errinfo info = {0};
    put(f, &one);
    assert_int_equal(pc_apps_put(&f->apps, &two, 1, &info), PUSHERC_EEXIST);
    assert_string_equal(info.text, "app 2: the key belongs to app 1");
    two.key = "k2";
    put(f, &two);
    /* and may not be taken by a change either, which then changes nothing */
    two.key = "k1";
    assert_int_equal(pc_apps_put(&f->apps, &two, 1, NULL), PUSHERC_EEXIST);
    struct pc_app *app = pc_apps_by_key(&f->apps, PC_S("k2"));
    assert_true(pc_slice_eq(app->id, PC_S("2")));
    pc_app_unref(app);
}

static void assert_key(struct fixture *f, pusherc_slice id, pusherc_slice key)
{
    struct pc_app *app = pc_apps_by_id(&f->apps, id), *same = pc_apps_by_key(&f->apps, key);
    assert_non_null(app);
    assert_ptr_equal(app, same);
    pc_app_unref(app);
    pc_app_unref(same);
}

static void several_apps_change_at_once_or_not_at_all(void **state)
{
    struct fixture *f = *state;
    pusherc_app_options apps[] = {options_of("1", "k1"), options_of("2", "k2"),
                                  options_of("3", "k3")};
    pusherc_errinfo info = {0};
    assert_int_equal(pc_apps_put(&f->apps, apps, 3, NULL), 0);
    struct pc_app *before = pc_apps_by_id(&f->apps, PC_S("1"));

    /* round in a circle: no order of single changes would do */
    apps[0].key = "k2", apps[1].key = "k3", apps[2].key = "k1";
    assert_int_equal(pc_apps_put(&f->apps, apps, 3, NULL), 0);
    assert_key(f, PC_S("1"), PC_S("k2"));
    assert_key(f, PC_S("2"), PC_S("k3"));
    assert_key(f, PC_S("3"), PC_S("k1"));
    struct pc_app *after = pc_apps_by_id(&f->apps, PC_S("1"));
    assert_ptr_equal(before->state, after->state);
    pc_app_unref(before);
    pc_app_unref(after);

    /* the last one has a key of an app outside */
    pusherc_app_options wrong[] = {options_of("1", "k9"), options_of("4", "k4"),
                                   options_of("5", "k1")};
    assert_int_equal(pc_apps_put(&f->apps, wrong, 3, &info), PUSHERC_EEXIST);
    assert_string_equal(info.text, "app 5: the key belongs to app 3");
    wrong[2] = options_of("4", "k5");
    assert_int_equal(pc_apps_put(&f->apps, wrong, 3, &info), PUSHERC_EEXIST);
    assert_string_equal(info.text, "app 4 is given twice");
    wrong[2] = options_of("6", "k9");
    assert_int_equal(pc_apps_put(&f->apps, wrong, 3, &info), PUSHERC_EEXIST);
    assert_string_equal(info.text, "app 6: the key belongs to app 1");
    wrong[2].secret = "";
    assert_int_equal(pc_apps_put(&f->apps, wrong, 3, &info), PUSHERC_EINVAL);
    assert_int_equal(f->apps.by_id.count, 3);
    assert_int_equal(f->apps.by_key.count, 3);
    assert_key(f, PC_S("1"), PC_S("k2"));
    assert_int_equal(pc_apps_put(&f->apps, NULL, 0, NULL), 0);
}

static void without_memory_none_of_several_apps_changes(void **state)
{
    bool failed = true;
    (void)state;
    for (size_t n = 1; failed; n++) {
        struct fixture f;
        open_at(&f, n);
        pusherc_app_options apps[] = {options_of("1", "k1"), options_of("2", "k2"),
                                      options_of("3", "k3")};
        int first = pc_apps_put(&f.apps, apps, 2, NULL);
        apps[0].key = "k2", apps[1].key = "k1";
        int second = pc_apps_put(&f.apps, apps, 3, NULL);
        failed = failing_alloc_hit(&f.alloc);
        assert_true(failed == (first != 0 || second != 0));
        assert_int_equal(f.apps.by_id.count, second == 0 ? 3 : first == 0 ? 2 : 0);
        assert_int_equal(f.apps.by_key.count, f.apps.by_id.count);
        if (f.apps.by_id.count)
            assert_key(&f, PC_S("1"), second ? PC_S("k1") : PC_S("k2"));
        pc_apps_free(&f.apps);
        assert_int_equal(failing_alloc_live(&f.alloc), 0);
    }
}

static void a_change_replaces_the_snapshot_and_keeps_the_counters(void **state)
{
    struct fixture *f = *state;
    pusherc_app_options options = options_of("1", "old-key");
    struct pc_app *before = put_and_get(f, &options);
    assert_true(pc_app_connect(before));
    options.key = "new-key";
    options.max_connections = 2;
    struct pc_app *after = put_and_get(f, &options);
    assert_ptr_not_equal(before, after);
    assert_ptr_equal(before->state, after->state);
    assert_null(pc_apps_by_key(&f->apps, PC_S("old-key")));
    /* who came under the old settings still counts, and keeps them */
    assert_int_equal(before->options.max_connections, PUSHERC_NO_LIMIT);
    assert_true(pc_app_connect(after));
    assert_false(pc_app_connect(after));
    pc_app_disconnect(before);
    assert_true(pc_app_connect(after));
    pc_app_unref(before);
    pc_app_unref(after);
}

static void a_removed_app_lives_while_it_is_used(void **state)
{
    struct fixture *f = *state;
    pusherc_app_options options = options_of("1", "k");
    struct pc_app *used = put_and_get(f, &options);
    struct pc_app *removed = pc_apps_remove(&f->apps, PC_S("1"));
    assert_ptr_equal(removed, used);
    pc_app_unref(removed);
    assert_null(pc_apps_by_id(&f->apps, PC_S("1")));
    assert_null(pc_apps_by_key(&f->apps, PC_S("k")));
    assert_null(pc_apps_remove(&f->apps, PC_S("1")));
    assert_true(pc_slice_eq(used->key, PC_S("k")));
    /* the same id again is another app to the directory */
    struct pc_app *again = put_and_get(f, &options);
    assert_int_not_equal(again->state->uid, used->state->uid);
    pc_app_unref(again);
    pc_app_unref(used);
    pc_app_unref(NULL);
}

static void connections_are_counted_against_the_quota(void **state)
{
    pusherc_app_options options = options_of("1", "k");
    options.max_connections = 2;
    struct pc_app *app = put_and_get(*state, &options);
    assert_true(pc_app_connect(app));
    assert_true(pc_app_connect(app));
    assert_false(pc_app_connect(app));
    assert_false(pc_app_connect(app));
    assert_int_equal(app->state->connections, 2);
    pc_app_disconnect(app);
    assert_true(pc_app_connect(app));
    pc_app_unref(app);
}

static void rates_are_per_second_and_survive_a_change(void **state)
{
    struct fixture *f = *state;
    pusherc_app_options options = options_of("1", "k");
    options.max_backend_events_per_s = 10;
    options.max_read_requests_per_s = 1;
    struct pc_app *app = put_and_get(f, &options);
    assert_true(pc_app_take_events(app, 10, 5000));
    assert_false(pc_app_take_events(app, 1, 5999));
    assert_true(pc_app_take_read(app, 5000));
    assert_false(pc_app_take_read(app, 5500));
    struct pc_app *changed = put_and_get(f, &options);
    assert_false(pc_app_take_events(changed, 1, 5999));
    assert_true(pc_app_take_events(changed, 4, 6000));
    assert_false(pc_app_take_events(changed, 7, 6000)); /* all or nothing */
    assert_true(pc_app_take_events(changed, 6, 6000));
    assert_true(pc_app_take_read(changed, 6000));
    pc_app_unref(app);
    pc_app_unref(changed);
}

static void without_limits_nothing_is_counted(void **state)
{
    pusherc_app_options options = options_of("1", "k");
    struct pc_app *app = put_and_get(*state, &options);
    for (int i = 0; i < 1000; i++) {
        assert_true(pc_app_take_events(app, UINT32_MAX, 1));
        assert_true(pc_app_take_read(app, 1));
    }
    pc_app_unref(app);
}

static void origins_are_matched_by_host(void **state)
{
    static const struct {
        const char *pattern, *origin;
        bool allowed;
    } cases[] = {
        {"example.org", "https://example.org", true},
        {"example.org", "http://example.org:8080", true},
        {"example.org", "https://EXAMPLE.org", true},
        {"Example.ORG", "https://example.org", true},
        {"example.org", "example.org", true},
        {"example.org", "https://www.example.org", false},
        {"example.org", "https://example.org.evil.net", false},
        {"example.org", "https://evil.net/example.org", false},
        {"example.org", "", false},
        {"*.example.org", "https://www.example.org", true},
        {"*.example.org", "https://a.b.example.org", true},
        {"*.example.org", "https://example.org", false},
        {"*.example.org", "https://evil.net/.example.org", false},
        {"*", "https://anything.net", true},
        {"*", "null", true},
        {"*", "", true}, /* who sends no origin is no browser */
        {"a*b*c", "https://aXbXbXc", true},
        {"a*b*c", "https://aXcXb", false},
        {"localhost", "http://localhost:3000", true},
        {"[::1]", "http://[::1]:3000", true},
        {"[::1]", "http://[::2]:3000", false},
        {"https://example.org", "https://example.org", true},
        {"https://example.org", "http://example.org", false},
        {"https://example.org", "https://example.org:8443", false},
        {"https://example.org:*", "https://example.org:8443", true},
        {"https://example.org/", "https://example.org", true},
        {"example.org/", "https://example.org", true},
        {"https://example.org:443", "https://example.org", true},
        {"http://example.org:80/", "http://example.org", true},
        {"http://example.org:443", "http://example.org:443", true},
        {"capacitor://localhost", "capacitor://localhost", true},
        {"https://[::1]:8443", "https://[::1]:8443", true},
        {"null", "null", true},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        const char *const origins[] = {"other.net", cases[i].pattern, NULL};
        pusherc_app_options options = options_of("1", "k");
        options.allowed_origins = origins;
        struct pc_app *app = put_and_get(*state, &options);
        if (pc_app_allows_origin(app, pc_slice_of(cases[i].origin)) != cases[i].allowed)
            fail_msg("\"%s\" with pattern \"%s\"", cases[i].origin, cases[i].pattern);
        pc_app_unref(app);
    }
}

static void an_origin_that_can_never_fit_is_refused(void **state)
{
    static const struct {
        const char *pattern, *why;
    } cases[] = {
        {"", "there is no host in it"},
        {"https://", "there is no host in it"},
        {"/", "there is no host in it"},
        {"https://a.example/app", "an Origin has no path: leave it out"},
        {"https://a.example/*", "an Origin has no path: leave it out"},
        {"a.example?x", "an Origin has no path: leave it out"},
        {"a.example:8443", "a port needs the scheme before it, as in https://a.example:8443"},
        {"[::1]:80", "a port needs the scheme before it, as in https://a.example:8443"},
        {"wss://a.example", "an Origin begins with http:// or https://"},
        {"https://b\xc3\xbc.example", "browsers send such a host in its form with xn--"},
        {"https://name@a.example", "no Origin has such a character"},
        {"a.example, b.example", "no Origin has such a character"},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < LENGTH(cases); i++) {
        const char *const origins[] = {"other.net", cases[i].pattern, NULL};
        pusherc_app_options options = options_of("1", "k");
        pusherc_errinfo info;
        char text[200];
        options.allowed_origins = origins;
        assert_int_equal(pc_apps_put(&f->apps, &options, 1, &info), PUSHERC_EINVAL);
        snprintf(text, sizeof text, "app 1: allowed_origins: \"%s\" never fits: %s",
                 cases[i].pattern, cases[i].why);
        assert_string_equal(info.text, text);
    }
}

static void without_patterns_any_origin_does(void **state)
{
    pusherc_app_options options = options_of("1", "k");
    struct pc_app *app = put_and_get(*state, &options);
    assert_true(pc_app_allows_origin(app, PC_S("https://anything.net")));
    assert_true(pc_app_allows_origin(app, PC_S("")));
    pc_app_unref(app);
    /* an empty list allows no origin */
    const char *const none[] = {NULL};
    options.allowed_origins = none;
    app = put_and_get(*state, &options);
    assert_false(pc_app_allows_origin(app, PC_S("https://anything.net")));
    pc_app_unref(app);
}

static void an_origin_is_scheme_host_and_port(void **state)
{
    static const struct {
        const char *origin, *host;
        bool https, own;
    } cases[] = {
        {"http://a.example", "a.example", false, true},
        {"http://a.example", "A.Example:80", false, true},
        {"HTTP://a.example:80", "a.example", false, true},
        {"http://a.example:8080", "a.example:8080", false, true},
        {"https://a.example", "a.example", true, true},
        {"https://a.example", "a.example:443", true, true},
        {"https://a.example:443", "a.example", true, true},
        {"https://[::1]:8443", "[::1]:8443", true, true},
        {"https://[::1]", "[::1]", true, true},
        {"http://a.example", "a.example", true, false}, /* written on the way */
        {"https://a.example", "a.example", false, false},
        {"http://a.example:443", "a.example", true, false},
        {"https://a.example:80", "a.example", true, false},
        {"https://a.example", "a.example:80", true, false},
        {"http://a.example:8080", "a.example", false, false},
        {"http://a.example", "a.example:8080", false, false},
        {"http://evil-a.example", "a.example", false, false},
        {"http://a.example.evil", "a.example", false, false},
        {"http://evil/a.example", "a.example", false, false},
        {"http://user@a.example", "a.example", false, false},
        {"xhttp://a.example", "a.example", false, false},
        {"a.example", "a.example", false, false},
        {"null", "null", false, false},
        {"", "", false, false},
        {"http://", "", false, false},
        {"http://[::1]", "[::2]", false, false},
    };
    (void)state;
    for (size_t i = 0; i < LENGTH(cases); i++)
        if (pc_origin_is_own(pc_slice_of(cases[i].origin), cases[i].https,
                             pc_slice_of(cases[i].host)) != cases[i].own)
            fail_msg("\"%s\" at \"%s\"", cases[i].origin, cases[i].host);
}

static void without_memory_the_old_settings_stay(void **state)
{
    const char *const origins[] = {"a.org", "*.b.org", NULL};
    pusherc_webhook_header header = {"X-A", "b"};
    pusherc_webhook hook = PUSHERC_WEBHOOK_INIT;
    bool failed = true;
    (void)state;
    hook.url = "http://a/", hook.headers = &header, hook.header_count = 1;
    for (size_t n = 1; failed; n++) {
        struct fixture f;
        open_at(&f, n);
        pusherc_app_options options = options_of("1", "k1");
        pusherc_errinfo info = {0};
        options.allowed_origins = origins;
        f.apps.webhooks = true;
        options.webhooks = &hook;
        options.webhook_count = 1;
        int first = pc_apps_put(&f.apps, &options, 1, &info);
        assert_true(first == 0 || first == PUSHERC_ENOMEM);
        if (first)
            assert_string_equal(info.text, "app 1: out of memory");
        options.key = "k2";
        options.max_connections = 7;
        int second = pc_apps_put(&f.apps, &options, 1, NULL);
        failed = failing_alloc_hit(&f.alloc);
        assert_true(failed == (first != 0 || second != 0));
        struct pc_app *app = pc_apps_by_id(&f.apps, PC_S("1"));
        assert_true((app != NULL) == (first == 0 || second == 0));
        if (app) {
            assert_true(pc_slice_eq(app->key, second ? PC_S("k1") : PC_S("k2")));
            struct pc_app *by_key = pc_apps_by_key(&f.apps, app->key);
            assert_ptr_equal(app, by_key);
            assert_null(pc_apps_by_key(&f.apps, second ? PC_S("k2") : PC_S("k1")));
            pc_app_unref(by_key);
        }
        pc_app_unref(app);
        pc_apps_free(&f.apps);
        assert_int_equal(failing_alloc_live(&f.alloc), 0);
    }
}

#define app_test(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        app_test(an_app_is_found_by_id_and_by_key),
        app_test(what_is_zero_gets_its_default),
        app_test(wrong_settings_are_refused_by_name),
        app_test(wrong_webhooks_are_refused_without_telling_their_values),
        app_test(a_key_belongs_to_one_app),
        app_test(several_apps_change_at_once_or_not_at_all),
        app_test(a_change_replaces_the_snapshot_and_keeps_the_counters),
        app_test(a_removed_app_lives_while_it_is_used),
        app_test(connections_are_counted_against_the_quota),
        app_test(rates_are_per_second_and_survive_a_change),
        app_test(without_limits_nothing_is_counted),
        app_test(origins_are_matched_by_host),
        app_test(an_origin_that_can_never_fit_is_refused),
        app_test(without_patterns_any_origin_does),
        cmocka_unit_test(an_origin_is_scheme_host_and_port),
        cmocka_unit_test(without_memory_none_of_several_apps_changes),
        cmocka_unit_test(without_memory_the_old_settings_stay),
    };
    return cmocka_run_group_tests_name("app", tests, NULL, NULL);
}
