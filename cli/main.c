/* The program: finds the subcommand in the table of command.c. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <pusherc/version.h>

#include "command.h"

#define MAX_COMMANDS 32

static void print_help(FILE *file)
{
    (void)fprintf(file, "usage: pusherc COMMAND [OPTION]...\n\n"
                        "A server for the Pusher Channels protocol, a publisher, and tools.\n\n"
                        "commands:\n");
    for (size_t i = 0; cli_commands[i]; i++)
        (void)fprintf(file, "  %-10s %s\n", cli_commands[i]->name, cli_commands[i]->help);
    (void)fprintf(file, "\npusherc COMMAND --help tells a command's options.\n"
                        "pusherc --version tells the version.\n");
}

static int unknown_command(const char *word)
{
    const char *known[MAX_COMMANDS];
    size_t count = 0;

    for (; cli_commands[count] && count < MAX_COMMANDS; count++)
        known[count] = cli_commands[count]->name;
    const char *nearest = cli_nearest(word, known, count);
    char shown[101];
    (void)snprintf(shown, sizeof shown, "%s", word);
    cli_make_plain(shown);
    (void)fprintf(stderr, "pusherc: unknown command \"%s\"; ", shown);
    (void)(nearest ? fprintf(stderr, "did you mean %s?\n", nearest)
                   : fprintf(stderr, "pusherc --help lists the commands\n"));
    return 2;
}

int main(int argc, char **argv)
{
    const char *word = argc > 1 ? argv[1] : "";

    /* The server goes on when the reader of its output, a log or a terminal, has ended. */
    (void)signal(SIGPIPE, SIG_IGN);
    /* Each line goes to a pipe at once, because scripts wait for "listening on". */
    (void)setvbuf(stdout, NULL, _IOLBF, 0);

    if (!*word) {
        print_help(stderr);
        return 2;
    }
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0) {
        print_help(stdout);
        return 0;
    }
    if (strcmp(word, "--version") == 0) {
        const char *features = pusherc_features();
        printf("pusherc %s%s%s%s\n", pusherc_version_string(), *features ? " (" : "", features,
               *features ? ")" : "");
        return 0;
    }
    for (size_t i = 0; cli_commands[i]; i++) {
        if (strcmp(word, cli_commands[i]->name) == 0)
            return cli_commands[i]->run(argv + 2);
    }
    return unknown_command(word);
}
