#include "base/process.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/slice.h"

#define MAX_PATH   4200 /* the kernel's 4096, and the mount point of control groups */
#define CGROUPS    "/sys/fs/cgroup"
#define CGROUPS_V1 "/sys/fs/cgroup/memory"

static FILE *open_below(const char *root, const char *path)
{
    char whole[2 * MAX_PATH];
    int n = snprintf(whole, sizeof whole, "%s%s", root, path);
    return n > 0 && (size_t)n < sizeof whole ? fopen(whole, "re") : NULL;
}

/* The number behind `name` in the first line that begins with `name`; 0 if there is no such line. */
static uint64_t number_after(const char *root, const char *path, const char *name)
{
    char line[256];
    uint64_t number = 0;
    bool whole = true; /* `line` begins where a line of the file does */
    FILE *file = open_below(root, path);
    while (file && fgets(line, sizeof line, file)) {
        if (whole && strncmp(line, name, strlen(name)) == 0) {
            number = strtoull(line + strlen(name), NULL, 10);
            break;
        }
        whole = strchr(line, '\n') != NULL;
    }
    if (file)
        (void)fclose(file);
    return number;
}

/* -- the process -- */

static void read_stat(struct pc_process *out, const char *root)
{
    char text[1024];
    FILE *file = open_below(root, "/proc/self/stat");
    size_t len = file ? fread(text, 1, sizeof text - 1, file) : 0;
    if (file)
        (void)fclose(file);
    text[len] = '\0';
    /* The program's name is in parentheses and may contain any character; numbers follow it. */
    const char *at = strrchr(text, ')');
    uint64_t values[25] = {0};
    for (int field = 3; at && field < 25; field++) {
        at = strchr(at, ' ');
        if (at)
            values[field] = strtoull(++at, NULL, 10);
    }
    long ticks = sysconf(_SC_CLK_TCK), page = sysconf(_SC_PAGESIZE);
    uint64_t booted = number_after(root, "/proc/stat", "btime ");
    if (values[22] && booted && ticks > 0)
        out->start_time_s = booted + values[22] / (uint64_t)ticks;
    out->virtual_bytes = values[23];
    out->resident_bytes = page > 0 ? values[24] * (uint64_t)page : 0;
}

static uint64_t count_fds(const char *root)
{
    char path[MAX_PATH];
    uint64_t count = 0;
    (void)snprintf(path, sizeof path, "%s/proc/self/fd", root);
    DIR *dir = opendir(path);
    while (dir && readdir(dir))
        count++;
    if (dir)
        (void)closedir(dir);
    return count > 3 ? count - 3 : 0; /* ".", "..", and the descriptor of this directory */
}

static uint64_t microseconds(const struct timeval *t)
{
    return (uint64_t)t->tv_sec * 1000000 + (uint64_t)t->tv_usec;
}

/* -- memory -- */

/* Lowers *limit to the number in the group's file. "max" reads as 0, which is ignored. */
static void lower(uint64_t *limit, const char *root, const char *group, size_t len,
                  const char *file)
{
    char path[MAX_PATH];
    (void)snprintf(path, sizeof path, "%.*s/%s", (int)len, group, file);
    uint64_t number = number_after(root, path, "");
    if (number && (*limit == 0 || number < *limit))
        *limit = number;
}

/* Lowers *limit by the group's limit and those of all groups above it. In a container the path that the kernel names
 * may be missing below the mount point; the top of the mount is then the process's group. */
static void lower_by_group(uint64_t *limit, const char *root, const char *top, const char *path,
                           const char *file)
{
    char group[MAX_PATH];
    (void)snprintf(group, sizeof group, "%s%s", top, path);
    size_t len = strlen(group);
    while (len >= strlen(top)) {
        lower(limit, root, group, len, file);
        do
            len--;
        while (len > 0 && group[len] != '/');
    }
}

/* Lines as "0::/user.slice" (version 2) or "5:memory:/docker/1f" (version 1). */
static void lower_by_groups(uint64_t *limit, const char *root)
{
    char line[MAX_PATH - 64];
    FILE *file = open_below(root, "/proc/self/cgroup");
    while (file && fgets(line, sizeof line, file)) {
        char *controllers = strchr(line, ':');
        char *path = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!path)
            continue;
        *path++ = '\0';
        path[strcspn(path, "\n")] = '\0';
        if (strcmp(controllers, ":") == 0)
            lower_by_group(limit, root, CGROUPS, path, "memory.max");
        else if (strstr(controllers, ":memory") || strstr(controllers, ",memory"))
            lower_by_group(limit, root, CGROUPS_V1, path, "memory.limit_in_bytes");
    }
    if (file)
        (void)fclose(file);
}

void pc_process_read(struct pc_process *out, const char *root)
{
    struct rusage usage;
    struct rlimit files;
    *out = (struct pc_process){0};
    if (getrusage(RUSAGE_SELF, &usage) == 0) {
        out->cpu_user_us = microseconds(&usage.ru_utime);
        out->cpu_system_us = microseconds(&usage.ru_stime);
    }
    if (getrlimit(RLIMIT_NOFILE, &files) == 0)
        out->max_fds = files.rlim_cur == RLIM_INFINITY ? UINT64_MAX : files.rlim_cur;
    read_stat(out, root);
    out->heap_bytes = number_after(root, "/proc/self/status", "VmData:") * 1024;
    out->open_fds = count_fds(root);
    out->memory_bytes = number_after(root, "/proc/meminfo", "MemTotal:") * 1024;
    lower_by_groups(&out->memory_bytes, root);
}

void pc_process_recent(struct pc_process *out, struct pc_recent *recent, uint64_t now_ms)
{
    struct pc_buf bytes;
    pc_buf_init_in(&bytes, recent->bytes.mem, sizeof *out, (char *)out, sizeof *out);
    if (pc_recent_get(recent, now_ms, &bytes))
        return;
    pc_process_read(out, "");
    pc_recent_keep(recent, pc_slice((const char *)out, sizeof *out));
}
