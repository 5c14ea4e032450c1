#include "doctor.h"

#include <stdlib.h>
#include <string.h>

#include "command.h"

static const struct cli_option options[] = {
    CLI_LINK_OPTIONS,
    {"origin", "ORIGIN", "the address of your pages, such as https://example.com"},
    {"auth-endpoint", "URL", "ask this auth endpoint as well"},
    {"guarded", "NAME",
     "a channel that a client without a user must not get; signed ones are not tried"},
    {"channel", "NAME", "the channel to ask it for; by default private-pusherc-doctor"},
    {"cookie", "TEXT", "a cookie for it: NAME=VALUE"},
    {"header", "LINE", "a header field for it: \"Authorization: Bearer ...\""},
    {"slow-ms", "N", "an event that takes longer is late; the default is 1000"},
    {"json", NULL, "print one JSON object"},
    {"list", NULL, "print what can be found, as JSON, and exit"},
    {"help", NULL, "print this text"},
};

static int run(char **arguments);

const struct cli_command cli_doctor_command = {
    .name = "doctor",
    .help = "find out why nothing arrives",
    .words = "[URL|FILE]",
    .about = "Tries everything between a host's name and an event that arrives at a subscriber, "
             "against any\n"
             "server of the Pusher protocol: https://KEY:SECRET@HOST/apps/ID, wss://HOST/app/KEY, "
             "or the .env\n"
             "file of an application, whose settings are compared with each other first. Without "
             "URL and file\n"
             "the environment says where the server is, as with pusherc publish. One line for each "
             "check: ok,\n"
             "warn or fail, what it means, what was seen, and what to do. Exit status: 0 if "
             "nothing fails, 1 if\n"
             "something does, 2 for wrong words.",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .run = run,
};

static bool is_one_line(const char *text)
{
    return !text || !strpbrk(text, "\r\n");
}

static int read_given(struct cli_doctor *d, const struct cli_given *given, struct cli_error *error)
{
    uint64_t timeout_ms, slow_ms;

    d->given = (struct cli_doctor_options){.ca_file = cli_option_of(given, "ca-file"),
                                           .address = cli_option_of(given, "address"),
                                           .origin = cli_option_of(given, "origin"),
                                           .auth_endpoint = cli_option_of(given, "auth-endpoint"),
                                           .guarded = cli_option_of(given, "guarded"),
                                           .channel = cli_option_of(given, "channel"),
                                           .cookie = cli_option_of(given, "cookie"),
                                           .header = cli_option_of(given, "header")};
    d->json = cli_option_of(given, "json") != NULL;
    d->colour = !d->json && cli_has_colours(stdout);
    if (!is_one_line(d->given.origin) || !is_one_line(d->given.cookie) ||
        !is_one_line(d->given.header))
        return cli_fail(error, "--origin, --cookie and --header must be one line each");
    if (given->word_count > 1)
        return cli_fail(error, "one URL or one file is enough");
    if (cli_number_of(given, "timeout-ms", 1, 600000, 5000, &timeout_ms, error) ||
        cli_number_of(given, "slow-ms", 1, 600000, 1000, &slow_ms, error))
        return -1;
    d->link.timeout_us = (int64_t)timeout_ms * 1000;
    d->slow_us = (int64_t)slow_ms * 1000;
    return 0;
}

/* True if there is a server to be checked. A failure is in `error`. */
static bool find_target(struct cli_doctor *d, const struct cli_given *given,
                        struct cli_error *error)
{
    const char *where = given->word_count ? given->words[0] : NULL;
    const char *app = cli_option_of(given, "app");

    error->text[0] = '\0';
    if (!where || strstr(where, "://"))
        return cli_target_find(&d->link.target, where, app, error) == 0;
    d->env = calloc(1, sizeof *d->env);
    if (!d->env || cli_dotenv_read(d->env, where, error))
        return false;
    return cli_doctor_check_env(d) && !(app && cli_target_set_app(&d->link.target, app, error));
}

static bool find_server(struct cli_doctor *d, const struct cli_given *given,
                        struct cli_error *error)
{
    const char *ws = cli_option_of(given, "ws");

    return find_target(d, given, error) && !(ws && cli_target_set_ws(&d->link.target, ws, error));
}

static int examine(struct cli_doctor *d, const struct cli_given *given)
{
    struct cli_error error;

    if (read_given(d, given, &error))
        return cli_complain(CLI_EXIT_WRONG, &error);
    d->findings = cJSON_CreateArray();
    if (find_server(d, given, &error))
        cli_doctor_check_server(d);
    else if (error.text[0])
        return cli_complain(CLI_EXIT_WRONG, &error);
    cli_doctor_end(d);
    return cli_doctor_has_failed(d) ? CLI_EXIT_CANNOT : 0;
}

static int list(void)
{
    cli_doctor_list();
    return 0;
}

static int run(char **arguments)
{
    struct cli_doctor *d = calloc(1, sizeof *d);
    struct cli_given given;
    struct cli_error error;

    if (!d) {
        (void)cli_fail_no_memory(&error);
        return cli_complain(CLI_EXIT_CANNOT, &error);
    }
    int status = cli_command_read(&given, &cli_doctor_command, arguments, &error);
    if (status < 0)
        status = cli_complain(CLI_EXIT_WRONG, &error);
    else if (status > 0)
        status = cli_option_of(&given, "list") ? list() : examine(d, &given);
    if (d->env)
        cli_dotenv_free(d->env);
    free(d->env);
    cli_link_free(&d->link);
    cJSON_Delete(d->findings);
    free(d);
    return status;
}
