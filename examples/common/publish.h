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
/* Make program->broadcaster, for a server that has the app, and what QUEUE_CONNECTION asks for. 0 or an error of the
 * library. */
int publish_open(struct program *program, pusherc_log_fn log_fn, pusherc_errinfo *info);
/* The broadcaster has stopped, or the server was never started. */
void publish_close(struct program *program);

/* Events: an array of {"name", "channels", "data"}. A failure is said, and shown by the program's health. */

/* In a transaction: they wait in the database, if they do. 0 or -1. */
int publish_store(struct program *program, const cJSON *events, pusherc_socket_id except);
/* After it. True if `then` will be called with 0, when the carrier has the events, has refused them, or is slow. */
bool publish(struct program *program, const cJSON *events, pusherc_socket_id except,
             void (*then)(int status, void *user_data), void *user_data);

#endif
