/*
 * The messages of one server: what would have been a call of the host's hooks, rules and log function becomes a letter
 * in the host's inbox (fanout/inbox.h).
 *
 * Each worker has a table of hooks of its own, whose user_data is the worker's lane. A hook that the host wants as
 * messages writes a letter there. One that it wants to be called passes the call on.
 */
#ifndef PC_SERVER_INBOX_H
#define PC_SERVER_INBOX_H

#include "server/server.h"

struct pc_messages;

/* For pusherc_server_options that were checked. Gives the engine's workers their hooks, and replaces `o->log_fn` if the
 * host wants lines as messages. *out NULL and 0: it has no inbox. */
PC_CHECKED int pc_messages_new(struct pc_messages **out, pusherc_server *server,
                               pusherc_server_options *o);
/* After the last letter: no loop runs. NULL is harmless. */
void pc_messages_free(struct pc_messages *messages);
/* The server's last message. messages NULL is harmless. */
void pc_messages_stopped(struct pc_messages *messages);
/* Turns a rule with `inbox` into one that puts its questions. 0, or PUSHERC_EINVAL. */
PC_CHECKED int pc_messages_take_rule(const struct pc_messages *messages, pusherc_rule *rule,
                                     pusherc_errinfo *info);
/* The host wants to be told the result, and gave no function. */
bool pc_messages_want_reauthorized(const struct pc_messages *messages);
/* A function and its user_data that put the result, for a call with `user_data`. NULL = out of memory. */
PC_CHECKED void *pc_messages_reauthorized_new(struct pc_messages *messages, void *user_data);
void pc_messages_reauthorized(uint64_t kept, uint64_t revoked, void *made); /* frees it */
void pc_messages_reauthorized_free(struct pc_messages *messages, void *made);
/* messages NULL is harmless. */
void pc_messages_count(struct pc_messages *messages, pusherc_stats *out);

#endif
