/* `pusherc channels` and `pusherc members`: what the HTTP API tells of channels. */
#include <stdlib.h>
#include <string.h>

#include "command.h"

#define MAX_PARAMS 2

static int run_channels(char **arguments);
static int run_members(char **arguments);

static const struct cli_option channels_options[] = {
    {"url", "URL", "the server; by default the environment's"},
    CLI_LINK_OPTIONS,
    {"prefix", "TEXT", "channels whose name begins so; presence- also counts users"},
    {"json", NULL, "print the server's answer"},
    {"help", NULL, "print this text"},
};

const struct cli_command cli_channels_command = {
    .name = "channels",
    .help = "list the channels that have subscribers",
    .words = "",
    .about =
        "Asks the HTTP API for the channels of the app. One line for each: its name and, with\n"
        "--prefix presence-, its users. Exit status: 0, 1 if the server does not answer, 2 for\n"
        "wrong words.",
    .options = channels_options,
    .option_count = sizeof channels_options / sizeof channels_options[0],
    .run = run_channels,
};

static const struct cli_option members_options[] = {
    {"url", "URL", "the server; by default the environment's"},
    CLI_LINK_OPTIONS,
    {"json", NULL, "print the server's answer"},
    {"help", NULL, "print this text"},
};

const struct cli_command cli_members_command = {
    .name = "members",
    .help = "list the users of a presence channel",
    .words = "CHANNEL",
    .about =
        "Asks the HTTP API for the users of a presence channel. One line for each: its id. Exit\n"
        "status: 0, 1 if the server does not answer or refuses, 2 for wrong words.",
    .options = members_options,
    .option_count = sizeof members_options / sizeof members_options[0],
    .run = run_members,
};

static void print_plain(const char *text, const char *end)
{
    char *copy = strdup(text);

    if (copy) {
        cli_make_plain(copy);
        printf("%s%s", copy, end);
    }
    free(copy);
}

static void print_channels(const cJSON *json)
{
    const cJSON *one;

    cJSON_ArrayForEach(one, cJSON_GetObjectItemCaseSensitive(json, "channels"))
    {
        const cJSON *users = cJSON_GetObjectItemCaseSensitive(one, "user_count");
        print_plain(one->string, cJSON_IsNumber(users) ? "" : "\n");
        if (cJSON_IsNumber(users))
            printf("  %d\n", users->valueint);
    }
}

static void print_members(const cJSON *json)
{
    const cJSON *one;

    cJSON_ArrayForEach(one, cJSON_GetObjectItemCaseSensitive(json, "users"))
    {
        const cJSON *id = cJSON_GetObjectItemCaseSensitive(one, "id");
        char number[32];
        if (cJSON_IsNumber(id)) {
            (void)snprintf(number, sizeof number, "%.0f", id->valuedouble);
            printf("%s\n", number);
        } else if (cJSON_IsString(id)) {
            print_plain(id->valuestring, "\n");
        }
    }
}

/* Written anew, so that no control character of the answer reaches a terminal. */
static void print_json(const cJSON *json)
{
    char *text = cJSON_PrintUnformatted(json);

    if (text)
        printf("%s\n", text);
    cJSON_free(text);
}

/* Prints the answer, or tells why there is none. */
static int ask(const struct cli_given *given, const char *what, const pusherc_http_param *params,
               size_t param_count, void (*print)(const cJSON *json))
{
    struct cli_http_answer answer = {0};
    struct cli_link link;
    struct cli_error error;
    int status = CLI_EXIT_WRONG;

    if (cli_link_of(given, cli_option_of(given, "url"), &link, &error) == 0) {
        status = cli_link_api(&link, "GET", what, params, param_count, NULL, &answer, &error)
                     ? CLI_EXIT_CANNOT
                     : 0;
        cJSON *json = status == 0 ? cJSON_Parse(cli_http_body(&answer)) : NULL;
        if (status == 0 && (answer.status != 200 || !json)) {
            (void)cli_fail(&error, "the server answers with HTTP %d: %.300s%s", answer.status,
                           cli_http_body(&answer),
                           answer.status == 401 || answer.status == 404
                               ? "; pusherc doctor finds out more"
                               : "");
            status = CLI_EXIT_CANNOT;
        }
        if (status == 0 && cli_option_of(given, "json"))
            print_json(json);
        else if (status == 0)
            print(json);
        cJSON_Delete(json);
        cli_http_answer_free(&answer);
    }
    cli_link_free(&link);
    return status ? cli_complain(status, &error) : 0;
}

static int run_channels(char **arguments)
{
    struct cli_given given;
    struct cli_error error;
    pusherc_http_param params[MAX_PARAMS];
    size_t count = 0;

    int status = cli_command_read(&given, &cli_channels_command, arguments, &error);
    if (status > 0 && given.word_count > 0)
        status = cli_fail(&error, "unexpected argument \"%.100s\"; --prefix chooses channels",
                          given.words[0]);
    if (status <= 0)
        return status ? cli_complain(CLI_EXIT_WRONG, &error) : 0;
    const char *prefix = cli_option_of(&given, "prefix");
    if (prefix)
        params[count++] =
            (pusherc_http_param){PUSHERC_LIT("filter_by_prefix"), pusherc_slice_of(prefix)};
    if (prefix && strncmp(prefix, "presence-", 9) == 0)
        params[count++] = (pusherc_http_param){PUSHERC_LIT("info"), PUSHERC_LIT("user_count")};
    return ask(&given, "/channels", params, count, print_channels);
}

static int run_members(char **arguments)
{
    struct cli_given given;
    struct cli_error error;
    char name[700], what[800];

    int status = cli_command_read(&given, &cli_members_command, arguments, &error);
    if (status > 0 && given.word_count != 1)
        status = cli_fail(&error, "a channel is needed: pusherc members presence-ROOM");
    else if (status > 0 && !cli_channel_is_presence(given.words[0]))
        status = cli_fail(&error,
                          "only presence channels have members; \"%.100s\" does not begin "
                          "with presence-",
                          given.words[0]);
    if (status <= 0)
        return status ? cli_complain(CLI_EXIT_WRONG, &error) : 0;
    cli_put_percent(name, sizeof name, given.words[0]);
    (void)snprintf(what, sizeof what, "/channels/%s/users", name);
    return ask(&given, what, NULL, 0, print_members);
}
