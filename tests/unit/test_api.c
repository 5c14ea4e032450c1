/* The HTTP API without sockets: paths, methods, signatures, health pages (protocol sections 4.4, 5.1, 5.9, 5.10).
 * Numbers in comments are the checks of the protocol's appendix B. */
#include "unit/api_fixture.h"

#include <pusherc/hooks.h>

#include "api/auth.h"
#include "api/call.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))
#define DOC_KEY       "278d425bdf160c739803"
#define DOC_SECRET    "7ad3773142a6692b25b8"
#define GO_KEY        "d41a439c438a100756f5"
#define GO_SECRET     "4bf35003e819bb138249"

#define A           "auth_key=app-key&auth_timestamp=1700000000&auth_version=1.0"
#define V18_GO_PART "auth_key=" GO_KEY "&auth_timestamp=1427036787&auth_version=1.0"
#define V20_BODY    "{\"name\":\"order.paid\",\"channel\":\"orders\",\"data\":\"{\\\"id\\\":42}\"}"
#define V20_MD5     "&body_md5=551b225ac63d7bcdc1beaa7cef1287d7"

/* -- signatures -- */

struct vector {
    const char *id, *method, *path, *query; /* as sent, without auth_signature */
    const char *body, *signature;
    const char *answer; /* of a 200 */
};

static void send_vector(struct api_fixture *f, const struct vector *v)
{
    char query[1000];
    snprintf(query, sizeof query, "%s&auth_signature=%s", v->query, v->signature);
    api_send(f, v->method, v->path, query, pc_slice_of(v->body));
}

/* The apps of other people's vectors. */
static void put_foreign_apps(struct api_fixture *f)
{
    pusherc_app_options options = api_app();
    options.id = "3";
    options.key = DOC_KEY;
    options.secret = DOC_SECRET;
    api_put(f, &options);
    options.id = "102015";
    options.key = GO_KEY;
    options.secret = GO_SECRET;
    api_put(f, &options);
}

/* 135, 140, 141, 142, 143 */
static void vectors_are_verified(void **state)
{
    static const struct vector vectors[] = {
        {"V20", "POST", "/apps/app-id/events", A V20_MD5, V20_BODY,
         "2177714a5e2585840555dd17a397da73cc0c1b7d0fb4b040ecb4b0a66969446b", "{}"},
        {"V21", "POST", "/apps/app-id/events", A "&body_md5=1db5d9c32dae323cbecb1839a38b1106",
         "{\"name\":\"order.paid\",\"channels\":[\"presence-room.1\",\"orders\"],"
         "\"data\":\"{\\\"id\\\":42}\",\"socket_id\":\"1234.5678\","
         "\"info\":\"user_count,subscription_count\"}",
         "871fd6955b4d5c86de4a8af63e89e54304f3ed1d71a73ab34f7cb6da3d17afac",
         "{\"channels\":{\"presence-room.1\":{\"user_count\":1,\"subscription_count\":2},"
         "\"orders\":{\"subscription_count\":1}}}"},
        {"V22", "POST", "/apps/app-id/batch_events", A "&body_md5=2fe2452cb2191150a8d12b1f6196a7d2",
         "{\"batch\":[{\"name\":\"a\",\"channel\":\"orders\",\"data\":\"1\"},"
         "{\"name\":\"b\",\"channel\":\"presence-room.1\",\"data\":\"{}\","
         "\"info\":\"user_count\"}]}",
         "2d9cec6af9f76ef852cfb003bbd0dab4acc1ce6d262fbc19d62f16b71139cb8f",
         "{\"batch\":[{},{\"user_count\":1}]}"},
        {"V23", "GET", "/apps/app-id/channels", A "&filter_by_prefix=presence-&info=user_count", "",
         "fd5a1b38d92aee2b7913a8cf43136cffab888ee5a097536910d6239f08eb68a2",
         "{\"channels\":{\"presence-room.1\":{\"user_count\":1}}}"},
        {"V24", "GET", "/apps/app-id/channels/presence-room.1",
         A "&info=user_count,subscription_count", "",
         "7ab088552e22c529b7b0350198784bdd4882eb19b620675d46e99649e0d50ae8",
         "{\"occupied\":true,\"user_count\":1,\"subscription_count\":2}"},
        {"V24 encoded", "GET", "/apps/app-id/channels/presence-room.1",
         A "&info=user_count%2Csubscription_count", "",
         "7ab088552e22c529b7b0350198784bdd4882eb19b620675d46e99649e0d50ae8",
         "{\"occupied\":true,\"user_count\":1,\"subscription_count\":2}"},
        {"V24 as PHP sends an array", "GET", "/apps/app-id/channels/presence-room.1",
         A "&info%5B0%5D=user_count&info%5B1%5D=subscription_count", "",
         "7ab088552e22c529b7b0350198784bdd4882eb19b620675d46e99649e0d50ae8",
         "{\"occupied\":true,\"user_count\":1,\"subscription_count\":2}"},
        {"V25 as Ruby does", "GET", "/apps/app-id/channels/presence-room.1",
         A "&info[]=user_count&info[]=subscription_count", "",
         "81ea79dbef1dc696aa154bc6e0d02b82ef1b4b4266a1a4c08f3a500c2c4358fd",
         "{\"occupied\":true,\"user_count\":1,\"subscription_count\":2}"},
        {"V26", "GET", "/apps/app-id/channels/presence-room.1/users", A, "",
         "7bc0254938a148f98700cc8bc497604373a953c884ab5f968656a2bd0133ac0e",
         "{\"users\":[{\"id\":\"7\"}]}"},
        {"V27 as Python does", "GET", "/apps/app-id/channels",
         A "&body_md5=d41d8cd98f00b204e9800998ecf8427e", "",
         "6a2f213f5ea86fd2cc8f4e738bac95efd868e894a2ab76d0e89393b2999b70ad", NULL},
        {"V28", "POST", "/apps/app-id/users/7/terminate_connections",
         A "&body_md5=99914b932bd37a50b983c5e7c90ae93b", "{}",
         "a67ca993f19242f0b373641a830ea80f251b4558fe3b9295bfbd5d566720951b", "{}"},
        {"lower-casing", "POST", "/apps/app-id/events", "Zeta=1&" A V20_MD5, V20_BODY,
         "9f0e45cf049bbf939f91c45df6127ebf33f4246b0e2d0b87859e464b90e81dc1", "{}"},
        {"unescaping", "GET", "/apps/app-id/channels",
         A "&filter_by_prefix=presence-%40a%2Cb%3Bc%3D", "",
         "60c7e7949df9ff577c7619db7df7550a175c2a8ace4df3a4abb337ac5bee7592", "{\"channels\":{}}"},
    };
    static const struct vector foreign[] = {
        {"V16", "POST", "/apps/3/events",
         "auth_key=" DOC_KEY "&auth_timestamp=1353088179&auth_version=1.0"
         "&body_md5=ec365a775a4cd0599faeb73354201b6f",
         "{\"name\":\"foo\",\"channels\":[\"project-3\"],\"data\":\"{\\\"some\\\":\\\"data\\\"}\"}",
         "da454824c97ba181a32ccc17a72625ba02771f50b50e1e7430e47a1f3f457e6c", "{}"},
        {"V17", "GET", "/apps/102015/channels",
         "auth_key=" GO_KEY "&auth_timestamp=1427034994&auth_version=1.0"
         "&filter_by_prefix=presence-&info=user_count",
         "", "4d8a02edcc8a758b0162cd6da690a9a45fb8ae326a276dca1e06a0bc42796c11",
         "{\"channels\":{}}"},
        {"V18", "GET", "/apps/102015/channels", V18_GO_PART, "",
         "df89248f87f6e6d028925e0b04d60f316527a865992ace6936afa91281d8bef0", "{\"channels\":{}}"},
    };
    struct api_fixture *f = *state;
    api_join(f, 0, "presence-room.1", "7");
    api_join(f, 1, "presence-room.1", "7");
    api_join(f, 1, "orders", NULL);
    for (size_t i = 0; i < LENGTH(vectors); i++) {
        send_vector(f, &vectors[i]);
        api_expect_status(f, 200, vectors[i].answer ? vectors[i].answer : f->body, vectors[i].id);
        assert_string_equal(f->reply.content_type, "application/json");
    }
    put_foreign_apps(f);
    for (size_t i = 0; i < LENGTH(foreign); i++) {
        f->unix_time_s = i == 0 ? 1353088179 : 1427034994;
        if (i == 2)
            f->unix_time_s = 1427036787;
        send_vector(f, &foreign[i]);
        api_expect_status(f, 200, foreign[i].answer, foreign[i].id);
    }
}

/* 136, 137, 139, 145 */
static void a_wrong_signature_is_401_and_publishes_nothing(void **state)
{
    static const char good[] = "2177714a5e2585840555dd17a397da73cc0c1b7d0fb4b040ecb4b0a66969446b";
    static const struct {
        const char *query, *signature, *body, *text;
    } cases[] = {
        {"auth_timestamp=1700000000&auth_version=1.0" V20_MD5, good, V20_BODY,
         "Missing parameter: auth_key"},
        {"auth_key=app-key&auth_version=1.0" V20_MD5, good, V20_BODY, "Timestamp required"},
        {"auth_key=app-key&auth_timestamp=1700000000" V20_MD5, good, V20_BODY, "Version required"},
        {A V20_MD5, NULL, V20_BODY, "Missing parameter: auth_signature"},
        {"auth_key=nobody&auth_timestamp=1700000000&auth_version=1.0" V20_MD5, good, V20_BODY,
         "Unknown auth_key"},
        {"auth_key=" DOC_KEY "&auth_timestamp=1700000000&auth_version=1.0" V20_MD5, good, V20_BODY,
         "Unknown auth_key"},
        {"auth_key=app-key&auth_timestamp=1700000000&auth_version=2.0" V20_MD5, good, V20_BODY,
         "Version not supported"},
        {"auth_key=app-key&auth_timestamp=now&auth_version=1.0" V20_MD5, good, V20_BODY, NULL},
        {A V20_MD5, "2177714a5e2585840555dd17a397da73cc0c1b7d0fb4b040ecb4b0a66969446c", V20_BODY,
         "Invalid signature: you should have sent HmacSHA256Hex(\"POST\\n/apps/app-id/events\\n" A
             V20_MD5 "\", your_secret_key), but you sent "
         "\"2177714a5e2585840555dd17a397da73cc0c1b7d0fb4b040ecb4b0a66969446c\""},
        {A V20_MD5, "2177714A5E2585840555DD17A397DA73CC0C1B7D0FB4B040ECB4B0A66969446B", V20_BODY,
         NULL},
        {A V20_MD5, good, V20_BODY " ", "Invalid body_md5: it is not the MD5 of the body received"},
        {A, good, V20_BODY, NULL},
        {A V20_MD5, "", V20_BODY, NULL},
        {"", good, V20_BODY, "Missing parameter: auth_key"},
    };
    struct api_fixture *f = *state;
    api_join(f, 0, "orders", NULL);
    put_foreign_apps(f);
    for (size_t i = 0; i < LENGTH(cases); i++) {
        char query[1000];
        snprintf(query, sizeof query, cases[i].signature ? "%s&auth_signature=%s" : "%s",
                 cases[i].query, cases[i].signature);
        api_send(f, "POST", "/apps/app-id/events", query, pc_slice_of(cases[i].body));
        api_expect_error(f, 401, cases[i].text ? cases[i].text : f->body, cases[i].query);
        if (cases[i].signature != good)
            assert_null(strstr(f->body, good));
    }
    assert_string_equal(api_received(f, 0), "");
    api_send(f, "POST", "/apps/app-id/events",
             A V20_MD5 "&auth_signature=2177714a5e2585840555dd"
                       "17a397da73cc0c1b7d0fb4b040ecb4b0a66969446b",
             PC_S(V20_BODY));
    api_expect_json(f, "{}");
    assert_string_not_equal(api_received(f, 0), "");
}

/* 138 */
static void a_timestamp_is_accepted_within_ten_minutes(void **state)
{
    static const struct {
        int64_t skew;
        int status;
    } cases[] = {{0, 200},   {590, 200},  {-590, 200}, {600, 200},
                 {601, 401}, {-601, 401}, {86400, 401}};
    struct api_fixture *f = *state;
    for (size_t i = 0; i < LENGTH(cases); i++) {
        const struct vector v = {"V27",
                                 "GET",
                                 "/apps/app-id/channels",
                                 A "&body_md5=d41d8cd98f00b204e9800998ecf8427e",
                                 "",
                                 "6a2f213f5ea86fd2cc8f4e738bac95efd868e894a2ab76d0e89393b2999b70ad",
                                 NULL};
        f->unix_time_s = (uint64_t)((int64_t)API_NOW + cases[i].skew);
        send_vector(f, &v);
        assert_int_equal(f->reply.status, cases[i].status);
    }
    assert_non_null(strstr(f->body, "Timestamp expired: Given timestamp (1700000000) not within "
                                    "600s of server time (1700086400)"));
}

/* 144 */
static void the_prefix_may_be_signed_or_not(void **state)
{
    struct api_fixture *f = *state;
    api_close(f);
    api_open(f, "/pusher");
    char query[500];
    const pusherc_credentials credentials = {
        .struct_size = sizeof credentials, .key = PC_S("app-key"), .secret = PC_S("app-secret")};
    static const char *const signed_paths[] = {"/apps/app-id/channels",
                                               "/pusher/apps/app-id/channels"};
    for (size_t i = 0; i < LENGTH(signed_paths); i++) {
        assert_int_equal(pusherc_sign_request(&credentials, "GET", signed_paths[i], NULL, 0,
                                              PC_S(""), API_NOW, query, sizeof query, NULL),
                         0);
        api_send(f, "GET", "/pusher/apps/app-id/channels", query, PC_S(""));
        api_expect_json(f, "{\"channels\":{}}");
        /* paths that are not below the prefix are the host's, whatever is signed */
        api_send(f, "GET", "/apps/app-id/channels", query, PC_S(""));
        assert_int_equal(f->result, PC_API_NOT_OURS);
        assert_int_equal(f->reply.status, 404);
    }
    api_send(f, "GET", "/pusher/up", "", PC_S(""));
    api_expect_json(f, "{\"health\":\"OK\"}");
    api_send(f, "GET", "/pusherup", "", PC_S(""));
    assert_int_equal(f->result, PC_API_NOT_OURS);
    api_send(f, "GET", "/up", "", PC_S(""));
    assert_int_equal(f->result, PC_API_NOT_OURS);
}

/* What is signed is the path as sent; what is looked up is the path decoded. */
static void names_in_paths_are_decoded_after_the_signature(void **state)
{
    struct api_fixture *f = *state;
    pusherc_app_options options = api_app();
    options.id = "my app";
    options.key = "other-key";
    api_put(f, &options);
    api_join(f, 0, "presence-a=b", "7");
    api_join(f, 0, "#server-to-user-7", NULL);

    api_get(f, "/apps/app%2Did/channels/presence-a%3Db", NULL);
    api_expect_json(f, "{\"occupied\":true}");
    api_get(f, "/apps/app-id/channels/presence-a%3Db/users", NULL);
    api_expect_json(f, "{\"users\":[{\"id\":\"7\"}]}");
    api_get(f, "/apps/app-id/channels/%23server-to-user-7", NULL);
    api_expect_json(f, "{\"occupied\":true}");
    api_get(f, "/apps/app-id/channels/a%2Fusers", NULL);
    api_expect_error(f, 400,
                     "Invalid channel name: \"a/users\" (allowed are A-Z a-z 0-9 _ - = @ , . ;).",
                     "encoded slash");
    api_get(f, "/apps/app-id/channels/a%0a", NULL);
    api_expect_error(f, 400,
                     "Invalid channel name: \"a?\" (allowed are A-Z a-z 0-9 _ - = @ , . ;).",
                     "encoded line feed");
    api_get(f, "/apps/app-id/channels/a%ff%00", NULL);
    api_expect_error(f, 400,
                     "Invalid channel name: \"a??\" (allowed are A-Z a-z 0-9 _ - = @ , . ;).",
                     "no UTF-8");
    /* the app is found under its decoded id, and has another key */
    api_get(f, "/apps/my%20app/channels", NULL);
    api_expect_error(f, 401, "Unknown auth_key", "app id");
}

/* -- paths, methods, apps -- */

/* 161 */
static void unknown_paths_are_not_ours_and_404(void **state)
{
    static const char *const paths[] = {
        "/nothing",
        "/apps",
        "/apps/",
        "/apps/app-id",
        "/apps/app-id/",
        "/apps/app-id/event",
        "/apps/app-id/events/",
        "/apps//events",
        "/apps/app-id/channels/",
        "/apps/app-id/channels//",
        "/apps/app-id/channels/a/b",
        "/apps/app-id/channels/a/users/7",
        "//",
        "",
        "*",
        "/ready/",
        "/Ready",
        "/apps/app-id/events/x",
        "/app/app-key",
        "apps/app-id/events",
    };
    static const char *const methods[] = {"GET", "POST", "BREW"};
    struct api_fixture *f = *state;
    for (size_t i = 0; i < LENGTH(paths); i++) {
        for (size_t m = 0; m < LENGTH(methods); m++) {
            api_send(f, methods[m], paths[i], "", PC_S(""));
            assert_int_equal(f->result, PC_API_NOT_OURS);
            api_expect_error(f, 404, "There is nothing here: the API begins with /apps/{app id}/.",
                             paths[i]);
        }
        /* a browser that asks first hears that with its request */
        api_send(f, "OPTIONS", paths[i], "", PC_S(""));
        api_expect_status(f, 204, "", paths[i]);
        f->host_has_pages = true;
        api_send(f, "OPTIONS", paths[i], "", PC_S(""));
        assert_int_equal(f->result, PC_API_NOT_OURS);
        f->host_has_pages = false;
    }
}

/* 161: before the signature is looked at, so that a typing error is seen as what it is */
static void wrong_methods_are_405_with_allow(void **state)
{
    static const struct {
        const char *method, *path, *allow;
    } cases[] = {
        {"GET", "/apps/app-id/events", "POST, OPTIONS"},
        {"HEAD", "/apps/app-id/events", "POST, OPTIONS"},
        {"PUT", "/apps/app-id/events", "POST, OPTIONS"},
        {"DELETE", "/apps/app-id/batch_events", "POST, OPTIONS"},
        {"GET", "/apps/app-id/channels/a/events", "POST, OPTIONS"},
        {"POST", "/apps/app-id/channels", "GET, HEAD, OPTIONS"},
        {"POST", "/apps/app-id/channels/a", "GET, HEAD, OPTIONS"},
        {"POST", "/apps/app-id/channels/a/users", "GET, HEAD, OPTIONS"},
        {"POST", "/apps/app-id/connections", "GET, HEAD, OPTIONS"},
        {"POST", "/up", "GET, HEAD, OPTIONS"},
        {"POST", "/ready", "GET, HEAD, OPTIONS"},
        {"get", "/ready", "GET, HEAD, OPTIONS"},
        {"POST", "/", "GET, HEAD, OPTIONS"},
    };
    struct api_fixture *f = *state;
    for (size_t i = 0; i < LENGTH(cases); i++) {
        api_send(f, cases[i].method, cases[i].path, "", PC_S(""));
        assert_int_equal(f->result, PC_API_REPLY);
        api_expect_error(f, 405, f->body, cases[i].path);
        api_expect_field(f, "Allow", cases[i].allow);
    }
}

/* A host that is asked for apps. */
static pusherc_app_request *asked;
static unsigned times_asked;

static void take_question(pusherc_app_request *request, void *user_data)
{
    (void)user_data;
    asked = request;
    times_asked++;
}

static void ask_host(struct api_fixture *f)
{
    f->engine->hooks.find_app = take_question;
    f->may_wait = true;
    times_asked = 0;
}

/* 161 */
static void unknown_apps_are_asked_for_once(void **state)
{
    struct api_fixture *f = *state;
    ask_host(f);
    api_get(f, "/apps/n%6fbody/channels", NULL);
    assert_int_equal(f->result, PC_API_PENDING);
    assert_true(pc_slice_eq(pusherc_app_request_id(asked), PC_S("nobody")));
    assert_int_equal(pusherc_app_request_key(asked).len, 0);
    assert_int_equal(pusherc_app_answer(asked, NULL), 0);
    api_run_mail(f);
    assert_int_equal(f->result, PC_API_REPLY);
    api_expect_error(
        f, 404,
        "The app \"nobody\" could not be found: the path must have the app's id, not its key.",
        "app");
    assert_int_equal(times_asked, 1);

    /* what cannot be an id is not asked for */
    char path[3000] = "/apps/";
    for (size_t i = 0; i < 201; i++)
        strcat(path, "%61");
    strcat(path, "/channels");
    api_get(f, path, NULL);
    assert_int_equal(f->result, PC_API_REPLY);
    assert_int_equal(f->reply.status, 404);
    assert_int_equal(times_asked, 1);
}

/* The request goes on where it stood: its signature is checked, and its handler runs. */
static void an_app_that_the_host_puts_is_served_by_the_request_that_waits(void **state)
{
    struct api_fixture *f = *state;
    pusherc_app_options late = api_app();
    late.id = "late";
    late.key = "late-key";
    ask_host(f);
    api_get(f, "/apps/late/channels", NULL);
    assert_int_equal(f->result, PC_API_PENDING);
    assert_int_equal(f->body[0], 0);
    assert_int_equal(pusherc_app_answer(asked, &late), 0);
    api_run_mail(f);
    assert_int_equal(f->result, PC_API_REPLY);
    assert_int_equal(f->reply.status, 401); /* the fixture signs for the other app */
    assert_int_equal(times_asked, 1);
}

static void nothing_goes_on_with_a_request_whose_client_has_left(void **state)
{
    struct api_fixture *f = *state;
    ask_host(f);
    api_get(f, "/apps/nobody/channels", NULL);
    assert_int_equal(f->result, PC_API_PENDING);
    api_leave(f);
    assert_int_equal(pusherc_app_answer(asked, NULL), PUSHERC_ECANCELED);
    api_run_mail(f);

    /* the answer is under way when it leaves */
    api_get(f, "/apps/nobody/channels", NULL);
    assert_int_equal(pusherc_app_answer(asked, NULL), 0);
    api_leave(f);
    api_run_mail(f);
    assert_int_equal(f->result, PC_API_PENDING);
}

/* Of a question that something answers later, and how often the request has gone on. */
struct later {
    struct pc_pending pending;
    int number;
};

static int went_on;

static void tell(struct pc_api_call *call)
{
    const struct later *later = PC_CONTAINER(call->answer, struct later, pending);
    const pusherc_slice *first = pc_api_param(call, PC_S("a"));
    went_on++;
    pc_api_begin(call->reply, 200, PC_API_TEXT);
    pc_buf_put(&call->reply->body, call->app->id);
    pc_buf_put_char(&call->reply->body, ' ');
    pc_buf_put(&call->reply->body, call->channel);
    pc_buf_put_char(&call->reply->body, ' ');
    pc_buf_put(&call->reply->body, *first);
    pc_buf_put_u64(&call->reply->body, (uint64_t)later->number);
}

static struct later *wait_for(struct pc_api_call *call, void (*next)(struct pc_api_call *call))
{
    struct later *later = pc_alloc_zero(&call->request->engine->mem, sizeof *later);
    if (!later) {
        pc_api_out_of_memory(call->reply);
        return NULL;
    }
    pc_pending_begin(&later->pending, call->request->worker, call->request->await, NULL);
    if (pc_api_wait(call, next))
        return later;
    pc_pending_cancel(&later->pending, call->request->worker);
    return NULL;
}

static struct later *second;

static void wait_again(struct pc_api_call *call)
{
    went_on++;
    second = wait_for(call, tell);
}

/* What a handler does that has to wait, twice. Its parameters are on a stack that is gone when it goes on. */
static struct later *handle_later(struct api_fixture *f)
{
    char text[] = "a=1 b";
    struct pc_pair params[] = {{pc_slice(text, 1), pc_slice(text + 2, 3)},
                               {PC_S("empty"), PC_S("")}};
    struct pc_api_request request = {.engine = f->engine,
                                     .worker = &f->engine->workers[0],
                                     .message = &f->sent,
                                     .await = &f->await};
    struct pc_api_call call = {.request = &request,
                               .reply = &f->reply,
                               .app = pc_apps_by_id(&f->engine->apps, PC_S("app-id")),
                               .channel = pc_slice(text + 2, 1),
                               .params = params,
                               .param_count = LENGTH(params)};
    went_on = 0;
    second = NULL;
    struct later *first = wait_for(&call, wait_again);
    f->waiting = call.copy;
    pc_app_unref(call.app);
    memset(text, 'x', sizeof text);
    memset(params, 0, sizeof params);
    return first;
}

static void a_handler_that_waits_goes_on_with_what_it_had(void **state)
{
    struct api_fixture *f = *state;
    struct later *first = handle_later(f);
    assert_non_null(first);
    api_run_mail(f);
    assert_int_equal(went_on, 0);
    assert_int_equal(pc_pending_answer(&first->pending), 0);
    api_run_mail(f);
    assert_int_equal(f->result, PC_API_PENDING);
    second->number = 7;
    assert_int_equal(pc_pending_answer(&second->pending), 0);
    api_run_mail(f);
    assert_int_equal(f->result, PC_API_REPLY);
    assert_int_equal(went_on, 2);
    assert_null(f->waiting);
    assert_string_equal(f->body, "app-id 1 1 b7");
}

static void a_handler_that_waits_may_never_be_answered(void **state)
{
    struct api_fixture *f = *state;
    struct later *first = handle_later(f);
    api_leave(f);
    api_run_mail(f);
    assert_int_equal(went_on, 0);
    assert_int_equal(pc_pending_answer(&first->pending), PUSHERC_ECANCELED);
}

static void without_memory_a_request_does_not_wait(void **state)
{
    (void)state;
    for (size_t n = 0;; n++) {
        struct api_fixture f;
        api_open(&f, "");
        f.alloc.fail_at = f.alloc.requests + 1 + n;
        struct later *first = handle_later(&f);
        if (first)
            pc_pending_answer(&first->pending);
        api_run_mail(&f);
        bool waits = second != NULL;
        if (first && !waits)
            assert_int_equal(f.result, PC_API_REPLY);
        if (!waits)
            assert_int_equal(f.reply.status, 500);
        else
            pc_pending_answer(&second->pending);
        api_run_mail(&f);
        api_close(&f);
        assert_int_equal(failing_alloc_live(&f.alloc), 0);
        if (waits)
            break;
        assert_true(n < 100);
    }
}

/* Python's SDK leaves /apps/{id} out of one path, and signs it so. */
static void without_an_app_in_the_path_the_key_names_it(void **state)
{
    static const char path[] = "/users/7/terminate_connections";
    struct api_fixture *f = *state;
    api_request(f, "POST", path, NULL, "{}");
    api_expect_json(f, "{}");
    api_get(f, path, NULL);
    assert_int_equal(f->reply.status, 405);

    ask_host(f);
    api_send(f, "POST", path, "a=b&auth_key=nob%6fdy&auth_key=app-key", PC_S(""));
    assert_int_equal(f->result, PC_API_PENDING);
    assert_true(pc_slice_eq(pusherc_app_request_key(asked), PC_S("nobody")));
    assert_int_equal(pusherc_app_request_id(asked).len, 0);
    assert_int_equal(pusherc_app_answer(asked, NULL), 0);
    api_run_mail(f);
    assert_int_equal(f->result, PC_API_REPLY);
    api_expect_error(f, 401, "Unknown auth_key", "key");

    static const char *const without[] = {"", "auth_key=", "auth_key", "xauth_key=app-key"};
    for (size_t i = 0; i < LENGTH(without); i++) {
        api_send(f, "POST", path, without[i], PC_S(""));
        api_expect_error(f, 401, "Missing parameter: auth_key", without[i]);
    }
    api_send(f, "POST", path, "auth_key=app-key", PC_S(""));
    assert_int_equal(f->reply.status, 401);
}

/* 161; a request without a signature does not learn that the app is disabled */
static void a_disabled_app_is_403_to_signed_requests(void **state)
{
    struct api_fixture *f = *state;
    pusherc_app_options options = api_app();
    options.disabled = true;
    api_put(f, &options);
    api_publish(f, V20_BODY);
    api_expect_error(f, 403, "The app is disabled in the server's settings.", "write");
    api_get(f, "/apps/app-id/channels", NULL);
    api_expect_error(f, 403, "The app is disabled in the server's settings.", "read");
    api_send(f, "POST", "/apps/app-id/events", A V20_MD5, PC_S(V20_BODY));
    assert_int_equal(f->reply.status, 401);
}

static void too_many_parameters_are_refused(void **state)
{
    struct api_fixture *f = *state;
    char query[4000] = A;
    for (size_t i = 0; i < 260; i++)
        strcat(query, "&a=b");
    api_send(f, "GET", "/apps/app-id/channels", query, PC_S(""));
    api_expect_error(f, 400, "Too many query parameters.", "count");
}

/* -- rates -- */

/* 166 */
static void events_above_the_rate_are_429(void **state)
{
    struct api_fixture *f = *state;
    pusherc_app_options options = api_app();
    options.max_backend_events_per_s = 4;
    api_put(f, &options);
    api_join(f, 0, "orders", NULL);

    api_publish(f, V20_BODY);
    api_expect_json(f, "{}");
    /* a batch is taken whole or not at all */
    api_batch(f, "{\"batch\":[{\"name\":\"a\",\"channel\":\"x\",\"data\":\"\"},{},{},{}]}");
    api_expect_error(f, 429, "Too many requests: the app's limit is 4 in a second.", "batch");
    api_expect_field(f, "Retry-After", "1");
    api_expect_field(f, "X-RateLimit-Limit", "4");
    api_expect_field(f, "X-RateLimit-Remaining", "3");
    for (size_t i = 0; i < 3; i++) {
        api_publish(f, V20_BODY);
        api_expect_json(f, "{}");
    }
    api_received(f, 0);
    api_publish(f, V20_BODY);
    api_expect_error(f, 429, "Too many requests: the app's limit is 4 in a second.", "event");
    api_expect_field(f, "X-RateLimit-Remaining", "0");
    assert_string_equal(api_received(f, 0), "");
    api_request(f, "POST", "/apps/app-id/channels/orders/events", "name=a", "x");
    assert_int_equal(f->reply.status, 429);
    /* unsigned requests neither see nor use up anything */
    api_send(f, "POST", "/apps/app-id/events", "", PC_S(V20_BODY));
    assert_int_equal(f->reply.status, 401);
    api_get(f, "/apps/app-id/channels", NULL);
    assert_int_equal(f->reply.status, 200);

    f->engine->workers[0].now_ms += 1000;
    api_publish(f, V20_BODY);
    api_expect_json(f, "{}");
}

/* 166 */
static void reads_above_the_rate_are_429(void **state)
{
    static const char *const paths[] = {"/apps/app-id/channels", "/apps/app-id/channels/a",
                                        "/apps/app-id/connections"};
    struct api_fixture *f = *state;
    pusherc_app_options options = api_app();
    options.max_read_requests_per_s = 3;
    api_put(f, &options);
    for (size_t i = 0; i < 6; i++) {
        api_get(f, paths[i % 3], NULL);
        assert_int_equal(f->reply.status, i < 3 ? 200 : 429);
    }
    api_expect_field(f, "Retry-After", "1");
    api_expect_field(f, "X-RateLimit-Limit", "3");
    api_expect_field(f, "X-RateLimit-Remaining", "0");
    api_publish(f, V20_BODY);
    api_expect_json(f, "{}");
}

/* -- health pages and browsers -- */

/* 165 */
static void health_pages_answer_without_signature(void **state)
{
    static const struct {
        const char *path, *type, *body;
    } cases[] = {
        {"/", "text/plain; charset=utf-8", "OK"},
        {"/ready", "text/plain; charset=utf-8", "OK"},
        {"/up", "application/json", "{\"health\":\"OK\"}"},
        {"/live", "application/json", "{\"health\":\"OK\"}"},
    };
    struct api_fixture *f = *state;
    for (size_t i = 0; i < LENGTH(cases); i++) {
        api_send(f, "GET", cases[i].path, "verbose", PC_S(""));
        assert_int_equal(f->result, PC_API_REPLY);
        api_expect_status(f, 200, cases[i].body, cases[i].path);
        assert_string_equal(f->reply.content_type, cases[i].type);
        /* a writer leaves the body out: the length is that of GET */
        api_send(f, "HEAD", cases[i].path, "", PC_S(""));
        api_expect_status(f, 200, cases[i].body, cases[i].path);
    }
}

/* What pusher-js sends with enableStats, in the forms that its transports have. */
static void statistics_are_accepted_and_discarded(void **state)
{
    static const struct {
        const char *path, *type, *body;
    } cases[] = {
        {"/timeline/v2/jsonp/1", "application/javascript", "/**/"},
        {"/timeline/v2/jsonp", "application/javascript", "/**/"},
        {"/timeline/v2/xhr/2", "application/json", "{}"},
        {"/timeline/v2/2", "application/json", "{}"},
    };
    struct api_fixture *f = *state;
    for (size_t i = 0; i < LENGTH(cases); i++) {
        api_send(
            f, "GET", cases[i].path,
            "session=NTA%3D&bundle=MQ%3D%3D&key=YXBw&lib=anM%3D&version=OC42LjA%3D&timeline=W10%3D",
            PC_S(""));
        assert_int_equal(f->result, PC_API_REPLY);
        api_expect_status(f, 200, cases[i].body, cases[i].path);
        assert_string_equal(f->reply.content_type, cases[i].type);
    }
}

static void the_root_page_is_the_hosts_if_it_has_pages(void **state)
{
    struct api_fixture *f = *state;
    f->host_has_pages = true;
    api_send(f, "GET", "/", "", PC_S(""));
    assert_int_equal(f->result, PC_API_NOT_OURS);
    api_send(f, "POST", "/", "", PC_S(""));
    assert_int_equal(f->result, PC_API_NOT_OURS);
    api_send(f, "GET", "/ready", "", PC_S(""));
    assert_int_equal(f->result, PC_API_REPLY);
    api_send(f, "GET", "/apps/app-id/settings", "", PC_S(""));
    assert_int_equal(f->result, PC_API_NOT_OURS);
}

static void a_server_that_stops_is_503_but_up(void **state)
{
    static const char *const paths[] = {"/ready", "/apps/app-id/channels",
                                        "/apps/app-id/connections"};
    struct api_fixture *f = *state;
    atomic_store(&f->engine->draining, true);
    for (size_t i = 0; i < LENGTH(paths); i++) {
        api_get(f, paths[i], NULL);
        api_expect_error(f, 503, "The server is shutting down.", paths[i]);
        api_expect_field(f, "Retry-After", "1");
    }
    api_publish(f, V20_BODY);
    api_expect_error(f, 503, "The server is shutting down.", "events");
    api_send(f, "GET", "/up", "", PC_S(""));
    api_expect_json(f, "{\"health\":\"OK\"}");
}

static void expect_cors(struct api_fixture *f)
{
    api_expect_field(f, "Access-Control-Allow-Origin", "*");
    api_expect_field(f, "Access-Control-Allow-Methods", "GET, POST, PUT, DELETE, OPTIONS");
    api_expect_field(f, "Access-Control-Allow-Headers",
                     "Origin, Content-Type, X-Auth-Token, X-Requested-With, Accept, Authorization, "
                     "X-CSRF-TOKEN, XSRF-TOKEN, X-Socket-Id");
    for (size_t i = 0; i < f->reply.field_count; i++)
        assert_true(pc_http_field_valid(f->reply.fields[i].name, f->reply.fields[i].value));
}

/* 167 */
static void every_answer_has_the_cors_fields(void **state)
{
    static const char *const paths[] = {
        "/", "/ready", "/up", "/nothing", "/apps/app-id/channels", "/apps/app-id/events"};
    struct api_fixture *f = *state;
    for (size_t i = 0; i < LENGTH(paths); i++) {
        api_send(f, "GET", paths[i], "", PC_S(""));
        expect_cors(f);
    }
    api_publish(f, V20_BODY);
    expect_cors(f);
    api_publish(f, "{}");
    expect_cors(f);
    pc_api_plain(&f->reply, 408, "Too slow.");
    expect_cors(f);
    pc_api_error_as_json(&f->reply);
    expect_cors(f);
}

/* 167 */
static void options_is_204_without_signature(void **state)
{
    static const char *const paths[] = {"/", "/ready", "/apps/app-id/events",
                                        "/apps/app-id/channels/a/users", "/apps/nobody/channels"};
    struct api_fixture *f = *state;
    for (size_t i = 0; i < LENGTH(paths); i++) {
        api_send(f, "OPTIONS", paths[i], "", PC_S(""));
        assert_int_equal(f->result, PC_API_REPLY);
        api_expect_status(f, 204, "", paths[i]);
        assert_null(f->reply.content_type);
        expect_cors(f);
    }
}

static void plain_replaces_what_the_reply_held(void **state)
{
    struct api_fixture *f = *state;
    api_publish(f, "{}");
    pc_api_plain(&f->reply, 404, "Not\nhere.");
    assert_int_equal(f->reply.status, 404);
    assert_true(pc_slice_eq(pc_buf_slice(&f->reply.body), PC_S("Not?here.")));
    assert_int_equal(f->reply.field_count, 3);
}

/* Publishers that do not look at answers: what was refused is in the log, without forged lines. */
struct logged {
    int count;
    char line[500], app[50];
};

static void on_log(const pusherc_log_entry *entry, void *user_data)
{
    struct logged *logged = user_data;
    if (strcmp(entry->subject, "api") != 0)
        return;
    logged->count++;
    snprintf(logged->line, sizeof logged->line, "%.*s", (int)entry->message.len,
             entry->message.ptr);
    snprintf(logged->app, sizeof logged->app, "%.*s", (int)entry->app_id.len,
             entry->app_id.len ? entry->app_id.ptr : "");
}

static void refusals_are_logged(void **state)
{
    struct api_fixture *f = *state;
    struct logged logged = {0};
    pc_log_init(&f->engine->log, on_log, &logged, PUSHERC_LOG_DEBUG);
    api_publish(f, V20_BODY);
    assert_int_equal(logged.count, 0);
    api_publish(f, "{\"name\":\"a\",\"channel\":\"x\\ny\",\"data\":\"\"}");
    assert_int_equal(logged.count, 1);
    assert_string_equal(logged.line, "POST /apps/app-id/events: 400 Invalid channel name: x?y "
                                     "(allowed are A-Z a-z 0-9 _ - = @ , . ;).");
    assert_string_equal(logged.app, "app-id");
    api_send(f, "PUT", "/up", "", PC_S(""));
    assert_string_equal(logged.line, "PUT /up: 405 Use GET here.");
    assert_string_equal(logged.app, "");
    pc_log_free(&f->engine->log);
    f->engine->log = (struct pc_log){0};
}

/* -- memory -- */

/* The readers' ids make an answer that outgrows the room in the reply. */
static int open_with_readers(struct api_fixture *f, size_t fail_at)
{
    static char long_id[601];
    memset(long_id, '7', sizeof long_id - 1);
    int err = api_try_open(f, "", api_limits(), fail_at);
    if (err)
        return err;
    err = api_try_join(f, 0, "presence-room.1", long_id);
    if (err == 0)
        err = api_try_join(f, 2, "presence-room.1", "8");
    if (err)
        api_close(f);
    return err;
}

/* One request of each kind, each at the n-th allocation that fails. */
static void without_memory_the_answer_is_an_empty_500(void **state)
{
    static char body[40000], long_params[5000];
    static const struct {
        const char *method, *path, *params, *body;
    } cases[] = {
        {"GET", "/apps/app-id/channels", long_params, NULL},
        {"POST", "/apps/app-id/events", NULL,
         "{\"name\":\"a\\n\",\"channels\":[\"presence-room.1\",\"b\"],\"data\":\"{\\\"a\\\":1}\","
         "\"info\":\"user_count\"}"},
        {"POST", "/apps/app-id/events", NULL, body},
        {"POST", "/apps/app-id/batch_events", NULL,
         "{\"batch\":[{\"name\":\"a\",\"channel\":\"presence-room.1\",\"data\":[ 1 ],"
         "\"info\":\"user_count\"}]}"},
        {"GET", "/apps/app-id/channels", "filter_by_prefix=presence-&info=user_count", NULL},
        {"GET", "/apps/app-id/channels/presence-room.1", "info=user_count", NULL},
        {"GET", "/apps/app-id/channels/presence-room.1/users", "with_user_info=1", NULL},
    };
    (void)state;
    /* longer than the room on the stack */
    snprintf(long_params, sizeof long_params, "filter_by_prefix=%3000s", "");
    snprintf(body, sizeof body,
             "{\"name\":\"a\",\"channel\":\"presence-room.1\",\"data\":\"\\n%*s\"}", 9000, "");
    for (size_t i = 0; i < LENGTH(cases); i++) {
        bool failed = true;
        for (size_t n = 1; failed; n++) {
            struct api_fixture *f = malloc(sizeof *f);
            assert_non_null(f);
            if (open_with_readers(f, n) == 0) {
                api_request(f, cases[i].method, cases[i].path, cases[i].params, cases[i].body);
                if (f->reply.status != 200)
                    api_expect_status(f, 500, "", cases[i].path);
                api_run_mail(f);
                api_close(f);
            }
            failed = failing_alloc_hit(&f->alloc);
            assert_int_equal(failing_alloc_live(&f->alloc), 0);
            free(f);
        }
    }
}

/* 183 */
static void a_callback_is_a_name_and_no_code(void **state)
{
    static const char *const good[] = {
        "a",
        "$",
        "_",
        "jQuery1_2",
        "angular.callbacks._0",
        "Pusher.auth_callbacks['3']",
        "a[\"12\"]",
        "a[0]",
        "a['1'].b[2].c",
    };
    static const char *const bad[] = {
        "",     "1",   ".a",    "a.",    "a..b",     "a.1",  "a[]",   "a['']", "a['b']",
        "a[b]", "a[1", "a['1]", "a[1']", "a['1\"]",  "a(1)", "a;b",   "a b",   "a=1",
        "a\nb", "<b>", "a,b",   "a-b",   "\xc3\xab", "a/*b", "a['1'", "a[1]b", "a`b`",
    };
    char text[140];
    (void)state;
    for (size_t i = 0; i < LENGTH(good); i++)
        assert_true(pc_auth_callback_valid(pc_slice_of(good[i])));
    for (size_t i = 0; i < LENGTH(bad); i++)
        assert_false(pc_auth_callback_valid(pc_slice_of(bad[i])));
    assert_false(pc_auth_callback_valid(PC_S("a\0b")));
    memset(text, 'a', sizeof text);
    assert_true(pc_auth_callback_valid(pc_slice(text, 128)));
    assert_false(pc_auth_callback_valid(pc_slice(text, 129)));
}

static void a_script_calls_back_with_the_answer(void **state)
{
    struct api_fixture *f = *state;
    struct pc_api_reply *reply = &f->reply;
    struct pc_app *app = pc_apps_by_id(&f->engine->apps, PC_S("app-id"));
    struct pc_auth_query query = {.socket_id = PC_S("1.2"), .channel = PC_S("presence-x")};
    assert_true(pc_channel_name_valid(query.channel, 200, &query.class));
    pc_auth_put_channel(reply, app, &query, PC_S("\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xaa"), PC_S(""));
    pc_auth_as_script(reply, PC_S("a['1']"));
    assert_string_equal(reply->content_type, "application/javascript");
    pusherc_slice body = pc_buf_slice(&reply->body);
    assert_true(pc_slice_starts(body, PC_S("a['1']({\"auth\":\"app-key:")));
    assert_true(pc_slice_ends(
        body,
        PC_S("\"channel_data\":\"{\\\"user_id\\\":\\\"\\u2028\\u2029\xe2\x80\xaa\\\"}\"});")));
    pc_auth_put_refusal(reply, 403, PC_S("No"));
    pc_auth_as_script(reply, PC_S("a"));
    assert_string_equal(reply->content_type, "application/json");
    for (size_t n = 1; n < 4; n++) { /* without memory there is no half of a script */
        char info[1500];
        memset(info, 'x', sizeof info);
        info[0] = info[sizeof info - 1] = '"';
        pc_auth_put_channel(reply, app, &query, PC_S("7"), pc_slice(info, sizeof info));
        assert_int_equal(reply->status, 200);
        f->alloc.fail_at = f->alloc.requests + n;
        pc_auth_as_script(reply, PC_S("a"));
        f->alloc.fail_at = 0;
        assert_true(reply->status == 200 || (reply->status == 500 && reply->body.len == 0));
    }
    pc_app_unref(app);
}

static void a_channel_to_authorize_has_a_length(void **state)
{
    struct api_fixture *f = *state;
    char name[4096];
    for (size_t len = 199; len < sizeof name; len += len < 202 ? 1 : 1000) {
        char query[sizeof name + 64];
        struct pc_auth_query out;
        memset(name, 'a', len);
        memcpy(name, "private-encrypted-", 18);
        int n = snprintf(query, sizeof query, "socket_id=1.2&channel_name=%.*s", (int)len, name);
        struct pc_http_message m = {.method = PC_S("POST"), .query = pc_slice(query, (size_t)n)};
        pc_api_reply_init(&f->reply, &f->mem);
        assert_int_equal(pc_auth_query_read(&m, PC_AUTH_CHANNEL, &f->mem, &out, &f->reply),
                         len <= 200);
        if (len > 200)
            assert_int_equal(f->reply.status, 400);
        pc_auth_query_free(&out);
        pc_api_reply_free(&f->reply);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        api_test(vectors_are_verified),
        api_test(a_wrong_signature_is_401_and_publishes_nothing),
        api_test(a_timestamp_is_accepted_within_ten_minutes),
        api_test(the_prefix_may_be_signed_or_not),
        api_test(names_in_paths_are_decoded_after_the_signature),
        api_test(unknown_paths_are_not_ours_and_404),
        api_test(wrong_methods_are_405_with_allow),
        api_test(unknown_apps_are_asked_for_once),
        api_test(an_app_that_the_host_puts_is_served_by_the_request_that_waits),
        api_test(nothing_goes_on_with_a_request_whose_client_has_left),
        api_test(a_handler_that_waits_goes_on_with_what_it_had),
        api_test(a_handler_that_waits_may_never_be_answered),
        cmocka_unit_test(without_memory_a_request_does_not_wait),
        api_test(without_an_app_in_the_path_the_key_names_it),
        api_test(a_disabled_app_is_403_to_signed_requests),
        api_test(too_many_parameters_are_refused),
        api_test(events_above_the_rate_are_429),
        api_test(reads_above_the_rate_are_429),
        api_test(health_pages_answer_without_signature),
        api_test(the_root_page_is_the_hosts_if_it_has_pages),
        api_test(a_server_that_stops_is_503_but_up),
        api_test(statistics_are_accepted_and_discarded),
        api_test(every_answer_has_the_cors_fields),
        api_test(options_is_204_without_signature),
        api_test(refusals_are_logged),
        cmocka_unit_test(a_callback_is_a_name_and_no_code),
        api_test(a_script_calls_back_with_the_answer),
        api_test(a_channel_to_authorize_has_a_length),
        api_test(plain_replaces_what_the_reply_held),
        cmocka_unit_test(without_memory_the_answer_is_an_empty_500),
    };
    return cmocka_run_group_tests_name("api", tests, NULL, NULL);
}
