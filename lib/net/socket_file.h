/*
 * Listening at the path of a unix socket. The kernel leaves the file behind when the process ends, and refuses to bind a
 * path that has a file; so a file on which no process listens is replaced, and the server removes its own.
 *
 * A socket listens as soon as its file is there, with its permissions. So no client connects before these are set, and a file
 * whose socket refuses is that of a process which has gone.
 */
#ifndef PC_NET_SOCKET_FILE_H
#define PC_NET_SOCKET_FILE_H

#include <pusherc/error.h>

#include <pusherc/server.h>

#include "base/mem.h"

/* A file that this process has made. */
struct pc_socket_file;

/* The path in "unix:/run/a.sock", or NULL if `host` is no such text. */
const char *pc_socket_path(const char *host);

/* Listens at `path`, with the backlog and mode of the options. A path has one socket, so the workers share it: `fds` gets
 * `count` descriptors of it, one for each loop. 0; PUSHERC_ENOMEM; PUSHERC_EINVAL: the path cannot be one; PUSHERC_EIO
 * with info->sys. */
PC_CHECKED int pc_socket_file_new(struct pc_socket_file **out, const struct pc_mem *mem,
                                  const char *path, const pusherc_listen_options *options,
                                  uint32_t count, int *fds, pusherc_errinfo *info);
/* Removes the file, unless another one stands in its place by now. NULL is harmless. */
void pc_socket_file_remove(struct pc_socket_file *file);

#endif
