/* `pusherc completion`: the table of commands and options as shells and checks want it. */
#include <string.h>

#include "arguments.h"
#include "command.h"

static int run(char **arguments);

static const struct cli_option options[] = {
    {"help", NULL, "print this text"},
};

const struct cli_command cli_completion_command = {
    .name = "completion",
    .help = "print a script that completes words in a shell",
    .words = "bash|zsh|fish|json",
    .about = "  bash   source <(pusherc completion bash)\n"
             "  zsh    pusherc completion zsh > \"${fpath[1]}/_pusherc\"\n"
             "  fish   pusherc completion fish | source\n"
             "  json   the table of commands and options itself\n"
             "make install puts the scripts where the shells look for them.",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .run = run,
};

static bool takes_file(const struct cli_option *option)
{
    return option->argument &&
           (strcmp(option->argument, "FILE") == 0 || strcmp(option->argument, "PATH") == 0);
}

/* Calls `each` for all options of all commands. */
static void print_options(void (*each)(const struct cli_command *command,
                                       const struct cli_option *option))
{
    for (size_t i = 0; cli_commands[i]; i++) {
        for (size_t j = 0; j < cli_commands[i]->option_count; j++)
            each(cli_commands[i], &cli_commands[i]->options[j]);
    }
}

/* A text in single quotes, where a shell reads all but the quote as it is. */
static void print_quoted(const char *text, const char *drop)
{
    for (; text && *text; text++) {
        if (*text == '\'')
            printf("'\\''");
        else if (!strchr(drop, *text))
            (void)putchar(*text);
    }
}

/* -- bash -- */

static void bash_argument(const struct cli_command *command, const struct cli_option *option)
{
    if (option->argument)
        printf("    %s:--%s) %s return ;;\n", command->name, option->name,
               takes_file(option) ? "mapfile -t COMPREPLY < <(compgen -f -- \"$word\");" : "");
}

static void print_bash(void)
{
    printf("# bash completion of pusherc; made by: pusherc completion bash\n"
           "_pusherc() {\n"
           "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} words=\n"
           "    COMPREPLY=()\n"
           "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
           "        words='--help --version");
    for (size_t i = 0; cli_commands[i]; i++)
        printf(" %s", cli_commands[i]->name);
    printf("'\n"
           "        mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\")\n"
           "        return\n"
           "    fi\n"
           "    case ${COMP_WORDS[1]}:$before in\n");
    print_options(bash_argument);
    printf("    esac\n"
           "    case ${COMP_WORDS[1]} in\n");
    for (size_t i = 0; cli_commands[i]; i++) {
        printf("    %s) words='", cli_commands[i]->name);
        for (size_t j = 0; j < cli_commands[i]->option_count; j++)
            printf("%s--%s", j ? " " : "", cli_commands[i]->options[j].name);
        printf("' ;;\n");
    }
    printf("    esac\n"
           "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\")\n"
           "}\n"
           "complete -o default -F _pusherc pusherc\n");
}

/* -- zsh -- */

static void print_zsh(void)
{
    printf("#compdef pusherc\n"
           "# zsh completion of pusherc; made by: pusherc completion zsh\n"
           "local -a commands=(\n");
    for (size_t i = 0; cli_commands[i]; i++) {
        printf("    '%s:", cli_commands[i]->name);
        print_quoted(cli_commands[i]->help, ":");
        printf("'\n");
    }
    printf(")\n"
           "if (( CURRENT == 2 )); then\n"
           "    _describe command commands\n"
           "    return\n"
           "fi\n"
           "local command=$words[2]\n"
           "shift words\n"
           "(( CURRENT-- ))\n"
           "case $command in\n");
    for (size_t i = 0; cli_commands[i]; i++) {
        printf("%s) _arguments", cli_commands[i]->name);
        for (size_t j = 0; j < cli_commands[i]->option_count; j++) {
            const struct cli_option *option = &cli_commands[i]->options[j];
            printf(" \\\n    '--%s%s[", option->name, option->argument ? "=" : "");
            print_quoted(cli_option_help(option), "[]`");
            printf("]");
            if (option->argument) {
                printf(":");
                print_quoted(option->argument, ":");
                printf(":%s", takes_file(option) ? "_files" : "");
            }
            printf("'");
        }
        printf(" \\\n    '*:word:_files' ;;\n");
    }
    printf("esac\n");
}

/* -- fish -- */

static void fish_option(const struct cli_command *command, const struct cli_option *option)
{
    printf("complete -c pusherc -n '__fish_seen_subcommand_from %s' -l %s%s -d '", command->name,
           option->name,
           !option->argument    ? ""
           : takes_file(option) ? " -r -F"
                                : " -x");
    print_quoted(cli_option_help(option), "\\`");
    printf("'\n");
}

static void print_fish(void)
{
    printf("# fish completion of pusherc; made by: pusherc completion fish\n");
    for (size_t i = 0; cli_commands[i]; i++) {
        printf("complete -c pusherc -f -n __fish_use_subcommand -a %s -d '", cli_commands[i]->name);
        print_quoted(cli_commands[i]->help, "\\");
        printf("'\n");
    }
    print_options(fish_option);
}

/* -- json -- */

static void print_member(const char *name, const char *text, const char *end)
{
    printf("\"%s\": ", name);
    cli_print_json_text(stdout, text);
    printf("%s", end);
}

static void print_json(void)
{
    printf("[\n");
    for (size_t i = 0; cli_commands[i]; i++) {
        const struct cli_command *command = cli_commands[i];
        printf("  {");
        print_member("name", command->name, ", ");
        print_member("help", command->help, ", ");
        print_member("words", command->words, ", \"options\": [\n");
        for (size_t j = 0; j < command->option_count; j++) {
            const struct cli_option *option = &command->options[j];
            printf("    {");
            print_member("name", option->name, ", ");
            print_member("argument", option->argument, ", ");
            print_member("help", cli_option_help(option),
                         j + 1 < command->option_count ? "},\n" : "}\n");
        }
        printf("  ]}%s\n", cli_commands[i + 1] ? "," : "");
    }
    printf("]\n");
}

static int run(char **arguments)
{
    static const struct {
        const char *shell;
        void (*print)(void);
    } shells[] = {
        {"bash", print_bash}, {"zsh", print_zsh}, {"fish", print_fish}, {"json", print_json}};
    struct cli_given given;
    struct cli_error error;

    int status = cli_command_read(&given, &cli_completion_command, arguments, &error);
    if (status == 0)
        return 0;
    for (size_t i = 0; status > 0 && given.word_count == 1 && i < 4; i++) {
        if (strcmp(given.words[0], shells[i].shell) == 0) {
            shells[i].print();
            return 0;
        }
    }
    if (status > 0)
        (void)cli_fail(&error, "a shell is needed: pusherc completion bash|zsh|fish");
    return cli_complain(CLI_EXIT_WRONG, &error);
}
