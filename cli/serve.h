/*
 * `pusherc serve`: a server for those who just want one.
 */
#ifndef CLI_SERVE_H
#define CLI_SERVE_H

/* Run until a signal ends it; `arguments` (NULL-terminated) are those behind the command's name.
 * Returns the exit status: 0, 1 (could not run) or 2 (wrong options, environment or config file). */
int cli_serve(char **arguments);

#endif
