/* A secret that has a file to itself, as containers get them. */
#ifndef CLI_SECRET_H
#define CLI_SECRET_H

#include "text.h"

/* The text of the file without line ends behind it, owned by the caller. NULL with `error`, which names `source`: the
 * setting that the path comes from. */
char *cli_secret_read(const char *source, const char *path, struct cli_error *error);

#endif
