#include "options.h"

#include <ctype.h>
#include <getopt.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

static const char usage[] =
    "Usage: status-page [OPTION]...\n"
    "Serve a status page that is live through libpusherc.\n"
    "\n"
    "  --host ADDRESS       numeric address to listen on (default 127.0.0.1)\n"
    "  --port PORT          default 8080; 0 = the system picks\n"
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
    "  --empty              a new database is empty, not filled with the demo\n"
    "  --help               print this\n"
    "\n"
    "Add to the database of --data FILE, and end:\n"
    "  --add-organization SLUG [--name NAME]      its pages are /status/SLUG and /dashboard/SLUG\n"
    "  --add-user EMAIL [--name NAME] --organization SLUG [--role member|admin|owner]\n"
    "                                             prints the password of a new user\n"
    "\n"
    "With BROADCAST_DEBUG=true in the environment each event and each decision about who may\n"
    "hear it is told on standard error, those of private organizations, too.\n";

static int parse_number(uint16_t *out, const char *name, const char *text)
{
    char *end;
    unsigned long value = isdigit((unsigned char)*text) ? strtoul(text, &end, 10) : UINT16_MAX + 1;
    if (value > UINT16_MAX || *end) {
        fprintf(stderr, "status-page: --%s wants a number from 0 to 65535\n", name);
        return -1;
    }
    *out = (uint16_t)value;
    return 0;
}

int options_parse(struct options *options, int argc, char **argv)
{
    static const struct option known[] = {
        {"host", required_argument, NULL, 's'},
        {"data", required_argument, NULL, 's'},
        {"node-modules", required_argument, NULL, 's'},
        {"tls-cert", required_argument, NULL, 's'},
        {"tls-key", required_argument, NULL, 's'},
        {"add-organization", required_argument, NULL, 's'},
        {"add-user", required_argument, NULL, 's'},
        {"name", required_argument, NULL, 's'},
        {"organization", required_argument, NULL, 's'},
        {"role", required_argument, NULL, 's'},
        {"metrics-host", required_argument, NULL, 's'},
        {"port", required_argument, NULL, 'n'},
        {"proxies", required_argument, NULL, 'n'},
        {"metrics-port", required_argument, NULL, 'n'},
        {"empty", no_argument, NULL, 'e'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    /* Where the value of each of them goes, in the same order. */
    const char **texts[] = {&options->host,     &options->data,        &options->node_modules,
                            &options->tls_cert, &options->tls_key,     &options->add_organization,
                            &options->add_user, &options->name,        &options->organization,
                            &options->role,     &options->metrics_host};
    uint16_t *numbers[] = {&options->port, &options->proxies, &options->metrics_port};
    enum {
        TEXTS = sizeof texts / sizeof texts[0]
    };
    int option, at;
    *options = (struct options){.host = "127.0.0.1",
                                .metrics_host = "127.0.0.1",
                                .port = 8080,
                                .data = ":memory:",
                                .node_modules = DEFAULT_NODE_MODULES};
    while ((option = getopt_long(argc, argv, "", known, &at)) != -1) {
        if (option == '?')
            return -1; /* getopt has said why */
        if (option == 'h') {
            fputs(usage, stdout);
            return 1;
        }
        if (option == 'e')
            options->empty = true;
        else if (option == 's')
            *texts[at] = optarg;
        else if (parse_number(numbers[at - TEXTS], known[at].name, optarg) != 0)
            return -1;
        else if (numbers[at - TEXTS] == &options->metrics_port)
            options->metrics = true;
    }
    if (optind < argc) {
        fprintf(stderr, "status-page: what is \"%s\"? Try --help.\n", argv[optind]);
        return -1;
    }
    return 0;
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
        fprintf(stderr, "status-page: BROADCAST_DEBUG is neither true nor false, so it is off\n");
    return false;
}
