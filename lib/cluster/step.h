/*
 * A step of the authority while it is executed: its arguments, its answer, what it publishes. authority.c has checked
 * how many arguments there are, and which of them are numbers. A step makes what it needs first, and changes the
 * partition when nothing can fail any more.
 */
#ifndef PC_CLUSTER_STEP_H
#define PC_CLUSTER_STEP_H

#include <pusherc/cluster.h>

#include "cluster/partition.h"

struct pc_step {
    struct pc_partition *partition;
    uint64_t now_us, now_ms;
    const pusherc_slice *args;
    size_t arg_count;
    struct pc_values answer;
    struct pc_values messages;            /* topic (one byte), key and text of each */
    size_t reserved_count, reserved_size; /* room for messages */
};

/* An argument that is a number; authority.c has checked that it is one. */
uint64_t pc_step_number(const struct pc_step *s, size_t i);
/* Makes room for `count` more messages, whose keys and texts have `size` bytes at most. 0 or PUSHERC_ENOMEM. */
PC_CHECKED int pc_step_reserve(struct pc_step *s, size_t count, size_t size);
/* Bytes of a message's text besides the strings in it. */
#define PC_MESSAGE_FIXED 96

/* The incarnation args[0], if args[1] is the epoch and it is alive. NULL: the answer says why not. */
struct pc_incarnation *pc_step_guard(struct pc_step *s);
/* The same without an incarnation, for steps that only read: args[0] is the epoch. */
bool pc_step_reads(struct pc_step *s);

/* The steps. Each appends its answer. 0; PUSHERC_ENOMEM, PUSHERC_EINVAL: nothing has changed. */

/* steps.c */
PC_CHECKED int pc_step_attach(struct pc_step *s);
PC_CHECKED int pc_step_detach(struct pc_step *s);
PC_CHECKED int pc_step_renew(struct pc_step *s);
PC_CHECKED int pc_step_synced(struct pc_step *s);
PC_CHECKED int pc_step_mine(struct pc_step *s);
PC_CHECKED int pc_step_join(struct pc_step *s);
PC_CHECKED int pc_step_leave(struct pc_step *s);
PC_CHECKED int pc_step_count(struct pc_step *s);
PC_CHECKED int pc_step_fetch(struct pc_step *s);
PC_CHECKED int pc_step_verify(struct pc_step *s);
PC_CHECKED int pc_step_peek(struct pc_step *s);
PC_CHECKED int pc_step_reap(struct pc_step *s);
PC_CHECKED int pc_step_channels(struct pc_step *s);
PC_CHECKED int pc_step_totals(struct pc_step *s);
/* records.c */
PC_CHECKED int pc_step_tell(struct pc_step *s);
PC_CHECKED int pc_step_told(struct pc_step *s);
PC_CHECKED int pc_step_check(struct pc_step *s);
PC_CHECKED int pc_step_keep(struct pc_step *s);
PC_CHECKED int pc_step_rekeep(struct pc_step *s);
PC_CHECKED int pc_step_kept(struct pc_step *s);
PC_CHECKED int pc_step_once_begin(struct pc_step *s);
PC_CHECKED int pc_step_once_done(struct pc_step *s);
PC_CHECKED int pc_step_once_undo(struct pc_step *s);
PC_CHECKED int pc_step_order(struct pc_step *s);
PC_CHECKED int pc_step_orders(struct pc_step *s);

void pc_records_free(struct pc_partition *p);

#endif
