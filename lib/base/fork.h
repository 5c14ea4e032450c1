/*
 * Notices that this process is a copy, made by fork(), of the one that made an object. The threads of the first process do
 * not exist in the copy, a lock that one of them held is held for ever, and what the kernel shares between the two, such
 * as an epoll set, belongs to the first.
 *
 * The mark is a page that the kernel fills with zeros in a child (MADV_WIPEONFORK), so a look at it is one load. getpid()
 * is a system call and can take longer than a publish; it is asked only where the kernel cannot fill pages so.
 */
#ifndef PC_BASE_FORK_H
#define PC_BASE_FORK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/mem.h"

/* Alone in its page. */
struct pc_fork_mark {
    _Atomic uint32_t refs;
    bool original; /* reads as false in a child */
    int64_t pid;   /* where `original` cannot be used; else 0 */
};

/* Marks the calling process. NULL: out of memory. */
PC_CHECKED struct pc_fork_mark *pc_fork_mark_new(void);
/* NULL is harmless, also below. */
struct pc_fork_mark *pc_fork_mark_ref(struct pc_fork_mark *mark);
void pc_fork_mark_unref(struct pc_fork_mark *mark);

/* Asks the system. */
bool pc_fork_other_process(const struct pc_fork_mark *mark);

/* True in a child of the process that made the mark, and in its children. NULL = no process was marked. */
static inline bool pc_forked(const struct pc_fork_mark *mark)
{
    return mark && !mark->original && pc_fork_other_process(mark);
}

#endif
