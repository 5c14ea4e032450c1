/*
 * Sends what webhook/queue.c says is due, over HTTP, on one loop of the server. It is the engine's observer. Without
 * libcurl (see net/fetch.h) there is no sender, and no app may have webhooks.
 */
#ifndef PC_WEBHOOK_SENDER_H
#define PC_WEBHOOK_SENDER_H

#include "net/loop.h"

struct pc_sender;

/* *out NULL with 0: there is nothing to send with. The loop is one of the engine's, and both outlive it.
 * `ca_file` is copied; NULL = the system's certificates. 0, PUSHERC_ENOMEM, PUSHERC_EIO. */
PC_CHECKED int pc_sender_new(struct pc_sender **out, struct pc_loop *loop, const char *ca_file);
/* Frees what is left; runs the loop for it if it was started and has not ended. NULL is harmless. */
void pc_sender_free(struct pc_sender *sender);

/* With the loop, before it runs; `alone`: the server has no other. 0 or PUSHERC_EIO with *sys. From here on it is
 * the loop's companion, which stops it and waits for its end. NULL is harmless, as below. */
PC_CHECKED int pc_sender_start(struct pc_sender *sender, bool alone, int *sys);
/* Once, on any thread: no other loop of the server runs any more, so nothing is noted but on this one. */
void pc_sender_last(struct pc_sender *sender);

#endif
