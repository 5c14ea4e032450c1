#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <pusherc/broadcast.h>

#include "command.h"
#include "environment.h"
#include "options.h"
#include "secret.h"

#define MAX_LINE     (1024 * 1024)
#define MAX_SETTING  8192
#define TIMEOUT_MS   10000
#define NEXT_LOOK_MS 2 /* at a queue that was full */

static const char default_setting[] =
    "pusher://app-key:app-secret@127.0.0.1:6001/app-id?scheme=http";

enum {
    URL,
    EXCEPT,
    TIMEOUT,
    CA_FILE,
    LINES,
    HELP,
    OPTION_COUNT
};
static const struct cli_option options[OPTION_COUNT] = {
    {"url", "SETTING",
     "what carries the events: pusher://KEY:SECRET@HOST:PORT/APP-ID, redis://..."},
    {"except", "SOCKET-ID", "this connection does not get the event"},
    {"timeout-ms", "N", "how long to try; the default is 10000"},
    {"ca-file", "FILE", "PEM file of the authorities to trust; by default the system's"},
    {"lines", NULL, "an event for each line of standard input: CHANNEL EVENT [DATA]"},
    {"help", NULL, "print this text"},
};

struct publishing {
    const char *values[OPTION_COUNT]; /* "" for those without argument; NULL = not given */
    const char *words[3];             /* channels, event, data */
    size_t word_count;
    uint64_t timeout_ms;
    char setting[MAX_SETTING]; /* may hold a secret */
    char *file;                /* owned: the content of a file that the environment names */
    pusherc_broadcaster *broadcaster;
    _Atomic unsigned failures;
};

static int complain(int status, const char *text)
{
    (void)fprintf(stderr, "pusherc: %s\n", text);
    return status;
}

static void print_help(void)
{
    printf("usage: pusherc publish [OPTION]... CHANNEL[,CHANNEL]... EVENT [DATA]\n"
           "       pusherc publish [OPTION]... --lines\n\n"
           "Publishes an event and waits until it was accepted. DATA is sent as it is, by default "
           "{};\n"
           "- reads it from standard input.\n\n");
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        cli_option_print(stdout, &options[i]);
        printf("\n");
    }
    printf("\nWithout --url the environment says where: BROADCAST_URL, or the names of Laravel, "
           "Reverb,\n"
           "Pusher and soketi; without any, http://127.0.0.1:6001 with the app app-id.\n"
           "Others can read the options of a process: put a secret into the environment.\n");
}

/* -- reading -- */

static int read_options(struct publishing *p, char **arguments, struct cli_error *error)
{
    struct cli_option_reader reader = {.options = options,
                                       .option_count = OPTION_COUNT,
                                       .arguments = arguments,
                                       .words = p->words,
                                       .word_max = 3};
    const char *value;
    size_t index;
    int status;

    while ((status = cli_options_next(&reader, &index, &value, error)) > 0)
        p->values[index] = value ? value : "";
    if (status)
        return status;
    p->word_count = reader.word_count;
    p->timeout_ms = TIMEOUT_MS;
    if (p->values[HELP])
        return 0;
    if (p->values[TIMEOUT] && (!cli_parse_number(p->values[TIMEOUT], &p->timeout_ms) ||
                               p->timeout_ms == 0 || p->timeout_ms > UINT32_MAX))
        return cli_fail(error, "--timeout-ms must be a number from 1, not \"%.100s\"",
                        p->values[TIMEOUT]);
    if (p->values[LINES] ? p->word_count > 0 : p->word_count < 2)
        return cli_fail(error, p->values[LINES]
                                   ? "with --lines channels and events come from standard input"
                                   : "a channel and an event are needed: pusherc publish CHANNEL "
                                     "EVENT [DATA]");
    return 0;
}

/* A secret may be in a file that NAME_FILE names. */
static const char *look_up(const char *name, void *user_data)
{
    struct publishing *p = user_data;
    const char *value = getenv(name);
    size_t len = strlen(name);
    char with_file[128];
    struct cli_error error;

    if (value || len < 7 || strcmp(name + len - 7, "_SECRET") != 0)
        return value;
    (void)snprintf(with_file, sizeof with_file, "%s_FILE", name);
    const char *path = getenv(with_file);
    if (!path || !*path)
        return NULL;
    free(p->file);
    p->file = cli_secret_read(with_file, path, &error);
    if (!p->file)
        (void)complain(0, error.text);
    return p->file;
}

static int find_setting(struct publishing *p, pusherc_errinfo *info)
{
    cli_environment_unquote(stderr);
    int err = pusherc_broadcast_url(look_up, p, p->setting, sizeof p->setting, NULL, info);
    if (err == PUSHERC_ENOENT) {
        (void)snprintf(p->setting, sizeof p->setting, "%s", default_setting);
        err = 0;
    }
    return err;
}

/* All of standard input; NULL: out of memory, or too long. */
static char *read_all(size_t *len)
{
    char *text = malloc(MAX_LINE);

    *len = text ? fread(text, 1, MAX_LINE, stdin) : 0;
    if (text && *len < MAX_LINE)
        return text;
    free(text);
    return NULL;
}

/* -- events -- */

/* Cuts channels at commas; 0 = too many. */
static size_t read_channels(const char *text, pusherc_slice *out)
{
    size_t count = 0;

    for (; count < PUSHERC_MAX_CHANNELS_PER_EVENT; text++) {
        size_t len = strcspn(text, ",");
        out[count++] = (pusherc_slice){text, len};
        text += len;
        if (!*text)
            return count;
    }
    return 0;
}

static int fill_event(const struct publishing *p, pusherc_event *event, pusherc_slice *channels,
                      const char *names, const char *name, pusherc_slice data)
{
    event->name = pusherc_slice_of(name);
    event->channels = channels;
    event->channel_count = read_channels(names, channels);
    event->data = data;
    if (p->values[EXCEPT] &&
        pusherc_socket_id_parse(pusherc_slice_of(p->values[EXCEPT]), &event->except))
        return complain(CLI_EXIT_WRONG, "--except must be a socket id: digits, a dot, digits");
    return 0;
}

static int report(int err, const pusherc_errinfo *info)
{
    if (err == 0)
        return 0;
    /* without a reason, nothing was sent */
    if (err == PUSHERC_EINVAL && !strchr(info->text, ':'))
        (void)complain(0, "a channel or event name breaks a rule, or the data is not UTF-8");
    else
        (void)fprintf(stderr, "pusherc: not accepted: %s\n",
                      info->text[0] ? info->text : pusherc_strerror(err));
    return err == PUSHERC_EINVAL ? CLI_EXIT_WRONG : CLI_EXIT_CANNOT;
}

static int publish_one(struct publishing *p)
{
    pusherc_slice channels[PUSHERC_MAX_CHANNELS_PER_EVENT];
    pusherc_event event = PUSHERC_EVENT_INIT;
    pusherc_errinfo info = {0};
    char *read = NULL;
    pusherc_slice data = pusherc_slice_of(p->word_count > 2 ? p->words[2] : "{}");

    if (p->word_count > 2 && strcmp(p->words[2], "-") == 0) {
        read = read_all(&data.len);
        data.ptr = read;
        if (!read)
            return complain(CLI_EXIT_WRONG, "standard input is too long");
    }
    int status = fill_event(p, &event, channels, p->words[0], p->words[1], data);
    if (status == 0)
        status = report(
            pusherc_broadcast_wait(p->broadcaster, &event, 1, (uint32_t)p->timeout_ms, &info),
            &info);
    free(read);
    return status;
}

/* -- lines -- */

static void on_failed(const pusherc_event *event, const pusherc_broadcast_result *result,
                      void *user_data)
{
    struct publishing *p = user_data;
    p->failures++;
    (void)fprintf(stderr, "pusherc: %.*s on %.*s: %s: %.*s\n", (int)event->name.len,
                  event->name.ptr, (int)event->channels[0].len, event->channels[0].ptr,
                  pusherc_strerror(result->code), (int)result->reason.len, result->reason.ptr);
}

/* Waits while as many events are queued as may. */
static int hand_over(struct publishing *p, const pusherc_event *event)
{
    const struct timespec pause = {.tv_nsec = NEXT_LOOK_MS * 1000000};
    int err;

    while ((err = pusherc_broadcast(p->broadcaster, event, 1)) == PUSHERC_EBACKLOG)
        (void)nanosleep(&pause, NULL);
    return err;
}

/* Cuts a word off the text, which is changed. */
static char *cut_word(char **text)
{
    char *word = *text + strspn(*text, " \t");
    size_t len = strcspn(word, " \t");
    *text = word + len + (word[len] != '\0');
    word[len] = '\0';
    return word;
}

static int publish_line(struct publishing *p, char *line, size_t number)
{
    pusherc_slice channels[PUSHERC_MAX_CHANNELS_PER_EVENT];
    pusherc_event event = PUSHERC_EVENT_INIT;
    char *channel = cut_word(&line), *name = cut_word(&line);

    if (!*channel)
        return 0; /* an empty line */
    int status =
        fill_event(p, &event, channels, channel, name, pusherc_slice_of(*line ? line : "{}"));
    if (status)
        return status;
    int err = hand_over(p, &event);
    if (err) {
        (void)fprintf(stderr, "pusherc: line %zu: %s\n", number, pusherc_strerror(err));
        p->failures++;
    }
    return 0;
}

static int publish_lines(struct publishing *p)
{
    char *line = NULL;
    size_t room = 0, number = 0;
    ssize_t len;
    int status = 0;

    while (status == 0 && (len = getline(&line, &room, stdin)) >= 0) {
        while (len > 0 && (line[len - 1] == '\n' || line[len - 1] == '\r'))
            line[--len] = '\0';
        status = publish_line(p, line, ++number);
    }
    free(line);
    pusherc_broadcaster_free(p->broadcaster); /* sends what waits */
    p->broadcaster = NULL;
    return status ? status : p->failures ? CLI_EXIT_CANNOT : 0;
}

/* -- the subcommand -- */

static int make(struct publishing *p)
{
    pusherc_broadcaster_options o = PUSHERC_BROADCASTER_OPTIONS_INIT;
    pusherc_errinfo info = {0};
    int err = 0;

    o.url = p->values[URL];
    if (!o.url) {
        err = find_setting(p, &info);
        o.url = p->setting;
    }
    o.log_fn = pusherc_log_to_stderr;
    o.log_level = PUSHERC_LOG_ERROR; /* results are told here */
    o.ca_file = p->values[CA_FILE];
    o.grace_ms = o.retry_ms = (uint32_t)p->timeout_ms;
    o.on_failed = on_failed;
    o.user_data = p;
    if (err == 0)
        err = pusherc_broadcaster_new(&p->broadcaster, &o, &info);
    return err ? complain(CLI_EXIT_WRONG, info.text[0] ? info.text : pusherc_strerror(err)) : 0;
}

static int run(char **arguments)
{
    struct publishing *p = calloc(1, sizeof *p);
    struct cli_error error;

    if (!p)
        return complain(CLI_EXIT_CANNOT, "out of memory");
    int status = read_options(p, arguments, &error) ? complain(CLI_EXIT_WRONG, error.text) : 0;
    if (status == 0 && p->values[HELP]) {
        print_help();
    } else if (status == 0) {
        status = make(p);
        if (status == 0)
            status = p->values[LINES] ? publish_lines(p) : publish_one(p);
        pusherc_broadcaster_free(p->broadcaster);
    }
    free(p->file);
    free(p);
    return status;
}

const struct cli_command cli_publish_command = {
    .name = "publish",
    .help = "publish an event",
    .words = "CHANNEL[,CHANNEL]... EVENT [DATA]",
    .options = options,
    .option_count = OPTION_COUNT,
    .run = run,
};
const struct cli_command cli_trigger_command = {
    .name = "trigger",
    .help = "the same",
    .words = "CHANNEL[,CHANNEL]... EVENT [DATA]",
    .options = options,
    .option_count = OPTION_COUNT,
    .run = run,
};
