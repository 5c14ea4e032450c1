/*
 * Figures of the system about this process, for the operations pages. Reads /proc and asks the kernel, which costs some
 * tens of microseconds, and more with many descriptors. pc_process_recent() bounds how often.
 */
#ifndef PC_BASE_PROCESS_H
#define PC_BASE_PROCESS_H

#include <stdint.h>

#include "base/recent.h"

/* 0: the system does not tell. */
struct pc_process {
    uint64_t cpu_user_us, cpu_system_us;
    uint64_t start_time_s; /* Unix time */
    uint64_t resident_bytes, virtual_bytes, heap_bytes;
    uint64_t open_fds, max_fds; /* max: UINT64_MAX = no limit */
    uint64_t memory_bytes;      /* of the machine, or of the control group if that may have less */
};

/* `root` is put before each path: "", or a directory of a test. */
void pc_process_read(struct pc_process *out, const char *root);
/* The figures of this process, at most PC_RECENT_MS old. Any thread. */
void pc_process_recent(struct pc_process *out, struct pc_recent *recent, uint64_t now_ms);

#endif
