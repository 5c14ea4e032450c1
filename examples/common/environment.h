/*
 * Files that say what the environment should: NAME=VALUE, as Laravel and others keep it in .env.
 */
#ifndef COMMON_ENVIRONMENT_H
#define COMMON_ENVIRONMENT_H

/* Set what is not set yet. Values may be in quotes, and refer to others by ${NAME}, but not in single quotes; "#" begins
 * a comment. 0, or -1 after a line on standard error: a file that cannot be read, a line that is none of this. */
int environment_read(const char *path);

#endif
