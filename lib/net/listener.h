/* Listening sockets, one per worker. They are bound when the host asks, and accept from the server's start on. */
#ifndef PC_NET_LISTENER_H
#define PC_NET_LISTENER_H

#include <pusherc/error.h>
#include <pusherc/server.h>

#include "net/loop.h"

struct pc_socket_file;
struct pc_tls_config;

/* Binds `count` sockets to one internet address, one for each loop, but does not listen yet. *port receives the port that the
 * system picked. 0, PUSHERC_EINVAL or PUSHERC_EIO with `info` filled. */
PC_CHECKED int pc_listener_bind(const pusherc_listen_options *options, uint32_t count, int *fds,
                                uint16_t *port, pusherc_errinfo *info);

/* The loop takes the bound socket in any case, and counts `tls` (NULL = plain). `number`: the server's number of the
 * listener, from 0. 0 or PUSHERC_ENOMEM. */
PC_CHECKED int pc_listener_add(struct pc_loop *loop, int fd, uint32_t backlog, uint32_t number,
                               struct pc_tls_config *tls, pusherc_listen_purpose purpose);
/* Right after pc_listener_add() for a unix socket: this listener removes the file when it closes. */
void pc_listener_take_file(struct pc_loop *loop, struct pc_socket_file *file);
/* Sets the certificate for connections accepted from now on. No effect on a closed listener. Counts `tls`. */
void pc_listener_set_tls(struct pc_loop *loop, uint32_t number, struct pc_tls_config *tls);

/* How many descriptors this process may have open; UINT32_MAX = any number. */
uint32_t pc_descriptor_limit(void);

/* Begins to accept on all listeners of the loop; 0 or a UV_E* code. */
int pc_listeners_start(struct pc_loop *loop);
void pc_listeners_close(struct pc_loop *loop);
/* In a forked child, for listeners that its parent has not closed: closes the child's copies of the sockets, so that the
 * address is free when the parent has left it. A descriptor that the child has given to something else stays. */
void pc_listeners_leave(struct pc_loop *loop);

#endif
