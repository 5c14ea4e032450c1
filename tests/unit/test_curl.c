/* 12.4: which libcurl is used, and which certificates it is told to trust. */
#include "net/curl.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <pusherc/error.h>

#include "engine_fixture.h"
#include "net/fetch.h"

static struct pc_curl real(void)
{
    struct pc_curl curl;
    if (!pc_curl_load(&curl))
        skip();
    return curl;
}

/* -- libcurls of our own making, of other systems and versions -- */

static CURLcode compiled_for_elsewhere(CURL *easy, CURLINFO info, ...)
{
    va_list list;
    va_start(list, info);
    void *out = va_arg(list, void *);
    va_end(list);
    if (info == CURLINFO_CAINFO)
        *(const char **)out = "/compiled/for/elsewhere.pem";
    else
        return real().easy_getinfo(easy, info, out);
    return CURLE_OK;
}

static char trusted[200]; /* what CURLOPT_CAINFO was set to */

/* All arguments of this function are as wide as a pointer here. */
static CURLcode note_ca_file(CURL *easy, CURLoption option, ...)
{
    va_list list;
    va_start(list, option);
    void *value = va_arg(list, void *);
    va_end(list);
    if (option == CURLOPT_CAINFO)
        (void)snprintf(trusted, sizeof trusted, "%s", (const char *)value);
    return real().easy_setopt(easy, option, value);
}

static curl_version_info_data version = {
    .version_num = 0x075700, .features = CURL_VERSION_ASYNCHDNS | CURL_VERSION_THREADSAFE};

static curl_version_info_data *some_version(CURLversion age)
{
    (void)age;
    return &version;
}

/* -- certificates -- */

static void put(const char *root, const char *path)
{
    char whole[200];
    (void)snprintf(whole, sizeof whole, "%s%s", root, path);
    for (char *slash = strchr(whole + strlen(root) + 1, '/'); slash;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(whole, 0700);
        *slash = '/';
    }
    close(open(whole, O_CREAT | O_WRONLY, 0600));
}

static void the_authorities_of_the_system_are_found(void **state)
{
    struct pc_curl curl = real();
    char root[] = "/tmp/pusherc-curl-XXXXXX", command[64];
    (void)state;
    assert_non_null(mkdtemp(root));
    curl.easy_getinfo = compiled_for_elsewhere;
    assert_null(pc_curl_ca_file(&curl, root)); /* there is none */
    put(root, "/etc/ssl/cert.pem");
    assert_string_equal(pc_curl_ca_file(&curl, root), "/etc/ssl/cert.pem");
    put(root, "/etc/pki/tls/certs/ca-bundle.crt"); /* the earlier in the list counts */
    assert_string_equal(pc_curl_ca_file(&curl, root), "/etc/pki/tls/certs/ca-bundle.crt");
    put(root, "/compiled/for/elsewhere.pem"); /* not needed: libcurl's own is there */
    assert_null(pc_curl_ca_file(&curl, root));
    (void)snprintf(command, sizeof command, "rm -r %s", root);
    assert_int_equal(system(command), 0);
}

struct fetching {
    struct pc_mem mem;
    struct pc_engine engine;
    struct pc_loop loop;
    struct pc_fetcher *fetcher;
    int done;
};

static void on_done(void *user, void *ctx, const struct pc_fetch_result *result)
{
    struct fetching *f = user;
    (void)ctx;
    assert_non_null(result->error);
    f->done++;
}

static int open_all(struct fetching *f, const struct pc_curl *curl, const char *ca_file)
{
    pusherc_server_options limits = fx_limits();
    int sys;
    *f = (struct fetching){.mem = pc_mem_make(NULL)};
    const struct pc_fetcher_options options = {
        .ca_file = ca_file, .curl = curl, .max_under_way = 1, .done = on_done, .user = f};
    assert_int_equal(pc_engine_init(&f->engine, &f->mem, &limits, 1, FX_START_MS), 0);
    assert_int_equal(pc_loop_init(&f->loop, &f->engine.workers[0], NULL, &sys), 0);
    assert_int_equal(pc_loop_start(&f->loop, &sys), 0);
    const struct pc_fetcher_home home = {f->loop.uv, &f->engine.mem, &f->engine.log, &f->loop};
    return pc_fetcher_new(&f->fetcher, &home, &options);
}

static void close_all(struct fetching *f)
{
    pc_fetcher_free(f->fetcher);
    pc_loop_stop(&f->loop, 0);
    while (!f->loop.ended)
        pc_loop_poll(&f->loop, 10);
    pc_loop_free(&f->loop);
    pc_engine_free(&f->engine);
}

static void libcurl_is_told_which_file_to_trust(void **state)
{
    static const char *const files[] = {NULL, "/of/the/host.pem"};
    struct pc_curl curl = real();
    (void)state;
    curl.easy_getinfo = compiled_for_elsewhere;
    curl.easy_setopt = note_ca_file;
    for (size_t i = 0; i < 2; i++) {
        struct fetching f;
        const char *usual = pc_curl_ca_file(&curl, "");
        const struct pc_fetch_request request = {
            .method = "GET", .url = "http://127.0.0.1:1/", .timeout_ms = 10000, .ctx = &f};
        trusted[0] = '\0';
        assert_int_equal(open_all(&f, &curl, files[i]), 0);
        assert_non_null(pc_fetch_begin(f.fetcher, &request));
        while (!f.done)
            pc_loop_poll(&f.loop, 10);
        assert_string_equal(trusted, files[i] ? files[i] : usual ? usual : "");
        close_all(&f);
    }
}

/* -- which libcurl -- */

static void a_libcurl_that_does_not_fit_is_not_used(void **state)
{
    struct pc_curl curl = real();
    const curl_version_info_data fit = version;
    (void)state;
    curl.version_info = some_version;
    for (int i = 0; i < 4; i++) {
        struct fetching f;
        version = fit;
        if (i == 1)
            version.version_num--;
        else if (i == 2)
            version.features &= ~CURL_VERSION_ASYNCHDNS;
        else if (i == 3)
            version.features &= ~CURL_VERSION_THREADSAFE;
        assert_int_equal(open_all(&f, &curl, NULL), i == 0 ? 0 : PUSHERC_ENOSYS);
        close_all(&f);
    }
    version = fit;
}

#ifdef PC_WITH_CURL_DLOPEN
static void a_library_without_its_functions_is_none(void **state)
{
    struct pc_curl curl;
    (void)state;
    assert_false(pc_curl_load_from(&curl, "libpusherc-no-such.so.4"));
    assert_false(pc_curl_load_from(&curl, "libm.so.6"));
}
#endif

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_authorities_of_the_system_are_found),
        cmocka_unit_test(libcurl_is_told_which_file_to_trust),
        cmocka_unit_test(a_libcurl_that_does_not_fit_is_not_used),
#ifdef PC_WITH_CURL_DLOPEN
        cmocka_unit_test(a_library_without_its_functions_is_none),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
