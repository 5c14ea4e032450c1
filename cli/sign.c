/* `pusherc sign`: the signatures of the protocol, for tests by hand and for auth endpoints under construction. */
#include <pusherc/sign.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "command.h"

#define MAX_OUT (2 * CLI_MAX_INPUT)

static int run(char **arguments);

static const struct cli_option options[] = {
    {"app", "ID:KEY:SECRET", "the app; by default that of the environment"},
    {"url", "URL", "take the app from a server's URL"},
    {"time", "SECONDS", "sign a request for this time; the default is now"},
    {"json", NULL, "print the whole answer of an auth endpoint"},
    {"help", NULL, "print this text"},
};

const struct cli_command cli_sign_command = {
    .name = "sign",
    .help = "sign a subscription, a sign-in, a request or a webhook",
    .words = "channel|user|request|webhook WORD...",
    .about =
        "  sign channel SOCKET-ID CHANNEL [CHANNEL-DATA]   the \"auth\" of pusher:subscribe\n"
        "  sign user SOCKET-ID USER-DATA                   the \"auth\" of pusher:signin\n"
        "  sign request METHOD PATH [BODY]                 path and query of a request to the API\n"
        "  sign webhook BODY                               the value of X-Pusher-Signature\n"
        "- in place of data or a body reads standard input. Others can read the options of a "
        "process:\n"
        "put a secret into the environment.",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .run = run,
};

struct signing {
    struct cli_given given;
    struct cli_target target;
    pusherc_credentials credentials;
    char *input; /* owned; what standard input had */
    char out[MAX_OUT];
};

static int check(int err, struct cli_error *error, const char *rule)
{
    if (err == 0)
        return 0;
    return cli_fail(error, "%s", err == PUSHERC_EINVAL ? rule : pusherc_strerror(err));
}

static int sign_client(struct signing *s, bool user, struct cli_error *error)
{
    bool json = cli_option_of(&s->given, "json") != NULL;
    const char *data = cli_word_of(&s->given, user ? 2 : 3, &s->input);
    pusherc_slice channel = pusherc_slice_of(user ? "" : s->given.words[2]);
    pusherc_socket_id id;

    if (pusherc_socket_id_parse(pusherc_slice_of(s->given.words[1]), &id))
        return cli_fail(error, "\"%.100s\" is no socket id: digits, a dot, digits",
                        s->given.words[1]);
    if (!data)
        return cli_fail(error, "standard input is too long");
    pusherc_slice text = pusherc_slice_of(data);
    const pusherc_credentials *c = &s->credentials;
    if (user)
        return check(json ? pusherc_user_auth_response_json(c, id, text, s->out, MAX_OUT, NULL)
                          : pusherc_sign_user(c, id, text, s->out, MAX_OUT, NULL),
                     error, "USER-DATA must be a JSON object with a text \"id\"");
    return check(json ? pusherc_auth_response_json(c, id, channel, text, s->out, MAX_OUT, NULL)
                      : pusherc_sign_channel(c, id, channel, text, s->out, MAX_OUT, NULL),
                 error,
                 "the channel's name breaks a rule, or CHANNEL-DATA is not what the channel "
                 "needs");
}

static int sign_request(struct signing *s, struct cli_error *error)
{
    const char *method = s->given.words[1], *path = s->given.words[2],
               *body = cli_word_of(&s->given, 3, &s->input);
    size_t len = strlen(path);
    uint64_t now;

    if (cli_number_of(&s->given, "time", 1, UINT32_MAX, (uint64_t)time(NULL), &now, error))
        return -1;
    if (!body || len + 1 >= MAX_OUT)
        return cli_fail(error, "standard input is too long");
    (void)snprintf(s->out, MAX_OUT, "%s?", path);
    return check(pusherc_sign_request(&s->credentials, method, path, NULL, 0,
                                      pusherc_slice_of(body), now, s->out + len + 1,
                                      MAX_OUT - len - 1, NULL),
                 error, "METHOD must be letters, and PATH begins with / and has no ?");
}

static int sign(struct signing *s, struct cli_error *error)
{
    static const struct {
        const char *kind;
        size_t min, max;
        const char *words;
    } kinds[] = {
        {"channel", 3, 4, "SOCKET-ID CHANNEL [CHANNEL-DATA]"},
        {"user", 3, 3, "SOCKET-ID USER-DATA"},
        {"request", 3, 4, "METHOD PATH [BODY]"},
        {"webhook", 2, 2, "BODY"},
    };
    const char *kind = s->given.word_count ? s->given.words[0] : "";
    size_t i = 0;

    while (i < 4 && strcmp(kinds[i].kind, kind) != 0)
        i++;
    if (i == 4)
        return cli_fail(error, "what is to be signed? pusherc sign channel|user|request|webhook");
    if (s->given.word_count < kinds[i].min || s->given.word_count > kinds[i].max)
        return cli_fail(error, "usage: pusherc sign %s %s", kind, kinds[i].words);
    if (i == 2)
        return sign_request(s, error);
    if (i < 2)
        return sign_client(s, i == 1, error);
    const char *body = cli_word_of(&s->given, 1, &s->input);
    return !body ? cli_fail(error, "standard input is too long")
                 : check(pusherc_sign_webhook(&s->credentials, pusherc_slice_of(body), s->out),
                         error, "the app's secret is not known");
}

static int run(char **arguments)
{
    struct signing *s = calloc(1, sizeof *s);
    struct cli_error error;

    if (!s) {
        (void)cli_fail_no_memory(&error);
        return cli_complain(CLI_EXIT_CANNOT, &error);
    }
    int status = cli_command_read(&s->given, &cli_sign_command, arguments, &error);
    if (status > 0) {
        status = cli_target_find(&s->target, cli_option_of(&s->given, "url"),
                                 cli_option_of(&s->given, "app"), &error);
        s->credentials = cli_target_credentials(&s->target);
        if (status == 0)
            status = sign(s, &error);
        if (status == 0)
            printf("%s\n", s->out);
    }
    if (status)
        status = cli_complain(CLI_EXIT_WRONG, &error);
    free(s->input);
    free(s);
    return status;
}
