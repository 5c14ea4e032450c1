/*
 * Text from the user and for the user: errors in one sentence, the nearest known word, numbers, switches.
 */
#ifndef CLI_TEXT_H
#define CLI_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define CLI_PLAIN_NAME_SIZE 128

/* One sentence for the user, without the program's name and without a control character. */
struct cli_error {
    char text[600];
};

/* Fill `error`; returns -1, so that a function can end with it. */
int cli_fail(struct cli_error *error, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
int cli_fail_no_memory(struct cli_error *error);

/* Return the word of known[count] that was probably meant, or NULL. Words of more than 63 bytes do not match. */
const char *cli_nearest(const char *word, const char *const known[], size_t count);

/* Read a number of decimal digits; false: other characters, or more than 64 bits. */
bool cli_parse_number(const char *text, uint64_t *out);

/* Read one of true false 1 0 yes no on off, in upper or lower case. */
bool cli_parse_switch(const char *text, bool *out);

/* Replace the owned text *out by a copy of `text` and free the old one; false: out of memory. */
bool cli_set_text(char **out, const char *text);

/* Letters in lower case, without '_': "max_connections" and "maxConnections" are one name. Cut to fit. */
void cli_plain_name(char out[CLI_PLAIN_NAME_SIZE], const char *name);

/* Put '?' for each character that could steer a terminal: control characters, and those that turn the direction of text. */
void cli_make_plain(char *text);

/* As JSON: a string, or null for NULL. */
void cli_print_json_text(FILE *file, const char *text);
/* The same of a URL, without what may be secret: who asks, and the query. */
void cli_print_url(FILE *file, const char *url);

#endif
