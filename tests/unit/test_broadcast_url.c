/* Settings of a broadcaster, and the environment that they are made of. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <pusherc/error.h>

#include "broadcast/url.h"
#include "pusherc/broadcast.h"
#include "unit/failing_alloc.h"

static const char *const kinds[] = {"http", "redis", "local", "log", "null", "host", "failover"};

/* What was read, or "- " and why not. */
static const char *read_setting(const char *text)
{
    static char out[2048];
    const struct pc_mem mem = pc_mem_make(NULL);
    struct pc_broadcast_url url;
    const char *why;
    size_t len;
    if (pc_broadcast_url_parse(&url, &mem, pc_slice_of(text), &why)) {
        snprintf(out, sizeof out, "- %s", why);
        return out;
    }
    len = (size_t)snprintf(out, sizeof out, "%s%s", kinds[url.kind], url.tls ? " tls" : "");
    const struct {
        const char *name;
        pusherc_slice value;
    } parts[] = {{"user", url.user}, {"password", url.password}, {"app", url.app_id},
                 {"path", url.path}, {"prefix", url.prefix},     {"rest", url.rest}};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if (parts[i].value.len)
            len += (size_t)snprintf(out + len, sizeof out - len, " %s=%.*s", parts[i].name,
                                    (int)parts[i].value.len, parts[i].value.ptr);
    for (size_t i = 0; i < url.host_count; i++)
        len += (size_t)snprintf(
            out + len, sizeof out - len, url.hosts[i].is_ipv6 ? " [%.*s]:%u" : " %.*s:%u",
            (int)url.hosts[i].name.len, url.hosts[i].name.ptr, (unsigned)url.hosts[i].port);
    if (url.db)
        len += (size_t)snprintf(out + len, sizeof out - len, " db=%u", (unsigned)url.db);
    if (url.no_keys)
        len += (size_t)snprintf(out + len, sizeof out - len, " no keys");
    if (url.has_master_key)
        snprintf(out + len, sizeof out - len, " master=%.32s", (const char *)url.master_key);
    pc_broadcast_url_free(&url);
    return out;
}

static void each_form_is_read(void **state)
{
    static const struct {
        const char *text, *read;
    } rows[] = {
        {"pusher://key:secret@localhost:6001/app-id?scheme=http",
         "http user=key password=secret app=app-id localhost:6001"},
        {"pusher://key:secret@example.com/3",
         "http tls user=key password=secret app=3 example.com:443"},
        {"reverb://k:s@a,b:8080,[::1]:9/3?scheme=http&path=/ws",
         "http user=k password=s app=3 path=/ws a:80 b:8080 [::1]:9"},
        {"pusher://k:s@/3", "http tls user=k password=s app=3 api-mt1.pusher.com:443"},
        {"pusher://k:s@/3?cluster=eu&idempotency=off",
         "http tls user=k password=s app=3 api-eu.pusher.com:443 no keys"},
        {"https://k:s@h/apps/3", "http tls user=k password=s app=3 h:443"},
        {"http://k:s@h:81/ws/x/apps/a%20b", "http user=k password=s app=a b path=/ws/x h:81"},
        {"pusher://k:%40%3a%2F@h/3", "http tls user=k password=@:/ app=3 h:443"},
        {"pusher://k:s:t@u@h/3", "http tls user=k password=s:t@u app=3 h:443"},
        {"pusher://k:s@h/3?encryption_master_key=YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE%3D",
         "http tls user=k password=s app=3 h:443 master=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},
        {"redis://localhost", "redis localhost:6379"},
        {"redis://:pass@r:1,q/2?prefix=my-app-database-",
         "redis password=pass prefix=my-app-database- r:1 q:6379 db=2"},
        {"rediss://u:p@r", "redis tls user=u password=p r:6379"},
        {"redis+sentinel://:p@s,t:1/main", "redis password=p s:26379 t:1"},
        {"rediss+sentinel://s/main/2?sentinel_password=q", "redis tls s:26379 db=2"},
        {"local:app-id", "local app=app-id"},
        {"log:", "log"},
        {"null:", "null"},
        {"host:", "host"},
        {"failover:log:,null:", "failover rest=log:,null:"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_string_equal(read_setting(rows[i].text), rows[i].read);
}

static void what_is_wrong_is_said_without_the_secret(void **state)
{
    static const char *const wrong[] = {
        "",
        "pusher",
        "ftp://k:hush@h/3",
        "pusher://h/3",
        "pusher://k@h/3",
        "pusher://:hush@h/3",
        "pusher://k%3Al:hush@h/3",
        "pusher://k:hush@h",
        "pusher://k:hush@h/",
        "pusher://k:hush@h/3/4",
        "pusher://k:hush@h:0/3",
        "pusher://k:hush@h:65536/3",
        "pusher://k:hush@h:x/3",
        "pusher://k:hush@h h/3",
        "pusher://k:hush@[::1/3",
        "pusher://k:hush@[::1]x/3",
        "pusher://k:hush@a,a,a,a,a,a,a,a,a/3",
        "pusher://k:hush%0a@h/3",
        "pusher://k:hush%@h/3",
        "pusher://k:hush%4@h/3",
        "pusher://k:hush@h/%00",
        "pusher://k:hush@h/3?scheme=ftp",
        "pusher://k:hush@h/3?speed=1",
        "pusher://k:hush@h/3?path=ws",
        "pusher://k:hush@h/3?path=/ws/",
        "pusher://k:hush@h/3?encryption_master_key=hush",
        "pusher://k:hush@h/3?idempotency=maybe",
        "pusher://k:hush@/3?cluster=a/b",
        "reverb://k:hush@/3",
        "https://k:hush@h/3",
        "https://k:hush@h/apps/3?scheme=http",
        "redis://",
        "redis://h/x",
        "redis://h/70000",
        "redis://h?cluster=1",
        "redis://h?ca_file=/f",
        "redis://h?sentinel_password=hush",
        "redis+sentinel://h",
        "redis+sentinel://h/main/x",
        "local:",
        "log:file",
        "failover:",
    };
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        const char *read = read_setting(wrong[i]);
        if (read[0] != '-')
            print_error("accepted: %s\n", wrong[i]);
        assert_int_equal(read[0], '-');
        assert_null(strstr(read, "hush"));
    }
}

static void a_list_is_cut_where_a_setting_begins(void **state)
{
    pusherc_slice list = PC_S("pusher://k:s@redis:1,redis:2/a,redis://h,log:"), one;
    (void)state;
    assert_true(pc_broadcast_url_next(&list, &one));
    assert_true(pc_slice_eq(one, PC_S("pusher://k:s@redis:1,redis:2/a")));
    assert_true(pc_broadcast_url_next(&list, &one));
    assert_true(pc_slice_eq(one, PC_S("redis://h")));
    assert_true(pc_broadcast_url_next(&list, &one));
    assert_true(pc_slice_eq(one, PC_S("log:")));
    assert_false(pc_broadcast_url_next(&list, &one));
}

static void memory_that_runs_out_is_an_error(void **state)
{
    struct failing_alloc alloc;
    const pusherc_allocator allocator = failing_alloc_init(&alloc, 1);
    const struct pc_mem mem = pc_mem_make(&allocator);
    struct pc_broadcast_url url;
    const char *why;
    (void)state;
    assert_int_equal(pc_broadcast_url_parse(&url, &mem, PC_S("log:"), &why), PUSHERC_ENOMEM);
    assert_int_equal(failing_alloc_live(&alloc), 0);
}

/* -- the environment: names and values with ';' between them -- */

static const char *look_up(const char *name, void *user_data)
{
    static char value[256];
    const char *at = user_data;
    size_t len = strlen(name);
    while (at) {
        if (strncmp(at, name, len) == 0 && at[len] == '=') {
            snprintf(value, sizeof value, "%.*s", (int)strcspn(at + len + 1, ";"), at + len + 1);
            return value;
        }
        at = strchr(at, ';');
        at = at ? at + 1 : NULL;
    }
    return NULL;
}

static const char *setting_of(const char *environment)
{
    static char out[512];
    pusherc_errinfo info = {0};
    int err = pusherc_broadcast_url(look_up, (void *)environment, out, sizeof out, NULL, &info);
    if (err)
        snprintf(out, sizeof out, "%s: %s", pusherc_err_name(err), info.text);
    return out;
}

#define REVERB "REVERB_APP_ID=1;REVERB_APP_KEY=k;REVERB_APP_SECRET=s/;"
#define PUSHER "PUSHER_APP_ID=2;PUSHER_APP_KEY=p;PUSHER_APP_SECRET=t;"

static void names_of_laravel_pusher_reverb_and_soketi_make_a_setting(void **state)
{
    static const struct {
        const char *environment, *setting;
    } rows[] = {
        {"BROADCAST_URL=log:;BROADCAST_CONNECTION=null", "log:"},
        {"BROADCAST_CONNECTION=null;" REVERB, "null:"},
        {"BROADCAST_DRIVER=log;" REVERB, "log:"},
        {"BROADCAST_CONNECTION=log;BROADCAST_DRIVER=null", "log:"},
        {"BROADCAST_CONNECTION=local:shop", "local:shop"},
        {"BROADCAST_CONNECTION=reverb;" REVERB PUSHER
         "REVERB_HOST=localhost;REVERB_PORT=8080;REVERB_SCHEME=http",
         "pusher://k:s%2F@localhost:8080/1?scheme=http"},
        {"BROADCAST_CONNECTION=pusher;" REVERB PUSHER "PUSHER_APP_CLUSTER=eu",
         "pusher://p:t@/2?scheme=https&cluster=eu"},
        {"BROADCAST_CONNECTION=pusher;" PUSHER "PUSHER_HOST=;PUSHER_PORT=;PUSHER_SCHEME=",
         "pusher://p:t@/2?scheme=https"},
        {"BROADCAST_CONNECTION=pusher;" PUSHER
         "PUSHER_HOST=::1;PUSHER_PORT=6001;PUSHER_SCHEME=http",
         "pusher://p:t@[::1]:6001/2?scheme=http"},
        {"BROADCAST_CONNECTION=pusher;PUSHER_URL=https://k:s@h/apps/1", "https://k:s@h/apps/1"},
        {REVERB PUSHER, "pusher://k:s%2F@127.0.0.1/1?scheme=https"},
        {PUSHER "PUSHER_HOST=h", "pusher://p:t@h/2?scheme=https"},
        {"SOKETI_DEFAULT_APP_ID=a;SOKETI_DEFAULT_APP_KEY=b;SOKETI_DEFAULT_APP_SECRET=c",
         "pusher://b:c@127.0.0.1:6001/a?scheme=http"},
        {"BROADCAST_CONNECTION=redis", "redis://127.0.0.1:6379/0?prefix=laravel-database-"},
        {"BROADCAST_CONNECTION=redis;APP_NAME=My Äpp_2!;REDIS_PASSWORD=null",
         "redis://127.0.0.1:6379/0?prefix=my-pp-2-database-"},
        {"BROADCAST_CONNECTION=redis;REDIS_HOST=r;REDIS_PORT=1;REDIS_DB=2;REDIS_USERNAME=u;"
         "REDIS_PASSWORD=p@;REDIS_PREFIX=my_app_database_",
         "redis://u:p%40@r:1/2?prefix=my_app_database_"},
        {"BROADCAST_CONNECTION=redis;REDIS_URL=redis://h;REDIS_PREFIX=", "redis://h?prefix="},
        {"", "ENOENT: none of BROADCAST_URL, BROADCAST_CONNECTION, REVERB_APP_KEY, PUSHER_APP_KEY, "
             "PUSHER_URL, SOKETI_DEFAULT_APP_KEY is set"},
        {"BROADCAST_CONNECTION=reverb", "EINVAL: REVERB_APP_KEY is not set"},
        {"BROADCAST_CONNECTION=pusher;PUSHER_APP_KEY=p", "EINVAL: PUSHER_APP_SECRET is not set"},
        {"BROADCAST_CONNECTION=ably", "EINVAL: BROADCAST_CONNECTION is \"ably\": there are reverb, "
                                      "pusher, redis, log, null, and "
                                      "settings such as pusher://..."},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_string_equal(setting_of(rows[i].environment), rows[i].setting);
}

static void a_setting_that_does_not_fit_says_what_it_needs(void **state)
{
    char out[8] = "xyz";
    size_t len = 0;
    (void)state;
    char environment[] = "BROADCAST_CONNECTION=null";
    assert_int_equal(pusherc_broadcast_url(look_up, environment, out, 5, &len, NULL),
                     PUSHERC_ENOBUFS);
    assert_int_equal(len, 6);
    assert_string_equal(out, "xyz");
    assert_int_equal(pusherc_broadcast_url(NULL, NULL, out, 4, &len, NULL), PUSHERC_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_form_is_read),
        cmocka_unit_test(what_is_wrong_is_said_without_the_secret),
        cmocka_unit_test(a_list_is_cut_where_a_setting_begins),
        cmocka_unit_test(memory_that_runs_out_is_an_error),
        cmocka_unit_test(names_of_laravel_pusher_reverb_and_soketi_make_a_setting),
        cmocka_unit_test(a_setting_that_does_not_fit_says_what_it_needs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
