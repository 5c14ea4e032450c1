#include "base/fork.h"

#include <sys/mman.h>
#include <unistd.h>

struct pc_fork_mark *pc_fork_mark_new(void)
{
    struct pc_fork_mark *mark = mmap(NULL, sizeof *mark, PROT_READ | PROT_WRITE,
                                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); /* a whole page */
    if (mark == MAP_FAILED)
        return NULL;
#ifdef MADV_WIPEONFORK
    mark->original = madvise(mark, sizeof *mark, MADV_WIPEONFORK) == 0;
#endif
    mark->pid = mark->original ? 0 : getpid();
    atomic_init(&mark->refs, 1);
    return mark;
}

bool pc_fork_other_process(const struct pc_fork_mark *mark)
{
    return mark->pid != getpid();
}

struct pc_fork_mark *pc_fork_mark_ref(struct pc_fork_mark *mark)
{
    if (mark)
        atomic_fetch_add_explicit(&mark->refs, 1, memory_order_relaxed);
    return mark;
}

void pc_fork_mark_unref(struct pc_fork_mark *mark)
{
    if (mark && atomic_fetch_sub_explicit(&mark->refs, 1, memory_order_acq_rel) == 1)
        munmap(mark, sizeof *mark);
}
