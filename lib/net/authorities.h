/* The file in which the system keeps the certificates of all authorities. */
#ifndef PC_NET_AUTHORITIES_H
#define PC_NET_AUTHORITIES_H

#include <stdbool.h>

/* A static path, to which `root` has to be prepended; NULL: there is none that can be read. `root` is "" but in tests. */
const char *pc_authorities_file(const char *root);
bool pc_authorities_readable(const char *root, const char *path);

#endif
