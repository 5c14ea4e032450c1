#include "options.h"

#include <string.h>

#define MAX_OPTIONS 64

static int unknown_option(const struct cli_option_reader *reader, const char *name, size_t len,
                          struct cli_error *error)
{
    const char *known[MAX_OPTIONS];
    size_t count = 0;
    char word[64];

    for (size_t i = 0; i < reader->option_count && count < MAX_OPTIONS; i++)
        known[count++] = reader->options[i].name;
    (void)snprintf(word, sizeof word, "%.*s", (int)(len < sizeof word ? len : sizeof word), name);

    const char *nearest = cli_nearest(word, known, count);
    return nearest ? cli_fail(error, "unknown option --%s; did you mean --%s?", word, nearest)
                   : cli_fail(error, "unknown option --%s; --help lists the options", word);
}

/* Takes the words before the next option. NULL: there is none; a word that has no room is in `error`. */
static const char *next_option(struct cli_option_reader *reader, struct cli_error *error)
{
    const char *word;
    bool only_words = false;

    error->text[0] = '\0';
    while ((word = *reader->arguments)) {
        reader->arguments++;
        bool option = strcmp(word, "-h") == 0 || (strncmp(word, "--", 2) == 0 && word[2]);
        if (option && !only_words)
            return word;
        if (reader->word_max > 0 && !only_words && strcmp(word, "--") == 0) {
            only_words = true;
            continue;
        }
        if (reader->word_count == reader->word_max) {
            (void)cli_fail(error,
                           reader->word_max ? "unexpected argument \"%.100s\""
                                            : "unexpected argument \"%.100s\"; options begin "
                                              "with --",
                           word);
            return NULL;
        }
        reader->words[reader->word_count++] = word;
    }
    return NULL;
}

int cli_options_next(struct cli_option_reader *reader, size_t *index, const char **value,
                     struct cli_error *error)
{
    const char *word = next_option(reader, error);

    if (!word)
        return error->text[0] ? -1 : 0;
    if (strcmp(word, "-h") == 0)
        word = "--help";

    const char *name = word + 2;
    size_t len = strcspn(name, "=");
    size_t i = 0;
    while (i < reader->option_count && (strncmp(reader->options[i].name, name, len) != 0 ||
                                        reader->options[i].name[len] != '\0'))
        i++;
    if (i == reader->option_count)
        return unknown_option(reader, name, len, error);

    const struct cli_option *option = &reader->options[i];
    *index = i;
    *value = NULL;
    if (!option->argument)
        return name[len] == '=' ? cli_fail(error, "--%s takes no value", option->name) : 1;
    if (name[len] == '=')
        *value = name + len + 1;
    else if (*reader->arguments && strncmp(*reader->arguments, "--", 2) != 0)
        *value = *reader->arguments++;
    if (!*value || !**value)
        return cli_fail(error, "--%s needs a value: --%s %s", option->name, option->name,
                        option->argument);
    return 1;
}

void cli_option_print(FILE *file, const struct cli_option *option)
{
    char left[64];

    (void)snprintf(left, sizeof left, "--%s%s%s", option->name, option->argument ? " " : "",
                   option->argument ? option->argument : "");
    (void)fprintf(file, "  %-24s %s", left, option->help ? option->help : "");
}
