#include "common/options.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/environment.h"
#include "common/program.h"
#include "common/say.h"

#define MAX_OPTIONS 32

/* With the program's name, what it does, and its port. */
static const char usage[] =
    "Usage: %s [OPTION]...\n"
    "%s\n"
    "\n"
    "  --host ADDRESS       numeric address to listen on (default 127.0.0.1)\n"
    "  --port PORT          default %u; 0 = the system picks\n"
    "  --data FILE          keep the data in this SQLite file (default: in memory, gone at exit)\n"
    "  --node-modules DIR   where npm has put pusher-js and laravel-echo\n"
    "                       (default " DEFAULT_NODE_MODULES ")\n"
    "  --tls-cert FILE      speak TLS, with this certificate and its chain (PEM)\n"
    "  --tls-key FILE       ... and this key (PEM)\n"
    "  --metrics-port PORT  /metrics for Prometheus, /ready and /usage (default: none); 9601 is "
    "usual\n"
    "  --metrics-host ADDRESS  ... where (default 127.0.0.1): keep it away from the public\n"
    "  --proxies N          so many reverse proxies are in front and append to X-Forwarded-For\n"
    "                       (default 0): sign-ins are limited by the address of the client\n"
    "  --session-s SECONDS  how long one stays signed in (default 43200, 12 hours)\n"
    "  --empty              a new database is empty, not filled with the demo\n"
    "  --env FILE           read NAME=VALUE lines; what is in the environment already counts more\n"
    "  --help               print this\n";

static const char usage_environment[] =
    "\n"
    "Environment:\n"
    "  BROADCAST_CONNECTION what carries events: local (default), reverb, pusher, redis, log, "
    "null,\n"
    "                       or a setting as docs/broadcasting.md has it. The names of Laravel say\n"
    "                       where to (REVERB_HOST, ...), and which app this is (REVERB_APP_KEY, "
    "...)\n"
    "  QUEUE_CONNECTION     sync: what an application wants published now has to be accepted "
    "first;\n"
    "                       database: events wait in the file of --data, and survive the "
    "program;\n"
    "                       else they are handed over (default)\n"
    "  BROADCAST_DEBUG      true: each event and each decision about who may hear it is told on\n"
    "                       standard error, of members and visitors alike\n";

static int parse_number(uint16_t *out, const char *name, const char *text)
{
    char *end;
    unsigned long value = isdigit((unsigned char)*text) ? strtoul(text, &end, 10) : UINT16_MAX + 1;
    if (value > UINT16_MAX || *end) {
        say("--%s wants a number from 0 to 65535", name);
        return -1;
    }
    *out = (uint16_t)value;
    return 0;
}

/* Common ones first: their values are found by their place. */
static size_t list_options(struct option *known, struct program_option *all,
                           struct options *options, const struct program_option *own)
{
    const struct program_option common[] = {
        {"host", &options->host, NULL},
        {"data", &options->data, NULL},
        {"node-modules", &options->node_modules, NULL},
        {"tls-cert", &options->tls_cert, NULL},
        {"tls-key", &options->tls_key, NULL},
        {"metrics-host", &options->metrics_host, NULL},
        {"env", &options->env, NULL},
    };
    size_t count = 0;
    for (; count < sizeof common / sizeof common[0]; count++)
        all[count] = common[count];
    for (; own && own->name && count < MAX_OPTIONS; own++)
        all[count++] = *own;
    for (size_t i = 0; i < count; i++)
        known[i] = (struct option){all[i].name,
                                   !all[i].flag   ? required_argument
                                   : all[i].value ? optional_argument
                                                  : no_argument,
                                   NULL, 's'};
    return count;
}

static void set_option(const struct program_option *option, const char *value)
{
    if (option->flag)
        *option->flag = true;
    if (value)
        *option->value = value;
}

int options_parse(struct options *options, const struct program_spec *spec, int argc, char **argv)
{
    static const struct option others[] = {
        {"port", required_argument, NULL, 'n'},
        {"proxies", required_argument, NULL, 'n'},
        {"metrics-port", required_argument, NULL, 'n'},
        {"session-s", required_argument, NULL, 'n'},
        {"empty", no_argument, NULL, 'e'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    /* Where the numbers go, in the same order. */
    uint16_t *numbers[] = {&options->port, &options->proxies, &options->metrics_port,
                           &options->session_s};
    struct option known[MAX_OPTIONS + sizeof others / sizeof others[0]];
    struct program_option all[MAX_OPTIONS];
    int option, at;
    *options = (struct options){.host = "127.0.0.1",
                                .metrics_host = "127.0.0.1",
                                .port = spec->port,
                                .data = ":memory:",
                                .session_s = 43200,
                                .node_modules = DEFAULT_NODE_MODULES};
    size_t count = list_options(known, all, options, spec->options);
    memcpy(known + count, others, sizeof others);
    while ((option = getopt_long(argc, argv, "", known, &at)) != -1) {
        if (option == '?')
            return -1; /* getopt has said why */
        if (option == 'h') {
            printf(usage, program_invocation_short_name, spec->summary, (unsigned)spec->port);
            fputs(spec->usage ? spec->usage : "", stdout);
            fputs(usage_environment, stdout);
            return 1;
        }
        if (option == 'e')
            options->empty = true;
        else if (option == 's')
            set_option(&all[at], optarg);
        else if (parse_number(numbers[(size_t)at - count], known[at].name, optarg) != 0)
            return -1;
        else if (numbers[(size_t)at - count] == &options->metrics_port)
            options->metrics = true;
    }
    if (optind < argc) {
        say("what is \"%s\"? Try --help.", argv[optind]);
        return -1;
    }
    return options->env ? environment_read(options->env) : 0;
}

bool options_trace(void)
{
    static const char *const on[] = {"1", "true", "on", "yes"};
    static const char *const off[] = {"", "0", "false", "off", "no"};
    const char *value = getenv("BROADCAST_DEBUG");
    for (size_t i = 0; value && i < sizeof on / sizeof on[0]; i++) {
        if (strcasecmp(value, on[i]) == 0)
            return true;
    }
    for (size_t i = 0; value && i < sizeof off / sizeof off[0]; i++) {
        if (strcasecmp(value, off[i]) == 0)
            return false;
    }
    if (value)
        say("BROADCAST_DEBUG is neither true nor false, so it is off");
    return false;
}
