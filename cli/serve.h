/*
 * `pusherc serve`: a server that runs without a host program.
 */
#ifndef CLI_SERVE_H
#define CLI_SERVE_H

/* Run the server until a signal ends it. `arguments` (NULL-terminated) follow the subcommand's name. Returns the exit
 * status: 0, 1 (could not run) or 2 (wrong options, environment or config file). */
int cli_serve(char **arguments);

#endif
