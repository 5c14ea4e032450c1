/*
 * Sends the batches that are due in webhook/queue.c, over HTTP, on one loop of the server. The sender is the engine's
 * observer, so it gets all notices. Without libcurl (net/fetch.h) there is no sender, and no app may have webhooks.
 */
#ifndef PC_WEBHOOK_SENDER_H
#define PC_WEBHOOK_SENDER_H

#include "net/loop.h"

struct pc_sender;

/* *out NULL with 0: this build cannot send. The loop belongs to the engine, and both outlive the sender.
 * `ca_file` is copied; NULL = the system's certificates. 0, PUSHERC_ENOMEM, PUSHERC_EIO. */
PC_CHECKED int pc_sender_new(struct pc_sender **out, struct pc_loop *loop, const char *ca_file);
/* Frees the sender. Runs the loop until its handles are closed if it was started and has not ended. NULL is harmless.
 * */
void pc_sender_free(struct pc_sender *sender);

/* Call it when the loop starts, before it runs. `alone`: the server has no other loop. 0 or PUSHERC_EIO with *sys. The
 * sender becomes a companion of the loop, which stops it and waits for its end. NULL is harmless, also below. */
PC_CHECKED int pc_sender_start(struct pc_sender *sender, bool alone, int *sys);
/* Call it once, on any thread, when all other loops of the server have ended: only this loop makes notices now. */
void pc_sender_last(struct pc_sender *sender);

#endif
