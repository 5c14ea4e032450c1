/* `pusherc listen`: a subscriber in a terminal. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "command.h"

#define MAX_CHANNELS CLI_COMMAND_MAX_WORDS
#define FOREVER_US   (INT64_C(365) * 86400 * 1000000)

static int run(char **arguments);

static const struct cli_option options[] = {
    {"url", "URL", "the server; by default the environment's"},
    CLI_LINK_OPTIONS,
    {"member", "JSON",
     "who this is on presence channels; the default is {\"user_id\":\"pusherc-listen\"}"},
    {"event", "NAME", "print events of this name only"},
    {"count", "N", "end after so many events"},
    {"json", NULL, "print one JSON object for each event"},
    {"help", NULL, "print this text"},
};

const struct cli_command cli_listen_command = {
    .name = "listen",
    .help = "subscribe to channels, and print what arrives",
    .words = "CHANNEL...",
    .about = "Connects as a client, subscribes to up to 8 channels and prints each event: time, "
             "channel,\n"
             "event, data. Subscriptions to private and presence channels are signed with the "
             "app's secret.\n"
             "What happens to the connection is said on standard error. Exit status: 0 after "
             "--count events, 1\n"
             "if the connection or a subscription fails, 2 for wrong words.",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .run = run,
};

struct listening {
    struct cli_given given;
    struct cli_link link;
    struct cli_client client;
    const char *event; /* NULL = all */
    uint64_t left;     /* events that are still to be printed */
    bool json, colour;
};

/* -- output -- */

/* The time of day, or all of it. */
static void print_time(bool whole)
{
    struct timespec now;
    struct tm date;
    char text[64];

    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)gmtime_r(&now.tv_sec, &date);
    (void)strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &date);
    printf("%s.%03ldZ", whole ? text : strchr(text, 'T') + 1, now.tv_nsec / 1000000);
}

static void print_line(const struct listening *l, const struct cli_message *m)
{
    const char *on = l->colour ? "\033[36m" : "", *event = l->colour ? "\033[1m" : "";
    const char *off = l->colour ? "\033[0m" : "";
    char *data = strdup(m->data), *channel = strdup(m->channel), *name = strdup(m->event);

    if (data && channel && name) {
        cli_make_plain(data);
        cli_make_plain(channel);
        cli_make_plain(name);
        print_time(false);
        printf("  %s%s%s  %s%s%s  %s\n", on, channel, off, event, name, off, data);
    }
    free(data);
    free(channel);
    free(name);
}

static void print_json(const struct cli_message *m)
{
    printf("{\"time\":\"");
    print_time(true);
    printf("\",\"channel\":");
    cli_print_json_text(stdout, m->channel);
    printf(",\"event\":");
    cli_print_json_text(stdout, m->event);
    printf(",\"data\":");
    cli_print_json_text(stdout, m->data);
    const char *user = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(m->json, "user_id"));
    if (user) {
        printf(",\"user_id\":");
        cli_print_json_text(stdout, user);
    }
    printf("}\n");
}

/* -- what arrives -- */

/* 0 = go on; else the exit status and `error`. */
static int refused(const struct cli_message *m, struct cli_error *error)
{
    (void)cli_fail(error, "%.100s is refused: %.300s; pusherc doctor finds out why",
                   *m->channel ? m->channel : "a subscription", m->data);
    return CLI_EXIT_CANNOT;
}

static int take(struct listening *l, const struct cli_message *m, struct cli_error *error)
{
    if (strcmp(m->event, "pusher:subscription_error") == 0 || strcmp(m->event, "pusher:error") == 0)
        return refused(m, error);
    if (strcmp(m->event, "pusher_internal:subscription_succeeded") == 0) {
        char channel[256];
        (void)snprintf(channel, sizeof channel, "%s", m->channel);
        cli_make_plain(channel);
        (void)fprintf(stderr, "pusherc: subscribed to %s\n", channel);
    }
    if (strncmp(m->event, "pusher:", 7) == 0 ||
        strcmp(m->event, "pusher_internal:subscription_succeeded") == 0 ||
        (l->event && strcmp(m->event, l->event) != 0))
        return 0;
    if (l->json)
        print_json(m);
    else
        print_line(l, m);
    (void)fflush(stdout);
    l->left--;
    return 0;
}

static int receive(struct listening *l, struct cli_error *error)
{
    int status = 0;

    while (status == 0 && l->left > 0 && !ferror(stdout)) {
        struct cli_message *m = cli_client_next(&l->client, cli_wire_now_us() + FOREVER_US);
        if (!m) {
            cli_client_why(&l->client, error);
            return CLI_EXIT_CANNOT;
        }
        status = take(l, m, error);
        cli_message_free(m);
    }
    return status;
}

static int subscribe(struct listening *l, struct cli_error *error)
{
    const char *member = cli_option_of(&l->given, "member");

    cli_client_connect(&l->client, &l->link, NULL);
    if (cli_client_establish(&l->client, cli_wire_now_us() + l->link.timeout_us)) {
        cli_client_why(&l->client, error);
        return CLI_EXIT_CANNOT;
    }
    (void)fprintf(stderr, "pusherc: connected, socket id %s\n", l->client.socket_id);
    for (size_t i = 0; i < l->given.word_count; i++) {
        const char *channel = l->given.words[i];
        const char *data = !cli_channel_is_presence(channel) ? NULL
                           : member                          ? member
                                                             : "{\"user_id\":\"pusherc-listen\"}";
        if (cli_client_subscribe(&l->client, &l->link, channel, data, error))
            return CLI_EXIT_CANNOT;
    }
    return receive(l, error);
}

static int run(char **arguments)
{
    struct listening *l = calloc(1, sizeof *l);
    struct cli_error error;
    int status;

    if (!l) {
        (void)cli_fail_no_memory(&error);
        return cli_complain(CLI_EXIT_CANNOT, &error);
    }
    l->client.ws.wire.fd = -1;
    status = cli_command_read(&l->given, &cli_listen_command, arguments, &error);
    if (status > 0 && l->given.word_count == 0)
        status = cli_fail(&error, "a channel is needed: pusherc listen CHANNEL...");
    if (status > 0 &&
        (cli_number_of(&l->given, "count", 1, UINT32_MAX, UINT64_MAX, &l->left, &error) ||
         cli_link_of(&l->given, cli_option_of(&l->given, "url"), &l->link, &error)))
        status = -1;
    if (status > 0) {
        l->event = cli_option_of(&l->given, "event");
        l->json = cli_option_of(&l->given, "json") != NULL;
        l->colour = !l->json && cli_has_colours(stdout);
        status = subscribe(l, &error);
        if (status)
            (void)cli_complain(status, &error);
    } else if (status < 0) {
        status = cli_complain(CLI_EXIT_WRONG, &error);
    }
    cli_client_close(&l->client);
    cli_link_free(&l->link);
    free(l);
    return status;
}
