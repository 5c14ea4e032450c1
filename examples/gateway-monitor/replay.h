/*
 * Replays: what a gateway has read, once more and faster, for the user who asked for it, on a channel of its own. One for
 * each user: a new one takes the place of the one before. It begins when the page has subscribed, and ends by itself, also
 * when the page leaves.
 */
#ifndef REPLAY_H
#define REPLAY_H

#include "monitor.h"

size_t replay_bytes(void); /* of struct replays, all zeros at first */
void replay_begin(struct monitor *monitor);
void replay_end(struct monitor *monitor);
/* 0: there is no such replay. */
int64_t replay_owner(const struct monitor *monitor, int64_t id);

/* Routes: POST and DELETE /api/v1/gateways/{id}/replay. Pause and seek are an end and a beginning elsewhere. */
void replay_start(struct program *program, pusherc_http_request *request,
                  const struct http_params *params);
void replay_stop(struct program *program, pusherc_http_request *request,
                 const struct http_params *params);

#endif
