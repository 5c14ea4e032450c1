/* Checks the options with which a host makes a server, and puts in the defaults. */
#ifndef PC_SERVER_OPTIONS_H
#define PC_SERVER_OPTIONS_H

#include "server/server.h"

/* Copies the host's options to `out`, checks them and puts in a default for each 0 or NULL. Copies the host's hooks to
 * `hooks` and points out->hooks there, if the host has hooks. 0; or PUSHERC_EINVAL, with the field's name in `info`. */
PC_CHECKED int pc_server_options_take(pusherc_server_options *out, pusherc_hooks *hooks,
                                      const pusherc_server_options *options, pusherc_errinfo *info);
/* Sets *mode and returns the number of workers; 0 = the options contradict each other. */
uint32_t pc_server_workers(const pusherc_server_options *options, enum pc_server_mode *mode);

#endif
