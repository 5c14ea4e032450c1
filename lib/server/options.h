/* What a host may ask for when it makes a server: defaults, limits, and what makes no sense. */
#ifndef PC_SERVER_OPTIONS_H
#define PC_SERVER_OPTIONS_H

#include "server/server.h"

/* Copies the host's options to `out`, checks them and puts defaults where they are 0 or NULL; copies its hooks, if it has some, to `hooks`, where out->hooks then points. 0 or
 * PUSHERC_EINVAL, with the field's name in `info`. */
PC_CHECKED int pc_server_options_take(pusherc_server_options *out, pusherc_hooks *hooks,
                                      const pusherc_server_options *options, pusherc_errinfo *info);
/* Mode and number of workers; 0 = the combination makes no sense. */
uint32_t pc_server_workers(const pusherc_server_options *options, enum pc_server_mode *mode);

#endif
