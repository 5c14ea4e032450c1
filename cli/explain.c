/* `pusherc explain`: why a signature is refused. */
#include <pusherc/sign.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "command.h"

#define MAX_TEXT 16384

static int run(char **arguments);

static const struct cli_option options[] = {
    {"app", "ID:KEY:SECRET", "the app; by default that of the environment"},
    {"url", "URL", "take the app from a server's URL"},
    {"time", "SECONDS", "the time at which a request arrived; the default is now"},
    {"help", NULL, "print this text"},
};

const struct cli_command cli_explain_command = {
    .name = "explain",
    .help = "explain why a signature is refused",
    .words = "channel|user|request WORD...",
    .about =
        "  explain channel SOCKET-ID CHANNEL AUTH [CHANNEL-DATA]   a subscription\n"
        "  explain user SOCKET-ID AUTH USER-DATA                   a sign-in\n"
        "  explain request METHOD PATH?QUERY [BODY]                a request to the API\n"
        "Makes the usual mistakes one by one, and says which of them makes what was sent: another "
        "name,\n"
        "white space or quotes around the secret, data or a body that was encoded anew, a clock.\n"
        "- in place of data or a body reads standard input. Exit status: 0 if the signature is "
        "right, 1\n"
        "if it is not, 2 for wrong words.",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .run = run,
};

struct explaining {
    struct cli_given given;
    struct cli_target target;
    pusherc_credentials credentials;
    char *input; /* owned; what standard input had */
    char text[MAX_TEXT];
    size_t len;
};

static int check(int err, struct cli_error *error)
{
    if (err == 0)
        return 0;
    return cli_fail(error, "%s",
                    err == PUSHERC_EINVAL   ? "the app's id, key and secret are needed"
                    : err == PUSHERC_ENOSYS ? "this pusherc was built without diagnosis"
                                            : pusherc_strerror(err));
}

static int explain_client(struct explaining *x, bool user, struct cli_error *error)
{
    const char *const *words = x->given.words;
    const char *channel = user ? "" : words[2], *auth = user ? words[2] : words[3];
    const char *data = cli_word_of(&x->given, user ? 3 : 4, &x->input);
    pusherc_socket_id id;

    if (pusherc_socket_id_parse(pusherc_slice_of(words[1]), &id))
        return cli_fail(error, "\"%.100s\" is no socket id: digits, a dot, digits", words[1]);
    if (!data)
        return cli_fail(error, "standard input is too long");
    int status = check(pusherc_explain_auth(&x->credentials, pusherc_slice_of(auth), id,
                                            pusherc_slice_of(channel), pusherc_slice_of(data),
                                            x->text, MAX_TEXT, &x->len),
                       error);
    if (status == 0 && x->len > 0)
        (void)snprintf(x->text + x->len, MAX_TEXT - x->len, "; to be signed is \"%s%s%s%s%.2000s\"",
                       words[1], user ? "::user::" : ":", channel, *data && !user ? ":" : "", data);
    return status;
}

static int explain_request(struct explaining *x, struct cli_error *error)
{
    const char *target = x->given.words[2];
    const char *body = cli_word_of(&x->given, 3, &x->input);
    size_t path_len = strcspn(target, "?");
    char path[2048];
    uint64_t now;

    if (cli_number_of(&x->given, "time", 1, UINT32_MAX, (uint64_t)time(NULL), &now, error))
        return -1;
    if (!body)
        return cli_fail(error, "standard input is too long");
    if (path_len >= sizeof path || target[0] != '/' || target[path_len] != '?')
        return cli_fail(error, "PATH?QUERY begins with / and has a query, as it was sent");
    (void)snprintf(path, sizeof path, "%.*s", (int)path_len, target);
    return check(pusherc_explain_request(&x->credentials, x->given.words[1], path,
                                         pusherc_slice_of(target + path_len + 1),
                                         pusherc_slice_of(body), now, x->text, MAX_TEXT, &x->len),
                 error);
}

static int explain(struct explaining *x, struct cli_error *error)
{
    static const struct {
        const char *kind;
        size_t min, max;
        const char *words;
    } kinds[] = {
        {"channel", 4, 5, "SOCKET-ID CHANNEL AUTH [CHANNEL-DATA]"},
        {"user", 4, 4, "SOCKET-ID AUTH USER-DATA"},
        {"request", 3, 4, "METHOD PATH?QUERY [BODY]"},
    };
    const char *kind = x->given.word_count ? x->given.words[0] : "";
    size_t i = 0;

    while (i < 3 && strcmp(kinds[i].kind, kind) != 0)
        i++;
    if (i == 3)
        return cli_fail(error, "what is refused? pusherc explain channel|user|request");
    if (x->given.word_count < kinds[i].min || x->given.word_count > kinds[i].max)
        return cli_fail(error, "usage: pusherc explain %s %s", kind, kinds[i].words);
    return i == 2 ? explain_request(x, error) : explain_client(x, i == 1, error);
}

static int run(char **arguments)
{
    struct explaining *x = calloc(1, sizeof *x);
    struct cli_error error;

    if (!x) {
        (void)cli_fail_no_memory(&error);
        return cli_complain(CLI_EXIT_CANNOT, &error);
    }
    int status = cli_command_read(&x->given, &cli_explain_command, arguments, &error);
    if (status > 0) {
        status = cli_target_find(&x->target, cli_option_of(&x->given, "url"),
                                 cli_option_of(&x->given, "app"), &error);
        x->credentials = cli_target_credentials(&x->target);
        if (status == 0)
            status = explain(x, &error);
        if (status == 0) {
            cli_make_plain(x->text);
            printf("%s\n", x->len ? x->text : "the signature is right");
            status = x->len ? CLI_EXIT_CANNOT : 0;
        }
    }
    if (status < 0)
        status = cli_complain(CLI_EXIT_WRONG, &error);
    free(x->input);
    free(x);
    return status;
}
