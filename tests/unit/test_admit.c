/* Who may come in: the checks of protocol section 1.3, in their order, the first that fails deciding. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "engine_fixture.h"
#include "session/admit.h"

static struct pc_http_message request_of(const char *path, const char *query)
{
    return (struct pc_http_message){
        .method = PC_S("GET"), .path = pc_slice_of(path), .query = pc_slice_of(query)};
}

static int set_up(void **state)
{
    static struct fx fx;
    fx_open(&fx, 1);
    *state = &fx;
    return 0;
}

static int tear_down(void **state)
{
    struct fx *fx = *state;
    fx_close(fx);
    return failing_alloc_live(&fx->alloc) == 0 ? 0 : -1;
}

/* Both steps, as a connection takes them. */
static enum pc_admit_result try_admit(struct fx *fx, const struct pc_http_message *request,
                                      bool tls, pusherc_slice address, struct pc_admission *out)
{
    enum pc_admit_result result =
        pc_admit_request(fx->engine, request, pc_admit_key(fx->engine, request->path), out);
    if (result == PC_ADMIT_OK)
        result = pc_admit_app(fx->engine, request, tls, address, out);
    if (result == PC_ADMIT_OK) {
        assert_non_null(out->newcomer.app);
        assert_true(pc_slice_eq(out->newcomer.app->key, pc_slice(out->key, out->key_len)));
    } else {
        assert_null(out->newcomer.app);
        pc_app_unref(out->refused_by);
        assert_true((out->code >= 4000 || out->code == 1011) && strlen(out->reason) > 0);
        assert_true(pc_utf8_valid(pc_slice_of(out->reason)));
    }
    return result;
}

/* What was admitted is given back at once. */
static enum pc_admit_result admit(struct fx *fx, const struct pc_http_message *request, bool tls,
                                  struct pc_admission *out)
{
    enum pc_admit_result result = try_admit(fx, request, tls, PC_S(""), out);
    pc_newcomer_free(&out->newcomer);
    return result;
}

static void expect(struct fx *fx, const char *path, const char *query, uint16_t code,
                   const char *reason)
{
    struct pc_http_message request = request_of(path, query);
    struct pc_admission out;
    enum pc_admit_result result = admit(fx, &request, false, &out);
    if (result != (code == 0      ? PC_ADMIT_OK
                   : code == 4001 ? PC_ADMIT_UNKNOWN_APP
                                  : PC_ADMIT_REFUSED) ||
        out.code != code || strcmp(out.reason, reason) != 0)
        fail_msg("%s?%s: %u %s", path, query, out.code, out.reason);
}

static void paths_lead_to_an_app_or_nowhere(void **state)
{
    static const struct {
        const char *path;
        uint16_t code;
        const char *reason;
    } cases[] = {
        {"/app/app-key", 0, ""},
        {"/app/app%2Dkey", 0, ""},
        {"/app/", 4005, "Path not found: it must be /app/{key}"},
        {"/app", 4005, "Path not found: it must be /app/{key}"},
        {"/", 4005, "Path not found: it must be /app/{key}"},
        {"/apps/app-key", 4005, "Path not found: it must be /app/{key}"},
        {"/app/app-key/", 4005, "Path not found: it must be /app/{key}"},
        {"/app/app-key/x", 4005, "Path not found: it must be /app/{key}"},
        {"//app/app-key", 4005, "Path not found: it must be /app/{key}"},
        {"/app/%zz", 4001, "App key %zz does not exist"},
        {"/app/nope", 4001, "App key nope does not exist"},
        {"/app/%ff", 4001, "App key  does not exist"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        expect(*state, cases[i].path, "protocol=7", cases[i].code, cases[i].reason);
}

static void a_long_key_is_shown_cut(void **state)
{
    char path[400] = "/app/", reason[200];
    memset(path + 5, 'k', 200);
    snprintf(reason, sizeof reason, "App key %.80s does not exist", path + 5);
    expect(*state, path, "protocol=7", 4001, reason);
    memset(path + 5, 'k', 255);
    expect(*state, path, "protocol=7", 4001, reason);
    memset(path + 5, 'k', 256);
    expect(*state, path, "protocol=7", 4005, "Path not found: it must be /app/{key}");
}

static void versions_4_to_7_are_spoken(void **state)
{
    static const struct {
        const char *query;
        uint16_t code;
        const char *reason;
    } cases[] = {
        {"protocol=4", 0, ""},
        {"protocol=7", 0, ""},
        {"client=js&protocol=5&version=8.6.0&flash=false", 0, ""},
        {"protocol=3", 4007, "Unsupported protocol version: use 4 to 7"},
        {"protocol=8", 4007, "Unsupported protocol version: use 4 to 7"},
        {"protocol=0", 4007, "Unsupported protocol version: use 4 to 7"},
        {"protocol=x", 4006, "Invalid protocol version: not an integer"},
        {"protocol=-7", 4006, "Invalid protocol version: not an integer"},
        {"protocol=7.0", 4006, "Invalid protocol version: not an integer"},
        {"protocol=99999999999999999999", 4006, "Invalid protocol version: not an integer"},
        {"protocol=3&protocol=7", 4007, "Unsupported protocol version: use 4 to 7"},
        {"", 4008, "No protocol version was given"},
        {"protocol=", 4008, "No protocol version was given"},
        {"xprotocol=7", 4008, "No protocol version was given"},
        {"a&&b=&protocol=6", 0, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        expect(*state, "/app/app-key", cases[i].query, cases[i].code, cases[i].reason);
    struct pc_http_message request = request_of("/app/app-key", "protocol=5");
    struct pc_admission out;
    assert_int_equal(admit(*state, &request, false, &out), PC_ADMIT_OK);
    assert_int_equal(out.newcomer.protocol, 5);
}

/* Of several faults the first in the order of the checks is told. */
static void the_first_fault_decides(void **state)
{
    struct fx *fx = *state;
    pusherc_app_options app = fx_app();
    const char *const origins[] = {"example.org", NULL};
    struct pc_pair origin = {PC_S("Origin"), PC_S("https://other.net")};
    struct pc_http_message request = request_of("/app/app-key", "");
    struct pc_admission out;
    request.fields = &origin;
    request.field_count = 1;
    app.allow_missing_protocol = false;
    app.disabled = true;
    app.tls_only = true;
    app.allowed_origins = origins;
    app.max_connections = 1;
    assert_int_equal(fx_try_put(fx, &app), 0);
    struct pc_app *full = pc_apps_by_id(&fx->engine->apps, PC_S("app-id"));
    assert_true(pc_app_connect(full));
    atomic_store(&fx->engine->clients, 11);
    fx->engine->options.max_connections = 10;

    const struct {
        uint16_t code;
        const char *reason;
    } order[] = {
        {4200, "Server is closing, please reconnect"},
        {4005, "Path not found: it must be /app/{key}"},
        {4006, "Invalid protocol version: not an integer"},
        {4008, "No protocol version was given"},
        {4003, "The app is not enabled"},
        {4000, "The app accepts TLS connections only"},
        {4009, "Origin not allowed"},
        {4004, "The app is over its connection quota"},
        {4100, "The server is over capacity"},
    };
    bool tls = false;
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
        atomic_store(&fx->engine->draining, i == 0);
        request.path = i <= 1 ? PC_S("/nowhere") : PC_S("/app/app-key");
        request.query = i <= 2 ? PC_S("protocol=x") : i == 3 ? PC_S("") : PC_S("protocol=7");
        app.disabled = i <= 4;
        tls = i > 5;
        if (i > 6)
            origin.value = PC_S("https://example.org");
        app.max_connections = i <= 7 ? 1 : 2;
        assert_int_equal(fx_try_put(fx, &app), 0);
        assert_int_equal(admit(fx, &request, tls, &out), PC_ADMIT_REFUSED);
        assert_int_equal(out.code, order[i].code);
        assert_string_equal(out.reason, order[i].reason);
    }
    assert_int_equal(full->state->connections, 1); /* refused clients are not counted */
    atomic_store(&fx->engine->clients, 10);
    assert_int_equal(admit(fx, &request, true, &out), PC_ADMIT_OK);
    pc_app_disconnect(full);
    pc_app_unref(full);
}

static void a_missing_version_may_be_forgiven(void **state)
{
    pusherc_app_options app = fx_app();
    struct pc_http_message request = request_of("/app/app-key", "");
    struct pc_admission out;
    app.allow_missing_protocol = true;
    assert_int_equal(fx_try_put(*state, &app), 0);
    assert_int_equal(admit(*state, &request, false, &out), PC_ADMIT_OK);
    assert_int_equal(out.newcomer.protocol, 7);
    /* only an app can allow a missing protocol: this app does not exist */
    expect(*state, "/app/nope", "", 4008, "No protocol version was given");
}

static void a_prefix_comes_first(void **state)
{
    struct fx *fx = *state;
    const char *none = fx->engine->options.path_prefix;
    pusherc_slice rest;
    fx->engine->options.path_prefix = "/ws/x";
    expect(fx, "/ws/x/app/app-key", "protocol=7", 0, "");
    expect(fx, "/app/app-key", "protocol=7", 4005, "Path not found: it must be /ws/x/app/{key}");
    expect(fx, "/ws/xapp/app-key", "protocol=7", 4005,
           "Path not found: it must be /ws/x/app/{key}");
    expect(fx, "/ws/x", "protocol=7", 4005, "Path not found: it must be /ws/x/app/{key}");
    assert_true(pc_admit_path(fx->engine, PC_S("/ws/x/app/")));
    assert_true(pc_admit_path(fx->engine, PC_S("/ws/x/app/a/b")));
    assert_false(pc_admit_path(fx->engine, PC_S("/ws/x/apps/1")));
    assert_false(pc_admit_path(fx->engine, PC_S("/app/a")));
    assert_true(pc_strip_prefix(fx->engine, PC_S("/ws/x/"), &rest));
    assert_true(pc_slice_eq(rest, PC_S("/")));
    assert_false(pc_strip_prefix(fx->engine, PC_S("/ws/x"), &rest));
    assert_false(pc_strip_prefix(fx->engine, PC_S("/ws/xy"), &rest));
    fx->engine->options.path_prefix = none;
}

/* How many of the address are let in before it is 4004. */
static uint32_t fill(struct fx *fx, const char *key, pusherc_slice address, struct pc_newcomer *in,
                     uint32_t max)
{
    char path[64];
    struct pc_admission out;
    uint32_t n = 0;
    snprintf(path, sizeof path, "/app/%s", key);
    struct pc_http_message request = request_of(path, "protocol=7");
    while (n < max && try_admit(fx, &request, false, address, &out) == PC_ADMIT_OK)
        in[n++] = out.newcomer;
    if (n < max) {
        assert_int_equal(out.code, 4004);
        assert_string_equal(out.reason, "Too many connections from this address");
    }
    return n;
}

static void connections_of_one_address_are_counted(void **state)
{
    struct fx *fx = *state;
    pusherc_app_options app = fx_app(), other = fx_app();
    struct pc_newcomer one[4], two[4], three[4], unknown[4];
    pusherc_slice ipv4 = PC_S("\x7f\0\0\1"), ipv6 = PC_S("\x7f\0\0\1\0\0\0\1");
    app.max_connections_per_ip = 2;
    other.id = "other";
    other.key = "other-key";
    other.max_connections_per_ip = 1;
    assert_int_equal(fx_try_put(fx, &app), 0);
    assert_int_equal(fx_try_put(fx, &other), 0);
    assert_int_equal(fill(fx, "app-key", ipv4, one, 4), 2);
    assert_int_equal(fill(fx, "app-key", ipv6, two, 4), 2);
    assert_int_equal(fill(fx, "other-key", ipv4, three, 4), 1);
    assert_int_equal(fill(fx, "app-key", PC_S(""), unknown, 4), 4); /* no address, no limit */
    /* who goes makes room, and a changed limit counts on */
    pc_newcomer_free(&one[0]);
    assert_int_equal(fill(fx, "app-key", ipv4, one, 4), 1);
    app.max_connections_per_ip = 3;
    assert_int_equal(fx_try_put(fx, &app), 0);
    struct pc_newcomer third[4];
    assert_int_equal(fill(fx, "app-key", ipv4, third, 4), 1);
    struct pc_app_state *live = two[0].app->state;
    assert_int_equal(live->per_address.by_key.count, 2);
    pc_newcomer_free(&one[0]);
    pc_newcomer_free(&one[1]);
    pc_newcomer_free(&third[0]);
    assert_int_equal(live->per_address.by_key.count, 1); /* nothing is kept of who is gone */
    for (size_t i = 0; i < 2; i++)
        pc_newcomer_free(&two[i]);
    for (size_t i = 0; i < 4; i++)
        pc_newcomer_free(&unknown[i]);
    pc_newcomer_free(&three[0]);
    pc_newcomer_free(&three[0]); /* harmless */
}

/* The app's own quota and the server's come after nothing of the address has been taken, or give it back. */
static void a_refused_connection_is_not_counted(void **state)
{
    struct fx *fx = *state;
    pusherc_app_options app = fx_app();
    struct pc_http_message request = request_of("/app/app-key", "protocol=7");
    struct pc_admission first, out;
    app.max_connections = 1;
    app.max_connections_per_ip = 1;
    assert_int_equal(fx_try_put(fx, &app), 0);
    assert_int_equal(try_admit(fx, &request, false, PC_S("a"), &first), PC_ADMIT_OK);
    assert_int_equal(try_admit(fx, &request, false, PC_S("b"), &out), PC_ADMIT_REFUSED);
    assert_string_equal(out.reason, "The app is over its connection quota");
    pc_newcomer_free(&first.newcomer);

    fx->engine->options.max_connections = 0;
    fx->engine->clients = 1;
    assert_int_equal(try_admit(fx, &request, false, PC_S("a"), &out), PC_ADMIT_REFUSED);
    assert_int_equal(out.code, 4100);
    fx->engine->options.max_connections = 1;
    assert_int_equal(try_admit(fx, &request, false, PC_S("a"), &first), PC_ADMIT_OK);
    pc_newcomer_free(&first.newcomer);

    fx->alloc.fail_at = fx->alloc.requests + 1;
    enum pc_admit_result result = try_admit(fx, &request, false, PC_S("a"), &out);
    fx->alloc.fail_at = 0;
    assert_int_equal(result, PC_ADMIT_REFUSED);
}

static void refusals_are_counted_by_what_their_code_means(void **state)
{
    static const struct {
        uint16_t code;
        enum pc_connect_error error;
    } cases[] = {
        {4000, PC_CONNECT_TLS_ONLY},       {4001, PC_CONNECT_UNKNOWN_APP},
        {4003, PC_CONNECT_APP_DISABLED},   {4004, PC_CONNECT_OVER_QUOTA},
        {4005, PC_CONNECT_PATH_NOT_FOUND}, {4006, PC_CONNECT_BAD_VERSION},
        {4007, PC_CONNECT_BAD_VERSION},    {4008, PC_CONNECT_BAD_VERSION},
        {4009, PC_CONNECT_UNAUTHORIZED},   {4100, PC_CONNECT_OVER_CAPACITY},
        {4200, PC_CONNECT_CLOSING},        {1011, PC_CONNECT_OTHER},
        {4002, PC_CONNECT_OTHER},          {4999, PC_CONNECT_OTHER},
    };
    struct fx *fx = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t before = fx->engine->unknown_app.connects[cases[i].error];
        pc_admit_count_error(fx->engine, NULL, cases[i].code);
        if (fx->engine->unknown_app.connects[cases[i].error] != before + 1)
            fail_msg("%u", cases[i].code);
    }
}

static void texts_of_close_codes_fit_a_close_frame(void **state)
{
    (void)state;
#define FITS(name, code, error, text) assert_in_range(sizeof text, 1, 124);
    PC_CLOSE_MAP(FITS)
#undef FITS
    assert_int_equal(pc_close_text(4999).len, 0);
}

#define admit_test(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        admit_test(paths_lead_to_an_app_or_nowhere),
        admit_test(a_long_key_is_shown_cut),
        admit_test(versions_4_to_7_are_spoken),
        admit_test(the_first_fault_decides),
        admit_test(a_missing_version_may_be_forgiven),
        admit_test(a_prefix_comes_first),
        admit_test(connections_of_one_address_are_counted),
        admit_test(a_refused_connection_is_not_counted),
        admit_test(refusals_are_counted_by_what_their_code_means),
        cmocka_unit_test(texts_of_close_codes_fit_a_close_frame),
    };
    return cmocka_run_group_tests_name("admit", tests, NULL, NULL);
}
