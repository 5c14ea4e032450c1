/*
 * How events leave the program: through a broadcaster, which BROADCAST_CONNECTION chooses.
 */
#ifndef COMMON_PUBLISH_H
#define COMMON_PUBLISH_H

#include <cjson/cJSON.h>
#include <pusherc/pusherc.h>

struct program;

/* Read the app from the environment, or make one up whose secret no other program knows. */
void publish_read_app(struct program *program, char secret[129]);
/* Make program->broadcaster, for a server that has the app. 0 or an error of the library. */
int publish_open(struct program *program, pusherc_log_fn log_fn, pusherc_errinfo *info);

/* {"name", "channels", "data"}. A failure is said, and shown by the program's health. */
void publish(struct program *program, const cJSON *event, pusherc_socket_id except);

#endif
