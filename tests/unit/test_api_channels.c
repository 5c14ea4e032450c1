/* Asking over HTTP without sockets: protocol sections 5.4 to 5.6, 5.8, 5.9. Numbers in comments are the checks
 * of the protocol's appendix B. */
#include "unit/api_fixture.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

struct question {
    const char *path, *params;
    int status;
    const char *answer;
};

static void ask(struct api_fixture *f, const struct question *questions, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct question *q = &questions[i];
        char context[500];
        snprintf(context, sizeof context, "%s?%s", q->path, q->params ? q->params : "");
        api_get(f, q->path, q->params);
        assert_int_equal(f->result, PC_API_REPLY);
        if (q->status == 200) {
            api_expect_status(f, 200, q->answer, context);
            assert_string_equal(f->reply.content_type, "application/json");
        } else {
            api_expect_error(f, q->status, q->answer, context);
        }
    }
}

static void fill(struct api_fixture *f)
{
    api_join(f, 0, "presence-room.1", "7");
    api_join(f, 1, "presence-room.1", "7");
    api_join(f, 2, "presence-room.1", "8\"");
    api_join(f, 3, "orders", NULL);
    api_join(f, 3, "cache-price", NULL);
    api_join(f, 3, "#server-to-user-7", NULL);
}

/* 154 */
static void only_occupied_channels_are_listed(void **state)
{
    static const struct question empty[] = {
        {"/apps/app-id/channels", NULL, 200, "{\"channels\":{}}"},
        {"/apps/app-id/channels", "filter_by_prefix=presence-&info=user_count", 200,
         "{\"channels\":{}}"},
    };
    static const struct question filled[] = {
        {"/apps/app-id/channels", "filter_by_prefix=presence-", 200,
         "{\"channels\":{\"presence-room.1\":{}}}"},
        {"/apps/app-id/channels", "filter_by_prefix=presence-room.1&info=user_count", 200,
         "{\"channels\":{\"presence-room.1\":{\"user_count\":2}}}"},
        {"/apps/app-id/channels", "filter_by_prefix=presence-&info=subscription_count,user_count",
         200, "{\"channels\":{\"presence-room.1\":{\"user_count\":2,\"subscription_count\":3}}}"},
        {"/apps/app-id/channels", "filter_by_prefix=ord&info=subscription_count", 200,
         "{\"channels\":{\"orders\":{\"subscription_count\":1}}}"},
        {"/apps/app-id/channels", "filter_by_prefix=ordersx", 200, "{\"channels\":{}}"},
        {"/apps/app-id/channels", "filter_by_prefix=#server-to-user-", 200, "{\"channels\":{}}"},
        {"/apps/app-id/channels", "filter_by_prefix=o&info=", 200,
         "{\"channels\":{\"orders\":{}}}"},
        {"/apps/app-id/channels", "FILTER_BY_PREFIX=o", 200, "{\"channels\":{\"orders\":{}}}"},
    };
    struct api_fixture *f = *state;
    ask(f, empty, LENGTH(empty));
    fill(f);
    ask(f, filled, LENGTH(filled));
    /* in no order */
    api_get(f, "/apps/app-id/channels", NULL);
    assert_int_equal(
        strlen(f->body),
        strlen("{\"channels\":{\"orders\":{},\"presence-room.1\":{},\"cache-price\":{}}}"));
    assert_non_null(strstr(f->body, "\"orders\":{}"));
    assert_non_null(strstr(f->body, "\"presence-room.1\":{}"));
    assert_non_null(strstr(f->body, "\"cache-price\":{}"));
    /* what is on its way keeps a channel in the table, but it is vacated */
    api_publish(f, "{\"name\":\"e\",\"channel\":\"orders\",\"data\":\"d\"}");
    struct pc_channel_change change;
    struct pc_app *app = pc_apps_by_id(&f->engine->apps, PC_S("app-id"));
    struct api_reader *reader = &f->readers[3];
    while (reader->count)
        pc_leave(reader->q.worker, app, reader->subscriptions[--reader->count], true, NULL,
                 &change);
    pc_app_unref(app);
    api_get(f, "/apps/app-id/channels", NULL);
    api_expect_json(f, "{\"channels\":{\"presence-room.1\":{}}}");
    api_run_mail(f);
}

static void an_app_sees_its_own_channels_only(void **state)
{
    struct api_fixture *f = *state;
    pusherc_app_options options = api_app();
    fill(f);
    /* the same names and credentials, put again: another app */
    pc_app_unref(pc_apps_remove(&f->engine->apps, PC_S("app-id")));
    options.id = "other";
    api_put(f, &options);
    static const struct question questions[] = {
        {"/apps/other/channels", NULL, 200, "{\"channels\":{}}"},
        {"/apps/other/channels/orders", "info=subscription_count", 200,
         "{\"occupied\":false,\"subscription_count\":0}"},
        {"/apps/other/channels/presence-room.1/users", NULL, 200, "{\"users\":[]}"},
    };
    ask(f, questions, LENGTH(questions));
    pc_app_unref(pc_apps_remove(&f->engine->apps, PC_S("other")));
    options.id = "app-id"; /* for the end of the test */
    api_put(f, &options);
}

/* 155 */
static void info_of_a_list_is_checked(void **state)
{
    static const struct question questions[] = {
        {"/apps/app-id/channels", "info=user_count", 400,
         "user_count is an attribute of presence channels: filter_by_prefix must start with "
         "\"presence-\"."},
        {"/apps/app-id/channels", "filter_by_prefix=presence&info=user_count", 400,
         "user_count is an attribute of presence channels: filter_by_prefix must start with "
         "\"presence-\"."},
        {"/apps/app-id/channels", "info[]=subscription_count&info[]=members", 400,
         "Unknown attribute in info: \"members\"."},
        {"/apps/app-id/channels", "info=\n", 400, "Unknown attribute in info: \"?\"."},
        {"/apps/app-id/channels", "info=cache", 400,
         "The attribute \"cache\" is that of a single channel."},
    };
    ask(*state, questions, LENGTH(questions));
}

/* 156, 157, 158 (as long as nothing is cached: null) */
static void one_channel_is_described(void **state)
{
    static const struct question questions[] = {
        {"/apps/app-id/channels/orders", NULL, 200, "{\"occupied\":true}"},
        {"/apps/app-id/channels/nobody", NULL, 200, "{\"occupied\":false}"},
        {"/apps/app-id/channels/orders", "info=subscription_count", 200,
         "{\"occupied\":true,\"subscription_count\":1}"},
        {"/apps/app-id/channels/nobody", "info=subscription_count", 200,
         "{\"occupied\":false,\"subscription_count\":0}"},
        {"/apps/app-id/channels/presence-room.1", "info=user_count,subscription_count", 200,
         "{\"occupied\":true,\"user_count\":2,\"subscription_count\":3}"},
        {"/apps/app-id/channels/presence-nobody", "info=user_count", 200,
         "{\"occupied\":false,\"user_count\":0}"},
        {"/apps/app-id/channels/cache-price", "info=cache", 200,
         "{\"occupied\":true,\"cache\":null}"},
        {"/apps/app-id/channels/presence-cache-a", "info=cache,user_count", 200,
         "{\"occupied\":false,\"user_count\":0,\"cache\":null}"},
        {"/apps/app-id/channels/orders", "info=user_count", 400,
         "user_count is an attribute of presence channels, and \"orders\" is not one."},
        {"/apps/app-id/channels/orders", "info=cache", 400,
         "cache is an attribute of cache channels, and \"orders\" is not one."},
        {"/apps/app-id/channels/orders", "info=subscription_count,size", 400,
         "Unknown attribute in info: \"size\"."},
        {"/apps/app-id/channels/%23orders", NULL, 400,
         "Invalid channel name: \"#orders\" (allowed are A-Z a-z 0-9 _ - = @ , . ;)."},
    };
    struct api_fixture *f = *state;
    fill(f);
    ask(f, questions, LENGTH(questions));
    char path[2000] = "/apps/app-id/channels/";
    for (size_t i = 0; i < 500; i++)
        strcat(path, "%61");
    api_get(f, path, NULL);
    assert_int_equal(f->reply.status, 400);
}

/* 159, 160 */
static void users_are_distinct_and_strings(void **state)
{
    static const struct question questions[] = {
        {"/apps/app-id/channels/presence-room.1/users", NULL, 200,
         "{\"users\":[{\"id\":\"7\"},{\"id\":\"8\\\"\"}]}"},
        {"/apps/app-id/channels/presence-room.1/users", "info=x&with_user_info=0", 200,
         "{\"users\":[{\"id\":\"7\"},{\"id\":\"8\\\"\"}]}"},
        {"/apps/app-id/channels/presence-room.1/users", "with_user_info=1", 200,
         "{\"users\":[{\"id\":\"7\",\"user_info\":{\"name\":\"Zoe\"}},"
         "{\"id\":\"8\\\"\",\"user_info\":{\"name\":\"Zoe\"}}]}"},
        {"/apps/app-id/channels/presence-nobody/users", NULL, 200, "{\"users\":[]}"},
        {"/apps/app-id/channels/orders/users", NULL, 400,
         "Only presence channels have users, and \"orders\" is not one."},
        {"/apps/app-id/channels/%20/users", NULL, 400,
         "Invalid channel name: \" \" (allowed are A-Z a-z 0-9 _ - = @ , . ;)."},
    };
    struct api_fixture *f = *state;
    fill(f);
    ask(f, questions, LENGTH(questions));
}

/* 164 */
static void stats_are_served(void **state)
{
    static const struct question questions[] = {
        {"/apps/app-id/channels/presence-room.1/stats", NULL, 200,
         "{\"occupied\":true,\"user_count\":2,\"connection_count\":3}"},
        {"/apps/app-id/channels/orders/stats", NULL, 200,
         "{\"occupied\":true,\"connection_count\":1}"},
        {"/apps/app-id/channels/nobody/stats", NULL, 200,
         "{\"occupied\":false,\"connection_count\":0}"},
        {"/apps/app-id/channels/a%2Cb%3A/stats", NULL, 400,
         "Invalid channel name: \"a,b:\" (allowed are A-Z a-z 0-9 _ - = @ , . ;)."},
    };
    struct api_fixture *f = *state;
    fill(f);
    ask(f, questions, LENGTH(questions));
}

/* 165 */
static void connections_are_counted(void **state)
{
    struct api_fixture *f = *state;
    struct pc_app *app = pc_apps_by_id(&f->engine->apps, PC_S("app-id"));
    api_get(f, "/apps/app-id/connections", NULL);
    api_expect_json(f, "{\"connections\":0}");
    for (size_t i = 0; i < 12; i++)
        assert_true(pc_app_connect(app));
    api_get(f, "/apps/app-id/connections", NULL);
    api_expect_json(f, "{\"connections\":12}");
    pc_app_unref(app);
}

/* A list that outgrows the room in the reply. */
static void a_long_list_is_complete(void **state)
{
    struct api_fixture *f = *state;
    char name[201];
    size_t expected = strlen("{\"channels\":{}}") - 1;
    for (size_t r = 0; r < API_READERS; r++) {
        for (size_t i = 0; i < 8; i++) {
            snprintf(name, sizeof name, "%0200zu", r * 8 + i);
            api_join(f, r, name, NULL);
            expected += strlen(name) + strlen("\"\":{},");
        }
    }
    api_get(f, "/apps/app-id/channels", NULL);
    assert_int_equal(f->reply.status, 200);
    assert_int_equal(strlen(f->body), expected);
    assert_int_equal(pc_json_parse(pc_slice_of(f->body)).type, PC_JSON_OBJECT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        api_test(only_occupied_channels_are_listed), api_test(an_app_sees_its_own_channels_only),
        api_test(info_of_a_list_is_checked),         api_test(one_channel_is_described),
        api_test(users_are_distinct_and_strings),    api_test(stats_are_served),
        api_test(connections_are_counted),           api_test(a_long_list_is_complete),
    };
    return cmocka_run_group_tests_name("api_channels", tests, NULL, NULL);
}
